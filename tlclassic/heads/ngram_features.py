"""What :class:`NgramClassifier` sees of a text: hashed n-grams, and pooled word vectors beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from tlclassic.errors import InvalidParameterError
from tlclassic.features import EmbeddingVectorizer, NgramVectorizer
from tlclassic.features.tokens import batches
from tlclassic.vectors import WordVectors

__all__ = ["POOLINGS", "Features", "log_count_ratios", "make_embedding", "restricted"]

#: Poolings of word vectors that compile to one table.
POOLINGS = ("mean", "tfidf", "sif")


class Features:
    """N-grams, and word vectors where asked for, as one sparse matrix.

    Parameters
    ----------
    ngrams : NgramVectorizer
    embedding : sklearn Pipeline or None
        ``EmbeddingVectorizer`` and ``StandardScaler``.
    weight : float
        Of the standardised word vectors, over all dimensions: each is multiplied by ``weight / sqrt(dim)``, so that
        a row of them has about that length.
    """

    def __init__(self, ngrams: NgramVectorizer, embedding: Pipeline | None, weight: float) -> None:
        self.ngrams, self.embedding, self.weight = ngrams, embedding, weight

    @property
    def n_dense(self) -> int:
        """Columns of word vectors, behind those of the n-grams."""
        if self.embedding is None:
            return 0
        vectorizer = self.embedding[0]
        return int(vectorizer.vectors.dim) * (1 if isinstance(vectorizer.pooling, str) else len(vectorizer.pooling))

    @property
    def n_columns(self) -> int:
        """All columns."""
        return int(self.ngrams.n_features_out_) + self.n_dense

    @property
    def factor(self) -> float:
        """What standardised word vectors are multiplied by."""
        return float(self.weight / np.sqrt(self.n_dense))

    def count_entries(self, texts: Sequence[str]) -> int:
        """How many entries the rows of ``texts`` have; nothing need be fitted."""
        return self.ngrams.count_entries(texts) + len(texts) * self.n_dense

    def fit(self, texts: Sequence[str]) -> None:
        """Learn from the texts, batch by batch."""
        self.ngrams.fit(texts)
        if self.embedding is not None:
            vectorizer, scaler = self.embedding[0], self.embedding[1]
            vectorizer.fit(texts)
            for batch in batches(texts):
                scaler.partial_fit(vectorizer.transform(batch))

    def fit_transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """The same, and the texts' rows."""
        sparse = self.ngrams.fit_transform(texts)
        return sparse if self.embedding is None else self._beside(sparse, self.embedding.fit_transform(texts))

    def transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Rows of float32 in CSR form, (n, n_columns)."""
        sparse = self.ngrams.transform(texts)
        return sparse if self.embedding is None else self._beside(sparse, self.embedding.transform(texts))

    def _beside(self, sparse: sp.csr_matrix, dense: NDArray[np.float32]) -> sp.csr_matrix:
        return sp.csr_matrix(sp.hstack([sparse, sp.csr_matrix(dense * np.float32(self.factor))], format="csr"))


def _check_pooling(pooling: Any) -> None:
    """Raise unless ``pooling`` is one, or a list, of those that compile."""
    names = [pooling] if isinstance(pooling, str) else pooling
    if isinstance(names, (list, tuple)) and names and all(name in POOLINGS for name in names):
        return
    raise InvalidParameterError(
        f"pooling must be one of {', '.join(map(repr, POOLINGS))}, or a list of them: others are no sums over words "
        f"and could not be compiled; got {pooling!r}. Use EmbeddingVectorizer in a pipeline for those."
    )


def make_embedding(vectors: Any, pooling: Any) -> Pipeline:
    """The steps that pool and standardise word vectors, not fitted; ``vectors`` are loaded if they are a path."""
    _check_pooling(pooling)
    vectors = vectors if isinstance(vectors, WordVectors) else WordVectors.load(vectors)
    # Vectors made from sub-words while a model runs could not be compiled.
    unknown = "ignore" if vectors.oov == "subword" else "auto"
    return Pipeline(
        [("vectors", EmbeddingVectorizer(vectors, pooling=pooling, unknown=unknown)), ("scaler", StandardScaler())]
    )


def restricted(X: sp.csr_matrix, columns: NDArray[np.int64]) -> sp.csr_matrix:
    """The ``columns`` of X, which must be ascending, by their places among them; float64."""
    if not len(columns):
        return sp.csr_matrix((X.shape[0], 0))
    place = np.searchsorted(columns, X.indices)
    place[place == len(columns)] = 0
    known = columns[place] == X.indices
    indptr = np.concatenate(([0], np.cumsum(known)))[X.indptr]
    return sp.csr_matrix((X.data[known].astype(np.float64), place[known], indptr), (X.shape[0], len(columns)))


def log_count_ratios(
    X: sp.csr_matrix, P: NDArray[np.float64], weights: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    """How much more often each column occurs in rows of a class than in the others, in logarithms.

    ``r[c, f] = ln(p_cf / sum p_c) - ln(q_cf / sum q_c)``, ``p_cf = alpha + sum_i w_i P_ic [X_if != 0]``, and ``q`` the
    same of ``1 - P``: the expected counts under soft labels. Wang and Manning 2012, https://aclanthology.org/P12-2018.

    Parameters
    ----------
    X : CSR matrix of shape (n, F)
    P : float64 array of shape (n, K)
    weights : float64 array of shape (n,)
    alpha : float
        Smoothing, above 0.

    Returns
    -------
    float64 array of shape (K, F)
    """
    occurs = sp.csr_matrix((np.ones(X.nnz), X.indices, X.indptr), shape=X.shape)
    inside = alpha + np.asarray(occurs.T @ (weights[:, None] * P)).T
    outside = alpha + np.asarray(occurs.T @ (weights[:, None] * (1.0 - P))).T
    totals = inside.sum(axis=1, keepdims=True), outside.sum(axis=1, keepdims=True)
    ratios: NDArray[np.float64] = np.log(inside / totals[0]) - np.log(outside / totals[1])
    return ratios


def nb_scales(
    X: sp.csr_matrix, P: NDArray[np.float64], weights: NDArray[np.float64], alpha: float, floor: float
) -> NDArray[np.float64]:
    """``floor + |r|``, with r as :func:`log_count_ratios` has it: what coefficients are scaled by before the penalty.

    The sign of r is of no matter to the penalty. The floor lets a column that occurs as often in a class as elsewhere
    have a weight all the same, much as the interpolation does with which Wang and Manning close their section 2.3.
    """
    return floor + np.abs(log_count_ratios(X, P, weights, alpha))
