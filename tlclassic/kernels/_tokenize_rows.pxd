"""From the bounds of tokens to rows of a word index, with the unknown tokens noted.

Design: tokens are hashed in batches and the slots they will be looked for in are fetched ahead, so that a large index
costs its memory bandwidth and not its latency. Inline functions only. Plain twin: lookup in _tokenize_plain.py.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from tlclassic.kernels._index cimport tlc_find, tlc_find_hashed, tlc_hash, tlc_index
from tlclassic.kernels._tokenize_normalise cimport normalise, resolve_sigmas
from tlclassic.kernels._tokenize_scan cimport Bound
from tlclassic.kernels._tokenize_unicode cimport Normal, Tables, Text, decode, reserve

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define TLC_PREFETCH(p) __builtin_prefetch(p)
    #else
    #define TLC_PREFETCH(p) ((void)(p))
    #endif
    """
    void TLC_PREFETCH(const void *p) nogil

cdef extern from "wordindex.h" nogil:
    uint64_t TLC_K0, TLC_K1, TLC_K2
    uint64_t tlc_mix(uint64_t a, uint64_t b)
    uint64_t tlc_load64(const uint8_t *p)

cdef enum:
    BATCH = 32  # tokens hashed, their slots fetched ahead, before the first is looked up


cdef struct Rows:
    int32_t *rows
    Py_ssize_t n
    Py_ssize_t room
    # Unknown tokens: their places in rows, where each ends in the bytes, and the bytes end to end.
    bint wants_unknown
    int64_t *unknown_at
    Py_ssize_t *unknown_end
    Py_ssize_t n_unknown
    Py_ssize_t room_unknown
    uint8_t *unknown_bytes
    Py_ssize_t room_bytes
    # For the lower-cased form of a token.
    bint lower_fallback
    int lowering
    Normal lowered
    uint32_t *codes
    Py_ssize_t room_codes


cdef inline void *more_room(void *memory, Py_ssize_t *room, Py_ssize_t needed, size_t size) noexcept nogil:
    """``memory`` with room for ``needed`` items, or NULL, which leaves it as it is."""
    cdef Py_ssize_t wished = needed + (needed >> 1) + 64
    cdef void *more = realloc(memory, wished * size)
    if more != NULL:
        room[0] = wished
    return more


cdef inline uint64_t hash_token(const uint8_t *p, size_t n, const uint8_t *limit) noexcept nogil:
    """tlc_hash, its tail read in one go where the bytes after it may be read."""
    cdef uint64_t h = <uint64_t>n * TLC_K0
    if p + n + 8 > limit:
        return tlc_hash(p, n)
    while n >= 8:
        h = tlc_mix(h ^ tlc_load64(p), TLC_K1) + TLC_K0
        p += 8
        n -= 8
    h = tlc_mix(h ^ (tlc_load64(p) & ((<uint64_t>1 << (8 * n)) - 1)), TLC_K2)
    return tlc_mix(h ^ TLC_K0, TLC_K1)


cdef inline int64_t find_lowered(
    Rows *out, const Tables *t, const tlc_index *index, const uint8_t *p, Py_ssize_t n
) noexcept nogil:
    """The row of the lower-cased token; -1 if unknown, -2 without memory."""
    cdef Py_ssize_t i = 0, n_codes = 0
    cdef int size = 1
    cdef Text view
    cdef void *more
    if n > out.room_codes:
        more = more_room(out.codes, &out.room_codes, n, sizeof(uint32_t))
        if more == NULL:
            return -2
        out.codes = <uint32_t *>more
    while i < n:
        out.codes[n_codes] = decode(p + i, &size)
        n_codes += 1
        i += size
    view.data = out.codes
    view.width = 4
    view.ascii = False
    view.n = n_codes
    normalise(t, &view, 0, n_codes, out.lowering, &out.lowered)
    if out.lowered.failed or not reserve(&out.lowered, out.lowered.n + 8):
        return -2
    if out.lowered.has_sigma:
        resolve_sigmas(t, &out.lowered)
    return tlc_find(index, out.lowered.bytes, out.lowered.n)


cdef inline bint note_unknown(Rows *out, const uint8_t *p, Py_ssize_t n) noexcept nogil:
    """Remember the token that is about to be added; false without memory."""
    cdef Py_ssize_t used = out.unknown_end[out.n_unknown - 1] if out.n_unknown else 0
    cdef Py_ssize_t room = out.room_unknown
    cdef void *more
    if out.n_unknown == room:
        more = more_room(out.unknown_at, &room, out.n_unknown + 1, sizeof(int64_t))
        if more == NULL:
            return False
        out.unknown_at = <int64_t *>more
        more = more_room(out.unknown_end, &room, out.n_unknown + 1, sizeof(Py_ssize_t))
        if more == NULL:
            return False
        out.unknown_end = <Py_ssize_t *>more
        out.room_unknown = room
    if used + n > out.room_bytes:
        more = more_room(out.unknown_bytes, &out.room_bytes, used + n, 1)
        if more == NULL:
            return False
        out.unknown_bytes = <uint8_t *>more
    memcpy(out.unknown_bytes + used, p, n)
    out.unknown_at[out.n_unknown] = out.n
    out.unknown_end[out.n_unknown] = used + n
    out.n_unknown += 1
    return True


cdef inline bint add_rows(
    Rows *out, const Tables *t, const uint8_t *bytes, const uint8_t *limit, const Bound *at, Py_ssize_t n,
    const tlc_index *index
) noexcept nogil:
    """The rows of ``n`` tokens of ``bytes``, which may be read up to ``limit``; false without memory."""
    cdef uint64_t hashes[BATCH]
    cdef Py_ssize_t first = 0, k, n_batch, length
    cdef int64_t row
    cdef const uint8_t *token
    cdef void *more
    if out.n + n > out.room:
        more = more_room(out.rows, &out.room, out.n + n, sizeof(int32_t))
        if more == NULL:
            return False
        out.rows = <int32_t *>more
    while first < n:
        n_batch = min(BATCH, n - first)
        for k in range(n_batch):
            hashes[k] = hash_token(bytes + at[first + k].start, at[first + k].end - at[first + k].start, limit)
            TLC_PREFETCH(&index.slots[hashes[k] & index.mask])
        for k in range(n_batch):
            token = bytes + at[first + k].start
            length = at[first + k].end - at[first + k].start
            row = tlc_find_hashed(index, token, length, hashes[k])
            if row < 0:
                if out.lower_fallback:
                    row = find_lowered(out, t, index, token, length)
                    if row == -2:
                        return False
                if row < 0 and out.wants_unknown and not note_unknown(out, token, length):
                    return False
            out.rows[out.n] = <int32_t>row
            out.n += 1
        first += n_batch
    return True


cdef inline void free_rows(Rows *out) noexcept nogil:
    free(out.rows)
    free(out.unknown_at)
    free(out.unknown_end)
    free(out.unknown_bytes)
    free(out.lowered.bytes)
    free(out.lowered.first.at)
    free(out.lowered.second.at)
    free(out.codes)
