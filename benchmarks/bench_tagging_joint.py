"""Several tasks in one tagger beside separate taggers: intent and slots, at equal features and with few labels.

A tagger of both tells the intent's probabilities to the slots (``chain``); the separate ones are of the same options
and seed. Three seeds draw the sentences and order them; the difference has a 95 % interval over resampled test
sentences, the seeds together. Settings are the defaults, nothing is chosen. Parts of speech beside morphology need no
row: two tasks of tags in one tagger have the weights of two taggers, number by number (tests/test_tagging.py), and
share reading and hashing alone.

    python benchmarks/bench_tagging_joint.py [SET ...]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  (thread counts are read when the libraries are imported)
from bench_tagging import part  # noqa: E402
from common import SCRATCH, Results  # noqa: E402

from tlclassic import TokenTagger  # noqa: E402
from tlclassic.tagging import entities  # noqa: E402

SETS = ("snips", "mtod_en")
SHARES = (0.1, 0.3, 1.0)
SEEDS = (0, 1, 2)
RESAMPLES = 2000


def counts(truth: Sequence[Any], predicted: Sequence[Any]) -> np.ndarray:
    """Right, found and wanted of each sentence, int of shape (n, 3): entities, or the one label."""
    rows = []
    for gold, guess in zip(truth, predicted, strict=True):
        if isinstance(gold, list):
            wanted, found = set(entities(gold)), set(entities(guess))
            rows.append((len(wanted & found), len(found), len(wanted)))
        else:
            rows.append((int(gold == guess), 1, 1))
    return np.array(rows)


def f1(total: np.ndarray) -> np.ndarray:
    """Of sums of counts (..., 3), in percent; of one label a sentence that is the accuracy."""
    return 200 * total[..., 0] / np.maximum(1, total[..., 1] + total[..., 2])


def run(name: str, share: float, seed: int) -> dict[str, np.ndarray]:
    """The counts of every test sentence: ``joint SLOTS``, ``separate SLOTS`` and so on."""
    path = SCRATCH / "taggers" / f"{name} {share} {seed}.npz"
    if path.exists():
        return dict(np.load(path))
    sentences, targets = part(name, "train")
    drawn = np.random.default_rng(seed).permutation(len(sentences))[: round(share * len(sentences))].tolist()
    sentences = [sentences[i] for i in drawn]
    targets = {task: [column[i] for i in drawn] for task, column in targets.items()}
    test, truth = part(name, "test")
    found = {}
    joint = TokenTagger(random_state=seed).fit(sentences, targets).predict(test)
    for task, column in targets.items():
        alone = TokenTagger(random_state=seed).fit(sentences, {task: column}).predict(test)
        found[f"joint {task}"] = counts(truth[task], joint[task])
        found[f"separate {task}"] = counts(truth[task], alone[task])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **found)
    return found


def compared(runs: list[dict[str, np.ndarray]], task: str) -> dict[str, Any]:
    """Means over the seeds, and the interval of their difference."""
    ours, theirs = (np.stack([one[f"{way} {task}"] for one in runs]) for way in ("joint", "separate"))
    n = ours.shape[1]
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(RESAMPLES):
        weights = np.bincount(rng.integers(0, n, n), minlength=n)
        totals = [np.einsum("n,snc->sc", weights, side) for side in (ours, theirs)]
        differences.append(float((f1(totals[0]) - f1(totals[1])).mean()))
    sides = [f1(side.sum(axis=1)) for side in (ours, theirs)]
    low, high = np.percentile(differences, [2.5, 97.5])
    return {
        "joint": round(float(sides[0].mean()), 2),
        "separate": round(float(sides[1].mean()), 2),
        "difference": round(float((sides[0] - sides[1]).mean()), 2),
        "interval": [round(float(low), 2), round(float(high), 2)],
        "joint_by_seed": np.round(sides[0], 2).tolist(),
        "separate_by_seed": np.round(sides[1], 2).tolist(),
    }


def main(names: Sequence[str]) -> None:
    """What is missing, the cheapest first."""
    results = Results("tagging")
    for share in SHARES:
        for name in names or SETS:
            if (key := f"joint {name} {share}") in results:
                continue
            runs = [run(name, share, seed) for seed in SEEDS]
            tasks = [way.removeprefix("joint ") for way in runs[0] if way.startswith("joint ")]
            row = {"set": name, "share": share, "seeds": len(SEEDS), "n_test": len(next(iter(runs[0].values())))}
            results.add(key, {**row, "tasks": {task: compared(runs, task) for task in tasks}})


if __name__ == "__main__":
    main(sys.argv[1:])
