"""Why a model decided so, told by a document's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["TokenAttributions", "attribute"]


class TokenAttributions(NamedTuple):
    """What each token of a document or span adds to the logit of a label.

    Attributes
    ----------
    label : a class
    logit : float
    probability : float or None
        None where the model has none.
    bias : float
        What no token adds.
    weights : float64 array of shape (n_tokens,)
        With the bias they sum to the logit, up to rounding.
    """

    label: Any
    logit: float
    probability: float | None
    bias: float
    weights: NDArray[np.float64]

    def top(self, tokens: Sequence[Any], k: int = 10) -> list[tuple[str, float]]:
        """The ``k`` tokens of the largest weights by magnitude, largest first, with those weights."""
        order = np.argsort(-np.abs(self.weights), kind="stable")[:k].tolist()
        return [(str(tokens[place]), float(self.weights[place])) for place in order]


def attribute(explanation: Any, tokens: Sequence[Any], start: int) -> TokenAttributions:
    """An explanation's contributions shared out to tokens, each by the characters of it that they hold.

    Parameters
    ----------
    explanation : Explanation
        Of the text of ``tokens``.
    tokens : Doc or Span
    start : int
        The character of the document at which that text begins.
    """
    firsts = np.array([token.idx - start for token in tokens], dtype=np.int64)
    # A token's white space belongs to it, so that nothing lies between two tokens.
    ends = firsts + np.array([len(token.text_with_ws) for token in tokens], dtype=np.int64)
    weights = np.zeros(len(firsts))
    bias = explanation.bias
    for part in explanation.contributions:
        low = int(np.searchsorted(ends, part.start, side="right"))
        high = max(low + 1, int(np.searchsorted(firsts, part.end, side="left")))
        held = np.minimum(ends[low:high], part.end) - np.maximum(firsts[low:high], part.start)
        if held.sum() > 0:
            weights[low:high] += part.weight * held / held.sum()
        else:
            bias += part.weight
    return TokenAttributions(explanation.label, explanation.logit, explanation.probability, bias, weights)
