"""A model of several tasks distilled into a small one: all tasks' probabilities as soft labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_number, check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.multitask.classifier import MultiTaskClassifier
from tlclassic.multitask.shapes import named_tasks
from tlclassic.multitask.targets import Target, read_targets

__all__ = ["HARD_WEIGHT", "distil_tasks", "soft_labels"]

#: Share of a true label where there is one.
HARD_WEIGHT = 0.5


def distil_tasks(
    teacher: Any,
    texts: Sequence[str],
    *,
    labelled: tuple[Sequence[str], Any] | None = None,
    hard_weight: float = HARD_WEIGHT,
    features: Any = None,
    sharing: str = "none",
    **options: Any,
) -> MultiTaskClassifier:
    """Fit a student on what a teacher says of every task.

    Parameters
    ----------
    teacher : object
        With ``predict_proba`` giving a dict of task to probabilities (of a regression the numbers), ``kinds_`` and
        ``classes_``: a :class:`~tlclassic.MultiTaskClassifier` fitted on a dict, or a compiled one.
    texts : sequence of str
        Without labels; may be empty where there are labelled ones.
    labelled : (texts, y), optional
        Labelled texts, y as :meth:`~tlclassic.MultiTaskClassifier.fit` takes it; learnt from as well.
    hard_weight : float in [0, 1]
        Share of the true label where there is one; the teacher's answer has the rest.
    features : transformer, optional
        Of the student; hashed words and bigrams by default.
    sharing : str
        The teacher's answers already hold what tasks gain from each other: "none" by default.
    **options
        Further parameters of the student.

    Raises
    ------
    InvalidParameterError
        When there is no text, or the teacher has one task alone.

    Examples
    --------
    >>> from tlclassic import MultiTaskClassifier
    >>> y = {"tone": ["+", "-"] * 6, "medium": ["film", "film", "book", "book"] * 3}
    >>> texts = ["good film", "bad film", "good book", "bad book"] * 3
    >>> teacher = MultiTaskClassifier(cv=3).fit(texts, y)
    >>> distil_tasks(teacher, texts, cv=3).predict(["bad film"])["tone"].tolist()
    ['-']
    """
    check_number("hard_weight", hard_weight, low=0.0, high=1.0)
    own = check_texts(texts)
    given, truth = ([], None) if labelled is None else (check_texts(labelled[0]), labelled[1])
    every = [*given, *own]
    if not every:
        raise InvalidParameterError("texts must hold at least one text to learn from; got none.")
    soft = teacher.predict_proba(every)
    if not isinstance(soft, dict):
        raise InvalidParameterError("teacher must answer a dict of tasks; fit it on a dict of labels.")
    classes = {name: names for name, names in teacher.classes_.items() if len(names)}
    if truth is not None:
        hard = read_targets(
            named_tasks(truth, len(given))[0], len(given), _known(teacher.kinds_, truth), _known(classes, truth)
        )
        soft = {**soft, **{target.name: _mixed(soft[target.name], target, hard_weight) for target in hard}}
    student = MultiTaskClassifier(features, kinds=dict(teacher.kinds_), sharing=sharing, **options)
    return student.fit(every, soft, classes=classes)


def _known(facts: dict[str, Any], labels: Any) -> dict[str, Any]:
    """Of the tasks that there are labels of."""
    named = set(labels.columns) if hasattr(labels, "columns") else set(labels)
    return {name: value for name, value in facts.items() if name in named}


def soft_labels(target: Target) -> NDArray[np.float64]:
    """The targets in the teacher's form: probabilities, or numbers as they were."""
    if target.kind == "regression":
        return np.asarray(target.center + target.spread * target.P[:, 0])
    return target.P


def _mixed(soft: NDArray[np.float64], target: Target, share: float) -> NDArray[np.float64]:
    """The teacher's answers, mixed with the true labels of those first rows that have one."""
    mixed = np.array(soft, dtype=np.float64)
    hard = soft_labels(target)
    known = ~np.isnan(hard)
    head = mixed[: len(hard)]
    head[known] = share * hard[known] + (1.0 - share) * head[known]
    return mixed
