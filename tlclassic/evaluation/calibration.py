"""How good the probabilities are: log-loss, Brier score, expected calibration error, reliability bins."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["N_BINS", "ReliabilityBin", "binned", "brier", "calibration_error", "log_loss", "wilson_interval"]

N_BINS = 15
_Z95 = 1.959963984540054

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


def log_loss(proba_of_truth: Floats) -> float:
    """Mean of ``-ln p``, with ``p`` at least the float64 epsilon as in scikit-learn."""
    return float(-np.log(np.clip(proba_of_truth, np.finfo(np.float64).eps, 1.0)).mean())


def brier(proba: Floats, truth: Floats) -> float:
    """Mean squared distance between rows of shape (n, classes), from 0 to 2 (Brier 1950).

    For two classes it is twice the score of the positive class alone.
    """
    return float(np.square(proba - truth).sum(axis=1).mean())


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927)."""
    share = successes / n
    centre = share + _Z95**2 / (2 * n)
    margin = _Z95 * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n * n))
    scale = 1 + _Z95**2 / n
    # With no success, or no failure, that end is exactly 0 or 1, which the sum misses by a rounding.
    low = (centre - margin) / scale if successes else 0.0
    return low, (centre + margin) / scale if successes < n else 1.0
