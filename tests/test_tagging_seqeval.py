"""Entity scores equal seqeval's, on legal and illegal tags; skipped where seqeval is not installed."""

from __future__ import annotations

import numpy as np
import pytest

from tlclassic.tagging import entities, entity_scores, repair, to_bilou

metrics = pytest.importorskip("seqeval.metrics", reason="seqeval is not installed")
scheme = pytest.importorskip("seqeval.scheme", reason="seqeval is not installed")

TYPES = ["PER", "LOC", "geo-political"]
LETTERS = {"iob2": "BI", "bilou": "BILU", "bioes": "BIES"}
#: seqeval says so where a type is never found or never wanted; its scores are 0 then, as ours.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _random(letters, n=300, seed=0):
    """Tags drawn one by one: mostly illegal."""
    rng = np.random.default_rng(seed)
    tags = ["O", "O", *(f"{letter}-{kind}" for letter in letters for kind in TYPES)]
    return [rng.choice(tags, rng.integers(0, 9)).tolist() for _ in range(n)]


def _legal(name, seed):
    legal = [repair(tags, "iob2")[0] for tags in _random("BI", seed=seed)]
    if name == "iob2":
        return legal
    bilou = [to_bilou(tags) for tags in legal]
    if name == "bilou":
        return bilou
    letters = {"U": "S", "L": "E"}
    return [[letters.get(tag[0], tag[0]) + tag[1:] for tag in tags] for tags in bilou]


def _changed(truth, others):
    """Predictions of the same lengths: every second sentence as it should be, the rest of other tags."""
    rng = np.random.default_rng(9)
    pool = [tag for tags in others for tag in tags]
    return [tags if i % 2 else rng.choice(pool, len(tags)).tolist() for i, tags in enumerate(truth)]


def _compare(truth, predicted, **options):
    found = entity_scores(truth, predicted)
    report = metrics.classification_report(truth, predicted, output_dict=True, zero_division=0, **options)
    assert found.support == report["micro avg"]["support"] > 300
    for ours, theirs in [(found, report["micro avg"]), *((found.types[kind], report[kind]) for kind in TYPES)]:
        assert ours.precision == pytest.approx(theirs["precision"], abs=1e-12)
        assert ours.recall == pytest.approx(theirs["recall"], abs=1e-12)
        assert ours.f1 == pytest.approx(theirs["f1-score"], abs=1e-12)
        assert ours.support == theirs["support"]
    assert found.macro_f1 == pytest.approx(report["macro avg"]["f1-score"], abs=1e-12)
    assert 0.2 < found.f1 < 1
    return found


@pytest.mark.parametrize("name", ["iob2", "bioes"])
def test_illegal_tags_are_counted_as_in_the_default_mode(name):
    truth = _random(LETTERS[name], seed=1)
    _compare(truth, _changed(truth, _random(LETTERS[name], seed=2)))


def _other(truth, others):
    """Legal predictions: every second sentence as it should be, the rest another sentence of that length."""
    by_length = {len(tags): tags for tags in others}
    return [tags if i % 2 else by_length[len(tags)] for i, tags in enumerate(truth)]


@pytest.mark.parametrize("name", ["iob2", "bioes"])
def test_legal_tags_are_counted_as_in_the_default_mode(name):
    truth = _legal(name, 1)
    _compare(truth, _other(truth, _legal(name, 2)))


@pytest.mark.parametrize(("name", "theirs"), [("iob2", "IOB2"), ("bilou", "BILOU"), ("bioes", "IOBES")])
def test_legal_tags_are_counted_as_in_the_strict_mode(name, theirs):
    truth = _legal(name, 1)
    _compare(truth, _other(truth, _legal(name, 2)), mode="strict", scheme=getattr(scheme, theirs))


@pytest.mark.parametrize("letters", ["BI", "BIES"])
def test_the_entities_are_those_of_seqeval(letters):
    from seqeval.metrics.sequence_labeling import get_entities

    for tags in _random(letters, seed=4):
        theirs = [(kind, first, last + 1) for kind, first, last in get_entities(tags)]
        assert entities(tags) == theirs, tags
