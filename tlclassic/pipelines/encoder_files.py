"""The transformer encoders of a saved pipeline: their files once inside the model, or in a folder that it refers to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import ArtifactError, CorruptArtifactError, InvalidParameterError
from tlclassic.storage import Artifact

__all__ = ["ArtifactFiles", "EncodersReader", "EncodersWriter", "is_encoder_folder"]

#: What the names of an encoder's own blocks begin with; their names end as its files are called.
_OWN = "encoder/"


def is_encoder_folder(path: object) -> bool:
    """Whether ``path`` is a folder with an ONNX graph where encoders have theirs."""
    if not isinstance(path, (str, os.PathLike)) or not os.path.isdir(path):
        return False
    places = (os.fspath(path), os.path.join(path, "onnx"))
    return any(name.endswith(".onnx") for place in places if os.path.isdir(place) for name in os.listdir(place))


class ArtifactFiles:
    """An encoder's files as blocks of a saved model, read when they are asked for and never unpacked.

    Pickling keeps the path of the model, and opens it again; ``copy`` and ``clone`` give the same object.

    Parameters
    ----------
    artifact : Artifact
    prefix : str
        Of the names of the blocks.
    hashes : mapping of str to str
        SHA-256 (hex) by the name of the file.
    """

    def __init__(self, artifact: Artifact, prefix: str, hashes: Mapping[str, str]) -> None:
        self._artifact = artifact
        self._prefix = prefix
        self._hashes = dict(hashes)

    def names(self) -> list[str]:
        """The files, by their paths below the encoder's folder."""
        return sorted(self._hashes)

    def path(self, name: str) -> None:
        """None: there is no file of its own on disk."""

    def digest(self, name: str) -> str:
        """SHA-256 (hex) of a file."""
        return self._hashes[name]

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, checked against its hash; None where there is none.

        Raises
        ------
        CorruptArtifactError
            When they are not what was saved.
        """
        if name not in self._hashes:
            return None
        raw = self._artifact.array(self._prefix + name).tobytes()
        if hashlib.sha256(raw).hexdigest() != self._hashes[name]:
            raise CorruptArtifactError(
                f"{self._artifact.path}: the encoder's {name} is not what was saved (SHA-256 differs). "
                "Restore the model from a copy."
            )
        return raw

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (os.path.abspath(self._artifact.path), self._prefix, self._hashes)

    def __copy__(self) -> ArtifactFiles:
        return self

    def __deepcopy__(self, memo: object) -> ArtifactFiles:
        return self

    def __repr__(self) -> str:
        return f"ArtifactFiles({self._artifact.path!r}, {len(self._hashes)} files)"


def _reopen(path: str, prefix: str, hashes: dict[str, str]) -> ArtifactFiles:
    return ArtifactFiles(Artifact(path), prefix, hashes)


class EncodersWriter:
    """Takes encoders' files out of their states; those of equal encoders are kept once.

    Attributes
    ----------
    arrays : dict of str to uint8 array
        The blocks.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._prefixes: dict[str, str] = {}

    def take(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """The facts to store instead of an encoder's ``facts``; its blocks leave ``arrays``."""
        if "path" in facts:
            return facts
        own = {name.removeprefix(_OWN): arrays.pop(name) for name in list(arrays) if name.startswith(_OWN)}
        prefix = self._prefixes.setdefault(facts["digest"], f"encoders/{len(self._prefixes)}/")
        self.arrays |= {prefix + name: array for name, array in own.items()}
        return {**facts, "prefix": prefix}


class EncodersReader:
    """Gives the encoders' files back.

    Parameters
    ----------
    artifact : Artifact
        The model.
    given : sequence of path-like
        Where folders that the model refers to are now.
    """

    def __init__(self, artifact: Artifact, given: Sequence[Any] = ()) -> None:
        self._artifact = artifact
        self._given: list[str] = [str(path) for path in given]
        self._used: set[str] = set()

    def get(self, facts: Mapping[str, Any]) -> Any:
        """The files that :meth:`EncodersWriter.take` gave these facts for: :class:`ArtifactFiles`, or a folder's path.

        Raises
        ------
        ArtifactError
            When the folder that the model refers to is not found or has changed; says where it was looked for.
        """
        hashes = facts["files"]
        if not isinstance(hashes, dict) or not all(isinstance(item, str) for item in hashes.values()):
            raise CorruptArtifactError(f"{self._artifact.path}: the encoder's files are malformed.")
        return self._embedded(facts["prefix"], hashes) if "prefix" in facts else self._referred(facts, hashes)

    def check_given(self) -> None:
        """Raise for folders that were given and that the model does not refer to."""
        for path in self._given:
            if path not in self._used:
                raise InvalidParameterError(
                    f"vectors holds the encoder {path}, but {self._artifact.path} does not refer to one with these "
                    "files. Leave it out, or give the folder that the model was trained on."
                )

    def _embedded(self, prefix: str, hashes: Mapping[str, str]) -> ArtifactFiles:
        for name in hashes:
            if prefix + name not in self._artifact.names or self._artifact.array(prefix + name).dtype != np.uint8:
                raise CorruptArtifactError(f"{self._artifact.path}: the encoder's {name} is missing.")
        return ArtifactFiles(self._artifact, prefix, hashes)

    def _referred(self, facts: Mapping[str, Any], hashes: Mapping[str, str]) -> str:
        """From what was given, the recorded path, or the folder of the model (both may have been moved together)."""
        recorded = str(facts["path"])
        beside = os.path.join(os.path.dirname(os.path.realpath(self._artifact.path)), os.path.basename(recorded))
        looked = []
        for path in dict.fromkeys([*self._given, recorded, beside]):
            problem = _difference(path, hashes)
            if problem is None:
                self._used.add(path)
                return path
            looked.append(f"{path}: {problem}")
        raise ArtifactError(
            f"{self._artifact.path}: the encoder's folder that the model refers to (digest {facts['digest'][:12]}) was "
            f"not found. {'; '.join(looked)}. Put it back, or say where it is now: load(path, vectors=FOLDER). A model "
            "saved with vectors='embed' needs no folder."
        )


def _difference(folder: str, hashes: Mapping[str, str]) -> str | None:
    """What keeps a folder from being the one with these files."""
    if not os.path.isdir(folder):
        return "no such folder"
    for name, expected in hashes.items():
        path = os.path.join(folder, *name.split("/"))
        if not os.path.isfile(path):
            return f"{name} is missing"
        try:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
        if found != expected:
            return f"{name} is another one (SHA-256 {found[:12]}, expected {expected[:12]})"
    return None
