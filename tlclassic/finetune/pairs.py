"""Pairs of texts, and the steps that draw texts of one class together and texts of two classes apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tlclassic.finetune.batches import Tokens
from tlclassic.finetune.frozen import tensors
from tlclassic.finetune.hardware import uses_bfloat16
from tlclassic.finetune.model import EncoderWithHeads, parameter_groups
from tlclassic.finetune.options import FineTuneOptions
from tlclassic.finetune.resuming import check_run, load_trained, run_of, seed_step, trained_arrays
from tlclassic.finetune.schedule import factor

__all__ = ["PAIRS_PER_STEP", "PairState", "PairTrainer", "draw_pairs", "encoder_groups"]

PAIRS_PER_STEP = 16
#: Entries of the history in a run.
_ENTRIES = 10


@dataclass
class PairState:
    """How far a run is.

    Attributes
    ----------
    step : int
        Steps done.
    history : list of dict
        ``step``, ``epoch`` and ``loss``, the mean since the entry before; about ten in a run.
    losses : tuple of float and int
        Sum of the loss, and steps, since the last entry.
    finished : bool
    """

    step: int
    history: list[dict[str, Any]]
    losses: tuple[float, int]
    finished: bool


def draw_pairs(
    members: Sequence[NDArray[np.int64]], seed: int, step: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The pairs of one step, half of one class and half of two; classes are drawn alike however many texts they have.

    Parameters
    ----------
    members : sequence of int64 arrays
        The rows of each class.
    seed, step : int
        The draw depends on these alone.

    Returns
    -------
    tuple
        The rows on the left and on the right, int64 of shape (16,), and the wanted cosine, float32 of shape (16,).
    """
    random = np.random.default_rng((seed, 1, step))
    wanted = (np.arange(PAIRS_PER_STEP) % 2 == 0).astype(np.float32)
    first = random.integers(len(members), size=PAIRS_PER_STEP)
    other = (first + random.integers(1, len(members), size=PAIRS_PER_STEP)) % len(members)
    second = np.where(wanted > 0, first, other)
    left, right = (np.array([random.choice(members[own]) for own in chosen]) for chosen in (first, second))
    return left, right, wanted


def encoder_groups(model: EncoderWithHeads, options: FineTuneOptions) -> list[dict[str, Any]]:
    """The groups of parameters without those of the heads; none where the head alone is trained."""
    return [group for group in parameter_groups(model, options) if group["place"] > 0]


class PairTrainer:
    """Tunes an encoder on pairs: the cosine of their vectors is regressed to 1 or 0.

    Pairs and dropout depend on the seed and the step alone, so that a run that goes on from a saved state ends with the
    same weights as an unbroken one.

    Parameters
    ----------
    model : EncoderWithHeads
        Its heads are left as they are.
    tokens : Tokens
    pad : int
        Token of the padding.
    targets : int64 array of shape (n,)
        The class of each text.
    options : FineTuneOptions
    total : int
        Steps of the run.
    on_progress : callable, optional
        Called with the steps done and the steps of the run.
    on_step : callable, optional
        Called with the trainer after every step: the place to save its state.
    """

    def __init__(
        self,
        model: EncoderWithHeads,
        tokens: Tokens,
        pad: int,
        targets: NDArray[np.int64],
        options: FineTuneOptions,
        total: int,
        *,
        on_progress: Callable[[int, int], None] | None = None,
        on_step: Callable[[PairTrainer], None] | None = None,
    ) -> None:
        self.model, self.tokens, self.pad, self.options, self.total = model, tokens, pad, options, total
        self.on_progress, self.on_step = on_progress, on_step
        self.device = next(model.parameters()).device
        self.members = [np.flatnonzero(targets == own) for own in np.unique(targets)]
        groups = encoder_groups(model, options)
        own = {id(value) for group in groups for value in group["params"]}
        self.named = {name: value for name, value in model.named_parameters() if id(value) in own}
        self.optimizer = torch.optim.AdamW(groups, fused=True)
        self.state = PairState(0, [], (0.0, 0), False)

    def run(self) -> None:
        """Train to the end."""
        state = self.state
        self.model.train()
        while not state.finished:
            state.losses = (state.losses[0] + float(self._step()), state.losses[1] + 1)
            state.step += 1
            state.finished = state.step == self.total
            if state.finished or state.step % max(1, self.total // _ENTRIES) == 0:
                loss = state.losses[0] / state.losses[1]
                state.history.append({"step": state.step, "epoch": state.step / self.total, "loss": loss})
                state.losses = (0.0, 0)
            if self.on_progress is not None:
                self.on_progress(state.step, self.total)
            if self.on_step is not None:
                self.on_step(self)
        self.model.eval()

    def _step(self) -> Tensor:
        step, options = self.state.step, self.options
        seed_step(options.seed, step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * factor(options.schedule, step, self.total, options.warmup)
        loss = self._loss(*draw_pairs(self.members, options.seed, step))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if options.max_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.named.values(), options.max_norm)
        self.optimizer.step()
        return loss.detach()

    def _loss(self, left: NDArray[np.int64], right: NDArray[np.int64], wanted: NDArray[np.float32]) -> Tensor:
        rows, inverse = np.unique(np.concatenate([left, right]), return_inverse=True)
        autocast = uses_bfloat16(self.options.precision, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=autocast):
            vectors = self.model.vectors(*tensors(self.tokens, self.pad, rows, self.model)).float()
        both = torch.nn.functional.normalize(vectors, dim=1)[torch.from_numpy(inverse).to(self.device)]
        cosine = (both[: len(left)] * both[len(left) :]).sum(dim=1)
        return torch.nn.functional.mse_loss(cosine, torch.from_numpy(wanted).to(self.device))

    def state_arrays(self) -> dict[str, Tensor]:
        """Weights and the optimiser's moments, by name."""
        return trained_arrays(self.named, self.optimizer)

    def state_json(self) -> dict[str, Any]:
        """The rest of the state, as plain values."""
        return {**vars(self.state), **run_of(self.options, self.total, len(self.tokens))}

    def load_state(self, arrays: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_arrays` and :meth:`state_json` said.

        Raises
        ------
        InvalidParameterError
            Where it is the state of another run: other options, texts or parameters.
        """
        check_run(run_of(self.options, self.total, len(self.tokens)), state)
        load_trained(self.named, self.optimizer, arrays)
        self.state = PairState(**{name: state[name] for name in vars(self.state)})
