"""Where an encoder's files come from: a folder on disk, or bytes in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tlclassic.errors import EncoderFormatError, InvalidParameterError

__all__ = ["EncoderFiles", "FolderFiles", "MemoryFiles", "open_files"]

#: How deep below the folder files are looked for; modules and graphs lie one folder down.
_DEPTH = 2


class EncoderFiles(Protocol):
    """The files of an encoder by their names below its folder, with forward slashes."""

    def names(self) -> list[str]:
        """The files that there are, sorted."""

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where there is none."""

    def path(self, name: str) -> Path | None:
        """Where a file lies on disk; None where it does not."""

    def digest(self, name: str) -> str:
        """SHA-256 (hex) of a file."""


class FolderFiles:
    """The files of a folder.

    Parameters
    ----------
    folder : path-like

    Raises
    ------
    EncoderFormatError
        When there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._digests: dict[tuple[str, int, int], str] = {}
        if not self.folder.is_dir():
            what = "is a file, not an encoder's folder" if self.folder.exists() else "there is no such folder"
            raise EncoderFormatError(
                what, path=self.folder, remedy="Give the folder that holds tokenizer.json and the ONNX graph"
            )

    def names(self) -> list[str]:
        """The files that there are, sorted."""
        found = []
        for place, folders, files in os.walk(self.folder):
            below = os.path.relpath(place, self.folder)
            parts = [] if below == "." else below.split(os.sep)
            if len(parts) >= _DEPTH:
                folders.clear()
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += ["/".join([*parts, name]) for name in files]
        return sorted(found)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where there is none."""
        path = self.path(name)
        if path is None:
            return None
        try:
            return path.read_bytes()
        except OSError as error:
            raise EncoderFormatError(
                f"cannot be read ({error.strerror})", path=path, remedy="Check its permissions"
            ) from error

    def path(self, name: str) -> Path | None:
        """Where a file lies; None where there is none."""
        path = self.folder / name
        return path if path.is_file() else None

    def digest(self, name: str) -> str:
        """SHA-256 (hex) of a file; computed once as long as its size and time stay the same."""
        path = self.folder / name
        status = path.stat()
        key = (name, status.st_size, status.st_mtime_ns)
        if key not in self._digests:
            with path.open("rb") as file:
                self._digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._digests[key]

    def __repr__(self) -> str:
        return f"FolderFiles({os.fspath(self.folder)!r})"


class MemoryFiles:
    """Files that are held in memory.

    Parameters
    ----------
    files : mapping of str to bytes
        By their names below the folder.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)

    def names(self) -> list[str]:
        """The files that there are, sorted."""
        return sorted(self._files)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where there is none."""
        return self._files.get(name)

    def path(self, name: str) -> None:
        """None: nothing is on disk."""

    def digest(self, name: str) -> str:
        """SHA-256 (hex) of a file."""
        return hashlib.sha256(self._files[name]).hexdigest()

    def __repr__(self) -> str:
        return f"MemoryFiles({len(self._files)} files)"


def open_files(model: Any) -> EncoderFiles:
    """The files of what a user gives as ``model``: a folder, or files already.

    Raises
    ------
    EncoderFormatError, InvalidParameterError
    """
    if isinstance(model, (str, os.PathLike)):
        return FolderFiles(model)
    if all(callable(getattr(model, name, None)) for name in ("names", "read", "path", "digest")):
        files: EncoderFiles = model
        return files
    raise InvalidParameterError(f"model must be the path of an encoder's folder; got {model!r:.100}.")
