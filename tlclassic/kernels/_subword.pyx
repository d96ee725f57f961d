# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Buckets of a word's character n-grams, as in fastText. Plain twin: _subword_plain.py.

Design: hashing is here, adding rows up is the business of the pooling kernel; between the two, a pruned table can map
buckets to rows. Consecutive n-grams from one start share a prefix, so each hash is the one before plus one character.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t

import numpy as np

cdef uint32_t FNV_OFFSET = 2166136261
cdef uint32_t FNV_PRIME = 16777619


cdef inline uint8_t _byte(const uint8_t *word, int64_t size, int64_t at) noexcept nogil:
    """Byte ``at`` of the word in angle brackets, of ``size + 2`` bytes."""
    if at == 0:
        return 60  # <
    return 62 if at == size + 1 else word[at - 1]  # >


cdef inline bint _is_end_of_sentence(const uint8_t *word, int64_t size) noexcept nogil:
    return size == 4 and word[0] == 60 and word[1] == 47 and word[2] == 115 and word[3] == 62  # </s>


cdef int64_t _ngrams(
    const uint8_t *word, int64_t size, int min_n, int max_n, uint32_t bucket, int32_t *out
) noexcept nogil:
    """The number of n-grams of a word; their buckets go to ``out`` unless it is NULL."""
    cdef int64_t total = size + 2, start, at, found = 0
    cdef int n
    cdef uint32_t hash
    if _is_end_of_sentence(word, size):
        return 0
    for start in range(total):
        if _byte(word, size, start) & 0xC0 == 0x80:
            continue
        hash = FNV_OFFSET
        at = start
        n = 0
        while at < total and n < max_n:
            # One character: a byte and the continuation bytes after it. fastText's bytes are signed.
            hash = (hash ^ <uint32_t><int8_t>_byte(word, size, at)) * FNV_PRIME
            at += 1
            while at < total and _byte(word, size, at) & 0xC0 == 0x80:
                hash = (hash ^ <uint32_t><int8_t>_byte(word, size, at)) * FNV_PRIME
                at += 1
            n += 1
            if n >= min_n and not (n == 1 and (start == 0 or at == total)):
                if out != NULL:
                    out[found] = <int32_t>(hash % bucket)
                found += 1
    return found


def hash_ngrams(const uint8_t[::1] words, const int64_t[::1] offsets, int min_n, int max_n, int64_t bucket):
    """The buckets of the character n-grams of each word.

    Parameters
    ----------
    words : uint8 array
        The words' UTF-8 bytes, end to end.
    offsets : int64 array of shape (n_words + 1,)
        Word i is ``words[offsets[i]:offsets[i + 1]]``.
    min_n, max_n : int
        Lengths of the n-grams in characters, both included, the brackets counted.
    bucket : int
        Number of buckets.

    Returns
    -------
    buckets : int32 array of shape (n_ngrams,)
    indptr : int64 array of shape (n_words + 1,)
        Word i has ``buckets[indptr[i]:indptr[i + 1]]``.

    Raises
    ------
    ValueError
        When ``bucket`` is outside 1 .. 2**31 - 1 or the offsets do not fit the bytes.
    """
    cdef int64_t n_words = offsets.shape[0] - 1, i
    if not 1 <= bucket < 1 << 31:
        raise ValueError(f"bucket must lie in 1 .. 2147483647; got {bucket}")
    if n_words < 0 or offsets[0] < 0 or offsets[n_words] > words.shape[0]:
        raise ValueError(f"offsets must lie in 0 .. {words.shape[0]}")
    indptr_array = np.zeros(n_words + 1, dtype=np.int64)
    cdef int64_t[::1] indptr = indptr_array
    cdef const uint8_t *base = &words[0] if words.shape[0] else NULL
    for i in range(n_words):
        if offsets[i] > offsets[i + 1]:
            raise ValueError(f"offsets must not decrease; they do at {i + 1}")
    with nogil:
        for i in range(n_words):
            indptr[i + 1] = indptr[i] + _ngrams(
                base + offsets[i], offsets[i + 1] - offsets[i], min_n, max_n, <uint32_t>bucket, NULL
            )
    buckets_array = np.empty(indptr[n_words], dtype=np.int32)
    cdef int32_t[::1] buckets = buckets_array
    if buckets.shape[0]:
        with nogil:
            for i in range(n_words):
                # A word without n-grams must not take the address of what may be the array's end.
                if indptr[i] < indptr[i + 1]:
                    _ngrams(
                        base + offsets[i], offsets[i + 1] - offsets[i], min_n, max_n, <uint32_t>bucket,
                        &buckets[indptr[i]],
                    )
    return buckets_array, indptr_array
