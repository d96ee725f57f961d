"""Whatever model of texts a component is given, asked in one way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.opening import load_with_task
from tlclassic.pipelines.applying import class_names, has_probabilities

__all__ = ["TextModel", "open_model"]


class TextModel:
    """A fitted classifier of texts, the names of its labels, and what it says of texts.

    Parameters
    ----------
    model : estimator, CompiledClassifier, Cascade or EncoderClassifier
    labels : sequence or None
        The labels of a multi-label model; None where a text has one.
    threshold : float or None
        From which score a label of a multi-label model is given; None: the model's own thresholds, else one half.
    classes : sequence, optional
        Of a model that is not fitted yet, whose scores are the same for all labels.

    Attributes
    ----------
    classes : list
        In the order of the columns, of the type that they were trained with.
    names : tuple of str
        The same as strings, which is what ``doc.cats`` takes.
    multilabel : bool
    tasks : dict of str to TextModel
        Of a fine-tuned encoder with heads for several tasks: those heads, which take its vectors.
    """

    def __init__(
        self, model: Any, labels: Sequence[Any] | None, threshold: float | None, *, classes: Sequence[Any] | None = None
    ) -> None:
        if not hasattr(model, "predict"):
            raise InvalidParameterError(f"model must be a classifier of texts; got {type(model).__name__}.")
        self.model = model
        self.tasks: dict[str, TextModel] = {}
        self.multilabel = labels is not None
        self.classes: list[Any] = list(classes) if classes is not None else class_names(model, labels)
        self.names = tuple(map(str, self.classes))
        own = getattr(model, "thresholds_", None) if threshold is None else threshold
        self._thresholds = 0.5 if own is None else own
        self._has_own = own is not None
        self._fitted = classes is None
        self._threads = type(model).__name__ == "CompiledClassifier"

    @property
    def is_fitted(self) -> bool:
        """Whether there is anything to predict with."""
        self._fitted = self._fitted or bool(self.model.__sklearn_is_fitted__())
        return self._fitted

    def scores(self, texts: Sequence[str], threads: int = 1) -> NDArray[np.float64]:
        """Probabilities of shape (n, C); without them 1 for what is predicted, else 0."""
        if not len(texts) or not self.is_fitted:
            return np.full((len(texts), len(self.names)), 0.5 if self.multilabel else 1 / len(self.names))
        options = {"threads": threads} if self._threads else {}
        if has_probabilities(self.model):
            found = self.model.predict_proba(texts, **options)
            if isinstance(found, list):  # scikit-learn's forests give an array of two columns for each label
                found = np.stack([np.asarray(part)[:, -1] for part in found], axis=1)
            return np.asarray(found, dtype=np.float64)
        predicted = np.asarray(self.model.predict(texts, **options))
        if self.multilabel:
            return predicted.astype(np.float64)
        hard: NDArray[np.bool_] = predicted[:, None] == np.array(self.classes)[None, :]
        return hard.astype(np.float64)

    def task_scores(self, texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """The scores of every task of :attr:`tasks`; each text is encoded once."""
        vectors = self.model.transform(texts) if len(texts) else []
        return {name: head.scores(vectors) for name, head in self.tasks.items()}

    def chosen(self, scores: NDArray[np.float64]) -> list[Any]:
        """The label of each row of scores; of a multi-label model a list of labels."""
        if not self.multilabel:
            classes = self.classes
            return [classes[number] for number in scores.argmax(axis=1).tolist()]
        given = scores >= self._thresholds if self._has_own else scores > self._thresholds
        return [[self.classes[column] for column in np.flatnonzero(row).tolist()] for row in given]


def open_model(path: str | os.PathLike[str], threshold: float | None) -> TextModel:
    """The classifier that tlclassic saved at ``path``; raises as :func:`tlclassic.load` does."""
    model, task = load_with_task(path)
    multilabel = bool(task.get("multilabel")) or bool(getattr(model, "multilabel_", False))
    labels = task.get("labels") if multilabel else None
    if multilabel and labels is None:
        labels = model.classes_.tolist()
    opened = TextModel(model, labels, threshold)
    names = getattr(model, "tasks", [])
    if hasattr(model, "predict_tasks") and len(names) > 1:
        opened.tasks = {name: _head(model, name, threshold) for name in names}
    return opened


def _head(model: Any, task: str, threshold: float | None) -> TextModel:
    head = type(model)(**{**model.get_params(deep=False), "task": task}).as_steps()[1]
    return TextModel(head, head.classes_.tolist() if head.multilabel_ else None, threshold)
