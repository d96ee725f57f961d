"""Writing a tlclassic file: blocks one after the other, in bounded memory, atomically."""

from __future__ import annotations

import contextlib
import json
import math
import os
import zlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from tlclassic.errors import InvalidParameterError
from tlclassic.storage.atomic import atomic_write
from tlclassic.storage.layout import ALIGNMENT, DTYPES, MAX_DIMENSIONS, PRELUDE_SIZE, Block, Prelude

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["ArtifactWriter", "BlockStream"]


class ArtifactWriter:
    """Write a tlclassic file; it appears at ``path`` only when the ``with`` block ends without an exception.

    Parameters
    ----------
    path : path-like
        Where the file goes; an existing file is replaced as a whole.
    kind : str
        What the file holds, for example ``"vectors"``.

    Attributes
    ----------
    metadata : dict
        JSON-serialisable; written with the header.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> path = tempfile.mkdtemp() + "/example.tlc"
    >>> with ArtifactWriter(path, kind="example") as writer:
    ...     writer.metadata["answer"] = 42
    ...     writer.add("numbers", np.arange(3.0))
    """

    def __init__(self, path: str | os.PathLike[str], *, kind: str) -> None:
        self.path = path
        self.kind = kind
        self.metadata: dict[str, Any] = {}
        self._blocks: list[Block] = []
        self._stack = contextlib.ExitStack()
        self._file: BinaryIO | None = None
        self._stream: BlockStream | None = None

    def __enter__(self) -> Self:
        self._file = self._stack.enter_context(atomic_write(self.path))
        self._file.write(bytes(PRELUDE_SIZE))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._finish()
            except BaseException as error:
                self._stack.__exit__(type(error), error, error.__traceback__)
                raise
        self._stack.__exit__(kind, value, trace)

    def add(self, name: str, array: NDArray[Any]) -> None:
        """Write ``array`` as the block ``name``."""
        array = np.asarray(array)
        if array.ndim == 0:
            raise InvalidParameterError(f"block {name!r} must have at least one dimension; got a scalar.")
        with self.stream(name, array.dtype, array.shape[1:]) as stream:
            # One slice at a time, so that a mapped table larger than memory can be copied.
            step = max(1, (1 << 24) // max(1, array[:1].nbytes))
            for start in range(0, len(array), step):
                stream.write(array[start : start + step])

    def stream(self, name: str, dtype: DTypeLike, row_shape: tuple[int, ...] = ()) -> BlockStream:
        """Begin a block whose first dimension grows with each ``write``; one stream can be open at a time."""
        if self._file is None:
            raise RuntimeError("ArtifactWriter is used outside its `with` block.")
        if self._stream is not None:
            raise RuntimeError(f"block {self._stream.name!r} is still open.")
        if any(block.name == name for block in self._blocks):
            raise InvalidParameterError(f"block {name!r} was already written.")
        code = np.dtype(dtype).newbyteorder("<").str.lstrip("|")
        if code not in DTYPES:
            raise InvalidParameterError(f"block {name!r} has dtype {np.dtype(dtype)}; allowed are {', '.join(DTYPES)}.")
        if 1 + len(row_shape) > MAX_DIMENSIONS:
            raise InvalidParameterError(
                f"block {name!r} has {1 + len(row_shape)} dimensions; at most {MAX_DIMENSIONS} are allowed."
            )
        self._file.write(bytes(-self._file.tell() % ALIGNMENT))
        self._stream = BlockStream(self, self._file, name, code, row_shape)
        return self._stream

    def _end_stream(self, block: Block) -> None:
        self._blocks.append(block)
        self._stream = None

    def _finish(self) -> None:
        if self._file is None or self._stream is not None:
            raise RuntimeError("a block is still open.")
        content = {"kind": self.kind, "metadata": self.metadata, "blocks": [block.as_json() for block in self._blocks]}
        try:
            header = json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidParameterError(f"the metadata cannot be written as JSON: {error}.") from error
        offset = self._file.tell()
        self._file.write(header)
        size = self._file.tell()
        self._file.seek(0)
        self._file.write(Prelude(zlib.crc32(header), offset, len(header), size).pack())


class BlockStream:
    """A block that is being written; a context manager."""

    def __init__(
        self, writer: ArtifactWriter, file: BinaryIO, name: str, dtype: str, row_shape: tuple[int, ...]
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.row_shape = row_shape
        self.rows = 0
        self._writer = writer
        self._file = file
        self._offset = file.tell()
        self._crc = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            size = self.rows * math.prod(self.row_shape) * int(self.dtype[-1])
            shape = (self.rows, *self.row_shape)
            self._writer._end_stream(Block(self.name, self.dtype, shape, self._offset, size, self._crc))

    def write(self, rows: NDArray[Any]) -> None:
        """Append ``rows``, an array of shape (n, \\*row_shape)."""
        if rows.shape[1:] != self.row_shape:
            raise InvalidParameterError(
                f"block {self.name!r} has rows of shape {self.row_shape}; got {rows.shape[1:]}."
            )
        data = np.ascontiguousarray(rows, dtype=self.dtype).data.cast("B") if rows.size else b""
        self._crc = zlib.crc32(data, self._crc)
        self._file.write(data)
        self.rows += len(rows)
