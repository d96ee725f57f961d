"""Thresholds of fine-tuned multi-label folders."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.finetune_cases import TEXTS, make_torch_encoder  # noqa: E402
from tlclassic import EncoderClassifier  # noqa: E402
from tlclassic.errors import InvalidParameterError  # noqa: E402
from tlclassic.finetune import fine_tune, tune_thresholds  # noqa: E402
from tlclassic.heads.encoder_heads import read_heads  # noqa: E402
from tlclassic.heads.thresholds import f1_thresholds  # noqa: E402

pytestmark = pytest.mark.finetune

#: Hardly trained, so that no probability is near 0 or 1.
WEAK = {"epochs": 2, "batch_size": 8, "train": "head", "precision": "float32", "threads": 1, "int8": False}
Y = np.array([["card" in text, "phone" in text, "good" in text] for text in TEXTS], int)
KINDS = {"classes": ["card", "phone", "good"], "multilabel": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_torch_encoder(tmp_path_factory.mktemp("thresholds") / "tiny")


def test_those_of_dev_are_in_the_folder(folder, tmp_path):
    fine_tune(folder, TEXTS, Y, tmp_path / "out", dev=(TEXTS, Y), **KINDS, **WEAK)
    model = EncoderClassifier(str(tmp_path / "out"))
    proba = model.predict_proba(TEXTS)
    (task,) = read_heads(tmp_path / "out")
    np.testing.assert_allclose(task.thresholds, f1_thresholds(Y, proba), atol=1e-6)
    tuned, plain = (
        2 * (P & Y).sum(0) / (P.sum(0) + Y.sum(0)) for P in (model.predict(TEXTS), (proba > 0.5).astype(int))
    )
    # Of a head that was hardly trained no probability comes to one half: there it gives no label at all.
    assert (tuned > plain).all()
    assert tuned[:2].min() >= 0.4


def test_without_dev_there_are_none_until_they_are_set(folder, tmp_path):
    out = tmp_path / "out"
    fine_tune(folder, TEXTS, Y, out, columns={"text": "t", "label": "l"}, **KINDS, **WEAK)
    assert read_heads(out)["label"].thresholds is None
    found = tune_thresholds(out, TEXTS, Y)
    heads = read_heads(out)
    assert found == {"label": heads["label"].thresholds.tolist()}
    assert heads.provenance == {"task": {"text": "t", "label": "l"}}
    with pytest.raises(InvalidParameterError, match="labels must have a row for every text: 31; got 32"):
        tune_thresholds(out, TEXTS[:31], Y)


def test_tasks_of_one_label_a_text_have_none(folder, tmp_path):
    labels = {"kind": Y, "mood": ["pos" if row[2] else "neg" for row in Y]}
    own = {"classes": {"kind": KINDS["classes"]}, "multilabel": {"kind": True}}
    fine_tune(folder, TEXTS, labels, tmp_path / "out", dev=(TEXTS, labels), **own, **WEAK)
    heads = read_heads(tmp_path / "out")
    assert heads["kind"].thresholds.shape == (3,)
    assert heads["mood"].thresholds is None
