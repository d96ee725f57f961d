"""Accuracy of a transformer encoder: frozen with logistic regression, fine-tuned, and fine-tuned on few labels.

Settings are tried on train and dev (``try``); the best of them on dev gives the final row, for which the test file is
read once (``final``). Sets without a dev part lend every seventh training row to the choice; the chosen settings,
epochs included, are then run again on all training rows with nothing held out. Resumable: what stands in the results
file is not run again, and a fine-tuning that was stopped goes on from its checkpoint.

    python benchmarks/bench_finetune.py frozen [SET ...]
    python benchmarks/bench_finetune.py try SET train=all learning_rate=2e-4 epochs=5
    python benchmarks/bench_finetune.py final SET all
    python benchmarks/bench_finetune.py few SET 8 seeds=3
    python benchmarks/bench_finetune.py            # everything that is missing, with the settings of PLAN

The encoder is the folder that ``TLCLASSIC_ENCODER`` names (all-MiniLM-L6-v2 exported by ``tlclassic encoder export``).
"""

from __future__ import annotations

import ast
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_accuracy import SETS, logistic, run
from common import SCRATCH, SHARED, Results, dataset, read_tsv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ENCODER = Path(os.environ.get("TLCLASSIC_ENCODER", SCRATCH / "all-MiniLM-L6-v2"))
FINE_TUNED = ("sst2", "trec6", "cr", "mr", "subj", "ag_news", "banking77")
FEW = {"sst2": 3, "trec6": 3, "ag_news": 3, "banking77": 1}
NO_DEV = ("trec6", "banking77")
Parts = dict[str, tuple[list[str], list[str]]]

#: Short questions and intents: a high rate, many passes, averaged weights and smoothed labels.
SHORT = {"learning_rate": 2e-4, "epochs": 8, "averaging": 0.99, "label_smoothing": 0.1}
SENTENCES = {"learning_rate": 1e-4, "epochs": 4, "averaging": 0.99}
PHRASES = {
    "phrases": True,
    "learning_rate": 1.5e-4,
    "batch_size": 64,
    "epochs": 2,
    "averaging": 0.998,
    "evaluations": 3,
}
NEWS = {"learning_rate": 1e-4, "epochs": 2, "averaging": 0.998, "evaluations": 2, "max_length": 128}
HEAD = {"epochs": 30, "batch_size": 64}
WHOLE = {"sst2": PHRASES, "trec6": SHORT, "banking77": SHORT, "ag_news": NEWS}
#: What is tried for each set and way of training when the benchmark runs by itself.
PLAN: dict[str, dict[str, list[dict[str, Any]]]] = {
    name: {"head": [HEAD], "top-2": [WHOLE.get(name, SENTENCES)], "all": [WHOLE.get(name, SENTENCES)]}
    for name in FINE_TUNED
}


def parts_of(name: str, phrases: bool, min_words: int) -> Parts:
    """Train, dev and test; ``phrases`` trains on the set's labelled phrases of so many words, not on its sentences."""
    parts = dataset(name)
    if phrases:
        texts, labels = read_tsv(SHARED / "data" / name / "train_phrases.tsv")
        kept = [row for row, text in enumerate(texts) if len(text.split()) >= min_words]
        parts["train"] = [texts[row] for row in kept], [labels[row] for row in kept]
    return parts


def accuracy(folder: Path, texts: list[str], labels: list[str], file: str = "fp32") -> float:
    """Of a fine-tuned folder through onnxruntime, in percent."""
    from tlclassic.heads.encoder_classifier import EncoderClassifier

    predicted = EncoderClassifier(str(folder), file=file).predict(texts)
    return round(100 * float(np.mean(np.asarray(predicted) == np.asarray(labels))), 2)


def key_of(settings: dict[str, Any]) -> str:
    """The settings as one line."""
    return " ".join(f"{name}={value}" for name, value in sorted(settings.items()))


def progress(done: int, total: int) -> None:
    """A line now and then, for a log."""
    if done % max(1, total // 20) == 0 or done == total:
        print(f"  {time.strftime('%H:%M:%S')} {done}/{total}", flush=True)


def tune(
    train: tuple[list[str], list[str]], dev: tuple[list[str], list[str]] | None, out: Path, settings: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """A fine-tuned folder, and what it took; of a resumed run the rest alone, and from which step on."""
    from tlclassic.finetune import fine_tune

    start = (time.perf_counter(), time.process_time())
    out.parent.mkdir(parents=True, exist_ok=True)
    tuned = fine_tune(str(ENCODER), *train, str(out), dev=dev, on_progress=progress, force=True, **settings)
    took: dict[str, Any] = {
        "seconds": round(time.perf_counter() - start[0], 1),
        "cpu_seconds": round(time.process_time() - start[1], 1),
    }
    return tuned, took if tuned.resumed is None else {**took, "resumed_at_step": tuned.resumed}


def frozen(name: str, results: Results) -> None:
    """Vectors of the encoder as it is, with logistic regression."""
    from tlclassic.encoders import OnnxEncoder

    if (key := f"{name} minilm frozen+LR") in results:
        return
    decades = tuple(10.0**exponent for exponent in np.arange(-4, 1.5, 0.5))
    features = make_pipeline(OnnxEncoder(str(ENCODER), file="fp32"), StandardScaler())
    row = run(features, logistic("newton-cg"), decades, name)
    results.add(key, {"set": name, "features": "minilm frozen+LR", **row})


def try_settings(name: str, settings: dict[str, Any], results: Results) -> None:
    """One fine-tuning that only dev judges; its folder is kept for the final row."""
    if (key := f"try {name} {key_of(settings)}") in results:
        return
    options = dict(settings)
    parts = parts_of(name, options.pop("phrases", False), options.pop("min_words", 1))
    tuned, took = tune(parts["train"], parts["dev"], folder_of(name, settings), options)
    row = {
        "dev_accuracy": round(100 * tuned.best["dev_accuracy"], 2),
        "dev_loss": round(tuned.best["dev_loss"], 4),
        "best_epoch": round(tuned.best["epoch"], 2),
        "last_dev_accuracy": round(100 * tuned.history[-1]["dev_accuracy"], 2),
        **took,
    }
    results.add(key, {"set": name, "train": settings["train"], "candidate": True, "settings": settings, **row})


def folder_of(name: str, settings: dict[str, Any]) -> Path:
    """Where the fine-tuned encoder of some settings is kept."""
    return SCRATCH / "finetuned" / f"{name} {key_of(settings)}".replace(" ", "_").replace("/", "-")


def final(name: str, train: str, results: Results) -> None:
    """The row of the best settings on dev: the one look at the test file."""
    if (key := f"{name} minilm {train}") in results:
        return
    rows = [row for row in results.data["rows"].values() if row.get("candidate") and row["set"] == name]
    rows = [row for row in rows if row["train"] == train]
    if not rows:
        raise SystemExit(f"Nothing was tried for {name} {train} yet.")
    best = max(rows, key=lambda row: (row["dev_accuracy"], -row["dev_loss"]))
    settings, parts = dict(best["settings"]), dataset(name)
    folder = folder_of(name, settings)
    took = {key: best[key] for key in ("seconds", "cpu_seconds", "resumed_at_step") if key in best}
    if name in NO_DEV:
        folder = folder.with_name(f"whole_{folder.name}")
        whole = read_tsv(SHARED / "data" / name / "train.tsv")
        _, took = tune(whole, None, folder, settings)
    row = {
        "test_accuracy": accuracy(folder, *parts["test"]),
        "test_accuracy_int8": accuracy(folder, *parts["test"], file="int8"),
        "dev_accuracy": best["dev_accuracy"],
        "settings": settings,
        "epochs_run": settings.get("epochs") if name in NO_DEV else best["best_epoch"],
        "refitted_on_all_of_train": name in NO_DEV,
        "tried": len(rows),
        "n_test": len(parts["test"][0]),
        **took,
    }
    results.add(key, {"set": name, "features": f"minilm {train}", **row})


def sample(labels: list[str], per_class: int, seed: int) -> list[int]:
    """Rows of so many texts a class, at random."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    rows: list[int] = []
    for label in sorted(set(labels)):
        rows += [int(row) for row in order if labels[row] == label][:per_class]
    return sorted(rows)


def few(name: str, per_class: int, seeds: int, settings: dict[str, Any], results: Results) -> None:
    """Contrastive fine-tuning on a few texts a class, without dev: the mean over several draws."""
    if (key := f"{name} minilm few-{per_class}") in results:
        return
    train, test = read_tsv(SHARED / "data" / name / "train.tsv"), dataset(name)["test"]
    scores, total = [], 0.0
    for seed in range(seeds):
        rows = sample(train[1], per_class, seed)
        folder = SCRATCH / "finetuned" / f"{name}_few-{per_class}_{seed}"
        chosen = ([train[0][row] for row in rows], [train[1][row] for row in rows])
        _, took = tune(chosen, None, folder, {"contrastive": True, "seed": seed, "int8": False, **settings})
        scores.append(accuracy(folder, *test))
        total += took["cpu_seconds"]
        shutil.rmtree(folder)
        print(f"  {name} few-{per_class} seed {seed}: {took}", flush=True)
    row = {
        "test_accuracy": round(float(np.mean(scores)), 2),
        "test_spread": round(float(np.std(scores)), 2),
        "seeds": seeds,
        "per_class": per_class,
        "settings": settings,
        "n_test": len(test[0]),
        "cpu_seconds": round(total / seeds, 1),
    }
    results.add(key, {"set": name, "features": f"minilm few-{per_class}", **row})


def values(arguments: list[str]) -> dict[str, Any]:
    """``name=value`` arguments as a dict."""
    found = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def everything(results: Results) -> None:
    """All rows, with the settings of PLAN."""
    for name in SETS:
        frozen(name, results)
    for name in FINE_TUNED:
        for train, tried in PLAN.get(name, {}).items():
            for settings in tried:
                try_settings(name, {"train": train, **settings}, results)
            final(name, train, results)
    for name, seeds in FEW.items():
        for per_class in (8, 64):
            few(name, per_class, seeds, {}, results)


def main(arguments: list[str]) -> None:
    """Run one row, or all that are missing."""
    results = Results("finetune")
    match arguments:
        case []:
            everything(results)
        case ["frozen", *names]:
            for name in names or SETS:
                frozen(name, results)
        case ["try", name, *settings]:
            try_settings(name, {"train": "all", **values(settings)}, results)
        case ["final", name, *trains]:
            for train in trains or ("all",):
                final(name, train, results)
        case ["few", name, per_class, *settings]:
            options = values(settings)
            few(name, int(per_class), options.pop("seeds", FEW.get(name, 1)), options, results)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
