"""Comparisons: what is fitted, measured, left out, kept and gone on with."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tlclassic
from tests.comparison_cases import CLASSES, measure_inside, sample
from tests.tiny_encoder import make_tiny_encoder
from tlclassic import tuning
from tlclassic.comparison import MODELS, Settings, compare, measuring, parse_time, peers, students
from tlclassic.comparison import models as registry
from tlclassic.comparison.budget import Budget, Deadline, OutOfTime
from tlclassic.comparison.problem import read_problem
from tlclassic.comparison.saved import Saved
from tlclassic.comparison.worker import Worker, WorkerError, spread
from tlclassic.distillation.recipes import EFFORTS, Effort
from tlclassic.errors import InputError, InvalidParameterError

TAGS = [
    ("the parcel is late", ["delivery", "late"]),
    ("parcel never came", ["delivery"]),
    ("late again", ["late"]),
    ("the bill is wrong", ["billing"]),
    ("the bill came late", ["billing", "late"]),
    ("thanks", []),
] * 12


@pytest.fixture
def inside(monkeypatch):
    """Measuring without processes."""
    measure_inside(monkeypatch)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A tiny encoder's folder."""
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="module")
def found(tmp_path_factory, encoder):
    """A comparison with a student of a frozen encoder; its folder."""
    out = tmp_path_factory.mktemp("comparison") / "out"
    with pytest.MonkeyPatch.context() as patch:
        measure_inside(patch)
        patch.setattr(students, "_EFFORTS", (("small", 0.0),))
        patch.setitem(EFFORTS, "small", Effort(transfer=100, least=0, own=0, rows=1000, finalists=1))
        result = compare(
            sample("train", 200),
            sample("test", 40),
            out,
            dev=sample("dev", 40),
            unlabelled=["where is my parcel", "the bill is wrong"],
            models=["cascade", "tfidf", "nbsvm", "frozen", "distilled"],
            settings=Settings(encoder=encoder, columns={"text": "body"}),
            repeats=3,
        )
    return result, out


# -- a whole comparison ----------------------------------------------------------------------------------------------


def test_models_are_fitted_from_the_fast_to_the_slow(found):
    result, out = found
    assert [row.name for row in result.rows] == ["tfidf", "nbsvm", "frozen", "distilled", "cascade"]
    assert [row.title for row in result.rows][:2] == ["TF-IDF + LR", "NB-SVM"]
    assert [row.is_ours for row in result.rows] == [False, False, False, True, True]
    assert result.left_out == {}
    assert result.texts == {"train": 200, "dev": 40, "test": 40, "unlabelled": 2}
    assert (result.classes, result.held_out, result.measure) == (list(CLASSES), False, "accuracy")
    assert not (out / "cache").exists()


def test_scores_are_those_of_the_saved_model(found):
    result, out = found
    texts, labels = sample("test", 40)
    for name, path in (("tfidf", "tfidf.tlc"), ("distilled", "distilled.tlc"), ("cascade", "cascade")):
        row = next(row for row in result.rows if row.name == name)
        hits = np.mean(tlclassic.load(out / "models" / path).predict(texts) == np.array(labels))
        assert row.accuracy == pytest.approx(hits)
        assert row.accuracy_interval[0] < row.accuracy < row.accuracy_interval[1]
    # Chance is a third, and there are 200 texts.
    assert all(row.accuracy > 0.4 for row in result.rows if row.name in ("tfidf", "nbsvm"))


def test_costs_are_measured(found):
    result, out = found
    tfidf, _, frozen, distilled, cascade = result.rows
    assert tfidf.bytes == (out / "models" / "tfidf.tlc").stat().st_size
    own = sum(file.stat().st_size for file in (out / "models" / "cascade").rglob("*") if file.is_file())
    assert cascade.bytes == own + frozen.bytes
    assert (tfidf.peak_bytes, tfidf.startup_seconds) == (50_000_000, 0.5)
    for row in result.rows:
        assert list(row.speed) == ["1", "2"]
        assert 0 < row.speed["1"]["slowest"] <= row.texts_per_second(1) <= row.speed["1"]["fastest"]
        assert row.training_seconds > 0
    assert distilled.texts_per_second(1) > 3 * frozen.texts_per_second(1)


def test_what_was_chosen_is_told(found):
    chosen = {row.name: row.chosen for row in found[0].rows}
    assert chosen["distilled"]["teacher"] == "frozen"
    assert chosen["distilled"]["effort"] == "small"
    assert chosen["cascade"]["wanted"] == "agreement 0.995"
    assert 0 < chosen["tfidf"]["dev_score"] <= 1
    assert chosen["frozen"]["graph"] == "onnx/model.onnx"


def test_table_and_page(found, tmp_path):
    result, _ = found
    lines = str(result).splitlines()
    assert lines[0] == "200 training texts, 40 to choose by, 40 test texts, 2 without labels; 3 classes"
    assert lines[2].split()[:2] == ["model", "accuracy"]
    assert [line[: len("distilled")] for line in lines[3:8]] == [
        "TF-IDF + ",
        "NB-SVM   ",
        "frozen en",
        "distilled",
        "cascade  ",
    ]
    result.to_html(tmp_path / "page.html", title="a < b")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<h1>a &lt; b</h1>" in page
    assert page.count("<tr class=") == 5
    assert page.count('class="ours"') >= 2 + 2
    assert not re.search(r"<script|<link|src=|https?:", page.replace("http://www.w3.org/2000/svg", ""))
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["rows"][0]["name"] == "tfidf"


def test_a_second_run_fits_and_measures_nothing(found, monkeypatch, encoder):
    result, out = found
    for name in ("tfidf", "nbsvm", "frozen"):
        monkeypatch.setitem(MODELS, name, dataclasses.replace(MODELS[name], fit=None))
    monkeypatch.setattr("tlclassic.comparison.running.speeds", None)
    monkeypatch.setattr("tlclassic.comparison.running.scores", None)
    told = []
    settings = Settings(encoder=encoder, columns={"text": "body"})
    again = compare(
        sample("train", 200), sample("test", 40), out, dev=sample("dev", 40),
        unlabelled=["where is my parcel", "the bill is wrong"], settings=settings,
        models=["tfidf", "nbsvm", "frozen", "distilled", "cascade"], repeats=3, on_note=told.append,
    )  # fmt: skip
    assert told == [f"{name}: fitted before" for name in ("tfidf", "nbsvm", "frozen", "distilled", "cascade")]
    assert again.as_dict() == result.as_dict()


# -- what is left out ------------------------------------------------------------------------------------------------


def test_what_is_missing_is_named(inside, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "is_installed", lambda module: module != "fasttext")
    names = [name for name in MODELS if name not in ("tfidf", "nbsvm", "base-en", "ngrams")]
    result = compare(sample("train", 40), sample("test", 10), tmp_path / "out", models=names)
    assert result.rows == []
    assert result.left_out == {
        "fasttext": "fasttext is not installed. Install it with: pip install fasttext (builds with g++)",
        "vectors": "no word vectors were given. Give some with --vectors",
        "frozen": "no transformer encoder was given. Give a folder with --encoder",
        "finetuned": "no transformer encoder was given. Give a folder with --encoder, or a fine-tuned one with "
        "--finetuned",
        "torch": "no folder with torch weights (model.safetensors) was given. Give one with --encoder",
        "distilled": "it learns from finetuned, frozen, base-en or ngrams, and none of them was fitted",
        "cascade": "it is made of the distilled student and its teacher, and there is no student",
    }
    assert "left out: fasttext: fasttext is not installed" in str(result)
    result.to_html(tmp_path / "page.html")
    assert "fasttext is not installed" in (tmp_path / "page.html").read_text("utf-8")


def test_torch_is_named_where_it_is_not_installed(tmp_path, encoder, monkeypatch):
    monkeypatch.setattr(registry, "is_installed", lambda module: module != "torch")
    (tmp_path / "model.safetensors").touch()
    wanted = "torch is not installed. Install it with: pip install 'tlclassic[finetune]'"
    assert MODELS["finetuned"].missing(Settings(encoder=tmp_path)) == wanted
    assert MODELS["torch"].missing(Settings(encoder=tmp_path)) == wanted
    assert MODELS["finetuned"].missing(Settings(finetuned=encoder)) is None
    assert "Make one: tlclassic encoder export" in MODELS["frozen"].missing(Settings(encoder=tmp_path))


def test_what_does_not_fit_into_the_time_is_named(inside, tmp_path):
    result = compare(sample("train", 40), sample("test", 10), tmp_path / "out", models=["tfidf", "nbsvm"], time=0.0001)
    assert result.rows == []
    assert re.fullmatch(r"stopped after \d+ s, when its time was over. Raise --time", result.left_out["tfidf"])
    assert result.left_out["nbsvm"] == "the time was used up by the models before it. Raise --time"


def test_one_that_fails_costs_the_others_nothing(inside, tmp_path, monkeypatch):
    def fit(work):
        raise RuntimeError("Encountered NaN.")

    monkeypatch.setitem(MODELS, "tfidf", dataclasses.replace(MODELS["tfidf"], fit=fit))
    result = compare(sample("train", 40), sample("test", 10), tmp_path / "out", models=["tfidf", "nbsvm"], repeats=1)
    assert [row.name for row in result.rows] == ["nbsvm"]
    assert result.left_out == {"tfidf": "failed: RuntimeError: Encountered NaN."}


def test_a_folder_of_other_classes_is_no_fine_tuned_one(inside, tmp_path):
    folder = make_tiny_encoder(tmp_path / "model", output="logits")
    result = compare(
        sample("train", 40), sample("test", 10), tmp_path / "out", models=["finetuned"],
        settings=Settings(finetuned=folder),
    )  # fmt: skip
    assert "was trained for other classes" in result.left_out["finetuned"]


def test_a_given_folder_is_measured_as_it_is(inside, tmp_path):
    folder = make_tiny_encoder(tmp_path / "model", output="logits", labels=CLASSES)
    result = compare(
        sample("train", 40), sample("test", 10), tmp_path / "out", models=["finetuned"], repeats=1,
        settings=Settings(finetuned=folder),
    )  # fmt: skip
    (row,) = result.rows
    assert (row.name, row.title, row.training_seconds) == ("finetuned-fp32", "fine-tuned, fp32", None)
    assert row.accuracy == np.mean(tlclassic.load(folder).predict(sample("test", 10)[0]) == sample("test", 10)[1])


# -- labels ----------------------------------------------------------------------------------------------------------


def test_several_labels_a_text(inside, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "tune", functools.partial(tuning.tune, max_trials=2))
    texts, labels = [text for text, _ in TAGS], [row for _, row in TAGS]
    result = compare((texts, labels), (texts[:6], labels[:6]), tmp_path / "out", models=["tfidf", "nbsvm", "ngrams"])
    assert [(row.name, row.accuracy, row.macro_f1, row.micro_f1) for row in result.rows] == [
        ("tfidf", 1.0, 1.0, 1.0),
        ("nbsvm", 1.0, 1.0, 1.0),
        ("ngrams", 1.0, 1.0, 1.0),
    ]
    assert (result.multilabel, result.measure, result.held_out) == (True, "exact match", True)
    assert "micro-F1" in str(result)
    assert result.texts["dev"] == 7


@pytest.mark.parametrize("kind", [int, bool])
def test_labels_that_are_no_strings(inside, tmp_path, kind):
    texts = ["a good film", "so good", "very bad", "a bad film"] * 8
    labels = [kind(1), kind(1), kind(0), kind(0)] * 8
    result = compare((texts, labels), (texts[:4], labels[:4]), tmp_path / "out", models=["tfidf", "nbsvm"], repeats=1)
    assert [row.accuracy for row in result.rows] == [1.0, 1.0]
    assert type(result.classes[0]) is kind


def test_fasttext_learns_and_is_asked(inside, tmp_path, monkeypatch):
    pytest.importorskip("fasttext")
    monkeypatch.setattr(peers, "_STAGES", (({"epoch": 50},),))
    monkeypatch.setitem(peers._START, "bucket", 1000)
    texts, labels = [text for text, _ in TAGS], [row[:1] for _, row in TAGS]
    for kind, own in (("one", [row[0] if row else "none" for row in labels]), ("several", labels)):
        data = texts * 3, own * 3
        result = compare(data, (texts[:6], own[:6]), tmp_path / kind, models=["fasttext"], repeats=1)
        assert result.left_out == {}
        assert result.rows[0].accuracy > 0.7


def test_every_class_stays_in_training():
    labels = ["a"] * 30 + ["b"] * 9 + ["c"]
    problem = read_problem(([f"text {i}" for i in range(40)], labels), None, [], 0)
    assert (problem.held_out, len(problem.dev.texts)) == (True, 4)
    assert set(problem.train.labels) == {"a", "b", "c"}
    assert set(problem.train.texts) & set(problem.dev.texts) == set()
    assert problem.dev.labels.count("a") == 3
    other = read_problem(([f"text {i}" for i in range(40)], labels), None, [], 1)
    assert other.dev.texts != problem.dev.texts


@pytest.mark.parametrize(
    ("train", "dev", "message"),
    [
        ((["a"] * 3, ["x", "y", "x"]), None, "train must have at least 8 labelled texts; got 3"),
        ((["a"] * 8, ["x"] * 8), None, "train must have at least two classes"),
        ((["a"] * 8, ["x", "y"]), None, "as many labels as texts; got 2 and 8"),
        ((["a"] * 8, ["x", "y"] * 4), (["b"], ["z"]), "dev must have labels that train has; got z"),
        ((["a"] * 8, ["x", "y"] * 4), (["b"], [["x"]]), "dev must hold labelled texts of the same kind as train"),
    ],
)
def test_data_that_cannot_be_compared_on(train, dev, message):
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        read_problem(train, dev, [], 0)


def test_unknown_models_and_other_peoples_folders(tmp_path):
    data = sample("train", 40)
    with pytest.raises(InvalidParameterError, match="models must be one of 'tfidf', 'nbsvm'"):
        compare(data, data, tmp_path / "out", models=["svm"])
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(InputError, match="this folder holds other files"):
        compare(data, data, tmp_path, models=["tfidf"])


# -- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "seconds"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("0.5 h", 1800), (7, 7)])
def test_times(said, seconds):
    assert parse_time(said) == seconds


@pytest.mark.parametrize("said", ["", "soon", "-3m", "0s", "5d", "1h30m", float("nan"), float("inf")])
def test_times_that_are_none(said):
    with pytest.raises(InvalidParameterError, match="time must be above 0, such as 90s, 30m or 1h"):
        parse_time(said)


def test_time_is_shared_by_weight():
    budget = Budget(100, {"small": 1, "large": 4, "last": 5})
    first = budget.deadline("small")
    assert (first.share, first.limit) == (10, 50)
    budget.spend(20)
    second = budget.deadline("large")
    assert second.share == pytest.approx(80 * 4 / 9)
    budget.skip("last")
    assert budget.left == 80
    budget.spend(80)
    spent = Budget(5, {"first": 1, "second": 1})
    spent.spend(6)
    with pytest.raises(OutOfTime, match="used up by the models before it"):
        spent.deadline("second")


def test_a_deadline_ends_what_takes_longer():
    now = [0.0]
    deadline = Deadline(5, 10, lambda: now[0])
    deadline.check()
    deadline.need(9, "encoding")
    with pytest.raises(OutOfTime, match="encoding would take about 12 s, and 10 s are left"):
        deadline.need(12, "encoding")
    now[0] = 10.5
    with pytest.raises(OutOfTime, match="stopped after 10 s"):
        deadline.check(1, 2)


# -- processes -------------------------------------------------------------------------------------------------------


def test_a_model_in_a_process_of_its_own(found):
    _, out = found
    saved = Saved("tlclassic", str(out / "models" / "distilled.tlc"), list(CLASSES), False, {"threads": True})
    with Worker(saved, 1) as worker:
        texts, _ = sample("test", 40)
        assert worker.labels(texts) == tlclassic.load(saved.path).predict(texts).tolist()
        worker.keep(texts)
        worker.send_run(100)
        assert 0 < worker.receive() < 10
    measured = measuring.costs(saved)
    assert measured["bytes"] == Path(saved.path).stat().st_size
    assert 1e7 < measured["peak_bytes"] < 1e9
    assert measured["startup_seconds"] > 0.01
    with Worker(dataclasses.replace(saved, path=str(out / "none.tlc")), 1) as worker, pytest.raises(WorkerError):
        worker.labels(texts)


def test_samples_are_even():
    assert spread(list("abcd"), 2) == ["a", "c"]
    assert spread(list("abc"), 7) == ["a", "b", "c", "a", "b", "c", "a"]


_KILLED = """
import sys
from tests.comparison_cases import measure_inside, sample
from tlclassic.comparison import MODELS, compare
import dataclasses, pytest, time

def never(work):
    (work.folder / "second").touch()
    time.sleep(600)

MODELS["nbsvm"] = dataclasses.replace(MODELS["nbsvm"], fit=never)
with pytest.MonkeyPatch.context() as patch:
    measure_inside(patch)
    compare(sample("train", 60), sample("test", 10), sys.argv[1], models=["tfidf", "nbsvm"])
"""


def test_a_killed_run_goes_on_with_the_next_model(inside, tmp_path, monkeypatch):
    out = tmp_path / "out"
    checkout = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), *filter(None, sys.path)])}
    process = subprocess.Popen([sys.executable, "-c", _KILLED, str(out)], env=environment)
    try:
        for _ in range(1200):
            if (out / "models" / "second").exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    state = json.loads((out / "state.json").read_text())
    assert list(state["models"]) == ["tfidf"]
    before = (out / "models" / "tfidf.tlc").stat().st_mtime_ns
    told = []
    result = compare(
        sample("train", 60), sample("test", 10), out, models=["tfidf", "nbsvm"], repeats=1, on_note=told.append
    )
    assert [row.name for row in result.rows] == ["tfidf", "nbsvm"]
    assert told[0] == "tfidf: fitted before"
    assert (out / "models" / "tfidf.tlc").stat().st_mtime_ns == before
    assert result.rows[0].training_seconds == state["models"]["tfidf"]["seconds"]


def test_other_data_are_fitted_anew(inside, tmp_path):
    told = []
    for most in (60, 50):
        compare(
            sample("train", most),
            sample("test", 10),
            tmp_path / "out",
            models=["tfidf"],
            repeats=1,
            on_note=told.append,
        )
    assert sum(line.endswith("fitting") for line in told) == 2
    assert "tfidf: fitted before" not in told
