"""A fitted classifier taken apart: an affine map of features, and what becomes of its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LINKS", "Linear", "Part"]

#: How outputs become probabilities; see :class:`Linear`.
LINKS = ("softmax", "sigmoid", "ovr", "none")


@dataclass(frozen=True, eq=False)
class Part:
    """Features and their coefficients.

    Attributes
    ----------
    coef : float64 array of shape (n_outputs, n_features)
    steps : tuple of (str, transformer)
        From texts to the features, in order, each with its dotted name. Empty in a bare head.
    columns : int64 array of shape (n_features,), optional
        Which columns of the features ``coef`` is for, ascending; all others have no weight. None: all of them.
    """

    coef: NDArray[np.float64]
    steps: tuple[tuple[str, Any], ...] = ()
    columns: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear classifier: ``intercept + sum over parts of coef @ features``.

    Attributes
    ----------
    parts : tuple of Part
    intercept : float64 array of shape (n_outputs,)
    classes : array of shape (n_classes,)
    link : {"softmax", "sigmoid", "ovr", "none"}
        "softmax" over the outputs; "sigmoid" of each (of a single output: the probability of ``classes[1]``); "ovr",
        the sigmoids divided by their sum; "none", where there are no probabilities.
    multilabel : bool
    thresholds : float64 array of shape (n_outputs,), optional
        On probabilities, for multi-label.
    """

    parts: tuple[Part, ...]
    intercept: NDArray[np.float64]
    classes: NDArray[Any]
    link: str
    multilabel: bool = False
    thresholds: NDArray[np.float64] | None = None

    @property
    def n_outputs(self) -> int:
        """How many logits there are."""
        return len(self.intercept)

    def rescaled(self, scale: Any, shift: Any = 0.0) -> Linear:
        """The same with outputs ``scale * output + shift``, both scalars or float arrays of shape (n_outputs,)."""
        scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), self.intercept.shape)
        parts = tuple(replace(part, coef=part.coef * scale[:, None]) for part in self.parts)
        return replace(self, parts=parts, intercept=self.intercept * scale + shift)

    def after(self, steps: Sequence[tuple[str, Any]]) -> Linear:
        """The same on what comes before ``steps``."""
        parts = tuple(replace(part, steps=(*steps, *part.steps)) for part in self.parts)
        return replace(self, parts=parts)
