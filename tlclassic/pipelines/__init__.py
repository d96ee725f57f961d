"""Whole pipelines: built from features and a head, trained, saved, loaded, applied."""

from __future__ import annotations

from typing import Any

__all__ = ["load", "read_metadata", "save"]


def __getattr__(name: str) -> Any:
    # Applying a compiled model passes through `pipelines.applying` and needs nothing of what saving imports.
    if name in __all__:
        from tlclassic.pipelines import saving

        return getattr(saving, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
