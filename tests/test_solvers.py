"""The solvers of linear models: the same optimum as scikit-learn's on replicated rows, corners, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tlclassic.errors import InvalidParameterError
from tlclassic.heads import Streaming, fit_linear, fit_streaming


def _problem(seed, n=60, n_features=15, k=3, density=1.0):
    """Rows, soft labels that depend on them, weights."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, n_features)) * (rng.random((n, n_features)) < density)
    logits = X[:, :k] * 1.5 + rng.standard_normal((n, k))
    P = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return X, P, rng.uniform(0.2, 3.0, n)


def _objective(X, P, weights, coef, intercept, C, l1_ratio=0.0):
    z = X @ coef.T + intercept
    each = np.logaddexp(0, z)[:, 0] - P[:, 1] * z[:, 0] if z.shape[1] == 1 else logsumexp(z, axis=1) - (P * z).sum(1)
    return C * weights @ each + 0.5 * (1 - l1_ratio) * (coef**2).sum() + l1_ratio * np.abs(coef).sum()


def _outputs(P):
    return (P[:, 1:], "sigmoid") if P.shape[1] == 2 else (P, "softmax")


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_optimum_is_that_of_scikit_learn_on_replicated_rows(k, C, as_sparse):
    X, P, weights = _problem(k, k=k, density=0.3 if as_sparse else 1.0)
    outputs, loss = _outputs(P)
    ours = fit_linear(sp.csr_matrix(X) if as_sparse else X, outputs, loss=loss, C=C, sample_weight=weights)
    theirs = LogisticRegression(C=C, tol=1e-9, max_iter=10_000).fit(
        np.repeat(X, k, axis=0), np.tile(np.arange(k), len(X)), (weights[:, None] * P).ravel()
    )
    best = _objective(X, P, weights, theirs.coef_, theirs.intercept_, C)
    assert ours.converged
    assert ours.objective == pytest.approx(_objective(X, P, weights, ours.coef, ours.intercept, C), rel=1e-10)
    assert ours.objective <= best * (1 + 1e-6)
    # Near the optimum the objective is flat: coefficients agree once both are solved beyond the default.
    exact = fit_linear(X, outputs, loss=loss, C=C, sample_weight=weights, tol=1e-13)
    np.testing.assert_allclose(exact.coef, theirs.coef_, atol=1e-4 * np.abs(theirs.coef_).max())


@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.filterwarnings("ignore:'penalty' was deprecated", "ignore:Inconsistent values")
def test_l1_optimum_is_that_of_saga(k, l1_ratio):
    X, P, weights = _problem(10 + k, k=k)
    outputs, loss = _outputs(P)
    ours = fit_linear(X, outputs, loss=loss, C=0.3, sample_weight=weights, l1_ratio=l1_ratio)
    theirs = LogisticRegression(
        C=0.3, solver="saga", penalty="elasticnet", l1_ratio=l1_ratio, tol=1e-8, max_iter=50_000
    )
    theirs.fit(np.repeat(X, k, axis=0), np.tile(np.arange(k), len(X)), (weights[:, None] * P).ravel())
    best = _objective(X, P, weights, theirs.coef_, theirs.intercept_, 0.3, l1_ratio)
    assert ours.converged
    assert ours.objective <= best * (1 + 1e-6)
    assert 0 < (ours.coef == 0).sum() < ours.coef.size
    np.testing.assert_array_equal(ours.coef == 0, np.abs(theirs.coef_) < 1e-6)


def test_multilabel_is_one_problem_a_label():
    X, P, weights = _problem(3)
    together = fit_linear(X, P, loss="sigmoid", sample_weight=weights)
    alone = [fit_linear(X, P[:, [c]], loss="sigmoid", sample_weight=weights) for c in range(3)]
    assert together.objective == pytest.approx(sum(part.objective for part in alone), rel=1e-6)
    np.testing.assert_allclose(together.coef, np.vstack([part.coef for part in alone]), atol=2e-3)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans(), st.sampled_from([0.05, 0.3]))
def test_sparse_rows_give_the_dense_optimum(seed, k, with_scale, density):
    # Columns of one row are merged in the sparse problem, never in the dense one.
    X, P, weights = _problem(seed, n=25, n_features=40, k=max(k, 2), density=density)
    outputs, loss = _outputs(P)
    scale = np.random.default_rng(seed).standard_normal(40) if with_scale else None
    options = {"loss": loss, "sample_weight": weights, "scale": scale, "tol": 1e-12}
    dense, sparse = fit_linear(X, outputs, **options), fit_linear(sp.csr_matrix(X), outputs, **options)
    assert sparse.objective == pytest.approx(dense.objective, rel=1e-9)
    np.testing.assert_allclose(sparse.coef, dense.coef, atol=1e-5)
    assert set(sparse.columns) == set(np.flatnonzero(X.any(axis=0)))


def test_explicit_zeros_and_duplicates_change_nothing():
    plain = sp.csr_matrix(np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    odd = sp.csr_matrix(
        (np.array([0.5, 0.0, 2.0, 0.5, 1.0]), np.array([0, 1, 2, 0, 2]), np.array([0, 4, 4, 5])), shape=(3, 3)
    )
    P = np.array([[1.0], [0.0], [0.5]])
    expected, got = (fit_linear(X, P, loss="sigmoid", tol=1e-14) for X in (plain, odd))
    np.testing.assert_allclose(got.coef, expected.coef, atol=1e-6)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_scale_penalises_the_weights_behind_the_coefficients(as_sparse):
    X, P, _ = _problem(5)
    own = np.random.default_rng(5).uniform(-2, 2, (3, 15))
    own[:, 3] = 0.0
    rows = sp.csr_matrix(X) if as_sparse else X
    by_column = fit_linear(rows, P, scale=own[0], tol=1e-12)
    by_hand = fit_linear(X * own[0], P, tol=1e-12)
    np.testing.assert_allclose(by_column.coef, by_hand.coef * own[0], atol=1e-6)
    by_output = fit_linear(rows, P, loss="sigmoid", scale=own, tol=1e-12)
    for c in range(3):
        alone = fit_linear(X * own[c], P[:, [c]], loss="sigmoid", tol=1e-12)
        np.testing.assert_allclose(by_output.coef[c], alone.coef[0] * own[c], atol=1e-6)
    assert not by_output.coef[:, 3].any()


@pytest.mark.parametrize("scale", [None, np.linspace(0.5, 2, 15), np.linspace(0.5, 2, 45).reshape(3, 15)])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_a_warm_start_at_the_optimum_is_done_at_once(scale, l1_ratio):
    X, P, _ = _problem(6, density=0.1)
    cold = fit_linear(sp.csr_matrix(X), P, scale=scale, l1_ratio=l1_ratio, tol=1e-10)
    warm = fit_linear(sp.csr_matrix(X), P, scale=scale, l1_ratio=l1_ratio, start=(cold.coef, cold.intercept))
    assert (warm.n_iter, warm.converged) == (0, True)
    np.testing.assert_allclose(warm.coef, cold.coef, atol=1e-12)
    assert cold.n_iter > 0


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_do_not_change_a_bit(threads):
    X, P, weights = _problem(7, density=0.2)
    one = fit_linear(sp.csr_matrix(X), P, sample_weight=weights)
    many = fit_linear(sp.csr_matrix(X), P, sample_weight=weights, threads=threads)
    assert one.coef.tobytes() == many.coef.tobytes()


def test_the_threads_of_blas_do_not_change_a_bit():
    # Vectors of above 10,000 entries are where OpenBLAS begins to split.
    rng = np.random.default_rng(8)
    X = sp.random(300, 8000, density=0.02, format="csr", random_state=rng)
    P = np.eye(3)[rng.integers(0, 3, 300)]
    fits = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            fits.append(fit_linear(X, P, l1_ratio=0.0, tol=1e-8))
    assert fits[0].n_iter > 2
    assert fits[0].coef.tobytes() == fits[1].coef.tobytes()


def test_columns_that_do_not_occur_cost_nothing():
    X = sp.csr_matrix((np.ones(4), ([0, 1, 2, 2], [7, 2**31 - 2, 7, 11])), shape=(3, 2**31 - 1))
    fitted = fit_linear(X, np.array([[1.0], [0.0], [1.0]]), loss="sigmoid")
    assert fitted.columns.tolist() == [7, 11, 2**31 - 2]
    assert fitted.weights.shape == (1, 3)
    streamed = fit_streaming(X, np.array([[1.0], [0.0], [1.0]]), loss="sigmoid")
    assert streamed.columns.tolist() == [7, 11, 2**31 - 2]


@pytest.mark.parametrize("C", [1e-6, 1e6])
def test_separable_rows_of_any_size_do_not_overflow(C):
    X = np.array([[1e6], [-1e6], [0.0]])
    for l1_ratio in (0.0, 1.0):
        fitted = fit_linear(X, np.array([[1.0, 0], [0, 1.0], [0.5, 0.5]]), C=C, l1_ratio=l1_ratio)
        assert np.isfinite(fitted.coef).all()
        assert np.isfinite(fitted.objective)


def test_one_row_and_rows_without_entries():
    assert fit_linear(np.array([[2.0]]), np.array([[1.0, 0.0]]), fit_intercept=False).coef[0, 0] > 0
    assert fit_linear(np.array([[2.0]]), np.array([[1.0, 0.0]])).intercept[0] > 0
    empty = fit_linear(sp.csr_matrix((4, 3)), np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]]), tol=1e-10)
    assert not empty.coef.any()
    assert empty.intercept[0] - empty.intercept[1] == pytest.approx(np.log(3), abs=1e-3)


def test_a_class_without_rows_is_never_likely():
    X, P, _ = _problem(8)
    fitted = fit_linear(X, np.hstack([P, np.zeros((60, 1))]))
    z = X @ fitted.coef.T + fitted.intercept
    assert (z[:, 3] < z[:, :3].min(axis=1)).all()


def test_too_few_iterations_are_reported():
    X, P, _ = _problem(9)
    assert not fit_linear(X, P, max_iter=1, C=1e4).converged


def test_no_intercept():
    X, P, _ = _problem(9)
    assert not fit_linear(X, P, fit_intercept=False).intercept.any()
    assert not fit_streaming(X, P, fit_intercept=False).intercept.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of"),
        ({"C": -1.0}, "C must be at least"),
        ({"l1_ratio": 1.5}, "l1_ratio must be at most 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"sample_weight": [1.0]}, r"sample_weight must hold 60 numbers, one a row; got shape \(1,\)"),
        ({"sample_weight": np.full(60, -1.0)}, r"not negative; sample_weight\[0\] is -1\."),
        ({"sample_weight": np.zeros(60)}, "zero for every row"),
        ({"scale": np.ones(3)}, r"scale must be finite and of shape \(15,\) or \(3, 15\); got shape \(3,\)"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    X, P, _ = _problem(0)
    with pytest.raises(InvalidParameterError, match=message):
        fit_linear(X, P, **options)


def test_wrong_matrices_are_named():
    X, P, _ = _problem(0)
    with pytest.raises(InvalidParameterError, match=r"P must have shape \(n, K\) with n = 60"):
        fit_linear(X, P[:5])
    for value in (np.nan, np.inf):
        X[3, 2] = value
        for rows in (X, sp.csr_matrix(X)):
            with pytest.raises(InvalidParameterError, match="finite values only"):
                fit_linear(rows, P)
    broken = sp.csr_matrix(np.eye(3))
    broken.indices[1] = 99
    with pytest.raises(InvalidParameterError, match="not a valid CSR matrix"):
        fit_linear(broken, np.ones((3, 1)), loss="sigmoid")


# -- streaming --------------------------------------------------------------------------------------------------------


def test_streaming_comes_near_the_optimum():
    X, P, _ = _problem(1, n=400)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    best = fit_linear(X, P)
    streamed = fit_streaming(X, P, epochs=40)
    ones = np.ones(400)
    assert _objective(X, P, ones, streamed.coef, streamed.intercept, 1.0) < best.objective * 1.01


def test_streaming_is_deterministic_and_follows_its_seed():
    X, P, _ = _problem(2, density=0.3)
    first, again, other = (fit_streaming(X, P, random_state=seed) for seed in (0, 0, 1))
    assert first.coef.tobytes() == again.coef.tobytes()
    assert first.coef.tobytes() != other.coef.tobytes()


def test_streaming_with_threads_learns_as_well():
    X, P, _ = _problem(2, n=2000, n_features=200, density=0.05)
    ones = np.ones(len(X))
    losses = []
    for threads in (1, 3):
        model = fit_streaming(sp.csr_matrix(X), P, threads=threads, epochs=10)
        losses.append(_objective(X, P, ones, model.coef, model.intercept, 1.0))
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_batches_and_one_batch_give_the_same_model():
    X, P, weights = _problem(4, density=0.3)
    rows = sp.csr_matrix(X, dtype=np.float32)
    whole, parts = (Streaming(15, 3, l1=1e-4, l2=1e-3, total_rows=60) for _ in range(2))
    whole.step(rows.indices, rows.indptr, rows.data, P, weights)
    for bounds in (slice(0, 20), slice(20, 23), slice(23, 60)):
        part = rows[bounds]
        parts.step(part.indices, part.indptr, part.data, P[bounds], weights[bounds])
    np.testing.assert_allclose(parts.coef, whole.coef, atol=1e-5)
    assert parts.rows_seen == whole.rows_seen == 60
    resumed = Streaming(15, 3)
    resumed.resume(*whole.state, whole.rows_seen)
    np.testing.assert_array_equal(resumed.coef, whole.coef)


def test_l1_of_the_stream_leaves_little_but_what_counts():
    X, P, _ = _problem(4, n=500)
    weak, strong = (np.abs(fit_streaming(X, P, C=C, l1_ratio=1.0, epochs=10).coef) for C in (1e3, 0.02))
    assert np.median(weak) > 0.01
    assert np.median(strong) < 1e-3
    assert strong[:, :3].diagonal().min() > 0.1


def test_streaming_refusals():
    model = Streaming(4, 2)
    one = (np.array([3], np.int32), np.array([0, 1]), None)
    with pytest.raises(InvalidParameterError, match=r"P must have shape \(1, 2\)"):
        model.step(*one, np.ones((1, 3)))
    with pytest.raises(InvalidParameterError, match="do not describe rows over 4 columns"):
        model.step(np.array([4], np.int32), np.array([0, 1]), None, np.ones((1, 2)))
    with pytest.raises(InvalidParameterError, match="the state must have shape"):
        model.resume(np.zeros((3, 4), np.float32), np.zeros(3, np.float32), 1)
    with pytest.raises(InvalidParameterError, match="one for all outputs"):
        fit_streaming(np.ones((1, 2)), np.ones((1, 3)), scale=np.ones((3, 2)))
    with pytest.raises(InvalidParameterError, match="epochs must be at least 1"):
        fit_streaming(np.ones((1, 2)), np.ones((1, 3)), epochs=0)


def test_both_solvers_take_a_million_buckets_and_empty_rows():
    X = sp.csr_matrix((np.ones(3, np.float32), np.array([5, 2**20, 5]), np.array([0, 2, 2, 3])), shape=(3, 2**21))
    P = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    for fitted in (fit_linear(X, P), fit_streaming(X, P)):
        assert fitted.coef.shape == (3, 2**21)
        assert fitted.columns.tolist() == [5, 2**20]
