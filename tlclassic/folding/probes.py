"""Texts to try a model on where none are given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlclassic.features.convolution import word_buckets
from tlclassic.folding.tables import ConvolutionTable, Table, VectorsTable

__all__ = ["probe_texts"]

#: What a random choice of words would leave out.
_CORNERS = ("", " ", "!?", "a", "UNKNOWNWORD", "zxqj zxqj", "Don't, e-mail: x@y.z :)", "Straße İZMİR", "東京 и мир")
_LETTERS = list("etaoinshrdlucmfwygpbvk")
#: Words made up to find some that hash into the buckets of a convolution, which keeps no word.
_TRIED = 1 << 15


def probe_texts(tables: Sequence[Table], n_texts: int = 128, seed: int = 0) -> list[str]:
    """Texts of known and unknown words and of none, the same for the same tables."""
    random = np.random.default_rng(seed)
    words = [word for table in tables if isinstance(table, VectorsTable) for word in table.words[:20_000]]
    words += [word for table in tables if isinstance(table, ConvolutionTable) for word in _colliding(table, random)]
    texts = list(_CORNERS)
    while len(texts) < n_texts:
        length = int(random.integers(1, 30))
        unknown = ["".join(random.choice(_LETTERS, int(random.integers(1, 9)))) for _ in range(length)]
        known = [words[int(i)] for i in random.integers(0, len(words), length)] if words else unknown
        texts.append(" ".join(a if random.random() < 0.8 else b for a, b in zip(known, unknown, strict=True)))
    return texts


def _colliding(table: ConvolutionTable, random: np.random.Generator) -> list[str]:
    """Made-up words that the table takes for words that it knows."""
    letters = random.choice(_LETTERS, (_TRIED, 6))
    words = ["".join(row) for row in letters.tolist()]
    return [words[i] for i in np.flatnonzero(np.isin(word_buckets(words, table.bits), table.buckets)).tolist()]
