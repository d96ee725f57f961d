"""The kernel of the linear solvers: against its plain twin, against SciPy, and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.kernels import _linear_plain, load

K = load("linear")


@st.composite
def rows(draw):
    """Random CSR arrays with empty rows and columns, and their number of columns."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, n_columns = draw(st.integers(0, 12)), draw(st.integers(1, 30))
    lengths = rng.integers(0, draw(st.integers(1, 40)), n)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    indices = rng.integers(0, n_columns, indptr[-1]).astype(np.int32)
    return rng, rng.standard_normal(indptr[-1]), indices, indptr, n_columns


@settings(max_examples=60)
@given(rows(), st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 20]), st.sampled_from([np.float32, np.float64]))
def test_product_equals_the_twin_and_scipy(arrays, k, dtype):
    rng, values, indices, indptr, n_columns = arrays
    values, table = values.astype(dtype), rng.standard_normal((n_columns, k))
    n = len(indptr) - 1
    ours, plain = np.full((n, k), np.nan), np.full((n, k), np.nan)
    K.product(values, indices, indptr, table, ours, 0, n)
    _linear_plain.product(values, indices, indptr, table, plain, 0, n)
    np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-12)
    matrix = sp.csr_matrix((values.astype(np.float64), indices, indptr), shape=(n, n_columns))
    np.testing.assert_allclose(ours, matrix @ table, rtol=1e-12, atol=1e-12)


def test_product_fills_the_asked_rows_only():
    out = np.full((3, 1), 7.0)
    K.product(np.ones(3), np.array([0, 1, 1], np.int32), np.array([0, 1, 2, 3]), np.array([[1.0], [2.0]]), out, 1, 2)
    assert out.ravel().tolist() == [7.0, 2.0, 7.0]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 70))
def test_sums_of_vectors_equal_the_twin(seed, n):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(n), rng.standard_normal(n)
    results = []
    for module in (K, _linear_plain):
        total = a.copy()
        module.add(total, -1.5, b)
        results.append((module.dot(a, b), total))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12, atol=1e-12)
    assert results[0][0] == pytest.approx(sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)), abs=1e-12)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(1, 7), st.booleans(), st.sampled_from([1.0, 1e3]))
def test_losses_and_curvature_equal_the_twin(seed, n, k, softmax, size):
    rng = np.random.default_rng(seed)
    logits, targets, weights = rng.standard_normal((n, k)) * size, rng.random((n, k)), rng.random(n)
    results = []
    for module in (K, _linear_plain):
        z, out, v = logits.copy(), np.zeros(n), logits.copy()
        module.losses(z, targets, softmax, out, 0, n)
        module.curvature(z, v, weights, softmax, 0, n)
        results.append((z, out, v))
    for ours, plain in zip(*results, strict=True):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-9)


def test_losses_are_cross_entropies():
    z, out = np.log([[0.5, 0.25, 0.25]]), np.zeros(1)
    K.losses(z, np.array([[0.5, 0.5, 0.0]]), True, out, 0, 1)
    assert out[0] == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(4))
    np.testing.assert_allclose(z, [[0.5, 0.25, 0.25]])
    z = np.array([[0.0, np.log(3)]])
    K.losses(z, np.array([[1.0, 0.0]]), False, out, 0, 1)
    assert out[0] == pytest.approx(np.log(2) + np.log(4))
    np.testing.assert_allclose(z, [[0.5, 0.75]])


def test_losses_of_huge_logits_do_not_overflow():
    for softmax in (True, False):
        z, out = np.array([[1e300, -1e300]]), np.zeros(1)
        K.losses(z, np.array([[1.0, 0.0]]), softmax, out, 0, 1)
        assert z.tolist() == [[1.0, 0.0]]
        assert out.tolist() == [0.0]


def _start(n_columns, k):
    return np.zeros((n_columns, k + 3), np.float32), np.zeros(k + 1, np.float32)


@settings(max_examples=60)
@given(rows(), st.integers(1, 8), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.01]))
def test_stream_equals_the_twin(arrays, k, softmax, fit_intercept, bare, penalty):
    rng, values, indices, indptr, n_columns = arrays
    n = len(indptr) - 1
    targets = rng.random((n, k)).astype(np.float32)
    optional = (
        None if bare else values.astype(np.float32),
        indices,
        indptr,
        targets / targets.sum(axis=1, keepdims=True),
        None if bare else rng.random(n).astype(np.float32),
        None if bare else rng.permutation(n).astype(np.int64),
    )
    options = {
        "softmax": softmax,
        "fit_intercept": fit_intercept,
        "rate": 0.5,
        "slope": -0.01,
        "l1": penalty,
        "l2": penalty,
        "step": 2**32 - 5,
    }
    results = []
    for module in (K, _linear_plain):
        table, bias = _start(n_columns, k)
        first = module.stream(table, bias, *optional, 0, n // 2, **options)
        rest = module.stream(table, bias, *optional, n // 2, n, **options)
        results.append((first + rest, table[:, : k + 1], bias, table[:, k + 1].view(np.uint32)))
    for ours, plain in zip(*results, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-4)


def test_one_step_of_the_stream_is_adagrad():
    table, bias = _start(2, 1)
    arrays = (np.array([2.0], np.float32), np.array([1], np.int32), np.array([0, 1]), np.ones((1, 1), np.float32))
    loss = K.stream(table, bias, *arrays, None, None, 0, 1, **_OPTIONS)
    assert loss == pytest.approx(np.log(2))
    # Gradient -0.5 * 2 = -1; its square 1; a step of rate / sqrt(1). The stamp is step 3.
    assert table[1].tolist()[:2] == [0.25, 1.0]
    assert table[1, 2:3].view(np.uint32).tolist() == [3]
    assert bias.tolist() == [0.25, 0.25]
    assert not table[0].any()


_OPTIONS = {"softmax": False, "fit_intercept": True, "rate": 0.25, "slope": 0.0, "l1": 0.0, "l2": 1e-9, "step": 3}
ONE = (None, np.array([0], np.int32), np.array([0, 1]), np.ones((1, 1), np.float32))


@pytest.mark.parametrize("module", [K, _linear_plain])
def test_arrays_that_do_not_fit_are_refused(module):
    for indices, indptr in (([3], [0, 1]), ([-1], [0, 1]), ([0], [0, 2]), ([0], [1, 1]), ([0, 0], [0, 2, 1, 2])):
        with pytest.raises(ValueError, match="do not describe rows over 3 columns"):
            module.check_rows(np.array(indices, np.int32), np.array(indptr, np.int64), 3)
    module.check_rows(np.array([2], np.int32), np.array([0, 0, 1], np.int64), 3)
    table, bias = _start(1, 1)
    for order, bounds, k in (([1], (0, 1), 1), ([-1], (0, 1), 1), ([0], (0, 2), 1), ([0], (0, 1), 2)):
        wrong = (np.zeros((1, 2), np.float32), bias) if k > 1 else (table, bias)
        with pytest.raises(ValueError, match="stream: "):
            module.stream(*wrong, *ONE, None, np.array(order, np.int64), *bounds, **_OPTIONS)
    with pytest.raises(ValueError, match="product: the shapes"):
        module.product(np.ones(1), ONE[1], ONE[2], np.ones((1, 2)), np.ones((1, 3)), 0, 1)
    with pytest.raises(ValueError, match="product: values"):
        module.product(np.ones(2), ONE[1], ONE[2], np.ones((1, 2)), np.ones((1, 2)), 0, 1)
    with pytest.raises(ValueError, match="dot: "):
        module.dot(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="add: "):
        module.add(np.ones(2), 1.0, np.ones(3))
    with pytest.raises(ValueError, match="losses: "):
        module.losses(np.ones((2, 2)), np.ones((2, 3)), True, np.ones(2), 0, 2)
    with pytest.raises(ValueError, match="curvature: "):
        module.curvature(np.ones((2, 2)), np.ones((2, 2)), np.ones(1), True, 0, 2)


@pytest.mark.parametrize("module", [K, _linear_plain])
def test_rows_settled_by_a_thread_further_on_are_left_alone(module):
    # Two threads that take turns on one feature: one in the first half of the batch, one in the second.
    n, (table, bias) = 2000, _start(1, 1)
    indptr, columns = np.arange(n + 1), np.zeros(n, np.int32)
    options = _OPTIONS | {"l2": 1e-3, "l1": 1e-4}
    arrays = (None, columns, indptr, np.ones((n, 1), np.float32), None, None)
    for i in range(50):
        for start in (n // 2 + i, i):
            module.stream(table, bias, *arrays, start, start + 1, **options)
    assert table[0, 0] > 0.5
    assert table[0, 2:3].view(np.uint32)[0] == 3 + n // 2 + 49


def test_read_only_arrays_are_taken():
    arrays = [np.ones(1), np.array([0], np.int32), np.array([0, 1]), np.ones((1, 2))]
    for array in arrays:
        array.flags.writeable = False
    out = np.zeros((1, 2))
    K.product(*arrays, out, 0, 1)
    assert out.tolist() == [[1.0, 1.0]]
