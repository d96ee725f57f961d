"""NgramClassifier: the optimum, soft labels, weights, several labels, predictions and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import tlclassic
from tlclassic import NgramClassifier, NgramVectorizer, WordVectors
from tlclassic.errors import InvalidParameterError
from tlclassic.heads import ThresholdClassifier
from tlclassic.heads.ngram_features import log_count_ratios

WORDS = [
    "good", "great", "fine", "bad", "dull", "ugly", "film", "plot", "cast", "music", "the", "a", "very", "not", "quite",
]  # fmt: skip
TOPIC = {"good": "+", "great": "+", "fine": "+", "bad": "-", "dull": "-", "ugly": "-", "music": "0", "cast": "0"}


def make_texts(n=120, seed=0):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 9))) for _ in range(n)]


def label(text):
    votes = [TOPIC[word] for word in text.split() if word in TOPIC]
    return max(sorted(set(votes)), key=votes.count) if votes else "0"


TEXTS = make_texts()
LABELS = np.array([label(text) for text in TEXTS])
BINARY = LABELS == "+"
INDICATOR = np.stack([["good" in t for t in TEXTS], ["film" in t for t in TEXTS]], axis=1).astype(int)
NEW = [*make_texts(40, seed=1), "", "nothing known", "東京 😀"]
PRECISE = {"solver": "newton", "tol": 1e-10, "max_iter": 500}


def make_vectors(dim=5):
    return WordVectors.from_arrays(WORDS, np.random.default_rng(3).normal(size=(len(WORDS), dim)).astype(np.float32))


def dense(model):
    """Coefficients over all columns of the vectoriser."""
    coef = np.zeros((len(model.coef_), model.vectorizer_.n_features_out_))
    coef[:, model.columns_] = model.coef_
    return coef


# -- what is fitted ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [LABELS, BINARY], ids=["three classes", "two classes"])
def test_the_optimum_is_scikit_learns(y):
    ours = NgramClassifier(C=3.0, char_ngrams=(2, 3), bits=12, **PRECISE).fit(TEXTS, y)
    X = NgramVectorizer(char_ngrams=(2, 3), bits=12, idf=True).fit_transform(TEXTS).astype(np.float64)
    theirs = LogisticRegression(C=3.0, tol=1e-10, max_iter=5000).fit(X, y)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    X_new = ours.vectorizer_.transform(NEW).astype(np.float64)
    np.testing.assert_allclose(ours.decision_function(NEW), theirs.decision_function(X_new), atol=1e-3)
    np.testing.assert_allclose(ours.predict_proba(NEW), theirs.predict_proba(X_new), atol=1e-4)


def test_the_decision_is_the_attributes():
    model = NgramClassifier(vectors=make_vectors(), pooling=["mean", "tfidf"], idf=True, bits=12).fit(TEXTS, LABELS)
    expected = model.vectorizer_.transform(NEW) @ dense(model).T + model.intercept_
    expected += model.embedding_.transform(NEW) @ model.embedding_coef_.T
    np.testing.assert_allclose(model.decision_function(NEW), expected, atol=1e-6)
    assert model.coef_.shape == (3, len(model.columns_))
    assert model.embedding_coef_.shape == (3, 10)
    assert (np.diff(model.columns_) > 0).all()
    assert model.coef_.any(axis=0).all()
    assert {a.dtype for a in (model.coef_, model.intercept_, model.embedding_coef_)} == {np.dtype(np.float64)}


def test_soft_labels_are_replicated_rows():
    random = np.random.default_rng(5)
    P = random.dirichlet([1, 1, 1], size=len(TEXTS))
    weights = random.uniform(0.5, 2.0, len(TEXTS))
    soft = NgramClassifier(bits=12, idf=False, **PRECISE).fit(TEXTS, P, classes=["x", "y", "z"], sample_weight=weights)
    hard = NgramClassifier(bits=12, idf=False, **PRECISE).fit(
        TEXTS * 3, np.repeat(["x", "y", "z"], len(TEXTS)), sample_weight=(weights * P.T).ravel()
    )
    assert soft.classes_.tolist() == ["x", "y", "z"]
    np.testing.assert_allclose(soft.predict_proba(NEW), hard.predict_proba(NEW), atol=1e-5)


def test_one_hot_probabilities_are_labels():
    P = (LABELS[:, None] == np.array(["0", "-", "+"])).astype(float)
    soft = NgramClassifier(**PRECISE).fit(TEXTS, P, classes=["0", "-", "+"])
    hard = NgramClassifier(**PRECISE).fit(TEXTS, LABELS)
    assert soft.classes_.tolist() == ["0", "-", "+"]
    assert hard.classes_.tolist() == ["+", "-", "0"]
    np.testing.assert_array_equal(soft.predict(NEW), hard.predict(NEW))


def test_two_columns_of_probabilities_are_one_output():
    p = np.where(BINARY, 0.9, 0.2)
    model = NgramClassifier().fit(TEXTS, np.stack([1 - p, p], axis=1), classes=["no", "yes"])
    assert model.coef_.shape[0] == 1
    assert model.decision_function(NEW).shape == (len(NEW),)
    assert model.predict_proba(NEW).shape == (len(NEW), 2)
    assert set(model.predict(NEW)) <= {"no", "yes"}


def test_several_labels_are_as_many_binary_models():
    together = NgramClassifier(multilabel=True, **PRECISE).fit(TEXTS, INDICATOR)
    np.testing.assert_array_equal(together.classes_, [0, 1])
    for k in (0, 1):
        alone = NgramClassifier(**PRECISE).fit(TEXTS, INDICATOR[:, k])
        np.testing.assert_allclose(together.predict_proba(NEW)[:, k], alone.predict_proba(NEW)[:, 1], atol=1e-5)
    predicted = together.predict(NEW)
    assert predicted.dtype == np.int64
    np.testing.assert_array_equal(predicted, together.predict_proba(NEW) > 0.5)
    assert together.decision_function(NEW).shape == (len(NEW), 2)


def test_one_label_alone_is_a_column():
    model = NgramClassifier(multilabel=True).fit(TEXTS, INDICATOR[:, :1])
    assert model.decision_function(NEW).shape == model.predict_proba(NEW).shape == model.predict(NEW).shape == (43, 1)


@pytest.mark.parametrize("class_weight", ["balanced", {"+": 5.0, "0": 0.5}])
def test_class_weights_are_weights_of_rows(class_weight):
    weighted = NgramClassifier(class_weight=class_weight, **PRECISE).fit(TEXTS, LABELS)
    counts = {name: len(TEXTS) / (3 * (name == LABELS).sum()) for name in "+-0"}
    weights = counts if class_weight == "balanced" else {"-": 1.0, **class_weight}
    rows = [weights[name] for name in LABELS]
    by_row = NgramClassifier(**PRECISE).fit(TEXTS, LABELS, sample_weight=rows)
    np.testing.assert_allclose(weighted.predict_proba(NEW), by_row.predict_proba(NEW), atol=1e-5)


def test_l1_leaves_few_columns():
    l2 = NgramClassifier(C=1.0).fit(TEXTS, LABELS)
    l1 = NgramClassifier(C=1.0, penalty="l1").fit(TEXTS, LABELS)
    assert 0 < len(l1.columns_) < len(l2.columns_) / 3


def test_nb_ratios_are_wang_and_mannings():
    X = NgramVectorizer(word_ngrams=(1, 1), bits=12).fit_transform(["a b", "a a", "c"])
    X = X[:, np.unique(X.indices)]
    P = np.array([[1.0], [1.0], [0.0]])
    r = log_count_ratios(X, P, np.ones(3), 1.0)
    # Texts with each word, plus one: of the first class 3, 2, 1 of 6; of the second 1, 1, 2 of 4.
    expected = np.log(np.array([3, 2, 1]) / 6) - np.log(np.array([1, 1, 2]) / 4)
    np.testing.assert_allclose(sorted(r[0]), sorted(expected))
    half = log_count_ratios(X, np.full((3, 1), 0.5), np.ones(3), 1.0)
    np.testing.assert_allclose(half, 0.0, atol=1e-12)


@pytest.mark.parametrize("y", [LABELS, BINARY], ids=["three classes", "two classes"])
def test_nb_is_a_penalty_on_scaled_columns(y):
    model = NgramClassifier(nb=True, word_ngrams=(1, 1), bits=12, C=1.0, **PRECISE).fit(TEXTS, y)
    X = (
        NgramVectorizer(word_ngrams=(1, 1), bits=12, idf=True)
        .fit_transform(TEXTS)
        .astype(np.float64)[:, model.columns_]
    )
    truth = BINARY[:, None] if model.coef_.shape[0] == 1 else LABELS[:, None] == model.classes_
    r = 0.5 + np.abs(log_count_ratios(X, truth.astype(float), np.ones(len(TEXTS)), 1.0))
    # At the optimum the gradient of the loss in the scaled weights w = coef / r is -w.
    p = model.predict_proba(TEXTS)
    residual = (p - truth)[:, -model.coef_.shape[0] :] if p.shape[1] == truth.shape[1] else p[:, 1:] - truth
    np.testing.assert_allclose(np.asarray(X.T @ residual).T * r, -model.coef_ / r, atol=1e-4)


def test_sample_weights_of_zero_leave_texts_out():
    weights = np.repeat([1.0, 0.0], 60)
    weighted = NgramClassifier(idf=False, **PRECISE).fit(TEXTS, LABELS, sample_weight=weights)
    without = NgramClassifier(idf=False, **PRECISE).fit(TEXTS[:60], LABELS[:60])
    np.testing.assert_allclose(weighted.predict_proba(NEW), without.predict_proba(NEW), atol=1e-5)


def test_threads_change_nothing_in_the_full_batch():
    one = NgramClassifier().fit(TEXTS, LABELS)
    two = NgramClassifier(threads=2).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(one.decision_function(NEW), two.decision_function(NEW))


def test_fit_again_forgets():
    model = NgramClassifier().fit(TEXTS, BINARY).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(
        model.decision_function(NEW), NgramClassifier().fit(TEXTS, LABELS).decision_function(NEW)
    )


def test_texts_of_every_kind_of_list():
    expected = NgramClassifier().fit(TEXTS, LABELS).decision_function(NEW)
    for make in (tuple, np.array, pd.Series, lambda x: np.array(x, dtype=object)):
        got = NgramClassifier().fit(make(TEXTS), list(LABELS)).decision_function(make(NEW))
        np.testing.assert_array_equal(got, expected)
    assert NgramClassifier().fit(TEXTS, LABELS).decision_function([]).shape == (0, 3)


def test_a_text_alone_is_a_text_in_a_batch():
    model = NgramClassifier(char_ngrams=(2, 3), idf=True, norm="l2").fit(TEXTS, LABELS)
    batch = model.decision_function(NEW)
    for i, text in enumerate(NEW):
        np.testing.assert_array_equal(model.decision_function([text])[0], batch[i])


def test_the_logarithm_of_probabilities():
    model = NgramClassifier().fit(TEXTS, LABELS)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(NEW)), model.predict_proba(NEW))


def test_stopped_early_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        NgramClassifier(max_iter=1, tol=1e-12, C=1000.0).fit(TEXTS, LABELS)


# -- in scikit-learn --------------------------------------------------------------------------------------------------


def test_parameters_are_those_of_the_vectoriser_and_more():
    ours, its = NgramClassifier().get_params(), NgramVectorizer().get_params()
    assert its.items() - {("idf", False)} <= ours.items()
    assert ours["idf"] is True
    model = NgramClassifier(C=2.0, word_ngrams=(1, 3), class_weight={"a": 2})
    assert clone(model).get_params() == model.get_params()
    assert set(vars(model)) == set(model.get_params())


def test_searched_in_a_grid():
    search = GridSearchCV(NgramClassifier(), {"C": [0.01, 10.0], "word_ngrams": [(1, 1), (1, 2)]}, cv=3)
    search.fit(TEXTS, LABELS)
    assert search.best_params_["C"] == 10.0
    assert search.best_score_ > 0.8


def test_calibrated_in_a_pipeline_and_by_cross_validation():
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    model = make_pipeline(lower, CalibratedClassifierCV(NgramClassifier(), cv=3)).fit(TEXTS, LABELS)
    assert model.score(TEXTS, LABELS) > 0.9
    proba = cross_val_predict(NgramClassifier(), TEXTS, LABELS, cv=3, method="predict_proba")
    assert proba.shape == (len(TEXTS), 3)


def test_thresholds_for_several_labels():
    model = ThresholdClassifier(NgramClassifier(multilabel=True), cv=3).fit(TEXTS, INDICATOR)
    assert model.thresholds_.shape == (2,)
    assert (model.predict(TEXTS) == INDICATOR).mean() > 0.9


def test_tells_that_it_takes_strings():
    tags = NgramClassifier(multilabel=True).__sklearn_tags__()
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.classifier_tags.multi_label
    assert tags.estimator_type == "classifier"


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"C": 0}, "C must be at least"),
        ({"C": "1"}, "C must be a number"),
        ({"penalty": "none"}, "penalty must be one of 'l2', 'l1', 'elasticnet'"),
        ({"l1_ratio": 1.5}, "l1_ratio must be at most 1.0"),
        ({"nb": "yes"}, "nb must be one of True, False"),
        ({"nb_alpha": 0}, "nb_alpha must be at least"),
        ({"nb": True, "solver": "adagrad"}, 'nb=True with more than two classes needs solver="newton"'),
        ({"multilabel": 1}, "multilabel must be one of"),
        ({"solver": "lbfgs"}, "solver must be one of 'auto', 'newton', 'adagrad'"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"random_state": None}, "random_state must be an integer"),
        ({"vectors_weight": 0.0}, "vectors_weight must be at least"),
        ({"vectors": make_vectors(), "pooling": "max"}, "pooling must be one of 'mean', 'tfidf', 'sif'.*got 'max'"),
        ({"vectors": make_vectors(), "pooling": []}, r"pooling must be one of.*got \[\]"),
        ({"vectors": "no_such_file.tlc"}, "no_such_file"),
        ({"bits": 40}, "bits must be at most 28"),
        ({"word_ngrams": None}, "must not both be None"),
        ({"class_weight": {"?": 1}}, "class_weight names '\\?'"),
    ],
)
def test_parameters_outside_their_domain(params, message):
    with pytest.raises((ValueError, OSError), match=message):
        NgramClassifier(**params).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        ("a text", ["a"], {}, "single string"),
        (["a", None], ["a", "b"], {}, r"X\[1\] must be a string; got None"),
        ([], [], {}, "at least one text"),
        (["a", "b"], None, {}, "requires y to be passed"),
        (["a", "b"], ["x"], {}, "X and y must have as many rows; got 2 and 1"),
        (["a", "b"], ["x", "x"], {}, r"at least two classes to tell apart; got one class, \['x'\]"),
        (["a", "b"], ["x", "y"], {"sample_weight": [1.0, -1.0]}, r"sample_weight\[1\] is -1"),
        (["a", "b"], ["x", "y"], {"classes": ["x"]}, "label 'y', which is not among classes"),
        (["a", "b"], [[0.5, 0.5], [0.5, 0.6]], {}, "row 1 sums to 1.1"),
    ],
)
def test_data_that_do_not_fit(X, y, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        NgramClassifier().fit(X, y, **options)


def test_before_fit():
    model = NgramClassifier()
    for method in (model.predict, model.predict_proba, model.decision_function):
        with pytest.raises(NotFittedError):
            method(TEXTS)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "classes_")


def test_refuses_what_is_not_a_list_of_texts_when_it_predicts():
    model = NgramClassifier().fit(TEXTS, LABELS)
    with pytest.raises(InvalidParameterError, match="single string"):
        model.predict("good film")
    with pytest.raises(InvalidParameterError, match=r"X\[0\] must be a string; got 5"):
        model.predict([5])


def test_an_indicator_matrix_makes_a_multilabel_model(tmp_path):
    texts = ["red apple", "green apple", "red car", "green car"] * 3
    indicator = np.array([[1, 1], [0, 1], [1, 0], [0, 0]] * 3)
    model = NgramClassifier(C=100.0).fit(texts, indicator, classes=["red", "fruit"])
    assert model.multilabel_
    assert model.predict(texts).tolist() == indicator.tolist()
    tlclassic.save(model, tmp_path / "m.tlc")
    assert tlclassic.load(tmp_path / "m.tlc").predict(texts).tolist() == indicator.tolist()
    compiled = tlclassic.compile(model)
    assert compiled.multilabel
    assert compiled.predict(texts).tolist() == indicator.tolist()
