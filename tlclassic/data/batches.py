"""`read_batches`: the columns of a file of any format, a batch of rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from tlclassic._validate import check_choice, check_integer
from tlclassic.data.delimited import delimited_rows
from tlclassic.data.jsonl import jsonl_rows
from tlclassic.data.parquet import parquet_rows
from tlclassic.data.rows import Row, Wanted, shorten
from tlclassic.data.source import Source, open_source
from tlclassic.errors import InvalidParameterError

__all__ = ["FORMATS", "Batch", "check_options", "format_of_name", "read_batches", "scan", "suffix_of_name"]

#: Formats that are read; ``txt`` is one text a line, without a header.
FORMATS = ("tsv", "csv", "jsonl", "parquet", "txt")
_SUFFIXES = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PACKING_SUFFIXES = (".gz", ".zst", ".zstd", ".bz2", ".xz")
#: A batch ends early when its texts hold so many characters, so that long texts do not fill the memory.
_BATCH_CHARACTERS = 1 << 25


@dataclass(frozen=True)
class Batch:
    """Some rows of a file.

    Attributes
    ----------
    columns : dict of str to list
        The values by column name; all lists have the length of ``lines``.
    lines : list of int
        1-based line where each row starts (the row number in Parquet).
    """

    columns: dict[str, list[Any]]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.lines)


def read_batches(
    source: str | os.PathLike[str],
    *,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    format: str | None = None,
    quoted: bool | None = None,
    batch_size: int = 4096,
    empty: str = "keep",
) -> Iterator[Batch]:
    """Read text columns of a file, or of standard input, in bounded memory.

    Parameters
    ----------
    source : path-like
        A file, plain or packed (gz, zst, bz2, xz: told by its first bytes), or ``"-"`` for standard input.
    columns : sequence of str
        Columns of texts: each row must hold a string.
    optional : sequence of str
        Further columns, of any type; ``None`` where the column or the value is missing.
    format : {"tsv", "csv", "jsonl", "parquet", "txt"}, optional
        By default told by the name without its packing suffix, else by the contents where that is safe.
    quoted : bool, optional
        Whether fields may stand in double quotes; by default not in TSV and so in CSV.
    batch_size : int
        Most rows in a batch; a batch of very long texts is shorter.
    empty : {"keep", "error"}
        Whether a text that is empty or white space is let through.

    Yields
    ------
    Batch

    Raises
    ------
    DataFormatError
        For anything in the file that cannot be read, with file and line.
    InvalidParameterError
        For a parameter outside its domain.
    MissingExtraError
        For Parquet or zst without pyarrow.
    """
    check_choice("empty", empty, ("keep", "error"))
    wanted = Wanted(required=_names("columns", columns), optional=_names("optional", optional))
    check_options(wanted, format, quoted, batch_size)
    return scan(source, wanted, format=format, quoted=quoted, batch_size=batch_size, empty=empty)


def scan(
    source: str | os.PathLike[str],
    wanted: Wanted,
    *,
    format: str | None,
    quoted: bool | None,
    batch_size: int = 4096,
    empty: str = "keep",
) -> Iterator[Batch]:
    """`read_batches` for columns that are already checked, with nullable ones."""
    with open_source(source) as opened:
        rows = _rows(opened, wanted, format or _tell_format(opened, source, wanted), quoted, batch_size)
        lines: list[int] = []
        values: list[Sequence[Any]] = []
        characters = 0
        for line, row in rows:
            lines.append(line)
            values.append(row)
            for value in row:
                if type(value) is str:
                    characters += len(value)
            if len(lines) >= batch_size or characters >= _BATCH_CHARACTERS:
                yield _batch(opened, wanted, values, lines, empty)
                lines, values, characters = [], [], 0
        if lines:
            yield _batch(opened, wanted, values, lines, empty)


def _batch(source: Source, wanted: Wanted, values: list[Sequence[Any]], lines: list[int], empty: str) -> Batch:
    batch = Batch(dict(zip(wanted.names, map(list, zip(*values, strict=True)), strict=True)), lines)
    for name in wanted.required:
        column = batch.columns[name]
        if not _are_texts(column, empty):
            for line, value in zip(lines, column, strict=True):
                _check_text(source, line, name, value, empty)
    return batch


def _are_texts(column: list[Any], empty: str) -> bool:
    """Whether all values are texts that `_check_text` lets through, at the speed of a copy."""
    try:
        joined = "".join(column)
        if not joined.isascii():
            joined.encode("utf-8")
    except (TypeError, UnicodeEncodeError):
        return False
    return empty == "keep" or all(map(str.strip, column))


def _names(parameter: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise InvalidParameterError(f"{parameter} must be a list of column names; got {names!r}.")
    return tuple(names)


def check_options(wanted: Wanted, format: str | None, quoted: bool | None, batch_size: int = 1) -> None:
    """Raise `InvalidParameterError` for options outside their domain."""
    if not wanted.names:
        raise InvalidParameterError("columns must name at least one column; got none.")
    if len(set(wanted.names)) != len(wanted.names):
        raise InvalidParameterError(f"each column must be named once; got {list(wanted.names)!r}.")
    check_choice("format", format, (None, *FORMATS))
    check_choice("quoted", quoted, (None, True, False))
    check_integer("batch_size", batch_size, low=1)
    if quoted is not None and format not in (None, "tsv", "csv"):
        raise InvalidParameterError(f"quoted applies to tsv and csv; got quoted={quoted!r} with format={format!r}.")


def _check_text(source: Source, line: int, name: str, value: object, empty: str) -> None:
    if isinstance(value, str):
        if empty == "error" and not value.strip():
            raise source.error(f"column {name!r} is empty", line=line, remedy="Give the row a text or remove it")
        if not value.isascii():
            _check_encodable(source, line, name, value)
    elif value is None:
        raise source.error(f"column {name!r} is null", line=line, remedy="Give the row a text or remove it")
    else:
        kind = type(value).__name__
        message = f"column {name!r} must be a string, got {kind} {shorten(value)}"
        raise source.error(message, line=line, remedy="Write the text as a string")


def _check_encodable(source: Source, line: int, name: str, value: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(value[error.start])
        message = f"column {name!r} holds half of a surrogate pair (U+{code:04X}) at character {error.start + 1}"
        raise source.error(message, line=line, remedy="Write the whole character") from error


def _rows(source: Source, wanted: Wanted, format: str, quoted: bool | None, batch_size: int) -> Iterator[Row]:
    if format in ("tsv", "csv"):
        delimiter = "\t" if format == "tsv" else ","
        return delimited_rows(source, wanted, delimiter=delimiter, quoted=format == "csv" if quoted is None else quoted)
    if format == "jsonl":
        return jsonl_rows(source, wanted)
    if format == "parquet":
        return parquet_rows(source, wanted, batch_size=batch_size)
    return _text_rows(source, wanted)


def _text_rows(source: Source, wanted: Wanted) -> Iterator[Row]:
    if len(wanted.required) != 1 or wanted.nullable:
        names = ", ".join(wanted.required + wanted.nullable)
        remedy = "Use a file with columns (TSV, CSV, JSONL, Parquet), or pass its format="
        raise source.error(f"plain text has one text a line and no columns; asked for {names}", remedy=remedy)
    absent = [None] * len(wanted.optional)
    for line, text, _ in source.lines():
        yield line, [text, *absent]


def format_of_name(name: str | os.PathLike[str]) -> str | None:
    """Format by the file name's suffix, packing suffix removed; ``None`` where it does not tell."""
    return _SUFFIXES.get(suffix_of_name(name))


def suffix_of_name(name: str | os.PathLike[str]) -> str:
    """The suffix that tells the format, in lower case: without that of packing."""
    path = PurePath(name)
    if path.suffix.lower() in _PACKING_SUFFIXES:
        path = path.with_suffix("")
    return path.suffix.lower()


def _tell_format(source: Source, name: str | os.PathLike[str], wanted: Wanted) -> str:
    first = source.first_line()
    if first.startswith(b"PAR1"):
        return "parquet"
    return format_of_name(name) or _format_of_contents(source, first.decode("utf-8", "replace").strip("\r\n"), wanted)


def _format_of_contents(source: Source, first: str, wanted: Wanted) -> str:
    """Only what cannot be anything else: an object, or a header of several columns with all that are wanted."""
    if first.lstrip().startswith("{"):
        return "jsonl"
    if first.lstrip().startswith("["):
        raise source.error("this seems to be a JSON array", line=1, remedy="Write one JSON object a line: jq -c '.[]'")
    needed = {*wanted.required, *wanted.nullable}
    tabs, commas = first.split("\t"), [name.strip('"') for name in first.split(",")]
    if len(tabs) > 1 and needed <= set(tabs):
        return "tsv"
    if len(commas) > 1 and needed <= set(commas):
        return "csv"
    if suffix_of_name(source.name) == ".txt" and "\t" not in first:
        return "txt"
    listed = ", ".join(repr(format) for format in FORMATS)
    remedy = f"Name it with format= (on the command line --input-format): {listed}"
    raise source.error("cannot tell the format", remedy=remedy)
