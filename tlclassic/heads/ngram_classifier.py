"""``NgramClassifier``: a linear classifier of texts over hashed n-grams and word vectors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tlclassic._validate import check_texts
from tlclassic.features import NgramVectorizer
from tlclassic.features.tokens import BATCH_SIZE
from tlclassic.heads import ngram_state
from tlclassic.heads.ngram_features import Features, make_embedding, restricted
from tlclassic.heads.ngram_fitting import check_parameters, fit_texts
from tlclassic.heads.ngram_streams import (
    Fitted,
    check_stream,
    learn,
    make_stream,
    set_penalty,
    single_problem,
    taught,
)
from tlclassic.heads.predicting import TextClassifier
from tlclassic.heads.streaming import LEARNING_RATE, Streaming
from tlclassic.heads.targets import Targets
from tlclassic.vectors import WordVectors

__all__ = ["NgramClassifier"]


class NgramClassifier(TextClassifier, BaseEstimator):  # type: ignore[misc]
    """Logistic regression over hashed word and character n-grams, and pooled word vectors if given.

    Trained on labels, on their probabilities (soft labels) or on several labels a text; made to be compiled
    (:func:`tlclassic.compile`). The objective is scikit-learn's: ``C * sum_i w_i * CE(P_i, p_i)`` plus the penalty.

    Parameters
    ----------
    word_ngrams, char_ngrams, bits, case, punctuation, counts, idf, norm
        As for :class:`~tlclassic.NgramVectorizer`; here with ``idf=True`` by default.
    nb : bool, default False
        Scale each n-gram by its NB log-count ratio of each class before the penalty (Wang and Manning 2012,
        https://aclanthology.org/P12-2018); with soft labels from expected counts.
    nb_alpha : float, default 1.0
        Smoothing of those counts.
    nb_floor : float, default 0.5
        Added to the ratios' magnitude; 0 is the paper's.
    vectors : WordVectors, path-like or None
        Word vectors, pooled over each text and standardised, as further features.
    pooling : {"mean", "tfidf", "sif"} or a list of those, default "mean"
    vectors_weight : float, default 1.0
        Length that a row of word vectors has about; rows of n-grams have about 1.
    C : float, default 3.0
        Strength of the data against the penalty.
    penalty : {"l2", "l1", "elasticnet"}
    l1_ratio : float
        Share of L1, for ``"elasticnet"``.
    class_weight : dict, "balanced" or None
    multilabel : bool, default False
        ``y`` is a matrix with one column a label, with the probability of each label by itself. A matrix of the
        integers 0 and 1 is taken so in any case.
    solver : {"auto", "newton", "adagrad"}
        To convergence over all texts at once; or ``epochs`` passes of stochastic steps, in bounded memory however many
        texts there are. "auto": the first where it takes no longer than about ten seconds.
    epochs : int, default 5
    learning_rate : float
        Of "adagrad" and ``partial_fit``, for rows of length one: it is divided by the length that rows have.
    max_iter, tol : int, float
        Of "newton": iterations, and the share of the objective by which it may lie above the optimum.
    threads : int, default 1
        "newton" gives the same result at any number, "adagrad" at one alone.
    random_state : int
        Of the order of the texts in "adagrad".

    Attributes
    ----------
    classes_ : array of shape (C,)
    multilabel_ : bool
        Whether a text may have several labels.
    columns_ : int64 array of shape (m,)
        Columns of ``vectorizer_`` that have weights, ascending.
    coef_ : float64 array of shape (K, m)
        Their coefficients; K is 1 for two classes, else C.
    intercept_ : float64 array of shape (K,)
    vectorizer_ : NgramVectorizer
    embedding_ : sklearn Pipeline or None
        ``EmbeddingVectorizer`` and ``StandardScaler``.
    embedding_coef_ : float64 array of shape (K, d) or None
        Coefficients of what ``embedding_`` gives.
    n_iter_ : int
        Newton iterations, epochs, or calls of ``partial_fit``.

    Examples
    --------
    >>> from tlclassic import NgramClassifier
    >>> model = NgramClassifier().fit(["good film", "great plot", "bad film", "dull plot"], ["+", "+", "-", "-"])
    >>> model.predict(["great film", "dull"]).tolist()
    ['+', '-']
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
        idf: bool = True,
        norm: str = "sqrt",
        nb: bool = False,
        nb_alpha: float = 1.0,
        nb_floor: float = 0.5,
        vectors: WordVectors | str | os.PathLike[str] | None = None,
        pooling: str | Sequence[str] = "mean",
        vectors_weight: float = 1.0,
        C: float = 3.0,
        penalty: str = "l2",
        l1_ratio: float = 0.5,
        class_weight: Any = None,
        multilabel: bool = False,
        solver: str = "auto",
        epochs: int = 5,
        learning_rate: float = LEARNING_RATE,
        max_iter: int = 100,
        tol: float = 1e-3,
        threads: int = 1,
        random_state: int = 0,
    ) -> None:
        self.word_ngrams = word_ngrams
        self.char_ngrams = char_ngrams
        self.bits = bits
        self.case = case
        self.punctuation = punctuation
        self.counts = counts
        self.idf = idf
        self.norm = norm
        self.nb = nb
        self.nb_alpha = nb_alpha
        self.nb_floor = nb_floor
        self.vectors = vectors
        self.pooling = pooling
        self.vectors_weight = vectors_weight
        self.C = C
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.class_weight = class_weight
        self.multilabel = multilabel
        self.solver = solver
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol
        self.threads = threads
        self.random_state = random_state

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: NDArray[Any] | None = None,
        classes: Sequence[Any] | NDArray[Any] | None = None,
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

        Raises
        ------
        InvalidParameterError
            Names the text that is no string, the row of ``y`` that is no distribution, the parameter that is wrong.
        """
        check_parameters(self)
        texts, targets, weights = self._read(X, y, sample_weight, classes, self.multilabel)
        features = self._make_features()
        self._take(features, fit_texts(self, features, texts, targets, weights), targets)
        return self

    def _take(self, features: Features, fitted: Fitted, targets: Targets) -> None:
        """What was fitted, in place of all that was."""
        self._set(features, fitted)
        self._stream: Streaming | None = None
        self.classes_, self.multilabel_ = targets.classes, targets.multilabel

    def _set(self, features: Features, fitted: Fitted) -> None:
        """The fitted attributes."""
        columns, coef, n_ngrams = fitted.columns, fitted.coef, features.ngrams.n_features_out_
        cut = int(np.searchsorted(columns, n_ngrams))
        self.vectorizer_, self.embedding_ = features.ngrams, features.embedding
        self._columns, self._coef = columns[:cut], np.ascontiguousarray(coef[:, :cut])
        self._intercept, self.n_iter_ = fitted.intercept, fitted.n_iter
        self._embedding_coef: NDArray[np.float64] | None = None
        if features.embedding is not None:
            self._embedding_coef = np.zeros((len(coef), features.n_dense))
            self._embedding_coef[:, columns[cut:] - n_ngrams] = coef[:, cut:] * features.factor
        self._is_behind = False

    # -- streams of batches ------------------------------------------------------------------------------------------

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Sequence[Any] | NDArray[Any] | None = None,
        sample_weight: NDArray[Any] | None = None,
    ) -> Self:
        """Learn from one batch of texts, by one pass of stochastic steps in their order; parameters as for ``fit``.

        The first call names all classes. After ``fit``, or in a model that was loaded, it goes on from the
        coefficients. Nothing but the batch is held; the penalty is spread over the texts seen so far.

        Raises
        ------
        InvalidParameterError
            As ``fit`` does; and for what would need all texts beforehand: ``idf``, ``vectors`` (unless ``fit`` came
            first), ``nb`` and balanced class weights.
        """
        check_parameters(self)
        first = not self.__sklearn_is_fitted__()
        check_stream(self, classes)
        names, multilabel = (classes, self.multilabel) if first else (self.classes_, self.multilabel_)
        texts, targets, weights = self._read(X, y, sample_weight, names, multilabel)
        P, rows = single_problem(targets, weights, self.class_weight)
        features = self._make_features() if first else self._features()
        if first:
            features.fit(texts)
        stream = vars(self).get("_stream")
        if stream is None:
            stream = make_stream(self, features, targets, texts)
            if not first:
                stream.set_start(*self._dense(features))
        set_penalty(self, stream, stream.rows_seen + len(texts))
        learn(stream, features, texts, P, rows)
        self.vectorizer_, self.embedding_ = features.ngrams, features.embedding
        self.classes_, self.multilabel_ = targets.classes, targets.multilabel
        self._stream, self._is_behind = stream, True
        self.n_iter_ = 1 if first else self.n_iter_ + 1
        return self

    def _dense(self, features: Features) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        coef = np.zeros((len(self._coef), features.n_columns), dtype=np.float32)
        coef[:, self._columns] = self._coef
        if self._embedding_coef is not None:
            coef[:, features.ngrams.n_features_out_ :] = self._embedding_coef / features.factor
        return coef, self._intercept

    def _settle(self) -> None:
        """Take over what the last batches taught: only when asked for, as all columns are looked through."""
        if self._is_behind and self._stream is not None:
            self._set(self._features(), taught(self._stream, self.n_iter_))

    # -- parameters --------------------------------------------------------------------------------------------------

    def _make_features(self) -> Features:
        names = ("word_ngrams", "char_ngrams", "bits", "case", "punctuation", "counts", "idf", "norm")
        ngrams = NgramVectorizer(**{name: getattr(self, name) for name in names})
        ngrams._check_parameters()
        embedding = None if self.vectors is None else make_embedding(self.vectors, self.pooling)
        return Features(ngrams, embedding, self.vectors_weight)

    def _features(self) -> Features:
        return Features(self.vectorizer_, self.embedding_, self.vectors_weight)

    # -- predicting --------------------------------------------------------------------------------------------------

    @property
    def columns_(self) -> NDArray[np.int64]:
        """Columns of ``vectorizer_`` that have weights, ascending."""
        self._settle()
        return self._columns

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Coefficients of ``columns_``, of shape (K, m)."""
        self._settle()
        return self._coef

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Of shape (K,)."""
        self._settle()
        return self._intercept

    @property
    def embedding_coef_(self) -> NDArray[np.float64] | None:
        """Coefficients of what ``embedding_`` gives, of shape (K, d); None without word vectors."""
        self._settle()
        return self._embedding_coef

    def _logits(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        texts = check_texts(X)
        logits = np.empty((len(texts), len(self.intercept_)))
        table = np.ascontiguousarray(self.coef_.T)
        for start in range(0, len(texts), 4 * BATCH_SIZE):
            batch = texts[start : start + 4 * BATCH_SIZE]
            part = logits[start : start + len(batch)]
            part[:] = restricted(self.vectorizer_.transform(batch), self._columns) @ table
            if self.embedding_ is not None:
                part += self.embedding_.transform(batch).astype(np.float64) @ self.embedding_coef_.T  # type: ignore[union-attr]
            part += self.intercept_
        return logits

    # -- scikit-learn, saving ----------------------------------------------------------------------------------------

    def to_state(self, *, include_vectors: bool = True) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """``(metadata, arrays)``, JSON-serialisable facts and named arrays, for :meth:`from_state`; fitted or not.

        Parameters
        ----------
        include_vectors : bool
            Whether word vectors are among the arrays, or only the path and digest of their store are recorded.
        """
        return ngram_state.to_state(self, include_vectors)

    @classmethod
    def from_state(
        cls,
        metadata: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        *,
        vectors: WordVectors | None = None,
    ) -> Self:
        """The inverse of :meth:`to_state`; ``vectors`` are those that were left out.

        Raises
        ------
        ArtifactError
            When a part is missing or shapes do not match, or the vectors are not the recorded ones.
        """
        return ngram_state.from_state(cls, metadata, arrays, vectors)
