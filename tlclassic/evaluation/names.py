"""Labels as they are shown: what a file put into them must not break a line, a column or a terminal."""

from __future__ import annotations

import unicodedata
from typing import Any

__all__ = ["displayed", "name_of", "shortened", "worst_first"]

#: Unicode categories: controls, surrogates, line and paragraph separators.
_ACTING = ("Cc", "Cs", "Zl", "Zp")
#: Embeddings, overrides and isolates of writing direction: one left open turns the rest of its line round.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: Combining marks, and format characters such as the joiners of emoji.
_WITHOUT_WIDTH = ("Mn", "Me", "Cf")


def name_of(label: Any) -> str:
    """The label as text; characters that would act (line ends, terminal escapes, half surrogates) as their escapes.

    So are those that turn the direction of writing.
    """
    text = str(label)
    if text.isprintable():
        return text or "''"
    return "".join(_escaped(one) if _acts(one) else one for one in text)


def _acts(one: str) -> bool:
    return one in _TURNING or unicodedata.category(one) in _ACTING


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")


def shortened(label: Any, width: int) -> str:
    """`name_of`, cut to ``width`` columns of a terminal."""
    name = name_of(label)
    if displayed(name) <= width:
        return name
    kept, room = [], width - 1
    for one in name:
        room -= displayed(one)
        if room < 0:
            break
        kept.append(one)
    return "".join(kept) + "…"


def displayed(text: str) -> int:
    """Columns that a text takes in a terminal: wide characters take two, combining and joining ones none."""
    if text.isascii():
        return len(text)
    shown = [one for one in text if unicodedata.category(one) not in _WITHOUT_WIDTH]
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in shown)


def worst_first(score: Any) -> tuple[float, int]:
    """Key that sorts `ClassScores`: the lowest F1 first, of equal ones the most frequent class."""
    return score.f1, -score.support
