"""The examples of docs/classifier.md and of the docstrings run."""

from __future__ import annotations

import doctest
from pathlib import Path

from tlclassic.heads import ngram_classifier

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_page():
    results = doctest.testfile(str(DOCS / "classifier.md"), module_relative=False)
    assert results.attempted > 20
    assert results.failed == 0


def test_docstring():
    results = doctest.testmod(ngram_classifier)
    assert results.attempted > 0
    assert results.failed == 0
