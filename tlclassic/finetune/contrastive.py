"""Few labels: the encoder is tuned on pairs of texts first, then a logistic regression is fitted on its vectors.

Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts" (SetFit, https://arxiv.org/abs/2209.11055). Pairs of
texts are drawn while training, half of them of one class, and their cosine similarity is regressed to 1 or 0; nothing
is kept for a pair, so that memory is linear in the number of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from tlclassic._compat import available_cpus
from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.finetune.batches import TextTokenizer, Tokens, sorted_batches
from tlclassic.finetune.frozen import tensors
from tlclassic.finetune.hardware import cpu_threads, device_of
from tlclassic.finetune.layout import read_layout
from tlclassic.finetune.losses import scores_of
from tlclassic.finetune.model import EncoderWithHeads, load_backbone
from tlclassic.finetune.options import FineTuneOptions
from tlclassic.finetune.pairs import PAIRS_PER_STEP, PairTrainer, encoder_groups
from tlclassic.finetune.tasks import Task, read_tasks
from tlclassic.finetune.trainer import Trained

__all__ = ["train_few"]

#: Pairs drawn in all, for each text: SetFit's R = 20 iterations draw 2 R, of which on small sets few are new.
PAIRS_PER_TEXT = 20
#: Never more than this: with 64 texts of 6 classes and more, the last ones teach nothing.
PAIRS = 6000
_USED = ("train", "learning_rate", "decay", "weight_decay", "schedule", "warmup", "precision", "max_length", "max_norm",
         "encoder_dropout", "class_weight", "seed", "device", "threads")  # fmt: skip
_TOKENS = 8192


def train_few(
    source: str | Path,
    texts: Sequence[str],
    labels: Any,
    options: FineTuneOptions,
    *,
    dev: tuple[Sequence[str], Any] | None = None,
    classes: Any = None,
    pairs: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    prepare: Callable[[PairTrainer], None] | None = None,
    on_step: Callable[[PairTrainer], None] | None = None,
) -> Trained:
    """Tune an encoder on pairs, fit a linear head, and give both as the trainer would.

    Parameters
    ----------
    source, texts, labels, dev, classes
        As for :func:`tlclassic.finetune.trainer.train_encoder`; one task, hard labels.
    options : FineTuneOptions
        ``train``, ``learning_rate``, ``decay``, ``weight_decay``, ``schedule``, ``warmup``, ``precision``,
        ``max_length``, ``max_norm``, ``encoder_dropout``, ``class_weight``, ``seed``, ``device`` and ``threads`` are
        used; others must be at their defaults.
    pairs : int, optional
        How many are drawn; 20 for each text where None, at most 6,000.
    on_progress : callable, optional
        Called with steps done and their number.
    prepare : callable, optional
        Called with the trainer before the first step, if there is one: the place to load a state.
    on_step : callable, optional
        Called with the trainer after every step: the place to save its state.

    Raises
    ------
    InvalidParameterError, EncoderFormatError
    """
    texts = check_texts(texts)
    tasks = read_tasks(labels, len(texts), classes=classes, class_weight=options.class_weight)
    targets = _hard(tasks)
    _check_options(options)
    layout = read_layout(source)
    with ExitStack() as stack:
        stack.enter_context(cpu_threads(options.threads or available_cpus()))
        stack.enter_context(torch.random.fork_rng())
        torch.manual_seed(options.seed)
        backbone = load_backbone(layout.transformer, dropout=options.encoder_dropout)
        model = EncoderWithHeads(backbone, {tasks[0].name: len(tasks[0].classes)}, options, layout.pooling)
        model = model.to(device_of(options.device))
        tokenizer = TextTokenizer(layout, options.max_length)
        tokens = tokenizer(texts)
        steps = max(1, min(pairs or PAIRS_PER_TEXT * len(texts), PAIRS) // PAIRS_PER_STEP)
        history = [{"step": 0, "epoch": 0.0, "loss": 0.0}]
        if encoder_groups(model, options):
            trainer = PairTrainer(
                model, tokens, tokenizer.pad, targets, options, steps, on_progress=on_progress, on_step=on_step
            )
            if prepare is not None:
                prepare(trainer)
            trainer.run()
            history = trainer.state.history
        weights = tasks[0].weights[np.arange(len(texts)), targets]
        _fit_head(model, _vectors(model, tokens, tokenizer.pad), targets, weights)
        best = None
        if dev is not None:
            best = {"step": steps, **_score(model, tokenizer, dev, tasks[0])}
            history.append({**best, "epoch": 1.0, "loss": history[-1]["loss"]})
    return Trained(model.eval(), tasks, history, best)


def _hard(tasks: list[Task]) -> NDArray[np.int64]:
    """The class of each text."""
    task = tasks[0]
    if len(tasks) > 1 or task.multilabel or not np.isin(task.P, (0, 1)).all() or not task.labelled.all():
        raise InvalidParameterError(
            "few-shot tuning needs one task with one hard label a text. "
            "Leave it out for soft, several or missing labels."
        )
    targets: NDArray[np.int64] = task.P.argmax(axis=1)
    absent = np.setdiff1d(np.arange(len(task.classes)), targets)
    if len(absent):
        raise InvalidParameterError(
            f"few-shot tuning needs a text of every class; there is none of {task.classes[absent[0]].item()!r}."
        )
    return targets


def _check_options(options: FineTuneOptions) -> None:
    """What would be passed over in silence is refused."""
    if options.head:
        raise InvalidParameterError("few-shot tuning fits a linear head. Leave head out.")
    for field in fields(options):
        if field.name not in _USED and getattr(options, field.name) != field.default:
            raise InvalidParameterError(f"{field.name} has no say in few-shot tuning. Leave it out.")


def _vectors(model: EncoderWithHeads, tokens: Tokens, pad: int) -> NDArray[np.float32]:
    found = np.empty((len(tokens), model.backbone.config.hidden_size), np.float32)
    model.eval()
    with torch.inference_mode():
        for rows in sorted_batches(tokens.lengths, _TOKENS):
            found[rows] = model.vectors(*tensors(tokens, pad, rows, model)).float().cpu().numpy()
    return found


def _fit_head(
    model: EncoderWithHeads, vectors: NDArray[np.float32], targets: NDArray[np.int64], weights: NDArray[np.float32]
) -> None:
    """Logistic regression on vectors of length one, written into the head, which takes them as they are."""
    layers = model.heads[0].layers
    # Tuned vectors of one class have nearly one direction; their lengths are nearly one number, which is divided out.
    length = float(np.linalg.norm(vectors, axis=1).mean()) or 1.0
    fitted = LogisticRegression(C=10.0, max_iter=1000).fit(vectors / length, targets, sample_weight=weights)
    coef, intercept = fitted.coef_ / length, fitted.intercept_
    if len(coef) == 1:
        coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.array([0.0, intercept[0]])
    with torch.no_grad():
        layers[0].weight.copy_(torch.from_numpy(coef.astype(np.float32)))
        layers[0].bias.copy_(torch.from_numpy(intercept.astype(np.float32)))


def _score(
    model: EncoderWithHeads, tokenizer: TextTokenizer, dev: tuple[Sequence[str], Any], task: Task
) -> dict[str, float]:
    texts = check_texts(dev[0])
    (held_out,) = read_tasks(dev[1], len(texts), classes=task.classes)
    vectors: Tensor = torch.from_numpy(_vectors(model, tokenizer(texts), tokenizer.pad))
    with torch.inference_mode():
        logits = model.logits(vectors.to(next(model.parameters()).device))[task.name].cpu().numpy()
    return {f"dev_{name}": value for name, value in scores_of(held_out, logits).items()}
