"""fastText's binary models (``.bin``), and its quantised ones (``.ftz``).

The format has no page of its own; it is what ``FastText::saveModel`` of https://github.com/facebookresearch/fastText
writes. All numbers are little-endian::

    int32   magic 793712314, then the version (11 or 12)
    int32   dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate; float64 t
    int32   size nwords nlabels; int64 ntokens pruneidx_size
    size x  word, NUL, int64 count, int8 type (0: word, 1: label)
    pruneidx_size x  int32 bucket, int32 row
    int8    whether the input matrix is quantised
            the input matrix: a row per word, then a row per bucket of n-grams (dense: int64 rows, columns; float32)
            the output matrix, which is not read

fastText's vector of a known word is the mean of the word's own row and its n-grams' rows; so is the row made here.
"""

from __future__ import annotations

import os
import struct
import warnings
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import RepairWarning, VectorFormatError
from tlclassic.vectors import rows as _rows
from tlclassic.vectors.fasttext_matrix import ByteSource, allocate, read_matrix
from tlclassic.vectors.interop import as_format_error
from tlclassic.vectors.making import from_blob
from tlclassic.vectors.source import ByteStream, Source
from tlclassic.vectors.subword import SubwordTable
from tlclassic.vectors.wordvectors import WordVectors, own_policy

__all__ = ["MAGIC", "read"]

#: The first four bytes of a model.
MAGIC = struct.pack("<i", 793712314)
_NEWEST = 12
_SUPERVISED = 3
_WORD, _LABEL = 0, 1
_BATCH = 4096


def read(
    source: str | os.PathLike[str] | Source | BinaryIO | ByteStream,
    *,
    name: str | None = None,
    limit: int | None = None,
    oov: str | None = None,
) -> WordVectors:
    """Word vectors with sub-words from a fastText model.

    Vectors of known and unknown words equal those of fastText's ``get_word_vector``. Labels of supervised models are
    not words. Memory is bounded: matrices above 256 MiB stay in the file, or (from a stream) in a temporary one.

    Parameters
    ----------
    source : path-like, Source or binary stream
        Of a plain file large matrices are mapped: it must not change while the vectors are in use.
    name : str, optional
        What errors call a stream.
    limit : int, optional
        Only the first ``limit`` words (the most frequent); the sub-words are complete.
    oov : {"subword", "zero", "lower", "mean"}, optional
        Default: "subword", and "zero" where the model has no character n-grams (fastText gives zeros there too).

    Raises
    ------
    VectorFormatError
        When the file is no fastText model, truncated, or its parts do not fit together; says what was being read.
    InvalidParameterError
        For ``oov="subword"`` when the model has no character n-grams.
    """
    if isinstance(source, Source) and source.packing is not None:
        with source.open() as unpacked:
            return read(unpacked, name=source.name, limit=limit, oov=oov)
    with ByteSource(source.path if isinstance(source, Source) else source, name) as stream:
        header = _read_header(stream)
        words = _read_dictionary(stream)
        pruned = _read_pruned(stream, words.n_pruned)
        (quantised,) = stream.unpack("B", "the mark of a quantised matrix")
        if quantised > 1:
            raise stream.malformed(f"the mark of a quantised matrix is {quantised}, not 0 or 1")
        keep = len(words) if limit is None else min(limit, len(words))
        with_buckets = header.max_n > 0 and header.bucket > 0 and words.n_pruned != 0
        own, buckets = read_matrix(
            stream, quantised=bool(quantised), n_words=len(words), keep=keep, dim=header.dim, with_buckets=with_buckets
        )
        subwords = _make_subwords(stream, header, buckets, pruned) if with_buckets else None
        blob, offsets = words.pack(keep)
        table = own if subwords is None else _average(own, subwords, blob, offsets)
        blob, offsets = _repair(stream.name, words.raw[:keep], blob, offsets)
    counts = np.array(words.counts[:keep], dtype=np.int64)
    policy = own_policy(subwords) if oov is None else oov
    with as_format_error(stream.name):
        vectors = from_blob(blob, offsets, table, counts=counts, subwords=subwords)
    return vectors.with_oov(policy)


@dataclass(frozen=True)
class _Header:
    dim: int
    bucket: int
    min_n: int
    max_n: int


def _read_header(stream: ByteSource) -> _Header:
    magic = stream.read(4, "the first four bytes")
    if magic != MAGIC:
        raise VectorFormatError(
            f"not a fastText model: it begins with {magic!r}", path=stream.name, remedy="Give the path of a .bin file"
        )
    (version,) = stream.unpack("i", "the version")
    if not 1 <= version <= _NEWEST:
        raise stream.malformed(f"its format is number {version}; formats up to {_NEWEST} are known")
    dim, *_, model, bucket, min_n, max_n, _ = stream.unpack("12i", "the options")
    stream.unpack("d", "the options")
    if dim < 1 or bucket < 0 or min_n < 0 or max_n < 0:
        raise stream.malformed(f"dim={dim}, bucket={bucket}, minn={min_n}, maxn={max_n}")
    # "Old supervised models do not use char ngrams", whatever they say: FastText::loadModel.
    if version < _NEWEST and model == _SUPERVISED:
        max_n = 0
    return _Header(dim, bucket, min_n, max_n if max_n >= min_n else 0)


@dataclass(frozen=True)
class _Dictionary:
    raw: list[bytes]
    counts: list[int]
    n_pruned: int

    def __len__(self) -> int:
        return len(self.raw)

    def pack(self, keep: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The first words' bytes end to end, and their offsets."""
        return _pack(self.raw[:keep])


def _pack(raw: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    offsets = np.zeros(len(raw) + 1, dtype=np.int64)
    np.cumsum([len(word) for word in raw], out=offsets[1:])
    return np.frombuffer(b"".join(raw), dtype=np.uint8), offsets


def _read_dictionary(stream: ByteSource) -> _Dictionary:
    size, n_words, n_labels = stream.unpack("3i", "the dictionary's size")
    _, n_pruned = stream.unpack("2q", "the dictionary's size")
    if min(n_words, n_labels) < 0 or n_words + n_labels != size or n_pruned < -1:
        raise stream.malformed(f"a dictionary of {size} entries, {n_words} words and {n_labels} labels")
    raw, counts = [], []
    for i in range(size):
        word = stream.word("a word of the dictionary")
        count, kind = stream.unpack("qb", "the count of a word")
        if kind != (_WORD if i < n_words else _LABEL):
            raise stream.malformed(f"entry {i} of the dictionary is of type {kind}")
        if kind == _WORD:
            raw.append(word)
            counts.append(count)
    return _Dictionary(raw, counts, n_pruned)


def _read_pruned(stream: ByteSource, size: int) -> NDArray[np.int32] | None:
    """Buckets and their rows, ascending; None for a model that was not pruned."""
    if size < 0:
        return None
    pairs = stream.array("<i4", (size, 2), "the pruned buckets")
    return np.ascontiguousarray(pairs[np.argsort(pairs[:, 0], kind="stable")].T)


def _make_subwords(
    stream: ByteSource, header: _Header, buckets: NDArray[np.float32], pruned: NDArray[np.int32] | None
) -> SubwordTable:
    for start, rows in _rows.blocks(buckets, None):
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise stream.malformed(f"the row of bucket {start + int(np.argmin(finite))} is not finite")
    try:
        return SubwordTable(buckets, min_n=header.min_n, max_n=header.max_n, bucket=header.bucket, pruned=pruned)
    except ValueError as error:
        raise stream.malformed(f"the n-grams' rows do not fit: {error}") from error


def _average(
    own: NDArray[np.float32], subwords: SubwordTable, blob: NDArray[np.uint8], offsets: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The mean of each word's own row and its n-grams' rows."""
    table = own if own.flags.writeable else allocate(own.shape)
    for start in range(0, len(own), _BATCH):
        end = min(start + _BATCH, len(own))
        # A copy: it lies at its natural place in memory, which mapped rows need not, and may be overwritten in `table`.
        rows = np.array(own[start:end])
        bounds = offsets[start : end + 1]
        subwords.mean_into(table[start:end], blob[bounds[0] : bounds[-1]], bounds - bounds[0], own=rows)
    return table


def _repair(
    name: str, raw: list[bytes], blob: NDArray[np.uint8], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The words as valid UTF-8; bytes that are none are written ``\\xNN``, as gensim does."""
    broken = [i for i, word in enumerate(raw) if not _is_utf8(word)]
    if not broken:
        return blob, offsets
    repaired = list(raw)
    for i in broken:
        repaired[i] = raw[i].decode("utf-8", "backslashreplace").encode("utf-8")
    example = repaired[broken[0]].decode("utf-8")
    warnings.warn(
        f"{name}: {len(broken)} words are not valid UTF-8; their wrong bytes were replaced by escapes "
        f"(for example {example!r}).",
        RepairWarning,
        stacklevel=4,
    )
    return _pack(repaired)


def _is_utf8(word: bytes) -> bool:
    if word.isascii():
        return True
    try:
        word.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
