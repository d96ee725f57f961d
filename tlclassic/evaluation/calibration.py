"""How good the probabilities are: log-loss, Brier score, expected calibration error, reliability bins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from tlclassic.errors import InvalidParameterError

__all__ = [
    "N_BINS",
    "ReliabilityBin",
    "binned",
    "brier",
    "calibration_error",
    "check_proba",
    "log_loss",
    "wilson_interval",
]

N_BINS = 15

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions whose probability is in ``(low, high]`` (the first bin takes 0 too).

    Attributes
    ----------
    low, high : float
    count : int
    confidence : float
        Mean probability; 0 when the bin is empty.
    accuracy : float
        Share of these that are true; 0 when the bin is empty.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def binned(confidence: Floats, true: Bools) -> list[ReliabilityBin]:
    """Reliability bins of equal width over [0, 1] (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    Parameters
    ----------
    confidence : float64 array (n,)
    true : bool array (n,)
    """
    # Against the very edges that the bins report: a product with N_BINS can round across one.
    place = np.searchsorted(np.arange(1, N_BINS) / N_BINS, confidence, side="left")
    counts = np.bincount(place, minlength=N_BINS)
    below = np.maximum(counts, 1)
    confidences = np.bincount(place, weights=confidence, minlength=N_BINS) / below
    accuracies = np.bincount(place, weights=true, minlength=N_BINS) / below
    return [
        ReliabilityBin(i / N_BINS, (i + 1) / N_BINS, int(counts[i]), float(confidences[i]), float(accuracies[i]))
        for i in range(N_BINS)
    ]


def calibration_error(bins: list[ReliabilityBin]) -> float:
    """Expected calibration error: the gap between probability and share of true ones, weighted by the bins' counts."""
    total = sum(bin.count for bin in bins)
    return sum(bin.count * abs(bin.accuracy - bin.confidence) for bin in bins) / total


def check_proba(name: str, proba: npt.ArrayLike, n: int, n_classes: int, *, one_of: bool) -> npt.NDArray[np.float64]:
    """The table as float64 (n, classes) within [0, 1]; rows of ``one_of`` several classes must add up to 1.

    Raises
    ------
    InvalidParameterError
        For another shape, values outside [0, 1], or rows with another sum; names ``name``.
    """
    table = np.asarray(proba, dtype=np.float64)
    if table.shape != (n, n_classes):
        raise InvalidParameterError(f"{name} must have shape ({n}, {n_classes}) (texts, classes); got {table.shape}.")
    if not ((table >= -1e-6) & (table <= 1 + 1e-6)).all():
        raise InvalidParameterError(
            f"{name} must be between 0 and 1; got values outside. Pass probabilities, not scores."
        )
    total = table.sum(axis=1)
    # A float16 softmax over many classes is off by up to about 5e-4.
    if one_of and (far := np.abs(total - 1) > 1e-3).any():
        row = int(far.argmax())
        raise InvalidParameterError(
            f"each row of {name} must add up to 1, row {row} has {total[row]:.4g}. Pass probabilities, not scores."
        )
    return np.clip(table, 0.0, 1.0)


def log_loss(proba_of_truth: Floats) -> float:
    """Mean of ``-ln p``, with ``p`` at least the float64 epsilon as in scikit-learn."""
    return float(-np.log(np.clip(proba_of_truth, np.finfo(np.float64).eps, 1.0)).mean())


def brier(proba: Floats, truth: Floats) -> float:
    """Mean squared distance between rows of shape (n, classes), from 0 to 2 (Brier 1950).

    For two classes it is twice the score of the positive class alone.
    """
    return float(np.square(proba - truth).sum(axis=1).mean())


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = share + z**2 / (2 * n)
    margin = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n * n))
    scale = 1 + z**2 / n
    # With no success, or no failure, that end is exactly 0 or 1, which the sum misses by a rounding.
    low = (centre - margin) / scale if successes else 0.0
    return low, (centre + margin) / scale if successes < n else 1.0
