"""Full-batch solver of linear models with hard, soft and weighted labels.

# Design: a truncated Newton method. Its conjugate-gradient steps cost one product with X and one with its transpose,
# as much as an evaluation of the gradient does for L-BFGS, and the logits of the direction are a by-product, so the
# line search costs no products at all. No history of vectors is kept: with a million variables L-BFGS would spend
# most of its time on its own. With an L1 penalty a proximal gradient step finds which weights are not zero, and the
# same Newton step improves those, within their signs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.matrix import Matrix, Workers, as_matrix
from tlclassic.kernels import load

__all__ = ["Solution", "fit_linear", "row_weights"]

Float = NDArray[np.float64]
_K = load("linear")
MAX_CG_STEPS = 50


@dataclass(frozen=True)
class Solution:
    """A fitted linear model: ``logits = X @ coef.T + intercept``.

    Attributes
    ----------
    columns : int64 array of shape (m,)
        The columns that have weights, ascending; all others weigh nothing.
    weights : float64 array of shape (K, m)
        Their effective coefficients.
    n_features : int
        F.
    intercept : float64 array of shape (K,)
    n_iter : int
        Newton iterations.
    objective : float
        ``C * sum_i w_i loss_i + penalty``.
    converged : bool
    """

    columns: NDArray[np.int64]
    weights: Float
    n_features: int
    intercept: Float
    n_iter: int
    objective: float
    converged: bool

    @property
    def coef(self) -> Float:
        """The coefficients as a float64 array of shape (K, F)."""
        if len(self.columns) == self.n_features:
            return self.weights
        coef = np.zeros((len(self.weights), self.n_features))
        coef[:, self.columns] = self.weights
        return coef


def fit_linear(
    X: Any,
    P: NDArray[Any],
    *,
    loss: Literal["softmax", "sigmoid"] = "softmax",
    sample_weight: NDArray[Any] | None = None,
    C: float = 1.0,
    l1_ratio: float = 0.0,
    fit_intercept: bool = True,
    scale: NDArray[Any] | None = None,
    start: tuple[NDArray[Any], NDArray[Any]] | None = None,
    tol: float = 1e-6,
    max_iter: int = 100,
    threads: int = 1,
) -> Solution:
    """Minimise ``C * sum_i w_i * loss(P_i, logits_i) + penalty(coef)`` over the coefficients and a free intercept.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, F)
        A sparse one costs by its entries: columns that do not occur are free.
    P : float array of shape (n, K)
        Target probabilities. Softmax: cross-entropy against the row; sigmoid: the sum of K binary cross-entropies.
    loss : {"softmax", "sigmoid"}
    sample_weight : array of shape (n,), optional
        Not negative; default ones.
    C : float
        Strength of the data against the penalty, as in scikit-learn's ``LogisticRegression``.
    l1_ratio : float in [0, 1]
        The penalty is ``(1 - l1_ratio) / 2 * ||w||^2 + l1_ratio * ||w||_1``.
    fit_intercept : bool
    scale : array of shape (F,) or (K, F), optional
        The penalty is on w, and ``coef = scale * w``: for example NB log-count ratios.
    start : (coef (K, F), intercept (K,)), optional
        Where to begin; the result is the same.
    tol : float
        Stop when the objective is at most this share of its value above the optimum (without L2 penalty: an estimate).
    max_iter : int
        Newton iterations.
    threads : int
        The result does not depend on it (of a dense X: BLAS has its own threads).

    Returns
    -------
    Solution

    Raises
    ------
    InvalidParameterError
        For shapes that do not fit, values that are not finite, and parameters outside their domain.

    Notes
    -----
    After Lin, Weng and Keerthi 2008 (truncated Newton for logistic regression, https://jmlr.org/papers/v9/lin08b.html);
    L1 after Byrd, Chin, Nocedal and Oztoprak 2016 (proximal step, then a Newton step on the orthant).

    Examples
    --------
    >>> import numpy as np
    >>> fitted = fit_linear(np.array([[0.0], [1.0]]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    >>> fitted.converged, fitted.coef.shape
    (True, (2, 1))
    """
    check_choice("loss", loss, ("softmax", "sigmoid"))
    check_number("C", C, low=0.0)
    check_number("l1_ratio", l1_ratio, low=0.0, high=1.0)
    check_number("tol", tol, low=0.0)
    check_integer("max_iter", max_iter, low=1)
    check_integer("threads", threads, low=1)
    targets = np.ascontiguousarray(P, np.float64)
    n, n_features = X.shape
    if targets.ndim != 2 or len(targets) != n or targets.shape[1] < 1:
        raise InvalidParameterError(f"P must have shape (n, K) with n = {n} rows, as X; got {targets.shape}.")
    weights = row_weights(sample_weight, n)
    factors, spread = _scales(scale, targets.shape[1], n_features)
    workers = Workers(threads)
    try:
        rows = as_matrix(X, factors, merge=l1_ratio == 0.0 and spread is None, workers=workers)
        problem = _Problem(rows, targets, C * weights, loss == "softmax", l1_ratio, fit_intercept, spread, workers)
        n_iter, converged = problem.solve(start, tol, max_iter)
        columns, coef = rows.expand(problem.effective(problem.x[:-1]))
        intercept = problem.x[-1].copy()
        if loss == "softmax":
            # Only differences count: of the equal optima the one in the middle.
            intercept -= intercept.mean()
    finally:
        workers.close()
    return Solution(columns, coef, n_features, intercept, n_iter, problem.value, converged)


def row_weights(sample_weight: NDArray[Any] | None, n: int) -> Float:
    """The rows' weights as float64, checked; ones by default."""
    if sample_weight is None:
        return np.ones(n)
    weights = np.ascontiguousarray(sample_weight, np.float64)
    if weights.shape != (n,):
        raise InvalidParameterError(f"sample_weight must hold {n} numbers, one a row; got shape {weights.shape}.")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise InvalidParameterError(
            f"sample_weight must be finite and not negative; sample_weight[{bad[0]}] is {weights[bad[0]]:g}. "
            "Leave out rows that should not count, or give them weight 0."
        )
    if n and not weights.any():
        raise InvalidParameterError("sample_weight is zero for every row: there is nothing to learn from.")
    return weights


def _scales(scale: NDArray[Any] | None, k: int, n_features: int) -> tuple[Float | None, Float | None]:
    """The scale by column, and the one by column and output (of shape (F, K))."""
    if scale is None:
        return None, None
    scale = np.asarray(scale, np.float64)
    if scale.shape not in ((n_features,), (k, n_features)) or not np.isfinite(scale).all():
        raise InvalidParameterError(
            f"scale must be finite and of shape ({n_features},) or ({k}, {n_features}); got shape {scale.shape}."
        )
    if scale.ndim == 1:
        return scale, None
    return (scale[0], None) if k == 1 else (None, np.ascontiguousarray(scale.T))


def _add(total: Float, factor: float, part: Float) -> None:
    """``total += factor * part``, without a temporary array as large as the two."""
    _K.add(total.ravel(), factor, part.ravel())


def _dot(a: Float, b: Float) -> float:
    """The inner product, of matrices over all entries; the same bits whatever number of threads BLAS has."""
    return float(_K.dot(a.ravel(), b.ravel()))


class _Problem:
    """The objective and where its minimisation stands.

    Variables ``x`` have shape (m + 1, K): the last row is the intercept.
    """

    def __init__(
        self,
        rows: Matrix,
        targets: Float,
        weights: Float,
        softmax: bool,
        l1_ratio: float,
        fit_intercept: bool,
        spread: Float | None,
        workers: Workers,
    ) -> None:
        self.rows, self.targets, self.weights, self.softmax = rows, targets, weights, softmax
        self.l1, self.l2, self.fit_intercept = l1_ratio, 1.0 - l1_ratio, fit_intercept
        # From here on `spread` is by variable: without merging these are the occurring columns in another order.
        self.spread = None if spread is None else rows.compress(np.ascontiguousarray(spread.T))
        self.workers = workers
        self.bounds = workers.split_evenly(rows.n_rows)
        self.x = np.zeros((rows.n_variables + 1, targets.shape[1]))
        self.value = 0.0

    # -- pieces -------------------------------------------------------------------------------------------------------

    def effective(self, table: Float) -> Float:
        return table if self.spread is None else table * self.spread

    def logits(self, x: Float) -> Float:
        z = self.rows.dot(self.effective(x[:-1]))
        z += x[-1]
        return z

    def transposed(self, residuals: Float) -> Float:
        """The gradient in ``x`` of a function with gradient ``residuals`` (n, K) in the logits."""
        out = np.empty_like(self.x)
        out[:-1] = self.effective(self.rows.transposed_dot(residuals))
        out[-1] = residuals.sum(axis=0) if self.fit_intercept else 0.0
        return out

    def loss(self, z: Float) -> tuple[float, Float]:
        """The data's part of the objective, and the probabilities."""
        p, out = z.copy(), np.empty(len(z))
        self.workers.run(lambda first, last: _K.losses(p, self.targets, self.softmax, out, first, last), self.bounds)
        return _dot(self.weights, out), p

    def penalty(self, x: Float) -> float:
        w = x[:-1]
        value = 0.5 * self.l2 * _dot(w, w) if self.l2 else 0.0
        return value + (self.l1 * float(np.abs(w).sum()) if self.l1 else 0.0)

    def gradient(self, p: Float) -> Float:
        """Of the smooth part, at ``self.x`` with probabilities ``p``."""
        out = self.transposed(self.weights[:, None] * (p - self.targets))
        if self.l2:
            out[:-1] += self.l2 * self.x[:-1]
        return out

    def diagonal(self, p: Float) -> Float:
        """Of the smooth part's Hessian."""
        h = self.weights[:, None] * p * (1.0 - p)
        out = np.empty_like(self.x)
        out[:-1] = self.rows.squares_dot(h)
        if self.spread is not None:
            out[:-1] *= self.spread**2
        out[:-1] += self.l2
        out[-1] = h.sum(axis=0)
        # What the data say nothing about (no intercept, or all probabilities at 0 or 1) must still divide.
        return np.maximum(out, 1e-10, out=out)

    def pseudo_gradient(self, g: Float) -> Float:
        """The subgradient of smallest norm (Andrew and Gao 2007, equation 4)."""
        if not self.l1:
            return g
        out, w = g.copy(), self.x[:-1]
        shrunk = np.sign(g[:-1]) * np.maximum(np.abs(g[:-1]) - self.l1, 0.0)
        out[:-1] = np.where(w == 0.0, shrunk, g[:-1] + self.l1 * np.sign(w))
        return out

    # -- the method ---------------------------------------------------------------------------------------------------

    def solve(self, start: tuple[NDArray[Any], NDArray[Any]] | None, tol: float, max_iter: int) -> tuple[int, bool]:
        """Minimise; returns the iterations and whether the tolerance was met."""
        if start is not None:
            self._start_from(start)
        z = self.logits(self.x)
        loss, p = self.loss(z)
        self.value = loss + self.penalty(self.x)
        scale, damping = 0.0, 1.0
        for n_iter in range(max_iter + 1):
            g = self.gradient(p)
            step = self.pseudo_gradient(g)
            diagonal = self.diagonal(p)
            scale = max(scale, math.sqrt(_dot(step, step)))
            if self._gap(step, diagonal) <= tol * abs(self.value):
                return n_iter, True
            if n_iter == max_iter:
                break
            before = self.value
            if self.l1:
                p, damping = self._proximal_step(g, p, diagonal, damping)
                p = self._newton_on_orthant(p, scale)
            else:
                d, zd = self._direction(p, step, diagonal, None, scale)
                z, p = self._search(step, d, z, zd, p)
            if self.value >= before:
                # Rounding leaves nothing to gain.
                return n_iter, self._gap(step, diagonal) <= max(tol, 1e-9) * abs(self.value)
        return max_iter, False

    def _start_from(self, start: tuple[NDArray[Any], NDArray[Any]]) -> None:
        coef, intercept = (np.asarray(part, np.float64) for part in start)
        table = self.rows.compress(coef)
        if self.spread is not None:
            table = np.divide(table, self.spread, out=np.zeros_like(table), where=self.spread != 0)
        self.x[:-1] = table
        self.x[-1] = intercept

    def _gap(self, step: Float, diagonal: Float) -> float:
        """A bound on (objective - optimum): |g|^2 / 2 l2, by strong convexity; the intercept's by its own curvature."""
        if self.l1:
            # No such bound with L1: what a diagonal Newton step would bring, with an ample reserve.
            return 100.0 * float((step * step / diagonal).sum())
        w, b = step[:-1], step[-1]
        return 0.5 * _dot(w, w) / self.l2 + 0.5 * float((b * b / diagonal[-1]).sum())

    def _direction(
        self, p: Float, g: Float, diagonal: Float, free: NDArray[np.bool_] | None, scale: float
    ) -> tuple[Float, Float]:
        """An approximate Newton direction by preconditioned conjugate gradients, and its logits."""
        d, zd = np.zeros_like(g), np.zeros_like(p)
        r = -g
        s = r / diagonal
        v, rs, norm = s.copy(), _dot(r, s), math.sqrt(_dot(g, g))
        goal = min(0.1, np.sqrt(norm / scale)) * norm
        for _ in range(MAX_CG_STEPS):
            zv = self.logits(v)
            h = zv.copy()
            self.workers.run(
                lambda first, last, h=h: _K.curvature(p, h, self.weights, self.softmax, first, last),  # type: ignore[misc]
                self.bounds,
            )
            q = self.transposed(h)
            if self.l2:
                q[:-1] += self.l2 * v[:-1]
            if free is not None:
                q *= free
            curvature = _dot(v, q)
            if curvature <= 0.0:
                break
            step = rs / curvature
            _add(d, step, v)
            _add(zd, step, zv)
            _add(r, -step, q)
            if math.sqrt(_dot(r, r)) <= goal:
                break
            np.divide(r, diagonal, out=s)
            before, rs = rs, _dot(r, s)
            v *= rs / before
            v += s
        return (d, zd) if d.any() else (-g / diagonal, self.logits(-g / diagonal))

    def _search(self, g: Float, d: Float, z: Float, zd: Float, p: Float) -> tuple[Float, Float]:
        """Backtrack along ``d``; the logits are linear in the step, so nothing is multiplied by X."""
        slope = _dot(g, d)
        w, dw = self.x[:-1], d[:-1]
        ww, wd, dd = (0.5 * self.l2 * _dot(a, b) for a, b in ((w, w), (w, dw), (dw, dw)))
        t = 1.0
        for _ in range(40):
            z_new = z + t * zd
            loss, p_new = self.loss(z_new)
            value = loss + ww + 2 * t * wd + t * t * dd
            if value <= self.value + 1e-4 * t * slope and value < self.value:
                self.x += t * d
                self.value = value
                return z_new, p_new
            t *= 0.5
        return z, p

    def _proximal_step(self, g: Float, p: Float, diagonal: Float, damping: float) -> tuple[Float, float]:
        """A gradient step in the metric of the diagonal, then soft thresholds: finds which weights are not zero."""
        for _ in range(40):
            rate = 1.0 / (damping * diagonal)
            x = self.x - rate * g
            x[:-1] = np.sign(x[:-1]) * np.maximum(np.abs(x[:-1]) - self.l1 * rate[:-1], 0.0)
            promised = _dot(g, x - self.x) + self.l1 * float(np.abs(x[:-1]).sum() - np.abs(self.x[:-1]).sum())
            if (moved := self._accepted(x, promised)) is not None:
                return moved, max(damping / 2.0, 0.5)
            damping *= 2.0
        return p, 1.0

    def _newton_on_orthant(self, p: Float, scale: float) -> Float:
        """A Newton step among the weights that are not zero; they stop at zero rather than change their sign."""
        side = np.sign(self.x)
        side[-1] = 0.0
        free = self.x != 0.0
        free[-1] = True
        g = (self.gradient(p) + self.l1 * side) * free
        if not g.any():
            return p
        d, _ = self._direction(p, g, self.diagonal(p), free, scale)
        t = 1.0
        for _ in range(25):
            x = self.x + t * d
            x[x * side < 0.0] = 0.0
            if (moved := self._accepted(x, _dot(g, x - self.x))) is not None:
                return moved
            t *= 0.5
        return p

    def _accepted(self, x: Float, promised: float) -> Float | None:
        """Go to ``x`` if it is a ten-thousandth as good as ``promised``: the probabilities there, or None."""
        loss, p = self.loss(self.logits(x))
        value = loss + self.penalty(x)
        if not (value <= self.value + 1e-4 * promised and value < self.value):
            return None
        self.x, self.value = x, value
        return p
