"""The examples of docs/convolution.md and of the docstrings run."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from tlclassic.features import convolution
from tlclassic.heads import convolution_classifier

PAGE = Path(__file__).resolve().parent.parent / "docs" / "convolution.md"


def test_the_page():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted == 7
    assert results.failed == 0


def test_defaults_are_those_of_the_class():
    page = PAGE.read_text(encoding="utf-8")
    params = convolution_classifier.ConvolutionClassifier().get_params()
    assert f"| {params['filters']}, {params['width']} |" in page
    assert f"| {params['vectors_rate']} |" in page
    assert f"| {params['dropout']}, {params['word_dropout']} |" in page


@pytest.mark.parametrize("module", [convolution, convolution_classifier])
def test_docstrings(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
