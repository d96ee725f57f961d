"""Accuracy of classifiers on eight sets: ours against tuned fastText, TF-IDF + logistic regression and NB-SVM.

All are tuned on the same dev data, the peers by a staged search (tasks.py), ours by `tlclassic.tune`, and fitted on
train only; the test file is read once, for the final row. One thread. Resumable: rows that stand in the results
file are not run again.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402  (thread counts are read when the libraries are imported)
import functools  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from common import SCRATCH, Results  # noqa: E402
from peers import NBSVM, FastText, fasttext_file, sigmoid, word_vectors_file  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.pipeline import make_union  # noqa: E402
from tasks import SETS, Scorer, Settings, Task, dev_score, load_task, search, test_scores  # noqa: E402

import tlclassic  # noqa: E402

WORDS = r"(?u)\b\w+\b"


def fit_fasttext(task: Task, settings: Settings) -> Scorer:
    """fastText on its own normalised text."""
    path = SCRATCH / f"{task.name}.fasttext.txt"
    if not path.exists():
        fasttext_file(path, task.texts["train"], task.labels["train"])
    options = {key: value for key, value in settings.items() if key != "vectors"}
    if settings.get("vectors"):
        options.update(dim=128, pretrainedVectors=str(word_vectors_file()))
    try:
        model = FastText(path, loss="ova" if task.multilabel else "softmax", **options)
    except RuntimeError as error:
        # It stops with "Encountered NaN" where a learning rate is too high.
        print(f"  fastText: {error}", flush=True)
        return lambda texts: np.zeros((len(texts), len(task.classes)))
    return lambda texts: model.scores(texts, task.classes)


def fasttext(task: Task) -> dict[str, Any]:
    """Learning rate and epochs, then n-grams, sub-words and width."""
    start = {"lr": 0.5, "epoch": 10, "wordNgrams": 2, "minn": 0, "maxn": 0, "dim": 10, "bucket": 500_000}
    stages = [
        [{"lr": lr, "epoch": epoch} for lr in (0.1, 0.25, 0.5, 1.0) for epoch in (5, 25)],
        [{"wordNgrams": 1}, {"wordNgrams": 3}],
        [{"minn": 2, "maxn": 5}, {"minn": 3, "maxn": 6}],
        [{"dim": 50}, {"dim": 100}],
        [{"epoch": 10}, {"epoch": 50}],
    ]
    return search(task, start, stages, fit_fasttext)


def fasttext_vectors(task: Task) -> dict[str, Any]:
    """The same with the word vectors that ours may have, as `pretrainedVectors`."""
    start = {"lr": 0.1, "epoch": 5, "wordNgrams": 2, "minn": 0, "maxn": 0, "bucket": 500_000, "vectors": True}
    stages = [
        [{"lr": lr, "epoch": epoch} for lr in (0.05, 0.1, 0.25, 0.5) for epoch in (5, 15)],
        [{"wordNgrams": 1}],
    ]
    return search(task, start, stages, fit_fasttext)


def _tfidf_features(kind: str, sublinear: bool) -> Any:
    words = TfidfVectorizer(ngram_range=(1, 1 if kind == "word 1" else 2), sublinear_tf=sublinear, token_pattern=WORDS)
    if kind.startswith("word") and "char" not in kind:
        return words
    chars = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=sublinear)
    return chars if kind == "char 2-5" else make_union(words, chars)


@functools.lru_cache(maxsize=2)
def _tfidf_train(name: str, kind: str, sublinear: bool) -> tuple[Any, Any, Any]:
    task = load_task(name)
    features = _tfidf_features(kind, sublinear)
    return features, features.fit_transform(task.texts["train"]).tocsr(), task


def fit_tfidf(task: Task, settings: Settings) -> Scorer:
    """TF-IDF and logistic regression, softmax over the classes or one regression a label."""
    features, train, _ = _tfidf_train(task.name, settings["features"], settings["sublinear"])
    if task.multilabel:
        head = OneVsRestClassifier(LogisticRegression(C=settings["C"], solver="liblinear"))
        head.fit(train, task.targets["train"])
        return lambda texts: head.predict_proba(features.transform(texts))
    head = LogisticRegression(C=settings["C"], max_iter=300)
    head.fit(train, task.targets["train"].argmax(axis=1))

    def scores(texts: list[str]) -> Any:
        margins = head.decision_function(features.transform(texts))
        return margins if margins.ndim == 2 else sigmoid(margins)[:, None] * [-1, 1] + [1, 0]

    return scores


def tfidf(task: Task) -> dict[str, Any]:
    """Strength, then words or characters, then strength again, then raw counts."""
    start = {"features": "word 1-2", "sublinear": True, "C": 10.0}
    kinds = [{"features": kind} for kind in ("word 1", "char 2-5", "word 1-2 + char 2-5")]
    # With 28 regressions a fit, characters cost minutes and lose.
    kinds = kinds[:1] if task.multilabel else kinds
    stages = [[{"C": 1.0}, {"C": 100.0}], kinds, [{"C": 3.0}, {"C": 30.0}, {"C": 300.0}], [{"sublinear": False}]]
    return search(task, start, stages, fit_tfidf)


def fit_nbsvm(task: Task, settings: Settings) -> Scorer:
    """Binary word n-grams, log-count ratios, a linear SVM a class."""
    counts = CountVectorizer(ngram_range=(1, settings["words"]), binary=True, token_pattern=r"(?u)\w+|[^\w\s]")
    train = counts.fit_transform(task.texts["train"]).astype(float)
    head = NBSVM(C=settings["C"], beta=settings["beta"]).fit(train, task.targets["train"])
    return lambda texts: sigmoid(head.decision_function(counts.transform(texts)))


def nbsvm(task: Task) -> dict[str, Any]:
    """Strength, n-grams, the paper's interpolation or none."""
    start = {"words": 2, "C": 0.1, "beta": 0.25}
    stages = [[{"C": 0.01}, {"C": 1.0}, {"C": 10.0}], [{"words": 1}, {"words": 3}], [{"beta": 1.0}]]
    return search(task, start, stages, fit_nbsvm)


#: Seconds of `tlclassic.tune`, about what the search over TF-IDF takes; with 28 labels on 43,410 texts more.
SECONDS = {"goemotions": 840.0}


def ours(task: Task, vectors: bool = False) -> dict[str, Any]:
    """What `tlclassic.tune` finds with the same dev texts."""
    began = time.perf_counter()
    labels = {part: task.labels[part] if task.multilabel else task.single(part) for part in ("train", "dev")}
    found = tlclassic.tune(
        task.texts["train"],
        labels["train"],
        dev=(task.texts["dev"], labels["dev"]),
        time=SECONDS.get(task.name, 100.0),
        metric="macro_f1" if task.multilabel else "accuracy",
        multilabel=task.multilabel,
        vectors=tlclassic.WordVectors.load(word_vectors_file(), format="word2vec") if vectors else None,
        threads=1,
    )
    assert list(found.classifier.classes_) == task.classes
    scorer = found.classifier.predict_proba
    return {
        "set": task.name,
        "dev": round(dev_score(task, scorer(task.texts["dev"])), 2),
        **test_scores(task, scorer),
        "settings": {key: value for key, value in found.best.items() if key != "seconds"},
        "fits": len(found.trials),
        "seconds": round(time.perf_counter() - began, 1),
    }


def ours_vectors(task: Task) -> dict[str, Any]:
    """The same with word vectors, which fastText may have as well."""
    return ours(task, vectors=True)


COMPETITORS: dict[str, Callable[[Task], dict[str, Any]]] = {
    "fastText": fasttext,
    "fastText + word vectors": fasttext_vectors,
    "TF-IDF + LR": tfidf,
    "NB-SVM": nbsvm,
    "tlclassic": ours,
    "tlclassic + word vectors": ours_vectors,
}


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--competitors", nargs="*", default=list(COMPETITORS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = Results("classifiers")
    for name in arguments.sets:
        missing = [key for key in arguments.competitors if f"{name} {key}" not in results]
        task = load_task(name) if missing else None
        for key in missing:
            results.add(f"{name} {key}", {"competitor": key, **COMPETITORS[key](task)})


if __name__ == "__main__":
    main()
