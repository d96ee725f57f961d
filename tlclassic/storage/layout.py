"""The byte layout of a tlclassic file, format 1.

::

    offset  size  what
    0       8     magic: 89 54 4C 43 0D 0A 1A 0A  (a high byte, "TLC", line ends that text-mode copying would change)
    8       4     format number, little-endian uint32 (as every number here)
    12      4     CRC-32 of the header
    16      8     offset of the header
    24      8     length of the header in bytes
    32      8     size of the whole file in bytes
    40      20    zero
    60      4     CRC-32 of bytes 0 to 59
    64      ...   blocks, each at a multiple of 64 bytes
    ...     ...   header: UTF-8 JSON {"kind": str, "metadata": {...}, "blocks": [{"name", "dtype", "shape", "offset",
                  "size", "crc32"}, ...]}

The header stands last so that a block's length need not be known when it is begun. Arrays are C-ordered and
little-endian. A file of a higher format number is refused; older numbers stay readable.
"""

from __future__ import annotations

import math
import reprlib
import struct
import zlib
from typing import NamedTuple

from tlclassic.errors import ArtifactVersionError, CorruptArtifactError, ForeignArtifactError

__all__ = ["ALIGNMENT", "DTYPES", "FORMAT", "MAGIC", "PRELUDE_SIZE", "SMALL_BLOCK", "Block", "Prelude"]

MAGIC = b"\x89TLC\r\n\x1a\n"
FORMAT = 1
PRELUDE_SIZE = 64
ALIGNMENT = 64
#: Blocks of at most this many bytes are read and checked when the file is opened; larger ones are mapped.
SMALL_BLOCK = 1 << 20
MAX_HEADER = 1 << 28
MAX_DIMENSIONS = 8
DTYPES = ("u1", "i1", "<u2", "<i2", "<f2", "<u4", "<i4", "<f4", "<u8", "<i8", "<f8")
_PRELUDE = struct.Struct("<8sIIQQQ20sI")


class Prelude(NamedTuple):
    """The first 64 bytes."""

    header_crc: int
    header_offset: int
    header_size: int
    file_size: int
    format: int = FORMAT

    def pack(self) -> bytes:
        """The 64 bytes."""
        fields = (MAGIC, self.format, self.header_crc, self.header_offset, self.header_size, self.file_size, bytes(20))
        crc = zlib.crc32(_PRELUDE.pack(*fields, 0)[:60])
        return _PRELUDE.pack(*fields, crc)

    @classmethod
    def unpack(cls, raw: bytes, *, path: str, actual_size: int) -> Prelude:
        """Parse and check the first 64 bytes of a file of ``actual_size`` bytes."""
        if raw[:8] != MAGIC[: len(raw[:8])] or not raw:
            raise ForeignArtifactError(f"{path}: not a tlclassic file (it begins with {raw[:8]!r}).")
        if len(raw) < PRELUDE_SIZE:
            raise CorruptArtifactError(
                f"{path}: truncated: {actual_size} bytes, fewer than the {PRELUDE_SIZE}-byte start."
            )
        _, number, header_crc, offset, size, file_size, _, crc = _PRELUDE.unpack(raw[:PRELUDE_SIZE])
        if crc != zlib.crc32(raw[:60]):
            raise CorruptArtifactError(
                f"{path}: the start of the file is damaged (checksum differs). Restore it from a copy."
            )
        if number < 1:
            raise CorruptArtifactError(f"{path}: format {number} does not exist.")
        if number > FORMAT:
            raise ArtifactVersionError(
                f"{path}: written in format {number}; this tlclassic reads up to {FORMAT}. "
                "Upgrade: pip install -U tlclassic"
            )
        if file_size != actual_size:
            raise CorruptArtifactError(
                f"{path}: truncated or appended to: {actual_size} bytes, {file_size} expected. Restore it from a copy."
            )
        if size > MAX_HEADER or offset < PRELUDE_SIZE or offset + size > file_size:
            raise CorruptArtifactError(f"{path}: the header lies outside the file.")
        return cls(header_crc, offset, size, file_size, number)


class Block(NamedTuple):
    """One array of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int
    crc32: int

    @classmethod
    def parse(cls, raw: object, *, end: int, path: str) -> Block:
        """A block from its JSON object, checked to lie before byte ``end``."""
        try:
            if not isinstance(raw, dict):
                raise TypeError("not an object")
            name, dtype, shape = raw["name"], raw["dtype"], tuple(raw["shape"])
            offset, size, crc = raw["offset"], raw["size"], raw["crc32"]
            # Written out and not asserted: `python -O` must check as much.
            if not (isinstance(name, str) and dtype in DTYPES and 1 <= len(shape) <= MAX_DIMENSIONS):
                raise TypeError("wrong type")
            if not all(type(number) is int and number >= 0 for number in (offset, size, crc, *shape)):
                raise TypeError("wrong number")
        except (KeyError, TypeError) as error:
            raise CorruptArtifactError(
                f"{path}: a block's description in the header is malformed: {reprlib.repr(raw)}."
            ) from error
        itemsize = int(dtype[-1])
        # NumPy counts the bytes of an empty array by its other dimensions.
        span = math.prod(filter(None, shape)) * itemsize
        if (
            math.prod(shape) * itemsize != size
            or span >= 1 << 63
            or offset % ALIGNMENT
            or offset < PRELUDE_SIZE
            or offset + size > end
        ):
            raise CorruptArtifactError(f"{path}: block {reprlib.repr(name)} lies outside the file or has a wrong size.")
        return cls(name, dtype, shape, offset, size, crc)

    def as_json(self) -> dict[str, object]:
        """The block's JSON object."""
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "offset": self.offset,
            "size": self.size,
            "crc32": self.crc32,
        }
