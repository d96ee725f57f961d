"""``EmbeddingVectorizer``: texts as pooled word vectors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tlclassic._validate import check_choice, check_integer, check_number, check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.features import fitting, state
from tlclassic.features.components import add_gram, common_components, removal_strengths
from tlclassic.features.poolings import Block, resolve_poolings
from tlclassic.features.tokens import BATCH_SIZE, Tokens, batches, choose_tokenizer, look_up
from tlclassic.kernels import load
from tlclassic.vectors import WordVectors

__all__ = ["EmbeddingVectorizer"]

UNKNOWN = ("auto", *fitting.UNKNOWN)
_POOL = load("pool")


class EmbeddingVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn each text into one vector, pooled from the vectors of its words.

    A text without a known word becomes a zero vector. One text gives the same bits alone as in a batch.

    Parameters
    ----------
    vectors : WordVectors or path-like
        A path is opened by ``fit`` with :meth:`WordVectors.load`.
    pooling : str or list of str, default "mean"
        A list puts the columns of several side by side. With v(w) the vectors of a text's words:

        - "mean": their mean; "max", "min": per dimension.
        - "tfidf": their mean weighted by idf(w) = ln((1 + n) / (1 + df(w))) + 1, from the training texts.
        - "sif": sum of a / (a + p(w)) v(w) over the number of words, less its projection on the first common
          component of the training texts (Arora, Liang and Ma 2017, https://openreview.net/forum?id=SyK00v5xx).
        - "usif": sum of a' / (a' / 2 + p(w)) v(w) over the number of words, each dimension divided by its norm over
          the words of the text, a' computed from the vocabulary and the mean length of the training texts, less the
          first five common components, each by its share of the variance (Ethayarajh 2018,
          https://aclanthology.org/W18-3012; the division as in the author's code).
        - "power": the power means of ``powers`` (Rücklé et al. 2018, https://arxiv.org/abs/1803.01400).
    tokenizer : "auto", Tokenizer, callable, spaCy ``Language``, ..., default "auto"
        "auto" takes the one that the vectors bring (static models). Else it splits contractions if the vocabulary knows
        "n't", keeps case if it holds upper-case words, and keeps "!" and "?" if it knows one of them. See
        :func:`tlclassic.text.as_tokenizer` for what else is taken.
    lower_fallback : bool, default True
        Look a token up in lower case where it is unknown as it stands.
    unknown : {"auto", "ignore", "zero", "subword", "mean"}, default "auto"
        What an unknown word is: nothing; a zero vector, which counts in the mean; its sub-word vector (fastText
        vectors only); the mean of all vectors. "auto" is "subword" or "mean" where that is the vectors' own policy
        (``vectors.oov``), else "ignore".
    counts : "rank", "train", "vectors", path-like or dict, default "rank"
        Where "sif" and "usif" take p(w) from: the row, by Zipf's law (for vectors sorted by frequency, as nearly all
        published ones are); the training texts (in a narrow domain they make the very words common that carry the
        classes, such as the question words of questions); the counts that came with the vectors; a file of "word
        count" lines (:func:`read_counts`); a dict of word to count.
    a : float, default 1e-3
        The parameter of "sif".
    n_components : int or None, default None
        How many common components "sif" and "usif" remove; None for the papers' choice, 1 and 5.
    powers : tuple of numbers, default (1, 2, 3, inf, -inf)
        For "power": whole numbers from 1 to 16 or plus/minus infinity. The power mean is (sum of v^p / n)^(1/p); an
        odd root keeps the sign of its argument.
    normalize : bool, default False
        Scale each pooling's part of the vector to unit length.

    Attributes
    ----------
    vectors_ : WordVectors
    tokenizer_ : Tokenizer or the like
        The tokeniser in use.
    unknown_ : {"ignore", "zero", "subword", "mean"}
        What ``unknown`` came to.
    n_features_out_ : int
    weights_ : dict of str to float32 array of shape (n_words,)
        Per weighted pooling, the weight of each row of the vectors.
    unknown_weights_ : dict of str to float
        Per weighted pooling, the weight of a word that was not counted.
    components_ : dict of str to float64 array of shape (k, dim)
        Per pooling with common components, those that are removed.
    singular_values_ : dict of str to float64 array of shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> from tlclassic import EmbeddingVectorizer, WordVectors
    >>> vectors = WordVectors.from_arrays(["good", "bad", "film"], np.eye(3, dtype="float32"))
    >>> EmbeddingVectorizer(vectors).fit_transform(["A good film", "bad, bad, bad"])
    array([[0.5, 0. , 0.5],
           [0. , 1. , 0. ]], dtype=float32)
    """

    def __init__(
        self,
        vectors: WordVectors | str | os.PathLike[str],
        *,
        pooling: str | Sequence[str] = "mean",
        tokenizer: Any = "auto",
        lower_fallback: bool = True,
        unknown: str = "auto",
        counts: str | os.PathLike[str] | Mapping[str, float] = "rank",
        a: float = 1e-3,
        n_components: int | None = None,
        powers: Sequence[float] = (1, 2, 3, float("inf"), float("-inf")),
        normalize: bool = False,
    ) -> None:
        self.vectors = vectors
        self.pooling = pooling
        self.tokenizer = tokenizer
        self.lower_fallback = lower_fallback
        self.unknown = unknown
        self.counts = counts
        self.a = a
        self.n_components = n_components
        self.powers = powers
        self.normalize = normalize

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> Self:
        """Choose the tokeniser and learn weights and common components from the texts ``X``.

        Raises
        ------
        InvalidParameterError
            For a parameter outside its domain, an empty ``X``, or an item of ``X`` that is not a string (names its
            position).
        """
        texts = self._prepare(X)
        if self._learns:
            tokens = [self._look_up(batch) for batch in batches(texts)]
            self._fit_weights(tokens)
            self._fit_components(self._pool(part) for part in tokens)
        self._is_fitted = True
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> NDArray[np.float32]:
        """``fit(X).transform(X)``, bit for bit, reading the texts once."""
        texts = self._prepare(X)
        # All tokens are kept (four bytes each) only where something is learnt from them before they are pooled.
        tokens: Iterable[Tokens] = (self._look_up(batch) for batch in batches(texts))
        if self._learns:
            tokens = list(tokens)
            self._fit_weights(tokens)
        result = np.empty((len(texts), self.n_features_out_), dtype=np.float32)
        parts = list(_slices(result))
        for part, batch in zip(parts, tokens, strict=True):
            self._pool(batch, part)
        self._fit_components(parts)
        for part in parts:
            self._finish(part)
        self._is_fitted = True
        return result

    def _prepare(self, X: Any) -> Sequence[str]:
        """Check everything and set what does not depend on the texts."""
        texts = check_texts(X)
        blocks = self._check_parameters()
        if not len(texts):
            raise InvalidParameterError("X must hold at least one text to fit on; got none.")
        vectors = self.vectors if isinstance(self.vectors, WordVectors) else WordVectors.load(self.vectors)
        unknown = fitting.choose_unknown(self.unknown, vectors)
        fitting.check_support(vectors, unknown, self.counts, blocks)
        self.unknown_ = unknown
        self._set_up(vectors, choose_tokenizer(self.tokenizer, vectors), blocks)
        return texts

    def _set_up(self, vectors: WordVectors, tokenizer: Any, blocks: list[Block]) -> None:
        self._is_fitted = False  # until all of `fit` has succeeded
        self.vectors_, self.tokenizer_, self._blocks = vectors, tokenizer, blocks
        self.n_features_out_ = len(blocks) * vectors.dim
        self.weights_: dict[str, NDArray[np.float32]] = {}
        self.unknown_weights_: dict[str, float] = {}
        self.components_: dict[str, NDArray[np.float64]] = {}
        self.singular_values_: dict[str, NDArray[np.float64]] = {}

    def _check_parameters(self) -> list[Block]:
        blocks = resolve_poolings(self.pooling, self.powers)
        check_choice("unknown", self.unknown, UNKNOWN)
        check_choice("lower_fallback", self.lower_fallback, (True, False))
        check_choice("normalize", self.normalize, (True, False))
        check_number("a", self.a, low=0.0)
        if self.a == 0:
            raise InvalidParameterError("a must be above 0; got 0.")
        if self.n_components is not None:
            check_integer("n_components", self.n_components, low=0)
        return blocks

    @property
    def _learns(self) -> bool:
        return any(block.weighting for block in self._blocks)

    def _fit_weights(self, tokens: list[Tokens]) -> None:
        for block in self._blocks:
            if block.weighting:
                weights, unknown = fitting.word_weights(block.weighting, tokens, self.vectors_, self.counts, self.a)
                self.weights_[block.name], self.unknown_weights_[block.name] = weights, unknown

    def _fit_components(self, pooled: Iterable[NDArray[np.float32]]) -> None:
        """Common components of each pooling that removes some, from the pooled training texts."""
        removing = [place for place, block in enumerate(self._blocks) if block.removal]
        if not removing:
            return
        grams = {place: np.zeros((self.vectors_.dim, self.vectors_.dim)) for place in removing}
        for part in pooled:
            for place, gram in grams.items():
                add_gram(gram, self._columns(part, place))
        for place, gram in grams.items():
            block = self._blocks[place]
            n = block.n_components if self.n_components is None else self.n_components
            self.components_[block.name], self.singular_values_[block.name] = common_components(gram, n)

    # -- transforming ------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The texts ``X`` (list, tuple, NumPy array or pandas Series of n strings) as float32 (n, n_features_out_)."""
        check_is_fitted(self)
        texts = check_texts(X)
        result = np.empty((len(texts), self.n_features_out_), dtype=np.float32)
        for part, batch in zip(_slices(result), batches(texts), strict=True):
            self._finish(self._pool(self._look_up(batch), part))
        return result

    def _look_up(self, texts: Sequence[str]) -> Tokens:
        subword = self.unknown_ == "subword"
        return look_up(self.tokenizer_, texts, self.vectors_, lower_fallback=self.lower_fallback, unknown=subword)

    def _pool(self, tokens: Tokens, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Weighted and pooled, common components still in."""
        if out is None:
            out = np.empty((len(tokens), self.n_features_out_), dtype=np.float32)
        rows, extra = fitting.with_unknown(tokens, self.vectors_, self.unknown_)
        ops = [self._op(block, extra) for block in self._blocks]
        _POOL.pool(self.vectors_.table, rows, tokens.indptr, ops, out, scales=self.vectors_.scales, extra=extra)
        self._divide_by_norms(rows, tokens.indptr, extra, out)
        return out

    def _divide_by_norms(
        self,
        rows: NDArray[np.int32],
        indptr: NDArray[np.int64],
        extra: NDArray[np.float32] | None,
        out: NDArray[np.float32],
    ) -> None:
        """For "usif": divide each dimension by its norm over the words of the text, in place."""
        places = [place for place, block in enumerate(self._blocks) if block.weighting == "usif"]
        if not places:
            return
        norms = np.empty((len(indptr) - 1, self.vectors_.dim), dtype=np.float32)
        root_mean_square = ("power", 2, None, None, "count", 0.0)
        _POOL.pool(
            self.vectors_.table, rows, indptr, [root_mean_square], norms, scales=self.vectors_.scales, extra=extra
        )
        n_vectors = np.diff(np.concatenate(([0], np.cumsum(rows >= 0)))[indptr])
        norms *= np.sqrt(n_vectors, dtype=np.float32)[:, None]
        for place in places:
            values = self._columns(out, place)
            np.divide(values, norms, out=values, where=norms > 0)

    def _op(self, block: Block, extra: NDArray[np.float32] | None) -> tuple[Any, ...]:
        """One pooling as the kernel takes it."""
        weight = self.unknown_weights_.get(block.name, 1.0)
        by_weight = block.weighting == "tfidf"
        return (
            block.kind,
            block.power,
            self.weights_.get(block.name),
            fitting.weights_of_unknown(block, weight, extra),
            "weight" if by_weight else "count",
            (weight if by_weight else 1.0) if self.unknown_ == "zero" else 0.0,
        )

    def _finish(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        """Remove common components and scale, in place."""
        for place, block in enumerate(self._blocks):
            if not block.removal and not self.normalize:
                continue
            values = np.ascontiguousarray(self._columns(part, place))
            if block.removal:
                strengths = removal_strengths(self.singular_values_[block.name], block.removal)
                _POOL.remove_components(values, self.components_[block.name], strengths)
            if self.normalize:
                _POOL.normalize_rows(values)
            self._columns(part, place)[:] = values
        return part

    def _columns(self, part: NDArray[np.float32], place: int) -> NDArray[np.float32]:
        dim = self.vectors_.dim
        return part[:, place * dim : (place + 1) * dim]

    # -- scikit-learn ------------------------------------------------------------------------------------------------

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns: ``mean_0``, ``mean_1``, ...; object array of shape (n_features_out_,)."""
        check_is_fitted(self)
        dim = self.vectors_.dim
        return np.array([f"{block.name}_{i}" for block in self._blocks for i in range(dim)], dtype=object)

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

    def to_state(self, *, include_vectors: bool = True) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """``(metadata, arrays)``, JSON-serialisable facts and named arrays, for :meth:`from_state`.

        Parameters
        ----------
        include_vectors : bool
            Whether the word vectors are among the arrays. If not, only the path and digest of their store are
            recorded.

        Raises
        ------
        InvalidParameterError
            When the tokeniser is a Python function or pipeline, which only pickle could save; or the vectors are left
            out and do not come from a store.
        """
        check_is_fitted(self)
        return state.to_state(self, include_vectors)

    @classmethod
    def from_state(
        cls,
        metadata: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        *,
        vectors: WordVectors | None = None,
    ) -> Self:
        """The inverse of :meth:`to_state`.

        Parameters
        ----------
        metadata : mapping
        arrays : mapping of str to array
        vectors : WordVectors, optional
            The vectors that were left out; by default their store is opened from the recorded path.

        Raises
        ------
        ArtifactError
            When a part is missing or shapes do not match, or the vectors are not the recorded ones.
        """
        return cls._restored(*state.from_state(metadata, arrays, vectors))

    @classmethod
    def _restored(cls, params: dict[str, Any], tokenizer: Any, learnt: Mapping[str, Any]) -> Self:
        self = cls(**params)
        self._set_up(params["vectors"], tokenizer, self._check_parameters())
        for name, values in learnt.items():
            setattr(self, name, values)
        self._is_fitted = True
        return self


def _slices(result: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The rows of ``result``, batch by batch."""
    for start in range(0, len(result), BATCH_SIZE):
        yield result[start : start + BATCH_SIZE]
