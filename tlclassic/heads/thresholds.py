"""Decision thresholds for multi-label classifiers: one a label, tuned on out-of-fold probabilities."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import f1_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.utils.validation import check_is_fitted

from tlclassic._validate import check_integer
from tlclassic.errors import InvalidParameterError

__all__ = ["ThresholdClassifier", "f1_thresholds", "held_out_f1"]

#: A label with fewer rows, or whose best F1 is lower, takes the threshold that all labels share.
MIN_POSITIVE = 10
MIN_F1 = 0.1


def f1_thresholds(targets: NDArray[Any], proba: NDArray[Any]) -> NDArray[np.float64]:
    """The threshold of each label that gives the highest F1 (SCut: Yang 2001, https://doi.org/10.1145/383952.383975).

    A threshold tuned on a handful of rows would soon let a rare label through everywhere. So a label with fewer than
    ten rows, or an F1 below 0.1, takes the threshold that gives the highest F1 over all label decisions together (after
    Yang's SCutFBR, which guards rare labels likewise).

    Parameters
    ----------
    targets : {0, 1} array of shape (n, n_labels)
    proba : float array of shape (n, n_labels)

    Returns
    -------
    float64 array of shape (n_labels,)
        Each half-way between the lowest probability taken and the highest one left; 0.5 where no row has any label.
    """
    shared, _ = _best_cut(targets.ravel(), proba.ravel())
    thresholds = np.full(targets.shape[1], shared)
    for i in np.flatnonzero(targets.sum(axis=0) >= MIN_POSITIVE):
        own, f1 = _best_cut(targets[:, i], proba[:, i])
        if f1 >= MIN_F1:
            thresholds[i] = own
    return thresholds


def held_out_f1(targets: NDArray[Any], proba: NDArray[Any]) -> float:
    """The macro-F1 of tuned thresholds, each half of the rows scored with those of the other; shapes as above."""
    half = np.arange(len(targets)) % 2 == 0
    scores = [
        f1_score(
            targets[there], proba[there] >= f1_thresholds(targets[here], proba[here]), average="macro", zero_division=0
        )
        for here, there in ((half, ~half), (~half, half))
    ]
    return float(np.mean(scores))


def _best_cut(target: NDArray[Any], proba: NDArray[Any]) -> tuple[float, float]:
    n_positive = int(target.sum())
    if n_positive == 0:
        return 0.5, 0.0
    order = np.argsort(-proba, kind="stable")
    ranked = proba[order].astype(np.float64)
    # Rows of equal probability can only be taken together: cuts lie where the next one is lower.
    ends = np.append(np.flatnonzero(ranked[1:] < ranked[:-1]), len(ranked) - 1)
    taken = ends + 1
    f1 = 2 * np.cumsum(target[order])[ends] / (taken + n_positive)
    best = int(f1.argmax())
    next_below = ranked[ends[best] + 1] if ends[best] + 1 < len(ranked) else 0.0
    return float((ranked[ends[best]] + next_below) / 2), float(f1[best])


class ThresholdClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A multi-label classifier whose labels have thresholds of their own, chosen for F1 by cross-validation.

    A rare label seldom gets a probability above one half; with a threshold of 0.5 it would never be predicted.

    Parameters
    ----------
    estimator : classifier
        With ``predict_proba`` of shape (n, n_labels), such as ``OneVsRestClassifier(LogisticRegression())``.
    cv : int
        Folds of the out-of-fold probabilities.
    random_state : int
        Of the folds' shuffle.

    Attributes
    ----------
    estimator_ : classifier
        Fitted on all rows.
    thresholds_ : float64 array of shape (n_labels,)
    classes_ : array of shape (n_labels,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> X = np.linspace(0, 4, 200)[:, None]
    >>> Y = (X > np.array([[2.0, 3.6]])).astype(int)
    >>> plain = OneVsRestClassifier(LogisticRegression(C=0.1)).fit(X, Y)
    >>> tuned = ThresholdClassifier(OneVsRestClassifier(LogisticRegression(C=0.1))).fit(X, Y)
    >>> [int(labels[:, 1].sum()) for labels in (Y, plain.predict(X), tuned.predict(X))]
    [20, 0, 26]
    """

    def __init__(self, estimator: Any, *, cv: int = 5, random_state: int = 0) -> None:
        self.estimator = estimator
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Any, Y: Any) -> Self:
        """Fit on an indicator matrix ``Y`` of shape (n, n_labels)."""
        check_integer("cv", self.cv, low=2)
        Y = np.asarray(Y)
        if Y.ndim != 2:
            raise InvalidParameterError(f"Y must be an indicator matrix of shape (n, n_labels); got shape {Y.shape}.")
        folds = KFold(min(self.cv, len(Y)), shuffle=True, random_state=self.random_state)
        held_out = cross_val_predict(clone(self.estimator), X, Y, cv=folds, method="predict_proba")
        self.thresholds_ = f1_thresholds(Y, np.asarray(held_out))
        self.estimator_ = clone(self.estimator).fit(X, Y)
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The estimator's probabilities, of shape (n, n_labels)."""
        check_is_fitted(self)
        proba: NDArray[Any] = self.estimator_.predict_proba(X)
        return proba

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The indicator matrix of the labels whose probability reaches their threshold."""
        return (self.predict_proba(X) >= self.thresholds_).astype(np.int64)
