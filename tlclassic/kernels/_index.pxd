from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from "wordindex.h" nogil:
    ctypedef struct tlc_index:
        const uint64_t *slots
        uint64_t mask
        const uint8_t *words
        int64_t words_size
        const int64_t *offsets
        int64_t n_words

    uint64_t tlc_hash(const uint8_t *p, size_t n)
    int64_t tlc_find(const tlc_index *index, const uint8_t *p, size_t n)
    int64_t tlc_find_hashed(const tlc_index *index, const uint8_t *p, size_t n, uint64_t hash)


cdef class WordIndex:
    cdef tlc_index view
    # Keep the buffers alive for as long as the view points into them.
    cdef readonly object slots
    cdef readonly object words
    cdef readonly object offsets
