"""TSV and CSV: records of fields, with the line where each record starts.

Unquoted, a record is a line and every ``"`` is an ordinary character. Quoted follows RFC 4180: a field that begins with
``"`` ends at the next single ``"``, may hold delimiters and line ends, and writes a quote as ``""``. A quote inside a
field that does not begin with one is an ordinary character, as in Python's csv module.
"""

# Design: the standard csv module is not used because its longest field is a process-wide setting (131,072 by default),
# which a library may not change, and because it tells the line where a record ends and not where it started.

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from tlclassic.data.rows import BlankLines, Row, Wanted, find_columns
from tlclassic.data.source import Line, Source

__all__ = ["delimited_rows", "header_of", "split_quoted"]

Record = tuple[int, list[str]]

#: An open quote swallows what follows: it is given up after so many characters (one line alone may be longer).
_LONGEST_OPEN_QUOTE = 1 << 28
_QUOTE_REMEDY = (
    'Write a quote inside a quoted field as "", or pass quoted=False (--unquoted) if quotes are ordinary characters'
)


def delimited_rows(source: Source, wanted: Wanted, *, delimiter: str, quoted: bool) -> Iterator[Row]:
    """Yield ``(line, values of the wanted columns)`` of each record after the header.

    Raises
    ------
    DataFormatError
        For a missing or double column, a record with too few or too many fields, or a broken quote.
    """
    records = _quoted_records(source, delimiter) if quoted else _plain_records(source, delimiter)
    _, header = next(records, (1, [""]))
    if any("\r" in name for name in header):
        remedy = "Convert them: tr '\\r' '\\n' < OLD > NEW"
        raise source.error("the lines end with a bare carriage return", line=1, remedy=remedy)
    pick = _picker(find_columns(source, header, wanted, hint=_header_hint(header, quoted=quoted)))
    blank = BlankLines(source)
    for line, fields in records:
        if len(fields) == len(header):
            blank.confirm()
            yield line, pick(fields)
        elif fields == [""]:
            blank.add(line)
        else:
            raise _wrong_count(source, line, fields, header, quoted=quoted)
    blank.report()


def header_of(source: Source, *, delimiter: str, quoted: bool) -> list[str]:
    """The names in the first record."""
    records = _quoted_records(source, delimiter) if quoted else _plain_records(source, delimiter)
    return next(records, (1, [""]))[1]


def _picker(places: list[int | None]) -> Callable[[list[str]], Sequence[Any]]:
    if None in places:
        return lambda fields: [None if place is None else fields[place] for place in places]
    if len(places) == 1:
        return lambda fields: (fields[places[0]],)  # type: ignore[index]
    return itemgetter(*places)


def _header_hint(header: Sequence[str], *, quoted: bool) -> str | None:
    if not quoted and any(len(name) > 1 and name[0] == name[-1] == '"' for name in header):
        return "The names stand in quotes: pass quoted=True"
    if len(header) == 1 and ";" in header[0]:
        return "The fields seem to be separated by ';': save the file with commas or tabs"
    return "The first line must name the columns"


def _wrong_count(source: Source, line: int, fields: list[str], header: list[str], *, quoted: bool) -> Exception:
    names = ", ".join(header[:8]) + (", ..." if len(header) > 8 else "")
    remedy = "Each row needs one field per column"
    if not quoted and any(field.startswith('"') for field in fields):
        remedy += "; if the fields are quoted, pass quoted=True"
    return source.error(f"expected {len(header)} fields ({names}), got {len(fields)}", line=line, remedy=remedy)


def _plain_records(source: Source, delimiter: str) -> Iterator[Record]:
    for number, text, _ in source.lines():
        yield number, text.split(delimiter)


def _quoted_records(source: Source, delimiter: str) -> Iterator[Record]:
    lines = source.lines()
    for line in lines:
        number, text, _ = line
        yield number, split_quoted(source, line, lines, delimiter) if '"' in text else text.split(delimiter)


def split_quoted(source: Source, line: Line, following: Iterator[Line], delimiter: str) -> list[str]:
    """Fields of the quoted record that begins at ``line``; takes more lines from ``following`` inside quotes."""
    start, text, _ = line
    fields: list[str] = []
    place = 0
    while True:
        if text.startswith('"', place):
            field, line, place = _quoted_field(source, line, place + 1, following, start)
            text = line[1]
            fields.append(field)
            if place == len(text):
                return fields
            if not text.startswith(delimiter, place):
                message = f"broken quote: {text[place : place + 20]!r} follows a closing quote in field {len(fields)}"
                raise source.error(message, line=start, remedy=_QUOTE_REMEDY)
            place += len(delimiter)
        else:
            end = text.find(delimiter, place)
            if end < 0:
                return [*fields, text[place:]]
            fields.append(text[place:end])
            place = end + len(delimiter)


def _quoted_field(
    source: Source, line: Line, place: int, following: Iterator[Line], start: int
) -> tuple[str, Line, int]:
    """The field's text, the line where it ends, and the place after its closing quote there."""
    parts: list[str] = []
    size = 0
    while True:
        _, text, ending = line
        end = text.find('"', place)
        if end < 0:
            parts.append(text[place:] + ending)
            size += len(text)
            after = next(following, None) if size <= _LONGEST_OPEN_QUOTE or len(parts) == 1 else None
            if after is None:
                raise source.error("broken quote: it is opened and never closed", line=start, remedy=_QUOTE_REMEDY)
            line, place = after, 0
        elif text.startswith('"', end + 1):
            parts.append(text[place : end + 1])
            place = end + 2
        else:
            parts.append(text[place:end])
            return "".join(parts), line, end + 1
