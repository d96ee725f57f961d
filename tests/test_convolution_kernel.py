"""The convolution kernel: equal to its plain twin, and a value worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.kernels import _convolve_plain as plain
from tlclassic.kernels import load

kernel = load("convolve")
N_ROWS = 7


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    lengths = draw(st.lists(st.integers(0, 9), max_size=6))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    width, filters = draw(st.integers(1, 8)), 16 * draw(st.integers(1, 3))
    if draw(st.booleans()):
        table: Any = random.integers(-127, 128, (N_ROWS, width * filters)).astype(np.int8)
        scales = random.random(filters, dtype=np.float32)
    else:
        table, scales = random.normal(size=(N_ROWS, width * filters)).astype(np.float32), None
    n_outputs = draw(st.integers(1, 20))
    return {
        "rows": random.integers(-1, N_ROWS, indptr[-1]).astype(np.int32),
        "indptr": indptr,
        "table": table,
        "scales": scales,
        "bias": random.normal(size=filters).astype(np.float32),
        "weights": random.normal(size=(filters, n_outputs)).astype(np.float32),
    }


@settings(max_examples=150, deadline=None)
@given(problems(), st.sampled_from(kernel.levels()))
def test_logits_are_those_of_the_twin(problem, level):
    n_texts = len(problem["indptr"]) - 1
    found, expected = np.ones((2, n_texts, problem["weights"].shape[1]))
    kernel.set_level(level)
    kernel.add_convolved(found, **problem)
    kernel.set_level(kernel.levels()[-1])
    plain.add_convolved(expected, **problem)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("filters", [16, 32, 48, 96, 112, 128, 208])
@pytest.mark.parametrize("width", [1, 3, 4, 8])
def test_every_level_takes_every_number_of_filters(filters, width):
    random = np.random.default_rng(filters + width)
    table = random.integers(-127, 128, (9, width * filters)).astype(np.int8)
    rows, indptr = random.integers(-1, 9, 20).astype(np.int32), np.array([0, 1, 8, 20], np.int64)
    scales, bias = random.random(filters, dtype=np.float32), random.normal(size=filters).astype(np.float32)
    expected = np.empty((3, filters), np.float32)
    plain.features(rows, indptr, table, scales, bias, expected)
    for level in kernel.levels():
        found = np.empty_like(expected)
        kernel.set_level(level)
        kernel.features(rows, indptr, table, scales, bias, found)
        assert found.tolist() == expected.tolist(), level
    assert level == kernel.levels()[-1]
    with pytest.raises(ValueError, match="no level 'abacus'"):
        kernel.set_level("abacus")


@settings(max_examples=100, deadline=None)
@given(problems())
def test_features_are_those_of_the_twin(problem):
    del problem["weights"]
    found = np.empty((len(problem["indptr"]) - 1, len(problem["bias"])), dtype=np.float32)
    expected = found.copy()
    kernel.features(**problem, out=found)
    plain.features(**problem, out=expected)
    assert found.tolist() == expected.tolist()


@settings(max_examples=100, deadline=None)
@given(problems())
def test_both_directions_of_training_are_those_of_the_twin(problem):
    rows, indptr, filters = problem["rows"], problem["indptr"], len(problem["bias"])
    table = problem["table"].astype(np.float32)
    shape = (len(indptr) - 1, filters)
    best, expected_best = np.empty(shape, np.float32), np.empty(shape, np.float32)
    at, expected_at = np.empty(shape, np.int32), np.empty(shape, np.int32)
    kernel.forward(rows, indptr, table, best, at)
    plain.forward(rows, indptr, table, expected_best, expected_at)
    assert best.tolist() == expected_best.tolist()
    assert at.tolist() == expected_at.tolist()
    gradient = (best * (best > 0)).astype(np.float32)
    found, expected = np.zeros_like(table), np.zeros_like(table)
    kernel.backward(gradient, at, rows, indptr, found)
    plain.backward(gradient, at, rows, indptr, expected)
    assert found.tolist() == expected.tolist()


def test_by_hand():
    table = np.zeros((3, 2 * 16), dtype=np.float32)
    table[0, 0], table[1, 16], table[2, :] = 2.0, 3.0, -9.0
    bias = np.full(16, -1.0, dtype=np.float32)
    out = np.empty((4, 16), dtype=np.float32)
    # Row 0 and then row 1: 2 + 3 - 1. Row 1 alone ends a window: 3 - 1. Row 0 alone begins one: 2 - 1. Nothing: 0 - 1.
    kernel.features(np.array([0, 1, 1, 0], np.int32), np.array([0, 2, 3, 4, 4], np.int64), table, None, bias, out)
    assert out[:, 0].tolist() == [4.0, 2.0, 1.0, 0.0]
    # An unknown word has the last row.
    kernel.features(np.array([-1, 0], np.int32), np.array([0, 2, 2, 2, 2], np.int64), table, None, bias, out)
    assert out[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_a_text_has_the_same_bits_alone_and_in_a_batch():
    random = np.random.default_rng(0)
    table = random.integers(-127, 128, (50, 48)).astype(np.int8)
    scales, bias = random.random(16, dtype=np.float32), random.random(16, dtype=np.float32)
    weights = random.normal(size=(16, 3)).astype(np.float32)
    indptr = np.arange(0, 101, 10, dtype=np.int64)
    rows = random.integers(0, 50, 100).astype(np.int32)
    together = np.zeros((10, 3))
    kernel.add_convolved(together, rows, indptr, table, scales, bias, weights)
    for text in range(10):
        alone = np.zeros((1, 3))
        part = rows[indptr[text] : indptr[text + 1]]
        kernel.add_convolved(alone, part, np.array([0, 10], np.int64), table, scales, bias, weights)
        assert alone[0].tolist() == together[text].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([3], np.int32)}, "rows must be below"),
        ({"indptr": np.array([0, 2], np.int64)}, "indptr must cut"),
        ({"table": np.zeros((3, 40), np.float32)}, "multiple of the filters"),
        ({"table": np.zeros((3, 9 * 16), np.float32)}, "1 to 8 words"),
        ({"table": np.zeros((3, 16), np.float64)}, "float32 or int8"),
        ({"scales": np.ones(16, np.float32)}, "scales are of a table of int8"),
        ({"weights": np.zeros((15, 1), np.float32)}, "weights must be of shape"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    problem: dict[str, Any] = {
        "rows": np.array([0], np.int32),
        "indptr": np.array([0, 1], np.int64),
        "table": np.zeros((3, 16), np.float32),
        "scales": None,
        "bias": np.zeros(16, np.float32),
        "weights": np.zeros((16, 1), np.float32),
    }
    compiled = pytest.importorskip("tlclassic.kernels._convolve")
    with pytest.raises(ValueError, match=message):
        compiled.add_convolved(np.zeros((1, 1)), **{**problem, **change})
