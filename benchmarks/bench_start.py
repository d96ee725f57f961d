"""Cold start: a process that opens the artefact and labels one text, against one that only imports NumPy.

Whole processes, in turn, their files in the page cache; wall clock and peak memory.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from bench_size import train_fasttext
from common import SCRATCH, Results
from ours import artefact
from tasks import load_task

from tlclassic.evaluation import process_cost

TEXT = "Stocks fell after the company cut its forecast"
SMALL = "2MB"


def commands(model: Path, fasttext: Path, line: Path) -> dict[str, list[str]]:
    """What is started."""
    load = f"import tlclassic; tlclassic.load({str(model)!r}).predict([{TEXT!r}])"
    peer = f"import fasttext; fasttext.load_model({str(fasttext)!r}).f.multilinePredict([{TEXT!r} + '\\n'], 1, 0.0, '')"
    program = shutil.which("tlclassic", path=str(Path(sys.executable).parent)) or "tlclassic"
    return {
        "import numpy": [sys.executable, "-c", "import numpy"],
        "tlclassic: load and label one text": [sys.executable, "-c", load],
        "tlclassic predict, from the shell": [program, "predict", str(model), str(line), "--lines"],
        "fastText: load and label one text": [sys.executable, "-c", peer],
    }


def measure(repeats: int) -> dict[str, Any]:
    """Medians, and ratios to NumPy's."""
    model = artefact("ag_news", "int8", max_size=SMALL)
    line = SCRATCH / "line.txt"
    line.write_text(TEXT + "\n", encoding="utf-8")
    fasttext = SCRATCH / "ag_news.size.bin"
    if not fasttext.exists():
        train_fasttext(load_task("ag_news"))[0].model.save_model(str(fasttext))
    started = commands(model, fasttext, line)
    runs: dict[str, list[Any]] = {name: [] for name in started}
    for turn in range(repeats + 1):
        for name, command in started.items():
            cost = process_cost(command)
            if turn:
                runs[name].append(cost)
    rows = {
        name: {
            "wall_seconds": round(statistics.median(cost.wall_seconds for cost in costs), 4),
            "cpu_seconds": round(statistics.median(cost.cpu_seconds for cost in costs), 4),
            "peak_mb": round(statistics.median(cost.peak_bytes for cost in costs) / 1e6, 1),
        }
        for name, costs in runs.items()
    }
    base = rows["import numpy"]
    for row in rows.values():
        row["times numpy"] = round(row["wall_seconds"] / base["wall_seconds"], 2)
        row["mb over numpy"] = round(row["peak_mb"] - base["peak_mb"], 1)
    return {"file_mb": round(model.stat().st_size / 1e6, 2), "processes": rows, "repeats": repeats}


def main() -> None:
    """Run it where it is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    results = Results("start")
    if "ag_news" not in results:
        results.add("ag_news", measure(arguments.repeats))


if __name__ == "__main__":
    main()
