"""Classifiers of one's own texts side by side: words counted, word vectors, transformers, students of transformers."""

from __future__ import annotations

import importlib
from typing import Any

#: Imported when they are first used: the processes that measure a model import no other one's libraries.
_LAZY = {
    "MODELS": "tlclassic.comparison.models",
    "Comparison": "tlclassic.comparison.result",
    "Settings": "tlclassic.comparison.problem",
    "compare": "tlclassic.comparison.running",
    "parse_time": "tlclassic.comparison.budget",
}

__all__ = ["MODELS", "Comparison", "Settings", "compare", "parse_time"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
