"""``MultiTaskClassifier``: kinds of tasks, gaps, shapes, ways of sharing, saving."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from multitask_cases import KINDS, reviews
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

import tlclassic
from tlclassic import MultiTaskClassifier, NgramVectorizer, SoftLabelLogisticRegression
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.multitask import METRICS, draw_attention, stack
from tlclassic.multitask.folds import make_folds
from tlclassic.multitask.heads import fit_head
from tlclassic.multitask.lowrank import shared_directions
from tlclassic.multitask.targets import read_targets
from tlclassic.runtime.tasks import Layer, Outputs, activations, task_proba

TEXTS, Y = reviews()
TEST_TEXTS, TEST_Y = reviews(seed=1, gaps=False)
_WEIGHED = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")
EXPECTED_TO_FAIL = dict.fromkeys(_WEIGHED, "cv is a number of folds over all tasks, never a splitter")


@parametrize_with_checks(
    [MultiTaskClassifier(cv=2, strengths=(1.0,))], expected_failed_checks=lambda _: EXPECTED_TO_FAIL
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


# -- targets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "kind", "classes"),
    [
        (["b", None, "a", "b"], "binary", ["a", "b"]),
        ([True, False, None, True], "binary", [False, True]),
        (np.array([0.0, np.nan, 1.0, 0.0]), "binary", [0.0, 1.0]),
        ([3, 1, 2, 1], "multiclass", [1, 2, 3]),
        ([0.5, 1.25, float("nan"), 2.0], "regression", []),
        ([["x"], [], None, ["x", "y"]], "multilabel", ["x", "y"]),
        (np.array([[1, 0], [0, 1], [1, 1], [0, 0]]), "multilabel", [0, 1]),
        (np.array([[0.2, 0.8], [1.0, 0.0], [np.nan, np.nan], [0.5, 0.5]]), "binary", [0, 1]),
        (np.array([[0.2, 0.7, 0.1], [1.0, 0, 0], [np.nan] * 3, [0, 0, 1.0]]), "multiclass", [0, 1, 2]),
        (np.array([[0.2, 0.9], [0.1, 0.1], [np.nan, np.nan], [0.5, 0.5]]), "multilabel", [0, 1]),
        (pd.Categorical(["low", "high", None, "mid"], ["low", "mid", "high"], ordered=True), "ordinal",
         ["low", "mid", "high"]),
        (pd.Series(["a", pd.NA, "b", "a"], dtype="string"), "binary", ["a", "b"]),
    ],
)  # fmt: skip
def test_the_kind_is_told_from_the_labels(labels, kind, classes):
    (target,) = read_targets({"task": labels}, 4, None, None)
    assert target.kind == kind
    assert target.classes.tolist() == classes
    missing = [label is None or label is pd.NA or label != label for label in _listed(labels)]
    assert (~target.present).tolist() == missing


def _listed(labels):
    if getattr(labels, "ndim", 1) == 2:
        return [None if np.isnan(row).any() else 0 for row in labels]
    return [None if pd.isna(item) is True else item for item in list(labels)]


def test_kinds_override_what_labels_look_like():
    (target,) = read_targets({"stars": [1, 2, 5, 3]}, 4, {"stars": "regression"}, None)
    assert target.kind == "regression"
    assert (target.center, round(target.spread, 4)) == (2.75, 1.479)
    assert (target.P[:, 0] * target.spread + target.center).round(6).tolist() == [1, 2, 5, 3]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ({"a": ["x", "y"]}, r"y\['a'\] must hold one entry a row of X; got 2 for 3 rows"),
        ({"a": [None, None, None]}, r"y\['a'\] holds no label at all"),
        ({"a": ["x", "x", "x"]}, r"y\['a'\] must hold at least two classes to tell apart; got one class, \['x'\]"),
        ({"a": ["x", 1, "y"]}, r"y\['a'\] must hold labels of one type; got int, str"),
        ({"a": [[0.5, 0.6], [0.5, 0.5], [-1.0, 2.0]]}, r"y\['a'\] must hold numbers between 0 and 1; row 2"),
        ({"": ["x", "y", "x"]}, "the tasks of y must have names"),
        ({}, "y must hold at least one task"),
        (None, "requires y to be passed"),
        ({"a": [0.5, float("inf"), 1.0]}, r"y\['a'\] must be finite"),
    ],
)
def test_labels_that_are_wrong_are_named(y, message):
    with pytest.raises(InvalidParameterError, match=message):
        MultiTaskClassifier(cv=2).fit(["a b", "b c", "c d"], y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sharing": "some"}, "sharing must be one of"),
        ({"strengths": []}, "strengths must hold at least one number"),
        ({"order": ["a"]}, "order must name every task once"),
        ({"kinds": {"c": "binary"}}, "kinds names 'c', which is no task of y"),
        ({"kinds": {"a": "ternary"}}, r"kinds\['a'\] must be one of"),
        ({"rank": 0}, "rank must be at least 1"),
    ],
)
def test_parameters_that_are_wrong_are_named(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        MultiTaskClassifier(**options).fit(["a b", "b c", "c d"], {"a": [0, 1, 0], "b": [1, 1, 0]})


# -- heads -----------------------------------------------------------------------------------------------------------


def test_independent_heads_are_those_of_one_task_alone():
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 4))
    labels = (X[:, 0] + 0.5 * random.normal(size=80) > 0).astype(int)
    y = {"a": [None if i % 4 == 0 else int(v) for i, v in enumerate(labels)], "b": (X[:, 1] > 0).astype(int)}
    model = MultiTaskClassifier(sharing="none", strengths=[0.5], calibrate=False).fit(X, y)
    rows = np.arange(80) % 4 != 0
    alone = LogisticRegression(C=0.5, tol=1e-8).fit(X[rows], labels[rows])
    np.testing.assert_allclose(model.predict_proba(X)["a"], alone.predict_proba(X), atol=1e-2)


def test_soft_labels_are_those_of_the_soft_label_head():
    random = np.random.default_rng(1)
    X = random.normal(size=(60, 3))
    P = random.dirichlet([1, 1, 1], size=60)
    P[:20] = np.eye(3)[random.integers(0, 3, 20)]
    known = np.arange(60) < 50
    model = MultiTaskClassifier(sharing="none", strengths=[1.0], calibrate=False)
    model.fit(X, {"a": np.where(known[:, None], P, np.nan)}, classes={"a": ["x", "y", "z"]})
    alone = SoftLabelLogisticRegression(C=1.0).fit(X[known], P[known])
    np.testing.assert_allclose(model.predict_proba(X)["a"], alone.predict_proba(X), atol=5e-3)
    assert set(model.predict(X)["a"].tolist()) <= {"x", "y", "z"}


def test_ordered_classes_have_one_score_and_ascending_cuts():
    random = np.random.default_rng(2)
    x = random.normal(size=(2000, 1))
    above = x + random.logistic(size=(2000, 1)) > np.array([[-1.0, 0.5, 2.0]])
    (target,) = read_targets({"a": above.sum(axis=1)}, 2000, {"a": "ordinal"}, None)
    head = fit_head(x, target, np.ones(2000), 100.0)
    # The proportional odds that the labels were drawn from: slope 1, cuts -1, 0.5 and 2.
    assert head.coef.shape == (1, 1)
    assert abs(head.coef[0, 0] - 1.0) < 0.1
    np.testing.assert_allclose(head.cuts - head.intercept[0], [-1.0, 0.5, 2.0], atol=0.2)
    task = Outputs("a", "ordinal", 0, 1, target.classes, head.cuts)
    proba = task_proba(task, head.logits(x))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert abs(proba.mean(axis=0) - np.bincount(above.sum(axis=1)) / 2000).max() < 0.02


def test_labels_with_gaps_of_their_own_are_fitted_by_themselves():
    X = np.array([[0.0], [1.0], [2.0], [3.0]] * 5)
    labels = np.column_stack([X[:, 0] > 1.5, X[:, 0] > 0.5]).astype(float)
    labels[::4, 0] = np.nan
    model = MultiTaskClassifier(sharing="none", strengths=[10.0]).fit(X, {"a": labels}, classes={"a": ["u", "v"]})
    assert model.kinds_ == {"a": "multilabel"}
    assert model.predict([[0.0], [1.0], [3.0]])["a"].tolist() == [[0, 0], [0, 1], [1, 1]]


def test_task_weights_stand_against_the_penalty():
    X = np.array([[-1.0], [1.0]] * 20)
    y = {"a": [0, 1] * 20, "b": [0, 1] * 20}
    model = MultiTaskClassifier(sharing="none", strengths=[0.1], calibrate=False).fit(X, y, task_weights={"b": 4.0})
    one = MultiTaskClassifier(sharing="none", strengths=[0.4], calibrate=False).fit(X, y)
    assert model.coef_[1, 0] == pytest.approx(one.coef_[1, 0], rel=1e-2)
    assert model.coef_[0, 0] < 0.8 * model.coef_[1, 0]


def test_a_row_of_no_weight_counts_as_absent():
    weights = np.ones(len(TEXTS))
    weights[::3] = 0
    shuffled = [label if weight else "+" for label, weight in zip(Y["tone"], weights, strict=True)]
    options = {"sharing": "none", "strengths": [1.0], "calibrate": False}
    a = MultiTaskClassifier(**options).fit(TEXTS, {"tone": Y["tone"]}, sample_weight={"tone": weights})
    b = MultiTaskClassifier(**options).fit(TEXTS, {"tone": shuffled}, sample_weight=weights)
    np.testing.assert_allclose(a.coef_, b.coef_)


# -- shapes ----------------------------------------------------------------------------------------------------------


def test_a_dict_gives_dicts_back():
    model = MultiTaskClassifier(sharing="none", kinds=KINDS, cv=3).fit(TEXTS, Y)
    assert model.kinds_ == {
        "tone": "binary", "medium": "multiclass", "tags": "multilabel", "grade": "ordinal", "score": "regression",
    }  # fmt: skip
    predicted, proba = model.predict(TEST_TEXTS), model.predict_proba(TEST_TEXTS)
    assert {name: value.shape for name, value in predicted.items()} == {
        "tone": (240,), "medium": (240,), "tags": (240, 2), "grade": (240,), "score": (240,),
    }  # fmt: skip
    assert {name: value.shape for name, value in proba.items()} == {
        "tone": (240, 2), "medium": (240, 3), "tags": (240, 2), "grade": (240, 4), "score": (240,),
    }  # fmt: skip
    assert model.classes_["tone"].tolist() == ["+", "-"]
    scores = model.score_tasks(TEST_TEXTS, TEST_Y)
    assert min(scores.values()) > 0.85
    assert model.score(TEST_TEXTS, TEST_Y) == pytest.approx(np.mean(list(scores.values())))
    assert {model.cv_results_[name]["metric"] for name in Y} == set(METRICS.values())


def test_a_frame_is_a_dict():
    frame = pd.DataFrame({"tone": Y["tone"], "score": Y["score"]})
    model = MultiTaskClassifier(sharing="none", strengths=[1.0]).fit(np.array(TEXTS, dtype=object), frame)
    assert model.kinds_ == {"tone": "binary", "score": "regression"}
    assert sorted(model.predict(TEXTS[:2])) == ["score", "tone"]


def test_an_array_gives_scikit_learns_shapes_back():
    X = np.random.default_rng(0).normal(size=(50, 3))
    y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0]).astype(int)
    model = MultiTaskClassifier(sharing="none").fit(X, y)
    assert model.predict(X).shape == (50, 2)
    assert model.predict(X).dtype == np.int64
    assert [p.shape for p in model.predict_proba(X)] == [(50, 2), (50, 2)]
    assert [c.tolist() for c in model.classes_] == [[0, 1], [0, 1]]
    labels = np.where(y > 0, "yes", "no").astype(object)
    labels[::5, 1] = None
    mixed = MultiTaskClassifier(sharing="none", strengths=[1.0]).fit(sp.csr_matrix(X), labels)
    assert set(mixed.predict(sp.csr_matrix(X)).ravel().tolist()) == {"yes", "no"}
    one = MultiTaskClassifier(strengths=[1.0]).fit(X, labels[:, 0])
    assert one.predict(X).shape == (50,)
    assert one.predict_proba(X).shape == (50, 2)


def test_files_that_share_no_text_are_stacked():
    texts, y = stack(
        {
            "tone": (["good", "bad"], ["+", "-"]),
            "tags": (["a b", "c"], np.array([[1, 0], [0, 1]])),
            "soft": (["x"], np.array([[0.25, 0.75]])),
        }
    )
    assert texts == ["good", "bad", "a b", "c", "x"]
    assert y["tone"] == ["+", "-", None, None, None]
    targets = {target.name: target for target in read_targets(y, 5, None, None)}
    assert {name: target.kind for name, target in targets.items()} == {
        "tone": "binary", "tags": "multilabel", "soft": "binary",
    }  # fmt: skip
    assert targets["tags"].present.tolist() == [False, False, True, True, False]
    with pytest.raises(InvalidParameterError, match=r"tasks\['a'\] must have one label a text; got 1 for 2"):
        stack({"a": (["x", "y"], [1])})


# -- sharing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharing", ["low-rank", "chain", "attention", "auto"])
def test_ways_of_sharing_predict_and_are_saved(sharing, tmp_path):
    model = MultiTaskClassifier(sharing=sharing, kinds=KINDS, cv=3, strengths=[1.0, 3.0]).fit(TEXTS, Y)
    assert model.score(TEST_TEXTS, TEST_Y) > 0.93
    if sharing == "chain":
        assert [model.sharing_[name] for name in model.order_] == ["none", "chain", "chain", "chain", "chain"]
        assert model.attention_ is None
    if sharing == "attention":
        assert set(model.sharing_.values()) == {"attention"}
        np.testing.assert_allclose(model.attention_.sum(axis=1), 1.0)
        assert np.diag(model.attention_).tolist() == [0.0] * 5
    tlclassic.save(model, tmp_path / "model.tlc")
    again = tlclassic.load(tmp_path / "model.tlc")
    assert again.sharing_ == model.sharing_
    assert again.cv_results_ == model.cv_results_
    for name, proba in model.predict_proba(TEST_TEXTS).items():
        assert again.predict_proba(TEST_TEXTS)[name].tobytes() == proba.tobytes()


def test_a_task_of_noise_shares_nothing():
    random = np.random.default_rng(5)
    noise = random.integers(0, 2, len(TEXTS))
    model = MultiTaskClassifier(cv=5, strengths=[1.0]).fit(TEXTS, {"tone": Y["tone"], "noise": noise})
    assert model.sharing_ == {"tone": "none", "noise": "none"}
    assert model.layer_ is None
    gains = model.cv_results_["noise"]["sharing"]
    assert set(gains) | set(model.cv_results_["tone"]["sharing"]) == {"low-rank", "chain", "attention"}
    assert not any(gain["clear"] for gain in gains.values())


def test_a_task_with_few_labels_learns_from_one_with_many():
    texts, y = reviews(400, seed=3, gaps=False)
    few = [label if i < 40 else None for i, label in enumerate(y["tone"])]
    grades = {"tone": few, "grade": y["grade"]}
    alone = MultiTaskClassifier(sharing="none", kinds=KINDS).fit(texts, grades)
    shared = MultiTaskClassifier(sharing="auto", kinds=KINDS).fit(texts, grades)
    assert shared.sharing_["tone"] != "none"
    assert shared.sharing_["grade"] == "none"
    tone = {"tone": TEST_Y["tone"]}
    gain = shared.score_tasks(TEST_TEXTS, tone)["tone"] - alone.score_tasks(TEST_TEXTS, tone)["tone"]
    assert gain > 0.02


def test_attention_finds_the_task_that_helps():
    texts, y = reviews(400, seed=3, gaps=False)
    random = np.random.default_rng(0)
    tasks = {
        "tone": [label if i < 100 else None for i, label in enumerate(y["tone"])],
        "grade": y["grade"],
        "noise": random.integers(0, 2, 400),
    }
    model = MultiTaskClassifier(sharing="attention", kinds=KINDS, strengths=[1.0]).fit(texts, tasks)
    assert model.attention_[0, 1] > 0.9


def test_attention_is_drawn():
    import xml.etree.ElementTree as ElementTree

    model = MultiTaskClassifier(sharing="attention", cv=2, strengths=[1.0])
    model.fit(TEXTS[:80], {"a<b": Y["medium"][:80], "c": [0, 1] * 40, "d": [1, 0] * 40})
    picture = ElementTree.fromstring(draw_attention(model))
    names = [element.text for element in picture.iter() if element.tag.endswith("text")]
    assert names == ["a<b", "a<b", "c", "c", "d", "d"]
    cells = [float(element.get("fill-opacity")) for element in picture.iter() if element.tag.endswith("rect")]
    np.testing.assert_allclose(np.reshape(cells, (3, 3)), model.attention_, atol=1e-3)
    with pytest.raises(InvalidParameterError, match="model must attend"):
        draw_attention(MultiTaskClassifier(sharing="none", strengths=[1.0]).fit(TEXTS, {"tone": Y["tone"]}))


def test_a_class_that_a_fold_lacks_does_no_harm():
    labels = ["rare", "b"] + ["a", "b"] * 29
    model = MultiTaskClassifier(cv=5).fit(TEXTS[:60], {"x": labels, "y": [1] + [0] * 59})
    assert set(model.predict(TEXTS[:60])["x"].tolist()) <= {"rare", "a", "b"}
    assert np.isfinite(model.predict_proba(TEXTS)["y"]).all()


def test_inputs_from_other_tasks_are_out_of_fold():
    """A task of random labels over rows with a column each is learned by heart, and must not seem predictable."""
    random = np.random.default_rng(1)
    X = sp.identity(120, format="csr")
    labels = random.integers(0, 2, 120)
    model = MultiTaskClassifier(sharing="chain", strengths=[100.0], order=["a", "b"], calibrate=False)
    model.fit(X, {"a": labels, "b": labels})
    # In sample the first task says everything; out of fold nothing, so that the link has no weight to speak of.
    assert (model.predict(X)["a"] == labels).all()
    assert abs(model.layer_.weights[0, 1]) < 5.0
    leaky = MultiTaskClassifier(sharing="none", strengths=[100.0], calibrate=False).fit(
        np.column_stack([labels, np.ones(120)]), {"b": labels}
    )
    assert abs(leaky.coef_[0, 0]) > 8.0


def test_folds_are_the_same_for_all_tasks_and_deal_out_their_classes():
    targets = read_targets(
        {"a": [0] * 40 + [1] * 20 + [None] * 40, "b": [None] * 60 + ["x", "y"] * 20}, 100, None, None
    )
    folds = make_folds(targets, 100, 5, 0)
    assert np.bincount(folds).tolist() == [20] * 5
    assert [np.bincount(folds[rows], minlength=5).tolist() for rows in (slice(0, 40), slice(40, 60))] == [
        [8] * 5, [4] * 5,
    ]  # fmt: skip
    assert folds.tolist() == make_folds(targets, 100, 5, 0).tolist()
    assert folds.tolist() != make_folds(targets, 100, 5, 1).tolist()


def test_shared_directions_are_orthonormal_and_span_what_is_common():
    from tlclassic.multitask.heads import Head

    heads = [Head(np.array([[3.0, 0, 0, 0.1]]), np.zeros(1)), Head(np.array([[100.0, 1, 0, 0]]), np.zeros(1))]
    theta = shared_directions(heads, [1.0, 1.0], 1)
    assert theta.shape == (1, 4)
    assert abs(theta[0, 0]) > 0.999
    np.testing.assert_allclose(theta @ theta.T, np.eye(1), atol=1e-12)
    assert shared_directions([Head(np.zeros((1, 3)), np.zeros(1))], [1.0], 2).shape == (0, 3)


def test_a_chain_passes_on_what_earlier_tasks_came_to():
    tasks = [Outputs("a", "binary", 0, 1, np.array([0, 1])), Outputs("b", "binary", 1, 2, np.array([0, 1]))]
    layer = Layer("chain", (1,), np.array([[0.0, 4.0], [0.0, 0.0]]), np.eye(2), np.zeros(2))
    logits = np.array([[0.0, -2.0], [2.0, -2.0]])
    final = layer.apply(tasks, logits)
    np.testing.assert_allclose(final[:, 0], [0.0, 2.0])
    np.testing.assert_allclose(final[:, 1], [-2.0 + 4 * 0.5, -2.0 + 4 / (1 + np.exp(-2.0))])
    assert logits[0, 1] == -2.0
    np.testing.assert_allclose(activations("multiclass", np.array([[0.0, 0.0]])), [[0.5, 0.5]])


# -- the estimator ---------------------------------------------------------------------------------------------------


def test_features_may_be_any_transformer(tmp_path):
    features = NgramVectorizer(word_ngrams=(1, 1), char_ngrams=(2, 3), bits=12, idf=True)
    model = MultiTaskClassifier(features, sharing="none", strengths=[3.0]).fit(TEXTS, {"tone": Y["tone"]})
    assert model.features_ is not features
    assert model.features_.bits == 12
    assert model.coef_.shape == (1, len(model.columns_))
    tlclassic.save(model, tmp_path / "model.tlc")
    again = tlclassic.load(tmp_path / "model.tlc")
    assert again.features.bits == 12
    assert clone(again).fit(TEXTS, {"tone": Y["tone"]}).predict(TEXTS)["tone"].tolist() == (
        model.predict(TEXTS)["tone"].tolist()
    )


def test_a_matrix_model_is_saved(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = MultiTaskClassifier(strengths=[1.0]).fit(X, (X[:, 0] > 0).astype(int))
    tlclassic.save(model, tmp_path / "model.tlc")
    again = tlclassic.load(tmp_path / "model.tlc")
    assert again.predict(X).tolist() == model.predict(X).tolist()
    with pytest.raises(ValueError, match="X has 2 features"):
        again.predict(X[:, :2])


def test_a_damaged_state_is_refused():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = MultiTaskClassifier(strengths=[1.0]).fit(X, (X[:, 0] > 0).astype(int))
    state = model.to_state()
    for change in ({"coef": np.zeros((2, 3))}, {"form": "list"}, {"outputs": []}, {"layer": {"kind": "chain"}}):
        with pytest.raises(CorruptArtifactError, match="saved MultiTaskClassifier"):
            MultiTaskClassifier.from_state({}, None, {**state, **change})
    del state["intercept"]
    with pytest.raises(CorruptArtifactError, match="incomplete or altered"):
        MultiTaskClassifier.from_state({}, None, state)


def test_another_models_probabilities_are_labels():
    teacher = MultiTaskClassifier(sharing="none", kinds=KINDS, strengths=[3.0]).fit(TEXTS, Y)
    student = MultiTaskClassifier(NgramVectorizer(bits=10), kinds=teacher.kinds_, sharing="none", strengths=[30.0])
    student.fit(TEXTS, teacher.predict_proba(TEXTS), classes={k: v for k, v in teacher.classes_.items() if len(v)})
    assert student.kinds_ == teacher.kinds_
    wanted, got = teacher.predict(TEST_TEXTS), student.predict(TEST_TEXTS)
    assert (wanted["tone"] == got["tone"]).mean() > 0.9
    assert (wanted["grade"] == got["grade"]).mean() > 0.8
    assert np.corrcoef(wanted["score"], got["score"])[0, 1] > 0.95


def test_unseen_labels_count_as_errors_in_the_score():
    model = MultiTaskClassifier(sharing="none", strengths=[1.0]).fit(TEXTS, {"medium": Y["medium"]})
    texts, labels = TEXTS[:4], [*Y["medium"][:3], "game"]
    assert model.score_tasks(texts, {"medium": labels}) == {"medium": 0.75}
    assert np.isnan(model.score_tasks(texts, {"medium": [None] * 4})["medium"])
    with pytest.raises(InvalidParameterError, match="y names 'other', which is no task of the model"):
        model.score(texts, {"other": labels})
