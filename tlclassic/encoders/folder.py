"""What an encoder's folder says of itself, parsed and bounded before anything is built from it.

The lay-out is that of Hugging Face and sentence-transformers (https://sbert.net): ``config.json``, ``tokenizer.json``,
``modules.json`` with a folder for each module, ``sentence_bert_config.json``, and graphs in ``onnx/`` or beside them.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.encoders.files import EncoderFiles
from tlclassic.encoders.pooling import ACTIVATIONS, MODES
from tlclassic.errors import EncoderFormatError
from tlclassic.vectors.safetensors import parse_tensors

__all__ = ["Dense", "EncoderSpec", "choose_graph", "read_json", "read_spec"]

#: Far above any configuration; tokenizer.json of a large vocabulary has some 20 MB.
_MAX_JSON = 1 << 28
#: Lengths above this are how tokenizer_config.json says "no limit".
_NO_LIMIT = 1_000_000
#: Names of 1_Pooling/config.json.
_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
#: Whose first position is the one after the padding token's number: two places fewer than max_position_embeddings.
_SHIFTED = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer")
_FLOAT_GRAPHS = ("onnx/model.onnx", "model.onnx")
_IS_INT8 = re.compile(r"q?u?int8|quantized|_q8", re.IGNORECASE)


@dataclass(frozen=True)
class Dense:
    """A linear layer behind the pooling: weight float32 (out, in), bias (out,) or None, then an activation by name."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    activation: str


@dataclass(frozen=True)
class EncoderSpec:
    """What a folder says.

    Attributes
    ----------
    graph : str
        The graph in use, as a path below the folder.
    pooling : tuple of str
        Modes, put side by side.
    says_pooling : bool
        Whether these are the folder's own words, or what is done where it says nothing.
    dense : tuple of Dense
    normalize : bool
        Whether vectors are brought to length one at the end.
    max_length : int or None
        Tokens of a text, special ones included; None for no limit.
    prompts : dict of str to str
    default_prompt : str or None
        A key of ``prompts``.
    pools_prompt : bool
        Whether the prompt's tokens take part in the pooling.
    position_offset : int
        Number of the first position, for graphs that ask for positions.
    """

    graph: str
    pooling: tuple[str, ...] = ("mean",)
    says_pooling: bool = False
    dense: tuple[Dense, ...] = ()
    normalize: bool = False
    max_length: int | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    pools_prompt: bool = True
    position_offset: int = 0


def read_json(files: EncoderFiles, name: str, kind: type = dict) -> Any:
    """The JSON value of a file; None where there is no such file.

    Raises
    ------
    EncoderFormatError
        Names file and line.
    """
    raw = files.read(name)
    if raw is None:
        return None
    where = _where(files, name)
    if len(raw) > _MAX_JSON:
        raise EncoderFormatError(f"has {len(raw):,} bytes, far more than a configuration", path=where)
    try:
        value = json.loads(raw)
    except json.JSONDecodeError as error:
        raise EncoderFormatError(
            f"is not JSON ({error.msg})", path=where, line=error.lineno, remedy="Copy the folder again"
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise EncoderFormatError(f"is not JSON ({error})", path=where, remedy="Copy the folder again") from error
    if not isinstance(value, kind):
        wanted = "a list" if kind is list else "an object"
        raise EncoderFormatError(f"must be {wanted}; it is {type(value).__name__}", path=where)
    return value


def read_spec(files: EncoderFiles, file: str = "auto") -> EncoderSpec:
    """Everything but the tokenizer and the graph itself.

    Raises
    ------
    EncoderFormatError
        When a file is missing, malformed or asks for a module that is not known.
    """
    config = read_json(files, "config.json") or {}
    found: dict[str, Any] = {"max_length": _max_length(files, config)}
    modules = read_json(files, "modules.json", list)
    if modules is not None:
        found |= {"says_pooling": True, **_modules(files, modules)}
    elif files.read("1_Pooling/config.json") is not None:
        found |= _pooling(files, "1_Pooling")
    said = read_json(files, "config_sentence_transformers.json") or {}
    prompts = said.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise EncoderFormatError("prompts must map names to texts", path=_where(files, _ST_CONFIG))
    default = said.get("default_prompt_name")
    if default is not None and (not isinstance(default, str) or default not in prompts):
        raise EncoderFormatError(
            f"default_prompt_name is {default!r}, which prompts lack", path=_where(files, _ST_CONFIG)
        )
    if str(config.get("model_type")) in _SHIFTED:
        found["position_offset"] = _first_position(files, config)
    return EncoderSpec(graph=choose_graph(files, file), prompts=prompts, default_prompt=default, **found)


_ST_CONFIG = "config_sentence_transformers.json"


def _where(files: EncoderFiles, name: str) -> str | Path:
    return files.path(name) or name


def _max_length(files: EncoderFiles, config: dict[str, Any]) -> int | None:
    """The folder's own limit, and never more than the model has positions for."""
    limits = []
    positions: Any = config.get("max_position_embeddings")
    if _is_count(positions):
        limits.append(positions - (2 if str(config.get("model_type")) in _SHIFTED else 0))
    own: Any = (read_json(files, "sentence_bert_config.json") or {}).get("max_seq_length")
    tokenizer: Any = (read_json(files, "tokenizer_config.json") or {}).get("model_max_length")
    if _is_count(own):
        limits.append(own)
    elif _is_count(tokenizer) and tokenizer < _NO_LIMIT:
        limits.append(int(tokenizer))
    return min(limits) if limits else None


def _first_position(files: EncoderFiles, config: dict[str, Any]) -> int:
    pad = config.get("pad_token_id", 1)
    if not isinstance(pad, int):
        raise EncoderFormatError(f"pad_token_id must be a number; it is {pad!r:.80}", path=_where(files, "config.json"))
    return pad + 1


def _is_count(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1 and value == int(value)


def _modules(files: EncoderFiles, modules: list[Any]) -> dict[str, Any]:
    """What the modules behind the transformer do, in their order: pooling, dense layers, normalisation."""
    found: dict[str, Any] = {"dense": ()}
    for module in modules:
        if not isinstance(module, dict) or not isinstance(module.get("type"), str):
            raise EncoderFormatError(f"a module is described as {module!r:.80}", path=_where(files, "modules.json"))
        kind, place = module["type"].rpartition(".")[2], str(module.get("path") or ".")
        if os.path.isabs(place) or ".." in place.split("/"):
            raise EncoderFormatError(
                f"a module lies outside the folder: {place!r:.80}", path=_where(files, "modules.json")
            )
        if kind in ("Transformer", "Dropout"):
            continue
        if kind == "Pooling":
            found |= _pooling(files, place)
        elif kind == "Dense" and not found.get("normalize"):
            found["dense"] += (_dense(files, place),)
        elif kind == "Normalize":
            found["normalize"] = True
        else:
            raise EncoderFormatError(
                f"the module {module['type']!r} cannot be applied here",
                path=_where(files, "modules.json"),
                remedy="Known are Transformer, Pooling, Dense (before Normalize), Dropout and Normalize",
            )
    return found


def _pooling(files: EncoderFiles, place: str) -> dict[str, Any]:
    name = f"{place}/config.json"
    config = read_json(files, name)
    if config is None:
        raise EncoderFormatError(
            "is missing, and modules.json names it", path=_where(files, name), remedy="Copy the folder again"
        )
    modes = tuple(mode for key, mode in _POOLING_KEYS.items() if config.get(key) is True)
    said = config.get("pooling_mode")
    if not modes and said is not None:
        # sentence-transformers 6 and later name the modes; one of them by its old key, mean_sqrt_len_tokens.
        named: list[Any] = said if isinstance(said, list) else [said]
        modes = tuple(_POOLING_KEYS.get(f"pooling_mode_{mode}", mode) for mode in named)
    unknown = [mode for mode in modes if mode not in MODES]
    if unknown or not modes:
        raise EncoderFormatError(
            f"asks for the pooling {', '.join(map(str, unknown)) or 'of no kind'}",
            path=_where(files, name),
            remedy=f"Known are {', '.join(MODES)}; choose one with pooling=",
        )
    return {"pooling": modes, "says_pooling": True, "pools_prompt": config.get("include_prompt", True) is not False}


def _dense(files: EncoderFiles, place: str) -> Dense:
    name = f"{place}/model.safetensors"
    config, raw = read_json(files, f"{place}/config.json"), files.read(name)
    if config is None or raw is None:
        missing = name if raw is None else f"{place}/config.json"
        raise EncoderFormatError(
            "is missing, and modules.json names its folder",
            path=_where(files, missing),
            remedy="Weights in pytorch_model.bin are a pickle: save the model anew as safetensors",
        )
    activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in ACTIVATIONS:
        raise EncoderFormatError(
            f"asks for the activation {activation!r}",
            path=_where(files, f"{place}/config.json"),
            remedy=f"Known are {', '.join(ACTIVATIONS)}",
        )
    tensors = parse_tensors(raw, ("linear.weight", "linear.bias"), _where(files, name))
    weight, bias = tensors.get("linear.weight"), tensors.get("linear.bias")
    if weight is None or weight.ndim != 2 or (bias is not None and bias.shape != weight.shape[:1]):
        raise EncoderFormatError("holds no linear layer (linear.weight, linear.bias)", path=_where(files, name))
    return Dense(weight.astype(np.float32), None if bias is None else bias.astype(np.float32), activation)


# -- which graph -----------------------------------------------------------------------------------------------------


def choose_graph(files: EncoderFiles, file: str = "auto") -> str:
    """The graph that ``file`` asks for, as a path below the folder.

    Parameters
    ----------
    files : EncoderFiles
    file : str
        "fp32", "int8", a path, or "auto": what ``tlclassic.json`` prefers, else fp32, else int8 for this processor,
        else the only graph there is.

    Raises
    ------
    EncoderFormatError
        Says which graphs there are.
    """
    graphs = [name for name in files.names() if name.endswith(".onnx")]
    if file in ("auto", "fp32", "int8"):
        chosen = _preferred(files, graphs) if file == "auto" else None
        if chosen is None and file != "int8":
            chosen = next((name for name in _FLOAT_GRAPHS if name in graphs), None)
        if chosen is None and file != "fp32":
            chosen = _best_int8(graphs)
        if chosen is None and file == "auto" and len(graphs) == 1:
            chosen = graphs[0]
        if chosen is not None:
            return chosen
    elif file in graphs:
        return file
    folder = getattr(files, "folder", None)
    what = "no graph" if file == "auto" else f"no graph {file!r}"
    there = f"graphs there: {', '.join(graphs)}" if graphs else "no .onnx file is there"
    remedy = "Give one of them as file=" if graphs else "Make one: tlclassic encoder export FOLDER OUT"
    raise EncoderFormatError(f"has {what}; {there}", path=folder, remedy=remedy)


def _preferred(files: EncoderFiles, graphs: list[str]) -> str | None:
    """What `tlclassic encoder check` found the better one on a machine like this."""
    said = read_json(files, "tlclassic.json")
    prefer = (said or {}).get("prefer")
    return prefer if prefer in graphs else None


def _best_int8(graphs: list[str]) -> str | None:
    """Of graphs named after processors the one for this; then one without such a name."""
    found = [name for name in graphs if _IS_INT8.search(os.path.basename(name))]
    for suffix in _processor_names():
        for name in found:
            own = os.path.basename(name).lower()
            if suffix in own and ("vnni" in suffix or "vnni" not in own):
                return name
    named = re.compile("avx|arm64|vnni", re.IGNORECASE)
    return next((name for name in found if not named.search(os.path.basename(name))), None)


@cache
def _processor_names() -> tuple[str, ...]:
    """How graphs for this processor are called, best first."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return ("arm64",)
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ()
    flag = re.search(r"^flags\s*:(.*)$", flags, re.MULTILINE)
    known = set(flag[1].split()) if flag else set()
    names = [("avx512_vnni", "avx512_vnni"), ("avx512f", "avx512"), ("avx2", "avx2")]
    return tuple(name for need, name in names if need in known)
