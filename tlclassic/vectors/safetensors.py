"""Reading ``.safetensors`` files: parsed, bounded, then mapped.

Format (https://huggingface.co/docs/safetensors): the length of the header as a little-endian uint64; the header, a
JSON object ``{name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}}``; the tensors' bytes,
C-ordered and little-endian, to which the offsets refer.
"""

from __future__ import annotations

import json
import math
import os
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InputError, VectorFormatError

__all__ = ["parse_tensors", "read_tensors"]

#: As in the reference implementation.
_MAX_HEADER = 100_000_000
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?",
}  # fmt: skip
#: Tensors of at most this many bytes are read, larger ones are mapped.
_IN_MEMORY = 1 << 20


def read_tensors(path: str | os.PathLike[str], names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Those of the tensors ``names`` that the file holds; large ones mapped read-only, bfloat16 as float32.

    Raises
    ------
    VectorFormatError
        When the file is truncated or its header is malformed.
    """
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            prefix = file.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
            if length > min(_MAX_HEADER, size - 8):
                raise VectorFormatError(
                    f"not a whole safetensors file: a header of {length} bytes in a file of {size}", path=path
                )
            header = _parse_header(file.read(length), path)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="Check the path") from error
    start = 8 + length
    return {name: _read(path, name, header[name], start, size) for name in names if name in header}


def _parse_header(raw: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise VectorFormatError(f"the header is not JSON ({error})", path=path) from error
    if not isinstance(header, dict):
        raise VectorFormatError("the header is not a JSON object", path=path)
    return header


def _read(path: str | os.PathLike[str], name: str, entry: Any, start: int, size: int) -> NDArray[Any]:
    dtype, shape, begin, end = _checked(path, name, entry, size - start)
    if end - begin <= _IN_MEMORY:
        with open(path, "rb") as file:
            file.seek(start + begin)
            array: NDArray[Any] = np.frombuffer(file.read(end - begin), dtype=dtype).reshape(shape)
    else:
        array = np.memmap(path, dtype, "r", start + begin, shape)
    return _as_numbers(array, entry["dtype"])


def _checked(
    path: str | os.PathLike[str], name: str, entry: Any, size: int
) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """Type, shape, begin and end of a tensor in data of ``size`` bytes."""
    try:
        code, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
            raise ValueError("a number is negative or not whole")
        dtype = np.dtype(_DTYPES[code])
    except (KeyError, TypeError, ValueError) as error:
        raise VectorFormatError(f"tensor {name!r} is described as {entry!r}", path=path) from error
    if end - begin != math.prod(shape) * dtype.itemsize or end > size:
        raise VectorFormatError(f"tensor {name!r} does not fit: {entry!r}, data of {size} bytes", path=path)
    return dtype, shape, begin, end


def _as_numbers(array: NDArray[Any], code: str) -> NDArray[Any]:
    if code == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    # Kernels want numbers at their natural place, which writers guarantee by padding the header and readers cannot.
    return array if array.flags.aligned else np.array(array)


def parse_tensors(raw: bytes, names: tuple[str, ...], path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """As :func:`read_tensors`, from the bytes of a file; ``path`` is for errors.

    Raises
    ------
    VectorFormatError
    """
    length = struct.unpack("<Q", raw[:8])[0] if len(raw) >= 8 else len(raw)
    if length > min(_MAX_HEADER, len(raw) - 8):
        raise VectorFormatError(
            f"not a whole safetensors file: a header of {length} bytes in a file of {len(raw)}", path=path
        )
    header = _parse_header(raw[8 : 8 + length], path)
    tensors = {}
    for name in names:
        if name in header:
            dtype, shape, begin, end = _checked(path, name, header[name], len(raw) - 8 - length)
            array = np.frombuffer(raw[8 + length + begin : 8 + length + end], dtype=dtype).reshape(shape)
            tensors[name] = _as_numbers(array, header[name]["dtype"])
    return tensors
