"""``TextConvolution``: texts as the largest activations of windows of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from tlclassic._validate import check_texts
from tlclassic.errors import ArtifactError, CorruptArtifactError
from tlclassic.features.ngrams import MAX_BITS
from tlclassic.features.tokens import batches
from tlclassic.kernels import load

__all__ = ["TextConvolution", "averaging", "find_rows", "sums_of", "word_buckets", "words_of"]

#: Arrays of a saved one; then those that only some have, all float32.
_ALWAYS = {"buckets": np.int64, "table": np.float32, "bias": np.float32, "frequency": np.float64}
_AT_TIMES = ("sum_table", "hidden_weights", "hidden_bias")


class TextConvolution(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """One layer of convolution over the words of a text, with the maximum over the text (Kim 2014).

    Embedding and filters are one table: what each word adds to a filter in each place of a window. Feature f is
    ``max(0, bias[f] + max over windows of the sum of its words)``. A window may reach beyond either end of the text,
    where nothing is added. Behind those come sums over the text, divided by the root of its number of words: what is
    said often counts more than what is said once. With a hidden layer, the features are
    ``max(0, hidden_bias + those @ hidden_weights)``: what filters and sums say together. Words are those of
    :class:`tlclassic.NgramVectorizer`, known by their hash: no text of a word is kept.
    :class:`tlclassic.ConvolutionClassifier` makes it; there is nothing to fit.

    Parameters
    ----------
    buckets : int64 array of shape (n_words,), ascending
        The top ``bits`` bits of the words' hashes.
    bits : int
        From 6 to 28.
    table : float32 array of shape (n_words + 1, width * filters)
        The last row is that of all other words. ``filters`` is a multiple of 16, ``width`` at most 8.
    bias : float32 array of shape (filters,)
    frequency : float64 array of shape (n_words,)
        How often each word is to be expected, for pruning and rounding when it is compiled.
    sum_table : float32 array of shape (n_words + 1, sums), optional
        What each word adds to the sums, the last row that of all other words. ``sums`` is a multiple of 16.
    hidden_weights, hidden_bias : float32 arrays of shapes (filters + sums, hidden) and (hidden,), optional
        ``hidden`` is a multiple of 16.

    Attributes
    ----------
    width, filters : int
    sums, hidden : int
        How many sums, and units of the hidden layer, there are; 0 without.

    Notes
    -----
    Kim 2014, Convolutional Neural Networks for Sentence Classification, https://aclanthology.org/D14-1181.

    Examples
    --------
    >>> import numpy as np
    >>> buckets = word_buckets(["not", "good"], bits=16)
    >>> table = np.zeros((3, 2 * 16), dtype="float32")
    >>> table[np.argsort(buckets).argsort()[0], :16] = 1.0  # "not" before
    >>> table[np.argsort(buckets).argsort()[1], 16:] = 1.0  # "good"
    >>> bias = np.full(16, -1.0, dtype="float32")
    >>> pair = TextConvolution(np.sort(buckets), 16, table, bias, np.ones(2))
    >>> pair.transform(["not good", "good", "good, not"])[:, 0].tolist()
    [1.0, 0.0, 0.0]
    """

    def __init__(
        self,
        buckets: NDArray[np.int64],
        bits: int,
        table: NDArray[np.float32],
        bias: NDArray[np.float32],
        frequency: NDArray[np.float64],
        sum_table: NDArray[np.float32] | None = None,
        hidden_weights: NDArray[np.float32] | None = None,
        hidden_bias: NDArray[np.float32] | None = None,
    ) -> None:
        self.buckets, self.bits, self.table, self.bias, self.frequency = buckets, bits, table, bias, frequency
        self.sum_table, self.hidden_weights, self.hidden_bias = sum_table, hidden_weights, hidden_bias

    @property
    def filters(self) -> int:
        """How many there are."""
        return len(self.bias)

    @property
    def sums(self) -> int:
        """How many there are; 0 without."""
        return 0 if self.sum_table is None else int(self.sum_table.shape[1])

    @property
    def n_features(self) -> int:
        """How many a head is shown."""
        return self.hidden or self.filters + self.sums

    @property
    def hidden(self) -> int:
        """Units of the hidden layer; 0 without."""
        return 0 if self.hidden_bias is None else len(self.hidden_bias)

    @property
    def width(self) -> int:
        """Words of a window."""
        return int(self.table.shape[1]) // len(self.bias)

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Nothing: the table is given."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def lookup(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """``(rows, indptr)``: the rows of the words of texts, of all other words the last one, and their ends."""
        found, indptr = words_of(self.bits).buckets(texts)[:2]
        return find_rows(found, self.buckets), indptr

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Features, float32 of shape (n, n_features).

        Parameters
        ----------
        X : list of str
            Or a tuple, NumPy array or pandas Series of n strings.

        Raises
        ------
        InvalidParameterError
            Names the text that is no string.
        """
        texts = check_texts(X)
        out = np.empty((len(texts), self.n_features), dtype=np.float32)
        start = 0
        for batch in batches(texts):
            rows, indptr = self.lookup(batch)
            largest = np.empty((len(batch), self.filters), dtype=np.float32)
            load("convolve").features(rows, indptr, self.table, None, self.bias, largest)
            out[start : start + len(batch)] = self._shown(largest, rows, indptr)
            start += len(batch)
        return out

    def exact(self, X: Any) -> NDArray[np.float64]:
        """The same in float64, without the kernel: what a compiled classifier is held against."""
        all_rows, indptr = self.lookup(list(X))
        table, bias = self.table.astype(np.float64), self.bias.astype(np.float64)
        largest = np.empty((len(indptr) - 1, self.filters))
        for text in range(len(largest)):
            rows = all_rows[indptr[text] : indptr[text + 1]]
            largest[text] = np.maximum(bias + self._windows(table[rows]).max(axis=0), 0.0)
        return self._shown(largest, all_rows, indptr)

    def _shown(self, X: NDArray[Any], rows: NDArray[np.int32], indptr: NDArray[np.int64]) -> NDArray[Any]:
        """What a head is shown of texts with these activations of the filters, (n, filters), in their type."""
        if self.sum_table is not None:
            X = np.hstack([X, sums_of(rows, indptr, self.sum_table.astype(X.dtype, copy=False))])
        if self.hidden_weights is None or self.hidden_bias is None:
            return X
        inner = X @ self.hidden_weights.astype(X.dtype) + self.hidden_bias.astype(X.dtype)
        return np.asarray(np.maximum(inner, 0))

    def _windows(self, words: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sums of all windows over the rows of a text's words."""
        n_windows = len(words) + self.width - 1 if len(words) else 1
        sums = np.zeros((n_windows, self.filters))
        for offset in range(self.width if len(words) else 0):
            start = self.width - 1 - offset
            sums[start : start + len(words)] += words[:, offset * self.filters : (offset + 1) * self.filters]
        return sums

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """``filter0``, ``filter1``, ..., ``sum0``, ...; ``hidden0``, ... of a hidden layer."""
        kinds = {"hidden": self.hidden} if self.hidden else {"filter": self.filters, "sum": self.sums}
        return np.array([f"{kind}{number}" for kind, n in kinds.items() for number in range(n)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, True, False
        tags.requires_fit = False
        return tags

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """``(metadata, arrays)`` for :meth:`from_state`."""
        arrays = {name: getattr(self, name) for name in (*_ALWAYS, *_AT_TIMES)}
        return {"bits": int(self.bits)}, {name: array for name, array in arrays.items() if array is not None}

    @classmethod
    def from_state(cls, metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_state`.

        Raises
        ------
        CorruptArtifactError
            When a part is missing or shapes do not match.
        """
        dtypes = dict(_ALWAYS)
        dtypes.update((name, np.float32) for name in _AT_TIMES if name in arrays)
        try:
            parts = {name: np.asarray(arrays[name], dtype=dtype) for name, dtype in dtypes.items()}
            made = cls(bits=int(metadata["bits"]), **parts)
            made._check()
        except ArtifactError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptArtifactError(f"the saved TextConvolution is incomplete or altered: {error!r}.") from error
        return made

    def _check(self) -> None:
        filters = len(self.bias)
        if self.bias.ndim != 1 or not filters or filters % 16:
            raise CorruptArtifactError(f"the saved TextConvolution has {filters} filters, not a multiple of 16.")
        most = load("convolve").MAX_WIDTH
        if self.table.ndim != 2 or self.table.shape[1] % filters or not 1 <= self.table.shape[1] // filters <= most:
            raise CorruptArtifactError(f"the saved TextConvolution's table has shape {self.table.shape}.")
        n_words = (len(self.table) - 1,)
        if self.buckets.shape != n_words or self.frequency.shape != n_words:
            raise CorruptArtifactError("the saved TextConvolution has another number of words than rows.")
        if not 6 <= self.bits <= MAX_BITS:
            raise CorruptArtifactError(f"the saved TextConvolution has {self.bits} bits.")
        inside = len(self.buckets) == 0 or (self.buckets[0] >= 0 and self.buckets[-1] < 1 << self.bits)
        if not inside or (np.diff(self.buckets) <= 0).any():
            raise CorruptArtifactError("the saved TextConvolution's buckets do not ascend.")
        if self.sum_table is not None:
            shape = self.sum_table.shape
            if len(shape) != 2 or shape[0] != len(self.table) or not shape[1] or shape[1] % 16:
                raise CorruptArtifactError(f"the saved TextConvolution's table of sums has shape {shape}.")
        if self.hidden_weights is not None or self.hidden_bias is not None:
            shapes = [() if layer is None else layer.shape for layer in (self.hidden_weights, self.hidden_bias)]
            hidden = shapes[1][0] if len(shapes[1]) == 1 else 0
            if not hidden or hidden % 16 or shapes[0] != (filters + self.sums, hidden):
                raise CorruptArtifactError(f"the saved TextConvolution's hidden layer has shapes {shapes}.")
        numbers = (self.table, self.bias, self.sum_table, self.hidden_weights, self.hidden_bias)
        if not all(np.isfinite(values).all() for values in numbers if values is not None):
            raise CorruptArtifactError("the saved TextConvolution holds numbers that are not finite.")


def words_of(bits: int) -> Any:
    """What cuts texts into words and hashes those."""
    return load("ngrams").Ngrams(words=(1, 1), chars=(0, 0), bits=bits, fold=True, keep_punctuation=True)


def word_buckets(words: Sequence[str], bits: int) -> NDArray[np.int64]:
    """The bucket of each word, int64 of shape (n,); -1 for what is no word or several."""
    found, indptr = words_of(bits).buckets(list(words))[:2]
    alone = np.diff(indptr) == 1
    buckets = np.full(len(alone), -1, dtype=np.int64)
    buckets[alone] = found[indptr[:-1][alone]]
    return buckets


def sums_of(rows: NDArray[np.int32], indptr: NDArray[np.int64], table: NDArray[Any]) -> NDArray[Any]:
    """Of the rows of a table (n_rows, d), over each text, divided by the root of their number; (n, d), of its type."""
    return np.asarray(averaging(rows, indptr, len(table), table.dtype) @ table)


def averaging(rows: NDArray[np.int32], indptr: NDArray[np.int64], n_rows: int, dtype: Any) -> sp.csr_array:
    """The matrix (n, n_rows) whose product with a table is :func:`sums_of`."""
    lengths = np.diff(indptr)
    shares = (1.0 / np.sqrt(np.maximum(lengths, 1))).astype(dtype).repeat(lengths)
    return sp.csr_array((shares, rows, indptr), shape=(len(lengths), n_rows))


def find_rows(found: NDArray[np.uint32], buckets: NDArray[np.int64]) -> NDArray[np.int32]:
    """The places of buckets among the ascending ``buckets``; one past the last where they are not there."""
    places = np.searchsorted(buckets, found)
    if not len(buckets):
        return places.astype(np.int32)
    known = buckets[np.minimum(places, len(buckets) - 1)] == found
    return np.where(known, places, len(buckets)).astype(np.int32)
