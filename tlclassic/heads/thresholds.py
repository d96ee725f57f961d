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
from tlclassic.runtime.links import sigmoid

__all__ = ["ThresholdClassifier", "f1_thresholds", "held_out_f1"]

#: A label whose best F1 is expected to be lower takes the threshold that all labels share.
MIN_F1 = 0.1
#: The probabilities of a label count as much as so many rows that have it; a label's share among all is held to what
#: the probabilities say as by so many rows.
ROWS, RIDGE = 100.0, 4.0
#: The slope of all probabilities' logits is held to 1 so little that few rows which are told apart make it steep.
HOLD = 0.01
Float = NDArray[np.float64]


def f1_thresholds(targets: NDArray[Any], proba: NDArray[Any]) -> Float:
    """The threshold of each label that gives the highest F1 to be expected (SCut: Yang 2001).

    A threshold tuned on the handful of rows that a rare label has is tuned on their luck. What the probabilities
    themselves say of F1 (Lewis 1995; Lipton et al. 2014) is steadier, once they are calibrated: by one slope and
    intercept for all labels (Platt 1999) and an intercept for each, held to zero. F1 is counted on a mixture of both:
    of a label that n rows have, labels weigh n / (n + 100) and probabilities the rest. Tuned on 1,000 rows of
    GoEmotions' dev part (28 labels) that gains 1.4 points of macro F1 on the others over labels alone, on 2,700 rows
    0.2, on 4,400 none.

    Parameters
    ----------
    targets : {0, 1} array of shape (n, n_labels)
    proba : float array of shape (n, n_labels)

    Returns
    -------
    float64 array of shape (n_labels,)
        Each half-way between the lowest probability taken and the highest one left; 0.5 where no row has any label. A
        label of which an F1 below 0.1 is to be expected takes the threshold that gives the highest F1 over all label
        decisions together, so that it is not let through everywhere.

    Notes
    -----
    Yang 2001, https://doi.org/10.1145/383952.383975; Lewis 1995, https://doi.org/10.1145/215206.215366; Lipton, Elkan
    and Naryanaswamy 2014, https://arxiv.org/abs/1402.1892; Platt 1999, Probabilistic outputs for support vector
    machines.
    """
    labels = np.asarray(targets, dtype=np.float64)
    if not labels.any():
        return np.full(labels.shape[1], 0.5)
    share = ROWS / (labels.sum(axis=0) + ROWS)
    expected = (1.0 - share) * labels + share * _calibrated(labels, proba)
    shared, _ = _best_cut(expected.ravel(), proba.ravel())
    thresholds = np.full(labels.shape[1], shared)
    for i in range(labels.shape[1]):
        own, f1 = _best_cut(expected[:, i], proba[:, i])
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


def _best_cut(expected: Float, proba: NDArray[Any]) -> tuple[float, float]:
    """The threshold of the highest F1, and that; ``expected`` are probabilities that rows have the label."""
    n_positive = expected.sum()
    order = np.argsort(-proba, kind="stable")
    ranked = proba[order].astype(np.float64)
    # Rows of equal probability can only be taken together: cuts lie where the next one is lower.
    ends = np.append(np.flatnonzero(ranked[1:] < ranked[:-1]), len(ranked) - 1)
    taken = ends + 1
    f1 = 2 * np.cumsum(expected[order])[ends] / (taken + n_positive)
    best = int(f1.argmax())
    next_below = ranked[ends[best] + 1] if ends[best] + 1 < len(ranked) else 0.0
    return float((ranked[ends[best]] + next_below) / 2), float(f1[best])


def _calibrated(labels: Float, proba: NDArray[Any]) -> Float:
    """Probabilities, in the order of ``proba`` within each label, that are right on average."""
    p = np.clip(np.asarray(proba, dtype=np.float64), 1e-7, 1.0 - 1e-7)
    logits = np.log(p / (1.0 - p))
    slope, intercept = _platt(labels.ravel(), logits.ravel())
    logits = slope * logits + intercept
    low, high = np.full(labels.shape[1], -30.0), np.full(labels.shape[1], 30.0)
    for _ in range(30):
        middle = (low + high) / 2
        above = (sigmoid(logits + middle) - labels).sum(axis=0) + RIDGE * middle > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return sigmoid(logits + low)


def _platt(labels: Float, logits: Float) -> tuple[float, float]:
    """Slope and intercept of a logistic regression on one feature, held to 1 and 0: Newton's steps, halved."""
    start = np.array([1.0, 0.0])
    features = np.stack([logits, np.ones_like(logits)])

    def loss(weights: Float) -> float:
        z = weights @ features
        return float((np.logaddexp(0.0, z) - labels * z).sum() + HOLD * ((weights - start) ** 2).sum() / 2)

    weights, now = start, loss(start)
    for _ in range(30):
        p = sigmoid(weights @ features)
        slopes = features @ (p - labels) + HOLD * (weights - start)
        step = np.linalg.solve((features * (p * (1.0 - p))) @ features.T + HOLD * np.eye(2), slopes)
        size = 1.0
        while (then := loss(weights - size * step)) > now and size > 1e-6:
            size /= 2
        if now - then <= 1e-9 * now:
            break
        weights, now = weights - size * step, then
    # A slope below zero would turn the order round: such probabilities say nothing.
    return max(float(weights[0]), 0.0), float(weights[1])


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
    [20, 0, 29]
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
