"""Linear models on features, their strength chosen on dev: logistic regression, and the SVM of NB ratios."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from tlclassic._compat import available_cpus
from tlclassic.comparison.budget import Deadline
from tlclassic.comparison.problem import Problem
from tlclassic.heads import ThresholdClassifier
from tlclassic.heads.thresholds import f1_thresholds, held_out_f1

__all__ = ["Choice", "dev_score", "fit_logistic", "fit_nbsvm", "logistic_head"]

#: Inverse strengths, from strong to weak; standardised columns and rows of length one have theirs decades apart.
DENSE_STRENGTHS = tuple(float(10.0**power) for power in np.arange(-4, 1.5, 0.5))
SPARSE_STRENGTHS = tuple(float(10.0**power) for power in np.arange(-1, 4.5, 0.5))
#: Interpolation and smoothing of the paper.
_BETA, _ALPHA = 0.25, 1.0
_SVM_STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)

Matrix = Any
Float = NDArray[np.float64]
Ints = NDArray[np.int64]
#: A fitted model and what was chosen: its settings and its score on dev.
Choice = tuple[Any, dict[str, Any]]


def dev_score(targets: Ints, scores: Float) -> float:
    """Accuracy of the highest score; for several labels macro F1 of thresholds tuned on the other half of dev."""
    if targets.ndim == 2:
        return held_out_f1(targets, scores)
    return float((scores.argmax(axis=1) == targets).mean())


def _first_peak(
    tried: Iterable[float], fit: Callable[[float], tuple[Any, float]], deadline: Deadline
) -> tuple[Any, float, float, int]:
    """The best model, its strength, its score, how many were tried; ends two after the best, or with the share."""
    best: tuple[Any, float, float] | None = None
    since = count = 0
    for strength in tried:
        began = deadline.elapsed
        model, score = fit(strength)
        count += 1
        since += 1
        if best is None or score > best[2]:
            best, since = (model, strength, score), 0
        # The next one takes at least as long.
        if since == 2 or deadline.elapsed + (deadline.elapsed - began) > deadline.limit:
            break
    assert best is not None
    return (*best, count)


def logistic_head(X: Matrix, D: Matrix, problem: Problem, deadline: Deadline) -> Choice:
    """A logistic regression of training rows ``X``, chosen by dev rows ``D``; with thresholds for several labels."""
    dense = isinstance(X, np.ndarray)
    strengths = DENSE_STRENGTHS if dense else SPARSE_STRENGTHS
    y = problem.train.targets if problem.multilabel else np.asarray(problem.train.labels)
    base = LogisticRegression(max_iter=1000, solver="newton-cg" if dense else "lbfgs")
    model: Any = OneVsRestClassifier(base) if problem.multilabel else base.set_params(warm_start=True)

    def fit(strength: float) -> tuple[Any, float]:
        deadline.check()
        with threadpool_limits(available_cpus()), _quiet():
            model.set_params(**{"estimator__C" if problem.multilabel else "C": strength}).fit(X, y)
        return copy.deepcopy(model), dev_score(problem.dev.targets, model.predict_proba(D))

    head, strength, score, count = _first_peak(strengths, fit, deadline)
    if problem.multilabel:
        head = with_thresholds(head, D, problem)
    else:
        head.set_params(warm_start=False)
    return head, {"C": strength, "dev_score": score, "tried": count}


def with_thresholds(head: Any, D: Matrix, problem: Problem) -> ThresholdClassifier:
    """The head with thresholds that dev chooses."""
    chosen = ThresholdClassifier(head)
    chosen.estimator_, chosen.classes_ = head, head.classes_
    chosen.thresholds_ = f1_thresholds(problem.dev.targets, head.predict_proba(D))
    return chosen


def fit_logistic(features: Any, problem: Problem, deadline: Deadline) -> Choice:
    """A pipeline of features and logistic regression."""
    X = features.fit_transform(problem.train.texts)
    deadline.check()
    D = features.transform(problem.dev.texts)
    head, chosen = logistic_head(_rows(X), _rows(D), problem, deadline)
    return Pipeline([("features", features), ("head", head)]), chosen


def _rows(X: Any) -> Any:
    return X.tocsr() if sp.issparse(X) else X


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # The weakest strengths may stop at the iteration limit; dev judges them as they are.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # A label that all rows carry, or none; steps of Newton's method that find no better place.
        for message in ("Line Search failed", "The line search algorithm", "Label (not )?.* is present in all"):
            warnings.filterwarnings("ignore", message=message)
        yield


# -- NB-SVM ----------------------------------------------------------------------------------------------------------


def fit_nbsvm(problem: Problem, deadline: Deadline) -> Choice:
    """Binary words and pairs of words scaled by NB log-count ratios, then a linear SVM, one class against the rest.

    Wang and Manning 2012, https://aclanthology.org/P12-2018: smoothing 1, weights interpolated with their mean
    magnitude by 0.25. The ratios are folded into the weights, so that what is saved is a plain LinearSVC.
    """
    counts = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=r"(?u)\w+|[^\w\s]", dtype=np.float64)
    X, D = counts.fit_transform(problem.train.texts), counts.transform(problem.dev.texts)
    Y = _indicator(problem)
    ratios = [_ratio(X, Y[:, column]) for column in range(Y.shape[1])]

    def fit(strength: float) -> tuple[Any, float]:
        coef, intercept = np.empty((Y.shape[1], X.shape[1])), np.empty(Y.shape[1])
        for column, ratio in enumerate(ratios):
            deadline.check()
            coef[column], intercept[column] = _svm(X, Y[:, column], ratio, strength)
        return (coef, intercept), dev_score(problem.dev.targets, _scores(D @ coef.T + intercept))

    (coef, intercept), strength, score, count = _first_peak(_SVM_STRENGTHS, fit, deadline)
    margins = D @ coef.T + intercept
    head = _linear_svc(coef, intercept, margins, problem, strength)
    return Pipeline([("features", counts), ("head", head)]), {"C": strength, "dev_score": score, "tried": count}


def _indicator(problem: Problem) -> Ints:
    """Of shape (n, C); one column, that of the second class, for two classes."""
    targets = problem.train.targets
    if problem.multilabel:
        return targets
    if len(problem.classes) == 2:
        return targets[:, None]
    return np.eye(len(problem.classes), dtype=np.int64)[targets]


def _ratio(X: Matrix, target: Ints) -> Float:
    positive = np.asarray(X[target == 1].sum(axis=0)).ravel() + _ALPHA
    negative = np.asarray(X[target == 0].sum(axis=0)).ravel() + _ALPHA
    return np.asarray(np.log((positive / positive.sum()) / (negative / negative.sum())))


def _svm(X: Matrix, target: Ints, ratio: Float, C: float) -> tuple[Float, float]:
    if target.min() == target.max():  # a label that all texts have, or none
        return np.zeros(X.shape[1]), 1.0 if target.all() else -1.0
    scaled = X.copy()
    scaled.data = ratio[X.indices]
    with _quiet():
        svm = LinearSVC(C=C).fit(scaled, target)
    weights = svm.coef_.ravel()
    mixed = (1 - _BETA) * np.abs(weights).mean() + _BETA * weights
    return ratio * mixed, float(svm.intercept_[0]) * _BETA


def _scores(margins: Float) -> Float:
    """A column for each class, between 0 and 1."""
    scores = expit(margins)
    return np.column_stack([1 - scores, scores]) if scores.shape[1] == 1 else scores


def _linear_svc(coef: Float, intercept: Float, margins: Float, problem: Problem, C: float) -> Any:
    if not problem.multilabel:
        return _fitted_svc(coef, intercept, np.asarray(problem.classes), C)
    thresholds = np.clip(f1_thresholds(problem.dev.targets, _scores(margins)), 1e-6, 1 - 1e-6)
    # What a label needs beyond a margin of 0 goes into its intercept.
    intercept = intercept - np.log(thresholds / (1 - thresholds))
    head = OneVsRestClassifier(LinearSVC(C=C))
    head.estimators_ = [
        _fitted_svc(row[None, :], intercept[column : column + 1], np.array([0, 1]), C)
        for column, row in enumerate(coef)
    ]
    head.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(problem.train.targets)
    return head


def _fitted_svc(coef: Float, intercept: Float, classes: NDArray[Any], C: float) -> LinearSVC:
    svc = LinearSVC(C=C)
    svc.coef_, svc.intercept_, svc.classes_, svc.n_features_in_ = coef, intercept, classes, coef.shape[1]
    return svc
