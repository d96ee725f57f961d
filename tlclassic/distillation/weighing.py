"""Weights of several teachers: by what each is worth on labelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlclassic._validate import check_choice, check_texts
from tlclassic.distillation.teachers import ProbabilityTeacher, open_teacher
from tlclassic.errors import InvalidParameterError

__all__ = ["WEIGHINGS", "dev_weights"]

#: "accuracy": one weight a teacher; "classes": one for each teacher and class.
WEIGHINGS = ("accuracy", "classes")


def dev_weights(
    teachers: Sequence[Any], texts: Sequence[str], labels: Sequence[Any], *, by: str = "accuracy", **options: Any
) -> NDArray[np.float64]:
    """Weights for ``open_teacher(teachers, weights=...)`` from texts that no teacher was trained on.

    Parameters
    ----------
    teachers : sequence
        Each as for :func:`tlclassic.distillation.open_teacher`.
    texts, labels : sequences of the same length
        Labels as the teachers have them; for multi-label teachers a list of labels for each text.
    by : {"accuracy", "classes"}
        "accuracy": the share of texts that a teacher gets right, for multi-label teachers its macro F1 at one half.
        "classes": its F1 of each class, so that each teacher speaks most of what it knows best; where no teacher ever
        finds a class all weigh the same.
    **options
        As for :func:`~tlclassic.distillation.open_teacher`: ``classes``, ``multilabel``, ``vectors`` and so on.

    Returns
    -------
    float64 array of shape (teachers,) or (teachers, C)
        Not yet brought to a sum of 1. The columns are in the order of ``classes``, by default that of the first
        teacher.

    Raises
    ------
    InvalidParameterError
        For no texts, labels that are not as many, or a label that the teachers do not know.

    Examples
    --------
    >>> classes = ["no", "yes"]
    >>> good = open_teacher(lambda texts: [[0.1, 0.9] if "!" in t else [0.8, 0.2] for t in texts], classes=classes)
    >>> poor = open_teacher(lambda texts: [[0.4, 0.6]] * len(texts), classes=classes)
    >>> dev_weights([good, poor], ["a!", "b", "c", "d!"], ["yes", "no", "no", "yes"]).tolist()
    [1.0, 0.5]
    """
    check_choice("by", by, WEIGHINGS)
    texts = list(check_texts(texts))
    if not texts or len(labels) != len(texts):
        raise InvalidParameterError(
            f"labels must be one for each of at least one text; got {len(labels)} for {len(texts)}."
        )
    opened = [open_teacher(teacher, **options) for teacher in teachers]
    if not opened:
        raise InvalidParameterError("teachers must be at least one; got an empty list.")
    opened = [opened[0], *(open_teacher(teacher, classes=opened[0].classes) for teacher in opened[1:])]
    truth = _indicators(labels, opened[0])
    scores = [_scores(teacher, texts, truth, by) for teacher in opened]
    W = np.array(scores, dtype=np.float64)
    nobody = W.sum(axis=0) == 0
    return np.where(nobody, 1.0, W)


def _indicators(labels: Sequence[Any], teacher: ProbabilityTeacher) -> NDArray[np.bool_]:
    """Bool of shape (n, C)."""
    number = {label: place for place, label in enumerate(teacher.classes)}
    truth = np.zeros((len(labels), len(number)), dtype=bool)
    for row, given in enumerate(labels):
        for label in given if teacher.multilabel else [given]:
            key = label.item() if isinstance(label, np.generic) else label
            if key not in number:
                raise InvalidParameterError(
                    f"labels must be known to the teachers; text {row} has {key!r}, {teacher.name} has "
                    f"{teacher.classes!r:.200}."
                )
            truth[row, number[key]] = True
    return truth


def _scores(teacher: ProbabilityTeacher, texts: list[str], truth: NDArray[np.bool_], by: str) -> ArrayLike:
    P = teacher.probabilities(texts)
    if teacher.multilabel:
        said = P > 0.5
    else:
        said = np.eye(P.shape[1], dtype=bool)[P.argmax(axis=1)]
        if by == "accuracy":
            return float((said & truth).any(axis=1).mean())
    total = said.sum(axis=0) + truth.sum(axis=0)
    f1: NDArray[np.float64] = 2 * (said & truth).sum(axis=0) / np.maximum(1, total)
    return f1 if by == "classes" else float(f1[truth.any(axis=0)].mean()) if truth.any() else 0.0
