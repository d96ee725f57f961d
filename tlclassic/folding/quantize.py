"""Weights in fewer bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels._convolve_codes import MOST

__all__ = ["DTYPES", "ZERO", "encode", "encode_hidden", "encode_signed", "encode_windows"]

#: From the widest to the narrowest.
DTYPES = ("float32", "float16", "int8")
#: The code of 0 in an int8 table: codes are unsigned so that eight of them are added up in one register.
ZERO = 128
#: Shares of the largest weight that are tried as the largest code.
_CLIPPING = (1.0, 0.9, 0.8, 0.65, 0.5, 0.35)

#: Weights below this have no scale in float32; they become 0.
_SMALLEST = 1e-30


def encode(
    weights: NDArray[np.float64], dtype: str, frequency: NDArray[np.float64] | None = None
) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """``(values, scales)``: the weights, shape (n, n_outputs), in ``dtype``.

    "int8" has codes of type uint8 and one scale a column: a weight is ``(code - 128) * scale``. The scale has the
    smallest squared error, each weight counted by the ``frequency`` of its row, float64 of shape (n,); by its own
    magnitude where that is not known, as a regularised weight is large where there was much to learn it from.

    Raises
    ------
    InvalidParameterError
        When a weight is not finite in ``dtype``.
    """
    if dtype == "int8":
        return _to_codes(weights, frequency)
    with np.errstate(over="ignore"):
        values = weights.astype(dtype)
    if not np.isfinite(values).all():
        largest = float(np.abs(weights).max())
        raise InvalidParameterError(f"a weight of {largest:g} does not fit {dtype}. Choose dtype='float32' or 'int8'.")
    return values, None


def _to_codes(
    weights: NDArray[np.float64], frequency: NDArray[np.float64] | None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    codes = np.empty(weights.shape, dtype=np.uint8)
    scales = np.ones(weights.shape[1], dtype=np.float32)
    for column, values in enumerate(weights.T):
        scales[column] = _best_scale(values, np.abs(values) if frequency is None else frequency)
        codes[:, column] = _codes(values, scales[column]) + ZERO
    return codes, scales


def encode_signed(
    weights: NDArray[Any], frequency: NDArray[np.float64]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """``(codes, scales)``: weights of shape (n, columns) as int8 codes from -127 to 127 times one scale a column.

    Scales are positive, and chosen as in :func:`encode`.
    """
    codes = np.empty(weights.shape, dtype=np.int8)
    scales = np.ones(weights.shape[1], dtype=np.float32)
    for column in range(weights.shape[1]):
        values = weights[:, column].astype(np.float64)
        scales[column] = _best_scale(values, frequency)
        codes[:, column] = _codes(values, scales[column])
    return codes, scales


def encode_windows(
    weights: NDArray[Any], frequency: NDArray[np.float64]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """``(codes, scales)`` of windows, shape (n, width, filters): int8 of that shape, and a scale a filter.

    The codes of one row for each place in a window add up to between -127 and 127, so that a window fits in a byte and
    is made twice as fast: each place may have codes in proportion to its largest weight. Scales are positive, and
    chosen as in :func:`encode` with the ``frequency`` of the rows, float64 of shape (n,).
    """
    codes = np.empty(weights.shape, dtype=np.int8)
    scales = np.ones(weights.shape[2], dtype=np.float32)
    for filter_ in range(weights.shape[2]):
        values = weights[:, :, filter_].astype(np.float64)
        largest = np.abs(values).max(axis=0, initial=0.0)
        most = np.floor(127 * largest / max(float(largest.sum()), _SMALLEST))
        scales[filter_] = _best_scale(values, frequency[:, None], most)
        codes[:, :, filter_] = _codes(values, scales[filter_], most)
    return codes, scales


def encode_hidden(
    weights: NDArray[np.float32], steps: NDArray[np.float64]
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """``(codes, scales)``: a hidden layer of shape (features, hidden) for features in codes, int16 and a scale a unit.

    One code of feature f stands for ``steps[f]``. Codes are as large as the sum of 32 bits of their products with
    features of at most 4095 allows.
    """
    scaled = weights.astype(np.float64) * steps[:, None]
    largest = min(np.iinfo(np.int16).max, np.iinfo(np.int32).max // (MOST * len(weights)))
    most = np.abs(scaled).max(axis=0)
    scales = np.where(most > _SMALLEST, most / largest, 1.0).astype(np.float32)
    return np.clip(np.rint(scaled / scales), -largest, largest).astype(np.int16), scales


def _codes(values: NDArray[np.float64], scale: Any, most: Any = 127) -> NDArray[np.float64]:
    return np.clip(np.rint(values / np.float64(scale)), -most, most)


def _best_scale(values: NDArray[np.float64], counted: NDArray[np.float64], most: Any = 127) -> np.float32:
    """The scale with the smallest squared error; a large weight may be clipped where many others gain.

    ``values`` are of shape (n,), or (n, width), whose columns' codes are added up: those are at most ``most``.
    """
    largest = float(np.abs(values).max(axis=0, initial=0.0).sum())
    if largest < _SMALLEST:
        return np.float32(1.0)
    scales = [np.float32(share * largest / 127) for share in _CLIPPING]
    # Not by `@`: the threads of a BLAS cost more than so short a sum.
    errors = [
        float((counted * (_codes(values, scale, most) * np.float64(scale) - values) ** 2).sum()) for scale in scales
    ]
    return scales[int(np.argmin(errors))]
