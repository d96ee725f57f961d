"""The checks of parameters: each says the name, the constraint and the value got."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import pytest

from tlclassic._validate import check_choice, check_integer, check_number, check_texts
from tlclassic.errors import InvalidParameterError


def _refuses(message, function, *args, **options):
    with pytest.raises(InvalidParameterError, match=f"^{re.escape(message)}$"):
        function(*args, **options)


def test_choice():
    check_choice("case", "lower", ("lower", "keep"))
    check_choice("n", None, [1, None])
    _refuses("case must be one of 'lower', 'keep'; got 'upper'.", check_choice, "case", "upper", ("lower", "keep"))
    _refuses("n must be one of 1, 2; got True.", check_choice, "n", True, (1, 2))
    _refuses("n must be one of 1, 2; got 1.0.", check_choice, "n", 1.0, (1, 2))
    _refuses("flag must be one of True, False; got 1.", check_choice, "flag", 1, (True, False))


@pytest.mark.parametrize("value", [1, 5, np.int64(3), np.uint8(1)])
def test_integers(value):
    check_integer("n", value, low=1, high=5)


def test_refused_integers():
    _refuses("n must be an integer; got True of type bool.", check_integer, "n", True)
    _refuses("n must be an integer; got 1.0 of type float.", check_integer, "n", 1.0)
    _refuses("n must be an integer; got '1' of type str.", check_integer, "n", "1")
    _refuses("n must be an integer; got None of type NoneType.", check_integer, "n", None)
    _refuses("n must be at least 1; got 0.", check_integer, "n", 0, low=1)
    _refuses("n must be at most 8; got 9.", check_integer, "n", 9, low=1, high=8)


@pytest.mark.parametrize("value", [0, 1.0, 0.5, np.float32(0.25), np.int8(1), Fraction(1, 3)])
def test_numbers(value):
    check_number("x", value, low=0, high=1)


def test_refused_numbers():
    _refuses("x must be a number; got False of type bool.", check_number, "x", False)
    _refuses("x must be a number; got '1' of type str.", check_number, "x", "1")
    _refuses("x must be a number; got 1j of type complex.", check_number, "x", 1j)
    _refuses("x must be finite; got nan.", check_number, "x", math.nan)
    _refuses("x must be finite; got -inf.", check_number, "x", -math.inf)
    _refuses("x must be at least 0; got -0.5.", check_number, "x", -0.5, low=0)
    _refuses("x must be at most 1; got 1.5.", check_number, "x", 1.5, high=1)


def test_texts_that_are_returned_as_they_are():
    for texts in (["a", "b"], ("a", "b"), []):
        assert check_texts(texts) is texts


@pytest.mark.parametrize(
    "texts", [np.array(["a", "b"]), np.array(["a", "b"], dtype=object), (text for text in "ab"), {"a": 1, "b": 2}]
)
def test_texts_that_become_a_list(texts):
    assert check_texts(texts) == ["a", "b"]


def test_a_series_of_texts():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    assert check_texts(pandas.Series(["a", "b"])) == ["a", "b"]


def test_arrow_columns():
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert check_texts(arrow.array(["a", "b"])) == ["a", "b"]
    assert check_texts(arrow.chunked_array([["a"], ["b"]])) == ["a", "b"]
    assert check_texts(arrow.table({"text": ["a", "b"]})["text"]) == ["a", "b"]


def test_refused_texts():
    single = "X must be a list of texts; got a single string. Pass [text] to use one text."
    _refuses(single, check_texts, "a text")
    _refuses(single, check_texts, b"a text")
    _refuses("X must be a list of texts; got int.", check_texts, 3)
    _refuses("X must be a list of texts; got NoneType.", check_texts, None)
    _refuses("X must be a one-dimensional list of texts; got shape (1, 2).", check_texts, np.array([["a", "b"]]))
    _refuses("X must be a one-dimensional list of texts; got shape ().", check_texts, np.array("a"))
    missing = "Replace missing texts with an empty string or leave those rows out."
    _refuses(f"X[1] must be a string; got None of type NoneType. {missing}", check_texts, ["a", None])
    _refuses("X[0] must be a string; got b'a' of type bytes. Decode it first: text.decode().", check_texts, [b"a"])
    _refuses(f"X[1] must be a string; got nan of type float. {missing}", check_texts, ["a", math.nan])
