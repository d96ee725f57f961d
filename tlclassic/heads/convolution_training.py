"""The descent that :class:`ConvolutionClassifier` is fitted by, written out.

Design: what a word adds to a filter is the product of its vector and the filter's weights, and a batch holds few
different words. So the products are made once for each of those, windows are sums of their rows (kernel "convolve"),
and the gradient flows back through the one window of a text that each filter looked at. A step costs about a tenth of
a convolution over all places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.features.convolution import averaging
from tlclassic.kernels import load

__all__ = ["Batch", "Descent", "Network", "batches"]

Float = NDArray[np.float32]
#: Of Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980).
_MEAN, _SQUARE, _EPSILON = 0.9, 0.999, 1e-8
#: The learning rate falls in a line to this share of itself.
_LAST = 0.02


@dataclass(eq=False)
class Network:
    """What is learnt.

    Attributes
    ----------
    vectors : float32 array of shape (n_rows, dim)
        Of the words; the last row is that of unknown ones.
    filters : float32 array of shape (dim, width * n_filters)
    bias : float32 array of shape (n_filters,)
    weights : float32 array of shape (n_filters + n_sums, n_outputs), or (n_hidden, n_outputs)
    intercept : float32 array of shape (n_outputs,)
    sums : float32 array of shape (dim, n_sums), or None
        What is added up over a text.
    hidden_weights, hidden_bias : float32 arrays of shapes (n_filters + n_sums, n_hidden) and (n_hidden,), or None
        Of a layer between all that and the outputs.
    """

    vectors: Float
    filters: Float
    bias: Float
    weights: Float
    intercept: Float
    sums: Float | None = None
    hidden_weights: Float | None = None
    hidden_bias: Float | None = None

    @classmethod
    def start(
        cls,
        vectors: Float,
        n_outputs: int,
        random: np.random.Generator,
        *,
        width: int,
        filters: int,
        sums: int = 0,
        hidden: int = 0,
    ) -> Network:
        """Small random weights (LeCun et al. 1998); ``vectors`` are taken over."""

        def uniform(*shape: int, fan: int) -> Float:
            bound = 1.0 / np.sqrt(fan)
            return random.uniform(-bound, bound, shape).astype(np.float32)

        dim, n_features = vectors.shape[1], filters + sums
        n_shown = hidden or n_features
        made = cls(
            vectors,
            uniform(dim, width * filters, fan=dim * width),
            uniform(filters, fan=dim * width),
            uniform(n_shown, n_outputs, fan=n_shown),
            np.zeros(n_outputs, dtype=np.float32),
        )
        if sums:
            made.sums = uniform(dim, sums, fan=dim)
        if hidden:
            made.hidden_weights = uniform(n_features, hidden, fan=n_features)
            made.hidden_bias = np.zeros(hidden, dtype=np.float32)
        return made

    def shown(self, features: Float) -> Float:
        """What the last layer is shown of features of shape (n, n_filters + n_sums)."""
        if self.hidden_weights is None or self.hidden_bias is None:
            return features
        return np.asarray(np.maximum(features @ self.hidden_weights + self.hidden_bias, np.float32(0.0)))


@dataclass(frozen=True, eq=False)
class Batch:
    """Some texts.

    Attributes
    ----------
    rows, indptr : int32 array, int64 array of shape (n + 1,)
        Their words.
    targets : float32 array of shape (n, n_outputs)
    weights : float32 array of shape (n,)
    """

    rows: NDArray[np.int32]
    indptr: NDArray[np.int64]
    targets: Float
    weights: Float


def batches(
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    targets: Float,
    weights: Float,
    size: int,
    random: np.random.Generator,
) -> Iterator[Batch]:
    """All texts once, in random order."""
    order = random.permutation(len(indptr) - 1)
    lengths = np.diff(indptr)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths[chosen])])
        places = np.arange(ends[-1]) + np.repeat(indptr[chosen] - ends[:-1], lengths[chosen])
        yield Batch(rows[places], ends, targets[chosen], weights[chosen])


class Descent:
    """Steps of Adam down the cross-entropy of a network; words have moments of their own, changed when they occur.

    Parameters
    ----------
    network : Network
        Changed in place.
    softmax : bool
        Over the outputs; else each output is a probability by itself.
    learning_rate : float
    n_steps : int
        In all: the rate falls towards the last.
    dropout, word_dropout : float
        Shares of filters and sums, and of words, that are left out of a step (Srivastava et al. 2014; Iyyer et al.
        2015).
    vectors_rate : float
        Of the vectors, as a share of ``learning_rate``; at 0 they stay as they are.
    random : Generator
    """

    def __init__(
        self,
        network: Network,
        *,
        softmax: bool,
        learning_rate: float,
        n_steps: int,
        dropout: float,
        word_dropout: float,
        vectors_rate: float,
        random: np.random.Generator,
    ) -> None:
        self.network, self.softmax, self.random = network, softmax, random
        self.learning_rate, self.n_steps = learning_rate, n_steps
        self.dropout, self.word_dropout = dropout, word_dropout
        self.vectors_rate, self.n_done = vectors_rate, 0
        learnt = {name: value for name, value in vars(network).items() if value is not None}
        zeros = {name: np.zeros_like(value) for name, value in learnt.items()}
        self._moments = {name: (zero, zero.copy()) for name, zero in zeros.items()}

    def step(self, batch: Batch) -> float:
        """One step; the mean loss of the batch before it."""
        network, kernel = self.network, load("convolve")
        width_filters, n_filters = network.filters.shape[1], len(network.bias)
        words, local = self._words(batch.rows)
        vectors = network.vectors[words]
        table = vectors @ network.filters
        best = np.empty((len(batch.targets), n_filters), dtype=np.float32)
        at = np.empty(best.shape, dtype=np.int32)
        kernel.forward(local, batch.indptr, table, best, at)
        best += network.bias
        average = None
        if network.sums is not None:
            average = averaging(local, batch.indptr, len(words), np.float32)
            best = np.hstack([best, average @ (vectors @ network.sums)])
        active = (best > 0).astype(np.float32)
        active[:, n_filters:] = 1.0
        if self.dropout:
            keep = np.float32(1.0 - self.dropout)
            active *= (self.random.random(best.shape, dtype=np.float32) < keep) / keep
        features = best * active
        shown = network.shown(features)
        logits: Float = np.asarray(shown @ network.weights + network.intercept, dtype=np.float32)
        loss, slope = _slope(logits, batch, softmax=self.softmax)
        slopes = {"weights": shown.T @ slope, "intercept": slope.sum(axis=0)}
        back = slope @ network.weights.T
        if network.hidden_weights is not None:
            back *= shown > 0
            slopes |= {"hidden_weights": features.T @ back, "hidden_bias": back.sum(axis=0)}
            back = back @ network.hidden_weights.T
        back *= active
        table_slope = np.zeros((len(words), width_filters), dtype=np.float32)
        largest_back = np.ascontiguousarray(back[:, :n_filters])
        kernel.backward(largest_back, at, local, batch.indptr, table_slope)
        slopes |= {"filters": vectors.T @ table_slope, "bias": largest_back.sum(axis=0)}
        words_slope = table_slope @ network.filters.T if self.vectors_rate else None
        if network.sums is not None and average is not None:
            sums_slope = average.T @ back[:, n_filters:]
            slopes["sums"] = vectors.T @ sums_slope
            words_slope = None if words_slope is None else words_slope + sums_slope @ network.sums.T
        rate = self._rate()
        self._move(slopes, rate)
        if words_slope is not None:
            self._move_words(words, words_slope, rate * self.vectors_rate)
        return loss

    def _words(self, rows: NDArray[np.int32]) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """The different words of a batch, some left out, and each place's number among them."""
        if self.word_dropout:
            unknown = np.int32(len(self.network.vectors) - 1)
            rows = np.where(self.random.random(len(rows), dtype=np.float32) < self.word_dropout, unknown, rows)
        words, local = np.unique(rows, return_inverse=True)
        if not len(words):
            words = np.array([len(self.network.vectors) - 1])
        return words, local.astype(np.int32)

    def _rate(self) -> float:
        """The learning rate of this step, with what Adam's moments lack at the beginning."""
        rate = self.learning_rate * max(_LAST, 1.0 - self.n_done / self.n_steps)
        self.n_done += 1
        return float(rate * np.sqrt(1.0 - _SQUARE**self.n_done) / (1.0 - _MEAN**self.n_done))

    def _move(self, slopes: dict[str, Float], rate: float) -> None:
        for name, slope in slopes.items():
            mean, square = self._moments[name]
            mean += np.float32(1.0 - _MEAN) * (slope - mean)
            square += np.float32(1.0 - _SQUARE) * (slope * slope - square)
            getattr(self.network, name).__isub__(np.float32(rate) * mean / (np.sqrt(square) + np.float32(_EPSILON)))

    def _move_words(self, words: NDArray[Any], slope: Float, rate: float) -> None:
        means, squares = self._moments["vectors"]
        mean, square = means[words], squares[words]
        mean += np.float32(1.0 - _MEAN) * (slope - mean)
        square += np.float32(1.0 - _SQUARE) * (slope * slope - square)
        means[words], squares[words] = mean, square
        np.sqrt(square, out=square)
        square += np.float32(_EPSILON)
        mean /= square
        mean *= np.float32(rate)
        self.network.vectors[words] -= mean


def _slope(logits: Float, batch: Batch, *, softmax: bool) -> tuple[float, Float]:
    """The mean cross-entropy of a batch and its gradient with respect to the logits."""
    n = np.float32(len(logits))
    if softmax:
        shifted = logits - logits.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        loss = -(batch.targets * logs).sum(axis=1)
        slope = np.exp(logs) - batch.targets
    else:
        loss = (np.logaddexp(np.float32(0.0), logits) - batch.targets * logits).sum(axis=1)
        slope = np.float32(0.5) * (np.float32(1.0) + np.tanh(np.float32(0.5) * logits)) - batch.targets
    slope *= (batch.weights / n)[:, None]
    return float((batch.weights * loss).mean()), slope
