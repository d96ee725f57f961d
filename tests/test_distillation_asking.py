"""Soft labels: each text asked once, kept across a kill, and read from files."""

import doctest
import gzip
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tlclassic.distillation.asking
import tlclassic.distillation.soft_label_files
from tlclassic.data import open_writer
from tlclassic.distillation.asking import SoftLabelFile, SoftLabels, read_soft_labels, soft_labels
from tlclassic.distillation.known_answers import KnownAnswers
from tlclassic.distillation.teachers import open_teacher
from tlclassic.errors import DataFormatError, InvalidParameterError

FORMATS = ["tsv", "csv", "jsonl", "parquet"]


class Counting:
    """The share of a among the letters; keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked.append(list(texts))
        shares = [text.count("a") / max(1, len(text)) for text in texts]
        return [[1.0 - share, share] for share in shares]


def counting(digest="1", classes=("no", "yes")):
    function = Counting()
    return open_teacher(function, classes=list(classes), digest=digest), function


# -- asking ----------------------------------------------------------------------------------------------------------


def test_each_text_is_asked_once():
    teacher, function = counting()
    seen = []
    P = soft_labels(teacher, ["a", "ab", "a", "b", "ab"], batch=2, on_progress=lambda *done: seen.append(done))
    assert P.tolist() == [[0.0, 1.0], [0.5, 0.5], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]
    assert P.dtype == np.float32
    assert function.asked == [["a", "ab"], ["b"]]
    assert seen == [(0, 3), (2, 3), (3, 3)]
    assert soft_labels(teacher, []).shape == (0, 2)


def test_what_is_kept_is_not_asked_again(tmp_path):
    teacher, function = counting()
    soft_labels(teacher, ["a", "b"], cache=tmp_path / "kept")
    P = soft_labels(teacher, ["b", "ab", "a", "b"], cache=tmp_path / "kept")
    assert P.tolist() == [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [1.0, 0.0]]
    assert function.asked == [["a", "b"], ["ab"]]


def test_another_teacher_is_asked_anew(tmp_path):
    for digest, classes in [("1", ("no", "yes")), ("2", ("no", "yes")), ("1", (0, 1))]:
        teacher, function = counting(digest, classes)
        soft_labels(teacher, ["a"], cache=tmp_path)
        assert function.asked == [["a"]]


def test_a_cache_needs_a_digest(tmp_path):
    teacher, _ = counting(None)
    with pytest.raises(InvalidParameterError, match=r"cache needs a teacher with a digest.*Counting|pass digest="):
        soft_labels(teacher, ["a"], cache=tmp_path)
    with pytest.raises(InvalidParameterError, match="batch must be at least 1"):
        soft_labels(teacher, ["a"], batch=0)


def test_an_error_loses_nothing(tmp_path):
    teacher, function = counting()
    fails = open_teacher(lambda texts: [[2.0, 0.0]] if "bad" in texts else function(texts), classes=["no", "yes"])
    fails = open_teacher(fails, digest="1")
    with pytest.raises(InvalidParameterError, match="sum to 1"):
        soft_labels(fails, ["a", "b", "bad"], cache=tmp_path, batch=1)
    function.asked.clear()
    soft_labels(teacher, ["a", "b", "bad"], cache=tmp_path)
    assert function.asked == [["bad"]]


KILLED = """
import sys, time
import numpy as np
import tlclassic.distillation.asking as module
from tlclassic.distillation.teachers import open_teacher

module.WRITE_SECONDS = 0.01
def slow(texts):
    time.sleep(0.03)
    return [[1 - int(t) / 1000, int(t) / 1000] for t in texts]
teacher = open_teacher(slow, classes=["no", "yes"], digest="1")
show = lambda done, total: print(done, flush=True)
module.soft_labels(teacher, list(map(str, range(1000))), cache=sys.argv[1], batch=10, on_progress=show)
"""


def test_a_killed_run_goes_on(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) >= 300:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    asked = []

    def quick(texts):
        asked.extend(texts)
        return [[1 - int(text) / 1000, int(text) / 1000] for text in texts]

    texts = list(map(str, range(1000)))
    P = soft_labels(open_teacher(quick, classes=["no", "yes"], digest="1"), texts, cache=tmp_path)
    assert 500 <= len(asked) <= 800
    assert asked == texts[-len(asked) :]
    np.testing.assert_allclose(P[:, 1], np.arange(1000) / 1000, atol=1e-6)


def test_writing_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    writes = []
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    teacher, _ = counting()
    original = tlclassic.encoders.cache.FeatureCache.add

    def add(self, texts, vectors):
        writes.append(len(texts))
        now[0] += 1.0
        return original(self, texts, vectors)

    monkeypatch.setattr("tlclassic.encoders.cache.FeatureCache.add", add)

    def tick(done, total):
        now[0] += 0.5

    soft_labels(teacher, [f"{i}" for i in range(50)], cache=tmp_path, batch=1, on_progress=tick)
    # After a write that took one second comes none for ten.
    assert len(writes) <= 4
    assert sum(writes) == 50


# -- files -----------------------------------------------------------------------------------------------------------


def write(path, columns, rows):
    with open_writer(path, columns=columns) as writer:
        writer.write({name: [row[i] for row in rows] for i, name in enumerate(columns)})
    return path


def predicted(path, rows, names=("no", "yes"), labels=None):
    """A file as ``tlclassic predict --proba --keep text`` writes it."""
    labels = labels or ["no"] * len(rows)
    if path.name.partition(".")[2].startswith("jsonl"):
        table = [
            (text, label, dict(zip(names, row, strict=True))) for (text, *row), label in zip(rows, labels, strict=True)
        ]
        return write(path, ["text", "label", "proba"], table)
    columns = ["text", "label", *(f"proba_{name}" for name in names)]
    return write(path, columns, [(text, label, *row) for (text, *row), label in zip(rows, labels, strict=True)])


@pytest.mark.parametrize("name", ["f.tsv", "f.csv", "f.jsonl", "f.parquet", "f.tsv.gz"])
def test_what_predict_writes_is_read(tmp_path, name):
    path = predicted(tmp_path / name, [("one, two", 0.25, 0.75), ("three", 1.0, 0.0)])
    texts, classes, P, multilabel = read_soft_labels(path)
    assert (texts, classes, multilabel) == (["one, two", "three"], ["no", "yes"], False)
    assert P.dtype == np.float32
    assert P.tolist() == [[0.25, 0.75], [1.0, 0.0]]


def test_the_command_itself(tmp_path, monkeypatch):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    import tlclassic
    from tlclassic.app.main import main

    texts = ["good", "bad", "fine", "poor"]
    model = make_pipeline(tlclassic.NgramVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    tlclassic.save(model, tmp_path / "m.tlc")
    write(tmp_path / "in.tsv", ["text"], [(text,) for text in texts])
    for kind in FORMATS:
        out = tmp_path / f"out.{kind}"
        given = ["predict", tmp_path / "m.tlc", tmp_path / "in.tsv", "--proba", "--keep", "text", "-o", out]
        monkeypatch.setattr(sys, "argv", ["tlclassic", *map(str, given)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0
        found = read_soft_labels(out, classes=[0, 1])
        assert (found.texts, found.classes) == (texts, [0, 1])
        np.testing.assert_allclose(found.P, model.predict_proba(texts), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "label", "columns", "classes"),
    [
        ("f.jsonl", True, ("False", "True"), [False, True]),
        ("f.parquet", True, ("False", "True"), [False, True]),
        ("f.tsv", True, ("False", "True"), ["false", "true"]),
        ("f.jsonl", 10, ("-1", "10"), [-1, 10]),
        ("f.jsonl", [[], [10]], ("-1", "10"), [-1, 10]),
        ("f.tsv", 10, ("-1", "10"), ["-1", "10"]),
        ("f.jsonl", 10, ("-1", "other"), ["-1", "other"]),
    ],
)
def test_classes_have_the_type_of_the_labels_beside_them(tmp_path, name, label, columns, classes):
    labels = label if isinstance(label, list) else [label]
    path = predicted(tmp_path / name, [("x", 0.25, 0.75)] * len(labels), names=columns, labels=labels)
    found = read_soft_labels(path)
    assert [(type(one), one) for one in found.classes] == [(type(one), one) for one in classes]
    assert found.P[0].tolist() == [0.25, 0.75]


@pytest.mark.parametrize("kind", FORMATS)
def test_columns_named_as_the_classes(tmp_path, kind):
    path = write(tmp_path / f"f.{kind}", ["id", "True", "text", "False"], [(7, 0.25, "x", 0.75)])
    found = read_soft_labels(path, classes=[False, True])
    assert (found.texts, found.classes, found.P.tolist()) == (["x"], [False, True], [[0.75, 0.25]])
    with pytest.raises(DataFormatError, match=r"probability of 'id' must be a number from 0 to 1, got '?7'?.*classes="):
        read_soft_labels(path)


def test_columns_without_a_prefix_are_the_classes(tmp_path):
    path = write(tmp_path / "f.csv", ["body", "b", "a", "label"], [("x", 0.25, 0.75, "a")])
    found = read_soft_labels(path, text="body")
    assert (found.classes, found.P.tolist()) == (["b", "a"], [[0.25, 0.75]])


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_several_labels_are_told_by_their_list(tmp_path, kind):
    path = predicted(tmp_path / f"f.{kind}", [("x", 0.9, 0.8)], labels=[["no", "yes"]])
    assert read_soft_labels(path).multilabel is True
    with pytest.raises(DataFormatError, match=r"sum to 1.7 and not to 1"):
        read_soft_labels(path, multilabel=False)


def test_several_labels_of_a_table(tmp_path):
    path = predicted(tmp_path / "f.tsv", [("x", 0.9, 0.8)])
    np.testing.assert_allclose(read_soft_labels(path, multilabel=True).P, [[0.9, 0.8]])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["x\tno\t0.5\t0.5", "y\tno\t0.5\t0.6"],
            r"f.tsv:3: the probabilities sum to 1.1 and not to 1. Correct the row",
        ),
        (["x\tno\t0.5\tmuch"], r"f.tsv:2: the probability of 'proba_yes' must be a number from 0 to 1, got 'much'"),
        (["x\tno\tnan\t0.5"], r"f.tsv:2: the probability of 'proba_no' must be"),
        (["x\tno\t-0.5\t1.5"], r"f.tsv:2: the probability of 'proba_no' must be a number from 0 to 1, got '-0.5'"),
        (["x\tno\t\t1.0"], r"f.tsv:2: the probability of 'proba_no' .* got ''"),
        (["x\tno\t1.0"], r"f.tsv:2: expected 4 fields"),
    ],
)
def test_wrong_rows_are_named(tmp_path, lines, message):
    (tmp_path / "f.tsv").write_text("\n".join(["text\tlabel\tproba_no\tproba_yes", *lines]) + "\n")
    with pytest.raises(DataFormatError, match=message):
        read_soft_labels(tmp_path / "f.tsv")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "y", "proba": {"no": 1.0}}, "f.jsonl:2: 'proba' lacks the class 'yes'"),
        ({"text": "y"}, "f.jsonl:2: 'proba' lacks the class 'no'; got None"),
        ({"text": "y", "proba": {"no": True, "yes": 0.0}}, "f.jsonl:2: the probability of 'no' must .* got True"),
        ({"proba": {"no": 1.0, "yes": 0.0}}, "f.jsonl:2: no key 'text'"),
    ],
)
def test_wrong_objects_are_named(tmp_path, row, message):
    right = {"text": "x", "proba": {"no": 1.0, "yes": 0.0}}
    (tmp_path / "f.jsonl").write_text(json.dumps(right) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(DataFormatError, match=message):
        read_soft_labels(tmp_path / "f.jsonl")


def test_columns_that_are_missing(tmp_path):
    path = predicted(tmp_path / "f.tsv", [("x", 0.5, 0.5)])
    with pytest.raises(DataFormatError, match=r"no probabilities of the class 'maybe'; there are those of 'no', 'yes'"):
        read_soft_labels(path, classes=["no", "maybe"])
    with pytest.raises(DataFormatError, match="no column 'body'"):
        read_soft_labels(path, text="body")
    (tmp_path / "g.tsv").write_text("text\nx\n")
    with pytest.raises(DataFormatError, match="there is no column of probabilities beside 'text'"):
        read_soft_labels(tmp_path / "g.tsv")
    (tmp_path / "g.txt").write_text("x\n")
    with pytest.raises(DataFormatError, match="cannot tell its columns"):
        read_soft_labels(tmp_path / "g.txt")
    with pytest.raises(InvalidParameterError, match="path must be a file"):
        read_soft_labels("-")


def test_a_file_is_streamed(tmp_path):
    with gzip.open(tmp_path / "f.tsv.gz", "wt") as file:
        file.write("text\tproba_a\tproba_b\n")
        file.writelines(f"text {i}\t{i / 1000}\t{1 - i / 1000}\n" for i in range(1000))
    file = SoftLabelFile(tmp_path / "f.tsv.gz", batch_size=300)
    sizes = [(len(texts), P.shape) for texts, P in file]
    assert sizes == [(300, (300, 2))] * 3 + [(100, (100, 2))]
    assert next(iter(file))[0][0] == "text 0"


@pytest.mark.parametrize(
    "module", [tlclassic.distillation.asking, tlclassic.distillation.soft_label_files], ids=lambda m: m.__name__
)
def test_the_docstrings(module):
    result = doctest.testmod(module)
    assert (result.attempted >= 3, result.failed) == (True, 0)


def test_several_answers_to_one_text_are_averaged():
    P = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    known = KnownAnswers(SoftLabels(["x", "y", "x"], ["no", "yes"], P, False))
    found = known.look_up(["x", "z", "y"])
    np.testing.assert_allclose(found, [[0.7, 0.3], [np.nan, np.nan], [0.2, 0.8]], atol=1e-6)
