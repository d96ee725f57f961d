"""Size against accuracy: the classifier as float32, as int8 and as int8 within 2 MB; fastText's model and its .ftz.

fastText is quantised as its documentation does it: `qnorm`, retrained, cut to 100,000 rows.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from pathlib import Path  # noqa: E402  (thread counts are read when the libraries are imported)
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import peers  # noqa: E402
from common import SCRATCH, Results  # noqa: E402
from ours import artefact  # noqa: E402
from tasks import Task, load_task, test_scores  # noqa: E402

import tlclassic  # noqa: E402

SETS = ("ag_news", "sst2", "stackoverflow20")
CUTOFF = 100_000
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "tlclassic float32": ("float32", {}),
    "tlclassic int8": ("int8", {}),
    "tlclassic int8, 2 MB": ("int8", {"max_size": "2MB"}),
    "tlclassic int8, 500 kB": ("int8", {"max_size": "500kB"}),
}


def ours(task: Task) -> dict[str, dict[str, float]]:
    """Bytes and test accuracy of each form."""
    row = {}
    for form, (dtype, options) in FORMS.items():
        path = artefact(task.name, dtype, **options)
        model = tlclassic.load(path)
        found = np.asarray(model.predict(task.texts["test"]))
        accuracy = 100 * float(np.mean(found == np.asarray(task.single("test"))))
        row[form] = {"bytes": path.stat().st_size, "test_accuracy": round(accuracy, 2)}
    return row


def train_fasttext(task: Task) -> tuple[peers.FastText, Path]:
    """The model, and the file that it is trained on."""
    source = peers.fasttext_file(SCRATCH / f"{task.name}.fasttext.txt", task.texts["train"], task.labels["train"])
    return peers.FastText(source, wordNgrams=2, dim=10, lr=0.5, epoch=25, bucket=1 << 20), source


def fasttext(task: Task) -> dict[str, dict[str, float]]:
    """The .bin and the .ftz of one model."""
    model, source = train_fasttext(task)
    row = {"fastText dim 10": _saved(task, model, SCRATCH / f"{task.name}.size.bin")}
    model.model.quantize(input=str(source), qnorm=True, retrain=True, cutoff=CUTOFF, thread=1, epoch=1)
    return {**row, "fastText quantised": _saved(task, model, SCRATCH / f"{task.name}.size.ftz")}


def _saved(task: Task, model: peers.FastText, path: Path) -> dict[str, float]:
    model.model.save_model(str(path))
    scores = test_scores(task, lambda texts: model.scores(texts, task.classes))
    return {"bytes": path.stat().st_size, "test_accuracy": scores["test_accuracy"]}


def main() -> None:
    """Run what is missing."""
    results = Results("size")
    for name in SETS:
        if name not in results:
            task = load_task(name)
            results.add(name, {"set": name, **ours(task), **fasttext(task)})


if __name__ == "__main__":
    main()
