"""Everything that spaCy can be told of, registered at once: for a checkout, whose entry points are not installed."""

from __future__ import annotations

import importlib

__all__ = ["MODULES", "register"]

#: The modules that register something when they are imported.
MODULES = ("textcat", "tagger", "vectors", "masked", "static", "onnx")


def register() -> None:
    """Register every factory and architecture with spaCy.

    An installed tlclassic needs no call: spaCy finds the same names through entry points.

    Raises
    ------
    MissingExtraError
        When spaCy is not installed.
    """
    for name in MODULES:
        importlib.import_module(f"tlclassic.spacy_ext.{name}")
