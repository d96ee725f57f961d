"""Features of a convolution as whole codes, which a hidden layer of int16 multiplies; for kernel and twin alike.

A filter has the code of its largest window and its bias, a sum has eighths of a code, and none is larger than ``MOST``:
then a unit's products with at most a few thousand features fit in 32 bits, and their sum is exact in any order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST", "STEPS", "check_hidden", "feature_steps", "in_codes", "sums_fit"]

#: The largest feature; steps of a sum's code; how far a filter's bias may be from zero.
MOST, STEPS, _FARTHEST = 4095, 8, 16_383


def in_codes(bias: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.int16]:
    """The filters' biases in their codes, as a hidden layer of int16 has them."""
    with np.errstate(over="ignore"):
        codes = np.clip(np.rint(bias / scales[: len(bias)]), -_FARTHEST, _FARTHEST)
    return np.asarray(codes.astype(np.int16))


def check_hidden(weights: NDArray[Any], scales: NDArray[np.float32] | None, table: NDArray[Any]) -> None:
    """Raise ``ValueError`` for a hidden layer whose types or sums do not fit."""
    if (weights.dtype == np.int16) != (scales is not None) or weights.dtype not in (np.int16, np.float32):
        raise ValueError("the hidden layer's weights are float32, or int16 with scales")
    if scales is None:
        return
    if table.dtype != np.int8:
        raise ValueError("a hidden layer of int16 is for a table of int8")
    if scales.shape != weights.shape[1:]:
        raise ValueError("the hidden layer's scales must have one number a unit")
    if not sums_fit(weights):
        raise ValueError("the hidden layer's weights are so large that a sum of 32 bits does not hold them")


def sums_fit(codes: NDArray[np.int16]) -> bool:
    """Whether 32 bits hold the sum of a unit's products, codes of shape (features, hidden), with any features."""
    return int(np.abs(codes.astype(np.int64)).sum(axis=0).max(initial=0)) * MOST <= np.iinfo(np.int32).max


def feature_steps(scales: NDArray[np.float32], filters: int) -> NDArray[np.float64]:
    """What one code of each feature stands for, of the scales of filters and sums."""
    steps = scales.astype(np.float64)
    steps[filters:] /= STEPS
    return steps
