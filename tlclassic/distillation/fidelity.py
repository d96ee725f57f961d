"""`fidelity`: what a student kept of its teacher, where it differs, and what it costs, in one object."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tlclassic._validate import check_integer, check_number, check_texts
from tlclassic.distillation.fidelity_bootstrap import Cells, gap_closed, percentiles, retention
from tlclassic.distillation.fidelity_examples import Disagreement, Side, disagreements
from tlclassic.distillation.fidelity_measures import (
    Calibration,
    ClassFidelity,
    Estimate,
    Outcomes,
    Scores,
    calibration,
    class_fidelities,
    difference_interval,
    divergence,
    outcomes,
    share,
)
from tlclassic.distillation.fidelity_speed import Baseline, Speed
from tlclassic.errors import InvalidParameterError
from tlclassic.evaluation.calibration import check_proba
from tlclassic.evaluation.counting import index_of, is_multilabel, known_classes, plain_labels

__all__ = ["Fidelity", "fidelity"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Fidelity:
    """A student held against its teacher; ``print`` shows it as tables.

    What needs the truth is None without it.

    Attributes
    ----------
    n : int
        Texts.
    classes : list
        Those of the teacher in its order, then those that only the truth has.
    multilabel : bool
    confidence : float
        Of every interval.
    metric : {"accuracy", "macro_f1"}
        The measure of ``difference``, ``retention`` and ``gap_closed``: macro-F1 when multi-label.
    teacher, student, undistilled : Scores or None
    difference : Estimate or None
        Student minus teacher. Of accuracies the interval is that of Agresti and Min, else of the bootstrap.
    retention : Estimate or None
        Student over teacher, with a bootstrap interval.
    gap_closed : Estimate or None
        (student - undistilled) / (teacher - undistilled); None where the teacher is not better than the undistilled
        student, without an interval where that is not sure.
    agreement : Estimate
        Share of texts that both label the same; Wilson interval.
    divergence : float
        Mean KL(teacher || student) in nats; over decisions when multi-label.
    disagreements : int
        Texts that they label differently.
    outcomes : Outcomes or None
        Who was right.
    per_class : list of ClassFidelity
        The largest loss first; without a truth, the least agreement.
    teacher_calibration : Calibration or None
    student_calibration : Calibration
        Against the truth; without one, against the teacher's labels.
    examples : list of Disagreement
        Those on which the student was surest.
    speed : Speed or None
    baselines : list of Baseline
    price_per_core_hour : float or None
    """

    n: int
    classes: list[Any]
    multilabel: bool
    confidence: float
    agreement: Estimate
    divergence: float
    disagreements: int
    per_class: list[ClassFidelity]
    student_calibration: Calibration
    teacher_calibration: Calibration | None = None
    teacher: Scores | None = None
    student: Scores | None = None
    undistilled: Scores | None = None
    difference: Estimate | None = None
    retention: Estimate | None = None
    gap_closed: Estimate | None = None
    outcomes: Outcomes | None = None
    examples: list[Disagreement] = field(default_factory=list)
    speed: Speed | None = None
    baselines: list[Baseline] = field(default_factory=list)
    price_per_core_hour: float | None = None

    @property
    def metric(self) -> str:
        """The measure that teacher and student are compared by."""
        return "macro_f1" if self.multilabel else "accuracy"

    def score(self, scores: Scores) -> Estimate:
        """That of ``metric``."""
        return scores.macro_f1 if self.multilabel else scores.accuracy

    def price_per_million(self, core_seconds: float) -> float | None:
        """What so many processor seconds cost; None without a price."""
        return None if self.price_per_core_hour is None else core_seconds * self.price_per_core_hour / 3600

    def as_dict(self) -> dict[str, Any]:
        """One object of JSON's types: all attributes, the metric, and what follows from the speeds."""
        result = {"metric": self.metric, **asdict(self)}
        if self.speed is not None:
            result["speed"]["factor"] = self.speed.factor
            for name in ("teacher", "student", "undistilled"):
                cost = getattr(self.speed, name)
                if cost is not None:
                    seconds = cost.core_seconds_per_million
                    result["speed"][name]["core_seconds_per_million"] = seconds
                    result["speed"][name]["price_per_million"] = self.price_per_million(seconds)
        return result

    def __str__(self) -> str:
        from tlclassic.distillation.fidelity_text import terminal

        return terminal(self)

    def to_markdown(self, path: str | os.PathLike[str] | None = None, *, title: str = "Fidelity") -> str:
        """The report in Markdown, also written to ``path``."""
        from tlclassic.distillation.fidelity_markdown import markdown

        return markdown(self, path, title=title)

    def to_html(self, path: str | os.PathLike[str], *, title: str = "Fidelity") -> None:
        """Write one self-contained page: numbers, plots, and the texts where the two differ."""
        from tlclassic.distillation.fidelity_page import write_page

        write_page(self, path, title=title)


def fidelity(
    texts: Sequence[str],
    y: Sequence[Any] | None,
    teacher_proba: npt.ArrayLike,
    student: Any,
    *,
    classes: Sequence[Any],
    multilabel: bool = False,
    undistilled: Any = None,
    baselines: Sequence[Baseline] = (),
    speed: Speed | None = None,
    confidence: float = 0.95,
    examples: int = 20,
    random_state: int = 0,
    price_per_core_hour: float | None = None,
    teacher_thresholds: npt.ArrayLike | None = None,
) -> Fidelity:
    """Hold a student against its teacher on texts that neither was trained on.

    Parameters
    ----------
    texts : sequence of str
    y : sequence (n,) or None
        Labels (str, int or bool), or when multi-label a list of labels for each text. Without it, the student is
        compared with the teacher alone.
    teacher_proba : array-like (n, classes)
    student : CompiledClassifier or other model with ``predict_proba`` and ``classes_``
        Examples show what moved it where it has ``explain``. Multi-label decisions are those of its ``predict``, which
        knows its thresholds; without one, what reaches one half.
    classes : sequence (classes,)
        The columns of ``teacher_proba``. The student may lack some, and has none beside them.
    multilabel : bool
    undistilled : model, optional
        The same kind of model trained without the teacher.
    baselines : sequence of Baseline
    speed : Speed, optional
        From `measure_speed`.
    confidence : float
        Of the intervals.
    examples : int
        Disagreements to keep.
    random_state : int
        Of the bootstrap.
    price_per_core_hour : float, optional
    teacher_thresholds : array-like (classes,), optional
        The teacher's when multi-label; one half by default.

    Raises
    ------
    InvalidParameterError
        For lengths, shapes or labels that do not fit.

    Examples
    --------
    >>> from tlclassic import NgramClassifier
    >>> texts = ["good film", "fine film", "bad film", "dull film"]
    >>> student = NgramClassifier().fit(texts, ["pos", "pos", "neg", "neg"])
    >>> teacher = [[0.1, 0.9], [0.8, 0.2], [0.9, 0.1], [0.9, 0.1]]
    >>> report = fidelity(texts, ["pos", "pos", "neg", "neg"], teacher, student, classes=["neg", "pos"])
    >>> report.teacher.accuracy.value, report.student.accuracy.value, report.agreement.value
    (0.75, 1.0, 0.75)
    """
    texts = list(check_texts(texts))
    if not texts:
        raise InvalidParameterError("texts must hold at least one text; got none.")
    check_number("confidence", confidence, low=0.5, high=0.9999)
    check_integer("examples", examples, low=0)
    check_integer("random_state", random_state, low=0)
    if price_per_core_hour is not None:
        check_number("price_per_core_hour", price_per_core_hour, low=0)
    _check_baselines(baselines)
    known, names, truth = _truth(y, classes, len(texts), multilabel)
    of_teacher = _teacher_side(teacher_proba, teacher_thresholds, len(texts), known, multilabel)
    of_student = _model_side("student", student, texts, known, multilabel)
    divergent = divergence(of_teacher.proba, of_student.proba, one_of=not multilabel)
    sides = [_widened(of_teacher, len(names)), _widened(of_student, len(names))]
    if undistilled is not None:
        sides.append(_widened(_model_side("undistilled", undistilled, texts, known, multilabel), len(names)))
    found = disagreements(texts, names, sides[0], sides[1], truth, student, multilabel=multilabel, most=examples)
    return _measured(
        sides,
        truth,
        names,
        multilabel=multilabel,
        confidence=confidence,
        random_state=random_state,
        rest={
            "divergence": divergent,
            "examples": found,
            "speed": speed,
            "baselines": list(baselines),
            "price_per_core_hour": price_per_core_hour,
        },
    )


def _measured(
    sides: list[Side],
    truth: Bools | None,
    names: list[Any],
    *,
    multilabel: bool,
    confidence: float,
    random_state: int,
    rest: dict[str, Any],
) -> Fidelity:
    teacher, student = sides[:2]
    same = (teacher.decided == student.decided).all(axis=1)
    reference = teacher.decided if truth is None else truth
    compared = {} if truth is None else _against_truth(sides, truth, multilabel, confidence, random_state)
    return Fidelity(
        n=len(same),
        classes=names,
        multilabel=multilabel,
        confidence=confidence,
        agreement=share(same, confidence),
        disagreements=int((~same).sum()),
        per_class=class_fidelities(names, teacher.decided, student.decided, truth),
        student_calibration=calibration(student.proba, student.decided, reference, one_of=not multilabel),
        **compared,
        **rest,
    )


def _against_truth(
    sides: list[Side], truth: Bools, multilabel: bool, confidence: float, random_state: int
) -> dict[str, Any]:
    right = [(side.decided == truth).all(axis=1) for side in sides]
    cells = Cells(truth, [side.decided for side in sides])
    point, samples = cells.scores(), cells.replicates(random_state)
    scores = [
        Scores(share(hits, confidence), percentiles(float(point[i, 1]), samples[:, i, 1], confidence))
        for i, hits in enumerate(right)
    ]
    column = int(multilabel)
    values, drawn = [float(value) for value in point[:, column]], samples[:, :, column]
    counts = outcomes(right[0], right[1])
    change = percentiles(values[1] - values[0], drawn[:, 1] - drawn[:, 0], confidence)
    if not multilabel:
        change = Estimate(change.value, *difference_interval(counts, confidence))
    return {
        "teacher": scores[0],
        "student": scores[1],
        "undistilled": scores[2] if len(scores) > 2 else None,
        "difference": change,
        "retention": retention(values[0], values[1], drawn[:, :2], confidence),
        "gap_closed": gap_closed(values[0], values[1], values[2], drawn, confidence) if len(scores) > 2 else None,
        "outcomes": counts,
        "teacher_calibration": calibration(sides[0].proba, sides[0].decided, truth, one_of=not multilabel),
    }


def _check_baselines(baselines: Sequence[Baseline]) -> None:
    for place, one in enumerate(baselines):
        check_number(f"baselines[{place}].accuracy", one.accuracy, low=0, high=1)
        check_number(f"baselines[{place}].texts_per_second", one.texts_per_second)
        if one.texts_per_second <= 0:
            raise InvalidParameterError(
                f"baselines[{place}].texts_per_second must be above 0; got {one.texts_per_second!r}."
            )


def _truth(
    y: Sequence[Any] | None, classes: Sequence[Any], n: int, multilabel: bool
) -> tuple[list[Any], list[Any], Bools | None]:
    """The teacher's classes, all classes, and the truth as indicators (n, all classes)."""
    given = plain_labels("classes", classes)
    if not given or is_multilabel(given):
        raise InvalidParameterError(f"classes must be a list of at least one label; got {classes!r}.")
    if y is None:
        return given, known_classes(given)[0], None
    labels = plain_labels("y", y)
    if len(labels) != n:
        raise InvalidParameterError(f"y must have a label for each of the {n} texts; got {len(labels)}.")
    if is_multilabel(labels) != multilabel:
        wanted = "a list of labels for each text" if multilabel else "one label for each text"
        raise InvalidParameterError(f"y must hold {wanted} when multilabel={multilabel}; got {labels[0]!r} first.")
    sets = labels if multilabel else [(label,) for label in labels]
    names, _ = known_classes(given, chain.from_iterable(sets))
    table = np.zeros((n, len(names)), dtype=np.bool_)
    table[np.repeat(np.arange(n), [len(one) for one in sets]), index_of(chain.from_iterable(sets), names)] = True
    return given, names, table


def _teacher_side(
    proba: npt.ArrayLike, thresholds: npt.ArrayLike | None, n: int, classes: list[Any], multilabel: bool
) -> Side:
    table = check_proba("teacher_proba", proba, n, len(classes), one_of=not multilabel)
    if not multilabel:
        if thresholds is not None:
            raise InvalidParameterError("teacher_thresholds must be left out unless multilabel=True.")
        return Side(table, _most_probable(table))
    cuts = np.full(len(classes), 0.5) if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    if cuts.shape != (len(classes),):
        raise InvalidParameterError(
            f"teacher_thresholds must have one number for each of the {len(classes)} classes; got shape {cuts.shape}."
        )
    return Side(table, table >= cuts)


def _model_side(name: str, model: Any, texts: list[str], classes: list[Any], multilabel: bool) -> Side:
    own = plain_labels(f"{name}.classes_", model.classes_)
    # A multi-label model fitted on indicators knows its labels by their places.
    own = classes if multilabel and own == list(range(len(classes))) else own
    places = _places(name, own, classes)
    given = check_proba(
        f"{name}.predict_proba", model.predict_proba(texts), len(texts), len(own), one_of=not multilabel
    )
    table = np.zeros((len(texts), len(classes)))
    table[:, places] = given
    if not multilabel:
        return Side(table, _most_probable(table))
    decided = np.zeros(table.shape, dtype=np.bool_)
    decided[:, places] = np.asarray(model.predict(texts)) == 1 if hasattr(model, "predict") else given >= 0.5
    return Side(table, decided)


def _places(name: str, own: list[Any], classes: list[Any]) -> list[int]:
    known_classes(classes, own)
    strange = [label for label in own if label not in set(classes)]
    if strange:
        raise InvalidParameterError(f"{name}.classes_ must be among classes; got {strange[:5]!r} beside them.")
    found: list[int] = index_of(own, classes).tolist()
    return found


def _most_probable(proba: Floats) -> Bools:
    decided = np.zeros(proba.shape, dtype=np.bool_)
    decided[np.arange(len(proba)), proba.argmax(axis=1)] = True
    return decided


def _widened(side: Side, width: int) -> Side:
    """With empty columns for classes that only the truth has."""
    more = ((0, 0), (0, width - side.proba.shape[1]))
    return Side(np.pad(side.proba, more), np.pad(side.decided, more))
