"""Tables as the metadata and arrays of a compiled classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.folding.linear import Linear
from tlclassic.folding.quantize import encode, encode_hidden, encode_signed, encode_windows
from tlclassic.folding.tables import ConvolutionTable, NgramTable, Table, VectorsTable, WordBlock
from tlclassic.kernels import load as load_kernel
from tlclassic.kernels._convolve_codes import feature_steps
from tlclassic.runtime.format import FORMAT, HASH_VERSION, RANK_BLOCK
from tlclassic.vectors.words import pack_words

__all__ = ["encode_tables"]

Arrays = dict[str, NDArray[Any]]


def encode_tables(
    linear: Linear, bias: NDArray[np.float64], tables: Sequence[Table], dtype: str
) -> tuple[dict[str, Any], Arrays]:
    """``(metadata, arrays)`` of a compiled classifier whose weights are of ``dtype``.

    Parameters
    ----------
    linear : Linear
        For classes, link and thresholds.
    bias : float64 array of shape (n_outputs,)
    tables : sequence of NgramTable, VectorsTable and ConvolutionTable
    dtype : {"float32", "float16", "int8"}
        That of a convolution's table is float32 for "float16".
    """
    arrays: Arrays = {"bias": np.asarray(bias, dtype=np.float64)}
    if linear.thresholds is not None:
        arrays["thresholds"] = linear.thresholds
    families = []
    for number, table in enumerate(tables):
        if isinstance(table, NgramTable):
            family, blocks = _ngrams(table, dtype)
        elif isinstance(table, VectorsTable):
            family, blocks = _vectors(table, dtype)
        else:
            family, blocks = _convolution(table, dtype)
        families.append(family)
        arrays.update({f"{number}/{name}": block for name, block in blocks.items()})
    classes, classes_dtype = _classes(linear.classes)
    metadata = {
        # Only what an older reader would misread is of the latest format.
        "format": FORMAT if any("hidden" in family or "sums" in family for family in families) else 1,
        "hash_version": HASH_VERSION,
        "classes": classes,
        "classes_dtype": classes_dtype,
        "multilabel": linear.multilabel,
        "link": linear.link,
        "outputs": linear.n_outputs,
        "families": families,
        "provenance": {},
        "report": {},
    }
    return metadata, arrays


def _classes(classes: NDArray[Any]) -> tuple[list[Any], str]:
    values = np.asarray(classes).tolist()
    kinds = {type(value) for value in values}
    names = {str: "str", int: "int64", bool: "bool", float: "float64"}
    if len(kinds) != 1 or (kind := kinds.pop()) not in names:
        shown = ", ".join(sorted(kind.__name__ for kind in {type(value) for value in values}))
        raise InvalidParameterError(
            f"the classes must all be strings, integers, floats or booleans; got {shown}. Train with plain labels."
        )
    large = [value for value in values if kind is int and not -(1 << 63) <= value < 1 << 63]
    if large:
        raise InvalidParameterError(f"the classes must be 64-bit integers; got {large[0]}. Train with strings.")
    return values, names[kind]


def _ngrams(table: NgramTable, dtype: str) -> tuple[dict[str, Any], Arrays]:
    size = 1 << table.options["bits"]
    values, scales = encode(table.weights, dtype)
    buckets, idf = table.buckets, table.idf
    rows = np.arange(len(buckets))
    if idf is None:
        # What became zero by rounding needs no row.
        rows = np.flatnonzero((values != (128 if dtype == "int8" else 0)).any(axis=1))
    values, buckets = values[rows], buckets[rows]
    sparse = values.nbytes + size // 8 + 4 * (size // RANK_BLOCK)
    layout = "bitmap" if sparse < size * values.shape[1] * values.itemsize else "dense"
    family = {"type": "ngrams", **table.options, "layout": layout, "dtype": dtype, "rows": len(buckets)}
    if table.columns is not None:
        family["columns"] = list(table.columns)
    arrays: Arrays = {}
    if layout == "dense":
        full = np.full((size, values.shape[1]), 128 if dtype == "int8" else 0, dtype=values.dtype)
        full[buckets] = values
        values = full
    else:
        arrays["bitmap"], arrays["ranks"] = _bitmap(buckets, size)
    arrays["table"] = _flat(values)
    if scales is not None:
        arrays["scales"] = scales
    if idf is not None:
        arrays["idf"] = np.ascontiguousarray(idf if layout == "dense" else idf[buckets], dtype=np.float32)
        family["idf_default"] = float(idf.max())
    return family, arrays


def _bitmap(buckets: NDArray[np.int64], size: int) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    bits = np.zeros(max(size, RANK_BLOCK), dtype=np.uint8)
    bits[buckets] = 1
    ranks = np.zeros(len(bits) // RANK_BLOCK, dtype=np.uint32)
    np.cumsum(bits.reshape(-1, RANK_BLOCK).sum(axis=1, dtype=np.uint32)[:-1], out=ranks[1:])
    return np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64), ranks


def _vectors(table: VectorsTable, dtype: str) -> tuple[dict[str, Any], Arrays]:
    arrays, blocks = _word_index(table.words), []
    for number, block in enumerate(table.blocks):
        described, encoded = _block(block, dtype, table.frequency)
        blocks.append(described)
        arrays.update({f"{number}/{name}": array for name, array in encoded.items()})
    family = {
        "type": "vectors",
        "tokenizer": table.tokenizer.to_dict(),
        "lower_fallback": table.lower_fallback,
        "unknown": table.unknown,
        "blocks": blocks,
        "rows": len(table.words),
    }
    return family, arrays


def _convolution(table: ConvolutionTable, dtype: str) -> tuple[dict[str, Any], Arrays]:
    arrays: Arrays = {}
    arrays["bitmap"], arrays["ranks"] = _bitmap(table.buckets, 1 << table.bits)
    filters = len(table.bias)
    parts: list[NDArray[Any]] = [np.asarray(table.table, dtype=np.float32)]
    if table.sum_table is not None:
        parts.append(np.asarray(table.sum_table, dtype=np.float32))
    if dtype == "int8":
        # Unknown words are as frequent as the most frequent word: a text of another year is full of them.
        frequency = np.append(table.frequency, table.frequency.max(initial=0.0) or 1.0)
        if table.hidden_weights is None:
            coded = [encode_signed(parts[0].reshape(-1, filters), frequency.repeat(table.width))]
        else:
            coded = [encode_windows(parts[0].reshape(-1, table.width, filters), frequency)]
        coded += [encode_signed(sums, frequency) for sums in parts[1:]]
        parts, arrays["scales"] = [codes for codes, _ in coded], np.concatenate([scales for _, scales in coded])
    # A word's numbers lie together, so that they are read together.
    arrays["table"] = np.hstack([part.reshape(len(table.buckets) + 1, -1) for part in parts]).ravel()
    arrays["bias"] = np.ascontiguousarray(table.bias, dtype=np.float32)
    arrays["weights"] = encode(table.weights, "float32")[0].ravel()
    family = {
        "type": "convolution",
        "bits": table.bits,
        "width": table.width,
        "filters": filters,
        "dtype": "int8" if dtype == "int8" else "float32",
        "rows": len(table.buckets),
    }
    if table.sum_table is not None:
        family["sums"] = int(table.sum_table.shape[1])
    if table.hidden_weights is not None and table.hidden_bias is not None:
        layer: NDArray[Any] = np.asarray(table.hidden_weights, dtype=np.float32)
        if dtype == "int8":
            _give_still_filters_a_scale(table, arrays["scales"])
            layer, arrays["hidden_scales"] = encode_hidden(layer, feature_steps(arrays["scales"], filters))
        arrays["hidden_weights"] = np.ascontiguousarray(layer).ravel()
        arrays["hidden_bias"] = np.ascontiguousarray(table.hidden_bias, dtype=np.float32)
        family["hidden"] = len(table.hidden_bias)
    return family, arrays


def _give_still_filters_a_scale(table: ConvolutionTable, scales: NDArray[np.float32]) -> None:
    """A filter that no word moves is its bias, which is rounded to whole codes: let it be one."""
    filters = len(table.bias)
    still = np.flatnonzero(~np.asarray(table.table).reshape(-1, filters).any(axis=0) & (table.bias != 0))
    scales[still] = np.abs(table.bias[still])


def _word_index(words: Sequence[str]) -> Arrays:
    blob, offsets = pack_words(words)
    collector = load_kernel("parse").WordCollector()
    collector.add(blob, offsets)
    packed, offsets, slots = collector.finish()
    return {"slots": slots, "words": packed, "offsets": offsets}


def _block(block: WordBlock, dtype: str, frequency: NDArray[np.float64]) -> tuple[dict[str, Any], Arrays]:
    values, scales = encode(block.table, dtype, frequency)
    arrays: Arrays = {"table": _flat(values), "unknown": block.unknown}
    if scales is not None:
        arrays["scales"] = scales
    if block.weights is None:
        return {"denominator": "count", "dtype": dtype}, arrays
    arrays["weights"] = block.weights.astype(np.float32)
    return {"denominator": "weights", "dtype": dtype, "unknown_weight": block.unknown_weight}, arrays


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """Row after row, with slack for a kernel that reads eight codes at a time."""
    slack = 8 if values.dtype == np.uint8 else 0
    return np.concatenate([values.ravel(), np.zeros(slack, dtype=values.dtype)])
