"""What features fold into: a weight per output for each word of a vocabulary, or for each bucket of n-grams.

Of a convolution: what each word adds to a filter in each place of a window, and a weight per output for each filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ConvolutionTable", "NgramTable", "Table", "VectorsTable", "WordBlock", "merge"]

#: From rows of weights, shape (..., n_outputs), to others.
Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class NgramTable:
    """Weights of hashed n-grams; buckets that are not listed have none.

    Attributes
    ----------
    options : dict
        ``unit``, ``ngrams``, ``bits``, ``case``, ``punctuation``, ``counts``, ``norm``, ``idf`` as in the artefact.
    buckets : int64 array of shape (n,), ascending
    weights : float64 array of shape (n, n_outputs)
        The inverse document frequency multiplied in.
    idf : float32 array of shape (2**bits,), optional
        Where the length of a text depends on it.
    columns : (int, int), optional
        The first output that ``weights`` has a column for, and the one behind the last; None: all.
    """

    options: dict[str, Any]
    buckets: NDArray[np.int64]
    weights: NDArray[np.float64]
    idf: NDArray[np.float32] | None = None
    columns: tuple[int, int] | None = None

    @property
    def needs_counts(self) -> bool:
        """Whether a text's n-grams must be counted before they are weighed: no sum over them as they come."""
        return bool(self.options["counts"] != "count" or self.options["norm"] == "l2")

    @property
    def largest(self) -> float:
        """The largest magnitude of a weight."""
        return float(np.abs(self.weights).max(initial=0.0))

    def take(self, rows: NDArray[Any]) -> NgramTable:
        """Only these rows, ascending."""
        return replace(self, buckets=self.buckets[rows], weights=self.weights[rows])

    def mapped(self, change: Mapping) -> NgramTable:
        """With all rows changed."""
        return replace(self, weights=change(self.weights))


@dataclass(frozen=True, eq=False)
class WordBlock:
    """A sum over the words of a text, over its own denominator.

    Attributes
    ----------
    table : float64 array of shape (n_words, n_outputs)
    unknown : float64 array of shape (n_outputs,)
        What an unknown word adds.
    weights : float64 array of shape (n_words,), optional
        The denominator is the sum of the words' weights; None: it is their number.
    unknown_weight : float
    """

    table: NDArray[np.float64]
    unknown: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None
    unknown_weight: float = 1.0

    def same_denominator(self, other: WordBlock) -> bool:
        """Whether both can be one sum."""
        if self.weights is None or other.weights is None:
            return self.weights is other.weights
        return self.unknown_weight == other.unknown_weight and np.array_equal(self.weights, other.weights)

    def plus(self, other: WordBlock) -> WordBlock:
        """The sum of both."""
        return replace(self, table=self.table + other.table, unknown=self.unknown + other.unknown)

    def take(self, rows: NDArray[Any]) -> WordBlock:
        """Only these rows."""
        return replace(self, table=self.table[rows], weights=None if self.weights is None else self.weights[rows])


@dataclass(frozen=True, eq=False)
class VectorsTable:
    """Weights of the words of a vocabulary.

    Attributes
    ----------
    tokenizer : Tokenizer
    lower_fallback : bool
    unknown : {"ignore", "zero", "mean"}
    words : sequence of str of length n_words
    blocks : list of WordBlock
    frequency : float64 array of shape (n_words,)
        How often each word is to be expected, up to a factor.
    """

    tokenizer: Any
    lower_fallback: bool
    unknown: str
    words: Any
    blocks: list[WordBlock] = field(default_factory=list)
    frequency: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def same_words(self, other: VectorsTable) -> bool:
        """Whether both read a text as the same rows."""
        mine = (self.tokenizer, self.lower_fallback, self.unknown)
        theirs = (other.tokenizer, other.lower_fallback, other.unknown)
        return mine == theirs and (self.words is other.words or self.words == other.words)

    def with_blocks(self, blocks: Iterable[WordBlock]) -> VectorsTable:
        """Also ``blocks``, each added to one of its denominator where there is one."""
        result = list(self.blocks)
        for block in blocks:
            place = next((i for i, mine in enumerate(result) if mine.same_denominator(block)), None)
            if place is None:
                result.append(block)
            else:
                result[place] = result[place].plus(block)
        return replace(self, blocks=result)

    @property
    def largest(self) -> float:
        """The largest magnitude of a weight."""
        return max((float(np.abs(block.table).max(initial=0.0)) for block in self.blocks), default=0.0)

    def take(self, rows: NDArray[Any]) -> VectorsTable:
        """Only these rows, ascending."""
        words = [self.words[row] for row in rows.tolist()]
        blocks = [block.take(rows) for block in self.blocks]
        return replace(self, words=words, blocks=blocks, frequency=self.frequency[rows])

    def mapped(self, change: Mapping) -> VectorsTable:
        """With all rows, and those of unknown words, changed."""
        blocks = [replace(block, table=change(block.table), unknown=change(block.unknown)) for block in self.blocks]
        return replace(self, blocks=blocks)


@dataclass(frozen=True, eq=False)
class ConvolutionTable:
    """A convolution over the words of a text, and the weights of its filters.

    Attributes
    ----------
    bits : int
    buckets : int64 array of shape (n_words,), ascending
        Of the words' hashes.
    table : float32 array of shape (n_words + 1, width * filters)
        The last row is that of all other words.
    bias : float32 array of shape (filters,)
    weights : float64 array of shape (filters + sums, n_outputs), or (hidden, n_outputs)
    frequency : float64 array of shape (n_words,)
        How often each word is to be expected, up to a factor.
    sum_table : float32 array of shape (n_words + 1, sums), or None
        What each word adds to sums over the text.
    hidden_weights, hidden_bias : float32 arrays of shapes (filters + sums, hidden) and (hidden,), or None
        Of a layer between all that and the outputs.
    """

    bits: int
    buckets: NDArray[np.int64]
    table: NDArray[np.float32]
    bias: NDArray[np.float32]
    weights: NDArray[np.float64]
    frequency: NDArray[np.float64]
    sum_table: NDArray[np.float32] | None = None
    hidden_weights: NDArray[np.float32] | None = None
    hidden_bias: NDArray[np.float32] | None = None

    @property
    def width(self) -> int:
        """Words of a window."""
        return int(self.table.shape[1]) // len(self.bias)

    @property
    def columns(self) -> int:
        """Numbers of a word."""
        return int(self.table.shape[1]) + (0 if self.sum_table is None else int(self.sum_table.shape[1]))

    @property
    def reach(self) -> NDArray[np.float64]:
        """By how much an output moves with a filter or sum at most, of shape (filters + sums, n_outputs)."""
        if self.hidden_weights is None:
            return np.abs(self.weights)
        return np.abs(self.hidden_weights.astype(np.float64)) @ np.abs(self.weights)

    @property
    def largest(self) -> float:
        """The largest magnitude that a word adds to an output through a filter or a sum."""
        tables = [self.table, *([] if self.sum_table is None else [self.sum_table])]
        return max(float(np.abs(table).max(initial=0.0)) for table in tables) * float(self.reach.max(initial=0.0))

    def take(self, rows: NDArray[Any]) -> ConvolutionTable:
        """Only these rows, ascending, and that of all other words."""
        kept = np.append(rows, len(self.buckets))
        sums = None if self.sum_table is None else self.sum_table[kept]
        return replace(
            self, buckets=self.buckets[rows], table=self.table[kept], sum_table=sums, frequency=self.frequency[rows]
        )

    def mapped(self, change: Mapping) -> ConvolutionTable:
        """With the weights of the outputs changed; what the words add to filters has no outputs."""
        return replace(self, weights=change(self.weights))


Table = NgramTable | VectorsTable | ConvolutionTable


def merge(tables: Iterable[Table]) -> list[Table]:
    """Tables over the same words as one: a text is looked up once, and sums with one denominator are one sum."""
    merged: list[Table] = []
    for table in tables:
        if not isinstance(table, VectorsTable):
            merged.append(table)
            continue
        for place, other in enumerate(merged):
            if isinstance(other, VectorsTable) and other.same_words(table):
                merged[place] = other.with_blocks(table.blocks)
                break
        else:
            merged.append(replace(table, blocks=[]).with_blocks(table.blocks))
    return merged
