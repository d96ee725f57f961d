"""What word vectors say of a word: classes of similar words, and the vector itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.kernels import load

__all__ = ["Lexicon", "fit_lexicon"]

#: Rows beyond this, in the order of the table (most tables are sorted by frequency), are left out.
MAX_WORDS = 200_000
_ITERATIONS = 6
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FILL = 0.75

Keys = NDArray[np.uint64]
_LAST: dict[tuple[Any, ...], Lexicon] = {}


@dataclass(frozen=True)
class Lexicon:
    """A word's classes, found by its hashes as it stands, then in lower case.

    Attributes
    ----------
    slots : uint32 array of shape (n_slots,)
        As the kernel's table; see ``tlclassic.kernels.load("tag").place``.
    classes : uint16 array of shape (n_slots, C)
    vectors : float32 array of shape (n_slots, dim)
        While a tagger is fitted, else of no columns: what becomes of them is folded into scores.
    folded : float array of shape (n_slots, (2 * reach + 1) * K)
        What a word's vector adds to the scores of the tokens around it; of no columns where there is none.
    """

    slots: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(1, np.uint32))
    classes: NDArray[np.uint16] = field(default_factory=lambda: np.zeros((1, 0), np.uint16))
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 0), np.float32))
    folded: NDArray[Any] = field(default_factory=lambda: np.zeros((1, 0), np.float32))

    def find(self, matrix: Keys) -> NDArray[np.int64]:
        """The slot of each word of a matrix of atoms, -1 where unknown."""
        kernel = load("tag")
        found: NDArray[np.int64] = kernel.find(np.ascontiguousarray(matrix[:, 1]), self.slots)
        lower = kernel.find(np.ascontiguousarray(matrix[:, 0]), self.slots)
        return np.where(found >= 0, found, lower)

    def columns(self, found: NDArray[np.int64]) -> Keys:
        """Atoms of the words' classes, uint64 of shape (n, C), 0 where unknown."""
        n_classes = self.classes.shape[1]
        ids = self.classes[np.maximum(found, 0)].astype(np.uint64) + np.uint64(1)
        spread = (ids + (np.arange(1, n_classes + 1, dtype=np.uint64) << np.uint64(32))) * _GOLDEN
        return np.where(found[:, None] >= 0, spread, np.uint64(0))

    def rows(self, found: NDArray[np.int64], table: NDArray[Any]) -> NDArray[np.float32]:
        """The rows of ``table`` of the words, zeros where unknown."""
        known = (found >= 0)[:, None]
        return np.where(known, table[np.maximum(found, 0)], 0).astype(np.float32)


def fit_lexicon(vectors: Any, sizes: Sequence[int], *, keep_vectors: bool, random_state: int) -> Lexicon:
    """The lexicon of a :class:`~tlclassic.WordVectors`: for each of ``sizes`` so many classes of similar words.

    Classes are those of spherical k-means (Dhillon and Modha 2001); as features of a linear tagger they serve better
    than the vectors themselves (Guo et al. 2014, https://aclanthology.org/D14-1012).
    """
    key = (vectors.digest, tuple(sizes), keep_vectors, random_state)
    if key not in _LAST:
        # The last one alone: several tasks, seeds and folds are fitted on the same vectors.
        found = _fit(vectors, sizes, keep_vectors, random_state)
        _LAST.clear()
        _LAST[key] = found
    return _LAST[key]


def _fit(vectors: Any, sizes: Sequence[int], keep_vectors: bool, random_state: int) -> Lexicon:
    n = min(len(vectors), MAX_WORDS)
    if n == 0:
        return Lexicon()
    kernel = load("tag")
    matrix, _, _ = kernel.atoms(vectors.words[:n], 0, 0)
    # A word in lower case is also found by its lower-case hash; digits are folded there, so the first one counts.
    words = vectors.words[:n]
    is_lower = np.array([word == word.lower() for word in words])
    keys = np.concatenate([matrix[:n, 1], matrix[:n, 0][is_lower]])
    source = np.concatenate([np.arange(n), np.flatnonzero(is_lower)])
    distinct, first = np.unique(keys, return_index=True)
    slots = np.zeros(int(len(distinct) / _FILL) + 2, np.uint32)
    places = kernel.place(distinct, slots)
    rows = source[first]
    table = unit_rows(vectors.take(np.arange(n)))
    classes = np.zeros((len(slots), len(sizes)), np.uint16)
    for column, size in enumerate(sizes):
        classes[places, column] = k_means(table, size, random_state)[rows]
    kept = np.zeros((len(slots), vectors.dim if keep_vectors else 0), np.float32)
    if keep_vectors:
        kept[places] = table[rows]
    return Lexicon(slots, classes, kept, np.zeros((len(slots), 0), np.float32))


def unit_rows(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows brought to length one; zeros stay."""
    lengths = np.sqrt((table * table).sum(axis=1, keepdims=True))
    scaled: NDArray[np.float32] = np.divide(table, lengths, out=np.zeros_like(table), where=lengths > 0)
    return scaled


def k_means(table: NDArray[np.float32], size: int, random_state: int) -> NDArray[np.int64]:
    """The class of each row of a table of unit rows, int64 of shape (n,)."""
    rng = np.random.default_rng(random_state)
    centres = table[rng.choice(len(table), min(size, len(table)), replace=False)]
    nearest = np.zeros(len(table), np.int64)
    for _ in range(_ITERATIONS):
        for start in range(0, len(table), 4096):
            nearest[start : start + 4096] = (table[start : start + 4096] @ centres.T).argmax(axis=1)
        order = np.argsort(nearest, kind="stable")
        filled, begins = np.unique(nearest[order], return_index=True)
        centres[filled] = unit_rows(np.add.reduceat(table[order], begins, axis=0))
    return nearest
