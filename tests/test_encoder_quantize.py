"""Quantising a graph to int8: what is written, what stays float, what is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tlclassic.encoders import quantize as module  # noqa: E402
from tlclassic.encoders.quantize import float_graph, has_int8_dot, quantize  # noqa: E402
from tlclassic.errors import EncoderFormatError, InputError, InvalidParameterError  # noqa: E402


@pytest.fixture
def folder(tmp_path):
    """An embedding matrix of 50 x 16 and two multiplications, as onnx/model.onnx."""
    draw = np.random.default_rng(0)
    weights = {
        "embeddings": draw.normal(size=(50, 16)),
        "first": draw.normal(size=(16, 32)) * np.linspace(0.01, 3, 32),
        "second": draw.normal(size=(32, 8)),
    }
    nodes = [
        helper.make_node("Gather", ["embeddings", "input_ids"], ["states"], name="/embeddings/Gather"),
        helper.make_node("MatMul", ["states", "first"], ["middle"], name="/layer.0/first/MatMul"),
        helper.make_node("Relu", ["middle"], ["positive"], name="/layer.0/Relu"),
        helper.make_node("MatMul", ["positive", "second"], ["last_hidden_state"], name="/layer.0/second/MatMul"),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", 8])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "onnx").mkdir()
    onnx.save(model, tmp_path / "onnx" / "model.onnx")
    return tmp_path


def _run(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": np.arange(12).reshape(3, 4)})[0]


def _cosine(a, b):
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def _weights(path):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def test_the_graph_is_written_beside_the_float_one_and_close_to_it(folder):
    before = (folder / "onnx" / "model.onnx").read_bytes()
    made = quantize(folder)
    assert made == folder / "onnx" / "model_qint8.onnx"
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["model.onnx", "model_qint8.onnx"]
    assert (folder / "onnx" / "model.onnx").read_bytes() == before
    assert 0.995 < _cosine(_run(folder / "onnx" / "model.onnx"), _run(made)) < 1


def test_a_scale_for_each_channel_or_one_for_all(folder):
    rows = {}
    for per_channel in (True, False):
        made = quantize(folder, folder / "made.onnx", per_channel=per_channel)
        rows[per_channel] = _weights(made)
    assert rows[True]["first_scale"].shape == (32,)
    assert rows[False]["first_scale"].size == 1
    assert rows[True]["first_quantized"].dtype == np.int8


@pytest.mark.parametrize(("reduce_range", "most"), [(True, 64), (False, 127)])
def test_the_range_of_the_weights(folder, reduce_range, most):
    made = quantize(folder, reduce_range=reduce_range)
    assert np.abs(_weights(made)["first_quantized"].astype(int)).max() == most


@pytest.mark.parametrize(("capable", "most"), [(True, 127), (False, 64)])
def test_the_range_follows_the_cpu(folder, monkeypatch, capable, most):
    monkeypatch.setattr(module, "has_int8_dot", lambda: capable)
    assert np.abs(_weights(quantize(folder))["first_quantized"].astype(int)).max() == most


def test_chosen_multiplications_and_embeddings_stay_float(folder):
    made = quantize(folder, keep_float=["second/"], embeddings=False)
    weights = _weights(made)
    assert weights["second"].dtype == np.float32
    assert weights["embeddings"].dtype == np.float32
    assert "first" not in weights
    assert "embeddings" not in _weights(quantize(folder))


def test_nothing_is_said_and_the_logger_is_as_before(folder, caplog, capfd):
    level = logging.getLogger().level
    quantize(folder)
    assert logging.getLogger().level == level
    assert caplog.records == []
    assert capfd.readouterr().err == ""


def test_the_graph_at_the_top_of_the_folder(folder):
    (folder / "onnx" / "model.onnx").rename(folder / "model.onnx")
    assert float_graph(folder) == folder / "model.onnx"
    assert quantize(folder) == folder / "onnx" / "model_qint8.onnx"


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "expected"),
    [
        ("x86_64", "processor : 0\nflags\t\t: fpu avx2 avx512_vnni\n", True),
        ("x86_64", "flags : fpu avx_vnni\n", True),
        ("x86_64", "flags : fpu avx2\n", False),
        ("x86_64", "", False),
        ("x86_64", None, False),
        ("aarch64", None, True),
    ],
)
def test_whether_the_cpu_has_the_instructions(monkeypatch, machine, cpuinfo, expected):
    def read_text(self, *args, **kwargs):
        if cpuinfo is None:
            raise FileNotFoundError(2, "no such file")
        return cpuinfo

    monkeypatch.setattr(module.platform, "machine", lambda: machine)
    monkeypatch.setattr(Path, "read_text", read_text)
    assert has_int8_dot() is expected


def test_no_float_graph(tmp_path):
    with pytest.raises(EncoderFormatError, match=r"neither onnx/model.onnx nor model.onnx.*encoder export"):
        quantize(tmp_path)
    with pytest.raises(EncoderFormatError, match="there is no such folder"):
        quantize(tmp_path / "nothing")


@pytest.mark.parametrize("keep", [0, 100, -7])
def test_half_a_graph(folder, keep):
    path = folder / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(EncoderFormatError, match=r"model\.onnx: this"):
        quantize(folder)
    assert [entry.name for entry in path.parent.iterdir()] == ["model.onnx"]


def test_refused_parameters(folder):
    with pytest.raises(InvalidParameterError, match="out must not be the float graph itself"):
        quantize(folder, folder / "onnx" / "model.onnx")
    with pytest.raises(InvalidParameterError, match="reduce_range must be one of True, False, 'auto'; got 'yes'"):
        quantize(folder, reduce_range="yes")
    with pytest.raises(InvalidParameterError, match="keep_float must be a list of regular expressions"):
        quantize(folder, keep_float="second")
    with pytest.raises(InvalidParameterError, match="keep_float must hold regular expressions"):
        quantize(folder, keep_float=["("])
    (folder / "taken").mkdir()
    with pytest.raises(InputError, match="this is a folder"):
        quantize(folder, folder / "taken")
