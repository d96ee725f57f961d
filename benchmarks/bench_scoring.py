"""Scoring speed: a list of strings in, labels out, one thread; against the peers and against a bare C loop.

All are trained on the same texts with word uni- and bigrams. Each timing repeats a candidate until it has run for a
tenth of a second, candidates in turn; caches are warm for all. Sets of short files are filled up with their training
texts, so that branch predictors cannot learn a handful of texts by heart.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import argparse  # noqa: E402  (thread counts are read when the libraries are imported)
import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import peers  # noqa: E402
import pyarrow  # noqa: E402
from common import SCRATCH, Results  # noqa: E402
from ours import artefact  # noqa: E402
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from tasks import Task, load_task  # noqa: E402
from yardstick import yardsticks  # noqa: E402

import tlclassic  # noqa: E402
from tlclassic.evaluation import interleaved, process_cost  # noqa: E402

SETS = ("ag_news", "trec6", "umsab", "sst2", "banking77", "reuters_r8", "stackoverflow20", "snips")
TEXTS = 7600
#: As many n-gram buckets as ours has; fastText's own default of two million would be slower.
BUCKETS = 1 << 20
SECONDS = 0.1
OURS = "tlclassic int8"
Candidate = Callable[[], Any]


def texts_of(task: Task) -> list[str]:
    """The test texts, filled up to ``TEXTS`` with training texts, over and over if need be."""
    texts = list(task.texts["test"])
    while len(texts) < TEXTS:
        texts += task.texts["train"][: TEXTS - len(texts)]
    return texts


def train_peers(task: Task) -> dict[str, Callable[[list[str]], Any]]:
    """Every peer, fitted."""
    texts, labels = task.texts["train"], task.single("train")
    path = peers.fasttext_file(SCRATCH / f"{task.name}.raw.txt", texts, task.labels["train"], normalise=False)
    fast = {dim: peers.FastText(path, wordNgrams=2, dim=dim, bucket=BUCKETS) for dim in (10, 100)}
    fast[10].model.save_model(str(SCRATCH / f"{task.name}.bin"))
    # L-BFGS keeps some twenty copies of the weights: 2^20 columns and 77 classes do not fit into 24 GB.
    columns = BUCKETS if len(task.classes) <= 20 else BUCKETS >> 3
    pipelines = {
        "TF-IDF + LR": make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10)),
        "hashing + LR": make_pipeline(
            HashingVectorizer(ngram_range=(1, 2), n_features=columns), LogisticRegression(C=10, max_iter=50)
        ),
    }
    return {
        "fastText dim 10": fast[10].predict,
        "fastText dim 100": fast[100].predict,
        **{name: pipeline.fit(texts, labels).predict for name, pipeline in pipelines.items()},
        "model2vec": peers.model2vec_pipeline(texts, labels),
        "spaCy bag of words": peers.spacy_bag_of_words(texts, labels, epochs=1),
    }


def train_ours(task: Task) -> dict[str, Callable[[list[str]], Any]]:
    """The default classifier: int8 and float32, two threads, an Arrow column."""
    int8 = tlclassic.load(artefact(task.name, "int8"))
    return {
        OURS: int8.predict,
        "tlclassic int8, two threads": lambda texts: int8.predict(texts, threads=2),
        "tlclassic float32": tlclassic.load(artefact(task.name, "float32")).predict,
    }


def repeated(candidate: Candidate) -> tuple[Candidate, int]:
    """The candidate called often enough in a row to be timed."""
    candidate()
    start = time.perf_counter()
    candidate()
    times = max(1, round(SECONDS / max(time.perf_counter() - start, 1e-6)))

    def run() -> None:
        for _ in range(times):
            candidate()

    return run, times


def program_seconds(task: Task, texts: list[str], repeats: int) -> float:
    """fastText's own program on a file of these texts, ten times over, less its start and load."""
    program, model = peers.fasttext_program(), SCRATCH / f"{task.name}.bin"
    files = {copies: SCRATCH / f"{task.name}.{copies}.predict.txt" for copies in (1, 11)}
    for copies, path in files.items():
        path.write_text("".join(" ".join(text.split()) + "\n" for text in texts) * copies, encoding="utf-8")
    runs: dict[Path, list[float]] = {path: [] for path in files.values()}
    for _ in range(repeats):
        for path in files.values():
            runs[path].append(process_cost([str(program), "predict", str(model), str(path)]).wall_seconds)
    few, many = (statistics.median(runs[path]) for path in files.values())
    return (many - few) / 10


def measure(name: str, repeats: int) -> dict[str, Any]:
    """One row."""
    task = load_task(name)
    texts = texts_of(task)
    n_bytes = sum(len(text.encode()) for text in texts)
    column = pyarrow.array(texts)
    predictors = {**train_ours(task), **train_peers(task)}
    candidates: dict[str, Candidate] = {
        key: (lambda predict=predict: predict(texts)) for key, predict in predictors.items()
    }
    candidates["tlclassic int8, Arrow column"] = lambda: predictors[OURS](column)  # type: ignore[arg-type]
    candidates.update(yardsticks(texts))
    loops = {key: repeated(candidate) for key, candidate in candidates.items()}
    timing = interleaved({key: run for key, (run, _) in loops.items()}, repeats=repeats, warmup=0)
    seconds = {key: timing[key]["median"] / times for key, (_, times) in loops.items()}
    if program_seconds_ := program_seconds(task, texts, repeats):
        seconds["fastText program, dim 10"] = program_seconds_
    ours = seconds[OURS]
    return {
        "set": name,
        "texts": len(texts),
        "megabytes": round(n_bytes / 1e6, 3),
        "classes": len(task.classes),
        "texts_per_second": {key: round(len(texts) / value) for key, value in seconds.items()},
        "MB/s": {key: round(n_bytes / 1e6 / value, 1) for key, value in seconds.items()},
        "times faster": {key: round(value / ours, 2) for key, value in seconds.items() if key != OURS},
        "range": {
            key: [round(timing[key][end] / times, 6) for end in ("min", "max")] for key, (_, times) in loops.items()
        },
        "cpu_seconds": {key: round(timing[key]["cpu"] / times, 6) for key, (_, times) in loops.items()},
        "repeats": repeats,
    }


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    results = Results("scoring")
    for name in arguments.sets:
        if name not in results:
            results.add(name, measure(name, arguments.repeats))


if __name__ == "__main__":
    main()
