"""How well a student keeps to its teacher, in numbers: scores with intervals, losses by class, divergence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from tlclassic.evaluation.calibration import ReliabilityBin, binned, calibration_error, wilson_interval

__all__ = [
    "Calibration",
    "ClassFidelity",
    "Estimate",
    "Outcomes",
    "Scores",
    "calibration",
    "class_fidelities",
    "difference_interval",
    "divergence",
    "outcomes",
    "share",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A number and its interval; the ends are None where there is none to state.

    Attributes
    ----------
    value : float
    low, high : float or None
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Scores:
    """A model against the truth.

    Attributes
    ----------
    accuracy : Estimate
        Wilson interval. When multi-label, the share of texts whose set of labels is exactly right.
    macro_f1 : Estimate
        Bootstrap interval.
    """

    accuracy: Estimate
    macro_f1: Estimate


@dataclass(frozen=True)
class Calibration:
    """Stated probabilities against the share that was right.

    Attributes
    ----------
    error : float
        Expected calibration error.
    bins : list of ReliabilityBin
    """

    error: float
    bins: list[ReliabilityBin]


@dataclass(frozen=True)
class ClassFidelity:
    """What became of one class (of one label, when multi-label); scores are None without a truth.

    Attributes
    ----------
    label : str, int or bool
    support : int or None
        Texts that have the class.
    told : int
        Texts to which the teacher gives it.
    agreement : float or None
        Share of those to which the student gives it too; None where the teacher never does.
    teacher_recall, student_recall : float or None
        Of the texts that have the class, the share that was given it: the accuracy of the class.
    teacher_f1, student_f1 : float or None
    loss : float or None
        ``teacher_f1 - student_f1``.
    """

    label: Any
    support: int | None
    told: int
    agreement: float | None
    teacher_recall: float | None = None
    student_recall: float | None = None
    teacher_f1: float | None = None
    student_f1: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Outcomes:
    """How many texts both, one or none of the two got right.

    Attributes
    ----------
    both, only_teacher, only_student, neither : int
    """

    both: int
    only_teacher: int
    only_student: int
    neither: int


def share(hits: Bools, confidence: float) -> Estimate:
    """A share with its Wilson interval."""
    count, n = int(hits.sum()), len(hits)
    return Estimate(count / n, *wilson_interval(count, n, confidence))


def outcomes(teacher_right: Bools, student_right: Bools) -> Outcomes:
    """Counts of both arrays' combinations, shape (n,)."""
    both = int((teacher_right & student_right).sum())
    teacher, student = int(teacher_right.sum()), int(student_right.sum())
    return Outcomes(both, teacher - both, student - both, len(teacher_right) - teacher - student + both)


def difference_interval(counts: Outcomes, confidence: float) -> tuple[float, float]:
    """Interval of the student's accuracy minus the teacher's on the same texts.

    Wald's interval for paired proportions with half a text added to each of the four counts (Agresti and Min 2005,
    https://doi.org/10.1002/sim.1781), which has a width even where the two never differ.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    gained, lost = counts.only_student + 0.5, counts.only_teacher + 0.5
    n = counts.both + counts.neither + gained + lost + 1
    centre = (gained - lost) / n
    margin = z * math.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    return max(-1.0, centre - margin), min(1.0, centre + margin)


def divergence(teacher: Floats, student: Floats, *, one_of: bool) -> float:
    """Mean of KL(teacher || student) in nats; over decisions of texts and labels when several labels may be right.

    The student's probabilities count as at least the float64 epsilon, so that a zero costs much but not all.

    Parameters
    ----------
    teacher, student : float64 array (n, classes)
    one_of : bool
        Whether each row is one distribution.
    """
    if one_of:
        return max(0.0, float(_relative(teacher, student).sum(axis=1).mean()))
    return max(0.0, float((_relative(teacher, student) + _relative(1 - teacher, 1 - student)).mean()))


def _relative(p: Floats, q: Floats) -> Floats:
    tiny = np.finfo(np.float64).eps
    logs = np.log(np.maximum(p, tiny)) - np.log(np.maximum(q, tiny))
    return np.asarray(p * logs)


def calibration(proba: Floats, decided: Bools, truth: Bools, *, one_of: bool) -> Calibration:
    """Of the most probable class, or of every label.

    Parameters
    ----------
    proba : float64 array (n, classes)
    decided, truth : bool array (n, classes)
    """
    right: Bools = np.any(decided & truth, axis=1) if one_of else truth.ravel()
    bins = binned(proba.max(axis=1) if one_of else proba.ravel(), right)
    return Calibration(calibration_error(bins), bins)


def class_fidelities(
    classes: Sequence[Any], teacher: Bools, student: Bools, truth: Bools | None
) -> list[ClassFidelity]:
    """The classes with the largest loss first, without a truth those with the least agreement; arrays (n, classes)."""
    told, shared = teacher.sum(axis=0), (teacher & student).sum(axis=0)
    agreement = [int(s) / int(t) if t else None for s, t in zip(shared, told, strict=True)]
    if truth is None:
        found = [ClassFidelity(c, None, int(t), a) for c, t, a in zip(classes, told, agreement, strict=True)]
        return sorted(found, key=lambda one: (2.0 if one.agreement is None else one.agreement, -one.told))
    support = truth.sum(axis=0)
    (t_recall, t_f1), (s_recall, s_f1) = _recall_f1(truth, teacher), _recall_f1(truth, student)
    scored = [
        ClassFidelity(
            label, int(support[i]), int(told[i]), agreement[i],
            t_recall[i], s_recall[i], t_f1[i], s_f1[i], t_f1[i] - s_f1[i],
        )
        for i, label in enumerate(classes)
    ]  # fmt: skip
    return sorted(scored, key=lambda one: (-(one.loss or 0.0), -(one.support or 0)))


def _recall_f1(truth: Bools, decided: Bools) -> tuple[list[float], list[float]]:
    hits, support, claimed = (truth & decided).sum(axis=0), truth.sum(axis=0), decided.sum(axis=0)
    return (hits / np.maximum(support, 1)).tolist(), (2 * hits / np.maximum(support + claimed, 1)).tolist()
