"""The bytes of a vector file: plain or unpacked, told by the first bytes and not by the name."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tlclassic.errors import InvalidParameterError, VectorFormatError

__all__ = ["ByteStream", "Source", "open_source"]

_MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
# Ten bytes, because "BZh" may well begin a word.
_BZIP2 = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError)


class ByteStream:
    """A readable stream whose damage is a ``VectorFormatError`` that names the file."""

    def __init__(self, raw: Any, source: Source) -> None:
        self._raw, self._source = raw, source

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer only at the end."""
        try:
            data: bytes = self._raw.read(size)
        except _DAMAGE as error:
            if self._source.packing is None:
                raise
            raise self._source.error(
                f"the {self._source.packing} data are damaged or cut short ({error})",
                remedy="Fetch the file again, or read its beginning with limit=",
            ) from error
        return data

    def fraction(self) -> float | None:
        """Which part of a plain file was read, 0 to 1; None where that is not known."""
        if self._source.packing is not None:
            return None
        position: int = self._raw.tell()
        return position / max(1, self._source.size)


@dataclass(frozen=True)
class Source:
    """A file to read vectors from.

    Attributes
    ----------
    path : str
    packing : {"gzip", "bzip2", "xz", "zip"} or None
    member : str or None
        The file inside a zip archive.
    size : int
        Bytes of the file on disk.
    """

    path: str
    packing: str | None
    member: str | None
    size: int

    @property
    def name(self) -> str:
        """The path, and the member of an archive, for messages."""
        return self.path if self.member is None else f"{self.path}[{self.member}]"

    def error(self, message: str, *, line: int | None = None, remedy: str | None = None) -> VectorFormatError:
        """An error that names this file."""
        return VectorFormatError(message, path=self.name, line=line, remedy=remedy)

    @contextlib.contextmanager
    def open(self) -> Iterator[ByteStream]:
        """The unpacked bytes, from the beginning."""
        with contextlib.ExitStack() as stack:
            try:
                raw: Any = stack.enter_context(self._open_raw(stack))
            except _DAMAGE as error:
                raise self.error(
                    f"cannot be opened ({error})", remedy="Check the path, or fetch the file again"
                ) from error
            yield ByteStream(raw, self)

    def _open_raw(self, stack: contextlib.ExitStack) -> Any:
        if self.packing == "zip":
            archive = stack.enter_context(zipfile.ZipFile(self.path))
            return archive.open(self.member or "")
        openers: dict[str | None, Any] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
        return openers.get(self.packing, open)(self.path, "rb")

    def head(self, size: int) -> bytes:
        """The first ``size`` unpacked bytes, or fewer."""
        with self.open() as stream:
            return stream.read(size)


def open_source(path: str | os.PathLike[str], member: str | None = None) -> Source:
    """Find out how the file at ``path`` is packed.

    Raises
    ------
    VectorFormatError
        When it cannot be read, is empty, or a zip archive holds several files and ``member`` names none of them.
    InvalidParameterError
        When ``member`` is given for a file that is not a zip archive.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            start, size = file.read(10), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise VectorFormatError(f"cannot be read ({error.strerror})", path=name, remedy="Check the path") from error
    if not start:
        raise VectorFormatError("the file is empty", path=name, remedy="Fetch it again")
    packing = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    if _BZIP2.match(start):
        packing = "bzip2"
    if packing == "zip":
        return Source(name, packing, _choose_member(name, member), size)
    if member is not None:
        raise InvalidParameterError(f"member={member!r} names a file in a zip archive; {name!r} is not one.")
    return Source(name, packing, None, size)


def _choose_member(path: str, member: str | None) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise VectorFormatError(f"a damaged zip archive ({error})", path=path, remedy="Fetch the file again") from error
    # Resource forks that macOS puts beside the real files.
    names = [name for name in names if not name.startswith("__MACOSX/")]
    if member is None and len(names) == 1:
        return names[0]
    if member in names:
        return str(member)
    listed = ", ".join(repr(name) for name in names[:20]) + (", ..." if len(names) > 20 else "")
    problem = "holds no file" if not names else f"holds {len(names)} files: {listed}"
    got = "" if member is None else f"; got member={member!r}"
    raise VectorFormatError(f"the zip archive {problem}{got}", path=path, remedy="Name one of them with member=")
