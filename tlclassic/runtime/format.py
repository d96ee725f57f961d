"""The schema of a compiled classifier: what its metadata and arrays must be. Described in docs/runtime.md.

Everything is checked before the kernel sees it, so that a damaged or hostile file is refused with the name of what is
wrong and never read out of bounds. Tables are not read for this: only their sizes and types are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tlclassic.errors import ArtifactVersionError, CorruptArtifactError
from tlclassic.kernels import load
from tlclassic.kernels._convolve_codes import sums_fit

__all__ = [
    "CHOICES", "CONVOLUTION_DTYPES", "FORMAT", "HASH_VERSION", "LANES", "LIMITS", "RANK_BLOCK", "SLACK", "ZERO",
    "check_arrays", "check_metadata", "damaged",
]  # fmt: skip

#: The latest format of metadata and arrays; raised when an older reader would misread them. 2: a
#: convolution with sums or a hidden layer.
FORMAT = 2
#: The rules by which a text becomes buckets; raised whenever a bucket of some text changes.
HASH_VERSION = 1
#: Buckets of a bitmap that share one number in "ranks".
RANK_BLOCK = 512
#: Bytes behind the last row of an int8 table: rows are read eight bytes at a time.
SLACK = 8
#: The code of weight 0 in an int8 table.
ZERO = 128

#: Field of the metadata, or of a family, → what it may be.
CHOICES: dict[str, tuple[str, ...]] = {
    "link": ("softmax", "sigmoid", "ovr", "none"),
    "classes_dtype": ("str", "int64", "bool", "float64"),
    "type": ("ngrams", "vectors", "convolution"),
    "unit": ("word", "char"),
    "case": ("fold", "keep"),
    "punctuation": ("keep", "drop"),
    "counts": ("count", "binary", "sublinear"),
    "norm": ("none", "length", "sqrt", "l2"),
    "layout": ("dense", "bitmap"),
    "dtype": ("float32", "float16", "int8"),
    "unknown": ("ignore", "zero", "mean"),
    "denominator": ("count", "weights"),
}
#: Number of the metadata → its smallest and largest value.
LIMITS = {
    "outputs": (1, 1 << 16), "bits": (1, 28), "word": (1, 8), "char": (1, 32), "families": (0, 64),
    "rows": (0, (1 << 31) - 2), "width": (1, 8), "filters": (16, 1 << 14), "hidden": (16, 1 << 14),
    "sums": (16, 1 << 14),
}  # fmt: skip
#: Filters, sums and hidden units of a convolution come in multiples of this.
LANES = 16
#: Types of its table: a kernel for float16 would not be faster than that for float32.
CONVOLUTION_DTYPES = ("float32", "int8")

_TABLE_TYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "int8": np.dtype("u1"),
}
_CLASS_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int64": (int,), "bool": (bool,), "float64": (float, int)}


def damaged(what: str) -> CorruptArtifactError:
    """The error for a compiled classifier that is not what it says."""
    return CorruptArtifactError(f"compiled classifier: {what}. Compile it again, or restore it from a copy.")


# --- metadata --------------------------------------------------------------------------------------------------------


def check_metadata(metadata: Any) -> None:
    """Raise unless ``metadata`` is that of a compiled classifier.

    Raises
    ------
    ArtifactVersionError
        When a newer tlclassic wrote it.
    CorruptArtifactError
        Names the first field that is missing or wrong.
    """
    if not isinstance(metadata, dict):
        raise damaged(f"metadata must be a dict; got {type(metadata).__name__}")
    for name, known in (("format", FORMAT), ("hash_version", HASH_VERSION)):
        version = _integer(metadata, name, "", 1, 1 << 31)
        if version > known:
            raise ArtifactVersionError(
                f"compiled classifier: {name} is {version}; this tlclassic reads up to {known}. "
                "Upgrade: pip install -U tlclassic"
            )
    _check_outputs(metadata)
    families = _field(metadata, "families", "", list)
    if len(families) > LIMITS["families"][1]:
        raise damaged(f"families must be at most {LIMITS['families'][1]}; got {len(families)}")
    for number, family in enumerate(families):
        where = f"families[{number}]."
        if not isinstance(family, dict):
            raise damaged(f"families[{number}] must be an object; got {type(family).__name__}")
        _FAMILIES[_choice(family, "type", where)][0](family, where)
        _check_columns(family, metadata["outputs"], where)
    for name in ("provenance", "report"):
        if not isinstance(metadata.get(name, {}), dict):
            raise damaged(f"{name} must be an object")


def _check_outputs(metadata: dict[str, Any]) -> None:
    outputs = _integer(metadata, "outputs", "", *LIMITS["outputs"])
    multilabel = _field(metadata, "multilabel", "", bool)
    link = _choice(metadata, "link", "")
    classes = _field(metadata, "classes", "", list)
    kinds = _CLASS_TYPES[_choice(metadata, "classes_dtype", "")]
    for number, value in enumerate(classes):
        if type(value) not in kinds or (type(value) is int and not -(1 << 63) <= value < 1 << 63):
            raise damaged(f"classes[{number}] must be of type {metadata['classes_dtype']!r}; got {value!r:.80}")
    if len(set(classes)) != len(classes):
        raise damaged("classes must differ from each other")
    expected = outputs if multilabel or outputs > 1 else 2
    if len(classes) != expected:
        raise damaged(f"classes must be {expected} for {outputs} outputs; got {len(classes)}")
    if multilabel and link not in ("sigmoid", "none"):
        raise damaged(f"link must be 'sigmoid' or 'none' for several labels a text; got {link!r}")
    if not multilabel and (outputs == 1) != (link == "sigmoid") and link != "none":
        raise damaged(f"link must not be {link!r} for {outputs} outputs")


def _check_columns(family: dict[str, Any], outputs: int, where: str) -> None:
    """Some of the outputs, for n-grams alone."""
    columns = family.get("columns")
    if columns is None:
        return
    whole = isinstance(columns, list) and len(columns) == 2 and all(type(number) is int for number in columns)
    if family["type"] != "ngrams" or not whole or not 0 <= columns[0] < columns[1] <= outputs:
        raise damaged(f"{where}columns must be [first, behind the last] of the {outputs} outputs; got {columns!r:.80}")


def _check_ngrams(family: dict[str, Any], where: str) -> None:
    for name in ("unit", "case", "punctuation", "counts", "norm", "layout", "dtype"):
        _choice(family, name, where)
    _integer(family, "bits", where, *LIMITS["bits"])
    low, high = LIMITS[family["unit"]]
    lengths = _field(family, "ngrams", where, list)
    if len(lengths) != 2 or any(type(n) is not int for n in lengths) or not low <= lengths[0] <= lengths[1] <= high:
        raise damaged(f"{where}ngrams must be [shortest, longest] with {low} <= shortest <= longest <= {high}")
    if _field(family, "idf", where, bool) and family["norm"] == "l2":
        _number(family, "idf_default", where)


def _check_vectors(family: dict[str, Any], where: str) -> None:
    _choice(family, "unknown", where)
    _field(family, "lower_fallback", where, bool)
    _field(family, "tokenizer", where, dict)
    for number, block in enumerate(_field(family, "blocks", where, list)):
        place = f"{where}blocks[{number}]."
        if not isinstance(block, dict):
            raise damaged(f"{place[:-1]} must be an object; got {type(block).__name__}")
        _choice(block, "dtype", place)
        if _choice(block, "denominator", place) == "weights":
            _number(block, "unknown_weight", place)


def _check_convolution(family: dict[str, Any], where: str) -> None:
    _choice(family, "dtype", where, CONVOLUTION_DTYPES)
    _integer(family, "bits", where, *LIMITS["bits"])
    for name in ("rows", "width", "filters", *(name for name in ("sums", "hidden") if name in family)):
        _integer(family, name, where, *LIMITS[name])
        if name in ("filters", "sums", "hidden") and family[name] % LANES:
            raise damaged(f"{where}{name} must be a multiple of {LANES}; got {family[name]}")


def _field(state: dict[str, Any], name: str, where: str, kind: type) -> Any:
    if type(state.get(name)) is not kind:
        raise damaged(f"{where}{name} must be of type {kind.__name__}; got {state.get(name)!r:.80}")
    return state[name]


def _choice(state: dict[str, Any], name: str, where: str, choices: tuple[str, ...] | None = None) -> str:
    value = _field(state, name, where, str)
    choices = CHOICES[name] if choices is None else choices
    if value not in choices:
        raise damaged(f"{where}{name} must be one of {', '.join(map(repr, choices))}; got {value!r:.80}")
    return str(value)


def _integer(state: dict[str, Any], name: str, where: str, low: int, high: int) -> int:
    value = _field(state, name, where, int)
    if not low <= value <= high:
        raise damaged(f"{where}{name} must be from {low} to {high}; got {value!r:.80}")
    return int(value)


def _number(state: dict[str, Any], name: str, where: str) -> None:
    value: Any = state.get(name)
    if type(value) not in (int, float) or not abs(value) < 1e300:
        raise damaged(f"{where}{name} must be a finite number; got {value!r:.80}")


# --- arrays ----------------------------------------------------------------------------------------------------------


def check_arrays(metadata: dict[str, Any], arrays: Any) -> None:
    """Raise unless ``arrays`` are those that the checked ``metadata`` calls for.

    Raises
    ------
    CorruptArtifactError
        Names the first array that is missing, or of a wrong type or size.
    """
    outputs = metadata["outputs"]
    small = {"bias": _array(arrays, "bias", "<f8", outputs)}
    if "thresholds" in arrays:
        small["thresholds"] = _array(arrays, "thresholds", "<f8", outputs)
    for number, family in enumerate(metadata["families"]):
        _FAMILIES[family["type"]][1](family, arrays, number, outputs)
    for name, array in small.items():
        if not _is_finite(array):
            raise damaged(f"array {name!r} must be finite")


def _array(arrays: Any, name: str, dtype: str | np.dtype[Any], size: int | None = None) -> Any:
    array = arrays.get(name)
    if not isinstance(array, np.ndarray):
        raise damaged(f"array {name!r} is missing")
    if array.dtype != np.dtype(dtype) or array.ndim != 1 or not array.flags.c_contiguous or not array.flags.aligned:
        raise damaged(f"array {name!r} must be contiguous {np.dtype(dtype)} of one dimension; got {array.dtype} "
                      f"of {array.ndim}")  # fmt: skip
    if size is not None and len(array) != size:
        raise damaged(f"array {name!r} must hold {size} numbers; got {len(array)}")
    return array


def _is_finite(array: Any) -> bool:
    """Of a few numbers; in Python, because a process that labels one text should not load NumPy's loops for this."""
    return all(map(math.isfinite, array.tolist()))


def _check_table(arrays: Any, prefix: str, dtype: str, rows: int, outputs: int) -> None:
    slack = SLACK if dtype == "int8" else 0
    table = _array(arrays, f"{prefix}table", _TABLE_TYPES[dtype])
    if len(table) != rows * outputs + slack:
        raise damaged(f"array '{prefix}table' must hold {rows} rows of {outputs} and {slack} more; got {len(table)}")
    if dtype == "int8" and not _is_finite(_array(arrays, f"{prefix}scales", "<f4", outputs)):
        raise damaged(f"array '{prefix}scales' must be finite")


def _check_ngram_arrays(family: dict[str, Any], arrays: Any, number: int, outputs: int) -> None:
    size = 1 << family["bits"]
    rows = size
    first, stop = family.get("columns") or (0, outputs)
    if family["layout"] == "bitmap":
        rows = _check_bitmap(arrays, number, size)
    _check_table(arrays, f"{number}/", family["dtype"], rows, stop - first)
    if family["idf"] and family["norm"] == "l2":
        _array(arrays, f"{number}/idf", "<f4", rows)


def _check_bitmap(arrays: Any, number: int, size: int) -> int:
    """The number of bits that are set."""
    padded = max(size, RANK_BLOCK)
    bitmap = _array(arrays, f"{number}/bitmap", "<u8", padded // 64)
    ranks = _array(arrays, f"{number}/ranks", "<u4", padded // RANK_BLOCK)
    counted = load("score").rank_words(bitmap)
    # Bytes: as the numbers have one type, this asks the same and loads no more of NumPy's code.
    if counted[: -1 : RANK_BLOCK // 64].tobytes() != ranks.tobytes():
        raise damaged(f"array '{number}/ranks' does not count the bits of '{number}/bitmap'")
    return int(counted[-1])


def _check_vector_arrays(family: dict[str, Any], arrays: Any, number: int, outputs: int) -> None:
    slots = _array(arrays, f"{number}/slots", "<u8")
    if len(slots) < 1 or len(slots) & (len(slots) - 1):
        raise damaged(f"array '{number}/slots' must hold a power of two of numbers; got {len(slots)}")
    words = _array(arrays, f"{number}/words", "u1")
    offsets = _array(arrays, f"{number}/offsets", "<i8")
    # The index bounds every offset before it is followed; these tell a damaged file from a good one.
    if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(words) or len(offsets) > 1 << 31:
        raise damaged(f"array '{number}/offsets' does not cut '{number}/words' into words")
    rows = len(offsets) - 1
    for place, block in enumerate(family["blocks"]):
        prefix = f"{number}/{place}/"
        _check_table(arrays, prefix, block["dtype"], rows, outputs)
        _array(arrays, f"{prefix}unknown", "<f8", outputs)
        if block["denominator"] == "weights":
            _array(arrays, f"{prefix}weights", "<f4", rows)


def _check_convolution_arrays(family: dict[str, Any], arrays: Any, number: int, outputs: int) -> None:
    rows, filters = _check_bitmap(arrays, number, 1 << family["bits"]), family["filters"]
    if rows != family["rows"]:
        raise damaged(f"array '{number}/bitmap' must have {family['rows']} words; got {rows}")
    features = filters + family.get("sums", 0)
    columns, coded = (family["width"] - 1) * filters + features, family["dtype"] == "int8"
    table = _array(arrays, f"{number}/table", "i1" if coded else "<f4")
    if len(table) != (rows + 1) * columns:
        raise damaged(f"array '{number}/table' must hold {rows} rows and one more of {columns}; got {len(table)}")
    sizes, hidden = {"bias": filters}, family.get("hidden", 0)
    if hidden:
        sizes["hidden_bias"] = hidden
        if not coded:
            sizes["hidden_weights"] = features * hidden
    for name, size in sizes.items():
        if not _is_finite(_array(arrays, f"{number}/{name}", "<f4", size)):
            raise damaged(f"array '{number}/{name}' must be finite")
    _array(arrays, f"{number}/weights", "<f4", (hidden or features) * outputs)
    # The largest code stands for the largest number only where the scale is positive.
    scales = {"scales": features, **({"hidden_scales": hidden} if hidden else {})} if coded else {}
    for name, size in scales.items():
        if not all(0 < scale < math.inf for scale in _array(arrays, f"{number}/{name}", "<f4", size).tolist()):
            raise damaged(f"array '{number}/{name}' must be positive and finite")
    if coded and hidden:
        codes = _array(arrays, f"{number}/hidden_weights", "<i2", features * hidden)
        if not sums_fit(codes.reshape(features, hidden)):
            raise damaged(f"array '{number}/hidden_weights' holds numbers whose sums are beyond 32 bits")


_FAMILIES: dict[str, tuple[Callable[[dict[str, Any], str], None], Callable[[dict[str, Any], Any, int, int], None]]] = {
    "ngrams": (_check_ngrams, _check_ngram_arrays),
    "vectors": (_check_vectors, _check_vector_arrays),
    "convolution": (_check_convolution, _check_convolution_arrays),
}
