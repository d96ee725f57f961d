"""States of a run: what is kept, what is passed over, and a killed process that ends as an unbroken one."""

from __future__ import annotations

import os
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
from tlclassic.heads.encoder_heads import read_heads  # noqa: E402

pytestmark = pytest.mark.finetune

TEXTS = ["good film", "bad plot", "fine story", "dull scene"] * 8
LABELS = ["pos", "neg", "pos", "neg"] * 8
SETTINGS = {"train": "all", "epochs": 4, "batch_size": 4, "threads": 1, "int8": False, "weights": True}

RUN = """
import os, signal, sys
from tlclassic.finetune import fine_tune
texts, labels = ["good film", "bad plot", "fine story", "dull scene"] * 8, ["pos", "neg", "pos", "neg"] * 8
def kill(done, total):
    if done == 14:
        os.kill(os.getpid(), signal.SIGKILL)
fine_tune(sys.argv[1], texts, labels, sys.argv[2], train="all", epochs=4, batch_size=4, threads=1, int8=False,
          weights=True, checkpoint_seconds=0, on_progress=kill)
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


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(source, tmp_path):
    whole = fine_tune(source, TEXTS, LABELS, tmp_path / "whole", **SETTINGS)
    broken = tmp_path / "broken"
    command = [sys.executable, "-c", RUN, str(source), str(broken)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert not broken.exists()
    again = fine_tune(source, TEXTS, LABELS, broken, **SETTINGS)
    assert again.resumed == 13
    assert whole.resumed is None
    first, second = _weights(whole.path), _weights(again.path)
    assert sorted(first) == sorted(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    heads = [read_heads(path / "heads.tlc")["label"].layers for path in (whole.path, again.path)]
    np.testing.assert_array_equal(heads[0][0][0], heads[1][0][0])
    assert sorted(os.listdir(tmp_path)) == ["broken", "whole"]


def test_a_state_of_other_data_or_a_broken_one_is_passed_over(source, tmp_path):
    def stop(done, total):
        if done == 6:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        fine_tune(source, TEXTS, LABELS, out, **SETTINGS, checkpoint_seconds=0, on_progress=stop)
    with pytest.warns(TlclassicWarning, match="other data or settings"):
        result = fine_tune(source, TEXTS, LABELS, out, **{**SETTINGS, "epochs": 1})
    assert result.resumed is None
    state = tmp_path / "broken.state"
    state.write_bytes(b"nothing of the kind")
    with pytest.warns(TlclassicWarning, match="cannot be read"):
        fine_tune(source, TEXTS, LABELS, tmp_path / "two", **{**SETTINGS, "epochs": 1}, checkpoints=state)
    assert not state.exists()


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
