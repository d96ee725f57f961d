"""Strengths by cross-validation, and whether a task shares: only where the gain over the folds is clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from tlclassic.multitask.folds import Folds, HeldOut
from tlclassic.multitask.targets import Target

__all__ = ["DENSE_STRENGTHS", "SPARSE_STRENGTHS", "Gain", "search_strength"]

#: Strengths tried, from strong to weak regularisation: rows of n-grams have a length of about one, standardised
#: columns a variance of one.
SPARSE_STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
DENSE_STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
#: How sure a gain must be (one-sided, over the folds).
CONFIDENCE = 0.95


def search_strength(
    folds: Folds, target: Target, weights: NDArray[np.float64], strengths: Sequence[float]
) -> tuple[float, HeldOut, dict[float, float]]:
    """The strength with the best mean metric over the folds, what it gives, and the scores of all that were tried.

    From strong to weak regularisation, until one is worse than the best; ties go to the smaller loss.
    """
    scores: dict[float, float] = {}
    best: tuple[float, HeldOut] | None = None
    found: HeldOut | None = None
    for strength in sorted(strengths):
        found = folds.held_out(target, weights, strength, starts=None if found is None else found.heads)
        scores[strength] = found.score
        if best is None or _rank(found) > _rank(best[1]):
            best = (strength, found)
        else:
            break
    assert best is not None  # there is at least one strength
    return best[0], best[1], scores


def _rank(held: HeldOut) -> tuple[float, float]:
    known = held.losses[~np.isnan(held.losses)]
    return held.score, -float(known.mean()) if len(known) else 0.0


@dataclass(frozen=True)
class Gain:
    """What sharing brings one task, fold by fold, against its independent head.

    Attributes
    ----------
    score : float
        Mean gain of the metric.
    loss : float
        Mean share by which the loss falls.
    clear : bool
        Whether the loss falls and the metric rises by more than chance would let them: paired t-tests over the folds.
    """

    score: float
    loss: float
    clear: bool

    @classmethod
    def of(cls, alone: HeldOut, shared: HeldOut) -> Gain:
        """The gain of ``shared`` over ``alone``, both over the same folds."""
        known = ~(np.isnan(alone.losses) | np.isnan(shared.losses) | np.isnan(alone.scores) | np.isnan(shared.scores))
        if known.sum() < 2:
            return cls(0.0, 0.0, False)
        loss = alone.losses[known] - shared.losses[known]
        score = shared.scores[known] - alone.scores[known]
        quantile = float(student.ppf(CONFIDENCE, len(loss) - 1))
        clear = loss.mean() > quantile * _error(loss) and score.mean() > quantile * _error(score)
        level = max(float(alone.losses[known].mean()), 1e-12)
        return cls(float(score.mean()), float(loss.mean()) / level, bool(clear))

    def at_most(self, other: Gain) -> Gain:
        """The smaller of both, clear where both are."""
        return Gain(min(self.score, other.score), min(self.loss, other.loss), self.clear and other.clear)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"score_gain": self.score, "loss_gain": self.loss, "clear": self.clear}


def _error(values: NDArray[np.float64]) -> float:
    """The standard error of the mean; not 0 where all folds agree on nothing."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))
