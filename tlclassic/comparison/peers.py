"""fastText as a peer, at its best honest settings: shuffled lines, text as its own example has it, chosen on dev.

# Design: the package's ``predict`` of one text breaks under NumPy 2 (0.9.3), and that of a list is one call of
# ``multilinePredict`` after a check of every text; so that call is made here.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import available_cpus
from tlclassic.comparison.budget import Deadline
from tlclassic.comparison.problem import Labelled, Problem

__all__ = ["fit_fasttext", "open_fasttext"]

_APART = re.compile(r"([.!?,'/();:\"])")
_LABEL = "__label__"
_START = {"lr": 0.5, "epoch": 10, "wordNgrams": 2, "minn": 0, "maxn": 0, "dim": 10, "bucket": 500_000}
#: One stage after the other, each change is tried on the best settings so far.
_STAGES: tuple[tuple[dict[str, Any], ...], ...] = (
    ({}, {"lr": 0.25}, {"lr": 1.0}),
    ({"epoch": 5}, {"epoch": 25}),
    ({"minn": 3, "maxn": 5}, {"wordNgrams": 3}, {"dim": 100}),
    ({"epoch": 50},),
)
#: With fewer, fastText 0.9.3 leaves part of its matrix as it finds the memory (a tenth of it is filled a thread), and
#: now and then stops with "Encountered NaN".
_FILLERS = 10


def _line(text: str) -> str:
    """One line as fastText's classification example normalises it."""
    # NUL and half surrogates cannot be told to it.
    text = text.replace("\0", " ").encode("utf-8", "replace").decode()
    return " ".join(_APART.sub(r" \1 ", text).lower().split()).replace(_LABEL, "label")


def _write(path: Path, rows: Labelled, multilabel: bool, seed: int) -> None:
    """Labels by their places, since their names may hold blanks; shuffled, since lines are learnt in order."""
    with path.open("w", encoding="utf-8") as file:
        for row in np.random.default_rng(seed).permutation(len(rows.texts)).tolist():
            places = np.flatnonzero(rows.targets[row]).tolist() if multilabel else [int(rows.targets[row])]
            file.write(" ".join([*(f"{_LABEL}{place}" for place in places), _line(rows.texts[row])]) + "\n")


@contextlib.contextmanager
def _processors(count: int) -> Iterator[None]:
    """Threads started within share so many processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _scores(model: Any, texts: Sequence[str], n_classes: int) -> NDArray[np.float64]:
    """Probabilities, (n, C)."""
    labels, values = model.f.multilinePredict([_line(text) + "\n" for text in texts], -1, 0.0, "strict")
    found = np.zeros((len(texts), n_classes))
    for row, (names, probabilities) in enumerate(zip(labels, values, strict=True)):
        places = [int(str(name).removeprefix(_LABEL)) for name in names]
        found[row, places] = np.asarray(probabilities)
    return found


def fit_fasttext(problem: Problem, path: Path, deadline: Deadline, seed: int) -> tuple[dict[str, Any], Any]:
    """Train and save; the settings and the thresholds (None for one label a text)."""
    from tlclassic.heads.thresholds import f1_thresholds

    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "train.txt")
        _write(lines, problem.train, problem.multilabel, seed)
        score, settings, model, count = _search(lines, problem, deadline, seed)
    thresholds = None
    if problem.multilabel:
        found = f1_thresholds(problem.dev.targets, _scores(model, problem.dev.texts, len(problem.classes)))
        thresholds = found.tolist()
    model.save_model(str(path))
    return {**settings, "dev_score": score, "tried": count}, thresholds


def _search(lines: Path, problem: Problem, deadline: Deadline, seed: int) -> tuple[float, dict[str, Any], Any, int]:
    """The best dev score, its settings, its model, and how many were tried in the share of the time."""
    best: tuple[float, dict[str, Any], Any] | None = None
    tried: list[dict[str, Any]] = []
    slowest = 0.0
    for stage in _STAGES:
        base = best[1] if best else _START
        for change in stage:
            settings = {**base, **change}
            if settings in tried or (best and slowest > deadline.share_left):
                continue
            began = deadline.elapsed
            tried.append(settings)
            # "Encountered NaN": the rate was too high.
            with contextlib.suppress(RuntimeError):
                score, model = _train(lines, problem, seed, settings)
                if best is None or score > best[0]:
                    best = score, settings, model
            slowest = max(slowest, deadline.elapsed - began)
            deadline.check()
    if best is None:
        raise RuntimeError("fastText stopped with an error at all settings that were tried")
    return (*best, len(tried))


def _train(lines: Path, problem: Problem, seed: int, settings: dict[str, Any]) -> tuple[float, Any]:
    import fasttext

    from tlclassic.comparison.linear import dev_score

    loss = "ova" if problem.multilabel else "softmax"
    with _processors(available_cpus()):
        model = fasttext.train_supervised(
            input=str(lines), verbose=0, thread=_FILLERS, loss=loss, seed=seed, **settings
        )
    return dev_score(problem.dev.targets, _scores(model, problem.dev.texts, len(problem.classes))), model


def open_fasttext(path: str, classes: list[Any], thresholds: list[float] | None) -> Callable[[list[str]], list[Any]]:
    """What answers texts with labels, or lists of labels where there are thresholds."""
    import fasttext

    model = fasttext.load_model(path)
    if thresholds is not None:
        cuts = np.asarray(thresholds)
        return lambda texts: [
            [classes[place] for place in np.flatnonzero(row).tolist()]
            for row in _scores(model, texts, len(classes)) >= cuts
        ]

    def predict(texts: list[str]) -> list[Any]:
        found = model.f.multilinePredict([_line(text) + "\n" for text in texts], 1, 0.0, "strict")[0]
        # A text without any known word has no answer.
        return [classes[int(str(row[0]).removeprefix(_LABEL)) if row else 0] for row in found]

    return predict
