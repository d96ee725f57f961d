"""From the chosen recipe to a fitted student and its compiled form."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from tlclassic.distillation.recipes import PLAIN, Recipe
from tlclassic.distillation.searching import (
    LABELLED,
    LOGITS_TOLERANCE,
    MAX_ITER,
    TOLERANCE,
    Pool,
    Trial,
    make_convolution,
    solving,
)
from tlclassic.folding import compile
from tlclassic.heads import ConvolutionClassifier, NgramClassifier, ThresholdClassifier
from tlclassic.heads.logit_matching import fit_texts_to_logits
from tlclassic.tuning.featurising import POOLING
from tlclassic.tuning.scoring import log_loss, score_proba, thresholds_for
from tlclassic.vectors import WordVectors

__all__ = ["Maker"]

#: What the student without a teacher has for its strength: multiples of the distilled one's.
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)


@dataclass(frozen=True, eq=False)
class Maker:
    """Fits and compiles students.

    Attributes
    ----------
    pool : Pool
    metric : str
    vectors : WordVectors or None
    threads, random_state : int
    dtype : str
    """

    pool: Pool
    metric: str
    vectors: WordVectors | None
    threads: int
    random_state: int
    dtype: str

    def fit(self, trial: Trial) -> Any:
        """The student of a trial's recipe, on all texts."""
        if trial.model is not None:
            return self._with_thresholds(trial.model, trial.proba)
        P, weights = self.pool.objective(trial.recipe, np.arange(len(self.pool.texts)))
        return self._with_thresholds(self._linear(trial.recipe, self.pool.texts, P, weights), trial.proba)

    def undistilled(self, trial: Trial) -> Any | None:
        """The same student from the labelled texts and their labels alone.

        Its strength, or for how many epochs it is trained and whether with sums and a hidden layer, is chosen on dev.

        None where there are no labels.
        """
        labelled = np.flatnonzero(self.pool.kind == LABELLED)
        if not len(labelled) or (self.pool.hard.sum(axis=0) > 0).sum() < 2:
            return None
        own = replace(trial.recipe, objective="cross_entropy")  # labels have no logits
        texts, weights = [self.pool.texts[i] for i in labelled], np.ones(len(labelled))
        fits: list[Any]
        if own.convolution is not None:
            plain = replace(PLAIN, filters=max(PLAIN.filters, own.convolution.filters))
            recipes = [
                replace(own, convolution=replace(each, epochs=epochs))
                for each in (own.convolution, plain)
                for epochs in ("auto", 4)
            ]
            models = [make_convolution(recipe, self.pool, self.vectors, self.random_state) for recipe in recipes]
            fits = [model.fit(texts, self.pool.hard, classes=self.pool.classes) for model in models]
        else:
            recipes = [replace(own, C=own.C * factor) for factor in STRENGTHS]
            fits = [self._linear(recipe, texts, self.pool.hard, weights) for recipe in recipes]
        probas = [self.pool.dev_outputs(model) for model in fits]
        keys = [self._key(proba) for proba in probas]
        best = max(range(len(fits)), key=lambda number: keys[number])
        return self._with_thresholds(fits[best], probas[best])

    def _key(self, proba: NDArray[np.float64]) -> tuple[float, float]:
        wanted, loss = self.pool.judging(proba)
        return score_proba(wanted, proba, self.metric, loss, self.pool.multilabel), -log_loss(wanted, proba, loss)

    def _linear(
        self, recipe: Recipe, texts: Sequence[str], P: NDArray[Any], weights: NDArray[np.float64]
    ) -> NgramClassifier:
        model = self._classifier(recipe, texts)
        if recipe.objective == "logits":
            model.set_params(tol=LOGITS_TOLERANCE)
            fit_texts_to_logits(model, texts, P, classes=self.pool.classes, sample_weight=weights)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(texts, P, sample_weight=weights, classes=self.pool.classes)
        return model

    def _with_thresholds(self, model: NgramClassifier | ConvolutionClassifier, dev_proba: NDArray[np.float64]) -> Any:
        if not self.pool.multilabel:
            return model
        head = ThresholdClassifier(model, random_state=self.random_state)
        # Those of the dev probabilities: its own would cost as many fits again as folds.
        thresholds = thresholds_for(self.pool.dev, dev_proba, self.metric)
        head.estimator_, head.thresholds_, head.classes_ = model, thresholds, model.classes_
        return head

    def _classifier(self, recipe: Recipe, texts: Sequence[str]) -> NgramClassifier:
        given: dict[str, Any] = {}
        if recipe.features.vectors_weight is not None:
            given = {"vectors": self.vectors, "pooling": POOLING, "vectors_weight": recipe.features.vectors_weight}
        model = NgramClassifier(
            **recipe.features.features,
            **given,
            C=recipe.C,
            multilabel=self.pool.multilabel,
            tol=TOLERANCE,
            max_iter=MAX_ITER,
            threads=self.threads,
            random_state=self.random_state,
        )
        sample = texts[:: max(1, len(texts) // 1000)]
        entries = model._make_features().count_entries(sample) * len(texts) / len(sample)
        model.set_params(**solving(entries, len(self.pool.classes), self.threads))
        return model

    def compile(
        self, student: Any, max_size: int | None, provenance: Mapping[str, Any], *, dtype: str | None = None
    ) -> Any:
        """The compiled student; its report is on dev."""
        labels = self.pool.dev.astype(np.int64)
        shown: Any = labels if self.pool.multilabel else self.pool.classes[labels.argmax(axis=1)].tolist()
        return compile(
            student,
            dtype=dtype or self.dtype,
            max_size=max_size,
            texts=self.pool.dev_texts,
            labels=shown,
            classes=self.pool.classes.tolist() if self.pool.multilabel else None,
            provenance=provenance,
        )
