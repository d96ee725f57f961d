"""Learning curves as one SVG file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

__all__ = ["learning_curves"]

_WIDTH, _HEIGHT, _LEFT, _TOP = 420.0, 200.0, 64.0, 28.0
_STYLE = (
    "<style>text{font:11px sans-serif;fill:#667}.axis{stroke:#99a}.curve{fill:none;stroke-width:2}"
    ".train{stroke:#d77a1d}.dev{stroke:#2a6fbb}</style>"
)
_SCORES = (("dev_accuracy", "dev", "accuracy"), ("dev_macro_f1", "train", "macro-F1"))
_LOSS = ("loss of training (orange) and dev (blue)", (("loss", "train", "training"), ("dev_loss", "dev", "dev")))
_OF_TEXTS = ("dev accuracy (blue) and macro-F1 (orange)", _SCORES)
_OF_TOKENS = (
    "dev accuracy of tokens (blue) and score (orange)",
    (("dev_accuracy", "dev", "accuracy"), ("dev_score", "train", "score")),
)


def learning_curves(history: Sequence[dict[str, Any]]) -> str:
    """An SVG of loss and, where dev was evaluated, its scores against the epoch.

    Parameters
    ----------
    history : sequence of dict
        Entries with ``epoch``, ``loss`` and perhaps ``dev_loss``, ``dev_accuracy`` and ``dev_macro_f1`` or
        ``dev_score``.
    """
    known = (_LOSS, _OF_TOKENS if _points(history, "dev_score") else _OF_TEXTS)
    plots = [(title, lines) for title, lines in known if any(_points(history, key) for key, _, _ in lines)]
    parts = [_plot(history, title, lines, place * (_HEIGHT + 64)) for place, (title, lines) in enumerate(plots)]
    width, height = _LEFT + _WIDTH + 24, max(1, len(plots)) * (_HEIGHT + 64)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    return f'{head} role="img" aria-label="Learning curves">{_STYLE}{"".join(parts)}</svg>\n'


def _points(history: Sequence[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(float(entry["epoch"]), float(entry[key])) for entry in history if key in entry]


def _plot(history: Sequence[dict[str, Any]], title: str, lines: Sequence[tuple[str, str, str]], shift: float) -> str:
    curves = [(points, kind, name) for key, kind, name in lines if (points := _points(history, key))]
    values = [y for points, _, _ in curves for _, y in points]
    low, high = min(values), max(values)
    span, end = (high - low) or 1.0, max(x for points, _, _ in curves for x, _ in points) or 1.0
    top, bottom = shift + _TOP, shift + _TOP + _HEIGHT
    parts = [
        f'<path class="axis" fill="none" d="M{_LEFT} {top}V{bottom}H{_LEFT + _WIDTH}"/>',
        f'<text x="{_LEFT}" y="{top - 10}">{escape(title)}</text>',
        f'<text x="{_LEFT - 6}" y="{top + 4}" text-anchor="end">{high:.4g}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">{low:.4g}</text>',
        f'<text x="{_LEFT}" y="{bottom + 16}">0</text>',
        f'<text x="{_LEFT + _WIDTH}" y="{bottom + 16}" text-anchor="end">epoch {end:.4g}</text>',
    ]
    for points, kind, name in curves:
        placed = [(_LEFT + x / end * _WIDTH, bottom - (y - low) / span * _HEIGHT) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="curve {kind}" points="{path}"><title>{escape(name)}</title></polyline>')
        parts += [f'<circle class="curve {kind}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in placed]
    return "".join(parts)
