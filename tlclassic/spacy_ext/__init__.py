"""spaCy's door: tlclassic's models as pipeline components, its vectors and encoders as ``Tok2Vec`` architectures.

spaCy finds both through entry points (``pyproject.toml``); nothing here is imported before spaCy or a user asks for it.
"""

from __future__ import annotations

import importlib
from typing import Any

#: Public name → the module that defines it.
_LAZY = {
    "DocFeatures": "tlclassic.spacy_ext.doc_features",
    "SpacyTokenizer": "tlclassic.text.spacy",
    "TaggerComponent": "tlclassic.spacy_ext.tagger",
    "TextcatComponent": "tlclassic.spacy_ext.textcat",
    "TokenAttributions": "tlclassic.spacy_ext.attributions",
    "VectorsComponent": "tlclassic.spacy_ext.vectors",
    "register": "tlclassic.spacy_ext.registering",
}

__all__ = [
    "DocFeatures", "SpacyTokenizer", "TaggerComponent", "TextcatComponent", "TokenAttributions", "VectorsComponent",
    "register",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tlclassic.spacy_ext' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
