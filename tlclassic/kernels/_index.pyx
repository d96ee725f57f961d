# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Word index: from a UTF-8 word to its row. Layout and hash: see wordindex.h; plain twin: _index_plain.py."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

import numpy as np

from tlclassic.kernels._index_plain import check_words


def build_slots(const uint8_t[::1] words, const int64_t[::1] offsets, uint64_t n_slots):
    """The hash table of the words, and the rows whose word had occurred before.

    Parameters
    ----------
    words : uint8 array
        The words' UTF-8 bytes, end to end.
    offsets : int64 array of shape (n_words + 1,)
        Word i is ``words[offsets[i]:offsets[i + 1]]``.
    n_slots : int
        A power of two above n_words.

    Returns
    -------
    slots : uint64 array of shape (n_slots,)
    duplicates : int64 array
        Rows left out because an earlier row has the same word.

    Raises
    ------
    ValueError
        When n_slots is not a power of two above n_words, or the offsets do not cut ``words`` in order.
    """
    check_words(np.asarray(words), np.asarray(offsets), n_slots)
    cdef int64_t n_words = offsets.shape[0] - 1
    slots_array = np.zeros(n_slots, dtype=np.uint64)
    duplicates_array = np.zeros(n_words, dtype=np.int64)
    cdef uint64_t[::1] slots = slots_array
    cdef int64_t[::1] duplicates = duplicates_array
    cdef int64_t n_duplicates = 0, row
    cdef uint64_t mask = n_slots - 1, hash, place
    cdef tlc_index view
    cdef const uint8_t *base = &words[0] if words.shape[0] else NULL
    if n_words == 0:
        return slots_array, duplicates_array
    view.slots = &slots[0]
    view.mask = mask
    view.words = base
    view.words_size = words.shape[0]
    view.offsets = &offsets[0]
    view.n_words = n_words
    with nogil:
        for row in range(n_words):
            hash = tlc_hash(base + offsets[row], <size_t>(offsets[row + 1] - offsets[row]))
            if tlc_find_hashed(&view, base + offsets[row], <size_t>(offsets[row + 1] - offsets[row]), hash) >= 0:
                duplicates[n_duplicates] = row
                n_duplicates += 1
                continue
            place = hash & mask
            while slots[place] != 0:
                place = (place + 1) & mask
            slots[place] = ((hash >> 32) << 32) | <uint64_t>(row + 1)
    return slots_array, duplicates_array[:n_duplicates].copy()


cdef class WordIndex:
    """From words to rows, over three arrays that may be mapped from a file.

    Parameters
    ----------
    slots : uint64 array
        As from :func:`build_slots`; its length is a power of two.
    words : uint8 array
    offsets : int64 array of shape (n_words + 1,)
    """

    # __cinit__ and not __init__: an object made without it would hold null pointers.
    def __cinit__(self, const uint64_t[::1] slots, const uint8_t[::1] words, const int64_t[::1] offsets):
        if slots.shape[0] < 1 or slots.shape[0] & (slots.shape[0] - 1):
            raise ValueError(f"the number of slots must be a power of two; got {slots.shape[0]}")
        if offsets.shape[0] < 1:
            raise ValueError("offsets must hold at least one number")
        self.slots = np.asarray(slots)
        self.words = np.asarray(words)
        self.offsets = np.asarray(offsets)
        self.view.slots = &slots[0]
        self.view.mask = slots.shape[0] - 1
        self.view.words = &words[0] if words.shape[0] else NULL
        self.view.words_size = words.shape[0]
        self.view.offsets = &offsets[0]
        self.view.n_words = offsets.shape[0] - 1

    def __len__(self):
        return self.view.n_words

    def find(self, bytes word not None):
        """The row of ``word`` (UTF-8 bytes), or -1."""
        return tlc_find(&self.view, <const uint8_t *>PyBytes_AS_STRING(word), <size_t>PyBytes_GET_SIZE(word))

    def find_many(self, words):
        """The rows of a sequence of ``str`` or UTF-8 ``bytes``, -1 where unknown; int64 of shape (n,)."""
        # A tuple of our own: its length is what it says and stays so.
        words = tuple(words)
        rows_array = np.empty(len(words), dtype=np.int64)
        cdef int64_t[::1] rows = rows_array
        cdef int64_t i = 0
        cdef bytes raw
        for word in words:
            raw = word if isinstance(word, bytes) else (<str?>word).encode("utf-8", "surrogatepass")
            rows[i] = tlc_find(&self.view, <const uint8_t *>PyBytes_AS_STRING(raw), <size_t>PyBytes_GET_SIZE(raw))
            i += 1
        return rows_array
