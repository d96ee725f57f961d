"""Which graph is kept as the default: the rules, with encoders of known vectors and speed."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from tlclassic.encoders import check as module
from tlclassic.encoders.check import check
from tlclassic.errors import EncoderFormatError, InputError, InvalidParameterError

TEXTS = [f"text {i}" for i in range(40)]
LABELS = ["even" if i % 2 == 0 else "odd" for i in range(40)]


class Stub:
    """Unit vectors that tell even from odd; ``turn`` moves them, ``seconds`` a text slows them down."""

    def __init__(self, *, turn=0.0, seconds=0.0, mixed=False):
        self.turn, self.seconds, self.mixed = turn, seconds, mixed

    def transform(self, texts):
        time.sleep(self.seconds * len(texts))
        numbers = np.array([int(text.split()[1]) for text in texts])
        angle = np.where(numbers % 2 == 0, 0.3, 1.2) + self.turn
        if self.mixed:
            angle = np.full(len(texts), 0.7)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"f" * 4_000_000)
    (tmp_path / "onnx" / "model_qint8.onnx").write_bytes(b"q" * 1_000_000)
    return tmp_path


@pytest.fixture
def stubs(monkeypatch):
    """Encoders by name of graph; int8 is four times as fast and exact unless a test says otherwise."""
    encoders = {"onnx/model.onnx": Stub(seconds=0.0004), "onnx/model_qint8.onnx": Stub(seconds=0.0001)}
    monkeypatch.setattr(module, "_encoder", lambda root, name, threads: encoders[name])
    return encoders


def test_int8_is_kept_where_it_wins(folder, stubs):
    report = check(folder, TEXTS, LABELS, threads=1)
    assert report.prefer == "onnx/model_qint8.onnx"
    assert [reason.split(":")[0] for reason in report.reasons] == ["yes", "yes", "yes"]
    assert (report.cosine_mean, report.cosine_min, report.alone_min) == (1.0, 1.0, 1.0)
    assert (report.fp32_accuracy, report.int8_accuracy) == (1.0, 1.0)
    assert (report.fp32_megabytes, report.int8_megabytes) == (4.0, 1.0)
    assert (report.texts, report.threads) == (40, 1)
    assert 1.5 < report.speedup < 6
    kept = json.loads((folder / "tlclassic.json").read_text("utf-8"))
    assert (kept["format"], kept["prefer"]) == (1, "onnx/model_qint8.onnx")
    assert kept["checked"] == {key: value for key, value in report.as_dict().items() if key != "prefer"}


def test_fp32_is_kept_where_int8_is_slower(folder, stubs):
    stubs["onnx/model_qint8.onnx"].seconds = 0.0008
    report = check(folder, TEXTS)
    assert report.prefer == "onnx/model.onnx"
    assert report.reasons[0].startswith("yes: mean cosine")
    assert report.reasons[1].startswith("no: int8 is 0.")
    assert report.fp32_accuracy is None
    assert json.loads((folder / "tlclassic.json").read_text("utf-8"))["prefer"] == "onnx/model.onnx"


def test_fp32_is_kept_where_the_vectors_differ(folder, stubs):
    stubs["onnx/model_qint8.onnx"].turn = np.pi / 3
    report = check(folder, TEXTS)
    assert report.cosine_mean == 0.5
    assert report.prefer == "onnx/model.onnx"
    assert report.reasons[0] == "no: mean cosine of int8 to fp32 0.5000, at least 0.99 wanted"
    assert check(folder, TEXTS, min_cosine=0.4).prefer == "onnx/model_qint8.onnx"


def test_fp32_is_kept_where_accuracy_is_lost(folder, stubs):
    stubs["onnx/model_qint8.onnx"].mixed = True
    report = check(folder, TEXTS, LABELS, min_cosine=0)
    assert report.fp32_accuracy == 1.0
    assert report.int8_accuracy == 0.5
    assert report.prefer == "onnx/model.onnx"
    assert report.reasons[1] == "no: accuracy 0.5000 with int8, 1.0000 with fp32, a loss of at most 0.005 allowed"


def test_nothing_is_written_when_told_so(folder, stubs):
    check(folder, TEXTS, write=False)
    assert not (folder / "tlclassic.json").exists()


def test_the_bundled_sample_and_progress(folder, stubs):
    stubs["onnx/model.onnx"].seconds = stubs["onnx/model_qint8.onnx"].seconds = 0
    for stub in stubs.values():
        stub.transform = lambda texts: np.ones((len(texts), 2), dtype=np.float32)
    seen = []
    report = check(folder, repeats=2, on_progress=lambda done, total: seen.append((done, total)))
    assert report.texts == 960
    assert seen == [(step, 7) for step in range(1, 8)]


def test_zero_vectors_have_a_cosine():
    a, b = np.array([[0.0, 0], [1, 0], [1, 0]]), np.array([[0.0, 0], [0, 0], [2, 0]])
    assert module._cosines(a, b).tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ["model_quantized.onnx", "onnx/model_int8.onnx"])
def test_quantised_graphs_of_others_are_found(folder, stubs, name):
    (folder / "onnx" / "model_qint8.onnx").rename(folder / name)
    stubs[name] = stubs["onnx/model_qint8.onnx"]
    assert check(folder, TEXTS).int8 == name


def test_a_graph_is_missing(folder, stubs):
    with pytest.raises(EncoderFormatError, match=r"onnx/other\.onnx"):
        check(folder, TEXTS, file="onnx/other.onnx")
    (folder / "onnx" / "model_qint8.onnx").unlink()
    with pytest.raises(EncoderFormatError, match=r"no quantised graph to check here.*encoder quantize"):
        check(folder, TEXTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": []}, "texts must hold at least one text"),
        ({"texts": "one"}, "X must be a list of texts"),
        ({"texts": TEXTS, "labels": LABELS[:3]}, "labels must be as many as texts, 40; got 3"),
        ({"texts": TEXTS, "labels": ["a"] * 40}, "got 1 classes, 40 texts of a"),
        ({"texts": TEXTS, "labels": ["a"] * 39 + ["b"]}, "got 2 classes, 1 texts of b"),
        ({"texts": TEXTS, "min_cosine": 2}, "min_cosine must be at most 1"),
        ({"texts": TEXTS, "max_loss": -1}, "max_loss must be at least 0"),
        ({"texts": TEXTS, "repeats": 0}, "repeats must be at least 1"),
    ],
)
def test_refused(folder, stubs, arguments, message):
    with pytest.raises((InvalidParameterError, InputError), match=message):
        check(folder, **arguments)
    assert not (folder / "tlclassic.json").exists()
