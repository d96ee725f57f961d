"""The classification sets with their labels as 0/1 matrices, the measure of each, one search for all competitors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from common import dataset
from sklearn.metrics import accuracy_score, f1_score

from tlclassic.heads.thresholds import f1_thresholds, held_out_f1

SETS = ("sst2", "trec6", "ag_news", "banking77", "reuters_r8", "stackoverflow20", "goemotions", "snips")
Settings = dict[str, Any]


@dataclass
class Task:
    """A set: texts and, beside them, the names of each text's labels and a 0/1 matrix of shape (n, classes)."""

    name: str
    classes: list[str]
    multilabel: bool
    texts: dict[str, list[str]]
    labels: dict[str, list[list[str]]]
    targets: dict[str, np.ndarray]

    def single(self, part: str) -> list[str]:
        """The one label of each text."""
        return [names[0] for names in self.labels[part]]


class Scorer(Protocol):
    """What a fit returns: one number a class, the higher the likelier; in 0..1 where a text may have several labels."""

    def __call__(self, texts: list[str]) -> np.ndarray: ...


def load_task(name: str) -> Task:
    """A set of ../shared/data."""
    parts = dataset(name)
    multilabel = name == "goemotions"
    labels = {
        part: [label.split(",") if multilabel else [label] for label in column] for part, (_, column) in parts.items()
    }
    classes = sorted({label for row in labels["train"] for label in row})
    place = {label: column for column, label in enumerate(classes)}
    targets = {part: np.zeros((len(rows), len(classes)), dtype=np.int64) for part, rows in labels.items()}
    for part, rows in labels.items():
        for number, row in enumerate(rows):
            targets[part][number, [place[label] for label in row]] = 1
    return Task(name, classes, multilabel, {part: texts for part, (texts, _) in parts.items()}, labels, targets)


def dev_score(task: Task, scores: np.ndarray) -> float:
    """Accuracy, or the macro F1 of thresholds tuned on the other half of dev."""
    if task.multilabel:
        return 100 * held_out_f1(task.targets["dev"], scores)
    return 100 * accuracy_score(task.targets["dev"].argmax(axis=1), scores.argmax(axis=1))


def test_scores(task: Task, scorer: Scorer) -> dict[str, float]:
    """The one look at the test texts: accuracy and macro F1; thresholds, where there are any, are those of dev."""
    scores, targets = scorer(task.texts["test"]), task.targets["test"]
    if task.multilabel:
        predicted = (scores >= f1_thresholds(task.targets["dev"], scorer(task.texts["dev"]))).astype(int)
        return {"test_macro_f1": round(100 * f1_score(targets, predicted, average="macro", zero_division=0), 2)}
    truth, predicted = targets.argmax(axis=1), scores.argmax(axis=1)
    return {
        "test_accuracy": round(100 * accuracy_score(truth, predicted), 2),
        "test_macro_f1": round(100 * f1_score(truth, predicted, average="macro", zero_division=0), 2),
    }


def search(
    task: Task, start: Settings, stages: Sequence[Sequence[Settings]], fit: Callable[[Task, Settings], Scorer]
) -> dict[str, Any]:
    """Stage by stage, each change is tried on the best settings so far; dev decides, test is read once at the end.

    The models are fitted on train only, the final one too.
    """
    began = time.perf_counter()
    tried: dict[str, float] = {}
    best: tuple[float, Settings, Scorer] | None = None
    for stage in [[{}], *stages]:
        base = best[1] if best else start
        for change in stage:
            settings = {**base, **change}
            if (key := repr(sorted(settings.items(), key=lambda item: item[0]))) in tried:
                continue
            scorer = fit(task, settings)
            score = tried[key] = dev_score(task, scorer(task.texts["dev"]))
            print(f"  {task.name} {settings}: {score:.2f} after {time.perf_counter() - began:.0f} s", flush=True)
            if best is None or score > best[0]:
                best = (score, settings, scorer)
    assert best is not None
    return {
        "set": task.name,
        "dev": round(best[0], 2),
        **test_scores(task, best[2]),
        "settings": best[1],
        "fits": len(tried),
        "seconds": round(time.perf_counter() - began, 1),
    }
