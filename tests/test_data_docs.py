"""The examples of the page on data and of the docstrings run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "data.md"


def test_the_page_on_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted >= 10
    assert results.failed == 0


@pytest.mark.parametrize("name", ["sample", "texts"])
def test_docstrings(name):
    results = doctest.testmod(importlib.import_module(f"tlclassic.data.{name}"))
    assert results.attempted >= 1
    assert results.failed == 0
