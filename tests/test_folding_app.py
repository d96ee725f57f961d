"""``tlclassic compile``, run in-process."""

from __future__ import annotations

import json
import sys

import pytest
import typer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from typer.testing import CliRunner

import tlclassic
from tlclassic import NgramClassifier, NgramVectorizer
from tlclassic.app.compile import compile as compile_command
from tlclassic.app.main import _run
from tlclassic.app.train import train as train_command
from tlclassic.errors import InvalidParameterError
from tlclassic.pipelines import save

WORDS = ["parcel", "late", "broken", "bill", "charged", "wrong", "the", "is"]
ROWS = [("the parcel is late", "delivery"), ("parcel broken", "delivery"), ("the bill is wrong", "billing")]
ROWS = [*ROWS, ("charged wrong", "billing")] * 5


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a folder with train.tsv, dev.tsv and glove.txt; gives its stdout."""
    monkeypatch.chdir(tmp_path)
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / name).write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS))
    (tmp_path / "glove.txt").write_text(
        "".join(f"{word} {i % 3} {i % 2} {i / 7:.3f}\n" for i, word in enumerate(WORDS))
    )
    app = typer.Typer()
    app.command("train")(train_command)
    app.command("compile")(compile_command)

    def call(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_a_trained_model(run, tmp_path):
    run("train", "train.tsv", "--features", "vectors:glove.txt", "--out", "model.tlc")
    shown = run("compile", "model.tlc", "--out", "small.tlc", "--dev", "dev.tsv", "--dtype", "int8")
    lines = shown.splitlines()
    assert [line.split()[0] for line in lines] == ["step", "source", "folded", "int8", "saved"]
    assert lines[3].split()[4:] == ["1.0000", "1.0000", "1.0000"]
    size = (tmp_path / "small.tlc").stat().st_size
    assert lines[-1] == f"saved small.tlc ({size:,} bytes)"
    small = tlclassic.load(tmp_path / "small.tlc")
    assert small.predict(["parcel broken", "the bill is wrong"]).tolist() == ["delivery", "billing"]


def test_what_the_file_says_of_its_making(run, tmp_path):
    run("train", "train.tsv", "--features", "vectors:glove.txt", "--out", "model.tlc")
    report = json.loads(run("compile", "model.tlc", "--out", "small.tlc", "--json"))
    assert report["model"] == "small.tlc"
    assert [step["step"] for step in report["steps"]] == ["folded"]
    provenance = tlclassic.load(tmp_path / "small.tlc").metadata["provenance"]
    assert provenance["task"]["text"] == "text"
    assert provenance["training"]["n"] == 20
    assert len(provenance["training"]["sha256"]) == len(provenance["source"]["sha256"]) == 64


def test_max_size(run, tmp_path):
    model = NgramClassifier(char_ngrams=(2, 5), bits=16).fit(*map(list, zip(*ROWS, strict=True)))
    save(model, "model.tlc", metadata={"task": {"text": "text", "label": "label"}})
    report = json.loads(
        run("compile", "model.tlc", "-o", "small.tlc", "--max-size", "21kB", "--dev", "dev.tsv", "--json")
    )
    assert report["bytes"] == (tmp_path / "small.tlc").stat().st_size <= 21_000
    assert report["steps"][-1]["accuracy"] == 1.0


def test_multilabel(run, tmp_path):
    rows = [json.dumps({"text": text, "label": [label, "urgent"][: 1 + i % 2]}) for i, (text, label) in enumerate(ROWS)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows) + "\n")
    run("train", "train.jsonl", "--features", "vectors:glove.txt", "--out", "model.tlc")
    report = json.loads(run("compile", "model.tlc", "-o", "small.tlc", "--dev", "train.jsonl", "--json"))
    assert report["steps"][0]["accuracy"] == report["steps"][1]["accuracy"]
    assert tlclassic.load("small.tlc").classes_.tolist() == ["billing", "delivery", "urgent"]


def test_refusals(run, tmp_path):
    texts, labels = map(list, zip(*ROWS, strict=True))
    save(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels), "tfidf.tlc")
    with pytest.raises(InvalidParameterError, match=r"'tfidfvectorizer' .*NgramVectorizer"):
        run("compile", "tfidf.tlc", "--out", "small.tlc")
    assert not (tmp_path / "small.tlc").exists()
    with pytest.raises(InvalidParameterError, match="--max-size must be a size such as '2MB'"):
        run("compile", "tfidf.tlc", "--out", "small.tlc", "--max-size", "huge")
    with pytest.raises(InvalidParameterError, match="the output must not replace an input"):
        run("compile", "tfidf.tlc", "--out", "tfidf.tlc")
    save(NgramClassifier(bits=8).fit(texts, labels), "model.tlc")
    run("compile", "model.tlc", "--out", "small.tlc")
    with pytest.raises(InvalidParameterError, match="compiled already"):
        run("compile", "small.tlc", "--out", "again.tlc")


def test_without_probabilities(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dev.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS))
    texts, labels = map(list, zip(*ROWS, strict=True))
    tlclassic.compile(make_pipeline(NgramVectorizer(bits=8), LinearSVC()).fit(texts, labels)).save("small.tlc")
    monkeypatch.setattr(sys, "argv", ["tlclassic", "evaluate", "small.tlc", "dev.tsv", "--json"])
    assert _run() == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0
    monkeypatch.setattr(sys, "argv", ["tlclassic", "predict", "small.tlc", "dev.tsv", "--proba"])
    assert _run() == 2
    assert "needs a head with probabilities" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-size", "10"], "error: --max-size=10 bytes is too small"),
        (["--prune", "1.5"], "error: --prune must be below 1; got 1.5."),
    ],
)
def test_errors_name_the_option(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    texts, labels = map(list, zip(*ROWS, strict=True))
    save(NgramClassifier(bits=8).fit(texts, labels), "model.tlc")
    monkeypatch.setattr(sys, "argv", ["tlclassic", "compile", "model.tlc", "--out", "small.tlc", *arguments])
    assert _run() == 2
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize(
    "task", ["x", ["text"], None, {"text": 5, "label": ["a"], "separator": 3, "multilabel": "yes"}]
)
def test_a_task_that_makes_no_sense_is_passed_over(task, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dev.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS))
    texts, labels = map(list, zip(*ROWS, strict=True))
    model = NgramClassifier(bits=8).fit(texts, labels)
    tlclassic.compile(model, provenance={"task": task}).save("small.tlc")
    for verb in ("predict", "evaluate"):
        monkeypatch.setattr(sys, "argv", ["tlclassic", verb, "small.tlc", "dev.tsv"])
        assert _run() == 0
    assert capsys.readouterr().err == ""
