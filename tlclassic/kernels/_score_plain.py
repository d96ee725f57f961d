"""Plain twin of the scoring kernel: from texts to logits, in Python and NumPy. Same names and results, far slower.

A family is a dict: ``unit`` (0 words, 1 characters), ``lo``, ``hi``, ``bits``, ``fold``, ``keep_punctuation``;
``counts`` (0 count, 1 binary, 2 sub-linear), ``norm`` (0 none, 1 length, 2 square root, 3 Euclidean); ``table``
(float32, float16 or uint8 codes, flat), ``scales`` (float32, of codes); ``bitmap`` (uint64; None: every bucket has a
row) and ``ranks`` (uint32, from :func:`rank_words`); ``idf`` (float32, a row, or None) and ``idf_default``;
``columns``, the first output that the table has a column for and the one behind the last (None: all). Families of the
same n-grams for different outputs cost one reading of the text.

For each family with n n-grams in the text, ``logits += scale * sum(tf * weights of the row) / divisor``. The divisor
is 1, n, the square root of n or that of the sum of squares of ``tf * idf``; 1 where that is 0. A code weighs
``code - 128``. Sums of codes whose tf is 1 are exact; sums of floats are made in float64 in the order of the text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels._ngrams_plain import Ngrams

__all__ = ["Scorer", "Texts", "add_words", "best", "rank_words"]

_BINARY, _SUBLINEAR = 1, 2
_NONE, _SQRT, _EUCLIDEAN = 0, 2, 3
_ZERO = 128


def rank_words(bitmap: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """How many bits are set before each word of ``bitmap``, and in all; uint32 of shape (n + 1,)."""
    bits = np.unpackbits(np.ascontiguousarray(bitmap, dtype="<u8").view(np.uint8))
    counts = bits.reshape(-1, 64).sum(axis=1, dtype=np.uint32)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32)


def best(logits: NDArray[np.float64]) -> NDArray[np.int32]:
    """The column of the first of the largest of each row; of one column: 1 where it is above 0."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(np.int32)
    largest: NDArray[np.int32] = logits.argmax(axis=1).astype(np.int32)
    return largest


class Texts:
    """Texts ready to be read: a list or tuple of str and bytes, a ``U`` or ``S`` array, or an Arrow column."""

    def __init__(self, source: Any) -> None:
        if isinstance(source, np.ndarray) or not isinstance(source, (list, tuple)):
            for name in ("tolist", "to_pylist", "to_list"):
                if hasattr(source, name):
                    source = getattr(source, name)()
                    break
        self._texts = source

    def __len__(self) -> int:
        return len(self._texts)

    def strings(self, start: int, stop: int) -> list[str]:
        """Those texts as str; what is not UTF-8 becomes U+FFFD."""
        return [str(t, "utf-8", "replace") if isinstance(t, bytes) else t for t in self.items(start, stop)]

    def items(self, start: int, stop: int) -> list[str | bytes]:
        """Those texts, checked."""
        for position in range(start, stop):
            _check_item(position, self._texts[position])
        return list(self._texts[start:stop])


def _check_item(position: int, text: object) -> None:
    if not isinstance(text, (str, bytes)):
        raise InvalidParameterError(
            f"X[{position}] must be a string; got {text!r:.80} of type {type(text).__name__}. "
            "Replace missing texts with an empty string or leave those rows out."
        )


class Scorer:
    """Adds up what the n-grams of texts weigh.

    Parameters
    ----------
    bias : float64 array of shape (n_outputs,)
    families : sequence of dict
        As above; their sizes must have been checked.
    unite_after : int, default=8192
        After so many texts the kernel reads the tables of several tasks as one where it can; results are the same.
    memo_after : int, default=1024
        And keeps what the letters of words weigh that it has read.
    """

    #: Bytes of memory that these take.
    united_bytes = 0
    memo_bytes = 0

    def __init__(
        self,
        bias: NDArray[np.float64],
        families: Sequence[dict[str, Any]],
        unite_after: int = 8192,
        memo_after: int = 1024,
    ) -> None:
        self._bias = bias
        self._families = families

    def logits(self, texts: Texts, start: int, stop: int, out: NDArray[np.float64]) -> None:
        """Add what texts ``start`` to ``stop`` weigh to ``out``, shape (stop - start, n_outputs)."""
        items = texts.items(start, stop)
        for family in self._families:
            lengths = (family["lo"], family["hi"])
            words, chars = (lengths, (0, 0)) if family["unit"] == 0 else ((0, 0), lengths)
            options = {name: family[name] for name in ("bits", "fold", "keep_punctuation")}
            found = Ngrams(words=words, chars=chars, **options).buckets(items)
            buckets: Any = found[2 * family["unit"]]
            ends = found[2 * family["unit"] + 1].tolist()
            first, stop = family.get("columns") or (0, out.shape[1])
            for row in range(len(items)):
                out[row, first:stop] += _weigh(family, buckets[ends[row] : ends[row + 1]], stop - first)

    def labels(self, texts: Texts, start: int, stop: int, out: NDArray[np.int32]) -> None:
        """The best output of texts ``start`` to ``stop``, the bias included, into ``out``."""
        logits = np.tile(self._bias, (stop - start, 1))
        self.logits(texts, start, stop, logits)
        out[:] = best(logits)


def _weigh(family: dict[str, Any], buckets: NDArray[np.uint32], k: int) -> Any:
    n = len(buckets)
    if family["counts"] == 0 and family["norm"] != _EUCLIDEAN:
        return _sum_rows(family["table"], family["scales"], _rows(family, buckets), k) / _divisor(family["norm"], n, 0)
    squares, sums = 0.0, np.zeros(k)
    for bucket, count in Counter(buckets.tolist()).items():
        tf = 1.0 if family["counts"] == _BINARY else float(count)
        if family["counts"] == _SUBLINEAR:
            tf = 1.0 + math.log(count)
        rows = _rows(family, np.array([bucket], dtype=np.uint32))
        idf = 1.0
        if family["idf"] is not None:
            idf = float(family["idf"][rows[0]]) if len(rows) else family["idf_default"]
        squares += (tf * idf) ** 2
        for row in rows:
            weights = family["table"][row * k : row * k + k].astype(np.float64)
            sums += tf * (weights if family["scales"] is None else weights - _ZERO)
    scales = 1.0 if family["scales"] is None else family["scales"].astype(np.float64)
    return sums * scales / _divisor(family["norm"], n, squares)


def _rows(family: dict[str, Any], buckets: NDArray[np.uint32]) -> NDArray[np.int64]:
    places = buckets.astype(np.int64)
    if family["bitmap"] is None:
        return places
    words = family["bitmap"][places >> 6]
    bits = (places & 63).astype(np.uint64)
    below = words & ((np.uint64(1) << bits) - np.uint64(1))
    rows = family["ranks"][places >> 6].astype(np.int64) + np.array([int(x).bit_count() for x in below], dtype=np.int64)
    return np.asarray(rows[(words >> bits & np.uint64(1)).astype(bool)])


def _divisor(norm: int, n: int, squares: float) -> float:
    divisor = math.sqrt(squares) if norm == _EUCLIDEAN else math.sqrt(n) if norm == _SQRT else float(n)
    return 1.0 if norm == _NONE or not divisor > 0 else divisor


def _sum_rows(table: NDArray[Any], scales: NDArray[np.float32] | None, rows: NDArray[Any], k: int) -> Any:
    if not len(rows):
        return np.zeros(k)
    values = table[rows[:, None] * k + np.arange(k)]
    if scales is not None:
        return (values.sum(axis=0, dtype=np.int64) - _ZERO * len(rows)) * scales.astype(np.float64)
    # cumsum adds one row after the other; sum would not where there is one column.
    return values.astype(np.float64).cumsum(axis=0)[-1]


def add_words(
    out: NDArray[np.float64],
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    table: NDArray[Any],
    scales: NDArray[np.float32] | None,
    unknown: NDArray[np.float64],
    weights: NDArray[np.float32] | None,
    unknown_weight: float,
    ignore: bool,
) -> None:
    """Add to each row of ``out`` the sum of a text's word rows (-1: ``unknown``) over their number or weight.

    Parameters
    ----------
    out : float64 array of shape (n_texts, n_outputs)
    rows, indptr : int32 array of shape (n_words,), int64 array of shape (n_texts + 1,)
    table, scales : as in a family
    unknown : float64 array of shape (n_outputs,)
    weights : float32 array of shape (n_rows,), or None: every word counts 1
    unknown_weight : float
    ignore : bool
        Unknown words are not counted.
    """
    for text, (start, stop) in enumerate(zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True)):
        found = rows[start:stop]
        known = found[found >= 0].astype(np.int64)
        n_unknown = len(found) - len(known)
        sums = _sum_rows(table, scales, known, out.shape[1]) + n_unknown * unknown
        divisor = float(len(known)) if weights is None else _total(weights[known])
        if not ignore:
            divisor += n_unknown * (1.0 if weights is None else unknown_weight)
        if divisor != 0:
            out[text] += sums / divisor


def _total(weights: NDArray[np.float32]) -> float:
    return float(weights.astype(np.float64).cumsum()[-1]) if len(weights) else 0.0
