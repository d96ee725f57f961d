"""`open_writer`: columns to a file or to standard output, a batch of rows at a time."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Protocol

import numpy as np

from tlclassic._compat import require
from tlclassic._validate import check_choice
from tlclassic.data.batches import format_of_name
from tlclassic.errors import DataFormatError, InvalidParameterError
from tlclassic.storage import atomic_write

__all__ = ["WRITE_FORMATS", "TableWriter", "open_writer"]

WRITE_FORMATS = ("jsonl", "tsv", "csv", "parquet")
_STDOUT = "-"
_ROW_GROUP = 1 << 16
_CSV_SPECIAL = re.compile('[",\r\n]')
_TSV_FORBIDDEN = re.compile("[\t\r\n\0]")
_SEPARATOR = ","


class TableWriter(Protocol):
    """What `open_writer` gives."""

    def write(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write a batch: a sequence of values for each column, all of the same length."""


@contextlib.contextmanager
def open_writer(
    destination: str | os.PathLike[str], *, columns: Sequence[str], format: str | None = None
) -> Iterator[TableWriter]:
    """Open a file, or standard output, for a table with the given columns.

    Parameters
    ----------
    destination : path-like
        A file, which appears whole when the block ends well and not at all otherwise; packed where the name ends with
        ``.gz`` or ``.zst``. ``"-"`` is standard output, flushed after each batch.
    columns : sequence of str
        Names, in the order of the file.
    format : {"jsonl", "tsv", "csv", "parquet"}, optional
        By default told by the file name.

    Notes
    -----
    Values are strings, integers, floats, booleans, ``None``, or lists (in JSONL and Parquet also dicts) of these;
    NumPy's are taken as Python's. Floats are written in the fewest digits that read back to the same value (a float32
    in those that do so as float32). TSV and CSV write ``None`` as an empty field, booleans as ``true`` and ``false``,
    and a list as its items with commas between them. TSV has no quoting, and so cannot hold a tab or a line end.

    Raises
    ------
    DataFormatError
        For a value that the format cannot hold (NaN and infinities in any), with column and row.
    InputError
        When the destination cannot be written.
    InvalidParameterError
        For a parameter outside its domain, or columns of a batch that do not fit.
    """
    names = _check_columns(columns)
    format = format or (None if destination == _STDOUT else format_of_name(destination))
    if format is None:
        raise InvalidParameterError(
            f"format must be given, the name {os.fspath(destination)!r} does not tell it; "
            f"choose one of {', '.join(map(repr, WRITE_FORMATS))}."
        )
    check_choice("format", format, WRITE_FORMATS)
    with _open_destination(destination, format) as file:
        path = "<stdout>" if destination == _STDOUT else os.fspath(destination)
        is_parquet = format == "parquet"
        writer: _Writer = _ParquetWriter(file, names, path) if is_parquet else _LineWriter(file, names, path, format)
        yield writer
        writer.finish()


def _check_columns(columns: Sequence[str]) -> list[str]:
    names = list(columns)
    valid = all(isinstance(name, str) and name and not _TSV_FORBIDDEN.search(name) for name in names)
    if isinstance(columns, str) or not names or not valid or len(set(names)) != len(names):
        raise InvalidParameterError(
            f"columns must be a list of different names without tabs and line ends; got {columns!r}."
        )
    return names


@contextlib.contextmanager
def _open_destination(destination: str | os.PathLike[str], format: str) -> Iterator[Any]:
    if destination == _STDOUT:
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            raise InvalidParameterError("destination '-' needs a standard output that takes bytes; give a path.")
        sys.stdout.flush()
        with tempfile.TemporaryFile() if format == "parquet" else contextlib.nullcontext(buffer) as file:
            yield file
            if format == "parquet":
                # pyarrow needs a file that knows its position, which a pipe does not.
                file.seek(0)
                shutil.copyfileobj(file, buffer)
                buffer.flush()
        return
    name = os.fspath(destination).lower()
    if format == "parquet" and name.endswith((".gz", ".zst")):
        raise InvalidParameterError(f"destination must end with .parquet, which packs itself; got {destination!r}.")
    with atomic_write(destination) as file:
        if name.endswith(".gz"):
            # No name and time in the header: the same rows give the same bytes.
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
                yield packed
        elif name.endswith(".zst"):
            arrow = require("pyarrow", purpose="Writing .zst")
            with arrow.CompressedOutputStream(arrow.PythonFile(_Open(file), mode="w"), "zstd") as packed:
                yield packed
        else:
            yield file


class _Open:
    """A file that stays open when pyarrow closes its stream."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write, self.flush, self.tell, self.closed = file.write, file.flush, file.tell, False

    def close(self) -> None:
        self.flush()


class _Writer:
    """Checks batches and counts rows; `_write` is the format's own."""

    def __init__(self, names: list[str], path: str) -> None:
        self.names = names
        self.path = path
        self.rows = 0

    def write(self, columns: Mapping[str, Sequence[Any]]) -> None:
        if set(columns) != set(self.names):
            raise InvalidParameterError(f"columns must be {self.names!r}; got {list(columns)!r}.")
        lengths = {len(columns[name]) for name in self.names}
        if len(lengths) != 1:
            listed = ", ".join(f"{name}: {len(columns[name])}" for name in self.names)
            raise InvalidParameterError(f"columns must have the same length; got {listed}.")
        self._write([self._plain_column(name, columns[name]) for name in self.names])
        self.rows += lengths.pop()

    def finish(self) -> None:
        """After the last batch."""

    def error(self, message: str, row: int | None = None) -> DataFormatError:
        """A `DataFormatError` that names the destination and the row."""
        return DataFormatError(message if row is None else f"row {row} cannot be written: {message}", path=self.path)

    def _plain_column(self, name: str, values: Any) -> list[Any]:
        if isinstance(values, np.ndarray) and values.ndim == 1 and _is_plain(values):
            plain: list[Any] = values.tolist()
            return plain
        items: list[Any] = []
        for row, value in enumerate(values, start=self.rows + 1):
            try:
                items.append(_plain(value))
            except (ValueError, TypeError) as error:
                raise self.error(f"column {name!r}: {error}", row) from error
        return items

    def _write(self, columns: list[list[Any]]) -> None:
        raise NotImplementedError


class _LineWriter(_Writer):
    def __init__(self, file: IO[bytes], names: list[str], path: str, format: str) -> None:
        super().__init__(names, path)
        self.file = file
        self.join = {"jsonl": self._jsonl, "tsv": self._tsv, "csv": self._csv}[format]
        if format != "jsonl":
            self._emit([self.join(names)])

    def _write(self, columns: list[list[Any]]) -> None:
        self._emit(self._lines(columns))

    def _emit(self, lines: Iterator[str] | list[str]) -> None:
        self.file.write("".join(lines).encode("utf-8"))
        if self.path == "<stdout>":
            self.file.flush()

    def _lines(self, columns: list[list[Any]]) -> Iterator[str]:
        for row, values in enumerate(zip(*columns, strict=True), start=self.rows + 1):
            try:
                line = self.join(values)
                if not line.isascii():
                    line.encode("utf-8")
            except ValueError as error:
                raise self.error(str(error), row) from error
            yield line

    def _jsonl(self, values: Sequence[Any]) -> str:
        return json.dumps(dict(zip(self.names, values, strict=True)), ensure_ascii=False, allow_nan=False) + "\n"

    def _tsv(self, values: Sequence[Any]) -> str:
        fields = [_field(value) for value in values]
        for name, field in zip(self.names, fields, strict=True):
            if _TSV_FORBIDDEN.search(field):
                raise ValueError(f"column {name!r} holds a tab, a line end or NUL; write jsonl, csv or parquet")
        return "\t".join(fields) + "\n"

    def _csv(self, values: Sequence[Any]) -> str:
        fields = [_field(value) for value in values]
        if any("\0" in field for field in fields):
            raise ValueError("a field holds a NUL character; write jsonl or parquet")
        return ",".join(f'"{f.replace(chr(34), chr(34) * 2)}"' if _CSV_SPECIAL.search(f) else f for f in fields) + "\n"


def _is_plain(values: np.ndarray[Any, Any]) -> bool:
    """Whether ``tolist`` gives what `_plain` would."""
    return values.dtype.kind in "iubU" or (values.dtype == np.float64 and bool(np.isfinite(values).all()))


def _plain(value: Any) -> Any:
    """The value as Python's own types, finite."""
    if type(value) is str or type(value) is int:
        return value
    if isinstance(value, (np.ndarray, list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        short = value.dtype.kind == "f" and value.dtype.itemsize < 8
        value = float(str(value)) if short else value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} is not a string, number, boolean, None, list or dict")


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        raise ValueError("a field cannot hold a dict; write jsonl, or a column for each key")
    if isinstance(value, list):
        items = [_field(item) for item in value]
        if any(_SEPARATOR in item for item in items):
            raise ValueError(f"a label holds {_SEPARATOR!r}, which stands between labels; write jsonl or parquet")
        return _SEPARATOR.join(items)
    return str(value)


class _ParquetWriter(_Writer):
    """Collects rows into row groups; the first one settles the types."""

    def __init__(self, file: IO[bytes], names: list[str], path: str) -> None:
        super().__init__(names, path)
        self.arrow = require("pyarrow", purpose="Writing Parquet")
        self.parquet = require("pyarrow.parquet", purpose="Writing Parquet")
        self.file = file
        self.pending: list[list[Any]] = [[] for _ in names]
        self.schema: Any = None
        self.writer: Any = None

    def _write(self, columns: list[list[Any]]) -> None:
        for pending, column in zip(self.pending, columns, strict=True):
            pending.extend(column)
        if len(self.pending[0]) >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        arrays = [self._array(place, values) for place, values in enumerate(self.pending)]
        if self.writer is None:
            types = [self.arrow.string() if self.arrow.types.is_null(a.type) else a.type for a in arrays]
            self.schema = self.arrow.schema(list(zip(self.names, types, strict=True)))
            self.writer = self.parquet.ParquetWriter(self.file, self.schema, compression="zstd")
            arrays = [array.cast(kind) for array, kind in zip(arrays, types, strict=True)]
        self.writer.write_table(self.arrow.table(arrays, schema=self.schema))
        self.pending = [[] for _ in self.names]

    def _array(self, place: int, values: list[Any]) -> Any:
        kind = None if self.schema is None else self.schema.field(place).type
        try:
            return self.arrow.array(values, type=kind)
        except (self.arrow.ArrowException, TypeError, ValueError) as error:
            raise self.error(f"column {self.names[place]!r} does not fit one Parquet type ({error})") from error

    def finish(self) -> None:
        if self.pending[0] or self.writer is None:
            self._flush()
        self.writer.close()
