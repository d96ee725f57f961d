"""The files of a feature cache: segments of rows and their keys, and an index over them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "RECORD",
    "Index",
    "Segment",
    "all_segments",
    "checksums",
    "digests_of",
    "put",
    "remove_segment",
    "segment_names",
    "whole_rows",
]

#: Of one row: the two halves of its text's hash, and a checksum of the vector.
RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("check", "<u8")])


class Segment:
    """Two files, as far as they have been read."""

    def __init__(self, path: Path, dim: int) -> None:
        self._path = path
        self._dim = dim
        self.keys = np.empty(0, dtype=RECORD)
        self._rows: NDArray[np.float32] = np.empty((0, dim), dtype=np.float32)

    @property
    def n(self) -> int:
        return len(self.keys)

    def refresh(self) -> bool:
        """Read the keys that were added; whether there were any."""
        n = whole_rows(self._path, self._dim)
        if n <= self.n:
            return False
        try:
            self.keys = np.fromfile(self._path.with_suffix(".keys"), dtype=RECORD, count=n)
            self._rows = np.memmap(self._path.with_suffix(".rows"), np.float32, mode="r", shape=(n, self._dim))
        except (OSError, ValueError):
            # Removed by another process between two calls.
            self.keys = self.keys[:0]
        return True

    def rows(self, entries: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(self._rows[entries])


class Index:
    """Where each hash stands: sorted by its first half, so that a look-up is a binary search in NumPy."""

    def __init__(self, segments: list[Segment]) -> None:
        self.segments = segments
        sizes = [segment.n for segment in segments]
        keys = np.concatenate([segment.keys for segment in segments] or [np.empty(0, dtype=RECORD)])
        owner = np.repeat(np.arange(len(segments)), sizes)
        entry = np.concatenate([np.arange(size) for size in sizes] or [np.empty(0, dtype=np.int64)])
        # Of equal hashes the last written one comes first: it replaces one that fails its checksum.
        order = np.lexsort((-np.arange(len(keys)), keys["low"], keys["high"]))
        self._high, self._low = keys["high"][order], keys["low"][order]
        self.owner, self.entry = owner[order], entry[order]

    def find(self, digests: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Positions in ``owner`` and ``entry``, -1 where unknown."""
        if not len(self._high):
            return np.full(len(digests), -1, dtype=np.int64)
        at = np.searchsorted(self._high, digests[:, 0])
        inside = np.minimum(at, len(self._high) - 1)
        # Two texts of the same first half: one of them is encoded each time. It takes 4 billion texts to see that.
        same = (self._high[inside] == digests[:, 0]) & (self._low[inside] == digests[:, 1])
        return np.where(same, inside, -1)


# -- files -----------------------------------------------------------------------------------------------------------


def segment_names(folder: Path) -> list[str]:
    """The segments of a folder, oldest first."""
    try:
        found = os.listdir(folder)
    except OSError:
        return []
    return sorted(name[:-5] for name in found if name.endswith(".keys") and name[:-5].isdecimal())


def all_segments(root: Path) -> list[tuple[Path, int, int]]:
    """Every segment of the cache: its path without suffix, its bytes, when it was last written to."""
    result = []
    for keys in root.glob("*/*.keys"):
        with contextlib.suppress(OSError):
            status, rows = keys.stat(), keys.with_suffix(".rows").stat()
            result.append((keys.with_suffix(""), status.st_size + rows.st_size, status.st_mtime_ns))
    return result


def whole_rows(path: Path, dim: int) -> int:
    """How many rows of a segment are whole and have a key."""
    try:
        keys, rows = path.with_suffix(".keys").stat().st_size, path.with_suffix(".rows").stat().st_size
    except OSError:
        return 0
    return min(keys // RECORD.itemsize, rows // (4 * dim))


def put(path: Path, offset: int, array: NDArray[Any]) -> None:
    """Write ``array`` at ``offset``; what a killed process left behind it is cut off first."""
    with open(path, "ab") as file:
        file.truncate(offset)
        file.write(np.ascontiguousarray(array).tobytes())


def remove_segment(path: Path) -> None:
    for suffix in (".keys", ".rows"):
        with contextlib.suppress(OSError):
            path.with_suffix(suffix).unlink()


def digests_of(texts: Sequence[str]) -> NDArray[np.uint64]:
    """128 bits of each text's hash, uint64 of shape (n, 2)."""
    joined = b"".join(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts)
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)


def checksums(rows: NDArray[np.float32]) -> NDArray[np.uint64]:
    """A checksum of each row: its bits times odd numbers, summed modulo 2**64; not 0 for a row of zeros."""
    bits = np.ascontiguousarray(rows).view(np.uint32)
    weights = 2 * np.arange(1, bits.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
    with np.errstate(over="ignore"):
        total: NDArray[np.uint64] = bits.astype(np.uint64) @ weights + np.uint64(0x9E3779B97F4A7C15)
    return total
