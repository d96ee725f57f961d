"""Labels of every kind as one matrix of target probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from tlclassic._validate import check_number
from tlclassic.errors import InvalidParameterError

__all__ = ["Targets", "class_weights", "read_targets"]

#: How far a row of probabilities may be from one in sum.
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Targets:
    """What a linear model is fitted to.

    Attributes
    ----------
    classes : array of shape (C,)
    P : float64 array of shape (n, C)
        Target probabilities: rows sum to one, or (``multilabel``) each entry is one label's.
    multilabel : bool
    """

    classes: NDArray[Any]
    P: NDArray[np.float64]
    multilabel: bool

    @property
    def loss(self) -> Literal["softmax", "sigmoid"]:
        """``"softmax"``, or ``"sigmoid"`` for two classes and for multi-label targets."""
        return "sigmoid" if self.multilabel or len(self.classes) == 2 else "softmax"

    @property
    def outputs(self) -> NDArray[np.float64]:
        """Targets of the model's outputs: (n, C), or (n, 1) for two classes."""
        return self.P[:, 1:] if not self.multilabel and len(self.classes) == 2 else self.P


def read_targets(y: Any, *, classes: Sequence[Any] | NDArray[Any] | None = None, multilabel: bool = False) -> Targets:
    """Targets from labels, a probability matrix or (``multilabel``) an indicator or probability matrix.

    Parameters
    ----------
    y : array of shape (n,) or (n, C)
        One label a row, of any type that sorts; or a matrix of floats: row i holds the probabilities of the classes.
        With ``multilabel`` a matrix with entries in 0..1. A matrix of the integers 0 and 1 is multi-label anyhow.
    classes : sequence, optional
        Names of the columns of a matrix (default 0..C-1); or the labels that may occur.
    multilabel : bool

    Raises
    ------
    InvalidParameterError
        Names the row that is not a distribution, or the label that is not among ``classes``.
    """
    y = y if sp.issparse(y) else _as_array(y)
    multilabel = multilabel or _is_indicator(y)
    if multilabel or (y.ndim == 2 and y.shape[1] > 1):
        return _from_matrix(y, classes, multilabel)
    if y.ndim != 1:
        raise InvalidParameterError(f"y must hold one label a row, or probabilities (n, C); got shape {y.shape}.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        what = "NaN" if np.isnan(y).any() else "infinity"
        raise InvalidParameterError(f"Input y contains {what}; leave rows without a label out.")
    try:
        with warnings.catch_warnings():
            # Many classes with few texts each are what some have.
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            check_classification_targets(y)
    except ValueError as error:
        remedy = "Probabilities are a matrix with a column for each class, also of two."
        raise InvalidParameterError(f"y must hold labels: {error} {remedy}") from None
    except TypeError:
        raise _several_types(y) from None
    return _from_labels(y, classes)


def _as_array(y: Any) -> NDArray[Any]:
    """``y`` as an array, refused where NumPy would make other labels of it."""
    try:
        array = np.asarray(y)
    except ValueError:
        raise InvalidParameterError(
            "y must hold one label a row, or a matrix; got rows of different lengths. For several labels a text make "
            "an indicator matrix with sklearn.preprocessing.MultiLabelBinarizer."
        ) from None
    listed = array.dtype.kind == "U" and array.ndim == 1 and isinstance(y, (list, tuple))
    if listed and not all(isinstance(label, str) for label in y):
        raise _several_types(y)
    return array


def _several_types(y: Any) -> InvalidParameterError:
    kinds = sorted({type(label).__name__ for label in y})
    return InvalidParameterError(f"y must hold labels of one type; got {', '.join(kinds)}.")


def _from_labels(y: NDArray[Any], classes: Any) -> Targets:
    present, codes = np.unique(y, return_inverse=True)
    names = present if classes is None else _names(classes)
    places = {name: place for place, name in enumerate(names.tolist())}
    unknown = [label for label in present.tolist() if label not in places]
    if unknown:
        raise InvalidParameterError(f"y holds the label {unknown[0]!r}, which is not among classes.")
    P = np.zeros((len(y), len(names)))
    P[np.arange(len(y)), np.array([places[label] for label in present.tolist()], np.int64)[codes]] = 1.0
    return Targets(names, P, False)


def _is_indicator(y: Any) -> bool:
    """Whether ``y`` is a matrix of the integers (or booleans) 0 and 1, as scikit-learn has several labels a row."""
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "iub":
        return False
    given: Any = y  # SciPy's types know the format and not the methods
    entries = given.tocsr().data if sp.issparse(y) else y
    return bool(np.isin(entries, (0, 1)).all())


def _from_matrix(y: Any, classes: Any, multilabel: bool) -> Targets:
    given: Any = y  # SciPy's types know the format and not the methods
    matrix = given.toarray() if sp.issparse(y) else np.asarray(y)
    what = "y (multilabel)" if multilabel else "y (probabilities)"
    if matrix.ndim != 2:
        raise InvalidParameterError(f"{what} must be a matrix of shape (n, C); got shape {matrix.shape}.")
    if matrix.dtype.kind not in ("f" if not multilabel else "fiub"):
        remedy = "" if multilabel else " For hard labels of several classes pass multilabel=True."
        raise InvalidParameterError(f"{what} must be a float matrix; got dtype {matrix.dtype}.{remedy}")
    P = np.ascontiguousarray(matrix, np.float64)
    names = np.arange(P.shape[1]) if classes is None else _names(classes)
    if len(names) != P.shape[1]:
        raise InvalidParameterError(f"classes must name the {P.shape[1]} columns of y; got {len(names)} names.")
    bad = np.flatnonzero(~((P >= 0.0) & (P <= 1.0 + SUM_TOLERANCE)).all(axis=1))
    if len(bad):
        raise InvalidParameterError(
            f"{what} must hold numbers between 0 and 1; row {bad[0]} is {_shown(P[bad[0]])}. "
            "Turn logits into probabilities first."
        )
    if not multilabel:
        sums = P.sum(axis=1)
        off = np.flatnonzero(np.abs(sums - 1.0) > SUM_TOLERANCE)
        if len(off):
            raise InvalidParameterError(
                f"each row of {what} must sum to 1; row {off[0]} sums to {sums[off[0]]:.6g}: {_shown(P[off[0]])}. "
                "For labels that are independent of each other pass multilabel=True."
            )
        P = P / sums[:, None]
    return Targets(names, np.minimum(P, 1.0), multilabel)


def _names(classes: Any) -> NDArray[Any]:
    names = np.asarray(classes)
    if names.ndim != 1 or len(set(names.tolist())) != len(names):
        raise InvalidParameterError(f"classes must be a list of different labels; got {classes!r}.")
    return names


def _shown(row: NDArray[np.float64]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in row[:6]) + (", ...]" if len(row) > 6 else "]")


def class_weights(targets: Targets, sample_weight: NDArray[np.float64], class_weight: Any) -> NDArray[np.float64]:
    """What each class weighs, of shape (C,): ones, a dict's values, or ``"balanced"``: n / (C * expected count).

    The expected count of a class is the weighted sum of its probabilities, with hard labels the number of its rows, as
    scikit-learn counts. A label of a multi-label problem is balanced against its own absence.
    """
    n_classes = len(targets.classes)
    if class_weight is None:
        return np.ones(n_classes)
    if class_weight == "balanced":
        counts = sample_weight @ targets.P
        share = 2 if targets.multilabel else n_classes
        balanced: NDArray[np.float64] = np.divide(
            sample_weight.sum(), share * counts, out=np.zeros(n_classes), where=counts > 0
        )
        return balanced
    if not isinstance(class_weight, dict):
        raise InvalidParameterError(f'class_weight must be None, "balanced" or a dict; got {class_weight!r}.')
    names = targets.classes.tolist()
    unknown = [label for label in class_weight if label not in names]
    if unknown:
        raise InvalidParameterError(f"class_weight names {unknown[0]!r}, which is not among the classes.")
    for weight in class_weight.values():
        check_number("class_weight", weight, low=0.0)
    return np.array([float(class_weight.get(name, 1.0)) for name in names])
