"""One model for several tasks against a model for each, at equal features and equal labels. Resumable, a row at a time.

Features are hashed words and bigrams with IDF; the strength of every head, and whether a task shares, are chosen by
cross-validation on the training texts; the test file is read once for a row. Three seeds draw the texts that are
trained on (of all of them one seed: it would draw the same). Intervals: bootstrap over the test texts, the
same draws for both models. The two are one where no task shares, and then the separate model is not fitted again.

    python benchmarks/bench_multitask.py sets [SET ...]      # joint against separate
    python benchmarks/bench_multitask.py artefact            # one file for five tasks against five files
    python benchmarks/bench_multitask.py                     # everything that is missing
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  (thread counts are read when the libraries are imported)
from common import SHARED, Results, dataset, read_tsv  # noqa: E402

import tlclassic  # noqa: E402
from tlclassic import MultiTaskClassifier, NgramVectorizer  # noqa: E402
from tlclassic.multitask import stack  # noqa: E402

DATA = SHARED / "data"
SETS = ("mtod_en", "umsab", "snips", "goemotions")
SHARES, SEEDS, DRAWS = (0.1, 0.3, 1.0), (0, 1, 2), 1000
STRENGTHS = (3.0, 10.0, 30.0)
#: Every label of goemotions a task of its own: with all texts that would take an hour.
LARGEST = {"goemotions": 0.3}
FIVE = ("sst2", "trec6", "umsab", "snips", "reuters_r8")


@dataclass
class Problem:
    """Texts and labels of every task, of both parts."""

    texts: dict[str, list[str]]
    labels: dict[str, dict[str, Any]]
    kinds: dict[str, str]
    report: Callable[[dict[str, np.ndarray], dict[str, Any], np.ndarray], dict[str, float]]


def accuracy(found: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """In percent, of weighted rows."""
    return 100 * float(weights @ (found == truth)) / float(weights.sum())


def macro_f1(found: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """In percent, of indicators of shape (n, labels)."""
    hits, guesses, wanted = (weights @ part for part in (found * truth, found, truth))
    total = guesses + wanted
    return 100 * float(np.divide(2 * hits, total, out=np.zeros(len(total)), where=total > 0).mean())


def indicator(labels: np.ndarray, classes: list[str]) -> np.ndarray:
    """Labels as 0 and 1."""
    return (labels[:, None] == np.array(classes)).astype(float)


def load_slots(name: str) -> Problem:
    """Intents, and which kinds of slots occur."""
    parts = {}
    for part in ("train", "test"):
        path = DATA / name / f"{part}.jsonl"
        raw = path.read_bytes() if path.exists() else gzip.decompress(Path(f"{path}.gz").read_bytes())
        parts[part] = [json.loads(line) for line in raw.splitlines()]
    slots = {part: [{tag[2:] for tag in row["slots"] if tag != "O"} for row in rows] for part, rows in parts.items()}
    names = sorted({slot for row in slots["train"] for slot in row})
    labels: dict[str, dict[str, Any]] = {
        part: {
            "intent": np.array([row["intent"] for row in rows]),
            "slots": np.array([[slot in row for slot in names] for row in slots[part]], dtype=int),
        }
        for part, rows in parts.items()
    }

    def report(found: dict[str, np.ndarray], truth: dict[str, Any], weights: np.ndarray) -> dict[str, float]:
        return {
            "intent": accuracy(found["intent"], truth["intent"], weights),
            "slots": macro_f1(found["slots"], truth["slots"], weights),
        }

    texts = {part: [" ".join(row["tokens"]) for row in rows] for part, rows in parts.items()}
    return Problem(texts, labels, {"slots": "multilabel"}, report)


def load_umsab() -> Problem:
    """Sentiment and language; sentiment is measured by the mean over the languages of macro F1."""
    labels: dict[str, dict[str, Any]] = {}
    texts = {}
    for part in ("train", "test"):
        texts[part], sentiment = read_tsv(DATA / "umsab" / f"{part}.tsv")
        language = read_tsv(DATA / "umsab" / f"{part}.tsv", "lang")[1]
        labels[part] = {"sentiment": np.array(sentiment), "language": np.array(language)}
    classes = sorted(set(labels["train"]["sentiment"].tolist()))

    def report(found: dict[str, np.ndarray], truth: dict[str, Any], weights: np.ndarray) -> dict[str, float]:
        left, right = indicator(found["sentiment"], classes), indicator(truth["sentiment"], classes)
        languages = np.unique(truth["language"])
        each = [macro_f1(left, right, weights * (truth["language"] == code)) for code in languages]
        return {
            "sentiment": float(np.mean(each)),
            "language": accuracy(found["language"], truth["language"], weights),
        }

    return Problem(texts, labels, {}, report)


def load_goemotions() -> Problem:
    """Every emotion a task of its own; measured together by macro F1."""
    parts = {part: read_tsv(DATA / "goemotions" / f"{part}.tsv", "labels") for part in ("train", "test")}
    rows = {part: [set(cell.split(",")) for cell in column] for part, (_, column) in parts.items()}
    names = sorted({label for row in rows["train"] for label in row})
    labels: dict[str, dict[str, Any]] = {
        part: {name: np.array([[int(name in row)] for row in found]) for name in names} for part, found in rows.items()
    }

    def report(found: dict[str, np.ndarray], truth: dict[str, Any], weights: np.ndarray) -> dict[str, float]:
        left, right = (np.hstack([answers[name] for name in names]).astype(float) for answers in (found, truth))
        return {"emotions": macro_f1(left, right, weights)}

    texts = {part: column for part, (column, _) in parts.items()}
    return Problem(texts, labels, dict.fromkeys(names, "multilabel"), report)


def load(name: str) -> Problem:
    """A set of ../shared/data."""
    return {"umsab": load_umsab, "goemotions": load_goemotions}.get(name, lambda: load_slots(name))()


def fitted(problem: Problem, rows: np.ndarray, sharing: str, seed: int) -> tuple[MultiTaskClassifier, float]:
    """A model of those training texts, and the seconds that it took."""
    texts = [problem.texts["train"][i] for i in rows]
    # A label that no text has cannot be learned.
    labels = {name: values[rows] for name, values in problem.labels["train"].items()}
    model = MultiTaskClassifier(
        NgramVectorizer(idf=True, bits=18), kinds=problem.kinds, sharing=sharing, strengths=STRENGTHS, random_state=seed
    )
    began = time.process_time()
    model.fit(texts, labels)
    return model, time.process_time() - began


def compared(name: str, problem: Problem, share: float) -> dict[str, Any]:
    """Joint against separate on the test texts, over the seeds."""
    n = len(problem.texts["train"])
    found: dict[str, list[Any]] = {}
    chosen: list[dict[str, str]] = []
    seconds: dict[str, list[float]] = {}
    for seed in SEEDS if share < 1 else SEEDS[:1]:
        rows = np.sort(np.random.default_rng(seed).permutation(n)[: round(share * n)])
        models = {"joint": fitted(problem, rows, "auto", seed)}
        if any(way != "none" for way in models["joint"][0].sharing_.values()):
            models["separate"] = fitted(problem, rows, "none", seed)
        answers = {way: model.predict(problem.texts["test"]) for way, (model, _) in models.items()}
        answers.setdefault("separate", answers["joint"])
        for way, each in answers.items():
            found.setdefault(way, []).append(each)
        for way, (_, spent) in models.items():
            seconds.setdefault(way, []).append(round(spent, 1))
        chosen.append(models["joint"][0].sharing_)
        print(f"  {name} {share} seed {seed}: {shown(chosen[-1])}, {seconds}", flush=True)
    return {
        "set": name,
        "share": share,
        "n_train": round(share * n),
        "sharing": [shown(each) for each in chosen],
        **intervals(problem, found),
        "seconds": seconds,
    }


def shown(sharing: dict[str, str]) -> dict[str, Any]:
    """Ways by task, of many tasks how many take each."""
    if len(sharing) < 5:
        return dict(sharing)
    ways = list(sharing.values())
    return {way: ways.count(way) for way in sorted(set(ways))}


def intervals(problem: Problem, found: dict[str, list[Any]]) -> dict[str, Any]:
    """Means over the seeds, and of joint minus separate the 95 % interval over test texts and seeds."""
    truth = problem.labels["test"]
    n = len(problem.texts["test"])
    ones = np.ones(n)
    figures = {way: [problem.report(each, truth, ones) for each in answers] for way, answers in found.items()}
    measures = list(figures["joint"][0])
    means = {
        way: {m: round(float(np.mean([row[m] for row in rows])), 2) for m in measures} for way, rows in figures.items()
    }
    random = np.random.default_rng(0)
    draws: dict[str, list[float]] = {m: [] for m in measures}
    for _ in range(DRAWS):
        weights = random.multinomial(n, np.full(n, 1 / n)).astype(float)
        pairs = [
            (problem.report(joint, truth, weights), problem.report(separate, truth, weights))
            for joint, separate in zip(found["joint"], found["separate"], strict=True)
            if joint is not separate
        ]
        for m in measures:
            draws[m].append(sum(a[m] - b[m] for a, b in pairs) / len(found["joint"]))
    gain = {
        m: {
            "mean": round(means["joint"][m] - means["separate"][m], 2),
            "interval": [round(float(np.quantile(draws[m], q)), 2) for q in (0.025, 0.975)],
            "by_seed": [round(a[m] - b[m], 2) for a, b in zip(figures["joint"], figures["separate"], strict=True)],
        }
        for m in measures
    }
    return {"test": means, "gain": gain}


# -- one file for five tasks -----------------------------------------------------------------------------------------


def artefact(results: Results) -> None:
    """Sizes and scoring times of one compiled model of five tasks, and of a model for each."""
    if "artefact different texts" not in results:
        parts = {name: dataset(name)["train"] for name in FIVE}
        texts = [text for name in FIVE for text in dataset(name)["test"][0]]
        results.add("artefact different texts", sized("five sets that share no text", parts, texts))
    if "artefact same texts" not in results:
        problem = load("mtod_en")
        intent, slots = problem.labels["train"]["intent"], problem.labels["train"]["slots"]
        frequent = np.argsort(-slots.sum(axis=0))[:3]
        columns = {f"slot {i}": np.where(slots[:, i] > 0, "yes", "no") for i in frequent}
        columns |= {"intent": intent, "domain": np.array([label.split("__")[0] for label in intent])}
        parts = {name: (problem.texts["train"], values) for name, values in columns.items()}
        results.add("artefact same texts", sized("five tasks on the texts of mtod_en", parts, problem.texts["test"]))


def sized(what: str, parts: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    """One model of all parts, and one of each, compiled, saved and timed in turns on one thread."""
    options: dict[str, Any] = {"sharing": "none", "strengths": [3.0], "calibrate": False}
    same = len({id(part[0]) for part in parts.values()}) == 1
    first = next(iter(parts.values()))[0]
    joint_texts, labels = (first, {name: part[1] for name, part in parts.items()}) if same else stack(parts)
    models = {"joint": MultiTaskClassifier(**options).fit(joint_texts, labels)}
    models |= {name: MultiTaskClassifier(**options).fit(part[0], {name: part[1]}) for name, part in parts.items()}
    row: dict[str, Any] = {"what": what, "tasks": list(parts), "n_texts": len(texts), "dtypes": {}}
    for dtype in ("float32", "int8"):
        compiled = {name: tlclassic.compile(model, dtype=dtype) for name, model in models.items()}
        sizes = {name: saved_size(model) for name, model in compiled.items()}
        times = timed(compiled, texts)
        singles = {name: times[name] for name in parts}
        row["dtypes"][dtype] = {
            "bytes": sizes["joint"],
            "bytes_of_five": sum(sizes[name] for name in parts),
            "tables": "one" if len(compiled["joint"].metadata["families"]) == 1 else "one a task",
            "microseconds": round(times["joint"], 3),
            "microseconds_of_largest": round(max(singles.values()), 3),
            "microseconds_of_five": round(sum(singles.values()), 3),
        }
    return row


def saved_size(model: Any) -> int:
    """Bytes of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tlc"
        model.save(path)
        return path.stat().st_size


def timed(models: dict[str, Any], texts: list[str], rounds: int = 25) -> dict[str, float]:
    """Processor microseconds a text, the least of the rounds, the models in turns."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, model in models.items():
            began = time.process_time()
            model.decision_function(texts)
            spent = 1e6 * (time.process_time() - began) / len(texts)
            best[name] = min(spent, best.get(name, spent))
    return best


def main(arguments: list[str]) -> None:
    """Run what is missing."""
    results = Results("multitask")
    what, *names = arguments or ["all"]
    if what in ("artefact", "all"):
        artefact(results)
    if what in ("sets", "all"):
        problems = {name: load(name) for name in names or SETS}
        for share in SHARES:
            for name, problem in problems.items():
                if f"{name} {share}" not in results and share <= LARGEST.get(name, 1.0):
                    results.add(f"{name} {share}", compared(name, problem, share))


if __name__ == "__main__":
    main(sys.argv[1:])
