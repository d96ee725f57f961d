"""The pooling kernel: against its plain twin, against literal numbers, and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.kernels import _pool_plain, load

K = load("pool")
MEAN = ("sum", 1, None, None, "count", 0.0)


def _pool(module, table, rows, indptr, ops, **options):
    out = np.full((len(indptr) - 1, len(ops) * table.shape[1]), np.nan, dtype=np.float32)
    module.pool(table, np.asarray(rows, np.int32), np.asarray(indptr, np.int64), ops, out, **options)
    return out


@st.composite
def _ops(draw, n, m):
    kind = draw(st.sampled_from(["sum", "power", "max", "min"]))
    weights = extra_weights = None
    if kind == "sum" and draw(st.booleans()):
        weights = np.linspace(0.1, 2.0, n, dtype=np.float32)
        extra_weights = np.linspace(1.0, 0.5, m, dtype=np.float32) if m else None
    denominator = draw(st.sampled_from(["none", "count", "weight"]))
    return kind, draw(st.integers(1, 5)), weights, extra_weights, denominator, draw(st.sampled_from([0.0, 1.0, 2.5]))


@st.composite
def calls(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, dim, m = draw(st.integers(0, 40)), draw(st.integers(0, 37)), draw(st.integers(0, 3))
    kind = draw(st.sampled_from(["float32", "float16", "int8"]))
    table = rng.standard_normal((n, dim)) * draw(st.sampled_from([1e-6, 1.0, 50.0]))
    scales = None
    if kind == "int8":
        table, scales = rng.integers(-128, 128, (n, dim)), rng.random(n, dtype=np.float32)
    lengths = np.array(draw(st.lists(st.integers(0, 50), max_size=6)), dtype=np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = rng.integers(-1, n + m, int(lengths.sum())) if n + m else np.full(int(lengths.sum()), -1)
    options = {
        "scales": scales,
        "extra": rng.standard_normal((m, dim)).astype(np.float32) if m else None,
        "token_weights": rng.random(len(rows), dtype=np.float32) if draw(st.booleans()) else None,
    }
    return table.astype(kind), rows, indptr, draw(st.lists(_ops(n, m), max_size=4)), options


@settings(max_examples=150, deadline=None)
@given(calls())
def test_equal_to_the_plain_twin(call):
    table, rows, indptr, ops, options = call
    ours = _pool(K, table, rows, indptr, ops, **options)
    plain = _pool(_pool_plain, table, rows, indptr, ops, **options)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, plain, rtol=2e-5, atol=2e-5 * max(1.0, float(np.abs(plain).max(initial=0.0))))


@settings(max_examples=60, deadline=None)
@given(calls())
def test_one_text_gives_the_bits_of_the_batch(call):
    table, rows, indptr, ops, options = call
    batch = _pool(K, table, rows, indptr, ops, **options)
    tokens = options.pop("token_weights")
    for text in range(len(indptr) - 1):
        span = slice(indptr[text], indptr[text + 1])
        own = None if tokens is None else np.ascontiguousarray(tokens[span])
        alone = _pool(K, table, rows[span], [0, span.stop - span.start], ops, token_weights=own, **options)
        assert alone.tobytes() == batch[text : text + 1].tobytes()


WEIGHTS = np.array([0.5, 2.0, 7.0], dtype=np.float32)
TABLE = np.array([[1.0, -2.0], [3.0, 4.0], [-5.0, 0.5]], dtype=np.float32)


@pytest.mark.parametrize("module", [K, _pool_plain])
@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (("sum", 1, None, None, "none", 0.0), [4.0, 2.0]),
        (("sum", 1, None, None, "count", 0.0), [2.0, 1.0]),
        (("sum", 1, None, None, "count", 1.0), [4.0 / 3, 2.0 / 3]),
        (("sum", 1, WEIGHTS, None, "count", 0.0), [(0.5 + 6) / 2, (-1 + 8) / 2]),
        (("sum", 1, WEIGHTS, None, "weight", 0.0), [6.5 / 2.5, 7 / 2.5]),
        (("sum", 1, WEIGHTS, None, "weight", 1.5), [6.5 / 4, 7 / 4]),
        (("max", 1, None, None, "none", 0.0), [3.0, 4.0]),
        (("min", 1, None, None, "none", 0.0), [1.0, -2.0]),
        (("min", 1, None, None, "none", 1.0), [0.0, -2.0]),
        (("power", 2, None, None, "count", 0.0), [np.sqrt(5.0), np.sqrt(10.0)]),
        (("power", 3, None, None, "count", 0.0), [np.cbrt(14.0), np.cbrt(28.0)]),
        (("power", 3, None, None, "count", 1.0), [np.cbrt(28.0 / 3), np.cbrt(56.0 / 3)]),
    ],
)
def test_literal_values(module, op, expected):
    out = _pool(module, TABLE, [0, -1, 1], [0, 3], [op])
    np.testing.assert_allclose(out, [expected], rtol=1e-6)


@pytest.mark.parametrize("module", [K, _pool_plain])
def test_odd_powers_keep_the_sign(module):
    out = _pool(
        module, TABLE, [2, 2], [0, 2], [("power", 3, None, None, "count", 0.0), ("power", 2, None, None, "count", 0.0)]
    )
    np.testing.assert_allclose(out, [[-5.0, 0.5, 5.0, 0.5]], rtol=1e-6)


@pytest.mark.parametrize("module", [K, _pool_plain])
@pytest.mark.parametrize(
    "op",
    [
        MEAN,
        ("sum", 1, None, None, "weight", 0.0),
        ("max", 1, None, None, "none", 1.0),
        ("power", 3, None, None, "count", 1.0),
    ],
)
def test_texts_without_known_words_are_zero(module, op):
    out = _pool(module, TABLE, [-1, -1], [0, 0, 2], [op])
    assert out.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_cube_roots_of_every_size():
    exponents = np.linspace(-12.6, 12.8, 20_001)
    table = np.concatenate([10**exponents, -(10**exponents)]).astype(np.float32).reshape(-1, 1)
    op = ("power", 3, None, None, "count", 0.0)
    out = _pool(K, table, np.arange(len(table)), np.arange(len(table) + 1), [op])
    np.testing.assert_allclose(out, table, rtol=2e-7)
    limits = np.array([[0.0], [-1e-20], [1e20], [-1e20]], dtype=np.float32)
    out = _pool(K, limits, [0, 1, 2, 3], [0, 1, 2, 3, 4], [op])
    assert out[:, 0].tolist() == [0.0, -0.0, np.inf, -np.inf]


@pytest.mark.parametrize("module", [K, _pool_plain])
def test_weights_that_sum_to_zero_give_zero(module):
    zeros = np.zeros(3, dtype=np.float32)
    out = _pool(module, TABLE, [0, 1], [0, 2], [("sum", 1, zeros, None, "weight", 0.0)])
    assert out.tolist() == [[0.0, 0.0]]


def test_every_half_precision_number_is_converted_exactly():
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)].reshape(-1, 1)
    out = _pool(K, finite, np.arange(len(finite)), np.arange(len(finite) + 1), [("max", 1, None, None, "none", 0.0)])
    np.testing.assert_array_equal(out, finite.astype(np.float32))


def test_long_texts_keep_their_precision():
    # A million equal float32 additions one by one would be off by about 1e-2.
    table = np.array([[0.1]], dtype=np.float32)
    out = _pool(K, table, np.zeros(1_000_000), [0, 1_000_000], [MEAN])
    np.testing.assert_allclose(out, [[np.float32(0.1)]], rtol=3e-7)


def test_reads_a_read_only_map(tmp_path):
    TABLE.tofile(tmp_path / "table")
    mapped = np.memmap(tmp_path / "table", dtype=np.float32, mode="r", shape=TABLE.shape)
    assert _pool(K, mapped, [1], [0, 1], [MEAN]).tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize("module", [K, _pool_plain])
@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"rows": [3]}, IndexError, r"rows must lie in -1 \.\. 2; got 3"),
        ({"rows": [-2]}, IndexError, "got -2"),
        ({"indptr": [0, 2]}, ValueError, "indptr must run from 0 to the number of rows"),
        ({"indptr": [0, 2, 1]}, ValueError, "indptr must not decrease; it does at 2"),
        ({"table": TABLE.T}, ValueError, "C-contiguous"),
        ({"table": TABLE.astype(np.float64)}, ValueError, "float32, float16 or int8; got float64"),
        ({"table": TABLE.astype(np.int8)}, ValueError, "needs one scale per row"),
        ({"scales": np.ones(3, np.float32)}, ValueError, "needs one scale per row"),
        ({"ops": [("power", 0, None, None, "count", 0.0)]}, ValueError, "power must be at least 1; got 0"),
        ({"ops": [("median", 1, None, None, "count", 0.0)]}, KeyError, "median"),
        ({"extra": np.ones((1, 3), np.float32)}, ValueError, "extra must have 2 columns; got 3"),
        ({"token_weights": np.ones(2, np.float32)}, ValueError, "token_weights must have 1 values; got 2"),
        ({"ops": [("sum", 1, WEIGHTS[:2], None, "count", 0.0)]}, ValueError, "weights must have 3 values; got 2"),
        (
            {"ops": [("sum", 1, WEIGHTS, None, "count", 0.0)], "extra": np.ones((1, 2), np.float32)},
            ValueError,
            "extra_weights must have 1 values",
        ),
    ],
)
def test_refusals(module, changes, error, match):
    arguments = {"table": TABLE, "rows": [0], "indptr": [0, 1], "ops": [MEAN], **changes}
    with pytest.raises(error, match=match):
        _pool(module, **arguments)


@pytest.mark.parametrize("module", [K, _pool_plain])
def test_out_must_fit(module):
    with pytest.raises(ValueError, match=r"out must have shape \(1, 2\)"):
        module.pool(TABLE, np.zeros(1, np.int32), np.array([0, 1]), [MEAN], np.zeros((2, 2), np.float32))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(4, 40), st.sampled_from(["float32", "float64"]))
def test_components_and_norms_equal_to_the_plain_twin(seed, n, dim, dtype):
    rng = np.random.default_rng(seed)
    components = np.ascontiguousarray(np.linalg.qr(rng.standard_normal((dim, min(3, dim))))[0].T)
    strengths = rng.random(len(components))
    ours = rng.standard_normal((n, dim)).astype(dtype)
    ours[:1] = 0
    plain, batch = ours.copy(), ours.copy()
    K.remove_components(ours, components, strengths)
    _pool_plain.remove_components(plain, components, strengths)
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(ours, plain, atol=tolerance)
    for row in range(n):
        alone = batch[row : row + 1].copy()
        K.remove_components(alone, components, strengths)
        assert alone.tobytes() == ours[row : row + 1].tobytes()
    K.normalize_rows(ours)
    _pool_plain.normalize_rows(plain)
    np.testing.assert_allclose(ours, plain, atol=10 * tolerance)


def test_normalize_keeps_zero_rows():
    x = np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    K.normalize_rows(x)
    np.testing.assert_allclose(x, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
