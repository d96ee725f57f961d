"""Common components of text vectors: found in training texts, removed from every text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import CorruptArtifactError
from tlclassic.kernels import load

__all__ = ["CommonComponentRemoval", "add_gram", "checked_components", "common_components", "removal_strengths"]

WEIGHTINGS = ("none", "usif")
_POOL = load("pool")


def add_gram(gram: NDArray[np.float64], rows: NDArray[Any]) -> None:
    """Add the products of the columns of ``rows``, shape (n, dim), to ``gram``, shape (dim, dim)."""
    wide = rows.astype(np.float64)
    gram += wide.T @ wide


def common_components(gram: NDArray[np.float64], n_components: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first right singular vectors of a matrix X (not centred), from its Gram matrix X'X.

    # Design: the eigen-decomposition of X'X in float64 needs one pass over the rows in bounded memory and no seed. That
    # the square loses half the digits matters only for singular values below 1e-8 times the largest, and such
    # components are left out: the rows do not determine them.

    Parameters
    ----------
    gram : float64 array of shape (dim, dim)
    n_components : int

    Returns
    -------
    components : float64 array of shape (k, dim), orthonormal, k <= n_components
        The sign of each is chosen so that its largest entry is positive.
    singular_values : float64 array of shape (k,), descending
    """
    values, vectors = np.linalg.eigh(gram)
    values, components = values[::-1][:n_components], vectors.T[::-1][:n_components]
    kept = values > values[:1] * len(gram) * np.finfo(np.float64).eps
    values, components = values[kept], components[kept]
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.ascontiguousarray(components * signs[:, None]), np.sqrt(values)


def removal_strengths(singular_values: NDArray[np.float64], weighting: str) -> NDArray[np.float64]:
    """Which share of each component is removed: all of it, or (uSIF) its share of the components' squared sum."""
    if weighting == "none" or not len(singular_values):
        return np.ones_like(singular_values)
    squares = singular_values**2
    return np.asarray(squares / squares.sum())


class CommonComponentRemoval(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Subtract from each row its projection on the first components of the training rows.

    The components are the first right singular vectors of the training matrix, which is not centred: the first is
    close to the direction of the mean. One row alone gives the same bits as that row in a batch.

    Parameters
    ----------
    n_components : int, default 1
        How many. Components that the training rows do not determine (their rank is lower) are left out.
    weighting : {"none", "usif"}, default "none"
        "none" removes them whole (Arora, Liang and Ma 2017, https://openreview.net/forum?id=SyK00v5xx); "usif" the
        share lambda_i = s_i^2 / sum_j s_j^2 of each, s the singular values (piecewise removal, Ethayarajh 2018,
        https://aclanthology.org/W18-3012).

    Attributes
    ----------
    components_ : float64 array of shape (k, n_features)
    singular_values_ : float64 array of shape (k,)
    strengths_ : float64 array of shape (k,)
        The share that is removed.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[3.0, 1.0], [3.0, -1.0]])
    >>> CommonComponentRemoval().fit_transform(X)
    array([[ 0.,  1.],
           [ 0., -1.]])
    """

    def __init__(self, n_components: int = 1, *, weighting: str = "none") -> None:
        self.n_components = n_components
        self.weighting = weighting

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the components of ``X``, float array of shape (n, n_features)."""
        check_integer("n_components", self.n_components, low=0)
        check_choice("weighting", self.weighting, WEIGHTINGS)
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        gram = np.zeros((X.shape[1], X.shape[1]))
        for start in range(0, len(X), 4096):
            add_gram(gram, X[start : start + 4096])
        self.components_, self.singular_values_ = common_components(gram, self.n_components)
        self.strengths_ = removal_strengths(self.singular_values_, self.weighting)
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """``X`` without the components; a new array of its shape, float32 if ``X`` is, else float64."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        result = np.array(X, order="C", copy=True)
        _POOL.remove_components(result, self.components_, self.strengths_)
        return result

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """``(metadata, arrays)`` from which :meth:`from_state` makes an equal, fitted estimator."""
        check_is_fitted(self)
        metadata = {"params": self.get_params(), "n_features": self.n_features_in_}
        return metadata, {"components": self.components_, "singular_values": self.singular_values_}

    @classmethod
    def from_state(cls, metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_state`.

        Raises
        ------
        CorruptArtifactError
            When a part is missing or shapes do not match.
        """
        try:
            self = cls(**metadata["params"])
            self.n_features_in_ = int(metadata["n_features"])
            self.components_, self.singular_values_ = checked_components(arrays, "", self.n_features_in_)
        except (KeyError, TypeError) as error:
            raise CorruptArtifactError(f"the saved CommonComponentRemoval is incomplete: {error}.") from error
        self.strengths_ = removal_strengths(self.singular_values_, self.weighting)
        return self


def checked_components(
    arrays: Mapping[str, NDArray[Any]], suffix: str, dim: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The saved blocks ``components`` and ``singular_values``, checked against ``dim``."""
    components, values = arrays[f"components{suffix}"], arrays[f"singular_values{suffix}"]
    if components.ndim != 2 or components.shape[1] != dim or values.shape != components.shape[:1]:
        raise CorruptArtifactError(f"the saved components have shape {components.shape}; expected (k, {dim}).")
    # A kernel reads them: they must be what it takes, whatever the file said.
    return np.ascontiguousarray(components, dtype=np.float64), np.ascontiguousarray(values, dtype=np.float64)
