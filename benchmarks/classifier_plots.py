"""The plots on classifiers: scoring speed on a logarithmic axis, and accuracy against the best peer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from classifier_tables import INFORMED, OURS, PEERS, SETS, SPEED_PEERS, YARD, result
from plots import COLOURS, mark, svg, text, tick

SHOWN = ("ag_news", "trec6", "umsab")
#: Ours, the bare loop, the peers: the three kinds of bars.
OWN, LOOP, PEER = 0, 6, 1


def scoring_plot(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Texts a second; beside each peer, how many times faster ours is."""
    names = {"tlclassic int8": OWN, YARD: LOOP, **dict.fromkeys(SPEED_PEERS, PEER)}
    left, right, step, low, high = 230.0, 660.0, 20.0, 3.0, 8.0

    def place(value: float) -> float:
        return left + (math.log10(value) - low) / (high - low) * (right - left)

    parts: list[str] = []
    y = 56.0
    shown = [key for key in SHOWN if key in rows]
    bottom = y + sum(
        34 + step * len([name for name in names if name in rows[key]["texts_per_second"]]) for key in shown
    )
    for power in range(int(low), int(high) + 1):
        label = {3: "1 k", 4: "10 k", 5: "100 k", 6: "1 M", 7: "10 M", 8: "100 M"}[power]
        parts += tick(place(10.0**power), y - 10, bottom - 12, label)
    for key in shown:
        speed = rows[key]["texts_per_second"]
        parts.append(text(16, y + 10, f"{key}, {1e6 * rows[key]['megabytes'] / rows[key]['texts']:.0f} bytes a text"))
        y += 20
        for name, colour in names.items():
            if name not in speed:
                continue
            width = place(speed[name]) - left
            parts.append(f'<rect x="{left}" y="{y:.1f}" width="{width:.1f}" height="14" fill="{COLOURS[colour]}"/>')
            parts.append(text(left - 10, y + 11, name, anchor="end"))
            ratio = speed["tlclassic int8"] / speed[name]
            note = _count(speed[name]) if colour != PEER else f"{_count(speed[name])}: ours is {ratio:,.0f} × faster"
            parts.append(text(left + width + 6, y + 11, note))
            y += step
        y += 14
    parts.append(
        text((left + right) / 2, bottom + 20, "texts a second, one thread, list of str to labels", "axis", "middle")
    )
    path.write_text(svg(840, bottom + 34, parts, "Scoring speed"), encoding="utf-8")


def _count(value: float) -> str:
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.0f} k"


def classifier_plot(found: dict[str, dict[str, dict[str, Any]]], path: Path) -> None:
    """On a line for each set, how many points each classifier stands above or below the best of the three peers."""
    names = [name for name in (*OURS, *PEERS, *INFORMED) if name in found]
    left, right, top, step, reach = 150.0, 640.0, 64.0, 34.0, 8.0
    shown = [key for key in SETS if all(key in found.get(name, {}) for name in PEERS)]

    def place(value: float) -> float:
        return left + (max(-reach, min(reach, value)) + reach) / (2 * reach) * (right - left)

    bottom = top + step * len(shown)
    parts = [part for points in range(-8, 9, 2) for part in tick(place(points), top - 16, bottom - 12, f"{points:+d}")]
    parts.append(
        f'<line x1="{place(0):.1f}" y1="{top - 16:.1f}" x2="{place(0):.1f}" y2="{bottom - 12:.1f}" '
        'stroke="#8c8c8c" stroke-width="1.5"/>'
    )
    for number, key in enumerate(shown):
        y = top + step * number
        best = max(result(found[name][key]) for name in PEERS)
        parts += [text(left - 14, y + 4, key, anchor="end"), text(right + 14, y + 4, f"{best:.2f}")]
        for series, name in enumerate(names):
            if key in found[name]:
                value = result(found[name][key])
                parts.append(mark(series, place(value - best), y, f"{name}, {key}: {value:.2f}"))
    parts.append(text(right + 14, top - 22, "best peer", "axis"))
    parts.append(text((left + right) / 2, bottom + 22, "points above or below the best peer (test)", "axis", "middle"))
    for series, name in enumerate(names):
        x, y = 40 + 220 * (series % 3), bottom + 50 + 20 * (series // 3)
        parts += [mark(series, x, y - 4, name), text(x + 12, y, name)]
    height = bottom + 60 + 20 * ((len(names) + 2) // 3)
    path.write_text(svg(720, height, parts, "Accuracy against the best of three tuned peers"), encoding="utf-8")
