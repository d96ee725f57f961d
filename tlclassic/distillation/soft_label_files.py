"""Files of texts with their probabilities, as ``tlclassic predict --proba`` writes them or as made by hand."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlclassic.data import read_batches
from tlclassic.data.head import first_row
from tlclassic.data.rows import shorten
from tlclassic.errors import DataFormatError, InvalidParameterError
from tlclassic.heads.targets import SUM_TOLERANCE

__all__ = ["SoftLabelFile", "SoftLabels", "read_soft_labels"]

#: What ``tlclassic predict --proba`` calls its columns.
_NESTED, _PREFIX = "proba", "proba_"
_LABEL = "label"


class SoftLabels(NamedTuple):
    """Texts with their probabilities.

    Attributes
    ----------
    texts : list of str of length n
    classes : list of length C
    P : float32 array of shape (n, C)
        Rows sum to 1 unless ``multilabel``.
    multilabel : bool
    """

    texts: list[str]
    classes: list[Any]
    P: NDArray[np.float32]
    multilabel: bool


def read_soft_labels(
    path: str | os.PathLike[str],
    *,
    text: str = "text",
    classes: Sequence[Any] | None = None,
    multilabel: bool | None = None,
    format: str | None = None,
    quoted: bool | None = None,
) -> SoftLabels:
    """All texts of a file with their probabilities; parameters and errors as for :class:`SoftLabelFile`."""
    file = SoftLabelFile(path, text=text, classes=classes, multilabel=multilabel, format=format, quoted=quoted)
    texts: list[str] = []
    parts = [np.empty((0, len(file.classes)), dtype=np.float32)]
    for batch, P in file:
        texts += batch
        parts.append(P)
    return SoftLabels(texts, file.classes, np.concatenate(parts), file.multilabel)


class SoftLabelFile:
    """A file of texts with their probabilities, streamed anew by every ``for`` loop: ``(texts, P)`` a batch.

    The probabilities stand as ``tlclassic predict --proba --keep text`` writes them, in a column ``proba_CLASS`` for
    each class (TSV, CSV, Parquet) or an object ``proba`` (JSONL); or in a column named as the class is.

    Parameters
    ----------
    path : path-like
        TSV, CSV, JSONL or Parquet, also packed.
    text : str
        The column of the texts.
    classes : sequence, optional
        Their order and types: str, int or bool. By default the names of the columns of probabilities, in their order:
        those with ``proba_``, else all but ``text`` and ``label``; typed as ``label`` beside them is.
    multilabel : bool, optional
        Whether rows need not sum to 1. By default if the first row's ``label`` is a list.
    format, quoted
        As in :func:`tlclassic.data.read_batches`.
    batch_size : int
        Rows at a time.

    Attributes
    ----------
    classes : list
    multilabel : bool

    Raises
    ------
    DataFormatError
        For what cannot be read: a column that is missing, a value that is no probability, a row that does not sum to 1;
        names file and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "soft.tsv")
    >>> _ = path.write_text("text\\tproba_no\\tproba_yes\\nfine\\t0.25\\t0.75\\n")
    >>> file = SoftLabelFile(path)
    >>> file.classes, [(texts, P.tolist()) for texts, P in file]
    (['no', 'yes'], [(['fine'], [[0.25, 0.75]])])
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        text: str = "text",
        classes: Sequence[Any] | None = None,
        multilabel: bool | None = None,
        format: str | None = None,
        quoted: bool | None = None,
        batch_size: int = 4096,
    ) -> None:
        if os.fspath(path) == "-":
            raise InvalidParameterError("path must be a file: the head is read before the rows. Write it to one first.")
        self.path = path
        self._text = text
        self._options: dict[str, Any] = {"format": format, "quoted": quoted, "batch_size": batch_size}
        first = first_row(path, format=format, quoted=quoted)
        self._is_nested = isinstance(first.get(_NESTED), dict)
        given = None if classes is None else list(classes)
        names = list(first[_NESTED]) if self._is_nested else [name for name in first if name != text]
        self.classes, self._columns = self._find(names, given)
        self.multilabel = isinstance(first.get(_LABEL), list) if multilabel is None else multilabel
        if given is None and _LABEL in first and _LABEL not in self.classes:
            self.classes = _like_label(self.classes, self._a_label())

    def __iter__(self) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        wanted = [_NESTED] if self._is_nested else self._columns
        for batch in read_batches(self.path, columns=[self._text], optional=wanted, **self._options):
            columns = [batch.columns[name] for name in wanted]
            if self._is_nested:
                columns = self._unnested(columns[0], batch.lines)
            yield batch.columns[self._text], self._matrix(columns, batch.lines)

    def _a_label(self) -> Any:
        """The first label there is; of several labels a text the first texts may have none."""
        batches = read_batches(self.path, columns=[self._text], optional=[_LABEL], **self._options)
        label = next((label for batch in batches for label in batch.columns[_LABEL] if label not in (None, [])), None)
        return label[0] if isinstance(label, list) else label

    # -- columns -----------------------------------------------------------------------------------------------------

    def _find(self, names: list[str], classes: list[Any] | None) -> tuple[list[Any], list[str]]:
        """The classes and the columns (or keys) that hold their probabilities."""
        prefix = _PREFIX if not self._is_nested and any(name.startswith(_PREFIX) for name in names) else ""
        there = {
            name.removeprefix(prefix): name
            for name in names
            if name.startswith(prefix) and (prefix or self._is_nested or name != _LABEL or name in (classes or ()))
        }
        if classes is None:
            if not there:
                raise self._error(f"there is no column of probabilities beside {self._text!r}", None)
            return list(there), list(there.values())
        missing = [label for label in classes if str(label) not in there]
        if missing or not classes or len(set(map(str, classes))) != len(classes):
            what = f"no probabilities of the class {missing[0]!r}" if missing else f"classes are {classes!r:.200}"
            raise self._error(f"{what}; there are those of {', '.join(map(repr, there)) or 'none'}", None)
        return classes, [there[str(label)] for label in classes]

    def _unnested(self, values: list[Any], lines: list[int]) -> list[list[Any]]:
        for line, value in zip(lines, values, strict=True):
            absent = [name for name in self._columns if not isinstance(value, dict) or name not in value]
            if absent:
                raise self._error(f"{_NESTED!r} lacks the class {absent[0]!r}; got {shorten(value)}", line)
        return [[value[name] for value in values] for name in self._columns]

    # -- values ------------------------------------------------------------------------------------------------------

    def _matrix(self, columns: list[list[Any]], lines: list[int]) -> NDArray[np.float32]:
        P = np.empty((len(lines), len(columns)))
        for place, (name, column) in enumerate(zip(self._columns, columns, strict=True)):
            P[:, place] = self._numbers(name, column, lines)
        if self.multilabel:
            return P.astype(np.float32)
        sums = P.sum(axis=1)
        wrong = np.flatnonzero(np.abs(sums - 1.0) > SUM_TOLERANCE)
        if len(wrong):
            message = f"the probabilities sum to {sums[wrong[0]]:.6g} and not to 1"
            remedy = "Correct the row, name the classes (classes=), or pass multilabel=True"
            raise self._error(message, lines[wrong[0]], remedy)
        return np.asarray(P / sums[:, None], dtype=np.float32)

    def _numbers(self, name: str, column: list[Any], lines: list[int]) -> NDArray[np.float64]:
        try:
            if bool in set(map(type, column)):
                raise ValueError
            values = np.array(column, dtype=np.float64)
        except (TypeError, ValueError):
            values = np.array([_number(value) for value in column])
        wrong = np.flatnonzero(~((values >= 0.0) & (values <= 1.0 + SUM_TOLERANCE)))
        if len(wrong):
            raise self._error(
                f"the probability of {name!r} must be a number from 0 to 1, got {shorten(column[wrong[0]])}",
                lines[wrong[0]],
                "Correct it, or name the columns of probabilities (classes=)",
            )
        return np.minimum(values, 1.0)

    def _error(self, message: str, line: int | None, remedy: str = "Name the classes (classes=)") -> DataFormatError:
        return DataFormatError(message, path=self.path, line=line, remedy=remedy)


def _like_label(names: list[Any], label: Any) -> list[Any]:
    """Names of columns, which are strings, as the labels beside them are typed or spelt."""
    places: dict[str, Any]
    if isinstance(label, bool):
        places = {"True": True, "False": False}
    elif label in ("true", "false"):
        places = {"True": "true", "False": "false"}
    elif isinstance(label, int):
        places = {name: int(name) for name in names if re.fullmatch(r"-?\d+", name)}
    else:
        return names
    return [places[name] for name in names] if set(names) <= set(places) else names


def _number(value: Any) -> float:
    """NaN for what is none."""
    try:
        return float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return float("nan")
