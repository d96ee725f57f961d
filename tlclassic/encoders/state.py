"""``OnnxEncoder`` as JSON facts and the bytes of its files, and back; no pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.encoders.files import open_files
from tlclassic.encoders.folder import choose_graph, read_json
from tlclassic.errors import CorruptArtifactError, EncoderFormatError, InvalidParameterError

if TYPE_CHECKING:
    from tlclassic.encoders import OnnxEncoder

__all__ = ["from_state", "to_state"]

#: What the folder says besides its graph, where it says it; each module of modules.json adds two more. Not
#: tlclassic.json, which says what is preferred on one machine: a saved model names its graph.
_CONFIG = (
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
_OF_MODULE = ("config.json", "model.safetensors")
#: Matters of the machine that the encoder runs on, not of the model.
_LOCAL = ("model", "cache", "progress", "threads")


def to_state(encoder: OnnxEncoder, *, include_model: bool) -> tuple[dict[str, Any], dict[str, NDArray[np.uint8]]]:
    """``(metadata, arrays)``: the parameters, the hashes of the files that the encoder needs, and the files themselves.

    Parameters
    ----------
    encoder : OnnxEncoder
        Of several graphs in the folder the one in use is kept, so that the model is the same on
        every machine.
    include_model : bool
        Whether the files are among the arrays, or only the path of their folder is recorded.

    Raises
    ------
    InvalidParameterError
        When the graph keeps its weights in other files and is to be included, or the encoder lies inside a saved model
        and is not.
    """
    files = open_files(encoder.model)
    graph = choose_graph(files, encoder.file)
    names = [name for name in (*_CONFIG, *_module_files(files)) if name in files.names()]
    names.append(graph)
    hashes = {name: files.digest(name) for name in names}
    digest = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
    facts: dict[str, Any] = {"files": hashes, "digest": digest}
    arrays: dict[str, NDArray[np.uint8]] = {}
    if include_model:
        _check_whole(files, graph)
        arrays = {f"encoder/{name}": np.frombuffer(files.read(name) or b"", dtype=np.uint8) for name in names}
    else:
        facts["path"] = _folder(encoder)
    params = {name: value for name, value in encoder.get_params(deep=False).items() if name not in _LOCAL}
    return {"params": {**params, "file": graph}, "encoder": facts}, arrays


def from_state(metadata: Mapping[str, Any], model: Any) -> OnnxEncoder:
    """The inverse of :func:`to_state`; ``model`` is the folder, or the files.

    Raises
    ------
    CorruptArtifactError
        When the parameters are malformed, or the encoder cannot be opened.
    """
    from tlclassic.encoders import OnnxEncoder

    params = metadata["params"]
    known = OnnxEncoder._get_param_names()
    if not isinstance(params, dict) or not set(params) <= set(known) - set(_LOCAL):
        raise CorruptArtifactError(f"the saved OnnxEncoder has unknown parameters: {sorted(params)!r:.200}.")
    try:
        encoder = OnnxEncoder(model, **params)
        # Every parameter is looked at, not only what opening needs.
        encoder.fit(None).describe()
    except (InvalidParameterError, EncoderFormatError) as error:
        raise CorruptArtifactError(f"the saved OnnxEncoder cannot be opened: {error}") from error
    return encoder


def _folder(encoder: OnnxEncoder) -> str:
    if isinstance(encoder.model, (str, os.PathLike)):
        return os.path.abspath(encoder.model)
    raise InvalidParameterError(
        f"the encoder cannot be left out: it does not come from a folder ({encoder.model!r:.100}). Keep it in the "
        "model: vectors='embed'."
    )


def _module_files(files: Any) -> list[str]:
    """The files of the modules behind the transformer, such as pooling and dense layers."""
    modules = read_json(files, "modules.json", list) or []
    places = [module.get("path") for module in modules if isinstance(module, dict)]
    return [f"{place}/{name}" for place in places if isinstance(place, str) and place for name in _OF_MODULE]


def _check_whole(files: Any, graph: str) -> None:
    """Raise when the graph names a file beside it: ONNX keeps weights above 2 GB so, and others where it is told to.

    https://onnx.ai/onnx/repo-docs/ExternalData.html: the location stands in the graph as plain UTF-8.
    """
    folder = graph.rpartition("/")[0]
    raw = files.read(graph)
    for name in files.names():
        place, _, base = name.rpartition("/")
        if place == folder and name != graph and base.encode() in raw and not base.endswith((".onnx", ".json")):
            raise InvalidParameterError(
                f"the encoder cannot be kept in the model: {graph} has weights in a file of their own, {name}. Save "
                "with vectors='refer', or convert the graph to one file "
                "(onnx.save_model(onnx.load(path), path, save_as_external_data=False))."
            )
