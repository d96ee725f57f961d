"""Fine-tuning from texts and labels to a trained model, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tlclassic._compat import available_cpus
from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.finetune.batches import TextTokenizer, Tokens
from tlclassic.finetune.frozen import StateInputs, frozen_layers, inputs_of, only_top
from tlclassic.finetune.hardware import cpu_threads, device_of, uses_bfloat16
from tlclassic.finetune.layout import Layout, read_layout
from tlclassic.finetune.loop import Trainer
from tlclassic.finetune.losses import scores_of
from tlclassic.finetune.model import EncoderWithHeads, load_backbone, parameter_groups
from tlclassic.finetune.options import FineTuneOptions
from tlclassic.finetune.tasks import Task, read_held_out, read_tasks

__all__ = ["Trained", "Trainer", "train_encoder", "train_model"]


@dataclass(frozen=True)
class Trained:
    """What :func:`train_encoder` gives.

    Attributes
    ----------
    model : EncoderWithHeads
        In evaluation mode, with the best weights on dev, or the last without dev.
    tasks : list of Task
    history : list of dict
    best : dict or None
    """

    model: EncoderWithHeads
    tasks: list[Task]
    history: list[dict[str, Any]]
    best: dict[str, Any] | None


def train_encoder(
    source: str | Path,
    texts: Sequence[str],
    labels: Any,
    options: FineTuneOptions | None = None,
    *,
    dev: tuple[Sequence[str], Any] | None = None,
    classes: Any = None,
    multilabel: Any = False,
    sample_weight: Any = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_frozen: Callable[[int, int], None] | None = None,
    prepare: Callable[[Trainer], None] | None = None,
    on_step: Callable[[Trainer], None] | None = None,
) -> Trained:
    """Fine-tune the encoder of a folder on labelled texts.

    Parameters
    ----------
    source : path
        Folder of an encoder as Hugging Face and sentence-transformers lay it out, with ``model.safetensors``.
    texts : list of str, length n
    labels : array-like or dict
        See :func:`tlclassic.finetune.tasks.read_tasks`.
    options : FineTuneOptions, optional
    dev : tuple of texts and labels, optional
        By which the best state is told, and when to stop.
    classes, multilabel, sample_weight
        See :func:`tlclassic.finetune.tasks.read_tasks`.
    on_progress : callable, optional
        Called with steps done and their number.
    on_frozen : callable, optional
        Called with texts done and their number while frozen layers are computed.
    prepare : callable, optional
        Called with the trainer before the first step: the place to load a state.
    on_step : callable, optional
        Called with the trainer after every step, and evaluation if there is one: the place to save its state.

    Returns
    -------
    Trained

    Raises
    ------
    InvalidParameterError, EncoderFormatError
    """
    options = options or FineTuneOptions()
    layout = read_layout(source)
    texts = check_texts(texts)
    if not texts:
        raise InvalidParameterError("texts must hold at least one text; got none.")
    tasks = read_tasks(
        labels, len(texts), classes=classes, multilabel=multilabel, class_weight=options.class_weight,
        sample_weight=sample_weight,
    )  # fmt: skip
    held_out = [] if dev is None else [check_texts(dev[0])]
    dev_tasks = [] if dev is None else read_held_out(dev[1], len(held_out[0]), tasks)
    tokenizer = TextTokenizer(layout, options.max_length)
    tokens = [tokenizer(own) for own in (texts, *held_out)]
    return train_model(
        layout, tokens, tasks, options, dev_tasks=dev_tasks, on_progress=on_progress, on_frozen=on_frozen,
        prepare=prepare, on_step=on_step,
    )  # fmt: skip


def train_model(
    layout: Layout,
    tokens: Sequence[Tokens],
    tasks: Sequence[Task],
    options: FineTuneOptions,
    *,
    dev_tasks: Sequence[Task] = (),
    scores: Callable[[Any, NDArray[np.float32]], dict[str, float]] = scores_of,
    on_progress: Callable[[int, int], None] | None = None,
    on_frozen: Callable[[int, int], None] | None = None,
    prepare: Callable[[Trainer], None] | None = None,
    on_step: Callable[[Trainer], None] | None = None,
) -> Trained:
    """Train the encoder of a folder, and a head for each task, on what was read already.

    Parameters
    ----------
    layout : Layout
    tokens : sequence of Tokens
        Those of the texts, and those of dev where there is one.
    tasks : sequence of Task
        With a row for each unit of the tokens.
    options : FineTuneOptions
    dev_tasks : sequence of Task
        Of dev.
    scores, on_progress, on_step
        See :class:`~tlclassic.finetune.loop.Trainer`.
    on_frozen, prepare
        See :func:`train_encoder`.

    Raises
    ------
    InvalidParameterError, EncoderFormatError
    """
    device = device_of(options.device)
    with ExitStack() as stack:
        stack.enter_context(cpu_threads(options.threads or available_cpus()))
        stack.enter_context(torch.random.fork_rng())
        torch.manual_seed(options.seed)
        backbone = load_backbone(layout.transformer, dropout=options.encoder_dropout)
        sizes = {task.name: len(task.classes) for task in tasks}
        model = EncoderWithHeads(backbone, sizes, options, layout.pooling).to(device)
        parameter_groups(model, options)
        with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(options.precision, device)):
            inputs, *of_dev = inputs_of(
                model, tokens, layout.pad, frozen=frozen_layers(model), limit=options.frozen_bytes,
                on_progress=on_frozen,
            )  # fmt: skip
        evaluation = (of_dev[0], dev_tasks) if of_dev else None
        trainer = Trainer(
            model, inputs, tasks, options, dev=evaluation, scores=scores, on_progress=on_progress, on_step=on_step
        )
        if isinstance(inputs, StateInputs):
            stack.enter_context(only_top(model, trainer.frozen))
        if prepare is not None:
            prepare(trainer)
        trainer.run()
    return Trained(model, list(tasks), trainer.state.history, trainer.state.best)
