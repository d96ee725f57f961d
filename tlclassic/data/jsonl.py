"""JSON Lines: one JSON object a line (https://jsonlines.org), read strictly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tlclassic.data.rows import BlankLines, Row, Wanted, unknown_column
from tlclassic.data.source import Source

__all__ = ["first_object", "jsonl_rows"]

_REMEDY = "Each line must be one JSON object"


def jsonl_rows(source: Source, wanted: Wanted) -> Iterator[Row]:
    """Yield ``(line, values of the wanted keys)`` of each object; ``None`` for a missing key that may be missing.

    Raises
    ------
    DataFormatError
        For a line that is not one JSON object (NaN, infinities and double keys are not JSON), or lacks a required key;
        after the last line for a nullable key that no object has.
    """
    blank = BlankLines(source)
    unseen = set(wanted.nullable)
    item: dict[str, Any] = {}
    for line, text, _ in source.lines():
        if not text.strip(" \t\r"):
            blank.add(line)
            continue
        blank.confirm()
        item = _parse(source, line, text)
        for name in wanted.required:
            if name not in item:
                raise unknown_column(source, name, list(item), line=line, what="key")
        unseen.difference_update(item)
        yield line, [item.get(name) for name in wanted.names]
    if item and unseen:
        raise unknown_column(source, unseen.pop(), list(item), line=None, what="key")
    blank.report()


def first_object(source: Source) -> dict[str, Any]:
    """The object of the first line that is not blank; empty where there is none."""
    lines = ((line, text) for line, text, _ in source.lines() if text.strip(" \t\r"))
    first = next(lines, None)
    return {} if first is None else _parse(source, *first)


def _parse(source: Source, line: int, text: str) -> dict[str, Any]:
    try:
        item = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        message = f"not valid JSON at column {error.colno} ({error.msg})"
        raise source.error(message, line=line, remedy=_REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise source.error(f"not valid JSON ({error})", line=line, remedy=_REMEDY) from error
    if not isinstance(item, dict):
        raise source.error(f"expected a JSON object, got {_kind(item)}", line=line, remedy=_REMEDY)
    return item


def _kind(item: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(item), "null")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) != len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {double!r} is there twice")
    return item


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
