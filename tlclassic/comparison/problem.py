"""What is compared on: training, dev and test texts, checked and told apart; and what a user sets."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.evaluation.counting import is_multilabel, plain_labels

__all__ = ["Labelled", "Problem", "Settings", "digest_of", "read_problem"]

#: Of the training texts, where no dev texts are given.
HELD_OUT_SHARE, HELD_OUT_MOST = 0.1, 5_000
_FEWEST = 8


@dataclass(frozen=True)
class Settings:
    """What models need that is not in the data; a model without what it needs is left out.

    Attributes
    ----------
    encoder : Path or None
        Folder of a transformer encoder: with a graph for ``frozen``, with torch weights for ``finetuned``.
    finetuned : Path or None
        A fine-tuned encoder's folder, to be taken instead of fine-tuning one.
    vectors : Path or None
        A file or folder of word vectors.
    student_size : str or None
        Of the distilled student's file, such as ``"2MB"``.
    columns : dict
        ``text``, ``label`` and ``separator``: how the files were read; kept in the saved models.
    seed : int
    """

    encoder: Path | None = None
    finetuned: Path | None = None
    vectors: Path | None = None
    student_size: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Labelled:
    """Texts with labels.

    Attributes
    ----------
    texts : list of str, length n
    labels : list
        One label a text (str, int or bool), or a tuple of labels.
    targets : int64 array (n,) or (n, C)
        Places of the labels in the classes; for several labels a text 0 and 1.
    """

    texts: list[str]
    labels: list[Any]
    targets: NDArray[np.int64]

    @property
    def plain(self) -> list[Any]:
        """Labels as other parts of tlclassic take them: lists instead of tuples."""
        return [list(row) if isinstance(row, tuple) else row for row in self.labels]

    @property
    def pair(self) -> tuple[list[str], Any]:
        """Texts, and labels or the indicator matrix."""
        return self.texts, self.targets if self.targets.ndim == 2 else self.labels


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that models are fitted on and chosen by.

    Attributes
    ----------
    train, dev : Labelled
    classes : list
        Sorted, those of the training texts.
    multilabel : bool
    unlabelled : list of str
    held_out : bool
        Whether dev is a part of what was given for training.
    digest : str
        Hex, of all of it but the texts without labels.
    """

    train: Labelled
    dev: Labelled
    classes: list[Any]
    multilabel: bool
    unlabelled: list[str]
    held_out: bool
    digest: str

    @property
    def metric(self) -> str:
        """What is chosen by on dev."""
        return "macro_f1" if self.multilabel else "accuracy"


def digest_of(*facts: Any) -> str:
    """SHA-256 (hex) of JSON-able facts."""
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(json.dumps(fact, sort_keys=True, default=str).encode() + b"\0")
    return digest.hexdigest()


def read_problem(
    train: tuple[Sequence[str], Sequence[Any]],
    dev: tuple[Sequence[str], Sequence[Any]] | None,
    unlabelled: Sequence[str],
    seed: int,
) -> Problem:
    """Check the texts; hold out a tenth of the training texts, at most 5,000, where there is no dev.

    Raises
    ------
    InvalidParameterError
        For too few texts or classes, labels of mixed kinds, or dev labels that training does not have.
    """
    texts, labels = read_pair("train", train)
    multilabel = is_multilabel(labels)
    if len(texts) < _FEWEST:
        raise InvalidParameterError(f"train must have at least {_FEWEST} labelled texts; got {len(texts)}.")
    digest = digest_of(texts, labels, None if dev is None else [list(dev[0]), list(dev[1])])
    held_out = dev is None
    if dev is None:
        (texts, labels), other = _hold_out(texts, labels, multilabel, seed)
    else:
        other = read_pair("dev", dev)
        if not other[0] or is_multilabel(other[1]) != multilabel:
            raise InvalidParameterError("dev must hold labelled texts of the same kind as train.")
    classes = sorted({one for row in labels for one in (row if multilabel else [row])})
    if len(classes) < 2:
        raise InvalidParameterError(f"train must have at least two classes; got {classes!r}.")
    known = set(classes)
    strange = sorted({str(one) for row in other[1] for one in (row if multilabel else [row]) if one not in known})
    if strange:
        raise InvalidParameterError(
            f"dev must have labels that train has; got {', '.join(strange[:5])}. Leave those rows out."
        )
    return Problem(
        _labelled(texts, labels, classes, multilabel),
        _labelled(other[0], other[1], classes, multilabel),
        classes,
        multilabel,
        list(dict.fromkeys(check_texts(unlabelled))),
        held_out,
        digest_of(digest, seed if held_out else None),
    )


def read_pair(name: str, pair: tuple[Sequence[str], Sequence[Any]]) -> tuple[list[str], list[Any]]:
    """Texts and plain labels, as many of one as of the other.

    Raises
    ------
    InvalidParameterError
    """
    texts, labels = list(check_texts(pair[0])), plain_labels(f"{name} labels", pair[1])
    if len(texts) != len(labels):
        raise InvalidParameterError(f"{name} must have as many labels as texts; got {len(labels)} and {len(texts)}.")
    return texts, labels


def _hold_out(texts: list[str], labels: list[Any], multilabel: bool, seed: int) -> tuple[Any, Any]:
    """Training and dev rows, every class with at least one row in training."""
    order = np.random.default_rng(seed).permutation(len(texts)).tolist()
    wanted = max(2, min(HELD_OUT_MOST, round(len(texts) * HELD_OUT_SHARE)))
    sets = [row if multilabel else (row,) for row in labels]
    left = Counter(chain.from_iterable(sets))
    out: set[int] = set()
    for row in order if multilabel else _in_turn(order, labels):
        if len(out) < wanted and all(left[one] > 1 for one in sets[row]):
            left.subtract(sets[row])
            out.add(row)
    if not out:
        raise InvalidParameterError("train must have a class with two texts, one of them to choose by. Give dev texts.")
    kept = [row for row in range(len(texts)) if row not in out]
    train, dev = (([texts[i] for i in rows], [labels[i] for i in rows]) for rows in (kept, sorted(out)))
    return train, dev


def _in_turn(order: list[int], labels: list[Any]) -> list[int]:
    """Rows so that every beginning has the classes in proportion."""
    sizes, seen = Counter(labels), Counter[Any]()
    ranks = {}
    for row in order:
        seen[labels[row]] += 1
        ranks[row] = seen[labels[row]] / sizes[labels[row]]
    return sorted(order, key=ranks.__getitem__)


def _labelled(texts: list[str], labels: list[Any], classes: list[Any], multilabel: bool) -> Labelled:
    place = {label: column for column, label in enumerate(classes)}
    if not multilabel:
        return Labelled(texts, labels, np.array([place[label] for label in labels], dtype=np.int64))
    targets = np.zeros((len(labels), len(classes)), dtype=np.int64)
    for number, row in enumerate(labels):
        targets[number, [place[label] for label in row]] = 1
    return Labelled(texts, labels, targets)
