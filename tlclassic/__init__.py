"""Transfer learning on text with classical, CPU-only models.

Every public name is imported when it is first used, so that ``import tlclassic`` costs little more than NumPy.
"""

from __future__ import annotations

import importlib
from typing import Any

from tlclassic._version import __version__

#: Public name → the module that defines it.
_LAZY: dict[str, str] = {
    "WordVectors": "tlclassic.vectors",
    "EmbeddingVectorizer": "tlclassic.features",
    "Tokenizer": "tlclassic.text",
    "load": "tlclassic.pipelines",
    "save": "tlclassic.pipelines",
}

__all__ = ["EmbeddingVectorizer", "Tokenizer", "WordVectors", "__version__", "load", "save"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tlclassic' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
