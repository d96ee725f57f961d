"""What ``EmbeddingVectorizer`` learns from training texts, and what it makes of unknown words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.features import weights as formulas
from tlclassic.features.counts import WordProbabilities, counts_of_rows, read_counts, zipf_probabilities
from tlclassic.features.poolings import Block
from tlclassic.features.tokens import Tokens, is_cased

__all__ = ["COUNTS", "UNKNOWN", "check_support", "choose_unknown", "weights_of_unknown", "with_unknown", "word_weights"]

#: The values of ``counts`` that name a source; any other string is a path.
COUNTS = ("train", "rank", "vectors")
#: What an unknown word can be.
UNKNOWN = ("ignore", "zero", "subword", "mean")


def choose_unknown(unknown: str, vectors: Any) -> str:
    """What an unknown word is: ``"auto"`` follows the vectors' own policy, where it gives every word a vector."""
    if unknown != "auto":
        return unknown
    # A policy "lower" is what lower_fallback does; zeros would only dilute a mean.
    return str(vectors.oov) if vectors.oov in ("subword", "mean") else "ignore"


def check_support(vectors: Any, unknown: str, counts: object, blocks: Sequence[Block]) -> None:
    """Refuse what these vectors cannot do.

    Raises
    ------
    InvalidParameterError
        When sub-words or counts are asked for and the vectors have none, or ``counts`` is of a wrong type.
    """
    if unknown == "subword" and vectors.subwords is None:
        raise InvalidParameterError(
            "unknown='subword' needs vectors with sub-words (a fastText .bin file); these have none. Choose 'ignore', "
            "'zero' or 'mean'."
        )
    if not isinstance(counts, (str, os.PathLike, Mapping)):
        raise InvalidParameterError(
            f"counts must be one of {', '.join(map(repr, COUNTS))}, a path or a dict of word to count; got {counts!r}."
        )
    if counts == "vectors" and vectors.counts is None and any(block.removal for block in blocks):
        raise InvalidParameterError(
            "counts='vectors' needs vectors that were saved with word counts; these have none. Choose 'train', 'rank' "
            "or a file of counts."
        )


def word_weights(
    weighting: str, tokens: Sequence[Tokens], vectors: Any, counts: Any, a: float
) -> tuple[NDArray[np.float32], float]:
    """The weight of each row, float32 of shape (n_words,), and that of a word which was not counted."""
    n_words = len(vectors)
    if weighting == "tfidf":
        n_texts = sum(len(batch) for batch in tokens)
        idf = formulas.idf_weights(formulas.document_frequencies(tokens, n_words), n_texts)
        return idf.astype(np.float32), float(formulas.idf_weights(np.zeros(1), n_texts)[0])
    probabilities = _probabilities(counts, tokens, vectors)
    if weighting == "sif":
        return formulas.sif_weights(probabilities.rows, a).astype(np.float32), 1.0
    n_known = sum(int((batch.rows >= 0).sum()) for batch in tokens)
    n_texts = sum(len(batch) for batch in tokens)
    parameter = formulas.usif_parameter(probabilities.vocabulary, n_known / n_texts)
    smallest = float(probabilities.vocabulary.min())
    weights = formulas.usif_weights(probabilities.rows, parameter, smallest)
    unknown = float(formulas.usif_weights(np.zeros(1), parameter, smallest)[0])
    return weights.astype(np.float32), unknown


def _probabilities(counts: Any, tokens: Sequence[Tokens], vectors: Any) -> WordProbabilities:
    if isinstance(counts, str) and counts == "rank":
        return zipf_probabilities(len(vectors))
    if isinstance(counts, str) and counts in ("train", "vectors"):
        train = counts == "train"
        rows = formulas.word_frequencies(tokens, len(vectors)) if train else vectors.counts.astype(np.float64)
        if not rows.any():
            # Nothing is known about any word: all weigh the same.
            rows = np.ones(len(vectors), dtype=np.float64)
        return WordProbabilities.from_counts(rows, rows[rows > 0])
    table = counts if isinstance(counts, Mapping) else read_counts(counts)
    rows = counts_of_rows(table, vectors, cased=is_cased(vectors))
    counted = np.fromiter(table.values(), dtype=np.float64, count=len(table))
    return WordProbabilities.from_counts(rows, counted[counted > 0])


def with_unknown(tokens: Tokens, vectors: Any, unknown: str) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
    """The rows, unknown tokens sent to the rows of an extra table where they have a vector; and that table."""
    if unknown == "mean":
        return np.where(tokens.rows < 0, np.int32(len(vectors)), tokens.rows), vectors.mean[None, :]
    if unknown != "subword" or not len(tokens.unknown_words):
        return tokens.rows, None
    words = dict.fromkeys(tokens.unknown_words)
    place = {word: len(vectors) + number for number, word in enumerate(words)}
    rows = tokens.rows.copy()
    rows[tokens.unknown_at] = [place[word] for word in tokens.unknown_words]
    return rows, np.ascontiguousarray(vectors.subwords.vectors(list(words)), dtype=np.float32)


def weights_of_unknown(block: Block, weight: float, extra: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """The weight of each row of ``extra``: that of a word which was not counted."""
    if extra is None or block.weighting is None:
        return None
    return np.full(len(extra), weight, dtype=np.float32)
