"""Models of words and n-grams: TF-IDF, NB-SVM, fastText, pooled word vectors, tlclassic's own n-grams."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tlclassic import tuning
from tlclassic.comparison.fitting import Fitted, Work
from tlclassic.comparison.linear import fit_logistic, fit_nbsvm
from tlclassic.comparison.peers import fit_fasttext
from tlclassic.pipelines import save
from tlclassic.pipelines.training import FeatureOptions, build_features

__all__ = ["base_en", "fasttext", "nbsvm", "ngrams", "tfidf", "vectors"]


def tfidf(work: Work) -> list[Fitted]:
    """TF-IDF of words and pairs of words, logistic regression."""
    return _pipeline(work, "tfidf", ["tfidf"])


def vectors(work: Work) -> list[Fitted]:
    """The mean of the user's word vectors, logistic regression."""
    return _pipeline(work, "vectors", [f"vectors:{work.settings.vectors}"])


def base_en(work: Work) -> list[Fitted]:
    """The mean of the word vectors that tlclassic brings along, logistic regression."""
    return _pipeline(work, "base-en", ["vectors:base-en"])


def _pipeline(work: Work, name: str, features: list[str]) -> list[Fitted]:
    work.tell("fitting")
    model, chosen = fit_logistic(build_features(FeatureOptions(features=features)), work.problem, work.deadline)
    return [_kept(work, name, model, chosen)]


def nbsvm(work: Work) -> list[Fitted]:
    """NB-SVM of words and pairs of words."""
    work.tell("fitting")
    model, chosen = fit_nbsvm(work.problem, work.deadline)
    return [_kept(work, "nbsvm", model, chosen)]


def _kept(work: Work, name: str, model: Any, chosen: dict[str, Any]) -> Fitted:
    path = work.folder / f"{name}.tlc"
    save(model, path, metadata={"task": work.task})
    return Fitted(name, work.saved("tlclassic", path), chosen)


def fasttext(work: Work) -> list[Fitted]:
    """fastText's supervised model."""
    work.tell("trying settings on dev")
    path = Path(work.folder, "fasttext.bin")
    chosen, thresholds = fit_fasttext(work.problem, path, work.deadline, work.settings.seed)
    return [Fitted("fasttext", work.saved("fasttext", path, thresholds=thresholds), chosen)]


def ngrams(work: Work) -> list[Fitted]:
    """tlclassic's n-grams, found by `tlclassic.tune` within the share of the time, compiled."""
    problem = work.problem
    work.tell(f"searching for {max(1.0, work.deadline.share):.0f} s")
    found = tuning.tune(
        problem.train.texts,
        problem.train.plain,
        time=max(1.0, work.deadline.share),
        metric=problem.metric,
        dev=(problem.dev.texts, problem.dev.plain),
        multilabel=problem.multilabel,
        random_state=work.settings.seed,
        provenance={"task": work.settings.columns},
    )
    path = work.folder / "ngrams.tlc"
    found.compiled.save(path)
    chosen = {**found.best["params"], "dev_score": found.best["score"], "tried": len(found.trials)}
    saved = replace(work.saved("tlclassic", path, threads=True), classes=found.compiled.classes_.tolist())
    return [Fitted("ngrams", saved, chosen, list(found.notes))]
