"""Families of word vectors: texts are tokenised and looked up in pieces, and the words' rows added up.

Imported only for a classifier that has such a family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import load
from tlclassic.runtime.format import damaged
from tlclassic.text import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["WordFamily"]


class WordFamily:
    """One family of type "vectors".

    Parameters
    ----------
    metadata : dict
    arrays : mapping
    prefix : str
        Of the names of its arrays, as ``"1/"``.
    """

    def __init__(self, metadata: dict[str, Any], arrays: Mapping[str, NDArray[Any]], prefix: str) -> None:
        try:
            self._tokenizer = Tokenizer.from_dict(metadata["tokenizer"])
        except InvalidParameterError as error:
            raise damaged(f"the tokenizer of family {prefix[:-1]} cannot be made ({error})") from error
        index = (arrays[prefix + name] for name in ("slots", "words", "offsets"))
        self._index = load("index").WordIndex(*index)
        self._lower_fallback = metadata["lower_fallback"]
        self._ignore = metadata["unknown"] == "ignore"
        self._blocks = []
        for number, block in enumerate(metadata["blocks"]):
            names = ("table", "scales", "unknown", "weights")
            found = [arrays.get(f"{prefix}{number}/{name}") for name in names]
            if block["dtype"] != "int8":
                found[1] = None
            if block["denominator"] == "count":
                found[3] = None
            self._blocks.append((*found, float(block.get("unknown_weight", 1.0))))

    def add(self, texts: Sequence[str], out: NDArray[np.float64]) -> None:
        """Add what ``texts`` weigh to ``out``, shape (n_texts, n_outputs)."""
        found = self._tokenizer.lookup(texts, self._index, lower_fallback=self._lower_fallback)
        add_words = load("score").add_words
        for block in self._blocks:
            add_words(out, found.rows, found.indptr, *block, self._ignore)

    def spans(self, text: str, output: int) -> list[tuple[str, int, int, float]]:
        """``(word, start, end, weight)`` of every word of ``text`` that weighs in the logit of ``output``."""
        tokens = self._tokenizer.spans(text)
        weights = np.zeros(len(tokens))
        found = self._tokenizer.lookup([text], self._index, lower_fallback=self._lower_fallback)
        if len(found.rows) != len(tokens):
            raise RuntimeError("the tokenizer gives other tokens for a lookup than for spans")
        for block in self._blocks:
            weights += self._shares(found.rows, block, output)
        counted = (found.rows >= 0) | (not self._ignore) | (weights != 0)
        return [
            (token.text, token.start, token.end, weight)
            for token, weight, shown in zip(tokens, weights.tolist(), counted.tolist(), strict=True)
            if shown
        ]

    def _shares(self, rows: NDArray[np.int32], block: tuple[Any, ...], output: int) -> Any:
        table, scales, unknown, weights, unknown_weight = block
        known = rows >= 0
        shares = np.full(len(rows), unknown[output])
        values = table[rows[known].astype(np.int64) * len(unknown) + output].astype(np.float64)
        shares[known] = values if scales is None else (values - 128) * float(scales[output])
        counts = np.full(len(rows), 0.0 if self._ignore else 1.0 if weights is None else unknown_weight)
        counts[known] = 1.0 if weights is None else weights[rows[known]].astype(np.float64)
        divisor = counts.sum()
        return shares / divisor if divisor != 0 else np.zeros(len(rows))
