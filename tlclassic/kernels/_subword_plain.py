"""Plain twin of ``_subword.pyx``: n-grams cut and hashed one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_FNV_OFFSET, _FNV_PRIME, _WORD = 2166136261, 16777619, 0xFFFFFFFF


def _hash(ngram: bytes) -> int:
    value = _FNV_OFFSET
    for byte in ngram:
        # fastText's bytes are signed: one above 127 fills the upper 24 bits with ones.
        value = (value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * _FNV_PRIME & _WORD
    return value


def _ngrams(word: bytes, min_n: int, max_n: int) -> Iterator[bytes]:
    if word == b"</s>":
        return
    word = b"<" + word + b">"
    starts = [at for at, byte in enumerate(word) if byte & 0xC0 != 0x80]
    ends = [*starts[1:], len(word)]
    for first, start in enumerate(starts):
        for n, end in enumerate(ends[first : first + max_n], start=1):
            if n >= min_n and not (n == 1 and (start == 0 or end == len(word))):
                yield word[start:end]


def hash_ngrams(
    words: NDArray[np.uint8], offsets: NDArray[np.int64], min_n: int, max_n: int, bucket: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The buckets of the character n-grams of each word; see the compiled twin for the parameters."""
    if not 1 <= bucket < 1 << 31:
        raise ValueError(f"bucket must lie in 1 .. 2147483647; got {bucket}")
    if len(offsets) < 1 or offsets[0] < 0 or offsets[-1] > len(words):
        raise ValueError(f"offsets must lie in 0 .. {len(words)}")
    if (falls := np.flatnonzero(np.diff(offsets) < 0)).size:
        raise ValueError(f"offsets must not decrease; they do at {falls[0] + 1}")
    blob, bounds = words.tobytes(), offsets.tolist()
    buckets: list[int] = []
    indptr = [0]
    for start, end in itertools.pairwise(bounds):
        buckets.extend(_hash(ngram) % bucket for ngram in _ngrams(blob[start:end], min_n, max_n))
        indptr.append(len(buckets))
    return np.array(buckets, dtype=np.int32), np.array(indptr, dtype=np.int64)
