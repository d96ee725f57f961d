"""Vectors of words that a source does not know, predicted from the sources that do: ridge regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_SHARED", "Ridge", "fit_ridge", "impute"]

Floats = NDArray[np.float32]
#: With fewer words in common nothing can be said about the others.
MIN_SHARED = 50
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


class Ridge(NamedTuple):
    """An affine map between vectors: ``(x - x_mean) @ weights + y_mean``.

    Attributes
    ----------
    x_mean, y_mean : float32 arrays of shape (p,) and (q,)
    weights : float32 array of shape (p, q)
    strength : float
        The chosen penalty.
    r2 : float
        Estimated share of the variance that is predicted for words not learnt from, at most 1.
    """

    x_mean: Floats
    y_mean: Floats
    weights: Floats
    strength: float
    r2: float

    def predict(self, x: Floats) -> Floats:
        """The images of rows of shape (n, p), float32 of shape (n, q)."""
        return np.asarray((x - self.x_mean) @ self.weights + self.y_mean, dtype=np.float32)


def fit_ridge(x: Floats, y: Floats, strengths: Sequence[float] = STRENGTHS) -> Ridge:
    """Least squares with a penalty, which generalised cross-validation chooses.

    Golub, Heath and Wahba 1979: the mean squared residual over (1 - degrees of freedom / n) squared estimates the error
    on rows that were left out; with the eigenvalues of X'X it costs next to nothing for each strength.

    Parameters
    ----------
    x, y : float32 arrays of shape (n, p) and (n, q)
    strengths : sequence of float
        Tried as penalties.
    """
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    x, y = x - x_mean, y - y_mean
    values, axes = np.linalg.eigh((x.T @ x).astype(np.float64))
    values = np.maximum(values, 0)
    rotated = axes.T @ (x.T @ y).astype(np.float64)
    squares = np.square(rotated).sum(axis=1)
    total = float(np.square(y, dtype=np.float64).sum())
    errors = []
    for strength in strengths:
        inverse = 1 / (values + strength)
        residual = total - float(2 * (squares * inverse).sum() - (squares * values * inverse**2).sum())
        freedom = min(float((values * inverse).sum()) / len(x), 0.999)
        errors.append(max(residual, 0.0) / (1 - freedom) ** 2)
    best = int(np.argmin(errors))
    weights = axes @ (rotated / (values + strengths[best])[:, None])
    r2 = 1 - errors[best] / total if total else 0.0
    return Ridge(x_mean, y_mean, weights.astype(np.float32), strengths[best], r2)


def impute(parts: Sequence[Floats], known: NDArray[np.bool_]) -> list[float]:
    """Fill in, in place, the rows that a source lacks, from all sources that know the word.

    For every set of sources that know a word there is a map of its own, learned from the words that all of them and
    the lacking source know. Where those are too few, the source with the fewest of them is left out. A prediction is
    shorter than a unit vector the less is known of the word, and so weighs less beside the other sources.

    Parameters
    ----------
    parts : sequence of k float32 arrays of shape (n, dim_k)
        Changed.
    known : bool array of shape (n, k)

    Returns
    -------
    list of k floats
        For each source the mean share of variance predicted (``Ridge.r2``) over its missing words; NaN where there
        are none or none can be predicted.
    """
    # Rows that were filled in are never read: maps are learnt from, and applied to, rows that sources know.
    shares = []
    for target, part in enumerate(parts):
        scores: list[tuple[int, float]] = []
        patterns, inverse = np.unique(known[~known[:, target]], axis=0, return_inverse=True)
        missing = np.flatnonzero(~known[:, target])
        for number, pattern in enumerate(patterns):
            chosen = _enough(known, target, np.flatnonzero(pattern).tolist())
            if not chosen:
                continue
            rows = missing[inverse.ravel() == number]
            shared = np.asarray(known[:, [*chosen, target]].all(axis=1))
            ridge = fit_ridge(_side_by_side(parts, chosen, shared), part[shared])
            part[rows] = ridge.predict(_side_by_side(parts, chosen, rows))
            scores.append((len(rows), ridge.r2))
        count = sum(n for n, _ in scores)
        shares.append(sum(n * r2 for n, r2 in scores) / count if count else float("nan"))
    return shares


def _enough(known: NDArray[np.bool_], target: int, chosen: list[int]) -> list[int]:
    """Those of the ``chosen`` sources that share enough words with ``target``."""
    while chosen and known[:, [*chosen, target]].all(axis=1).sum() < MIN_SHARED:
        counts = [int((known[:, source] & known[:, target]).sum()) for source in chosen]
        chosen = [source for source in chosen if source != chosen[int(np.argmin(counts))]]
    return chosen


def _side_by_side(parts: Sequence[Floats], chosen: list[int], rows: NDArray[Any]) -> Floats:
    return np.concatenate([parts[source][rows] for source in chosen], axis=1)
