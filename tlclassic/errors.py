"""Every error and warning that tlclassic raises on purpose, in one tree.

::

    TlclassicError
    ├── InvalidParameterError (ValueError)   a parameter outside its domain
    ├── InputError (ValueError)              a user's file or text that cannot be read; names file and line
    │   ├── VectorFormatError                word-vector files
    │   ├── DataFormatError                  files of texts and labels
    │   └── EncoderFormatError               folders of transformer encoders
    ├── ArtifactError (ValueError)           a saved tlclassic file that cannot be opened
    │   ├── ForeignArtifactError             not a tlclassic file, or one of another kind
    │   ├── ArtifactVersionError             written by a newer format
    │   └── CorruptArtifactError             truncated or altered
    ├── UnsafeFormatError                    would run code on load; needs ``trust=True``
    └── MissingExtraError (ImportError)      an optional dependency is not installed

    TlclassicWarning (UserWarning)
    ├── RepairWarning                        input was repaired; says what and how often
    └── KernelsMissingWarning                the compiled kernels were not built
"""

from __future__ import annotations

import os

__all__ = [
    "ArtifactError",
    "ArtifactVersionError",
    "CorruptArtifactError",
    "DataFormatError",
    "EncoderFormatError",
    "ForeignArtifactError",
    "InputError",
    "InvalidParameterError",
    "KernelsMissingWarning",
    "MissingExtraError",
    "RepairWarning",
    "TlclassicError",
    "TlclassicWarning",
    "UnsafeFormatError",
    "VectorFormatError",
]


class TlclassicError(Exception):
    """Base of every error that tlclassic raises on purpose."""


class InvalidParameterError(TlclassicError, ValueError):
    """A parameter is outside its domain."""


class InputError(TlclassicError, ValueError):
    """A user's file or text cannot be read.

    Parameters
    ----------
    message : str
        What is wrong.
    path : path-like, optional
        The file; ``"-"`` for standard input.
    line : int, optional
        1-based line (or row, for Parquet) number.
    remedy : str, optional
        What to do next, as a sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message = message
        self.path = None if path is None else os.fspath(path)
        self.line = line
        self.remedy = remedy
        where = self.path or ""
        if line is not None:
            where = f"{where}:{line}" if where else f"line {line}"
        text = f"{where}: {message}" if where else message
        super().__init__(f"{text}. {remedy}" if remedy else text)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by the default protocol, and errors travel between worker processes.
        return _rebuild_input_error, (type(self), self.message, self.path, self.line, self.remedy)


def _rebuild_input_error(
    cls: type[InputError], message: str, path: str | None, line: int | None, remedy: str | None
) -> InputError:
    return cls(message, path=path, line=line, remedy=remedy)


class VectorFormatError(InputError):
    """A word-vector file cannot be read."""


class DataFormatError(InputError):
    """A file of texts and labels cannot be read."""


class EncoderFormatError(InputError):
    """A transformer encoder's folder, or a file in it, cannot be used."""


class ArtifactError(TlclassicError, ValueError):
    """A saved tlclassic file cannot be opened."""


class ForeignArtifactError(ArtifactError):
    """The file was not written by tlclassic, or holds another kind of object."""


class ArtifactVersionError(ArtifactError):
    """The file was written by a newer version of the format."""


class CorruptArtifactError(ArtifactError):
    """The file is truncated or was altered."""


class UnsafeFormatError(TlclassicError):
    """Reading the file would run code from it; needs an explicit ``trust=True``."""


class MissingExtraError(TlclassicError, ImportError):
    """An optional dependency is not installed; the message holds the command that installs it."""


class TlclassicWarning(UserWarning):
    """Base of every warning that tlclassic gives."""


class RepairWarning(TlclassicWarning):
    """Input was repaired; the message says what was repaired and how often."""


class KernelsMissingWarning(TlclassicWarning):
    """The compiled kernels were not built; the slower plain twins are used."""
