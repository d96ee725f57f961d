"""A comparison as one self-contained HTML page."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING

from tlclassic.comparison.tables import cells, head, remarks
from tlclassic.evaluation.pareto import PARETO_STYLE, ParetoPoint, frontier, pareto_plot
from tlclassic.evaluation.style import write_html

if TYPE_CHECKING:
    from tlclassic.comparison.result import Comparison

__all__ = ["write_page"]

#: No column of this table may be left out on a narrow screen; models that nothing beats stand out.
_STYLE = """
td.best { font-weight: 600; } table { width: 100%; } ul { margin: 0; padding-left: 20px; color: var(--soft); }
li { overflow-wrap: anywhere; } tr.ours td:first-child::before { content: "● "; color: var(--right); }
tr.rival td:first-child::before { content: "◇ "; color: var(--wrong); }
th, td { padding: 3px 7px; } th:first-child, td:first-child { min-width: 9em; white-space: nowrap; }
@media (max-width: 860px) { th:nth-child(5), td:nth-child(5) { display: table-cell; } }
@media print { table { font-size: 10px; } th, td { padding: 2px 4px; white-space: nowrap !important; } }
"""


def write_page(comparison: Comparison, path: str | os.PathLike[str], *, title: str) -> None:
    """Write the page whole or not at all."""
    body = [
        f"<h1>{escape(title)}</h1>\n<p>{escape(comparison.summary())}.</p>",
        _plot(comparison),
        _table(comparison),
        _remarks(comparison),
        _conditions(comparison),
    ]
    write_html(path, title, body, style=PARETO_STYLE + _STYLE)


def _points(comparison: Comparison) -> list[ParetoPoint]:
    return [
        ParetoPoint(row.title, row.accuracy, speed, row.is_ours, row.accuracy_interval, row.bytes)
        for row in comparison.rows
        if (speed := row.texts_per_second(1))
    ]


def _plot(comparison: Comparison) -> str:
    points = _points(comparison)
    if not points:
        return ""
    told = (
        "Better is higher, faster is further right (a logarithmic axis). The line joins the models that no other beats "
        "in both; whiskers are 95 % intervals. Filled: tlclassic's own small models. Hollow: baselines."
    )
    drawn = pareto_plot(points, measure=comparison.measure)
    return f'<section><h2>Accuracy and speed</h2><p>{escape(told)}</p><div class="scroll">{drawn}</div></section>'


def _table(comparison: Comparison) -> str:
    points = _points(comparison)
    best = {points[place].name for place in frontier(points)} if points else set()
    names = "".join(f"<th>{escape(name)}</th>" for name in head(comparison))
    rows = "".join(
        f'<tr class="{"ours" if row.is_ours else "rival"}">'
        + "".join(
            f"<td{' class=best' if row.title in best and not column else ''}>{escape(cell)}</td>"
            for column, cell in enumerate(cells(comparison, row))
        )
        + "</tr>"
        for row in comparison.rows
    )
    told = (
        "Bold: no other is both better and faster. Texts a second on one thread and on two, medians of "
        f"{comparison.repeats} runs of all models in turn; size of all files that answers need; memory and time of a "
        "process that opens the model and labels one text."
    )
    return (
        f'<section class="long"><h2>Models</h2><p>{escape(told)}</p><div class="scroll"><table>'
        f"<thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _remarks(comparison: Comparison) -> str:
    told = remarks(comparison)
    if not told:
        return ""
    listed = "".join(f"<li>{escape(remark)}</li>" for remark in told)
    return f"<section><h2>Remarks</h2><ul>{listed}</ul></section>"


def _conditions(comparison: Comparison) -> str:
    about = comparison.environment
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    told = (
        f"{about['cpu']}, {about['cpus']} CPUs, {about['memory_gib']} GiB, {about['system']}, "
        f"Python {about['python']}; {versions}."
    )
    return f"<section><h2>Measured with</h2><p>{escape(told)}</p></section>"
