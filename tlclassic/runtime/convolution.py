"""Families of type "convolution": what the largest windows of a text weigh.

Imported only for a classifier that has such a family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tlclassic.kernels import load
from tlclassic.runtime.words import Weighed, WordReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["ConvolutionFamily"]


class ConvolutionFamily:
    """One layer of convolution with its head: see :class:`tlclassic.features.convolution.TextConvolution`.

    Parameters
    ----------
    metadata : dict
    arrays : mapping
    prefix : str
        Of the names of its arrays, as ``"1/"``.
    """

    name = "convolution"

    def __init__(self, metadata: dict[str, Any], arrays: Mapping[str, NDArray[Any]], prefix: str) -> None:
        self._reader = WordReader(metadata, arrays, prefix)
        self._width, self._filters = metadata["width"], metadata["filters"]
        self._table = arrays[prefix + "table"].reshape(-1, self._width * self._filters)
        self._scales = arrays[prefix + "scales"] if metadata["dtype"] == "int8" else None
        self._bias = arrays[prefix + "bias"]
        self._weights = arrays[prefix + "weights"].reshape(self._filters, -1)

    def add(self, texts: Sequence[str], out: NDArray[np.float64]) -> None:
        """See :class:`tlclassic.runtime.words.Family`."""
        rows, indptr = self._reader.rows(texts)
        load("convolve").add_convolved(out, rows, indptr, self._table, self._scales, self._bias, self._weights)

    def spans(self, text: str, output: int) -> tuple[float, list[Weighed]]:
        """See :class:`tlclassic.runtime.words.Family`; every word, for most stand in no filter's largest window.

        Of each filter above zero, a word of the largest window has what it adds there times the filter's weight, and
        no word has the filter's bias times its weight.
        """
        tokens, rows = self._reader.words(text)
        values = self._values(rows)
        first, largest = _largest_windows(values)
        bias, head = self._bias.astype(np.float64), self._weights[:, output].astype(np.float64)
        active = bias + largest > 0
        shares = np.zeros(len(rows))
        for offset in range(self._width):
            places = first + offset
            inside = np.flatnonzero(active & (places >= 0) & (places < len(rows)))
            # add.at, because the largest windows of several filters may share a word.
            np.add.at(shares, places[inside], head[inside] * values[places[inside], offset, inside])
        words = [(t.text, t.start, t.end, share) for t, share in zip(tokens, shares.tolist(), strict=True)]
        return float(bias[active] @ head[active]), words

    def _values(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """What words add, of shape (n_words, width, filters); row -1 is the last, that of unknown words."""
        values = self._table[rows].reshape(len(rows), self._width, self._filters).astype(np.float64)
        return values if self._scales is None else values * self._scales


def _largest_windows(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """``(first, largest)`` of each filter: the place of the first word of its largest window, and the sum of that."""
    n, width, filters = values.shape
    if n == 0:
        return np.zeros(filters, dtype=np.intp), np.zeros(filters)
    windows = np.zeros((n + width - 1, filters))
    for offset in range(width):
        # Window 0 ends at the first word.
        start = width - 1 - offset
        windows[start : start + n] += values[:, offset]
    return windows.argmax(axis=0) - (width - 1), windows.max(axis=0)
