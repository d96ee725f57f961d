"""`first_row`: which columns a file has, before any is chosen."""

from __future__ import annotations

import os
from typing import Any

from tlclassic.data.batches import format_of_name
from tlclassic.data.delimited import header_of
from tlclassic.data.jsonl import first_object
from tlclassic.data.parquet import parquet_columns
from tlclassic.data.source import open_source

__all__ = ["first_row"]


def first_row(
    source: str | os.PathLike[str], *, format: str | None = None, quoted: bool | None = None
) -> dict[str, Any]:
    """The columns of a file in their order.

    Parameters
    ----------
    source, format, quoted
        As in :func:`tlclassic.data.read_batches`; standard input is used up.

    Returns
    -------
    dict
        The first object of JSONL; of Parquet the columns, with an empty list where they hold lists and a dict where
        they hold structs; of TSV and CSV the header, each name with None.

    Raises
    ------
    DataFormatError
        When the file cannot be read, or has no columns.
    """
    with open_source(source) as opened:
        first = opened.first_line()
        kind = format or ("parquet" if first.startswith(b"PAR1") else format_of_name(source))
        if kind == "parquet":
            return parquet_columns(opened)
        if kind == "jsonl" or (kind is None and first.lstrip().startswith(b"{")):
            return first_object(opened)
        if kind in ("tsv", "csv"):
            delimiter = "\t" if kind == "tsv" else ","
            return dict.fromkeys(
                header_of(opened, delimiter=delimiter, quoted=quoted or (quoted is None and kind == "csv"))
            )
        raise opened.error(
            "cannot tell its columns", remedy="Give a TSV, CSV, JSONL or Parquet file, or pass its format="
        )
