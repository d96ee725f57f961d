"""``ConvolutionClassifier``: a classifier of texts over windows of words, which compiles into a table of words."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import ArtifactError, CorruptArtifactError, InvalidParameterError
from tlclassic.features.convolution import TextConvolution, find_rows, words_of
from tlclassic.features.tokens import batches as text_batches
from tlclassic.heads.convolution_start import SPREAD, start_from
from tlclassic.heads.convolution_training import Descent, Network, batches
from tlclassic.heads.ngram_state import decode_labels, decode_parameter, encode_labels, encode_parameter
from tlclassic.heads.predicting import TextClassifier
from tlclassic.heads.targets import Targets
from tlclassic.kernels import load
from tlclassic.vectors import WordVectors, load_vectors

__all__ = ["ConvolutionClassifier"]

#: Texts seen in all that "auto" epochs aim at, the fewest and most epochs, and the fewest steps whatever that takes.
_AIM, _FEWEST, _MOST, _STEPS = 400_000, 4, 25, 800
#: Bits of the words' hashes while it is trained, and afterwards: so many more than tell the words' number, of which one
#: in a hundred then has the bucket of another.
_BITS, _LEAST_BITS, _SPARE_BITS = 28, 12, 7
#: Dimensions of vectors to start from where none are given.
_DIM = 64
Progress = Callable[[int, int], object]


class ConvolutionClassifier(TextClassifier, BaseEstimator):  # type: ignore[misc]
    """A convolution over the words of a text, the maximum over the text, and a layer or two (Kim 2014).

    Unlike n-grams it knows that words are alike, from the word vectors that it starts from, and unlike a mean of word
    vectors it reads words in their order. Compiled (:func:`tlclassic.compile`), embedding and filters are one table of
    words, so that a text costs a few additions a word. Trained on labels, on their probabilities (soft labels) or on
    several labels a text.

    Parameters
    ----------
    filters : int, default 96
        A multiple of 16.
    width : int, default 4
        Words of a window, from 1 to 8.
    sums : int, default 0
        So many numbers of each word are added up over the text, beside the filters' maxima; a multiple of 16.
    hidden : int, default 0
        Units of a hidden layer between filters and sums and the linear layer, a multiple of 16: it weighs them
        together, which pays where there are many texts. 0: none.
    vectors : WordVectors, path-like or None, default "base-en"
        Word vectors to start from, which are trained along. None: random ones of 64 dimensions. Their words are known
        even where no training text has them.
    min_count : int, default 2
        A word of the training texts that the vectors lack is known if it occurs so often.
    epochs : int or "auto", default "auto"
        "auto": from 25 for small data to 4 for large; more where that is less than 800 steps.
    batch_size : int, default 128
    learning_rate : float, default 1e-3
        Of Adam; it falls in a line.
    dropout : float, default 0.3
        Share of filters and sums that a step leaves out.
    word_dropout : float, default 0.1
        Share of words that a step takes for unknown.
    vectors_rate : float, default 0.3
        Learning rate of the word vectors, as a share of ``learning_rate``; 0 keeps them as they are.
    multilabel : bool, default False
        ``y`` is a matrix with one column a label, with the probability of each label by itself.
    random_state : int

    Attributes
    ----------
    classes_ : array of shape (C,)
    multilabel_ : bool
    convolution_ : TextConvolution
    coef_ : float64 array of shape (K, filters + sums), or (K, hidden)
        K is 1 for two classes, else C.
    intercept_ : float64 array of shape (K,)
    n_iter_ : int
        Epochs.
    loss_curve_ : list of float
        Mean training loss of each epoch.

    Notes
    -----
    Kim 2014, Convolutional Neural Networks for Sentence Classification, https://aclanthology.org/D14-1181. One thread,
    so that the result depends on the data and the seed alone.

    Examples
    --------
    >>> from tlclassic import ConvolutionClassifier
    >>> texts, labels = ["good film", "great plot", "bad film", "dull plot"] * 8, ["+", "+", "-", "-"] * 8
    >>> model = ConvolutionClassifier(filters=16, batch_size=8).fit(texts, labels)
    >>> model.predict(["great film", "dull"]).tolist()
    ['+', '-']
    """

    def __init__(
        self,
        *,
        filters: int = 96,
        width: int = 4,
        sums: int = 0,
        hidden: int = 0,
        vectors: WordVectors | str | os.PathLike[str] | None = "base-en",
        min_count: int = 2,
        epochs: int | str = "auto",
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        dropout: float = 0.3,
        word_dropout: float = 0.1,
        vectors_rate: float = 0.3,
        multilabel: bool = False,
        random_state: int = 0,
    ) -> None:
        self.filters = filters
        self.width = width
        self.sums = sums
        self.hidden = hidden
        self.vectors = vectors
        self.min_count = min_count
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.vectors_rate = vectors_rate
        self.multilabel = multilabel
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: NDArray[Any] | None = None,
        classes: Sequence[Any] | NDArray[Any] | None = None,
        *,
        on_epoch: Progress | None = None,
    ) -> Self:
        """Fit on texts.

        Parameters
        ----------
        X : list of str
            Or a tuple, NumPy array or pandas Series of n strings.
        y : array of shape (n,) or (n, C)
            Labels; or a float matrix of probabilities whose rows sum to 1 (within 1e-3); or with ``multilabel`` a
            matrix with entries in 0..1.
        sample_weight : array of shape (n,), optional
            Not negative.
        classes : sequence, optional
            Names of the columns of a matrix (default 0..C-1), or all labels that may occur.
        on_epoch : callable, optional
            Called after each epoch with how many are done and how many there are.

        Raises
        ------
        InvalidParameterError
            Names the text that is no string, the row of ``y`` that is no distribution, the parameter that is wrong.
        """
        self._check_parameters()
        texts, targets, weights = self._read(X, y, sample_weight, classes, self.multilabel)
        random = np.random.default_rng(self.random_state)
        found, indptr = _read_words(texts)
        buckets, counts, start = self._vocabulary(found, random)
        rows = find_rows(found, buckets)
        shape = {name: getattr(self, name) for name in ("width", "filters", "sums", "hidden")}
        network = Network.start(start, targets.outputs.shape[1], random, **shape)
        with threadpool_limits(1):
            self._descend(network, (rows, indptr), targets, weights, random, on_epoch)
            table = network.vectors @ network.filters
            sum_table = None if network.sums is None else network.vectors @ network.sums
        bits = int(np.clip(np.ceil(np.log2(max(1, len(buckets)))) + _SPARE_BITS, _LEAST_BITS, _BITS))
        beside = sum_table, network.hidden_weights, network.hidden_bias
        self.convolution_ = _in_fewer_bits(TextConvolution(buckets, _BITS, table, network.bias, counts, *beside), bits)
        self.coef_ = np.ascontiguousarray(network.weights.T, dtype=np.float64)
        self.intercept_ = network.intercept.astype(np.float64)
        self.classes_, self.multilabel_ = targets.classes, targets.multilabel
        return self

    def _descend(
        self,
        network: Network,
        tokens: tuple[NDArray[np.int32], NDArray[np.int64]],
        targets: Targets,
        weights: NDArray[np.float64],
        random: np.random.Generator,
        on_epoch: Progress | None,
    ) -> None:
        n = len(weights)
        epochs = self._n_epochs(n)
        P = targets.outputs.astype(np.float32)
        scaled = (weights / (weights.mean() or 1.0)).astype(np.float32)
        descent = Descent(
            network,
            softmax=targets.loss == "softmax",
            learning_rate=self.learning_rate,
            n_steps=epochs * -(-n // self.batch_size),
            dropout=self.dropout,
            word_dropout=self.word_dropout,
            vectors_rate=self.vectors_rate,
            random=random,
        )
        self.loss_curve_: list[float] = []
        for epoch in range(epochs):
            losses = [descent.step(batch) for batch in batches(*tokens, P, scaled, self.batch_size, random)]
            self.loss_curve_.append(float(np.mean(losses)))
            if on_epoch is not None:
                on_epoch(epoch + 1, epochs)
        self.n_iter_ = epochs

    def _n_epochs(self, n: int) -> int:
        if self.epochs != "auto":
            return int(self.epochs)
        steps = -(-n // self.batch_size)
        return max(int(np.clip(_AIM // n, _FEWEST, _MOST)), -(-_STEPS // steps))

    def _vocabulary(
        self, found: NDArray[np.uint32], random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float32]]:
        """The words' buckets, how often each is to be expected, and vectors to start from, one more for all others."""
        seen, counts = np.unique(found, return_counts=True)
        known = seen[counts >= self.min_count].astype(np.int64)
        vectors = load_vectors(self.vectors) if isinstance(self.vectors, (str, os.PathLike)) else self.vectors
        if vectors is None:
            buckets, start = known, random.normal(0.0, SPREAD, (len(known) + 1, _DIM)).astype(np.float32)
        else:
            buckets, start = start_from(vectors, known, _BITS, random)
        start[-1] = 0.0
        # Half an occurrence for a word that was not seen: it is known for the texts to come.
        places = find_rows(buckets.astype(np.uint32), seen.astype(np.int64))
        expected = np.append(counts, 0)[places] + 0.5
        return buckets, expected.astype(np.float64), start

    def _check_parameters(self) -> None:
        check_integer("filters", self.filters, low=16)
        if self.filters % 16:
            raise InvalidParameterError(f"filters must be a multiple of 16; got {self.filters}.")
        check_integer("width", self.width, low=1, high=load("convolve").MAX_WIDTH)
        for name in ("sums", "hidden"):
            check_integer(name, getattr(self, name), low=0)
            if getattr(self, name) % 16:
                raise InvalidParameterError(f"{name} must be a multiple of 16, or 0; got {getattr(self, name)}.")
        check_integer("min_count", self.min_count, low=1)
        if self.epochs != "auto":
            check_integer("epochs", self.epochs, low=1)
        check_integer("batch_size", self.batch_size, low=1)
        check_number("learning_rate", self.learning_rate, low=1e-12)
        check_number("vectors_rate", self.vectors_rate, low=0.0)
        for name in ("dropout", "word_dropout"):
            check_number(name, getattr(self, name), low=0.0, high=0.99)
        check_choice("multilabel", self.multilabel, (True, False))
        check_integer("random_state", self.random_state, low=0)

    def _logits(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        return np.asarray(self.convolution_.transform(X).astype(np.float64) @ self.coef_.T + self.intercept_)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """``(metadata, arrays)``, JSON-serialisable facts and named arrays, for :meth:`from_state`; fitted or not.

        What was trained needs no word vectors; of vectors that are no path nothing is kept.
        """
        params = self.get_params(deep=False)
        if isinstance(params["vectors"], WordVectors):
            params["vectors"] = params["vectors"].path
        if params["vectors"] is not None:
            params["vectors"] = os.fspath(params["vectors"])
        metadata: dict[str, Any] = {"params": {name: encode_parameter(value) for name, value in params.items()}}
        if not self.__sklearn_is_fitted__():
            return metadata, {}
        facts, arrays = self.convolution_.to_state()
        metadata["fitted"] = {
            "classes": encode_labels(self.classes_),
            "multilabel": bool(self.multilabel_),
            "convolution": facts,
            "n_iter": int(self.n_iter_),
            "loss_curve": self.loss_curve_,
        }
        return metadata, {**arrays, "coef": self.coef_, "intercept": self.intercept_}

    @classmethod
    def from_state(cls, metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_state`.

        Raises
        ------
        ArtifactError
            When a part is missing or shapes do not match.
        """
        try:
            model = cls(**{name: decode_parameter(value) for name, value in metadata["params"].items()})
            model._check_parameters()
            if "fitted" in metadata:
                model._take(metadata["fitted"], arrays)
        except ArtifactError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, InvalidParameterError) as error:
            raise CorruptArtifactError(
                f"the saved ConvolutionClassifier is incomplete or altered: {error!r}."
            ) from error
        return model

    def _take(self, fitted: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.convolution_ = TextConvolution.from_state(fitted["convolution"], arrays)
        self.classes_, self.multilabel_ = decode_labels(fitted["classes"]), bool(fitted["multilabel"])
        self.coef_, self.intercept_ = (np.asarray(arrays[name], dtype=np.float64) for name in ("coef", "intercept"))
        self.n_iter_, self.loss_curve_ = int(fitted["n_iter"]), [float(loss) for loss in fitted["loss_curve"]]
        n_outputs = 1 if len(self.classes_) == 2 and not self.multilabel_ else len(self.classes_)
        shapes = (n_outputs, self.convolution_.n_features), (n_outputs,)
        if (self.coef_.shape, self.intercept_.shape) != shapes:
            raise CorruptArtifactError("the saved ConvolutionClassifier's coefficients do not fit its classes.")


def _read_words(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The buckets of the words of all texts, and where those of each end."""
    parts = [words_of(_BITS).buckets(batch)[:2] for batch in text_batches(texts)]
    starts = np.concatenate([[0], np.cumsum([len(found) for found, _ in parts])])
    ends = [start + indptr[1:] for start, (_, indptr) in zip(starts.tolist(), parts, strict=False)]
    return np.concatenate([found for found, _ in parts]), np.concatenate([np.zeros(1, np.int64), *ends])


def _in_fewer_bits(convolution: TextConvolution, bits: int) -> TextConvolution:
    """Of words that then share a bucket the most frequent stays."""
    shorter = convolution.buckets >> (_BITS - bits)
    order = np.lexsort((-convolution.frequency, shorter))
    first = order[np.unique(shorter[order], return_index=True)[1]]
    rows = np.append(first, len(convolution.buckets))
    sum_table = None if convolution.sum_table is None else convolution.sum_table[rows]
    return TextConvolution(
        shorter[first], bits, convolution.table[rows], convolution.bias, convolution.frequency[first], sum_table,
        convolution.hidden_weights, convolution.hidden_bias,
    )  # fmt: skip
