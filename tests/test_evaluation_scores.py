"""Measures of predictions: literal values, and equality with scikit-learn."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from sklearn import metrics

from tlclassic.errors import InvalidParameterError
from tlclassic.evaluation import evaluate_predictions
from tlclassic.evaluation.calibration import binned, calibration_error, wilson_interval


def drawn(classes, n, seed):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(len(classes)), n)
    truth = [classes[rng.choice(len(classes), p=row)] for row in proba]
    return truth, [classes[place] for place in proba.argmax(axis=1)], proba


@pytest.mark.parametrize("classes", [["a", "b"], ["b", "a", "c"], [3, 1, 2, 0], [False, True]], ids=str)
def test_equal_to_scikit_learn(classes):
    truth, predicted, proba = drawn(classes, 300, seed=len(classes))
    found = evaluate_predictions(truth, predicted, proba, classes)
    order = np.argsort(classes)
    assert found.n == 300
    assert found.accuracy == metrics.accuracy_score(truth, predicted)
    for average in ("macro", "weighted", "micro"):
        expected = metrics.f1_score(truth, predicted, average=average, labels=classes)
        assert getattr(found, f"{average}_f1") == pytest.approx(expected, abs=1e-12)
    expected = metrics.precision_recall_fscore_support(truth, predicted, labels=classes)
    scores = [(score.precision, score.recall, score.f1, score.support) for score in found.per_class]
    np.testing.assert_allclose(scores, np.transpose(expected), atol=1e-12)
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(truth, predicted, labels=classes))
    ordered = proba[:, order]
    assert found.probabilities.log_loss == pytest.approx(metrics.log_loss(truth, ordered, labels=sorted(classes)))
    brier = metrics.brier_score_loss(truth, ordered, labels=sorted(classes), scale_by_half=False)
    assert found.probabilities.brier == pytest.approx(brier)


def test_multilabel_equal_to_scikit_learn():
    rng = np.random.default_rng(1)
    names = ["w", "x", "y", "z"]
    truth, predicted, proba = rng.random((200, 4)) < 0.3, rng.random((200, 4)) < 0.4, rng.random((200, 4))

    def sets(table):
        return [[name for name, on in zip(names, row, strict=True) if on] for row in table]

    found = evaluate_predictions(sets(truth), sets(predicted), proba, names)
    assert found.multilabel
    assert found.confusion is None
    assert found.accuracy == metrics.accuracy_score(truth, predicted)
    assert found.hamming_loss == pytest.approx(metrics.hamming_loss(truth, predicted))
    for average in ("macro", "weighted", "micro"):
        expected = metrics.f1_score(truth, predicted, average=average)
        assert getattr(found, f"{average}_f1") == pytest.approx(expected, abs=1e-12)
    expected = np.transpose(metrics.precision_recall_fscore_support(truth, predicted))
    scores = [(score.precision, score.recall, score.f1, score.support) for score in found.per_class]
    np.testing.assert_allclose(scores, expected, atol=1e-12)
    flat = metrics.log_loss(truth.ravel(), proba.ravel())
    assert found.probabilities.log_loss == pytest.approx(flat)
    assert found.probabilities.brier == pytest.approx(metrics.brier_score_loss(truth.ravel(), proba.ravel()))
    assert sum(part.count for part in found.probabilities.bins) == 800


def test_literal_values():
    found = evaluate_predictions(
        ["a", "a", "b", "b"], ["a", "b", "b", "b"], [[1, 0], [0.25, 0.75], [0, 1], [0.5, 0.5]], ["a", "b"]
    )
    assert found.accuracy == 0.75
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found.confusion.tolist() == [[1, 1], [0, 2]]
    assert found.probabilities.log_loss == pytest.approx((np.log(4) + np.log(2)) / 4)
    assert found.probabilities.brier == pytest.approx((2 * 0.75**2 + 2 * 0.5**2) / 4)


def test_wilson_interval():
    # Brown, Cai and DasGupta (2001) give this form; 8 of 10 and 0 of 10 are the textbook values.
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=5e-5)


def test_expected_calibration_error_by_hand():
    confidence = np.array([0.5, 0.52, 0.9, 0.95, 1.0, 0.0])
    bins = binned(confidence, np.array([True, False, True, True, True, False]))
    assert [part.count for part in bins] == [1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 2]
    assert (bins[7].confidence, bins[7].accuracy) == pytest.approx((0.51, 0.5))
    assert calibration_error(bins) == pytest.approx((2 * 0.01 + 1 * 0.1 + 2 * 0.025) / 6)


def test_a_probability_on_an_edge_belongs_to_the_bin_below():
    for edge in range(1, 16):
        bins = binned(np.array([edge / 15]), np.array([True]))
        assert [part.count for part in bins].index(1) == edge - 1


def test_classes_that_only_the_test_has_are_named():
    found = evaluate_predictions(["a", "new", "b"], ["a", "b", "b"], [[1, 0], [0, 1], [0, 1]], ["a", "b"])
    assert found.unseen_classes == ["new"]
    assert found.classes == ["a", "b", "new"]
    assert found.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert found.probabilities.log_loss == pytest.approx(-np.log(np.finfo(float).eps) / 3)
    assert "unknown to the model  new" in str(found)


def test_classes_that_do_not_occur_are_listed_and_do_not_count():
    found = evaluate_predictions(["a", "b"], ["a", "b"], classes=["a", "b", "absent"])
    assert (found.macro_f1, found.accuracy) == (1.0, 1.0)
    assert [score.support for score in found.per_class] == [1, 1, 0]


def test_sets_may_be_empty_and_their_order_does_not_matter():
    found = evaluate_predictions([[], ["a", "b"]], [[], ["b", "a"]])
    assert (found.accuracy, found.micro_f1, found.hamming_loss) == (1.0, 1.0, 0.0)


def test_numpy_labels():
    found = evaluate_predictions(np.array([1, 2]), np.array([1, 1]), classes=np.array([1, 2]))
    assert found.classes == [1, 2]
    assert json.dumps(found.as_dict()["classes"]) == "[1, 2]"


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("with_proba", [False, True])
def test_as_dict_is_json(several, with_proba):
    truth = [["a"], ["a", "b"]] if several else ["a", "b"]
    proba = [[0.75, 0.25], [0.5, 0.5]] if with_proba else None
    found = evaluate_predictions(truth, truth, proba, ["a", "b"]).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["n"], found["accuracy"], found["macro_f1"]) == (2, 1.0, 1.0)
    assert set(found) == {
        "n", "accuracy", "accuracy_interval", "macro_f1", "weighted_f1", "micro_f1", "per_class", "multilabel",
        "hamming_loss", "confusion", "unseen_classes", "classes", "log_loss", "brier", "expected_calibration_error",
        "bins",
    }  # fmt: skip
    assert (found["log_loss"] is None) is not with_proba


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], ["a", "b"]), "must have the same length, at least 1; got 1 and 2"),
        (([], []), "must have the same length, at least 1; got 0 and 0"),
        ((["1"], [1]), "all labels must be of one type; got int, str. Convert the truth"),
        (([True, False], [1, 0]), "all labels must be of one type; got bool, int"),
        (([1.5], [1.5]), "y_true[0] must be a string, an integer or a boolean; got 1.5"),
        ((["a"], [["a"]]), "must both hold labels, or both lists of labels"),
        ((["a"], ["a"], [[1.0]]), "classes must be given with proba"),
        ((["a"], ["a"], [[1.0]], ["a", "b"]), "proba must have shape (1, 2) (texts, classes); got (1, 1)"),
        ((["a"], ["a"], [[3.0, -2.0]], ["a", "b"]), "proba must be between 0 and 1"),
        ((["a"], ["a"], [[0.5, 0.2]], ["a", "b"]), "each row of proba must add up to 1, row 0 has 0.7"),
        ((["a"], ["a"], [[float("nan"), 1.0]], ["a", "b"]), "proba must be between 0 and 1"),
        ((["a"], ["a"], [[0.5, 0.5]], ["a", "a"]), "classes must be different"),
    ],
)
def test_parameters(arguments, message):
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        evaluate_predictions(*arguments)
