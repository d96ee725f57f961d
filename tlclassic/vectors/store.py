"""The native store: one memory-mapped file with the table, the words and their index."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import CorruptArtifactError
from tlclassic.storage import Artifact, ArtifactWriter
from tlclassic.vectors import rows as _rows
from tlclassic.vectors.detect import FORMATS, detect_format
from tlclassic.vectors.making import encode_rows
from tlclassic.vectors.source import open_source
from tlclassic.vectors.state import Digest, from_artifact, state_metadata
from tlclassic.vectors.wordvectors import WordVectors, check_oov, own_policy

__all__ = ["KIND", "convert", "open_store", "verify", "write_store"]

#: The container's kind.
KIND = "vectors"
DTYPES = ("float32", "float16", "int8")

Progress = Callable[[int], object]


def open_store(path: str | os.PathLike[str], *, oov: str | None = None) -> WordVectors:
    """The vectors of a store, mapped and not read; in milliseconds whatever their size.

    Parameters
    ----------
    path : path-like
    oov : str, optional
        Default: the policy the vectors had when they were saved.

    Raises
    ------
    ArtifactError
        When the file is no whole store; see :class:`tlclassic.storage.Artifact`.
    """
    vectors = from_artifact(Artifact(path, kind=KIND))
    return vectors if oov in (None, vectors.oov) else vectors.with_oov(str(oov))


def verify(path: str | os.PathLike[str]) -> None:
    """Check every byte of a store against its checksums, and that the words' offsets ascend.

    Raises
    ------
    CorruptArtifactError
        Names the first damaged block.
    """
    artifact = Artifact(path, kind=KIND)
    artifact.verify()
    if (np.diff(open_store(path).index.offsets) < 0).any():
        raise CorruptArtifactError(f"{os.fspath(path)}: the words' offsets do not ascend.")


def write_store(
    vectors: WordVectors,
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    source: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write ``vectors`` as a store, a block of rows at a time.

    Parameters
    ----------
    vectors : WordVectors
    path : path-like
        May be the store that ``vectors`` are mapped from: the old file lives on for as long as it is mapped.
    dtype : {"float32", "float16", "int8"}, optional
        For the words' and the sub-words' vectors. Default: as they are.
    source : dict, optional
        Where the vectors came from; kept in the metadata.
    progress : callable, optional
        Called with the number of rows written so far.
    """
    subwords = vectors.subwords if vectors.subwords is None or dtype is None else vectors.subwords.quantize(dtype)
    dtype = dtype or str(vectors.dtype)
    with _StoreWriter(path, vectors.dim, dtype, source) as store:
        if dtype == str(vectors.dtype):
            store.add_encoded(vectors.table, vectors.scales, progress)
        else:
            for start, rows in _rows.blocks(vectors.table, vectors.scales):
                store.add(rows)
                if progress is not None:
                    progress(start + len(rows))
        index = vectors.index
        store.finish(
            index.words,
            index.offsets,
            index.slots,
            counts=vectors.counts,
            subwords=subwords,
            oov=vectors.oov,
            tokenizer=vectors.tokenizer_bytes,
        )


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    format: str | None = None,
    member: str | None = None,
    trust: bool = False,
    limit: int | None = None,
    oov: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Make a store of any vector file or folder.

    Text and word2vec binary files may be larger than memory: rows are streamed, only words and index are held.

    Parameters
    ----------
    source, format, member, trust, limit, oov
        As for :meth:`WordVectors.load`; ``oov`` becomes the store's own policy (default: the source's).
    out : path-like
        The store; appears whole or not at all, and may replace ``source``.
    dtype : {"float32", "float16", "int8"}, optional
        Default: the source's. int8 keeps one scale a row. The sub-words of a fastText model become the same.
    progress : callable, optional
        Called with the number of rows written so far.

    Raises
    ------
    VectorFormatError, UnsafeFormatError
        As for :meth:`WordVectors.load`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "tiny.txt").write_text("red 1 0\\nblue 0 1\\n")
    >>> convert(folder / "tiny.txt", folder / "tiny.tlc", dtype="int8")
    >>> WordVectors.load(folder / "tiny.tlc")["red"]
    array([1., 0.], dtype=float32)
    """
    if dtype is not None:
        check_choice("dtype", dtype, DTYPES)
    if format is not None:
        check_choice("format", format, FORMATS)
    if limit is not None:
        check_integer("limit", limit, low=1)
    format = format or detect_format(source, member=member)
    identity: dict[str, Any] = {
        "name": os.path.basename(os.fspath(source)),
        "format": format,
        "member": member,
        "limit": limit,
    }
    convert_as(source, out, identity, format, dtype, member, trust, limit, oov, progress)


def convert_as(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    identity: dict[str, Any],
    format: str,
    dtype: str | None,
    member: str | None,
    trust: bool,
    limit: int | None,
    oov: str | None,
    progress: Progress | None = None,
) -> None:
    """:func:`convert` with the format known and the source's identity given."""
    from tlclassic.vectors.loading import STREAMED_FORMATS, Deduplicator, open_reader, read_plainly

    if format not in STREAMED_FORMATS:
        vectors = read_plainly(source, format, member=member, trust=trust, limit=limit, oov=oov)
        write_store(vectors, out, dtype=dtype, source=identity, progress=progress)
        return
    oov = own_policy(None) if oov is None else oov
    check_oov(oov, None)
    reader = open_reader(open_source(source, member), format, limit)
    unique = Deduplicator(reader)
    with _StoreWriter(out, reader.layout.dim, dtype or "float32", identity) as store:
        for chunk in reader.chunks():
            store.add(unique.add(chunk))
            if progress is not None:
                progress(store.n_rows)
        store.finish(*unique.finish(), oov=oov)


class _StoreWriter:
    """Writes a store: first rows, as many as come, then the words."""

    def __init__(self, path: str | os.PathLike[str], dim: int, dtype: str, source: dict[str, Any] | None) -> None:
        self.n_rows = 0
        self._dim, self._dtype, self._source = dim, dtype, source
        self._digest = Digest()
        self._scales: list[NDArray[np.float32]] = []
        self._writer = ArtifactWriter(path, kind=KIND)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        self._stream = self._writer.stream("table", self._dtype, (self._dim,))
        # A first update, so that the digest of a table without rows knows its dtype too.
        self._digest.update("table", np.empty((0, self._dim), self._dtype))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, value, trace)

    def add(self, rows: NDArray[np.float32]) -> None:
        """Append float32 rows."""
        encoded, scales = encode_rows(rows, self._dtype)
        self._append(encoded, scales)

    def add_encoded(self, table: NDArray[Any], scales: NDArray[np.float32] | None, progress: Progress | None) -> None:
        """Append rows that are stored as they are."""
        step = max(1, _rows.BLOCK_BYTES // max(1, table[:1].nbytes))
        for start in range(0, len(table), step):
            end = min(start + step, len(table))
            self._append(table[start:end], None if scales is None else scales[start:end])
            if progress is not None:
                progress(end)

    def _append(self, encoded: NDArray[Any], scales: NDArray[np.float32] | None) -> None:
        self._stream.write(encoded)
        self._digest.update("table", encoded)
        self.n_rows += len(encoded)
        if scales is not None:
            self._scales.append(scales)

    def finish(
        self,
        words: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        slots: NDArray[np.uint64],
        *,
        counts: NDArray[np.int64] | None = None,
        subwords: Any = None,
        oov: str = "zero",
        tokenizer: NDArray[np.uint8] | None = None,
    ) -> None:
        """End the table and write everything else."""
        self._stream.__exit__(None, None, None)
        if self._dtype == "int8":
            self._add("scales", np.concatenate([np.empty(0, np.float32), *self._scales]))
        if counts is not None:
            self._add("counts", counts)
        self._add("words", words)
        self._add("offsets", offsets)
        self._writer.add("slots", slots)
        if tokenizer is not None:
            self._add("tokenizer", tokenizer)
        for name, array in ({} if subwords is None else subwords.to_state()[1]).items():
            self._add(f"subwords/{name}", array)
        shape = (self.n_rows, self._dim)
        metadata = state_metadata(shape, self._dtype, oov, self._digest.hexdigest(), subwords)
        self._writer.metadata.update(metadata, source=self._source)

    def _add(self, name: str, array: NDArray[Any]) -> None:
        self._writer.add(name, array)
        self._digest.update(name, array)
