"""Plain twin of ``_index.pyx``: the same hash and slots in Python, look-ups through a dict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_WORD = (1 << 64) - 1
_K0, _K1, _K2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F


def _mix(a: int, b: int) -> int:
    product = a * b
    return (product & _WORD) ^ (product >> 64)


def hash_word(word: bytes) -> int:
    """The 64-bit hash of wordindex.h."""
    h = len(word) * _K0 & _WORD
    whole = len(word) - len(word) % 8
    for start in range(0, whole, 8):
        h = (_mix(h ^ int.from_bytes(word[start : start + 8], "little"), _K1) + _K0) & _WORD
    h = _mix(h ^ int.from_bytes(word[whole:], "little"), _K2)
    return _mix(h ^ _K0, _K1)


def check_words(words: NDArray[np.uint8], offsets: NDArray[np.int64], n_slots: int) -> None:
    """Raise ValueError unless ``offsets`` cut ``words`` in order and ``n_slots`` is a power of two above the count."""
    n_words = len(offsets) - 1
    if n_words < 0:
        raise ValueError("offsets must hold at least one number")
    if n_slots <= n_words or n_slots & (n_slots - 1) or n_words >= 1 << 32:
        raise ValueError(f"n_slots must be a power of two above the {n_words} words, fewer than 2**32; got {n_slots}")
    if offsets[0] < 0 or offsets[-1] > len(words) or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets must rise from 0 to at most the {len(words)} bytes of words")


def build_slots(
    words: NDArray[np.uint8], offsets: NDArray[np.int64], n_slots: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hash table of the words, and the rows whose word had occurred before."""
    check_words(words, offsets, n_slots)
    blob, bounds = words.tobytes(), offsets.tolist()
    slots = [0] * n_slots
    seen: set[bytes] = set()
    duplicates = []
    for row in range(len(bounds) - 1):
        word = blob[bounds[row] : bounds[row + 1]]
        if word in seen:
            duplicates.append(row)
            continue
        seen.add(word)
        hashed = hash_word(word)
        place = hashed & (n_slots - 1)
        while slots[place]:
            place = (place + 1) & (n_slots - 1)
        slots[place] = (hashed >> 32) << 32 | (row + 1)
    return np.array(slots, dtype=np.uint64), np.array(duplicates, dtype=np.int64)


class WordIndex:
    """From words to rows, over three arrays that may be mapped from a file."""

    def __init__(self, slots: NDArray[np.uint64], words: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        if len(slots) < 1 or len(slots) & (len(slots) - 1):
            raise ValueError(f"the number of slots must be a power of two; got {len(slots)}")
        if len(offsets) < 1:
            raise ValueError("offsets must hold at least one number")
        self.slots, self.words, self.offsets = slots, words, offsets

    @cached_property
    def _rows(self) -> dict[bytes, int]:
        blob, bounds = self.words.tobytes(), self.offsets.tolist()
        rows: dict[bytes, int] = {}
        for row in range(len(bounds) - 1):
            rows.setdefault(blob[bounds[row] : bounds[row + 1]], row)
        return rows

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def find(self, word: bytes) -> int:
        """The row of ``word`` (UTF-8 bytes), or -1."""
        return self._rows.get(word, -1)

    def find_many(self, words: Sequence[str | bytes]) -> NDArray[np.int64]:
        """The rows of a sequence of ``str`` or UTF-8 ``bytes``, -1 where unknown; int64 of shape (n,)."""
        raw = [word if isinstance(word, bytes) else word.encode("utf-8", "surrogatepass") for word in words]
        return np.array([self._rows.get(word, -1) for word in raw], dtype=np.int64)
