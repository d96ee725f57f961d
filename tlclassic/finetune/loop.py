"""The training loop: steps, evaluations on dev, the best state, and everything that a resumed run needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from tlclassic.finetune.batches import epoch_batches, sampled_rows, sorted_batches
from tlclassic.finetune.frozen import EVALUATION_TOKENS, Inputs, StateInputs, frozen_layers
from tlclassic.finetune.hardware import uses_bfloat16
from tlclassic.finetune.losses import loss_of, scores_of, smoothed
from tlclassic.finetune.model import EncoderWithHeads, parameter_groups
from tlclassic.finetune.options import FineTuneOptions
from tlclassic.finetune.resuming import check_run, load_trained, run_of, seed_step, trained_arrays
from tlclassic.finetune.schedule import factor, unfrozen
from tlclassic.finetune.tasks import Task

__all__ = ["Trainer", "TrainerState"]

#: Steps between two updates of the averaged weights, which cost as much memory traffic as a tenth of a step.
AVERAGE_EVERY = 8


@dataclass
class TrainerState:
    """How far a run is.

    Attributes
    ----------
    step : int
        Steps done.
    history : list of dict
        One entry an evaluation: ``step``, ``epoch``, ``loss`` of training since the last, and what dev says.
    best : dict or None
        The best of these.
    bad : int
        Evaluations since it.
    losses : tuple of float and int
        Sum of the training loss, and steps, since the last evaluation.
    finished : bool
    """

    step: int
    history: list[dict[str, Any]]
    best: dict[str, Any] | None
    bad: int
    losses: tuple[float, int]
    finished: bool


class Trainer:
    """Trains the parameters of a model that are not frozen.

    Everything random depends on the seed and the place alone: the order of texts on (seed, epoch), dropout on (seed,
    step), so that a run that goes on from a saved state ends with the same weights as an unbroken one.

    Parameters
    ----------
    model : EncoderWithHeads
    inputs : Inputs
    tasks : list of Task
    options : FineTuneOptions
    dev : tuple of Inputs and list of Task, optional
    scores : callable, optional
        From a task of dev and its logits to what an evaluation says of it, ``"loss"`` and others by name.
    on_progress : callable, optional
        Called with the steps done and the steps of the run.
    on_step : callable, optional
        Called with the trainer after every step, and evaluation if there is one: the place to save its state.
    """

    def __init__(
        self,
        model: EncoderWithHeads,
        inputs: Inputs,
        tasks: Sequence[Task],
        options: FineTuneOptions,
        *,
        dev: tuple[Inputs, Sequence[Task]] | None = None,
        scores: Callable[[Any, NDArray[np.float32]], dict[str, float]] = scores_of,
        on_progress: Callable[[int, int], None] | None = None,
        on_step: Callable[[Trainer], None] | None = None,
    ) -> None:
        self.model, self.inputs, self.options, self.dev, self.scores = model, inputs, options, dev, scores
        self.on_progress, self.on_step = on_progress, on_step
        self.device = next(model.heads.parameters()).device
        self.targets = [
            (
                smoothed(torch.from_numpy(task.P), options.label_smoothing, task.multilabel),
                torch.from_numpy(task.weights),
            )
            for task in tasks
        ]
        self.tasks = list(tasks)
        groups = parameter_groups(model, options)
        self.frozen = frozen_layers(model)
        self.named = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self.optimizer = torch.optim.AdamW(groups, fused=True)
        self.epoch_steps = math.ceil(len(inputs.lengths) / options.batch_size)
        self.total = max(1, math.ceil(self.epoch_steps * options.epochs))
        self.autocast = uses_bfloat16(options.precision, self.device)
        self.average = {name: value.detach().clone() for name, value in self._averaged()}
        self.best_weights: dict[str, Tensor] = {}
        self.state = TrainerState(0, [], None, 0, (0.0, 0), False)

    def _averaged(self) -> list[tuple[str, Tensor]]:
        return [] if self.options.averaging is None else list(self.named.items())

    def run(self) -> None:
        """Train to the end, or until patience is out, and leave the best weights in the model."""
        points = self._evaluation_points()
        while not self.state.finished:
            self._epoch(points)
        with torch.no_grad():
            for name, value in (self.best_weights or self.average).items():
                self.named[name].copy_(value)
        self.model.eval()

    def _epoch(self, points: set[int]) -> None:
        """Steps to the end of the epoch that has begun, or of the run."""
        state = self.state
        self._training()
        for rows in self._rest_of_epoch():
            state.losses = (state.losses[0] + float(self._step(rows)), state.losses[1] + 1)
            state.step += 1
            if self.on_progress is not None:
                self.on_progress(state.step, self.total)
            if state.step in points:
                self._evaluated(state.losses[0] / state.losses[1])
                self._training()
            if self.on_step is not None:
                self.on_step(self)
            if state.finished:
                return

    def _training(self) -> None:
        """Dropout in what is trained; frozen layers that run every time give what kept ones would."""
        self.model.train()
        if self.frozen >= 1 and not isinstance(self.inputs, StateInputs):
            for layer in self.model.layers[: self.frozen]:
                layer.eval()
            if hasattr(self.model.backbone, "embeddings"):
                self.model.backbone.embeddings.eval()
        if self.options.train == "head":
            self.model.backbone.eval()

    def _evaluation_points(self) -> set[int]:
        per_epoch = self.options.evaluations
        points = {round(k * self.epoch_steps / per_epoch) for k in range(1, math.ceil(self.options.epochs * per_epoch))}
        return {point for point in points if 0 < point < self.total} | {self.total}

    def _rest_of_epoch(self) -> list[NDArray[np.int64]]:
        epoch, done = divmod(self.state.step, self.epoch_steps)
        labelled = [self.inputs.tokens.with_units(task.labelled) for task in self.tasks]
        rows = sampled_rows(labelled, self.options.temperature, self.options.seed, epoch)
        places = epoch_batches(self.inputs.lengths[rows], self.options.batch_size, self.options.seed, epoch)
        batches = [rows[own] for own in places]
        return batches[done : done + self.total - self.state.step]

    def _step(self, rows: NDArray[np.int64]) -> Tensor:
        step = self.state.step
        seed_step(self.options.seed, step)
        self._set_rates(step)
        with self._precision(), self._attention():
            vectors = self.inputs.vectors(self.model, rows)
        loss = self._loss(self.model.logits(vectors.float()), rows)
        loss.backward()
        if self.options.max_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.named.values(), self.options.max_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.options.averaging is not None and (step + 1) % AVERAGE_EVERY == 0:
            self._average(self.options.averaging, step + 1)
        return loss.detach()

    def _set_rates(self, step: int) -> None:
        options = self.options
        share = factor(options.schedule, step, self.total, options.warmup)
        places = max(group["place"] for group in self.optimizer.param_groups)
        free = unfrozen(step, self.total, self.epoch_steps, places) if options.gradual_unfreezing else places
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * share
            if options.gradual_unfreezing:
                for parameter in group["params"]:
                    parameter.requires_grad_(group["place"] <= free)

    def _attention(self) -> Any:
        # On a CPU the backward pass of the fused attention takes several times as long as plain products do.
        return sdpa_kernel(SDPBackend.MATH) if self.device.type == "cpu" else nullcontext()

    def _precision(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast)

    def _loss(self, logits: dict[str, Tensor], rows: NDArray[np.int64]) -> Tensor:
        places = torch.from_numpy(self.inputs.tokens.units(rows))
        losses = [
            loss_of(logits[task.name], P[places].to(self.device), weights[places].to(self.device), task.multilabel)
            for task, (P, weights) in zip(self.tasks, self.targets, strict=True)
        ]
        return torch.stack(losses).sum()

    def _average(self, decay: float, step: int) -> None:
        # Young averages follow fast, so that the beginning is forgotten.
        share = 1 - min(decay**AVERAGE_EVERY, step / (step + 10 * AVERAGE_EVERY))
        with torch.no_grad():
            torch._foreach_lerp_([*self.average.values()], [*self.named.values()], share)

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Within, the model has its averaged weights."""
        own = {name: self.named[name].detach().clone() for name in self.average}
        with torch.no_grad():
            for name, value in self.average.items():
                self.named[name].copy_(value)
            try:
                yield
            finally:
                for name, value in own.items():
                    self.named[name].copy_(value)

    def _evaluated(self, loss: float) -> None:
        state, options = self.state, self.options
        entry: dict[str, Any] = {"step": state.step, "epoch": state.step / self.epoch_steps, "loss": loss}
        with self._averaged_weights():
            if self.dev is not None:
                entry |= self.evaluate(*self.dev)
                sign = -1 if options.metric == "loss" else 1
                key = f"dev_{options.metric}"
                if state.best is None or sign * entry[key] > sign * state.best[key]:
                    state.best, state.bad = entry, -1
                    self.best_weights = {name: value.detach().clone() for name, value in self.named.items()}
                state.bad += 1
        state.history.append(entry)
        state.losses = (0.0, 0)
        out_of_patience = options.patience is not None and state.bad >= options.patience
        state.finished = state.step >= self.total or out_of_patience

    def predict(self, inputs: Inputs) -> dict[str, NDArray[np.float32]]:
        """Logits (n, C) of every task, n texts or as many vectors as they have."""
        self.model.eval()
        found = {task.name: np.empty((inputs.tokens.n_units, len(task.classes)), np.float32) for task in self.tasks}
        with torch.inference_mode():
            for rows in sorted_batches(inputs.lengths, EVALUATION_TOKENS):
                with self._precision():
                    vectors = inputs.vectors(self.model, rows)
                places = inputs.tokens.units(rows)
                for name, logits in self.model.logits(vectors.float()).items():
                    found[name][places] = logits.cpu().numpy()
        return found

    def evaluate(self, inputs: Inputs, tasks: Sequence[Task]) -> dict[str, float]:
        """``dev_loss``, ``dev_accuracy`` and what else there is: means over the tasks of their labelled rows."""
        logits = self.predict(inputs)
        scores = [self.scores(task, logits[task.name]) for task in tasks]
        return {f"dev_{name}": float(np.mean([score[name] for score in scores])) for name in scores[0]}

    def state_arrays(self) -> dict[str, Tensor]:
        """Weights, averages, the best weights and the optimiser's moments, by name."""
        arrays = trained_arrays(self.named, self.optimizer)
        arrays |= {f"average/{name}": value for name, value in self.average.items()}
        return arrays | {f"best/{name}": value for name, value in self.best_weights.items()}

    def state_json(self) -> dict[str, Any]:
        """The rest of the state, as plain values."""
        return {**vars(self.state), **run_of(self.options, self.total, len(self.inputs.lengths))}

    def load_state(self, arrays: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_arrays` and :meth:`state_json` said.

        Raises
        ------
        InvalidParameterError
            Where it is the state of another run: other options, texts or parameters.
        """
        check_run(run_of(self.options, self.total, len(self.inputs.lengths)), state)
        load_trained(self.named, self.optimizer, arrays)
        for name, value in self.average.items():
            value.copy_(arrays[f"average/{name}"])
        self.best_weights = {
            name: arrays[f"best/{name}"].to(self.device, copy=True) for name in self.named if f"best/{name}" in arrays
        }
        self.state = TrainerState(**{name: state[name] for name in vars(self.state)})
