"""The ways of joining, each a linear map of the sources' vectors put side by side.

# Design: concatenation, average, SVD and GCCA are all ``[x_1 ... x_k] @ M``; they differ in M alone, and M needs no
# more than the products of the columns. So words, texts (means of words) and sentence vectors are joined by the same
# code, and a choice between the ways never reads the table again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import InvalidParameterError
from tlclassic.joint.preparing import power_of_covariance

__all__ = ["METHODS", "check_weights", "joining_map", "scaled_columns"]

#: How sources are joined.
METHODS = ("concat", "average", "svd", "gcca")
Matrix = NDArray[np.float64]


def check_weights(weights: Sequence[float] | NDArray[np.floating] | None, n_sources: int) -> Matrix:
    """The weights as a float64 array of shape (n_sources,); ones by default.

    Raises
    ------
    InvalidParameterError
        For another number of them, a negative or infinite one, or zeros only.
    """
    if weights is None:
        return np.ones(n_sources)
    try:
        given = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(f"weights must be numbers; got {weights!r:.100}.") from error
    if given.shape != (n_sources,):
        raise InvalidParameterError(f"weights must be {n_sources} numbers, one a source; got shape {given.shape}.")
    if not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise InvalidParameterError(f"weights must be at least 0, finite and not all 0; got {given.tolist()!r:.100}.")
    return given


def scaled_columns(sizes: Sequence[int], weights: Matrix) -> Matrix:
    """The weight of each column, float64 of shape (sum of sizes,)."""
    return np.repeat(weights, sizes)


def joining_map(
    method: str, gram: Matrix, sizes: Sequence[int], weights: Matrix, dim: int | None, n_rows: int
) -> Matrix:
    """The matrix M of a way of joining.

    Parameters
    ----------
    method : {"concat", "average", "svd", "gcca"}
        - "concat": side by side, each times its weight;
        - "average": the weighted mean, shorter vectors padded with zeros (Coates and Bollegala 2018,
          https://aclanthology.org/N18-2031/);
        - "svd": the first ``dim`` principal directions of the concatenation (Yin and Schütze 2016,
          https://aclanthology.org/P16-1128/);
        - "gcca": generalised canonical correlations, the ``dim`` directions on which the whitened sources agree most
          (Rastogi, Van Durme and Arora 2015, https://aclanthology.org/N15-1058/), each scaled by the root of how much
          they agree, where that paper lets all count alike.
    gram : float64 array of shape (p, p), p the sum of ``sizes``
        Products of the columns of all sources, over all rows.
    sizes : sequence of int
        Dimensions of the sources.
    weights : float64 array of shape (k,)
    dim : int, optional
        Of "svd" and "gcca"; by default the largest of ``sizes``.
    n_rows : int
        How many rows ``gram`` was summed over.

    Returns
    -------
    float64 array of shape (p, d)

    Raises
    ------
    InvalidParameterError
        When ``dim`` is given for a method that has none, or is larger than ``p``.
    """
    check_choice("method", method, METHODS)
    if method in ("concat", "average"):
        if dim is not None:
            raise InvalidParameterError(f"dim must be left out for method={method!r}; got {dim!r}. Choose 'svd'.")
        columns = scaled_columns(sizes, weights)
        return np.diag(columns) if method == "concat" else _padded(sizes, weights / weights.sum())
    width = max(sizes) if dim is None else dim
    check_integer("dim", width, low=1, high=int(sum(sizes)))
    whiten = np.zeros_like(gram)
    for start, end in _spans(sizes):
        block = gram[start:end, start:end] / n_rows
        whiten[start:end, start:end] = power_of_covariance(block, -0.5 if method == "gcca" else 0.0)
    weighted = whiten * scaled_columns(sizes, weights)
    values, axes = np.linalg.eigh(weighted.T @ (gram / n_rows) @ weighted)
    values, axes = values[::-1][:width], axes[:, ::-1][:, :width]
    directions: Matrix = weighted @ (axes * _signs(axes))
    # Whitened columns times an axis have the variance `values`: that is the agreement, and the scale is its root.
    return directions


def _signs(axes: Matrix) -> Matrix:
    """A sign for each column, so that the largest entry is positive and results do not depend on the solver."""
    return np.asarray(np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]))


def _spans(sizes: Sequence[int]) -> list[tuple[int, int]]:
    ends = np.cumsum(sizes).tolist()
    return [(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _padded(sizes: Sequence[int], weights: Matrix) -> Matrix:
    result = np.zeros((sum(sizes), max(sizes)))
    for (start, _), size, weight in zip(_spans(sizes), sizes, weights, strict=True):
        result[start : start + size, :size] = weight * np.eye(size)
    return result
