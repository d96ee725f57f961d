"""The parts of a search: splits, configurations, scores, and the halving on a made-up problem with a made-up clock."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

from tlclassic.tuning import search as search_module
from tlclassic.tuning.clock import Clock
from tlclassic.tuning.featurising import _compact
from tlclassic.tuning.scoring import log_loss, score_proba, thresholds_for
from tlclassic.tuning.search import Search
from tlclassic.tuning.space import BITS, Configuration, Space
from tlclassic.tuning.splits import make_splits, rung_sizes
from tlclassic.tuning.trials import Trial, smoothed


def one_hot(strata, n_classes):
    return np.eye(n_classes)[strata]


# -- splits ------------------------------------------------------------------------------------------------------------


def test_small_data_are_held_out_once_in_each_of_two_deals():
    strata = np.repeat([0, 1, 2], [30, 15, 1])
    splits = make_splits(one_hot(strata, 3), 0, np.random.default_rng(0))
    assert len(splits) == 10
    held_out = np.concatenate([split.held_out for split in splits])
    assert np.bincount(held_out, minlength=46).tolist() == [2] * 45 + [0]
    for split in splits:
        assert not set(split.train) & set(split.held_out)
        assert 45 in split.train
        assert 5 <= np.sum(strata[split.held_out] == 0) <= 7


def test_many_rows_are_split_once_in_proportion():
    strata = np.repeat([0, 1], [9_000, 1_000])
    (split,) = make_splits(one_hot(strata, 2), 0, np.random.default_rng(0))
    assert len(split.held_out) == 2_000
    assert np.sum(strata[split.held_out] == 1) == 200


def test_a_dev_set_is_all_that_is_held_out():
    (split,) = make_splits(one_hot(np.tile([0, 1], 50), 2), 7, np.random.default_rng(0))
    assert split.held_out.tolist() == list(range(100, 107))
    assert sorted(split.train) == list(range(100))


def test_samples_hold_the_classes_in_proportion_and_rare_ones_early():
    strata = np.repeat([0, 1, 2], [8_000, 1_990, 10])
    (split,) = make_splits(one_hot(strata, 3), 5, np.random.default_rng(0))
    assert set(strata[split.train[:3]]) == {0, 1, 2}
    for m in (100, 1_000):
        shares = np.bincount(strata[split.train[:m]], minlength=3) / m
        np.testing.assert_allclose(shares, [0.8, 0.199, 0.001], atol=2 / m + 0.001)


def test_rungs_grow_threefold_to_all_rows():
    assert rung_sizes(2_000, 2) == [2_000]
    assert rung_sizes(18_932, 4) == [2_103, 6_310, 18_932]
    assert rung_sizes(18_932, 1_000) == [6_310, 18_932]


# -- configurations ----------------------------------------------------------------------------------------------------


def test_the_portfolio_holds_no_configuration_twice_and_only_what_is_allowed():
    for multilabel, balance, vectors, fast in itertools.product((False, True), repeat=4):
        space = Space(multilabel=multilabel, balance=balance, vectors=vectors, fast=fast)
        portfolio = space.portfolio()
        assert len(set(portfolio)) == len(portfolio) >= 5
        assert all(space.allows(each) for each in portfolio)
        assert any(each.vectors_weight is not None for each in portfolio) is vectors
        assert any(each.class_weight is not None for each in portfolio) is balance
        assert any(each.smoothing for each in portfolio) is not multilabel
        assert {each.bits for each in portfolio} == {BITS}


def test_neighbours_differ_in_one_to_three_parameters():
    space = Space(multilabel=False, balance=True, vectors=True)
    start = Configuration()
    random = np.random.default_rng(0)
    found = list(itertools.islice(space.neighbours(start, random), 300))
    changes = {sum(getattr(each, name) != getattr(start, name) for name in vars(start)) for each in found}
    assert changes == {1, 2, 3}
    assert len(set(found)) > 150


def test_a_small_size_has_few_buckets():
    bits = [Space(multilabel=False, balance=False, vectors=False, max_size=n).bits for n in (10**7, 10**5, 3_000)]
    assert bits == [20, 16, 11]
    shown = Space(multilabel=False, balance=False, vectors=False, max_size=10**5).portfolio()
    assert {each.bits for each in shown} == {16}


# -- scores ------------------------------------------------------------------------------------------------------------


def test_scores_of_two_three_and_unknown_classes():
    two = np.array([[1.0], [0.0], [1.0], [1.0]])
    assert score_proba(two, np.array([[0.9], [0.2], [0.4], [0.5]]), "accuracy", "sigmoid", False) == 0.75
    three = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], float)
    proba = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.8, 0.1, 0.1]])
    assert score_proba(three, proba, "accuracy", "softmax", False) == pytest.approx(1 / 3)
    assert score_proba(three[:2], proba[:2], "macro_f1", "softmax", False) == pytest.approx((2 / 3 + 0) / 2)
    labels = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert score_proba(labels, np.array([[0.6, 0.6], [0.1, 0.9]]), "accuracy", "sigmoid", True) == 0.75


def test_log_loss():
    assert log_loss(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]]), "softmax") == pytest.approx(np.log(2))
    assert log_loss(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), "sigmoid") == pytest.approx(2 * np.log(2))
    assert np.isfinite(log_loss(np.array([[1.0]]), np.array([[0.0]]), "sigmoid"))


def test_thresholds_are_tuned_for_f1_only():
    targets, proba = np.array([[1.0], [1.0]] * 6 + [[0.0]] * 8), np.array([[0.3]] * 12 + [[0.1]] * 8)
    assert thresholds_for(targets, proba, "accuracy").tolist() == [0.5]
    assert thresholds_for(targets, proba, "macro_f1").tolist() == [0.2]


def test_smoothing_spreads_a_share():
    np.testing.assert_allclose(smoothed(np.array([[1.0, 0.0]]), 0.1), [[0.95, 0.05]])


def test_columns_that_training_does_not_have_are_left_out():
    X = sparse.csr_matrix(np.array([[0, 1, 2, 0], [3, 0, 0, 4], [0, 0, 0, 0]], float))
    columns = np.array([0, 2], dtype=np.int32)
    assert _compact(X, columns).toarray().tolist() == [[0, 2], [3, 0], [0, 0]]
    assert _compact(X, columns[:0]).shape == (3, 0)


# -- the search --------------------------------------------------------------------------------------------------------


class MadeUp:
    """An evaluator whose scores have one peak: 3-6 grams, no NB, a strength of 100; each fit takes a while."""

    def __init__(self, seconds_per_row=0.0):
        self.splits = [None]
        self.now, self.seconds_per_row = 0.0, seconds_per_row
        self.rows = []

    def fits(self, configuration, n_rows, n_splits):
        return [MadeUpFit(self, configuration, n_rows) for _ in range(n_splits)]

    def score(self, rows, proba):
        return proba


class MadeUpFit:
    held_out = (0, 1)

    def __init__(self, evaluator, configuration, n_rows):
        self.evaluator, self.configuration, self.n_rows = evaluator, configuration, n_rows
        self.seconds = 0.0

    def at(self, C):
        self.seconds += self.n_rows * self.evaluator.seconds_per_row
        self.evaluator.now += self.n_rows * self.evaluator.seconds_per_row
        self.evaluator.rows.append(self.n_rows)
        right = (self.configuration.char_ngrams == (3, 6)) + (not self.configuration.nb)
        return 0.5 + 0.1 * right - 0.01 * abs(np.log10(C) - 2) - 1.0 / self.n_rows, 1.0


def run_search(monkeypatch, *, time, seconds_per_row=0.0, max_trials=None, sizes=(1_000, 3_000, 9_000), seed=0):
    evaluator = MadeUp(seconds_per_row)
    monkeypatch.setattr(search_module.time, "perf_counter", lambda: evaluator.now)
    clock = Clock(time, lambda: evaluator.now)
    space = Space(multilabel=False, balance=False, vectors=False)
    random = np.random.default_rng(seed)
    reserve = lambda trial: trial.seconds_for(sizes[-1])  # noqa: E731 (a number a trial)
    found = Search(evaluator, space, list(sizes), clock, random, max_trials=max_trials, on_trial=None, reserve=reserve)
    found.run()
    return found, evaluator


def test_the_peak_is_found(monkeypatch):
    found, _ = run_search(monkeypatch, time=1.0)
    best = found.best
    assert best.rung == 2
    assert best.configuration.char_ngrams == (3, 6)
    assert best.configuration.nb is False
    assert abs(np.log10(best.C) - 2) <= 0.26


def test_fewer_trials_on_higher_rungs(monkeypatch):
    found, _ = run_search(monkeypatch, time=1.0)
    first = found.trials[: next(i for i, trial in enumerate(found.trials) if trial.rung == 2)]
    assert sum(trial.rung == 0 for trial in first) > 2 * sum(trial.rung == 1 for trial in first) >= 4
    assert {trial.n_rows for trial in found.trials} == {1_000, 3_000, 9_000}


def test_a_search_without_limits_ends_when_nothing_improves(monkeypatch):
    found, _ = run_search(monkeypatch, time=1e9)
    assert 20 < len(found.trials) < 1_000


@pytest.mark.parametrize("time", [10.0, 100.0, 1_000.0])
def test_the_time_is_kept(monkeypatch, time):
    found, evaluator = run_search(monkeypatch, time=time, seconds_per_row=1e-4)
    assert len(found.trials) >= (1 if time == 10.0 else 12)
    assert evaluator.now <= time
    if time >= 100.0:
        assert found.best.rung == 2


def test_what_is_too_dear_is_not_begun(monkeypatch):
    _, evaluator = run_search(monkeypatch, time=10.0, seconds_per_row=2e-3)
    # A fit on all rows takes 18 seconds.
    assert set(evaluator.rows) == {1_000}
    assert evaluator.now <= 10.0


def test_trials_end_it(monkeypatch):
    found, _ = run_search(monkeypatch, time=1.0, max_trials=7)
    assert len(found.trials) == 7


def test_the_seed_decides(monkeypatch):
    runs = [run_search(monkeypatch, time=1.0, seed=seed)[0].trials for seed in (0, 0, 1)]
    configurations = [[trial.configuration for trial in trials] for trials in runs]
    assert configurations[0] == configurations[1] != configurations[2]


def test_an_interrupt_before_anything_is_done_is_passed_on(monkeypatch):
    def interrupted(self, C):
        raise KeyboardInterrupt

    monkeypatch.setattr(MadeUpFit, "at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_search(monkeypatch, time=1.0)


def test_only_the_fits_of_a_trial_grow_with_the_rows():
    trial = Trial(Configuration(), 0, 1_000, 1, 1.0, 0.5, 1.0, seconds=5.0, overhead=4.0)
    assert trial.seconds_for(1_000) == 5.0
    assert trial.seconds_for(10_000) == pytest.approx(4.0 + 10**1.3)
