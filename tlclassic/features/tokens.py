"""Texts as rows of the vectors: batches, tokens, and the tokeniser that suits a vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_texts
from tlclassic.text import HuggingFaceTokenizer, Tokenizer, as_tokenizer

__all__ = ["BATCH_SIZE", "Tokens", "batches", "choose_tokenizer", "is_cased", "look_up", "stream"]

#: Texts that are tokenised and pooled at a time: their rows stay in the processor's cache.
BATCH_SIZE = 1024
#: Words that are looked at to tell whether a vocabulary keeps case, and the share of them that must not be lower case.
_SAMPLE, _CASED_SHARE = 20_000, 0.01


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of a batch of texts.

    Attributes
    ----------
    rows : int32 array of shape (n_tokens,)
        Row of the vectors, -1 where unknown.
    indptr : int64 array of shape (n_texts + 1,)
        Text i consists of ``rows[indptr[i]:indptr[i + 1]]``.
    unknown_at : int64 array
        Positions of unknown tokens; empty unless asked for.
    unknown_words : list of str
        Those tokens.
    """

    rows: NDArray[np.int32]
    indptr: NDArray[np.int64]
    unknown_at: NDArray[np.int64]
    unknown_words: list[str]

    def __len__(self) -> int:
        return len(self.indptr) - 1


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices of ``BATCH_SIZE`` texts."""
    for start in range(0, len(texts), BATCH_SIZE):
        yield texts[start : start + BATCH_SIZE]


def stream(texts: Iterable[str]) -> Iterator[Sequence[str]]:
    """Checked slices of any iterable of texts, which is read once and never held as a whole."""
    if isinstance(texts, (list, tuple, str, bytes)) or hasattr(texts, "ndim") or not isinstance(texts, Iterable):
        yield from batches(check_texts(texts))
        return
    iterator = iter(texts)
    while batch := list(itertools.islice(iterator, BATCH_SIZE)):
        yield check_texts(batch)


def look_up(tokenizer: Any, texts: Sequence[str], vectors: Any, *, lower_fallback: bool, unknown: bool) -> Tokens:
    """Tokenise ``texts`` and find each token's row."""
    # A tokeniser that lower-cases has nothing left to fall back to.
    fallback = lower_fallback and getattr(tokenizer, "case", "keep") == "keep"
    found = tokenizer.lookup(texts, vectors.index, lower_fallback=fallback, unknown=unknown)
    rows = np.ascontiguousarray(found.rows, dtype=np.int32)
    return Tokens(rows, np.ascontiguousarray(found.indptr, dtype=np.int64), found.unknown_at, found.unknown_words)


def is_cased(vectors: Any) -> bool:
    """Whether the vocabulary holds upper-case words (a stray ``<UNK>`` does not make it so)."""
    n_cased = sum(word != word.lower() for word in itertools.islice(vectors.words, _SAMPLE))
    return bool(n_cased > _CASED_SHARE * min(len(vectors), _SAMPLE))


def choose_tokenizer(tokenizer: Any, vectors: Any) -> Any:
    """The tokeniser to use: ``"auto"`` is resolved by what the vocabulary knows.

    Vectors of a static model bring their own tokeniser. Otherwise contractions are split where it knows "n't", case is
    kept where it holds upper-case words, and "!" and "?" are kept where it knows one of them.

    Raises
    ------
    MissingExtraError
        When the vectors bring a tokeniser and the package ``tokenizers`` is not installed.
    """
    if not isinstance(tokenizer, str) or tokenizer != "auto":
        return as_tokenizer(tokenizer)
    if vectors.tokenizer_json is not None:
        return HuggingFaceTokenizer.from_json(vectors.tokenizer_json)
    knows_not, *knows_marks = vectors.index.find_many(["n't", "!", "?"]) >= 0
    return Tokenizer(
        case="keep" if is_cased(vectors) else "lower",
        contractions="split" if knows_not else "keep",
        punctuation="emphasis" if any(knows_marks) else "drop",
    )
