"""Retrofitting: word vectors drawn towards their neighbours in a lexicon."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.joint.lexicons import Lexicon
from tlclassic.vectors import WordVectors

__all__ = ["lexicon_rows", "replaced", "retrofit"]


def retrofit(
    vectors: WordVectors,
    lexicon: Lexicon,
    *,
    strength: float = 1.0,
    iterations: int = 10,
    normalize: bool = True,
) -> WordVectors:
    """Bring words closer to their neighbours in a lexicon: Faruqui et al. 2015, https://aclanthology.org/N15-1184/.

    Each word is, in the end, the mean of its own vector and (with ``strength`` as weight) of the mean of its
    neighbours' new vectors. Words that the lexicon does not know, or none of whose neighbours has a vector, stay.

    # Design: the paper updates one word after the other, here all at once; both contract to the same solution, by at
    # least strength / (1 + strength) a pass, and this one does not depend on the order of the words.

    Parameters
    ----------
    vectors : WordVectors
    lexicon : mapping of str to list of str
        A word and its neighbours (:func:`read_lexicon`); links count in the direction in which they are given.
    strength : float
        Weight of all neighbours together beside the word's own vector, 1 in the paper.
    iterations : int
    normalize : bool
        Bring vectors to length one first, as the authors' program does.

    Returns
    -------
    WordVectors
        float32, the same words in the same order; without sub-words, which would not match.

    Raises
    ------
    InvalidParameterError

    Examples
    --------
    >>> import numpy as np
    >>> vectors = WordVectors.from_arrays(["glad", "happy", "car"], np.eye(3, dtype="float32"))
    >>> closer = retrofit(vectors, {"glad": ["happy"], "happy": ["glad"]})
    >>> closer["glad"].round(2), closer["car"]
    (array([0.67, 0.33, 0.  ], dtype=float32), array([0., 0., 1.], dtype=float32))
    """
    check_number("strength", strength, low=0.0)
    check_integer("iterations", iterations, low=0)
    check_choice("normalize", normalize, (True, False))
    words, neighbours = lexicon_rows(vectors, lexicon)
    original = vectors.normalized() if normalize else vectors
    table = original.take(np.arange(len(vectors)))
    if not len(words):
        return replaced(vectors, table)
    sparse = require("scipy.sparse", purpose="Retrofitting")
    moving, place = np.unique(words, return_inverse=True)
    shares = 1 / np.bincount(place)[place]
    links = sparse.csr_array((shares.astype(np.float32), (place, neighbours)), shape=(len(moving), len(table)))
    own = table[moving].copy()
    for _ in range(iterations):
        table[moving] = (own + np.float32(strength) * (links @ table)) / np.float32(1 + strength)
    return replaced(vectors, table)


def lexicon_rows(vectors: WordVectors, lexicon: Lexicon) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The links whose words are both known, as two int64 arrays: rows of words, rows of their neighbours.

    Raises
    ------
    InvalidParameterError
        When it is no mapping of words to lists of words.
    """
    if not isinstance(lexicon, Mapping):
        raise InvalidParameterError(
            f"lexicon must map words to lists of words; got {type(lexicon).__name__}. Read a file with read_lexicon."
        )
    firsts: list[str] = []
    seconds: list[str] = []
    for word, others in lexicon.items():
        if isinstance(others, str):
            raise InvalidParameterError(f"lexicon[{word!r}] must be a list of words; got the string {others!r}.")
        listed = list(others)
        firsts += [word] * len(listed)
        seconds += listed
    rows = np.stack([vectors.rows(firsts), vectors.rows(seconds)], axis=1)
    rows = np.unique(rows[(rows >= 0).all(axis=1) & (rows[:, 0] != rows[:, 1])], axis=0)
    return rows[:, 0], rows[:, 1]


def replaced(vectors: WordVectors, table: NDArray[np.float32]) -> WordVectors:
    """The same words with other vectors, float32 of shape (n, d); sub-words, which would not match, are left out."""
    oov = "zero" if vectors.oov == "subword" else vectors.oov
    return WordVectors(vectors.index, table, counts=vectors.counts, oov=oov, tokenizer=vectors.tokenizer_bytes)
