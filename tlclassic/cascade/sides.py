"""Student and teacher as a cascade sees them: probabilities in one order of classes, answers, confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.pipelines.applying import class_names

__all__ = ["MEASURES", "Side", "codes_of", "key_of", "pair"]

#: What a student's confidence is read off; the last for several labels a text.
MEASURES = ("probability", "margin", "labels")
_TINY = 1e-9


@dataclass(frozen=True)
class Side:
    """A model.

    Attributes
    ----------
    role : {"student", "teacher"}
    model : fitted classifier
    names : list
        Of the columns of its probabilities.
    multilabel : bool
    thresholds : float64 array of shape (C,), or None
        Of a multi-label model, in the order of its own columns.
    order : list of int, or None
        The model's column for each of the cascade's classes; None for its own order.
    """

    role: str
    model: Any
    names: list[Any]
    multilabel: bool
    thresholds: NDArray[np.float64] | None
    order: list[int] | None = None

    def proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of shape (n, C) in the cascade's order, which the caller may write into."""
        if not len(texts):
            return np.empty((0, len(self.names)))
        return self.ordered(self.model.predict_proba(texts), len(texts))

    def ordered(self, proba: Any, n: int) -> NDArray[np.float64]:
        """The model's own probabilities for ``n`` texts in the cascade's order.

        Raises
        ------
        InvalidParameterError
            When they are not of shape (n, C).
        """
        found = np.asarray(proba, dtype=np.float64)
        if found.shape != (n, len(self.names)):
            raise InvalidParameterError(
                f"the {self.role}'s probabilities must be of shape ({n}, {len(self.names)}); got {found.shape}. A "
                "column for each class, in the order of its classes_, is needed."
            )
        return found[:, self.order] if self.order is not None else found

    def answers(self, proba: NDArray[np.float64]) -> NDArray[Any]:
        """What it answers by its ordered probabilities: int64 codes (n,), or the bool matrix of labels (n, C)."""
        if not self.multilabel:
            return np.asarray(proba.argmax(axis=1))
        thresholds = self._ordered_thresholds()
        return proba > 0.5 if thresholds is None else proba >= thresholds

    def surety(self, proba: NDArray[np.float64], measure: str) -> NDArray[np.float64]:
        """How sure it is of its answers, float64 of shape (n,) in 0..1.

        One label a text: the largest probability, which is what the model thinks its answer is right with, and the rule
        that answers most texts at a given error where the probabilities are right (Chow 1970, "On optimum recognition
        error and reject tradeoff"); or its margin over the second. Several labels: the least distance of a
        probability from its label's threshold, as a share of the way from there to 0 or 1, so that the least sure label
        decides; or, as "labels", the mean over the labels, their odds taken relative to those of the threshold.
        """
        if not self.multilabel:
            if measure == "probability":
                return np.asarray(proba.max(axis=1))
            ranked = np.partition(proba, -2, axis=1)
            return np.asarray(ranked[:, -1] - ranked[:, -2])
        thresholds = self._ordered_thresholds()
        cut = np.full(proba.shape[1], 0.5) if thresholds is None else thresholds
        if measure == "labels":
            return _mean_surety(proba, cut)
        # A threshold of 1 leaves no way up, and is reached by 1 alone.
        way = np.where(proba >= cut, np.where(cut < 1, 1 - cut, 1.0), cut)
        return np.asarray((np.abs(proba - cut) / way).min(axis=1))

    def _ordered_thresholds(self) -> NDArray[np.float64] | None:
        if self.thresholds is None or self.order is None:
            return self.thresholds
        return self.thresholds[self.order]


def _mean_surety(proba: NDArray[np.float64], cut: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far labels are from their thresholds in odds, 0 there and 1 at 0 and 1; the mean of each row."""
    p, cut = (np.clip(values, _TINY, 1 - _TINY) for values in (proba, cut))
    yes, no = p * (1 - cut), (1 - p) * cut
    return np.asarray((np.abs(yes - no) / (yes + no)).mean(axis=1))


def pair(
    student: Any, teacher: Any, student_labels: Sequence[Any] | None, teacher_labels: Sequence[Any] | None
) -> tuple[Side, Side | None]:
    """The two sides, the teacher's columns in the student's order.

    Raises
    ------
    InvalidParameterError
        When one of them has no probabilities, when they know different classes (which are named), or when only one of
        them gives several labels a text.
    """
    first = _side("student", student, student_labels)
    if teacher is None:
        return first, None
    second = _side("teacher", teacher, teacher_labels)
    if first.multilabel != second.multilabel:
        several, one = ("student", "teacher") if first.multilabel else ("teacher", "student")
        raise InvalidParameterError(
            f"student and teacher must be of one kind; the {several} gives several labels a text and the {one} one "
            "label. Train them on the same labels."
        )
    _check_same(first.names, second.names)
    places = codes_of(second.names)
    order = [places[key_of(name)] for name in first.names]
    return first, Side(
        "teacher",
        teacher,
        second.names,
        second.multilabel,
        second.thresholds,
        None if order == list(range(len(order))) else order,
    )


def _side(role: str, model: Any, labels: Sequence[Any] | None) -> Side:
    if not getattr(model, "has_probabilities", hasattr(model, "predict_proba")):
        raise InvalidParameterError(
            f"{role} must be a fitted model with predict_proba; got {type(model).__name__}. Calibrate it."
        )
    last = getattr(model, "steps", [("", model)])[-1][1]
    thresholds = getattr(last, "thresholds_", None)
    flags = (getattr(last, "multilabel_", None), getattr(last, "multilabel", None))
    multilabel = labels is not None or thresholds is not None or any(flag is True or flag is np.True_ for flag in flags)
    names = class_names(model, labels)
    return Side(role, model, names, multilabel, None if thresholds is None else np.asarray(thresholds, np.float64))


def _check_same(ours: list[Any], theirs: list[Any]) -> None:
    first, second = codes_of(ours), codes_of(theirs)
    problems = [
        f"only the {role} knows {', '.join(map(repr, only[:5]))}" + (f" and {len(only) - 5} more" * (len(only) > 5))
        for role, names, others in (("student", ours, second), ("teacher", theirs, first))
        if (only := [name for name in names if key_of(name) not in others])
    ]
    if problems:
        raise InvalidParameterError(
            f"student and teacher must know the same classes; {'; '.join(problems)}. Train them on the same labels."
        )


def codes_of(names: Sequence[Any]) -> dict[Any, int]:
    """The place of each class; one that is equal and of another type is another class."""
    return {key_of(name): place for place, name in enumerate(names)}


def key_of(name: Any) -> tuple[str, Any]:
    """What tells a class from others: its type and its value."""
    name = name.item() if isinstance(name, np.generic) else name
    return type(name).__name__, name
