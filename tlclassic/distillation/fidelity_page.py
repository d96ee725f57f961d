"""A fidelity report as one self-contained HTML page: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from tlclassic.distillation.fidelity_examples import Disagreement
from tlclassic.distillation.fidelity_excerpts import Piece, excerpt
from tlclassic.distillation.fidelity_measures import ClassFidelity
from tlclassic.distillation.fidelity_text import CLASS_HEAD, class_row, comparison, count, facts, labelled, sized
from tlclassic.evaluation.names import name_of, shortened
from tlclassic.evaluation.pareto import PARETO_STYLE, ParetoPoint, frontier, pareto_plot
from tlclassic.evaluation.plots import reliability_diagram, score_bar
from tlclassic.evaluation.style import tile_row, write_html

if TYPE_CHECKING:
    from tlclassic.distillation.fidelity_report import Fidelity

__all__ = ["write_page"]

_LABEL_WIDTH = 60
#: A page of all the classes of a very large set would not be read.
_MOST_CLASSES = 500

_STYLE = """
:root { --for: 28 95 168; --against: 210 87 10; }
@media (prefers-color-scheme: dark) { :root { --for: 111 176 245; --against: 245 154 85; } }
@media print { :root { --for: 28 95 168; --against: 210 87 10; } }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 16px; }
.pair h3 { font-size: 14px; font-weight: 600; margin: 0 0 6px; }
.mark { fill: var(--ink); }
td small { display: block; color: var(--soft); font-size: 12px; } .scroll + p, .scroll + .scroll { margin-top: 14px; }
.example { border-top: 1px solid var(--rule); padding: 12px 0; break-inside: avoid; }
.example blockquote { margin: 0 0 8px; line-height: 1.9; overflow-wrap: anywhere; }
.said { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 6px; padding: 0; list-style: none; font-size: 14px; }
.said b { font-weight: 600; } .said span, .moved { color: var(--soft); font-variant-numeric: tabular-nums; }
.moved { display: flex; flex-wrap: wrap; gap: 4px 12px; font-size: 13px; margin: 0; padding: 0; list-style: none; }
mark { color: inherit; border-radius: 3px; padding: 1px 0 2px; }
mark.for { background: rgb(var(--for) / var(--w)); text-decoration: underline solid rgb(var(--for)); }
mark.against { background: rgb(var(--against) / var(--w)); text-decoration: underline dotted rgb(var(--against)); }
mark { text-decoration-thickness: 1px !important; text-underline-offset: 4px !important; }
mark.strong { text-decoration-thickness: 2.5px !important; }
mark.strong.for::before { content: "+"; } mark.strong.against::before { content: "\\2212"; }
mark.strong::before { font-size: 11px; font-weight: 700; vertical-align: 4px; color: var(--soft);
  display: inline-block; padding-left: 2px; }
"""


def write_page(report: Fidelity, path: str | os.PathLike[str], *, title: str) -> None:
    """Write the page whole or not at all."""
    body = [
        _head(report, title),
        _models(report),
        _pareto(report),
        _calibration(report),
        _classes(report),
        _examples(report),
    ]
    write_html(path, title, body, style=PARETO_STYLE + _STYLE)


def _head(report: Fidelity, title: str) -> str:
    told = f"{report.n:,} texts, {len(report.classes):,} {'labels' if report.multilabel else 'classes'}. "
    told += f"Numbers in brackets are intervals of {100 * report.confidence:g} %."
    if report.teacher is None:
        told += " No labels were given: the student is compared with its teacher alone."
    tiles = []
    if report.student is not None and report.teacher is not None:
        name = "macro-F1" if report.multilabel else "accuracy"
        teacher, student = report.score(report.teacher), report.score(report.student)
        tiles.append((f"{student.value:.4f}", name, f"of the student; {teacher.value:.4f} of the teacher"))
    for name, value, remark in facts(report):
        number, _, interval = value.partition(" (")
        tiles.append((number, name, f"({interval} {remark}" if interval else remark))
    if report.speed is not None and report.speed.student.bytes is not None:
        tiles.append((sized(report.speed.student.bytes), "file", "of the student"))
    return f"<h1>{escape(name_of(title))}</h1>\n<p>{escape(told)}</p>\n{tile_row(tiles)}"


def _models(report: Fidelity) -> str:
    head, *rows = comparison(report)
    drawn = _rows([list(map(_estimate, row)) for row in rows], list(map(escape, head)))
    told = ""
    if report.speed is not None:
        told = (
            "Speeds are medians by the clock of the models taken in turn. Cores used: processor seconds per second; "
            "above 1 the model had more than one thread, below 1 it shared the machine."
        )
    return f"<section><h2>Side by side</h2>{_paragraph(told)}{drawn}</section>"


def _estimate(text: str) -> str:
    """The interval under its number, so that three models fit beside each other."""
    number, _, interval = text.partition(" (")
    # The first column may have brackets in its words.
    numeric = interval and number[-1:].isdigit()
    return f"{escape(number)}<small>{escape(interval[:-1])}</small>" if numeric else escape(text)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _rows(rows: Sequence[Sequence[str]], head: Sequence[str], kind: str = "wide") -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    drawn = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{drawn}</tbody></table></div>'
    )


def _points(report: Fidelity) -> list[ParetoPoint]:
    points = []
    for name in ("teacher", "student", "undistilled"):
        scores, cost = getattr(report, name), getattr(report.speed, name, None)
        if scores is None or cost is None:
            continue
        score = report.score(scores)
        ends = None if score.low is None or score.high is None else (score.low, score.high)
        points.append(ParetoPoint(name, score.value, cost.texts_per_second, name != "teacher", ends, cost.bytes))
    return points + [
        ParetoPoint(one.name, one.accuracy, one.texts_per_second, one.is_ours, None, one.bytes)
        for one in report.baselines
    ]


def _pareto(report: Fidelity) -> str:
    points = _points(report)
    if len(points) < 2:
        return ""
    measure = "macro-F1" if report.multilabel else "accuracy"
    told = (
        f"To the right is faster, upwards is better. Filled circles are ours, hollow diamonds are not. No model is "
        f"both better and faster than one on the dashed line. Whiskers are intervals of {100 * report.confidence:g} %."
    )
    best = set(frontier(points))
    rows = [
        [
            f"<bdi>{escape(shortened(point.name, _LABEL_WIDTH))}</bdi>", f"{point.accuracy:.4f}",
            count(point.texts_per_second), sized(point.bytes), "yes" if place in best else "",
        ]
        for place, point in sorted(enumerate(points), key=lambda pair: -pair[1].accuracy)
    ]  # fmt: skip
    table = _rows(rows, ["model", measure, "texts/s", "size", "on the line"])
    drawn = f'<div class="scroll">{pareto_plot(points, measure=measure)}</div>'
    return f"<section><h2>{measure.capitalize()} against speed</h2>{_paragraph(told)}{drawn}{table}</section>"


def _calibration(report: Fidelity) -> str:
    against_truth = report.teacher_calibration is not None
    told = (
        "Bars on the dashed line say that stated probabilities can be believed; below it the model is too sure, above "
        "it not sure enough. The lower plot counts the answers."
    )
    if not against_truth:
        told += " Without labels, an answer counts as right when it is the teacher's."
    drawn = []
    for name, found in (("Teacher", report.teacher_calibration), ("Student", report.student_calibration)):
        if found is not None:
            diagram = reliability_diagram(found.bins, share="right" if against_truth else "the teacher's")
            drawn.append(f"<div><h3>{name}: calibration error {found.error:.4f}</h3>{diagram}</div>")
    return f'<section><h2>Reliability</h2>{_paragraph(told)}<div class="pair">{"".join(drawn)}</div></section>'


def _classes(report: Fidelity) -> str:
    shown = report.per_class[:_MOST_CLASSES]
    title = "Classes, largest loss first" if report.teacher else "Classes, least agreement first"
    told = "Loss is the teacher's F1 minus the student's. " if report.teacher else ""
    told += "Agreement: of the texts to which the teacher gives the class, the share to which the student does too."
    if len(shown) < len(report.per_class):
        told += f" The first {len(shown):,} of {len(report.per_class):,}."
    rows = [_class_cells(one) for one in shown]
    head = [*CLASS_HEAD[:4], "", *CLASS_HEAD[4:]]
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    drawn = _rows(
        [[row[i] for i in kept] for row in rows], [head[i] for i in kept], "scores" if report.teacher else "wide"
    )
    return f'<section class="long"><h2>{title}</h2>{_paragraph(told)}{drawn}</section>'


def _class_cells(one: ClassFidelity) -> list[str]:
    texts, teacher, student, loss, agreement = class_row(one)
    bar = "" if one.student_f1 is None else score_bar(one.student_f1, mark=one.teacher_f1)
    label = f"<bdi>{escape(shortened(one.label, _LABEL_WIDTH))}</bdi>"
    return [label, texts, teacher, student, bar, loss, agreement]


def _examples(report: Fidelity) -> str:
    if not report.disagreements:
        return "<section><h2>Where they differ</h2><p>Nowhere.</p></section>"
    told = f"{report.disagreements:,} of {report.n:,} texts"
    if report.examples:
        told += f"; the {len(report.examples):,} on which the student is surest of itself"
    told += "."
    if any(one.spans for one in report.examples):
        told += (
            " Blue, underlined, +: words that moved the student to its answer and away from the teacher's. Orange, "
            "dotted, \u2212: words that spoke against it. The stronger, the more; pointing at a word tells its part "
            "of the log-odds."
        )
    examples = "".join(map(_example, report.examples))
    return f'<section class="long"><h2>Where they differ</h2>{_outcomes(report)}{_paragraph(told)}{examples}</section>'


def _outcomes(report: Fidelity) -> str:
    if report.outcomes is None:
        return ""
    counts = report.outcomes
    rows = [
        ["student right", f"{counts.both:,}", f"{counts.only_student:,}"],
        ["student wrong", f"{counts.only_teacher:,}", f"{counts.neither:,}"],
    ]
    return _rows(rows, ["texts", "teacher right", "teacher wrong"])


def _example(example: Disagreement) -> str:
    most = max((abs(span.weight) for span in example.spans), default=1.0)
    text = "".join(_piece(piece, most) for piece in excerpt(example)) or "<i>(empty text)</i>"
    chance = "" if example.contested is None else f"{_label(example.contested)}: "
    said = [
        _said("student", example.student_label, example.student_is_right, f"{chance}{example.student_probability:.3f}"),
        _said("teacher", example.teacher_label, example.teacher_is_right, f"{chance}{example.teacher_probability:.3f}"),
    ]
    if example.truth is not None:
        said.append(_said("truth", example.truth, None, ""))
    moved = "".join(f"<li><bdi>{escape(shortened(n.text, 40))}</bdi> {_signed(n.weight)}</li>" for n in example.ngrams)
    listed = f'<ul class="moved">{moved}</ul>' if moved else ""
    return (
        f'<div class="example"><blockquote dir="auto">{text}</blockquote>'
        f'<ul class="said">{"".join(said)}</ul>{listed}</div>'
    )


def _piece(piece: Piece, most: float) -> str:
    shown = escape(piece.text)
    share = abs(piece.weight) / most
    # A tint that could not be seen only makes the page longer.
    if share < 0.1:
        return shown
    kind = ("for" if piece.weight > 0 else "against") + (" strong" if share >= 0.4 else "")
    told = f"{_signed(piece.weight)} of the log-odds"
    return f'<mark class="{kind}" style="--w:{0.08 + 0.42 * share:.2f}" title="{told}">{shown}</mark>'


def _said(who: str, label: object, is_right: bool | None, chance: str) -> str:
    # A label may hold anything; `chance` is HTML already.
    sign = "" if is_right is None else " \u2713" if is_right else " \u2717"
    stated = f" <span>{chance}</span>" if chance else ""
    return f"<li><span>{who}</span> <b>{_label(label)}{sign}</b>{stated}</li>"


def _label(label: object) -> str:
    return f"<bdi>{escape(labelled(label))}</bdi>"


def _signed(weight: float) -> str:
    return f"{weight:+.2f}".replace("-", "\u2212")
