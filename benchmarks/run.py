"""`make bench`: every benchmark, resumable, then the tables. Needs ../shared; about four hours on two cores.

The scratch folder (.cache/benchmarks, or TLCLASSIC_SCRATCH) takes 14 GB: text files the size of the full public tables.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from common import SCRATCH, SHARED

HERE = Path(__file__).resolve().parent
TRAINED = {
    "imdb-word2vec-100d": ["--algorithm", "word2vec"],
    "imdb-fasttext-100d": ["--algorithm", "fasttext", "--epochs", "3"],
}


SCRIPTS = (
    "bench_references", "bench_load", "bench_pool", "bench_accuracy", "bench_scoring", "bench_threads",
    "bench_letters", "bench_training", "bench_classifiers", "bench_size", "bench_start", "bench_tune", "bench_base_en",
    "bench_joint", "bench_tagging", "bench_tagging_joint", "bench_multitask", "tables",
)  # fmt: skip


def train_vectors() -> None:
    """A full vocabulary: vectors trained on ../shared/data/imdb_unsup with the project's own command."""
    for name, options in TRAINED.items():
        store = SCRATCH / f"{name}.tlc"
        if not store.exists():
            store.parent.mkdir(parents=True, exist_ok=True)
            corpus = SHARED / "data" / "imdb_unsup" / "docs.txt.gz"
            command = [
                "vectors",
                "train",
                str(corpus),
                *options,
                "--dim",
                "100",
                "--min-count",
                "10",
                "--out",
                str(store),
            ]
            subprocess.run([sys.executable, "-m", "tlclassic", *command], check=True)


def main() -> None:
    """All of them, one after the other."""
    if not SHARED.exists():
        sys.exit(f"the benchmarks need the data sets in {SHARED}, which are not there")
    train_vectors()
    for name in SCRIPTS:
        subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=True)


if __name__ == "__main__":
    main()
