"""`evaluate_predictions`: every measure of a classifier's predictions, in one object."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tlclassic.errors import InvalidParameterError
from tlclassic.evaluation.calibration import (
    ReliabilityBin,
    binned,
    brier,
    calibration_error,
    check_proba,
    log_loss,
    wilson_interval,
)
from tlclassic.evaluation.counting import (
    ClassScores,
    class_scores,
    index_of,
    is_multilabel,
    known_classes,
    mean_f1,
    plain_labels,
)

__all__ = ["Evaluation", "Probabilities", "evaluate_predictions"]


@dataclass(frozen=True)
class Probabilities:
    """Measures of the probabilities.

    Attributes
    ----------
    log_loss : float
        Mean of ``-ln p(truth)``; when multi-label, the mean over all decisions of texts and labels.
    brier : float
        Mean squared distance to the truth over the classes, from 0 to 2; when multi-label, the mean over all decisions.
    expected_calibration_error : float
        Over 15 bins of equal width: of the most probable class, when multi-label of every label.
    bins : list of ReliabilityBin
    """

    log_loss: float
    brier: float
    expected_calibration_error: float
    bins: list[ReliabilityBin]


@dataclass(frozen=True)
class Evaluation:
    """Measures of predictions against the truth; ``print`` shows them as a table.

    Attributes
    ----------
    n : int
    accuracy : float
        When multi-label, the share of texts whose set of labels is exactly right.
    accuracy_interval : (float, float)
        95 % Wilson interval.
    macro_f1, weighted_f1, micro_f1 : float
        Over the classes that occur in the truth or in the predictions.
    per_class : list of ClassScores
    multilabel : bool
    hamming_loss : float or None
        Share of wrong decisions over all texts and labels, when multi-label.
    confusion : int64 array (classes, classes) or None
        Rows are the truth, columns the predictions; ``None`` when multi-label.
    probabilities : Probabilities or None
    unseen_classes : list
        Classes of the truth that the model does not know.
    """

    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float
    weighted_f1: float
    micro_f1: float
    per_class: list[ClassScores]
    multilabel: bool = False
    hamming_loss: float | None = None
    confusion: npt.NDArray[np.int64] | None = None
    probabilities: Probabilities | None = None
    unseen_classes: list[Any] = field(default_factory=list)

    @property
    def classes(self) -> list[Any]:
        """Those of the model in its order, then those that only the truth has."""
        return [score.label for score in self.per_class]

    def as_dict(self) -> dict[str, Any]:
        """One object of JSON's types: all attributes, those of `Probabilities` at the top level."""
        result = asdict(self)
        probabilities = result.pop("probabilities")
        result["accuracy_interval"] = list(self.accuracy_interval)
        result["classes"] = self.classes
        result["confusion"] = None if self.confusion is None else self.confusion.tolist()
        return {**result, **(probabilities or dict.fromkeys(spec.name for spec in fields(Probabilities)))}

    def __str__(self) -> str:
        from tlclassic.evaluation.table import evaluation_table

        return evaluation_table(self)

    def to_html(self, path: str | os.PathLike[str], *, title: str = "Evaluation") -> None:
        """Write one self-contained page: measures, confusion matrix, reliability diagram, scores per class."""
        from tlclassic.evaluation.page import write_page

        write_page(self, path, title=title)


def evaluate_predictions(
    y_true: Sequence[Any],
    y_pred: Sequence[Any],
    proba: npt.ArrayLike | None = None,
    classes: Sequence[Any] | None = None,
) -> Evaluation:
    """Compare predictions with the truth.

    Parameters
    ----------
    y_true, y_pred : sequence (n,)
        Labels (str, int or bool), or when multi-label a list of labels for each text.
    proba : array-like (n, classes), optional
        Probabilities, columns in the order of ``classes``.
    classes : sequence, optional
        The model's classes; needed with ``proba``. By default those that occur, sorted.

    Raises
    ------
    InvalidParameterError
        For lengths and shapes that do not fit, labels of mixed types, a class given twice, or probabilities outside
        [0, 1] or (unless multi-label) not adding up to 1.

    Examples
    --------
    >>> evaluation = evaluate_predictions(["a", "b", "b", "a"], ["a", "b", "a", "a"])
    >>> evaluation.n, evaluation.accuracy, round(evaluation.macro_f1, 4)
    (4, 0.75, 0.7333)
    """
    truth, predicted = plain_labels("y_true", y_true), plain_labels("y_pred", y_pred)
    if not truth or len(truth) != len(predicted):
        raise InvalidParameterError(
            f"y_true and y_pred must have the same length, at least 1; got {len(truth)} and {len(predicted)}."
        )
    if is_multilabel(truth) != is_multilabel(predicted):
        raise InvalidParameterError("y_true and y_pred must both hold labels, or both lists of labels.")
    if proba is not None and classes is None:
        raise InvalidParameterError("classes must be given with proba: they name its columns.")
    given = [] if classes is None else plain_labels("classes", classes)
    if is_multilabel(given) or (classes is not None and not given):
        raise InvalidParameterError(f"classes must be a list of at least one label; got {classes!r}.")
    several = is_multilabel(truth)
    table = None if proba is None else check_proba("proba", proba, len(truth), len(given), one_of=not several)
    seen = (chain.from_iterable(truth), chain.from_iterable(predicted)) if several else (truth, predicted)
    names, unseen = known_classes(given, *seen)
    if table is not None and unseen:
        table = np.hstack([table, np.zeros((len(truth), len(unseen)))])
    measure = _evaluate_sets if several else _evaluate_labels
    return measure(truth, predicted, table, names, unseen if classes is not None else [])


def _evaluate_labels(
    truth: list[Any], predicted: list[Any], proba: npt.NDArray[np.float64] | None, names: list[Any], unseen: list[Any]
) -> Evaluation:
    n, k = len(truth), len(names)
    rows, columns = index_of(truth, names), index_of(predicted, names)
    confusion = np.bincount(rows * k + columns, minlength=k * k).reshape(k, k)
    correct = np.diagonal(confusion)
    scores = class_scores(names, correct, confusion.sum(axis=0), confusion.sum(axis=1))
    right = int(correct.sum())
    return Evaluation(
        n=n,
        accuracy=right / n,
        accuracy_interval=wilson_interval(right, n),
        macro_f1=mean_f1(scores, weighted=False),
        weighted_f1=mean_f1(scores, weighted=True),
        micro_f1=right / n,
        per_class=scores,
        confusion=confusion,
        probabilities=None if proba is None else _label_probabilities(rows, proba),
        unseen_classes=unseen,
    )


def _label_probabilities(rows: npt.NDArray[np.int64], proba: npt.NDArray[np.float64]) -> Probabilities:
    n = len(rows)
    bins = binned(proba.max(axis=1), proba.argmax(axis=1) == rows)
    truth = np.zeros_like(proba)
    truth[np.arange(n), rows] = 1.0
    return Probabilities(log_loss(proba[np.arange(n), rows]), brier(proba, truth), calibration_error(bins), bins)


def _evaluate_sets(
    truth: list[Any], predicted: list[Any], proba: npt.NDArray[np.float64] | None, names: list[Any], unseen: list[Any]
) -> Evaluation:
    n = len(truth)
    there, said = _indicator(truth, names), _indicator(predicted, names)
    correct, support, claimed = (there & said).sum(axis=0), there.sum(axis=0), said.sum(axis=0)
    scores = class_scores(names, correct, claimed, support)
    right = int((there == said).all(axis=1).sum())
    decided = int(support.sum() + claimed.sum())
    return Evaluation(
        n=n,
        accuracy=right / n,
        accuracy_interval=wilson_interval(right, n),
        macro_f1=mean_f1(scores, weighted=False),
        weighted_f1=mean_f1(scores, weighted=True),
        micro_f1=2 * int(correct.sum()) / decided if decided else 0.0,
        per_class=scores,
        multilabel=True,
        hamming_loss=float((there != said).mean()) if names else 0.0,
        probabilities=None if proba is None else _set_probabilities(there, proba),
        unseen_classes=unseen,
    )


def _set_probabilities(there: npt.NDArray[np.bool_], proba: npt.NDArray[np.float64]) -> Probabilities:
    flat, true = proba.ravel(), there.ravel()
    bins = binned(flat, true)
    squared = float(np.square(flat - true).mean())
    return Probabilities(log_loss(np.where(true, flat, 1.0 - flat)), squared, calibration_error(bins), bins)


def _indicator(sets: list[Any], names: list[Any]) -> npt.NDArray[np.bool_]:
    table = np.zeros((len(sets), len(names)), dtype=np.bool_)
    rows = np.repeat(np.arange(len(sets)), [len(labels) for labels in sets])
    table[rows, index_of(chain.from_iterable(sets), names)] = True
    return table
