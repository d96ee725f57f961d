"""What the surroundings offer: optional dependencies (refused with the command that installs them), and CPUs."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
from pathlib import Path
from types import ModuleType

from tlclassic.errors import MissingExtraError

#: Which extra of the distribution brings which top-level module.
EXTRA_OF_MODULE = {
    "gensim": "train",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "pyarrow": "train",
    "safetensors": "finetune",
    "scipy": "train",
    "sklearn": "train",
    "skops": "train",
    "spacy": "spacy",
    "tokenizers": "onnx",
    "torch": "finetune",
    "transformers": "finetune",
}


def is_installed(module: str) -> bool:
    """Whether the top-level ``module`` can be imported; it is not imported for that."""
    return importlib.util.find_spec(module) is not None


def require(module: str, *, purpose: str) -> ModuleType:
    """Import ``module`` or refuse with the install command.

    Parameters
    ----------
    module : str
        Dotted module name, for example ``"scipy.sparse"``.
    purpose : str
        What needs it; begins the error's sentence, for example ``"Reading Parquet"``.

    Raises
    ------
    MissingExtraError
        When the top-level package is not installed.
    """
    top = module.partition(".")[0]
    if not is_installed(top):
        extra = EXTRA_OF_MODULE[top]
        raise MissingExtraError(
            f"{purpose} needs {top}, which is not installed. Install it with: pip install 'tlclassic[{extra}]'",
            name=top,
        )
    return importlib.import_module(module)


def available_cpus() -> int:
    """How many CPUs this process may use: its affinity, capped by the container's quota (cgroup), at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(Path("/sys/fs/cgroup"))
    return max(1, affinity if quota is None else min(affinity, math.floor(quota)))


def _cpu_quota(folder: Path) -> float | None:
    """The CPUs that the cgroup mounted at ``folder`` allows, None without a limit.

    Formats: https://docs.kernel.org/admin-guide/cgroup-v2.html (``cpu.max``: "max 100000" or "150000 100000") and, for
    version 1, https://docs.kernel.org/scheduler/sched-bwc.html (-1: no limit).
    """
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
