"""``tlclassic tune``, run in-process; exit codes: 0 done, 2 wrong use, 1 failed."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import tlclassic
from tlclassic.app.main import _run

TRAIN = [
    ("the parcel never came", "delivery"),
    ("parcel is late again", "delivery"),
    ("where is the parcel", "delivery"),
    ("my bill is wrong", "billing"),
    ("charged twice on this bill", "billing"),
    ("the bill came twice", "billing"),
] * 4


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with train.tsv and tags.jsonl as the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in TRAIN))
    tags = [{"text": text, "label": [label, "late"] if "late" in text else [label]} for text, label in TRAIN]
    (tmp_path / "tags.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tags))
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run ``tlclassic tune`` with a small search; gives exit code, stdout and stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tlclassic", "tune", *map(str, arguments), "--max-trials", "2"])
        code = _run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_model_a_compiled_one_and_the_search_are_saved(files, run):
    code, out, _ = run("train.tsv", "--out", "m.tlc", "--compiled", "c.tlc", "--trials", "s.json", "--max-size", "1MB")
    assert code == 0
    assert out.startswith("24 texts, 2 classes, 2 trials\naccuracy ")
    assert f"saved c.tlc ({(files / 'c.tlc').stat().st_size:,} bytes)" in out
    assert (files / "c.tlc").stat().st_size <= 1_000_000
    texts = ["where is my parcel", "wrong bill"]
    assert tlclassic.load("m.tlc").predict(texts).tolist() == ["delivery", "billing"]
    assert tlclassic.load("c.tlc").predict(texts).tolist() == ["delivery", "billing"]
    search = json.loads((files / "s.json").read_text())
    assert len(search["trials"]) == 2
    assert search["best"]["score"] == 1.0


def test_json_on_stdout(files, run):
    code, out, _ = run("train.tsv", "--compiled", "c.tlc", "--json", "--dev", "train.tsv", "--threads", "1")
    report = json.loads(out)
    assert code == 0
    assert report["scored_on"] == "dev"
    assert report["classes"] == ["billing", "delivery"]
    assert report["bytes"] == (files / "c.tlc").stat().st_size
    assert len(report["sha256"]) == 64


def test_lists_of_labels(files, run):
    code, out, _ = run("tags.jsonl", "--compiled", "c.tlc", "--out", "m.tlc", "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["metric"], report["multilabel"]) == ("macro_f1", True)
    assert report["classes"] == ["billing", "delivery", "late"]
    model = tlclassic.load("c.tlc")
    assert model.predict(["parcel is late again"]).tolist() == [[0, 1, 1]]
    np.testing.assert_array_equal(model.predict(["my bill"]), tlclassic.load("m.tlc").predict(["my bill"]))


def test_word_vectors_from_a_file(files, run):
    words = ["parcel", "late", "bill", "wrong", "twice", "came"]
    (files / "glove.txt").write_text("".join(f"{word} {i % 3} {i / 7:.3f}\n" for i, word in enumerate(words)))
    code, _, err = run("train.tsv", "--compiled", "c.tlc", "--vectors", "glove.txt", "--limit", "5")
    assert code == 0, err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.tsv"], "nothing would be kept"),
        (["train.tsv", "--out", "a.tlc", "--compiled", "a.tlc"], "must be different files"),
        (["train.tsv", "--out", "train.tsv"], "must not replace an input"),
        (["train.tsv", "--compiled", "no/where.tlc"], "does not exist"),
        (["none.tsv", "--compiled", "c.tlc"], "none.tsv"),
        (["train.tsv", "--compiled", "c.tlc", "--max-size", "huge"], "--max-size must be a size"),
        (["train.tsv", "--compiled", "c.tlc", "--max-size", "1kB"], "too small"),
    ],
)
def test_what_is_refused_before_any_work(files, run, arguments, message):
    code, out, err = run(*arguments)
    assert code in (1, 2)
    assert message in err
    assert out == ""
    assert not (files / "c.tlc").exists()


def test_the_compiled_model_knows_its_columns(files, run, monkeypatch, capsys):
    rows = (files / "train.tsv").read_text().replace("text\tlabel", "body\ttopic", 1)
    (files / "named.tsv").write_text(rows)
    assert run("named.tsv", "--text", "body", "--label", "topic", "--compiled", "c.tlc")[0] == 0
    monkeypatch.setattr(sys, "argv", ["tlclassic", "evaluate", "c.tlc", "named.tsv", "--json"])
    assert _run() == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0
