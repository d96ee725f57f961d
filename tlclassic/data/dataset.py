"""`load_dataset`: texts with labels, as lists."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Any

from tlclassic._validate import check_choice
from tlclassic.data.batches import check_options, scan
from tlclassic.data.rows import Wanted, shorten
from tlclassic.errors import DataFormatError, InvalidParameterError

__all__ = ["Dataset", "load_dataset"]

#: Labels are of one of these types, the same in the whole file.
_LABEL_TYPES = {str: "string", int: "integer", bool: "boolean"}


@dataclass(frozen=True)
class Dataset:
    """Labelled texts.

    Attributes
    ----------
    texts : list of str
    labels : list
        One label a text (str, int or bool), or a list of labels when ``multilabel``.
    lines : list of int
        1-based line of each text in its file.
    n_unlabelled : int
        Rows without a label, which are left out of the lists.
    multilabel : bool
    weights : list of float or None
        How much each text counts; None where no column was named.
    """

    texts: list[str]
    labels: list[Any]
    lines: list[int]
    n_unlabelled: int = 0
    multilabel: bool = False
    weights: list[float] | None = None

    def __len__(self) -> int:
        return len(self.lines)


def load_dataset(
    source: str | os.PathLike[str],
    *,
    text: str | None = "text",
    label: str | None = "label",
    weight: str | None = None,
    multilabel: bool | None = None,
    separator: str = ",",
    format: str | None = None,
    quoted: bool | None = None,
    empty: str = "error",
) -> Dataset:
    """Load the texts and labels of a file, or of standard input.

    Parameters
    ----------
    source, format, quoted
        As in `read_batches`.
    text, label : str or None
        Column names; ``None`` leaves that column unread (its list is then empty).
    weight : str, optional
        Column of the texts' weights, finite numbers from 0 on; read of the rows that have a label.
    multilabel : bool, optional
        Whether a row has a set of labels. By default it has where the label is a list (JSONL, Parquet); with ``True``
        a string is split at ``separator``. A label that is there twice is taken once.
    separator : str
        Between the labels of one string.
    empty : {"error", "keep"}
        Whether a text that is empty or white space is refused.

    Returns
    -------
    Dataset
        Labels keep their type: strings from TSV and CSV; strings, integers or booleans from JSONL and Parquet. A
        float with an integer value (what pandas makes of integers with gaps) becomes an integer. A missing, null or
        blank label (NaN in Parquet) is no label; an empty list says that no label applies.

    Raises
    ------
    DataFormatError
        For anything in the file that cannot be read, with file and line.
    """
    check_choice("empty", empty, ("keep", "error"))
    check_choice("multilabel", multilabel, (None, True, False))
    if not isinstance(separator, str) or not separator:
        raise InvalidParameterError(f"separator must be a string that is not empty; got {separator!r}.")
    wanted = Wanted(
        required=(text,) if text is not None else (),
        nullable=tuple(name for name in (label, weight) if name is not None),
    )
    check_options(wanted, format, quoted)
    name = "<stdin>" if source == "-" else os.fspath(source)
    labels = _Labels(name, multilabel, separator)
    texts: list[str] = []
    lines: list[int] = []
    weights: list[float] = []
    for batch in scan(source, wanted, format=format, quoted=quoted, empty=empty):
        kept = labels.take(batch.columns[label], batch.lines) if label is not None else range(len(batch))
        lines.extend(batch.lines[place] for place in kept)
        if text is not None:
            column = batch.columns[text]
            texts.extend(column[place] for place in kept)
        if weight is not None:
            column = batch.columns[weight]
            weights.extend(_weight(column[place], name, weight, batch.lines[place]) for place in kept)
    found = None if weight is None else weights
    return Dataset(texts, labels.values, lines, labels.n_missing, labels.multilabel is True, found)


@dataclass
class _Labels:
    """Collects labels, checks that they are of one kind, and counts the rows without."""

    name: str
    multilabel: bool | None
    separator: str
    values: list[Any] = field(default_factory=list)
    n_missing: int = 0
    kind: type | None = None
    kind_line: int = 0

    def take(self, column: list[Any], lines: list[int]) -> list[int]:
        """Add the labels of a batch; the positions of the rows that have one."""
        kept: list[int] = []
        for place, (value, line) in enumerate(zip(column, lines, strict=True)):
            if _is_missing(value):
                self.n_missing += 1
                continue
            self.values.append(self._label(value, line))
            kept.append(place)
        return kept

    def _label(self, value: Any, line: int) -> Any:
        if self.multilabel is None:
            self.multilabel = isinstance(value, list)
        if not self.multilabel:
            if isinstance(value, list):
                raise self._error("a list of labels", line, "Pass multilabel=True, or give each row one label")
            return self._atom(value, line)
        if isinstance(value, str):
            value = [part.strip() for part in value.split(self.separator) if part.strip()]
        elif not isinstance(value, list):
            raise self._error(f"a label that is not a list: {shorten(value)}", line, "Give each row a list of labels")
        if any(isinstance(item, str) and not item.strip() for item in value):
            raise self._error("a blank label in a list", line, "Remove it; an empty list says that no label applies")
        return list(dict.fromkeys(self._atom(item, line) for item in value))

    def _atom(self, value: Any, line: int) -> Any:
        if type(value) is float and value.is_integer():
            value = int(value)
        kind = type(value)
        if kind not in _LABEL_TYPES:
            message = f"a label of type {kind.__name__}: {shorten(value)}"
            raise self._error(message, line, "A label is a string, an integer or a boolean")
        if self.kind is None:
            self.kind, self.kind_line = kind, line
        elif self.kind is not kind:
            first = f"line {self.kind_line} has {_LABEL_TYPES[self.kind]}"
            message = f"labels of mixed types: {_LABEL_TYPES[kind]} here, {first}"
            raise self._error(message, line, "Give all labels the same type")
        return value

    def _error(self, message: str, line: int, remedy: str) -> DataFormatError:
        return DataFormatError(message, path=self.name, line=line, remedy=remedy)


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value != value


def _weight(value: Any, path: str, column: str, line: int) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        message = f"column {column!r} must be a number that is not negative, got {shorten(value)}"
        raise DataFormatError(message, path=path, line=line, remedy="Correct the weight; 0 leaves the text out")
    return number
