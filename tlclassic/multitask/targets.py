"""Labels of several tasks, with gaps, as one target matrix a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice
from tlclassic.errors import InvalidParameterError
from tlclassic.runtime.tasks import KINDS, n_outputs

__all__ = ["Target", "read_targets"]

#: How far a row of probabilities may be from one in sum.
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Target:
    """What the head of one task is fitted to.

    Attributes
    ----------
    name : str
    kind : str
        One of ``tlclassic.runtime.tasks.KINDS``.
    classes : array of shape (C,)
        Empty for regression.
    P : float64 array of shape (n, C), or (n, 1) for regression
        Probabilities of the classes, of each label by itself, or standardised numbers; NaN where there is no label.
    center, spread : float
        Of the numbers of a regression, over the rows that have one.
    present : bool array of shape (n,)
        Which rows have a label, of several at least one.
    """

    name: str
    kind: str
    classes: NDArray[Any]
    P: NDArray[np.float64]
    center: float = 0.0
    spread: float = 1.0
    present: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "present", ~np.isnan(self.P).all(axis=1))

    @property
    def n_outputs(self) -> int:
        """How many outputs its head has."""
        return n_outputs(self.kind, len(self.classes))


def read_targets(
    y: Mapping[str, Any], n: int, kinds: Mapping[str, str] | None, classes: Mapping[str, Any] | None
) -> list[Target]:
    """The targets of all tasks.

    Parameters
    ----------
    y : mapping of str to labels
        Of each task n labels, numbers or lists of labels, None or NaN where there is none; or a matrix of n rows.
    n : int
    kinds : mapping, optional
        The kind of a task, where it is not to be told from its labels.
    classes : mapping, optional
        Names of the columns of a matrix, or all classes in their order.

    Raises
    ------
    InvalidParameterError
        Names the task, and the row that is wrong.
    """
    for what, given in (("kinds", kinds), ("classes", classes)):
        unknown = [name for name in given or {} if name not in y]
        if unknown:
            raise InvalidParameterError(f"{what} names {unknown[0]!r}, which is no task of y ({', '.join(y)}).")
    if not y:
        raise InvalidParameterError("y must hold at least one task; got none.")
    return [_read(name, values, n, (kinds or {}).get(name), (classes or {}).get(name)) for name, values in y.items()]


def _read(name: str, values: Any, n: int, kind: str | None, classes: Any) -> Target:
    if kind is not None:
        check_choice(f"kinds[{name!r}]", kind, KINDS)
    where = f"y[{name!r}]"
    if hasattr(values, "toarray"):
        values = values.toarray()
    listed = _lists(values)
    if listed is not None:
        target = _from_lists(name, listed, classes, where)
    else:
        array, ordered = _as_array(values, where)
        if len(array) != n:
            raise InvalidParameterError(f"{where} must hold one entry a row of X; got {len(array)} for {n} rows.")
        if array.ndim == 2 and array.shape[1] == 1 and kind != "multilabel":
            array = array[:, 0]
        if classes is None and ordered is not None:
            classes, kind = ordered, kind or "ordinal"
        target = _from_matrix(name, array, kind, classes, where) if array.ndim == 2 else (
            _from_column(name, array, kind, classes, where)
        )  # fmt: skip
    if len(target.P) != n:
        raise InvalidParameterError(f"{where} must hold one entry a row of X; got {len(target.P)} for {n} rows.")
    if not target.present.any():
        raise _no_label(where)
    return target


def _no_label(where: str) -> InvalidParameterError:
    return InvalidParameterError(f"{where} holds no label at all. Leave the task out.")


def _lists(values: Any) -> list[Any] | None:
    """Lists of labels, one a row, None where there is none; None for anything else."""
    objects = isinstance(values, np.ndarray) and values.dtype.kind == "O" and values.ndim == 1
    rows = values.tolist() if objects else values
    if not isinstance(rows, (list, tuple)):
        return None
    first = next((row for row in rows if not _is_missing(row)), None)
    if not isinstance(first, (list, tuple, set, frozenset)):
        return None
    known = [row for row in rows if not _is_missing(row)]
    # Rows of numbers, all of one length, are a matrix.
    strings = any(isinstance(item, str) for row in known for item in row)
    if not strings and len({len(row) for row in known}) == 1:
        return None
    return [None if _is_missing(row) else list(row) for row in rows]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and bool(np.isnan(value))) or _is_na(value)


def _is_na(value: Any) -> bool:
    """pandas' own missing value, which compares with nothing."""
    return type(value).__name__ == "NAType"


def _from_lists(name: str, rows: list[Any], classes: Any, where: str) -> Target:
    found = sorted({label for row in rows if row is not None for label in row})
    names = np.array(found if classes is None else list(classes))
    places = {label: place for place, label in enumerate(names.tolist())}
    unknown = [label for label in found if label not in places]
    if unknown:
        raise InvalidParameterError(f"{where} holds the label {unknown[0]!r}, which is not among classes.")
    P = np.full((len(rows), len(names)), np.nan)
    for number, row in enumerate(rows):
        if row is not None:
            P[number] = 0.0
            P[number, [places[label] for label in row]] = 1.0
    return Target(name, "multilabel", names, P)


def _as_array(values: Any, where: str) -> tuple[NDArray[Any], list[Any] | None]:
    """``values`` as an array, and the classes of an ordered categorical in their order."""
    dtype: Any = getattr(values, "dtype", None)
    ordered = list(dtype.categories) if getattr(dtype, "ordered", False) else None
    if isinstance(values, np.ndarray):
        return values, ordered
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy()), ordered
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise InvalidParameterError(f"{where} must be a list or an array of labels; got {type(values).__name__}.")
    items = list(values)
    if any(isinstance(item, str) for item in items) or any(item is None for item in items):
        column = np.empty(len(items), dtype=object)
        matrix = next((item for item in items if isinstance(item, (list, tuple, np.ndarray))), None)
        if matrix is not None:
            # Rows of probabilities with None for a row that has none.
            width = len(matrix)
            return np.array([[np.nan] * width if _is_missing(item) else item for item in items], float), ordered
        column[:] = items
        return column, ordered
    try:
        return np.asarray(items), ordered
    except ValueError:
        raise InvalidParameterError(
            f"{where} must hold one label a row, or rows of one length; got rows of different lengths."
        ) from None


# -- one label a row -------------------------------------------------------------------------------------------------


def _from_column(name: str, values: NDArray[Any], kind: str | None, classes: Any, where: str) -> Target:
    if values.ndim != 1:
        raise InvalidParameterError(f"{where} must have one or two dimensions; got shape {values.shape}.")
    if kind == "multilabel":
        raise InvalidParameterError(f"{where} must be a matrix, or lists of labels, for several labels a text.")
    missing = _missing(values)
    kept = values[~missing]
    if not len(kept):
        raise _no_label(where)
    if kept.dtype == object:
        kept = _of_one_type(kept, where)
    numbers = kept.dtype.kind == "f"
    if numbers and not np.isfinite(kept).all():
        raise InvalidParameterError(f"{where} must be finite, or NaN where there is no label; got infinity.")
    if kind == "regression" or (kind is None and numbers and classes is None and (kept != np.round(kept)).any()):
        return _numbers(name, kept, missing, where)
    if kind is None and classes is None and kept.dtype.kind not in "iufbUS":
        raise InvalidParameterError(f"{where} must hold strings, numbers or booleans; got {kept[0]!r:.80}.")
    return _classes(name, kept, missing, kind, classes, where)


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    if values.dtype == object:
        return np.array([_is_missing(value) for value in values], dtype=bool)
    return np.zeros(len(values), dtype=bool)


def _of_one_type(values: NDArray[Any], where: str) -> NDArray[Any]:
    types = {bool if isinstance(v, (bool, np.bool_)) else type(v) for v in values.tolist()}
    if str in types and len(types) > 1:
        listed = ", ".join(sorted(kind.__name__ for kind in types))
        raise InvalidParameterError(f"{where} must hold labels of one type; got {listed}.")
    return np.array(values.tolist())


def _numbers(name: str, kept: NDArray[Any], missing: NDArray[np.bool_], where: str) -> Target:
    if kept.dtype.kind not in "iufb":
        raise InvalidParameterError(f"{where} must hold numbers for regression; got {kept[0]!r:.80}.")
    numbers = kept.astype(np.float64)
    center, spread = float(numbers.mean()), float(numbers.std())
    spread = spread if spread > 0 else 1.0
    P = np.full((len(missing), 1), np.nan)
    P[~missing, 0] = (numbers - center) / spread
    return Target(name, "regression", np.zeros(0), P, center, spread)


def _classes(
    name: str, kept: NDArray[Any], missing: NDArray[np.bool_], kind: str | None, classes: Any, where: str
) -> Target:
    present, codes = np.unique(kept, return_inverse=True)
    names = present if classes is None else np.asarray(list(classes))
    places = {label: place for place, label in enumerate(names.tolist())}
    unknown = [label for label in present.tolist() if label not in places]
    if unknown:
        raise InvalidParameterError(f"{where} holds the label {unknown[0]!r}, which is not among classes.")
    kind = kind or ("binary" if len(names) <= 2 else "multiclass")
    _check_number(kind, names, where)
    P = np.full((len(missing), len(names)), np.nan)
    P[~missing] = np.eye(len(names))[np.array([places[label] for label in present.tolist()], np.int64)[codes]]
    return Target(name, kind, names, P)


def _check_number(kind: str, names: NDArray[Any], where: str) -> None:
    if kind != "multilabel" and len(names) < 2:
        raise InvalidParameterError(
            f"{where} must hold at least two classes to tell apart; got one class, {names.tolist()}. Leave the task "
            "out, or name its classes."
        )
    if kind == "binary" and len(names) != 2:
        raise InvalidParameterError(f"{where} must hold two classes to be binary; got {len(names)}.")


# -- a matrix --------------------------------------------------------------------------------------------------------


def _from_matrix(name: str, values: NDArray[Any], kind: str | None, classes: Any, where: str) -> Target:
    whole = values.dtype.kind != "f"
    if values.dtype == object:
        items = values.tolist()
        whole = not any(isinstance(v, float) and not _is_missing(v) for row in items for v in row)
        values = np.array([[np.nan if _is_missing(v) else v for v in row] for row in items], dtype=float)
    if values.dtype.kind not in "fiub":
        raise InvalidParameterError(f"{where} must be a matrix of numbers; got dtype {values.dtype}.")
    if kind == "regression":
        raise InvalidParameterError(f"{where} must hold one number a row for regression; got shape {values.shape}.")
    P = np.array(values, dtype=np.float64)
    names = np.arange(P.shape[1]) if classes is None else np.asarray(list(classes))
    if len(names) != P.shape[1]:
        raise InvalidParameterError(f"classes must name the {P.shape[1]} columns of {where}; got {len(names)} names.")
    outside = np.flatnonzero(((P < 0) | (P > 1 + SUM_TOLERANCE)).any(axis=1))
    if len(outside):
        raise InvalidParameterError(
            f"{where} must hold numbers between 0 and 1; row {outside[0]} is {P[outside[0]][:6].tolist()}. "
            "Turn logits into probabilities first."
        )
    sums = P.sum(axis=1)
    off = np.abs(sums - 1.0) > SUM_TOLERANCE
    off &= ~np.isnan(P).all(axis=1)
    if kind is None:
        kind = "multilabel" if whole or off.any() else "binary" if len(names) == 2 else "multiclass"
    if kind == "multilabel":
        return Target(name, kind, names, np.minimum(P, 1.0))
    _check_number(kind, names, where)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise InvalidParameterError(
            f"each row of {where} must sum to 1; row {row} sums to {sums[row]:.6g}. For labels that are independent of "
            f'each other pass kinds={{{name!r}: "multilabel"}}; a row without a label is all NaN.'
        )
    return Target(name, kind, names, P / sums[:, None])
