"""The metric of each kind of task and its loss, over the rows that have a label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from tlclassic.heads.thresholds import held_out_f1
from tlclassic.multitask.targets import Target
from tlclassic.runtime.tasks import Outputs, decide, task_proba

__all__ = ["METRICS", "chosen_score", "losses", "outputs_of", "task_score"]

Float = NDArray[np.float64]
#: Kind → the metric that ``score`` averages; all are 1 at best.
METRICS = {
    "binary": "accuracy",
    "multiclass": "accuracy",
    "multilabel": "macro_f1",
    "ordinal": "weighted_kappa",
    "regression": "r2",
}
_LEAST = 1e-12


def outputs_of(target: Target, cuts: Float, start: int = 0) -> Outputs:
    """The task of a target, with thresholds of one half."""
    thresholds = np.full(len(target.classes), 0.5) if target.kind == "multilabel" else np.zeros(0)
    stop = start + target.n_outputs
    return Outputs(
        target.name, target.kind, start, stop, target.classes, cuts, thresholds, target.center, target.spread
    )


def task_score(target: Target, task: Outputs, logits: Float, rows: NDArray[np.bool_] | None = None) -> float:
    """The metric of a task on those ``rows`` that have a label; NaN where none has.

    Accuracy; macro-F1 of several labels; quadratically weighted kappa (Cohen 1968) of ordered classes; the share of
    variance explained of numbers. A soft label counts as its likeliest class.
    """
    kept = np.flatnonzero(target.present if rows is None else target.present & rows)
    if not len(kept):
        return float("nan")
    P, found = target.P[kept], decide(task, logits[kept])
    if target.kind == "regression":
        return _explained(P[:, 0], (found - target.center) / target.spread)
    if target.kind == "multilabel":
        return _macro_f1(P, found)
    truth = P.argmax(axis=1)
    places = {name: place for place, name in enumerate(target.classes.tolist())}
    codes = np.array([places[name] for name in found.tolist()], dtype=np.int64)
    if target.kind == "ordinal":
        return _kappa(truth, codes, len(target.classes))
    return float((truth == codes).mean())


def chosen_score(target: Target, task: Outputs, logits: Float, rows: NDArray[np.bool_]) -> float:
    """The same to choose by; of several labels the macro-F1 of thresholds tuned on the other half of the rows."""
    if target.kind != "multilabel":
        return task_score(target, task, logits, rows)
    kept = np.flatnonzero(rows & ~np.isnan(target.P).any(axis=1))
    if len(kept) < 4:
        return float("nan")
    return held_out_f1((target.P[kept] > 0.5).astype(np.int64), task_proba(task, logits[kept]))


def losses(target: Target, task: Outputs, logits: Float) -> Float:
    """The loss of each row, NaN where there is no label: of shape (n,).

    Cross-entropy; its mean over the labels that are known; the squared error of standardised numbers.
    """
    result = np.full(len(logits), np.nan)
    kept = np.flatnonzero(target.present)
    P, proba = target.P[kept], task_proba(task, logits[kept])
    if target.kind == "regression":
        result[kept] = (P[:, 0] - (proba - target.center) / target.spread) ** 2
        return result
    surprise = -np.log(np.maximum(proba, _LEAST))
    if target.kind == "multilabel":
        each = P * surprise - (1.0 - P) * np.log(np.maximum(1.0 - proba, _LEAST))
        result[kept] = np.nanmean(each, axis=1)
    else:
        result[kept] = (P * surprise).sum(axis=1)
    return result


def _explained(truth: Float, found: Float) -> float:
    total = ((truth - truth.mean()) ** 2).sum()
    error = ((truth - found) ** 2).sum()
    return float(1.0 - error / total) if total > 0 else float(error <= 0)


def _macro_f1(P: Float, found: NDArray[np.int64]) -> float:
    if not np.isnan(P).any():
        return float(f1_score((P > 0.5).astype(np.int64), found, average="macro", zero_division=0))
    scores = []
    for truth, guess in zip(P.T, found.T, strict=True):
        known = ~np.isnan(truth)
        scores.append(f1_score(truth[known] > 0.5, guess[known] > 0, zero_division=0) if known.any() else 0.0)
    return float(np.mean(scores))


def _kappa(truth: NDArray[np.int64], found: NDArray[np.int64], n_classes: int) -> float:
    distance = (np.arange(n_classes)[:, None] - np.arange(n_classes)) ** 2
    seen = np.zeros((n_classes, n_classes))
    np.add.at(seen, (truth, found), 1.0)
    by_chance = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / seen.sum()
    expected = float((distance * by_chance).sum())
    return 1.0 - float((distance * seen).sum()) / expected if expected > 0 else 1.0
