"""Labels of every kind, of one task or several, as matrices of target probabilities and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.heads.targets import class_weights, read_targets

__all__ = ["Task", "read_held_out", "read_tasks"]


@dataclass(frozen=True)
class Task:
    """What one head is trained to say.

    Attributes
    ----------
    name : str
        ``"label"`` where there is one task without a name.
    classes : array of shape (C,)
    multilabel : bool
    P : float32 array of shape (n, C)
        Target probabilities.
    weights : float32 array of shape (n, C)
        Of the terms of the loss, one on average over the rows that have a label, 0 for the others.
    """

    name: str
    classes: NDArray[Any]
    multilabel: bool
    P: NDArray[np.float32]
    weights: NDArray[np.float32]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label, shape (n,)."""
        return np.asarray(self.weights.any(axis=1))


def read_tasks(
    labels: Any,
    rows: int,
    *,
    classes: Any = None,
    multilabel: bool | Mapping[str, bool] = False,
    class_weight: Any = None,
    sample_weight: Any = None,
) -> list[Task]:
    """The tasks that ``labels`` speak of.

    Parameters
    ----------
    labels : array-like or dict
        One label a row, or a matrix (n, C) of probabilities, or of 0 and 1 for ``multilabel``. A dict has these for
        several tasks by name; None, or a row of NaN, is a missing label.
    rows : int
        How many texts there are.
    classes, multilabel, class_weight
        As of :func:`tlclassic.heads.read_targets` and ``class_weights``; with several tasks a dict of them by name.
    sample_weight : array of shape (n,), optional

    Raises
    ------
    InvalidParameterError
        Names the task and what is wrong with it.
    """
    several = isinstance(labels, Mapping)
    named = dict(labels) if several else {"label": labels}
    if not named:
        raise InvalidParameterError("labels must hold at least one task; got an empty dict.")
    weights = _sample_weights(sample_weight, rows)
    tasks = []
    for name, values in named.items():
        own = [_of(option, name, several) for option in (classes, multilabel, class_weight)]
        try:
            tasks.append(_task(name, values, rows, own[0], bool(own[1]), own[2], weights))
        except InvalidParameterError as error:
            if not several:
                raise
            raise InvalidParameterError(f"Task {name!r}: {error}") from None
    return tasks


def read_held_out(labels: Any, rows: int, of: Sequence[Any]) -> list[Task]:
    """Labels of further texts as tasks of the classes and kinds of ``of``, which have ``name``, ``classes`` and
    ``multilabel``; labels of one task without a name are those of the first. As of :func:`read_tasks`.
    """
    if isinstance(labels, Mapping):
        classes, multilabel = ({task.name: getattr(task, part) for task in of} for part in ("classes", "multilabel"))
        return read_tasks(labels, rows, classes=classes, multilabel=multilabel)
    return read_tasks(labels, rows, classes=of[0].classes, multilabel=of[0].multilabel)


def _of(option: Any, name: str, several: bool) -> Any:
    return option.get(name) if several and isinstance(option, Mapping) else option


def _task(
    name: str, values: Any, rows: int, classes: Any, multilabel: bool, class_weight: Any, weights: NDArray[np.float64]
) -> Task:
    values = values if hasattr(values, "shape") or isinstance(values, list) else list(values)
    count = values.shape[0] if hasattr(values, "shape") else len(values)
    if count != rows:
        raise InvalidParameterError(f"labels must have a row for every text: {rows}; got {count}.")
    there = _present(values)
    if not there.any():
        raise InvalidParameterError("labels must hold at least one label; all are missing.")
    kept = _take(values, np.flatnonzero(there))
    targets = read_targets(kept, classes=classes, multilabel=multilabel)
    if len(targets.classes) < 2 and not targets.multilabel:
        raise InvalidParameterError(f"labels must hold at least two classes; got {targets.classes.tolist()}.")
    terms = weights[there][:, None] * class_weights(targets, weights[there], class_weight)[None, :]
    expected = terms.mean() if targets.multilabel else (terms * targets.P).sum(axis=1).mean()
    if expected <= 0:
        raise InvalidParameterError("Weights must leave something to learn from; all rows with a label weigh 0.")
    P, W = (np.zeros((rows, len(targets.classes)), np.float32) for _ in range(2))
    P[there], W[there] = targets.P, terms / expected
    return Task(name, targets.classes, targets.multilabel, P, W)


def _present(values: Any) -> NDArray[np.bool_]:
    if hasattr(values, "dtype") and values.dtype.kind == "f":
        missing = np.isnan(np.asarray(values, np.float64).reshape(len(values), -1)).any(axis=1)
        return np.asarray(~missing)
    if hasattr(values, "shape") and (len(values.shape) > 1 or values.dtype.kind != "O"):
        return np.ones(values.shape[0], bool)
    return np.array([value is not None for value in values], bool)


def _take(values: Any, places: NDArray[np.int64]) -> Any:
    return [values[place] for place in places] if isinstance(values, list) else values[places]


def _sample_weights(sample_weight: Sequence[float] | NDArray[Any] | None, rows: int) -> NDArray[np.float64]:
    if sample_weight is None:
        return np.ones(rows)
    weights = np.asarray(sample_weight, np.float64)
    if weights.shape != (rows,):
        raise InvalidParameterError(f"sample_weight must have shape ({rows},); got {weights.shape}.")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InvalidParameterError("sample_weight must be finite and not negative.")
    return weights
