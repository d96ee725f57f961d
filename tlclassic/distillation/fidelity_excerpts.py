"""A text as it is shown: cut around its strongest parts, and nothing in it that acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tlclassic.distillation.fidelity_examples import Disagreement, Span
from tlclassic.evaluation.names import name_of

__all__ = ["Piece", "excerpt"]

#: Characters of a text that are shown, and those kept on either side of a strong part.
_ROOM = 700
_BESIDE = 50
#: What is left out must be worth its ellipsis.
_GAP = 12
_RETURN = "\u21b5 "


class Piece(NamedTuple):
    """A stretch of a text.

    Attributes
    ----------
    text : str
        Without characters that act.
    weight : float
        0 where the student took nothing from it.
    """

    text: str
    weight: float


def excerpt(example: Disagreement) -> list[Piece]:
    """The text in pieces, whole or around its strongest parts; what was left out is an ellipsis."""
    text, spans = example.text, example.spans
    pieces: list[Piece] = []
    at = 0
    for start, end in _windows(len(text), spans):
        if start > at:
            pieces.append(Piece(" … ", 0.0))
        at = start
        for span in spans:
            if span.end <= start or span.start >= end:
                continue
            if span.start > at:
                pieces.append(Piece(_harmless(text[at : span.start]), 0.0))
            at = max(at, span.start)
            pieces.append(Piece(_harmless(text[at : min(span.end, end)]), span.weight))
            at = min(span.end, end)
        if at < end:
            pieces.append(Piece(_harmless(text[at:end]), 0.0))
        at = end
    if at < len(text):
        pieces.append(Piece(" … ", 0.0))
    return pieces


def _windows(length: int, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Ranges of characters to show, in order and apart."""
    if length <= _ROOM:
        return [(0, length)]
    wanted = [(0, 2 * _BESIDE)]
    room = _ROOM - 2 * _BESIDE
    for span in sorted(spans, key=lambda span: -abs(span.weight)):
        # A "word" may be as long as the text.
        end = min(span.end, span.start + _ROOM // 4)
        start, end = max(0, span.start - _BESIDE), min(length, end + _BESIDE)
        room -= end - start
        if room < 0:
            break
        wanted.append((start, end))
    if len(wanted) == 1:
        return [(0, _ROOM)]
    return _merged(wanted)


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1] + _GAP:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def _harmless(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # `name_of` writes an empty text as quotes.
    return _RETURN.join(name_of(line.replace("\t", " ")) if line else "" for line in lines)
