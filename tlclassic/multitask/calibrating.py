"""Temperatures and thresholds, on outputs for rows that were held out and have a label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tlclassic.heads.thresholds import f1_thresholds
from tlclassic.multitask.metrics import losses
from tlclassic.multitask.targets import Target
from tlclassic.runtime.tasks import Outputs, task_proba

__all__ = ["calibrated", "temperature"]

#: Fewer rows would calibrate by chance.
_MIN_ROWS = 50
_MIN_TUNED = 20
#: More would say the same.
_MAX_ROWS = 20_000
_LIMIT = 1.5


def temperature(target: Target, task: Outputs, logits: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The temperature that fits rows that were held out (Guo, Pleiss, Sun and Weinberger 2017).

    1 for a regression, and for fewer than fifty rows. Parameters as of :func:`calibrated`.
    """
    rows = np.flatnonzero(target.present & (weights > 0))
    if target.kind == "regression" or len(rows) < _MIN_ROWS:
        return 1.0
    if len(rows) > _MAX_ROWS:
        rows = rows[:: len(rows) // _MAX_ROWS]
    part, outputs = replace(target, P=target.P[rows]), logits[rows]

    def mean_loss(logarithm: float) -> float:
        return float(losses(part, replace(task, temperature=float(np.exp(logarithm))), outputs).mean())

    found = minimize_scalar(mean_loss, bounds=(-_LIMIT, _LIMIT), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def calibrated(
    target: Target,
    task: Outputs,
    logits: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    heat: bool,
    thresholds: bool,
) -> Outputs:
    """The task with a temperature, and thresholds for its labels.

    Parameters
    ----------
    target : Target
        Rows without a label take no part.
    task : Outputs
    logits : float64 array of shape (n, K_t)
        Outputs for rows that the heads were not fitted on.
    weights : float64 array of shape (n,)
    heat, thresholds : bool
        Whether to find a temperature, and thresholds.
    """
    if heat:
        task = replace(task, temperature=temperature(target, task, logits, weights))
    if thresholds and target.kind == "multilabel":
        known = np.flatnonzero(~np.isnan(target.P).any(axis=1) & (weights > 0))
        if len(known) >= _MIN_TUNED:
            labels = (target.P[known] > 0.5).astype(np.int64)
            task = replace(task, thresholds=f1_thresholds(labels, task_proba(task, logits[known])))
    return task
