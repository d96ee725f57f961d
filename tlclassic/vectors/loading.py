"""``WordVectors.load``: tell the format, read it, keep a cache where asked."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import UnsafeFormatError
from tlclassic.kernels import load as load_kernel
from tlclassic.vectors.detect import FORMATS, TEXT_FORMATS, detect_format, text_layout
from tlclassic.vectors.making import head, make_index
from tlclassic.vectors.source import Source, open_source
from tlclassic.vectors.streaming import Chunk, VectorReader
from tlclassic.vectors.words import Words
from tlclassic.vectors.wordvectors import OOV_POLICIES, WordVectors, check_oov, own_policy

__all__ = ["STREAMED_FORMATS", "Deduplicator", "load", "open_reader", "read_plainly"]

#: Formats that are read chunk by chunk.
STREAMED_FORMATS = (*TEXT_FORMATS, "word2vec-binary")


def load(
    source: str | os.PathLike[str],
    *,
    format: str | None = None,
    member: str | None = None,
    cache: bool | str | os.PathLike[str] | None = None,
    trust: bool = False,
    limit: int | None = None,
    oov: str | None = None,
) -> WordVectors:
    """See :meth:`WordVectors.load`."""
    if format is not None:
        check_choice("format", format, FORMATS)
    if limit is not None:
        check_integer("limit", limit, low=1)
    if oov is not None:
        check_choice("oov", oov, OOV_POLICIES)
    if cache is not None and cache is not False:
        from tlclassic.vectors.cache import load_cached

        return load_cached(source, cache, format=format, member=member, trust=trust, limit=limit, oov=oov)
    format = format or detect_format(source, member=member)
    return read_plainly(source, format, member=member, trust=trust, limit=limit, oov=oov)


def read_plainly(
    source: str | os.PathLike[str], format: str, *, member: str | None, trust: bool, limit: int | None, oov: str | None
) -> WordVectors:
    """Read ``source`` in a known format, without a cache."""
    if format in STREAMED_FORMATS:
        oov = own_policy(None) if oov is None else oov
        check_oov(oov, None)
        return _collect(open_reader(open_source(source, member), format, limit), oov)
    if format == "store":
        from tlclassic.vectors.store import open_store

        vectors = open_store(source, oov=oov)
        return vectors if limit is None else head(vectors, limit)
    return _read_whole(source, format, member=member, trust=trust, limit=limit, oov=oov)


def _read_whole(
    source: str | os.PathLike[str], format: str, *, member: str | None, trust: bool, limit: int | None, oov: str | None
) -> WordVectors:
    """The formats that are read in one piece, each by its own module."""
    if format == "fasttext":
        from tlclassic.vectors import fasttext_bin

        return fasttext_bin.read(open_source(source, member), limit=limit, oov=oov)
    if format == "gensim":
        _refuse_pickle(source, trust)
        from tlclassic.vectors import interop_gensim

        return interop_gensim.read(source, limit=limit, oov=oov)
    if format == "spacy":
        from tlclassic.vectors import interop_spacy

        return interop_spacy.read(source, limit=limit, oov=oov)
    from tlclassic.vectors.static_model import read as read_static_model

    return read_static_model(source, limit=limit, oov=oov)


def _refuse_pickle(source: str | os.PathLike[str], trust: bool) -> None:
    if not trust:
        raise UnsafeFormatError(
            f"{os.fspath(source)}: this is a pickle, as gensim saves KeyedVectors, and opening a pickle runs whatever "
            "code its author put in. If you trust where it came from, pass trust=True (--trust); convert it once "
            "(tlclassic vectors convert) and use the store from then on."
        )


def open_reader(source: Source, format: str, limit: int | None) -> VectorReader:
    """A reader of a streamed format."""
    return VectorReader(source, text_layout(source, format), binary=format == "word2vec-binary", limit=limit)


class Deduplicator:
    """Gathers the words of chunks and gives back the rows whose words are new."""

    def __init__(self, reader: VectorReader) -> None:
        self._reader = reader
        self._collector = load_kernel("parse").WordCollector()

    def add(self, chunk: Chunk) -> NDArray[np.float32]:
        """The rows of the chunk, those of duplicate words left out (and counted)."""
        duplicates = self._collector.add(chunk.words, chunk.offsets)
        if not len(duplicates):
            return chunk.rows
        word = Words(chunk.words, chunk.offsets)[int(duplicates[0])]
        self._reader.repairs.count("duplicate", len(duplicates), word)
        return np.delete(chunk.rows, duplicates, axis=0)

    def finish(self) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint64]]:
        """``(words, offsets, slots)``; gives the warnings of all repairs."""
        self._reader.repairs.warn(stacklevel=5)
        arrays: tuple[Any, Any, Any] = self._collector.finish()
        return arrays


def _collect(reader: VectorReader, oov: str) -> WordVectors:
    table = np.empty((0, reader.layout.dim), dtype=np.float32)
    unique, n = Deduplicator(reader), 0
    for chunk in reader.chunks():
        rows = unique.add(chunk)
        if n + len(rows) > len(table):
            # In place: nobody else holds the array, and the C library moves pages instead of copying them.
            table.resize((_capacity(reader, n + len(rows)), reader.layout.dim), refcheck=False)
        table[n : n + len(rows)] = rows
        n += len(rows)
    table.resize((n, reader.layout.dim), refcheck=False)
    words, offsets, slots = unique.finish()
    return WordVectors(make_index(words, offsets, slots), table, oov=oov)


def _capacity(reader: VectorReader, needed: int) -> int:
    """Rows to make room for: by the part of the file read where that is known, else half as many again."""
    capacity = int(1.02 * reader.n_rows / reader.fraction) if reader.fraction else needed + needed // 2
    # Growing an array writes zeros to the new part: what a limit leaves out must not cost memory.
    return max(needed, capacity if reader.limit is None else min(capacity, reader.limit))
