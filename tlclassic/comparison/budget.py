"""A limit of time, shared among models: what each may plan with, and when it is stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

from tlclassic.errors import InvalidParameterError

__all__ = ["Budget", "Deadline", "OutOfTime", "parse_time"]

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_time(time: str | float) -> float:
    """Seconds from a number with a unit, ``"90s"``, ``"30m"`` or ``"1h"``; a number alone means seconds.

    Raises
    ------
    InvalidParameterError

    Examples
    --------
    >>> parse_time("90s"), parse_time("30m"), parse_time("1.5h"), parse_time(20)
    (90.0, 1800.0, 5400.0, 20.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(time).strip().lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidParameterError(f"time must be above 0, such as 90s, 30m or 1h; got {time!r}.")
    return seconds


class OutOfTime(Exception):
    """Ends a fit that takes too long; never leaves the package."""


class Deadline:
    """The seconds that one model has.

    Parameters
    ----------
    share : float
        What it may plan with.
    limit : float
        After which it is stopped.
    now : callable
        Returns seconds; monotonic.
    """

    def __init__(self, share: float, limit: float, now: Callable[[], float] = time.monotonic) -> None:
        self.share, self.limit, self._now = share, limit, now
        self._start = now()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._now() - self._start

    @property
    def share_left(self) -> float:
        """Seconds left of the share."""
        return self.share - self.elapsed

    def check(self, *_: object) -> None:
        """Raise OutOfTime after the limit; takes whatever a callback is given."""
        if self.elapsed > self.limit:
            raise OutOfTime(f"stopped after {self.elapsed:.0f} s, when its time was over")

    def need(self, seconds: float, what: str) -> None:
        """Raise OutOfTime where something is known to take longer than the limit."""
        if seconds > self.limit - self.elapsed:
            raise OutOfTime(
                f"{what} would take about {_said(seconds)}, and {_said(max(0.0, self.limit - self.elapsed))} are left "
                "for it"
            )


def _said(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class Budget:
    """Seconds for several models.

    Parameters
    ----------
    seconds : float
    weights : mapping of str to float
        The models and how much of the time each is meant to get, in relation to the others.
    """

    def __init__(self, seconds: float, weights: Mapping[str, float], now: Callable[[], float] = time.monotonic) -> None:
        self._left, self._waiting, self._now = seconds, dict(weights), now

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._left)

    def deadline(self, name: str) -> Deadline:
        """The time of a model: its share of what is left; at most that or half of what is left, whatever is more.

        Raises
        ------
        OutOfTime
            When nothing is left.
        """
        share = self.left * self._waiting[name] / sum(self._waiting.values())
        del self._waiting[name]
        if not self.left:
            raise OutOfTime("the time was used up by the models before it")
        return Deadline(share, max(share, self.left / 2) if self._waiting else self.left, self._now)

    def spend(self, seconds: float) -> None:
        """What a model took."""
        self._left -= seconds

    def skip(self, name: str) -> None:
        """A model that needs no time: the others share it."""
        self._waiting.pop(name, None)
