"""Options of the commands that read sentences of tokens."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

__all__ = ["FormatOption", "NamesOption", "TokenFormat", "TokensOption", "load_tagged"]


class TokenFormat(StrEnum):
    """Formats of sentences as tokens."""

    conll = "conll"
    conllu = "conllu"
    jsonl = "jsonl"
    docbin = "docbin"


FormatOption = Annotated[
    TokenFormat | None,
    typer.Option("--input-format", help="Format of the input; told by its name when left out.", show_default=False),
]
NamesOption = Annotated[
    str | None,
    typer.Option(
        help="CoNLL: names of the columns, comma-separated, such as token,pos,chunk,ner. When left out the first is "
        "token, the last tags.",
        show_default=False,
    ),
]
TokensOption = Annotated[str, typer.Option(help="JSONL: the key of the tokens.")]


def load_tagged(
    file: str, columns: list[str] | None, input_format: TokenFormat | None, names: str | None, tokens: str
) -> Any:
    """The sentences of a file with these columns."""
    from tlclassic.data import load_tokens

    return load_tokens(
        file,
        format=None if input_format is None else str(input_format),
        columns=columns,
        names=None if names is None else [name.strip() for name in names.split(",")],
        tokens=tokens,
    )
