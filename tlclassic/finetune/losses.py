"""Losses on target probabilities, with weights; a row without a label weighs nothing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["loss_of", "smoothed"]


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
