"""Data sets that share no text, as one with gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError

__all__ = ["stack"]


def stack(tasks: Mapping[str, tuple[Sequence[str], Any]]) -> tuple[list[str], dict[str, Any]]:
    """Texts of all tasks one after another, and labels that are missing where a text is another task's.

    Parameters
    ----------
    tasks : mapping of str to (texts, y)
        y : n labels or numbers, lists of labels, or a matrix of n rows.

    Returns
    -------
    texts : list of str
    Y : dict of str to list or array
        For :meth:`tlclassic.MultiTaskClassifier.fit`: None, or a row of NaN, for the texts of other tasks. A text that
        several tasks have stands there once for each.

    Raises
    ------
    InvalidParameterError
        When a task has not as many labels as texts.

    Examples
    --------
    >>> texts, Y = stack({"topic": (["a", "b"], ["x", "y"]), "score": (["c"], [0.5])})
    >>> texts, Y["topic"], Y["score"]
    (['a', 'b', 'c'], ['x', 'y', None], [None, None, 0.5])
    """
    if not isinstance(tasks, Mapping) or not tasks:
        raise InvalidParameterError(f"tasks must be a dict of task to (texts, y); got {tasks!r:.80}.")
    parts = {name: (check_texts(texts), y) for name, (texts, y) in tasks.items()}
    for name, (texts, y) in parts.items():
        n_labels = y.shape[0] if hasattr(y, "shape") else len(y)
        if n_labels != len(texts):
            raise InvalidParameterError(f"tasks[{name!r}] must have one label a text; got {n_labels} for {len(texts)}.")
    total, start = sum(len(texts) for texts, _ in parts.values()), 0
    Y = {}
    for name, (texts, y) in parts.items():
        Y[name] = _padded(y, start, total)
        start += len(texts)
    return [text for texts, _ in parts.values() for text in texts], Y


def _padded(y: Any, start: int, total: int) -> Any:
    if hasattr(y, "toarray"):
        y = y.toarray()
    if getattr(y, "ndim", 1) == 2:
        # An indicator of whole numbers stays one of objects: as floats its rows might pass for probabilities.
        gap = [np.nan if y.dtype.kind == "f" else None] * y.shape[1]
        values = np.empty((total, y.shape[1]), dtype=float if y.dtype.kind == "f" else object)
        values[:] = gap
        values[start : start + len(y)] = y
        return values
    items = y.tolist() if hasattr(y, "tolist") else list(y)
    return [None] * start + items + [None] * (total - start - len(items))
