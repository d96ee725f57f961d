"""The attention between tasks as a picture."""

from __future__ import annotations

from html import escape
from typing import Any

from tlclassic.errors import InvalidParameterError

__all__ = ["draw_attention"]

_CELL, _TEXT = 44, 13
_COLOUR = "#1f77b4"


def draw_attention(model: Any) -> str:
    """A heat map of ``model.attention_`` as SVG that stands by itself: row t shows what task t listens to.

    Parameters
    ----------
    model : MultiTaskClassifier
        Fitted, with attention.

    Raises
    ------
    InvalidParameterError
        When no task attends to others.

    Examples
    --------
    >>> from tlclassic import MultiTaskClassifier
    >>> y = {"a": [0, 1] * 20, "b": [0, 1] * 20}
    >>> model = MultiTaskClassifier(sharing="attention", cv=2, strengths=[1.0]).fit(["no", "yes"] * 20, y)
    >>> draw_attention(model)[:4]
    '<svg'
    """
    if model.attention_ is None:
        raise InvalidParameterError('model must attend: no task of it does. Fit it with sharing="attention".')
    names = [str(name) for name in model.tasks_]
    left = 12 + max(map(len, names)) * 0.62 * _TEXT
    width, height = left + _CELL * len(names) + 12, left + _CELL * len(names) + 12
    parts = []
    for row, name in enumerate(names):
        middle = left + _CELL * (row + 0.5)
        parts.append(_text(left - 6, middle + 4, name, "end"))
        parts.append(
            _text(middle + 4, left - 6, name, "start", f' transform="rotate(-90 {middle + 4:.0f} {left - 6:.0f})"')
        )
        for column, share in enumerate(model.attention_[row].tolist()):
            place = f'x="{left + _CELL * column:.0f}" y="{left + _CELL * row:.0f}" width="{_CELL}" height="{_CELL}"'
            title = f"<title>{escape(name)} to {escape(names[column])}: {share:.3f}</title>"
            parts.append(f'<rect {place} fill="{_COLOUR}" fill-opacity="{share:.3f}" stroke="#ccc">{title}</rect>')
    label = "attention between tasks"
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}" font-family="sans-serif">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str, turn: str = "") -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" font-size="{_TEXT}" text-anchor="{anchor}"'
    return f'<text {place} fill="currentColor"{turn}>{escape(text)}</text>'
