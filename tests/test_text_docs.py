"""The examples of the tokeniser's page and docstrings run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tokenizer.md"


def test_the_page_on_the_tokenizer() -> None:
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted >= 20
    assert results.failed == 0


@pytest.mark.parametrize("name", ["words", "function", "convert"])
def test_docstrings(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"tlclassic.text.{name}"))
    assert results.attempted >= 1
    assert results.failed == 0
