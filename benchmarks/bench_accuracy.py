"""Accuracy of pooled word vectors with logistic regression, beside TF-IDF and NB-SVM, on eight sets.

The strength is chosen on dev, the model fitted on train, and the test file read once, for the final row. Where a set
has no dev part, every seventh training row is one. Resumable: rows that stand in the results file are not run again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import SHARED, Results, dataset
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler
from sklearn.svm import LinearSVC

from tlclassic import EmbeddingVectorizer, WordVectors

SETS = ("mr", "cr", "subj", "mpqa", "sst2", "trec6", "ag_news", "banking77")
POOLINGS: dict[str, Any] = {
    "mean": "mean",
    "sif": "sif",
    "usif": "usif",
    "power": "power",
    "mean+max+min": ("mean", "max", "min"),
}
VECTORS = {
    "glove-6b-50d": "glove_6b_50d/glove.6B.50d.8k.txt.gz",
    "glove-twitter-25d": "glove_twitter_25d/glove.twitter.27B.25d.14k.txt.gz",
    "googlenews-300d": "word2vec_googlenews_300d/GoogleNews-vectors-negative300.13k.bin.gz",
    "minilm-static-128d": "minilm_static_128d/minilm-static.40k.128d.txt.gz",
}


class NBSVM(ClassifierMixin, BaseEstimator):
    """Naive-Bayes SVM (Wang & Manning 2012), one versus rest: log-count ratios as features of a linear SVM.

    Binary n-gram counts, smoothing alpha, and the interpolation of the paper: w' = (1 - beta) * mean|w| + beta * w.
    """

    def __init__(self, C: float = 1.0, alpha: float = 1.0, beta: float = 0.25) -> None:
        self.C = C
        self.alpha = alpha
        self.beta = beta

    def fit(self, X: Any, y: Any) -> NBSVM:
        binarizer = LabelBinarizer()
        targets = binarizer.fit_transform(y)
        self.classes_ = binarizer.classes_
        rows = [self._fit_one(X, targets[:, column]) for column in range(targets.shape[1])]
        self.coef_, self.intercept_ = np.vstack([row[0] for row in rows]), np.array([row[1] for row in rows])
        return self

    def _fit_one(self, X: Any, target: Any) -> tuple[Any, float]:
        positive = np.asarray(X[target == 1].sum(axis=0)).ravel() + self.alpha
        negative = np.asarray(X[target == 0].sum(axis=0)).ravel() + self.alpha
        ratio = np.log((positive / positive.sum()) / (negative / negative.sum()))
        svm = LinearSVC(C=self.C).fit(X.multiply(ratio).tocsr(), target)
        weights = svm.coef_.ravel()
        mixed = (1 - self.beta) * np.abs(weights).mean() + self.beta * weights
        return ratio * mixed, float(svm.intercept_[0]) * self.beta

    def predict(self, X: Any) -> Any:
        scores = X @ self.coef_.T + self.intercept_
        return self.classes_[(scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)]


def choose_on_dev(
    make: Callable[[float], Any], strengths: tuple[float, ...], data: dict[str, tuple[Any, Any]]
) -> tuple[float, float, Any]:
    """The strength with the best dev accuracy (the smallest of equals), that accuracy, and its model."""
    best: tuple[float, float, Any] | None = None
    for strength in strengths:
        model = make(strength).fit(*data["train"])
        score = float(np.mean(model.predict(data["dev"][0]) == np.asarray(data["dev"][1])))
        if best is None or score > best[1]:
            best = (strength, score, model)
        elif strength > best[0] * 30:
            break
    assert best is not None
    return best


def run(features: Any, make: Callable[[float], Any], strengths: tuple[float, ...], name: str) -> dict[str, Any]:
    """One row: features fitted on train, strength chosen on dev, test read once."""
    start = time.perf_counter()
    parts = dataset(name)
    train = features.fit_transform(parts["train"][0])
    encoded = {"train": (train, parts["train"][1]), "dev": (features.transform(parts["dev"][0]), parts["dev"][1])}
    strength, dev_accuracy, model = choose_on_dev(make, strengths, encoded)
    predicted = model.predict(features.transform(parts["test"][0]))
    return {
        "test_accuracy": round(100 * float(np.mean(predicted == np.asarray(parts["test"][1]))), 2),
        "dev_accuracy": round(100 * dev_accuracy, 2),
        "strength": strength,
        "n_test": len(predicted),
        "n_features": int(train.shape[1]),
        "seconds": round(time.perf_counter() - start, 1),
    }


def logistic(solver: str) -> Callable[[float], Any]:
    """Logistic regression of a strength."""
    return lambda strength: LogisticRegression(C=strength, max_iter=300, solver=solver)


def peers(name: str, results: Results) -> None:
    """TF-IDF(1,2) + LR and NB-SVM bigrams."""
    decades = tuple(10.0**exponent for exponent in np.arange(-1, 4.5, 0.5))
    if (key := f"{name} tfidf(1,2)+LR") not in results:
        tfidf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        results.add(key, {"set": name, "features": "tfidf(1,2)+LR", **run(tfidf, logistic("lbfgs"), decades, name)})
    if (key := f"{name} nbsvm(1,2)") not in results:
        counts = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=r"(?u)\S+")
        row = run(counts, lambda strength: NBSVM(C=strength), (0.01, 0.1, 1.0, 10.0), name)
        results.add(key, {"set": name, "features": "nbsvm(1,2)", **row})


def pooled(name: str, source: str, path: str, poolings: list[str], results: Results) -> None:
    """Every pooling of one vector set on one data set."""
    decades = tuple(10.0**exponent for exponent in np.arange(-4, 1.5, 0.5))
    vectors = None
    for pooling in poolings:
        key = f"{name} {source} {pooling}"
        if key in results:
            continue
        vectors = vectors or WordVectors.load(path)
        unknown = "subword" if vectors.subwords is not None else "ignore"
        vectorizer = EmbeddingVectorizer(vectors, pooling=POOLINGS[pooling], unknown=unknown)
        row = run(make_pipeline(vectorizer, StandardScaler()), logistic("newton-cg"), decades, name)
        results.add(key, {"set": name, "features": f"{source} {pooling}", "vectors": source, "pooling": pooling, **row})


def main(names: list[str]) -> None:
    """Run what is missing; vector sets trained on ../shared/data/imdb_unsup are used where they were made before."""
    from common import SCRATCH

    results = Results("accuracy")
    sources = {source: str(SHARED / "vectors" / path) for source, path in VECTORS.items()}
    for trained in ("imdb-word2vec-100d", "imdb-fasttext-100d"):
        if (SCRATCH / f"{trained}.tlc").exists():
            sources[trained] = str(SCRATCH / f"{trained}.tlc")
    for name in names or SETS:
        peers(name, results)
        for source, path in sources.items():
            pooled(name, source, path, list(POOLINGS), results)


if __name__ == "__main__":
    main(sys.argv[1:])
