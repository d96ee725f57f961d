"""A student held against its teacher: the numbers."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from scipy.stats import binomtest

import tlclassic
from tlclassic.distillation import Baseline, ModelCost, Speed, fidelity, measure_speed
from tlclassic.distillation.fidelity_bootstrap import Cells
from tlclassic.distillation.fidelity_examples import _spans
from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.evaluation import evaluate_predictions


class Model:
    """Gives the rows of a table for the texts "0", "1", ..."""

    def __init__(self, classes, proba):
        self.classes_ = np.array(classes)
        self.proba = np.asarray(proba, dtype=float)

    def predict_proba(self, texts):
        return self.proba[[int(text) for text in texts]]


class Sets(Model):
    """With a threshold of its own for each label."""

    def __init__(self, classes, proba, thresholds):
        super().__init__(classes, proba)
        self.thresholds = np.asarray(thresholds)

    def predict(self, texts):
        return (self.predict_proba(texts) >= self.thresholds).astype(int)


TEXTS = [str(place) for place in range(10)]
TRUTH = ["a"] * 5 + ["b"] * 5


def wrong_on(places, sure=0.8):
    """Probabilities of a and b that are right but for some texts."""
    right = np.array([label == "a" for label in TRUTH])
    right[list(places)] ^= True
    return np.where(right[:, None], [sure, 1 - sure], [1 - sure, sure])


def small(**options):
    student, plain = Model(["a", "b"], wrong_on([0, 1, 9], 0.7)), Model(["a", "b"], wrong_on(range(5)))
    options = {"classes": ["a", "b"], "undistilled": plain, **options}
    return fidelity(TEXTS, TRUTH, wrong_on([0, 9]), student, **options)


def test_scores_of_ten_texts():
    report = small()
    assert (report.n, report.metric, report.classes) == (10, "accuracy", ["a", "b"])
    assert [s.accuracy.value for s in (report.teacher, report.student, report.undistilled)] == [0.8, 0.7, 0.5]
    assert report.retention.value == pytest.approx(0.875)
    assert report.difference.value == pytest.approx(-0.1)
    assert report.gap_closed.value == pytest.approx(2 / 3)
    assert report.agreement.value == 0.9
    assert report.disagreements == 1
    counts = report.outcomes
    assert (counts.both, counts.only_teacher, counts.only_student, counts.neither) == (7, 1, 0, 2)


def test_intervals_of_shares_are_wilsons():
    for confidence in (0.9, 0.95):
        report = small(confidence=confidence)
        for found, count in ((report.student.accuracy, 7), (report.agreement, 9)):
            expected = binomtest(count, 10).proportion_ci(confidence, method="wilson")
            assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_interval_of_the_difference_is_that_of_agresti_and_min():
    # One text lost, none gained: half a text added to each of four counts gives (0.5 - 1.5) / 12 in the middle.
    margin = 1.959964 * math.sqrt(2 - 1 / 12) / 12
    found = small().difference
    assert (found.low, found.high) == pytest.approx((-1 / 12 - margin, -1 / 12 + margin), abs=1e-6)


def test_ratios_have_the_interval_of_a_plain_bootstrap():
    rng = np.random.default_rng(5)
    n = 300
    right = rng.random((3, n)) < np.array([[0.9], [0.8], [0.5]])
    truth = rng.integers(0, 3, n)
    told = np.where(right, truth, (truth + 1) % 3)
    proba = np.eye(3)[told] * 0.97 + 0.01
    texts = [str(place) for place in range(n)]
    report = fidelity(
        texts, truth, proba[0], Model([0, 1, 2], proba[1]), classes=[0, 1, 2], undistilled=Model([0, 1, 2], proba[2])
    )
    teacher, student, plain = (right[i][rng.integers(0, n, (4000, n))] for i in range(3))
    shared = rng.integers(0, n, (4000, n))
    teacher, student, plain = (right[i][shared].mean(axis=1) for i in range(3))
    for found, samples in (
        (report.retention, student / teacher),
        (report.gap_closed, (student - plain) / (teacher - plain)),
    ):
        assert (found.low, found.high) == pytest.approx(np.quantile(samples, [0.025, 0.975]), abs=0.015)


def test_cells_give_the_same_macro_f1_as_evaluation():
    rng = np.random.default_rng(0)
    truth, told = rng.integers(0, 5, 60), rng.integers(0, 4, 60)
    cells = Cells(np.eye(6, dtype=bool)[truth], [np.eye(6, dtype=bool)[told]])
    expected = evaluate_predictions(truth, told)
    assert cells.scores()[0].tolist() == pytest.approx([expected.accuracy, expected.macro_f1])


def test_the_same_seed_gives_the_same_report():
    assert small().as_dict() == small().as_dict()
    cells = Cells(np.eye(2, dtype=bool)[[0, 1, 1, 0]], [np.eye(2, dtype=bool)[[0, 1, 0, 0]]])
    assert (cells.replicates(0) == cells.replicates(0)).all()
    assert (cells.replicates(0) != cells.replicates(1)).any()


def test_no_gap_where_the_teacher_is_not_better():
    assert small(undistilled=Model(["a", "b"], wrong_on([0, 9]))).gap_closed is None
    assert small(undistilled=None).gap_closed is None
    # One text better: many samples have no gap at all.
    unsure = small(undistilled=Model(["a", "b"], wrong_on([0, 1, 9]))).gap_closed
    assert (unsure.value, unsure.low, unsure.high) == (0.0, None, None)


def test_no_retention_of_a_teacher_that_is_never_right():
    report = fidelity(
        TEXTS, TRUTH, wrong_on(range(10)), Model(["a", "b"], wrong_on([])), classes=["a", "b"], examples=3
    )
    assert report.retention is None
    assert len(report.examples) == 3


def test_divergence():
    # 0.9 ln(0.9 / 0.6) + 0.1 ln(0.1 / 0.4)
    report = fidelity(["0"], None, [[0.9, 0.1]], Model([0, 1], [[0.6, 0.4]]), classes=[0, 1])
    assert report.divergence == pytest.approx(0.2262892)
    report = fidelity(["0"], None, [[1.0, 0.0]], Model([0, 1], [[1.0, 0.0]]), classes=[0, 1])
    assert report.divergence == 0.0
    several = fidelity(["0"], None, [[0.9, 0.5]], Model([7, 8], [[0.6, 0.5]]), classes=[7, 8], multilabel=True)
    assert several.divergence == pytest.approx(0.2262892 / 2)


def test_classes_with_the_largest_loss_come_first():
    first, second = small().per_class
    # a: the teacher finds 4 of 5 and gives it to one b, the student 3 of 5 and to one b.
    assert (first.label, first.support, first.told, first.agreement) == ("a", 5, 5, 0.8)
    assert (first.teacher_recall, first.student_recall) == (0.8, 0.6)
    assert (first.teacher_f1, first.student_f1) == pytest.approx((0.8, 2 / 3))
    assert first.loss == pytest.approx(0.8 - 2 / 3)
    assert (second.label, second.agreement) == ("b", 1.0)


def test_calibration_of_both():
    report = small()
    assert report.teacher_calibration.error == pytest.approx(0.0)
    assert report.student_calibration.error == pytest.approx(0.0)
    assert sum(bin.count for bin in report.student_calibration.bins) == 10


def test_without_a_truth():
    student = Model(["a", "b"], wrong_on([0, 1, 9], 0.7))
    report = fidelity(TEXTS, None, wrong_on([0, 9]), student, classes=["a", "b"])
    assert report.agreement.value == 0.9
    assert report.student_calibration.error == pytest.approx(0.2)
    for name in ("teacher", "student", "retention", "difference", "gap_closed", "outcomes", "teacher_calibration"):
        assert getattr(report, name) is None
    assert [(one.label, one.agreement, one.support) for one in report.per_class] == [("a", 0.8, None), ("b", 1.0, None)]
    (example,) = report.examples
    assert (example.position, example.truth, example.student_is_right) == (1, None, None)
    json.dumps(report.as_dict())
    assert "accuracy" not in str(report)


@pytest.mark.parametrize("classes", [[3, 7], [False, True]])
def test_labels_of_other_types(classes):
    truth = [classes[label == "b"] for label in TRUTH]
    student = Model(classes[::-1], wrong_on([0, 1, 9])[:, ::-1])
    report = fidelity(TEXTS, np.array(truth), wrong_on([0, 9]), student, classes=np.array(classes))
    assert report.student.accuracy.value == 0.7
    (example,) = report.examples
    assert (example.truth, example.student_label) == (classes[0], classes[1])
    assert type(report.per_class[0].label) is type(classes[0])
    assert json.loads(json.dumps(report.as_dict()))["classes"] == classes


def test_a_class_that_the_student_or_the_teacher_lacks():
    student = Model(["b"], np.ones((10, 1)))
    truth = [*TRUTH[:9], "new"]
    report = fidelity(TEXTS, truth, wrong_on([]), student, classes=["a", "b"])
    assert report.classes == ["a", "b", "new"]
    assert (report.teacher.accuracy.value, report.student.accuracy.value) == (0.9, 0.4)
    assert {one.label: one.student_f1 for one in report.per_class}["new"] == 0.0


def several(**options):
    truth = [["x"], ["x", "y"], [], ["y"]]
    teacher = [[0.9, 0.2], [0.8, 0.9], [0.1, 0.1], [0.2, 0.7]]
    student = Sets(["x", "y"], [[0.8, 0.1], [0.7, 0.1], [0.2, 0.25], [0.1, 0.4]], [0.5, 0.2])
    return fidelity(["0", "1", "2", "3"], truth, teacher, student, classes=["x", "y"], multilabel=True, **options)


def test_several_labels_by_the_students_own_thresholds():
    report = several()
    assert report.metric == "macro_f1"
    assert (report.teacher.accuracy.value, report.student.accuracy.value) == (1.0, 0.5)
    # The student finds one of the two y, and gives it to one text without.
    assert report.student.macro_f1.value == pytest.approx((1.0 + 0.5) / 2)
    assert report.retention.value == pytest.approx(0.75)
    assert report.difference.value == pytest.approx(-0.25)
    assert report.agreement.value == 0.5
    assert [(one.label, one.loss) for one in report.per_class] == [("y", 0.5), ("x", 0.0)]
    first, second = report.examples
    # Surest of what it says of "y": 0.9 that it is not there, then 0.25 that it is.
    assert (first.position, first.contested, first.student_label, first.teacher_label) == (1, "y", ["x"], ["x", "y"])
    assert (first.student_probability, first.teacher_probability) == (0.1, 0.9)
    assert (second.position, second.truth, second.student_label) == (2, [], ["y"])
    assert "exact match" in str(report)


def test_thresholds_of_the_teacher():
    assert several(teacher_thresholds=[0.5, 0.8]).teacher.accuracy.value == 0.75
    with pytest.raises(InvalidParameterError, match="teacher_thresholds must have one number for each of the 2"):
        several(teacher_thresholds=[0.5])


def sentiment(labels=("neg", "pos", "so")):
    texts = ["good film", "very good", "bad film", "dull film", "a film", "it is so so"] * 3
    truth = ([labels[1], labels[1], labels[0], labels[0]] + [labels[-1]] * 2) * 3
    return tlclassic.NgramClassifier(word_ngrams=(1, 2)).fit(texts, truth)


@pytest.mark.parametrize("labels", [("neg", "pos"), ("neg", "pos", "so")])
def test_weights_sum_to_the_log_odds(labels):
    student = tlclassic.compile(sentiment(labels))
    text = "good good FILM, it is not so good"
    proba = student.predict_proba([text])[0]
    said = int(proba.argmax())
    other = (said + 1) % len(labels)
    report = fidelity([text], None, np.eye(len(labels))[[other]], student, classes=list(labels))
    (example,) = report.examples
    log_odds = math.log(proba[said] / proba[other])
    bias = [student.explain(text, label).bias for label in (labels[said], labels[other])]
    without = log_odds - (bias[0] if len(labels) == 2 else bias[0] - bias[1])
    assert sum(span.weight for span in example.spans) == pytest.approx(without)
    assert any(abs(span.weight) > 0.01 for span in example.spans)
    assert example.ngrams[0].text == "good"
    assert {text[span.start : span.end] for span in example.spans} >= {"good", "FILM", "it"}


def test_weights_of_several_labels_speak_for_the_decision():
    texts = ["good film", "bad film", "good", "dull"] * 3
    fitted = tlclassic.NgramClassifier(multilabel=True).fit(texts, np.array([[1, 1], [0, 1], [1, 0], [0, 0]] * 3))
    student = tlclassic.compile(fitted, classes=["good", "film"])
    report = fidelity(["dull"], [[]], [[0.9, 0.1]], student, classes=["good", "film"], multilabel=True)
    (example,) = report.examples
    assert (example.contested, example.student_label) == ("good", [])
    assert example.spans[0].weight > 0
    # A model that numbers its labels is taken by their places.
    assert fidelity(["dull"], [[]], [[0.9, 0.1]], fitted, classes=["good", "film"], multilabel=True).n == 1


def test_spans_are_words():
    found = _spans("don't 映画 e\u0301te", [("", 0, 5, 5.0), ("", 6, 8, 2.0), ("", 0, 8, 7.0)], 1.0)
    assert [(span.start, span.end) for span in found] == [(0, 3), (3, 4), (4, 5), (6, 7), (7, 8)]
    assert [span.weight for span in found] == pytest.approx([6.0, 2.0, 2.0, 2.0, 2.0])
    assert _spans("e\u0301te", [("", 0, 4, -1.0)], -1.0)[0].end == 4
    assert _spans("", [], 1.0) == []
    assert len(_spans("w " * 1000, [("", 0, 2000, 1.0)], 1.0)) == 200


def test_examples_are_those_the_student_is_surest_of():
    proba = np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]])
    report = fidelity(["0", "1", "2"], None, proba[:, ::-1], Model([0, 1], proba), classes=[0, 1], examples=2)
    assert [one.position for one in report.examples] == [1, 2]
    assert report.disagreements == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": []}, "texts must hold at least one text"),
        ({"y": ["a"]}, "y must have a label for each of the 10 texts; got 1"),
        ({"y": [["a"]] * 10}, "y must hold one label for each text when multilabel=False"),
        ({"y": [1] * 10}, "all labels must be of one type"),
        ({"teacher_proba": [[0.5, 0.5]]}, r"teacher_proba must have shape \(10, 2\)"),
        ({"teacher_proba": np.full((10, 2), np.nan)}, "teacher_proba must be between 0 and 1"),
        ({"classes": []}, "classes must be a list of at least one label"),
        ({"classes": ["a", "a"]}, "classes must be different"),
        ({"student": Model(["a", "c"], wrong_on([]))}, r"student.classes_ must be among classes; got \['c'\]"),
        ({"undistilled": Model(["a", "b"], wrong_on([]) * 2)}, "undistilled.predict_proba must be between 0 and 1"),
        ({"confidence": 95}, "confidence must be at most"),
        ({"examples": -1}, "examples must be at least 0"),
        ({"price_per_core_hour": -1}, "price_per_core_hour must be at least 0"),
        ({"baselines": [Baseline("x", 0.5, 0.0)]}, r"baselines\[0\].texts_per_second must be above 0"),
        ({"teacher_thresholds": [0.5, 0.5]}, "teacher_thresholds must be left out unless multilabel=True"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    given = {"texts": TEXTS, "y": TRUTH, "teacher_proba": wrong_on([0]), "student": Model(["a", "b"], wrong_on([1]))}
    given |= {"classes": ["a", "b"], **change}
    with pytest.raises(InvalidParameterError, match=message):
        fidelity(**given)


def test_costs():
    speed = Speed(ModelCost(200.0, cores=0.9, bytes=23_000_000), ModelCost(1e6))
    report = small(speed=speed, price_per_core_hour=0.36)
    assert speed.factor == 5000
    found = json.loads(json.dumps(report.as_dict()))["speed"]
    assert found["teacher"]["core_seconds_per_million"] == pytest.approx(4500)
    assert found["teacher"]["price_per_million"] == pytest.approx(0.45)
    assert found["student"]["core_seconds_per_million"] == 1.0
    assert "5,000 ×" in str(report)
    assert "0.0001" in str(report)


def test_a_slow_teacher_reads_few_texts_and_a_fast_student_many():
    seen = {"teacher": [], "student": []}

    def teacher(texts):
        seen["teacher"].append(len(texts))
        time.sleep(0.004 * len(texts))

    def student(texts):
        seen["student"].append(len(texts))
        time.sleep(0.02)

    speed = measure_speed(teacher, student, [str(i) for i in range(100)], repeats=2, seconds=0.04)
    assert max(seen["teacher"]) <= 16
    assert min(seen["student"][-2:]) > 16
    assert 50 < speed.teacher.texts_per_second <= 250
    assert speed.factor > 1
    assert speed.student.bytes is None


def test_a_student_is_saved_weighed_and_started(tmp_path):
    student = tlclassic.compile(sentiment())
    student.save(tmp_path / "model.tlc")
    speed = measure_speed(lambda texts: None, student, ["good film"], repeats=1, seconds=0.01, undistilled=student)
    assert speed.student.bytes == (tmp_path / "model.tlc").stat().st_size
    assert speed.student.peak_bytes > 5_000_000
    assert speed.student.startup_seconds > 0.01
    assert speed.undistilled.texts_per_second > 0


def test_measuring_what_cannot_be_measured():
    with pytest.raises(InputError, match=r"nowhere\.tlc: no such file or folder"):
        measure_speed(len, len, ["a"], repeats=1, seconds=0.001, teacher_path="nowhere.tlc")
    with pytest.raises(InvalidParameterError, match="texts must hold at least one text"):
        measure_speed(len, len, [])
    with pytest.raises(InvalidParameterError, match="student must have predict or predict_proba, or be callable"):
        measure_speed(len, 3, ["a"])
