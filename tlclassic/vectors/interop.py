"""What the conversions to other tools share."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InputError, InvalidParameterError, VectorFormatError
from tlclassic.vectors import rows as _rows
from tlclassic.vectors.fasttext_matrix import allocate
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["as_format_error", "float32_table", "replace_folder"]


def float32_table(vectors: WordVectors) -> NDArray[np.float32]:
    """The table itself where it is float32, else a decoded copy (of a large table in a temporary mapped file)."""
    if vectors.dtype == np.float32:
        return vectors.table
    table = allocate(vectors.shape)
    for start, rows in _rows.blocks(vectors.table, vectors.scales):
        table[start : start + len(rows)] = rows
    return table


@contextlib.contextmanager
def as_format_error(path: str | os.PathLike[str]) -> Iterator[None]:
    """What is wrong with the numbers or words of a file is the file's fault, not that of a parameter."""
    try:
        yield
    except InvalidParameterError as error:
        raise VectorFormatError(str(error).rstrip("."), path=path) from error


@contextlib.contextmanager
def replace_folder(path: str | os.PathLike[str], *, marks: tuple[str, ...]) -> Iterator[Path]:
    """A new folder beside ``path``, which becomes ``path`` when the block ends well.

    A folder cannot be replaced in one step everywhere: after a kill between the two renames the old one lies beside
    ``path`` under a hidden name. An old folder is replaced only if it holds all of ``marks``, as one written before
    does.

    Raises
    ------
    InputError
        When ``path`` is something else, or its parent is not there.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise InputError("the folder that should hold it does not exist", path=target, remedy="Create it first")
    is_empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not is_empty and not all((target / mark).exists() for mark in marks):
        raise InputError("this exists and is no such folder", path=target, remedy="Choose another path, or remove it")
    fresh = target.parent / f".{target.name}.{secrets.token_hex(6)}.tmp"
    old = fresh.with_suffix(".old")
    fresh.mkdir()
    try:
        yield fresh
        if target.exists():
            os.rename(target, old)
        os.rename(fresh, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise
    finally:
        _remove(fresh)
        _remove(old)


def _remove(folder: Any) -> None:
    shutil.rmtree(folder, ignore_errors=True)
