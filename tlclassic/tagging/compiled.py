"""``CompiledTagger``: a fitted tagger, pruned and in int8, that predicts with NumPy and the kernels alone."""

from __future__ import annotations

import os
from typing import Any

from tlclassic.tagging.model import TaggerModel
from tlclassic.tagging.predicting import Predictor
from tlclassic.tagging.state import read_model, write_model
from tlclassic.tagging.states import States
from tlclassic.tagging.tasks import Task

__all__ = ["CompiledTagger"]


class CompiledTagger(Predictor):
    """Made by :meth:`tlclassic.TokenTagger.compile`, or opened with :func:`tlclassic.load`.

    Attributes
    ----------
    tasks_ : tuple of Task
    metadata : dict
        What is kept beside the weights; JSON-able.
    states : callable or None
        As for :class:`~tlclassic.TokenTagger`.
    """

    def __init__(self, model: TaggerModel, *, states: States | None = None, metadata: dict[str, Any]) -> None:
        self.model_ = model
        self.states = states
        self.metadata = metadata

    @property
    def _model(self) -> TaggerModel:
        return self.model_

    @property
    def tasks_(self) -> tuple[Task, ...]:
        """The tasks, in the order of their columns."""
        return self.model_.tasks

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tagger as one file."""
        write_model(self.model_, path, self.metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, states: States | None = None, verify: bool = True) -> CompiledTagger:
        """Open a tagger's file, whether it was compiled or not.

        Raises
        ------
        ArtifactError
        """
        model, extra = read_model(path, verify=verify)
        return cls(model, states=states, metadata=extra)
