"""What the benchmarks share: the data sets, the results file, the machine's description."""

from __future__ import annotations

import csv
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from tlclassic.evaluation import environment

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
RESULTS = Path(__file__).resolve().parent / "results"
SCRATCH = Path(os.environ.get("TLCLASSIC_SCRATCH", Path(__file__).resolve().parent.parent / ".cache" / "benchmarks"))


def read_tsv(path: Path, label: str = "label") -> tuple[list[str], list[str]]:
    """Texts and labels of an unquoted TSV file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["text"] for row in rows], [row[label] for row in rows]


def read_intents(path: Path) -> tuple[list[str], list[str]]:
    """Texts and intents of a file with tokens, slots and an intent a line."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [" ".join(row["tokens"]) for row in rows], [row["intent"] for row in rows]


def dataset(name: str) -> dict[str, tuple[list[str], list[str]]]:
    """Train, dev and test of a set in ../shared/data; dev is every seventh training row where the set has none."""
    folder = SHARED / "data" / name
    if (folder / "train.jsonl").exists():
        return {part: read_intents(folder / f"{part}.jsonl") for part in ("train", "dev", "test")}
    label = "labels" if name == "goemotions" else "label"
    parts = {part: read_tsv(folder / f"{part}.tsv", label) for part in ("train", "test")}
    if (folder / "dev.tsv").exists():
        parts["dev"] = read_tsv(folder / "dev.tsv", label)
        return parts
    texts, labels = parts["train"]
    held_out = [i % 7 == 3 for i in range(len(texts))]

    def rows(wanted: bool) -> tuple[list[str], list[str]]:
        chosen = [i for i, out in enumerate(held_out) if out is wanted]
        return [texts[i] for i in chosen], [labels[i] for i in chosen]

    return {"train": rows(False), "dev": rows(True), "test": parts["test"]}


def evenly(labels: list[Any], n: int, seed: int) -> list[int]:
    """Rows at random, of every class as many as of the others while there are any; in the order drawn."""
    order = np.random.default_rng(seed).permutation(len(labels)).tolist()
    queues = [[row for row in order if labels[row] == label] for label in sorted(set(labels))]
    found: list[int] = []
    while len(found) < n and any(queues):
        found += [queue.pop(0) for queue in queues if queue]
    return found[:n]


class Results:
    """A JSON file of rows that grows while a benchmark runs, so that a stopped run goes on where it was.

    Several processes may add to it at the same time.
    """

    def __init__(self, name: str) -> None:
        self.path = RESULTS / f"{name}.json"
        self.data: dict[str, Any] = {"benchmark": name, "environment": environment(), "rows": {}}
        if self.path.exists():
            self.data["rows"] = json.loads(self.path.read_text())["rows"]

    def __contains__(self, key: str) -> bool:
        return key in self.data["rows"]

    def add(self, key: str, row: dict[str, Any]) -> None:
        """Keep a row and write the file; what stands in it by now is read again first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        SCRATCH.mkdir(parents=True, exist_ok=True)
        with (SCRATCH / f"{self.path.stem}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.path.exists():
                self.data["rows"] = json.loads(self.path.read_text())["rows"]
            self.data["rows"][key] = row
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text(json.dumps(self.data, indent=1, ensure_ascii=False) + "\n")
            temporary.replace(self.path)
        print(key, json.dumps(row, ensure_ascii=False)[:300], flush=True)
