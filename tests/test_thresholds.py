"""Thresholds of multi-label classifiers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier

from tlclassic.errors import InvalidParameterError
from tlclassic.heads import ThresholdClassifier, f1_thresholds, search_logistic
from tlclassic.heads.thresholds import best_f1
from tlclassic.pipelines import load, save


def test_threshold_lies_between_the_last_taken_and_the_first_left():
    proba = np.array([[0.9], [0.4], [0.3], [0.1]])
    targets = np.array([[1], [1], [0], [0]])
    assert f1_thresholds(targets, proba) == pytest.approx([0.35])
    assert best_f1(targets, proba) == 1.0


def test_equal_probabilities_are_taken_together():
    proba = np.array([[0.5], [0.5], [0.5], [0.1]])
    targets = np.array([[1], [0], [0], [0]])
    assert f1_thresholds(targets, proba) == pytest.approx([0.3])
    assert best_f1(targets, proba) == 0.5


def test_a_label_that_no_row_carries():
    assert f1_thresholds(np.zeros((3, 1), dtype=int), np.array([[0.9], [0.5], [0.1]])).tolist() == [0.5]


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.2, 0.3, 0.7, 0.9])), min_size=1, max_size=12))
def test_no_other_threshold_is_better(rows):
    targets = np.array([[target] for target, _ in rows])
    proba = np.array([[value] for _, value in rows])
    threshold = f1_thresholds(targets, proba)[0]
    reached = f1_score(targets, proba >= threshold, zero_division=0)
    every = [f1_score(targets, proba >= cut, zero_division=0) for cut in (0.0, 0.15, 0.25, 0.5, 0.8, 0.95)]
    assert reached == pytest.approx(max(every))
    assert best_f1(targets, proba) == pytest.approx(max(every))


def _rare(n=200):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    return X, np.stack([X[:, 0] > 0, X[:, 1] + rng.normal(size=n) > 2.2], axis=1).astype(int)


def test_rare_labels_are_found():
    X, Y = _rare()
    plain = OneVsRestClassifier(LogisticRegression(C=1.0)).fit(X, Y)
    tuned = ThresholdClassifier(OneVsRestClassifier(LogisticRegression(C=1.0))).fit(X, Y)
    assert Y[:, 1].sum() == 7
    assert plain.predict(X)[:, 1].sum() == 0
    assert (
        f1_score(Y, tuned.predict(X), average="macro")
        > f1_score(Y, plain.predict(X), average="macro", zero_division=0) + 0.1
    )
    np.testing.assert_array_equal(tuned.predict_proba(X), plain.predict_proba(X))


def test_search_by_macro_f1_gives_thresholds_and_saves(tmp_path):
    X, Y = _rare()
    search = search_logistic(X, Y, metric="macro_f1", strengths=(0.1, 1.0))
    assert isinstance(search.estimator, ThresholdClassifier)
    save(search.estimator, tmp_path / "model.tlc")
    loaded = load(tmp_path / "model.tlc")
    np.testing.assert_array_equal(loaded.predict(X), search.estimator.predict(X))
    np.testing.assert_array_equal(loaded.thresholds_, search.estimator.thresholds_)


def test_fit_changes_no_parameter_and_repeats():
    X, Y = _rare()
    model = ThresholdClassifier(OneVsRestClassifier(LogisticRegression()), cv=3)
    before = str(model.get_params())
    first = model.fit(X, Y).thresholds_
    assert str(model.get_params()) == before
    assert clone(model).fit(X, Y).thresholds_.tolist() == first.tolist()


def test_labels_must_be_an_indicator_matrix():
    with pytest.raises(InvalidParameterError, match=r"Y must be an indicator matrix.*got shape \(4,\)"):
        ThresholdClassifier(LogisticRegression()).fit(np.zeros((4, 1)), [0, 1, 0, 1])
