"""Parquet, streamed by pyarrow: only the wanted columns, a batch of rows in memory at a time."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from tlclassic._compat import require
from tlclassic.data.rows import Row, Wanted, find_columns
from tlclassic.data.source import Source

__all__ = ["parquet_columns", "parquet_rows"]

_BUFFER = 1 << 20


def parquet_rows(source: Source, wanted: Wanted, *, batch_size: int) -> Iterator[Row]:
    """Yield ``(row number from 1, values of the wanted columns)``; dictionary and large types are decoded.

    Raises
    ------
    DataFormatError
        For a damaged file, a missing or double column, or a string that is not UTF-8.
    """
    arrow = require("pyarrow", purpose="Reading Parquet")
    with contextlib.ExitStack() as stack:
        file = _open(source, stack)
        places = find_columns(source, file.schema_arrow.names, wanted, line=None)
        names = [name for name, place in zip(wanted.names, places, strict=True) if place is not None]
        row = 0
        with _damage(source, arrow):
            # An empty list of columns still gives batches with the right number of rows.
            for batch in file.iter_batches(batch_size=batch_size, columns=names):
                values = [_values(source, batch, name, row) for name in wanted.names]
                for items in zip(*values, strict=True):
                    row += 1
                    yield row, list(items)


def parquet_columns(source: Source) -> dict[str, Any]:
    """The columns: each with an empty list where it holds lists, its fields where it holds structs, else None."""
    with contextlib.ExitStack() as stack:
        schema = _open(source, stack).schema_arrow
        types = require("pyarrow.types", purpose="Reading Parquet")
        found: dict[str, Any] = {}
        for field in schema:
            is_list = types.is_list(field.type) or types.is_large_list(field.type)
            fields = dict.fromkeys(part.name for part in field.type) if types.is_struct(field.type) else None
            found[field.name] = [] if is_list else fields
        return found


def _open(source: Source, stack: contextlib.ExitStack) -> Any:
    arrow = require("pyarrow", purpose="Reading Parquet")
    parquet = require("pyarrow.parquet", purpose="Reading Parquet")
    if source.path is not None:
        place: Any = str(source.path)
    else:
        # The index of a Parquet file is at its end: a stream is first copied to disk.
        place = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
        with source.unpacking():
            shutil.copyfileobj(source.stream, place)
    with _damage(source, arrow):
        return stack.enter_context(parquet.ParquetFile(place, pre_buffer=False, buffer_size=_BUFFER))


def _values(source: Source, batch: Any, name: str, row: int) -> list[Any]:
    if name not in batch.schema.names:
        return [None] * len(batch)
    column = batch.column(name)
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError as error:
        bad = next(place for place, item in enumerate(column) if not _decodes(item))
        raise source.error(f"column {name!r}: invalid UTF-8", line=row + bad + 1, remedy="Write it anew") from error
    return values


def _decodes(item: Any) -> bool:
    try:
        item.as_py()
    except UnicodeDecodeError:
        return False
    return True


@contextlib.contextmanager
def _damage(source: Source, arrow: Any) -> Iterator[None]:
    try:
        yield
    except (arrow.ArrowException, OSError) as error:
        raise source.error(f"not a readable Parquet file ({error})", remedy="Write or fetch it anew") from error
