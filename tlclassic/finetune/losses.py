"""Losses on target probabilities, with weights, and what is said of dev; a row without a label weighs nothing."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tlclassic.finetune.tasks import Task

__all__ = ["loss_of", "scores_of", "smoothed"]


def smoothed(P: Tensor, share: float, multilabel: bool) -> Tensor:
    """Targets with ``share`` of each spread evenly over the classes (label smoothing, Szegedy et al. 2016).

    Parameters
    ----------
    P : float tensor of shape (n, C)
    share : float
    multilabel : bool
        Each entry goes towards one half instead.
    """
    if not share:
        return P
    return P * (1 - share) + share * (0.5 if multilabel else 1 / P.shape[1])


def loss_of(logits: Tensor, P: Tensor, weights: Tensor, multilabel: bool) -> Tensor:
    """Cross-entropy, or binary cross-entropy summed over the labels, a row: weighted sum over the rows / their number.

    Parameters
    ----------
    logits : float tensor of shape (n, C)
    P : float32 tensor of shape (n, C)
        Target probabilities; of rows that weigh nothing they are not looked at.
    weights : float32 tensor of shape (n, C)
        Of every term: the row's weight times the class's.
    multilabel : bool

    Returns
    -------
    float32 tensor of shape ()
    """
    logits = logits.float()
    if multilabel:
        terms = functional.binary_cross_entropy_with_logits(logits, P, weight=weights, reduction="none")
        return terms.sum() / len(P)
    return -(functional.log_softmax(logits, dim=1) * P * weights).sum() / len(P)


def scores_of(task: Task, logits: NDArray[np.float32]) -> dict[str, float]:
    """Loss, accuracy (of all labels of a row, with several) and macro F1, over the labelled rows."""
    rows = task.labelled
    P, logits = task.P[rows], logits[rows]
    loss = loss_of(torch.from_numpy(logits), torch.from_numpy(P), torch.ones(P.shape), task.multilabel)
    if task.multilabel:
        true, said = P > 0.5, logits > 0
    else:
        columns = np.arange(P.shape[1])
        true, said = P.argmax(1)[:, None] == columns, logits.argmax(1)[:, None] == columns
    right, both = (true & said).sum(0), true.sum(0) + said.sum(0)
    f1 = 2 * right[both > 0] / both[both > 0]
    return {"loss": float(loss), "accuracy": float((true == said).all(1).mean()), "macro_f1": float(f1.mean())}
