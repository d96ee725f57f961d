"""Encoded texts kept on disk, so that no text goes through the same encoder twice.

# Design: a folder for each encoder and its options, in it segments of two append-only files: ``N.rows`` with float32
# vectors and ``N.keys`` with one record a row: 128 bits of the text's BLAKE2b hash and a checksum of the row. The rows
# are written first, so that a killed process leaves at most rows without keys, which are cut off before the next ones
# are appended; what a power cut leaves fails the checksum and is encoded again. Appending takes a lock on the whole
# cache, reading takes none: what has a key does not change any more, and a segment that is removed stays readable where
# it is open. When all segments together exceed the limit the oldest ones are removed, whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_integer
from tlclassic.encoders.cache_segments import (
    RECORD,
    Index,
    Segment,
    all_segments,
    checksums,
    digests_of,
    put,
    remove_segment,
    segment_names,
    whole_rows,
)
from tlclassic.errors import InputError, InvalidParameterError, TlclassicWarning
from tlclassic.storage import atomic_write
from tlclassic.vectors.cache import cache_folder

__all__ = ["MAX_BYTES", "FeatureCache", "open_cache"]

#: Counts up when the files' layout, or what the same options encode to, changes.
VERSION = 1
#: All encoders of a cache together: 1.4 million vectors of 384 numbers.
MAX_BYTES = 2 << 30
SEGMENT_BYTES = 64 << 20
#: Rows that are read and checked at a time.
CHUNK = 4096


def open_cache(
    cache: bool | str | os.PathLike[str] | None, key: Mapping[str, Any], dim: int, *, max_bytes: int = MAX_BYTES
) -> FeatureCache | None:
    """The cache that an encoder's parameter ``cache`` asks for.

    Parameters
    ----------
    cache : None, bool or path-like
        None and False: none. True: ``features`` in the folder that word vectors are kept in too,
        ``$XDG_CACHE_HOME/tlclassic`` (``~/.cache/tlclassic``). Else the folder, which need not exist.
    key, dim, max_bytes
        As for :class:`FeatureCache`.
    """
    if cache is None or cache is False:
        return None
    if cache is not True and not isinstance(cache, (str, os.PathLike)):
        raise InvalidParameterError(f"cache must be None, True or a path; got {cache!r:.80}.")
    return FeatureCache(cache_folder() / "features" if cache is True else cache, key, dim, max_bytes=max_bytes)


class FeatureCache:
    """The vectors of texts under one encoder with its options.

    Any number of processes may read and write a folder at the same time. A folder or disk that cannot be written to is
    warned of once and then done without.

    Parameters
    ----------
    folder : path-like
        Of the cache; shared by all encoders.
    key : mapping
        JSON-able: everything that a vector depends on but the text, such as the digest of the model and the pooling.
    dim : int
        Numbers in a vector.
    max_bytes : int
        What the folder may take; the vectors that were written first are dropped.

    Examples
    --------
    >>> import tempfile
    >>> cache = FeatureCache(tempfile.mkdtemp(), {"model": "0123"}, 1)
    >>> calls = []
    >>> def encode(texts):
    ...     calls.append(texts)
    ...     return np.array([[len(text)] for text in texts], dtype=np.float32)
    >>> cache.fetch(["a", "bcd"], encode).tolist()
    [[1.0], [3.0]]
    >>> cache.fetch(["bcd", "ef", "ef"], encode).tolist()
    [[3.0], [2.0], [2.0]]
    >>> calls
    [['a', 'bcd'], ['ef']]
    """

    def __init__(
        self, folder: str | os.PathLike[str], key: Mapping[str, Any], dim: int, *, max_bytes: int = MAX_BYTES
    ) -> None:
        check_integer("dim", dim, low=1)
        check_integer("max_bytes", max_bytes, low=1)
        self.root = Path(folder)
        self.dim = dim
        self.max_bytes = max_bytes
        self._facts = {"version": VERSION, "dim": dim, **key}
        name = hashlib.sha256(json.dumps(self._facts, sort_keys=True).encode()).hexdigest()[:32]
        self.folder = self.root / name
        self._segments: dict[str, Segment] = {}
        self._index: Index | None = None
        self._is_writable = True

    def __len__(self) -> int:
        """How many vectors there are."""
        self._refresh()
        return sum(segment.n for segment in self._segments.values())

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {name: value for name, value in self._facts.items() if name not in ("version", "dim")}
        return _rebuild, (self.root, facts, self.dim, self.max_bytes)

    @property
    def nbytes(self) -> int:
        """Bytes that the vectors of all encoders take in the cache's folder."""
        return sum(size for _, size, _ in all_segments(self.root))

    # -- use ---------------------------------------------------------------------------------------------------------

    def fetch(self, texts: Sequence[str], encode: Callable[[list[str]], NDArray[np.float32]]) -> NDArray[np.float32]:
        """The vectors of ``texts``, float32 of shape (n, dim); those not kept yet are encoded, each once, and kept.

        Parameters
        ----------
        texts : sequence of str of length n
        encode : callable
            From a list of m texts to a float32 array of shape (m, dim).
        """
        digests = digests_of(texts)
        rows, is_known = self._lookup(digests)
        missing = np.flatnonzero(~is_known)
        if not len(missing):
            return rows
        _, first, inverse = np.unique(digests[missing], axis=0, return_index=True, return_inverse=True)
        # In the order in which they came.
        order = np.argsort(first, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        unique = missing[first[order]]
        fresh = np.ascontiguousarray(encode([texts[i] for i in unique.tolist()]), dtype=np.float32)
        if fresh.shape != (len(unique), self.dim):
            raise InvalidParameterError(
                f"encode must give an array of shape {(len(unique), self.dim)}; got {fresh.shape}."
            )
        rows[missing] = fresh[place[inverse.ravel()]]
        self._append(digests[unique], fresh)
        return rows

    def lookup(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """``(vectors, is_known)`` of shapes (n, dim) and (n,); zeros where a text is not kept."""
        return self._lookup(digests_of(texts))

    def add(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep ``vectors``, float32 of shape (n, dim), for those of ``texts`` that are not kept yet."""
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.shape != (len(texts), self.dim):
            raise InvalidParameterError(f"vectors must have the shape {(len(texts), self.dim)}; got {vectors.shape}.")
        digests, first = np.unique(digests_of(texts), axis=0, return_index=True)
        _, is_known = self._lookup(digests)
        self._append(digests[~is_known], vectors[first[~is_known]])

    def clear(self) -> None:
        """Remove the vectors of this encoder with these options."""
        with self._locked():
            for name, _, _ in all_segments(self.root):
                if name.parent == self.folder:
                    remove_segment(name)
        self._segments, self._index = {}, None

    # -- reading -----------------------------------------------------------------------------------------------------

    def _lookup(self, digests: NDArray[np.uint64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        rows = np.zeros((len(digests), self.dim), dtype=np.float32)
        is_known = np.zeros(len(digests), dtype=bool)
        index = self._refresh()
        wanted = index.find(digests)
        for start in range(0, len(digests), CHUNK):
            found = np.flatnonzero(wanted[start : start + CHUNK] >= 0) + start
            for number, segment in enumerate(index.segments):
                own = found[index.owner[wanted[found]] == number]
                if not len(own):
                    continue
                entries = index.entry[wanted[own]]
                values = segment.rows(entries)
                good = checksums(values) == segment.keys["check"][entries]
                rows[own[good]] = values[good]
                is_known[own[good]] = True
        return rows, is_known

    def _refresh(self) -> Index:
        """The index over what is on disk by now."""
        names = segment_names(self.folder)
        changed = self._index is None or list(self._segments) != names
        segments = {}
        for name in names:
            segment = self._segments.get(name) or Segment(self.folder / name, self.dim)
            changed |= segment.refresh()
            segments[name] = segment
        self._segments = segments
        if self._index is None or changed:
            self._index = Index(list(segments.values()))
        return self._index

    # -- writing -----------------------------------------------------------------------------------------------------

    def _append(self, digests: NDArray[np.uint64], vectors: NDArray[np.float32]) -> None:
        if not len(digests) or not self._is_writable:
            return
        try:
            with self._locked():
                self._begin()
                # Another process may have kept some of them in the meantime.
                new = ~self._lookup(digests)[1]
                self._write(digests[new], vectors[new])
                self._drop_oldest()
        except (OSError, InputError) as error:
            self._is_writable = False
            warnings.warn(
                f"{self.folder}: the cache could not be written ({error}); texts are encoded without it. "
                "Choose another folder with cache=.",
                TlclassicWarning,
                stacklevel=4,
            )

    def _begin(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            # For whoever looks at the folder: nothing reads it.
            with atomic_write(self.folder / "key.json") as file:
                file.write(json.dumps(self._facts, indent=1, sort_keys=True).encode())

    def _write(self, digests: NDArray[np.uint64], vectors: NDArray[np.float32]) -> None:
        row_bytes = vectors.dtype.itemsize * self.dim
        per_segment = max(1, min(SEGMENT_BYTES, self.max_bytes // 4) // row_bytes)
        done = 0
        while done < len(digests):
            name = self._open_segment(per_segment)
            path = self.folder / name
            kept = whole_rows(path, self.dim)
            part = slice(done, done + per_segment - kept)
            records = np.empty(len(digests[part]), dtype=RECORD)
            records["high"], records["low"] = digests[part].T
            records["check"] = checksums(vectors[part])
            put(path.with_suffix(".rows"), kept * row_bytes, vectors[part])
            put(path.with_suffix(".keys"), kept * RECORD.itemsize, records)
            done = part.stop

    def _open_segment(self, per_segment: int) -> str:
        """The last segment, or a new one where that is full."""
        names = segment_names(self.folder)
        if names and whole_rows(self.folder / names[-1], self.dim) < per_segment:
            return names[-1]
        return f"{int(names[-1]) + 1 if names else 1:08d}"

    def _drop_oldest(self) -> None:
        found = sorted(all_segments(self.root), key=lambda item: item[2])
        total = sum(size for _, size, _ in found)
        # The newest one stays: it is what was just written.
        for path, size, _ in found[:-1]:
            if total <= self.max_bytes:
                return
            remove_segment(path)
            total -= size

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / "lock", "a+b") as file:
            if sys.platform == "win32":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                try:
                    yield
                finally:
                    file.seek(0)
                    msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
            else:
                import fcntl

                # Given back when the file is closed, also by a process that is killed.
                fcntl.flock(file, fcntl.LOCK_EX)
                yield


def _rebuild(root: Path, facts: dict[str, Any], dim: int, max_bytes: int) -> FeatureCache:
    return FeatureCache(root, facts, dim, max_bytes=max_bytes)
