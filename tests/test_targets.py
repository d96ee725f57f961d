"""Labels, probabilities and indicators as one matrix of targets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from tlclassic.errors import InvalidParameterError
from tlclassic.heads.targets import class_weights, read_targets


def test_labels_are_sorted_as_scikit_learn_does():
    targets = read_targets(["b", "a", "c", "b"])
    assert targets.classes.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(targets.P, [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert targets.loss == "softmax"
    assert targets.outputs.shape == (4, 3)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([3, 1, 3], [1, 3]), ([True, False], [False, True]), (pd.Series(["x", "y"]), ["x", "y"]), ((1.0, 0.0), [0, 1])],
)
def test_two_classes_have_one_output(labels, classes):
    targets = read_targets(labels)
    assert targets.classes.tolist() == classes
    assert targets.loss == "sigmoid"
    np.testing.assert_array_equal(targets.outputs[:, 0], np.asarray(labels) == classes[1])


def test_given_classes_keep_their_order():
    targets = read_targets(["b", "a"], classes=["c", "b", "a"])
    assert targets.classes.tolist() == ["c", "b", "a"]
    np.testing.assert_array_equal(targets.P, [[0, 1, 0], [0, 0, 1]])


def test_probabilities_keep_the_order_of_their_columns():
    P = np.array([[0.2, 0.8], [1.0, 0.0]])
    targets = read_targets(P, classes=["z", "a"])
    assert targets.classes.tolist() == ["z", "a"]
    np.testing.assert_array_equal(targets.P, P)
    np.testing.assert_array_equal(targets.outputs, P[:, 1:])
    assert read_targets(P).classes.tolist() == [0, 1]


def test_rows_may_miss_one_by_rounding_and_are_then_divided():
    targets = read_targets(np.array([[0.3333, 0.3333, 0.3333]], dtype=np.float32))
    assert targets.P.sum() == pytest.approx(1.0, abs=1e-12)


def test_integer_indicators_are_hard_labels():
    expected = [[1, 0, 1], [0, 0, 0]]
    for indicator in (
        expected,
        np.array(expected, bool),
        sparse.csr_matrix(np.array(expected)),
        pd.DataFrame(expected),
    ):
        targets = read_targets(indicator, multilabel=True)
        np.testing.assert_array_equal(targets.P, expected)
        assert targets.loss == "sigmoid"
        assert targets.outputs.shape == (2, 3)


def test_soft_indicators_need_not_sum_to_one():
    P = np.array([[0.9, 0.8], [0.0, 0.1]])
    np.testing.assert_array_equal(read_targets(P, multilabel=True, classes=["x", "y"]).P, P)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        ([[0.5, 0.5], [0.7, 0.2]], {}, r"row 1 sums to 0\.9: \[0\.7, 0\.2\].*multilabel=True"),
        ([[0.5, 0.5], [np.nan, 0.2]], {}, r"between 0 and 1; row 1 is \[nan, 0\.2\]"),
        ([[1.5, -0.5]], {}, r"between 0 and 1; row 0 is \[1\.5, -0\.5\].*logits"),
        ([[np.inf, 0.0]], {}, "between 0 and 1; row 0"),
        ([[1, 0], [0, 2]], {}, r"must be a float matrix; got dtype int64\..*multilabel=True"),
        ([[0.5, 0.5]], {"classes": ["a", "b", "c"]}, "classes must name the 2 columns of y; got 3 names"),
        ([[0.5, 0.5]], {"classes": ["a", "a"]}, "classes must be a list of different labels"),
        ([[2, 0]], {"multilabel": True}, r"between 0 and 1; row 0 is \[2, 0\]"),
        ([1, 0], {"multilabel": True}, r"must be a matrix of shape \(n, C\); got shape \(2,\)"),
        ([["a", "b"], ["c", "d"]], {"multilabel": True}, "must be a float matrix"),
        (["a", 1], {}, "labels of one type; got int, str"),
        (["a", None], {}, "labels of one type; got NoneType, str"),
        ([["a"], ["b", "c"]], {}, "rows of different lengths.*MultiLabelBinarizer"),
        ([0.2, 0.7], {}, "y must hold labels.*Probabilities are a matrix"),
        (["a", "d"], {"classes": ["a", "b"]}, "y holds the label 'd', which is not among classes"),
    ],
)
def test_refused(y, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        read_targets(y, **options)


def test_balanced_weights_are_those_of_scikit_learn_and_count_expected_rows():
    from sklearn.utils.class_weight import compute_class_weight

    y = np.array(["a", "b", "b", "c", "c", "c"])
    ones = np.ones(len(y))
    expected = compute_class_weight("balanced", classes=np.unique(y), y=y)
    np.testing.assert_allclose(class_weights(read_targets(y), ones, "balanced"), expected)
    soft = read_targets(np.array([[0.25, 0.75], [0.25, 0.75]]))
    np.testing.assert_allclose(class_weights(soft, np.ones(2), "balanced"), [2 / (2 * 0.5), 2 / (2 * 1.5)])


def test_weights_by_name():
    targets = read_targets(["a", "b"])
    np.testing.assert_array_equal(class_weights(targets, np.ones(2), {"b": 3}), [1.0, 3.0])
    with pytest.raises(InvalidParameterError, match="class_weight names 'x', which is not among the classes"):
        class_weights(targets, np.ones(2), {"x": 1})
    with pytest.raises(InvalidParameterError, match="class_weight must be"):
        class_weights(targets, np.ones(2), "auto")
    with pytest.raises(InvalidParameterError, match=r"class_weight must be at least 0\.0; got -1"):
        class_weights(targets, np.ones(2), {"a": -1})
    with pytest.raises(InvalidParameterError, match="class_weight must be a number; got 'x'"):
        class_weights(targets, np.ones(2), {"a": "x"})


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_a_matrix_of_the_integers_0_and_1_is_multilabel(dtype):
    indicator = np.array([[1, 0, 1], [0, 0, 0]], dtype)
    targets = read_targets(indicator)
    assert targets.multilabel
    assert targets.loss == "sigmoid"
    assert targets.P.tolist() == [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    assert read_targets(sparse.csr_matrix(indicator.astype("int64"))).multilabel


def test_other_integer_matrices_are_refused():
    with pytest.raises(InvalidParameterError, match="must be a float matrix; got dtype int64"):
        read_targets(np.array([[2, 0], [0, 1]]))
