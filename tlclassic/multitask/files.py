"""Texts and the labels of several tasks from files: one file a task, or one with a column a task."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tlclassic.data import read_batches
from tlclassic.errors import DataFormatError, InvalidParameterError
from tlclassic.multitask.stacking import stack
from tlclassic.runtime.tasks import KINDS

__all__ = ["label_columns", "parse_kinds", "read_columns", "read_files"]

#: Kinds whose labels are numbers.
_NUMBERS = {"regression": float, "ordinal": int}


def parse_kinds(given: Sequence[str], tasks: Sequence[str]) -> dict[str, str]:
    """``{"stars": "ordinal"}`` of ``["stars=ordinal"]``.

    Raises
    ------
    InvalidParameterError
        For one that names no task, or no kind.
    """
    kinds = {}
    for item in given:
        name, _, kind = item.rpartition("=")
        if name not in tasks or kind not in KINDS:
            raise InvalidParameterError(
                f"kind must be TASK=KIND with a task ({', '.join(tasks)}) and one of {', '.join(KINDS)}; got {item!r}."
            )
        kinds[name] = kind
    return kinds


def label_columns(tasks: Sequence[str], n_files: int, label: str) -> dict[str, str]:
    """The column of each task's labels: of its name in one file, ``label`` in files of its own.

    Raises
    ------
    InvalidParameterError
        When there are several files, and not as many tasks.
    """
    if len(set(tasks)) < len(tasks):
        raise InvalidParameterError(f"task must name each task once; got {', '.join(tasks)}.")
    if n_files == 1:
        return {name: name for name in tasks}
    if len(tasks) != n_files:
        raise InvalidParameterError(f"task must name one task a file; got {len(tasks)} for {n_files} files.")
    return dict.fromkeys(tasks, label)


def read_files(
    paths: Sequence[str | os.PathLike[str]],
    columns: Mapping[str, str],
    *,
    text: str,
    kinds: Mapping[str, str] | None = None,
    separator: str = ",",
    format: str | None = None,
    quoted: bool | None = None,
) -> tuple[list[str], dict[str, Any]]:
    """Texts and labels of all tasks, for :meth:`tlclassic.MultiTaskClassifier.fit`.

    Parameters
    ----------
    paths : sequence of path-like
        One file with a column for each task, or one file a task in the order of ``columns``.
    columns : mapping of str to str
        Of each task the column of its labels.
    text : str
        The column of the texts.
    kinds : mapping, optional
        Labels of "regression" and "ordinal" are read as numbers, those of "multilabel" are cut at ``separator``.
    separator : str
    format, quoted
        As in :func:`tlclassic.data.read_batches`.

    Raises
    ------
    DataFormatError
        For a file that cannot be read, a column without any label, a label that is no number.
    """
    options: dict[str, Any] = {"text": text, "kinds": kinds or {}, "separator": separator, "format": format}
    if len(paths) == 1:
        return read_columns(paths[0], columns, quoted=quoted, **options)
    parts = {}
    for path, (name, column) in zip(paths, columns.items(), strict=True):
        texts, labels = read_columns(path, {name: column}, quoted=quoted, **options)
        parts[name] = (texts, labels[name])
    return stack(parts)


def read_columns(
    path: str | os.PathLike[str],
    columns: Mapping[str, str],
    *,
    text: str,
    kinds: Mapping[str, str],
    separator: str,
    format: str | None = None,
    quoted: bool | None = None,
) -> tuple[list[str], dict[str, list[Any]]]:
    """The texts of one file, and of each task its labels, None where there is none; see :func:`read_files`."""
    texts: list[str] = []
    labels: dict[str, list[Any]] = {name: [] for name in columns}
    name_of_file = "<stdin>" if path == "-" else os.fspath(path)
    wanted = [column for column in dict.fromkeys(columns.values()) if column != text]
    for batch in read_batches(path, columns=[text], optional=wanted, format=format, quoted=quoted, empty="error"):
        texts += batch.columns[text]
        for name, column in columns.items():
            for value, line in zip(batch.columns[column], batch.lines, strict=True):
                labels[name].append(_label(value, kinds.get(name), separator, name_of_file, column, line))
    for name, column in columns.items():
        if all(value is None for value in labels[name]):
            raise DataFormatError(
                f"column {column!r} has no label", path=name_of_file, remedy="Check the names of the tasks' columns"
            )
    return texts, labels


def _label(value: Any, kind: str | None, separator: str, path: str, column: str, line: int) -> Any:
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return None
    if kind == "multilabel":
        if isinstance(value, str):
            return [part.strip() for part in value.split(separator) if part.strip()]
        return list(value) if isinstance(value, (list, tuple)) else [value]
    if kind in _NUMBERS and isinstance(value, str):
        try:
            return _NUMBERS[kind](value)
        except ValueError:
            raise DataFormatError(
                f"column {column!r} must hold numbers for a task of kind {kind}, got {value!r:.80}",
                path=path,
                line=line,
                remedy="Correct the label, or leave the cell empty",
            ) from None
    return value
