"""The plots of docs/benchmarks.md as SVG: readable on white and on dark pages, no plotting library needed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

# Okabe & Ito 2008: told apart by the colour-blind, of middle lightness, so that they stand on white and on black.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8c8c8c", "#b3a100")
STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 } .axis { fill: #57606a }
.line { stroke: #d0d7de } .page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .axis { fill: #9198a1 } .line { stroke: #3d444d } .page { fill: #0d1117 }
}
</style>"""


def svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    """A whole picture."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img">'
    )
    page = f'<rect class="page" width="{width:g}" height="{height:g}"/>'
    heading = text(16, 24, title, "title")
    return "\n".join([opening, f"<title>{escape(title)}</title>", STYLE, page, heading, *parts, "</svg>\n"])


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    """A label."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A thin rule."""
    return f'<line class="line" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def accuracy_plot(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """A dot a feature set on a line for each data set: best pooling of each vector set, and the two peers."""
    series: dict[str, dict[str, float]] = {}
    for row in rows.values():
        name = row.get("vectors", row["features"])
        best = series.setdefault(name, {})
        # The pooling is chosen on dev; the dot is its test accuracy.
        if row["set"] not in best or row["dev_accuracy"] > best[row["set"]][0]:
            best[row["set"]] = (row["dev_accuracy"], row["test_accuracy"])
    sets = list(dict.fromkeys(row["set"] for row in rows.values()))
    left, right, top, step = 110.0, 700.0, 60.0, 34.0

    def place(value: float) -> float:
        return left + (value - 60) / 40 * (right - left)

    bottom = top + step * len(sets)
    parts = [part for number in range(60, 101, 5) for part in tick(place(number), top - 14, bottom - 10, f"{number}")]
    for row_number, name in enumerate(sets):
        y = top + step * row_number + 8
        parts += [text(left - 12, y + 4, name, anchor="end"), line(left, y, right, y)]
        for number, (source, values) in enumerate(series.items()):
            if name in values:
                parts.append(
                    mark(number, place(max(60.0, values[name][1])), y, f"{source}, {name}: {values[name][1]:.2f}")
                )
    parts.append(text((left + right) / 2, bottom + 26, "test accuracy, %", "axis", "middle"))
    for number, source in enumerate(series):
        x, y = left + 200 * (number % 3), bottom + 52 + 20 * (number // 3)
        parts += [mark(number, x, y - 4, source), text(x + 12, y, source)]
    height = bottom + 64 + 20 * ((len(series) + 2) // 3)
    path.write_text(
        svg(720, height, parts, "Best pooling of each vector set (chosen on dev), and the peers"), encoding="utf-8"
    )


def mark(number: int, x: float, y: float, title: str) -> str:
    """A circle, or a diamond from the fifth series on, so that colour is not all that tells them apart."""
    colour = COLOURS[number % len(COLOURS)]
    shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour}" fill-opacity="0.85">'
    if number % 2:
        points = f"{x:.1f},{y - 8:.1f} {x + 7:.1f},{y:.1f} {x:.1f},{y + 8:.1f} {x - 7:.1f},{y:.1f}"
        shape = f'<polygon points="{points}" fill="{colour}" fill-opacity="0.85">'
    return f"{shape}<title>{escape(title)}</title></{'polygon' if number % 2 else 'circle'}>"


def tick(x: float, top: float, bottom: float, label: str) -> list[str]:
    """An upright rule with its number below."""
    return [line(x, top, x, bottom), text(x, bottom + 14, label, "axis", "middle")]


def speed_plot(pool: dict[str, dict[str, Any]], load: dict[str, dict[str, Any]], path: Path) -> None:
    """How many times faster than each peer, on a logarithmic axis."""
    bars: list[tuple[str, float, int]] = []
    for name, row in load.items():
        bars.append((f"load GloVe text {name}, over gensim", row["gensim / tlclassic, seconds"], 0))
        bars.append((f"re-open store {name}, over its text", row["text / store, seconds"], 2))
    for row in pool.values():
        label = f"mean of {row['set']}, {row['words'] // 1000} k x {row['dim']}"
        bars.append((f"{label}, over gensim", row["gensim / tlclassic"], 0))
        bars.append((f"{label}, over model2vec", row["model2vec / tlclassic"], 1))
    top, step, left, right = 56.0, 24.0, 330.0, 690.0
    decades = 4

    def place(value: float) -> float:
        import math

        return left + min(decades, max(0.0, math.log10(value))) / decades * (right - left)

    bottom = top + step * len(bars)
    parts = [
        part for power in range(decades + 1) for part in tick(place(10**power), top - 10, bottom, f"{10**power:,} ×")
    ]
    for number, (label, value, colour) in enumerate(bars):
        y = top + step * number
        width = max(1.0, place(value) - left)
        parts.append(f'<rect x="{left}" y="{y:.1f}" width="{width:.1f}" height="15" fill="{COLOURS[colour]}"/>')
        parts += [text(left - 10, y + 12, label, anchor="end"), text(left + width + 6, y + 12, f"{value:,.0f} ×")]
    path.write_text(svg(760, bottom + 34, parts, "Times faster, one thread, same run"), encoding="utf-8")
