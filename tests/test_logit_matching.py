"""Least squares to logits: a linear teacher is found again, and what is minimised is what is stated."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, softmax

from tlclassic import NgramClassifier
from tlclassic.distillation import distill, open_teacher
from tlclassic.distillation.recipes import OBJECTIVES
from tlclassic.errors import InvalidParameterError
from tlclassic.heads import logit_matching
from tlclassic.heads.logit_matching import LOGIT_BOUND, fit_texts_to_logits, fit_to_logits, target_logits
from tlclassic.heads.targets import Targets


def rows(n=200, f=6, seed=0):
    random = np.random.default_rng(seed)
    return sp.csr_matrix(random.normal(size=(n, f)) * (random.random((n, f)) < 0.6), dtype=np.float32)


def test_the_docstrings():
    assert doctest.testmod(logit_matching).failed == 0


def test_logits_of_probabilities():
    three = Targets(np.array(list("abc")), np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]), False)
    wanted = [[2 * np.log(2) / 3, -np.log(2) / 3, -np.log(2) / 3], [20 / 3, -10 / 3, -10 / 3]]
    np.testing.assert_allclose(target_logits(three), wanted)
    several = Targets(np.array(["a", "b"]), np.array([[0.5, 0.8], [1.0, 0.0]]), True)
    np.testing.assert_allclose(target_logits(several), [[0.0, np.log(4)], [LOGIT_BOUND, -LOGIT_BOUND]])


def test_a_linear_teacher_of_two_classes_is_found_again():
    X = rows()
    coef, intercept = np.array([1.5, -2.0, 0.5, 0.0, 0.25, -0.75]), 0.4
    positive = expit(X @ coef + intercept)
    solution = fit_to_logits(X, Targets(np.arange(2), np.column_stack([1 - positive, positive]), False), C=1e6)
    np.testing.assert_allclose(solution.coef, coef[None], atol=1e-3)
    np.testing.assert_allclose(solution.intercept, [intercept], atol=1e-3)
    assert solution.converged


def test_a_linear_teacher_of_three_classes_is_found_again_but_for_what_softmax_cannot_see():
    X = rows(seed=1)
    coef = np.random.default_rng(2).normal(size=(3, 6))
    coef[1, 3:] = 0.0
    intercept = np.array([0.5, -0.25, 0.0])
    P = softmax(X @ coef.T + intercept, axis=1)
    solution = fit_to_logits(X, Targets(np.arange(3), P, False), C=1e6)
    np.testing.assert_allclose(solution.coef, coef - coef.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(solution.intercept, intercept - intercept.mean(), atol=1e-3)


def test_the_penalised_optimum_with_weights():
    X, random = rows(40), np.random.default_rng(3)
    P, weights = random.uniform(0.05, 0.95, size=(40, 2)), random.uniform(0.1, 2.0, size=40)
    targets = Targets(np.array(["a", "b"]), P, True)
    solution = fit_to_logits(X, targets, sample_weight=weights, C=0.3)
    # The normal equations, with a column of ones that is not penalised.
    A = np.column_stack([X.toarray(), np.ones(40)]).astype(np.float64)
    penalty = np.diag([1.0] * 6 + [0.0])
    wanted = np.linalg.solve(
        0.3 * A.T @ (weights[:, None] * A) + penalty, 0.3 * A.T @ (weights[:, None] * np.log(P / (1 - P)))
    )
    np.testing.assert_allclose(np.column_stack([solution.coef, solution.intercept]), wanted.T, atol=1e-4)
    misses = (weights @ (np.log(P / (1 - P)) - A @ wanted) ** 2).sum()
    assert solution.objective == pytest.approx(0.3 / 2 * misses + (wanted[:-1] ** 2).sum() / 2, rel=1e-4)


def test_columns_that_do_not_occur_and_rows_without_any():
    X = sp.csr_matrix(([1.0, 1.0], [7, 7], [0, 1, 2, 2]), shape=(3, 1 << 22), dtype=np.float32)
    P = np.array([[0.2, 0.8], [0.2, 0.8], [0.5, 0.5]])
    solution = fit_to_logits(X, Targets(np.arange(2), P, False), C=1e6)
    assert solution.columns.tolist() == [7]
    np.testing.assert_allclose(solution.weights, [[np.log(4)]], atol=1e-3)
    nothing = fit_to_logits(sp.csr_matrix((3, 5), dtype=np.float32), Targets(np.arange(2), P, False))
    assert nothing.coef.tolist() == [[0.0] * 5]
    np.testing.assert_allclose(nothing.intercept, [2 * np.log(4) / 3])


TEXTS = [
    f"{a} {b} {c}" for a in ("good", "bad", "so") for b in ("film", "plot", "cast") for c in ("fun", "dull", "end")
]
WEIGHTS = {"good": 1.0, "fun": 0.5, "bad": -2.0, "dull": -1.0}


def teach(texts):
    positive = expit([sum(WEIGHTS.get(word, 0.0) for word in text.split()) for text in texts])
    return np.column_stack([1 - positive, positive])


def test_an_ngram_classifier_is_fitted_saved_and_gives_the_teachers_probabilities():
    P = teach(TEXTS)
    model = NgramClassifier(word_ngrams=(1, 1), idf=False, norm="none", C=1e5, tol=1e-6)
    assert fit_texts_to_logits(model, TEXTS, P, classes=[False, True]) is model
    np.testing.assert_allclose(model.predict_proba(TEXTS), P, atol=1e-4)
    assert model.predict(["good fun", "bad dull"]).tolist() == [True, False]
    again = NgramClassifier.from_state(*model.to_state())
    np.testing.assert_array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))


def test_distilled_by_logits():
    teacher = open_teacher(teach, classes=[0, 1], digest="by hand")
    labels = teach(TEXTS).argmax(axis=1).tolist()
    chosen = {"effort": "small", "augmentation": [], "fixed": {"hard_weight": 0.0, "C": 1e4}, "dtype": "float32"}
    result = distill(teacher, labelled=(TEXTS, labels), dev=(TEXTS[:5], labels[:5]), objective="logits", **chosen)
    assert {trial.recipe.objective for trial in result.trials} == {"logits"}
    assert result.best.as_dict()["recipe"]["objective"] == "logits"
    np.testing.assert_allclose(result.compiled.predict_proba(result.pool.texts), result.pool.P, atol=2e-2)
    np.testing.assert_allclose(result.student.predict_proba(result.pool.dev_texts)[:, 1:], result.best.proba, atol=1e-5)
    # Labels have no logits: the student without the teacher is fitted by cross-entropy.
    assert result.undistilled().predict(["good fun"]).tolist() == [1]


def test_what_cannot_be_matched_is_missed_otherwise_than_by_cross_entropy():
    teacher = open_teacher(teach, classes=[0, 1], digest="by hand")
    given = {"effort": "small", "augmentation": [], "fixed": {"C": 0.1}}
    proba = [distill(teacher, TEXTS, objective=name, **given).student.predict_proba(TEXTS) for name in OBJECTIVES]
    assert np.abs(proba[0] - proba[1]).max() > 0.01


def test_auto_tries_both_and_keeps_what_dev_says():
    teacher = open_teacher(teach, classes=[0, 1], digest="by hand")
    result = distill(teacher, TEXTS, effort="small", augmentation=[], objective="auto")
    assert [trial.recipe.objective for trial in result.trials].count("logits") == 1
    assert result.best.score == max(trial.score for trial in result.trials)


def test_several_labels_by_logits():
    def several(texts):
        return np.column_stack([[0.9 if word in text else 0.05 for text in texts] for word in ("film", "plot", "cast")])

    teacher = open_teacher(several, classes=["film", "plot", "cast"], multilabel=True)
    result = distill(teacher, TEXTS * 4, effort="small", augmentation=[], objective="logits", dtype="float32")
    np.testing.assert_allclose(result.student.predict_proba(TEXTS[:3]), several(TEXTS[:3]), atol=0.15)


def test_an_objective_that_is_none():
    with pytest.raises(
        InvalidParameterError, match="objective must be one of 'cross_entropy', 'logits', 'auto'; got 'mse'"
    ):
        distill(teach, TEXTS, objective="mse")
