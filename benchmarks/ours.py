"""Our side of the classifier benchmarks: the default `NgramClassifier`, compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common import SCRATCH
from tasks import load_task

import tlclassic


def classifier(**settings: Any) -> Any:
    """The defaults: word uni- and bigrams in 2^20 buckets, as the peers have them."""
    return tlclassic.NgramClassifier(**{"word_ngrams": (1, 2), "bits": 20, "threads": 1, **settings})


def artefact(name: str, dtype: str = "int8", **options: Any) -> Path:
    """The default classifier fitted on the training texts of a set and compiled; made once."""
    size = str(options.get("max_size", "")).lower()
    path = SCRATCH / f"{name}-{dtype}{size}.compiled.tlc"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        task = load_task(name)
        fitted = classifier().fit(task.texts["train"], task.single("train"))
        dev = {"texts": task.texts["dev"], "labels": task.single("dev")}
        tlclassic.compile(fitted, dtype=dtype, **dev, **options).save(path)
    return path
