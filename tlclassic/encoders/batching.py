"""Batches of about equal length: the work of a transformer goes with the tokens, padding included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["batches", "padded", "slices"]

#: A slice is sorted by length as a whole, so it should be large; and is in memory as a whole, so it must be bounded.
SLICE_TEXTS = 8192
SLICE_CHARACTERS = 1 << 22
#: What a batch costs beside its tokens, in tokens: measured on MiniLM, where 4 to 20 differ by noise alone.
CALL_TOKENS = 8


def slices(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of ``texts``, bounded in number and in characters (a single text may be longer)."""
    start = size = 0
    for end, text in enumerate(texts):
        if end > start and (end - start >= SLICE_TEXTS or size + len(text) > SLICE_CHARACTERS):
            yield start, end
            start, size = end, 0
        size += len(text)
    if len(texts):
        yield start, len(texts)


def batches(lengths: NDArray[np.int64], budget: int, size: int | None = None) -> Iterator[NDArray[np.int64]]:
    """Positions of texts, in batches of at most ``budget`` tokens with padding (a single text may have more).

    The longest come first, so that memory is asked for once. Texts without a token are in none. Of all ways to cut the
    texts in this order it is the one with the fewest tokens, padding and :data:`CALL_TOKENS` a batch included: where
    texts are few, and so of many lengths, batches filled to the budget would be padding by a third.

    Parameters
    ----------
    lengths : int64 array of shape (n,)
    budget : int
    size : int, optional
        Texts in a batch, for graphs that take a fixed number; the budget then does not count.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    ends = range(size, len(order) + size) if size else _cheapest_ends(lengths[order], budget)
    start = 0
    while start < len(order):
        yield order[start : ends[start]]
        start = ends[start]


def _cheapest_ends(lengths: NDArray[np.int64], budget: int) -> list[int]:
    """For each text, longest first, where a batch that begins with it ends."""
    n = len(lengths)
    # The cost of the texts from each on; that of a batch is its longest text's tokens times its texts.
    costs = np.zeros(n + 1, np.int64)
    ends = [n] * n
    counts = np.arange(1, n + 1)
    for start in range(n - 1, -1, -1):
        longest = int(lengths[start])
        most = min(n - start, max(1, budget // longest))
        own = costs[start + 1 : start + most + 1] + longest * counts[:most]
        best = int(own.argmin())
        costs[start] = own[best] + CALL_TOKENS
        ends[start] = start + best + 1
    return ends


def padded(
    ids: Sequence[NDArray[np.int64]], pad: int, *, tokens: int | None = None, rows: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``(numbers, mask)``, int64 of shape (b, t): tokens first, then padding; ``tokens`` and ``rows`` fix the shape."""
    shape = (rows or len(ids), tokens or max(len(row) for row in ids))
    numbers = np.full(shape, pad, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    for row, own in enumerate(ids):
        numbers[row, : len(own)] = own
        mask[row, : len(own)] = 1
    # A row of padding alone is a division by zero in some graphs.
    mask[len(ids) :, 0] = 1
    return numbers, mask
