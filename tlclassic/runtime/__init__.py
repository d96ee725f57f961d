"""Compiled classifiers: from texts to labels through NumPy and the kernels alone."""

from __future__ import annotations

from tlclassic.runtime.classifier import CompiledClassifier

__all__ = ["CompiledClassifier"]
