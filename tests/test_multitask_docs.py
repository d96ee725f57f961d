"""The examples of docs/multitask.md and of the docstrings run."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from tlclassic.multitask import classifier, distilling, drawing, stacking

PAGE = Path(__file__).resolve().parent.parent / "docs" / "multitask.md"


def test_the_page():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted > 25
    assert results.failed == 0


@pytest.mark.parametrize("module", [classifier, distilling, drawing, stacking])
def test_docstrings(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
