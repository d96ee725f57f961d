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
#: gensim takes ten minutes for two million rows of 300: a larger file's ratio is taken on so many of its first rows.
GENSIM_ROWS = 200_000
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def child(reader: str, path: str, limit: int | None) -> None:
    """Load ``path`` once; print seconds and peak memory. Runs in a process of its own."""
    import numpy as np

    from tlclassic import WordVectors

    # NumPy and the package are in memory before the clock starts, for all readers.
    WordVectors.from_arrays(["warm"], np.zeros((1, 2), dtype=np.float32))
    if reader == "gensim":
        from gensim.models import KeyedVectors
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    if reader == "gensim":
        vectors = KeyedVectors.load_word2vec_format(path, no_header=True, limit=limit)
    else:
        vectors = WordVectors.load(path, limit=limit)
    first = float(vectors["the"][0])
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measured = {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_mb": peak / 1024,
        "before_mb": before / 1024,
        "first": first,
    }
    print(json.dumps(measured))


def run_child(reader: str, path: Path, limit: int | None = None) -> dict[str, float]:
    """One load in a fresh process."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass
    command = [sys.executable, __file__, "--child", reader, str(path), str(limit or "")]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    return json.loads(output.stdout)


def prepare(n: int, dim: int) -> tuple[Path, Path]:
    """The text file and its store."""
    text = SCRATCH / f"glove-{n}-{dim}.txt"
    store = text.with_suffix(".tlc")
    if not text.exists():
        maker = Path(__file__).with_name("make_vectors.py")
        subprocess.run([sys.executable, str(maker), str(text), str(n), str(dim)], check=True)
    if not store.exists():
        from tlclassic.vectors import convert

        convert(text, store)
    return text, store


def measure(n: int, dim: int, repeats: int) -> dict[str, object]:
    """One row: medians of ``repeats`` interleaved runs."""
    text, store = prepare(n, dim)
    limit = GENSIM_ROWS if n > GENSIM_ROWS else None
    part = f" (first {limit:,} rows)" if limit else ""
    runs: dict[str, list[dict[str, float]]] = {}

    def run(name: str, *arguments: object) -> None:
        runs.setdefault(name, []).append(run_child(*arguments))

    for _ in range(repeats):
        run("tlclassic text", "tlclassic", text)
        run("tlclassic store", "tlclassic", store)
        if limit:
            run(f"tlclassic text{part}", "tlclassic", text, limit)
        run(f"gensim text{part}", "gensim", text, limit)
    assert len({round(run["first"], 6) for measured in runs.values() for run in measured}) == 1
    row: dict[str, object] = {"words": n, "dim": dim, "text_bytes": text.stat().st_size, "repeats": repeats}
    row["readers"] = {name: summary(measured) for name, measured in runs.items()}
    for unit in ("seconds", "cpu_seconds"):
        of = {name: reader[unit] for name, reader in row["readers"].items()}
        row[f"gensim / tlclassic, {unit}"] = round(of[f"gensim text{part}"] / of[f"tlclassic text{part}"], 1)
        row[f"text / store, {unit}"] = round(of["tlclassic text"] / of["tlclassic store"], 1)
    return row


def summary(measured: list[dict[str, float]]) -> dict[str, object]:
    """Medians, and every wall-clock time."""
    medians = {key: statistics.median(run[key] for run in measured) for key in MEASURES}
    return {**medians, "all_seconds": [round(run["seconds"], 5) for run in measured]}


def main() -> None:
    """Both sizes; the large one needs 12 GB of disk in the scratch folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", nargs="*", default=["400000x100", "2000000x300"])
    arguments = parser.parse_args()
    if arguments.child:
        reader, path, limit = arguments.child
        child(reader, path, int(limit) if limit else None)
        return
    results = Results("load")
    for size in arguments.size:
        if size not in results:
            results.add(size, measure(*map(int, size.split("x")), arguments.repeats))


if __name__ == "__main__":
    main()
