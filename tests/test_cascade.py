"""``Cascade``: bounds and promises by simulation, then answers by hand where the texts spell the probabilities."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import beta, binom, hypergeom
from sklearn.base import clone

import tlclassic
from tlclassic import Cascade, NgramClassifier
from tlclassic.cascade import CascadeReport
from tlclassic.cascade.bounds import allowed_errors, texts_needed, upper_bound
from tlclassic.cascade.choosing import by_accuracy, by_agreement, by_share
from tlclassic.cascade.report import Tuning, report_table
from tlclassic.errors import InvalidParameterError, TlclassicWarning


class Spelled:
    """A model that reads its probabilities off the text: "0.9 0.1" are those of its first and second class."""

    def __init__(self, classes, start=0, **attributes):
        self.classes_ = np.asarray(classes)
        self.start = start
        self.calls = []
        vars(self).update(attributes)

    def predict_proba(self, texts):
        self.calls.append(list(texts))
        rows = [[float(number) for number in text.split()] for text in texts]
        return np.array(rows)[:, self.start : self.start + len(self.classes_)]


#: Two numbers for the student, two for the teacher (classes b, a).
TEXTS = ["0.9 0.1 0.2 0.8", "0.4 0.6 0.9 0.1", "0.45 0.55 0.3 0.7", "0.2 0.8 1 0"]


def two(**options):
    return Cascade(Spelled(["a", "b"]), Spelled(["b", "a"], 2), **options)


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_the_upper_bound_is_the_quantile_of_the_beta_distribution():
    errors, n = np.array([0, 1, 5, 99, 0]), np.array([10, 100, 100, 100, 598])
    assert upper_bound(errors, n, 0.95) == pytest.approx(beta.ppf(0.95, errors + 1, n - errors), rel=1e-9)
    assert upper_bound([10, 0], [10, 0], 0.95).tolist() == [1.0, 1.0]
    # The textbook's: 1 - 0.05^(1/30).
    assert float(upper_bound(0, 30, 0.95)) == pytest.approx(0.0950, abs=5e-5)


@pytest.mark.parametrize(("n", "rate", "allowed"), [(597, 0.005, -1), (598, 0.005, 0), (1000, 0.005, 1), (0, 0.1, -1)])
def test_so_many_errors_are_allowed(n, rate, allowed):
    assert allowed_errors(n, rate, 0.95) == allowed
    if n:
        # The same said of the binomial: so few errors, or fewer, are rare at that rate.
        assert binom.cdf(allowed, n, rate) <= 0.05 < binom.cdf(allowed + 1, n, rate)


def test_texts_that_are_needed():
    assert [texts_needed(rate, 0.95) for rate in (0.005, 0.01, 0.05, 0.5, 0.99)] == [598, 299, 59, 5, 1]
    assert texts_needed(0.005, 0.99) == 919


@pytest.mark.parametrize(("n", "later", "rate"), [(40, 20, 0.1), (30, 60, 0.05), (25, 25, 0.3), (200, 3, 0.2)])
def test_errors_that_are_allowed_for_the_texts_that_come_next(n, later, rate):
    allowed = allowed_errors(n, rate, 0.9, later)
    may = math.floor(rate * later)

    def broken(errors, in_all):
        """How probable so many errors or fewer among the n are, and too many among the others."""
        found = np.arange(0, errors + 1)
        return float(hypergeom.pmf(found[in_all - found > may], n + later, in_all, n).sum())

    worst = [max(broken(errors, in_all) for in_all in range(n + later + 1)) for errors in (allowed, allowed + 1)]
    assert worst[0] <= 0.1 < worst[1]
    needed = texts_needed(rate, 0.9, later)
    assert allowed_errors(needed, rate, 0.9, later) >= 0 > allowed_errors(needed - 1, rate, 0.9, later)


def test_very_many_later_texts_are_all_that_may_come():
    assert allowed_errors(1000, 0.02, 0.95, 10**7) == allowed_errors(1000, 0.02, 0.95)
    assert allowed_errors(1000, 0.02, 0.95, 1000) < allowed_errors(1000, 0.02, 0.95)


# -- promises --------------------------------------------------------------------------------------------------------


def _broken(choose, draw, rate_at, limit, repeats=1000):
    """How often a threshold comes out that breaks the promise."""
    rng = np.random.default_rng(7)
    thresholds = [choose(*draw(rng)) for _ in range(repeats)]
    assert len(set(thresholds)) > 3
    return float(np.mean([rate_at(threshold) > limit for threshold in thresholds]))


@pytest.mark.parametrize("decimals", [None, 1], ids=["continuous", "ties"])
def test_agreement_is_kept_in_95_of_100_draws_and_not_much_oftener(decimals):
    grid = (np.arange(4000) + 0.5) / 4000
    rounded = grid if decimals is None else grid.round(decimals)

    def draw(rng):
        confidence = rng.random(700)
        equal = rng.random(700) >= 0.2 * (1 - confidence)
        return (confidence if decimals is None else confidence.round(decimals)), equal

    def rate_at(threshold):
        return 0.2 * float((1 - grid)[rounded >= threshold].sum()) / len(grid)

    broken = _broken(lambda s, equal: by_agreement(s, equal, 0.99, 0.95), draw, rate_at, 0.01)
    assert broken <= 0.05
    if decimals is None:
        assert broken > 0.015  # the bound is exact: a level of 0.0288, as at most 2 of 700 may differ
        assert binom.cdf(allowed_errors(700, 0.01, 0.95), 700, 0.01) == pytest.approx(0.0288, abs=1e-3)


def test_a_promise_about_the_texts_that_come_next_is_kept_in_95_of_100_files():
    rng = np.random.default_rng(3)
    broken = {None: 0, 400: 0}
    for _ in range(1500):
        confidence = rng.random(1000)
        equal = rng.random(1000) >= 0.2 * (1 - confidence)
        for later in broken:
            threshold = by_agreement(confidence[:600], equal[:600], 0.97, 0.95, later)
            broken[later] += bool((~equal[600:] & (confidence[600:] >= threshold)).mean() > 0.03)
    # Measured on a file, a promise about the rate over all texts is broken oftener.
    assert 0.02 < broken[400] / 1500 <= 0.05 < broken[None] / 1500


def _naive(confidence, equal):
    """What measures its own choice: the lowest threshold at which the dev texts agree often enough."""
    order = np.argsort(-confidence)
    rate = np.cumsum(~equal[order]) / len(order)
    return float(confidence[order][np.flatnonzero(rate <= 0.01)[-1]])


def test_without_the_bound_the_simulation_notices():
    def draw(rng):
        confidence = rng.random(700)
        return confidence, rng.random(700) >= 0.2 * (1 - confidence)

    assert _broken(_naive, draw, lambda threshold: 0.1 * (1 - threshold) ** 2, 0.01) > 0.3


def test_accuracy_is_kept_where_confidence_ranks_errors_badly():
    # Rates of the answered texts: 0.02 down to 0.6, then up to 0.076 at 0.5, down to 0.0475 at 0.2, up to 0.138.
    edges, rates = np.array([0, 0.2, 0.5, 0.6]), np.array([0.5, 0.0, 0.3, 0.02])
    grid = (np.arange(4000) + 0.5) / 4000
    wrong = rates[np.searchsorted(edges, grid, side="right") - 1]

    def draw(rng):
        confidence = rng.random(1500)
        return confidence, rng.random(1500) >= rates[np.searchsorted(edges, confidence, side="right") - 1]

    def rate_at(threshold):
        return float(wrong[grid >= threshold].mean()) if threshold < 1 else 0.0

    broken = _broken(lambda s, right: by_accuracy(s, right, 0.94, 0.95), draw, rate_at, 0.06)
    assert broken <= 0.05


def test_a_threshold_is_half_way_to_the_text_that_must_not_be_answered():
    # 98 texts without an error show 97 %, none with one: the surest text that differs is left.
    confidence = np.concatenate([np.linspace(0.6, 0.99, 100), [0.5, 0.3]])
    equal = np.array([True] * 100 + [False, True])
    assert by_agreement(confidence, equal, 0.97, 0.95) == pytest.approx(0.55)
    assert by_agreement(confidence, np.ones(102, bool), 0.97, 0.95) == 0.0
    assert by_agreement(confidence, confidence < 0.99, 0.97, 0.95) == math.inf  # it errs where it is surest
    assert by_agreement(confidence[:97], equal[:97], 0.97, 0.95) == math.inf  # too few


@pytest.mark.parametrize(
    ("share", "threshold"), [(0, 0.0), (0.25, 0.3), (0.5, 0.45), (0.74, 0.45), (0.75, 0.7), (1, math.inf)]
)
def test_a_share(share, threshold):
    assert by_share(np.array([0.9, 0.2, 0.4, 0.5]), share) == pytest.approx(threshold)


def test_a_share_is_not_exceeded_where_confidences_are_equal():
    equal = np.array([0.5] * 9 + [0.7])
    assert (equal < by_share(equal, 0.3)).sum() == 0
    assert (equal < by_share(equal, 0.9)).sum() == 9


# -- tune ------------------------------------------------------------------------------------------------------------


def test_tune_says_what_it_did():
    cascade = two()
    assert cascade.tune(TEXTS * 100, ["a", "b", "a", "b"] * 100, agreement=0.7, confidence=0.9) is cascade
    tuning = cascade.tuning_
    # The third text differs, at confidence 0.55: a quarter of the texts may agree by being passed on.
    assert (tuning.kind, tuning.value, tuning.confidence, tuning.needed, tuning.note) == (
        "agreement", 0.7, 0.9, 7, None
    )  # fmt: skip
    assert cascade.threshold_ == 0.0
    assert tuning.report.student_agreement == tuning.report.agreement == 0.75
    assert tuning.report.accuracy == {"student": 0.75, "teacher": 1.0, "cascade": 0.75}
    cascade.tune(TEXTS * 100, agreement=0.9)
    assert cascade.threshold_ == pytest.approx(0.575)
    report = cascade.tuning_.report
    assert (report.n, report.passed_on, report.share, report.agreement) == (400, 100, 0.25, 1.0)
    assert (report.accuracy, report.labelled) == ({}, 0)
    assert cascade.threshold is None  # a parameter is never changed
    cascade.tune(TEXTS * 100, agreement=0.7, later=50)
    assert (cascade.tuning_.later, cascade.threshold_) == (50, pytest.approx(0.575))
    assert "0.7, at 0.95 confidence, of the next 50 texts" in report_table(cascade.tuning_, teacher=True)
    assert Tuning.from_dict(cascade.tuning_.as_dict()) == cascade.tuning_


def test_the_teachers_probabilities_can_be_given():
    asked, told = two(), two()
    asked.tune(TEXTS * 200)
    proba = Spelled(["b", "a"], 2).predict_proba(TEXTS * 200)
    told.tune(TEXTS * 200, teacher_proba=proba)
    assert told.teacher.calls == []
    assert told.threshold_ == asked.threshold_ == pytest.approx(0.575)
    assert (told.tuning_.value, told.tuning_.confidence) == (0.995, 0.95)
    assert told.tuning_.report.speed is None
    assert asked.tuning_.report.speed > 0
    with pytest.raises(InvalidParameterError, match=r"teacher's probabilities must be of shape \(4, 2\); got \(800, 2"):
        told.tune(TEXTS, teacher_proba=proba)


def test_too_few_texts_are_told_and_pass_everything_on():
    cascade = two()
    with pytest.warns(TlclassicWarning, match=r"agreement=0.995 at confidence=0.95 cannot be shown on 4 texts: .* 598"):
        cascade.tune(TEXTS)
    assert cascade.threshold_ == math.inf
    assert cascade.tuning_.needed == 598
    assert cascade.predict_with_source(TEXTS)[1].tolist() == ["teacher"] * 4
    assert cascade.tuning_.as_dict()["threshold"] is None
    with pytest.warns(TlclassicWarning, match="cannot be shown at any threshold: the student errs too often where it"):
        cascade.tune(["0.9 0.1 1 0"] * 1000)


def test_accuracy_without_a_teacher():
    texts = ["0.9 0.1"] * 300 + ["0.6 0.4"] * 200
    labels = ["a"] * 300 + ["a", "b"] * 100
    # Texts of one kind after another would all be set apart or none: every tenth is, of both kinds.
    cascade = Cascade(Spelled(["a", "b"])).tune(texts, labels, accuracy=0.95)
    assert cascade.threshold_ == 0.9
    assert cascade.tuning_.report.accuracy == {"student": 0.8, "cascade": 1.0}
    assert cascade.tuning_.report.share == 0.4
    assert cascade.predict(["0.9 0.1", "0.1 0.9", "0.6 0.4"]).tolist() == ["a", "b", "unsure"]
    assert cascade.answer(texts).report.passed_on == 200
    with pytest.warns(TlclassicWarning, match=r"on 60 texts: it takes at least 66"):
        cascade.tune(texts[:100], [*labels[:60], *[None] * 40], accuracy=0.95)


def test_evaluate_counts_labels_that_are_known():
    cascade = two(threshold=0.575)
    report = cascade.evaluate(TEXTS, ["a", "b", None, "c"])
    assert report.labelled == 3
    assert report.accuracy == {role: pytest.approx(2 / 3) for role in ("student", "teacher", "cascade")}
    assert (report.agreement, report.student_agreement, report.passed_on) == (1.0, 0.75, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agreement": 0.9, "share": 0.1}, "agreement and share must not be given together"),
        ({"agreement": 1.0}, "agreement must be above 0 and below 1; got 1.0"),
        ({"agreement": 1.5}, "agreement must be at most 1; got 1.5"),
        ({"confidence": 1}, "confidence must be above 0 and below 1"),
        ({"share": -0.1}, "share must be at least 0; got -0.1"),
        ({"accuracy": 0.9}, "accuracy is for a cascade without a teacher"),
        ({"y": ["a"]}, "texts and y must have as many rows; got 4 and 1"),
        ({"y": [["a"]] * 4}, r"y must hold one label a text; got \['a'\]"),
        ({"later": 0}, "later must be"),
        ({"later": 10, "share": 0.5}, "later goes with agreement; got share"),
        ({"texts": []}, "texts must hold at least one text to set the threshold by"),
        ({"texts": "0.9 0.1"}, "got a single string"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        two().tune(**{"texts": TEXTS, **options})


def test_without_a_teacher_something_must_be_asked_for():
    cascade = Cascade(Spelled(["a", "b"]))
    for options, message in [
        ({}, "accuracy or share must be given"),
        ({"agreement": 0.9}, "agreement must be left out"),
        ({"accuracy": 0.9}, "y must hold the true labels"),
        ({"share": 0.1, "teacher_proba": [[1, 0]]}, "teacher_proba must be left out"),
    ]:
        with pytest.raises(InvalidParameterError, match=message):
            cascade.tune(TEXTS, **options)


def test_models_of_several_tasks_are_refused_by_their_tasks():
    several = Spelled(["a", "b"])
    several.classes_ = {"tone": np.array(["a", "b"]), "topic": np.array(["x", "y"])}
    with pytest.raises(InvalidParameterError, match=r"must be of one task; got one of several \(tone, topic\)"):
        Cascade(several, threshold=0.5).predict(TEXTS)


# -- answers ---------------------------------------------------------------------------------------------------------


def test_hard_texts_go_to_the_teacher_in_one_call_whatever_the_order_of_its_classes():
    cascade = two(threshold=0.7)
    assert cascade.classes_.tolist() == ["a", "b"]
    assert cascade.predict(TEXTS).tolist() == ["a", "b", "a", "b"]
    assert cascade.teacher.calls == [TEXTS[1:3]]
    assert cascade.predict_proba(TEXTS).tolist() == [[0.9, 0.1], [0.1, 0.9], [0.7, 0.3], [0.2, 0.8]]
    answers = cascade.answer(TEXTS)
    assert answers.source.tolist() == ["student", "teacher", "teacher", "student"]
    assert answers.confidence.tolist() == [0.9, 0.6, 0.55, 0.8]
    report = answers.report
    assert (report.n, report.passed_on, report.teacher_texts, report.share) == (4, 2, 2, 0.5)
    assert report.speed == pytest.approx(4 / (report.student_seconds + report.teacher_seconds))
    assert report.as_dict()["share"] == 0.5


def test_the_teacher_is_not_asked_where_the_student_is_sure():
    cascade = two(threshold=0.5)
    assert cascade.predict(TEXTS).tolist() == ["a", "b", "b", "b"]
    assert cascade.teacher.calls == []


def test_nothing_and_one_text():
    cascade = two(threshold=0.7)
    assert cascade.predict([]).tolist() == []
    assert cascade.predict_proba([]).shape == (0, 2)
    assert cascade.answer([]).report.as_dict()["share"] == 0.0
    assert cascade.student.calls == []
    assert cascade.predict(["0.5 0.5 0 1"]).tolist() == ["a"]
    with pytest.raises(InvalidParameterError, match=r"X\[1\] must be a string; got None"):
        cascade.predict(["0.5 0.5 0 1", None])


def test_the_margin():
    student = Spelled([1, 2, 3])
    texts = ["0.5 0.45 0.05", "0.4 0.1 0.5"]
    assert Cascade(student, threshold=0.45).predict(texts).tolist() == [1, 3]
    answers = Cascade(student, threshold=0.08, measure="margin").answer(texts)
    assert answers.confidence == pytest.approx([0.05, 0.1])
    assert answers.labels.tolist() == ["unsure", 3]


@pytest.mark.parametrize(
    ("classes", "unsure", "kind", "expected"),
    [
        (["a", "b"], "no idea", "U", ["a", "no idea"]),
        (["a", "b"], None, "O", ["a", None]),
        ([3, 4], -1, "i", [3, -1]),
        ([3, 4], "unsure", "O", [3, "unsure"]),
        ([False, True], None, "O", [False, None]),
    ],
)
def test_the_answer_where_there_is_none(classes, unsure, kind, expected):
    cascade = Cascade(Spelled(classes), threshold=0.7, unsure=unsure)
    labels = cascade.predict(["0.9 0.1", "0.6 0.4"])
    assert (labels.dtype.kind, labels.tolist()) == (kind, expected)
    assert cascade.predict(["0.9 0.1"]).dtype.kind == kind
    assert type(labels.tolist()[0]) is type(classes[0])


def test_an_answer_that_a_file_could_not_tell_from_a_class():
    with pytest.raises(InvalidParameterError, match="unsure must be none of the classes; got '3'"):
        Cascade(Spelled([3, 4]), threshold=0.7, unsure="3").predict(["0.9 0.1"])
    assert Cascade(Spelled(["None", "b"]), threshold=0.7, unsure=None).predict(["0.6 0.4"]).tolist() == [None]


def test_several_labels():
    thresholds = np.array([0.5, 0.2])
    student = Spelled(["x", "y"], thresholds_=thresholds)
    teacher = Spelled(["y", "x"], 2, multilabel_=True)
    cascade = Cascade(student, teacher, threshold=0.3)
    texts = ["0.9 0.1 0.6 0.4", "0.6 0.9 0.3 0.9", "0.1 0.25 0.2 0.7"]
    answers = cascade.answer(texts)
    # The least way of a probability from its threshold: (0.8, 0.5), (0.2, 0.875), (0.8, 0.0625).
    assert answers.confidence == pytest.approx([0.5, 0.2, 0.0625])
    assert answers.labels.tolist() == [[1, 0], [1, 0], [1, 0]]
    assert answers.proba.tolist() == [[0.9, 0.1], [0.9, 0.3], [0.7, 0.2]]
    assert (cascade.multilabel_, cascade.labels) == (True, ["x", "y"])
    report = cascade.evaluate(texts, [["x"], ["y", "x"], []])
    assert report.accuracy == {"student": pytest.approx(2 / 3), "teacher": 0.0, "cascade": pytest.approx(1 / 3)}
    assert report.student_agreement == 0.0  # all labels must agree
    same = cascade.evaluate(texts, np.array([[1, 0], [1, 1], [0, 0]]))
    assert same.accuracy == report.accuracy
    assert cascade.evaluate(texts[:1], [["x", "z"]]).accuracy["student"] == 0.0  # nobody knows z
    alone = Cascade(student, threshold=0.3)
    assert alone.predict(texts).tolist() == [[1, 0], [-1, -1], [-1, -1]]


def test_several_labels_by_how_many_agree():
    student = Spelled(["x", "y"], thresholds_=np.array([0.5, 0.2]))
    answers = Cascade(student, threshold=0.58, measure="labels").answer(["0.9 0.1", "0.6 0.9", "0.5 0.2", "1 0"])
    # Odds relative to those of the threshold: 9 and 4/9, 1.5 and 36, 1 and 1.
    expected = [(0.8 + 5 / 13) / 2, (0.2 + 35 / 37) / 2, 0.0, 1.0]
    assert answers.confidence == pytest.approx(expected, abs=1e-6)
    assert answers.labels.tolist() == [[1, 0], [-1, -1], [-1, -1], [1, 0]]


def test_a_threshold_at_the_end_of_the_scale_leaves_no_way_beyond_it():
    student = Spelled(["x", "y"], thresholds_=np.array([0.0, 1.0]))
    assert Cascade(student, threshold=0).answer(["0.25 0.25"]).confidence.tolist() == [0.25]


def test_labels_of_models_that_know_column_numbers():
    student, teacher = Spelled([0, 1]), Spelled([0, 1], 2)
    cascade = Cascade(student, teacher, threshold=0.99, student_labels=["x", "y"], teacher_labels=["y", "x"])
    assert cascade.predict(["0.4 0.4 0.9 0.2"]).tolist() == [[0, 1]]
    assert cascade.classes_.tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (Spelled(["a", "c"]), "same classes; only the student knows 'b'; only the teacher knows 'c'"),
        (Spelled([1, 2]), "only the student knows 'a', 'b'; only the teacher knows 1, 2"),
        (Spelled(["a", "b"], multilabel_=True), "the teacher gives several labels a text and the student one label"),
        (object(), "teacher must be a fitted model with predict_proba; got object"),
    ],
)
def test_models_that_do_not_belong_together_are_refused_by_name(teacher, message):
    with pytest.raises(InvalidParameterError, match=message):
        Cascade(Spelled(["a", "b"]), teacher, threshold=0.5).predict(TEXTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "threshold is not set: call tune"),
        ({"threshold": -1}, "threshold must be at least 0; got -1"),
        (
            {"threshold": 0.5, "measure": "entropy"},
            "measure must be one of 'probability', 'margin', 'labels'; got 'entropy'",
        ),
        ({"threshold": 0.5, "measure": "labels"}, "measure must be 'probability' or 'margin' for one label a text"),
        ({"threshold": 0.5, "unsure": "a"}, "unsure must be none of the classes; got 'a'"),
        ({"threshold": 0.5, "unsure": 0.5}, "unsure must be a string, an integer, a boolean or None; got 0.5"),
    ],
)
def test_parameters_are_checked_on_use(options, message):
    cascade = Cascade(Spelled(["a", "b"]), **options)
    with pytest.raises(InvalidParameterError, match=message):
        cascade.predict(TEXTS)


def test_parameters_as_scikit_learn_has_them():
    cascade = two(threshold=0.7)
    copy = clone(cascade)
    assert copy.get_params() == cascade.get_params()
    assert copy.student is cascade.student
    assert copy.set_params(threshold=0.5) is copy
    assert (copy.predict(TEXTS)[2], cascade.predict(TEXTS)[2]) == ("b", "a")
    with pytest.raises(InvalidParameterError, match=r"a parameter of Cascade must be one of .*; got 'treshold'"):
        cascade.set_params(treshold=0.5)
    assert pickle.loads(pickle.dumps(cascade)).predict(TEXTS).tolist() == ["a", "b", "a", "b"]
    assert repr(cascade) == "Cascade(Spelled, then Spelled, threshold 0.7)"
    assert repr(Cascade(Spelled(["a", "b"]))) == "Cascade(Spelled, then nobody, threshold not set)"


def test_reports_of_batches_add_up():
    total = CascadeReport(10, 4, 1.0, 2.0, 4, agreement=0.9) + CascadeReport(30, 0, 1.0)
    assert (total.n, total.passed_on, total.share, total.agreement) == (40, 4, 0.1, None)
    assert (total.student_speed, total.teacher_speed, total.speed) == (20.0, 2.0, 10.0)


def test_a_compiled_student_is_served_without_scikit_learn(tmp_path):
    texts, labels = ["good film", "great plot", "bad film", "dull plot"] * 5, ["+", "+", "-", "-"] * 5
    student = tlclassic.compile(NgramClassifier(bits=12).fit(texts, labels))
    teacher = tlclassic.compile(NgramClassifier(bits=14, char_ngrams=(3, 3)).fit(texts, labels))
    Cascade(student, teacher, threshold=0.55).save(tmp_path / "both")
    code = (
        "import sys, tlclassic\n"
        f"answers = tlclassic.load({str(tmp_path / 'both')!r}).answer(['good plot', 'film'])\n"
        "print(answers.report.passed_on, sum(name.partition('.')[0] in ('sklearn', 'scipy') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "0"]
