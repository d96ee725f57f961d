"""Families of type "convolution": what the largest windows of a text weigh.

Imported only for a classifier that has such a family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tlclassic.kernels import load
from tlclassic.kernels._convolve_codes import MOST, feature_steps, in_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tlclassic.runtime.inputs import Piece
    from tlclassic.runtime.words import Weighed

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
        self._bits, self._bitmap = metadata["bits"], arrays[prefix + "bitmap"]
        self._width, self._filters = metadata["width"], metadata["filters"]
        self._sums = metadata.get("sums", 0)
        self._table = arrays[prefix + "table"].reshape(-1, self._width * self._filters + self._sums)
        self._scales = arrays[prefix + "scales"] if metadata["dtype"] == "int8" else None
        self._bias = arrays[prefix + "bias"]
        hidden = metadata.get("hidden", 0)
        self._weights = arrays[prefix + "weights"].reshape(hidden or self._filters + self._sums, -1)
        self._hidden_weights = arrays[prefix + "hidden_weights"].reshape(-1, hidden) if hidden else None
        self._hidden_bias = arrays[prefix + "hidden_bias"] if hidden else None
        self._hidden_scales = arrays.get(prefix + "hidden_scales") if hidden else None
        self._scorer = load("convolve").Convolution(
            self._bits, self._bitmap, self._table, self._scales, self._bias, self._weights, self._hidden_weights,
            self._hidden_bias, self._hidden_scales, self._sums,
        )  # fmt: skip

    def add(self, piece: Piece, out: NDArray[np.float64]) -> None:
        """See :class:`tlclassic.runtime.words.Family`; the kernel reads texts where they lie."""
        self._scorer.add(piece.texts, piece.start, piece.stop, out)

    def spans(self, text: str, output: int) -> tuple[float, list[Weighed]]:
        """See :class:`tlclassic.runtime.words.Family`; every word, for most stand in no filter's largest window.

        Of each filter above zero, a word of the largest window has what it adds there times the filter's weight, and
        no word has the filter's bias times its weight; of each sum, what it adds to it. With a hidden layer the weight
        of filter or sum is that which it has in this text: over the units that are above zero here.
        """
        words = load("ngrams").Ngrams(words=(1, 1), chars=(0, 0), bits=self._bits, fold=True, keep_punctuation=True)
        spans = words.spans(text)
        buckets = np.array([bucket for _, bucket, _, _ in spans], dtype=np.uint32)
        rows = load("convolve").rows_of(buckets, self._bitmap, load("score").rank_words(self._bitmap))
        values, sums = self._values(rows)
        first, largest = _largest_windows(values)
        bias = self._bias.astype(np.float64)
        active = bias + largest > 0
        features = np.append(np.where(active, bias + largest, 0.0), sums.sum(axis=0))
        shown = self._shown(largest, features)
        constant, weights = self._head(shown, output)
        # What the hidden layer's codes round off is no word's.
        constant += float((shown - features) @ weights)
        head, of_sums = np.split(weights, [self._filters])
        shares = sums @ of_sums
        for offset in range(self._width):
            places = first + offset
            inside = np.flatnonzero(active & (places >= 0) & (places < len(rows)))
            # add.at, because the largest windows of several filters may share a word.
            np.add.at(shares, places[inside], head[inside] * values[places[inside], offset, inside])
        weighed = [
            (text[start:end], start, end, share)
            for (_, _, start, end), share in zip(spans, shares.tolist(), strict=True)
        ]
        return constant + float(bias[active] @ head[active]), weighed

    def _shown(self, largest: NDArray[np.float64], features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The features that head or hidden layer is shown: in whole codes, or as they are."""
        if self._hidden_scales is None or self._scales is None:
            return features
        steps = feature_steps(self._scales, self._filters)
        codes = np.rint(features / steps)
        codes[: self._filters] = np.rint(largest / steps[: self._filters]) + in_codes(self._bias, self._scales)
        codes[: self._filters] = np.maximum(codes[: self._filters], 0)
        return np.clip(codes, -MOST, MOST) * steps

    def _head(self, features: NDArray[np.float64], output: int) -> tuple[float, NDArray[np.float64]]:
        """``(constant, weights)`` of the output as it is around these activations: linear in the filters."""
        weights = self._weights[:, output].astype(np.float64)
        if self._hidden_weights is None or self._hidden_bias is None:
            return 0.0, weights
        layer, bias = self._hidden_weights.astype(np.float64), self._hidden_bias.astype(np.float64)
        if self._hidden_scales is not None and self._scales is not None:
            layer = layer * self._hidden_scales / feature_steps(self._scales, self._filters)[:, None]
        weights = np.where(features @ layer + bias > 0, weights, 0.0)
        return float(bias @ weights), layer @ weights

    def _values(self, rows: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What words add, of shape (n_words, width, filters), and to the sums; row -1 is the last, of unknown words."""
        values, sums = np.split(self._table[rows].astype(np.float64), [self._width * self._filters], axis=1)
        values = values.reshape(len(rows), self._width, self._filters)
        if self._scales is not None:
            values, sums = values * self._scales[: self._filters], sums * self._scales[self._filters :]
        return values, sums / np.sqrt(max(1, len(rows)))


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
