"""``TextConvolution``: texts as the largest activations of windows of words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from tlclassic._validate import check_texts
from tlclassic.errors import ArtifactError, CorruptArtifactError, InvalidParameterError
from tlclassic.features.tokens import batches
from tlclassic.kernels import load
from tlclassic.text import Lookup, Tokenizer
from tlclassic.vectors.making import index_words

__all__ = ["TextConvolution"]


class TextConvolution(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """One layer of convolution over the words of a text, with the maximum over the text (Kim 2014).

    Embedding and filters are one table: what each word adds to a filter in each place of a window. Feature f is
    ``max(0, bias[f] + max over windows of the sum of its words)``. A window may reach beyond either end of the text,
    where nothing is added. :class:`tlclassic.ConvolutionClassifier` makes it; there is nothing to fit.

    Parameters
    ----------
    tokenizer : Tokenizer
    words : sequence of str of length n_words
        All different.
    table : float32 array of shape (n_words + 1, width * filters)
        The last row is that of words that are not among ``words``. ``filters`` is a multiple of 16, ``width`` at
        most 8.
    bias : float32 array of shape (filters,)
    frequency : float64 array of shape (n_words,)
        How often each word is to be expected, for pruning and rounding when it is compiled.

    Attributes
    ----------
    tokenizer_, words_, table_, bias_, frequency_
        As given.
    width, filters : int

    Notes
    -----
    Kim 2014, Convolutional Neural Networks for Sentence Classification, https://aclanthology.org/D14-1181.

    Examples
    --------
    >>> import numpy as np
    >>> from tlclassic.text import Tokenizer
    >>> table = np.zeros((3, 2 * 16), dtype="float32")
    >>> table[0, :16] = table[1, 16:] = 1.0  # "not" before "good"
    >>> bias = np.full(16, -1.0, dtype="float32")
    >>> pair = TextConvolution(Tokenizer(), ["not", "good"], table, bias, np.ones(2))
    >>> pair.transform(["not good", "good", "good, not"])[:, 0].tolist()
    [1.0, 0.0, 0.0]
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        words: Sequence[str],
        table: NDArray[np.float32],
        bias: NDArray[np.float32],
        frequency: NDArray[np.float64],
    ) -> None:
        self.tokenizer, self.words, self.table, self.bias, self.frequency = tokenizer, words, table, bias, frequency

    @property
    def tokenizer_(self) -> Tokenizer:
        """Cuts texts into words."""
        return self.tokenizer

    @property
    def words_(self) -> Sequence[str]:
        """Of the rows of the table but the last."""
        return self.words

    @property
    def table_(self) -> NDArray[np.float32]:
        """Of shape (n_words + 1, width * filters)."""
        return self.table

    @property
    def bias_(self) -> NDArray[np.float32]:
        """Of shape (filters,)."""
        return self.bias

    @property
    def frequency_(self) -> NDArray[np.float64]:
        """Of shape (n_words,)."""
        return self.frequency

    @property
    def filters(self) -> int:
        """How many features there are."""
        return len(self.bias)

    @property
    def width(self) -> int:
        """Words of a window."""
        return int(self.table.shape[1]) // len(self.bias)

    @property
    def index_(self) -> Any:
        """From a word to its row."""
        if vars(self).get("_index") is None:
            self._index = index_words(self.words)
        return self._index

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Nothing: the table is given."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def lookup(self, texts: Sequence[str]) -> Lookup:
        """The rows of the words of texts, -1 for unknown ones."""
        return self.tokenizer.lookup(texts, self.index_)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Features, float32 of shape (n, filters).

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
        out = np.empty((len(texts), self.filters), dtype=np.float32)
        start = 0
        for batch in batches(texts):
            found = self.lookup(batch)
            part = out[start : start + len(batch)]
            load("convolve").features(found.rows, found.indptr, self.table, None, self.bias, part)
            start += len(batch)
        return out

    def exact(self, X: Any) -> NDArray[np.float64]:
        """The same in float64, without the kernel: what a compiled classifier is held against."""
        found = self.lookup(list(X))
        table, bias = self.table.astype(np.float64), self.bias.astype(np.float64)
        out = np.empty((len(found.indptr) - 1, self.filters))
        for text in range(len(out)):
            rows = found.rows[found.indptr[text] : found.indptr[text + 1]]
            out[text] = np.maximum(bias + self._windows(table[rows]).max(axis=0), 0.0)
        return out

    def _windows(self, words: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sums of all windows over the rows of a text's words."""
        n_windows = len(words) + self.width - 1 if len(words) else 1
        sums = np.zeros((n_windows, self.filters))
        for offset in range(self.width if len(words) else 0):
            start = self.width - 1 - offset
            sums[start : start + len(words)] += words[:, offset * self.filters : (offset + 1) * self.filters]
        return sums

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """``filter0``, ``filter1``, ..."""
        return np.array([f"filter{number}" for number in range(self.filters)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, True, False
        tags.requires_fit = False
        return tags

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """``(metadata, arrays)`` for :meth:`from_state`."""
        index = self.index_
        arrays = {"words": index.words, "offsets": index.offsets, "table": self.table, "bias": self.bias}
        return {"tokenizer": self.tokenizer.to_dict()}, {**arrays, "frequency": self.frequency}

    @classmethod
    def from_state(cls, metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_state`.

        Raises
        ------
        CorruptArtifactError
            When a part is missing or shapes do not match.
        """
        try:
            tokenizer = Tokenizer.from_dict(metadata["tokenizer"])
            words = cut_words(arrays["words"], arrays["offsets"])
            table, bias = (np.asarray(arrays[name], dtype=np.float32) for name in ("table", "bias"))
            made = cls(tokenizer, words, table, bias, np.asarray(arrays["frequency"], dtype=np.float64))
            made._check()
        except ArtifactError:
            raise
        except (KeyError, TypeError, ValueError, InvalidParameterError) as error:
            raise CorruptArtifactError(f"the saved TextConvolution is incomplete or altered: {error!r}.") from error
        return made

    def _check(self) -> None:
        filters = len(self.bias)
        if self.bias.ndim != 1 or not filters or filters % 16:
            raise CorruptArtifactError(f"the saved TextConvolution has {filters} filters, not a multiple of 16.")
        most = load("convolve").MAX_WIDTH
        if self.table.ndim != 2 or self.table.shape[1] % filters or not 1 <= self.table.shape[1] // filters <= most:
            raise CorruptArtifactError(f"the saved TextConvolution's table has shape {self.table.shape}.")
        if len(self.table) != len(self.words) + 1 or self.frequency.shape != (len(self.words),):
            raise CorruptArtifactError("the saved TextConvolution has another number of words than rows.")
        if not np.isfinite(self.table).all() or not np.isfinite(self.bias).all():
            raise CorruptArtifactError("the saved TextConvolution holds numbers that are not finite.")


def cut_words(blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> list[str]:
    """Words from their UTF-8 bytes, end to end."""
    data = blob.tobytes()
    bounds = offsets.tolist()
    if not bounds or bounds[0] != 0 or bounds[-1] != len(data) or any(np.diff(offsets) < 0):
        raise CorruptArtifactError("the saved words are not cut where they should be.")
    return [data[start:stop].decode("utf-8") for start, stop in itertools.pairwise(bounds)]
