"""Weights of an ONNX encoder as 8-bit integers: smaller files and, where the CPU has the instructions, faster."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tlclassic._compat import require
from tlclassic._validate import check_choice
from tlclassic.errors import EncoderFormatError, InvalidParameterError
from tlclassic.storage import atomic_write

__all__ = ["QUANTIZED_NAME", "float_graph", "has_int8_dot", "quantize"]

#: Where :func:`quantize` writes inside the encoder's folder.
QUANTIZED_NAME = "onnx/model_qint8.onnx"
_FLOAT_NAMES = ("onnx/model.onnx", "model.onnx")
# x86: VNNI in either width, AMX. Arm: the dot product of 8-bit integers never saturates halfway.
_INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}


def has_int8_dot() -> bool:
    """Whether this CPU multiplies 8-bit integers into 32-bit sums without saturating at 16 bits on the way.

    Without it (x86 before VNNI) pairs of products are summed in 16 bits, which full 8-bit weights overflow.
    """
    if platform.machine().lower() in {"arm64", "aarch64"}:
        return True
    try:
        flags = re.findall(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return False
    return bool(flags) and not _INT8_FLAGS.isdisjoint(flags[0].split())


def quantize(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    per_channel: bool = True,
    reduce_range: bool | str = "auto",
    embeddings: bool = True,
    keep_float: Iterable[str] = (),
) -> Path:
    """Quantise the graph of an encoder's folder to int8: weights now, activations while it runs (dynamically).

    Weights get a scale for each output channel, activations one for each tensor of a batch, so that int8 vectors
    depend slightly on the texts they share a batch with. The products of two activations in attention stay float.

    Parameters
    ----------
    folder : path-like
        An encoder's folder with ``onnx/model.onnx`` or ``model.onnx``.
    out : path-like, optional
        Where the graph goes; ``onnx/model_qint8.onnx`` in the folder when left out.
    per_channel : bool
        A scale for each output channel; one scale for a whole matrix loses far more.
    reduce_range : bool or "auto"
        Weights of 7 bits, for CPUs whose 8-bit products saturate; "auto" asks this CPU.
    embeddings : bool
        Quantise the embedding matrices as well: they are most of a small encoder's file.
    keep_float : iterable of str
        Regular expressions; multiplications whose node name one of them is found in keep their float weights.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    EncoderFormatError
        When there is no float graph, or it cannot be quantised.
    InvalidParameterError
    MissingExtraError
        Without onnx or onnxruntime.
    """
    check_choice("reduce_range", reduce_range, (True, False, "auto"))
    patterns = _compiled(keep_float)
    source = float_graph(folder)
    target = Path(folder) / QUANTIZED_NAME if out is None else Path(out)
    if target.exists() and target.samefile(source):
        raise InvalidParameterError(f"out must not be the float graph itself; got {os.fspath(target)!r}.")
    onnx = require("onnx", purpose="Quantising an encoder")
    quantization = require("onnxruntime.quantization", purpose="Quantising an encoder")
    model = _read_graph(onnx, source)
    options = {
        "per_channel": per_channel,
        "reduce_range": not has_int8_dot() if reduce_range == "auto" else bool(reduce_range),
        "weight_type": quantization.QuantType.QInt8,
        "op_types_to_quantize": ["MatMul", "Gemm", *(["Gather"] if embeddings else [])],
        "nodes_to_exclude": [node.name for node in model.graph.node if any(p.search(node.name) for p in patterns)],
        # Products of two activations stay float; fused operators have outputs whose types are not inferred.
        "extra_options": {"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
    }
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        made = Path(scratch) / "model.onnx"
        try:
            quantization.quantize_dynamic(source, made, **options)
        except Exception as error:  # the quantiser raises whatever its helpers do
            raise EncoderFormatError(f"this graph cannot be quantised ({error})", path=source) from error
        _copy_atomically(made, target)
    return target


def float_graph(folder: str | os.PathLike[str]) -> Path:
    """The float graph of an encoder's folder.

    Raises
    ------
    EncoderFormatError
    """
    root = Path(folder)
    if not root.is_dir():
        raise EncoderFormatError("there is no such folder", path=root, remedy="Give the folder of an ONNX encoder")
    for name in _FLOAT_NAMES:
        if (root / name).is_file():
            return root / name
    remedy = "Make it with `tlclassic encoder export`"
    raise EncoderFormatError("there is neither onnx/model.onnx nor model.onnx here", path=root, remedy=remedy)


def _compiled(keep_float: Iterable[str]) -> list[re.Pattern[str]]:
    if isinstance(keep_float, str):
        raise InvalidParameterError(f"keep_float must be a list of regular expressions; got the string {keep_float!r}.")
    try:
        return [re.compile(pattern) for pattern in keep_float]
    except (re.error, TypeError) as error:
        raise InvalidParameterError(f"keep_float must hold regular expressions; {error}.") from error


def _read_graph(onnx: Any, path: Path) -> Any:
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own error class differs between its versions
        remedy = "Export it again, or copy it again if a download broke off"
        raise EncoderFormatError("this is not a whole ONNX graph", path=path, remedy=remedy) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises a preparation on the root logger that only static quantisation needs."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(before)


def _copy_atomically(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reader, atomic_write(target) as writer:
        while block := reader.read(1 << 24):
            writer.write(block)
