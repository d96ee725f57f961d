"""The tables of a fidelity report, as rows of text for every form of it, and as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tlclassic.evaluation.names import displayed, shortened

if TYPE_CHECKING:
    from tlclassic.distillation.fidelity import Fidelity
    from tlclassic.distillation.fidelity_measures import ClassFidelity, Estimate
    from tlclassic.distillation.fidelity_speed import ModelCost

__all__ = ["CLASS_HEAD", "class_row", "comparison", "count", "facts", "labelled", "sized", "span", "terminal"]

_LABEL_WIDTH = 40
_SHOWN_CLASSES = 20
CLASS_HEAD = ["class", "texts", "teacher F1", "student F1", "loss", "agreement"]


def facts(report: Fidelity) -> list[tuple[str, str, str]]:
    """What the report says in a line each: (name, value, remark)."""
    name = "macro-F1" if report.multilabel else "accuracy"
    found = []
    if report.retention is not None:
        found.append(("retention", _share(report.retention), f"student's {name} over the teacher's"))
    if report.gap_closed is not None:
        found.append(("gap closed", _share(report.gap_closed), "of the way from undistilled student to teacher"))
    if report.difference is not None:
        found.append(("difference", span(report.difference, sign="+"), f"student's {name} minus the teacher's"))
    found.append(("agreement", _share(report.agreement), f"{report.disagreements:,} of {report.n:,} texts differ"))
    found.append(("divergence", f"{report.divergence:.4f}", "mean KL(teacher || student) in nats, 0 is best"))
    if report.speed is not None:
        found.append(("speed-up", f"{count(report.speed.factor)} \u00d7", "texts a second, student over teacher"))
    return found


def comparison(report: Fidelity) -> list[list[str]]:
    """The models side by side; the first row is the head, and rows and columns without any number are left out."""
    models = [name for name in ("teacher", "student", "undistilled") if _has(report, name)]
    rows = [["", *models]]
    scores = [getattr(report, name) for name in models]
    exact = "exact match" if report.multilabel else "accuracy"
    rows.append([exact, *(span(one.accuracy) if one else "" for one in scores)])
    rows.append(["macro-F1", *(span(one.macro_f1) if one else "" for one in scores)])
    errors = {"teacher": report.teacher_calibration, "student": report.student_calibration}
    against = "calibration error" if report.teacher else "calibration error (against the teacher)"
    rows.append([against, *(f"{found.error:.4f}" if (found := errors.get(name)) else "" for name in models)])
    costs = [getattr(report.speed, name, None) for name in models]
    for title, told in _COSTS:
        rows.append([title, *(told(report, cost) if cost else "" for cost in costs)])
    return [row for row in rows if row is rows[0] or any(row[1:])]


def _has(report: Fidelity, name: str) -> bool:
    return (
        name in ("teacher", "student")
        or report.undistilled is not None
        or bool(report.speed and report.speed.undistilled)
    )


def _price(report: Fidelity, cost: ModelCost) -> str:
    price = report.price_per_million(cost.core_seconds_per_million)
    return "" if price is None else _figures(price)


_COSTS: list[tuple[str, Any]] = [
    ("texts/s", lambda report, cost: count(cost.texts_per_second)),
    ("cores used", lambda report, cost: f"{cost.cores:.2f}"),
    ("core-seconds per million texts", lambda report, cost: _figures(cost.core_seconds_per_million)),
    ("price per million texts", _price),
    ("file", lambda report, cost: sized(cost.bytes)),
    ("peak memory of a process", lambda report, cost: sized(cost.peak_bytes)),
    ("start to first answer", lambda report, cost: f"{cost.startup_seconds:.2f} s" if cost.startup_seconds else ""),
]


def class_row(one: ClassFidelity) -> list[str]:
    """Texts, F1 of both, loss, agreement; empty where there is no number."""
    support = one.told if one.support is None else one.support
    return [
        f"{support:,}",
        "" if one.teacher_f1 is None else f"{one.teacher_f1:.4f}",
        "" if one.student_f1 is None else f"{one.student_f1:.4f}",
        "" if one.loss is None else f"{one.loss:+.4f}",
        "" if one.agreement is None else f"{100 * one.agreement:.1f} %",
    ]


def terminal(report: Fidelity) -> str:
    """The facts, the comparison, the classes with the largest losses, and who was right."""
    told = [[name, value, remark] for name, value, remark in facts(report)]
    parts = [_aligned(told, left=(0, 1, 2)), _aligned(comparison(report)), _classes(report), _outcomes(report)]
    return "\n\n".join(part for part in parts if part)


def _classes(report: Fidelity) -> str:
    shown = report.per_class[:_SHOWN_CLASSES]
    rows = [[shortened(one.label, _LABEL_WIDTH), *class_row(one)] for one in shown]
    table = [CLASS_HEAD, *rows]
    kept = [i for i in range(len(CLASS_HEAD)) if i == 0 or any(row[i] for row in rows)]
    heading = ""
    if len(report.per_class) > len(shown):
        worst = "largest losses" if report.teacher else "least agreement"
        heading = f"The {len(shown)} of {len(report.per_class)} classes with the {worst}\n"
    return heading + _aligned([[row[i] for i in kept] for row in table])


def _outcomes(report: Fidelity) -> str:
    if report.outcomes is None:
        return ""
    counts = report.outcomes
    rows = [
        ("both right", counts.both),
        ("only the teacher right", counts.only_teacher),
        ("only the student right", counts.only_student),
        ("both wrong", counts.neither),
    ]
    return _aligned([[name, f"{number:,}"] for name, number in rows])


def _aligned(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    widths = [max(displayed(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for i, cell in enumerate(row):
            room = " " * (widths[i] - displayed(cell))
            cells.append(cell + room if i in left else room + cell)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def labelled(label: Any) -> str:
    """A label, or several, as text of bounded length."""
    if isinstance(label, (list, tuple)):
        return ", ".join(shortened(one, _LABEL_WIDTH) for one in label) or "(none)"
    return shortened(label, _LABEL_WIDTH)


def span(estimate: Estimate, sign: str = "") -> str:
    """``0.9020 (0.8932 to 0.9101)``."""
    value = f"{estimate.value:{sign}.4f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({estimate.low:{sign}.4f} to {estimate.high:{sign}.4f})"


def _share(estimate: Estimate) -> str:
    value = f"{100 * estimate.value:.1f} %"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def count(number: float) -> str:
    """Without decimals from 100 on."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _figures(number: float) -> str:
    """Four figures, never as a power of ten."""
    return f"{number:,.0f}" if number >= 1000 else np.format_float_positional(number, precision=4, fractional=False)


def sized(size: int | None) -> str:
    """Bytes, kB or MB (of 1000)."""
    if size is None:
        return ""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
