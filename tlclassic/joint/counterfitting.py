"""Counter-fitting: synonyms drawn together, antonyms pushed apart, everything else kept where it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.joint.lexicons import WordPair, known_pairs
from tlclassic.joint.retrofitting import replaced
from tlclassic.vectors import WordVectors

__all__ = ["counter_fit"]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
_BLOCK = 512
#: Neighbours that a word is kept close to, at most: in a space of few dimensions half of the words may be within reach.
_NEAREST = 50


class _Pull(NamedTuple):
    """Pairs of rows that are drawn together (sign 1) where they are further apart than ``bound``, or pushed apart
    (sign -1) where they are closer; distances are 1 - cosine."""

    pairs: Rows
    sign: int
    bound: Floats


def counter_fit(
    vectors: WordVectors,
    synonyms: Iterable[WordPair] = (),
    antonyms: Iterable[WordPair] = (),
    *,
    rate: float = 0.1,
    iterations: int = 20,
    synonym_distance: float = 0.0,
    antonym_distance: float = 1.0,
    radius: float = 0.2,
) -> WordVectors:
    """Draw synonyms together and push antonyms apart: Mrkšić et al. 2016, https://aclanthology.org/N16-1018/.

    Three terms are minimised: synonyms further apart than ``synonym_distance``, antonyms closer than
    ``antonym_distance``, and words that were within ``radius`` of each other and no longer are (antonyms excepted;
    each word's nearest 50). Distances are 1 - cosine. Each step moves a word by the mean gradient of each of its terms,
    and brings it to length one.

    Parameters
    ----------
    vectors : WordVectors
    synonyms, antonyms : iterable of (word, word)
        From :func:`read_word_pairs`; pairs with an unknown word are left out, and synonyms that are antonyms as well.
    rate : float
        Length of the steps, the paper's k = 0.1 for all three terms.
    iterations : int
        20 in the paper.
    synonym_distance, antonym_distance, radius : float
        The paper's gamma = 0, delta = 1 and rho = 0.2.

    Returns
    -------
    WordVectors
        float32 of length one, the same words in the same order, without sub-words.

    Raises
    ------
    InvalidParameterError
        When no pair is left, or a number is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.array([[1, 0.1], [1, -0.1], [0.8, 0.6]], dtype="float32")
    >>> vectors = WordVectors.from_arrays(["cheap", "dear", "inexpensive"], table)
    >>> fitted = counter_fit(vectors, [("cheap", "inexpensive")], [("cheap", "dear")])
    >>> bool(fitted["cheap"] @ fitted["dear"] < 0.1), bool(fitted["cheap"] @ fitted["inexpensive"] > 0.95)
    (True, True)
    """
    check_number("rate", rate, low=0.0, high=1.0)
    check_integer("iterations", iterations, low=0)
    for name, value in (
        ("synonym_distance", synonym_distance), ("antonym_distance", antonym_distance), ("radius", radius),
    ):  # fmt: skip
        check_number(name, value, low=0.0, high=2.0)
    apart = _unique(known_pairs(vectors, vectors, antonyms))
    together = _unique(known_pairs(vectors, vectors, synonyms))
    together = together[~np.isin(_keys(together), _keys(apart))]
    if not len(apart) and not len(together):
        raise InvalidParameterError("synonyms and antonyms must hold a pair of words that the vectors know; got none.")
    table = vectors.normalized().take(np.arange(len(vectors)))
    nearby, distances = _nearby(table, np.unique(np.concatenate([apart.ravel(), together.ravel()])), radius)
    free = ~np.isin(_keys(nearby), _keys(apart))
    nearby, distances = nearby[free], distances[free]
    pulls = [
        _Pull(apart, -1, np.full(len(apart), antonym_distance, dtype=np.float32)),
        _Pull(together, 1, np.full(len(together), synonym_distance, dtype=np.float32)),
        _Pull(nearby, 1, distances),
    ]
    for _ in range(iterations):
        _step(table, pulls, rate)
    return replaced(vectors, table)


def _step(table: Floats, pulls: list[_Pull], rate: float) -> None:
    """One step of all three terms, from the same state; in place."""
    change = np.zeros_like(table)
    for pairs, sign, bound in pulls:
        cosines = np.einsum("ij,ij->i", table[pairs[:, 0]], table[pairs[:, 1]])
        violated = (1 - cosines > bound) if sign > 0 else (1 - cosines < bound)
        if violated.any():
            change += sign * _mean_gradient(table, pairs[violated], cosines[violated])
    moved = np.flatnonzero(change.any(axis=1))
    rows = table[moved] + np.float32(rate) * change[moved]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    table[moved] = rows / np.where(lengths > 0, lengths, np.float32(1))


def _mean_gradient(table: Floats, pairs: Rows, cosines: Floats) -> Floats:
    """For each row the mean of the gradients of the cosines of its pairs: the other vector less cosine times itself."""
    sparse = require("scipy.sparse", purpose="Counter-fitting")
    one, other = np.concatenate([pairs, pairs[:, ::-1]]).T
    shares = 1 / np.bincount(one, minlength=len(table)).clip(1)[one].astype(np.float32)
    shape = (len(table), len(table))
    links = sparse.csr_array((shares, (one, other)), shape=shape)
    means = np.bincount(one, weights=np.tile(cosines, 2) * shares, minlength=len(table)).astype(np.float32)
    return np.asarray(links @ table - means[:, None] * table, dtype=np.float32)


def _nearby(table: Floats, rows: Rows, radius: float) -> tuple[Rows, Floats]:
    """Pairs of one of ``rows`` and its nearest within ``radius``, and their distances: what has to be kept."""
    found, distances = [np.empty((0, 2), dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    count = min(_NEAREST + 1, len(table))
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        apart = 1 - table[block] @ table.T
        nearest = np.argpartition(apart, count - 1, axis=1)[:, :count]
        one, place = np.nonzero(np.take_along_axis(apart, nearest, axis=1) <= radius)
        other = nearest[one, place]
        found.append(np.stack([block[one], other], axis=1))
        distances.append(apart[one, other])
    pairs, lengths = np.concatenate(found), np.concatenate(distances)
    _, first = np.unique(_keys(pairs), return_index=True)
    first = first[pairs[first, 0] != pairs[first, 1]]
    return pairs[first], lengths[first]


def _keys(pairs: Rows) -> Rows:
    """One number a pair, the same in both directions."""
    ordered = np.sort(pairs, axis=1)
    return np.asarray((ordered[:, 0] << 32) | ordered[:, 1], dtype=np.int64)


def _unique(pairs: Rows) -> Rows:
    _, first = np.unique(_keys(pairs), return_index=True)
    pairs = pairs[np.sort(first)]
    return np.asarray(pairs[pairs[:, 0] != pairs[:, 1]], dtype=np.int64)
