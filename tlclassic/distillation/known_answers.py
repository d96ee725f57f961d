"""A teacher that was asked before: texts with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.distillation.soft_label_files import SoftLabels

__all__ = ["KnownAnswers"]


@dataclass(frozen=True)
class KnownAnswers:
    """Looks texts up in :class:`SoftLabels`; stands where a :class:`ProbabilityTeacher` does.

    Attributes
    ----------
    name : str
    classes : list
    multilabel : bool
    digest : None
        What the probabilities came from is not known.
    """

    soft: SoftLabels = field(repr=False)
    name: str = "file of probabilities"
    digest: str | None = None

    @property
    def classes(self) -> list[Any]:
        """In the order of the columns."""
        return self.soft.classes

    @property
    def multilabel(self) -> bool:
        """Whether a text may have several labels."""
        return self.soft.multilabel

    def look_up(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Their probabilities, float32 of shape (n, C); NaN for a text that is not among the known ones.

        Those of a text that is there several times are averaged.
        """
        place: dict[str, int] = {}
        known = np.array([place.setdefault(text, len(place)) for text in self.soft.texts], dtype=np.int64)
        total = np.zeros((len(place), len(self.classes)))
        np.add.at(total, known, self.soft.P)
        mean = total / np.bincount(known, minlength=len(place))[:, None]
        rows = np.array([place.get(text, -1) for text in texts], dtype=np.int64)
        P = np.full((len(rows), len(self.classes)), np.nan, dtype=np.float32)
        P[rows >= 0] = mean[rows[rows >= 0]]
        return P
