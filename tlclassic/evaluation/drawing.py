"""Shapes and texts of inline SVG; colours are the page's CSS variables, so that they follow its mode."""

from __future__ import annotations

from html import escape
from typing import Any

from tlclassic.evaluation.names import name_of, shortened

__all__ = ["CHARACTER", "LABEL_LENGTH", "cut", "label_at", "line", "rect", "svg", "text_at"]

LABEL_LENGTH = 32
#: Width of a character in units of the font size, for room that holds the longest label.
CHARACTER = 0.6


def cut(label: Any) -> str:
    """The label as text of at most `LABEL_LENGTH` columns."""
    return shortened(label, LABEL_LENGTH)


def svg(width: float, height: float, name: str, parts: list[str], *, least: float = 0) -> str:
    """A drawing that shrinks with its window, down to a width of ``least``; ``name`` is read to who cannot see it."""
    style = f' style="min-width:{least:.0f}px"' if least else ""
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    return f'<svg {box}{style} role="img" aria-label="{escape(name)}">{"".join(parts)}</svg>'


def rect(
    x: float, y: float, width: float, height: float, kind: str, *, opacity: float = 1.0, title: str | None = None
) -> str:
    """A rectangle of class ``kind``; pointing at it tells ``title``."""
    shade = f' fill-opacity="{opacity:.2f}"' if opacity < 1 else ""
    start = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{kind}"{shade}'
    return start + (f"><title>{escape(title)}</title></rect>" if title else "/>")


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of class ``kind``."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def text_at(
    x: float, y: float, size: float, text: str, *, kind: str = "", anchor: str = "start", turned: bool = False
) -> str:
    """Text on the base line ``y``; ``turned`` runs upwards."""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    name = f' class="{kind}"' if kind else ""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}"'
    return f'<text {place} text-anchor="{anchor}"{name}{turn}>{escape(text)}</text>'


def label_at(x: float, y: float, size: float, label: Any, *, anchor: str, turned: bool = False) -> str:
    """A label, cut; pointing at one that was cut tells it whole."""
    short = cut(label)
    drawn = text_at(x, y, size, short, anchor=anchor, turned=turned)
    name = name_of(label)
    return drawn if short == name else drawn.replace("</text>", f"<title>{escape(name)}</title></text>")
