"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Format",
    "FormatOption",
    "JsonOption",
    "OutputFormat",
    "QuotedOption",
    "StoresOption",
    "TrustOption",
    "VectorsArgument",
]


class OutputFormat(StrEnum):
    """Formats that predictions are written in."""

    tsv = "tsv"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


class Format(StrEnum):
    """Formats of a file of texts; txt has one text a line and no columns."""

    tsv = "tsv"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    txt = "txt"


FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--input-format", help="Format of the input; told by the file's name when left out.", show_default=False
    ),
]
QuotedOption = Annotated[
    bool | None,
    typer.Option(
        "--quoted/--unquoted",
        help="Whether TSV and CSV fields may be quoted. TSV is read unquoted, CSV quoted, unless said otherwise.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
TrustOption = Annotated[
    bool,
    typer.Option("--trust", help="Open gensim's own files, which are pickles: opening one can run code from it."),
]
StoresOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--vectors",
        help="Where the store is now that a model refers to, if it was moved.",
        show_default=False,
    ),
]
VectorsArgument = Annotated[
    Path,
    typer.Argument(help="A file or folder of word vectors, in any format that tlclassic reads.", show_default=False),
]
