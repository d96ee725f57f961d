"""Every example in a docstring or in the documentation runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import tlclassic

CHECKOUT = Path(__file__).resolve().parent.parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(tlclassic.__path__, "tlclassic.") if "__main__" not in module.name
)
PAGES = sorted([CHECKOUT / "README.md", *(CHECKOUT / "docs").glob("*.md")])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    # Examples may write files.
    monkeypatch.chdir(tmp_path)


def _torch(name):
    return name.startswith("tlclassic.finetune")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.finetune if _torch(n) else ()) for n in MODULES])
def test_docstrings(name):
    if _torch(name):
        pytest.importorskip("torch")
    result = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert result.failed == 0


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages(path):
    result = doctest.testfile(str(path), module_relative=False, optionflags=OPTIONS, encoding="utf-8")
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = sum(
        len(test.examples)
        for name in MODULES
        if not _torch(name)
        for test in finder.find(importlib.import_module(name))
    )
    assert found > 10
