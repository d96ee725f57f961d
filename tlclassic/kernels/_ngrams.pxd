"""The n-grams of a text for other kernels: inline C, see ngrams.h. No lock of the interpreter is needed."""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "ngrams.h" nogil:
    int TLC_UTF8, TLC_UCS1, TLC_UCS2, TLC_UCS4, TLC_ASCII
    ctypedef struct tlc_options:
        int word_lo, word_hi
        int char_lo, char_hi
        int bits
        int fold, keep_punctuation
    ctypedef struct tlc_text:
        const void *data
        size_t n
        int kind
    ctypedef struct tlc_scratch:
        uint32_t *word
        uint32_t *chars
        size_t n_word, n_chars
        void *unicode
        void (*free_unicode)(void *) noexcept nogil
    int tlc_ngrams(
        const tlc_options *options, const tlc_text *texts, size_t n, tlc_scratch *scratch, int64_t *word_ends,
        int64_t *char_ends
    )
    void tlc_scratch_free(tlc_scratch *scratch)
