"""``JointEncoder``: several sentence encoders as one transformer of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_choice, check_integer, check_number, check_texts
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.joint.choosing import tune_weights
from tlclassic.joint.criteria import BoundLabels, LabelCriterion
from tlclassic.joint.maps import METHODS, check_weights, joining_map
from tlclassic.joint.preparing import Preparation, fit_preparation, prepare

require("sklearn", purpose="JointEncoder")
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402

__all__ = ["JointEncoder"]

Floats = NDArray[np.float32]


class JointEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Several encoders of texts as one: their vectors centred, scaled, weighted and joined.

    Any transformers of texts will do: ``OnnxEncoder`` on different folders, ``EmbeddingVectorizer`` on different
    vectors, a pipeline of one of them with a PCA. What is learnt from texts (means, covariances, directions) is learnt
    without labels; only ``weights="cv"`` looks at them.

    Parameters
    ----------
    encoders : list of transformers of texts
        Cloned, and the clones fitted.
    method : {"concat", "average", "svd", "gcca"}
        As for :func:`tlclassic.joint.join`; Poerner, Waltinger and Schütze 2020 compare them for sentences
        (https://aclanthology.org/2020.acl-main.628/).
    weights : "equal", "cv" or sequence of float
        "cv": those that are best for a ridge classifier of the labels, by cross-validation.
    dim : int, optional
        Dimensions of "svd" and "gcca"; by default those of the largest encoder.
    whitening : float
        From 0 (directions as they are) to 1 (all count alike).
    normalize : bool
        Whether every vector of an encoder is brought to length one, or the encoder as a whole to the mean length one.
    n_folds : int
        Of "cv".
    random_state : int
        Of the folds.

    Attributes
    ----------
    encoders_ : list of fitted transformers
    sizes_ : list of int
        Their dimensions.
    weights_ : float64 array of shape (k,)
    matrix_ : float32 array of shape (sum of sizes, n_features_out)
        What the prepared vectors, side by side, are multiplied by.
    means_, matrices_, scales_ : lists
        The preparation of each encoder's vectors.

    Raises
    ------
    InvalidParameterError

    Examples
    --------
    >>> from tlclassic import EmbeddingVectorizer, load_vectors
    >>> base = load_vectors("base-en")
    >>> members = [EmbeddingVectorizer(base), EmbeddingVectorizer(base, pooling="max")]
    >>> encoder = JointEncoder(members, method="svd", dim=2)
    >>> encoder.fit_transform(["where is my card", "a fine film", "a dull plot"]).shape
    (3, 2)
    """

    #: What ``fit`` learns besides the encoders.
    FITTED = ("sizes_", "means_", "matrices_", "scales_", "weights_", "matrix_")

    def __init__(
        self,
        encoders: Sequence[Any],
        *,
        method: str = "concat",
        weights: Any = "equal",
        dim: int | None = None,
        whitening: float = 0.0,
        normalize: bool = True,
        n_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.encoders = encoders
        self.method = method
        self.weights = weights
        self.dim = dim
        self.whitening = whitening
        self.normalize = normalize
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the texts ``X`` how the encoders' vectors are spread; from ``y`` their weights, for "cv"."""
        self._fit(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Floats:
        """``fit(X, y).transform(X)``, each text being encoded once."""
        return np.asarray(self._fit(X, y) @ self.matrix_, dtype=np.float32)

    def transform(self, X: Any) -> Floats:
        """The joint vectors of the texts, float32 of shape (n, n_features_out)."""
        check_is_fitted(self, "matrix_")
        texts = check_texts(X)
        if not len(texts):
            return np.empty((0, self._n_features_out), dtype=np.float32)
        return np.asarray(self._side_by_side(self._encode(texts)) @ self.matrix_, dtype=np.float32)

    def _fit(self, X: Any, y: Any) -> Floats:
        """Learn everything; gives the prepared vectors of the texts, side by side."""
        self._check()
        texts = check_texts(X)
        if not len(texts):
            raise InvalidParameterError("X must hold at least one text to fit on; got none.")
        encoders = [clone(encoder).fit(texts, y) for encoder in self.encoders]
        parts = [_dense(encoder.transform(texts), i) for i, encoder in enumerate(encoders)]
        learnt = [fit_preparation(part, self.whitening, self.normalize) for part in parts]
        self.encoders_, self.sizes_ = encoders, [part.shape[1] for part in parts]
        self.means_ = [preparation.mean for preparation in learnt]
        self.matrices_ = [preparation.matrix for preparation in learnt]
        self.scales_ = [preparation.scale for preparation in learnt]
        table = self._side_by_side(parts)
        self.weights_ = self._choose_weights(table, texts, y)
        gram = (table.T @ table).astype(np.float64)
        matrix = joining_map(self.method, gram, self.sizes_, self.weights_, self.dim, len(table))
        self.matrix_ = matrix.astype(np.float32)
        return table

    def _check(self) -> None:
        if isinstance(self.encoders, (str, bytes)) or not isinstance(self.encoders, Sequence) or not self.encoders:
            raise InvalidParameterError(f"encoders must be a list of transformers of texts; got {self.encoders!r:.80}.")
        for i, encoder in enumerate(self.encoders):
            if not hasattr(encoder, "fit") or not hasattr(encoder, "transform"):
                raise InvalidParameterError(f"encoders[{i}] must be a transformer of texts; got {encoder!r:.80}.")
        check_choice("method", self.method, METHODS)
        check_number("whitening", self.whitening, low=0.0, high=1.0)
        check_choice("normalize", self.normalize, (True, False))
        check_integer("n_folds", self.n_folds, low=2)
        check_integer("random_state", self.random_state, low=0)
        if isinstance(self.weights, str):
            check_choice("weights", self.weights, ("equal", "cv"))

    def _choose_weights(self, table: Floats, texts: Sequence[str], y: Any) -> NDArray[np.float64]:
        if not isinstance(self.weights, str):
            return check_weights(self.weights, len(self.sizes_))
        if self.weights == "equal":
            return np.ones(len(self.sizes_))
        if y is None:
            raise InvalidParameterError("weights='cv' needs labels: call fit(texts, y), or choose weights='equal'.")
        criterion = LabelCriterion(texts, y, n_folds=self.n_folds, random_state=self.random_state)
        bound = BoundLabels(criterion, table, self.sizes_)
        return bound.best_weights(lambda objective: tune_weights(objective, len(self.sizes_)))

    def _encode(self, texts: Sequence[str]) -> list[Floats]:
        return [_dense(encoder.transform(texts), i) for i, encoder in enumerate(self.encoders_)]

    def _side_by_side(self, parts: Sequence[Floats]) -> Floats:
        learnt = zip(self.means_, self.matrices_, self.scales_, strict=True)
        prepared = [prepare(part, Preparation(*one)) for part, one in zip(parts, learnt, strict=True)]
        return np.concatenate(prepared, axis=1)

    @classmethod
    def from_state(cls, encoders: list[Any], params: Mapping[str, Any], fitted: Mapping[str, Any]) -> Self:
        """A fitted one from its fitted encoders, its other parameters and the attributes of ``FITTED``.

        Raises
        ------
        CorruptArtifactError
            When they do not fit together.
        """
        try:
            self = cls(encoders, **params)
            self.encoders_ = encoders
            for name in cls.FITTED:
                setattr(self, name, fitted[name])
            self._check()
            shapes = [(size,) for size in self.sizes_]
            sound = [mean.shape for mean in self.means_] == shapes and len(encoders) == len(shapes)
            sound = sound and [matrix.shape for matrix in self.matrices_] == [2 * shape for shape in shapes]
            sound = sound and len(self.scales_) == len(shapes) and self.matrix_.shape[0] == sum(self.sizes_)
        except (KeyError, TypeError, AttributeError, InvalidParameterError) as error:
            raise CorruptArtifactError(f"the saved JointEncoder is malformed ({error!r}).") from error
        if not sound:
            raise CorruptArtifactError("the saved JointEncoder is malformed: shapes do not match.")
        return self

    @property
    def _n_features_out(self) -> int:
        return int(self.matrix_.shape[1])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "matrix_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _dense(values: Any, place: int) -> Floats:
    """What an encoder gave, as float32 of shape (n, dim)."""
    if hasattr(values, "toarray"):
        raise InvalidParameterError(
            f"encoders[{place}] gives a sparse matrix, which cannot be whitened or joined by SVD. Put a TruncatedSVD "
            "behind it, or use FeatureUnion."
        )
    return np.asarray(values, dtype=np.float32)
