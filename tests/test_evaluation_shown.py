"""An evaluation as a table of text and as a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest

from tlclassic.errors import InputError
from tlclassic.evaluation import evaluate_predictions


def many_classes(k, n=2000):
    rng = np.random.default_rng(0)
    names = [f"class number {place}" for place in range(k)]
    places = rng.integers(0, k, n)
    wrong = rng.random(n) < 0.3
    told = np.where(wrong, (places + 1) % k, places)
    return evaluate_predictions([names[p] for p in places], [names[p] for p in told], classes=names)


def test_table_of_a_few_classes():
    truth = ["good"] * 3 + ["bad"] * 2
    told = ["good", "good", "bad", "bad", "bad"]
    proba = [[0.1, 0.9], [0.2, 0.8], [0.75, 0.25], [0.9, 0.1], [0.8, 0.2]]
    assert str(evaluate_predictions(truth, told, proba, ["bad", "good"])) == (
        "texts              5\n"
        "accuracy           0.8000  (95 % interval 0.3755 to 0.9638)\n"
        "macro-F1           0.8000\n"
        "weighted F1        0.8000\n"
        "log-loss           0.4087\n"
        "Brier score        0.2650\n"
        "calibration error  0.1100\n"
        "\n"
        "class  precision  recall      F1  texts\n"
        "bad       0.6667  1.0000  0.8000      2\n"
        "good      1.0000  0.6667  0.8000      3\n"
        "\n"
        "Most frequent confusions\n"
        "      1  good taken for bad"
    )


def test_table_of_many_classes_shows_the_worst_and_says_so():
    text = str(many_classes(60))
    assert "The 20 worst of 60 classes by F1" in text
    assert text.count("class number") == 20 + 2 * 5
    scores = [float(found) for found in re.findall(r"^class number.* (\d\.\d+) +\d+$", text, re.MULTILINE)]
    assert len(scores) == 20
    assert scores == sorted(scores)


def test_table_of_sets():
    text = str(evaluate_predictions([["a"], ["a", "b"]], [["a"], ["b"]]))
    assert "exact match   0.5000" in text
    assert "Hamming loss  0.2500" in text
    assert "confusions" not in text


class Balance(HTMLParser):
    """Collects tags, and checks that those with contents are closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page_of(evaluation, tmp_path, **options):
    path = tmp_path / "page.html"
    evaluation.to_html(path, **options)
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_self_contained(tmp_path):
    truth, told = ["a", "b", "b", "c"], ["a", "b", "c", "c"]
    proba = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6], [0, 0, 1]]
    page = page_of(evaluate_predictions(truth, told, proba, ["a", "b", "c"]), tmp_path, title="My <model>")
    tags = Balance(page).seen
    assert "<h1>My &lt;model&gt;</h1>" in page
    assert {"script", "link", "img", "iframe"}.isdisjoint(tag for tag, _ in tags)
    assert not re.search(r"https?://|url\(|@import", page)
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(drawing)
    assert "b taken for c: 1 (50.0% of 2)" in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert page.count('class="tile"') == 6


def test_page_escapes_labels(tmp_path):
    hostile = '<script>alert("1")</script>&'
    page = page_of(evaluate_predictions([hostile, "b"], [hostile, hostile]), tmp_path)
    Balance(page)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("k", [1, 2, 30, 31, 100])
def test_confusion_map_has_every_class(tmp_path, k):
    page = page_of(many_classes(k), tmp_path)
    Balance(page)
    map_only = page[page.index("<svg") : page.index("</svg>")]
    assert map_only.count(">class number 0<") == 2
    assert len(re.findall(r">class number \d+</text>", map_only)) == 2 * k


def test_more_than_a_hundred_classes_show_those_with_the_most_errors(tmp_path):
    page = page_of(many_classes(130), tmp_path)
    assert "The 100 of 130 classes with the most errors." in page
    map_only = page[page.index("<svg") : page.index("</svg>")]
    assert len(re.findall(r">class number \d+</text>", map_only)) == 200


def test_page_of_sets_has_no_confusion_map(tmp_path):
    page = page_of(evaluate_predictions([["a"], []], [["a"], ["a"]]), tmp_path)
    Balance(page)
    assert "Confusion matrix" not in page
    assert "Hamming loss" in page


def test_page_into_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        many_classes(2).to_html(tmp_path / "none" / "page.html")
