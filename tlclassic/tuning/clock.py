"""The time budget, and guesses of how long a piece of work takes from how long its like took."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """Seconds since its making, against a budget.

    Parameters
    ----------
    budget : float
        Seconds.
    now : callable
        Returns seconds; monotonic.
    """

    def __init__(self, budget: float, now: Callable[[], float] = time.monotonic) -> None:
        self.budget, self._now = budget, now
        self._start = now()
        self.reserved = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._now() - self._start

    @property
    def left(self) -> float:
        """Seconds for the search: without those that are reserved for what follows it."""
        return self.budget - self.reserved - self.elapsed
