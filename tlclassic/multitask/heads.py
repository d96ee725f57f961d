"""One linear head for each kind of task, all solved to the optimum of a penalised loss.

# Design: every kind is a logistic regression or a ridge regression in some coordinates, so that there is one solver:
# soft labels, labels independent of each other, and ordered classes, whose cumulative probabilities are one logistic
# regression over rows that are repeated for each cut between two classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from tlclassic.heads.solvers import fit_linear
from tlclassic.multitask.targets import Target

__all__ = ["Head", "fit_head", "stacked"]

Float = NDArray[np.float64]
TOLERANCE = 1e-3
#: Length of the column of a cut: next to no penalty is left of it.
_CUT = 100.0


@dataclass(frozen=True, eq=False)
class Head:
    """``X @ coef.T + intercept``, and the cuts between ordered classes.

    Attributes
    ----------
    coef : float64 array of shape (K, F)
    intercept : float64 array of shape (K,)
    cuts : float64 array of shape (C - 1,)
        Ascending; empty unless the classes are ordered.
    """

    coef: Float
    intercept: Float
    cuts: Float = field(default_factory=lambda: np.zeros(0))

    def logits(self, X: Any) -> Float:
        """Outputs of shape (n, K)."""
        return np.asarray(X @ self.coef.T + self.intercept, dtype=np.float64)


def stacked(X: Any, dense: Float) -> Any:
    """Columns of an array beside X."""
    if sp.issparse(X):
        return sp.csr_matrix(sp.hstack([X, sp.csr_matrix(dense.astype(X.dtype))], format="csr"))
    return np.hstack([X, dense])


def fit_head(
    X: Any,
    target: Target,
    weights: Float,
    C: float,
    *,
    scale: Float | None = None,
    start: Head | None = None,
    tol: float = TOLERANCE,
    threads: int = 1,
) -> Head:
    """Minimise ``C * sum_i w_i loss_i + |w|^2 / 2`` over the rows that have a label.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, F)
    target : Target
        Of n rows. The loss is cross-entropy (of each label by itself where there are several); over ordered classes
        the sum of the logistic losses of all cuts (the all-threshold loss of Rennie and Srebro 2005 for the
        proportional odds of McCullagh 1980); half the squared error of standardised numbers.
    weights : float64 array of shape (n,)
    C : float
        Strength of the data against the penalty.
    scale : float64 array of shape (F,) or (K, F), optional
        As for :func:`tlclassic.heads.fit_linear`.
    start : Head, optional
        Where to begin.
    tol : float
        As for :func:`tlclassic.heads.fit_linear`; of heads for classes.
    threads : int
    """
    rows = np.flatnonzero(target.present & (weights > 0))
    X, P, w = X[rows], target.P[rows], weights[rows]
    if not len(rows):
        return Head(np.zeros((target.n_outputs, X.shape[1])), np.zeros(target.n_outputs), _flat_cuts(target))
    if target.kind == "regression":
        return _ridge(X, P[:, 0], w, C, scale)
    if target.kind == "ordinal":
        return _ordinal(X, P, w, C, scale, threads)
    if target.kind == "multilabel" and np.isnan(P).any():
        return _each_label(X, P, w, C, scale, threads)
    softmax = target.kind == "multiclass"
    begin = None if start is None else (start.coef, start.intercept)
    solution = fit_linear(
        X,
        P[:, 1:] if target.kind == "binary" else P,
        loss="softmax" if softmax else "sigmoid",
        sample_weight=w,
        C=C,
        scale=scale,
        start=begin,
        tol=tol,
        threads=threads,
    )
    return Head(solution.coef, solution.intercept)


def _flat_cuts(target: Target) -> Float:
    return np.zeros(len(target.classes) - 1) if target.kind == "ordinal" else np.zeros(0)


def _each_label(X: Any, P: Float, w: Float, C: float, scale: Float | None, threads: int) -> Head:
    """Labels whose gaps are in different rows: each by itself."""
    coef, intercept = np.zeros((P.shape[1], X.shape[1])), np.zeros(P.shape[1])
    for k in range(P.shape[1]):
        rows = np.flatnonzero(~np.isnan(P[:, k]))
        if not len(rows):
            continue
        own = scale if scale is None or scale.ndim == 1 else scale[k]
        solution = fit_linear(
            X[rows], P[rows, k : k + 1], loss="sigmoid", sample_weight=w[rows], C=C, scale=own,
            tol=TOLERANCE, threads=threads,
        )  # fmt: skip
        coef[k], intercept[k] = solution.coef[0], solution.intercept[0]
    return Head(coef, intercept)


def _ordinal(X: Any, P: Float, w: Float, C: float, scale: Float | None, threads: int) -> Head:
    """Each row once for every cut, with the probability of lying above it."""
    n, n_cuts = len(P), P.shape[1] - 1
    above = 1.0 - np.cumsum(P, axis=1)[:, :-1]
    cuts = np.repeat(np.eye(n_cuts), n, axis=0)
    if sp.issparse(X):
        repeated: Any = sp.csr_matrix(sp.hstack([sp.vstack([X] * n_cuts), sp.csr_matrix(cuts)], format="csr"))
    else:
        repeated = np.hstack([np.tile(X, (n_cuts, 1)), cuts])
    own = np.ones(X.shape[1]) if scale is None else np.ravel(scale)
    solution = fit_linear(
        repeated,
        np.clip(above, 0.0, 1.0).T.reshape(-1, 1),
        loss="sigmoid",
        sample_weight=np.tile(w, n_cuts),
        C=C,
        scale=np.concatenate([own, np.full(n_cuts, _CUT)]),
        tol=TOLERANCE / 10,
        threads=threads,
    )
    coef = solution.coef[:, : X.shape[1]]
    # Ascending but for what the solver's tolerance leaves.
    found = np.maximum.accumulate(-(solution.coef[0, X.shape[1] :] + solution.intercept[0]))
    # The score of an ordinal task is counted from the middle of its cuts, so that those of several folds compare.
    middle = found.mean()
    return Head(coef, np.array([-middle]), found - middle)


def _ridge(X: Any, y: Float, w: Float, C: float, scale: Float | None) -> Head:
    factors = None if scale is None else np.ravel(scale)
    if factors is not None:
        X = X @ sp.diags(factors) if sp.issparse(X) else X * factors
    if sp.issparse(X):
        X = sp.csr_matrix(X, dtype=np.float64)
    solver = "sparse_cg" if sp.issparse(X) or X.shape[1] > 1000 else "cholesky"
    model = Ridge(alpha=1.0 / C, solver=solver, tol=1e-4, max_iter=1000).fit(X, y, sample_weight=w)
    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    return Head(coef if factors is None else coef * factors, np.array([float(model.intercept_)]))
