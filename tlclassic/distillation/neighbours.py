"""The nearest words of all words in some texts, found in blocks, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from tlclassic.text import Tokenizer
from tlclassic.vectors import WordVectors

__all__ = ["nearest_words"]

#: The most frequent words of the texts, and the first rows of the vectors (their most frequent words): 4 s on one core.
MOST_WORDS, MOST_CANDIDATES = 20_000, 30_000
#: Words whose cosines to all candidates are in memory at a time.
_BLOCK = 256


def nearest_words(
    texts: Iterable[str], vectors: WordVectors, *, n: int = 8, min_cosine: float = 0.4
) -> Mapping[str, list[str]]:
    """Up to ``n`` nearest words of each word of ``texts`` that ``vectors`` hold, nearest first.

    Parameters
    ----------
    texts : iterable of str
    vectors : WordVectors
    n : int
    min_cosine : float
        Farther words are left out.

    Returns
    -------
    dict of str to list of str
        Words without neighbours are not in it; only words that begin with a letter have, or are, neighbours.
    """
    tokenizer, counts = Tokenizer(contractions="keep"), Counter[str]()
    for text in texts:
        counts.update(tokenizer.tokenize(text))
    words = [word for word, _ in counts.most_common() if word[0].isalpha() and word in vectors][:MOST_WORDS]
    table = _unit(vectors.take(np.arange(min(MOST_CANDIDATES, len(vectors)))))
    candidates = [vectors.words[row] for row in range(len(table))]
    usable = np.fromiter((bool(word) and word[0].isalpha() for word in candidates), dtype=bool, count=len(candidates))
    found: dict[str, list[str]] = {}
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        cosines = _unit(vectors.lookup(block)) @ table.T
        cosines[:, ~usable] = -1.0
        for word, row in zip(block, cosines, strict=True):
            near = _largest(row, n + 1)
            names = [candidates[i] for i in near.tolist() if row[i] >= min_cosine and candidates[i] != word][:n]
            if names:
                found[word] = names
    return found


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def _largest(values: NDArray[np.float32], n: int) -> NDArray[np.intp]:
    """Places of the ``n`` largest values, largest first; equal ones in their order."""
    places = np.arange(len(values)) if n >= len(values) else np.sort(np.argpartition(-values, n)[:n])
    return np.asarray(places[np.argsort(-values[places], kind="stable")])
