"""Predictions of whatever has logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from tlclassic.heads.fitting import probabilities

__all__ = ["LogitClassifier"]


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
