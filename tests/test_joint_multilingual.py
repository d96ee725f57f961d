"""Zero-shot with one encoder for two languages: a tiny one whose Spanish words have their translations' embeddings."""

from __future__ import annotations

import contextlib
import io
import json
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tiny_encoder import SPECIAL, make_tiny_encoder

import tlclassic
from tlclassic import OnnxEncoder
from tlclassic.app.main import _run

ENGLISH = ["my", "card", "bill", "was", "late", "lost", "charged", "parcel", "refund", "please", "never", "came"]
SPANISH = [
    "mi", "tarjeta", "factura", "estaba", "tarde", "perdida", "cobrada", "paquete", "reembolso", "favor", "nunca",
    "vino",
]  # fmt: skip
#: Words of the first, then of the second class.
MONEY, POST = (1, 2, 6, 8), (4, 5, 7, 10, 11)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A multilingual encoder, and the same without what its languages have in common."""
    path = tmp_path_factory.mktemp("multilingual")
    alike, apart = (make_tiny_encoder(path / name, words=(*ENGLISH, *SPANISH)) for name in ("alike", "apart"))
    graph = alike / "onnx" / "model.onnx"
    model = onnx.load(graph)
    gather = next(node for node in model.graph.node if node.op_type == "Gather" and "input_ids" in node.input)
    table = next(weight for weight in model.graph.initializer if weight.name == gather.input[0])
    rows = numpy_helper.to_array(table).copy()
    begin, n = len(SPECIAL), len(ENGLISH)
    rows[begin + n : begin + 2 * n] = rows[begin : begin + n]
    table.CopyFrom(numpy_helper.from_array(rows, table.name))
    onnx.save(model, graph)
    return alike, apart


@pytest.fixture(scope="module")
def texts():
    """The same texts in both languages, and what they are about."""
    rng = np.random.default_rng(0)
    labels = [place % 2 == 0 for place in range(120)]
    rows = [[*rng.choice(POST if label else MONEY, 3), *rng.choice([0, 3, 9], 2)] for label in labels]
    english, spanish = ([" ".join(words[i] for i in row) for row in rows] for words in (ENGLISH, SPANISH))
    return english, spanish, labels


def _fitted(folder, texts):
    head = LogisticRegression(C=100, max_iter=1000)
    return make_pipeline(OnnxEncoder(str(folder)), head).fit(texts[0][:80], texts[2][:80])


def test_a_classifier_trained_on_english_reads_spanish(folders, texts, tmp_path):
    english, spanish, labels = (part[80:] for part in texts)
    model = _fitted(folders[0], texts)
    assert model.score(english, labels) > 0.9
    np.testing.assert_allclose(model.predict_proba(spanish), model.predict_proba(english), atol=1e-5)
    tlclassic.save(model, tmp_path / "model.tlc")
    assert tlclassic.load(tmp_path / "model.tlc").predict(spanish).tolist() == model.predict(english).tolist()


def test_an_encoder_of_one_language_does_not(folders, texts):
    english, spanish, labels = (part[80:] for part in texts)
    model = _fitted(folders[1], texts)
    assert model.score(english, labels) > 0.9
    assert model.score(spanish, labels) < 0.8


def test_from_the_shell(folders, texts, tmp_path):
    for name, part, rows in (("train.en", 0, slice(80)), ("test.es", 1, slice(80, None))):
        lines = [f"{text}\t{label}\n" for text, label in zip(texts[part][rows], texts[2][rows], strict=True)]
        (tmp_path / f"{name}.tsv").write_text("text\tlabel\n" + "".join(lines), "utf-8")
    model = tmp_path / "intents.tlc"
    _shell("train", tmp_path / "train.en.tsv", "--features", f"encoder:{folders[0]}", "--out", model)
    found = json.loads(_shell("evaluate", model, tmp_path / "test.es.tsv", "--json"))
    assert found["accuracy"] > 0.9


def _shell(*arguments):
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr(sys, "argv", ["tlclassic", *map(str, arguments)])
        assert _run() == 0
    return out.getvalue()
