"""Logistic regression with cross-validated strength."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from tlclassic.errors import InvalidParameterError
from tlclassic.heads import ThresholdClassifier, search_logistic


def _blobs(n=90, n_classes=3, d=6, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return rng.normal(size=(n, d)) + 1.2 * rng.normal(size=(n_classes, d))[y], y


def test_scores_equal_scikit_learns_cross_validation():
    X, y = _blobs()
    search = search_logistic(X, y, strengths=(0.01, 1.0), n_folds=3, random_state=7)
    folds = StratifiedKFold(3, shuffle=True, random_state=7)
    for strength, score in search.scores.items():
        # Folds of equal size: the mean over folds and over rows agree.
        expected = cross_val_score(
            LogisticRegression(C=strength, solver="newton-cg", max_iter=1000), X, y, cv=folds
        ).mean()
        assert score == pytest.approx(expected, abs=1e-12)


def test_refitted_on_all_rows_with_the_best_strength():
    X, y = _blobs()
    search = search_logistic(X, y)
    assert max(search.scores, key=lambda strength: (search.scores[strength], -strength)) == search.C
    expected = LogisticRegression(C=search.C, max_iter=1000, solver="newton-cg").fit(X, y)
    np.testing.assert_allclose(search.estimator.coef_, expected.coef_, atol=1e-8)


def test_stops_two_steps_after_the_best():
    X, y = _blobs(n=60, d=3)
    seen = []
    search = search_logistic(X, y, on_step=lambda strength, score: seen.append((strength, score)))
    assert seen == list(search.scores.items())
    assert len(seen) - list(search.scores).index(search.C) in (1, 2, 3)


def test_equal_scores_are_no_reason_to_stop():
    # Under a strong penalty every model gives the commonest class: scores that are equal, and say nothing.
    rng = np.random.default_rng(0)
    y = np.array([True] * 46 + [False] * 34)
    X = rng.normal(size=(80, 16)) + 0.9 * np.where(y, 1, -1)[:, None] * (np.arange(16) < 2)
    search = search_logistic(X, y)
    assert search.scores[1e-4] == search.scores[1e-3] == 46 / 80
    assert search.scores[search.C] > 0.8


def test_sparse_equals_dense():
    X, y = _blobs()
    dense = search_logistic(X, y, strengths=(0.1, 1.0))
    compressed = search_logistic(sparse.csr_matrix(X), y, strengths=(0.1, 1.0))
    assert dense.scores == pytest.approx(compressed.scores, abs=0.02)


def test_multilabel_gives_one_versus_rest():
    X, y = _blobs()
    targets = np.stack([y == 0, y != 1, np.ones_like(y)], axis=1).astype(int)
    search = search_logistic(X, targets, metric="macro_f1", strengths=(1.0,))
    assert isinstance(search.estimator, ThresholdClassifier)
    assert search.estimator.predict(X).shape == (90, 3)
    assert search.estimator.predict(X)[:, 2].all()


def test_a_class_with_a_single_row_is_kept():
    X, y = _blobs(n=41, n_classes=2)
    y[0] = 9
    search = search_logistic(X, y, strengths=(1.0,))
    assert search.estimator.classes_.tolist() == [0, 1, 9]


def test_class_weight_reaches_the_estimator():
    X, y = _blobs()
    search = search_logistic(X, y, strengths=(1.0,), class_weight="balanced")
    assert search.estimator.class_weight == "balanced"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * 10, r"at least two classes are needed to train; got only \['a'\]"),
        (["a", "b", "a"], "at least 4 labelled rows are needed to train; got 3"),
    ],
)
def test_too_little_to_learn_from(y, message):
    with pytest.raises(InvalidParameterError, match=message):
        search_logistic(np.zeros((len(y), 1)), y)


def test_bad_parameters():
    X, y = _blobs()
    with pytest.raises(InvalidParameterError, match=r"metric must be one of 'accuracy', 'macro_f1'; got 'f1'\."):
        search_logistic(X, y, metric="f1")
    with pytest.raises(InvalidParameterError, match="strengths must hold at least one number"):
        search_logistic(X, y, strengths=())
