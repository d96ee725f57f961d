"""Vectors of one source made comparable with those of others: centred, partly whitened, of one length."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Preparation", "fit_preparation", "power_of_covariance", "prepare"]

Floats = NDArray[np.float32]
#: A direction that holds less than this share of the mean variance is noise, and is not blown up to more.
FLOOR = 1e-3


class Preparation(NamedTuple):
    """What a source's rows go through.

    Attributes
    ----------
    mean : float32 array of shape (dim,)
    matrix : float32 array of shape (dim, dim)
    scale : float
        Each row is divided by it; 0 for each by its own length.
    """

    mean: Floats
    matrix: Floats
    scale: float


def fit_preparation(rows: Floats, whitening: float, normalize: bool) -> Preparation:
    """Learn the preparation of a source from its rows, float32 of shape (n, dim).

    # Design: with C the covariance, rows are multiplied by C^(-whitening/2). At 0 the source stays as it is but for
    # its mean; at 1 all directions count alike, which is what GCCA does with each source; in between, the few
    # directions that frequency dominates lose their hold on the cosine (Mu and Viswanath 2018, "All-but-the-top",
    # remove them altogether), and the many small ones are not blown up.
    """
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = rows - mean
    gram = (centred.T @ centred).astype(np.float64) / max(1, len(rows))
    matrix = power_of_covariance(gram, -whitening / 2).astype(np.float32)
    if normalize:
        return Preparation(mean, matrix, 0.0)
    length = float(np.sqrt(np.mean(np.square(centred @ matrix).sum(axis=1, dtype=np.float64))))
    return Preparation(mean, matrix, length or 1.0)


def power_of_covariance(covariance: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """A symmetric matrix of shape (dim, dim) to the ``power``, its small eigenvalues raised a little."""
    if power == 0:
        return np.eye(len(covariance))
    values, axes = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + FLOOR * max(float(np.maximum(values, 0).mean()), 1e-30)
    return np.asarray((axes * values**power) @ axes.T, dtype=np.float64)


def prepare(rows: Floats, preparation: Preparation) -> Floats:
    """Rows, float32 of shape (n, dim), after the preparation."""
    done = (rows - preparation.mean) @ preparation.matrix
    if preparation.scale:
        return np.asarray(done / np.float32(preparation.scale), dtype=np.float32)
    lengths = np.linalg.norm(done, axis=1, keepdims=True)
    return np.asarray(done / np.where(lengths > 0, lengths, np.float32(1)), dtype=np.float32)
