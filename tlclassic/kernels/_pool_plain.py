"""Plain twin of ``_pool.pyx``: pooling of word vectors text by text with NumPy, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Op = tuple[str, int, NDArray[np.float32] | None, NDArray[np.float32] | None, str, float]
KINDS = ("sum", "power", "max", "min")
DENOMINATORS = ("none", "count", "weight")


def pool(
    table: NDArray[Any],
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    ops: Sequence[Op],
    out: NDArray[np.float32],
    *,
    scales: NDArray[np.float32] | None = None,
    extra: NDArray[np.float32] | None = None,
    token_weights: NDArray[np.float32] | None = None,
) -> None:
    """Pool the vectors of each text's tokens into ``out``; parameters as in ``_pool.pyx``."""
    _check(table, rows, indptr, ops, out, scales, extra, token_weights)
    dim = table.shape[1]
    for text in range(len(indptr) - 1):
        start, end = int(indptr[text]), int(indptr[text + 1])
        known = rows[start:end] >= 0
        numbers = rows[start:end][known]
        vectors = _take(table, scales, extra, numbers)
        tokens = np.ones(len(numbers), np.float32) if token_weights is None else token_weights[start:end][known]
        for place, op in enumerate(ops):
            w = tokens * _weights_of(op, numbers, len(table))
            out[text, place * dim : (place + 1) * dim] = _pool_one(op, vectors, w, int(end - start - len(numbers)))


def _weights_of(op: Op, numbers: NDArray[Any], n: int) -> NDArray[np.float32]:
    weights = np.ones(len(numbers), dtype=np.float32)
    inside = numbers < n
    if op[2] is not None:
        weights[inside] = op[2][numbers[inside]]
    if op[3] is not None:
        weights[~inside] = op[3][numbers[~inside] - n]
    return weights


def _take(
    table: NDArray[Any], scales: NDArray[np.float32] | None, extra: NDArray[np.float32] | None, numbers: NDArray[Any]
) -> NDArray[np.float64]:
    vectors = np.empty((len(numbers), table.shape[1]), dtype=np.float32)
    inside = numbers < len(table)
    vectors[inside] = table[numbers[inside]]
    if scales is not None:
        vectors[inside] *= scales[numbers[inside], None]
    if extra is not None:
        vectors[~inside] = extra[numbers[~inside] - len(table)]
    return vectors.astype(np.float64)


def _pool_one(op: Op, vectors: NDArray[np.float64], w: NDArray[np.float32], n_unknown: int) -> Any:
    kind, power, _, _, denominator, unknown = op
    if not len(vectors):
        return 0.0
    if kind in ("max", "min"):
        best = vectors.max(axis=0) if kind == "max" else vectors.min(axis=0)
        if n_unknown and unknown > 0:
            best = np.maximum(best, 0.0) if kind == "max" else np.minimum(best, 0.0)
        return best
    count = len(vectors) + unknown * n_unknown
    if kind == "power":
        mean = (vectors**power).sum(axis=0) / count
        return np.copysign(np.abs(mean) ** (1.0 / power), mean) if power != 3 else np.cbrt(mean)
    total = w.astype(np.float64) @ vectors
    divisor = {"none": 1.0, "count": count, "weight": float(w.sum(dtype=np.float64)) + unknown * n_unknown}[denominator]
    return total / divisor if divisor else 0.0


def _check(
    table: NDArray[Any],
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    ops: Sequence[Op],
    out: NDArray[np.float32],
    scales: NDArray[np.float32] | None,
    extra: NDArray[np.float32] | None,
    token_weights: NDArray[np.float32] | None,
) -> None:
    """The checks of ``_pool.pyx``, in its order and words."""
    if table.ndim != 2 or not table.flags.c_contiguous:
        raise ValueError(f"table must be a C-contiguous array of two dimensions; got shape {table.shape}")
    if table.dtype not in (np.float32, np.float16, np.int8):
        raise ValueError(f"table must have dtype float32, float16 or int8; got {table.dtype}")
    n, dim = table.shape
    m = 0 if extra is None else len(extra)
    low, high = (int(rows.min()), int(rows.max())) if len(rows) else (0, -1)
    if low < -1 or high >= n + m:
        raise IndexError(f"rows must lie in -1 .. {n + m - 1}; got {low if low < -1 else high}")
    if len(indptr) < 1 or indptr[0] != 0 or indptr[-1] != len(rows):
        raise ValueError(f"indptr must run from 0 to the number of rows ({len(rows)})")
    falls = np.flatnonzero(np.diff(indptr) < 0)
    if len(falls):
        raise ValueError(f"indptr must not decrease; it does at {falls[0] + 1}")
    expected = (len(indptr) - 1, len(ops) * dim)
    if out.shape != expected:
        raise ValueError(f"out must have shape {expected}; got {out.shape}")
    if (table.dtype == np.int8) != (scales is not None) or (scales is not None and len(scales) != n):
        raise ValueError(f"an int8 table, and no other, needs one scale per row ({n})")
    if extra is not None and extra.shape[1] != dim:
        raise ValueError(f"extra must have {dim} columns; got {extra.shape[1]}")
    if token_weights is not None and len(token_weights) != len(rows):
        raise ValueError(f"token_weights must have {len(rows)} values; got {len(token_weights)}")
    _check_ops(ops, n, m)


def _check_ops(ops: Sequence[Op], n: int, m: int) -> None:
    for kind, power, weights, extra_weights, denominator, _ in ops:
        if kind not in KINDS or denominator not in DENOMINATORS:
            raise KeyError(kind if kind not in KINDS else denominator)
        if kind == "power" and power < 1:
            raise ValueError(f"power must be at least 1; got {power}")
        if weights is not None and len(weights) != n:
            raise ValueError(f"weights must have {n} values; got {len(weights)}")
        if weights is not None and m and (extra_weights is None or len(extra_weights) != m):
            raise ValueError(f"extra_weights must have {m} values")


def remove_components(x: NDArray[Any], components: NDArray[np.float64], strengths: NDArray[np.float64]) -> None:
    """Subtract from each row its projections on orthonormal components, each times its strength; in place."""
    if components.shape[1] != x.shape[1] or len(strengths) != len(components):
        raise ValueError(f"components must have {x.shape[1]} columns and one strength each")
    for row in x:
        # Products and sums of one row at a time: the order of additions never depends on the batch.
        wide = row.astype(np.float64)
        row[:] = wide - ((components * wide).sum(axis=1) * strengths) @ components


def normalize_rows(x: NDArray[Any]) -> None:
    """Scale each row to unit length, in place; a zero row stays zero."""
    for row in x:
        wide = row.astype(np.float64)
        length = np.sqrt((wide * wide).sum())
        if length > 0.0:
            row[:] = wide / length
