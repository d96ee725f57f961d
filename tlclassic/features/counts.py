"""Word counts and the probabilities p(w) made from them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InputError, InvalidParameterError

__all__ = ["WordProbabilities", "counts_of_rows", "read_counts", "zipf_probabilities"]

_OPENERS: tuple[tuple[bytes, Any], ...] = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))


@dataclass(frozen=True, eq=False)
class WordProbabilities:
    """How probable words are in running text.

    Attributes
    ----------
    rows : float64 array of shape (n_words,)
        p(w) per row of the vectors; 0 for a word that was not counted.
    vocabulary : float64 array of shape (n_counted,)
        p(w) of every word that was counted, known to the vectors or not.
    """

    rows: NDArray[np.float64]
    vocabulary: NDArray[np.float64]

    @classmethod
    def from_counts(cls, rows: NDArray[np.float64], counted: NDArray[np.float64]) -> WordProbabilities:
        """From counts per row and the counts of all words; neither is normalised yet."""
        total = counted.sum()
        if not total > 0:
            raise InvalidParameterError("counts must hold at least one word with a count above 0; got none.")
        return cls(rows / total, counted / total)


def zipf_probabilities(n_words: int) -> WordProbabilities:
    """p(w) proportional to 1 / rank, the rank being the row (Zipf's law): for files sorted by frequency."""
    counts = 1.0 / np.arange(1.0, n_words + 1.0)
    return WordProbabilities.from_counts(counts, counts)


def read_counts(path: str | os.PathLike[str]) -> dict[str, float]:
    """Read word counts: a word, white space and a number on each line.

    Plain text in UTF-8, or compressed with gzip, bzip2 or xz (told by content). The number is what follows the last
    white space, so a word may hold spaces. The counts of a repeated word are added up; empty lines are skipped.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict of str to float

    Raises
    ------
    InputError
        When the file cannot be read, is not UTF-8, or a line is not a word and a finite number of at least 0; names
        the line.
    """
    counts: dict[str, float] = {}
    try:
        with _open(path) as file:
            for number, raw in enumerate(file, start=1):
                if raw.strip():
                    word, count = _parse(raw, path, number)
                    counts[word] = counts.get(word, 0.0) + count
    except (OSError, EOFError, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"the word counts cannot be read ({reason})", path=path, remedy="Check the path") from error
    return counts


def _open(path: str | os.PathLike[str]) -> IO[bytes]:
    with open(path, "rb") as file:
        head = file.read(6)
    for magic, opener in _OPENERS:
        if head.startswith(magic):
            return opener(path, "rb")  # type: ignore[no-any-return]
    return open(path, "rb")


def _parse(raw: bytes, path: str | os.PathLike[str], number: int) -> tuple[str, float]:
    remedy = "Each line must hold a word, white space and a count"
    try:
        parts = raw.decode("utf-8").rsplit(None, 1)
        count = float(parts[1])
    except UnicodeDecodeError as error:
        raise InputError("not valid UTF-8", path=path, line=number, remedy=remedy) from error
    except (IndexError, ValueError) as error:
        raise InputError(f"no count in {raw[:80]!r}", path=path, line=number, remedy=remedy) from error
    if not 0.0 <= count < float("inf"):
        raise InputError(f"the count is {parts[1]}", path=path, line=number, remedy="Counts must be at least 0")
    return parts[0], count


def counts_of_rows(counts: Mapping[str, float], vectors: Any, *, cased: bool) -> NDArray[np.float64]:
    """The count of each row's word.

    A counted word that the vectors lack counts for its lower-case form. Where the vocabulary is ``cased`` and a word
    has no count of its own, it takes that of its lower-case form.

    Raises
    ------
    InvalidParameterError
        When a count is not a finite number of at least 0.
    """
    words = list(counts)
    values = _checked(words, list(counts.values()))
    rows = vectors.index.find_many(words)
    missing = np.flatnonzero(rows < 0)
    rows[missing] = vectors.index.find_many([words[place].lower() for place in missing])
    found = np.zeros(len(vectors), dtype=np.float64)
    np.add.at(found, rows[rows >= 0], values[rows >= 0])
    if cased:
        for row, word in enumerate(vectors.words):
            if found[row] == 0.0:
                found[row] = counts.get(word.lower(), 0.0)
    return found


def _checked(words: Sequence[str], values: Sequence[float]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(wrong):
        raise InvalidParameterError(f"counts[{words[wrong[0]]!r}] must be at least 0; got {values[wrong[0]]!r}.")
    return array
