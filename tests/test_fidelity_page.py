"""A fidelity report as tables, Markdown and a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import numpy as np
import pytest
from test_evaluation_shown import Balance

import tlclassic
from tlclassic.distillation import Baseline, ModelCost, Speed, fidelity
from tlclassic.distillation.fidelity_examples import Disagreement, Span
from tlclassic.distillation.fidelity_excerpts import excerpt
from tlclassic.evaluation.pareto import ParetoPoint, frontier, pareto_plot

SCRIPT = '<script>alert("1")</script>&\''
HOSTILE = [
    SCRIPT + " good",
    "half \ud83d of a pair good",
    "",
    "\u202e turned good",
    "שלום good עולם",
    "line\r\n\tgood \x00\x1b[31m",
    "word " * 3000 + "good " + "word " * 3000,
    "映画 good",
    "x" * 5000,
    "| *star* `tick` [x](http://evil) # good <b>",
]


@pytest.fixture(scope="module")
def student():
    texts = ["good film", "very good", "bad film", "dull film"] * 3
    labels = (["a<b>|"] * 2 + ["\u202eevil\ud800"] * 2) * 3
    return tlclassic.compile(tlclassic.NgramClassifier(char_ngrams=(3, 4)).fit(texts, labels))


@pytest.fixture(scope="module")
def hostile(student):
    classes = student.classes_.tolist()
    speed = Speed(
        ModelCost(200.0, bytes=23_000_000, peak_bytes=90_000_000, startup_seconds=1.5), ModelCost(3e6, bytes=900)
    )
    return fidelity(
        HOSTILE,
        [classes[place % 2] for place in range(len(HOSTILE))],
        student.predict_proba(HOSTILE)[:, ::-1],
        student,
        classes=classes,
        undistilled=student,
        baselines=[Baseline(SCRIPT, 0.4, 2000.0), Baseline("\u202ewide" * 20, 0.41, 2100.0, is_ours=True)],
        speed=speed,
        price_per_core_hour=0.04,
    )


def page_of(report, tmp_path, **options):
    path = tmp_path / "page.html"
    report.to_html(path, **options)
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_self_contained(hostile, tmp_path):
    page = page_of(hostile, tmp_path, title=SCRIPT + "\ud800")
    tags = Balance(page).seen
    assert "<script" not in page
    assert {"script", "link", "img", "iframe", "a"}.isdisjoint(tag for tag, _ in tags)
    assert not any(name.startswith("on") or name in ("href", "src") for _, found in tags for name in found)
    assert not re.search(r"url\(|@import", page)
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(drawing)
    # Nothing that turns or ends a line outside of the page's own.
    assert not re.search(r"[\x00\x1b\u202e]", page)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_page_has_every_part(hostile, tmp_path):
    page = page_of(hostile, tmp_path)
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Side by side", "Accuracy against speed", "Reliability", "Classes, largest loss first", "Where they differ",
    ]  # fmt: skip
    assert page.count('class="example"') == len(HOSTILE)
    assert page.count("calibration error") == 3
    for shown in ("15,000 ×", "23.0 MB", "90.0 MB", "1.50 s", "900 B", "core-seconds per million texts"):
        assert shown in page
    assert "<i>(empty text)</i>" in page
    assert "\u21b5" in page


def test_words_are_marked_by_more_than_colour(hostile, tmp_path):
    page = page_of(hostile, tmp_path)
    marks = re.findall(r'<mark class="([a-z ]+)" style="--w:([\d.]+)" title="(.*?) of the log-odds">(.*?)</mark>', page)
    assert any(text == "good" for *_, text in marks)
    assert {kind.split()[0] for kind, *_ in marks} == {"for", "against"}
    for kind, strength, told, _ in marks:
        assert kind.startswith("for") == told.startswith("+")
        assert 0.08 <= float(strength) <= 0.5
    assert "mark.strong.for::before" in page
    assert "underline dotted" in page


def test_page_without_truth_speed_or_differences(tmp_path):
    class Same:
        classes_ = np.array(["a", "b"])

        def predict_proba(self, texts):
            return np.array([[0.9, 0.1]] * len(texts))

    report = fidelity(["x", "y"], None, [[0.9, 0.1]] * 2, Same(), classes=["a", "b"])
    page = page_of(report, tmp_path, title="Nothing <known>")
    Balance(page)
    assert "<h1>Nothing &lt;known&gt;</h1>" in page
    assert "No labels were given" in page
    assert "against speed" not in page
    assert "<p>Nowhere.</p>" in page
    assert "share that is the teacher&#x27;s" in page
    assert "Where they differ" not in report.to_markdown()


def test_markdown_has_no_markup_of_the_texts(hostile, tmp_path):
    path = tmp_path / "report.md"
    text = hostile.to_markdown(path, title="A *title*")
    assert path.read_bytes() == text.encode()
    assert text.startswith("# A \\*title\\*\n")
    assert "<" not in text
    assert "\\| \\*star\\* \\`tick\\` \\[x\\](http\\://evil) \\# good &lt;b&gt;" in text
    widths = {}
    for line in text.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line))
            widths.setdefault(cells, 0)
            widths[cells] += 1
    # Facts; three models; baselines with three numbers; classes.
    assert sorted(widths) == [4, 5, 7]
    assert max(len(line) for line in text.splitlines()) < 2000


def test_terminal_table():
    class Student:
        classes_ = np.array(["bad", "good"])

        def predict_proba(self, texts):
            return np.array([[0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]])

    teacher = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.3, 0.7]]
    report = fidelity(["w", "x", "y", "z"], ["bad", "bad", "good", "good"], teacher, Student(), classes=["bad", "good"])
    lines = str(report).splitlines()
    assert lines[0].startswith("retention   75.0 % (")
    assert lines[2].startswith("agreement   75.0 % (30.1 to 95.4)")
    assert lines[2].endswith("1 of 4 texts differ")
    assert "accuracy           1.0000 (0.5101 to 1.0000)  0.7500 (0.3006 to 0.9544)" in lines
    assert "bad        2      1.0000      0.6667  +0.3333     50.0 %" in lines
    assert lines[-4:] == ["both right              3", "only the teacher right  1", "only the student right  0",
                          "both wrong              0"]  # fmt: skip


def example(text, spans):
    return Disagreement(0, text, None, "a", "b", None, 0.5, 0.5, spans=spans)


def test_a_long_text_is_cut_around_its_strongest_parts():
    text = "begin " + "word " * 1000 + "HERE " + "word " * 1000
    place = text.index("HERE")
    pieces = excerpt(example(text, [Span(place, place + 4, 2.0)]))
    shown = "".join(piece.text for piece in pieces)
    assert shown.startswith("begin word")
    assert shown.count(" … ") == 2
    assert "word HERE word" in shown
    assert len(shown) < 300
    assert [piece.text for piece in pieces if piece.weight] == ["HERE"]


def test_an_excerpt_is_never_long():
    text = "x" * 100_000
    for spans in ([], [Span(0, 100_000, 1.0)], [Span(at, at + 100, 1.0) for at in range(0, 100_000, 500)]):
        assert sum(len(piece.text) for piece in excerpt(example(text, spans))) < 1200


def test_a_short_text_is_whole():
    pieces = excerpt(example("not good, at all", [Span(4, 8, -1.0), Span(13, 16, 0.5)]))
    assert [(piece.text, piece.weight) for piece in pieces] == [
        ("not ", 0.0), ("good", -1.0), (", at ", 0.0), ("all", 0.5),
    ]  # fmt: skip


def test_frontier():
    points = [
        ParetoPoint(name, accuracy, speed)
        for name, accuracy, speed in [("a", 0.9, 10), ("b", 0.8, 100), ("c", 0.7, 50), ("d", 0.8, 90), ("e", 0.6, 1000)]
    ]
    assert [points[place].name for place in frontier(points)] == ["a", "b", "e"]
    twins = [ParetoPoint("a", 0.5, 10), ParetoPoint("b", 0.5, 10)]
    assert sorted(frontier(twins)) == [0, 1]


def _labels(drawing):
    found = []
    for text in ElementTree.fromstring(drawing).iter("text"):
        if text.get("font-size") == "12.0" and (text.text or "").startswith("model"):
            half = len(text.text) * 12 * 0.6 / 2
            x, y = float(text.get("x")), float(text.get("y"))
            found.append((x - half, y - 12, x + half, y + 3))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_labels_of_a_crowded_plot_do_not_overlap(seed):
    rng = np.random.default_rng(seed)
    points = [
        ParetoPoint(f"model number {place}", 0.8 + 0.1 * rng.random(), 10 ** rng.uniform(2, 6.5), place < 3)
        for place in range(12)
    ]
    boxes = _labels(pareto_plot(points))
    assert len(boxes) == 12
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    assert all(left >= 62 and right <= 740 and top >= 14 and bottom <= 370 for left, top, right, bottom in boxes)


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_a_single_point_lies_in_the_frame(accuracy):
    drawing = pareto_plot(
        [ParetoPoint("model", accuracy, 0.02, True, (max(0, accuracy - 0.1), min(1, accuracy + 0.1)))]
    )
    (mark,) = list(ElementTree.fromstring(drawing).iter("circle"))
    assert 62 <= float(mark.get("cx")) <= 740
    assert 16 <= float(mark.get("cy")) <= 368
