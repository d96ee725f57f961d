"""Logistic regression whose strength is chosen by cross-validation on the training part."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from threadpoolctl import threadpool_limits

from tlclassic._compat import available_cpus
from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.thresholds import ThresholdClassifier, held_out_f1

__all__ = ["LogisticSearch", "check_enough", "search_logistic"]

#: Inverse regularisation strengths tried, from strong to weak; the search stops two steps after its best. Standardised
#: dense columns have unit variance, TF-IDF rows unit length: their useful ranges lie decades apart.
DENSE_STRENGTHS = tuple(float(10.0**exponent) for exponent in np.arange(-4, 1.5, 0.5))
SPARSE_STRENGTHS = tuple(float(10.0**exponent) for exponent in np.arange(-1, 4.5, 0.5))
METRICS = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class LogisticSearch:
    """The outcome of :func:`search_logistic`.

    Attributes
    ----------
    estimator : LogisticRegression, OneVsRestClassifier, ThresholdClassifier or the one given
        Fitted on all the rows with the chosen strength.
    C : float
        The inverse regularisation strength chosen.
    metric : str
    scores : dict of float to float
        Strength → mean score over the folds, of the strengths that were tried.
    n_folds : int
    """

    estimator: Any
    C: float
    metric: str
    scores: dict[float, float]
    n_folds: int


def search_logistic(
    X: Any,
    y: Any,
    *,
    metric: str = "accuracy",
    class_weight: str | None = None,
    strengths: Sequence[float] | None = None,
    n_folds: int = 5,
    max_iter: int = 1000,
    random_state: int = 0,
    on_step: Callable[[float, float], None] | None = None,
    estimator: Any = None,
) -> LogisticSearch:
    """Fit a logistic regression with L2 penalty, its strength chosen by stratified cross-validation.

    Strengths are tried from the strongest regularisation to the weakest and the search stops when two in a row are
    worse than the best so far: weak regularisation is the slow end, and accuracy as a function of log C has one peak in
    practice. Ties go to the stronger regularisation.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, d)
        Feature vectors; standardise dense ones first.
    y : array of shape (n,), or an indicator matrix of shape (n, n_labels) for multi-label
    metric : {"accuracy", "macro_f1"}
        What the folds are scored by. For an indicator matrix "accuracy" is the mean over all label decisions, and
        with "macro_f1" the estimator is a :class:`ThresholdClassifier`, its strength chosen by the F1 of thresholds
        tuned on the other half of each fold.
    class_weight : {None, "balanced"}
    strengths : sequence of float, optional
        Inverse regularisation strengths C; by default 1e-4 to 10 for a dense ``X``, 0.1 to 10,000 for a sparse one.
    n_folds : int
        Lowered to the smallest class's count (at least 2) where a class is rarer.
    max_iter : int
        Limit of the solver's iterations.
    random_state : int
        Of the folds' shuffle.
    on_step : callable, optional
        Called with (C, mean score) after each strength, for progress.
    estimator : classifier, optional
        What is fitted instead of scikit-learn's logistic regression: anything with a parameter ``C`` that takes ``y``
        as it is.

    Raises
    ------
    InvalidParameterError
        When fewer than two classes, or fewer than four rows, are given.
    """
    check_choice("metric", metric, METRICS)
    check_choice("class_weight", class_weight, (None, "balanced"))
    check_integer("n_folds", n_folds, low=2)
    y = np.asarray(y)
    folds = _folds(X, y, n_folds, random_state)
    if estimator is None:
        base = LogisticRegression(class_weight=class_weight, max_iter=max_iter, solver=_solver(X))
        estimator = base if y.ndim == 1 else OneVsRestClassifier(base)
    fitted_folds = _Folds(estimator, X, y, folds, metric)
    scores: dict[float, float] = {}
    best = None
    if strengths is None:
        strengths = DENSE_STRENGTHS if isinstance(X, np.ndarray) else SPARSE_STRENGTHS
    for strength in sorted(strengths):
        scores[strength] = fitted_folds.score(strength)
        if on_step is not None:
            on_step(strength, scores[strength])
        if best is None or scores[strength] > scores[best]:
            best = strength
        # A score as good as the best is no reason to stop: under a strong penalty all models give the commonest class.
        if len(scores) > 2 and max(list(scores.values())[-2:]) < scores[best]:
            break
    if best is None:
        raise InvalidParameterError("strengths must hold at least one number; got none.")
    chosen = _set_strength(estimator, best)
    if y.ndim == 2 and metric == "macro_f1":
        chosen = ThresholdClassifier(chosen, cv=n_folds, random_state=random_state)
    with threadpool_limits(1), _quiet():
        fitted = chosen.fit(X, y)
    return LogisticSearch(fitted, best, metric, scores, len(folds))


def _solver(X: Any) -> str:
    # On dense standardised features Newton-CG needs ten steps where L-BFGS runs into its limit; on the sparse, nearly
    # orthogonal columns of TF-IDF it is the other way round.
    return "newton-cg" if isinstance(X, np.ndarray) else "lbfgs"


def check_enough(y: NDArray[Any]) -> None:
    """Raise InvalidParameterError when there is too little to learn from."""
    if len(y) < 4:
        raise InvalidParameterError(f"at least 4 labelled rows are needed to train; got {len(y)}.")
    if y.ndim == 1 and len(classes := np.unique(y)) < 2:
        raise InvalidParameterError(f"at least two classes are needed to train; got only {classes.tolist()!r}.")


def _folds(X: Any, y: Any, n_folds: int, random_state: int) -> list[tuple[Any, Any]]:
    check_enough(y)
    if y.ndim == 2:
        folds = KFold(min(n_folds, len(y)), shuffle=True, random_state=random_state)
        return list(folds.split(np.zeros(len(y))))
    _, counts = np.unique(y, return_counts=True)
    # A class of one row cannot be in both parts of a fold; it then takes part in the final fit alone.
    rarest = int(counts[counts > 1].min()) if (counts > 1).any() else 2
    folds = StratifiedKFold(max(2, min(n_folds, rarest)), shuffle=True, random_state=random_state)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return list(folds.split(np.zeros(len(y)), y))


def _set_strength(estimator: Any, strength: float) -> Any:
    key = "estimator__C" if isinstance(estimator, OneVsRestClassifier) else "C"
    return estimator.set_params(**{key: strength})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # The weakest strengths may stop at the iteration limit; the folds judge them as they are.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Line Search failed")
        warnings.filterwarnings("ignore", message="The line search algorithm did not converge")
        # A label that no row of a fold carries.
        warnings.filterwarnings("ignore", message="Label .* is present in all training examples")
        warnings.filterwarnings("ignore", message="Label not .* is present in all training examples")
        yield


class _Folds:
    """The folds of a search, fitted side by side, each from where the strength before left it.

    One thread a fold and one BLAS thread inside: the matrices are too small for more, and BLAS threads that wait for
    each other on a busy machine have been seen to take ten times as long.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, folds: list[tuple[Any, Any]], metric: str) -> None:
        warm = {"warm_start": True} if isinstance(estimator, LogisticRegression) else {}
        self._estimators = [clone(estimator).set_params(**warm) for _ in folds]
        self._X, self._y, self._folds, self._metric = X, y, folds, metric

    def score(self, strength: float) -> float:
        """The mean score over the folds."""
        with threadpool_limits(1), _quiet(), ThreadPoolExecutor(available_cpus()) as pool:
            return float(np.mean(list(pool.map(lambda fold: self._score(fold, strength), range(len(self._folds))))))

    def _score(self, fold: int, strength: float) -> float:
        train, held_out = self._folds[fold]
        estimator = _set_strength(self._estimators[fold], strength).fit(self._X[train], self._y[train])
        truth = self._y[held_out]
        if truth.ndim == 2 and self._metric == "macro_f1":
            return held_out_f1(truth, estimator.predict_proba(self._X[held_out]))
        predicted = estimator.predict(self._X[held_out])
        if self._metric == "accuracy":
            return float(np.mean(predicted == truth))
        return float(f1_score(truth, predicted, average="macro", zero_division=0))
