"""Fine-tuning of encoders, with torch: everything else of tlclassic does without it."""

from __future__ import annotations

from typing import Any

from tlclassic._compat import require

__all__ = ["FineTuned", "fine_tune", "fine_tune_tasks", "fine_tune_tokens", "tune_thresholds"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for module in ("torch", "transformers"):
        require(module, purpose="Fine-tuning")
    # The modules have other names than the functions, or importing them would take the functions' place here.
    from tlclassic.finetune import joining, running, tagged, thresholds

    globals().update(
        FineTuned=running.FineTuned,
        fine_tune=running.fine_tune,
        fine_tune_tasks=joining.fine_tune_tasks,
        fine_tune_tokens=tagged.fine_tune_tokens,
        tune_thresholds=thresholds.tune_thresholds,
    )
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
