"""Where a cascade's threshold is put, from the student's confidence on dev texts and what came of its answers.

# Design: what is promised, over what, and why.
#
# The dev texts are taken as drawn, each by itself, from where later texts come from; student and teacher are fixed
# beforehand. A promise at confidence 1 - delta says: with a probability of 1 - delta over the draw of the dev texts,
# the threshold that comes out of them has, over later texts, an error rate of at most alpha. It says nothing of one
# set of later texts, whose own rate wavers around that, and nothing once texts of another kind come.
#
# A promise about the m texts that come next is about their own rate: with a probability of 1 - delta over the draw of
# dev texts and later ones, of these at most c = floor(alpha m) are answered and differ. Here is no rate to test; the
# texts, all drawn alike, may be thought of as shuffled. Order those of all n + m that differ from the surest down. The
# threshold leaves at most k differing dev texts above it, as low as that goes, so it is broken if more than c later
# ones come before dev text k + 1 in that order: if among the first k + c + 1 at most k are dev texts, which has a
# hypergeometric probability, however many differ. k is the largest for which that is at most delta. (Where fewer than
# k + c + 1 differ in all, the same holds with a smaller k, and is less probable.)
#
# Fixed-sequence testing: hypotheses "threshold t has a rate above alpha" are tested one after another, each at level
# delta, in an order that does not depend on the data; the first that is not rejected ends it. A false rejection needs
# one at the first true hypothesis, so it has a probability of at most delta however many are tested (Bauer 1991,
# Statistics in Medicine 10, "Multiple testing in clinical trials"; for choosing parameters: Angelopoulos et al. 2021,
# "Learn then Test", https://arxiv.org/abs/2110.01052).
#
# Agreement. A text that is passed on agrees with the teacher by definition, so the rate is L(t) = P(confidence >= t
# and the answers differ), over all texts. The sequence is every number, from the largest down: it is fixed, and its
# test at t, a bound on a binomial count of n, is exact. The count changes at the confidences of dev texts only, so
# walking down those walks through all numbers; they are no grid that was chosen by the data. The continuum costs
# nothing because L and the count both rise as t falls. If a threshold with L > alpha comes out, the test has passed
# at it and at all above it; let t0 be the supremum of thresholds with L > alpha. L is continuous from the left, so
# either L(t0) > alpha, and the test passed at the fixed t0: at most delta; or the test passed at some t < t0 with
# L(t) > alpha, and these events grow towards their union as t rises to t0: at most delta as well. Any threshold in
# the gap down to the next dev confidence has passed, hence the middle of it. (Bates et al. 2021, "Distribution-free,
# risk-controlling prediction sets", https://arxiv.org/abs/2101.02703, have the same argument for a risk that is
# monotone and continuous.)
#
# Accuracy of what is answered. r(t) = P(wrong | confidence >= t) is not monotone, and thresholds that so few texts
# reach that no test could pass must be left out, or the sequence ends where it begins. Where to begin and where to
# step must then not be read off the texts that are tested: given that the surest texts of a sample lie dense or
# sparse, the errors above a threshold are not binomial any more. So every tenth dev text is set apart, and the
# thresholds are its confidences; given these, the sequence is fixed, and given how many of the other texts reach a
# threshold the errors among them are binomial: the test is exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.cascade.bounds import allowed_errors, texts_needed, upper_bound

__all__ = ["SET_APART", "by_accuracy", "by_agreement", "by_share"]

#: One dev text in so many is for the thresholds that are tried for accuracy, and not for the tests.
SET_APART = 10
#: The first threshold tried for accuracy leaves so many times the texts that are needed, to survive a few errors.
_ROOM = 2.5
_STEPS = 100


def by_agreement(
    surety: NDArray[np.float64], equal: NDArray[Any], agreement: float, confidence: float, later: int | None = None
) -> float:
    """The lowest threshold at which cascade and teacher agree on ``agreement`` of all texts, at ``confidence``.

    Parameters
    ----------
    surety : float64 array of shape (n,)
        The student's confidence, 0..1.
    equal : bool array of shape (n,)
        Whether it gives the teacher's answer.
    later : int, optional
        Of the next so many texts, instead of all that may come.

    Returns
    -------
    float
        Infinity where no threshold can be shown to keep the promise.
    """
    allowed = allowed_errors(len(surety), 1 - agreement, confidence, later)
    if allowed < 0:
        return math.inf
    differing = np.sort(surety[~equal])[::-1]
    if len(differing) <= allowed:
        return 0.0
    above = surety[surety > differing[allowed]]
    return _between(differing[allowed], above.min()) if len(above) else math.inf


def by_accuracy(surety: NDArray[np.float64], right: NDArray[Any], accuracy: float, confidence: float) -> float:
    """The lowest threshold in the sequence at which ``accuracy`` of the answered texts are right; as `by_agreement`."""
    apart = np.arange(len(surety)) % SET_APART == 0
    tested, wrong = surety[~apart], ~right[~apart]
    needed = texts_needed(1 - accuracy, confidence)
    if len(tested) < needed:
        return math.inf
    steps = _steps(surety[apart], min(_ROOM * needed, max(needed, len(tested) // 2)) / len(tested))
    order = np.argsort(-tested)
    answered = np.searchsorted(-tested[order], -steps, side="right")
    errors = np.concatenate([[0], np.cumsum(wrong[order])])[answered]
    failed = np.flatnonzero(upper_bound(errors, answered, confidence) > 1 - accuracy)
    passed = steps[: failed[0]] if len(failed) else steps
    return float(passed[-1]) if len(passed) else math.inf


def _steps(surety: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """Thresholds that from the share ``start`` up to all of the texts reach, from the strictest to the loosest."""
    ranked = np.sort(surety)[::-1]
    first = min(len(ranked), math.ceil(start * len(ranked)))
    places = np.unique(np.linspace(first, len(ranked), min(_STEPS, len(ranked) - first + 1)).astype(int)) - 1
    return np.append(np.unique(ranked[places])[::-1], 0.0)


def by_share(surety: NDArray[np.float64], share: float) -> float:
    """The highest threshold that at most ``share`` of the texts, shape (n,), fall short of."""
    passed_on = math.floor(share * len(surety) + 1e-9)
    if passed_on == len(surety):
        return math.inf
    ranked = np.sort(surety)
    return _between(ranked[passed_on - 1], ranked[passed_on]) if passed_on else 0.0


def _between(low: float, high: float) -> float:
    """Half-way, so that no rounding of a confidence crosses it; ``high`` where there is nothing between."""
    middle = float((low + high) / 2)
    return middle if low < middle else float(high)
