"""What a cascade did with some texts, and how its threshold came to be: numbers, tables, JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

__all__ = ["CascadeReport", "Tuning", "report_table", "shares"]


@dataclass(frozen=True)
class CascadeReport:
    """What a cascade did with n texts.

    Attributes
    ----------
    n, passed_on : int
        Texts, and those that the student was not sure of.
    student_seconds, teacher_seconds : float
        Wall-clock time of each; the student has scored n texts, the teacher ``teacher_texts``.
    teacher_texts : int
        Those that were passed on; all n where the teacher was asked about all to compare, 0 where its probabilities
        were there already.
    agreement, student_agreement : float or None
        Share of all texts for which the cascade, and the student alone, answer as the teacher does, where that is
        known.
    labelled : int
        Texts whose true label is known.
    accuracy : dict of str to float
        Of ``"student"``, ``"teacher"`` and ``"cascade"`` on those, as far as known; without a teacher, the cascade's is
        that of the texts it answers. With several labels a text, a text is right when all its labels are.
    """

    n: int
    passed_on: int
    student_seconds: float = 0.0
    teacher_seconds: float = 0.0
    teacher_texts: int = 0
    agreement: float | None = None
    student_agreement: float | None = None
    labelled: int = 0
    accuracy: dict[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Share of the texts that were passed on; 0 of none."""
        return self.passed_on / self.n if self.n else 0.0

    @property
    def student_speed(self) -> float | None:
        """The student's texts a second, None without a measurement."""
        return self.n / self.student_seconds if self.n and self.student_seconds else None

    @property
    def teacher_speed(self) -> float | None:
        """The teacher's texts a second, None without a measurement."""
        return self.teacher_texts / self.teacher_seconds if self.teacher_texts and self.teacher_seconds else None

    @property
    def speed(self) -> float | None:
        """The cascade's texts a second: of all texts, with the teacher's time for those passed on, at its mean speed.

        None without a measurement.
        """
        if self.student_speed is None or (self.passed_on and self.teacher_speed is None):
            return None
        teacher = self.passed_on / self.teacher_speed if self.passed_on and self.teacher_speed else 0.0
        return self.n / (self.student_seconds + teacher)

    def __add__(self, other: CascadeReport) -> CascadeReport:
        """Of two batches; what was measured on one of them alone is left out."""
        names = ("n", "passed_on", "student_seconds", "teacher_seconds", "teacher_texts")
        return CascadeReport(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def as_dict(self) -> dict[str, Any]:
        """One object of JSON's types, the derived numbers included."""
        derived = ("share", "student_speed", "teacher_speed", "speed")
        return {**asdict(self), **{name: getattr(self, name) for name in derived}}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`as_dict`."""
        return cls(**{spec.name: value[spec.name] for spec in fields(cls)})


@dataclass(frozen=True)
class Tuning:
    """How a threshold was set.

    Attributes
    ----------
    kind : {"agreement", "accuracy", "share"}
        What was asked for.
    value : float
        How much of it.
    confidence : float or None
        Of the promise; a share is no promise.
    later : int or None
        How many texts the promise is about; None: all that may come.
    threshold : float
        Infinity where every text is passed on.
    needed : int or None
        Dev texts without which the promise could not be given even if no answer of the student was wrong.
    note : str or None
        Why no promise but the empty one could be given.
    dev_sha256 : str
        Of the dev texts.
    report : CascadeReport
        The cascade on the dev texts.
    """

    kind: str
    value: float
    confidence: float | None
    later: int | None
    threshold: float
    needed: int | None
    note: str | None
    dev_sha256: str
    report: CascadeReport

    def as_dict(self) -> dict[str, Any]:
        """One object of JSON's types; the threshold is None where it is infinite."""
        plain = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        threshold = self.threshold if math.isfinite(self.threshold) else None
        return {**plain, "threshold": threshold, "report": self.report.as_dict()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`as_dict`."""
        # "later" came with a second kind of promise: a folder that was written before has the first.
        plain = {spec.name: value[spec.name] for spec in fields(cls) if spec.name != "later"}
        plain["later"] = value.get("later")
        threshold = math.inf if plain["threshold"] is None else float(plain["threshold"])
        return cls(**{**plain, "threshold": threshold, "report": CascadeReport.from_dict(plain["report"])})


def shares(report: CascadeReport, *, teacher: bool) -> str:
    """One line: how many texts there were, how many the student left, and how fast that went."""
    left = f"{report.passed_on:,} ({report.share:.1%})"
    what = f"{left} passed on to the teacher" if teacher else f"{left} left unanswered"
    return f"{report.n:,} texts, {what}" + (f", {report.speed:,.0f} texts/s" if report.speed is not None else "")


def report_table(tuning: Tuning, *, teacher: bool) -> str:
    """The threshold, what was promised and measured, and what student, teacher and cascade do, as a table of text."""
    report = tuning.report
    promise = "" if tuning.confidence is None else f", at {tuning.confidence:.6g} confidence"
    if tuning.later is not None:
        promise += f", of the next {tuning.later:,} texts"
    threshold = "none: every text is " + ("passed on" if teacher else "left unanswered")
    rows = [
        ("dev texts", f"{report.n:,}"),
        (f"wanted {tuning.kind}", f"{tuning.value:.6g}{promise}"),
        ("threshold", f"{tuning.threshold:.6f}" if math.isfinite(tuning.threshold) else threshold),
        ("passed on" if teacher else "left unanswered", f"{report.passed_on:,} ({report.share:.2%})"),
    ]
    if report.agreement is not None and report.student_agreement is not None:
        rows.append(("agreement", f"{report.agreement:.4f} (the student alone {report.student_agreement:.4f})"))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    return "\n".join([*lines, "", *_models(report, teacher)])


def _models(report: CascadeReport, teacher: bool) -> list[str]:
    speeds = {"student": report.student_speed, "teacher": report.teacher_speed, "cascade": report.speed}
    lines = ["          texts/s  accuracy"]
    for name, speed in speeds.items():
        if name != "teacher" or teacher:
            accuracy = f"{report.accuracy[name]:.4f}" if name in report.accuracy else "-"
            lines.append(f"{name}  {'-' if speed is None else format(speed, ',.0f'):>8}  {accuracy:>8}")
    return lines
