"""From what is wanted of a cascade to its threshold, with what can and cannot be promised."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tlclassic._validate import check_integer, check_number
from tlclassic.cascade.bounds import texts_needed
from tlclassic.cascade.choosing import SET_APART, by_accuracy, by_agreement, by_share
from tlclassic.cascade.outcomes import Outcomes
from tlclassic.cascade.report import Tuning
from tlclassic.errors import InvalidParameterError

__all__ = ["set_threshold"]

_DEFAULT_AGREEMENT = 0.995


def set_threshold(
    outcomes: Outcomes,
    goals: Mapping[str, float | None],
    confidence: float,
    later: int | None,
    dev_sha256: str,
    *,
    teacher: bool,
) -> Tuning:
    """The threshold for the one goal that is given.

    Raises
    ------
    InvalidParameterError
        When the goals do not fit the cascade or each other, or there is nothing to set the threshold by.
    """
    kind, value = _goal(goals, teacher)
    _check_share("confidence", confidence)
    if later is not None:
        check_integer("later", later, low=1)
        if kind != "agreement":
            raise InvalidParameterError(f"later goes with agreement; got {kind}. Leave it out.")
    n = len(outcomes.surety)
    if not n:
        raise InvalidParameterError("texts must hold at least one text to set the threshold by; got none.")
    if kind == "share":
        threshold = by_share(outcomes.surety, value)
        return Tuning(kind, value, None, None, threshold, None, None, dev_sha256, outcomes.report(threshold))
    needed = texts_needed(1 - value, confidence, later)
    if kind == "accuracy":
        threshold, n = _for_accuracy(outcomes, value, confidence), int(outcomes.known.sum())
        needed = math.ceil(needed * SET_APART / (SET_APART - 1))
    else:
        assert outcomes.equal is not None  # there is a teacher
        threshold = by_agreement(outcomes.surety, outcomes.equal, value, confidence, later)
    note = None if math.isfinite(threshold) else _note(kind, value, confidence, n, needed)
    return Tuning(kind, value, confidence, later, threshold, needed, note, dev_sha256, outcomes.report(threshold))


def _for_accuracy(outcomes: Outcomes, accuracy: float, confidence: float) -> float:
    known = outcomes.known
    if not known.any():
        raise InvalidParameterError("y must hold the true labels where accuracy is wanted; got none.")
    return by_accuracy(outcomes.surety[known], outcomes.right["student"][known], accuracy, confidence)


def _goal(goals: Mapping[str, float | None], teacher: bool) -> tuple[str, float]:
    given = {name: value for name, value in goals.items() if value is not None}
    if len(given) > 1:
        raise InvalidParameterError(f"{' and '.join(given)} must not be given together. Leave one out.")
    if not given and not teacher:
        raise InvalidParameterError("accuracy or share must be given where there is no teacher; got neither.")
    ((kind, value),) = given.items() if given else [("agreement", _DEFAULT_AGREEMENT)]
    if kind == "agreement" and not teacher:
        raise InvalidParameterError("agreement must be left out where there is no teacher. Give accuracy or share.")
    if kind == "accuracy" and teacher:
        raise InvalidParameterError("accuracy is for a cascade without a teacher. Give agreement or share.")
    if kind == "share":
        check_number("share", value, low=0, high=1)
    else:
        _check_share(kind, value)
    return kind, float(value)


def _check_share(name: str, value: float) -> None:
    check_number(name, value, low=0, high=1)
    if value in (0, 1):
        raise InvalidParameterError(
            f"{name} must be above 0 and below 1; got {value!r}. No number of texts shows that something always holds."
        )


def _note(kind: str, value: float, confidence: float, n: int, needed: int) -> str:
    wanted = f"{kind}={value:g} at confidence={confidence:g}"
    then = "No text is answered by the student."
    if n < needed:
        return f"{wanted} cannot be shown on {n:,} texts: it takes at least {needed:,}, if all are right. {then}"
    return (
        f"{wanted} cannot be shown at any threshold: the student errs too often where it is surest. {then} Give more "
        "texts, or ask for less."
    )
