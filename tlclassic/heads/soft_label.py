"""Logistic regression on hard and soft labels, for arrays and sparse matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from tlclassic._validate import check_choice, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.fitting import fit_targets, weighted_outputs
from tlclassic.heads.matrix import as_csr
from tlclassic.heads.predicting import LogitClassifier
from tlclassic.heads.solvers import row_weights
from tlclassic.heads.streaming import LEARNING_RATE, Streaming
from tlclassic.heads.targets import Targets, read_targets

__all__ = ["SoftLabelLogisticRegression"]


class SoftLabelLogisticRegression(LogitClassifier, BaseEstimator):  # type: ignore[misc]
    """Logistic regression that takes labels or their probabilities.

    The objective is that of scikit-learn's ``LogisticRegression``: ``C * sum_i w_i * CE(P_i, p_i)`` plus the penalty,
    with a free intercept. A soft label counts as one row for each class, weighing its probability; two classes have
    one output, more have a softmax, multi-label targets independent sigmoids.

    Parameters
    ----------
    C : float
        Strength of the data against the penalty, above 0.
    penalty : {"l2", "l1", "elasticnet"}
    l1_ratio : float
        Share of L1, for ``"elasticnet"``.
    fit_intercept : bool
    class_weight : dict, "balanced" or None
        Weights of the classes' terms of the loss; "balanced" counts expected rows, ``P.sum(axis=0)``.
    multilabel : bool
        ``y`` is a matrix with one column a label, with the probability of each label by itself. A matrix of the
        integers 0 and 1 is taken so in any case.
    solver : {"newton", "adagrad"}
        To convergence over all rows at once, or ``epochs`` passes of stochastic steps.
    max_iter : int
        Newton iterations.
    tol : float
        Newton: share of the objective by which it may lie above the optimum.
    epochs : int
    learning_rate : float
        Of ``"adagrad"`` and of ``partial_fit``; rows are best scaled to length about one.
    threads : int
        "newton" gives the same result at any number, "adagrad" at one alone.
    random_state : int, RandomState or None
        Of the row order of ``"adagrad"``.

    Attributes
    ----------
    classes_ : array of shape (C,)
    multilabel_ : bool
        Whether a row may have several labels.
    coef_ : float64 array of shape (K, F)
        K is 1 for two classes, C otherwise.
    intercept_ : float64 array of shape (K,)
    n_iter_ : int
        Newton iterations, epochs, or calls of ``partial_fit``.
    objective_ : float
        At the end of ``fit``.

    Notes
    -----
    Solvers: :func:`tlclassic.heads.fit_linear` and :class:`tlclassic.heads.Streaming`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> P = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    >>> model = SoftLabelLogisticRegression(C=10.0).fit(X, P, classes=["no", "yes"])
    >>> model.predict([[0.5], [2.5]]).tolist()
    ['no', 'yes']
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        penalty: str = "l2",
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        class_weight: Any = None,
        multilabel: bool = False,
        solver: str = "newton",
        max_iter: int = 100,
        tol: float = 1e-6,
        epochs: int = 5,
        learning_rate: float = LEARNING_RATE,
        threads: int = 1,
        random_state: Any = 0,
    ) -> None:
        self.C = C
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.multilabel = multilabel
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.threads = threads
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = bool(self.multilabel)
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: NDArray[Any] | None = None,
        classes: Sequence[Any] | NDArray[Any] | None = None,
    ) -> Self:
        """Fit.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, F)
        y : array of shape (n,) or (n, C)
            Labels; or a float matrix of probabilities whose rows sum to 1 (within 1e-3); or with ``multilabel`` a
            matrix with entries in 0..1.
        sample_weight : array of shape (n,), optional
        classes : sequence, optional
            Names of the columns of a matrix (default 0..C-1), or all labels that may occur.

        Raises
        ------
        InvalidParameterError
            Names the row of ``y`` that is no distribution, the label that is unknown, the parameter that is wrong.
        """
        X, targets = self._read(X, y, classes, reset=True)
        self._forget_stream()
        solution = fit_targets(
            X,
            targets,
            sample_weight=sample_weight,
            class_weight=self.class_weight,
            solver=self.solver,
            C=self.C,
            l1_ratio=self._l1_ratio(),
            fit_intercept=self.fit_intercept,
            tol=self.tol,
            max_iter=self.max_iter,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            threads=self.threads,
            random_state=int(check_random_state(self.random_state).randint(2**31 - 1)),
        )
        self.classes_, self.multilabel_ = targets.classes, targets.multilabel
        self.coef_, self.intercept_ = solution.coef, solution.intercept
        self.n_iter_, self.objective_ = solution.n_iter, solution.objective
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Sequence[Any] | NDArray[Any] | None = None,
        sample_weight: NDArray[Any] | None = None,
    ) -> Self:
        """Learn from one batch, by one pass of stochastic steps in the rows' order; parameters as for :meth:`fit`.

        The first call names all classes. After ``fit`` it goes on from the fitted coefficients. The penalty is spread
        over the rows seen so far.
        """
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise InvalidParameterError("the first call of partial_fit needs classes: all labels that will ever come.")
        names = classes if first else self.classes_
        if not first and classes is not None and list(classes) != self.classes_.tolist():
            raise InvalidParameterError(f"classes must stay {self.classes_.tolist()}; got {list(classes)}.")
        X, targets = self._read(X, y, names, reset=first)
        weights = row_weights(sample_weight, X.shape[0])
        if isinstance(self.class_weight, str):
            raise InvalidParameterError('class_weight="balanced" needs all rows; give partial_fit a dict of weights.')
        problems = weighted_outputs(targets, weights, self.class_weight)
        if len(problems) > 1:
            raise InvalidParameterError("partial_fit takes no class_weight with multilabel=True; use sample_weight.")
        self.classes_, self.multilabel_ = targets.classes, targets.multilabel
        model = self._resumed(X.shape, targets)
        values, indices, indptr = as_csr(sp.csr_matrix(X))
        model.step(indices, indptr, values.astype(np.float32, copy=False), problems[0][0], problems[0][1])
        self.coef_ = model.coef.astype(np.float64)
        self.intercept_ = model.intercept.astype(np.float64)
        self._stream_table, self._stream_bias = model.state
        self._stream_rows = model.rows_seen
        self.n_iter_ = 1 if first else self.n_iter_ + 1
        return self

    def _forget_stream(self) -> None:
        for name in ("_stream_table", "_stream_bias", "_stream_rows"):
            if hasattr(self, name):
                delattr(self, name)

    def _resumed(self, shape: tuple[int, int], targets: Targets) -> Streaming:
        seen = getattr(self, "_stream_rows", 0)
        penalty = 1.0 / (self.C * max(1, seen + shape[0]))
        model = Streaming(
            shape[1],
            targets.outputs.shape[1],
            loss=targets.loss,
            learning_rate=self.learning_rate,
            l1=penalty * self._l1_ratio(),
            l2=penalty * (1.0 - self._l1_ratio()),
            fit_intercept=self.fit_intercept,
            threads=self.threads,
        )
        if seen:
            model.resume(self._stream_table, self._stream_bias, seen)
        elif hasattr(self, "coef_"):
            model.set_start(self.coef_, self.intercept_)
        return model

    def _read(self, X: Any, y: Any, classes: Any, *, reset: bool) -> tuple[Any, Targets]:
        check_number("C", self.C, low=1e-300)
        check_choice("penalty", self.penalty, ("l2", "l1", "elasticnet"))
        check_number("l1_ratio", self.l1_ratio, low=0.0, high=1.0)
        if y is None:
            raise InvalidParameterError("This classifier requires y to be passed, but the target y is None.")
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=reset)
        y = y if sp.issparse(y) else np.asarray(y)
        multilabel = self.multilabel or (not reset and self.multilabel_)
        if not multilabel and (y.ndim < 2 or y.shape[1] < 2):
            y = column_or_1d(y, warn=True)
        targets = read_targets(y, classes=classes, multilabel=multilabel)
        if len(targets.P) != X.shape[0]:
            raise InvalidParameterError(f"X and y must have as many rows; got {X.shape[0]} and {len(targets.P)}.")
        if len(targets.classes) < (1 if targets.multilabel else 2):
            raise InvalidParameterError(
                f"y must hold at least two classes to tell apart; got one class, {targets.classes.tolist()}."
            )
        return X, targets

    def _l1_ratio(self) -> float:
        return {"l2": 0.0, "l1": 1.0}.get(self.penalty, self.l1_ratio)

    def _logits(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        return np.asarray(X @ self.coef_.T + self.intercept_, np.float64)
