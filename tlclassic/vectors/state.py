"""Word vectors as facts and named arrays, as they lie in a store and inside saved models."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import CorruptArtifactError, InputError
from tlclassic.storage import Artifact
from tlclassic.vectors.wordvectors import OOV_POLICIES, Origin, WordVectors

__all__ = ["Digest", "compute_digest", "from_artifact", "from_state", "named_arrays", "reopen", "to_state"]

_SUBWORDS = "subwords/"
_DTYPES = {"table": ("float32", "float16", "int8"), "scales": ("float32",), "counts": ("int64",)}


class Digest:
    """SHA-256 over the SHA-256 of each named array, so that arrays can be hashed in the order they are written."""

    def __init__(self) -> None:
        self._parts: dict[str, Any] = {}

    def update(self, name: str, array: NDArray[Any]) -> None:
        """Add (the next rows of) the array ``name``."""
        part = self._parts.get(name)
        if part is None:
            code = array.dtype.newbyteorder("<").str
            part = self._parts[name] = hashlib.sha256(f"{name} {code} {array.shape[1:]}".encode())
        step = max(1, (1 << 24) // max(1, array[:1].nbytes))
        for start in range(0, len(array), step):
            part.update(np.ascontiguousarray(array[start : start + step]).data.cast("B"))

    def hexdigest(self) -> str:
        """The digest of all arrays so far."""
        whole = hashlib.sha256()
        for name in sorted(self._parts):
            whole.update(self._parts[name].digest())
        return whole.hexdigest()


def compute_digest(vectors: WordVectors) -> str:
    """The digest of the vectors' contents. The slots follow from the words, the policy is not contents."""
    digest = Digest()
    for name, array in named_arrays(vectors).items():
        if name != "slots":
            digest.update(name, array)
    return digest.hexdigest()


def named_arrays(vectors: WordVectors) -> dict[str, NDArray[Any]]:
    """The arrays of a store, by the names of its blocks."""
    index = vectors.index
    arrays = {
        "table": vectors.table,
        "scales": vectors.scales,
        "counts": vectors.counts,
        "tokenizer": vectors.tokenizer_bytes,
    }
    named = {name: array for name, array in arrays.items() if array is not None}
    named |= {"words": index.words, "offsets": index.offsets, "slots": index.slots}
    if vectors.subwords is not None:
        named |= {_SUBWORDS + name: array for name, array in vectors.subwords.to_state()[1].items()}
    return named


def to_state(vectors: WordVectors) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """See :meth:`WordVectors.to_state`."""
    metadata = state_metadata(
        vectors.shape,
        vectors.dtype,
        vectors.oov,
        vectors.digest,
        None if vectors.subwords is None else vectors.subwords,
    )
    return metadata, named_arrays(vectors)


def state_metadata(shape: tuple[int, int], dtype: Any, oov: str, digest: str, subwords: Any) -> dict[str, Any]:
    """The facts that :func:`from_state` expects."""
    return {
        "count": shape[0],
        "dim": shape[1],
        "dtype": str(dtype),
        "oov": oov,
        "digest": digest,
        "subwords": None if subwords is None else subwords.to_state()[0],
    }


def from_state(
    metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], *, origin: Origin | None = None
) -> WordVectors:
    """See :meth:`WordVectors.from_state`."""
    from tlclassic.vectors.making import make_index

    try:
        shape, dtype = (int(metadata["count"]), int(metadata["dim"])), metadata["dtype"]
        oov, digest, subwords = metadata["oov"], metadata["digest"], metadata["subwords"]
        table, blob, offsets, slots = (arrays[name] for name in ("table", "words", "offsets", "slots"))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptArtifactError(f"the word vectors lack or garble {error}.") from error
    _require(table.shape == shape and str(table.dtype) == dtype in _DTYPES["table"], "the table's shape or dtype")
    _require(oov in OOV_POLICIES, f"the policy {oov!r}")
    _require(blob.dtype == np.uint8 and blob.ndim == 1, "the words")
    _require(offsets.dtype == np.int64 and offsets.shape == (shape[0] + 1,), "the words' offsets")
    _require(offsets[0] == 0 and offsets[-1] == len(blob), "the words' offsets")
    _require(slots.dtype == np.uint64 and slots.ndim == 1 and len(slots) > shape[0], "the index")
    _require(len(slots) & (len(slots) - 1) == 0, "the size of the index")
    per_row = {name: arrays.get(name) for name in ("scales", "counts")}
    for name, array in per_row.items():
        _require(array is None or (array.shape == shape[:1] and str(array.dtype) in _DTYPES[name]), f"the {name}")
    _require((per_row["scales"] is not None) == (dtype == "int8"), "the scales")
    tokenizer = arrays.get("tokenizer")
    _require(tokenizer is None or (tokenizer.dtype == np.uint8 and tokenizer.ndim == 1), "the tokenizer.json")
    nested = None if subwords is None else _subwords(subwords, arrays)
    index = make_index(blob, offsets, slots)
    return WordVectors(
        index, table, **per_row, subwords=nested, oov=oov, tokenizer=tokenizer, digest=digest, origin=origin
    )


def _subwords(metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    from tlclassic.vectors.subword import SubwordTable

    own = {name.removeprefix(_SUBWORDS): arrays[name] for name in arrays if name.startswith(_SUBWORDS)}
    return SubwordTable.from_state(metadata, own)


def _require(holds: object, what: str) -> None:
    if not holds:
        raise CorruptArtifactError(f"the word vectors do not fit together: {what}.")


def from_artifact(artifact: Artifact, prefix: str = "") -> WordVectors:
    """The vectors of a store, or those that lie in another container under ``prefix``; mapped.

    A container of another kind keeps their facts (:func:`to_state`) in its metadata under ``vectors``, by prefix.

    Raises
    ------
    CorruptArtifactError
        When there are none, or facts and arrays do not fit together; names the file.
    """
    try:
        metadata = artifact.metadata["vectors"][prefix] if prefix else artifact.metadata
        arrays = {name.removeprefix(prefix): artifact.array(name) for name in artifact.names if name.startswith(prefix)}
        return from_state(metadata, arrays, origin=Origin(os.path.realpath(artifact.path), prefix))
    except (KeyError, TypeError) as error:
        raise CorruptArtifactError(f"{artifact.path}: holds no word vectors {prefix!r} ({error!r}).") from error
    except CorruptArtifactError as error:
        raise CorruptArtifactError(f"{artifact.path}: {error}") from error


def reopen(path: str, prefix: str, digest: str, oov: str) -> WordVectors:
    """The vectors in the file at ``path``, if they are still the same; what unpickling in a worker process calls.

    Raises
    ------
    ArtifactError, InputError
        When the file is gone, or holds other vectors by now.
    """
    try:
        artifact = Artifact(path)
        known = artifact.metadata["vectors"][prefix] if prefix else artifact.metadata
        is_same = isinstance(known, dict) and known.get("digest") == digest
    except InputError as error:
        raise InputError(
            "the word vectors were sent to this process by the path of their file, which cannot be read",
            path=path,
            remedy="Keep the file where it is for as long as processes use it",
        ) from error
    except (KeyError, TypeError):
        is_same = False
    if not is_same:
        raise CorruptArtifactError(
            f"{path}: the vectors changed after they were sent to this process. Load them again and retry."
        )
    return from_artifact(artifact, prefix).with_oov(oov)
