"""From logits to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["probabilities", "sigmoid"]


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """``1 / (1 + exp(-x))`` without overflow."""
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1.0, small) / (1.0 + small))


def probabilities(logits: NDArray[np.float64], link: str, *, multilabel: bool) -> NDArray[np.float64]:
    """Probabilities of shape (n, n_classes) from logits of shape (n, n_outputs).

    ``"softmax"``: rows sum to 1; ``"sigmoid"``: of each label, or of the second of two classes from one logit;
    ``"ovr"``: a sigmoid for each class, divided by their sum (even where all are 0).
    """
    if link == "softmax":
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))
    each = sigmoid(logits)
    if multilabel:
        return each
    if logits.shape[1] == 1:
        # The first from its own logit: 1 - p would be 0 where it is tiny.
        return np.hstack([sigmoid(-logits), each])
    total = each.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, each / np.where(total > 0, total, 1.0), 1.0 / logits.shape[1]))
