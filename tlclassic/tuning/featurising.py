"""Features of samples, kept between trials."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tlclassic.features import NgramVectorizer
from tlclassic.heads.ngram_features import make_embedding, nb_scales
from tlclassic.tuning.space import Configuration
from tlclassic.vectors import WordVectors

__all__ = ["NB_ALPHA", "NB_FLOOR", "POOLING", "FeatureCache", "Features"]

Rows = NDArray[np.int64]
#: Bytes of features that are kept.
CAPACITY = 1 << 30
#: Parameters of ``NgramClassifier`` that are not searched.
NB_ALPHA, NB_FLOOR, POOLING = 1.0, 0.5, "mean"


@dataclass(frozen=True, eq=False)
class Features:
    """Rows over the columns that occur in training.

    Attributes
    ----------
    train : CSR matrix of shape (n, m)
    held_out : CSR matrix of shape (n_held_out, m)
    n_ngrams : int
        The first columns, which NB ratios apply to.
    """

    train: sp.csr_matrix
    held_out: sp.csr_matrix
    n_ngrams: int

    def nb_scales(self, P: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scales of the columns, for targets ``P`` (n, K): of shape (K, m)."""
        scales = nb_scales(self.train, P, np.ones(len(P)), NB_ALPHA, NB_FLOOR)
        scales[:, self.n_ngrams :] = 1.0
        return scales

    @property
    def nbytes(self) -> int:
        """Of the arrays."""
        return sum(part.nbytes for X in (self.train, self.held_out) for part in (X.data, X.indices, X.indptr))


class FeatureCache:
    """Features by what they depend on; the least recently used ones go first.

    Parameters
    ----------
    texts : list of str
        Training texts, then those of a dev set.
    vectors : WordVectors or None
    """

    def __init__(self, texts: Sequence[str], vectors: WordVectors | None = None) -> None:
        self._texts, self._vectors = texts, vectors
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def get(self, configuration: Configuration, train: Rows, held_out: Rows) -> Features:
        """The features of a configuration for rows to learn from and rows to score."""
        where = (train.tobytes(), held_out.tobytes())
        names = tuple(configuration.features.items())
        found: Features = self._remembered((names, *where), lambda: self._ngrams(configuration, train, held_out))
        weight = configuration.vectors_weight
        if weight is None:
            return found
        dense = self._remembered(("vectors", *where), lambda: self._pooled(train, held_out))
        parts = [
            sp.hstack([X, sp.csr_matrix(np.float32(weight) * columns)], format="csr")
            for X, columns in zip((found.train, found.held_out), dense, strict=True)
        ]
        return Features(parts[0], parts[1], found.n_ngrams)

    def _pooled(self, train: Rows, held_out: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Word vectors' columns at a weight of one."""
        embedding = make_embedding(self._vectors, POOLING)
        learnt = embedding.fit_transform([self._texts[i] for i in train])
        scored = embedding.transform([self._texts[i] for i in held_out])
        factor = np.float32(1.0 / np.sqrt(learnt.shape[1]))
        return learnt * factor, scored * factor

    def _ngrams(self, configuration: Configuration, train: Rows, held_out: Rows) -> Features:
        vectorizer = NgramVectorizer(**configuration.features)
        learnt = vectorizer.fit_transform([self._texts[i] for i in train])
        columns = np.unique(learnt.indices)
        scored = vectorizer.transform([self._texts[i] for i in held_out])
        # Only columns that occur in training can get weights.
        return Features(_compact(learnt, columns), _compact(scored, columns), len(columns))

    def _remembered(self, key: Any, make: Any) -> Any:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = make()
        self._kept[key] = value
        while len(self._kept) > 1 and sum(_size(kept) for kept in self._kept.values()) > CAPACITY:
            self._kept.popitem(last=False)
        return value


def _size(value: Any) -> int:
    return value.nbytes if isinstance(value, Features) else sum(part.nbytes for part in value)


def _compact(X: sp.csr_matrix, columns: NDArray[np.int32]) -> sp.csr_matrix:
    """The given columns only, by number."""
    place = np.searchsorted(columns, X.indices)
    known = columns[np.minimum(place, len(columns) - 1)] == X.indices if len(columns) else np.zeros(X.nnz, dtype=bool)
    ends = np.concatenate([[0], np.cumsum(known)])[X.indptr]
    return sp.csr_matrix((X.data[known], place[known].astype(np.int32), ends), shape=(X.shape[0], len(columns)))
