"""``tlclassic finetune``, and the commands that take its result."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.finetune_cases import LABELS, TEXTS, make_torch_encoder  # noqa: E402
from tlclassic import _compat, finetune  # noqa: E402
from tlclassic.app import finetune_options  # noqa: E402
from tlclassic.app.main import build  # noqa: E402
from tlclassic.errors import InputError, InvalidParameterError, MissingExtraError  # noqa: E402

pytestmark = pytest.mark.finetune

FAST = ["--epochs", "8", "--batch-size", "8", "--learning-rate", "0.01", "--threads", "1", "--precision", "float32"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return make_torch_encoder(tmp_path_factory.mktemp("app") / "tiny")


def _table(path, rows, header="text\tlabel"):
    path.write_text(header + "\n" + "".join("\t".join(row) + "\n" for row in rows), "utf-8")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a folder with train.tsv and dev.tsv; gives stdout."""
    monkeypatch.chdir(tmp_path)
    # What the command sets for itself is taken back afterwards.
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    _table(tmp_path / "train.tsv", zip(TEXTS, LABELS, strict=True))
    _table(tmp_path / "dev.tsv", [("a great parcel", "pos"), ("a poor parcel", "neg")] * 4)

    def call(*arguments):
        done = CliRunner().invoke(build(("finetune", "predict", "evaluate")), [str(argument) for argument in arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return call


@pytest.fixture
def told(monkeypatch):
    """What the command tells ``fine_tune``, which does nothing here."""
    seen = {}

    def fine_tune(source, texts, labels, out, **options):
        seen.update(options, source=source, texts=texts, labels=labels, out=out)
        return finetune.FineTuned(out, [], None, {"texts": 1, "max_difference": 1e-7, "agreement": 1.0}, None, None)

    _ = finetune.FineTuned
    monkeypatch.setattr(finetune, "fine_tune", fine_tune)
    return seen


def test_from_a_file_to_a_model_that_predicts_and_is_measured(run, encoder):
    out = run("finetune", "train.tsv", "--dev", "dev.tsv", "--encoder", encoder, "--out", "model", *FAST, "--json")
    said = json.loads(out)
    assert list(said) == ["n", "tasks", "best", "parity", "int8", "resumed_at_step", "model"]
    assert (said["n"], said["tasks"], said["resumed_at_step"], said["model"]) == (32, ["label"], None, "model")
    assert said["best"]["dev_accuracy"] == 1.0
    assert said["int8"]["preferred"] in (True, False)
    assert run("predict", "model", "dev.tsv", "--format", "tsv") == "label\n" + "pos\nneg\n" * 4
    measured = json.loads(run("evaluate", "model", "dev.tsv", "--json"))
    assert measured["accuracy"] == 1.0
    assert measured["n"] == 8


def test_without_json_it_is_said_in_words(run, encoder):
    out = run("finetune", "train.tsv", "-e", encoder, "-o", "model", *FAST, "--train", "head", "--no-int8")
    lines = out.splitlines()
    assert lines[0] == "fine-tuned on 32 texts, tasks: label"
    assert lines[1].startswith("ONNX as torch: logits within ")
    assert lines[2:] == ["saved model"]


def test_columns_of_the_training_file_are_those_of_prediction(run, tmp_path, encoder):
    _table(tmp_path / "own.tsv", zip(LABELS, TEXTS, strict=True), header="mood\tbody")
    run("finetune", "own.tsv", "-e", encoder, "-o", "model", "--text", "body", "--label", "mood", *FAST, "--no-int8")
    assert json.loads(run("evaluate", "model", "own.tsv", "--json"))["accuracy"] == 1.0


def test_several_labels_make_several_tasks(run, tmp_path, encoder):
    topics = ["" if row < 4 else text.split()[-1] for row, text in enumerate(TEXTS)]
    rows = zip(TEXTS, LABELS, topics, strict=True)
    _table(tmp_path / "two.tsv", rows, header="text\tmood\ttopic")
    out = run("finetune", "two.tsv", "-e", encoder, "-o", "model", "--label", "mood", "--label", "topic",
              "--dev", "two.tsv", *FAST, "--no-int8", "--json")  # fmt: skip
    assert json.loads(out)["tasks"] == ["mood", "topic"]
    tasks = json.loads((tmp_path / "model" / "training.json").read_text("utf-8"))["tasks"]
    assert [(task["name"], task["labelled"]) for task in tasks] == [("mood", 32), ("topic", 28)]


def test_lists_of_labels_make_a_multilabel_model(run, tmp_path, encoder):
    rows = [(text, "pos,kind" if "good" in text else label) for text, label in zip(TEXTS, LABELS, strict=True)]
    _table(tmp_path / "many.tsv", rows)
    run("finetune", "many.tsv", "-e", encoder, "-o", "model", "--multilabel", "--dev", "many.tsv", *FAST, "--no-int8")
    (task,) = json.loads((tmp_path / "model" / "training.json").read_text("utf-8"))["tasks"]
    assert (task["classes"], task["multilabel"]) == (["kind", "neg", "pos"], True)


def test_every_option_reaches_the_trainer(run, told, encoder):
    run("finetune", "train.tsv", "-e", encoder, "-o", "model", "--train", "top-2", "--head", "64", "--head", "8",
        "--dropout", "0.2", "--epochs", "1.5", "--batch-size", "4", "--learning-rate", "2e-5", "--decay", "0.8",
        "--schedule", "cosine", "--gradual-unfreezing", "--patience", "2", "--metric", "macro_f1", "--balanced",
        "--max-length", "40", "--precision", "bfloat16", "--no-int8", "--weights", "--no-resume", "--force",
        "--device", "cpu", "--threads", "1", "--seed", "7", "--json")  # fmt: skip
    for name in ("on_progress", "on_frozen"):
        assert callable(told.pop(name))
    assert told == {
        "source": encoder, "texts": TEXTS, "labels": LABELS, "out": Path("model"), "dev": None, "classes": None,
        "sample_weight": None,
        "multilabel": False, "contrastive": False, "train": "top-2", "head": (64, 8), "dropout": 0.2, "epochs": 1.5,
        "batch_size": 4, "learning_rate": 2e-5, "decay": 0.8, "schedule": "cosine", "gradual_unfreezing": True,
        "patience": 2, "metric": "macro_f1", "class_weight": "balanced", "max_length": 40, "precision": "bfloat16",
        "int8": False, "weights": True, "resume": False, "force": True, "device": "cpu", "threads": 1, "seed": 7,
        "columns": {"text": "text", "label": "label", "separator": ","},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "train"),
    [
        (["embeddings", "encoder.layer.0"], ("embeddings", "encoder.layer.0")),
        (["encoder.layer.1"], ("encoder.layer.1",)),
        (["head"], "head"),
    ],
)
def test_parts_to_train_are_given_by_name(run, told, given, train, encoder):
    run("finetune", "train.tsv", "-e", encoder, "-o", "model", *(part for name in given for part in ("--train", name)))
    assert told["train"] == train


def test_few_shot_gives_no_option_that_has_no_say(run, told, encoder):
    run("finetune", "train.tsv", "-e", encoder, "-o", "model", "--few-shot")
    assert told["contrastive"] is True
    assert not {"epochs", "batch_size", "metric", "patience"} & set(told)


def test_a_broken_few_shot_run_goes_on_and_says_so(run, tmp_path, encoder):
    def stop(done, total):
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune.fine_tune(encoder, TEXTS, LABELS, tmp_path / "model", contrastive=True, threads=1,
                           checkpoint_seconds=0, on_progress=stop)  # fmt: skip
    assert (tmp_path / ".model.checkpoint").exists()
    out = run("finetune", "train.tsv", "-e", encoder, "-o", "model", "--few-shot", "--no-int8", "--threads", "1")
    assert "went on from step 29" in out.splitlines()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dev.tsv", "model", "train.tsv"]


def test_few_shot_from_the_command_line(run, encoder):
    out = run("finetune", "train.tsv", "-e", encoder, "-o", "model", "--few-shot", "--dev", "dev.tsv", "--no-int8",
              "--learning-rate", "0.01", "--threads", "1", "--json")  # fmt: skip
    assert json.loads(out)["best"]["dev_accuracy"] == 1.0


def test_weights_of_a_column_are_learnt_with(run, tmp_path, encoder):
    """Every text is there with both labels, and the weights say which one counts."""
    other = {"pos": "neg", "neg": "pos"}
    pairs = list(zip(TEXTS, LABELS, strict=True))
    rows = [(text, own, "1.5") for text, own in pairs] + [(text, other[own], "0.1") for text, own in pairs]
    _table(tmp_path / "sure.tsv", rows, header="text\tlabel\tsure")
    run("finetune", "sure.tsv", "-e", encoder, "-o", "model", "--weight", "sure", *FAST, "--no-int8")
    assert json.loads(run("evaluate", "model", "train.tsv", "--json"))["accuracy"] == 1.0


def test_weights_of_several_tasks_go_with_their_texts(run, tmp_path, told, encoder):
    rows = [("one", "a", "", "1"), ("two", "", "x", "2"), ("three", "", "", "no"), ("four", "b", "y", "0.5")]
    _table(tmp_path / "two.tsv", rows, header="text\tmood\ttopic\tw")
    run("finetune", "two.tsv", "-e", encoder, "-o", "m", "--label", "mood", "--label", "topic", "--weight", "w")
    assert told["texts"] == ["one", "two", "four"]
    assert told["labels"] == {"mood": ["a", None, "b"], "topic": [None, "x", "y"]}
    assert told["sample_weight"] == [1.0, 2.0, 0.5]


def test_weights_of_lists_of_labels_are_read(run, tmp_path, told, encoder):
    _table(tmp_path / "many.tsv", [("one", "a,b", "3"), ("two", "b", "1")], header="text\tlabel\tw")
    run("finetune", "many.tsv", "-e", encoder, "-o", "m", "--multilabel", "--weight", "w")
    assert (told["labels"].tolist(), told["sample_weight"]) == ([[1, 1], [0, 1]], [3.0, 1.0])


def test_a_weight_that_is_none_is_told_by_file_and_line(run, tmp_path, told, encoder):
    _table(tmp_path / "sure.tsv", [("a", "x", "1"), ("b", "y", "-2")], header="text\tlabel\tw")
    with pytest.raises(InputError, match=r"sure\.tsv:3: column 'w' must be a number that is not negative, got '-2'"):
        run("finetune", "sure.tsv", "-e", encoder, "-o", "model", "--weight", "w")
    assert told == {}


def test_what_a_model_predicts_with_probabilities_teaches_another(run, tmp_path, encoder):
    run("finetune", "train.tsv", "-e", encoder, "-o", "teacher", *FAST, "--no-int8")
    for format in ("tsv", "jsonl"):
        soft = tmp_path / f"soft.{format}"
        soft.write_text(run("predict", "teacher", "train.tsv", "--proba", "--keep", "text", "--format", format))
        out = run("finetune", soft, "-e", encoder, "-o", f"of-{format}", "--soft", "--dev", "dev.tsv", *FAST,
                  "--no-int8", "--json")  # fmt: skip
        assert (json.loads(out)["n"], json.loads(out)["best"]["dev_accuracy"]) == (32, 1.0)
        (task,) = json.loads((tmp_path / f"of-{format}" / "training.json").read_text("utf-8"))["tasks"]
        assert (task["classes"], task["multilabel"]) == (["neg", "pos"], False)


def test_soft_labels_are_the_probabilities_as_they_stand(run, tmp_path, told, encoder):
    rows = [("one", "no", "0.75", "0.25", "2"), ("two", "yes", "0.5", "0.5", "1")]
    _table(tmp_path / "soft.tsv", rows, header="text\tlabel\tproba_no\tproba_yes\tw")
    _table(tmp_path / "dev.tsv", [("one", "yes")])
    run("finetune", "soft.tsv", "-e", encoder, "-o", "m", "--soft", "--weight", "w", "--dev", "dev.tsv")
    assert (told["texts"], told["classes"], told["multilabel"]) == (["one", "two"], ["no", "yes"], False)
    assert (told["labels"].tolist(), told["sample_weight"]) == ([[0.75, 0.25], [0.5, 0.5]], [2.0, 1.0])
    assert told["dev"] == (["one"], ["yes"])
    run("finetune", "soft.tsv", "-e", encoder, "-o", "m", "--soft", "--multilabel", "--dev", "dev.tsv")
    assert (told["multilabel"], told["dev"][1].tolist()) == (True, [[0, 1]])


@pytest.mark.parametrize(
    ("row", "header", "options", "message"),
    [
        (("a", "0.5", "0.2"), "text\tproba_x\tproba_y", [], r"soft\.tsv:2: the probabilities sum to 0\.7 and not to 1"),
        (
            ("a", "1.5", "0"),
            "text\tproba_x\tproba_y",
            [],
            r"soft\.tsv:2: the probability of 'proba_x' must be a number",
        ),
        ((" ", "0.5", "0.5"), "text\tproba_x\tproba_y", [], r"soft\.tsv:2: column 'text' is empty"),
        (("a", "x"), "text\tlabel", [], r"soft\.tsv: there is no column of probabilities beside 'text'"),
        (("a", "0.5", "0.5"), "text\tx\ty", ["--weight", "y"], "--weight y is read as a class"),
        (("a", "0.5", "0.5"), "text\tproba_x\tproba_y", ["--label", "m", "--label", "n"], "--soft takes one task"),
        (("a", "0.5", "0.5"), "text\tproba_x\tproba_y", ["--few-shot"], "--few-shot takes hard labels without weights"),
    ],
)
def test_soft_labels_that_are_none_are_refused(run, tmp_path, told, encoder, row, header, options, message):
    _table(tmp_path / "soft.tsv", [row], header)
    with pytest.raises((InputError, InvalidParameterError), match=message):
        run("finetune", "soft.tsv", "-e", encoder, "-o", "model", "--soft", *options)
    assert told == {}


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([("a", "pos"), ("b", "odd")], "text\tlabel", r"dev\.tsv:3: no text of TRAIN has the label 'odd'\. Correct"),
        ([("a", "pos"), ("b",)], "text\tlabel", r"dev\.tsv:3: expected 2 fields \(text, label\), got 1\. Each row"),
        ([("a", "pos")], "text\tmood", r"dev\.tsv.*label"),
        ([("a", "")], "text\tlabel", r"dev\.tsv: no row has a label in column 'label'\. Check the file"),
    ],
)  # fmt: skip
def test_bad_rows_are_told_by_file_and_line(run, tmp_path, told, rows, header, message, encoder):
    _table(tmp_path / "dev.tsv", rows, header)
    with pytest.raises(InputError, match=message):
        run("finetune", "train.tsv", "--dev", "dev.tsv", "-e", encoder, "-o", "model")
    assert told == {}


def test_a_label_that_a_task_of_several_lacks_is_told_by_file_and_line(run, tmp_path, told, encoder):
    _table(tmp_path / "two.tsv", [("a", "x", "1"), ("b", "y", "2")], header="text\tmood\ttopic")
    _table(tmp_path / "dev.tsv", [("a", "x", "2"), ("b", "x", "3")], header="text\tmood\ttopic")
    with pytest.raises(InputError, match=r"dev\.tsv:3: no text of TRAIN has the label '3'"):
        run("finetune", "two.tsv", "--dev", "dev.tsv", "-e", encoder, "-o", "m", "--label", "mood", "--label", "topic")


def test_a_folder_in_use_is_refused_before_anything_is_read(run, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").touch()
    with pytest.raises(InputError, match="holds other files"):
        run("finetune", "nowhere.tsv", "-e", "nothing", "-o", "model")


def test_standard_input_is_read_for_one_label_only(run, encoder):
    with pytest.raises(InvalidParameterError, match="several --label need a file"):
        run("finetune", "-", "-e", encoder, "-o", "model", "--label", "a", "--label", "b")


@pytest.mark.parametrize(("missing", "extra"), [("torch", "finetune"), ("transformers", "finetune"), ("onnx", "onnx")])
def test_a_missing_extra_is_told_with_the_command_that_installs_it(run, monkeypatch, missing, extra, encoder):
    own = _compat.is_installed
    for place in (_compat, finetune_options):
        monkeypatch.setattr(place, "is_installed", lambda module: module != missing and own(module))
    with pytest.raises(MissingExtraError) as told:
        run("finetune", "train.tsv", "-e", encoder, "-o", "model")
    assert str(told.value) == (
        f"Fine-tuning needs {missing}, which is not installed. Install it with: pip install 'tlclassic[{extra}]'"
    )


def test_every_option_that_the_page_names_is_there():
    page = (Path(__file__).parents[1] / "docs" / "finetune.md").read_text("utf-8")
    own = re.sub(r"`tlclassic predict[^`]*`", "", page)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", own))
    assert len(named) > 20
    command = get_command(build(("finetune",))).commands["finetune"]
    there = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    assert named - there == set()


def test_idle_threads_are_told_not_to_spin_before_torch_is_there(tmp_path):
    """In a process of its own, which has not loaded torch yet; what the user has set stays."""
    program = (
        "import os, sys\n"
        "import tlclassic.app.finetune as command, tlclassic.app.finetune_options as shared\n"
        "def stop(module):\n"
        "    print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'])\n"
        "    raise SystemExit\n"
        "shared.is_installed = stop\n"
        "command.finetune('train.tsv', 'enc', 'out')\n"
    )
    clean = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    for own, said in (({}, "False passive 0\n"), ({"OMP_WAIT_POLICY": "active"}, "False active 0\n")):
        done = subprocess.run(
            [sys.executable, "-c", program], env={**clean, **own}, capture_output=True, text=True, check=True
        )
        assert done.stdout == said


def test_the_program_ends_with_a_sentence_not_a_traceback(tmp_path):
    _table(tmp_path / "train.tsv", zip(TEXTS, LABELS, strict=True))
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tlclassic", "finetune", "train.tsv", "--encoder", "empty", "--out", "model"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: empty: there is no config.json here. Give a folder of transformers\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "train.tsv"]


# -- several files -----------------------------------------------------------------------------------------------------


def test_files_of_their_own_train_one_model(run, encoder, tmp_path):
    _table(tmp_path / "things.tsv", [(text, text.split()[2]) for text in TEXTS])
    files = ["train.tsv", "things.tsv", "--task", "mood", "--task", "thing", "--dev", "dev.tsv", "--dev", "things.tsv"]
    shown = run("finetune", *files, "-e", encoder, "-o", "both", *FAST, "--no-int8", "--json")
    found = json.loads(shown)
    assert found["tasks"] == ["mood", "thing"]
    assert found["n"] == 2 * len(TEXTS)
    said = json.loads((tmp_path / "both" / "training.json").read_text("utf-8"))
    assert [said["options"][name] for name in ("task_pooling", "cross_attention", "temperature")] == [
        "attention", True, 2.0,
    ]  # fmt: skip
    assert [task["labelled"] for task in said["tasks"]] == [len(TEXTS)] * 2
    assert said["best"]["dev_accuracy"] > 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.tsv", "dev.tsv"], "several files, and --temperature, need a name for each task"),
        (["train.tsv", "--temperature", "2"], "several files, and --temperature, need a name for each task"),
        (["train.tsv", "dev.tsv", "--task", "a"], "got 2 files, tasks a, 0 of dev"),
        (["train.tsv", "dev.tsv", "--task", "a", "--task", "a"], "--task must name each file once"),
        (["train.tsv", "--task", "a", "--soft"], "--task takes one --label, and no --few-shot"),
    ],
)
def test_files_and_tasks_must_fit(run, encoder, arguments, message):
    with pytest.raises(InvalidParameterError, match=message):
        run("finetune", *arguments, "-e", encoder, "-o", "out")
