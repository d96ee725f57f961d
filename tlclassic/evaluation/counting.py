"""From labels to counts: classes, indices, confusion matrix, per-class scores."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tlclassic.errors import InvalidParameterError

__all__ = ["ClassScores", "class_scores", "index_of", "is_multilabel", "known_classes", "mean_f1", "plain_labels"]

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class (of one label, when multi-label); a ratio with nothing below the line is 0.

    Attributes
    ----------
    label : str, int or bool
    precision, recall, f1 : float
    support : int
        Rows that have the class.
    predicted : int
        Rows for which it was predicted.
    """

    label: Any
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


def is_multilabel(labels: Sequence[Any]) -> bool:
    """Whether each item of what `plain_labels` gave is a set of labels."""
    return len(labels) > 0 and isinstance(labels[0], tuple)


def plain_labels(name: str, labels: Iterable[Any]) -> list[Any]:
    """NumPy's scalars as Python's, lists of labels as tuples.

    Raises
    ------
    InvalidParameterError
        For a label that is not a string, an integer or a boolean; for labels beside lists of labels; for an array of
        two dimensions, which would say the columns and not the labels.
    """
    if isinstance(labels, (str, bytes)) or np.ndim(labels if isinstance(labels, np.ndarray) else []) != 1:
        got = f"an array of shape {labels.shape}" if isinstance(labels, np.ndarray) else repr(labels)
        raise InvalidParameterError(f"{name} must be a list of labels, or of lists of labels; got {got}.")
    items = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    plain = [_plain_item(name, place, item) for place, item in enumerate(items)]
    if len({isinstance(item, tuple) for item in plain}) > 1:
        raise InvalidParameterError(f"{name} must hold labels or lists of labels, not both.")
    return plain


def _plain_item(name: str, place: int, item: Any) -> Any:
    if isinstance(item, (list, tuple, set, frozenset, np.ndarray)):
        return tuple(_plain_label(name, place, part) for part in item)
    return _plain_label(name, place, item)


def _plain_label(name: str, place: int, item: Any) -> Any:
    item = item.item() if isinstance(item, np.generic) else item
    if not isinstance(item, (str, int)):
        raise InvalidParameterError(f"{name}[{place}] must be a string, an integer or a boolean; got {item!r}.")
    return item


def known_classes(classes: Sequence[Any], *seen: Iterable[Hashable]) -> tuple[list[Any], list[Any]]:
    """All classes, those given first, and the ones that only ``seen`` has.

    Raises
    ------
    InvalidParameterError
        When a class is given twice, or the labels are of more than one type.
    """
    # Types are asked of all labels and not of the set of them, where True and 1 are one.
    parts = [classes, *map(list, seen)]
    types = {kind.__name__ for part in parts for kind in set(map(type, part))}
    if len(types) > 1:
        raise InvalidParameterError(
            f"all labels must be of one type; got {', '.join(sorted(types))}. Convert the truth to the model's labels."
        )
    if len(set(classes)) != len(classes):
        raise InvalidParameterError(f"classes must be different; got {list(classes)!r}.")
    extra: list[Any] = sorted(set().union(*parts[1:]) - set(classes))
    return [*classes, *extra], extra


def index_of(labels: Iterable[Hashable], classes: Sequence[Any]) -> Counts:
    """Position of each label in ``classes``."""
    places = {label: place for place, label in enumerate(classes)}
    return np.array([places[label] for label in labels], dtype=np.int64)


def class_scores(classes: Sequence[Any], correct: Counts, predicted: Counts, support: Counts) -> list[ClassScores]:
    """Precision, recall and F1 of each class from counts of shape (classes,)."""
    precision = _ratio(correct, predicted)
    recall = _ratio(correct, support)
    f1 = _ratio(2 * correct, predicted + support)
    return [
        ClassScores(label, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]), int(predicted[i]))
        for i, label in enumerate(classes)
    ]


def mean_f1(scores: Sequence[ClassScores], *, weighted: bool) -> float:
    """F1 averaged over the classes that are in the truth or in the predictions; ``weighted`` by support."""
    there = [score for score in scores if score.support or score.predicted]
    weights = [score.support if weighted else 1 for score in there]
    total = sum(weights)
    return sum(score.f1 * weight for score, weight in zip(there, weights, strict=True)) / total if total else 0.0


def _ratio(above: Counts, below: Counts) -> npt.NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros(len(above), dtype=np.float64), where=below > 0)
