"""Every head that folds: decisions, probabilities, labels and their types."""

from __future__ import annotations

import runpy
import warnings
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from tlclassic import EmbeddingVectorizer, compile
from tlclassic.heads import ThresholdClassifier

CASES = runpy.run_path(str(Path(__file__).with_name("folding_cases.py")))
assert_same_decisions, features, fitted, make_labels, make_texts, make_vectors = itemgetter(
    "assert_same_decisions", "features", "fitted", "make_labels", "make_texts", "make_vectors"
)(CASES)

TEXTS = make_texts(seed=7)
# name: (head, link of two classes, link of three)
HEADS = {
    "logistic": (LogisticRegression(C=10), "sigmoid", "softmax"),
    "no_intercept": (LogisticRegression(fit_intercept=False), "sigmoid", "softmax"),
    "svc": (LinearSVC(), "none", "none"),
    "ridge": (RidgeClassifier(), "none", "none"),
    "ridge_cv": (RidgeClassifierCV(), "none", "none"),
    "sgd_hinge": (SGDClassifier(random_state=0), "none", "none"),
    "sgd_log": (SGDClassifier("log_loss", random_state=0), "sigmoid", "ovr"),
    "sgd_huber": (SGDClassifier("modified_huber", random_state=0), "none", "none"),
    "perceptron": (Perceptron(random_state=0), "none", "none"),
    "discriminant": (LinearDiscriminantAnalysis(), "sigmoid", "softmax"),
    "one_vs_rest": (OneVsRestClassifier(LogisticRegression(C=10)), "sigmoid", "ovr"),
    "one_vs_rest_svc": (OneVsRestClassifier(LinearSVC()), "none", "none"),
    "search": (GridSearchCV(LogisticRegression(), {"C": [1, 10]}, cv=2), "sigmoid", "softmax"),
}


def pipeline(head, n_classes=3):
    return fitted(EmbeddingVectorizer(make_vectors()), StandardScaler(), head, n_classes=n_classes)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_heads(name, n_classes):
    head, *links = HEADS[name]
    model = pipeline(head, n_classes)
    compiled = compile(model)
    assert compiled.metadata["link"] == links[n_classes - 2]
    assert compiled.metadata["outputs"] == (1 if n_classes == 2 else 3)
    assert_same_decisions(compiled, model)
    if compiled.metadata["link"] != "none":
        np.testing.assert_allclose(compiled.predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-5)


def test_logistic_regression_cv():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = pipeline(LogisticRegressionCV(Cs=2, cv=2))
    assert_same_decisions(compile(model), model)


@pytest.mark.parametrize("method", ["sigmoid", "temperature"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("head", [LogisticRegression(C=10), LinearSVC(), OneVsRestClassifier(LinearSVC())])
def test_calibration(method, n_classes, head):
    model = pipeline(CalibratedClassifierCV(head, method=method, cv=2, ensemble=False), n_classes)
    compiled = compile(model)
    np.testing.assert_allclose(compiled.predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-5)
    proba = np.sort(model.predict_proba(TEXTS), axis=1)
    clear = proba[:, -1] - proba[:, -2] > 1e-4
    np.testing.assert_array_equal(compiled.predict(TEXTS)[clear], model.predict(TEXTS)[clear])


def test_calibration_of_a_whole_pipeline_that_was_fitted_before():
    inner = pipeline(LogisticRegression())
    model = CalibratedClassifierCV(FrozenEstimator(inner), method="sigmoid").fit(make_texts(), make_labels())
    np.testing.assert_allclose(compile(model).predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-5)


def indicator(n=60, n_labels=3):
    return (np.random.default_rng(0).random((n, n_labels)) < 0.4).astype(int)


def multilabel(head, Y=None):
    model = make_pipeline(EmbeddingVectorizer(make_vectors()), StandardScaler(), head)
    return model.fit(make_texts(), indicator() if Y is None else Y)


def test_multilabel_one_vs_rest():
    model = multilabel(OneVsRestClassifier(LogisticRegression(C=100)))
    compiled = compile(model)
    assert compiled.multilabel
    assert compiled.metadata["link"] == "sigmoid"
    np.testing.assert_allclose(compiled.predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-5)
    np.testing.assert_array_equal(compiled.predict(TEXTS), model.predict(TEXTS))
    assert 0 < compiled.predict(TEXTS).mean() < 1


def test_labels_that_all_or_no_training_texts_have():
    Y = indicator()
    Y[:, 0], Y[:, 2] = 1, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = multilabel(OneVsRestClassifier(LogisticRegression(C=100)), Y)
    compiled = compile(model)
    np.testing.assert_allclose(compiled.predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-5)
    np.testing.assert_array_equal(compiled.predict(TEXTS), model.predict(TEXTS))


def test_thresholds_are_kept():
    model = multilabel(ThresholdClassifier(OneVsRestClassifier(LogisticRegression(C=100))))
    compiled = compile(model, classes=["x", "y", "z"])
    np.testing.assert_array_equal(compiled.predict(TEXTS), model.predict(TEXTS))
    assert not np.array_equal(compiled.predict(TEXTS), model[-1].estimator_.predict(features(model[:-1], TEXTS)))
    assert compiled.classes_.tolist() == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["no", "yes"], "str"),
        ([0, 1], "int64"),
        ([False, True], "bool"),
        ([0.5, 1.5], "float64"),
        (np.array(["a", "b"], dtype=object), "str"),
        (np.array([1, 200], dtype=np.uint8), "int64"),
    ],
)
def test_types_of_classes(labels, expected):
    y = np.resize(np.asarray(labels), 60)
    if expected == "float64":
        y = np.where(y == 0.5, "0.5", "1.5")
        expected = "str"
    model = make_pipeline(EmbeddingVectorizer(make_vectors()), LogisticRegression()).fit(make_texts(), y)
    compiled = compile(model)
    assert compiled.metadata["classes_dtype"] == expected
    assert compiled.predict(TEXTS).tolist() == model.predict(TEXTS).tolist()


def test_classes_must_fit():
    with pytest.raises(ValueError, match="classes must have 3 names; got 2"):
        compile(pipeline(LogisticRegression()), classes=["a", "b"])
