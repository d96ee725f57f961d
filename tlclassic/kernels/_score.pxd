"""Texts for other kernels that read them where they lie."""

from libc.stdint cimport int64_t

cdef extern from "arrow.h" nogil:
    ctypedef struct ArrowArray "struct ArrowArray":
        int64_t length
        void (*release)(ArrowArray *) noexcept nogil

cdef extern from "ngrams.h" nogil:
    ctypedef struct tlc_text:
        const void *data
        size_t n
        int kind

cdef enum Layout:
    OBJECTS
    CODE_POINTS
    BYTES
    ARROW


cdef class Texts:
    cdef object source
    cdef Layout layout
    cdef Py_ssize_t n
    cdef const char *base
    cdef Py_ssize_t stride, width
    cdef ArrowArray *chunks
    cdef int64_t *begins
    cdef Py_ssize_t n_chunks
    cdef int arrow_layout

    cdef _read_stream(self, capsule)
    cdef _read_array(self, schema_capsule, array_capsule)
    cdef _add_chunk(self, ArrowArray *chunk)
    cdef fill(self, Py_ssize_t start, Py_ssize_t stop, tlc_text *views)
    cdef _fill_objects(self, Py_ssize_t start, Py_ssize_t stop, tlc_text *views)
    cdef void _fill_code_points(self, Py_ssize_t i, tlc_text *view) noexcept
    cdef void _fill_bytes(self, Py_ssize_t i, tlc_text *view) noexcept
    cdef int _fill_arrow(self, Py_ssize_t i, tlc_text *view) except -1
