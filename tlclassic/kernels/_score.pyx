# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Scoring: from texts to logits or labels, one reading of the bytes. Sums: score.h; plain twin: _score_plain.py.

Under the GIL only the addresses of a piece of the texts are gathered, with a reference to each kept; the piece is then
scanned into buckets, a group of a few texts at a time, and the group's rows are added up while they are prefetched.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GetSlice
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.tuple cimport PyTuple_GetSlice
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset, strlen

import numpy as np

from tlclassic.errors import InvalidParameterError

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030C0000
    #define TLC_READY(text) PyUnicode_READY(text)
    #else
    #define TLC_READY(text) 0
    #endif
    #define TLC_IS_STR(item) PyUnicode_Check((PyObject *)(item))
    #define TLC_IS_BYTES(item) PyBytes_Check((PyObject *)(item))
    """
    bint TLC_IS_STR(object item)
    bint TLC_IS_BYTES(object item)
    int TLC_READY(object text) except -1
    int PyUnicode_KIND(object text)
    void *PyUnicode_DATA(object text)
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    object PyUnicode_FromKindAndData(int kind, const void *data, Py_ssize_t n)
    PyObject *PyList_GET_ITEM(object items, Py_ssize_t i)
    Py_ssize_t PyList_GET_SIZE(object items)

cdef extern from "arrow.h" nogil:
    ctypedef struct ArrowSchema "struct ArrowSchema":
        const char *format
        ArrowSchema *dictionary
        void (*release)(ArrowSchema *) noexcept nogil
    ctypedef struct ArrowArrayStream "struct ArrowArrayStream":
        int (*get_schema)(ArrowArrayStream *, ArrowSchema *) noexcept
        int (*get_next)(ArrowArrayStream *, ArrowArray *) noexcept
        const char *(*get_last_error)(ArrowArrayStream *) noexcept
    int TLC_ARROW_OTHER
    int tlc_arrow_layout(const ArrowSchema *schema)
    int64_t tlc_arrow_null(const ArrowArray *a)
    int64_t tlc_arrow_bytes(const ArrowArray *a, int layout, int64_t i, const uint8_t **data)

cdef extern from "ngrams.h" nogil:
    int TLC_ASCII, TLC_UTF8, TLC_UCS1, TLC_UCS2, TLC_UCS4
    ctypedef struct tlc_options:
        int word_lo, word_hi, char_lo, char_hi, bits, fold, keep_punctuation

cdef extern from "memo.h" nogil:
    ctypedef struct tlc_memo:
        size_t n_slots, width
    void tlc_memo_free(tlc_memo *m)
    void tlc_memo_renew(tlc_memo *m)

cdef extern from "score.h" nogil:
    int TLC_FLOAT32, TLC_FLOAT16, TLC_CODES
    ctypedef struct tlc_table:
        const void *values
        const float *scales
        int64_t k
        int type
    ctypedef struct tlc_family:
        tlc_table table
        const tlc_family *next
        int64_t first
        const uint64_t *bitmap
        const uint32_t *ranks
        const float *idf
        double idf_default
        int counts
        int norm
    ctypedef struct tlc_scan:
        tlc_options options
        const tlc_family *words
        const tlc_family *chars
    ctypedef struct tlc_scorer:
        pass
    ctypedef struct tlc_work:
        tlc_memo **memos
    tlc_memo *tlc_memo_for(const tlc_options *o, const tlc_family *f, int *failed)
    int TLC_MEMO_SLOT_BYTES
    int tlc_scorer_init(tlc_scorer *s, int64_t k)
    void tlc_scorer_free(tlc_scorer *s)
    int tlc_work_init(tlc_work *w, int64_t k)
    void tlc_work_free(tlc_work *w)
    int tlc_rows_room(tlc_scorer *s, size_t n)
    int tlc_score(
        const tlc_scan *scans, int n_scans, const double *bias, int64_t k, const tlc_text *texts, size_t n,
        double *logits, int32_t *labels, tlc_work *w)
    void tlc_add_words(
        const tlc_table *table, const int32_t *words, size_t n, const double *unknown, const float *weights,
        double unknown_weight, int ignore, tlc_scorer *s, double *out)
    tlc_scan *tlc_unite_scans(const tlc_scan *scans, int n)
    size_t tlc_united_bytes(const tlc_scan *united, int n)
    void tlc_united_scans_free(tlc_scan *united, int n)
    int32_t tlc_best(const double *logits, size_t k)
    uint32_t tlc_bits(uint64_t x)

#: Texts whose addresses are taken at a time.
cdef enum:
    PIECE = 1024
#: After so many texts a scorer reads the tables of several tasks as one: making that takes some ten milliseconds. And
#: after so many it keeps what the letters of words weigh: the first of them cost a little more than without.
cdef enum:
    UNITE_AFTER = 8192
    MEMO_AFTER = 1024


include "_score_texts.pxi"


# --- the scorer ------------------------------------------------------------------------------------------------------

cdef class Memos:
    """What the letters of words weigh in each reading, for one thread at a time."""

    cdef tlc_memo **each
    cdef int n

    def __cinit__(self, n):
        self.each, self.n = <tlc_memo **>_zeros(n, sizeof(tlc_memo *)), n

    def __dealloc__(self):
        cdef int i
        for i in range(self.n):
            tlc_memo_free(self.each[i])
        free(self.each)

    cdef fill(self, const tlc_scan *scans):
        cdef int i, failed
        for i in range(self.n):
            self.each[i] = tlc_memo_for(&scans[i].options, scans[i].chars, &failed)
            if failed:
                raise MemoryError
        return self

    cdef renew(self):
        cdef int i
        for i in range(self.n):
            if self.each[i] != NULL:
                tlc_memo_renew(self.each[i])
        return self

    @property
    def nbytes(self):
        cdef int i
        cdef size_t found = 0
        for i in range(self.n):
            if self.each[i] != NULL:
                found += self.each[i].n_slots * (TLC_MEMO_SLOT_BYTES + 2 * self.each[i].width)
        return found


cdef class Scorer:
    """Adds up what the n-grams of texts weigh; see _score_plain.py for its arguments."""

    cdef tlc_family *families
    cdef tlc_scan *scans
    cdef tlc_scan *united
    cdef int n_scans
    cdef Py_ssize_t scored, after, memo_after
    cdef int64_t k
    cdef double *bias
    cdef object held
    cdef list idle

    def __cinit__(self, bias, families, unite_after=UNITE_AFTER, memo_after=MEMO_AFTER):
        cdef int i
        self.k, self.after, self.memo_after, self.idle = len(bias), unite_after, memo_after, []
        self.held = (bias, families)
        self.families = <tlc_family *>_zeros(len(families), sizeof(tlc_family))
        self.scans = <tlc_scan *>_zeros(len(families), sizeof(tlc_scan))
        self.bias = <double *>_zeros(self.k, sizeof(double))
        for i in range(self.k):
            self.bias[i] = bias[i]
        keys = []
        for i, family in enumerate(families):
            _fill_family(&self.families[i], family, self.k)
            key = (family["bits"], family["fold"], family["keep_punctuation"])
            self._place(key, family, &self.families[i], keys)

    def __dealloc__(self):
        tlc_united_scans_free(self.united, self.n_scans)
        free(self.families)
        free(self.scans)
        free(self.bias)

    cdef _place(self, key, family, tlc_family *table, list keys):
        """Into a reading with the same options that has this unit with the same lengths or not at all, or its own."""
        cdef int i
        cdef bint chars = family["unit"]
        cdef tlc_options *options
        cdef const tlc_family *beside
        for i in range(len(keys)):
            options = &self.scans[i].options
            beside = self.scans[i].chars if chars else self.scans[i].words
            lo, hi = (options.char_lo, options.char_hi) if chars else (options.word_lo, options.word_hi)
            if keys[i] == key and (beside == NULL or (lo, hi) == (family["lo"], family["hi"])):
                break
        else:
            i = self.n_scans
            keys.append(key)
            self.n_scans += 1
            self.scans[i].options.bits, self.scans[i].options.fold = family["bits"], family["fold"]
            self.scans[i].options.keep_punctuation = family["keep_punctuation"]
        if chars:
            table.next, self.scans[i].chars = self.scans[i].chars, table
            self.scans[i].options.char_lo, self.scans[i].options.char_hi = family["lo"], family["hi"]
        else:
            table.next, self.scans[i].words = self.scans[i].words, table
            self.scans[i].options.word_lo, self.scans[i].options.word_hi = family["lo"], family["hi"]

    cdef const tlc_scan *_readings(self, Py_ssize_t n) except NULL:
        """For n texts. Tables are read as one when so many were scored that making that is repaid.

        Another thread may be reading the scans meanwhile, so those with it are others.
        """
        self.scored += n
        if self.united == NULL and self.scored >= self.after:
            self.united = tlc_unite_scans(self.scans, self.n_scans)
        return self.scans if self.united == NULL else self.united

    @property
    def united_bytes(self):
        """Bytes of memory beside the arrays, of tables that are read as one."""
        return tlc_united_bytes(self.united, self.n_scans)

    @property
    def memo_bytes(self):
        """Bytes of memory beside the arrays, of what words weigh that were read; for each thread that scored."""
        return sum([(<Memos>memos).nbytes for memos in self.idle])

    cdef Memos _memos(self):
        """Those that no other thread uses now, or None while there were few texts."""
        if self.scored < self.memo_after:
            return None
        return (<Memos>self.idle.pop()).renew() if self.idle else Memos(self.n_scans).fill(self.scans)

    def logits(self, Texts texts not None, Py_ssize_t start, Py_ssize_t stop, double[:, ::1] out):
        """Add what texts ``start`` to ``stop`` weigh to ``out``, shape (stop - start, n_outputs)."""
        if out.shape[0] != stop - start or out.shape[1] != self.k:
            raise ValueError("out must be of shape (stop - start, n_outputs)")
        if stop > start:
            self._run(texts, start, stop, &out[0, 0], NULL)

    def labels(self, Texts texts not None, Py_ssize_t start, Py_ssize_t stop, int32_t[::1] out):
        """The best output of texts ``start`` to ``stop``, the bias included, into ``out``."""
        if out.shape[0] != stop - start:
            raise ValueError("out must be of shape (stop - start,)")
        if stop > start:
            self._run(texts, start, stop, NULL, &out[0])

    cdef _run(self, Texts texts, Py_ssize_t start, Py_ssize_t stop, double *logits, int32_t *labels):
        if not 0 <= start <= stop <= texts.n:
            raise ValueError(f"no texts from {start} to {stop}")
        cdef const tlc_scan *scans = self._readings(stop - start)
        cdef Memos memos = self._memos()
        cdef tlc_work work
        cdef tlc_text *views = <tlc_text *>_zeros(PIECE, sizeof(tlc_text))
        cdef Py_ssize_t at, n
        cdef int status = tlc_work_init(&work, self.k)
        if memos is not None:
            work.memos = memos.each
        try:
            for at in range(start, stop, PIECE):
                n = min(PIECE, stop - at)
                held = texts.fill(at, at + n, views)
                if status == 0:
                    with nogil:
                        status = tlc_score(
                            scans, self.n_scans, self.bias, self.k, views, n,
                            NULL if logits == NULL else logits + (at - start) * self.k,
                            NULL if labels == NULL else labels + (at - start), &work,
                        )
                if status != 0:
                    raise MemoryError
            # After an error they may hold words that were not added up, and are not used again.
            if memos is not None:
                self.idle.append(memos)
        finally:
            tlc_work_free(&work)
            free(views)


cdef void *_zeros(size_t n, size_t size) except NULL:
    cdef void *memory = calloc(n if n else 1, size)
    if memory == NULL:
        raise MemoryError
    return memory


cdef const void *_address(array) except? NULL:
    return <const void *><size_t>array.ctypes.data if array is not None else NULL


cdef _fill_table(tlc_table *table, array, scales, int64_t k):
    table.values, table.scales, table.k = _address(array), <const float *>_address(scales), k
    table.type = {"f4": TLC_FLOAT32, "f2": TLC_FLOAT16, "u1": TLC_CODES}[array.dtype.str[1:]]


cdef _fill_family(tlc_family *f, family, int64_t k):
    f.first, stop = family.get("columns") or (0, k)
    if not 0 <= f.first < stop <= k:
        raise ValueError("the columns of a family must be some of the outputs")
    _fill_table(&f.table, family["table"], family["scales"], stop - f.first)
    f.bitmap = <const uint64_t *>_address(family["bitmap"])
    f.ranks = <const uint32_t *>_address(family["ranks"])
    f.idf = <const float *>_address(family["idf"])
    f.idf_default = family["idf_default"]
    f.counts, f.norm = family["counts"], family["norm"]


# --- helpers of the runtime ------------------------------------------------------------------------------------------


def rank_words(const uint64_t[::1] bitmap):
    """How many bits are set before each word of ``bitmap``, and in all; uint32 of shape (n + 1,)."""
    ranks_array = np.zeros(bitmap.shape[0] + 1, dtype=np.uint32)
    cdef uint32_t[::1] ranks = ranks_array
    cdef Py_ssize_t i
    with nogil:
        for i in range(bitmap.shape[0]):
            ranks[i + 1] = ranks[i] + tlc_bits(bitmap[i])
    return ranks_array


def best(const double[:, :] logits):
    """The column of the first of the largest of each row; of one column: 1 where it is above 0."""
    if logits.strides[1] != sizeof(double):
        logits = np.ascontiguousarray(logits)
    found_array = np.zeros(logits.shape[0], dtype=np.int32)
    cdef int32_t[::1] found = found_array
    cdef Py_ssize_t i
    with nogil:
        for i in range(logits.shape[0]):
            found[i] = tlc_best(&logits[i, 0], logits.shape[1])
    return found_array


def add_words(
    double[:, ::1] out, const int32_t[::1] rows, const int64_t[::1] indptr, table, scales, const double[::1] unknown,
    weights, double unknown_weight, bint ignore,
):
    """Add to each row of ``out`` the sum of a text's word rows over their number or weight; see the plain twin."""
    cdef tlc_table values
    cdef tlc_scorer scorer
    cdef const float *weight_of = <const float *>_address(weights)
    cdef const int32_t *first = &rows[0] if rows.shape[0] else NULL
    cdef Py_ssize_t i, n
    _fill_table(&values, table, scales, out.shape[1])
    if tlc_scorer_init(&scorer, out.shape[1]) != 0 or tlc_rows_room(&scorer, rows.shape[0]) != 0:
        tlc_scorer_free(&scorer)
        raise MemoryError
    with nogil:
        for i in range(out.shape[0]):
            n = indptr[i + 1] - indptr[i]
            tlc_add_words(
                &values, first + indptr[i], n, &unknown[0], weight_of, unknown_weight, ignore, &scorer, &out[i, 0]
            )
    tlc_scorer_free(&scorer)
