"""The machine and the versions that a measurement was taken with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from tlclassic._compat import available_cpus

__all__ = ["environment"]

#: Packages whose version a result depends on.
PACKAGES = (
    "tlclassic",
    "numpy",
    "scipy",
    "scikit-learn",
    "gensim",
    "spacy",
    "onnxruntime",
    "tokenizers",
    "model2vec",
    "fasttext",
)


def environment() -> dict[str, Any]:
    """JSON-able: processor, CPUs that may be used, memory in GiB, system, Python, versions of installed packages.

    Nothing in it names the machine or its user.
    """
    return {
        "cpu": _cpu_model(),
        "cpus": available_cpus(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name)) is not None},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "CPU part")))
    return next(models, platform.processor() or "unknown")
