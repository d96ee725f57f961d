"""Plain NumPy twin of ``_linear.pyx``: same names, same results up to rounding, far slower."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["add", "check_rows", "curvature", "dot", "losses", "product", "stream"]

Float = NDArray[np.float64]
Single = NDArray[np.float32]
Columns = NDArray[np.int32]
Bounds = NDArray[np.int64]


def check_rows(indices: Columns, indptr: Bounds, n_columns: int) -> None:
    """Raise unless the arrays describe rows over ``n_columns`` columns."""
    good = len(indptr) > 0 and indptr[0] == 0 and indptr[-1] == len(indices) and bool((np.diff(indptr) >= 0).all())
    if not good or (len(indices) > 0 and (indices.min() < 0 or indices.max() >= n_columns)):
        raise ValueError(f"indices and indptr do not describe rows over {n_columns} columns.")


def product(
    values: NDArray[Any], indices: Columns, indptr: Bounds, table: Float, out: Float, first: int, last: int
) -> None:
    """``out[i] = X[i] @ table`` for ``first <= i < last``; indices as checked by ``check_rows``."""
    if not (0 <= first <= last < len(indptr) and len(out) >= last and out.shape[1] == table.shape[1]):
        raise ValueError("product: the shapes do not fit.")
    if len(values) != len(indices):
        raise ValueError("product: values and indices differ in length.")
    for i in range(first, last):
        part = slice(indptr[i], indptr[i + 1])
        out[i] = values[part].astype(np.float64) @ table[indices[part]]


def dot(a: Float, b: Float) -> float:
    """The inner product."""
    if len(a) != len(b):
        raise ValueError("dot: the shapes do not fit.")
    return float((a * b).sum())


def add(total: Float, factor: float, part: Float) -> None:
    """``total += factor * part``; the two must not overlap."""
    if len(total) != len(part):
        raise ValueError("add: the shapes do not fit.")
    total += factor * part


def losses(z: Float, targets: Float, softmax: bool, out: Float, first: int, last: int) -> None:
    """The cross-entropy of each row ``first <= i < last`` into ``out``; ``z``, the logits, become probabilities."""
    if not (0 <= first <= last <= len(z) and targets.shape == z.shape and len(out) == len(z)):
        raise ValueError("losses: the shapes do not fit.")
    logits, target = z[first:last].copy(), targets[first:last]
    if softmax and z.shape[1]:
        logits -= logits.max(axis=1, keepdims=True)
        total = np.exp(logits).sum(axis=1, keepdims=True)
        out[first:last] = target.sum(axis=1) * np.log(total[:, 0]) - (target * logits).sum(axis=1)
        z[first:last] = np.exp(logits) / total
    elif z.shape[1]:
        small = np.exp(-np.abs(logits))
        out[first:last] = (np.log1p(small) + np.maximum(logits, 0) - target * logits).sum(axis=1)
        z[first:last] = np.where(logits >= 0, 1, small) / (1 + small)


def curvature(p: Float, z: Float, weights: Float, softmax: bool, first: int, last: int) -> None:
    """``z[i] = weights[i] * H_i z[i]`` with the loss's Hessian ``H_i`` in the logits, at the probabilities ``p``."""
    if not (0 <= first <= last <= len(z) and p.shape == z.shape and len(weights) == len(z)):
        raise ValueError("curvature: the shapes do not fit.")
    here, at, weight = z[first:last], p[first:last], weights[first:last, None]
    if softmax:
        here[:] = weight * at * (here - (at * here).sum(axis=1, keepdims=True))
    else:
        here[:] = weight * at * (1 - at) * here


def stream(
    table: Single,
    bias: Single,
    values: Single | None,
    indices: Columns,
    indptr: Bounds,
    targets: Single,
    weights: Single | None,
    order: NDArray[np.int64] | None,
    first: int,
    last: int,
    *,
    softmax: bool,
    fit_intercept: bool,
    rate: float,
    slope: float,
    l1: float,
    l2: float,
    step: int,
) -> float:
    """One AdaGrad step for each of the rows ``order[first:last]``; returns the sum of their losses before the steps."""
    k, n = targets.shape[1], len(indptr) - 1
    if not (k >= 1 and table.shape[1] >= k + 2 and bias.shape == (k + 1,) and len(targets) == n):
        raise ValueError("stream: the shapes do not fit.")
    if (values is not None and len(values) != len(indices)) or (weights is not None and len(weights) != n):
        raise ValueError("stream: the shapes do not fit.")
    if not 0 <= first <= last <= (n if order is None else len(order)):
        raise ValueError("stream: the shapes do not fit.")
    rows = np.arange(first, last) if order is None else order[first:last]
    if len(rows) and (rows.min() < 0 or rows.max() >= n):
        raise ValueError("stream: order names a row that is not there.")
    total = 0.0
    for i, r in zip(range(first, last), rows.tolist(), strict=True):
        now, eta = step + i & 0xFFFFFFFF, np.float32(rate + slope * i)
        here = range(int(indptr[r]), int(indptr[r + 1]))
        x = [np.float32(1.0 if values is None else values[e]) for e in here]
        z = bias[:k].astype(np.float32)
        for e, at in zip(here, x, strict=True):
            row = table[indices[e]]
            if l1 > 0 or l2 > 0:
                _settle(row, k, now, eta, np.float32(l1), np.float32(l2))
            z += at * row[:k]
        loss, z = _residual(z, targets[r], np.float32(1.0 if weights is None else weights[r]), softmax)
        total += loss
        squared = np.float32(z @ z)
        if squared == 0:
            continue
        if fit_intercept:
            bias[k] += squared
            bias[:k] -= eta / np.sqrt(bias[k]) * z
        for e, at in zip(here, x, strict=True):
            row = table[indices[e]]
            row[k] += at * at * squared
            if row[k] > 0:
                row[:k] -= eta / np.sqrt(row[k]) * at * z
    return total


def _settle(row: Single, k: int, now: int, rate: np.float32, l1: np.float32, l2: np.float32) -> None:
    stamp = row[k + 1 : k + 2].view(np.uint32)
    missed = now - int(stamp[0]) & 0xFFFFFFFF
    # Another thread, further on, may have settled the row up to a later step.
    if missed == 0 or missed >= 1 << 31:
        return
    stamp[0] = now
    if row[k] == 0:
        return
    eta = rate / np.sqrt(row[k]) * np.float32(missed)
    row[:k] /= 1 + eta * l2
    row[:k] = np.sign(row[:k]) * np.maximum(np.abs(row[:k]) - eta * l1, 0)


def _residual(z: Single, target: Single, weight: np.float32, softmax: bool) -> tuple[float, Single]:
    if softmax:
        z = z - z.max()
        total = np.exp(z).sum()
        loss = target.sum() * np.log(total) - target @ z
        return float(weight * loss), weight * (np.exp(z) / total - target)
    small = np.exp(-np.abs(z))
    loss = (np.log1p(small) + np.maximum(z, 0) - target * z).sum()
    p = np.where(z >= 0, np.float32(1), small) / (1 + small)
    return float(weight * loss), (weight * (p - target)).astype(np.float32)
