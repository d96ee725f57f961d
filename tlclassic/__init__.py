"""Transfer learning on text with classical, CPU-only models.

Every public name is imported when it is first used, so that ``import tlclassic`` costs little more than NumPy.
"""

from __future__ import annotations

import importlib
from typing import Any

from tlclassic._version import __version__

#: Public name → the module that defines it.
_LAZY: dict[str, str] = {
    "Cascade": "tlclassic.cascade",
    "CompiledClassifier": "tlclassic.runtime",
    "ConvolutionClassifier": "tlclassic.heads",
    "EmbeddingVectorizer": "tlclassic.features",
    "EncoderClassifier": "tlclassic.heads.encoder_classifier",
    "JointEncoder": "tlclassic.joint",
    "MultiTaskClassifier": "tlclassic.multitask",
    "NgramClassifier": "tlclassic.heads",
    "NgramVectorizer": "tlclassic.features",
    "OnnxEncoder": "tlclassic.encoders",
    "SoftLabelLogisticRegression": "tlclassic.heads",
    "TokenTagger": "tlclassic.tagging",
    "Tokenizer": "tlclassic.text",
    "WordVectors": "tlclassic.vectors",
    "compile": "tlclassic.folding",
    "distill": "tlclassic.distillation",
    "load": "tlclassic.opening",
    "load_vectors": "tlclassic.vectors",
    "save": "tlclassic.pipelines",
    "tune": "tlclassic.tuning",
}

__all__ = [
    "Cascade",
    "CompiledClassifier",
    "ConvolutionClassifier",
    "EmbeddingVectorizer",
    "EncoderClassifier",
    "JointEncoder",
    "MultiTaskClassifier",
    "NgramClassifier",
    "NgramVectorizer",
    "OnnxEncoder",
    "SoftLabelLogisticRegression",
    "TokenTagger",
    "Tokenizer",
    "WordVectors",
    "__version__",
    "compile",
    "distill",
    "load",
    "load_vectors",
    "save",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tlclassic' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
