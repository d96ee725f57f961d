"""Compiled classifiers: from texts to labels through NumPy and the kernels alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tlclassic.runtime.classifier import CompiledClassifier

if TYPE_CHECKING:
    from tlclassic.runtime.multitask import CompiledTasks

__all__ = ["CompiledClassifier", "CompiledTasks"]


def __getattr__(name: str) -> Any:
    # Most models have one task, and a process that serves one of those does not import this.
    if name == "CompiledTasks":
        from tlclassic.runtime.multitask import CompiledTasks

        return CompiledTasks
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
