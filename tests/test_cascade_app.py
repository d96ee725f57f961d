"""The folder of a cascade, and ``tlclassic cascade``, predict and evaluate on it, run in-process."""

from __future__ import annotations

import json
import math
import shutil
import sys

import numpy as np
import pytest

import tlclassic
from tlclassic import Cascade, NgramClassifier
from tlclassic.app.main import _run
from tlclassic.cascade.folder import _checksum, read_description
from tlclassic.errors import (
    ArtifactError,
    ArtifactVersionError,
    CorruptArtifactError,
    ForeignArtifactError,
    InputError,
    InvalidParameterError,
)

GOOD, BAD = ["good", "great", "fine", "lovely"], ["bad", "dull", "poor", "awful"]
rng = np.random.default_rng(3)
TEXTS = [" ".join(rng.choice(words, 4)) + " film" for words in (GOOD, BAD) * 200]
LABELS = ["pos", "neg"] * 200
#: Words that the student does not know.
UNKNOWN = ["lovely lovely", "awful awful", "poor poor poor", "fine fine"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A compiled student that knows half of the words, and a teacher that knows all, as files."""
    folder = tmp_path_factory.mktemp("models")
    known = [
        " ".join(word for word in text.split() if word in ("good", "great", "bad", "dull", "film")) for text in TEXTS
    ]
    student = tlclassic.compile(NgramClassifier(bits=12, word_ngrams=(1, 1)).fit(known, LABELS))
    student.save(folder / "student.tlc")
    teacher = NgramClassifier(bits=14).fit(TEXTS, LABELS)
    tlclassic.save(teacher, folder / "teacher.tlc", metadata={"task": {"text": "body", "label": "kind"}})
    return folder


@pytest.fixture
def cascade(models):
    return Cascade(tlclassic.load(models / "student.tlc"), tlclassic.load(models / "teacher.tlc"), threshold=0.6)


# -- the folder ------------------------------------------------------------------------------------------------------


def test_a_saved_cascade_answers_as_before(cascade, tmp_path):
    cascade.tune(TEXTS, LABELS, agreement=0.98)
    cascade.save(tmp_path / "both")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["both", "cascade.json", "student.tlc", "teacher.tlc"]
    again = tlclassic.load(tmp_path / "both")
    assert again.tuning_ == cascade.tuning_
    assert again.threshold_ == cascade.threshold_
    assert again.predict(TEXTS + UNKNOWN).tolist() == cascade.predict(TEXTS + UNKNOWN).tolist()
    again.save(tmp_path / "again")
    assert read_description(tmp_path / "again") == read_description(tmp_path / "both")
    said = read_description(tmp_path / "both")
    assert (said["format"], said["tlclassic"]) == (1, tlclassic.__version__)
    assert len(said["tuning"]["dev_sha256"]) == 64


def test_without_a_teacher_and_without_an_end(cascade, tmp_path):
    alone = Cascade(cascade.student, threshold=math.inf, unsure=None)
    alone.save(tmp_path / "alone")
    assert json.loads((tmp_path / "alone" / "cascade.json").read_text())["threshold"] is None
    again = tlclassic.load(tmp_path / "alone")
    assert (again.threshold_, again.teacher, again.predict(["good"]).tolist()) == (math.inf, None, [None])


def test_several_labels_of_models_that_know_column_numbers(tmp_path):
    Y = np.array([[1, 0], [0, 1]] * 200)
    student = tlclassic.compile(NgramClassifier(bits=12, multilabel=True).fit(TEXTS, Y))
    teacher = NgramClassifier(bits=14, multilabel=True).fit(TEXTS, Y[:, ::-1])
    options = {"student_labels": ["pos", "neg"], "teacher_labels": ["neg", "pos"]}
    cascade = Cascade(student, teacher, threshold=0.5, **options)
    cascade.save(tmp_path / "both")
    again = tlclassic.load(tmp_path / "both")
    texts = ["good film", "bad film", "lovely", "awful awful"]
    assert again.labels == ["pos", "neg"]
    assert again.predict(texts).tolist() == cascade.predict(texts).tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]


def test_a_teacher_that_is_referred_to(models, tmp_path):
    shutil.copy(models / "teacher.tlc", tmp_path / "teacher.tlc")
    cascade = Cascade(tlclassic.load(models / "student.tlc"), tlclassic.load(tmp_path / "teacher.tlc"), threshold=0.9)
    with pytest.raises(InvalidParameterError, match="refer=True needs a teacher that lies in a file or folder"):
        cascade.save(tmp_path / "both", refer=True)
    cascade.save(tmp_path / "both", refer=True, teacher_path=tmp_path / "teacher.tlc")
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["cascade.json", "student.tlc"]
    assert tlclassic.load(tmp_path / "both").predict(UNKNOWN).tolist() == ["pos", "neg", "neg", "pos"]
    # Moved together, it is found beside the folder.
    (tmp_path / "new").mkdir()
    for name in ("both", "teacher.tlc"):
        (tmp_path / name).rename(tmp_path / "new" / name)
    assert tlclassic.load(tmp_path / "new" / "both", verify=False).predict(["lovely"]).tolist() == ["pos"]
    with (tmp_path / "new" / "teacher.tlc").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"teacher that the cascade refers to was not found.*no such file.*SHA-256"):
        tlclassic.load(tmp_path / "new" / "both", verify=False)


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda p: p.write_text("{"), CorruptArtifactError, "cascade.json: not valid JSON"),
        (lambda p: p.write_text("[]"), ForeignArtifactError, "does not say that it is a cascade"),
        (lambda p: p.write_text('{"format": 1}'), CorruptArtifactError, r"altered since it was written \(checksum\)"),
        (lambda p: _edit(p, threshold=0.1, seal=False), CorruptArtifactError, r"altered since .* \(checksum\)"),
        (lambda p: _edit(p, format=2), ArtifactVersionError, "format 2, written by tlclassic .* Update tlclassic"),
        (lambda p: _edit(p, threshold="low"), CorruptArtifactError, "threshold is missing or malformed"),
        (lambda p: _edit(p, student=None), CorruptArtifactError, "student is missing or malformed"),
        (
            lambda p: _edit(p, teacher={"form": "file", "files": {"": 3}, "options": {}}),
            CorruptArtifactError,
            "teacher",
        ),
        (lambda p: _edit(p, tuning={"kind": "share"}), CorruptArtifactError, "tuning is malformed"),
        (lambda p: _edit(p, task={"text": 3}), CorruptArtifactError, "task.text is missing or malformed"),
        (lambda p: _edit(p, measure="x"), InvalidParameterError, "measure must be one of"),
        (lambda p: (p.parent / "student.tlc").unlink(), CorruptArtifactError, "student.tlc: no such file"),
        (lambda p: (p.parent / "teacher.tlc").write_bytes(b"x"), CorruptArtifactError, "it is another one .SHA-256"),
    ],
)
def test_damage_is_told_before_anything_is_built(cascade, tmp_path, damage, error, message):
    cascade.save(tmp_path / "both")
    damage(tmp_path / "both" / "cascade.json")
    with pytest.raises(error, match=message):
        tlclassic.load(tmp_path / "both")


def _edit(path, *, seal=True, **changes):
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**content, "checksum": _checksum(content)} if seal else content))


def test_it_appears_whole_or_not_at_all_and_replaces_cascades_alone(cascade, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="this folder holds other files"):
        cascade.save(tmp_path / "other", force=True)
    cascade.save(tmp_path / "both")
    before = (tmp_path / "both" / "cascade.json").read_bytes()
    with pytest.raises(InputError, match="there is a cascade already"):
        cascade.save(tmp_path / "both")
    monkeypatch.setattr("tlclassic.cascade.folder._checksum", lambda content: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cascade.save(tmp_path / "both", force=True)
    assert (tmp_path / "both" / "cascade.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both", "other"]
    monkeypatch.undo()
    cascade.set_params(threshold=0.25).save(tmp_path / "both", force=True)
    assert tlclassic.load(tmp_path / "both").threshold_ == 0.25


def test_what_a_killed_run_left_is_removed(cascade, tmp_path):
    left = tmp_path / ".both.abcdefgh.partial"
    left.mkdir()
    (left / "student.tlc").write_bytes(b"half")
    cascade.save(tmp_path / "both")
    assert [path.name for path in tmp_path.iterdir()] == ["both"]


def test_options_of_pipelines_are_refused(cascade, tmp_path):
    cascade.save(tmp_path / "both")
    with pytest.raises(InvalidParameterError, match="both is a cascade, which needs neither"):
        tlclassic.load(tmp_path / "both", vectors="glove.tlc")


# -- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def run(models, tmp_path, monkeypatch, capsys):
    """Run a command line in a folder with the models, dev.tsv and plain.txt; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name in ("student.tlc", "teacher.tlc"):
        shutil.copy(models / name, tmp_path)
    rows = zip([*TEXTS, *UNKNOWN], [*LABELS, "pos", "neg", "neg", "pos"], strict=True)
    (tmp_path / "dev.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    (tmp_path / "plain.txt").write_text("\n".join([*TEXTS, *UNKNOWN]) + "\n")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tlclassic", *map(str, arguments)])
        code = _run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_from_two_models_to_a_cascade_that_predicts_and_is_measured(run):
    command = ("cascade", "student.tlc", "teacher.tlc", "--dev", "dev.tsv", "--agreement", "0.98", "--out", "both")
    code, out, err = run(*command)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["dev texts         404", "wanted agreement  0.98, at 0.95 confidence"]
    assert [line.split()[0] for line in lines[2:5]] == ["threshold", "passed", "agreement"]
    assert [line.split()[0] for line in lines[6:10]] == ["texts/s", "student", "teacher", "cascade"]
    assert lines[8].split()[-1] == "1.0000"
    assert lines[-1] == "saved both"
    code, out, err = run("predict", "both", "plain.txt", "--lines", "--proba", "--batch-size", "100")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, len(rows)) == (0, 404)
    assert [row["label"] for row in rows[-4:]] == ["pos", "neg", "neg", "pos"]
    assert err.startswith("cascade: 404 texts, ")
    assert "passed on to the teacher" in err
    code, out, err = run("evaluate", "both", "dev.tsv", "--json")
    assert json.loads(out)["accuracy"] >= 0.98
    assert err.startswith("cascade: 404 texts, ")
    assert run(*command)[2] == "error: both: there is a cascade already. Replace it with force (--force)\n"
    assert run(*command, "--force")[0] == 0


def test_what_confidence_is_may_be_said(run, tmp_path):
    command = ("cascade", "student.tlc", "teacher.tlc", "--dev", "plain.txt", "--share", "0.1", "--out", "both")
    assert run(*command, "--measure", "margin")[0] == 0
    assert tlclassic.load(tmp_path / "both").measure == "margin"
    _, _, err = run(*command, "--force", "--measure", "labels")
    assert err == "error: --measure must be 'probability' or 'margin' for one label a text; got 'labels'.\n"


def test_plain_text_is_enough_for_agreement_and_for_a_share(run):
    code, out, _ = run("cascade", "student.tlc", "teacher.tlc", "--dev", "plain.txt", "--share", "0.1", "--out", "both",
                       "--json", "--refer")  # fmt: skip
    report = json.loads(out)
    assert code == 0
    assert (report["kind"], report["value"], report["confidence"], report["model"]) == ("share", 0.1, None, "both")
    assert report["report"]["accuracy"] == {}
    assert 0 < report["report"]["passed_on"] <= 40
    assert report["run"]["passed_on"] == report["report"]["passed_on"]
    assert report["run"]["speed"] > 0


def test_without_a_teacher_it_abstains(run, tmp_path):
    code, out, err = run("cascade", "student.tlc", "--dev", "dev.tsv", "--accuracy", "0.95", "--out", "alone")
    assert (code, err) == (0, "")
    assert "left unanswered" in out
    _, out, err = run("predict", "alone", "plain.txt", "--lines", "--format", "tsv")
    assert out.splitlines()[-4:] == ["unsure"] * 4
    assert "left unanswered" in err
    code, out, err = run("evaluate", "alone", "dev.tsv", "--json")
    assert json.loads(out)["n"] < 404
    assert err.splitlines()[-1] == "what follows is of the answered texts alone"


def test_too_few_texts_are_told(run, tmp_path):
    (tmp_path / "few.txt").write_text("\n".join(TEXTS[:9]) + "\n")
    code, out, err = run("cascade", "student.tlc", "teacher.tlc", "--dev", "few.txt", "--out", "both")
    assert code == 0
    assert err.startswith(
        "warning: agreement=0.995 at confidence=0.95 cannot be shown on 9 texts: it takes at least 598"
    )
    assert "threshold         none: every text is passed on" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["student.tlc", "--dev", "dev.tsv", "--agreement", "0.9"], 2, "agreement must be left out where there is no"),
        (["student.tlc", "--dev", "dev.tsv", "--accuracy", "1"], 2, "--accuracy must be above 0 and below 1; got 1.0"),
        (["student.tlc", "--dev", "plain.txt", "--accuracy", "0.9"], 1, "plain.txt: there is no label in"),
        (["student.tlc", "--dev", "dev.tsv", "--share", "0.1", "--refer"], 2, "--refer is for a teacher"),
        (["student.tlc", "--dev", "-", "--share", "0.1"], 2, "--dev must be a file"),
        (["student.tlc", "--dev", "none.tsv", "--share", "0.1"], 1, "none.tsv"),
    ],
)
def test_wrong_use(run, tmp_path, arguments, code, message):
    got, out, err = run("cascade", *arguments, "--out", "both")
    assert (got, out) == (code, "")
    assert message in err
    assert not (tmp_path / "both").exists()


def test_several_labels_on_the_command_line(run, tmp_path):
    rows = [{"text": text, "label": [label]} for text, label in zip(TEXTS, LABELS, strict=True)]
    (tmp_path / "several.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # The labels "neg" and "pos" are columns 0 and 1 of the one, and "pos", "neg" those of the other.
    for name, labels, bits in (("one", ["neg", "pos"], 12), ("two", ["pos", "neg"], 14)):
        Y = np.array([[label == name for name in labels] for label in LABELS]).astype(int)
        task = {"text": "text", "label": "label", "multilabel": True, "labels": labels}
        tlclassic.save(
            NgramClassifier(bits=bits, multilabel=True).fit(TEXTS, Y), tmp_path / f"{name}.tlc", metadata={"task": task}
        )
    code, out, _ = run("cascade", "one.tlc", "two.tlc", "--dev", "several.jsonl", "--agreement", "0.98", "-o", "both",
                       "--json")  # fmt: skip
    assert code == 0
    assert json.loads(out)["report"]["accuracy"] == {"student": 1.0, "teacher": 1.0, "cascade": 1.0}
    _, out, _ = run("predict", "both", "several.jsonl", "--format", "jsonl")
    assert [json.loads(line)["label"] for line in out.splitlines()[:2]] == [["pos"], ["neg"]]
    assert run("cascade", "one.tlc", "--dev", "several.jsonl", "--share", "1", "-o", "alone")[0] == 0
    _, out, _ = run("predict", "alone", "several.jsonl", "--format", "jsonl")
    assert [json.loads(line)["label"] for line in out.splitlines()[:2]] == [["unsure"], ["unsure"]]


def test_an_encoders_folder_is_copied_with_its_options(cascade, tmp_path):
    pytest.importorskip("onnxruntime")
    from tiny_encoder import make_tiny_encoder

    make_tiny_encoder(tmp_path / "encoder", output="logits", labels=("pos", "neg"))
    (tmp_path / "encoder" / ".cache").mkdir()
    teacher = tlclassic.EncoderClassifier(tmp_path / "encoder", max_length=8)
    both = Cascade(cascade.student, teacher, threshold=2.0)
    both.save(tmp_path / "both")
    assert not (tmp_path / "both" / "teacher" / ".cache").exists()
    assert read_description(tmp_path / "both")["teacher"]["options"] == {
        "task": None, "file": "auto", "max_length": 8
    }  # fmt: skip
    again = tlclassic.load(tmp_path / "both")
    assert again.teacher.max_length == 8
    assert again.predict_proba(UNKNOWN) == pytest.approx(teacher.predict_proba(UNKNOWN)[:, ::-1])
    (tmp_path / "both" / "teacher" / "config.json").write_text("{}")
    with pytest.raises(CorruptArtifactError, match=r"teacher: config.json is another one"):
        tlclassic.load(tmp_path / "both")
    # Referred to, the folder stays where it is, and its path is known.
    both.save(tmp_path / "light", refer=True)
    assert tlclassic.load(tmp_path / "light").teacher.model == str(tmp_path / "encoder")
