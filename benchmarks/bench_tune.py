"""Search under a time budget: `tlclassic.tune` and fastText's autotune, the same seconds and dev file, one thread."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402  (thread counts are read when the libraries are imported)
import time  # noqa: E402
from typing import Any  # noqa: E402

import peers  # noqa: E402
from common import SCRATCH, Results  # noqa: E402
from tasks import Scorer, Task, load_task, test_scores  # noqa: E402

import tlclassic  # noqa: E402

SETS = ("sst2", "trec6", "ag_news", "banking77")


def ours(task: Task, seconds: int) -> tuple[Scorer, dict[str, Any]]:
    """Our search."""
    dev = task.texts["dev"], task.single("dev")
    found = tlclassic.tune(task.texts["train"], task.single("train"), time=seconds, dev=dev, threads=1)
    return found.classifier.predict_proba, {"trials": len(found.trials), "best": found.best}


def fasttext(task: Task, seconds: int) -> tuple[Scorer, dict[str, Any]]:
    """fastText's search; its last fit, with the best settings, comes on top of the seconds."""
    train, dev = (
        peers.fasttext_file(SCRATCH / f"{task.name}.{part}.fasttext.txt", task.texts[part], task.labels[part])
        for part in ("train", "dev")
    )
    model = peers.FastText(train, autotuneValidationFile=str(dev), autotuneDuration=seconds)
    return lambda texts: model.scores(texts, task.classes), {}


def measure(task: Task, seconds: int) -> dict[str, Any]:
    """One row."""
    row: dict[str, Any] = {"set": task.name, "seconds": seconds}
    for name, search in (("tlclassic tune", ours), ("fastText autotune", fasttext)):
        start = time.perf_counter()
        scorer, more = search(task, seconds)
        row[name] = {"took": round(time.perf_counter() - start, 1), **test_scores(task, scorer), **more}
    return row


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--sets", nargs="*", default=SETS)
    arguments = parser.parse_args()
    results = Results("tune")
    for name in arguments.sets:
        if name not in results:
            results.add(name, measure(load_task(name), arguments.seconds))


if __name__ == "__main__":
    main()
