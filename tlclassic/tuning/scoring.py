"""What a configuration is judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from tlclassic.heads.thresholds import f1_thresholds, held_out_f1

__all__ = ["METRICS", "log_loss", "row_losses", "score_labels", "score_proba", "thresholds_for"]

METRICS = ("accuracy", "macro_f1")
Float = NDArray[np.float64]


def log_loss(targets: Float, proba: Float, loss: str) -> float:
    """Mean cross-entropy a row; breaks ties between scores."""
    return float(row_losses(targets, proba, loss).sum() / max(1, len(targets)))


def row_losses(targets: Float, proba: Float, loss: str) -> Float:
    """The cross-entropy of each row."""
    tiny = np.finfo(np.float64).tiny
    values: Float = -(targets * np.log(proba + tiny)).sum(axis=1)
    if loss == "sigmoid":
        values -= ((1.0 - targets) * np.log(1.0 - proba + 1e-16)).sum(axis=1)
    return values


def score_proba(targets: Float, proba: Float, metric: str, loss: str, multilabel: bool) -> float:
    """The score of probabilities, both of shape (n, K); K = 1 for two classes.

    Multi-label: macro F1 of thresholds tuned on the other half of the rows, or the share of right label decisions.
    """
    if multilabel:
        if metric == "macro_f1":
            return held_out_f1(targets.astype(np.int64), proba)
        return float(((proba >= 0.5) == (targets >= 0.5)).mean())
    if loss == "sigmoid":
        truth, predicted = targets[:, 0] >= 0.5, proba[:, 0] >= 0.5
    else:
        # A class that training does not know has no column, and cannot be right.
        truth = np.where(targets.sum(axis=1) > 0, targets.argmax(axis=1), -1)
        predicted = proba.argmax(axis=1)
    return score_labels(truth, predicted, metric)


def score_labels(truth: NDArray[Any], predicted: NDArray[Any], metric: str) -> float:
    """Accuracy, or macro F1 over the classes that occur in either."""
    if metric == "accuracy":
        return float((truth == predicted).mean())
    return float(f1_score(truth, predicted, average="macro", zero_division=0))


def thresholds_for(targets: Float, proba: Float, metric: str) -> Float:
    """The thresholds of a multi-label classifier, of shape (K,)."""
    if metric == "accuracy":
        return np.full(targets.shape[1], 0.5)
    return f1_thresholds(targets.astype(np.int64), proba)
