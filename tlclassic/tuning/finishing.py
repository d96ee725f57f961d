"""From the best trials to a fitted classifier and its compiled form."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from tlclassic.folding import compile
from tlclassic.heads import NgramClassifier, ThresholdClassifier
from tlclassic.tuning.featurising import NB_ALPHA, NB_FLOOR, POOLING
from tlclassic.tuning.problem import Problem
from tlclassic.tuning.scoring import score_labels, thresholds_for
from tlclassic.tuning.space import Configuration
from tlclassic.tuning.splits import Split
from tlclassic.tuning.trials import MAX_ITER, TOLERANCE, Trial, smoothed
from tlclassic.vectors import WordVectors

__all__ = ["Finisher"]

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Finisher:
    """Fits and compiles what a search found.

    Attributes
    ----------
    problem : Problem
    splits : list of Split
    metric : str
    vectors : WordVectors or None
    max_size : int or None
    threads : int
    random_state : int
    provenance : dict
        What the compiled classifier is to know besides.
    """

    problem: Problem
    splits: list[Split]
    metric: str
    vectors: WordVectors | None
    max_size: int | None
    threads: int
    random_state: int
    provenance: dict[str, Any]

    def fit(self, trial: Trial, rows: Rows) -> Any:
        """The classifier of a trial, fitted on ``rows``."""
        configuration, targets = trial.configuration, self.problem.targets
        classifier = NgramClassifier(
            **configuration.features,
            nb=configuration.nb,
            nb_alpha=NB_ALPHA,
            nb_floor=NB_FLOOR,
            class_weight=configuration.class_weight,
            C=trial.C,
            multilabel=targets.multilabel,
            solver="newton",
            tol=TOLERANCE,
            max_iter=MAX_ITER,
            threads=self.threads,
            random_state=self.random_state,
            **self._vector_parameters(configuration.vectors_weight),
        )
        texts = [self.problem.texts[i] for i in rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            if targets.multilabel:
                classifier.fit(texts, self.problem.labels(rows), classes=targets.classes)
                return self._with_thresholds(classifier, trial)
            P = smoothed(targets.P[rows], configuration.smoothing)
            return classifier.fit(texts, P, classes=targets.classes)

    def _vector_parameters(self, weight: float | None) -> dict[str, Any]:
        return {} if weight is None else {"vectors": self.vectors, "pooling": POOLING, "vectors_weight": weight}

    def _with_thresholds(self, classifier: Any, trial: Trial) -> ThresholdClassifier:
        """With the thresholds of the trial's held-out probabilities: its own would cost as many fits again as folds."""
        rows = np.concatenate([split.held_out for split in self.splits[: trial.n_splits]])
        thresholds = thresholds_for(self.problem.targets.P[rows], np.concatenate(trial.proba), self.metric)
        head = ThresholdClassifier(classifier, random_state=self.random_state)
        head.estimator_, head.thresholds_, head.classes_ = classifier, thresholds, classifier.classes_
        return head

    def compile(self, classifier: Any, trial: Trial, report_on: Rows | None) -> Any:
        """The compiled classifier, within ``max_size``; its report is on the rows ``report_on``."""
        shown: dict[str, Any] = {}
        if report_on is not None:
            shown = {"texts": [self.problem.texts[i] for i in report_on], "labels": self.labels(report_on)}
        # The strengths that were tried are in the search's own record; here they would take a small file's room.
        described = {name: value for name, value in trial.as_dict().items() if name != "path"}
        provenance = {
            **self.provenance,
            "made_by": "tlclassic.tune",
            "n": self.problem.n,
            "search": {"metric": self.metric, **described},
        }
        return compile(classifier, max_size=self.max_size, provenance=provenance, **shown)

    def labels(self, rows: Rows) -> Any:
        """Of the rows; those whose class training does not have are given the first one."""
        labels = self.problem.labels(rows)
        return labels if self.problem.targets.multilabel else labels.tolist()

    def score(self, compiled: Any, rows: Rows) -> float:
        """The score of a compiled classifier on ``rows``."""
        texts, P = [self.problem.texts[i] for i in rows], self.problem.targets.P[rows]
        predicted = compiled.predict(texts, threads=self.threads)
        if self.problem.targets.multilabel:
            from sklearn.metrics import f1_score

            if self.metric == "accuracy":
                return float((predicted == P).mean())
            return float(f1_score(P.astype(np.int64), predicted, average="macro", zero_division=0))
        names = self.problem.targets.classes.tolist()
        place = {name: number for number, name in enumerate(names)}
        truth = np.where(P.any(axis=1), P.argmax(axis=1), -1)
        return score_labels(truth, np.array([place[label] for label in predicted.tolist()]), self.metric)

    def check_size(self, configuration: Configuration) -> None:
        """Before the search: whether anything fits into ``max_size``.

        Raises
        ------
        InvalidParameterError
        """
        if self.max_size is None:
            return
        split = self.splits[0]
        rows = split.train[: max(8, len(self.problem.targets.classes))]
        # Described with as many digits as the winner, and reported on as it will be: that is part of the file.
        trial = Trial(configuration, 0, self.problem.n, 1, 1 / 3, 1 / 3, 1 / 3, seconds=1 / 3, proba=[])
        if self.problem.targets.multilabel:
            trial.proba = [np.zeros(self.problem.targets.P[split.held_out].shape)]
        self.compile(self.fit(trial, rows), trial, split.held_out[:8] if self.problem.n_dev else None)
