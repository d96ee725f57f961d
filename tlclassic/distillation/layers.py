"""Encoders whose vectors hold middle layers beside the last: the lower ones know more of the words themselves."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tlclassic._compat import require
from tlclassic.errors import EncoderFormatError, InvalidParameterError

__all__ = ["expose_layers"]

_FLOAT_NAMES = ("onnx/model.onnx", "model.onnx")
#: A node's place as exporters name it: /encoder/layer.2/output/..., /layers.2/...
_LAYER = re.compile(r"(?:^|[/.])(?:layer|layers|h|block|blocks)\.(\d+)(?:[/.]|$)")


def expose_layers(folder: str | os.PathLike[str], out: str | os.PathLike[str], layers: Sequence[int]) -> Path:
    """Copy an ONNX encoder so that its hidden states are those of several layers, side by side.

    The copy is an encoder folder as any other; pooled, its vectors have ``len(layers) * dim`` dimensions.

    Parameters
    ----------
    folder : path-like
        An encoder's folder with ``onnx/model.onnx`` or ``model.onnx``.
    out : path-like
        A folder that is not there yet.
    layers : sequence of int
        Counted from 1; the last may be given as its number too.

    Raises
    ------
    EncoderFormatError
        When there is no float graph, or its nodes' names do not tell the layers.
    InvalidParameterError
        For a layer that the encoder does not have, or an ``out`` that exists.
    MissingExtraError
        Without onnx.
    """
    onnx = require("onnx", purpose="An encoder's middle layers")
    source, target = Path(folder), Path(out)
    name = next((name for name in _FLOAT_NAMES if (source / name).is_file()), None)
    if name is None:
        raise EncoderFormatError("there is neither onnx/model.onnx nor model.onnx here", path=source)
    if target.exists():
        raise InvalidParameterError(f"out must be a folder that is not there yet; got {os.fspath(out)!r}.")
    model = onnx.load(source / name)
    _join_layers(onnx, model, _layer_outputs(model.graph, source / name), layers)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.onnx", "*.safetensors", "*.bin", "2_*", "3_*"))
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, target / name)
    _keep_pooling_alone(target)
    return target


def _layer_outputs(graph: Any, path: Path) -> dict[int, str]:
    """The tensor that each layer ends in: what its last node, in the order of execution, gives."""
    outputs: dict[int, str] = {}
    for node in graph.node:
        if (found := _LAYER.search(node.name)) and node.output:
            outputs[int(found.group(1)) + 1] = node.output[0]
    if not outputs:
        raise EncoderFormatError("the names of the graph's nodes do not tell its layers", path=path)
    return outputs


def _join_layers(onnx: Any, model: Any, outputs: dict[int, str], layers: Sequence[int]) -> None:
    graph = model.graph
    for layer in layers:
        if layer not in outputs:
            raise InvalidParameterError(f"layers must be from 1 to {max(outputs)}; got {layer!r}.")
    hidden = graph.output[0]
    taken = [outputs[layer] for layer in layers]
    renamed = f"{hidden.name}/last"  # the result's name goes over to the joined states
    _rename(graph, hidden.name, renamed)
    taken = [renamed if name == hidden.name else name for name in taken]
    graph.node.append(onnx.helper.make_node("Concat", taken, [hidden.name], name="layers", axis=-1))
    width = hidden.type.tensor_type.shape.dim[-1]
    if width.dim_value:
        width.dim_value *= len(taken)
    del graph.output[1:]
    del graph.value_info[:]


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def _keep_pooling_alone(folder: Path) -> None:
    """Dense layers and normalisation that follow the pooling were made for the last layer's dimensions."""
    path = folder / "modules.json"
    if path.is_file():
        modules = [m for m in json.loads(path.read_text("utf-8")) if m.get("path", "") in ("", "1_Pooling")]
        path.write_text(json.dumps(modules, indent=2), "utf-8")
    for path in folder.glob("1_Pooling/config.json"):
        pooling = json.loads(path.read_text("utf-8"))
        pooling.pop("word_embedding_dimension", None)
        path.write_text(json.dumps(pooling, indent=2), "utf-8")
