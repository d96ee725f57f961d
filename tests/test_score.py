"""The scoring kernel against its plain twin, over layouts, types, numbers of outputs, orders and texts."""

from __future__ import annotations

import importlib
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import COMPILED
from tlclassic.runtime.classifier import _family

CASES = runpy.run_path(str(Path(__file__).with_name("runtime_cases.py")))
TWINS = ["_score", "_score_plain"] if COMPILED else ["_score_plain"]
both = pytest.mark.parametrize("name", TWINS)


def kernel(name):
    return importlib.import_module(f"tlclassic.kernels.{name}")


def logits(name, families, texts, bias):
    module = kernel(name)
    out = np.tile(bias, (len(texts), 1))
    module.Scorer(bias, families).logits(module.Texts(texts), 0, len(texts), out)
    return out


OPTIONS = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(["word", "char"]),
        "bits": st.integers(1, 13),
        "case": st.sampled_from(["fold", "keep"]),
        "punctuation": st.sampled_from(["keep", "drop"]),
        "counts": st.sampled_from(["count", "binary", "sublinear"]),
        "norm": st.sampled_from(["none", "length", "sqrt", "l2"]),
        "idf": st.booleans(),
        "layout": st.sampled_from(["dense", "bitmap"]),
        "dtype": st.sampled_from(["int8", "float16", "float32"]),
        "ngrams": st.sampled_from([[1, 1], [1, 2], [2, 3], [3, 5]]),
    }
)
TEXT = st.one_of(
    st.sampled_from(CASES["TEXTS"]), st.text(st.characters(codec=None), max_size=40), st.binary(max_size=30)
)


@pytest.mark.skipif(not COMPILED, reason="the kernels were not compiled")
@settings(max_examples=60)
@given(
    outputs=st.sampled_from([1, 2, 3, 4, 5, 8, 9, 16, 17, 24, 25, 77]),
    options=st.lists(OPTIONS, min_size=1, max_size=3),
    texts=st.lists(TEXT, min_size=1, max_size=8),
    seed=st.integers(0, 1000),
)
def test_the_kernel_equals_its_twin(outputs, options, texts, seed):
    rng = np.random.default_rng(seed)
    families = [_family(*CASES["ngrams"](rng, outputs, **option), "") for option in options]
    bias = rng.normal(size=outputs)
    fast, plain = (logits(name, families, texts, bias) for name in TWINS)
    np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-12)
    modules = [kernel(name) for name in TWINS]
    found = [np.empty(len(texts), dtype=np.int32) for _ in TWINS]
    for module, labels in zip(modules, found, strict=True):
        module.Scorer(bias, families).labels(module.Texts(texts), 0, len(texts), labels)
    np.testing.assert_array_equal(found[0], modules[0].best(fast))
    np.testing.assert_array_equal(found[1], modules[1].best(plain))


@both
def test_a_sum_by_hand(name):
    family, arrays = CASES["ngrams"](np.random.default_rng(0), 2, norm="length", ngrams=[1, 1], bits=1)
    arrays["table"][:4] = [129, 127, 129, 127]  # every bucket: +1 and -1
    arrays["scales"][:] = [0.5, 2.0]
    found = logits(name, [_family(family, arrays, "")], ["a b c", ""], np.array([10.0, 20.0]))
    np.testing.assert_allclose(found, [[10.5, 18.0], [10.0, 20.0]])


@both
def test_counts_by_hand(name):
    rng = np.random.default_rng(0)
    expected = {"count": 3.0, "binary": 1.0, "sublinear": 1 + np.log(3)}
    for counts, value in expected.items():
        family, arrays = CASES["ngrams"](rng, 1, norm="none", ngrams=[1, 1], counts=counts, dtype="float32")
        arrays["table"][:] = 1.0
        found = logits(name, [_family(family, arrays, "")], ["a a A"], np.zeros(1))
        np.testing.assert_allclose(found, [[value]])
        family["norm"] = "l2"
        found = logits(name, [_family(family, arrays, "")], ["a a A"], np.zeros(1))
        np.testing.assert_allclose(found, [[1.0]])


@both
def test_sums_of_codes_do_not_overflow(name):
    for outputs in (1, 4, 8, 20, 30):
        family, arrays = CASES["ngrams"](np.random.default_rng(0), outputs, norm="none", ngrams=[1, 1], bits=3)
        arrays["table"][:], arrays["scales"][:] = 255, 1.0
        found = logits(name, [_family(family, arrays, "")], ["w " * 3001], np.zeros(outputs))
        np.testing.assert_array_equal(found, np.full((1, outputs), 3001 * 127.0))


@both
def test_half_precision(name):
    family, arrays = CASES["ngrams"](np.random.default_rng(0), 1, dtype="float16", bits=1, ngrams=[1, 1])
    for value in (0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, -6.1e-5, 6.103515625e-05):
        arrays["table"][:] = value
        found = logits(name, [_family(family, arrays, "")], ["word"], np.zeros(1))
        assert found[0, 0] == float(np.float16(value))


@both
def test_ranks_of_words(name):
    bitmap = np.array([0, 1, 0xFFFFFFFFFFFFFFFF, 0x8000000000000001], dtype=np.uint64)
    found = kernel(name).rank_words(bitmap)
    assert found.dtype == np.uint32
    assert found.tolist() == [0, 0, 1, 65, 67]


@both
def test_the_first_of_equal_ones_is_best(name):
    best = kernel(name).best
    assert best(np.array([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0]])).tolist() == [1, 0]
    assert best(np.array([[0.0], [1e-9], [-1.0]])).tolist() == [0, 1, 0]
    # Some columns of wider rows, and columns that do not lie side by side.
    wide = np.array([[9.0, 1.0, 3.0, 2.0, 9.0], [9.0, 5.0, 3.0, 4.0, 9.0]])
    assert best(wide[:, 1:4]).tolist() == [1, 0]
    assert best(wide[:, 1:4:2]).tolist() == [1, 0]
    assert best(wide[:0, 1:4]).tolist() == []


@both
@pytest.mark.parametrize("n_columns", [15, 16, 17, 23, 24, 28, 77, 80])
def test_the_first_of_the_largest_of_many_columns_is_best(name, n_columns):
    rows = np.random.default_rng(0).integers(-n_columns, n_columns, (200, n_columns)).astype(np.float64)
    rows[:n_columns] = np.eye(n_columns)
    rows[-1] = -np.inf
    assert kernel(name).best(rows).tolist() == rows.argmax(axis=1).tolist()


@both
@pytest.mark.parametrize("item", [None, 1.5, float("nan"), ["a"], bytearray(b"a")])
def test_what_is_no_text_is_named(name, item):
    module = kernel(name)
    family = _family(*CASES["ngrams"](np.random.default_rng(0), 2), "")
    texts = ["a"] * 1500 + [item]
    scorer = module.Scorer(np.zeros(2), [family])
    with pytest.raises(InvalidParameterError, match=r"X\[1500\] must be a string; got .*of type"):
        scorer.logits(module.Texts(texts), 0, len(texts), np.zeros((1501, 2)))


@both
def test_words(name):
    rng = np.random.default_rng(3)
    rows = np.array([0, 1, -1, 2, -1], dtype=np.int32)
    indptr = np.array([0, 3, 3, 4, 5], dtype=np.int64)
    table, unknown = np.arange(6, dtype=np.float32), np.array([10.0, 20.0])
    weights = np.array([1.0, 2.0, 4.0], dtype=np.float32)
    expected = {
        (False, False): [[12 / 3, 24 / 3], [0, 0], [4, 5], [10, 20]],
        (False, True): [[12 / 2, 24 / 2], [0, 0], [4, 5], [0, 0]],
        (True, False): [[12 / 6, 24 / 6], [0, 0], [1, 1.25], [10 / 3, 20 / 3]],
        (True, True): [[12 / 3, 24 / 3], [0, 0], [1, 1.25], [0, 0]],
    }
    for (weighted, ignore), values in expected.items():
        out = rng.normal(size=(4, 2))
        before = out.copy()
        kernel(name).add_words(
            out, rows, indptr, table, None, unknown, weights if weighted else None, 3.0, ignore
        )  # fmt: skip
        np.testing.assert_allclose(out - before, values)
