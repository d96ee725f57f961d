"""How learning rates go up and down over the steps of a run, and when layers join."""

from __future__ import annotations

import math

__all__ = ["factor", "unfrozen"]

#: By how much the lowest rate of the slanted schedule is smaller than the highest (Howard and Ruder 2018, "ratio").
RATIO = 32


def factor(schedule: str, step: int, total: int, warmup: float) -> float:
    """The share of the peak learning rate that is used at a step.

    Parameters
    ----------
    schedule : {"slanted", "linear", "cosine", "constant"}
        All rise linearly at first. "slanted" then falls linearly to 1/32 of the peak (slanted triangular learning
        rates, Howard and Ruder 2018, section 3.2), "linear" to 0, "cosine" to 0 along a half cosine (Loshchilov and
        Hutter 2017), and "constant" stays.
    step : int
        0 is the first.
    total : int
        Steps of the whole run.
    warmup : float
        Share of the steps in which the rate rises.

    Returns
    -------
    float
        Above 0 and at most 1.

    Examples
    --------
    >>> [round(factor("linear", step, 10, 0.2), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.125]
    """
    rising = math.floor(total * warmup)
    if step < rising:
        return (step + 1) / rising
    left = 1 - (step - rising) / max(1, total - rising)
    if schedule == "slanted":
        return (1 + left * (RATIO - 1)) / RATIO
    if schedule == "linear":
        return left
    if schedule == "cosine":
        return (1 - math.cos(math.pi * left)) / 2
    return 1.0


def unfrozen(step: int, total: int, epoch: int, groups: int) -> int:
    """How many groups of layers are trained at a step of gradual unfreezing: 0 at first, ``groups`` in the end.

    One joins after every epoch (Howard and Ruder 2018), or faster where that would take more than half of the run.

    Parameters
    ----------
    step, total : int
        As for :func:`factor`.
    epoch : int
        Steps of one epoch.
    groups : int

    Examples
    --------
    >>> [unfrozen(step, 100, 10, 3) for step in (0, 9, 10, 20, 30, 99)]
    [0, 0, 1, 2, 3, 3]
    """
    every = min(epoch, total / 2 / max(1, groups))
    return min(groups, int(step / every + 1e-9))
