"""Opening word vectors: GloVe text against gensim, the store against the text; one thread, peak memory beside it.

Every load runs in a fresh process (its own import time is not counted), the two readers in turn. Before each load the
file is read once, so that both find it in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import SCRATCH, Results

#: Wall-clock and processor seconds, peak memory of the process and its memory before the load in MiB.
MEASURES = ("seconds", "cpu_seconds", "peak_mb", "before_mb")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def child(reader: str, path: str) -> None:
    """Load ``path`` once; print seconds and peak memory. Runs in a process of its own."""
    import tlclassic  # noqa: F401  (NumPy and the package are in memory before the clock starts, for all readers)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if reader == "gensim":
        from gensim.models import KeyedVectors

        start, cpu = time.perf_counter(), time.process_time()
        vectors = KeyedVectors.load_word2vec_format(path, no_header=True)
    else:
        from tlclassic import WordVectors

        WordVectors.from_arrays(["warm"], __import__("numpy").zeros((1, 2), "float32"))
        start, cpu = time.perf_counter(), time.process_time()
        vectors = WordVectors.load(path)
    vector = vectors["the"]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": cpu,
                "peak_mb": peak / 1024,
                "before_mb": before / 1024,
                "first": float(vector[0]),
            }
        )
    )


def run_child(reader: str, path: Path) -> dict[str, float]:
    """One load in a fresh process."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass
    command = [sys.executable, __file__, "--child", reader, str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    return json.loads(output.stdout)


def measure(n: int, dim: int, repeats: int) -> dict[str, object]:
    """One row: medians of ``repeats`` interleaved runs."""
    text = SCRATCH / f"glove-{n}-{dim}.txt"
    store = text.with_suffix(".tlc")
    if not text.exists():
        subprocess.run(
            [sys.executable, str(Path(__file__).with_name("make_vectors.py")), str(text), str(n), str(dim)], check=True
        )
    if not store.exists():
        from tlclassic.vectors import convert

        convert(text, store)
    runs: dict[str, list[dict[str, float]]] = {"tlclassic text": [], "gensim text": [], "tlclassic store": []}
    for _ in range(repeats):
        runs["tlclassic text"].append(run_child("tlclassic", text))
        runs["tlclassic store"].append(run_child("tlclassic", store))
        runs["gensim text"].append(run_child("gensim", text))
    row: dict[str, object] = {"words": n, "dim": dim, "text_bytes": text.stat().st_size, "repeats": repeats}
    for name, measured in runs.items():
        row[name] = {
            key: statistics.median(run[key] for run in measured) for key in ("seconds", "peak_mb", "before_mb")
        }
        row[name]["all_seconds"] = [round(run["seconds"], 5) for run in measured]
    seconds = {name: row[name]["seconds"] for name in runs}
    cpu = {name: row[name]["cpu_seconds"] for name in runs}
    row["gensim / tlclassic, text"] = round(seconds["gensim text"] / seconds["tlclassic text"], 1)
    row["gensim / tlclassic, text, cpu"] = round(cpu["gensim text"] / cpu["tlclassic text"], 1)
    row["tlclassic text / store"] = round(seconds["tlclassic text"] / seconds["tlclassic store"], 1)
    assert len({round(run["first"], 6) for measured in runs.values() for run in measured}) == 1
    return row


def main() -> None:
    """Both sizes; the large one needs 12 GB of disk in the scratch folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", nargs="*", default=["400000x100", "2000000x300"])
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    results = Results("load")
    for size in arguments.size:
        if size not in results:
            results.add(size, measure(*map(int, size.split("x")), arguments.repeats))


if __name__ == "__main__":
    main()
