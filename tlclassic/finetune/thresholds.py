"""From which probability on a label is given, set on labelled texts after training."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlclassic.encoders import OnnxEncoder
from tlclassic.finetune.tasks import read_held_out
from tlclassic.heads.encoder_heads import TaskHead, read_heads, write_heads
from tlclassic.heads.thresholds import f1_thresholds

__all__ = ["tune_thresholds"]


def tune_thresholds(
    folder: str | os.PathLike[str], texts: Sequence[str], labels: Any, *, threads: int | None = None
) -> dict[str, list[float]]:
    """Set the thresholds of a fine-tuned folder's multi-label tasks to those of the highest F1 of each label.

    A sigmoid trained on rare labels seldom reaches one half, so that a threshold there leaves them out.

    Parameters
    ----------
    folder : path-like
        What :func:`tlclassic.finetune.fine_tune` wrote. Its ``heads.tlc`` is written anew, whole or not at all.
    texts : list of str, length n
        Best such as were not trained on.
    labels : matrix or dict
        Indicator matrix (n, C), or a dict of these by task; as of :func:`tlclassic.finetune.tasks.read_tasks`.

    Returns
    -------
    dict of str to list of float
        The thresholds by task; empty where no task has several labels a text. See
        :func:`tlclassic.heads.thresholds.f1_thresholds`.

    Raises
    ------
    InvalidParameterError
        When the labels do not fit the tasks.
    """
    heads = read_heads(Path(folder))
    if not any(task.multilabel for task in heads):
        return {}
    targets = read_held_out(labels, len(texts), heads.tasks)
    # One task without a name is the folder's first.
    names = list(labels) if isinstance(labels, Mapping) else heads.names[:1]
    by_name = dict(zip(names, targets, strict=True))
    vectors = OnnxEncoder(os.fspath(folder), threads=threads).transform(list(texts))
    found: dict[str, list[float]] = {}
    tasks = []
    for task in heads:
        if task.multilabel and task.name in by_name:
            own = by_name[task.name]
            known = own.labelled
            thresholds = f1_thresholds(
                (own.P[known] >= 0.5).astype(int), TaskHead.of(task).predict_proba(vectors[known])
            )
            found[task.name] = thresholds.tolist()
            task = replace(task, thresholds=thresholds)
        tasks.append(task)
    write_heads(Path(folder), tasks, heads.provenance)
    return found
