"""Predictions of whatever has logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.fitting import probabilities
from tlclassic.heads.solvers import row_weights
from tlclassic.heads.targets import Targets, read_targets

__all__ = ["LogitClassifier", "TextClassifier"]


class LogitClassifier(ClassifierMixin):  # type: ignore[misc]
    """A classifier with ``_logits(X)`` of shape (n, K), ``classes_`` and ``multilabel_``."""

    classes_: NDArray[Any]
    multilabel_: bool

    def _logits(self, X: Any) -> NDArray[np.float64]:
        raise NotImplementedError

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits of shape (n, K), or (n,) for two classes."""
        z = self._logits(X)
        return z[:, 0] if z.shape[1] == 1 and not self.multilabel_ else z

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of shape (n, C)."""
        return probabilities(self._logits(X), multilabel=self.multilabel_)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row; of a multi-label model the int64 indicator of labels above one half."""
        z = self._logits(X)
        if self.multilabel_:
            return (z > 0.0).astype(np.int64)
        chosen = (z[:, 0] > 0.0).astype(np.int64) if z.shape[1] == 1 else z.argmax(axis=1)
        labels: NDArray[Any] = self.classes_[chosen]
        return labels


class TextClassifier(LogitClassifier):
    """One that is fitted on texts, with a parameter ``multilabel``."""

    multilabel: bool

    def _read(
        self, X: Any, y: Any, sample_weight: Any, classes: Any, multilabel: bool
    ) -> tuple[Sequence[str], Targets, NDArray[np.float64]]:
        """Texts, targets and weights of what ``fit`` was given, checked."""
        texts = check_texts(X)
        if not len(texts):
            raise InvalidParameterError("X must hold at least one text to fit on; got none.")
        if y is None:
            raise InvalidParameterError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        targets = read_targets(y, classes=classes, multilabel=multilabel)
        if len(targets.P) != len(texts):
            raise InvalidParameterError(f"X and y must have as many rows; got {len(texts)} and {len(targets.P)}.")
        if len(targets.classes) < (1 if targets.multilabel else 2):
            raise InvalidParameterError(
                f"y must hold at least two classes to tell apart; got one class, {targets.classes.tolist()}."
            )
        return texts, targets, row_weights(sample_weight, len(texts))

    def __sklearn_is_fitted__(self) -> bool:
        return "classes_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = bool(self.multilabel)
        return tags
