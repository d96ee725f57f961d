"""Opening a tlclassic file: parse, bound, check; only then hand out arrays."""

from __future__ import annotations

import itertools
import json
import mmap
import os
import stat
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tlclassic.errors import CorruptArtifactError, ForeignArtifactError, InputError
from tlclassic.storage.layout import FORMAT, PRELUDE_SIZE, SMALL_BLOCK, Block, Prelude

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Artifact", "is_artifact"]

#: Bytes that are checked at a time, so that a check takes no more memory than this.
CHUNK = 1 << 18


def is_artifact(path: str | os.PathLike[str]) -> bool:
    """Whether the file at ``path`` begins as a tlclassic file does."""
    try:
        # A pipe would be waited for.
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return file.read(4) == b"\x89TLC"
    except OSError:
        return False


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Artifact:
    """A tlclassic file, opened read-only.

    The start, the header and the bounds of every block are checked here, and so are the contents of the blocks of at
    most 1 MiB. Larger blocks are mapped: opening takes the same time whatever their size, processes share the
    pages, and their checksums are checked by :meth:`verify`.

    Parameters
    ----------
    path : path-like
    kind : str, optional
        The kind of object expected.

    Attributes
    ----------
    path : str
    kind : str
    metadata : dict
    names : list of str
        The blocks, in file order.

    Raises
    ------
    InputError
        When there is no such file or it cannot be read.
    ForeignArtifactError, ArtifactVersionError, CorruptArtifactError
        When the file is not a whole tlclassic file of the expected kind in a format up to this one.
    """

    def __init__(self, path: str | os.PathLike[str], *, kind: str | None = None) -> None:
        self.path = os.fspath(path)
        try:
            if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
                raise ForeignArtifactError(f"{self.path}: not a regular file. Copy it into one first.")
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                prelude = Prelude.unpack(file.read(PRELUDE_SIZE), path=self.path, actual_size=size)
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except IsADirectoryError as error:
            raise ForeignArtifactError(f"{self.path}: this is a folder, not a tlclassic file.") from error
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="Check the path") from error
        self.format: int = prelude.format
        header = self._parse_header(prelude)
        self.kind: str = header["kind"]
        self.metadata: dict[str, Any] = header["metadata"]
        if kind is not None and kind != self.kind:
            raise ForeignArtifactError(f"{self.path}: holds {self.kind!r}, not {kind!r}.")
        self._blocks = self._parse_blocks(header["blocks"], prelude.header_offset)
        self._small = {block.name: self._read(block) for block in self._blocks.values() if block.size <= SMALL_BLOCK}
        self._release()

    @property
    def names(self) -> list[str]:
        """The names of the blocks, in file order."""
        return list(self._blocks)

    def array(self, name: str) -> NDArray[Any]:
        """The block ``name`` as a read-only array; a small one lies in memory, a large one in the mapped file."""
        if name not in self._blocks:
            raise CorruptArtifactError(f"{self.path}: block {name!r} is missing.")
        if name in self._small:
            return self._small[name]
        return self._view(self._blocks[name])

    def verify(self) -> None:
        """Check every block against its checksum.

        Raises
        ------
        CorruptArtifactError
            Names the first damaged block.
        """
        for block in self._blocks.values():
            self._check(block, self._map)

    def _release(self) -> None:
        """Give back the pages that were only read for a check; what is used is read again from the file's cache."""
        if hasattr(self._map, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _parse_header(self, prelude: Prelude) -> dict[str, Any]:
        raw = self._map[prelude.header_offset : prelude.header_offset + prelude.header_size]
        if zlib.crc32(raw) != prelude.header_crc:
            raise CorruptArtifactError(
                f"{self.path}: the header is damaged (checksum differs). Restore it from a copy."
            )
        try:
            header = json.loads(raw, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise CorruptArtifactError(f"{self.path}: the header is not valid JSON.") from error
        types = {"kind": str, "metadata": dict, "blocks": list}
        if not isinstance(header, dict) or not all(isinstance(header.get(key), kind) for key, kind in types.items()):
            raise CorruptArtifactError(f"{self.path}: the header lacks kind, metadata or blocks.")
        return header

    def _parse_blocks(self, raw: list[Any], end: int) -> dict[str, Block]:
        blocks = [Block.parse(item, end=end, path=self.path) for item in raw]
        by_place = sorted(blocks, key=lambda block: (block.offset, block.size))
        for before, after in itertools.pairwise(by_place):
            if before.offset + before.size > after.offset:
                raise CorruptArtifactError(f"{self.path}: blocks {before.name!r} and {after.name!r} overlap.")
        named = {block.name: block for block in blocks}
        if len(named) != len(blocks):
            raise CorruptArtifactError(f"{self.path}: two blocks have the same name.")
        return named

    def _read(self, block: Block) -> NDArray[Any]:
        self._check(block, self._map)
        array = self._view(block).copy()
        array.flags.writeable = False
        return array

    def _view(self, block: Block) -> NDArray[Any]:
        count = block.size // int(block.dtype[-1])
        return np.frombuffer(self._map, dtype=block.dtype, count=count, offset=block.offset).reshape(block.shape)

    def _check(self, block: Block, data: mmap.mmap) -> None:
        crc = 0
        with memoryview(data) as whole:
            for start in range(block.offset, block.offset + block.size, CHUNK):
                crc = zlib.crc32(whole[start : min(start + CHUNK, block.offset + block.size)], crc)
                self._release()
        if crc != block.crc32:
            raise CorruptArtifactError(
                f"{self.path}: block {block.name!r} is damaged (checksum differs). Restore it from a copy."
            )

    def __repr__(self) -> str:
        return f"Artifact({self.path!r}, kind={self.kind!r}, format={self.format}/{FORMAT}, blocks={len(self._blocks)})"
