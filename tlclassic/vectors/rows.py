"""Rows of a stored table as float32, a block at a time, so that a mapped table is never copied as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_BYTES", "blocks", "mean", "norms", "take"]

#: About how much of a table is decoded at a time.
BLOCK_BYTES = 1 << 24

Scales = NDArray[np.float32] | None


def take(table: NDArray[Any], scales: Scales, rows: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """``table[rows]`` decoded to float32, shape (n, dim); IndexError for a row outside the table."""
    if rows.size and (rows.min() < 0 or rows.max() >= len(table)):
        raise IndexError(f"rows must lie in 0 to {len(table) - 1}; got {rows.min()} to {rows.max()}")
    # An empty list becomes float64, which is no index.
    rows = rows.astype(np.intp, copy=False)
    return _decode(table[rows], None if scales is None else scales[rows])


def blocks(table: NDArray[Any], scales: Scales, stop: int | None = None) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """``(first row, float32 rows)`` for consecutive blocks of the first ``stop`` rows (default: all)."""
    n = len(table) if stop is None else min(stop, len(table))
    step = max(1, BLOCK_BYTES // max(1, 4 * table.shape[1]))
    for start in range(0, n, step):
        end = min(start + step, n)
        yield start, _decode(table[start:end], None if scales is None else scales[start:end])


def _decode(rows: NDArray[Any], scales: Scales) -> NDArray[np.float32]:
    decoded: NDArray[np.float32] = rows.astype(np.float32, copy=False)
    if scales is not None:
        decoded *= scales[:, None]
    return decoded


def mean(table: NDArray[Any], scales: Scales) -> NDArray[np.float32]:
    """The mean row, summed in float64; zeros for an empty table."""
    total = np.zeros(table.shape[1])
    for _, rows in blocks(table, scales):
        total += rows.sum(axis=0, dtype=np.float64)
    return (total / max(1, len(table))).astype(np.float32)


def norms(table: NDArray[Any], scales: Scales) -> NDArray[np.float32]:
    """The Euclidean norm of each row, shape (n,)."""
    result = np.empty(len(table), dtype=np.float32)
    for start, rows in blocks(table, scales):
        result[start : start + len(rows)] = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return result
