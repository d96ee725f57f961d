"""The demo, with one model a part: what it leaves, says and gives as JSON."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace

import pytest

import tlclassic
from tlclassic.app.main import _run
from tlclassic.data import load_sample
from tlclassic.distillation import EFFORTS, fidelity_speed
from tlclassic.distillation import demonstration as distilling
from tlclassic.pipelines import demonstration as comparing


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a small demo in an empty folder; gives stdout."""
    full = distilling.run_distillation_demo

    def small(folder, report, **given):
        return full(folder, report, candidates={"teacher-mean": ("mean",)}, augmentation=(), seconds=0.01, **given)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fidelity_speed, "_STARTS", 1)
    monkeypatch.setitem(EFFORTS, "small", replace(EFFORTS["small"], stages=({"hard_weight": (0.0,)},)))
    monkeypatch.setattr(comparing, "FEATURES", {"base-en": ("base-en",)})
    monkeypatch.setattr(comparing, "_train_vectors", lambda folder, texts: folder / "none")
    monkeypatch.setattr(distilling, "run_distillation_demo", small)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tlclassic", "demo", *arguments])
        assert _run() == 0
        return capsys.readouterr().out

    return call


def test_it_ends_with_a_student_a_table_a_report_and_the_next_command(run, tmp_path):
    shown = run("--keep", "with me", "--text", "where is my box")
    page = (tmp_path / "with me" / "fidelity.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "The report: with me/fidelity.html" in shown
    lines = [line.split("  ")[0] for line in shown.splitlines()]
    assert [lines.count(name) for name in ("teacher", "student, int8", "student without teacher")] == [1, 1, 1]
    student = tlclassic.load(tmp_path / "with me" / "student.tlc")
    assert type(student).__name__ == "CompiledClassifier"
    assert len(student.predict(load_sample("test").texts)) == 160
    next_command = shlex.split(shown.splitlines()[-1])
    assert next_command[:3] == ["tlclassic", "distill", "with me/teacher-mean.tlc"]
    read = [word for word in next_command if word.endswith((".tsv", ".txt"))]
    assert len(read) == 4
    assert all((tmp_path / name).is_file() for name in read)


def test_json_and_a_page_where_one_wants_it(run, tmp_path):
    shown = json.loads(run("--json", "--report", "page.html"))
    assert sorted(shown) == ["distillation", "examples", "rows"]
    found = shown["distillation"]
    assert sorted(found) == ["dev", "fidelity", "models", "report", "teacher_files", "texts"]
    assert found["texts"] == {"labelled": 621, "transfer": 312, "made": 0, "dev": 160}
    assert [model["name"] for model in found["models"]] == ["teacher", "student, int8", "student without teacher"]
    for model in found["models"]:
        assert 0.125 < model["interval"][0] < model["accuracy"] < model["interval"][1]
        assert min(model["size"], model["startup_seconds"], model["texts_per_second"]) > 0
    assert found["report"] == "page.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html"]


def test_the_teacher_is_what_is_best_on_dev_together(tmp_path):
    train, dev = (load_sample(split).dataset("topic") for split in ("train", "dev"))
    candidates = {"poor": ("max",), "good": ("tfidf", "max", "min"), "other": ("sif",)}
    files = distilling._best_teacher(tmp_path, candidates, train, dev)
    assert [path.name for path in files] == ["good.tlc", "other.tlc"]
    assert tlclassic.load(files[0]).predict_proba(["hello"]).shape == (1, 8)
