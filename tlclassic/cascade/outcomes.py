"""Dev texts run through student and teacher: what a threshold is set by, and what is reported of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.cascade.report import CascadeReport
from tlclassic.cascade.sides import Side, codes_of, key_of
from tlclassic.errors import InvalidParameterError

__all__ = ["Outcomes", "digest_of", "run"]


@dataclass(frozen=True)
class Outcomes:
    """What came of n texts.

    Attributes
    ----------
    surety : float64 array of shape (n,)
    equal : bool array of shape (n,), or None
        Whether the student answers as the teacher does.
    right : dict of str to bool array of shape (n,)
        Whether ``"student"`` and ``"teacher"`` give the true label; False where that is not known.
    known : bool array of shape (n,)
        Which texts have a true label.
    student_seconds, teacher_seconds : float
        Of all n texts; 0 where the probabilities were given.
    """

    surety: NDArray[np.float64]
    equal: NDArray[np.bool_] | None
    right: dict[str, NDArray[np.bool_]]
    known: NDArray[np.bool_]
    student_seconds: float
    teacher_seconds: float

    def report(self, threshold: float) -> CascadeReport:
        """Of a cascade with this threshold."""
        answered = self.surety >= threshold
        n = len(answered)
        agreement = student_agreement = None
        if self.equal is not None and n:
            agreement, student_agreement = float((self.equal | ~answered).mean()), float(self.equal.mean())
        return CascadeReport(
            n, int(n - answered.sum()), self.student_seconds, self.teacher_seconds, n if self.teacher_seconds else 0,
            agreement, student_agreement, int(self.known.sum()), self._accuracy(answered),
        )  # fmt: skip

    def _accuracy(self, answered: NDArray[np.bool_]) -> dict[str, float]:
        found = {role: float(right[self.known].mean()) for role, right in self.right.items() if self.known.any()}
        if "teacher" in self.right:
            right, counted = np.where(answered, self.right["student"], self.right["teacher"]), self.known
        elif "student" in self.right:
            right, counted = self.right["student"], self.known & answered
        else:
            return found
        return {**found, "cascade": float(right[counted].mean())} if counted.any() else found


def run(
    student: Side, teacher: Side | None, texts: Sequence[str], y: Any, teacher_proba: Any, measure: str
) -> Outcomes:
    """Ask both about all texts; the teacher not where its probabilities are given.

    Raises
    ------
    InvalidParameterError
        When labels or probabilities do not fit the texts.
    """
    start = time.perf_counter()
    proba = student.proba(texts)
    student_seconds = time.perf_counter() - start
    answers = {"student": student.answers(proba)}
    teacher_seconds = 0.0
    if teacher is not None:
        start = time.perf_counter()
        given = teacher_proba is not None
        theirs = teacher.ordered(teacher_proba, len(texts)) if given else teacher.proba(texts)
        teacher_seconds = 0.0 if given else time.perf_counter() - start
        answers["teacher"] = teacher.answers(theirs)
    truth, known = _truth(student, y, len(texts))
    right = {} if y is None else {role: _same(found, truth) & known for role, found in answers.items()}
    equal = _same(answers["student"], answers["teacher"]) if "teacher" in answers else None
    return Outcomes(student.surety(proba, measure), equal, right, known, student_seconds, teacher_seconds)


def digest_of(texts: Sequence[str]) -> str:
    """SHA-256 (hex) of the texts, each with its length, so that no two lists have the same."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()


def _same(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether the answers are the same; of several labels, all of them."""
    equal: NDArray[np.bool_] = first == second
    return equal if equal.ndim == 1 else np.asarray(equal.all(axis=1))


def _truth(student: Side, y: Any, n: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The true answers, as codes (n,) or a matrix (n, C), and which are known; an unknown class is never right."""
    if y is None:
        return np.zeros(0), np.zeros(n, dtype=bool)
    if len(y) != n:
        raise InvalidParameterError(f"texts and y must have as many rows; got {n} and {len(y)}.")
    if student.multilabel and isinstance(y, np.ndarray) and y.ndim == 2:
        if y.shape[1] != len(student.names):
            raise InvalidParameterError(f"y must have a column for each of {len(student.names)} labels; got {y.shape}.")
        return y.astype(bool).astype(np.int64), np.ones(n, dtype=bool)
    rows = y.tolist() if isinstance(y, np.ndarray) else list(y)
    known = np.array([label is not None for label in rows], dtype=bool)
    return (_indicators(student.names, rows) if student.multilabel else _codes(student.names, rows)), known


def _codes(names: list[Any], rows: list[Any]) -> NDArray[np.int64]:
    places = codes_of(names)
    listed = next((row for row in rows if isinstance(row, (list, tuple, set))), None)
    if listed is not None:
        raise InvalidParameterError(f"y must hold one label a text; got {listed!r:.80}.")
    return np.array([places.get(key_of(row), -1) for row in rows], dtype=np.int64)


def _indicators(names: list[Any], rows: list[Any]) -> NDArray[np.int64]:
    places = codes_of(names)
    found = np.zeros((len(rows), len(names)), dtype=np.int64)
    for number, row in enumerate(rows):
        if isinstance(row, str) or not (row is None or hasattr(row, "__iter__")):
            raise InvalidParameterError(
                f"y must hold a list of labels for each text, or be a matrix with a column for each; got {row!r:.80}."
            )
        columns = [places.get(key_of(label), -1) for label in row or ()]
        found[number, columns] = 1
        if -1 in columns:
            found[number] = 2  # as no answer has: a text with a label that the models do not know is never right
    return found
