"""Weights of several teachers by what they are worth on dev."""

import doctest
import re

import numpy as np
import pytest

import tlclassic.distillation.weighing
from tlclassic.distillation import dev_weights, open_teacher
from tlclassic.errors import InvalidParameterError

CLASSES = ["a", "b", "c"]
TEXTS = ["a", "a", "b", "b", "c", "c"]


def saying(labels, classes=CLASSES):
    """A teacher that answers the texts with these labels, whatever they are."""
    table = np.eye(len(classes))[[classes.index(label) for label in labels]]
    return open_teacher(lambda texts: table[: len(texts)], classes=list(classes))


def test_by_accuracy():
    teachers = [saying("aabbcc"), saying("aabbba"), saying("cccbbb")]
    np.testing.assert_allclose(dev_weights(teachers, TEXTS, TEXTS), [1, 4 / 6, 1 / 6])


def test_by_class():
    # The second finds every a; says b for half of the b; and never c.
    weights = dev_weights([saying("aabbcc"), saying("aabaaa")], TEXTS, TEXTS, by="classes")
    np.testing.assert_allclose(weights, [[1, 1, 1], [4 / 7, 2 / 3, 0]])
    both = open_teacher([saying("aabbcc"), saying("aabaaa")], weights=weights)
    assert both.probabilities(TEXTS).argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2]


def test_a_class_that_nobody_finds_weighs_the_same():
    teachers = [saying("aabbab"), saying("aabbba")]
    assert dev_weights(teachers, TEXTS, TEXTS, by="classes")[:, 2].tolist() == [1.0, 1.0]


def test_columns_are_those_of_the_first_teacher_or_as_asked():
    other = saying("aabbab", classes=["c", "b", "a"])
    found = dev_weights([saying("aabbab"), other], TEXTS, TEXTS, by="classes")
    np.testing.assert_allclose(found[0], found[1])
    turned = dev_weights([saying("aabaaa")], TEXTS, TEXTS, by="classes", classes=["c", "b", "a"])
    np.testing.assert_allclose(turned, [[1, 2 / 3, 4 / 7]])


@pytest.mark.parametrize("classes", [[1, 0], [False, True]])
def test_labels_of_other_types(classes):
    teacher = open_teacher(lambda texts: [[0.9, 0.1]] * len(texts), classes=classes)
    assert dev_weights([teacher], ["x", "y"], [classes[0], classes[1]]).tolist() == [0.5]
    assert dev_weights([teacher], ["x", "y"], np.array(classes)).tolist() == [0.5]


def test_several_labels_a_text():
    teacher = open_teacher(
        lambda texts: np.array([[0.9, 0.1, 0.2], [0.9, 0.8, 0.2]])[: len(texts)], classes=CLASSES, multilabel=True
    )
    labels = [["a"], ["b", "c"]]
    np.testing.assert_allclose(dev_weights([teacher], ["x", "y"], labels, by="classes"), [[2 / 3, 1, 1]])
    # c is in dev and never found; its F1 of 0 counts, and no other teacher is there to weigh more.
    np.testing.assert_allclose(dev_weights([teacher], ["x", "y"], labels), [(2 / 3 + 1 + 0) / 3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dev_weights([saying("a")], [], []), "one for each of at least one text; got 0 for 0"),
        (lambda: dev_weights([saying("a")], ["a"], ["a", "b"]), "got 2 for 1"),
        (lambda: dev_weights([], ["a"], ["a"]), "teachers must be at least one"),
        (lambda: dev_weights([saying("a")], ["a"], ["z"]), "text 0 has 'z'"),
        (lambda: dev_weights([saying("a")], ["a"], ["a"], by="f1"), "by must be one of"),
    ],
)
def test_refused(call, message):
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        call()


def test_doctests():
    assert doctest.testmod(tlclassic.distillation.weighing).failed == 0
