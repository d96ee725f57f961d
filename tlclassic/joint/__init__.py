"""Several pre-trained sources as one: meta-embeddings, retrofitting with lexicons, cross-lingual alignment."""

from __future__ import annotations

import importlib
from typing import Any

#: Public name → the module that defines it. scikit-learn is imported with those that need it only.
_LAZY = {
    "Alignment": "alignment",
    "ChosenJoin": "choosing",
    "JoinSettings": "choosing",
    "JointEncoder": "encoder",
    "JointParts": "joining",
    "LexiconScore": "induction",
    "align": "alignment",
    "choose_join": "choosing",
    "counter_fit": "counterfitting",
    "join": "joining",
    "join_parts": "joining",
    "precision_at": "induction",
    "read_lexicon": "lexicons",
    "read_word_pairs": "lexicons",
    "retrofit": "retrofitting",
    "with_vectors": "crosslingual",
}

__all__ = [
    "Alignment",
    "ChosenJoin",
    "JoinSettings",
    "JointEncoder",
    "JointParts",
    "LexiconScore",
    "align",
    "choose_join",
    "counter_fit",
    "join",
    "join_parts",
    "precision_at",
    "read_lexicon",
    "read_word_pairs",
    "retrofit",
    "with_vectors",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tlclassic.joint' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tlclassic.joint.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
