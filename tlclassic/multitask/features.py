"""From what ``fit`` and ``predict`` are given to rows of features."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import clone

from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.features import NgramVectorizer
from tlclassic.heads.ngram_features import restricted

__all__ = ["fit_features", "is_text", "narrowed", "taken"]


def is_text(X: Any) -> bool:
    """Whether X is a list of texts, and not a matrix."""
    if isinstance(X, (list, tuple)):
        return not len(X) or isinstance(X[0], (str, bytes)) or X[0] is None
    if sp.issparse(X):
        return False
    if not hasattr(X, "dtype") and hasattr(X, "__array__"):
        X = np.asarray(X)
    dtype = getattr(X, "dtype", None)
    if getattr(X, "ndim", 1) != 1:
        return False
    return dtype is None or str(dtype).startswith(("str", "string")) or getattr(dtype, "kind", "O") in "OUST"


def fit_features(features: Any, X: Any) -> tuple[Any, Any]:
    """``(fitted transformer, rows)`` of texts; hashed words and bigrams where ``features`` is None."""
    transformer = NgramVectorizer(idf=True) if features is None else clone(features)
    if not hasattr(transformer, "transform"):
        raise InvalidParameterError(
            f"features must be a transformer with fit and transform, or None; got {type(features).__name__}."
        )
    given = check_texts(X) if is_text(X) else X
    return transformer, _rows(transformer.fit_transform(given))


def taken(transformer: Any, X: Any) -> Any:
    """Rows of a fitted transformer."""
    return _rows(transformer.transform(check_texts(X) if is_text(X) else X))


def _rows(X: Any) -> Any:
    if sp.issparse(X):
        return sp.csr_matrix(X)
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2:
        raise InvalidParameterError(f"features must give a matrix of two dimensions; got shape {rows.shape}.")
    return rows


def narrowed(X: Any) -> tuple[Any, NDArray[np.int64] | None]:
    """The columns of a sparse matrix that occur, and which those are; a dense one as it is."""
    if not sp.issparse(X):
        return X, None
    seen = np.zeros(X.shape[1], dtype=bool)
    seen[X.indices] = True
    columns = np.flatnonzero(seen).astype(np.int64)
    return restricted(X, columns), columns
