"""From targets, weights and the name of a solver to a fitted linear model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from tlclassic._validate import check_choice
from tlclassic.heads.solvers import Solution, fit_linear, row_weights
from tlclassic.heads.streaming import LEARNING_RATE, fit_streaming
from tlclassic.heads.targets import Targets, class_weights

__all__ = ["SOLVERS", "fit_targets", "probabilities", "weighted_outputs"]

SOLVERS = ("newton", "adagrad")


def fit_targets(
    X: Any,
    targets: Targets,
    *,
    sample_weight: NDArray[Any] | None = None,
    class_weight: Any = None,
    solver: str = "newton",
    C: float = 1.0,
    l1_ratio: float = 0.0,
    fit_intercept: bool = True,
    scale: NDArray[Any] | None = None,
    start: tuple[NDArray[Any], NDArray[Any]] | None = None,
    tol: float = 1e-6,
    max_iter: int = 100,
    epochs: int = 5,
    learning_rate: float = LEARNING_RATE,
    threads: int = 1,
    random_state: int = 0,
) -> Solution:
    """Fit by :func:`fit_linear` ("newton") or :func:`fit_streaming` ("adagrad"), whose parameters these are.

    ``class_weight`` weighs the classes' terms of the loss, so that a soft label's row is weighted in parts: the same as
    one row for each class, weighing its probability times the class's weight.

    Warns
    -----
    ConvergenceWarning
        When ``max_iter`` was reached.
    """
    check_choice("solver", solver, SOLVERS)
    weights = row_weights(sample_weight, X.shape[0])
    common: dict[str, Any] = {
        "loss": targets.loss,
        "C": C,
        "l1_ratio": l1_ratio,
        "fit_intercept": fit_intercept,
        "threads": threads,
    }

    def fit(P: NDArray[np.float64], rows: NDArray[np.float64], k: slice) -> Solution:
        if solver == "adagrad":
            streamed: dict[str, Any] = {"epochs": epochs, "learning_rate": learning_rate, "random_state": random_state}
            return fit_streaming(X, P, sample_weight=rows, scale=scale, **common, **streamed)
        own = scale if scale is None or np.ndim(scale) == 1 else np.asarray(scale)[k]
        begin = None if start is None else (np.asarray(start[0])[k], np.asarray(start[1])[k])
        batch: dict[str, Any] = {"scale": own, "start": begin, "tol": tol, "max_iter": max_iter}
        return fit_linear(X, P, sample_weight=rows, **common, **batch)

    parts = weighted_outputs(targets, weights, class_weight)
    solutions = [fit(P, rows, k) for P, rows, k in parts]
    solution = solutions[0] if len(solutions) == 1 else _joined(solutions)
    if not solution.converged:
        warnings.warn(
            f"The solver stopped at max_iter={max_iter} iterations before it converged. "
            "Raise max_iter, lower C, or scale the features.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return solution


def weighted_outputs(
    targets: Targets, weights: NDArray[np.float64], class_weight: Any
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], slice]]:
    """Problems to solve: targets of the outputs, row weights, and which outputs.

    One problem, but for multi-label targets with class weights, where a row weighs more for one label than for another.
    """
    if class_weight is None:
        return [(targets.outputs, weights, slice(None))]
    each = class_weights(targets, weights, class_weight)
    if not targets.multilabel:
        mass = targets.P @ each
        share = np.divide(targets.P * each, mass[:, None], out=targets.P.copy(), where=mass[:, None] > 0)
        return [(Targets(targets.classes, share, False).outputs, weights * mass, slice(None))]
    absent = np.ones(len(each))
    if isinstance(class_weight, str):
        counts = weights @ (1.0 - targets.P)
        absent = np.divide(weights.sum(), 2 * counts, out=np.zeros(len(each)), where=counts > 0)
    problems = []
    for k, (yes, no) in enumerate(zip(each, absent, strict=True)):
        p = targets.P[:, k]
        mass = yes * p + no * (1.0 - p)
        share = np.divide(yes * p, mass, out=p.copy(), where=mass > 0)
        problems.append((share[:, None], weights * mass, slice(k, k + 1)))
    return problems


def _joined(parts: list[Solution]) -> Solution:
    return Solution(
        parts[0].columns,
        np.concatenate([part.weights for part in parts]),
        parts[0].n_features,
        np.concatenate([part.intercept for part in parts]),
        max(part.n_iter for part in parts),
        sum(part.objective for part in parts),
        all(part.converged for part in parts),
    )


def probabilities(logits: NDArray[Any], *, multilabel: bool) -> NDArray[np.float64]:
    """Probabilities (n, C) of logits (n, K): softmax; sigmoid for ``multilabel`` and for one output (two classes)."""
    z = np.asarray(logits, np.float64)
    if multilabel or z.shape[1] == 1:
        small = np.exp(-np.abs(z))
        p = np.where(z >= 0, 1.0, small) / (1.0 + small)
        return p if multilabel else np.hstack([np.where(z >= 0, small, 1.0) / (1.0 + small), p])
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
