"""Vectors of unseen words from their character n-grams, as in fastText.

Source: Bojanowski, Grave, Joulin and Mikolov 2017, "Enriching Word Vectors with Subword Information",
https://aclanthology.org/Q17-1010/; the details (brackets, hash, what counts as an n-gram) are those of fastText's
``Dictionary::computeSubwords``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.kernels import load as load_kernel
from tlclassic.vectors import rows as _rows
from tlclassic.vectors.fasttext_matrix import allocate

__all__ = ["SubwordTable"]

#: Words whose n-grams are hashed and added up at a time.
_BATCH = 2048
_MEAN = [("sum", 1, None, None, "count", 0.0)]


class SubwordTable:
    """Vectors of hashed character n-grams; immutable.

    Parameters
    ----------
    table : float32, float16 or int8 array of shape (n_rows, dim)
        One row a bucket; may be read-only and mapped from a file.
    min_n, max_n : int
        Lengths of the n-grams in characters, both included; the brackets around the word count as characters.
    bucket : int
        Into how many buckets n-grams are hashed.
    scales : float32 array of shape (n_rows,), optional
        Per row of an int8 table: value = code * scale.
    pruned : int32 array of shape (2, k), optional
        For a table of which buckets were left out: the buckets that are left, ascending, and their rows. N-grams of
        other buckets do not count. Without it, the row of a bucket is its number.

    Raises
    ------
    InvalidParameterError
        When these do not fit together.

    Examples
    --------
    >>> table = SubwordTable(np.eye(4, dtype="float32"), min_n=3, max_n=3, bucket=4)
    >>> table.vectors(["red", ""])
    array([[0.33333334, 0.        , 0.6666667 , 0.        ],
           [0.        , 0.        , 0.        , 0.        ]], dtype=float32)
    """

    def __init__(
        self,
        table: NDArray[Any],
        *,
        min_n: int,
        max_n: int,
        bucket: int,
        scales: NDArray[Any] | None = None,
        pruned: NDArray[Any] | None = None,
    ) -> None:
        check_integer("min_n", min_n, low=0)
        check_integer("max_n", max_n, low=max(1, min_n), high=(1 << 31) - 1)
        check_integer("bucket", bucket, low=1, high=(1 << 31) - 1)
        if table.ndim != 2 or table.dtype not in (np.float32, np.float16, np.int8):
            raise InvalidParameterError(
                "table must be a float32, float16 or int8 array of shape (n_rows, dim); "
                f"got {table.dtype}, {table.shape}."
            )
        if (table.dtype == np.int8) != (scales is not None) or (scales is not None and scales.shape != table.shape[:1]):
            raise InvalidParameterError(f"an int8 table, and no other, needs scales of shape ({len(table)},).")
        if pruned is None and len(table) != bucket:
            raise InvalidParameterError(f"table must have {bucket} rows, one a bucket; got {len(table)}.")
        self.table = np.ascontiguousarray(table)
        self.scales = None if scales is None else np.ascontiguousarray(scales, dtype=np.float32)
        self.min_n, self.max_n, self.bucket = int(min_n), int(max_n), int(bucket)
        self.pruned = None if pruned is None else _check_pruned(pruned, len(table))

    @property
    def dim(self) -> int:
        """The number of dimensions."""
        return int(self.table.shape[1])

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The mean of the vectors of each word's n-grams, float32 of shape (n, dim).

        A word without n-grams (and fastText's end-of-sentence mark ``</s>``) gets zeros.
        """
        result = np.zeros((len(words), self.dim), dtype=np.float32)
        for start in range(0, len(words), _BATCH):
            raw = [word.encode("utf-8", "surrogatepass") for word in words[start : start + _BATCH]]
            offsets = np.cumsum([0, *map(len, raw)], dtype=np.int64)
            blob = np.frombuffer(b"".join(raw), dtype=np.uint8)
            self.mean_into(result[start : start + _BATCH], blob, offsets)
        return result

    def mean_into(
        self,
        out: NDArray[np.float32],
        blob: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        own: NDArray[np.float32] | None = None,
    ) -> None:
        """Write the mean of the rows of each word's n-grams, and of its own row where given, into ``out``.

        Parameters
        ----------
        out : float32 array of shape (n, dim)
        blob : uint8 array
            The words' bytes, end to end.
        offsets : int64 array of shape (n + 1,)
            Word i is ``blob[offsets[i]:offsets[i + 1]]``.
        own : float32 array of shape (n, dim), optional
        """
        buckets, indptr = load_kernel("subword").hash_ngrams(blob, offsets, self.min_n, self.max_n, self.bucket)
        rows, indptr = self._rows_of(buckets, indptr)
        table, scales = self.table, self.scales
        if not table.flags.aligned:
            # A table mapped from a foreign file may begin at any byte; the kernel wants numbers at their natural place.
            used, places = np.unique(rows, return_inverse=True)
            table, rows = table[used], places.astype(np.int32)
        if own is not None:
            rows = np.insert(rows, indptr[:-1], len(table) + np.arange(len(own), dtype=np.int32))
            indptr = indptr + np.arange(len(indptr))
        load_kernel("pool").pool(table, rows, indptr, _MEAN, out, scales=scales, extra=own)

    def _rows_of(
        self, buckets: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The table's rows of the buckets; those pruned away are left out."""
        if self.pruned is None:
            return buckets, indptr
        kept, rows = self.pruned
        places = np.searchsorted(kept, buckets)
        found = places < len(kept)
        found[found] = kept[places[found]] == buckets[found]
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(found, dtype=np.int64)])
        return rows[places[found]], before[indptr]

    def quantize(self, dtype: str = "int8") -> SubwordTable:
        """The same vectors as ``"float32"``, ``"float16"`` or ``"int8"`` (one scale a row).

        Raises
        ------
        InvalidParameterError
            When a number does not fit float16.
        """
        from tlclassic.vectors.making import encode_rows

        check_choice("dtype", dtype, ("float32", "float16", "int8"))
        if dtype == str(self.table.dtype):
            return self
        table = allocate((len(self.table), self.dim), dtype)
        scales = np.empty(len(table), dtype=np.float32) if dtype == "int8" else None
        for start, rows in _rows.blocks(self.table, self.scales):
            end = start + len(rows)
            table[start:end], row_scales = encode_rows(rows, dtype)
            if scales is not None:
                scales[start:end] = row_scales
        return self._with(table, scales)

    def _with(self, table: NDArray[Any], scales: NDArray[np.float32] | None) -> SubwordTable:
        options = {"min_n": self.min_n, "max_n": self.max_n, "bucket": self.bucket}
        return SubwordTable(table, scales=scales, pruned=self.pruned, **options)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """``(metadata, arrays)``: facts for JSON and named arrays, from which :meth:`from_state` rebuilds the table."""
        metadata = {"min_n": self.min_n, "max_n": self.max_n, "bucket": self.bucket}
        arrays = {"table": self.table, "scales": self.scales, "pruned": self.pruned}
        return metadata, {name: array for name, array in arrays.items() if array is not None}

    @classmethod
    def from_state(cls, metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> SubwordTable:
        """The inverse of :meth:`to_state`; nothing is copied.

        Raises
        ------
        CorruptArtifactError
            When facts and arrays do not fit together.
        """
        try:
            options = {name: metadata[name] for name in ("min_n", "max_n", "bucket")}
            return cls(arrays["table"], scales=arrays.get("scales"), pruned=arrays.get("pruned"), **options)
        except (InvalidParameterError, KeyError, TypeError) as error:
            raise CorruptArtifactError(f"the sub-word vectors do not fit together: {error}") from error

    def __repr__(self) -> str:
        shape = f"n={len(self.table)}, dim={self.dim}, dtype={self.table.dtype}"
        return f"SubwordTable({shape}, min_n={self.min_n}, max_n={self.max_n}, bucket={self.bucket})"


def _check_pruned(pruned: NDArray[Any], n_rows: int) -> NDArray[np.int32]:
    if pruned.ndim != 2 or pruned.shape[0] != 2 or pruned.dtype.kind not in "iu":
        raise InvalidParameterError(
            f"pruned must be an integer array of shape (2, k); got {pruned.dtype}, {pruned.shape}."
        )
    if pruned.shape[1] and (pruned.min() < 0 or pruned[1].max() >= n_rows or np.any(np.diff(pruned[0]) <= 0)):
        raise InvalidParameterError(f"pruned must hold ascending buckets, and rows in 0 to {n_rows - 1}.")
    return np.ascontiguousarray(pruned, dtype=np.int32)
