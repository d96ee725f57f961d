"""The data of a search, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.targets import Targets, read_targets

__all__ = ["Problem", "read_problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """Texts with targets.

    Attributes
    ----------
    texts : list of str of length n + n_dev
        For training, then those of the dev set.
    targets : Targets
        ``P`` of shape (n + n_dev, C), hard. A dev row whose class training does not have is all zero.
    n : int
        Training rows.
    """

    texts: list[str]
    targets: Targets
    n: int

    @property
    def n_dev(self) -> int:
        """Rows of the dev set; 0 without one."""
        return len(self.texts) - self.n

    def labels(self, rows: NDArray[np.int64]) -> Any:
        """Class of each row; for multi-label an int64 indicator matrix."""
        P = self.targets.P[rows]
        return P.astype(np.int64) if self.targets.multilabel else self.targets.classes[P.argmax(axis=1)]


def read_problem(texts: Any, labels: Any, dev: Any, multilabel: bool) -> Problem:
    """Check what was given to ``tune``.

    Raises
    ------
    InvalidParameterError
        Says which argument is wrong and how.
    """
    texts = list(check_texts(texts))
    _check_length("labels", labels, texts)
    targets = _multilabel(labels, None) if multilabel else read_targets(labels)
    _check_learnable(targets)
    if dev is None:
        return Problem(texts, targets, len(texts))
    if not isinstance(dev, (tuple, list)) or len(dev) != 2:
        raise InvalidParameterError("dev must be a pair (texts, labels); leave it out to hold out part of the texts.")
    dev_texts = list(check_texts(dev[0]))
    _check_length("dev[1]", dev[1], dev_texts)
    if not dev_texts:
        raise InvalidParameterError("dev must have at least one text; got none. Leave it out or give some.")
    classes = targets.classes.tolist()
    P = _multilabel(dev[1], classes).P if multilabel else _known(dev[1], classes)
    if not multilabel and not P.any():
        raise InvalidParameterError(f"none of the dev labels occurs in training, where they are {classes[:5]!r}...")
    return Problem(texts + dev_texts, Targets(targets.classes, np.vstack([targets.P, P]), multilabel), len(texts))


def _check_length(name: str, labels: Any, texts: Sequence[str]) -> None:
    n = labels.shape[0] if hasattr(labels, "shape") and len(labels.shape) else len(labels)
    if n != len(texts):
        raise InvalidParameterError(f"{name} must be as many as its texts; got {n} labels and {len(texts)} texts.")


def _check_learnable(targets: Targets) -> None:
    n = len(targets.P)
    if n < 4:
        raise InvalidParameterError(f"at least 4 labelled texts are needed to tune; got {n}.")
    if targets.multilabel:
        if not targets.P.any():
            raise InvalidParameterError("no text has a label; at least one label is needed to tune.")
    elif len(targets.classes) < 2:
        raise InvalidParameterError(f"at least two classes are needed to tune; got only {targets.classes.tolist()!r}.")


def _multilabel(labels: Any, classes: list[Any] | None) -> Targets:
    """Of an indicator matrix, or of a list of labels a row."""
    if hasattr(labels, "ndim") and labels.ndim == 2:
        targets = read_targets(labels, classes=classes, multilabel=True)
        if not np.isin(targets.P, (0.0, 1.0)).all():
            raise InvalidParameterError("labels must be 0 or 1 to tune; got probabilities. Round them first.")
        return targets
    for position, row in enumerate(labels):
        if isinstance(row, (str, bytes)) or not isinstance(row, Sequence):
            raise InvalidParameterError(
                f"labels[{position}] must be a list of labels, as multilabel=True; got {row!r}. "
                "For one label a text leave multilabel out."
            )
    names = np.unique([label for row in labels for label in row]).tolist() if classes is None else classes
    place = {name: column for column, name in enumerate(names)}
    P = np.zeros((len(labels), len(names)))
    for i, row in enumerate(labels):
        # A dev label that training does not know has no column.
        P[i, [place[label] for label in row if label in place]] = 1.0
    return Targets(np.asarray(names), P, True)


def _known(labels: Any, classes: list[Any]) -> NDArray[np.float64]:
    place = {name: column for column, name in enumerate(classes)}
    P = np.zeros((len(labels), len(classes)))
    for i, label in enumerate(np.asarray(labels).tolist()):
        if label in place:
            P[i, place[label]] = 1.0
    return P
