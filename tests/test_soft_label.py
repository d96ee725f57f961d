"""SoftLabelLogisticRegression: scikit-learn's own checks, hard and soft labels, refusals, saving."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import tlclassic
from tlclassic.errors import InvalidParameterError
from tlclassic.heads import SoftLabelLogisticRegression

_STOCHASTIC = "a row that weighs two is one stochastic step, not two"
_EXPECTED = {
    "newton": {},
    "adagrad": {
        "check_sample_weight_equivalence_on_dense_data": _STOCHASTIC,
        "check_sample_weight_equivalence_on_sparse_data": _STOCHASTIC,
    },
}


@parametrize_with_checks(
    [
        SoftLabelLogisticRegression(),
        SoftLabelLogisticRegression(penalty="elasticnet", tol=1e-18),
        SoftLabelLogisticRegression(solver="adagrad"),
    ],
    expected_failed_checks=lambda estimator: _EXPECTED[estimator.solver],
)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 6))
    logits = 2 * X[:, :3] + rng.standard_normal((90, 3))
    P = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return X, P, rng.uniform(0.5, 2, 90)


NAMES = np.array(["ale", "beer", "cider"])


def test_hard_labels_are_one_hot_probabilities(rows):
    X, P, weights = rows
    y = NAMES[P.argmax(axis=1)]
    hard = SoftLabelLogisticRegression().fit(X, y, sample_weight=weights)
    soft = SoftLabelLogisticRegression().fit(X, np.eye(3)[P.argmax(axis=1)], sample_weight=weights, classes=NAMES)
    np.testing.assert_array_equal(hard.coef_, soft.coef_)
    assert hard.classes_.tolist() == soft.classes_.tolist() == NAMES.tolist()
    assert (hard.predict(X) == y).mean() > 0.8
    assert hard.objective_ == soft.objective_


@pytest.mark.parametrize("class_weight", [None, "balanced", {"ale": 3.0, "cider": 0.2}])
@pytest.mark.parametrize("k", [2, 3])
def test_soft_labels_are_rows_for_each_class(rows, k, class_weight):
    X, P, weights = rows
    P = P[:, :k] / P[:, :k].sum(axis=1, keepdims=True)
    if class_weight == "balanced":
        # The expected counts are what scikit-learn counts on replicated rows.
        each = dict(zip(NAMES[:k], (weights.sum() / (k * (weights @ P))).tolist(), strict=True))
    else:
        each = {name: (class_weight or {}).get(name, 1.0) for name in NAMES[:k]}
        class_weight = class_weight if class_weight is None else {c: w for c, w in class_weight.items() if c in each}
    ours = SoftLabelLogisticRegression(class_weight=class_weight, tol=1e-12)
    ours.fit(X, P, sample_weight=weights, classes=NAMES[:k])
    theirs = LogisticRegression(class_weight=each, tol=1e-10, max_iter=5000).fit(
        np.repeat(X, k, axis=0), np.tile(NAMES[:k], len(X)), (weights[:, None] * P).ravel()
    )
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_multilabel_is_one_versus_rest(rows, class_weight, as_sparse):
    X, P, _ = rows
    Y = (P > 0.3).astype(int)
    ours = SoftLabelLogisticRegression(multilabel=True, class_weight=class_weight, tol=1e-12)
    ours.fit(sp.csr_matrix(X) if as_sparse else X, sp.csr_matrix(Y) if as_sparse else Y)
    theirs = OneVsRestClassifier(LogisticRegression(class_weight=class_weight, tol=1e-10, max_iter=5000)).fit(X, Y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    assert ours.predict(X).dtype == np.int64
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_multilabel_takes_probabilities_of_each_label(rows):
    X, P, _ = rows
    fitted = SoftLabelLogisticRegression(multilabel=True).fit(X, np.sqrt(P), classes=NAMES)
    assert fitted.classes_.tolist() == NAMES.tolist()
    assert fitted.predict_proba(X).sum(axis=1).max() > 1.2
    assert np.corrcoef(fitted.predict_proba(X)[:, 0], np.sqrt(P[:, 0]))[0, 1] > 0.8


@pytest.mark.parametrize("dtype", ["int64", "bool", "U5", object])
def test_labels_keep_their_type(rows, dtype):
    X, P, _ = rows
    names = np.array([0, 1]) if dtype in ("int64", "bool") else NAMES[:2]
    y = names.astype(dtype)[(P[:, 0] > 0.4).astype(int)]
    predicted = SoftLabelLogisticRegression().fit(X, y).predict(X)
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.8


def test_l1_leaves_zeros(rows):
    X, P, _ = rows
    counts = [(SoftLabelLogisticRegression(C=0.1, penalty=p).fit(X, P).coef_ == 0).sum() for p in ("l2", "l1")]
    assert counts[0] == 0
    assert counts[1] > 4


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        ([[0.5, 0.4], [0.5, 0.5]], {}, "row 0 sums to 0.9"),
        ([[0.5, 0.5], [1.5, -0.5]], {}, r"between 0 and 1; row 1 is \[1.5, -0.5\]"),
        ([[0.5, 0.5], [np.nan, 0.5]], {}, "row 1"),
        ([[1, 0], [0, 2]], {}, "float matrix; got dtype int64.*multilabel=True"),
        ([[0.5, 0.5], [0.5, 0.5]], {"classes": ["a"]}, "classes must name the 2 columns"),
        ([[0.5, 0.5], [0.5, 0.5]], {"classes": ["a", "a"]}, "different labels"),
        (["a", "b"], {"classes": ["a", "c"]}, "label 'b', which is not among classes"),
        (["a", "a"], {}, "at least two classes .* one class"),
        (["a", 1], {}, "labels of one type"),
        ([0.1, 0.7], {}, "Unknown label type"),
    ],
)
def test_wrong_labels_are_named(y, options, message):
    y = np.array(y, dtype=object) if y == ["a", 1] else y
    with pytest.raises(ValueError, match=message):
        SoftLabelLogisticRegression().fit(np.eye(2), y, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"C": 0.0}, "C must be at least"),
        ({"penalty": "none"}, "penalty must be one of"),
        ({"solver": "lbfgs"}, "solver must be one of 'newton', 'adagrad'"),
        ({"class_weight": "even"}, "class_weight must be"),
        ({"class_weight": {"dog": 1}}, "names 'dog'"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        SoftLabelLogisticRegression(**options).fit(np.eye(2), ["a", "b"])


def test_the_tolerance_of_sums_is_a_thousandth(rows):
    X, P, _ = rows
    fitted = SoftLabelLogisticRegression().fit(X, P * 1.0009)
    np.testing.assert_allclose(fitted.coef_, SoftLabelLogisticRegression().fit(X, P).coef_, atol=1e-9)


def test_too_few_iterations_warn(rows):
    X, P, _ = rows
    with pytest.warns(ConvergenceWarning, match="max_iter=1 iterations"):
        SoftLabelLogisticRegression(C=1e4, max_iter=1).fit(X, P)


def test_partial_fit_learns_from_batches(rows):
    X, P, _ = rows
    model = SoftLabelLogisticRegression()
    with pytest.raises(InvalidParameterError, match="first call of partial_fit needs classes"):
        model.partial_fit(X, NAMES[P.argmax(axis=1)])
    for _ in range(20):
        for part in (slice(0, 40), slice(40, 90)):
            model.partial_fit(X[part], NAMES[P[part].argmax(axis=1)], classes=NAMES)
    assert model.n_iter_ == 40
    assert (model.predict(X) == NAMES[P.argmax(axis=1)]).mean() > 0.8
    # Soft labels may follow hard ones.
    model.partial_fit(X, P)
    with pytest.raises(InvalidParameterError, match="classes must stay"):
        model.partial_fit(X, P, classes=["x", "y", "z"])
    assert not hasattr(model.fit(X, P), "_stream_table")


def test_partial_fit_goes_on_from_fit(rows):
    X, P, _ = rows
    fitted = SoftLabelLogisticRegression(learning_rate=1e-6).fit(X, P, classes=NAMES)
    before = fitted.coef_.copy()
    np.testing.assert_allclose(fitted.partial_fit(X, P).coef_, before, atol=1e-3)


def test_partial_fit_weighs_classes_by_a_dict_only(rows):
    X, P, _ = rows
    y = NAMES[P.argmax(axis=1)]
    with pytest.raises(InvalidParameterError, match="needs all rows"):
        SoftLabelLogisticRegression(class_weight="balanced").partial_fit(X, y, classes=NAMES)
    plain, heavy = (
        SoftLabelLogisticRegression(class_weight=weight).partial_fit(X, y, classes=NAMES).predict_proba(X)[:, 0].mean()
        for weight in (None, {"ale": 20.0})
    )
    assert heavy > plain + 0.05


def test_works_inside_scikit_learn(rows):
    X, P, _ = rows
    y = NAMES[P.argmax(axis=1)]
    searched = GridSearchCV(
        make_pipeline(StandardScaler(), SoftLabelLogisticRegression()),
        {"softlabellogisticregression__C": [0.1, 10.0]},
        cv=3,
    ).fit(X, y)
    assert searched.best_score_ > 0.7
    assert CalibratedClassifierCV(SoftLabelLogisticRegression(), cv=3).fit(X, y).predict_proba(X).shape == (90, 3)
    assert OneVsRestClassifier(SoftLabelLogisticRegression()).fit(X, y).predict_proba(X).shape == (90, 3)
    assert clone(SoftLabelLogisticRegression(C=3, penalty="l1")).get_params()["penalty"] == "l1"


def test_a_pipeline_of_it_is_saved_without_pickle(rows, tmp_path):
    X, P, _ = rows
    y = NAMES[P.argmax(axis=1)]
    model = make_pipeline(StandardScaler(), SoftLabelLogisticRegression(class_weight={"ale": 2.0})).fit(X, y)
    model[-1].partial_fit(model[0].transform(X), y)
    tlclassic.save(model, tmp_path / "model.tlc")
    loaded = tlclassic.load(tmp_path / "model.tlc")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    # Learning goes on where it was.
    scaled = model[0].transform(X)
    again, expected = (m[-1].partial_fit(scaled, y).coef_ for m in (loaded, model))
    np.testing.assert_array_equal(again, expected)
