"""The examples of docs/tune.md and of the docstrings run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_page():
    results = doctest.testfile(str(DOCS / "tune.md"), module_relative=False)
    assert results.attempted >= 6
    assert results.failed == 0


def test_the_docstring():
    results = doctest.testmod(importlib.import_module("tlclassic.tuning.tuner"))
    assert results.attempted > 0
    assert results.failed == 0
