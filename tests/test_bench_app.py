"""``tlclassic bench``, run in-process; exit codes: 0 done, 2 wrong use, 1 failed."""

from __future__ import annotations

import json
import sys

import pytest

from tests.comparison_cases import measure_inside, sample
from tlclassic.app.main import _run


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with train.tsv, dev.tsv, test.tsv and more.txt as the current folder."""
    monkeypatch.chdir(tmp_path)
    for part, most in (("train", 80), ("dev", 30), ("test", 30)):
        rows = zip(*sample(part, most), strict=True)
        (tmp_path / f"{part}.tsv").write_text("text\ttopic\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    first = sample("test", 1)[0][0]
    (tmp_path / "more.txt").write_text(f"where is my parcel\n{first}\nthe bill is wrong\nwhere is my parcel\n")
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run ``tlclassic bench``; gives exit code, stdout and stderr."""
    measure_inside(monkeypatch)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tlclassic", "bench", *map(str, arguments)])
        code = _run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


ARGUMENTS = ("train.tsv", "test.tsv", "--label", "topic", "--out", "out", "--repeats", "1")


def test_a_table_a_page_and_json(files, run):
    code, out, err = run(*ARGUMENTS, "--dev", "dev.tsv", "--models", "tfidf, vectors", "--unlabelled", "more.txt")
    assert code == 0, err
    lines = out.splitlines()
    # Of the texts without labels one comes twice and one is a test text.
    assert lines[0] == "80 training texts, 30 to choose by, 30 test texts, 2 without labels; 3 classes"
    assert lines[3].split()[:3] == ["TF-IDF", "+", "LR"]
    assert lines[5] == "left out: vectors: no word vectors were given. Give some with --vectors"
    assert "tfidf: fitting\ntfidf: measuring\n" in err
    assert err.endswith("wrote out/bench.json and out/bench.html\n")
    kept = json.loads((files / "out" / "bench.json").read_text())
    assert kept["rows"][0]["name"] == "tfidf"
    assert list(kept["files"]) == ["train.tsv", "test.tsv", "dev.tsv", "more.txt"]
    assert "<h1>train.tsv and test.tsv</h1>" in (files / "out" / "bench.html").read_text()


def test_a_table_without_a_model_is_a_failure(files, run):
    code, out, _ = run(*ARGUMENTS, "--models", "vectors")
    assert code == 1
    assert "left out: vectors: no word vectors were given" in out


def test_json_on_stdout_and_a_page_elsewhere(files, run):
    code, out, _ = run(*ARGUMENTS, "--models", "nbsvm", "--time", "2m", "--report", "page.html", "--json")
    assert code == 0
    found = json.loads(out)
    assert found == json.loads((files / "out" / "bench.json").read_text())
    assert (found["held_out"], found["texts"]) == (True, {"train": 72, "dev": 8, "test": 30, "unlabelled": 0})
    assert (files / "page.html").exists()
    assert not (files / "out" / "bench.html").exists()


def test_a_model_can_be_added_later(files, run):
    run(*ARGUMENTS, "--models", "tfidf")
    code, out, err = run(*ARGUMENTS, "--models", "tfidf,nbsvm")
    assert code == 0
    assert err.startswith("tfidf: fitted before\nnbsvm: ")
    assert [line.split()[0] for line in out.splitlines()[3:5]] == ["TF-IDF", "NB-SVM"]


def test_the_saved_models_know_their_columns(files, run, monkeypatch, capsys):
    run(*ARGUMENTS, "--models", "tfidf")
    monkeypatch.setattr(sys, "argv", ["tlclassic", "evaluate", "out/models/tfidf.tlc", "test.tsv", "--json"])
    assert _run() == 0
    kept = json.loads((files / "out" / "bench.json").read_text())
    assert json.loads(capsys.readouterr().out)["accuracy"] == kept["rows"][0]["accuracy"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--time", "soon"), 2, "--time must be above 0, such as 90s, 30m or 1h; got 'soon'"),
        (("--models", "tfidf,svm"), 2, "--models must be one of 'tfidf', 'nbsvm'"),
        (("--dev", "none.tsv"), 1, "none.tsv: there is no such file or folder"),
        (("--encoder", "none"), 1, "none: there is no such file or folder"),
        (("--unlabelled", "none.txt"), 1, "none.txt: there is no such file or folder"),
        (("--report", "train.tsv"), 2, "the output must not replace an input"),
        (("--out", "."), 1, "this folder holds other files"),
        (("--text", "body"), 1, "body"),
        (("--max-size", "huge"), 2, "--max-size must be a size"),
    ],
)
def test_what_is_refused_before_any_work(files, run, arguments, code, message):
    found, out, err = run(*ARGUMENTS, "--models", "tfidf", *arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert not (files / "out" / "models").exists()
