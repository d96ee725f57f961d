"""A classifier within a number of bytes: the widest weights that fit, and then only the most important rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlclassic.folding.tables import ConvolutionTable, NgramTable, Table
from tlclassic.kernels._parse_plain import slot_count
from tlclassic.runtime.format import RANK_BLOCK

__all__ = ["Ranking", "keep", "rank", "share_that_fits"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The rows of a table, the most important first.

    Attributes
    ----------
    table : Table
    order : int64 array of shape (n,)
    lengths : int64 array of shape (n + 1,), or None
        Bytes of the words of the first i rows.
    """

    table: Table
    order: NDArray[np.int64]
    lengths: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.order)

    def size(self, n_rows: int, n_outputs: int, dtype: str) -> int:
        """How many bytes the first ``n_rows`` take in a file."""
        item = np.dtype(dtype).itemsize
        if isinstance(self.table, NgramTable):
            buckets = 1 << int(self.table.options["bits"])
            n_outputs = int(self.table.weights.shape[1])
            sparse = n_rows * n_outputs * item + buckets // 8 + 4 * (buckets // RANK_BLOCK)
            idf = 4 * n_rows if self.table.idf is not None else 0
            return min(buckets * n_outputs * item, sparse) + idf
        if isinstance(self.table, ConvolutionTable):
            buckets = 1 << self.table.bits
            row = self.table.columns * (1 if dtype == "int8" else 4)
            return n_rows * row + buckets // 8 + 4 * (buckets // RANK_BLOCK)
        assert self.lengths is not None  # a ranking of words has them
        per_row = sum(n_outputs * item + (0 if block.weights is None else 4) for block in self.table.blocks)
        return n_rows * (per_row + 8) + 8 * slot_count(n_rows) + int(self.lengths[n_rows])


def rank(table: Table) -> Ranking:
    """Rows by how much their absence would be noticed.

    An n-gram by the length of its row: a regularised weight is small where there was little to learn it from. A word by
    that times the root of its frequency, as the vectors' words were not chosen by the training texts. A word of a
    convolution by how far its row is from that of unknown words, which takes its place.
    """
    if isinstance(table, NgramTable):
        norms = np.sqrt((table.weights**2).sum(axis=1))
        return Ranking(table, np.argsort(-norms, kind="stable"))
    if isinstance(table, ConvolutionTable):
        return Ranking(table, np.argsort(-_distances(table) * np.sqrt(table.frequency), kind="stable"))
    norms = np.sqrt(sum((block.table**2).sum(axis=1) for block in table.blocks))
    # A word without weight still counts in the denominator.
    norms = norms + (norms.mean() if len(norms) else 0.0)
    order = np.argsort(-norms * np.sqrt(table.frequency), kind="stable")
    lengths = np.array([len(word.encode("utf-8")) for word in table.words], dtype=np.int64)
    return Ranking(table, order, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths[order])]))


def _distances(table: ConvolutionTable) -> NDArray[np.float64]:
    """Of each word's row to that of unknown words, a filter or sum counted by how far it moves the outputs."""
    importance = np.sqrt((table.reach**2).sum(axis=1)).astype(np.float32)
    filters, sums = np.split(importance, [len(table.bias)])
    parts = [(table.table, np.tile(filters, table.width))]
    if table.sum_table is not None:
        parts.append((table.sum_table, sums))
    squares = np.zeros(len(table.buckets))
    for values, weights in parts:
        differences = (values[:-1] - values[-1]) * weights
        squares += np.einsum("ij,ij->i", differences, differences)
    return np.sqrt(squares)


def share_that_fits(rankings: Sequence[Ranking], n_outputs: int, dtype: str, n_bytes: int) -> float | None:
    """The largest share of the rows of every table, to a 1/1000, that fits; None where not even none of them does."""

    def fits(thousandths: int) -> bool:
        sizes = (ranking.size(_n_rows(ranking, thousandths / 1000), n_outputs, dtype) for ranking in rankings)
        return sum(sizes) <= n_bytes

    if not fits(0):
        return None
    low, high = 0, 1001
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low / 1000


def keep(ranking: Ranking, share: float) -> Table:
    """The table with this share of its rows, the most important ones."""
    rows = np.sort(ranking.order[: _n_rows(ranking, share)])
    return ranking.table if len(rows) == len(ranking) else ranking.table.take(rows)


def _n_rows(ranking: Ranking, share: float) -> int:
    return round(share * len(ranking))
