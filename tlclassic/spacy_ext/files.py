"""The files of a model inside a pipeline: where they lie, what they are, and how they travel."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tlclassic.errors import ArtifactError, InputError
from tlclassic.storage import atomic_write

__all__ = ["STORES", "ModelFiles"]

#: Whether a saved pipeline holds the model's files, or refers to them by path and digest.
STORES = ("embed", "refer")
#: What the file of a model that is no folder is called inside a pipeline.
SINGLE = "model.tlc"


class ModelFiles:
    """A model's file, or all files of its folder, on disk; or their bytes, put on disk for as long as they are needed.

    Parameters
    ----------
    path : path-like
        The file or the folder.
    raw : dict of str to bytes, optional
        The files by their names below ``path``; ``path`` is then a temporary folder, or the only file in one.

    Raises
    ------
    InputError
        When nothing is there.
    """

    def __init__(self, path: str | os.PathLike[str], *, raw: dict[str, bytes] | None = None) -> None:
        self.path = Path(os.path.abspath(path))
        self.raw = raw
        if not self.path.exists():
            raise InputError(
                "there is no such model",
                path=self.path,
                remedy="Give the path of a file or folder that tlclassic saved as `model` of the component",
            )
        if raw is not None:
            folder = self.path if self.path.is_dir() else self.path.parent
            self._clear: Any = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def opened(self) -> None:
        """Say that the model has been opened: a single file, which is mapped by now, needs no name any more.

        So a process that is killed leaves nothing behind.
        """
        if self.raw is not None and set(self.raw) == {SINGLE}:
            self._clear()

    def names(self) -> list[str]:
        """The files below the folder, sorted; of a single file its name in a pipeline."""
        if self.raw is not None:
            return sorted(self.raw)
        if not self.path.is_dir():
            return [SINGLE]
        found = (place for place in self.path.rglob("*") if place.is_file())
        return sorted(place.relative_to(self.path).as_posix() for place in found)

    def _place(self, name: str) -> Path:
        return self.path / name if self.path.is_dir() else self.path

    def read(self) -> dict[str, bytes]:
        """Name → bytes."""
        return self.raw or {name: self._place(name).read_bytes() for name in self.names()}

    def digest(self) -> str:
        """SHA-256 (hex) over the names and contents of the files."""
        total = hashlib.sha256()
        for name, raw in self.read().items():
            total.update(f"{name}\0{hashlib.sha256(raw).hexdigest()}\n".encode())
        return total.hexdigest()

    def check(self, digest: str) -> None:
        """Raise :class:`~tlclassic.errors.ArtifactError` unless these are the files with that digest."""
        if self.digest() != digest:
            raise ArtifactError(
                f"{self.path}: this is not the model that the pipeline was saved with (digest differs). Put the right "
                "one there, or add the component anew."
            )

    def copy(self, folder: Path) -> None:
        """Write the files into ``folder``, which is made; files of the same names are replaced."""
        for name in self.names():
            target = folder / name
            if self.raw is None and target.exists() and os.path.samefile(self._place(name), target):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            # Whole or not at all, and what is mapped from a file of that name stays as it was.
            with atomic_write(target) as file:
                if self.raw is not None:
                    file.write(self.raw[name])
                else:
                    with self._place(name).open("rb") as source:
                        shutil.copyfileobj(source, file)

    @classmethod
    def inside(cls, folder: Path) -> ModelFiles:
        """The files that :meth:`copy` wrote into ``folder``, used where they lie."""
        return cls(folder / SINGLE if (folder / SINGLE).is_file() else folder)

    @classmethod
    def from_bytes(cls, raw: dict[str, bytes]) -> ModelFiles:
        """What :meth:`read` gave.

        Raises
        ------
        ArtifactError
            When a name leads out of the folder.
        """
        root = Path(tempfile.mkdtemp(prefix="tlclassic-spacy-")).resolve()
        for name, content in raw.items():
            place = (root / name).resolve()
            if not place.is_relative_to(root):
                shutil.rmtree(root)
                raise ArtifactError(f"the pipeline's model names a file outside of its folder: {name!r:.100}.")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return cls(root / SINGLE if set(raw) == {SINGLE} else root, raw=dict(raw))

    @classmethod
    def written(cls, save: Callable[[Path], None]) -> ModelFiles:
        """What ``save`` writes when it is given a path."""
        with tempfile.TemporaryDirectory(prefix="tlclassic-spacy-") as folder:
            save(Path(folder) / SINGLE)
            return cls.from_bytes({SINGLE: (Path(folder) / SINGLE).read_bytes()})
