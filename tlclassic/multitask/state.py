"""A fitted ``MultiTaskClassifier`` as plain facts and arrays, and back; no pickle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tlclassic.errors import CorruptArtifactError
from tlclassic.multitask.shapes import FORMS
from tlclassic.runtime.tasks import KINDS, LAYERS, Layer, Outputs, n_outputs

__all__ = ["from_state", "to_state"]

_FACTS = ("sharing_", "C_", "cv_results_", "order_")


def to_state(model: Any) -> dict[str, Any]:
    """See :meth:`MultiTaskClassifier.to_state`."""
    layer = model.layer_
    return {
        "form": model._form,
        "outputs": [vars(task) for task in model.outputs_],
        "layer": None if layer is None else vars(layer),
        "attention": model.attention_,
        "columns": model.columns_,
        "coef": model.coef_,
        "intercept": model.intercept_,
        "n_features_in": getattr(model, "n_features_in_", None),
        **{name: getattr(model, name) for name in _FACTS},
    }


def from_state(model: Any, features: Any, state: Mapping[str, Any]) -> None:
    """Set what was fitted; see :meth:`MultiTaskClassifier.from_state`."""
    try:
        outputs = [Outputs(**facts) for facts in state["outputs"]]
        layer = None if state["layer"] is None else Layer(**state["layer"])
        parts = {name: state[name] for name in ("columns", "coef", "intercept", "attention")}
        _check(outputs, layer, parts, state["form"])
        model.features_, model.outputs_, model.layer_, model._form = features, outputs, layer, state["form"]
        model.attention_ = parts["attention"]
        model.columns_, model.coef_, model.intercept_ = parts["columns"], parts["coef"], parts["intercept"]
        model.tasks_ = [task.name for task in outputs]
        model.kinds_ = {task.name: task.kind for task in outputs}
        if state["n_features_in"] is not None:
            model.n_features_in_ = int(state["n_features_in"])
        for name in _FACTS:
            setattr(model, name, state[name])
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        if isinstance(error, CorruptArtifactError):
            raise
        raise CorruptArtifactError(f"the saved MultiTaskClassifier is incomplete or altered: {error!r}.") from error


def _check(outputs: list[Outputs], layer: Layer | None, parts: Mapping[str, Any], form: str) -> None:
    """Raise unless the parts fit together."""
    size, columns = len(parts["intercept"]), parts["columns"]
    start = 0
    for task in outputs:
        width = n_outputs(task.kind, len(task.classes))
        expected = {"ordinal": (len(task.classes) - 1, 0), "multilabel": (0, len(task.classes))}
        if task.kind not in KINDS or (task.start, task.stop) != (start, start + width):
            raise _damaged(f"the outputs of task {task.name!r} do not follow each other")
        if (len(task.cuts), len(task.thresholds)) != expected.get(task.kind, (0, 0)) or not task.temperature > 0:
            raise _damaged(f"task {task.name!r} has cuts or thresholds that do not fit its kind")
        start = task.stop
    if form not in FORMS or start != size or parts["coef"].shape[0] != size or not outputs:
        raise _damaged(f"{size} outputs do not fit the tasks")
    if columns is not None and (len(columns) != parts["coef"].shape[1] or (np.diff(columns) <= 0).any()):
        raise _damaged("the columns do not fit the coefficients, or do not ascend")
    if layer is not None:
        shapes = {layer.weights.shape, layer.own.shape}
        order = set(layer.order)
        if layer.kind not in LAYERS or shapes != {(size, size)} or layer.bias.shape != (size,):
            raise _damaged("the layer between the tasks has the wrong shape")
        if not order <= set(range(len(outputs))):
            raise _damaged("the chain names a task that there is not")


def _damaged(what: str) -> CorruptArtifactError:
    return CorruptArtifactError(f"the saved MultiTaskClassifier is damaged: {what}. Restore it from a copy.")
