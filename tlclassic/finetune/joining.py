"""Data sets that share no text, trained into one encoder with a head for each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.finetune.result import FineTuned
from tlclassic.finetune.running import fine_tune
from tlclassic.multitask.stacking import stack

__all__ = ["fine_tune_tasks", "join_sets"]

Sets = Mapping[str, tuple[Sequence[str], Any]]


def fine_tune_tasks(
    source: str | os.PathLike[str],
    sets: Sets,
    out: str | os.PathLike[str],
    *,
    dev: Sets | None = None,
    task_pooling: str = "attention",
    cross_attention: bool = True,
    temperature: float = 2.0,
    **options: Any,
) -> FineTuned:
    """Fine-tune one encoder on several data sets, a task each, and write them as one folder.

    All layers of the encoder are shared (hard parameter sharing, Caruana 1997); each task attends to the token states
    with its own query, tasks attend to each other, small sets are drawn more often than their size says, and a text
    weighs nothing in the losses of tasks that have no label of it.

    Parameters
    ----------
    source : path-like
        As for :func:`fine_tune`.
    sets : dict of name to (texts, labels)
        Labels as for :func:`fine_tune`: one a text, or a matrix (n, C). At least one set.
    out : path-like
        The new folder. Its graph has an output ``logits_NAME`` for each task.
    dev : dict of name to (texts, labels), optional
        Of some or all of the tasks.
    task_pooling, cross_attention, temperature
        See :class:`~tlclassic.finetune.options.FineTuneOptions`, whose defaults are those of a single task.
    **options
        As for :func:`fine_tune`; ``classes`` and ``multilabel`` are dicts by the name of the task, or one value for
        all.

    Raises
    ------
    InvalidParameterError, InputError, EncoderFormatError, MissingExtraError
    """
    texts, labels = join_sets(sets, "sets")
    held_out = None
    if dev is not None:
        strange = sorted(set(dev) - set(sets))
        if strange:
            raise InvalidParameterError(f"dev must have tasks of sets ({', '.join(sets)}); got {strange[0]!r}.")
        held_out = join_sets(dev, "dev")
    return fine_tune(
        source, texts, labels, out, dev=held_out, task_pooling=task_pooling, cross_attention=cross_attention,
        temperature=temperature, **options,
    )  # fmt: skip


def join_sets(sets: Sets, parameter: str) -> tuple[list[str], dict[str, Any]]:
    """All texts, one set after the other, and for each task its labels, missing at the others' texts.

    Raises
    ------
    InvalidParameterError
        Where there is no set, or one has not as many labels as texts.

    Examples
    --------
    >>> join_sets({"mood": (["a", "b"], ["x", "y"]), "topic": (["c"], [1])}, "sets")
    (['a', 'b', 'c'], {'mood': ['x', 'y', None], 'topic': [None, None, 1]})
    """
    if not isinstance(sets, Mapping) or not sets:
        raise InvalidParameterError(f"{parameter} must be a dict of name to (texts, labels) with at least one set.")
    for name, (texts, labels) in sets.items():
        count = labels.shape[0] if hasattr(labels, "shape") else len(labels)
        if count != len(check_texts(texts)):
            raise InvalidParameterError(
                f"{parameter}[{name!r}] must have a label for each of {len(texts)} texts; got {count}."
            )
    return stack({name: (texts, _as_floats(labels)) for name, (texts, labels) in sets.items()})


def _as_floats(labels: Any) -> Any:
    """A matrix as one of floats, whose gaps are NaN; other labels as they are."""
    return labels.astype(np.float32) if getattr(labels, "ndim", 1) == 2 else labels
