"""``tlclassic tag``: train, predict and evaluate on the command line."""

from __future__ import annotations

import json

import pytest

from tlclassic import TokenTagger

CONLL = """Anna B-PER
flew O
to O
New B-LOC
York I-LOC

Ben B-PER
is O
late O

New B-LOC
York I-LOC
is O
hot O
"""
TRAIN = ("--vectors", "none")


@pytest.fixture
def train_file(tmp_path):
    path = tmp_path / "train.conll"
    path.write_text(CONLL, "utf-8")
    return path


def test_a_tagger_is_trained_measured_and_applied(run, train_file, tmp_path):
    model = tmp_path / "ner.tlc"
    code, out, said = run("tag", "train", train_file, "--dev", train_file, "--out", model, *TRAIN, "--json")
    assert code == 0, said
    assert json.loads(out)["tags"]["score"] == 1.0
    assert json.loads(run("tag", "evaluate", model, train_file, "--json")[1])["tags"]["score"] == 1.0
    texts = tmp_path / "texts.txt"
    texts.write_text("Ben flew to New York\n", "utf-8")
    code, out, _ = run("tag", "predict", model, texts, "--lines")
    assert (code, json.loads(out)["tags"]) == (0, ["B-PER", "O", "O", "B-LOC", "I-LOC"])


def test_options_reach_the_tagger(run, train_file, tmp_path):
    model = tmp_path / "ner.tlc"
    options = ("--learning-rate", "0.4", "--min-count", "2", "--epochs", "3", "--dropout", "0.1", "--seed", "7")
    code, _, said = run("tag", "train", train_file, "--out", model, "--full", *TRAIN, *options)
    assert code == 0, said
    found = TokenTagger.load(model).get_params()
    assert {name: found[name] for name in ("learning_rate", "min_count", "epochs", "dropout", "random_state")} == {
        "learning_rate": 0.4, "min_count": 2, "epochs": 3, "dropout": 0.1, "random_state": 7,
    }  # fmt: skip


def test_what_is_refused_leaves_no_file(run, train_file, tmp_path):
    out = tmp_path / "ner.tlc"

    def refused(code, *arguments):
        found, shown, said = run("tag", "train", *arguments, "--out", out, *TRAIN)
        assert (found, shown, out.exists()) == (code, "", False)
        return said

    empty = tmp_path / "empty.conll"
    empty.write_text("")
    assert f"{empty}: the file is empty" in refused(1, empty)
    assert "nothing.conll: cannot read it" in refused(1, tmp_path / "nothing.conll")
    assert "learning_rate must be at least 1e-06; got 0.0" in refused(2, train_file, "--learning-rate", "0")
    assert "--reach" in refused(2, train_file, "--reach", "-2")
