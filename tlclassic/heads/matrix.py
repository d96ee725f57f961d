"""The rows that a linear model is fitted on: dense, or sparse and reduced to the columns that matter.

# Design: hashed n-grams have a million columns, of which a training set uses some, and of those most in one row only.
# Columns that no row uses keep a weight of zero. With an L2 penalty alone, the columns of one row that occur nowhere
# else have weights in proportion to their values at the optimum (the gradient is), so one column whose value is their
# norm stands for all of them: the same optimum, and the same path to it, in a fraction of the variables.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import load

__all__ = ["DenseMatrix", "Matrix", "SparseMatrix", "Workers", "as_csr", "as_matrix", "renumbered"]

Float = NDArray[np.float64]
_K = load("linear")


class Workers:
    """Runs a function over ranges of rows, in as many threads as asked for."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def run(self, call: Callable[[int, int], object], bounds: NDArray[np.int64]) -> list[Any]:
        """``call(first, last)`` for each pair of neighbours in ``bounds``."""
        pairs = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
        if self._pool is None:
            return [call(first, last) for first, last in pairs]
        return [done.result() for done in [self._pool.submit(call, first, last) for first, last in pairs]]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def split(self, indptr: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bounds of row ranges with about as many entries each."""
        work = indptr + np.arange(len(indptr))  # an empty row is a little work, too
        goals = np.linspace(0, work[-1], self.threads + 1)
        bounds = np.searchsorted(work, goals)
        bounds[0], bounds[-1] = 0, len(indptr) - 1
        return np.asarray(bounds, np.int64)

    def split_evenly(self, n: int) -> NDArray[np.int64]:
        """Bounds of row ranges with as many rows each."""
        return np.linspace(0, n, self.threads + 1).astype(np.int64)


class Matrix(Protocol):
    """Rows X of a problem in m variables an output."""

    n_rows: int
    n_variables: int

    def dot(self, table: Float) -> Float:
        """``X @ table``, of shape (n, K), for ``table`` (m, K)."""

    def transposed_dot(self, rows: Float) -> Float:
        """``X.T @ rows``, of shape (m, K), for ``rows`` (n, K)."""

    def squares_dot(self, rows: Float) -> Float:
        """``(X * X).T @ rows``."""

    def compress(self, coef: Float) -> Float:
        """Variables (m, K) of effective coefficients (K, F)."""

    def expand(self, table: Float) -> tuple[NDArray[np.int64], Float]:
        """Columns of X, ascending, and their effective coefficients (K, n_columns)."""


class DenseMatrix:
    """A dense X of shape (n, F), each column times its ``scale``."""

    def __init__(self, X: NDArray[Any], scale: Float | None) -> None:
        self._scale = scale
        self._x = np.ascontiguousarray(X, dtype=np.float64) * (1.0 if scale is None else scale)
        self.n_rows, self.n_variables = self._x.shape

    def dot(self, table: Float) -> Float:
        return np.ascontiguousarray(self._x @ table)

    def transposed_dot(self, rows: Float) -> Float:
        return np.ascontiguousarray(self._x.T @ rows)

    def squares_dot(self, rows: Float) -> Float:
        return np.ascontiguousarray((self._x * self._x).T @ rows)

    def compress(self, coef: Float) -> Float:
        return np.ascontiguousarray(_divide(coef, self._scale).T)

    def expand(self, table: Float) -> tuple[NDArray[np.int64], Float]:
        coef = table.T if self._scale is None else table.T * self._scale
        return np.arange(self.n_variables), np.ascontiguousarray(coef)


def as_csr(X: Any) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int64]]:
    """Values (float32 or float64), indices (int32) and indptr (int64) of a CSR matrix, checked.

    Raises
    ------
    InvalidParameterError
        For columns out of range, and values that are not finite.
    """
    values = np.ascontiguousarray(X.data, None if X.data.dtype in (np.float32, np.float64) else np.float64)
    if X.shape[1] > np.iinfo(np.int32).max:
        raise InvalidParameterError(f"X must have at most 2**31 - 1 columns; got {X.shape[1]}.")
    indptr = np.ascontiguousarray(X.indptr, np.int64)
    # A CSR matrix may have room behind its last entry.
    values, indices = values[: indptr[-1]], np.ascontiguousarray(X.indices[: indptr[-1]], np.int32)
    try:
        _K.check_rows(indices, indptr, X.shape[1])
    except ValueError as error:
        raise InvalidParameterError(f"X is not a valid CSR matrix: {error}") from None
    if not np.isfinite(values).all():
        raise InvalidParameterError("X must hold finite values only; got NaN or infinity. Replace them.")
    return values, indices, indptr


def renumbered(indices: NDArray[np.int32], n_columns: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The columns that occur, ascending, and the indices as places among them."""
    if n_columns <= 8 * len(indices) + (1 << 22):
        seen = np.zeros(n_columns, dtype=bool)
        seen[indices] = True
        columns = np.flatnonzero(seen)
        places = np.zeros(n_columns, dtype=np.int32)
        places[columns] = np.arange(len(columns), dtype=np.int32)
        return columns, places[indices]
    columns, place = np.unique(indices, return_inverse=True)
    return columns.astype(np.int64), place.astype(np.int32)


class SparseMatrix:
    """A CSR X over its occurring columns, each times its ``scale``; ``merge`` joins the columns of one row (see above).

    A column-wise copy serves the transposed product.
    """

    def __init__(self, X: sp.csr_matrix, scale: Float | None, *, merge: bool, workers: Workers) -> None:
        values, indices, indptr = as_csr(X)
        self._workers = workers
        self._columns, place = renumbered(indices, X.shape[1])
        self._scale = None if scale is None else scale[self._columns]
        if self._scale is not None:
            values = (values * self._scale[place]).astype(np.float64)
        by_column = sp.csr_matrix((values, place, indptr), shape=(X.shape[0], len(self._columns))).tocsc()
        self._group, self._share = _groups(by_column, merge)
        self.n_rows, self.n_variables = X.shape[0], int(self._group.max(initial=-1)) + 1
        self._by_column = self._grouped(by_column)
        self._by_row = _parts(sp.csc_matrix(self._by_column, (self.n_rows, self.n_variables)).tocsr())
        self._row_bounds = workers.split(self._by_row[2])
        self._column_bounds = workers.split(self._by_column[2])
        self._squares: NDArray[Any] | None = None

    def _grouped(self, X: sp.csc_matrix) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int64]]:
        counts = np.diff(X.indptr)
        # Variables in the order of their groups; of a merged group the first column stands for all.
        chosen = np.full(self.n_variables, -1, dtype=np.int64)
        chosen[self._group[::-1]] = np.arange(X.shape[1])[::-1]
        lengths = counts[chosen]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        entries = np.repeat(X.indptr[chosen] - indptr[:-1], lengths) + np.arange(indptr[-1])
        values = X.data[entries] / np.repeat(self._share[chosen], lengths).astype(X.data.dtype)
        return np.ascontiguousarray(values), X.indices[entries].astype(np.int32), indptr

    def dot(self, table: Float) -> Float:
        return self._product(self._by_row, table, self.n_rows, self._row_bounds)

    def transposed_dot(self, rows: Float) -> Float:
        return self._product(self._by_column, rows, self.n_variables, self._column_bounds)

    def squares_dot(self, rows: Float) -> Float:
        if self._squares is None:
            self._squares = self._by_column[0] ** 2
        return self._product((self._squares, *self._by_column[1:]), rows, self.n_variables, self._column_bounds)

    def _product(self, parts: Any, table: Float, n: int, bounds: NDArray[np.int64]) -> Float:
        out = np.empty((n, table.shape[1]))
        self._workers.run(lambda first, last: _K.product(*parts, table, out, first, last), bounds)
        return out

    def compress(self, coef: Float) -> Float:
        own = _divide(coef[:, self._columns], self._scale).T
        table = np.zeros((self.n_variables, len(coef)))
        np.add.at(table, self._group, own * self._share[:, None])
        return table

    def expand(self, table: Float) -> tuple[NDArray[np.int64], Float]:
        coef = table[self._group] * self._share[:, None]
        if self._scale is not None:
            coef *= self._scale[:, None]
        return self._columns, np.ascontiguousarray(coef.T)


def _divide(coef: Float, scale: Float | None) -> Float:
    if scale is None:
        return coef
    return np.divide(coef, scale, out=np.zeros_like(coef), where=np.broadcast_to(scale != 0, coef.shape))


def _parts(X: Any) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int64]]:
    return X.data, X.indices.astype(np.int32, copy=False), X.indptr.astype(np.int64)


def _groups(X: sp.csc_matrix, merge: bool) -> tuple[NDArray[np.int64], Float]:
    """For each column its variable, and its weight's share of that variable.

    Variables are numbered from the most frequent to the rarest, so that the rows of a table that are in constant use
    lie together, and those of one frequency in the order in which the rows of X meet them.
    """
    counts = np.diff(X.indptr)
    share = np.ones(X.shape[1])
    first = X.indices[X.indptr[:-1]].astype(np.int64) if X.nnz else np.zeros(0, np.int64)
    alone = np.flatnonzero(counts == 1) if merge else np.zeros(0, np.int64)
    values = X.data[X.indptr[alone]].astype(np.float64)
    norms = np.sqrt(np.bincount(first[alone], weights=values * values, minlength=X.shape[0]))[first[alone]]
    share[alone] = np.divide(values, norms, out=np.ones_like(values), where=norms > 0)
    # A column that holds nothing but an explicit zero stays by itself: nothing can be divided by its share.
    alone = alone[values != 0]
    share[share == 0] = 1.0
    order = np.lexsort((np.arange(X.shape[1]), first, -counts))
    merged = np.zeros(X.shape[1], dtype=bool)
    merged[alone] = True
    before = np.concatenate([[False], merged[order][:-1] & merged[order][1:] & (np.diff(first[order]) == 0)])
    group = np.empty(X.shape[1], dtype=np.int64)
    group[order] = np.cumsum(~before[: len(order)]) - 1
    return group, share


def as_matrix(X: Any, scale: Float | None, *, merge: bool, workers: Workers) -> Matrix:
    """The rows of ``X``, a dense array or a SciPy sparse matrix, ready for the solver."""
    if sp.issparse(X):
        rows: Any = X
        return SparseMatrix(sp.csr_matrix(rows), scale, merge=merge, workers=workers)
    X = np.asarray(X)
    if X.ndim != 2:
        raise InvalidParameterError(f"X must have two dimensions; got shape {X.shape}.")
    if not np.isfinite(X).all():
        raise InvalidParameterError("X must hold finite values only; got NaN or infinity. Replace them.")
    return DenseMatrix(X, scale)
