"""What errors among n texts say of the rate of errors, and of the errors among so many texts more: exact bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require

__all__ = ["allowed_errors", "texts_needed", "upper_bound"]


def upper_bound(errors: Any, n: Any, confidence: float) -> NDArray[np.float64]:
    """The one-sided upper bound on a rate: the rate at which so few errors have the probability ``1 - confidence``.

    Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial"
    (https://doi.org/10.1093/biomet/26.4.404). For every rate and every n it is too low with a probability of at most
    ``1 - confidence``.

    Parameters
    ----------
    errors, n : int or int array of shape (...)
        ``0 <= errors <= n``.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    float64 array of shape (...)
        The ``confidence`` quantile of Beta(errors + 1, n - errors); 1 where all are errors, and so where n is 0.
    """
    special = require("scipy.special", purpose="Setting a cascade's threshold")
    errors, n = np.broadcast_arrays(np.asarray(errors, dtype=np.float64), np.asarray(n, dtype=np.float64))
    some = errors < n
    bound = np.ones(errors.shape)
    bound[some] = special.betaincinv(errors[some] + 1, (n - errors)[some], confidence)
    return bound


def allowed_errors(n: int, rate: float, confidence: float, later: int | None = None) -> int:
    """The most errors among ``n`` texts that show a rate of at most ``rate``; -1 where not even none would do.

    Parameters
    ----------
    n : int
    rate, confidence : float
        Between 0 and 1.
    later : int, optional
        Of so many later texts, instead of all: the rate that is measured on them.
    """
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _shown(middle, n, rate, confidence, later) else (low, middle)
    return low


def texts_needed(rate: float, confidence: float, later: int | None = None) -> int:
    """The fewest texts that, all without an error, show a rate of at most ``rate``; as :func:`allowed_errors`."""
    # (1 - rate)^n <= 1 - confidence.
    n = max(1, math.ceil(math.log1p(-confidence) / math.log1p(-rate)) - 1)
    high = n
    while not _shown(0, high, rate, confidence, later):
        high *= 2
    low = n - 1 if high == n else high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _shown(0, middle, rate, confidence, later) else (middle, high)
    return high


def _shown(errors: int, n: int, rate: float, confidence: float, later: int | None) -> bool:
    if later is None:
        return bool(upper_bound(errors, n, confidence) <= rate)
    return _chance_of_more(errors, n, math.floor(rate * later + 1e-9), later) <= 1 - confidence


def _chance_of_more(errors: int, n: int, allowed: int, later: int) -> float:
    """At most: how probable more than ``allowed`` errors among ``later`` texts are where ``n`` have at most ``errors``.

    All texts are drawn alike, so that of the first ``errors + allowed + 1`` errors each lies among the n with the
    chance that it has there: P(X <= errors) for X hypergeometric, texts drawn without replacement.
    """
    if allowed >= later:
        return 0.0
    special = require("scipy.special", purpose="Setting a cascade's threshold")

    def log_ways(among: Any, chosen: Any) -> Any:
        return special.gammaln(among + 1) - special.gammaln(chosen + 1) - special.gammaln(among - chosen + 1)

    all_errors = errors + allowed + 1
    # So many of them lie among the n, at least, because later texts are no more than there are.
    found = np.arange(max(0, all_errors - later), min(errors, n) + 1)
    logs = log_ways(n, found) + log_ways(later, all_errors - found) - log_ways(n + later, all_errors)
    return float(np.exp(logs).sum())
