"""``tlclassic bench`` on real data: every model from counted words to the cascade, by the command that users run.

The command has the files of a set, an encoder and a limit of time, and everything else as it comes; it fine-tunes the
encoder, distils it and sets the cascade by itself. Resumable: what a stopped run has fitted is in its folder.

    python benchmarks/bench_whole.py [SET ...]

The encoder is the folder that ``TLCLASSIC_ENCODER`` names (all-MiniLM-L6-v2 exported by ``tlclassic encoder export``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bench_finetune import ENCODER
from common import SCRATCH, SHARED, Results

#: For fitting all models.
TIME = "25m"
SETS = ("trec6", "cr")
KEPT = (
    "title", "accuracy", "accuracy_interval", "macro_f1", "training_seconds", "bytes", "peak_bytes", "startup_seconds",
)  # fmt: skip


def whole(name: str, results: Results) -> None:
    """Run the command and keep its table."""
    if name in results:
        return
    data, out = SHARED / "data" / name, SCRATCH / "whole" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    files = [data / "train.tsv", data / "test.tsv"]
    dev: list[Any] = ["--dev", data / "dev.tsv"] if (data / "dev.tsv").exists() else []
    command = [sys.executable, "-m", "tlclassic", "bench", *files, *dev, "--encoder", ENCODER, "--time", TIME]
    done = subprocess.run([*map(str, command), "--out", str(out), "--json"], stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    rows = [
        {
            **{key: row[key] for key in KEPT},
            **{f"texts_per_second_{n}": row["speed"][n]["texts_per_second"] for n in row["speed"]},
        }
        for row in found["rows"]
    ]
    results.add(
        name, {"set": name, "time": TIME, "texts": found["texts"], "left_out": found["left_out"], "models": rows}
    )


def main(names: list[str]) -> None:
    """All that is missing."""
    results = Results("whole")
    for name in names or SETS:
        whole(name, results)


if __name__ == "__main__":
    main(sys.argv[1:])
