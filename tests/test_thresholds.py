"""Thresholds of multi-label classifiers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier

from tlclassic.errors import InvalidParameterError
from tlclassic.heads import ThresholdClassifier, f1_thresholds, search_logistic
from tlclassic.heads.thresholds import held_out_f1
from tlclassic.pipelines import load, save


def _column(values):
    return np.array(values)[:, None]


def test_threshold_lies_between_the_last_taken_and_the_first_left():
    proba, targets = _column(([0.9] * 10 + [0.4] * 5 + [0.3, 0.1]) * 100), _column(([1] * 15 + [0, 0]) * 100)
    assert f1_thresholds(targets, proba) == pytest.approx([0.35])


def test_equal_probabilities_are_taken_together():
    proba, targets = _column(([0.5] * 30 + [0.1] * 10) * 50), _column(([1] * 15 + [0] * 25) * 50)
    assert f1_thresholds(targets, proba) == pytest.approx([0.3])


def test_no_row_has_any_label():
    assert f1_thresholds(np.zeros((3, 1), dtype=int), _column([0.9, 0.5, 0.1])).tolist() == [0.5]


def test_a_label_of_which_little_is_to_be_expected_takes_the_shared_threshold():
    rng = np.random.default_rng(0)
    targets = np.zeros((200, 2), dtype=int)
    targets[:60, 0], targets[190:194, 1] = 1, 1
    proba = np.stack([np.where(targets[:, 0], 0.8, 0.2), rng.uniform(0.001, 0.01, 200)], axis=1)
    thresholds = f1_thresholds(targets, proba)
    assert thresholds == pytest.approx([0.5, thresholds[1]])
    assert thresholds[1] > 0.01


def test_a_label_of_no_row_is_not_let_through_everywhere():
    targets = np.zeros((100, 2), dtype=int)
    targets[:40, 0] = 1
    proba = np.stack([np.where(targets[:, 0], 0.8, 0.2), np.full(100, 0.01)], axis=1)
    assert not (proba[:, 1] >= f1_thresholds(targets, proba)[1]).any()


def simulated(n, n_labels, seed, distort=lambda logits: logits):
    """Labels drawn by their probabilities, most of them rare, and probabilities that are told wrongly."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(np.linspace(-5, 0, n_labels), 2.0, (n, n_labels))
    targets = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(int)
    return targets, 1 / (1 + np.exp(-distort(logits)))


def by_labels_alone(targets, proba):
    """What thresholds would be if the labels of these rows were all there is."""
    order = np.argsort(-proba, axis=0)
    taken = np.arange(1, len(proba) + 1)[:, None]
    f1 = 2 * np.take_along_axis(targets, order, axis=0).cumsum(axis=0) / (taken + targets.sum(axis=0))
    return np.take_along_axis(np.take_along_axis(proba, order, axis=0), f1.argmax(axis=0)[None], axis=0)[0]


@pytest.mark.parametrize(
    "distort",
    [lambda z: z, lambda z: 2.5 * z + 1, lambda z: z + np.linspace(4, 0, 12), lambda z: 0.3 * z - 3],
    ids=["calibrated", "too sure", "classes weighted", "not sure enough"],
)
def test_rare_labels_do_better_than_by_their_few_rows(distort):
    gains = []
    for seed in range(6):
        targets, proba = simulated(300, 12, seed, distort)
        unseen, told = simulated(4000, 12, seed + 100, distort)
        scores = [
            f1_score(unseen, told >= tuned(targets, proba), average="macro", zero_division=0)
            for tuned in (f1_thresholds, by_labels_alone)
        ]
        gains.append(scores[0] - scores[1])
    assert np.mean(gains) > 0.005
    assert min(gains) > -0.01


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.2, 0.3, 0.7, 0.9])), min_size=30, max_size=60))
def test_of_many_rows_labels_decide(rows):
    times = 200
    targets, proba = _column([target for target, _ in rows] * times), _column([value for _, value in rows] * times)
    reached = f1_score(targets, proba >= f1_thresholds(targets, proba)[0], zero_division=0)
    every = [f1_score(targets, proba >= cut, zero_division=0) for cut in (0.0, 0.15, 0.25, 0.5, 0.8, 0.95)]
    assert reached == pytest.approx(max(every), abs=0.02)


def test_probabilities_that_are_all_the_same_or_the_wrong_way_round():
    targets = np.zeros((50, 2), dtype=int)
    targets[:20, 0] = 1
    for value in (0.0, 1.0, 0.5, 1e-300):
        assert np.isfinite(f1_thresholds(targets, np.full((50, 2), value))).all()
    value = 0.02
    proba = np.stack([1.0 - np.arange(50) / 50, np.full(50, value)], axis=1).astype(np.float32)
    assert f1_score(targets[:, 0], proba[:, 0] >= f1_thresholds(targets, proba)[0]) > 0.9
    turned = f1_thresholds(targets, 1.0 - proba)
    assert np.isfinite(turned).all()


def test_held_out_score_is_not_that_of_the_rows_tuned_on():
    rng = np.random.default_rng(0)
    targets, proba = rng.integers(0, 2, (60, 3)), rng.uniform(size=(60, 3))
    tuned_on_the_same = f1_score(targets, proba >= f1_thresholds(targets, proba), average="macro")
    assert held_out_f1(targets, proba) < tuned_on_the_same


def _rare(n=600):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    return X, np.stack([X[:, 0] > 0, X[:, 1] + rng.normal(size=n) > 2.2], axis=1).astype(int)


def test_rare_labels_are_found():
    X, Y = _rare()
    plain = OneVsRestClassifier(LogisticRegression(C=0.03)).fit(X, Y)
    tuned = ThresholdClassifier(OneVsRestClassifier(LogisticRegression(C=0.03))).fit(X, Y)
    assert Y[:, 1].sum() < 60
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
