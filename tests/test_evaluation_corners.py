"""Corners of the measures and of how they are shown; equality with scikit-learn on any labels."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.evaluation import evaluate_predictions
from tlclassic.evaluation.calibration import binned, calibration_error, wilson_interval
from tlclassic.evaluation.names import displayed, name_of, shortened

RATIOS = {"zero_division": 0.0}


# --- one label a text


def test_log_loss_of_a_certain_mistake_is_finite_as_in_scikit_learn():
    proba = [[1.0, 0.0], [0.0, 1.0]]
    ours = evaluate_predictions(["b", "b"], ["a", "b"], proba, ["a", "b"]).probabilities.log_loss
    assert ours == pytest.approx(metrics.log_loss(["b", "b"], proba, labels=["a", "b"]), rel=1e-12)
    assert ours == pytest.approx(-math.log(2.0**-52) / 2)


def test_a_literal_case():
    truth = ["cat", "cat", "dog", "dog", "dog", "bird"]
    predicted = ["cat", "dog", "dog", "dog", "cat", "cat"]
    ours = evaluate_predictions(truth, predicted)
    assert ours.classes == ["bird", "cat", "dog"]
    assert ours.confusion.tolist() == [[0, 1, 0], [0, 1, 1], [0, 1, 2]]
    assert ours.accuracy == 0.5
    cat = ours.per_class[1]
    assert (cat.precision, cat.recall, cat.support, cat.predicted) == (1 / 3, 0.5, 2, 3)
    assert [score.f1 for score in ours.per_class] == pytest.approx([0, 0.4, 2 / 3])
    assert ours.macro_f1 == pytest.approx((0.4 + 2 / 3) / 3)
    assert ours.weighted_f1 == pytest.approx((0.4 * 2 + 2 / 3 * 3) / 6)


def test_classes_that_only_one_side_has():
    proba = [[0.7, 0.3], [0.4, 0.6], [0.9, 0.1]]
    ours = evaluate_predictions(["new", "b", "a"], ["a", "b", "a"], proba, ["a", "b"])
    assert (ours.classes, ours.unseen_classes) == (["a", "b", "new"], ["new"])
    assert ours.accuracy == 2 / 3
    assert ours.per_class[2].recall == 0.0
    # The model gives a class that it does not know the probability 0.
    expected = -(math.log(2.0**-52) + math.log(0.6) + math.log(0.9)) / 3
    assert ours.probabilities.log_loss == pytest.approx(expected)
    known = evaluate_predictions(["a", "b"], ["a", "b"], classes=["c", "b", "a"])
    assert (known.classes, known.unseen_classes) == (["c", "b", "a"], [])
    # A class that is neither in the truth nor predicted does not lower the mean, as in scikit-learn.
    assert (known.macro_f1, known.per_class[0].f1, known.per_class[0].support) == (1.0, 0.0, 0)
    assert evaluate_predictions(["b"], ["a"]).unseen_classes == []


@pytest.mark.parametrize(
    ("truth", "predicted", "classes"),
    [
        ([3, 1, 1], [3, 3, 1], [1, 3]),
        ([True, False, False], [True, True, False], [False, True]),
        (np.array([3, 1, 1], dtype=np.int8), np.array([3, 3, 1]), [1, 3]),
        (np.array([True, False, False]), [np.True_, np.True_, np.False_], [False, True]),
        (np.array(["b", "a", "a"]), np.array(["b", "b", "a"], dtype=object), ["a", "b"]),
    ],
)
def test_label_types_survive(truth, predicted, classes):
    ours = evaluate_predictions(truth, predicted)
    assert ours.classes == classes
    assert [type(name) for name in ours.classes] == [type(name) for name in classes]
    assert ours.accuracy == 2 / 3
    assert json.loads(json.dumps(ours.as_dict()))["classes"] == classes


def test_a_single_text():
    ours = evaluate_predictions(["a"], ["a"], [[1.0]], ["a"])
    assert (ours.n, ours.accuracy, ours.macro_f1, ours.confusion.tolist()) == (1, 1.0, 1.0, [[1]])
    assert (ours.probabilities.log_loss, ours.probabilities.brier) == (0.0, 0.0)
    assert ours.accuracy_interval == (pytest.approx(0.20654931437), 1.0)


# --- several labels a text


def test_multilabel_rows_may_be_empty_and_the_order_does_not_matter():
    ours = evaluate_predictions([["b", "a"], [], ["c"]], [("a", "b"), set(), ["a"]])
    assert (ours.accuracy, ours.classes, ours.hamming_loss) == (2 / 3, ["a", "b", "c"], 2 / 9)
    none = evaluate_predictions([[], []], [[], []])
    assert (none.accuracy, none.macro_f1, none.micro_f1, none.classes, none.hamming_loss) == (1.0, 0.0, 0.0, [], 0.0)
    assert json.dumps(none.as_dict())
    assert "exact match" in str(none)
    unknown = evaluate_predictions([["x"], ["a"]], [[], ["a"]], [[0.4, 0.1], [0.9, 0.1]], ["a", "b"])
    assert (unknown.unseen_classes, unknown.classes, unknown.accuracy) == (["x"], ["a", "b", "x"], 0.5)


def test_a_label_that_is_there_twice_counts_once():
    ours = evaluate_predictions([["a", "a"]], [["a"]])
    assert (ours.accuracy, ours.per_class[0].support) == (1.0, 1)


# --- intervals and calibration


@pytest.mark.parametrize(
    ("successes", "n", "interval"),
    [
        # Agresti and Coull 1998 print 0.722 for 10 of 10; Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29.
        (10, 10, (0.7225, 1.0)),
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_interval(successes, n, interval):
    assert wilson_interval(successes, n) == pytest.approx(interval, abs=5e-5)


def test_calibration_error_by_hand():
    # Bins of 1/15: 0.95 and 0.97 share the last, 0.62 is alone in (0.6, 0.6667], 0.4 ends its bin (0.3333, 0.4].
    proba = [[0.95, 0.05], [0.03, 0.97], [0.62, 0.38], [0.6, 0.4]]
    truth = ["a", "a", "b", "a"]
    ours = evaluate_predictions(truth, ["a", "b", "a", "a"], proba, ["a", "b"]).probabilities
    filled = {place: bin for place, bin in enumerate(ours.bins) if bin.count}
    assert {place: (bin.count, bin.accuracy) for place, bin in filled.items()} == {
        8: (1, 1.0),
        9: (1, 0.0),
        14: (2, 0.5),
    }
    assert filled[14].confidence == pytest.approx(0.96)
    assert ours.expected_calibration_error == pytest.approx((2 * 0.46 + 0.62 + 0.4) / 4)
    assert len(ours.bins) == 15
    assert [(bin.low, bin.high) for bin in ours.bins][::7] == [(0.0, 1 / 15), (7 / 15, 8 / 15), (14 / 15, 1.0)]


def guo(confidences, true):
    """Guo et al. 2017, section 2: the sum over bins ((m-1)/M, m/M] of |B_m|/n · |acc(B_m) - conf(B_m)|."""
    error = 0.0
    for m in range(1, 16):
        inside = [i for i, c in enumerate(confidences) if (m - 1) / 15 < c <= m / 15 or (m == 1 and c == 0)]
        if inside:
            accuracy = np.mean([float(true[i]) for i in inside])
            error += len(inside) / len(confidences) * abs(accuracy - np.mean([confidences[i] for i in inside]))
    return error


edges = st.integers(0, 15).map(lambda m: m / 15)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.one_of(edges, st.floats(0, 1)), st.booleans()), min_size=1, max_size=60))
def test_calibration_error_equals_an_independent_reading(rows):
    confidences, true = zip(*rows, strict=True)
    bins = binned(np.array(confidences), np.array(true))
    assert calibration_error(bins) == pytest.approx(guo(confidences, true), abs=1e-12)
    assert sum(bin.count for bin in bins) == len(rows)
    for bin in bins:
        assert bin.count == sum(bin.low < c <= bin.high or (bin.low == 0 and c == 0) for c in confidences)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abce")), min_size=1, max_size=30))
def test_any_labels_equal_scikit_learn(pairs):
    truth, predicted = map(list, zip(*pairs, strict=True))
    ours = evaluate_predictions(truth, predicted)
    assert ours.macro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="macro", **RATIOS), abs=1e-12)
    assert ours.accuracy == metrics.accuracy_score(truth, predicted)
    low, high = ours.accuracy_interval
    assert 0 <= low <= ours.accuracy <= high <= 1


@st.composite
def sets_of_labels(draw):
    n = draw(st.integers(1, 20))
    return [draw(st.lists(st.lists(st.sampled_from("abc"), unique=True), min_size=n, max_size=n)) for _ in range(2)]


@settings(max_examples=50)
@given(sets_of_labels())
def test_any_sets_equal_scikit_learn(sets):
    there, said = (np.array([[name in labels for name in "abc"] for labels in part]) for part in sets)
    ours = evaluate_predictions(*sets)
    assert ours.accuracy == metrics.accuracy_score(there, said)
    assert ours.micro_f1 == pytest.approx(metrics.f1_score(there, said, average="micro", **RATIOS), abs=1e-12)
    occurring = (there | said).any(axis=0)
    macro = metrics.f1_score(there, said, average=None, **RATIOS)[occurring]
    assert ours.macro_f1 == pytest.approx(macro.mean() if len(macro) else 0.0, abs=1e-12)


# --- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a", 1], ["a", "a"]), r"all labels must be of one type; got int, str\. Convert the truth"),
        ((["a"], ["a"], None, ["a", 1]), r"all labels must be of one type"),
        (([["a"], ["b", 1]], [[], []]), r"all labels must be of one type"),
        ((["a", None], ["a", "a"]), r"y_true\[1\] must be a string, an integer or a boolean; got None"),
        ((["a"], [b"a"]), r"y_pred\[0\] must be a string"),
        (([["a"]], ["a"]), r"must both hold labels, or both lists of labels"),
        (([["a"], "ab"], [["a"], ["b"]]), r"y_true must hold labels or lists of labels, not both"),
        (([[["a"]]], [["a"]]), r"y_true\[0\] must be a string"),
        (("ab", "ab"), r"y_true must be a list of labels, or of lists of labels; got 'ab'"),
        ((np.eye(2, dtype=int), np.eye(2, dtype=int)), r"y_true must be a list .* got an array of shape \(2, 2\)"),
        ((["a"], ["a"], None, []), r"classes must be a list of at least one label; got \[\]"),
        ((["a"], ["a"], None, [["a"]]), r"classes must be a list of at least one label; got \[\['a'\]\]"),
        ((["a"], ["a"], [1.0], ["a"]), r"proba must have shape \(1, 1\)"),
        ((["a"] * 2, ["a"] * 2, [[0.5, 0.5], [0.9, 0.9]], ["a", "b"]), r"must add up to 1, row 1 has 1\.8"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InvalidParameterError, match=message):
        evaluate_predictions(*arguments)


def test_probabilities_in_half_precision_are_taken():
    scores = np.random.default_rng(0).normal(size=(20, 77))
    proba = (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).astype(np.float16)
    ours = evaluate_predictions([0] * 20, proba.argmax(axis=1), proba, list(range(77)))
    assert ours.probabilities.log_loss > 0


def test_labels_given_are_left_alone():
    truth, predicted, proba = [["b", "a"]], [["a"]], np.array([[0.5, 1.0000001]])
    evaluate_predictions(truth, predicted, proba, ["a", "b"])
    assert (truth, predicted, proba.tolist()) == ([["b", "a"]], [["a"]], [[0.5, 1.0000001]])


# --- labels as they are shown


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("two\nlines\t", r"two\nlines\t"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("half \ud800", r"half \ud800"),
        ("a\u2028b", r"a\u2028b"),
        ("", "''"),
        ("naïve 東京 👩\u200d🚀", "naïve 東京 👩\u200d🚀"),
        (True, "True"),
        (-3, "-3"),
    ],
)
def test_names_cannot_act(label, name):
    assert name_of(label) == name


@pytest.mark.parametrize(
    ("label", "width", "cut"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("東京都", 6, "東京都"),
        ("東京都", 5, "東京…"),
        ("東京都", 4, "東…"),
    ],
)
def test_names_are_cut_to_columns(label, width, cut):
    assert shortened(label, width) == cut
    assert displayed(cut) <= width


def test_displayed_columns():
    assert [displayed(text) for text in ("ab", "東京", "e\u0301", "👩\u200d🚀", "é")] == [2, 4, 1, 4, 1]


def test_table_is_aligned_whatever_the_labels():
    labels = ["東京", "two\nlines", "e\u0301te\u0301", "x" * 60, "plain", ""]
    table = str(evaluate_predictions(labels * 2000, labels * 2000)).split("\n\n")[1].split("\n")
    assert len(table) == 1 + len(labels)
    assert {displayed(line) for line in table} == {40 + len("  precision  recall      F1  texts")}
    assert all(line.endswith("  2,000") for line in table[1:])


def test_many_unknown_classes_do_not_fill_the_terminal():
    truth = [f"new {place:02}" for place in range(30)]
    text = str(evaluate_predictions(truth, ["a"] * 30, classes=["a"]))
    assert "unknown to the model  new 00, new 01, " in text
    assert "new 19 and 10 more\n" in text


def test_page_escapes_every_place_of_a_label(tmp_path):
    label, other = "<b>&\"'", "line\nend"
    evaluation = evaluate_predictions([label, other, "new>"], [other, label, label], classes=[label, other])
    evaluation.to_html(tmp_path / "page.html", title=label)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>&" not in page
    escaped = "&lt;b&gt;&amp;&quot;&#x27;"
    assert f"<title>{escaped}</title>" in page
    assert f"<h1>{escaped}</h1>" in page
    assert f"<td>{escaped}</td>" in page
    assert f"<title>{escaped} taken for line\\nend: 1 (100.0% of 1)</title>" in page
    assert "Unknown to the model: new&gt;." in page


def test_a_map_without_some_classes_keeps_the_shares_of_all_texts(tmp_path):
    names = [f"c{place:03}" for place in range(101)]
    # c000 is once taken for c100, which is left out as the last of those with the fewest errors.
    truth, told = ["c000"] * 4 + names[1:], ["c000"] * 3 + ["c100"] + [*names[2:100], "c001", "c100"]
    evaluate_predictions(truth, told, classes=names).to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The 100 of 101 classes with the most errors." in page
    drawn = page[page.index("<svg") : page.index("</svg>")]
    assert "c100" not in drawn
    assert "c000 found: 3 (75.0% of 4)" in drawn


def test_an_interrupted_page_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    evaluation = evaluate_predictions(["a"], ["a"])
    evaluation.to_html(path, title="old")

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("tlclassic.storage.atomic.os.replace", fail)
    with pytest.raises((OSError, InputError), match="no space left"):
        evaluation.to_html(path, title="new")
    assert "<h1>old</h1>" in path.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
