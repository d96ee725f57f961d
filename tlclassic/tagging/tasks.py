"""The tasks of a tagger: what its targets are, which labels they have, and targets as arrays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError, RepairWarning
from tlclassic.tagging.schemes import allowed, detect_scheme, repair, to_bilou, to_iob2

__all__ = ["KINDS", "SINGLE", "Targets", "Task", "read_targets"]

#: A tag for each token; one label of the sentence; any number of labels of the sentence.
KINDS = ("tags", "label", "labels")
#: The name of the task of a tagger that has one and was given it without a name.
SINGLE = "tags"
_TYPES = (str, int, bool)


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes
    ----------
    name : str
    kind : {"tags", "label", "labels"}
    classes : tuple of str, int or bool
        Sorted. Of tags that mark entities, as they are learned (``inner``).
    scheme : str
        Scheme of the tags that are given and predicted; ``"none"`` for the other kinds.
    inner : str
        Scheme that is learned.
    """

    name: str
    kind: str
    classes: tuple[Any, ...]
    scheme: str = "none"
    inner: str = "none"

    @property
    def size(self) -> int:
        """How many columns of scores it has."""
        return len(self.classes)

    def links(self) -> NDArray[np.float32]:
        """Links that allow what the scheme allows, float32 of shape (k + 2, k): 0 or minus infinity."""
        return np.where(allowed(self.classes, self.inner), 0, -np.inf).astype(np.float32)

    def decode(self, tags: list[Any]) -> list[Any]:
        """Tags as they are learned, in the scheme that was given."""
        return to_iob2(tags) if self.inner == "bilou" and self.scheme == "iob2" else tags


@dataclass(frozen=True)
class Targets:
    """All tasks' targets as arrays.

    Attributes
    ----------
    tasks : tuple of Task
    named : bool
        Whether they were given as a dict.
    gold : int32 array of shape (A, N)
        A row for each task of tags; -1 in sentences without.
    labels : float32 array of shape (S, L)
        A column for each label of the documents' tasks; -1 where there is none.
    """

    tasks: tuple[Task, ...]
    named: bool
    gold: NDArray[np.int32]
    labels: NDArray[np.float32]

    def of_tags(self) -> Targets:
        """Those of the tokens alone."""
        tasks = tuple(task for task in self.tasks if task.kind == "tags")
        return Targets(tasks, self.named, self.gold, self.labels[:, :0])

    def of_labels(self) -> Targets:
        """Those of the sentences alone."""
        tasks = tuple(task for task in self.tasks if task.kind != "tags")
        return Targets(tasks, self.named, self.gold[:0], self.labels)


def read_targets(y: Any, lengths: Sequence[int], *, scheme: str, bilou: bool) -> Targets:
    """Targets of sentences with so many tokens.

    Parameters
    ----------
    y : list of n lists of tags, or dict of name to such a list or a list of n labels or sets of labels
        None in the place of a sentence's tags or label: not known.
    scheme : {"auto", "none", "iob2", "bilou"}
    bilou : bool
        Whether IOB2 is learned as BILOU.

    Raises
    ------
    InvalidParameterError
        Names the task and the place.
    """
    given = dict(y) if isinstance(y, Mapping) else {SINGLE: y}
    if not given:
        raise InvalidParameterError("tags must name at least one task; got an empty dict.")
    tasks, gold, labels = [], [], []
    for name, column in given.items():
        values = _listed(name, column, len(lengths))
        kind = _kind_of(name, values)
        if kind == "tags":
            task, row = _read_tags(name, values, lengths, scheme, bilou)
            gold.append(row)
        else:
            task, matrix = _read_labels(name, values, kind)
            labels.append(matrix)
        tasks.append(task)
    return Targets(
        tuple(tasks),
        isinstance(y, Mapping),
        np.array(gold, np.int32).reshape(len(gold), sum(lengths)),
        np.hstack([np.zeros((len(lengths), 0), np.float32), *labels]),
    )


def _listed(name: str, column: Any, n: int) -> list[Any]:
    if not isinstance(name, str):
        raise InvalidParameterError(f"a task's name must be a string; got {name!r}.")
    if isinstance(column, (str, bytes)) or not hasattr(column, "__iter__"):
        raise InvalidParameterError(f"{name} must be a list with an item for each sentence; got {column!r:.80}.")
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    if len(values) != n:
        raise InvalidParameterError(f"{name} must hold an item for each of the {n} sentences; got {len(values)}.")
    return values


def _kind_of(name: str, values: list[Any]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        raise InvalidParameterError(f"{name} must hold at least one sentence's tags or label; all are None.")
    if all(isinstance(value, (set, frozenset)) for value in known):
        return "labels"
    lists = [hasattr(value, "__len__") and not isinstance(value, (str, bytes, set, frozenset)) for value in known]
    if any(lists) and not all(lists):
        raise InvalidParameterError(f"{name} must hold lists of tags, or labels, or sets of labels; got a mixture.")
    return "tags" if lists[0] else "label"


def _atom(name: str, place: int, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if type(value) not in _TYPES:
        raise InvalidParameterError(f"{name}[{place}] must be of type str, int or bool; got {value!r:.80}.")
    return value


def _classes(name: str, values: set[Any]) -> tuple[Any, ...]:
    kinds = {type(value) for value in values}
    if len(kinds) > 1:
        shown = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InvalidParameterError(f"{name} must have labels of one type; got {shown}.")
    return tuple(sorted(values))


# --- tags ------------------------------------------------------------------------------------------------------------


def _read_tags(
    name: str, values: list[Any], lengths: Sequence[int], scheme: str, bilou: bool
) -> tuple[Task, NDArray[np.int32]]:
    rows: list[list[Any] | None] = []
    for place, (tags, length) in enumerate(zip(values, lengths, strict=True)):
        if tags is not None and len(tags) != length:
            raise InvalidParameterError(
                f"{name}[{place}] must hold a tag for each of the {length} tokens; got {len(tags)}. Check the sentence."
            )
        rows.append(None if tags is None else [_atom(name, place, tag) for tag in tags])
    distinct = {tag for row in rows if row is not None for tag in row}
    if not distinct:
        raise InvalidParameterError(f"{name} must hold at least one tag; all its sentences are empty.")
    found = detect_scheme(distinct) if scheme == "auto" else scheme
    inner = "bilou" if found == "iob2" and bilou else found
    legal = _legal(name, rows, found, inner)
    classes = _classes(name, {tag for row in legal if row is not None for tag in row} | _outside(distinct, inner))
    number = {tag: i for i, tag in enumerate(classes)}
    flat: list[int] = []
    for row, length in zip(legal, lengths, strict=True):
        flat += [-1] * length if row is None else [number[tag] for tag in row]
    return Task(name, "tags", classes, found, inner), np.array(flat, np.int32)


def _outside(distinct: set[Any], inner: str) -> set[str]:
    """What keeps every sentence taggable: O, and where all begin with B or U, nothing else is needed."""
    return {"O"} if inner != "none" and all(isinstance(tag, str) for tag in distinct) else set()


def _legal(name: str, rows: list[list[Any] | None], scheme: str, inner: str) -> list[list[Any] | None]:
    if scheme == "none":
        return rows
    legal: list[list[Any] | None] = []
    repaired, first = 0, -1
    for place, row in enumerate(rows):
        if row is None:
            legal.append(None)
            continue
        fixed, changed = repair(row, scheme)
        if changed and first < 0:
            first = place
        repaired += changed
        legal.append(to_bilou(fixed) if inner == "bilou" and scheme == "iob2" else fixed)
    if repaired:
        message = f"{name}: {repaired} tags that {scheme} does not allow were repaired (the first in sentence {first})"
        warnings.warn(message, RepairWarning, stacklevel=5)
    return legal


# --- labels ----------------------------------------------------------------------------------------------------------


def _read_labels(name: str, values: list[Any], kind: str) -> tuple[Task, NDArray[np.float32]]:
    sets = [
        None if value is None else {_atom(name, place, item) for item in (value if kind == "labels" else [value])}
        for place, value in enumerate(values)
    ]
    classes = _classes(name, {item for value in sets if value is not None for item in value})
    if not classes:
        raise InvalidParameterError(f"{name} must hold at least one label; all its sets are empty.")
    number = {label: i for i, label in enumerate(classes)}
    matrix = np.zeros((len(values), len(classes)), np.float32)
    for row, value in zip(matrix, sets, strict=True):
        if value is None:
            row[:] = -1
        else:
            row[[number[item] for item in value]] = 1
    return Task(name, kind, classes), matrix
