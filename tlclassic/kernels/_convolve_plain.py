"""Plain twin of the convolution kernel, in NumPy: same names, same results, far slower.

A text is a run of ``rows`` (int32; -1: the last row of the table, that of unknown words) between two entries of
``indptr`` (int64). Row r of the table, shape (n_rows, width * filters), holds what its word adds to a window of
``width`` words, ``filters`` numbers for each place in it. A window may begin up to ``width - 1`` words before the text
and ends as far after it; what lies outside adds nothing, and a text without words has one window of zeros. ``filters``
is a multiple of 16, ``width`` at most 8. A table of int8 has one scale a filter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.kernels._convolve_codes import MOST, STEPS, check_hidden, in_codes
from tlclassic.kernels._ngrams_plain import Ngrams
from tlclassic.kernels._score_plain import Texts, rank_words

__all__ = [
    "MAX_WIDTH", "Convolution", "add_convolved", "backward", "features", "forward", "levels", "rows_of", "set_level",
]  # fmt: skip

#: The widest window: sums of that many int8 fit in int16.
MAX_WIDTH = 8
_LANES, _CHAINS, _MAX_BITS = 16, 4, 31
#: Rows of float32 that are added up at a time.
_SHORT = 256


def levels() -> list[str]:
    """One way alone."""
    return ["plain"]


def set_level(name: str) -> None:
    """As the kernel's."""
    if name not in levels():
        raise ValueError(f"this processor has no level {name!r}")


def rows_of(buckets: NDArray[np.uint32], bitmap: NDArray[np.uint64], ranks: NDArray[np.uint32]) -> NDArray[np.int32]:
    """The row of each bucket: how many bits of ``bitmap`` are set before its own; -1 where its own is not.

    ``ranks`` are those of ``rank_words`` of the kernel "score", for each word of the map and in all.
    """
    places = buckets.astype(np.int64)
    if len(ranks) != len(bitmap) + 1:
        raise ValueError("ranks must have one number more than bitmap has words")
    if len(places) and places.max() >= 64 * len(bitmap):
        raise ValueError("buckets must be below the number of bits of the map")
    words, bits = bitmap[places >> 6], (places & 63).astype(np.uint64)
    below = words & ((np.uint64(1) << bits) - np.uint64(1))
    counts = np.array([int(word).bit_count() for word in below], dtype=np.int64)
    known = (words >> bits & np.uint64(1)).astype(bool)
    return np.where(known, ranks[places >> 6] + counts, -1).astype(np.int32)


def add_convolved(
    out: NDArray[np.float64],
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    table: NDArray[Any],
    scales: NDArray[np.float32] | None,
    bias: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> None:
    """Add to ``out``, shape (n_texts, n_outputs), the products of :func:`features` with ``weights``.

    ``weights`` is of shape (filters, n_outputs).
    """
    x = np.empty((len(out), len(bias)), dtype=np.float32)
    features(rows, indptr, table, scales, bias, x)
    _add_products(out, x, weights)


def _add_products(out: NDArray[np.float64], x: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
    """Add ``x @ weights`` in the kernel's order of additions."""
    if out.shape[1] == 1:
        lanes = (
            (x * weights[:, 0]).reshape(len(x), x.shape[1] // _LANES, _LANES).cumsum(axis=1, dtype=np.float32)[:, -1]
        )
        while lanes.shape[1] > 1:
            half = lanes.shape[1] // 2
            lanes = lanes[:, :half] + lanes[:, half:]
        out += lanes
        return
    # Every fourth filter in a sum of its own, as the kernel adds them up.
    sums = np.zeros((_CHAINS, *out.shape), dtype=np.float32)
    for j, (column, row) in enumerate(zip(x.T, weights, strict=True)):
        sums[j % _CHAINS] += column[:, None] * row
    out += (sums[0] + sums[1]) + (sums[2] + sums[3])


class Convolution:
    """Adds what texts weigh: their words have the rows of their buckets, and go through :func:`features`.

    Beside those are sums: of the last columns of the table, over the text, divided by the root of its number of words.
    What the head weighs is that, or a hidden layer, ``max(0, hidden_bias + features @ hidden_weights)``.

    Parameters
    ----------
    bits : int
        Of the buckets of words.
    bitmap : uint64 array
        Buckets whose bit is set have a row, in their order; of as many bits as there are buckets, or more.
    table, scales, bias : as in :func:`features`, but for ``sums`` more columns and scales
    weights : float32 array of shape (filters + sums, n_outputs), or (hidden, n_outputs)
    hidden_weights, hidden_bias : float32 arrays of shapes (filters + sums, hidden) and (hidden,), optional
        ``hidden`` is a multiple of 16.
    hidden_scales : float32 array of shape (hidden,), optional
        With a table of int8: the weights are int16 then, times these, and multiply features in codes
        (:func:`in_codes`): ``max(0, code + bias)`` of a filter and eighths of a code of a sum, at most 4095.
    sums : int
        A multiple of 16.

    Raises
    ------
    ValueError
        When their sizes do not fit together.
    """

    def __init__(
        self,
        bits: int,
        bitmap: NDArray[np.uint64],
        table: NDArray[Any],
        scales: NDArray[np.float32] | None,
        bias: NDArray[np.float32],
        weights: NDArray[np.float32],
        hidden_weights: NDArray[Any] | None = None,
        hidden_bias: NDArray[np.float32] | None = None,
        hidden_scales: NDArray[np.float32] | None = None,
        sums: int = 0,
    ) -> None:
        self._ranks = rank_words(bitmap)
        if not 1 <= bits <= _MAX_BITS or len(bitmap) * 64 < 1 << bits:
            raise ValueError("the map must have a bit for each bucket, of 1 to 31 bits")
        if self._ranks[-1] >= len(table):
            raise ValueError("the table must have a row for each bit of the map and one more")
        if (scales is not None) != (table.dtype == np.int8):
            raise ValueError("scales are of a table of int8")
        if sums < 0 or sums % _LANES or sums > table.shape[1]:
            raise ValueError("sums must be a multiple of 16, or 0")
        n_features = len(bias) + sums
        if (hidden_weights is None) != (hidden_bias is None):
            raise ValueError("a hidden layer has weights and bias")
        if hidden_weights is not None and hidden_bias is not None:
            if not len(hidden_bias) or len(hidden_bias) % _LANES:
                raise ValueError("a hidden layer has a multiple of 16 units")
            if hidden_weights.shape != (n_features, len(hidden_bias)):
                raise ValueError("the hidden layer's weights must be of shape (filters + sums, hidden)")
            check_hidden(hidden_weights, hidden_scales, table)
        n_shown = n_features if hidden_bias is None else len(hidden_bias)
        if len(weights) != n_shown or (scales is not None and len(scales) != n_features):
            raise ValueError(
                "scales and weights must be those of filters and sums, or weights those of the hidden layer"
            )
        if not weights.shape[1]:
            raise ValueError("weights must be of one output or more")
        self._hashed = Ngrams(words=(1, 1), chars=(0, 0), bits=bits, fold=True, keep_punctuation=True)
        self._bitmap = bitmap
        cut = table.shape[1] - sums
        self._filters = np.ascontiguousarray(table[:, :cut]), None if scales is None else scales[: len(bias)], bias
        self._summed = table[:, cut:], None if scales is None else scales[len(bias) :]
        self._weights, self._hidden_weights, self._hidden_bias = weights, hidden_weights, hidden_bias
        self._hidden_scales = hidden_scales

    def add(self, texts: Texts, start: int, stop: int, out: NDArray[np.float64]) -> None:
        """Add what texts ``start`` to ``stop`` weigh to ``out``, shape (stop - start, n_outputs)."""
        if not 0 <= start <= stop <= len(texts):
            raise ValueError(f"no texts from {start} to {stop}")
        if out.shape != (stop - start, self._weights.shape[1]):
            raise ValueError("out must be of shape (stop - start, n_outputs)")
        buckets, indptr, _, _ = self._hashed.buckets(texts.items(start, stop))
        rows = rows_of(buckets, self._bitmap, self._ranks)
        if self._hidden_scales is not None:
            _add_products(out, self._by_codes(rows, indptr), self._weights)
            return
        largest = np.empty((len(out), len(self._filters[2])), np.float32)
        features(rows, indptr, *self._filters, largest)
        x = np.hstack([largest, _sums(rows, indptr, *self._summed)])
        if self._hidden_weights is not None and self._hidden_bias is not None:
            inner = np.tile(self._hidden_bias.astype(np.float64), (len(x), 1))
            _add_products(inner, x, self._hidden_weights)
            x = np.maximum(inner, 0.0).astype(np.float32)
        _add_products(out, x, self._weights)

    def _by_codes(self, rows: NDArray[np.int32], indptr: NDArray[np.int64]) -> NDArray[np.float32]:
        """Activations of a hidden layer of int16, shape (n_texts, hidden)."""
        table, scales, bias = self._filters
        layer, added, unit = self._hidden_weights, self._hidden_bias, self._hidden_scales
        assert scales is not None
        assert layer is not None
        assert added is not None
        assert unit is not None
        most = [windows.max(axis=0) for windows in _all_windows(rows, indptr, table, len(bias))]
        largest = np.array(most, dtype=np.int64).reshape(-1, len(bias)) + in_codes(bias, scales)
        x = np.hstack([np.clip(largest, 0, MOST), _sums_in_codes(rows, indptr, self._summed[0])])
        products = (x @ layer.astype(np.int64)).astype(np.float32)
        return np.asarray(np.maximum(added + unit * products, np.float32(0.0)))


def features(
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    table: NDArray[Any],
    scales: NDArray[np.float32] | None,
    bias: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """``out = max(0, bias + scales * largest window)``, float32 of shape (n_texts, filters)."""
    for text, windows in enumerate(_all_windows(rows, indptr, table, len(bias))):
        best = windows.max(axis=0).astype(np.float32)
        out[text] = np.maximum(bias + (best if scales is None else scales * best), np.float32(0.0))


def _sums(
    rows: NDArray[np.int32], indptr: NDArray[np.int64], table: NDArray[Any], scales: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Of the rows of each text, by the root of their number; float32 of shape (n_texts, sums)."""
    out = np.zeros((len(indptr) - 1, table.shape[1]), dtype=np.float32)
    for text, (start, stop) in enumerate(zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True)):
        if scales is None:
            total = np.zeros(table.shape[1])
            for first in range(start, stop, _SHORT):
                part = np.zeros(table.shape[1], dtype=np.float32)
                for row in rows[first : min(first + _SHORT, stop)]:
                    part += table[row]
                total += part
            out[text] = total
        else:
            out[text] = scales * table[rows[start:stop]].sum(axis=0, dtype=np.int64).astype(np.float32)
        out[text] *= np.float32(1.0) / np.sqrt(np.float32(max(1, stop - start)))
    return out


def _sums_in_codes(rows: NDArray[np.int32], indptr: NDArray[np.int64], table: NDArray[Any]) -> NDArray[np.int64]:
    """Of the codes of each text, by the root of their number, in eighths; int64 of shape (n_texts, sums)."""
    out = np.zeros((len(indptr) - 1, table.shape[1]), dtype=np.int64)
    for text, (start, stop) in enumerate(zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True)):
        share = np.float32(STEPS) * (np.float32(1.0) / np.sqrt(np.float32(max(1, stop - start))))
        x = table[rows[start:stop]].sum(axis=0, dtype=np.int64).astype(np.float32) * share
        x = np.clip(x, np.float32(-MOST), np.float32(MOST))
        # To the nearest, halves away from zero.
        out[text] = np.trunc(x + np.where(x < 0, np.float32(-0.5), np.float32(0.5)))
    return out


def forward(
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    table: NDArray[np.float32],
    best: NDArray[np.float32],
    at: NDArray[np.int32],
) -> None:
    """The largest window of each filter, and its number from 0 on, both of shape (n_texts, filters)."""
    for text, windows in enumerate(_all_windows(rows, indptr, table, best.shape[1])):
        best[text], at[text] = windows.max(axis=0), windows.argmax(axis=0)


def backward(
    gradient: NDArray[np.float32],
    at: NDArray[np.int32],
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Add the gradient of the largest windows to that of the table, ``out``, which has the table's shape."""
    filters = gradient.shape[1]
    width = out.shape[1] // filters
    for text in range(len(gradient)):
        words = rows[indptr[text] : indptr[text + 1]]
        for j in np.flatnonzero(gradient[text]).tolist():
            first = int(at[text, j]) - (width - 1)
            for o in range(max(0, -first), min(width, len(words) - first)):
                out[words[first + o], o * filters + j] += gradient[text, j]


def _all_windows(rows: NDArray[np.int32], indptr: NDArray[np.int64], table: NDArray[Any], filters: int) -> Any:
    """The sums of every window of each text, shape (n_windows, filters)."""
    width = table.shape[1] // filters
    wide = table.astype(np.int16) if table.dtype == np.int8 else table
    for start, stop in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
        n = stop - start
        n_windows = n + width - 1 if n else 1
        padded = np.zeros((n_windows + width - 1, table.shape[1]), dtype=wide.dtype)
        padded[width - 1 : width - 1 + n] = wide[rows[start:stop]]
        sums = padded[:n_windows, :filters].copy()
        for o in range(1, width):
            sums += padded[o : o + n_windows, o * filters : (o + 1) * filters]
        yield sums
