"""Families that look words up, and among them those of word vectors: a text's words have their rows added up.

Texts are tokenised and looked up in pieces. Imported only for a classifier that has such a family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import load
from tlclassic.runtime.format import damaged
from tlclassic.text import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tlclassic.runtime.inputs import Piece

__all__ = ["Family", "Weighed", "WordFamily"]

#: ``(word, start, end, weight)``
Weighed = tuple[str, int, int, float]


class Family(Protocol):
    """A family that reads texts as words."""

    #: As :class:`tlclassic.runtime.explain.Contribution` names it.
    name: str

    def add(self, piece: Piece, out: NDArray[np.float64]) -> None:
        """Add what the texts of ``piece`` weigh to ``out``, C-contiguous of shape (n_texts, n_outputs)."""
        ...

    def spans(self, text: str, output: int) -> tuple[float, list[Weighed]]:
        """What ``text`` weighs in the logit of ``output``: a part that is no word's, and that of each word."""
        ...


class WordFamily:
    """One family of type "vectors".

    Parameters
    ----------
    metadata : dict
    arrays : mapping
    prefix : str
        Of the names of its arrays, as ``"1/"``.
    """

    name = "vectors"

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

    def add(self, piece: Piece, out: NDArray[np.float64]) -> None:
        """See :class:`Family`."""
        rows, indptr = self._rows(piece.strings())
        add_words = load("score").add_words
        for block in self._blocks:
            add_words(out, rows, indptr, *block, self._ignore)

    def spans(self, text: str, output: int) -> tuple[float, list[Weighed]]:
        """See :class:`Family`; every word that is counted."""
        tokens, (rows, _) = self._tokenizer.spans(text), self._rows([text])
        if len(rows) != len(tokens):
            raise RuntimeError("the tokenizer gives other tokens for a lookup than for spans")
        weights = np.zeros(len(tokens))
        for block in self._blocks:
            weights += self._shares(rows, block, output)
        counted = (rows >= 0) | (not self._ignore) | (weights != 0)
        return 0.0, [
            (token.text, token.start, token.end, weight)
            for token, weight, shown in zip(tokens, weights.tolist(), counted.tolist(), strict=True)
            if shown
        ]

    def _rows(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """``(rows, indptr)`` of the words of ``texts``; -1 where a word is unknown."""
        # Not Tokenizer.lookup: it would look at each text once more, to see that it is one.
        found = load("tokenize").lookup(texts, self._index, self._tokenizer._flags, self._lower_fallback, False)
        return found[0], found[1]

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
