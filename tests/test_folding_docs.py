"""The examples of docs/compile.md and of the docstrings run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_page():
    results = doctest.testfile(str(DOCS / "compile.md"), module_relative=False)
    assert results.attempted > 20
    assert results.failed == 0


@pytest.mark.parametrize("name", ["compiling", "report", "sizes"])
def test_docstrings(name):
    results = doctest.testmod(importlib.import_module(f"tlclassic.folding.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
