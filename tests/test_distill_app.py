"""``tlclassic distill`` from the shell, on the embedded sample."""

from __future__ import annotations

import contextlib
import io
import json
import sys

import pytest

from tlclassic import load
from tlclassic.app.main import _run
from tlclassic.data import load_sample


def run(*arguments, code=0):
    """Run a command in this process; gives stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["tlclassic", *map(str, arguments)])
        assert _run() == code, err.getvalue()
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The sample as files, and a teacher trained on it."""
    path = tmp_path_factory.mktemp("distill")
    for split in ("train", "dev", "test"):
        data = load_sample(split).dataset("sentiment")
        rows = [f"{text}\t{label}\n" for text, label in zip(data.texts, data.labels, strict=True)]
        (path / f"{split}.tsv").write_text("text\tlabel\n" + "".join(rows), "utf-8")
    (path / "more.txt").write_text("\n".join(load_sample("unlabelled").texts) + "\n", "utf-8")
    run("train", path / "train.tsv", "--features", "tfidf", "--out", path / "teacher.tlc")
    return path


def test_from_texts_to_a_student_and_a_report(folder, tmp_path):
    out, report = tmp_path / "student.tlc", tmp_path / "fidelity.html"
    shown, _ = run(
        "distill", folder / "teacher.tlc", "--texts", folder / "more.txt", "--train", folder / "train.tsv",
        "--dev", folder / "dev.tsv", "--test", folder / "test.tsv", "--report", report, "--out", out,
        "--effort", "small", "--max-size", "1MB", "--cache", tmp_path / "answers", "--json",
    )  # fmt: skip
    found = json.loads(shown)
    assert found["bytes"] == out.stat().st_size <= 1_000_000
    assert found["texts"]["transfer"] > 200
    assert found["texts"]["dev"] == len(load_sample("dev").dataset("sentiment").texts)
    assert 0 < found["test"]["student"]["accuracy"]["value"] <= 1
    assert report.read_text("utf-8").startswith("<!DOCTYPE html>")
    provenance = load(out).metadata["provenance"]
    assert provenance["teacher"]["name"].endswith("teacher.tlc")
    assert set(map(len, provenance["sha256"].values())) == {64}
    # The teacher's answers are there already: a second student asks nothing.
    again, _ = run(
        "distill", folder / "teacher.tlc", "--texts", folder / "more.txt", "--out", tmp_path / "second.tlc",
        "--effort", "small", "--augment", "none", "--hard-weight", "0.5", "--temperature", "2",
        "--cache", tmp_path / "answers",
    )  # fmt: skip
    assert "temperature: 2.0" in again
    assert "saved " in again


def test_a_file_of_probabilities_is_a_teacher(folder, tmp_path):
    run(
        "predict", folder / "teacher.tlc", folder / "train.tsv", "--proba", "--keep", "text", "--format", "tsv",
        "--output", tmp_path / "soft.tsv",
    )  # fmt: skip
    run(
        "distill", tmp_path / "soft.tsv", "--dev", folder / "dev.tsv", "--out", tmp_path / "student.tlc",
        "--effort", "small",
    )  # fmt: skip
    assert sorted(load(tmp_path / "student.tlc").classes_.tolist()) == ["negative", "neutral", "positive"]


def test_teachers_are_weighed_on_dev(folder, tmp_path):
    rows = [line.rsplit("\t", 1) for line in (folder / "train.tsv").read_text("utf-8").splitlines()[1:]]
    swapped = {"negative": "positive", "positive": "neutral", "neutral": "negative"}
    wrong = "".join(f"{text}\t{swapped[label]}\n" for text, label in rows)
    (tmp_path / "wrong.tsv").write_text("text\tlabel\n" + wrong, "utf-8")
    run("train", tmp_path / "wrong.tsv", "--features", "tfidf", "--out", tmp_path / "wrong.tlc")
    _, said = run(
        "distill", folder / "teacher.tlc", tmp_path / "wrong.tlc", "--weigh", "accuracy", "--dev", folder / "dev.tsv",
        "--texts", folder / "more.txt", "--out", tmp_path / "student.tlc", "--effort", "small", "--augment", "none",
    )  # fmt: skip
    weights = [float(word.rstrip(",")) for word in said.split("weights: ")[1].splitlines()[0].split()[1::2]]
    assert weights[0] > 0.55 > 0.4 > weights[1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.tlc", "--texts", "more.txt", "--out", "x.tlc"], 1, "nowhere.tlc"),
        (["teacher.tlc", "--out", "x.tlc"], 2, "nothing to learn from: give --texts, --train or both"),
        (["teacher.tlc", "--texts", "nowhere.txt", "--out", "x.tlc"], 1, "nowhere.txt"),
        (["teacher.tlc", "--texts", "more.txt", "--out", "more.txt"], 2, "must not replace an input"),
        (["teacher.tlc", "--texts", "more.txt", "--out", "teacher.tlc"], 2, "must not replace an input"),
        (
            ["teacher.tlc", "--texts", "more.txt", "--out", "x.tlc", "--report", "r.html"],
            2,
            "on texts that neither has seen: give --test",
        ),
        (
            ["teacher.tlc", "--texts", "more.txt", "--out", "x.tlc", "--test", "test.tsv", "--report", "r.pdf"],
            2,
            "must end in .html, .md or .json",
        ),
        (["teacher.tlc", "--texts", "more.txt", "--out", "x.tlc", "--augment", "magic"], 2, "magic"),
        (["teacher.tlc", "--texts", "more.txt", "--out", "x.tlc", "--weigh", "classes"], 2, "two or more, and --dev"),
    ],
)
def test_wrong_use_is_told_and_leaves_nothing(folder, monkeypatch, arguments, code, message):
    monkeypatch.chdir(folder)
    assert message in run("distill", *arguments, code=code)[1]
    assert not (folder / "x.tlc").exists()


def test_labels_that_the_teacher_does_not_know_are_named(folder, tmp_path):
    (tmp_path / "odd.tsv").write_text("text\tlabel\nfine\tpositive\nhm\tperhaps\n", "utf-8")
    _, told = run(
        "distill", folder / "teacher.tlc", "--train", tmp_path / "odd.tsv", "--out", tmp_path / "x.tlc", code=1
    )
    assert "odd.tsv:3: the teacher does not know the label 'perhaps'" in told
    (tmp_path / "none.tsv").write_text("text\tlabel\nfine\t\n", "utf-8")
    _, told = run(
        "distill", folder / "teacher.tlc", "--train", tmp_path / "none.tsv", "--out", tmp_path / "x.tlc", code=1
    )
    assert "none.tsv: there is no labelled row. Check --label" in told


def test_texts_come_from_standard_input(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "more.txt").read_bytes()), "utf-8"))
    options = ("--out", tmp_path / "x.tlc", "--effort", "small", "--augment", "none", "--student", "ngrams")
    shown, _ = run("distill", folder / "teacher.tlc", "--texts", "-", "--input-format", "txt", *options, "--json")
    assert json.loads(shown)["texts"]["transfer"] > 200


def test_probabilities_of_one_class_teach_nothing(tmp_path):
    (tmp_path / "one.tsv").write_text("text\tproba_a\nfine\t1\nbad\t1\n", "utf-8")
    told = run("distill", tmp_path / "one.tsv", "--out", tmp_path / "x.tlc", code=2)[1]
    assert "teacher must know at least two classes" in told


def test_a_test_file_is_read_before_anything_is_fitted(folder, tmp_path):
    (tmp_path / "odd.tsv").write_text("text\tlabel\nfine\tperhaps\n", "utf-8")
    options = ("--texts", folder / "more.txt", "--out", tmp_path / "x.tlc", "--test", tmp_path / "odd.tsv")
    assert "odd.tsv:2" in run("distill", folder / "teacher.tlc", *options, code=1)[1]
    assert not (tmp_path / "x.tlc").exists()


def test_what_is_printed_of_a_test_file(capsys):
    from tlclassic.app.distill import _print

    score = {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}
    found = {
        "texts": {"labelled": 1, "transfer": 2, "made": 3, "dev": 4},
        "best": {"score": 0.25, "recipe": {"objective": "logits"}},
        "n_trials": 1,
        "metric": "accuracy",
        "teacher": {"dev_score": None},
        "size_curve": [],
        "test": {"metric": "accuracy", "teacher": score, "student": score},
        "model": "x.tlc",
        "bytes": 10,
    }
    _print(found)
    shown = capsys.readouterr().out
    assert "objective: logits" in shown
    assert "accuracy on test: teacher 0.5000, student 0.5000" in shown
