"""Schemes of tags that mark entities: which sequences are legal, repairs, the entities themselves.

Tags are ``"O"`` or a letter, a hyphen and the entity's type: IOB2 (also called BIO) begins every entity with B and
goes on with I (Tjong Kim Sang and Veenstra 1999,
https://aclanthology.org/E99-1023); BILOU also marks the last token, L, and
entities of one token, U (Ratinov and Roth 2009, https://aclanthology.org/W09-1119).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice

__all__ = ["SCHEMES", "allowed", "detect_scheme", "entities", "repair", "to_bilou", "to_iob2"]

#: "none": tags without structure, such as parts of speech.
SCHEMES = ("none", "iob2", "bilou")
_LETTERS = {"iob2": frozenset("BI"), "bilou": frozenset("BILU")}


def _split(tag: Any) -> tuple[str, str]:
    """The letter and the type of a tag; ``("O", "")`` outside of entities."""
    if isinstance(tag, str) and len(tag) > 2 and tag[1] == "-":
        return tag[0], tag[2:]
    return ("O", "")


def detect_scheme(tags: Iterable[Any]) -> str:
    """The scheme that a set of tags is written in.

    Examples
    --------
    >>> detect_scheme({"O", "B-PER", "I-PER"}), detect_scheme({"O", "U-PER"}), detect_scheme({"NOUN", "VERB"})
    ('iob2', 'bilou', 'none')
    """
    distinct = set(tags)
    letters = {_split(tag)[0] for tag in distinct if tag != "O"}
    if not letters or "O" in letters:
        return "none"
    return next((scheme for scheme in ("iob2", "bilou") if letters <= _LETTERS[scheme]), "none")


def _follows(before: tuple[str, str] | None, tag: tuple[str, str] | None, scheme: str) -> bool:
    """Whether a tag may stand behind another; None is the place before or behind the sentence."""
    is_open = before is not None and before[0] in ("BI" if scheme == "bilou" else "BIL")
    goes_on = tag is not None and tag[0] in "IL"
    same = before is not None and tag is not None and before[1] == tag[1]
    if scheme == "bilou":
        return is_open == goes_on and (same or not goes_on)
    return not goes_on or (is_open and same)


def allowed(tags: Sequence[Any], scheme: str) -> NDArray[np.bool_]:
    """Which tag may follow which, bool of shape (k + 2, k).

    Row i is tag i; row k the place before the sentence; in row k + 1 stands whether a sentence may end with the tag.

    Examples
    --------
    >>> allowed(["B-X", "I-X", "O"], "iob2").astype(int)
    array([[1, 1, 1],
           [1, 1, 1],
           [1, 0, 1],
           [1, 0, 1],
           [1, 1, 1]])
    """
    check_choice("scheme", scheme, SCHEMES)
    k = len(tags)
    table = np.ones((k + 2, k), dtype=bool)
    if scheme == "none":
        return table
    parts = [_split(tag) for tag in tags]
    for i, before in enumerate([*parts, None]):
        table[i] = [_follows(before, tag, scheme) for tag in parts]
    table[k + 1] = [_follows(tag, None, scheme) for tag in parts]
    return table


def repair(tags: Sequence[str], scheme: str) -> tuple[list[str], int]:
    """The tags with as few changed as make them legal, and how many were changed.

    An I without a beginning becomes a B, so that the older IOB1 becomes IOB2; in BILOU the entities are written anew.

    Examples
    --------
    >>> repair(["I-PER", "I-PER", "O", "I-LOC"], "iob2")
    (['B-PER', 'I-PER', 'O', 'B-LOC'], 2)
    """
    check_choice("scheme", scheme, SCHEMES)
    if scheme == "none":
        return list(tags), 0
    written = _written(entities(tags), len(tags))
    fixed = to_bilou(written) if scheme == "bilou" else written
    return fixed, sum(new != old for new, old in zip(fixed, tags, strict=True))


def _written(found: Sequence[tuple[str, int, int]], n: int) -> list[str]:
    tags = ["O"] * n
    for kind, start, end in found:
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tags


def to_iob2(tags: Sequence[str]) -> list[str]:
    """BILOU as IOB2.

    Examples
    --------
    >>> to_iob2(["U-LOC", "B-PER", "L-PER", "O"])
    ['B-LOC', 'B-PER', 'I-PER', 'O']
    """
    letters = {"U": "B", "L": "I"}
    return [letters.get(_split(tag)[0], tag[:1]) + tag[1:] for tag in tags]


def to_bilou(tags: Sequence[str]) -> list[str]:
    """Legal IOB2 as BILOU.

    Examples
    --------
    >>> to_bilou(["B-LOC", "B-PER", "I-PER", "O"])
    ['U-LOC', 'B-PER', 'L-PER', 'O']
    """
    found = []
    for place, tag in enumerate(tags):
        after = _split(tags[place + 1]) if place + 1 < len(tags) else ("O", "")
        letter, kind = _split(tag)
        ends = after != ("I", kind)
        if letter in "BI" and ends:
            letter = "U" if letter == "B" else "L"
        found.append(f"{letter}-{kind}" if kind else tag)
    return found


def entities(tags: Sequence[Any]) -> list[tuple[str, int, int]]:
    """The entities of a sentence as ``(type, first token, last token + 1)``, in order; illegal tags are read leniently.

    As the shared task's own script and seqeval's default mode read them: an I without a beginning begins an entity, and
    so does a change of type. BILOU's L and U are read as E and S.

    Examples
    --------
    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [('PER', 0, 2), ('LOC', 3, 4), ('LOC', 4, 5)]
    """
    found = []
    start = 0
    before = ("O", "")
    for place, tag in enumerate([*tags, "O"]):
        now = _split(tag)
        if before[0] != "O" and (before[0] in "LUES" or now[0] in "BUSO" or now[1] != before[1]):
            found.append((before[1], start, place))
            before = ("O", "")
        if now[0] != "O" and before[0] == "O":
            start = place
        before = now
    return found
