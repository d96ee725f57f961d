"""Several tasks in one row of outputs: what the outputs of each become, and the small layer between tasks.

# Design: a model of many tasks is one affine map of a text's features with the outputs of all tasks side by side, so
# that a text is read once. Chains and attention add a second, dense layer: it sees a few numbers for each task (its
# activations) and costs nothing beside reading the text. Training and the compiled model call the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tlclassic.kernels import load
from tlclassic.runtime.links import probabilities, sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KINDS", "LAYERS", "Layer", "Outputs", "activations", "activations_of", "decide", "n_outputs", "task_proba"]

#: Kinds of tasks: one of two classes, of more, any of several labels, one of ordered classes, a number.
KINDS = ("binary", "multiclass", "multilabel", "ordinal", "regression")
LAYERS = ("chain", "attention")


@dataclass(frozen=True, eq=False)
class Outputs:
    """A task's place among the outputs, and how they are read.

    Attributes
    ----------
    name : str
    kind : {"binary", "multiclass", "multilabel", "ordinal", "regression"}
    start, stop : int
        The outputs of the task are columns ``start`` to before ``stop``.
    classes : array of shape (C,)
        Empty for regression.
    cuts : float64 array of shape (C - 1,)
        Ordinal: ``P(y > class k) = sigmoid(output - cuts[k])``; else empty.
    thresholds : float64 array of shape (C,)
        Multi-label: the probability from which each label is given; else empty.
    center, spread : float
        Regression: a prediction is ``center + spread * output``.
    temperature : float
        What outputs are divided by before they become probabilities.
    """

    name: str
    kind: str
    start: int
    stop: int
    classes: NDArray[Any]
    cuts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    thresholds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    center: float = 0.0
    spread: float = 1.0
    temperature: float = 1.0

    @property
    def columns(self) -> slice:
        """Where its outputs stand."""
        return slice(self.start, self.stop)

    @property
    def n_activations(self) -> int:
        """How many numbers the layer between tasks sees of it."""
        return self.stop - self.start


def n_outputs(kind: str, n_classes: int) -> int:
    """How many outputs a task has."""
    return n_classes if kind in ("multiclass", "multilabel") else 1


def task_proba(task: Outputs, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the task's outputs say, from ``logits`` of shape (n, stop - start).

    Probabilities of shape (n, C); for regression the predictions, of shape (n,).
    """
    z = logits / task.temperature
    if task.kind == "regression":
        return np.asarray(task.center + task.spread * z[:, 0])
    if task.kind == "ordinal":
        above = sigmoid(z - task.cuts / task.temperature)
        ones, zeros = np.ones((len(z), 1)), np.zeros((len(z), 1))
        return np.asarray(np.maximum(np.hstack([ones, above]) - np.hstack([above, zeros]), 0.0))
    link = "softmax" if task.kind == "multiclass" else "sigmoid"
    return np.asarray(probabilities(z, link, multilabel=task.kind == "multilabel"))


def decide(task: Outputs, logits: NDArray[np.float64]) -> NDArray[Any]:
    """The task's predictions from its outputs: classes (n,), an int64 indicator (n, C), or numbers (n,)."""
    if task.kind == "regression":
        return task_proba(task, logits)
    if task.kind == "binary":
        return np.asarray(task.classes.take((logits[:, 0] > 0).astype(np.int64)))
    if task.kind == "multiclass":
        # NumPy's argmax takes as long for a few columns as reading a text does.
        return np.asarray(task.classes.take(load("score").best(np.asarray(logits, np.float64))))
    proba = task_proba(task, logits)
    if task.kind == "multilabel":
        return (proba >= task.thresholds).astype(np.int64)
    return np.asarray(task.classes.take(proba.argmax(axis=1)))


def activations(kind: str, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the layer between tasks sees of a task, of the shape of ``logits``.

    Probabilities of classes and labels (of two classes: of the second); an ordinal score or a standardised number as
    it is.
    """
    if kind == "multiclass":
        return probabilities(logits, "softmax", multilabel=False)
    return logits if kind in ("ordinal", "regression") else sigmoid(logits)


def activations_of(tasks: list[Outputs], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of all tasks side by side, of shape (n, K)."""
    return np.hstack([activations(task.kind, logits[:, task.columns]) for task in tasks])


@dataclass(frozen=True, eq=False)
class Layer:
    """The dense layer between tasks.

    Attributes
    ----------
    kind : {"chain", "attention"}
        "attention": ``outputs @ own + activations(outputs) @ weights + bias``. "chain": the tasks of ``order`` one
        after another, each adding the activations of what the earlier ones came to, times ``weights``.
    order : tuple of int
        Numbers of tasks.
    weights : float64 array of shape (K, K)
        From activations (rows) to outputs (columns).
    own : float64 array of shape (K, K)
    bias : float64 array of shape (K,)
    """

    kind: str
    order: tuple[int, ...]
    weights: NDArray[np.float64]
    own: NDArray[np.float64]
    bias: NDArray[np.float64]

    def apply(self, tasks: list[Outputs], logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """The outputs after the layer, float64 of shape (n, K)."""
        seen = activations_of(tasks, logits)
        if self.kind == "attention":
            return np.asarray(logits @ self.own + seen @ self.weights + self.bias)
        final = logits.copy()
        for number in self.order:
            task = tasks[number]
            final[:, task.columns] += seen @ self.weights[:, task.columns]
            seen[:, task.columns] = activations(task.kind, final[:, task.columns])
        return final
