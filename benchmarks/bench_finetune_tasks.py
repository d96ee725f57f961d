"""One fine-tuned encoder for several sets that share no text, against an encoder for each, at equal settings.

Of each set so many labelled texts, drawn evenly over the classes. ``fine_tune_tasks`` as it comes: attention of each
task over the token states, attention between tasks, sampling by temperature; and plainly, all of them off (hard sharing
alone). No setting was chosen here, so that there is no dev; the test file is read once for a row. Intervals: bootstrap
over the test texts, the same draws for all, of the mean over the seeds. Resumable, a fine-tuning at a time.

    python benchmarks/bench_finetune_tasks.py

The encoder is the folder that ``TLCLASSIC_ENCODER`` names (all-MiniLM-L6-v2 exported by ``tlclassic encoder export``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  (thread counts are read when the libraries are imported)
from bench_finetune import ENCODER, progress  # noqa: E402
from common import SCRATCH, Results, dataset, evenly  # noqa: E402

SETS = ("mr", "cr", "subj", "trec6")
LABELS, SEEDS, DRAWS = 300, (0, 1, 2), 2000
SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-4, "epochs": 6, "averaging": 0.99, "int8": False, "threads": 1, "max_length": 64,
}  # fmt: skip
PLAIN: dict[str, Any] = {"task_pooling": "shared", "cross_attention": False, "temperature": 1.0}


def drawn(name: str, seed: int) -> tuple[list[str], list[str]]:
    """So many training texts, of every class as many as of the others while there are any."""
    texts, labels = dataset(name)["train"]
    rows = evenly(labels, LABELS, seed)
    return [texts[row] for row in rows], [labels[row] for row in rows]


def right(folder: Path, name: str, task: str | None) -> list[int]:
    """For each test text 1 where the answer is right, else 0."""
    from tlclassic.heads.encoder_classifier import EncoderClassifier

    texts, labels = dataset(name)["test"]
    found = EncoderClassifier(str(folder), file="fp32", threads=1, task=task).predict(texts)
    return (np.asarray(found) == np.asarray(labels)).astype(int).tolist()


def separate(folder: Path, name: str, seed: int) -> dict[str, list[int]]:
    """An encoder for one set."""
    from tlclassic.finetune import fine_tune

    out = fine_tune(str(ENCODER), *drawn(name, seed), folder, seed=seed, on_progress=progress, **SETTINGS)
    return {name: right(out.path, name, None)}


def joint(folder: Path, seed: int, **more: Any) -> dict[str, list[int]]:
    """One encoder for all sets."""
    from tlclassic.finetune import fine_tune_tasks

    sets = {name: drawn(name, seed) for name in SETS}
    out = fine_tune_tasks(str(ENCODER), sets, folder, seed=seed, on_progress=progress, **SETTINGS, **more)
    return {name: right(out.path, name, name) for name in SETS}


def row(results: Results, key: str, run: Callable[[Path], dict[str, list[int]]]) -> None:
    """Run and keep what is missing; the folder is not needed again."""
    if key in results:
        return
    folder = SCRATCH / "finetune-tasks" / key.replace(" ", "-")
    folder.parent.mkdir(parents=True, exist_ok=True)
    found = run(folder)
    shutil.rmtree(folder)
    results.add(key, {"accuracy": {name: round(100 * float(np.mean(its)), 2) for name, its in found.items()},
                      "right": {name: "".join(map(str, its)) for name, its in found.items()}})  # fmt: skip


def compare(results: Results) -> None:
    """Gains over separate encoders, with their intervals."""
    rows = results.data["rows"]
    for kind in ("attention", "plain"):
        if (key := f"gain {kind}") in results:
            continue
        gains: dict[str, Any] = {}
        for name in SETS:
            differences = np.mean(
                [_digits(rows[f"{kind} {s}"], name) - _digits(rows[f"{name} {s}"], name) for s in SEEDS], 0
            )
            random = np.random.default_rng(0)
            means = [differences[random.integers(0, len(differences), len(differences))].mean() for _ in range(DRAWS)]
            low, high = np.percentile(means, [2.5, 97.5])
            gains[name] = {
                "separate": round(100 * float(np.mean([_digits(rows[f"{name} {s}"], name).mean() for s in SEEDS])), 2),
                "joint": round(100 * float(np.mean([_digits(rows[f"{kind} {s}"], name).mean() for s in SEEDS])), 2),
                "gain": round(100 * float(differences.mean()), 2),
                "interval": [round(100 * float(low), 2), round(100 * float(high), 2)],
            }
        results.add(key, {"kind": kind, "labels": LABELS, "seeds": len(SEEDS), "gains": gains})


def _digits(of: dict[str, Any], name: str) -> np.ndarray:
    return np.array([int(digit) for digit in of["right"][name]], float)


def main() -> None:
    """All that is missing."""
    results = Results("finetune_tasks")
    for seed in SEEDS:
        for name in SETS:
            row(results, f"{name} {seed}", lambda folder, name=name, seed=seed: separate(folder, name, seed))
        row(results, f"attention {seed}", lambda folder, seed=seed: joint(folder, seed))
        row(results, f"plain {seed}", lambda folder, seed=seed: joint(folder, seed, **PLAIN))
    compare(results)


if __name__ == "__main__":
    main()
