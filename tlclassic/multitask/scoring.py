"""Each task's metric on the rows that have a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.multitask.metrics import task_score
from tlclassic.multitask.targets import read_targets
from tlclassic.runtime.tasks import Outputs

__all__ = ["score_outputs"]


def score_outputs(
    outputs: Sequence[Outputs], logits: NDArray[np.float64], labels: Mapping[str, Any]
) -> dict[str, float]:
    """The metrics of the tasks that ``labels`` names; NaN where no row has a label.

    Raises
    ------
    InvalidParameterError
        For a task that there is not, and labels that cannot be read.
    """
    tasks = {task.name: task for task in outputs}
    unknown = [name for name in labels if name not in tasks]
    if unknown:
        raise InvalidParameterError(f"y names {unknown[0]!r}, which is no task of the model ({', '.join(tasks)}).")
    return {name: _measured(tasks[name], values, logits) for name, values in labels.items()}


def _measured(task: Outputs, values: Any, logits: NDArray[np.float64]) -> float:
    classes = None
    if task.kind not in ("regression", "multilabel"):
        classes = {task.name: _with_unseen(task, values)}
    elif task.kind == "multilabel":
        classes = {task.name: task.classes}
    if _is_empty(values):
        return float("nan")
    (target,) = read_targets({task.name: values}, len(logits), {task.name: task.kind}, classes)
    return task_score(target, task, logits[:, task.columns])


def _with_unseen(task: Outputs, values: Any) -> Any:
    """The task's classes and, behind them, those that only ``values`` hold: they count as errors."""
    known = task.classes.tolist()
    if getattr(values, "ndim", 1) == 2 or task.kind == "binary":
        return known
    items = values.tolist() if hasattr(values, "tolist") else list(values)
    unseen = {item for item in items if item is not None and item == item and item not in known}
    return known + sorted(unseen, key=repr)


def _is_empty(values: Any) -> bool:
    items = values.tolist() if hasattr(values, "tolist") else list(values)
    return all(item is None or (isinstance(item, float) and item != item) for item in items)
