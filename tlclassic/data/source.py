"""Bytes of a source: a path or standard input, unpacked by its magic bytes, cut into lines.

Lines end at ``\\n`` or ``\\r\\n`` and nowhere else: ``str.splitlines`` would also cut at U+0085, U+2028, ``\\x0b`` and
``\\x0c``, which stand inside real texts.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tlclassic._compat import require
from tlclassic.errors import DataFormatError

__all__ = ["STDIN", "Line", "Source", "open_source"]

STDIN = "-"
#: A line: its 1-based number, its text without the line end, and the line end (``"\n"``, ``"\r\n"`` or ``""``).
Line = tuple[int, str, str]

_HEAD = 6
_BUFFER = 1 << 20
_FIRST_LINE = 1 << 20
_BOM = "\ufeff"
_PACKED = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
_REFUSED = {
    b"PK\x03\x04": ("this is a zip archive", "Unpack it first"),
    b"\xff\xfe": ("the text is UTF-16", "Convert it to UTF-8: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
    b"\xfe\xff": ("the text is UTF-16", "Convert it to UTF-8: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
}


class Source:
    """An open source of bytes.

    Attributes
    ----------
    name : str
        The path, or ``"<stdin>"``, for messages.
    stream : io.BufferedReader
        The unpacked contents.
    path : Path or None
        The file itself when it is a plain file that was not packed.
    """

    def __init__(self, name: str, stream: io.BufferedReader, *, path: Path | None, packed: bool) -> None:
        self.name = name
        self.stream = stream
        self.path = path
        self._packed = packed

    def error(self, message: str, *, line: int | None = None, remedy: str | None = None) -> DataFormatError:
        """A `DataFormatError` that names this source."""
        return DataFormatError(message, path=self.name, line=line, remedy=remedy)

    def first_line(self) -> bytes:
        """The first line (at most 1 MiB of it, without a byte-order mark); nothing is consumed."""
        with self.unpacking():
            head = self.stream.readline(_FIRST_LINE)
        self.stream = _buffered(head, self.stream)
        return head.removeprefix(_BOM.encode())

    def lines(self) -> Iterator[Line]:
        """Decoded lines, one in memory at a time.

        Raises
        ------
        DataFormatError
            For invalid UTF-8, a NUL byte, or damaged compression, with the line.
        """
        number = 0
        # One handler around the loop: this is the innermost loop of reading, a handler a line would cost as much again.
        with self.unpacking():
            for raw in self.stream:
                number += 1
                try:
                    text = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise self._not_utf8(number, error) from error
                if "\0" in text:
                    remedy = "Is it a binary file, or UTF-16 without a byte-order mark? Convert it to UTF-8"
                    raise self.error("a NUL byte in the line", line=number, remedy=remedy)
                if number == 1:
                    text = text.removeprefix(_BOM)
                if text.endswith("\r\n"):
                    yield number, text[:-2], "\r\n"
                else:
                    yield (number, text[:-1], "\n") if text.endswith("\n") else (number, text, "")

    @contextlib.contextmanager
    def unpacking(self) -> Iterator[None]:
        """Turn what the decompressors raise on damaged data into a `DataFormatError`."""
        try:
            yield
        except DataFormatError:
            raise
        except (EOFError, zlib.error, lzma.LZMAError, OSError, ValueError) as error:
            if not self._packed:
                raise
            message = f"the compressed data are damaged or cut short ({error})"
            raise self.error(message, remedy="Fetch the file again") from error

    def _not_utf8(self, line: int, error: UnicodeDecodeError) -> DataFormatError:
        message = f"invalid UTF-8 at byte {error.start + 1} of the line (0x{error.object[error.start]:02x})"
        remedy = "Convert the file to UTF-8, for example: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
        return self.error(message, line=line, remedy=remedy)


@contextlib.contextmanager
def open_source(source: str | os.PathLike[str]) -> Iterator[Source]:
    """Open a path, or standard input for ``"-"``; gz, zst, bz2 and xz are told by their first bytes.

    Raises
    ------
    DataFormatError
        When there is no such file, it cannot be read, is empty, a zip archive or UTF-16.
    """
    name = "<stdin>" if source == STDIN else os.fspath(source)
    with contextlib.ExitStack() as stack:
        raw = _standard_input() if source == STDIN else stack.enter_context(_open_file(name))
        head = _read_head(raw)
        if not head:
            raise _empty(name)
        packing = _packing(head, name)
        stream: Any = _buffered(head, raw)
        if packing is not None:
            stream = _buffered(b"", stack.enter_context(_unpacked(stream, packing)))
        plain = packing is None and source != STDIN and Path(name).is_file()
        opened = Source(name, stream, path=Path(name) if plain else None, packed=packing is not None)
        with opened.unpacking():
            if packing is not None and not opened.stream.peek(1):
                raise _empty(name)
        yield opened


def _empty(name: str) -> DataFormatError:
    return DataFormatError("the file is empty", path=name, remedy="Expected a header or at least one row")


def _standard_input() -> Any:
    buffer = getattr(sys.stdin, "buffer", None)
    if buffer is None:
        raise DataFormatError("standard input is not open", path="<stdin>", remedy="Give the path of a file")
    return buffer


def _open_file(name: str) -> Any:
    try:
        return open(name, "rb")
    except OSError as error:
        remedy = "Give the path of a file" if isinstance(error, IsADirectoryError) else "Check the path"
        raise DataFormatError(f"cannot read it ({error.strerror})", path=name, remedy=remedy) from error


def _read_head(raw: Any) -> bytes:
    head = b""
    while len(head) < _HEAD and (piece := raw.read(_HEAD - len(head))):
        head += piece
    return head


def _packing(head: bytes, name: str) -> str | None:
    for magic, (message, remedy) in _REFUSED.items():
        if head.startswith(magic):
            raise DataFormatError(message, path=name, remedy=remedy)
    return next((kind for magic, kind in _PACKED.items() if head.startswith(magic)), None)


def _unpacked(stream: io.BufferedReader, packing: str) -> Any:
    if packing == "gz":
        return gzip.GzipFile(fileobj=stream, mode="rb")
    if packing == "bz2":
        return bz2.BZ2File(stream, "rb")
    if packing == "xz":
        return lzma.LZMAFile(stream, "rb")
    return require("pyarrow", purpose="Reading .zst").CompressedInputStream(stream, "zstd")


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes were already read; hands on what is there without waiting for more."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head = head
        self._read = getattr(rest, "read1", rest.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._head:
            piece, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        else:
            piece = self._read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _buffered(head: bytes, rest: Any) -> io.BufferedReader:
    return io.BufferedReader(_Rejoined(head, rest), _BUFFER)
