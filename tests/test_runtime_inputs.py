"""Every kind of column that a caller may hold texts in gives what a list of str gives."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import COMPILED
from tlclassic.runtime import CompiledClassifier

CASES = runpy.run_path(str(Path(__file__).with_name("runtime_cases.py")))
#: Without halves of pairs and final NULs, which not every column can hold.
TEXTS = [text.replace("\ud83d", "") for text in CASES["TEXTS"]]


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(1)
    families = [CASES["ngrams"](rng, 3), CASES["vectors"](rng, 3, ["film", "fine", "José"])]
    return CompiledClassifier(*CASES["state"](3, *families))


@pytest.fixture(scope="module")
def expected(model):
    return model.decision_function(TEXTS)


def same(model, X, expected):
    np.testing.assert_array_equal(model.decision_function(X), expected)
    np.testing.assert_array_equal(model.predict(X, threads=2), model.classes_[expected.argmax(axis=1)])


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        lambda texts: [text.encode() for text in texts],
        lambda texts: np.array(texts),
        lambda texts: np.array(texts).astype(">U8000"),
        lambda texts: np.array(texts, dtype=object),
        lambda texts: np.array([text.encode() for text in texts]),
        lambda texts: np.repeat(np.array(texts), 2)[::2],
        lambda texts: np.array(texts)[::-1][::-1],
        lambda texts: np.array(texts, dtype=np.dtypes.StringDType()),
    ],
)
def test_python_and_numpy(model, expected, make):
    same(model, make(TEXTS), expected)


def test_an_iterator(model, expected):
    np.testing.assert_array_equal(model.decision_function(iter(TEXTS)), expected)


def test_records_that_are_not_aligned(model, expected):
    records = np.zeros(len(TEXTS), dtype=np.dtype([("id", "u1"), ("text", "U8000")]))
    records["text"] = TEXTS
    same(model, records["text"], expected)


@pytest.mark.parametrize("name", ["string", "large_string", "string_view", "binary", "large_binary", "binary_view"])
def test_arrow(model, expected, name):
    pa = pytest.importorskip("pyarrow")
    kind = getattr(pa, name)()
    values = [text.encode() for text in TEXTS] if "binary" in name else TEXTS
    array = pa.array(values, type=kind)
    same(model, array, expected)
    # The capsules alone: neither a method nor a module of pyarrow is used.
    same(model, _Only(array, "__arrow_c_array__"), expected)
    chunked = pa.chunked_array([array[:1], array[1:1], array[1:5], array[5:]], type=kind)
    same(model, chunked, expected)
    same(model, _Only(chunked, "__arrow_c_stream__"), expected)
    same(model, chunked[2:9], expected[2:9])
    same(model, array[3:7], expected[3:7])
    assert model.predict(array[:0]).shape == (0,)
    assert model.predict(pa.chunked_array([], type=kind)).shape == (0,)


class _Only:
    """Only the interface, and for the plain twin the list."""

    def __init__(self, column, name):
        self.to_pylist = column.to_pylist
        setattr(type(self), name, lambda self, requested_schema=None: getattr(column, name)())
        other = {"__arrow_c_array__": "__arrow_c_stream__", "__arrow_c_stream__": "__arrow_c_array__"}[name]
        if hasattr(type(self), other):
            delattr(type(self), other)


def test_arrow_nulls_are_named(model):
    pa = pytest.importorskip("pyarrow")
    chunked = pa.chunked_array([["a", "b"], ["c", None, "d", None]])
    with pytest.raises(InvalidParameterError, match=r"X\[3\] must be a string; got None"):
        model.predict(chunked)
    with pytest.raises(InvalidParameterError, match=r"X\[1\] must be a string; got None"):
        model.predict(chunked[2:])
    assert model.predict(chunked[:3]).shape == (3,)


@pytest.mark.skipif(not COMPILED, reason="the twin reads lists")
def test_arrow_of_something_else(model):
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(InvalidParameterError, match="must be an Arrow column of strings or binary; got format 'l'"):
        model.predict(pa.array([1, 2]))
    with pytest.raises(InvalidParameterError, match=r"got a dictionary \(categories\)\. Cast it to string"):
        model.predict(pa.array(["a", "b"]).dictionary_encode())


def test_polars(model, expected):
    pl = pytest.importorskip("polars")
    same(model, pl.Series(TEXTS), expected)
    same(model, pl.concat([pl.Series(TEXTS[:4]), pl.Series(TEXTS[4:])], rechunk=False), expected)
    same(model, pl.Series(TEXTS)[2:6], expected[2:6])
    with pytest.raises(InvalidParameterError, match=r"X\[1\] must be a string; got None"):
        model.predict(pl.Series(["a", None]))


def test_pandas(model, expected):
    pd = pytest.importorskip("pandas")
    same(model, pd.Series(TEXTS), expected)
    same(model, pd.Series(TEXTS, dtype=object), expected)
    same(model, pd.Series(TEXTS, index=range(5, 5 + len(TEXTS))), expected)
    same(model, pd.Series(TEXTS)[3:7], expected[3:7])
    same(model, pd.Series(TEXTS, dtype="category"), expected)
    same(model, pd.Index(TEXTS), expected)
    for missing in (None, float("nan")):
        for dtype in (None, object):
            with pytest.raises(InvalidParameterError, match=r"X\[2\] must be a string; got (None|nan)"):
                model.predict(pd.Series(["a", "b", missing], dtype=dtype))
    with pytest.raises(InvalidParameterError, match="one-dimensional list of texts; got shape"):
        model.predict(pd.DataFrame({"text": ["a"]}))


@pytest.mark.parametrize("kind", ["pyarrow", "python"])
def test_string_types_of_pandas(model, expected, kind):
    pd = pytest.importorskip("pandas")
    if kind == "pyarrow":
        pytest.importorskip("pyarrow")
    same(model, pd.Series(TEXTS, dtype=pd.StringDtype(kind)), expected)


def test_what_is_no_list_of_texts(model):
    for X, message in (
        ("a text", r"got a single string. Pass \[text\] to use one text"),
        (b"a text", "got a single string"),
        ({"a": 1}, "X must be a list of texts; got dict"),
        (3, "X must be a list of texts; got int"),
        (None, "X must be a list of texts; got NoneType"),
        (np.array([["a"]]), r"one-dimensional list of texts; got shape \(1, 1\)"),
        (np.array([1, 2]), r"X\[0\] must be a string; got 1 of type int"),
        (np.array("a"), r"got shape \(\)"),
        (["a", None], r"X\[1\] must be a string; got None of type NoneType. Replace missing texts"),
        (np.ma.array(["a", "b"], mask=[False, True]), r"X\[1\] must be a string; got None"),
        ([["a"]], r"X\[0\] must be a string; got \['a'\]"),
    ):
        for call in (model.predict, model.decision_function, model.predict_proba):
            with pytest.raises(InvalidParameterError, match=message):
                call(X)


def test_no_texts(model):
    assert model.predict([]).shape == (0,)
    assert model.predict([]).dtype == model.classes_.dtype
    assert model.decision_function(()).shape == (0, 3)
    assert model.predict_proba(np.array([], dtype="U1")).shape == (0, 3)
    assert model.predict_topk([], 2)[0].shape == (0, 2)
    np.testing.assert_array_equal(model.decision_function([""]), [model._arrays["bias"]])


def test_nothing_is_left_in_the_strings(model):
    texts = ["Straße", "映画", "🙂 emoji"]
    texts = ["".join([text, " x"]) for text in texts]
    sizes = [sys.getsizeof(text) for text in texts]
    plain = CompiledClassifier(*CASES["state"](3, CASES["ngrams"](np.random.default_rng(0), 3)))
    plain.predict(texts)
    plain.decision_function(texts)
    assert [sys.getsizeof(text) for text in texts] == sizes


def test_bytes_that_are_not_utf8(model):
    raw = [b"caf\xe9 ole", b"\xff\xfe", b"ok \xed\xa0\x80 x"]
    expected = model.decision_function([text.decode("utf-8", "replace") for text in raw])
    np.testing.assert_array_equal(model.decision_function(raw), expected)
