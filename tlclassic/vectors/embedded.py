"""The word vectors that tlclassic brings along, opened by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["EMBEDDED", "embedded_path", "load_vectors"]

#: Names that :func:`load_vectors` knows; each is a folder of the package ``tlclassic.models``.
EMBEDDED = ("base-en",)
_FILE = "vectors.tlc"


def load_vectors(name_or_path: str | os.PathLike[str], **options: Any) -> WordVectors:
    """Word vectors by the name of a packaged set, or from a file or folder.

    A packaged set is mapped from the installed package, in milliseconds and with no network.

    Parameters
    ----------
    name_or_path : str or path-like
        "base-en", or what :meth:`WordVectors.load` takes. A file of that very name is ``./base-en``.
    **options
        As for :meth:`WordVectors.load`; ``oov`` and ``limit`` are of use with a packaged set.

    Raises
    ------
    InvalidParameterError
        When it is neither a packaged name nor a path that exists.
    InputError
        When the installed package lacks its model.

    Examples
    --------
    >>> vectors = load_vectors("base-en")
    >>> vectors.dim, "excellent" in vectors
    (256, True)
    """
    if name_or_path in EMBEDDED:
        return WordVectors.load(embedded_path(str(name_or_path)), **options)
    if _looks_like_a_name(name_or_path):
        names = ", ".join(map(repr, EMBEDDED))
        raise InvalidParameterError(
            f"name_or_path must be the name of packaged vectors ({names}) or a path that exists; got {name_or_path!r}."
        )
    return WordVectors.load(name_or_path, **options)


def embedded_path(name: str) -> Path:
    """Where the store of a packaged set lies.

    Raises
    ------
    InvalidParameterError
        For an unknown name.
    InputError
        When the file is not there: the package was installed without its models.
    """
    if name not in EMBEDDED:
        raise InvalidParameterError(f"name must be one of {', '.join(map(repr, EMBEDDED))}; got {name!r}.")
    path = _models() / name / _FILE
    if not path.is_file():
        raise InputError("the installed package lacks this model", path=path, remedy="Install tlclassic again")
    return path


def _models() -> Path:
    package = Path(__file__).resolve().parents[1]
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"  # a checkout has it beside the package


def _looks_like_a_name(name_or_path: object) -> bool:
    """Whether a bare word was given that is no file: a mistyped name, and not a mistyped path."""
    if not isinstance(name_or_path, str) or os.path.exists(name_or_path):
        return False
    return os.path.basename(name_or_path) == name_or_path and not os.path.splitext(name_or_path)[1]
