"""Plain twin of ``_tag.pyx``: same names, same results up to rounding, far slower."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COLUMNS", "atoms", "check_bounds", "check_pairs", "check_slots", "check_tokens", "decode", "find", "index_words",
    "pair_keys", "place", "score", "score_words", "unary_keys",
]  # fmt: skip

#: Columns of the matrix of :func:`atoms`.
COLUMNS = 12

_MASK = (1 << 64) - 1
_GOLDEN, _PRIME = 0x9E3779B97F4A7C15, 0x100000001B3

Keys = NDArray[np.uint64]
Bounds = NDArray[np.int64]
Rows = NDArray[np.int32]
Single = NDArray[np.float32]


# --- what both check -------------------------------------------------------------------------------------------------


def check_bounds(bounds: Bounds, size: int, n: int) -> None:
    """Raise unless ``bounds`` cuts ``size`` things into ``n`` runs."""
    if len(bounds) != n + 1 or bounds[0] != 0 or bounds[-1] != size or (np.diff(bounds) < 0).any():
        raise ValueError(f"the bounds do not cut {size} into {n}.")


def check_tokens(tokens: Rows, bounds: Bounds, n_words: int) -> None:
    """Raise unless ``tokens`` are rows of ``n_words`` words, cut into sentences by ``bounds``."""
    check_bounds(bounds, len(tokens), len(bounds) - 1)
    if n_words < 0 or (len(tokens) and not 0 <= tokens.min() <= tokens.max() < n_words):
        raise ValueError(f"the tokens are no rows of {n_words} words.")


def check_pairs(pairs: Rows, columns: int) -> None:
    """Raise unless every row of ``pairs`` is (column, distance, column, distance)."""
    good = pairs.ndim == 2 and pairs.shape[1] == 4
    if not good or (pairs.size and not 0 <= pairs[:, ::2].min() <= pairs[:, ::2].max() < columns):
        raise ValueError(f"the pairs do not name two of {columns} columns each.")
    if pairs.size and np.abs(pairs[:, 1::2]).max() > 32:
        raise ValueError("the pairs reach further than 32 tokens.")


def check_slots(slots: NDArray[np.uint32]) -> None:
    """Raise unless a search through ``slots`` ends: the last slot, or some slot, is empty."""
    if not 1 <= len(slots) < 1 << 31 or (slots[-1] != 0 and (slots != 0).all()):
        raise ValueError("a table needs from 1 to 2**31 - 1 slots, one of them empty.")


# --- words -----------------------------------------------------------------------------------------------------------


def _mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def _at(atom: int, distance: int) -> int:
    return _mix((atom + (distance + 64) * _GOLDEN) & _MASK)


def _hash(kind: int, codes: Iterable[int]) -> int:
    h = _mix(kind * _GOLDEN & _MASK)
    for code in codes:
        h = ((h ^ code) * _PRIME) & _MASK
    return _mix(h) or 1


def index_words(sentences: Iterable[Iterable[str]]) -> tuple[list[str], Rows, Bounds]:
    """The distinct words of sentences in order of appearance, each token's word, and the sentences' bounds."""
    rows: dict[str, int] = {}
    tokens: list[int] = []
    bounds = [0]
    for sentence in sentences:
        for word in sentence:
            if not isinstance(word, str):
                raise TypeError(f"a token must be a string; got {word!r:.80} of type {type(word).__name__}")
            tokens.append(rows.setdefault(word, len(rows)))
        bounds.append(len(tokens))
    return list(rows), np.array(tokens, np.int32), np.array(bounds, np.int64)


def _shape_of(char: str) -> int:
    if char.isupper():
        return ord("X")
    if char.islower():
        return ord("x")
    if char.isdigit():
        return ord("d")
    return ord("a") if char.isalpha() else ord(char)


def _shape(word: str, longest: int) -> list[int]:
    shape: list[int] = []
    run = 0
    codes = [_shape_of(char) for char in word]
    for place, code in enumerate(codes):
        run = run + 1 if place and codes[place - 1] == code else 1
        if run <= longest:
            shape.append(code)
    return shape


def _word_atoms(word: str) -> list[int]:
    lower = word.lower()
    codes = [ord(char) for char in lower]
    row = [
        _hash(1, (48 if char.isdigit() else ord(char) for char in lower)),
        _hash(2, map(ord, word)),
        _hash(3, _shape(word, 4)),
        _hash(4, _shape(word, 1)),
    ]
    row += [_hash(4 + n, codes[:n]) if n <= len(codes) else 0 for n in range(1, 5)]
    row += [_hash(8 + n, codes[len(codes) - n :]) if n <= len(codes) else 0 for n in range(1, 5)]
    return row


def atoms(words: Sequence[str], shortest: int, longest: int) -> tuple[Keys, Keys, Bounds]:
    """What a word is made of, as hashes; see the compiled kernel."""
    if not 0 <= shortest <= longest:
        raise ValueError("atoms: n-grams must have 0 <= shortest <= longest.")
    matrix = np.zeros((len(words) + 2, COLUMNS), np.uint64)
    ngrams: list[int] = []
    offsets = [0]
    for row, word in enumerate(words):
        matrix[row] = _word_atoms(word)
        codes = [2, *map(ord, word.lower()), 3]
        for n in range(shortest, longest + 1) if shortest else ():
            ngrams += [_hash(16 + n, codes[at : at + n]) for at in range(len(codes) - n + 1)]
        offsets.append(len(ngrams))
    outside = _mix(_GOLDEN)
    matrix[-2:, 0] = [_mix(outside + 1 & _MASK) or 1, _mix(outside + 2 & _MASK) or 1]
    return matrix, np.array(ngrams, np.uint64), np.array([*offsets, len(ngrams), len(ngrams)], np.int64)


def unary_keys(matrix: Keys, radius: Rows, ngrams: Keys, offsets: Bounds, window: int) -> tuple[Keys, Bounds]:
    """The keys of what one word says of the token at each distance; see the compiled kernel."""
    if len(radius) != matrix.shape[1] or window < 0:
        raise ValueError("unary_keys: the shapes do not fit.")
    check_bounds(offsets, len(ngrams), len(matrix))
    keys: list[int] = []
    bounds = [0]
    for row, values in enumerate(matrix.tolist()):
        for d in range(-window, window + 1):
            keys += [_at(value, d) for value, r in zip(values, radius.tolist(), strict=True) if value and abs(d) <= r]
            if d == 0:
                keys += [_at(value, 0) for value in ngrams[offsets[row] : offsets[row + 1]].tolist()]
            bounds.append(len(keys))
    return np.array(keys, np.uint64), np.array(bounds, np.int64)


def _word(tokens: Rows, place: int, first: int, last: int, n: int) -> int:
    if place < first:
        return n
    return n + 1 if place >= last else int(tokens[place])


def pair_keys(matrix: Keys, tokens: Rows, bounds: Bounds, pairs: Rows) -> Keys:
    """The keys of features of two words, uint64 of shape (n_tokens, n_pairs), 0 where there is none."""
    check_tokens(tokens, bounds, len(matrix) - 2)
    check_pairs(pairs, matrix.shape[1])
    n, keys = len(matrix) - 2, np.zeros((len(tokens), len(pairs)), np.uint64)
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        for t in range(first, last):
            for p, (a, d, b, e) in enumerate(pairs.tolist()):
                one = int(matrix[_word(tokens, t + d, first, last, n), a])
                other = int(matrix[_word(tokens, t + e, first, last, n), b])
                if one and other:
                    keys[t, p] = _mix((_at(one, d) * _PRIME + _at(other, e) + p) & _MASK) or 1
    return keys


# --- the table -------------------------------------------------------------------------------------------------------


def _find(slots: NDArray[np.uint32], key: int) -> int:
    """The slot of a key; -1 - slot where it would go."""
    size, mark = len(slots), (key >> 32) or 1
    at = ((key & 0xFFFFFFFF) * size) >> 32
    while slots[at] != 0:
        if slots[at] == mark:
            return at
        at = (at + 1) % size
    return -1 - at


def place(keys: Keys, slots: NDArray[np.uint32]) -> Bounds:
    """Put keys into ``slots``, of which some stay empty (0); the slot of each, int64 of shape (n,)."""
    if len(keys) >= (slots == 0).sum() or len(slots) >= 1 << 31:
        raise ValueError("place: the slots do not suffice.")
    places = []
    for key in keys.tolist():
        found = _find(slots, key)
        if found < 0:
            found = -1 - found
            slots[found] = (key >> 32) or 1
        places.append(found)
    return np.array(places, np.int64)


def find(keys: Keys, slots: NDArray[np.uint32]) -> Bounds:
    """The slot of each key, -1 where it is not there; int64 of shape (n,)."""
    check_slots(slots)
    return np.array([max(_find(slots, key), -1) for key in keys.tolist()], np.int64)


# --- scores ----------------------------------------------------------------------------------------------------------


def score_words(keys: Keys, bounds: Bounds, slots: NDArray[np.uint32], table: NDArray[Any], out: Single) -> None:
    """Add to row i of ``out`` the rows of ``table`` of the keys ``bounds[i]:bounds[i + 1]``."""
    check_slots(slots)
    check_bounds(bounds, len(keys), len(out))
    if len(table) != len(slots) or out.shape[1] != table.shape[1]:
        raise ValueError("score_words: the shapes do not fit.")
    for i in range(len(out)):
        for found in find(keys[bounds[i] : bounds[i + 1]], slots).tolist():
            if found >= 0:
                out[i] += table[found].astype(np.float32)


def score(
    words: Single,
    tokens: Rows,
    bounds: Bounds,
    matrix: Keys,
    pairs: Rows,
    slots: NDArray[np.uint32],
    table: NDArray[Any],
    out: Single,
) -> None:
    """Add to row t of ``out`` what the words around token t say of it and its pairs; see the compiled kernel."""
    n, k, window = len(matrix) - 2, table.shape[1], words.shape[1] // 2
    check_slots(slots)
    keys = pair_keys(matrix, tokens, bounds, pairs)
    shapes = (len(table), out.shape, words.shape[0], words.shape[2], words.shape[1] % 2)
    if shapes != (len(slots), (len(tokens), k), n + 2, k, 1):
        raise ValueError("score: the shapes do not fit.")
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        for t in range(first, last):
            for d in range(-window, window + 1):
                out[t] += words[_word(tokens, t + d, first, last, n), d + window]
            for key in keys[t].tolist():
                found = _find(slots, key) if key else -1
                if found >= 0:
                    out[t] += table[found].astype(np.float32)


def decode(scores: Single, column: int, bounds: Bounds, links: Single, out: Rows) -> None:
    """The best path of every sentence through the columns from ``column`` on; see the compiled kernel."""
    k = links.shape[1]
    check_bounds(bounds, len(scores), len(bounds) - 1)
    if len(links) != k + 2 or not 1 <= k <= 1 << 15 or not 0 <= column <= scores.shape[1] - k:
        raise ValueError("decode: the shapes do not fit.")
    if len(out) != len(scores):
        raise ValueError("decode: the shapes do not fit.")
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if first < last:
            out[first:last] = _best_path(scores[first:last, column : column + k], links, k)


def _best_path(scores: Single, links: Single, k: int) -> list[int]:
    best = links[k] + scores[0]
    back = []
    for row in scores[1:]:
        ways = best[:, None] + links[:k]
        back.append(ways.argmax(axis=0))
        best = ways.max(axis=0) + row
    path = [int((best + links[k + 1]).argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return path[::-1]
