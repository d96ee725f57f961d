"""Compiled classifiers made by hand, for the tests of the runtime and of its kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Texts that have been trouble: empty, repeated words, other scripts, signs, halves of pairs.
TEXTS = [
    "",
    " ",
    "a fine film, a FINE film",
    "a dull film; dull dull dull!",
    "don't: it's José's naïve Straße",
    "映画はとても良い",
    "Ωmega ВЕЛИКИЙ фильм",
    "🙂 so good 👍🏽 \ud83d half",
    "x" * 300,
    "many words " * 700,
    "\x00 nul \x00",
    "ﬁne ﬁlm e\u0301",
]


def ngrams(rng: np.random.Generator, outputs: int, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A family of n-grams with random weights: its metadata and arrays."""
    family = {
        "type": "ngrams", "unit": "word", "ngrams": [1, 2], "bits": 10, "case": "fold", "punctuation": "drop",
        "counts": "count", "norm": "length", "idf": False, "layout": "dense", "dtype": "int8", **options,
    }  # fmt: skip
    size = 1 << family["bits"]
    rows, arrays = size, {}
    if family["layout"] == "bitmap":
        bits = np.zeros(max(size, 512), dtype=bool)
        bits[:size] = rng.random(size) < 0.4
        counts = bits.reshape(-1, 512).sum(axis=1)
        arrays["bitmap"] = np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)
        arrays["ranks"] = (np.cumsum(counts) - counts).astype(np.uint32)
        rows = int(bits.sum())
    arrays.update(table(rng, rows, outputs, family["dtype"]))
    if family["idf"] and family["norm"] == "l2":
        arrays["idf"] = rng.uniform(1, 5, rows).astype(np.float32)
        family["idf_default"] = 6.5
    return family, arrays


def table(rng: np.random.Generator, rows: int, outputs: int, dtype: str) -> dict[str, Any]:
    """Random weights, with their scales."""
    if dtype == "int8":
        codes = rng.integers(1, 256, rows * outputs + 8).astype(np.uint8)
        return {"table": codes, "scales": rng.uniform(0.01, 0.1, outputs).astype(np.float32)}
    return {"table": rng.normal(size=rows * outputs).astype(dtype)}


def vectors(rng: np.random.Generator, outputs: int, words: list[str], dtype: str = "float32", **options: Any) -> Any:
    """A family of word vectors: one block over the count of words and one over their weights."""
    from tlclassic.kernels import load
    from tlclassic.text import Tokenizer

    raw = [word.encode() for word in words]
    blob = np.frombuffer(b"".join(raw), dtype=np.uint8)
    offsets = np.cumsum([0, *map(len, raw)]).astype(np.int64)
    slots, _ = load("index").build_slots(blob, offsets, 64)
    arrays = {"slots": slots, "words": blob, "offsets": offsets}
    for number in range(2):
        block = {**table(rng, len(words), outputs, dtype), "unknown": rng.normal(size=outputs)}
        if number:
            block["weights"] = rng.uniform(1, 3, len(words)).astype(np.float32)
        arrays.update({f"{number}/{name}": array for name, array in block.items()})
    blocks = [
        {"denominator": "count", "dtype": dtype}, {"denominator": "weights", "dtype": dtype, "unknown_weight": 2.5}
    ]  # fmt: skip
    family = {
        "type": "vectors", "tokenizer": Tokenizer().to_dict(), "lower_fallback": False, "unknown": "mean",
        "blocks": blocks, **options,
    }  # fmt: skip
    if family["unknown"] == "ignore":
        arrays["0/unknown"], arrays["1/unknown"] = np.zeros(outputs), np.zeros(outputs)
    return family, arrays


def state(outputs: int = 4, *families: Any, **metadata: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metadata and arrays of a classifier over ``families``."""
    rng = np.random.default_rng(5)
    classes = [f"c{number}" for number in range(outputs if outputs > 1 else 2)]
    described = {
        "format": 1, "hash_version": 1, "classes": classes, "classes_dtype": "str", "multilabel": False,
        "link": "softmax" if outputs > 1 else "sigmoid", "outputs": outputs, "families": [f for f, _ in families],
        "provenance": {}, "report": {}, **metadata,
    }  # fmt: skip
    arrays = {"bias": rng.normal(size=outputs)}
    for number, (_, found) in enumerate(families):
        arrays.update({f"{number}/{name}": array for name, array in found.items()})
    return described, arrays
