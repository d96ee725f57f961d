"""``MultiTaskClassifier``: one model for several tasks on the same texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import check_is_fitted, validate_data

from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.ngram_features import restricted
from tlclassic.heads.solvers import row_weights
from tlclassic.multitask.choosing import DENSE_STRENGTHS, SPARSE_STRENGTHS
from tlclassic.multitask.features import fit_features, is_text, narrowed, taken
from tlclassic.multitask.fitting import SHARING, Fitted, Options, fit_tasks
from tlclassic.multitask.scoring import score_outputs
from tlclassic.multitask.shapes import like_given, named_tasks
from tlclassic.multitask.state import from_state, to_state
from tlclassic.multitask.targets import Target, read_targets
from tlclassic.runtime.tasks import decide, task_proba

__all__ = ["MultiTaskClassifier"]


class MultiTaskClassifier(BaseEstimator):  # type: ignore[misc]
    """Linear heads for several tasks of any kind over the same features, which share what helps them.

    Tasks are binary, multi-class, multi-label, ordinal or a number (regression); any of them may lack labels in any
    row. Every head is a logistic regression (ordinal: proportional odds, McCullagh 1980; regression: ridge), its
    strength chosen by cross-validation. The model compiles into one file that reads a text once
    (:func:`tlclassic.compile`).

    Parameters
    ----------
    features : transformer, optional
        From texts to a matrix: :class:`~tlclassic.NgramVectorizer`, :class:`~tlclassic.EmbeddingVectorizer`,
        :class:`~tlclassic.OnnxEncoder`, a Pipeline or a FeatureUnion. None: hashed words and bigrams with IDF for
        texts; a matrix is taken as it is. Scale dense columns first.
    kinds : dict of str to str, optional
        Of a task: "binary", "multiclass", "multilabel", "ordinal" or "regression", where its labels do not tell.
        Strings, booleans and whole numbers are classes; other numbers are regression; a matrix of whole numbers 0 and
        1, and lists of labels, are multi-label; a float matrix whose rows sum to 1 holds probabilities of classes, any
        other of labels; an ordered pandas categorical is ordinal.
    sharing : {"auto", "none", "low-rank", "chain", "attention"}
        "low-rank": a projection learned over all tasks (Ando and Zhang 2005). "chain": a task sees the predictions of
        those before it (classifier chains; Read, Pfahringer, Holmes and Frank 2011). "attention": a task sees those of
        all others, weighed by a softmax that can be read in ``attention_``. "auto": for each task what gains clearly
        over the folds against its independent head, else that head.
    strengths : sequence of float, optional
        Strengths of the data against the penalty to choose from (``C`` of scikit-learn's logistic regression; of a
        ridge regression 1 / alpha). By default 0.3 to 100 for sparse, 0.001 to 10 for dense features.
    rank : int, optional
        Directions that tasks share in "low-rank"; half as many as there are outputs by default.
    order : sequence of str, optional
        Of the tasks in "chain"; by default those with the best metric first.
    cv : int, default 5
        Folds, the same for all tasks.
    calibrate : bool, default True
        Scale each task's outputs by a temperature that fits the held-out rows.
    tune_thresholds : bool, default True
        Of multi-label tasks: labels are given from the probability on that gives the best F1 on held-out rows, in place
        of one half.
    threads : int, default 1
    random_state : int, default 0
        Of the folds.

    Attributes
    ----------
    tasks_ : list of str
        "0", "1", ... for an array.
    kinds_ : dict of str to str
    classes_ : dict of str to array
        Empty for regression; for an array of labels as scikit-learn has it, an array or a list of arrays.
    sharing_ : dict of str to str
        What each task does: "none", "low-rank", "chain", "attention" or "low-rank+attention".
    attention_ : float64 array of shape (T, T), or None
        Row t: how task t weighs the others; zeros where it does not attend.
    order_ : list of str
        Of the chain.
    C_ : dict of str to float
    cv_results_ : dict of str to dict
        Of each task the ``metric``, the ``score`` of its independent head over the folds, that of each of the
        ``strengths``, of each way of ``sharing`` the ``score_gain``, ``loss_gain`` and whether it is ``clear``, and the
        ``final_score`` of what was chosen.
    features_ : transformer or None
    columns_ : int64 array of shape (m,), or None
        Columns of sparse features that have weights; None: all.
    coef_ : float64 array of shape (K, m)
        Of the outputs of all tasks, one below the other.
    intercept_ : float64 array of shape (K,)
    outputs_ : list of Outputs
        Where each task's outputs stand, and how they are read.
    layer_ : Layer or None
        What lies between the tasks.

    Examples
    --------
    >>> from tlclassic import MultiTaskClassifier
    >>> texts = ["good film", "great book", "bad film", "dull book"] * 5
    >>> y = {"tone": ["+", "+", "-", None] * 5, "medium": ["film", "book"] * 10}
    >>> model = MultiTaskClassifier(sharing="none").fit(texts, y)
    >>> {task: labels.tolist() for task, labels in model.predict(["great film", "bad book"]).items()}
    {'tone': ['+', '-'], 'medium': ['film', 'book']}
    """

    def __init__(
        self,
        features: Any = None,
        *,
        kinds: Mapping[str, str] | None = None,
        sharing: str = "auto",
        strengths: Sequence[float] | None = None,
        rank: int | None = None,
        order: Sequence[str] | None = None,
        cv: int = 5,
        calibrate: bool = True,
        tune_thresholds: bool = True,
        threads: int = 1,
        random_state: int = 0,
    ) -> None:
        self.features = features
        self.kinds = kinds
        self.sharing = sharing
        self.strengths = strengths
        self.rank = rank
        self.order = order
        self.cv = cv
        self.calibrate = calibrate
        self.tune_thresholds = tune_thresholds
        self.threads = threads
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        # No classifier by its type: scikit-learn would stratify folds by labels that may be a dict.
        tags.classifier_tags = ClassifierTags()
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "outputs_" in vars(self)

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        task_weights: Mapping[str, float] | None = None,
        sample_weight: Any = None,
        classes: Mapping[str, Any] | None = None,
    ) -> Self:
        """Fit on texts, or on a matrix of features.

        Parameters
        ----------
        X : list of n str, or array or sparse matrix of shape (n, F)
        y : dict of str to labels, DataFrame with a column a task, or array of shape (n,) or (n, T)
            None or NaN where a task has no label in a row. Of a dict each value holds n labels or numbers, n lists of
            labels, or a matrix of n rows: 0 and 1 for each label, or probabilities (soft labels; hard ones among them
            are rows of 0 and 1), a row of NaN where there are none.
        task_weights : dict of str to float, optional
            Of the tasks' losses, 1 where a task is not named: what a task counts for in the shared projection, and how
            strongly its data stand against the penalty.
        sample_weight : array of shape (n,), or dict of str to such arrays, optional
            Not negative.
        classes : dict of str to sequence, optional
            Names of the columns of a task's matrix, by default 0, 1, ...; or all classes in their order.

        Raises
        ------
        InvalidParameterError
            Names the task and the row, or the parameter, that is wrong.
        """
        self._check_parameters()
        rows = self._fit_rows(X)
        n = rows.shape[0]
        if n < 1:
            raise InvalidParameterError("X must hold at least one row to fit on; got none.")
        named, form = named_tasks(y, n)
        targets = read_targets(named, n, self.kinds, classes)
        names = [target.name for target in targets]
        weights = _weights(sample_weight, names, n)
        shares = _task_weights(task_weights, names)
        rows, columns = narrowed(rows)
        fitted = fit_tasks(rows, targets, weights, shares, self._options(names, sp.issparse(rows)))
        self._take(targets, fitted, columns, form)
        return self

    def _fit_rows(self, X: Any) -> Any:
        if self.features is None and not is_text(X):
            self.features_ = None
            return validate_data(self, X, accept_sparse="csr", dtype=np.float64)
        self.features_, rows = fit_features(self.features, X)
        return rows

    def _options(self, names: list[str], sparse: bool) -> Options:
        order = None
        if self.order is not None:
            if sorted(self.order) != sorted(names):
                raise InvalidParameterError(f"order must name every task once ({', '.join(names)}); got {self.order}.")
            order = [names.index(name) for name in self.order]
        strengths = self.strengths if self.strengths is not None else SPARSE_STRENGTHS if sparse else DENSE_STRENGTHS
        return Options(
            self.sharing, strengths, self.rank, order, self.cv, self.calibrate, self.tune_thresholds, self.threads,
            self.random_state,
        )  # fmt: skip

    def _take(self, targets: list[Target], fitted: Fitted, columns: NDArray[np.int64] | None, form: str) -> None:
        """The fitted attributes."""
        names = [target.name for target in targets]
        self.tasks_ = names
        self.kinds_ = {target.name: target.kind for target in targets}
        self.outputs_, self.layer_, self.attention_ = fitted.outputs, fitted.layer, fitted.attention
        self.columns_, self.coef_, self.intercept_ = columns, fitted.coef, fitted.intercept
        self.sharing_ = dict(zip(names, fitted.sharing, strict=True))
        self.C_ = dict(zip(names, fitted.strengths, strict=True))
        self.cv_results_ = dict(zip(names, fitted.results, strict=True))
        self.order_ = [names[number] for number in fitted.order]
        self._form = form

    def _check_parameters(self) -> None:
        check_choice("sharing", self.sharing, SHARING)
        check_choice("calibrate", self.calibrate, (True, False))
        check_choice("tune_thresholds", self.tune_thresholds, (True, False))
        check_integer("cv", self.cv, low=2)
        check_integer("threads", self.threads, low=1)
        check_integer("random_state", self.random_state, low=0)
        if self.rank is not None:
            check_integer("rank", self.rank, low=1)
        if self.strengths is not None:
            if not len(self.strengths):
                raise InvalidParameterError("strengths must hold at least one number; got none.")
            for strength in self.strengths:
                check_number("strengths", strength, low=1e-300)

    # -- predicting --------------------------------------------------------------------------------------------------

    @property
    def classes_(self) -> Any:
        """Of each task its classes: a dict, or what scikit-learn has for an array of labels."""
        check_is_fitted(self)
        return like_given(self._form, {task.name: task.classes for task in self.outputs_}, stack=False)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """The outputs of all tasks side by side, float64 of shape (n, K); ``outputs_`` says whose each is."""
        check_is_fitted(self)
        logits = np.asarray(self._rows(X) @ self.coef_.T + self.intercept_, dtype=np.float64)
        return logits if self.layer_ is None else self.layer_.apply(self.outputs_, logits)

    def _rows(self, X: Any) -> Any:
        if self.features_ is None:
            rows = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        else:
            rows = taken(self.features_, X)
        if self.columns_ is None:
            return rows
        return restricted(sp.csr_matrix(rows), self.columns_)

    def predict(self, X: Any) -> Any:
        """Labels and numbers: a dict of task to an array of shape (n,), for multi-label an int64 indicator (n, C).

        For an array of labels an array of shape (n,) or (n, T).
        """
        return self._each(X, decide, stack=True)

    def predict_proba(self, X: Any) -> Any:
        """Probabilities: a dict of task to a float64 array of shape (n, C); of a regression the numbers, (n,).

        What it gives are soft labels that another model can be fitted on. For an array of labels a matrix or, of
        several tasks, a list of those.
        """
        return self._each(X, task_proba, stack=False)

    def _each(self, X: Any, read: Any, *, stack: bool) -> Any:
        logits = self.decision_function(X)
        found = {task.name: read(task, logits[:, task.columns]) for task in self.outputs_}
        return like_given(self._form, found, stack=stack)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The mean over the tasks of their own metrics; see :meth:`score_tasks`. Weights are not used."""
        found = [score for score in self.score_tasks(X, y).values() if not np.isnan(score)]
        if not found:
            raise InvalidParameterError("y must hold a label of at least one task to score; got none.")
        return float(np.mean(found))

    def score_tasks(self, X: Any, y: Any) -> dict[str, float]:
        """Each task's metric on the rows that have a label; NaN where none has.

        Accuracy; macro-F1 of several labels; quadratically weighted kappa of ordered classes; the coefficient of
        determination of numbers.
        """
        return self._scores_of(self.decision_function(X), y)

    def _scores_of(self, logits: NDArray[np.float64], y: Any) -> dict[str, float]:
        return score_outputs(self.outputs_, logits, named_tasks(y, len(logits))[0])

    # -- saving ------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """What was fitted, but the features, as JSON-serialisable facts and arrays."""
        check_is_fitted(self)
        return to_state(self)

    @classmethod
    def from_state(cls, params: Mapping[str, Any], features: Any, state: Mapping[str, Any]) -> Self:
        """A fitted one from its parameters, its fitted features and :meth:`to_state`.

        Raises
        ------
        CorruptArtifactError
            When parts are missing or do not fit together.
        """
        model = cls(**params)
        from_state(model, features, state)
        return model


def _weights(sample_weight: Any, names: list[str], n: int) -> list[NDArray[np.float64]]:
    if not isinstance(sample_weight, Mapping):
        return [row_weights(sample_weight, n)] * len(names)
    unknown = [name for name in sample_weight if name not in names]
    if unknown:
        raise InvalidParameterError(f"sample_weight names {unknown[0]!r}, which is no task of y.")
    return [row_weights(sample_weight.get(name), n) for name in names]


def _task_weights(task_weights: Any, names: list[str]) -> list[float]:
    given = task_weights or {}
    for name, weight in given.items():
        if name not in names:
            raise InvalidParameterError(f"task_weights names {name!r}, which is no task of y.")
        check_number(f"task_weights[{name!r}]", weight, low=1e-300)
    return [float(given.get(name, 1.0)) for name in names]
