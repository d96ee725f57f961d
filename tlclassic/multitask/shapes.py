"""The shapes that labels come in, and answers in the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tlclassic.errors import InvalidParameterError

__all__ = ["FORMS", "like_given", "named_tasks"]

#: A dict or data frame; an array with a column a task; an array with one label a row.
FORMS = ("dict", "array", "column")


def named_tasks(y: Any, n: int) -> tuple[dict[str, Any], str]:
    """``(task → labels, form)`` of what ``fit`` was given."""
    if y is None:
        raise InvalidParameterError("MultiTaskClassifier requires y to be passed, but the target y is None.")
    if isinstance(y, Mapping):
        return {_name(task): values for task, values in y.items()}, "dict"
    if hasattr(y, "columns") and hasattr(y, "__getitem__"):
        return {_name(task): y[task] for task in y.columns}, "dict"
    if hasattr(y, "toarray"):
        y = y.toarray()
    array = y if getattr(y, "ndim", 0) in (1, 2) else np.asarray(y, dtype=_dtype_of(y))
    if array.ndim not in (1, 2):
        raise InvalidParameterError(
            f"y must be a dict of task to labels, a DataFrame, or an array of one or two dimensions; got {y!r:.80}."
        )
    if array.shape[0] != n:
        raise InvalidParameterError(f"X and y must have as many rows; got {n} and {array.shape[0]}.")
    if array.ndim == 1:
        return {"0": array}, "column"
    if not array.shape[1]:
        raise InvalidParameterError("y must hold at least one task; got an array without columns.")
    return {str(number): array[:, number] for number in range(array.shape[1])}, "array"


def _dtype_of(y: Any) -> Any:
    """Objects where something is missing: NumPy would spell None as a string."""
    rows = y if isinstance(y, (list, tuple)) else []
    cells = [cell for row in rows for cell in (row if isinstance(row, (list, tuple)) else [row])]
    return object if any(cell is None for cell in cells) else None


def _name(task: Any) -> str:
    if not isinstance(task, str) or not task:
        raise InvalidParameterError(f"the tasks of y must have names, strings that are not empty; got {task!r}.")
    return task


def like_given(form: str, found: dict[str, Any], *, stack: bool) -> Any:
    """Answers of all tasks in the form that the labels had; ``stack`` makes one array of those of an array's tasks."""
    if form == "dict":
        return found
    values = list(found.values())
    if form == "column":
        return values[0]
    if not stack:
        return values
    kinds = {value.dtype.kind in "US" for value in values}
    table = np.empty((len(values[0]), len(values)), dtype=object) if len(kinds) > 1 else None
    if table is None:
        return np.column_stack(values)
    for number, value in enumerate(values):
        table[:, number] = value
    return table
