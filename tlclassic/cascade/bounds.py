"""What a number of errors among n texts says of the rate of errors: the exact bound of Clopper and Pearson."""

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


def allowed_errors(n: int, rate: float, confidence: float) -> int:
    """The most errors among ``n`` texts whose upper bound is within ``rate``; -1 where not even none would do."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if upper_bound(middle, n, confidence) <= rate else (low, middle)
    return low


def texts_needed(rate: float, confidence: float) -> int:
    """The fewest texts that, all without an error, show a rate of at most ``rate``: (1 - rate)^n <= 1 - confidence."""
    n = max(1, math.ceil(math.log1p(-confidence) / math.log1p(-rate)) - 1)
    while upper_bound(0, n, confidence) > rate:
        n += 1
    return n
