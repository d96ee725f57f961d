"""Linear classifiers of scikit-learn and our own as :class:`~tlclassic.folding.linear.Linear`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import sklearn.linear_model as linear_model
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.multiclass import OneVsRestClassifier, _ConstantPredictor
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from tlclassic.folding.calibration import calibrated
from tlclassic.folding.linear import Linear, Part
from tlclassic.folding.refusal import refusal
from tlclassic.folding.steps import steps_of
from tlclassic.heads import ThresholdClassifier

__all__ = ["fold_classifier"]

#: The sigmoid of plus or minus this is 1 or (to 4e-18) 0.
CERTAIN = 40.0
_HEADS = (
    "What compiles: LogisticRegression, LinearSVC, RidgeClassifier, SGDClassifier, Perceptron, "
    "LinearDiscriminantAnalysis, OneVsRestClassifier of those, CalibratedClassifierCV, ThresholdClassifier, "
    "NgramClassifier, ConvolutionClassifier, SoftLabelLogisticRegression"
)


def fold_classifier(model: Any, place: str = "") -> Linear:
    """A fitted classifier, or a pipeline that ends in one, as an affine map.

    Parameters
    ----------
    model : fitted classifier
    place : str
        Its dotted name, for errors; empty for the whole model.

    Raises
    ------
    InvalidParameterError
        When a part is not linear; names it.
    sklearn.exceptions.NotFittedError
    """
    check_is_fitted(model)
    if isinstance(model, Pipeline):
        *before, (name, head) = steps_of(model, place)
        return fold_classifier(head, name).after(before)
    if isinstance(model, BaseSearchCV):
        return fold_classifier(model.best_estimator_, place)
    if isinstance(model, FrozenEstimator):
        return fold_classifier(model.estimator, place)
    rule = _RULES.get(type(model)) or _OWN.get(type(model).__name__ if _is_ours(model) else "")
    if rule is None:
        raise refusal(place, model, "its decision is not a linear function of the features", _HEADS)
    return rule(model, place)


def _is_ours(model: Any) -> bool:
    return type(model).__module__.startswith("tlclassic.")


def _of_coefficients(model: Any, link: str) -> Linear:
    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    intercept = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64).ravel(), (len(coef),))
    return Linear((Part(coef),), intercept.copy(), model.classes_, link)


def _logistic(model: Any, place: str) -> Linear:
    binary = len(model.classes_) == 2
    # scikit-learn before 1.8 could train one classifier a class; later versions have no `multi_class`.
    kind = getattr(model, "multi_class", "auto")
    if binary:
        linear = _of_coefficients(model, "sigmoid")
        return linear.rescaled(2.0) if kind == "multinomial" else linear
    one_vs_rest = kind == "ovr" or (kind in ("auto", "deprecated") and model.solver == "liblinear")
    return _of_coefficients(model, "ovr" if one_vs_rest else "softmax")


def _no_probabilities(model: Any, place: str) -> Linear:
    return _of_coefficients(model, "none")


def _ridge(model: Any, place: str) -> Linear:
    if getattr(model, "_label_binarizer", None) is not None and model._label_binarizer.y_type_.startswith("multilabel"):
        raise refusal(
            place, model, "with several labels a text it has no probabilities", "Use OneVsRestClassifier of it"
        )
    return _of_coefficients(model, "none")


def _sgd(model: Any, place: str) -> Linear:
    if model.loss != "log_loss":
        return _of_coefficients(model, "none")
    return _of_coefficients(model, "sigmoid" if len(model.classes_) == 2 else "ovr")


def _discriminant(model: Any, place: str) -> Linear:
    return _of_coefficients(model, "sigmoid" if len(model.classes_) == 2 else "softmax")


def _one_vs_rest(model: Any, place: str) -> Linear:
    parts = [_one_label(estimator, place) for estimator in model.estimators_]
    real = [part for part in parts if part is not None]
    if not real:
        raise refusal(place, model, "every label is constant in the training data", "Train it on more texts")
    multilabel = bool(model.multilabel_)
    if len(real) < len(parts) and not multilabel:
        raise refusal(place, model, "it was trained on one class only", "Train it on more texts")
    if len({part.link for part in real}) > 1:
        raise refusal(place, model, "its parts are of different kinds", "Use the same classifier for every class")
    link = real[0].link
    if link == "sigmoid" and not multilabel and len(parts) > 1:
        link = "ovr"
    shape = real[0].parts[0].coef.shape
    coef = np.concatenate([np.zeros(shape) if part is None else part.parts[0].coef for part in parts])
    constants = [_certain(estimator) for estimator in model.estimators_]
    intercept = np.array([c if p is None else p.intercept[0] for p, c in zip(parts, constants, strict=True)])
    return Linear((Part(coef),), intercept, model.classes_, link, multilabel)


def _certain(estimator: Any) -> float:
    """The logit of a label that every training text had, or none."""
    return CERTAIN if isinstance(estimator, _ConstantPredictor) and bool(np.ravel(estimator.y_)[0]) else -CERTAIN


def _one_label(estimator: Any, place: str) -> Linear | None:
    if isinstance(estimator, _ConstantPredictor):
        return None
    linear = fold_classifier(estimator, place)
    if linear.n_outputs != 1 or len(linear.parts) != 1 or linear.parts[0].steps:
        raise refusal(place, estimator, "one-vs-rest is compiled over bare classifiers", "Put its features before it")
    return linear


def _calibrated(model: Any, place: str) -> Linear:
    return calibrated(model, place, fold_classifier)


def _thresholds(model: Any, place: str) -> Linear:
    linear = fold_classifier(model.estimator_, place)
    return replace(linear, multilabel=True, thresholds=np.asarray(model.thresholds_, dtype=np.float64))


def _soft_label(model: Any, place: str) -> Linear:
    multilabel = bool(model.multilabel_)
    sigmoid = multilabel or len(np.atleast_2d(model.coef_)) == 1
    return replace(_of_coefficients(model, "sigmoid" if sigmoid else "softmax"), multilabel=multilabel)


def _ngrams(model: Any, place: str) -> Linear:
    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    columns = getattr(model, "columns_", None)
    parts = [Part(coef, (("vectorizer", model.vectorizer_),), None if columns is None else np.asarray(columns))]
    if getattr(model, "embedding_", None) is not None:
        parts.append(Part(np.asarray(model.embedding_coef_, dtype=np.float64), (("embedding", model.embedding_),)))
    return _of_parts(model, parts)


def _convolution(model: Any, place: str) -> Linear:
    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    return _of_parts(model, [Part(coef, (("convolution", model.convolution_),))])


def _of_parts(model: Any, parts: list[Part]) -> Linear:
    """One of our own classifiers, which read texts themselves."""
    multilabel = bool(model.multilabel_)
    link = "sigmoid" if multilabel or len(parts[0].coef) == 1 else "softmax"
    intercept: NDArray[np.float64] = np.asarray(model.intercept_, dtype=np.float64).ravel()
    return Linear(tuple(parts), intercept, model.classes_, link, multilabel)


_RULES: dict[type, Callable[[Any, str], Linear]] = {
    linear_model.LogisticRegression: _logistic,
    linear_model.LogisticRegressionCV: _logistic,
    linear_model.RidgeClassifier: _ridge,
    linear_model.RidgeClassifierCV: _ridge,
    linear_model.SGDClassifier: _sgd,
    linear_model.Perceptron: _no_probabilities,
    linear_model.PassiveAggressiveClassifier: _no_probabilities,
    LinearSVC: _no_probabilities,
    LinearDiscriminantAnalysis: _discriminant,
    OneVsRestClassifier: _one_vs_rest,
    CalibratedClassifierCV: _calibrated,
    ThresholdClassifier: _thresholds,
}
#: By name: the modules that define them import solvers that compiling does not need.
_OWN: dict[str, Callable[[Any, str], Linear]] = {
    "SoftLabelLogisticRegression": _soft_label,
    "NgramClassifier": _ngrams,
    "ConvolutionClassifier": _convolution,
}
