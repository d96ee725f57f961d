"""``Cascade``: a fast student that answers where it is sure, and a teacher for the rest."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_number, check_texts
from tlclassic.cascade.outcomes import Outcomes, digest_of, run
from tlclassic.cascade.report import CascadeReport, Tuning
from tlclassic.cascade.sides import MEASURES, Side, pair
from tlclassic.cascade.tuning import set_threshold
from tlclassic.errors import InvalidParameterError, TlclassicWarning

__all__ = ["Answers", "Cascade"]

_PARAMETERS = ("student", "teacher", "threshold", "measure", "unsure", "student_labels", "teacher_labels")
#: Kind of a NumPy array to the type of its items.
_TYPES = {"U": str, "i": int, "b": bool}


@dataclass(frozen=True)
class Answers:
    """What a cascade says of n texts.

    Attributes
    ----------
    labels : array of shape (n,) or (n, C)
        As :meth:`Cascade.predict` gives them.
    proba : float64 array of shape (n, C)
        The teacher's rows where it was asked, else the student's.
    confidence : float64 array of shape (n,)
        The student's, 0..1.
    passed_on : bool array of shape (n,)
        Which texts the teacher answered; without one, which are not answered.
    report : CascadeReport
    """

    labels: NDArray[Any]
    proba: NDArray[np.float64]
    confidence: NDArray[np.float64]
    passed_on: NDArray[np.bool_]
    report: CascadeReport

    @property
    def source(self) -> NDArray[Any]:
        """``"student"`` or ``"teacher"`` for each text."""
        return np.where(self.passed_on, "teacher", "student")


class Cascade:
    """A classifier of two: the student answers the texts that it is sure of, the teacher is asked about the others.

    Both are fitted already; :meth:`tune` sets the threshold alone. Without a teacher, the texts that the student is not
    sure of are not answered.

    Parameters
    ----------
    student, teacher : fitted classifier of texts
        With ``predict_proba`` and the same ``classes_``, in any order: a compiled classifier, an encoder's folder, a
        pipeline. The cascade's answers are those of the likeliest class, or of the probabilities against the model's
        own thresholds. ``teacher=None``: nobody.
    threshold : float, optional
        The student answers from this confidence on, 0..1; infinity: never. Needed where :meth:`tune` is not called.
    measure : {"probability", "margin", "labels"}
        What the confidence is: the student's largest probability, or the difference of its two largest. With several
        labels a text these two are the least distance of a probability from its label's threshold, 0 at the threshold
        and 1 at probability 0 or 1: it tells whether all labels agree. "labels" is the mean over the labels, which
        tells how many do: for F1.
    unsure : str, int, bool or None, default="unsure"
        What :meth:`predict` answers without a teacher; none of the classes. Where it is of another type than they are,
        the answers are an object array.
    student_labels, teacher_labels : sequence, optional
        The names of the columns of a multi-label model that was fitted on an indicator matrix, and so only knows their
        numbers.

    Attributes
    ----------
    classes_ : array of shape (C,)
        The student's, in the order of the columns of ``predict_proba``.
    multilabel_ : bool
    threshold_ : float
        The threshold in use.
    tuning_ : Tuning or None
        How :meth:`tune` set it, and what it was measured to do.

    Raises
    ------
    InvalidParameterError
        On first use: a model has no probabilities, the classes differ (they are named), or a parameter is outside its
        domain.

    Examples
    --------
    >>> from tlclassic import Cascade, NgramClassifier
    >>> texts, labels = ["good film", "great plot", "bad film", "dull plot"] * 5, ["+", "+", "-", "-"] * 5
    >>> student = NgramClassifier().fit(texts, labels)
    >>> Cascade(student, threshold=0.8).predict(["a great film, good plot", "a film"]).tolist()
    ['+', 'unsure']
    """

    def __init__(
        self,
        student: Any,
        teacher: Any = None,
        *,
        threshold: float | None = None,
        measure: str = "probability",
        unsure: Any = "unsure",
        student_labels: Sequence[Any] | None = None,
        teacher_labels: Sequence[Any] | None = None,
    ) -> None:
        self.student = student
        self.teacher = teacher
        self.threshold = threshold
        self.measure = measure
        self.unsure = unsure
        self.student_labels = student_labels
        self.teacher_labels = teacher_labels

    # -- what it is made of ------------------------------------------------------------------------------------------

    @property
    def _sides(self) -> tuple[Side, Side | None]:
        """Student and teacher, checked against each other; kept until a parameter changes."""
        params = self.get_params()
        kept = self.__dict__.get("_kept")
        if kept is None or any(kept[0][name] is not value for name, value in params.items()):
            check_choice("measure", self.measure, MEASURES)
            sides = pair(self.student, self.teacher, self.student_labels, self.teacher_labels)
            if self.measure == "labels" and not sides[0].multilabel:
                raise InvalidParameterError(
                    "measure must be 'probability' or 'margin' for one label a text; got 'labels'."
                )
            self._check_unsure(sides[0])
            kept = self._kept = (params, sides)
        sides_kept: tuple[Side, Side | None] = kept[1]
        return sides_kept

    def _check_unsure(self, student: Side) -> None:
        if self.unsure is not None and not isinstance(self.unsure, (str, int)):
            raise InvalidParameterError(f"unsure must be a string, an integer, a boolean or None; got {self.unsure!r}.")
        # In a file without types 3 and "3" are one answer.
        if self.teacher is None and self.unsure is not None and str(self.unsure) in map(str, student.names):
            raise InvalidParameterError(
                f"unsure must be none of the classes; got {self.unsure!r}. Choose another word."
            )

    @property
    def classes_(self) -> NDArray[Any]:
        """The student's classes, of shape (C,)."""
        return np.asarray(self._sides[0].names)

    @property
    def multilabel_(self) -> bool:
        """Whether a text may have several labels."""
        return self._sides[0].multilabel

    @property
    def labels(self) -> list[Any] | None:
        """The labels of multi-label models in the order of the columns of ``predict``; None for others."""
        return list(self._sides[0].names) if self.multilabel_ else None

    @property
    def tuning_(self) -> Tuning | None:
        """What the last :meth:`tune` did."""
        return self.__dict__.get("_tuning")

    @property
    def threshold_(self) -> float:
        """The threshold that :meth:`tune` set, else the one that was given.

        Raises
        ------
        InvalidParameterError
            When there is none.
        """
        if self.tuning_ is not None:
            return self.tuning_.threshold
        if self.threshold is None:
            raise InvalidParameterError(
                "threshold is not set: call tune(dev_texts, agreement=0.995), or give Cascade(..., threshold=)."
            )
        if self.threshold != math.inf:
            check_number("threshold", self.threshold, low=0)
        return float(self.threshold)

    # -- the threshold -----------------------------------------------------------------------------------------------

    def tune(
        self,
        texts: Any,
        y: Any = None,
        *,
        teacher_proba: Any = None,
        agreement: float | None = None,
        accuracy: float | None = None,
        share: float | None = None,
        confidence: float = 0.95,
        later: int | None = None,
    ) -> Self:
        """Set the threshold on texts that neither model was trained on, drawn as later ones will be.

        At most one of ``agreement``, ``accuracy`` and ``share``; agreement=0.995 where there is a teacher and none is
        given. How the promises are kept, and over what, stands in docs/cascade.md.

        Parameters
        ----------
        texts : list of str, of length n
        y : sequence of length n, optional
            True labels, None for a text without one; of several labels a list a text, or an indicator matrix (n, C) in
            the order of ``classes_``. Needed for ``accuracy``; otherwise for the report alone.
        teacher_proba : array of shape (n, C), optional
            What the teacher's ``predict_proba`` gives for the texts, where that is known already.
        agreement : float, optional
            The lowest threshold at which at least this share of all texts get the teacher's answer. With several labels
            a text, all of them must agree.
        accuracy : float, optional
            Without a teacher: the lowest threshold at which at least this share of the answered texts are right.
        share : float, optional
            Pass on this share of the texts at most, and promise nothing.
        confidence : float
            The probability, over the draw of the dev texts, with which agreement or accuracy is kept on later texts.
        later : int, optional
            With ``agreement``: promise it for what is measured on the next so many texts, drawn as these, and not for
            the rate over all that may come, around which one file's own wavers. Takes a higher threshold.

        Returns
        -------
        self
            With ``tuning_`` and ``threshold_``. Where no promise can be given, every text is passed on, a warning says
            why, and ``tuning_.needed`` how many texts it takes at least.

        Raises
        ------
        InvalidParameterError
            When a number is outside its domain, or texts, labels and probabilities do not fit together.
        """
        texts = check_texts(texts)
        goals = {"agreement": agreement, "accuracy": accuracy, "share": share}
        outcomes = self._run(texts, y, teacher_proba)
        tuning = set_threshold(outcomes, goals, confidence, later, digest_of(texts), teacher=self.teacher is not None)
        if tuning.note is not None:
            warnings.warn(tuning.note, TlclassicWarning, stacklevel=2)
        self._tuning = tuning
        return self

    def evaluate(self, texts: Any, y: Any = None, *, teacher_proba: Any = None) -> CascadeReport:
        """Agreement, accuracy and speed on these texts; the teacher is asked about all of them. As for :meth:`tune`."""
        return self._run(check_texts(texts), y, teacher_proba).report(self.threshold_)

    def _run(self, texts: Sequence[str], y: Any, teacher_proba: Any) -> Outcomes:
        student, teacher = self._sides
        if teacher is None and teacher_proba is not None:
            raise InvalidParameterError("teacher_proba must be left out where there is no teacher.")
        return run(student, teacher, texts, y, teacher_proba, self.measure)

    # -- use ---------------------------------------------------------------------------------------------------------

    def answer(self, texts: Any) -> Answers:
        """Labels, probabilities, who gave them, and what that cost; raises as :meth:`predict` does."""
        student, teacher = self._sides
        texts, threshold = check_texts(texts), self.threshold_
        start = time.perf_counter()
        proba = student.proba(texts)
        codes, surety = student.answers(proba), student.surety(proba, self.measure)
        passed_on = ~(surety >= threshold)
        asked = time.perf_counter()
        hard = np.flatnonzero(passed_on if teacher is not None else False)
        if teacher is not None and len(hard):
            theirs = teacher.proba([texts[place] for place in hard])
            proba = proba.copy()  # the student may have kept it
            proba[hard], codes[hard] = theirs, teacher.answers(theirs)
        seconds = time.perf_counter() - asked if len(hard) else 0.0
        report = CascadeReport(len(texts), int(passed_on.sum()), asked - start, seconds, len(hard))
        unsure = passed_on if teacher is None else np.zeros_like(passed_on)
        return Answers(self._labelled(student, codes, unsure), proba, surety, passed_on, report)

    def predict(self, texts: Any) -> NDArray[Any]:
        """Labels of shape (n,), or for several labels a text the int64 indicator matrix of shape (n, C).

        The hard texts go to the teacher in one call. Without a teacher they get ``unsure``, and in an indicator matrix
        a row of -1.

        Raises
        ------
        InvalidParameterError
            When there is no threshold, something in ``texts`` is no text (its position is named), or the models do not
            fit together.
        """
        return self.answer(texts).labels

    def predict_proba(self, texts: Any) -> NDArray[np.float64]:
        """Probabilities of shape (n, C), each row from the model that answers; raises as :meth:`predict` does."""
        return self.answer(texts).proba

    def predict_with_source(self, texts: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """The labels, and for each text ``"student"`` or ``"teacher"``; raises as :meth:`predict` does."""
        answers = self.answer(texts)
        return answers.labels, answers.source

    def _labelled(self, student: Side, codes: NDArray[Any], unsure: NDArray[np.bool_]) -> NDArray[Any]:
        if student.multilabel:
            found = codes.astype(np.int64)
            found[unsure] = -1
            return found
        classes = self.classes_
        labels: NDArray[Any] = classes[codes]
        if self.teacher is not None:
            return labels
        # Decided by the types alone, so that it does not depend on the texts.
        same = type(self.unsure) is _TYPES.get(classes.dtype.kind)
        labels = labels.astype(np.result_type(classes, np.asarray(self.unsure)) if same else object)
        labels[unsure] = self.unsure
        return labels

    # -- files -------------------------------------------------------------------------------------------------------

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        refer: bool = False,
        force: bool = False,
        student_path: str | os.PathLike[str] | None = None,
        teacher_path: str | os.PathLike[str] | None = None,
        task: dict[str, Any] | None = None,
    ) -> None:
        """Save the cascade as one folder, whole or not at all; ``tlclassic.load`` opens it.

        Parameters
        ----------
        path : path-like
            A new or empty folder.
        refer : bool
            Keep the teacher's path and the digests of its files, and not its files.
        force : bool
            Replace a cascade that is there.
        student_path, teacher_path : path-like, optional
            The file or folder that the model was loaded from, to be copied as it is; known for encoders' folders and
            for a cascade that was loaded. Other models are saved anew.
        task : dict, optional
            ``"text"``, ``"label"``, ``"separator"``: what the command line takes for the columns.

        Raises
        ------
        InvalidParameterError
            When a model cannot be saved, or ``refer`` is set and where the teacher is is not known.
        InputError
            When something else is there, or the folder cannot be written.
        """
        from tlclassic.cascade.folder import save_folder

        save_folder(
            self, path, refer=refer, force=force, paths={"student": student_path, "teacher": teacher_path}, task=task
        )

    # -- scikit-learn ------------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; the models are fitted parts, so that their own are not among them."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name."""
        for name, value in params.items():
            check_choice("a parameter of Cascade", name, _PARAMETERS)
            setattr(self, name, value)
        return self

    def __sklearn_clone__(self) -> Self:
        # A copy keeps the fitted models, as scikit-learn's FrozenEstimator does, and loses the threshold set by tune.
        return type(self)(**self.get_params())

    def __sklearn_is_fitted__(self) -> bool:
        return self.tuning_ is not None or self.threshold is not None

    def __repr__(self) -> str:
        threshold = f"{self.threshold_:.6g}" if self.__sklearn_is_fitted__() else "not set"
        teacher = type(self.teacher).__name__ if self.teacher is not None else "nobody"
        return f"Cascade({type(self.student).__name__}, then {teacher}, threshold {threshold})"
