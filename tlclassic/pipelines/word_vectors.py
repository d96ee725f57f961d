"""The word vectors of a saved pipeline: each table once inside the file, or in a store that the file refers to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tlclassic.errors import ArtifactError, CorruptArtifactError, InputError, InvalidParameterError
from tlclassic.storage import Artifact
from tlclassic.vectors import WordVectors
from tlclassic.vectors.embedded import EMBEDDED, embedded_path
from tlclassic.vectors.state import from_artifact
from tlclassic.vectors.store import open_store

__all__ = ["VectorsReader", "VectorsWriter"]

#: What the names of a vectoriser's own blocks of word vectors begin with.
_OWN = "vectors/"


class VectorsWriter:
    """Takes word vectors out of the states of vectorisers; equal ones are kept once.

    Parameters
    ----------
    path : path-like
        The model to be written.

    Attributes
    ----------
    metadata : dict of str to dict
        The facts of each table, by the prefix of its blocks: from this a worker process finds them again.
    arrays : dict of str to array
        The blocks.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.metadata: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        self._path = os.path.realpath(path)
        self._prefixes: dict[str, str] = {}

    def take(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """The facts to store instead of a vectoriser's ``facts``; its blocks of word vectors leave ``arrays``.

        Raises
        ------
        InvalidParameterError
            When the model would replace the store that it refers to.
        """
        state = facts.get("state")
        if state is None:
            if os.path.realpath(facts["path"]) == self._path:
                raise InvalidParameterError(
                    f"the model would replace {self._path}, the store that it refers to. Choose another path."
                )
            return facts
        own = {name.removeprefix(_OWN): arrays.pop(name) for name in list(arrays) if name.startswith(_OWN)}
        digest = state["digest"]
        prefix = self._prefixes.setdefault(digest, f"vectors/{len(self._prefixes)}/")
        if prefix not in self.metadata:
            self.metadata[prefix] = state
            self.arrays |= {prefix + name: array for name, array in own.items()}
        return {"prefix": prefix, "digest": digest, "oov": state["oov"]}


class VectorsReader:
    """Gives the word vectors back, one object for each table.

    Parameters
    ----------
    artifact : Artifact
        The model.
    given : WordVectors, path-like, or a list of those, optional
        Where stores that the model refers to are now.
    """

    def __init__(self, artifact: Artifact, given: Any = None) -> None:
        self._artifact = artifact
        self._opened: dict[str, WordVectors] = {}
        self._given: dict[str, WordVectors] = {}
        for item in given if isinstance(given, (list, tuple)) else [] if given is None else [given]:
            vectors = item if isinstance(item, WordVectors) else WordVectors.load(item)
            self._given[vectors.digest] = vectors

    def get(self, facts: Mapping[str, Any]) -> WordVectors:
        """The vectors that :meth:`VectorsWriter.take` gave these facts for.

        Raises
        ------
        ArtifactError
            When the store that the model refers to is not found; says where it was looked for.
        """
        digest = facts["digest"]
        if digest not in self._opened:
            self._opened[digest] = self._embedded(facts) if "prefix" in facts else self._referred(facts)
        return self._opened[digest].with_oov(facts["oov"])

    def check_given(self) -> None:
        """Raise for vectors that were given and that the model does not refer to."""
        for digest, vectors in self._given.items():
            if self._opened.get(digest) is not vectors:
                raise InvalidParameterError(
                    f"vectors holds {vectors!r} (digest {digest[:12]}), but {self._artifact.path} does not refer to a "
                    "store with these. Leave it out, or give the store that the model was trained on."
                )

    def _embedded(self, facts: Mapping[str, Any]) -> WordVectors:
        vectors = from_artifact(self._artifact, facts["prefix"])
        if vectors.digest != facts["digest"]:
            raise CorruptArtifactError(f"{self._artifact.path}: {facts['prefix']} holds other vectors than it should.")
        return vectors

    def _referred(self, facts: Mapping[str, Any]) -> WordVectors:
        """From what was given, the recorded path, or the folder of the model (both may have been moved together)."""
        if facts["digest"] in self._given:
            return self._given[facts["digest"]]
        beside = os.path.join(os.path.dirname(os.path.realpath(self._artifact.path)), os.path.basename(facts["path"]))
        looked = []
        # A packaged set lies somewhere else in each environment.
        packaged = [str(embedded_path(name)) for name in EMBEDDED if os.sep + name + os.sep in str(facts["path"])]
        for path in dict.fromkeys([str(facts["path"]), beside, *packaged]):
            try:
                vectors = open_store(path)
            except (ArtifactError, InputError) as error:
                looked.append(str(error).rstrip(".") if str(error).startswith(path) else f"{path}: {error}".rstrip("."))
                continue
            if vectors.digest == facts["digest"]:
                return vectors
            looked.append(f"{path}: holds other vectors (digest {vectors.digest[:12]})")
        raise ArtifactError(_not_found(self._artifact.path, facts["digest"], looked))


def _not_found(path: str, digest: str, looked: Sequence[str]) -> str:
    return (
        f"{path}: the store of word vectors that the model refers to (digest {digest[:12]}) was not found. "
        f"{'; '.join(looked)}. Put it back, or say where it is now: load(path, vectors=STORE). A model saved with "
        "vectors='embed' needs no store."
    )
