"""The examples of docs/distillation.md and of the docstrings run; the page has every effort and way of making texts."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from tlclassic.distillation import EFFORTS, METHODS
from tlclassic.distillation.distilling import _FIXED

PAGE = Path(__file__).resolve().parent.parent / "docs" / "distillation.md"


def test_the_page():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted >= 8
    assert results.failed == 0


@pytest.mark.parametrize(
    "module", ["distilling", "teachers", "objective", "soft_label_files", "augmentation", "asking"]
)
def test_the_docstrings(module):
    assert doctest.testmod(importlib.import_module(f"tlclassic.distillation.{module}")).failed == 0


def test_what_can_be_chosen_stands_on_the_page():
    text = PAGE.read_text("utf-8")
    for name in (*METHODS, *_FIXED):
        assert f"`{name}`" in text, name
    for name, effort in EFFORTS.items():
        assert f"| {name} | {effort.transfer:,} | {effort.least:,} | {effort.own:,} | {effort.rows:,} |" in text
