"""Word similarity: how well cosines agree with people's scores of word pairs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_integer
from tlclassic.errors import DataFormatError, InvalidParameterError
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["Pair", "SimilarityResult", "correlation_of_ranks", "evaluate_similarity", "read_pairs"]

Pair = tuple[str, str, float]


@dataclass(frozen=True)
class SimilarityResult:
    """Agreement between cosines and people.

    Attributes
    ----------
    spearman, pearson : float
        Correlation over the pairs whose words are both known; NaN for fewer than two.
    n : int
        Pairs that were scored.
    n_unknown : int
        Pairs left out because a word is unknown.
    """

    spearman: float
    pearson: float
    n: int
    n_unknown: int

    @property
    def unknown_share(self) -> float:
        """The share of pairs left out, 0 to 1."""
        return self.n_unknown / max(1, self.n + self.n_unknown)

    def as_dict(self) -> dict[str, float]:
        """The attributes by name."""
        return dataclasses.asdict(self)


def evaluate_similarity(
    vectors: WordVectors,
    pairs: str | os.PathLike[str] | Iterable[Pair],
    *,
    case_insensitive: bool,
    restrict: int | None,
) -> SimilarityResult:
    """See :meth:`WordVectors.evaluate_similarity`."""
    if restrict is not None:
        check_integer("restrict", restrict, low=1)
    triples = read_pairs(pairs) if isinstance(pairs, (str, os.PathLike)) else _check_pairs(pairs)
    first = _rows_of(vectors, [pair[0] for pair in triples], case_insensitive, restrict)
    second = _rows_of(vectors, [pair[1] for pair in triples], case_insensitive, restrict)
    known = (first >= 0) & (second >= 0)
    gold = np.array([pair[2] for pair in triples], dtype=np.float64)[known]
    cosines = _cosines(vectors.take(first[known]), vectors.take(second[known]))
    spearman = correlation_of_ranks(gold, cosines)
    return SimilarityResult(spearman, _pearson(gold, cosines), int(known.sum()), int((~known).sum()))


def read_pairs(path: str | os.PathLike[str]) -> list[Pair]:
    """The ``(word, word, score)`` of a tab-separated file; a first line without a score is taken for column names.

    Raises
    ------
    DataFormatError
        For a line that has not three fields or no score; names it.
    """
    pairs: list[Pair] = []
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFormatError(f"cannot be read ({error})", path=path, remedy="Check the path") from error
    is_first = True
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.strip("\r").split("\t")
        score = _as_number(fields[2]) if len(fields) == 3 else None
        if score is not None:
            pairs.append((fields[0], fields[1], score))
        elif not (is_first and len(fields) == 3):
            remedy = "Expected word, word and score, separated by tabs"
            raise DataFormatError(f"no word pair with a score: {line[:60]!r}", path=path, line=number, remedy=remedy)
        is_first = False
    return pairs


def _as_number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def _check_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    checked = []
    for i, pair in enumerate(pairs):
        if len(pair) != 3:
            raise InvalidParameterError(f"pairs[{i}] must be (word, word, score); got {pair!r}.")
        checked.append((pair[0], pair[1], float(pair[2])))
    return checked


def _rows_of(vectors: WordVectors, words: list[str], case_insensitive: bool, restrict: int | None) -> NDArray[np.int64]:
    stop = len(vectors) if restrict is None else restrict
    if not case_insensitive:
        rows = vectors.rows(words)
        return np.where(rows < stop, rows, np.int64(-1))
    wanted = {word.upper(): -1 for word in words}
    for row, word in enumerate(vectors.words):
        if row >= stop:
            break
        upper = word.upper()
        if wanted.get(upper, 0) < 0:
            wanted[upper] = row
    return np.array([wanted[word.upper()] for word in words], dtype=np.int64)


def _cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    dots = np.einsum("ij,ij->i", first, second)
    return np.asarray(dots / np.where(lengths > 0, lengths, np.float32(1)), dtype=np.float64)


def correlation_of_ranks(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's correlation of two arrays of shape (n,); NaN for fewer than two items, or where all are equal."""
    return _pearson(_ranks(a), _ranks(b))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(middles[inverse], dtype=np.float64)


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if len(a) < 2:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else float("nan")
