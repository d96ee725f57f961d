"""Plain twin of ``_tokenize.pyx``: the same tokens in Python, from the same tables and lists.

A text is normalised as a whole (dropped characters, decomposition, case, accents, composition), then scanned once;
every token is a slice of the normalised text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.kernels import _tokenize_rules as R
from tlclassic.kernels._tokenize_plain_scan import scan
from tlclassic.kernels._tokenize_tables import SHIFT, UNICODE_VERSION, tables

__all__ = ["UNICODE_VERSION", "lookup", "normalise", "spans", "tokens"]

# Hangul syllables, from The Unicode Standard, section 3.12.
_S, _L, _V, _T = 0xAC00, 0x1100, 0x1161, 0x11A7
_N_L, _N_V, _N_T = 19, 21, 28

_TABLES = tables()
_STAGE1, _STAGE2 = _TABLES["stage1"].tolist(), _TABLES["stage2"].tolist()
_RECORDS: list[tuple[int, int, int, int, int]] = [
    (kind, combining, flags, to_lower, to_folded)
    for kind, combining, flags, to_lower, to_folded in _TABLES["records"].reshape(-1, 5).tolist()
]


def _long_mappings(name: str) -> dict[int, list[int]]:
    keys, bounds, values = (_TABLES[f"{name}_{part}"].tolist() for part in ("keys", "bounds", "values"))
    return {key: values[bounds[i] : bounds[i + 1]] for i, key in enumerate(keys)}


_DECOMPOSITIONS = _long_mappings("decomposition")
_LONG_FOLDS = _long_mappings("fold")
_COMPOSITIONS = dict(
    zip(_TABLES["composition_keys"].tolist(), _TABLES["composition_values"].tolist(), strict=True),
)

_SIGMA, _SMALL_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C3, 0x3C2


class _Char:
    """One character on its way: its code point, and where it stood in the original text."""

    __slots__ = ("code", "end", "start")

    def __init__(self, code: int, start: int, end: int) -> None:
        self.code, self.start, self.end = code, start, end


def record(code: int) -> tuple[int, int, int, int, int]:
    """(class, combining class, flags, distance to the lower case, distance to the folded case)."""
    block = _STAGE1[code >> SHIFT] << SHIFT
    place: int = _STAGE2[block + (code & ((1 << SHIFT) - 1))]
    return _RECORDS[place]


def character_class(code: int) -> int:
    return record(code)[0]


def _read(text: str) -> list[_Char]:
    """The characters that are not ignored; an ignored one belongs to the character before it."""
    chars: list[_Char] = []
    for position, char in enumerate(text):
        if character_class(ord(char)) != R.IGNORED:
            chars.append(_Char(ord(char), position, position + 1))
        elif chars:
            chars[-1].end = position + 1
    return chars


def _decomposed(code: int) -> list[int]:
    index = code - _S
    if 0 <= index < _N_L * _N_V * _N_T:
        parts = [_L + index // (_N_V * _N_T), _V + index % (_N_V * _N_T) // _N_T, _T + index % _N_T]
        return parts if index % _N_T else parts[:2]
    return _DECOMPOSITIONS.get(code, [code])


def _decompose(chars: list[_Char]) -> list[_Char]:
    """Canonical decomposition, runs of combining characters in canonical order."""
    parts = [_Char(code, char.start, char.end) for char in chars for code in _decomposed(char.code)]
    ordered: list[_Char] = []
    marks: list[_Char] = []
    for part in parts:
        if record(part.code)[1]:
            marks.append(part)
            continue
        ordered += sorted(marks, key=lambda mark: record(mark.code)[1])
        ordered.append(part)
        marks = []
    return ordered + sorted(marks, key=lambda mark: record(mark.code)[1])


def _mapped(code: int, flags: int) -> list[int]:
    """The lower-cased or folded character; a capital sigma waits for its context."""
    _, _, properties, to_lower, to_folded = record(code)
    if code == 0x130 and flags & R.LOWER:
        return [0x69, 0x307]
    if flags & R.LOWER and code != _SIGMA:
        return [code + to_lower]
    if flags & R.FOLD:
        return _LONG_FOLDS[code] if properties & R.FOLDS_LONG else [code + to_folded]
    return [code]


def _strip(chars: list[_Char]) -> list[_Char]:
    kept: list[_Char] = []
    for char in chars:
        if not record(char.code)[2] & R.NONSPACING:
            kept.append(char)
        elif kept:
            kept[-1].end = max(kept[-1].end, char.end)
    return kept


def _composite(first: int, second: int) -> int | None:
    if 0 <= first - _L < _N_L and 0 <= second - _V < _N_V:
        return _S + ((first - _L) * _N_V + second - _V) * _N_T
    if 0 <= first - _S < _N_L * _N_V * _N_T and (first - _S) % _N_T == 0 and 0 < second - _T < _N_T:
        return first + second - _T
    return _COMPOSITIONS.get(first << 32 | second)


def _compose(chars: list[_Char]) -> list[_Char]:
    """Canonical composition (Unicode Standard Annex 15)."""
    out: list[_Char] = []
    starter, last = -1, 0
    for char in chars:
        combining = record(char.code)[1]
        if starter >= 0 and (len(out) - 1 == starter or last < combining):
            composite = _composite(out[starter].code, char.code)
            if composite is not None:
                out[starter].code = composite
                out[starter].end = max(out[starter].end, char.end)
                continue
        if combining == 0:
            starter = len(out)
        last = combining
        out.append(char)
    return out


def _unified(code: int) -> int:
    """Spaces, apostrophes and full-width marks are written in one way."""
    kind = character_class(code)
    if kind == R.SPACE:
        return 0x20
    if kind == R.APOSTROPHE:
        return 0x27
    return code - 0xFEE0 if kind == R.EMPHATIC and code > 0x7F else code


def _resolve_sigmas(codes: list[int]) -> None:
    """A capital sigma becomes a final one after a letter and not before one, marks aside."""
    for place, code in enumerate(codes):
        if code != _SIGMA:
            continue
        before, after = place - 1, place + 1
        while before >= 0 and character_class(codes[before]) == R.MARK:
            before -= 1
        while after < len(codes) and character_class(codes[after]) == R.MARK:
            after += 1
        follows = before >= 0 and character_class(codes[before]) == R.LETTER
        ends = after == len(codes) or character_class(codes[after]) != R.LETTER
        codes[place] = _FINAL_SIGMA if follows and ends else _SMALL_SIGMA


def _normalised(text: str, flags: int) -> tuple[str, list[int], list[int]]:
    """The normalised text, and for each of its characters where it began and ended in the original."""
    chars = _read(text)
    canonical = flags & (R.NFC | R.STRIP)
    if canonical:
        chars = _decompose(chars)
    if flags & (R.LOWER | R.FOLD):
        chars = [_Char(code, char.start, char.end) for char in chars for code in _mapped(char.code, flags)]
    if flags & R.STRIP:
        chars = _strip(chars)
    if canonical:
        chars = _compose(chars)
    codes = [_unified(char.code) for char in chars]
    if flags & R.LOWER:
        _resolve_sigmas(codes)
    return "".join(map(chr, codes)), [char.start for char in chars], [char.end for char in chars]


def normalise(text: str, flags: int) -> str:
    """The text that tokens are slices of."""
    return _normalised(text, flags)[0]


def tokens(text: str, flags: int) -> list[str]:
    """The tokens of ``text``."""
    normal = normalise(text, flags)
    return [normal[start:end] for start, end in scan(normal, [character_class(ord(c)) for c in normal], flags)]


def spans(text: str, flags: int) -> tuple[list[str], NDArray[np.int64]]:
    """The tokens, and int64 of shape (n_tokens, 4): characters from, to; UTF-8 bytes from, to in the original."""
    normal, starts, ends = _normalised(text, flags)
    bounds = scan(normal, [character_class(ord(c)) for c in normal], flags)
    sizes = [len(char.encode("utf-8", "surrogatepass")) for char in text]
    at_byte = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]
    rows = [(starts[start], max(ends[start:end])) for start, end in bounds]
    table = np.array([(start, end, at_byte[start], at_byte[end]) for start, end in rows], dtype=np.int64)
    return [normal[start:end] for start, end in bounds], table.reshape(-1, 4)


def lookup(
    texts: Sequence[str], index: Any, flags: int, lower_fallback: bool, unknown: bool
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Rows of the tokens of all texts (-1: unknown), bounds of each text, and where the unknown tokens are."""
    if len(index) >= 1 << 31:
        raise ValueError(f"the index holds {len(index)} words; at most {(1 << 31) - 1} are possible")
    lowering = R.LOWER | flags & (R.NFC | R.STRIP)
    rows: list[int] = []
    bounds, unknown_at, unknown_words = [0], [], []
    for text in texts:
        for token in tokens(text, flags):
            row = index.find(token.encode("utf-8"))
            if row < 0 and lower_fallback:
                row = index.find(normalise(token, lowering).encode("utf-8"))
            if row < 0 and unknown:
                unknown_at.append(len(rows))
                unknown_words.append(token)
            rows.append(row)
        bounds.append(len(rows))
    return (
        np.array(rows, dtype=np.int32),
        np.array(bounds, dtype=np.int64),
        np.array(unknown_at, dtype=np.int64),
        unknown_words,
    )
