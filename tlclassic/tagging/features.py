"""From sentences to hashed features: which features there are, and the arrays of a block of sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import load
from tlclassic.tagging.lexicon import Lexicon

__all__ = ["Block", "Settings", "blocks", "check_sentences", "make_settings", "read_block"]

#: Tokens of a block: what is held of them at a time stays in tens of megabytes.
BLOCK_TOKENS = 50_000
#: Columns of the kernel's matrix.
LOWER, EXACT, SHAPE, SHORT = 0, 1, 2, 3
_N_AFFIXES = 8


@dataclass(frozen=True)
class Settings:
    """Which features a tagger has.

    Attributes
    ----------
    window : int
        The largest distance of a word that says something of a token.
    radius : tuple of int
        For each column (word in lower case, as it stands, shape, short shape, four prefixes, four suffixes, classes)
        the distance up to which it counts; -1 for never.
    ngrams : (int, int)
        Characters of the shortest and longest n-gram of the token itself; (0, 0) for none.
    pairs : tuple of (column, distance, column, distance)
    reach : int
        The distance up to which word vectors count.
    """

    window: int
    radius: tuple[int, ...]
    ngrams: tuple[int, int]
    pairs: tuple[tuple[int, int, int, int], ...]
    reach: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True)
class Block:
    """Sentences as arrays; V distinct words, of which the last two rows are the places before and behind a sentence.

    Attributes
    ----------
    tokens : int32 array of shape (N,)
    bounds : int64 array of shape (S + 1,)
    matrix : uint64 array of shape (V + 2, columns)
    found : int64 array of shape (V + 2,)
        The words' slots in the lexicon.
    keys : uint64 array
    key_bounds : int64 array of shape ((V + 2) * (2 * window + 1) + 1,)
    """

    tokens: NDArray[np.int32]
    bounds: NDArray[np.int64]
    matrix: NDArray[np.uint64]
    found: NDArray[np.int64]
    keys: NDArray[np.uint64]
    key_bounds: NDArray[np.int64]


def make_settings(
    window: int, affixes: bool, char_ngrams: tuple[int, int] | None, pairs: bool, n_classes: int, reach: int
) -> Settings:
    """The features of a tagger with these options.

    Words in lower case, shapes and classes count in the whole window, the rest next to the token; pairs are of
    neighbouring words and shapes.
    """
    near = min(1, window)
    radius = [window, near, window, near, *[near if affixes else -1] * _N_AFFIXES, *[window] * n_classes]
    couples = [(column, d, column, d + 1) for column in (LOWER, SHAPE) for d in (-1, 0)] if pairs else []
    low, high = char_ngrams or (0, 0)
    return Settings(window, tuple(radius), (low, high), tuple(couples), reach)


def check_sentences(sentences: Any) -> Sequence[Sequence[str]]:
    """The sentences, each a list or tuple of tokens.

    Raises
    ------
    InvalidParameterError
        For a string in the place of a list, or an item that is no list; its position is named. Tokens are checked when
        they are read.
    """
    if isinstance(sentences, (str, bytes)) or not hasattr(sentences, "__iter__"):
        raise InvalidParameterError(f"sentences must be a list of lists of tokens; got {type(sentences).__name__}.")
    held: list[Sequence[str]] = list(sentences)
    for place, sentence in enumerate(held):
        if isinstance(sentence, (str, bytes)) or not hasattr(sentence, "__len__"):
            raise InvalidParameterError(
                f"sentences[{place}] must be a list of tokens; got {sentence!r:.80}. Split the text into tokens first."
            )
    return held


def read_block(sentences: Sequence[Sequence[str]], settings: Settings, lexicon: Lexicon) -> Block:
    """The arrays of a block of sentences.

    Raises
    ------
    InvalidParameterError
        For a token that is not a string.
    """
    kernel = load("tag")
    try:
        words, tokens, bounds = kernel.index_words(sentences)
    except TypeError as error:
        raise InvalidParameterError(f"sentences: {error}.") from error
    words = [str(word) for word in words]  # of a NumPy array they are of a type of its own
    matrix, ngrams, offsets = kernel.atoms(words, *settings.ngrams)
    found = lexicon.find(matrix)
    found[-2:] = -1
    if lexicon.classes.shape[1]:
        matrix = np.hstack([matrix, lexicon.columns(found)])
    radius = np.array(settings.radius, np.int32)
    keys, key_bounds = kernel.unary_keys(matrix, radius, ngrams, offsets, settings.window)
    return Block(tokens, bounds, matrix, found, keys, key_bounds)


def blocks(sentences: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """First and last sentence + 1 of runs of about ``BLOCK_TOKENS`` tokens."""
    first, size = 0, 0
    for place, sentence in enumerate(sentences):
        size += len(sentence)
        if size >= BLOCK_TOKENS:
            yield first, place + 1
            first, size = place + 1, 0
    if first < len(sentences):
        yield first, len(sentences)


def pair_array(settings: Settings) -> NDArray[np.int32]:
    """The pairs as the kernel takes them, int32 of shape (P, 4)."""
    return np.array(settings.pairs, np.int32).reshape(-1, 4)
