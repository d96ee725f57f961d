"""The demo: classifiers on base-en, on word vectors learned from the embedded sample, and on TF-IDF, side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tlclassic.data import SAMPLE_TASKS, load_sample, open_writer
from tlclassic.pipelines.saving import load, save
from tlclassic.pipelines.training import FeatureOptions, train_classifier

__all__ = ["DemoRow", "run_demo"]

FEATURES = {
    "vectors of the sample": ("vectors",),
    "TF-IDF words": ("tfidf",),
    "TF-IDF words, characters": ("tfidf", "tfidf-char"),
    "base-en": ("base-en",),
    "base-en, TF-IDF": ("base-en", "tfidf", "tfidf-char"),
}
REPEATS = 5


@dataclass(frozen=True)
class DemoRow:
    """One line of the demo's table.

    Attributes
    ----------
    features : str
    accuracy : float
        On the sample's test part.
    interval : tuple of float
        95 % Wilson interval of the accuracy.
    size : int
        Bytes on disk.
    load_seconds, texts_per_second : float
        Medians of five.
    """

    features: str
    accuracy: float
    interval: tuple[float, float]
    size: int
    load_seconds: float
    texts_per_second: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def run_demo(folder: Path, *, on_step: Callable[[str], None] = lambda message: None) -> tuple[list[DemoRow], Any]:
    """Train, save, reload and measure; sample files, vectors and models are left in ``folder``.

    Parameters
    ----------
    folder : path
    on_step : callable, optional
        Called with a line of text before each step.

    Returns
    -------
    rows : list of DemoRow
    pipeline
        The reloaded model of the last row, on all features.
    """
    _write_sample(folder)
    train, test = load_sample("train"), load_sample("test").dataset("topic")
    on_step("learning word vectors from the sample's 952 training and unlabelled messages")
    vectors = _train_vectors(folder, [*train.texts, *load_sample("unlabelled").texts])
    data = train.dataset("topic")
    rows = []
    pipeline = None
    for name, features in FEATURES.items():
        on_step(f"training on {name}")
        stores = {"vectors": f"vectors:{vectors}", "base-en": "vectors:base-en"}
        chosen = [stores.get(kind, kind) for kind in features]
        # The rows of base-en carry their weights already.
        options = FeatureOptions(features=chosen, pooling=("sif" if "vectors" in features else "mean",))
        path = folder / f"topic-{'-'.join(features)}.tlc"
        trained = train_classifier(data.texts, data.labels, options)
        save(trained.pipeline, path, metadata={"task": {"text": "text", "label": "topic"}})
        row, pipeline = _measure(name, path, test.texts, test.labels)
        rows.append(row)
    return rows, pipeline


def _write_sample(folder: Path) -> None:
    """The sample as files like a user's own: train.tsv, dev.tsv, test.tsv and unlabelled.txt."""
    for split in ("train", "dev", "test"):
        sample = load_sample(split)
        with open_writer(folder / f"{split}.tsv", format="tsv", columns=["text", *SAMPLE_TASKS]) as writer:
            writer.write({"text": sample.texts, **{task: getattr(sample, task) for task in SAMPLE_TASKS}})
    (folder / "unlabelled.txt").write_text(
        "".join(f"{text}\n" for text in load_sample("unlabelled").texts), encoding="utf-8"
    )


def _train_vectors(folder: Path, texts: Sequence[str]) -> Path:
    from tlclassic.vectors.training import train_vectors

    path = folder / "sample-vectors.tlc"
    # Chosen on dev: so small a corpus wants a wide window, many passes and few frequent words.
    train_vectors(texts, dim=64, window=15, min_count=2, epochs=100, sample=1e-4, workers=1, seed=0).save(path)
    return path


def _measure(name: str, path: Path, texts: Sequence[str], labels: Sequence[str]) -> tuple[DemoRow, Any]:
    from tlclassic.evaluation import evaluate_predictions

    load_times = [_seconds(lambda: load(path)) for _ in range(REPEATS)]
    pipeline = load(path)
    predicted = pipeline.predict(texts).tolist()
    times = [_seconds(lambda: pipeline.predict(texts)) for _ in range(REPEATS)]
    evaluation = evaluate_predictions(list(labels), predicted).as_dict()
    low, high = evaluation["accuracy_interval"]
    speed = len(texts) / statistics.median(times)
    row = DemoRow(name, evaluation["accuracy"], (low, high), path.stat().st_size, statistics.median(load_times), speed)
    return row, pipeline


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
