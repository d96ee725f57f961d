"""``NgramVectorizer``: texts as hashed counts of word and character n-grams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tlclassic._validate import check_choice, check_integer, check_texts
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.features.tokens import batches
from tlclassic.kernels import load

__all__ = ["FAMILIES", "NgramVectorizer", "check_ngrams"]

#: The families of n-grams in the order of their columns, and the longest n of each.
FAMILIES = {"word": 8, "char": 32}
MAX_BITS = 28
CASES, PUNCTUATION = ("fold", "keep"), ("keep", "drop")
COUNTS, NORMS = ("count", "binary", "sublinear"), ("none", "length", "sqrt", "l2")
_PLAIN = ("bits", "case", "punctuation", "counts", "idf", "norm")

Counted = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]


class NgramVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn each text into a sparse vector of hashed n-gram counts.

    Words are runs of letters, marks, digits and ``_``, with apostrophes inside; in scripts without spaces (Han,
    Hiragana, Thai, ...) every character is a word. Character n-grams are taken inside words, with one boundary mark on
    either side. An n-gram's column is the top ``bits`` bits of a 64-bit hash: no vocabulary is learnt, and n-grams that
    share a column are added up. Each family has columns of its own, word n-grams first, then character n-grams.

    The value of a column is ``tf * idf * s``: ``tf`` from ``counts``, ``s`` from ``norm``, each family for itself, so
    that the rows of either have about the same length whatever the other holds.

    Parameters
    ----------
    word_ngrams : (int, int) or None, default (1, 2)
        Shortest and longest word n-gram, from 1 to 8; None for none.
    char_ngrams : (int, int) or None, default None
        Shortest and longest character n-gram inside words (boundary marks count), from 1 to 32; None for none.
    bits : int, default 20
        2**bits columns a family, 1 to 28.
    case : {"fold", "keep"}, default "fold"
        Full Unicode case folding, of text in NFC.
    punctuation : {"keep", "drop"}, default "keep"
        Whether a run of punctuation ("...", "?!") is a word.
    counts : {"count", "binary", "sublinear"}, default "count"
        tf of an n-gram that occurs c times: c, 1, or 1 + ln(c).
    idf : bool, default False
        Multiply by ln((1 + N) / (1 + df)) + 1, from the N texts given to ``fit``.
    norm : {"sqrt", "length", "l2", "none"}, default "sqrt"
        s = 1 / sqrt(n), 1 / n, 1 / the Euclidean norm of tf * idf, or 1, with n the number of the family's n-grams in
        the text, repeats counted.

    Attributes
    ----------
    idf_ : dict of str to float32 array of shape (2**bits,)
        For "word" and "char", as far as in use; empty without ``idf``.
    n_features_out_ : int

    Notes
    -----
    Weinberger et al. 2009, feature hashing (https://arxiv.org/abs/0902.2206); boundary marks and n-grams inside words
    as in Bojanowski et al. 2017 (https://aclanthology.org/Q17-1010). ``kernels/_ngrams_plain`` specifies the hash.
    Compiled models score "count" with any norm but "l2" in one pass over the bytes; all else needs counts for each text
    first, and takes longer.

    Examples
    --------
    >>> from tlclassic import NgramVectorizer
    >>> X = NgramVectorizer(word_ngrams=(1, 2), norm="none").fit_transform(["to be or not to be"])
    >>> X.shape, sorted(X.data.tolist())
    ((1, 1048576), [1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    """

    def __init__(
        self,
        *,
        word_ngrams: tuple[int, int] | None = (1, 2),
        char_ngrams: tuple[int, int] | None = None,
        bits: int = 20,
        case: str = "fold",
        punctuation: str = "keep",
        counts: str = "count",
        idf: bool = False,
        norm: str = "sqrt",
    ) -> None:
        self.word_ngrams = word_ngrams
        self.char_ngrams = char_ngrams
        self.bits = bits
        self.case = case
        self.punctuation = punctuation
        self.counts = counts
        self.idf = idf
        self.norm = norm

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn document frequencies, where ``idf`` asks for them, from the texts ``X``.

        Raises
        ------
        InvalidParameterError
            For a parameter outside its domain, an empty ``X``, or an item of ``X`` that is not a string (names its
            position).
        """
        texts = self._prepare(X)
        if self.idf:
            frequencies = {name: np.zeros(1 << self.bits, dtype=np.int64) for name in self.families_}
            for batch in batches(texts):
                for name, frequency in frequencies.items():
                    _add_frequencies(frequency, self._count(batch, name)[0])
            self._set_idf(frequencies, len(texts))
        self._is_fitted = True
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> sp.csr_matrix:
        """``fit(X).transform(X)``, bit for bit, reading the texts once."""
        texts = self._prepare(X)
        counted = {name: self._count(texts, name) for name in self.families_}
        if self.idf:
            frequencies = {name: np.zeros(1 << self.bits, dtype=np.int64) for name in counted}
            for name, (indices, _, _) in counted.items():
                _add_frequencies(frequencies[name], indices)
            self._set_idf(frequencies, len(texts))
        self._is_fitted = True
        return self._matrix(counted, len(texts))

    def _prepare(self, X: Any) -> Sequence[str]:
        texts = check_texts(X)
        self._check_parameters()
        if not len(texts):
            raise InvalidParameterError("X must hold at least one text to fit on; got none.")
        self._set_up()
        return texts

    def _check_parameters(self) -> None:
        for name in FAMILIES:
            check_ngrams(f"{name}_ngrams", getattr(self, f"{name}_ngrams"), FAMILIES[name])
        if self.word_ngrams is None and self.char_ngrams is None:
            raise InvalidParameterError("word_ngrams and char_ngrams must not both be None. Set one, such as (1, 2).")
        check_integer("bits", self.bits, low=1, high=MAX_BITS)
        check_choice("case", self.case, CASES)
        check_choice("punctuation", self.punctuation, PUNCTUATION)
        check_choice("counts", self.counts, COUNTS)
        check_choice("idf", self.idf, (True, False))
        check_choice("norm", self.norm, NORMS)

    def _set_up(self) -> None:
        self._is_fitted = False  # until all of `fit` has succeeded
        lengths = {name: _pair(getattr(self, f"{name}_ngrams")) for name in FAMILIES}
        self.families_: tuple[str, ...] = tuple(name for name, pair in lengths.items() if pair != (0, 0))
        self.n_features_out_ = len(self.families_) << int(self.bits)
        self.idf_: dict[str, NDArray[np.float32]] = {}

    def _set_idf(self, frequencies: Mapping[str, NDArray[np.int64]], n_texts: int) -> None:
        for name, frequency in frequencies.items():
            self.idf_[name] = (np.log((1 + n_texts) / (1.0 + frequency)) + 1.0).astype(np.float32)

    # -- transforming ------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> sp.csr_matrix:
        """The texts ``X`` (list, tuple, NumPy array or pandas Series of n strings) as float32 CSR.

        Returns
        -------
        csr_matrix of shape (n, n_features_out_)
            Float32, column indices sorted within rows.
        """
        check_is_fitted(self)
        texts = check_texts(X)
        return self._matrix({name: self._count(texts, name) for name in self.families_}, len(texts))

    def count_entries(self, texts: Sequence[str]) -> int:
        """How many entries ``transform`` would give for a list of ``texts``; nothing need be fitted."""
        return int(sum(self._count(texts, name)[1][-1] for name in FAMILIES if getattr(self, f"{name}_ngrams")))

    def _count(self, texts: Sequence[str], family: str) -> Counted:
        """Indices, indptr and counts of one family."""
        counted: Counted = self._kernel().counts(texts, family)
        return counted

    def _kernel(self) -> Any:
        # Made for each call: a handful of numbers, which copies and files of this object need not know of.
        return load("ngrams").Ngrams(
            words=_pair(self.word_ngrams),
            chars=_pair(self.char_ngrams),
            bits=int(self.bits),
            fold=self.case == "fold",
            keep_punctuation=self.punctuation == "keep",
        )

    def _matrix(self, counted: dict[str, Counted], n: int) -> sp.csr_matrix:
        size, parts = 1 << int(self.bits), []
        for name in list(counted):
            indices, indptr, counts = counted.pop(name)
            values = self._values(name, indices, indptr, counts)
            parts.append(sp.csr_matrix((values, indices, indptr), shape=(n, size)))
        matrix = parts[0] if len(parts) == 1 else sp.hstack(parts, format="csr")
        matrix.has_sorted_indices = matrix.has_canonical_format = True
        return matrix

    def _values(
        self, family: str, indices: NDArray[np.int32], indptr: NDArray[np.int64], counts: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        values = _TF[self.counts](counts)
        if self.idf:
            values = values * self.idf_[family][indices]
        if self.norm == "none":
            return values
        lengths = np.diff(indptr)
        if self.norm == "l2":
            rows = np.repeat(np.arange(len(lengths)), lengths)
            total = np.sqrt(np.bincount(rows, weights=values.astype(np.float64) ** 2, minlength=len(lengths)))
        else:
            # Whole numbers: exact in whatever order they are added.
            total = np.diff(np.concatenate(([0.0], np.cumsum(counts, dtype=np.float64)))[indptr])
            total = total if self.norm == "length" else np.sqrt(total)
        total[total == 0] = 1.0
        scaled: NDArray[np.float32] = (values * np.repeat(1.0 / total, lengths)).astype(np.float32)
        return scaled

    # -- scikit-learn ------------------------------------------------------------------------------------------------

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns: ``word_0``, ``word_1``, ...; object array of shape (n_features_out_,)."""
        check_is_fitted(self)
        return np.array([f"{name}_{i}" for name in self.families_ for i in range(1 << int(self.bits))], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return getattr(self, "_is_fitted", False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    # -- saving ------------------------------------------------------------------------------------------------------

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """``(metadata, arrays)``, JSON-serialisable facts and named arrays, for :meth:`from_state`."""
        check_is_fitted(self)
        params: dict[str, Any] = {name: _scalar(getattr(self, name)) for name in _PLAIN}
        for name in FAMILIES:
            pair = getattr(self, f"{name}_ngrams")
            params[f"{name}_ngrams"] = None if pair is None else list(_pair(pair))
        metadata: dict[str, Any] = {"params": params, "unseen": {}}
        arrays: dict[str, NDArray[Any]] = {}
        for name, idf in self.idf_.items():
            # Most buckets were never seen; theirs is the largest value.
            unseen = idf.max()
            buckets = np.flatnonzero(idf != unseen)
            metadata["unseen"][name] = float(unseen)
            arrays[f"idf/{name}/buckets"], arrays[f"idf/{name}/values"] = buckets.astype(np.int32), idf[buckets]
        return metadata, arrays

    @classmethod
    def from_state(cls, metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_state`.

        Raises
        ------
        CorruptArtifactError
            When a part is missing, or outside its domain.
        """
        try:
            params = dict(metadata["params"])
            for name in FAMILIES:
                pair = params[f"{name}_ngrams"]
                params[f"{name}_ngrams"] = None if pair is None else tuple(pair)
            self = cls(**params)
            self._check_parameters()
            self._set_up()
            for name in self.families_ if self.idf else ():
                self.idf_[name] = _restored_idf(metadata["unseen"][name], arrays, name, 1 << int(self.bits))
        except InvalidParameterError as error:
            raise CorruptArtifactError(f"the saved NgramVectorizer holds a wrong parameter: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise CorruptArtifactError(f"the saved NgramVectorizer is incomplete or altered: {error!r}.") from error
        self._is_fitted = True
        return self


def check_ngrams(name: str, value: Any, longest: int) -> None:
    """Raise unless ``value`` is None or a pair of lengths from 1 to ``longest``, the shorter first."""
    if value is None:
        return
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise InvalidParameterError(f"{name} must be None or a pair such as (1, 2); got {value!r}.")
    for length in value:
        check_integer(name, length, low=1, high=longest)
    if value[0] > value[1]:
        raise InvalidParameterError(f"{name} must have its shorter length first; got {value!r}.")


def _pair(lengths: Any) -> tuple[int, int]:
    return (0, 0) if lengths is None else (int(lengths[0]), int(lengths[1]))


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _add_frequencies(frequencies: NDArray[np.int64], indices: NDArray[np.int32]) -> None:
    """Count each text once for each bucket: a bucket stands once in the row of a text."""
    np.add.at(frequencies, indices, 1)


def _sublinear(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.log(counts) + np.float32(1.0)


_TF: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "count": np.asarray,
    "binary": np.ones_like,
    "sublinear": _sublinear,
}


def _restored_idf(unseen: Any, arrays: Mapping[str, NDArray[Any]], name: str, size: int) -> NDArray[np.float32]:
    buckets, values = arrays[f"idf/{name}/buckets"], arrays[f"idf/{name}/values"]
    idf = np.full(size, unseen, dtype=np.float32)
    in_range = buckets.ndim == 1 and (len(buckets) == 0 or (buckets.min() >= 0 and buckets.max() < size))
    if not in_range or buckets.shape != values.shape:
        raise CorruptArtifactError(f"the saved NgramVectorizer's idf of {name} n-grams names buckets it does not have.")
    idf[buckets] = values
    if not np.isfinite(idf).all():
        raise CorruptArtifactError(f"the saved NgramVectorizer's idf of {name} n-grams is not finite.")
    return idf
