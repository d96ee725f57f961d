"""How two threads scale: one call of `predict` on a large batch, one thread and two in turn; results must be the same.

Beside it what the machine gives: two copies of the bare C loops at the same time, over one of them.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import threading  # noqa: E402  (thread counts are read when the libraries are imported)
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import pyarrow  # noqa: E402
from common import Results  # noqa: E402
from ours import artefact  # noqa: E402
from tasks import load_task  # noqa: E402
from yardstick import yardsticks  # noqa: E402

import tlclassic  # noqa: E402
from tlclassic.evaluation import interleaved  # noqa: E402

SETS = ("ag_news", "trec6", "umsab")
TEXTS = 300_000
REPEATS = 7


def at_once(run: Callable[[], Any]) -> None:
    """Twice, in two threads; the C loops hold no lock."""
    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(name: str) -> dict[str, Any]:
    """One row."""
    texts = load_task(name).texts["test"]
    texts = (texts * (1 + TEXTS // len(texts)))[:TEXTS]
    model = tlclassic.load(artefact(name, "int8"))
    column = pyarrow.array(texts)
    same = np.array_equal(model.decision_function(texts), model.decision_function(texts, threads=2))
    inputs = {"list of str": texts, "Arrow column": column}
    runs: dict[str, Callable[[], Any]] = {
        f"{kind}, {threads}": (lambda given=given, threads=threads: model.predict(given, threads=threads))
        for kind, given in inputs.items()
        for threads in (1, 2)
    }
    loops = {key: loop for key, loop in yardsticks(texts[:30_000]).items() if "2^16" not in key}
    runs |= {f"{key}, 1": loop for key, loop in loops.items()}
    runs |= {f"{key}, 2": (lambda loop=loop: at_once(loop)) for key, loop in loops.items()}
    seconds = {key: row["median"] for key, row in interleaved(runs, repeats=REPEATS).items()}
    ratios = {kind: seconds[f"{kind}, 1"] / seconds[f"{kind}, 2"] for kind in inputs}
    ratios |= {key: 2 * seconds[f"{key}, 1"] / seconds[f"{key}, 2"] for key in loops}
    return {
        "set": name,
        "texts": len(texts),
        "same results": bool(same),
        "two threads over one": {key: round(value, 2) for key, value in ratios.items()},
        "texts_per_second": {kind: round(len(texts) / seconds[f"{kind}, 1"]) for kind in inputs},
        "repeats": REPEATS,
    }


def main() -> None:
    """Run what is missing."""
    results = Results("threads")
    for name in SETS:
        if name not in results:
            results.add(name, measure(name))


if __name__ == "__main__":
    main()
