"""Word weights: TF-IDF, SIF and uSIF. Pure functions of counts and probabilities."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tlclassic.features.tokens import Tokens

__all__ = [
    "document_frequencies",
    "idf_weights",
    "sif_weights",
    "usif_parameter",
    "usif_weights",
    "word_frequencies",
]


def word_frequencies(batches: Iterable[Tokens], n_words: int) -> NDArray[np.float64]:
    """How often each row occurs in the texts; float64 of shape (n_words,)."""
    counts = np.zeros(n_words, dtype=np.float64)
    for tokens in batches:
        rows, times = np.unique(tokens.rows[tokens.rows >= 0], return_counts=True)
        counts[rows] += times
    return counts


def document_frequencies(batches: Iterable[Tokens], n_words: int) -> NDArray[np.float64]:
    """In how many texts each row occurs; float64 of shape (n_words,)."""
    counts = np.zeros(n_words, dtype=np.float64)
    for tokens in batches:
        texts = np.repeat(np.arange(len(tokens)), np.diff(tokens.indptr))
        known = tokens.rows >= 0
        pairs = np.unique(texts[known] * n_words + tokens.rows[known])
        rows, times = np.unique(pairs % n_words if len(pairs) else pairs, return_counts=True)
        counts[rows] += times
    return counts


def idf_weights(document_frequency: NDArray[np.float64], n_texts: int) -> NDArray[np.float64]:
    """ln((1 + n_texts) / (1 + df)) + 1: scikit-learn's smooth inverse document frequency."""
    return np.log((1.0 + n_texts) / (1.0 + document_frequency)) + 1.0


def sif_weights(probability: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """a / (a + p(w)): smooth inverse frequency (Arora, Liang and Ma 2017)."""
    return a / (a + probability)


def usif_parameter(vocabulary: NDArray[np.float64], mean_length: float) -> float:
    """The parameter a of uSIF (Ethayarajh 2018, section 3.3), from the corpus instead of by tuning.

    With V words, each drawn once in a text of n words with probability 1 - (1 - 1/V)^n: alpha is the share of words
    more probable than that, Z = V / 2 the partition function, and a = (1 - alpha) / (alpha Z).

    Parameters
    ----------
    vocabulary : float64 array of shape (V,)
        p(w) of every word.
    mean_length : float
        Mean number of words in a text; below 1 it is taken as 1.

    Returns
    -------
    float
        Infinite where no word is that probable: all words then weigh the same.
    """
    n_words = len(vocabulary)
    threshold = 1.0 - (1.0 - 1.0 / n_words) ** max(mean_length, 1.0)
    alpha = float((vocabulary > threshold).sum()) / n_words
    # All words can be above it by rounding alone, where they are equally probable and texts have one word.
    return (1.0 - alpha) / (alpha * 0.5 * n_words) if 0.0 < alpha < 1.0 else float("inf")


def usif_weights(probability: NDArray[np.float64], a: float, smallest: float) -> NDArray[np.float64]:
    """a / (a / 2 + p(w)); a word that was not counted has the ``smallest`` probability."""
    if np.isinf(a):
        return np.full(len(probability), 2.0)
    return a / (0.5 * a + np.where(probability > 0.0, probability, smallest))
