"""Where student and teacher differ: texts, decisions, and what in the text moved the student."""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Disagreement", "Ngram", "Span", "disagreements"]

#: A long text has thousands of parts; the strongest are kept.
_MOST_SPANS = 200
_MOST_NGRAMS = 8
#: Below it a weight is a rounding.
_NOTHING = 1e-9

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Span:
    """Characters ``text[start:end]`` and what they add to the log-odds of the student's decision.

    Attributes
    ----------
    start, end : int
    weight : float
    """

    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Ngram:
    """An n-gram or word, and what all its places in the text add to the log-odds of the student's decision.

    Attributes
    ----------
    text : str
    weight : float
    """

    text: str
    weight: float


@dataclass(frozen=True)
class Disagreement:
    """A text that student and teacher label differently.

    Attributes
    ----------
    position : int
        Among the texts, from 0.
    text : str
    truth : label, list of labels, or None
        None without a truth.
    teacher_label, student_label : label, or list of labels
    contested : label or None
        When multi-label, the label on which they differ that the student is surest of.
    teacher_probability, student_probability : float
        That each gives to its label; when multi-label, to ``contested``.
    teacher_is_right, student_is_right : bool or None
    spans : list of Span
        In the order of the text, without overlap: each n-gram's weight spread over its characters and summed by word;
        the 200 strongest. Empty where the student cannot explain itself.
    ngrams : list of Ngram
        The eight strongest, the strongest first.
    """

    position: int
    text: str
    truth: Any
    teacher_label: Any
    student_label: Any
    contested: Any
    teacher_probability: float
    student_probability: float
    teacher_is_right: bool | None = None
    student_is_right: bool | None = None
    spans: list[Span] = field(default_factory=list)
    ngrams: list[Ngram] = field(default_factory=list)


@dataclass(frozen=True)
class Side:
    """Probabilities and decisions of one model, arrays (n, classes)."""

    proba: Floats
    decided: Bools


def disagreements(
    texts: Sequence[str],
    classes: Sequence[Any],
    teacher: Side,
    student: Side,
    truth: Bools | None,
    model: Any,
    *,
    multilabel: bool,
    most: int,
) -> list[Disagreement]:
    """Those on which the student is surest, at most ``most``; ``classes`` may go on after those of the models."""
    differ = teacher.decided != student.decided
    # The student's probability of its own decision, where it differs.
    stated = np.where(student.decided, student.proba, 1 - student.proba if multilabel else -1.0)
    surest = np.where(differ, stated, -1.0)
    rows = np.flatnonzero(differ.any(axis=1))
    rows = rows[np.argsort(-surest[rows].max(axis=1), kind="stable")][:most]
    found = []
    for row in rows.tolist():
        label = int(surest[row].argmax())
        against = label if multilabel else int(teacher.decided[row].argmax())
        weights = _weights(model, texts[row], classes, label, None if multilabel else against)
        sign = -1.0 if multilabel and not student.decided[row, label] else 1.0
        found.append(
            Disagreement(
                position=row,
                text=texts[row],
                truth=None if truth is None else _labels(truth[row], classes, multilabel),
                teacher_label=_labels(teacher.decided[row], classes, multilabel),
                student_label=_labels(student.decided[row], classes, multilabel),
                contested=classes[label] if multilabel else None,
                teacher_probability=float(teacher.proba[row, against]),
                student_probability=float(student.proba[row, label]),
                teacher_is_right=None if truth is None else _same(teacher.decided[row], truth[row]),
                student_is_right=None if truth is None else _same(student.decided[row], truth[row]),
                spans=_spans(texts[row], weights, sign),
                ngrams=_ngrams(weights, sign),
            )
        )
    return found


def _same(one: Bools, other: Bools) -> bool:
    return bool((one == other).all())


def _labels(row: Bools, classes: Sequence[Any], multilabel: bool) -> Any:
    found = [classes[i] for i in np.flatnonzero(row).tolist()]
    return found if multilabel else found[0]


def _weights(
    model: Any, text: str, classes: Sequence[Any], label: int, against: int | None
) -> list[tuple[str, int, int, float]]:
    """What each n-gram adds to the log-odds of ``label`` against the other: (text, start, end, weight)."""
    if not hasattr(model, "explain"):
        return []
    parts = [(p.text, p.start, p.end, p.weight) for p in model.explain(text, classes[label]).contributions]
    # The one logit of two classes is their log-odds already.
    if against is None or _has_one_logit(model):
        return parts
    other = model.explain(text, classes[against]).contributions
    return parts + [(p.text, p.start, p.end, -p.weight) for p in other]


def _has_one_logit(model: Any) -> bool:
    if len(model.classes_) != 2 or not hasattr(model, "decision_function"):
        return False
    return bool(np.ndim(model.decision_function(["a"])) == 1)


def _spans(text: str, weights: Sequence[tuple[str, int, int, float]], sign: float) -> list[Span]:
    """Weights spread over characters that are not spaces, and summed by word."""
    if not weights:
        return []
    solid = np.array([not one.isspace() for one in text])
    before = np.concatenate([[0], np.cumsum(solid)])
    steps = np.zeros(len(text) + 1)
    for _, start, end, weight in weights:
        count = before[end] - before[start]
        if count:
            steps[start] += weight / count
            steps[end] -= weight / count
    each = np.cumsum(steps)[:-1] * solid * sign
    found = [Span(start, end, float(each[start:end].sum())) for start, end in _words(text)]
    kept = sorted(found, key=lambda span: -abs(span.weight))[:_MOST_SPANS]
    return sorted((span for span in kept if abs(span.weight) > _NOTHING), key=lambda span: span.start)


def _words(text: str) -> list[tuple[int, int]]:
    """Runs of letters and digits, runs of signs; wide characters, which need no space between words, one by one."""
    kinds: list[Any] = []
    for place, one in enumerate(text):
        if one.isspace():
            kinds.append(" ")
        elif kinds and (unicodedata.category(one)[0] == "M" or unicodedata.category(one) == "Cf"):
            kinds.append(kinds[-1])
        elif one.isalnum() and not one.isascii() and unicodedata.east_asian_width(one) in "WF":
            kinds.append(place)
        else:
            kinds.append("a" if one.isalnum() or one == "_" else ".")
    found, start = [], 0
    for kind, run in groupby(kinds):
        end = start + len(list(run))
        if kind != " ":
            found.append((start, end))
        start = end
    return found


def _ngrams(weights: Sequence[tuple[str, int, int, float]], sign: float) -> list[Ngram]:
    sums: dict[str, list[float]] = defaultdict(list)
    for text, _, _, weight in weights:
        sums[text].append(sign * weight)
    found = [Ngram(text, math.fsum(parts)) for text, parts in sums.items()]
    found.sort(key=lambda one: -abs(one.weight))
    return [one for one in found[:_MOST_NGRAMS] if abs(one.weight) > _NOTHING]
