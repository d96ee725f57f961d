"""Texts as token numbers, kept flat, and the batches of a pass over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from tlclassic.errors import EncoderFormatError
from tlclassic.finetune.layout import Layout

__all__ = ["TextTokenizer", "Tokens", "epoch_batches", "sampled_rows", "sorted_batches"]

#: Batches that are sorted by length together: enough for next to no padding, few enough for batches that vary.
POOL = 64


@dataclass(frozen=True)
class Tokens:
    """The token numbers of n texts, one after the other, and what of a text has a vector: here the text as a whole.

    Attributes
    ----------
    ids : int32 array of shape (T,)
    offsets : int64 array of shape (n + 1,)
        Text i has ``ids[offsets[i]:offsets[i + 1]]``.
    truncated : int
        Texts that were cut.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    truncated: int = 0

    @classmethod
    def of(cls, rows: Sequence[Sequence[int] | NDArray[np.int32]], truncated: int = 0) -> Tokens:
        """From one list of token numbers a text."""
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        ids = np.concatenate([np.asarray(row, np.int32) for row in rows]) if offsets[-1] else np.zeros(0, np.int32)
        return cls(ids, offsets, truncated)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    @property
    def n_units(self) -> int:
        """How many vectors all texts have together."""
        return len(self)

    def units(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of some texts' vectors, in the order of the rows."""
        return rows

    def with_units(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of which texts a vector is flagged, shape (n,)."""
        return flags

    def vectors(self, model: Any, ids: Any, mask: Any, rows: NDArray[np.int64]) -> Any:
        """The vectors of some texts that the model gives for their padded token numbers, a float tensor (units, d)."""
        return model.vectors(ids, mask)

    def padded(self, rows: NDArray[np.int64], pad: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Token numbers (B, L) of some rows, filled with ``pad``, and the mask (B, L) of ones and zeros."""
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max(initial=1))
        mask = columns < lengths[:, None]
        # Places beyond a text are read at its own beginning, and then overwritten.
        places = self.offsets[rows][:, None] + np.where(mask, columns, 0)
        return np.where(mask, self.ids[places], pad).astype(np.int64), mask.astype(np.int64)


def epoch_batches(lengths: NDArray[np.int64], size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Rows of every batch of one epoch: random, but texts of like length together so that little is padded.

    Shuffled, cut into pools of 64 batches, each pool sorted by length and cut into batches, which are shuffled.

    Parameters
    ----------
    lengths : int array of shape (n,)
    size : int
        Texts a batch.
    seed, epoch : int
        The order depends on these alone.
    """
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), size * POOL):
        pool = order[start : start + size * POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[first : first + size] for first in range(0, len(pool), size)]
    return [batches[place] for place in random.permutation(len(batches))]


def sampled_rows(labelled: Sequence[NDArray[np.bool_]], temperature: float, seed: int, epoch: int) -> NDArray[np.int64]:
    """The rows of one epoch, as many as there are, tasks in proportion to their size to the power 1 / temperature.

    A row that several tasks have a label of counts for each. Drawn systematically: a row that is expected 1.3 times
    comes once or twice.

    Parameters
    ----------
    labelled : sequence of bool arrays of shape (n,)
        Which rows have a label, for each task; at least one each.
    temperature : float
        From 1 on; at 1 every row comes once.
    seed, epoch : int
        The rows depend on these alone.

    Examples
    --------
    >>> large, small = np.arange(10) < 8, np.arange(10) >= 8
    >>> [int((sampled_rows([large, small], t, 0, 0) >= 8).sum()) for t in (1.0, 1e9)]
    [2, 5]
    """
    n = len(labelled[0])
    if temperature == 1:
        return np.arange(n)
    sizes = np.array([own.sum() for own in labelled], np.float64)
    weights = sum(own * size ** (1 / temperature - 1) for own, size in zip(labelled, sizes, strict=True))
    ends = np.cumsum(np.asarray(weights, np.float64))
    start = np.random.default_rng((seed, epoch, 1)).random()
    drawn = np.searchsorted(ends, (start + np.arange(n)) * (ends[-1] / n), side="right")
    return np.asarray(np.minimum(drawn, n - 1), np.int64)


def sorted_batches(lengths: NDArray[np.int64], tokens: int) -> Iterator[NDArray[np.int64]]:
    """Rows of batches for evaluation: longest texts first, at most ``tokens`` tokens (padding counted) a batch."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


class TextTokenizer:
    """Turns texts into token numbers as the folder's ``tokenizer.json`` says, its padding and truncation aside.

    Parameters
    ----------
    layout : Layout
    max_length : int, optional
        Tokens of a text, special ones counted; the folder's own where None.
    """

    def __init__(self, layout: Layout, max_length: int | None = None) -> None:
        folder = layout.transformer if (layout.transformer / "tokenizer.json").is_file() else layout.root
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise EncoderFormatError("No tokenizer.json here", path=folder, remedy="Save the folder's fast tokeniser.")
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.enable_truncation(layout.length(max_length))
        self._tokenizer = tokenizer
        self.pad = layout.pad

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """The tokens of some texts; a slice of them at a time, so that memory stays bounded."""
        rows: list[NDArray[np.int32]] = []
        truncated = 0
        for start in range(0, len(texts), 4096):
            for encoding in self._tokenizer.encode_batch_fast(texts[start : start + 4096]):
                rows.append(np.array(encoding.ids, np.int32))
                truncated += bool(encoding.overflowing)
        return Tokens.of(rows, truncated)
