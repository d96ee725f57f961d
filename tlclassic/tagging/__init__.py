"""Linear taggers of tokens: features, structured training, legal decoding, scores of entities."""

from __future__ import annotations

import importlib
from typing import Any

#: Public name → the module that defines it; a process that only predicts imports no scikit-learn.
_LAZY = {
    "SCHEMES": "schemes",
    "CompiledTagger": "compiled",
    "EncoderStates": "states",
    "EntityScore": "scoring",
    "EntityScores": "scoring",
    "Task": "tasks",
    "TokenTagger": "tagger",
    "detect_scheme": "schemes",
    "entities": "schemes",
    "entity_scores": "scoring",
    "repair": "schemes",
    "to_bilou": "schemes",
    "to_iob2": "schemes",
    "token_accuracy": "scoring",
}

__all__ = [
    "SCHEMES", "CompiledTagger", "EncoderStates", "EntityScore", "EntityScores", "Task", "TokenTagger",
    "detect_scheme", "entities", "entity_scores", "repair", "to_bilou", "to_iob2", "token_accuracy",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tlclassic.tagging' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tlclassic.tagging.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
