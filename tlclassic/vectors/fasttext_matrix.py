"""The bytes of a fastText model: checked reads, and its dense and product-quantised matrices.

The layouts are those of fastText's ``DenseMatrix``, ``QuantMatrix`` and ``ProductQuantizer``
(https://github.com/facebookresearch/fastText); product quantisation: Jégou, Douze and Schmid 2011,
https://doi.org/10.1109/TPAMI.2010.57, here as in Joulin et al. 2016, https://arxiv.org/abs/1612.03651.
"""

from __future__ import annotations

import math
import os
import struct
import tempfile
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tlclassic.errors import InputError, VectorFormatError
from tlclassic.vectors.source import ByteStream

__all__ = ["IN_MEMORY", "ByteSource", "allocate", "read_matrix"]

#: Arrays of more bytes than this are mapped, from the model itself or from a temporary file, and not read.
IN_MEMORY = 1 << 28
_BLOCK = 1 << 24
_MAX_WORD = 1 << 20
#: Centroids of each part of a product-quantised vector: a code is one byte.
_CENTROIDS = 256


class ByteSource:
    """Reads in order, and says where and what when a file ends too early.

    Parameters
    ----------
    source : path-like or binary stream
        A path must be that of an uncompressed file: its large matrices are mapped.
    name : str, optional
        What errors call a stream.
    """

    def __init__(self, source: str | os.PathLike[str] | BinaryIO | ByteStream, name: str | None = None) -> None:
        self._path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        self.name = name or self._path or "the stream"
        self.position = 0
        self._buffer = b""
        self._at = 0
        self._file: Any = source
        try:
            if isinstance(source, (str, os.PathLike)):
                self._file = open(source, "rb")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", path=self._path, remedy="Check the path") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is not None:
            self._file.close()

    def malformed(self, message: str) -> VectorFormatError:
        """The error to raise when what was read makes no sense."""
        return VectorFormatError(
            f"not a whole fastText model: {message} (at byte {self.position})",
            path=self.name,
            remedy="Get the file anew",
        )

    def read(self, size: int, what: str) -> bytes:
        """The next ``size`` bytes."""
        data = self._buffer[self._at : self._at + size]
        self._at += len(data)
        while len(data) < size:
            more = self._file.read(size - len(data))
            if not more:
                self.position += len(data)
                raise self.malformed(f"it ends in {what}, {size - len(data)} bytes before its end")
            data += more
        self.position += size
        return data

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        """The next numbers, by a ``struct`` layout."""
        return struct.unpack("<" + layout, self.read(struct.calcsize("<" + layout), what))

    def word(self, what: str) -> bytes:
        """The bytes up to the next NUL, which is skipped."""
        while (end := self._buffer.find(b"\0", self._at)) < 0:
            if len(self._buffer) - self._at > _MAX_WORD:
                raise self.malformed(f"{what} has no end within {_MAX_WORD} bytes")
            more = self._file.read(_MAX_WORD)
            if not more:
                raise self.malformed(f"it ends in {what}")
            self._buffer, self._at = self._buffer[self._at :] + more, 0
        word = self._buffer[self._at : end]
        self.position += end + 1 - self._at
        self._at = end + 1
        return word

    def array(self, dtype: DTypeLike, shape: tuple[int, ...], what: str, *, keep: int | None = None) -> NDArray[Any]:
        """The next array: read if it is small, mapped if it is large. Of its rows only the first ``keep`` are given."""
        dtype = np.dtype(dtype)
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        kept = shape[0] if keep is None else min(keep, shape[0])
        if self._path is not None:
            left = os.fstat(self._file.fileno()).st_size - self.position
            if left < shape[0] * row_bytes:
                raise self.malformed(f"it ends in {what}, {shape[0] * row_bytes - left} bytes before its end")
        if kept * row_bytes <= IN_MEMORY:
            data = np.empty(kept * row_bytes, dtype=np.uint8)
            self._copy(data, what)
            array = data.view(dtype).reshape(kept, *shape[1:])
        elif self._path is not None:
            array = np.memmap(self._path, dtype, "r", self.position, (kept, *shape[1:]))
            self._skip(kept * row_bytes, what)
        else:
            array = self._spill(dtype, (kept, *shape[1:]), what)
        self._skip((shape[0] - kept) * row_bytes, what)
        return array

    def _copy(self, data: NDArray[np.uint8], what: str) -> None:
        for start in range(0, len(data), _BLOCK):
            block = data[start : start + _BLOCK]
            block[:] = np.frombuffer(self.read(len(block), what), dtype=np.uint8)

    def _skip(self, size: int, what: str) -> None:
        if self._path is not None:
            self.position += size
            self._file.seek(self.position)
            self._buffer, self._at = b"", 0
            return
        for start in range(0, size, _BLOCK):
            self.read(min(_BLOCK, size - start), what)

    def _spill(self, dtype: np.dtype[Any], shape: tuple[int, ...], what: str) -> NDArray[Any]:
        # Written, not mapped and filled: a full disk is then an error and not a signal that ends the process.
        size = math.prod(shape) * dtype.itemsize
        with _temporary_file() as file:
            try:
                for start in range(0, size, _BLOCK):
                    file.write(self.read(min(_BLOCK, size - start), what))
                file.flush()
            except OSError as error:
                raise _no_room(size, error) from error
            return np.memmap(file, dtype, "r+", 0, shape)


def allocate(shape: tuple[int, int], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """An array to be filled: in memory if it is small, else mapped from a temporary file without a name."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype=dtype)
    with _temporary_file() as file:
        try:
            # Reserved at once: a full disk met in filling would be a signal that ends the process.
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise _no_room(size, error) from error
        return np.memmap(file, dtype, "r+", 0, shape)


def _temporary_file() -> Any:
    return tempfile.TemporaryFile(prefix="tlclassic-")


def _no_room(size: int, error: OSError) -> InputError:
    return InputError(
        f"a temporary file of {size} bytes cannot be written to {tempfile.gettempdir()} ({error.strerror})",
        remedy="Set TMPDIR to a folder with more room",
    )


def read_matrix(
    source: ByteSource, *, quantised: bool, n_words: int, keep: int, dim: int, with_buckets: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The input matrix: the first ``keep`` words' rows, and (if wanted, else none) the rows of the buckets.

    The words' rows are mapped read-only or owned by the caller; the buckets' rows too, perhaps at an odd address.
    """
    if quantised:
        return _read_quantised(source, n_words=n_words, keep=keep, dim=dim, with_buckets=with_buckets)
    n_rows, n_columns = source.unpack("2q", "the input matrix's shape")
    _check_shape(source, n_rows, n_columns, n_words, dim)
    own = source.array("<f4", (n_words, dim), "the words' rows", keep=keep)
    n_buckets = n_rows - n_words
    return own, source.array("<f4", (n_buckets if with_buckets else 0, dim), "the n-grams' rows")


def _check_shape(source: ByteSource, n_rows: int, n_columns: int, n_words: int, dim: int) -> None:
    if n_columns != dim or n_rows < n_words:
        raise source.malformed(
            f"the input matrix is {n_rows} x {n_columns}, but the model has {n_words} words of {dim} dimensions"
        )


@dataclass(frozen=True)
class _ProductQuantizer:
    """Vectors as one byte for each part of ``width`` dimensions (the last may be narrower)."""

    width: int
    centroids: list[NDArray[np.float32]]

    @classmethod
    def read(cls, source: ByteSource) -> _ProductQuantizer:
        dim, n_parts, width, last = source.unpack("4i", "a quantiser's shape")
        if min(dim, n_parts, width, last) < 1 or width * (n_parts - 1) + last != dim or last > width:
            raise source.malformed(f"a quantiser of {n_parts} parts of {width} (the last: {last}) for {dim} dimensions")
        values = source.array("<f4", (dim * _CENTROIDS,), "a quantiser's centroids")
        widths = [width] * (n_parts - 1) + [last]
        cuts = np.cumsum(widths)[:-1] * _CENTROIDS
        parts = np.split(values, cuts)
        return cls(width, [part.reshape(_CENTROIDS, w) for part, w in zip(parts, widths, strict=True)])

    def decode(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.hstack([part[codes[:, i]] for i, part in enumerate(self.centroids)])


def _read_quantised(
    source: ByteSource, *, n_words: int, keep: int, dim: int, with_buckets: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    has_norms, n_rows, n_columns, n_codes = source.unpack("?qqi", "the quantised matrix's shape")
    _check_shape(source, n_rows, n_columns, n_words, dim)
    if n_codes < 0 or n_rows < 1 or n_codes % n_rows:
        raise source.malformed(f"{n_codes} codes for {n_rows} rows")
    codes = source.array("u1", (n_rows, n_codes // n_rows), "the codes")
    quantizer = _ProductQuantizer.read(source)
    if codes.shape[1] != len(quantizer.centroids) or sum(part.shape[1] for part in quantizer.centroids) != dim:
        raise source.malformed(f"the quantiser does not fit {codes.shape[1]} codes a row of {dim} dimensions")
    norms = None
    if has_norms:
        norm_codes = source.array("u1", (n_rows,), "the norms' codes")
        norms = _ProductQuantizer.read(source).centroids[0][norm_codes, 0]
    own = _decode(quantizer, codes[:keep], None if norms is None else norms[:keep])
    first = n_words if with_buckets else n_rows
    return own, _decode(quantizer, codes[first:], None if norms is None else norms[first:])


def _decode(
    quantizer: _ProductQuantizer, codes: NDArray[np.uint8], norms: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    dim = sum(part.shape[1] for part in quantizer.centroids)
    table = allocate((len(codes), dim))
    step = max(1, _BLOCK // (4 * dim))
    for start in range(0, len(codes), step):
        block = quantizer.decode(codes[start : start + step])
        table[start : start + step] = block if norms is None else block * norms[start : start + step, None]
    return table
