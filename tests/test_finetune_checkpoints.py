"""States of a run: what is kept, what is passed over, and a killed process that ends as an unbroken one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.tiny_encoder import make_tiny_encoder  # noqa: E402
from tlclassic.errors import InputError, InvalidParameterError, TlclassicWarning  # noqa: E402
from tlclassic.finetune import fine_tune  # noqa: E402
from tlclassic.finetune.options import FineTuneOptions  # noqa: E402
from tlclassic.finetune.trainer import train_encoder  # noqa: E402

pytestmark = pytest.mark.finetune

TEXTS = ["good film", "bad plot", "fine story", "dull scene"] * 8
LABELS = ["pos", "neg", "pos", "neg"] * 8
SETTINGS = {"train": "all", "epochs": 4, "batch_size": 4, "threads": 1, "int8": False, "weights": True}

FEW = {"contrastive": True, "pairs": 320, "threads": 1, "int8": False, "weights": True}

#: Settings of the runs, where they are killed (at a step, or while they write their result), and the steps kept.
KILLED = {
    "all": (SETTINGS, 14, 13),
    "kept states": ({**SETTINGS, "train": "top-1", "averaging": 0.9}, 14, 13),
    "frozen layers run": ({**SETTINGS, "train": "top-1", "frozen_bytes": 0}, 14, 13),
    "head": ({**SETTINGS, "train": "head", "head": [8]}, 32, 31),
    "writing": ({**SETTINGS, "train": "top-1"}, "result", 32),
    "pairs": (FEW, 9, 8),
    "pairs, top layer": ({**FEW, "train": "top-1", "precision": "bfloat16", "seed": 5}, 20, 19),
    "pairs, writing": (FEW, "result", 20),
}

#: Every run is a process of its own, forked from one that has loaded torch already, which takes seconds.
RUN = """
import json, os, pathlib, signal, sys
from tlclassic.finetune import fine_tune, result
texts, labels = ["good film", "bad plot", "fine story", "dull scene"] * 8, ["pos", "neg", "pos", "neg"] * 8
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def run(out, at, settings):
    if at == "result":
        result._parity = kill
    fine_tune(sys.argv[1], texts, labels, out, **settings, checkpoint_seconds=0,
              on_progress=lambda done, total: done == at and kill())
for name, (at, settings) in json.loads(sys.argv[3]).items():
    child = os.fork()
    if child == 0:
        try:
            run(pathlib.Path(sys.argv[2], name, "broken"), at, settings)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A tiny BERT with torch weights and the tiny encoder's tokenizer."""
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    make_tiny_encoder(folder)
    words = len(transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json")))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=words,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def _weights(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def killed(source, tmp_path_factory):
    """A folder for each of ``KILLED``, in which a run was killed; all its other files went to ``temporary``."""
    base = tmp_path_factory.mktemp("killed")
    (base / "temporary").mkdir()
    runs = {name: (at, settings) for name, (settings, at, _) in KILLED.items()}
    ended = subprocess.run(
        [sys.executable, "-c", RUN, str(source), str(base), json.dumps(runs)],
        cwd=Path(__file__).parents[1], env={**os.environ, "TMPDIR": str(base / "temporary")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * len(KILLED), ended.stderr
    return base


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(source, killed, tmp_path, name):
    settings, _, resumed = KILLED[name]
    broken = killed / name / "broken"
    left = {path.name for path in broken.parent.iterdir()}
    assert {re.sub(r"\w{8}(?=\.partial)", "", own) for own in left} == {".broken.checkpoint", ".broken..partial"}
    (broken.parent / "..broken.checkpoint.0123456789ab.tmp").write_bytes(b"killed while it wrote a state")
    again = fine_tune(source, TEXTS, LABELS, broken, **settings)
    assert os.listdir(broken.parent) == ["broken"]
    whole = fine_tune(source, TEXTS, LABELS, tmp_path / "whole", **settings)
    assert (again.resumed, whole.resumed) == (resumed, None)
    assert again.history == whole.history
    first, second = _weights(whole.path), _weights(again.path)
    assert sorted(first) == sorted(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    assert (whole.path / "heads.tlc").read_bytes() == (again.path / "heads.tlc").read_bytes()


def test_killed_runs_leave_nothing_among_temporary_files(killed):
    assert list((killed / "temporary").iterdir()) == []


def test_kept_states_leave_no_file_when_the_run_is_killed(source, tmp_path, monkeypatch):
    """They are there while the run goes on, in a file that no folder lists."""
    from tlclassic.finetune import loop

    seen = []
    own = loop.Trainer._step

    def watched(trainer, rows):
        seen.append((type(trainer.inputs).__name__, os.listdir(tmp_path)))
        return own(trainer, rows)

    monkeypatch.setattr(loop.Trainer, "_step", watched)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    train_encoder(source, TEXTS, LABELS, FineTuneOptions(train="top-1", epochs=0.1, threads=1))
    assert seen == [("StateInputs", [])]


def _stop_at(step):
    def stop(done, total):
        if done == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        (SETTINGS, {**SETTINGS, "epochs": 1}),
        (FEW, {**FEW, "pairs": 160}),
        (FEW, {**FEW, "seed": 1}),
        (FEW, {**SETTINGS, "epochs": 1}),
    ],
)
def test_a_state_of_other_data_or_a_broken_one_is_passed_over(source, tmp_path, settings, other):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        fine_tune(source, TEXTS, LABELS, out, **settings, checkpoint_seconds=0, on_progress=_stop_at(6))
    with pytest.warns(TlclassicWarning, match="other data or settings"):
        result = fine_tune(source, TEXTS, LABELS, out, **other)
    assert result.resumed is None
    assert os.listdir(tmp_path) == ["out"]
    state = tmp_path / "broken.state"
    state.write_bytes(b"nothing of the kind")
    with pytest.warns(TlclassicWarning, match="cannot be read"):
        fine_tune(source, TEXTS, LABELS, tmp_path / "two", **other, checkpoints=state)
    assert not state.exists()


def test_pairs_of_other_texts_begin_anew_and_no_resume_does(source, tmp_path):
    out, state = tmp_path / "out", tmp_path / "own.state"
    with pytest.raises(KeyboardInterrupt):
        fine_tune(source, TEXTS, LABELS, out, **FEW, checkpoints=state, checkpoint_seconds=0, on_progress=_stop_at(6))
    kept = state.read_bytes()
    with pytest.warns(TlclassicWarning, match="own.state: the kept state belongs to a run with other data or settings"):
        fine_tune(source, ["another", *TEXTS[1:]], LABELS, out, **FEW, checkpoints=state)
    state.write_bytes(kept)
    steps = []
    settings = {**FEW, "checkpoints": state, "on_progress": lambda done, total: steps.append(done), "force": True}
    assert fine_tune(source, TEXTS, LABELS, out, **settings, resume=False).resumed is None
    state.write_bytes(kept)
    assert fine_tune(source, TEXTS, LABELS, out, **settings).resumed == 5
    assert steps == [*range(1, 21), *range(6, 21)]


def test_results_replace_results_alone(source, tmp_path):
    settings = {**SETTINGS, "train": "head", "epochs": 1}
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="holds other files"):
        fine_tune(source, TEXTS, LABELS, other, **settings, force=True)
    out = tmp_path / "out"
    fine_tune(source, TEXTS, LABELS, out, **settings)
    with pytest.raises(InputError, match="a result already"):
        fine_tune(source, TEXTS, LABELS, out, **settings)
    fine_tune(source, TEXTS, LABELS, out, **settings, force=True)
    assert (other / "mine.txt").read_text() == "keep me"
    assert sorted(os.listdir(tmp_path)) == ["other", "out"]


def test_unknown_options_are_refused_by_name(source, tmp_path):
    with pytest.raises(InvalidParameterError, match="epoch is no option of fine_tune"):
        fine_tune(source, TEXTS, LABELS, tmp_path / "out", epoch=3)
