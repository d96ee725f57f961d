"""Intervals of scores, and of ratios of scores, by resampling the texts for all models at once."""

# Design: a score depends on a text only through its truth and what each model decided. Texts that are alike in this
# form a cell, and a bootstrap sample is a draw of the cells' counts from a multinomial distribution: the same
# distribution as drawing texts with replacement, at a cost of the number of cells and not of texts.

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tlclassic.distillation.fidelity_measures import Estimate

__all__ = ["REPLICATES", "Cells", "gap_closed", "percentiles", "retention"]

REPLICATES = 2000
#: Counts drawn at a time.
_DRAWN = 2_000_000

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Cells:
    """Texts that are alike in truth and decisions, with their number.

    Parameters
    ----------
    truth : bool array (n, classes)
    decided : sequence of bool arrays (n, classes)
        Of each model.
    """

    def __init__(self, truth: Bools, decided: Sequence[Bools]) -> None:
        packed = np.packbits(np.hstack([truth, *decided]), axis=1)
        _, first, counts = np.unique(packed, axis=0, return_index=True, return_counts=True)
        self._counts = counts.astype(np.float64)
        self._n = len(truth)
        self._truth = truth[first]
        self._decided = [said[first] for said in decided]

    def scores(self) -> Floats:
        """float64 array (models, 2): accuracy and macro-F1."""
        found: Floats = self._measure(self._counts[None, :])[0]
        return found

    def replicates(self, random_state: int) -> Floats:
        """float64 array (REPLICATES, models, 2): the scores of as many bootstrap samples."""
        rng = np.random.default_rng(random_state)
        size = max(1, _DRAWN // len(self._counts))
        drawn = []
        for start in range(0, REPLICATES, size):
            counts = rng.multinomial(self._n, self._counts / self._n, size=min(size, REPLICATES - start))
            drawn.append(self._measure(counts.astype(np.float64)))
        return np.concatenate(drawn)

    def _measure(self, counts: Floats) -> Floats:
        """From counts (samples, cells) to scores (samples, models, 2)."""
        support = counts @ self._truth
        scores = np.empty((len(counts), len(self._decided), 2))
        for model, decided in enumerate(self._decided):
            scores[:, model, 0] = counts @ (decided == self._truth).all(axis=1) / self._n
            hits, both = counts @ (decided & self._truth), support + counts @ decided
            f1 = np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0)
            # Over the classes that occur in the truth or in the decisions, as everywhere in this package.
            scores[:, model, 1] = f1.sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1)
        return scores


def percentiles(value: float, samples: Floats, confidence: float) -> Estimate:
    """``value`` with the percentile interval of its bootstrap samples (Efron 1981)."""
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))


def retention(teacher: float, student: float, samples: Floats, confidence: float) -> Estimate | None:
    """The student's score over the teacher's; None where the teacher has none.

    Parameters
    ----------
    samples : float64 array (replicates, 2)
        Bootstrap samples of teacher and student.
    """
    if teacher <= 0:
        return None
    return _ratio(student / teacher, samples[:, 1], samples[:, 0], confidence)


def gap_closed(teacher: float, student: float, plain: float, samples: Floats, confidence: float) -> Estimate | None:
    """How much of the way from the undistilled student to the teacher the student went; None where there is no way.

    Parameters
    ----------
    samples : float64 array (replicates, 3)
        Bootstrap samples of teacher, student and undistilled student.
    """
    if teacher <= plain:
        return None
    value = (student - plain) / (teacher - plain)
    return _ratio(value, samples[:, 1] - samples[:, 2], samples[:, 0] - samples[:, 2], confidence)


def _ratio(value: float, above: Floats, below: Floats, confidence: float) -> Estimate:
    """No interval where too many samples have nothing below the line: the ratio then has no bound."""
    sound = below > 0
    if 1 - sound.mean() > (1 - confidence) / 2:
        return Estimate(value)
    return percentiles(value, above[sound] / below[sound], confidence)
