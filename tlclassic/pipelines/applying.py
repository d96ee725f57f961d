"""A fitted pipeline applied to texts: labels and probabilities, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError

__all__ = ["Predictions", "class_names", "has_probabilities", "predict_texts"]


@dataclass(frozen=True)
class Predictions:
    """Predictions for n texts.

    Attributes
    ----------
    labels : list of length n
        One label a text, of the type it was trained with; for multi-label, a list of labels a text.
    proba : float array of shape (n, n_classes), or None
    unanswered : bool array of shape (n,), or None
        Which texts a cascade without a teacher does not answer.
    report : CascadeReport or None
        Of a cascade: who answered, and in what time.
    """

    labels: list[Any]
    proba: NDArray[np.floating[Any]] | None
    unanswered: NDArray[np.bool_] | None = None
    report: Any = None


def class_names(pipeline: Any, labels: Sequence[Any] | None = None) -> list[Any]:
    """The classes in the order of the probability columns; ``labels`` are the saved ones of a multi-label model.

    Raises
    ------
    InvalidParameterError
        When the model has several tasks, each with classes of its own.
    """
    if labels is not None:
        return list(labels)
    if isinstance(pipeline.classes_, dict):
        tasks = ", ".join(pipeline.classes_)
        raise InvalidParameterError(f"the model must be of one task; got one of several ({tasks}). Train one for each.")
    return list(np.asarray(pipeline.classes_).tolist())


def has_probabilities(model: Any) -> bool:
    """Whether a fitted pipeline or a compiled classifier gives probabilities."""
    return bool(getattr(model, "has_probabilities", hasattr(model, "predict_proba")))


def predict_texts(
    pipeline: Any, texts: Sequence[str], *, labels: Sequence[Any] | None = None, proba: bool = False
) -> Predictions:
    """Predict ``texts``.

    Parameters
    ----------
    pipeline : fitted pipeline
    texts : sequence of str of length n
    labels : sequence, optional
        For a multi-label model: the label of each indicator column.
    proba : bool
        Also give probabilities.

    Raises
    ------
    InvalidParameterError
        When probabilities are asked of a head that has none.
    """
    if proba and not has_probabilities(pipeline):
        head = type(getattr(pipeline, "steps", [("", pipeline)])[-1][1]).__name__
        raise InvalidParameterError(f"proba=True needs a head with probabilities; {head} has none. Calibrate it.")
    if not texts:
        return Predictions([], np.empty((0, len(class_names(pipeline, labels)))) if proba else None)
    if hasattr(pipeline, "answer"):
        return _of_cascade(pipeline, texts, labels, proba)
    features, head = _split(pipeline)
    vectors = texts if features is None else features.transform(texts)
    probabilities = head.predict_proba(vectors) if proba else None
    if labels is None and probabilities is not None:
        return Predictions(head.classes_[probabilities.argmax(axis=1)].tolist(), probabilities)
    return Predictions(_names(head.predict(vectors), labels), probabilities)


def _of_cascade(cascade: Any, texts: Sequence[str], labels: Sequence[Any] | None, proba: bool) -> Predictions:
    answers = cascade.answer(texts)
    unanswered = answers.passed_on if cascade.teacher is None else None
    named = _names(answers.labels, labels)
    if labels is not None and unanswered is not None:
        named = [[cascade.unsure] if left else row for left, row in zip(unanswered.tolist(), named, strict=True)]
    return Predictions(named, answers.proba if proba else None, unanswered, answers.report)


def _split(pipeline: Any) -> tuple[Any, Any]:
    """The steps before the last and the last one, so that texts are turned into vectors once."""
    if hasattr(pipeline, "as_steps"):
        pair: tuple[Any, Any] = pipeline.as_steps()
        return pair
    steps = getattr(pipeline, "steps", [])
    return (pipeline[:-1], pipeline[-1]) if len(steps) > 1 else (None, pipeline)


def _names(predicted: NDArray[Any], labels: Sequence[Any] | None) -> list[Any]:
    if labels is None:
        return list(predicted.tolist())
    return [[labels[column] for column in np.flatnonzero(row).tolist()] for row in predicted]
