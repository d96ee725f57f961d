"""Accuracy of the packaged vectors base-en with logistic regression, beside the public vector sets of bench_accuracy.

The protocol of bench_accuracy: the strength is chosen on dev, and so is the pooling; the test file is then read once.
``--dev`` stops before that; ``--vectors FILE`` takes other vectors (and then never reads a test file).
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_accuracy import SETS, VECTORS, choose_on_dev, logistic
from common import RESULTS, SHARED, Results, dataset
from scipy.stats import spearmanr
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tlclassic import EmbeddingVectorizer, WordVectors, load_vectors

POOLINGS: dict[str, Any] = {
    "mean": "mean",
    "mean+max+min": ("mean", "max", "min"),
    "power": "power",
}
STRENGTHS = tuple(10.0**exponent for exponent in np.arange(-4, 1.5, 0.5))


def on_dev(vectors: WordVectors, pooling: str, name: str) -> tuple[dict[str, Any], Any]:
    """One pooling on one set: the row with its dev accuracy, and the model from texts to labels."""
    start = time.perf_counter()
    parts = dataset(name)
    features = make_pipeline(EmbeddingVectorizer(vectors, pooling=POOLINGS[pooling]), StandardScaler())
    train = features.fit_transform(parts["train"][0])
    encoded = {"train": (train, parts["train"][1]), "dev": (features.transform(parts["dev"][0]), parts["dev"][1])}
    strength, accuracy, model = choose_on_dev(logistic("newton-cg"), STRENGTHS, encoded)
    row = {
        "set": name,
        "pooling": pooling,
        "dev_accuracy": round(100 * accuracy, 2),
        "strength": strength,
        "n_features": int(train.shape[1]),
        "seconds": round(time.perf_counter() - start, 1),
    }
    return row, make_pipeline(features, model)


def best_public(name: str) -> dict[str, Any]:
    """The best test accuracy of any public vector set with any pooling on ``name``, as bench_accuracy found it."""
    rows = json.loads((RESULTS / "accuracy.json").read_text())["rows"].values()
    row = max((r for r in rows if r["set"] == name and r.get("vectors") in VECTORS), key=lambda r: r["test_accuracy"])
    return {"best_public": row["features"], "best_public_test_accuracy": row["test_accuracy"]}


def similarity(vectors: WordVectors, part: str) -> float:
    """Spearman correlation, times 100, of the cosine of mean-pooled sentences with the scores of STS-B."""
    with (SHARED / "data" / "stsb" / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    pool = EmbeddingVectorizer(vectors, normalize=True).fit([row["sentence1"] for row in rows])
    first, second = (pool.transform([row[f"sentence{side}"] for row in rows]) for side in (1, 2))
    return round(100 * float(spearmanr((first * second).sum(axis=1), [float(r["score"]) for r in rows]).statistic), 2)


def final_row(vectors: WordVectors, name: str) -> dict[str, Any]:
    """Pooling and strength by dev, then the test file, once."""
    tried = [on_dev(vectors, pooling, name) for pooling in POOLINGS]
    row, model = max(tried, key=lambda pair: pair[0]["dev_accuracy"])
    texts, labels = dataset(name)["test"]
    accuracy = 100 * float(np.mean(model.predict(texts) == np.asarray(labels)))
    devs = {other["pooling"]: other["dev_accuracy"] for other, _ in tried}
    return {**row, "dev_by_pooling": devs, "test_accuracy": round(accuracy, 2), **best_public(name)}


def main() -> None:
    """Dev rows for vectors in the making; final rows, resumable, for base-en."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--vectors", type=Path)
    options = parser.parse_args()
    vectors = load_vectors(options.vectors or "base-en")
    if options.dev or options.vectors:
        print("stsb dev", similarity(vectors, "dev"), flush=True)
        for name in options.sets:
            for pooling in POOLINGS:
                row, _ = on_dev(vectors, pooling, name)
                print(
                    f"{name:10} {pooling:13} {row['dev_accuracy']:6} C={row['strength']:<8.2g} {row['seconds']}",
                    flush=True,
                )
        return
    results = Results("base_en")
    results.data["digest"] = vectors.digest
    if "stsb" not in results:
        results.add("stsb", {"set": "stsb", "dev": similarity(vectors, "dev"), "test": similarity(vectors, "test")})
    for name in options.sets:
        if name not in results:
            results.add(name, final_row(vectors, name))


if __name__ == "__main__":
    main()
