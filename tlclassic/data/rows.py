"""What the readers of all formats share: which columns are wanted, how a wrong name is answered, blank lines."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlclassic.data.source import Source
from tlclassic.errors import DataFormatError, RepairWarning

__all__ = ["BlankLines", "Row", "Wanted", "find_columns", "shorten", "unknown_column"]

#: A row: its 1-based line (row in Parquet) and the values of the wanted columns, ``None`` where there is none.
Row = tuple[int, Sequence[Any]]

_SHOWN_COLUMNS = 20
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Columns to read.

    ``required`` hold a value in each row, ``nullable`` are there but may lack one, ``optional`` need not be there.
    """

    required: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in the order of the values of a row."""
        return self.required + self.nullable + self.optional


def shorten(value: object) -> str:
    """The value's ``repr``, cut to what a message can hold."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def find_columns(
    source: Source, header: Sequence[str], wanted: Wanted, *, line: int | None = 1, hint: str | None = None
) -> list[int | None]:
    """Position of each wanted column in ``header``, ``None`` for an optional one that is not there.

    Raises
    ------
    DataFormatError
        When a column is not there (those that are there are listed) or there twice.
    """
    places: list[int | None] = []
    for name in wanted.names:
        if header.count(name) > 1:
            raise source.error(f"column {name!r} is there {header.count(name)} times", line=line, remedy="Rename one")
        if name in header:
            places.append(header.index(name))
        elif name in wanted.optional:
            places.append(None)
        else:
            raise unknown_column(source, name, header, line=line, hint=hint)
    return places


def unknown_column(
    source: Source,
    name: str,
    present: Sequence[str],
    *,
    line: int | None,
    what: str = "column",
    hint: str | None = None,
) -> DataFormatError:
    """The error for a column (or key) that is not there; lists those that are and guesses which was meant."""
    shown = ", ".join(repr(column[:_SHOWN_CHARACTERS]) for column in present[:_SHOWN_COLUMNS])
    if len(present) > _SHOWN_COLUMNS:
        shown += f" and {len(present) - _SHOWN_COLUMNS} more"
    close = difflib.get_close_matches(name.lower(), [column[:_SHOWN_CHARACTERS].lower() for column in present], n=1)
    meant = next((column for column in present if close and column.lower() == close[0]), None)
    guess = f" (did you mean {meant!r}?)" if meant is not None else ""
    remedy = hint or f"Choose one of the {what}s, or add {name!r}"
    return source.error(f"no {what} {name!r}{guess}; the {what}s are: {shown or 'none'}", line=line, remedy=remedy)


class BlankLines:
    """Counts blank lines that were skipped: those between rows are told once at the end, trailing ones are normal."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._trailing: list[int] = []
        self._first = 0
        self._count = 0

    def add(self, line: int) -> None:
        """A blank line at ``line``."""
        self._trailing.append(line)

    def confirm(self) -> None:
        """A row follows."""
        if self._trailing:
            self._first = self._first or self._trailing[0]
            self._count += len(self._trailing)
            self._trailing.clear()

    def report(self) -> None:
        """Warn once, at the end of the file."""
        if self._count:
            lines = "blank line" if self._count == 1 else "blank lines"
            message = (
                f"{self._source.name}: skipped {self._count} {lines} between rows (the first is line {self._first})"
            )
            warnings.warn(message, RepairWarning, stacklevel=2)
