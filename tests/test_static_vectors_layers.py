"""Middle layers of an encoder's graph, and ``tlclassic vectors from-encoder`` from end to end."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from tiny_encoder import WORDS, make_tiny_encoder
from typer.testing import CliRunner

from tlclassic import OnnxEncoder, WordVectors
from tlclassic.app.main import build
from tlclassic.distillation.layers import expose_layers
from tlclassic.errors import EncoderFormatError, InvalidParameterError

TEXTS = ["a bad film", "the card never came", "good plot and fine film"]


@pytest.fixture
def encoder(tmp_path):
    """A tiny encoder of three layers whose nodes are named as exporters name them."""
    folder = make_tiny_encoder(tmp_path / "tiny", layers=3, normalize=True)
    path = folder / "onnx" / "model.onnx"
    model = onnx.load(path)
    layer, norms = 0, 0
    for node in model.graph.node:
        if layer < 3 and (layer or node.op_type == "MatMul" or norms):
            node.name = f"/encoder/layer.{layer}/{node.output[0]}"
        elif layer == 0 and node.op_type == "MatMul":
            node.name = f"/encoder/layer.0/{node.output[0]}"
        if node.op_type == "LayerNormalization":
            norms += 1
            layer = norms // 2
    onnx.save(model, path)
    return folder


def pooled(folder, **options):
    return OnnxEncoder(folder, normalize=False, threads=1, **options).transform(TEXTS)


def test_layers_are_side_by_side(encoder, tmp_path):
    last = pooled(encoder)
    joined = pooled(expose_layers(encoder, tmp_path / "two", [1, 3]))
    assert joined.shape == (3, 32)
    assert joined[:, 16:] == pytest.approx(last, abs=1e-5)
    assert pooled(expose_layers(encoder, tmp_path / "one", [1])) == pytest.approx(joined[:, :16], abs=1e-5)
    assert np.abs(joined[:, :16] - last).max() > 0.01


def test_what_has_no_layers(encoder, tmp_path):
    with pytest.raises(InvalidParameterError, match="layers must be from 1 to 3; got 4"):
        expose_layers(encoder, tmp_path / "out", [1, 4])
    with pytest.raises(InvalidParameterError, match="not there yet"):
        expose_layers(encoder, tmp_path, [1])
    with pytest.raises(EncoderFormatError, match=r"neither onnx/model\.onnx nor"):
        expose_layers(tmp_path / "nothing", tmp_path / "out", [1])
    nameless = make_tiny_encoder(tmp_path / "nameless")
    with pytest.raises(EncoderFormatError, match="do not tell its layers"):
        expose_layers(nameless, tmp_path / "out", [1])


def run(*arguments):
    return CliRunner().invoke(build(("vectors",)), ["vectors", "from-encoder", *map(str, arguments)])


@pytest.fixture
def corpus(tmp_path):
    random = np.random.default_rng(0)
    lines = [" ".join(random.choice(WORDS, size=6)) for _ in range(300)]
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_the_command(encoder, corpus, tmp_path):
    out, work = tmp_path / "static.tlc", tmp_path / "work"
    arguments = ("--corpus", corpus, "--out", out, "--dim", 8, "--layers", "1:1,3:0.7", "--threads", 1, "--work", work)
    done = run(encoder, *arguments)
    assert done.exit_code == 0, done.output
    vectors = WordVectors.load(out)
    assert done.stdout == f"wrote {out}: {len(vectors)} words x 8\n"
    assert (vectors.table.dtype, vectors.dim) == (np.int8, 8)
    assert set(vectors.words) >= {*WORDS, "z", "!"}  # the encoder's whole-word pieces as well
    assert json.loads((work / "teacher.json").read_text())["dim"] == 32


def test_the_command_with_tokens_and_other_vectors(encoder, corpus, tmp_path):
    out = tmp_path / "tokens.tlc"
    done = run(encoder, "--corpus", corpus, "--out", out, "--dim", 4, "--vocabulary", "tokens", "--dtype", "float32")
    assert done.exit_code == 0, done.output
    vectors = WordVectors.load(out)
    assert "##a" in vectors.words
    assert vectors.tokenizer_json is not None
    again = run(encoder, "--corpus", corpus, "--out", tmp_path / "b.tlc", "--dim", 6, "--beside", out)
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize("layers", ["", "a", "1:x", "1,,2"])
def test_layers_that_cannot_be_read(encoder, corpus, tmp_path, layers):
    done = run(encoder, "--corpus", corpus, "--out", tmp_path / "out.tlc", "--layers", layers)
    assert isinstance(done.exception, InvalidParameterError)
    assert "--layers must be numbers with weights" in str(done.exception)
