"""Fine-tuning of encoders, with torch: everything else of tlclassic does without it."""

from __future__ import annotations

from typing import Any

from tlclassic._compat import require

__all__ = ["FineTuned", "fine_tune", "fine_tune_tasks", "fine_tune_tokens"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for module in ("torch", "transformers"):
        require(module, purpose="Fine-tuning")
    # The module has another name than the function, or importing it would take the function's place here.
    from tlclassic.finetune import joining, running, tagged

    globals().update(
        FineTuned=running.FineTuned, fine_tune=running.fine_tune, fine_tune_tasks=joining.fine_tune_tasks,
        fine_tune_tokens=tagged.fine_tune_tokens,
    )  # fmt: skip
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
