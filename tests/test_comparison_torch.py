"""Comparisons with models that need torch: fine-tuned here, and the same weights run by another implementation."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.comparison_cases import measure_inside
from tests.finetune_cases import LABELS, TEXTS, make_torch_encoder
from tlclassic.comparison import Settings, compare
from tlclassic.comparison.budget import Deadline, OutOfTime
from tlclassic.comparison.encoders import _plan
from tlclassic.encoders import OnnxEncoder
from tlclassic.finetune import peer

pytestmark = pytest.mark.finetune


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A tiny encoder with torch weights."""
    return make_torch_encoder(tmp_path_factory.mktemp("comparison") / "tiny")


@pytest.mark.parametrize("several", [False, True])
def test_a_fine_tuned_encoder_and_torch_answer_the_same(tmp_path, monkeypatch, encoder, several):
    measure_inside(monkeypatch)
    labels = [["film", label] for label in LABELS] if several else LABELS
    data = TEXTS * 4, labels * 4
    result = compare(
        data, (TEXTS, labels), tmp_path / "out", models=["finetuned", "torch"], repeats=1, time="1h",
        settings=Settings(encoder=encoder),
    )  # fmt: skip
    assert result.left_out == {}
    fp32, int8, torch = result.rows
    assert [row.name for row in result.rows] == ["finetuned-fp32", "finetuned-int8", "torch"]
    assert fp32.accuracy == torch.accuracy
    # Thresholds of several labels are those of the highest F1, not of the most rows that are right in all.
    assert fp32.macro_f1 > 0.75 if several else fp32.accuracy > 0.5
    assert (int8.training_seconds, torch.training_seconds) == (None, None)
    assert torch.chosen["weights"] == "fine-tuned"
    assert fp32.chosen["train"] == "all"
    assert fp32.bytes != int8.bytes


def test_without_fine_tuning_a_head_is_fitted_on_torchs_vectors(tmp_path, monkeypatch, encoder):
    measure_inside(monkeypatch)
    result = compare(
        (TEXTS * 2, LABELS * 2), (TEXTS, LABELS), tmp_path / "out", models=["torch"], repeats=1,
        settings=Settings(encoder=encoder),
    )  # fmt: skip
    assert result.left_out == {}
    assert result.rows[0].chosen["weights"] == "as they were given"
    assert result.rows[0].training_seconds > 0


def test_both_libraries_give_the_vectors_of_the_graph(tmp_path, encoder):
    from tlclassic.finetune.export import export_onnx

    export_onnx(encoder, tmp_path / "graph")
    expected = OnnxEncoder(tmp_path / "graph").transform(TEXTS)
    np.testing.assert_allclose(peer.TorchPeer(encoder).transform(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(peer._transformers(encoder)(TEXTS), expected, atol=1e-5)


def test_as_much_is_trained_as_there_is_time_for():
    def plan(seconds):
        return _plan(6400, 100.0, Deadline(seconds, seconds))

    # 64 seconds a pass forwards, three times that for a step, three epochs.
    assert plan(700) == {"train": "all", "epochs": 3.0, "learning_rate": 1e-4}
    assert plan(400) == {"train": "top-2", "epochs": 3.0, "learning_rate": 1e-4}
    assert plan(130) == {"train": "head", "epochs": 20.0}
    with pytest.raises(OutOfTime, match="fine-tuning on 6,400 texts would take about 98 s, and 60 s are left for it"):
        plan(60)
