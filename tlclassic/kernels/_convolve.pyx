# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A convolution over the words of texts and the maximum over each. Twin: _convolve_plain.py.

Inner loops: convolve.h; the way from texts to logits: convolve_text.h.

Texts are independent of each other: one text gives the same bits as that text in a batch.
"""

from libc.stdint cimport INT32_MAX, int8_t, int16_t, int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

import numpy as np

from tlclassic.kernels._convolve_codes import check_hidden, in_codes
from tlclassic.kernels._score cimport Texts, tlc_text

cdef extern from "convolve.h" nogil:
    const int TLC_LANES, TLC_AHEAD
    void tlc_rows_of(
        const uint32_t *buckets, int64_t n, const uint64_t *bitmap, const uint32_t *ranks, int32_t *rows)
    void tlc_windows_float32(
        float *best, int32_t *at, float *sum, const float *const *rows, int64_t n_windows, int64_t width,
        int64_t filters)
    void tlc_activate_int8(float *out, const int16_t *best, const float *scales, const float *bias, int64_t filters)
    void tlc_activate_float32(float *out, const float *best, const float *bias, int64_t filters)
    void tlc_add_products(
        double *out, const float *x, const float *weights, int64_t n_outputs, int64_t filters)
    int64_t tlc_stride(int64_t n_outputs)
    uint32_t tlc_bits(uint64_t x)

cdef extern from "convolve_levels.h" nogil:
    ctypedef struct tlc_convolve_level:
        const char *name
        void (*windows)(
            int16_t *best, const int8_t *const *rows, int64_t n_rows, int64_t width, int64_t filters) noexcept nogil
        int (*works)() noexcept nogil
    const tlc_convolve_level *tlc_convolve_levels
    int tlc_n_convolve_levels
    int tlc_windows_are_bytes(
        const int8_t *table, int64_t n_rows, int64_t row_bytes, int64_t width, int64_t filters)

cdef extern from "convolve_text.h" nogil:
    ctypedef struct tlc_options:
        int word_lo, word_hi, char_lo, char_hi, bits, fold, keep_punctuation
    ctypedef struct tlc_known:
        pass
    int tlc_known_init(tlc_known *k, const uint64_t *bitmap, int64_t n, int64_t n_known)
    void tlc_known_free(tlc_known *k)
    ctypedef struct tlc_convolution:
        tlc_options options
        tlc_known known
        const char *table
        int64_t n_rows, row_bytes, width, filters, sums, hidden, n_outputs
        const float *scales
        const float *bias
        const float *weights
        const float *hidden_weights
        const float *hidden_bias
        const int16_t *hidden_codes
        const int16_t *code_bias
        const float *hidden_scales
        int bytes
    ctypedef struct tlc_convolve_work:
        pass
    int tlc_convolve_init(tlc_convolve_work *w, const tlc_convolution *c, size_t n_texts)
    void tlc_convolve_free(tlc_convolve_work *w)
    int tlc_convolve(
        const tlc_convolution *c, const tlc_convolve_level *level, const tlc_text *texts, size_t n,
        tlc_convolve_work *w, double *out)

#: The widest window: sums of that many int8 fit in int16.
MAX_WIDTH = 8
#: Texts that are read and then scored at a time: what is known of their words stays in the cache.
cdef enum:
    PIECE = 512

cdef int chosen = 0


def levels():
    """Names of the ways of this processor to add up windows of int8, slowest first; the results are the same."""
    return [
        tlc_convolve_levels[i].name.decode() for i in range(tlc_n_convolve_levels) if tlc_convolve_levels[i].works()
    ]


def set_level(name):
    """Use the one of that name, for tests."""
    global chosen
    if name not in levels():
        raise ValueError(f"this processor has no level {name!r}")
    for i in range(tlc_n_convolve_levels):
        if tlc_convolve_levels[i].name.decode() == name:
            chosen = i


set_level(levels().pop())


cdef _check_table(table, Py_ssize_t filters, Py_ssize_t sums=0):
    if table.ndim != 2 or not table.flags.c_contiguous or table.dtype not in (np.float32, np.int8):
        raise ValueError("table must be a C-contiguous matrix of float32 or int8")
    if sums < 0 or sums % TLC_LANES or sums > table.shape[1]:
        raise ValueError("sums must be a multiple of 16, or 0")
    if not filters or filters % TLC_LANES or (table.shape[1] - sums) % filters or not len(table):
        raise ValueError("the table's columns but for the sums must be a multiple of the filters, and those one of 16")
    if not 1 <= (table.shape[1] - sums) // filters <= MAX_WIDTH:
        raise ValueError("windows must be of 1 to 8 words")
    if len(table) > INT32_MAX:
        raise ValueError("the table has too many rows")


cdef class _Room:
    """Memory for one text after the other, and the table that its rows are in."""

    cdef const char *table
    cdef int64_t row_bytes, n_rows, width, filters, room
    cdef const char **rows
    cdef char *nothing
    cdef int16_t *codes
    cdef float *best
    cdef float *sums
    cdef int32_t *at
    cdef object held

    def __cinit__(self, table, Py_ssize_t filters):
        _check_table(table, filters)
        self.width, self.filters, self.n_rows = table.shape[1] // filters, filters, len(table)
        self.held = table
        self.table = <const char *><size_t>table.ctypes.data
        self.row_bytes = table.shape[1] * table.dtype.itemsize
        self.nothing = <char *>calloc(1, self.row_bytes)
        self.codes = <int16_t *>calloc(filters, sizeof(int16_t))
        self.best = <float *>calloc(filters, sizeof(float))
        self.sums = <float *>calloc(filters, sizeof(float))
        self.at = <int32_t *>calloc(filters, sizeof(int32_t))
        if self.nothing == NULL or self.codes == NULL or self.best == NULL or self.sums == NULL or self.at == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.rows)
        free(self.nothing)
        free(self.codes)
        free(self.best)
        free(self.sums)
        free(self.at)

    cdef int make_room(self, const int64_t[::1] indptr) except -1:
        """For the rows of the longest text, those before and after it, and those to fetch."""
        cdef int64_t most = 0, i
        for i in range(indptr.shape[0] - 1):
            most = max(most, indptr[i + 1] - indptr[i])
        most += 2 * self.width + TLC_AHEAD
        cdef void *grown = realloc(self.rows, most * sizeof(void *))
        if grown == NULL:
            raise MemoryError
        self.rows = <const char **>grown
        return 0

    cdef int64_t fill(self, const int32_t *words, int64_t n) noexcept nogil:
        """The addresses of a text's rows, nothing before and after; the number of windows."""
        cdef int64_t pad = self.width - 1, i
        cdef int32_t row
        for i in range(pad):
            self.rows[i] = self.nothing
        for i in range(pad + 1 + TLC_AHEAD):
            self.rows[pad + n + i] = self.nothing
        if n == 0:
            return 1
        for i in range(n):
            row = words[i]
            self.rows[pad + i] = self.table + (row if row >= 0 else self.n_rows - 1) * self.row_bytes
        return n + pad


cdef int _check(_Room room, const int32_t[::1] rows, const int64_t[::1] indptr, Py_ssize_t n_texts) except -1:
    cdef Py_ssize_t i
    if indptr.shape[0] != n_texts + 1 or indptr[0] != 0 or indptr[n_texts] != rows.shape[0]:
        raise ValueError("indptr must cut rows into as many texts as there are")
    for i in range(n_texts):
        if indptr[i] > indptr[i + 1]:
            raise ValueError("indptr must not fall")
    for i in range(rows.shape[0]):
        if rows[i] >= room.n_rows:
            raise ValueError("rows must be below the number of rows of the table")
    return room.make_room(indptr)


cdef _activations(
    _Room room, const int32_t[::1] rows, const int64_t[::1] indptr, const float[::1] scales, const float[::1] bias,
    float *out, double *logits, const float *weights, int64_t n_outputs,
):
    """Of each text: its features into ``out``, or (``out`` NULL) their products with ``weights`` added to ``logits``."""
    cdef Py_ssize_t i, n_texts = indptr.shape[0] - 1
    cdef int64_t n_windows
    cdef bint codes = scales is not None
    cdef const float *scale = NULL
    cdef float *x
    cdef const int32_t *words = &rows[0] if rows.shape[0] else NULL
    if bias.shape[0] != room.filters or (codes and scales.shape[0] != room.filters):
        raise ValueError("bias and scales must have one number a filter")
    if codes != (room.held.dtype == np.int8):
        raise ValueError("scales are of a table of int8")
    if codes:
        scale = &scales[0]
    with nogil:
        for i in range(n_texts):
            n_windows = room.fill(words + indptr[i], indptr[i + 1] - indptr[i])
            x = out + i * room.filters if out != NULL else room.sums
            if codes:
                tlc_convolve_levels[chosen].windows(
                    room.codes, <const int8_t *const *>(room.rows + room.width - 1), indptr[i + 1] - indptr[i],
                    room.width, room.filters)
                tlc_activate_int8(x, room.codes, scale, &bias[0], room.filters)
            else:
                tlc_windows_float32(
                    room.best, room.at, room.sums, <const float *const *>room.rows, n_windows, room.width,
                    room.filters)
                tlc_activate_float32(x, room.best, &bias[0], room.filters)
            if out == NULL:
                tlc_add_products(logits + i * n_outputs, x, weights, n_outputs, room.filters)


def rows_of(const uint32_t[::1] buckets not None, const uint64_t[::1] bitmap not None, const uint32_t[::1] ranks not None):
    """See _convolve_plain.py."""
    cdef Py_ssize_t n = buckets.shape[0], i
    cdef uint64_t size = <uint64_t>bitmap.shape[0] * 64
    found = np.empty(n, dtype=np.int32)
    cdef int32_t[::1] rows = found
    if ranks.shape[0] != bitmap.shape[0] + 1:
        raise ValueError("ranks must have one number more than bitmap has words")
    for i in range(n):
        if buckets[i] >= size:
            raise ValueError("buckets must be below the number of bits of the map")
    if n:
        with nogil:
            tlc_rows_of(&buckets[0], n, &bitmap[0], &ranks[0], &rows[0])
    return found


def add_convolved(
    double[:, ::1] out not None, const int32_t[::1] rows not None, const int64_t[::1] indptr not None, table,
    scales, const float[::1] bias not None, const float[:, ::1] weights not None,
):
    """See _convolve_plain.py."""
    cdef _Room room = _Room(table, bias.shape[0])
    cdef const float[::1] padded
    _check(room, rows, indptr, out.shape[0])
    if weights.shape[0] != room.filters or weights.shape[1] != out.shape[1]:
        raise ValueError("weights must be of shape (filters, n_outputs)")
    if out.shape[0] and out.shape[1]:
        padded = _padded(weights)
        _activations(room, rows, indptr, scales, bias, NULL, &out[0, 0], &padded[0], out.shape[1])


cdef _padded(const float[:, ::1] weights):
    """Each block's weights together, filter after filter, in whole blocks, as tlc_add_products reads them."""
    cdef int64_t filters = weights.shape[0], n_outputs = weights.shape[1]
    cdef int64_t stride = tlc_stride(n_outputs), start = 0, size
    room = np.zeros(filters * stride + 15, dtype=np.float32)
    # From a cache line on, so that no block lies in two.
    room = room[(-room.ctypes.data // 4) % 16 :][: filters * stride]
    while start < stride:
        size = min(stride - start, 16 if stride - start >= 16 else 8)
        own = np.asarray(weights)[:, start : start + size]
        room[start * filters : (start + size) * filters].reshape(filters, size)[:, : own.shape[1]] = own
        start += size
    return room


cdef _paired(weights):
    """As tlc_hidden_portable reads them."""
    features, hidden = weights.shape
    pairs = weights.reshape(features // 2, 2, hidden // 16, 16)
    return np.ascontiguousarray(pairs.transpose(2, 0, 3, 1)).ravel()


cdef class Convolution:
    """Adds what texts weigh; see _convolve_plain.py."""

    cdef tlc_convolution c
    cdef object held

    def __cinit__(
        self, int bits, const uint64_t[::1] bitmap not None, table, const float[::1] scales,
        const float[::1] bias not None, const float[:, ::1] weights not None, hidden_weights=None,
        const float[::1] hidden_bias=None, const float[::1] hidden_scales=None, Py_ssize_t sums=0,
    ):
        cdef int64_t n_known = 0, i, n_features = bias.shape[0] + sums, n_shown = n_features
        cdef const float[::1] padded, hidden
        cdef const int16_t[::1] codes, code_bias
        _check_table(table, bias.shape[0], sums)
        if not 1 <= bits <= 31 or bitmap.shape[0] > 1 << 25 or bitmap.shape[0] * 64 < (<int64_t>1) << bits:
            raise ValueError("the map must have a bit for each bucket, of 1 to 31 bits")
        for i in range(bitmap.shape[0]):
            n_known += tlc_bits(bitmap[i])
        if n_known >= len(table):
            raise ValueError("the table must have a row for each bit of the map and one more")
        if (scales is not None) != (table.dtype == np.int8):
            raise ValueError("scales are of a table of int8")
        if (hidden_weights is None) != (hidden_bias is None):
            raise ValueError("a hidden layer has weights and bias")
        if hidden_weights is not None:
            n_shown = hidden_bias.shape[0]
            if not n_shown or n_shown % TLC_LANES:
                raise ValueError("a hidden layer has a multiple of 16 units")
            if hidden_weights.shape != (n_features, n_shown):
                raise ValueError("the hidden layer's weights must be of shape (filters + sums, hidden)")
            check_hidden(hidden_weights, hidden_scales, table)
        if weights.shape[0] != n_shown or (scales is not None and scales.shape[0] != n_features):
            raise ValueError(
                "scales and weights must be those of filters and sums, or weights those of the hidden layer")
        if not weights.shape[1]:
            raise ValueError("weights must be of one output or more")
        padded = _padded(weights)
        self.held = table, scales, bias, padded
        if hidden_weights is not None:
            self.held += hidden_bias,
            self.c.hidden, self.c.hidden_bias = n_shown, &hidden_bias[0]
            if hidden_scales is None:
                hidden = _padded(hidden_weights)
                self.held += hidden,
                self.c.hidden_weights = &hidden[0]
            else:
                codes, code_bias = _paired(hidden_weights), in_codes(np.asarray(bias), np.asarray(scales))
                self.held += codes, code_bias, hidden_scales
                self.c.hidden_codes, self.c.code_bias = &codes[0], &code_bias[0]
                self.c.hidden_scales = &hidden_scales[0]
        self.c.options.word_lo = self.c.options.word_hi = self.c.options.fold = self.c.options.keep_punctuation = 1
        self.c.options.bits = bits
        self.c.table, self.c.row_bytes = <const char *><size_t>table.ctypes.data, table.shape[1] * table.dtype.itemsize
        self.c.n_rows, self.c.filters, self.c.n_outputs = len(table), bias.shape[0], weights.shape[1]
        self.c.width, self.c.sums = (table.shape[1] - sums) // bias.shape[0], sums
        if scales is not None:
            self.c.scales = &scales[0]
        self.c.bias, self.c.weights = &bias[0], &padded[0]
        if self.c.hidden_codes != NULL:
            self.c.bytes = tlc_windows_are_bytes(
                <const int8_t *>self.c.table, self.c.n_rows, self.c.row_bytes, self.c.width, self.c.filters)
            if self.c.bytes < 0:
                raise MemoryError
        if tlc_known_init(&self.c.known, &bitmap[0], bitmap.shape[0], n_known) != 0:
            raise MemoryError

    def __dealloc__(self):
        tlc_known_free(&self.c.known)

    def add(self, Texts texts not None, Py_ssize_t start, Py_ssize_t stop, double[:, ::1] out not None):
        """See _convolve_plain.py."""
        cdef tlc_convolve_work work
        cdef tlc_text[PIECE] views
        cdef Py_ssize_t at, n
        cdef int failed
        if not 0 <= start <= stop <= texts.n:
            raise ValueError(f"no texts from {start} to {stop}")
        if out.shape[0] != stop - start or out.shape[1] != self.c.n_outputs:
            raise ValueError("out must be of shape (stop - start, n_outputs)")
        failed = tlc_convolve_init(&work, &self.c, PIECE)
        try:
            for at in range(start, stop, PIECE):
                n = min(PIECE, stop - at)
                held = texts.fill(at, at + n, views)
                if not failed:
                    with nogil:
                        failed = tlc_convolve(
                            &self.c, &tlc_convolve_levels[chosen], views, n, &work, &out[at - start, 0])
                if failed:
                    raise MemoryError
        finally:
            tlc_convolve_free(&work)


def features(
    const int32_t[::1] rows not None, const int64_t[::1] indptr not None, table, scales, const float[::1] bias not None,
    float[:, ::1] out not None,
):
    """See _convolve_plain.py."""
    cdef _Room room = _Room(table, bias.shape[0])
    _check(room, rows, indptr, out.shape[0])
    if out.shape[1] != room.filters:
        raise ValueError("out must be of shape (n_texts, filters)")
    if out.shape[0]:
        _activations(room, rows, indptr, scales, bias, &out[0, 0], NULL, NULL, 0)


def forward(
    const int32_t[::1] rows not None, const int64_t[::1] indptr not None, table, float[:, ::1] best not None,
    int32_t[:, ::1] at not None,
):
    """See _convolve_plain.py."""
    cdef Py_ssize_t i, n_texts = best.shape[0]
    cdef int64_t n_windows
    cdef _Room room = _Room(table, best.shape[1])
    cdef const int32_t *words = &rows[0] if rows.shape[0] else NULL
    _check(room, rows, indptr, n_texts)
    if table.dtype != np.float32 or at.shape[0] != n_texts or at.shape[1] != best.shape[1]:
        raise ValueError("the table must be float32, and at of the shape of best")
    with nogil:
        for i in range(n_texts):
            n_windows = room.fill(words + indptr[i], indptr[i + 1] - indptr[i])
            tlc_windows_float32(
                &best[i, 0], &at[i, 0], room.sums, <const float *const *>room.rows, n_windows, room.width,
                room.filters)


def backward(
    const float[:, ::1] gradient not None, const int32_t[:, ::1] at not None, const int32_t[::1] rows not None,
    const int64_t[::1] indptr not None, float[:, ::1] out not None,
):
    """See _convolve_plain.py."""
    cdef Py_ssize_t n_texts = gradient.shape[0], filters = gradient.shape[1], i, j
    cdef int64_t width, start, n, place, o, row, last = out.shape[0] - 1
    cdef float slope
    cdef _Room room = _Room(np.asarray(out), filters)
    _check(room, rows, indptr, n_texts)
    if at.shape[0] != n_texts or at.shape[1] != filters:
        raise ValueError("at must be of the shape of gradient")
    width = room.width
    with nogil:
        for i in range(n_texts):
            start, n = indptr[i], indptr[i + 1] - indptr[i]
            for j in range(filters):
                slope = gradient[i, j]
                if slope == 0.0:
                    continue
                for o in range(width):
                    place = at[i, j] - (width - 1) + o
                    if place >= 0 and place < n:
                        row = rows[start + place]
                        out[row if row >= 0 else last, o * filters + j] += slope
