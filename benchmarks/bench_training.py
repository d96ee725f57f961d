"""Training time on ag_news, one thread: ours at its defaults against fastText dim 10 with its own five epochs.

Ours starts from a list of strings, fastText from a file in the page cache; its threads (peers.py) share the one
processor that ours has. Test accuracy of both stands beside it.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402  (thread counts are read when the libraries are imported)
from typing import Any  # noqa: E402

import peers  # noqa: E402
from common import SCRATCH, Results  # noqa: E402
from ours import classifier  # noqa: E402
from tasks import Task, load_task, test_scores  # noqa: E402

from tlclassic.evaluation import interleaved  # noqa: E402

SETS = ("ag_news", "sst2", "stackoverflow20")
FASTTEXT = {"fastText dim 10": {"dim": 10}, "fastText dim 10, 2^20 buckets": {"dim": 10, "bucket": 1 << 20}}
OURS = {"tlclassic": {}, "tlclassic, streaming": {"solver": "adagrad"}}


def measure(name: str, repeats: int) -> dict[str, Any]:
    """One row."""
    task = load_task(name)
    texts, labels = task.texts["train"], task.single("train")
    raw = peers.fasttext_file(SCRATCH / f"{name}.raw.txt", texts, task.labels["train"], normalise=False)
    models: dict[str, Any] = {}

    def train_fasttext(key: str) -> None:
        models[key] = peers.FastText(raw, wordNgrams=2, **FASTTEXT[key])

    def train_ours(key: str) -> None:
        models[key] = classifier(**OURS[key]).fit(texts, labels)

    candidates = {key: (lambda key=key: train_fasttext(key)) for key in FASTTEXT}
    candidates |= {key: (lambda key=key: train_ours(key)) for key in OURS}
    with peers.one_processor():
        timing = interleaved(candidates, repeats=repeats, warmup=1)
    seconds = {key: timing[key]["median"] for key in candidates}
    return {
        "set": name,
        "texts": len(texts),
        "seconds": {key: round(value, 3) for key, value in seconds.items()},
        "cpu_seconds": {key: round(timing[key]["cpu"], 3) for key in candidates},
        "fastText / tlclassic": round(seconds["fastText dim 10"] / seconds["tlclassic"], 2),
        "test_accuracy": {key: accuracy(task, model) for key, model in models.items()},
        "repeats": repeats,
    }


def accuracy(task: Task, model: Any) -> float:
    """On the test texts, in percent."""
    if isinstance(model, peers.FastText):
        scorer = lambda texts: model.scores(texts, task.classes, normalise=False)  # noqa: E731
    else:
        assert list(model.classes_) == task.classes
        scorer = model.predict_proba
    return test_scores(task, scorer)["test_accuracy"]


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    results = Results("training")
    for name in arguments.sets:
        if name not in results:
            results.add(name, measure(name, arguments.repeats))


if __name__ == "__main__":
    main()
