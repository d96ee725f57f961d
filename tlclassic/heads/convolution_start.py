"""Word vectors that :class:`ConvolutionClassifier` starts from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tlclassic.features.convolution import find_rows, word_buckets
from tlclassic.vectors import WordVectors

__all__ = ["SPREAD", "start_from"]

#: Root mean square of the entries of word vectors when training begins; of random ones for words without.
SPREAD, _RANDOM = 1.0 / 3.0, 0.1
#: What word vectors have as words of their own and texts as the end of another.
_CLITICS = ("n't", "'s", "'re", "'ve", "'ll", "'d", "'m")


def start_from(
    vectors: WordVectors, known: NDArray[np.int64], bits: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """``(buckets, start)``: all words of the vectors and those that are ``known``, and a vector for each and one more.

    Vectors are scaled alike; ``don't`` has the mean of those of ``do`` and ``n't`` where the vectors have no other;
    words without vectors have small random ones.
    """
    words = list(vectors.words)
    table = np.asarray(vectors.take(np.arange(len(words))), dtype=np.float32)
    own = word_buckets(words, bits)
    buckets = np.union1d(known, own[own >= 0])
    start = random.normal(0.0, _RANDOM, (len(buckets) + 1, vectors.dim)).astype(np.float32)
    spread = float(np.sqrt((table.astype(np.float64) ** 2).mean()))
    table *= np.float32(SPREAD / spread if spread else 1.0)
    places = {word: row for row, word in enumerate(words)}
    for clitic in _CLITICS:
        if clitic in places:
            joined = word_buckets([word + clitic for word in words], bits)
            rows = find_rows(np.maximum(joined, 0).astype(np.uint32), buckets)
            there = np.flatnonzero((joined >= 0) & (rows < len(buckets)))
            start[rows[there]] = (table[there] + table[places[clitic]]) / np.float32(2.0)
    # Backwards, so that of words with one bucket the first, which is the most frequent, stays.
    there = np.flatnonzero(own >= 0)[::-1]
    start[find_rows(own[there].astype(np.uint32), buckets)] = table[there]
    return buckets, start
