"""Word vectors from arrays, and from other word vectors."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice
from tlclassic.errors import InvalidParameterError, RepairWarning
from tlclassic.kernels import load as load_kernel
from tlclassic.vectors import rows as _rows
from tlclassic.vectors.words import Words, pack_words
from tlclassic.vectors.wordvectors import WordVectors

if TYPE_CHECKING:
    from tlclassic.vectors.subword import SubwordTable

__all__ = ["encode_rows", "from_arrays", "from_blob", "head", "make_index", "normalized", "quantize", "subset"]


def from_arrays(
    words: Sequence[str],
    table: NDArray[Any],
    *,
    scales: NDArray[Any] | None = None,
    counts: NDArray[Any] | Sequence[int] | None = None,
    subwords: SubwordTable | None = None,
    oov: str = "zero",
    tokenizer_json: str | None = None,
) -> WordVectors:
    """See :meth:`WordVectors.from_arrays`."""
    if isinstance(words, (str, bytes)):
        raise InvalidParameterError(f"words must be a list of words; got the single string {words!r}.")
    blob, offsets = pack_words(words)
    tokenizer = None if tokenizer_json is None else np.frombuffer(tokenizer_json.encode("utf-8"), dtype=np.uint8)
    return from_blob(
        blob, offsets, table, scales=scales, counts=counts, subwords=subwords, oov=oov, tokenizer=tokenizer
    )


def from_blob(
    blob: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    table: NDArray[Any],
    *,
    scales: NDArray[Any] | None = None,
    counts: NDArray[Any] | Sequence[int] | None = None,
    subwords: SubwordTable | None = None,
    oov: str = "zero",
    tokenizer: NDArray[np.uint8] | None = None,
) -> WordVectors:
    """As :func:`from_arrays`, with the words as UTF-8 bytes end to end."""
    n = len(offsets) - 1
    table = _check_table(table, n, has_scales=scales is not None)
    per_row = {"scales": scales, "counts": counts}
    extra = {name: _check_per_row(name, value, n) for name, value in per_row.items() if value is not None}
    _check_finite(table, blob, offsets)
    collector = load_kernel("parse").WordCollector()
    duplicates = collector.add(blob, offsets)
    if len(duplicates):
        word = Words(blob, offsets)[int(duplicates[0])]
        warnings.warn(
            f"{len(duplicates)} duplicate words were left out; the first of each is kept (for example {word!r}).",
            RepairWarning,
            stacklevel=4,
        )
        keep = np.delete(np.arange(n), duplicates)
        table, extra = table[keep], {name: value[keep] for name, value in extra.items()}
    index = make_index(*collector.finish())
    return WordVectors(
        index,
        table,
        scales=extra.get("scales"),
        counts=extra.get("counts"),
        subwords=subwords,
        oov=oov,
        tokenizer=tokenizer,
    )


def make_index(blob: NDArray[np.uint8], offsets: NDArray[np.int64], slots: NDArray[np.uint64]) -> Any:
    """A ``WordIndex`` over the arrays that ``WordCollector.finish`` gives."""
    return load_kernel("index").WordIndex(slots, blob, offsets)


def _check_table(table: NDArray[Any], n: int, *, has_scales: bool) -> NDArray[Any]:
    table = np.asarray(table)
    if table.ndim != 2 or len(table) != n:
        raise InvalidParameterError(f"table must have shape ({n}, dim), one row a word; got {table.shape}.")
    if table.shape[1] < 1:
        raise InvalidParameterError("table must have at least one column; got 0.")
    if (table.dtype == np.int8) != has_scales:
        raise InvalidParameterError(
            f"an int8 table needs scales, and only that; got dtype {table.dtype} {'with' if has_scales else 'without'} "
            "scales. For plain small integers pass table.astype('float32')."
        )
    if table.dtype.kind not in "fiub":
        raise InvalidParameterError(f"table must hold real numbers; got dtype {table.dtype}.")
    dtype = table.dtype if table.dtype in (np.float16, np.float32, np.int8) else np.dtype(np.float32)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(table, dtype=dtype.newbyteorder("="))


def _check_per_row(name: str, value: Any, n: int) -> NDArray[Any]:
    array = np.ascontiguousarray(value, dtype=np.float32 if name == "scales" else np.int64)
    if array.shape != (n,):
        raise InvalidParameterError(f"{name} must have shape ({n},), one number a word; got {array.shape}.")
    return array


def _check_finite(table: NDArray[Any], blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    if table.dtype == np.int8:
        return
    for start, rows in _rows.blocks(table, None):
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise InvalidParameterError(
                f"table must be finite in float32; row {row}, the word {Words(blob, offsets)[row]!r}, is not."
            )


def subset(vectors: WordVectors, words: Iterable[str]) -> WordVectors:
    """See :meth:`WordVectors.subset`."""
    wanted = list(words)
    rows = vectors.rows(wanted)
    if vectors.oov == "lower":
        unknown = np.flatnonzero(rows < 0)
        rows[unknown] = vectors.rows([wanted[i].lower() for i in unknown])
    return _select(vectors, np.unique(rows[rows >= 0]))


def head(vectors: WordVectors, n: int) -> WordVectors:
    """The first ``n`` rows; ``vectors`` itself when there are no more."""
    return vectors if n >= len(vectors) else _select(vectors, np.arange(n))


def _select(vectors: WordVectors, rows: NDArray[np.int64]) -> WordVectors:
    """A copy of ``rows``, each once."""
    lengths = np.diff(vectors.index.offsets)[rows]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    # Byte i of the result comes from the same distance past its word's start in the whole.
    source = np.repeat(vectors.index.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
    per_row = {"scales": vectors.scales, "counts": vectors.counts}
    return from_blob(
        vectors.index.words[source],
        offsets,
        vectors.table[rows],
        **{name: None if value is None else value[rows] for name, value in per_row.items()},
        subwords=vectors.subwords,
        oov=vectors.oov,
        tokenizer=vectors.tokenizer_bytes,
    )


def normalized(vectors: WordVectors) -> WordVectors:
    """See :meth:`WordVectors.normalized`."""
    table = np.empty(vectors.shape, dtype=np.float32)
    norms = np.where(vectors.norms > 0, vectors.norms, np.float32(1))
    for start, rows in _rows.blocks(vectors.table, vectors.scales):
        np.divide(rows, norms[start : start + len(rows), None], out=table[start : start + len(rows)])
    oov = "zero" if vectors.oov == "subword" else vectors.oov
    return WordVectors(vectors.index, table, counts=vectors.counts, oov=oov, tokenizer=vectors.tokenizer_bytes)


def quantize(vectors: WordVectors, dtype: str) -> WordVectors:
    """See :meth:`WordVectors.quantize`."""
    check_choice("dtype", dtype, ("float32", "float16", "int8"))
    table = np.empty(vectors.shape, dtype=dtype)
    scales = np.empty(len(vectors), dtype=np.float32) if dtype == "int8" else None
    for start, rows in _rows.blocks(vectors.table, vectors.scales):
        end = start + len(rows)
        table[start:end], row_scales = encode_rows(rows, dtype)
        if scales is not None and row_scales is not None:
            scales[start:end] = row_scales
    subwords = None if vectors.subwords is None else vectors.subwords.quantize(dtype)
    return WordVectors(
        vectors.index,
        table,
        scales=scales,
        counts=vectors.counts,
        subwords=subwords,
        oov=vectors.oov,
        tokenizer=vectors.tokenizer_bytes,
    )


def encode_rows(rows: NDArray[np.float32], dtype: str) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """float32 rows as ``dtype``, and the rows' scales for int8."""
    if dtype == "int8":
        scales = np.abs(rows).max(axis=1, initial=0) / np.float32(127)
        divisor = np.where(scales > 0, scales, np.float32(1))
        # A scale so small that it is denormal could carry the quotient past 127.
        codes = np.clip(np.rint(rows / divisor[:, None]), -127, 127).astype(np.int8)
        return codes, scales
    with np.errstate(over="ignore"):
        encoded = rows.astype(dtype, copy=False)
    if dtype == "float16" and not np.isfinite(encoded).all():
        worst = float(np.abs(rows).max())
        raise InvalidParameterError(
            f"dtype='float16' holds numbers up to 65504; the vectors have {worst:g}. Use 'float32' or 'int8'."
        )
    return encoded, None
