# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Pooling of word vectors into one vector per text, in one pass. Inner loops: pool.h; plain twin: _pool_plain.py.

Design: several poolings share the pass, so that a row is fetched (and converted to float32) once for all of them.
Texts are independent of each other and the order of additions is fixed by the text alone: one text gives the same bits
as that text in a batch.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t
from libc.math cimport INFINITY, sqrt
from libc.string cimport memset

import numpy as np

cdef extern from "pool.h" nogil:
    const int TLC_BLOCK
    const int TLC_FLOAT32
    const int TLC_FLOAT16
    const int TLC_INT8
    void tlc_prefetch(const void *row, int64_t n_bytes)
    void tlc_row_from_float16(float *out, const uint16_t *row, int64_t dim)
    void tlc_row_from_int8(float *out, const int8_t *row, float scale, int64_t dim)
    void tlc_sum_rows(float *sum, const float **rows, const float *weights, int64_t n, int64_t dim)
    void tlc_add_float32(double *total, const float *sum, int64_t dim)
    void tlc_divide(float *out, const double *total, double denominator, int64_t dim)
    void tlc_max_rows(float *best, const float **rows, int64_t n, int64_t dim)
    void tlc_min_rows(float *best, const float **rows, int64_t n, int64_t dim)
    void tlc_add_powers(double *total, const float **rows, int power, int64_t n, int64_t dim)
    void tlc_root(float *out, const double *total, double n, int power, int64_t dim)
    double tlc_dot_float32(const float *x, const double *y, int64_t dim)
    double tlc_dot_float64(const double *x, const double *y, int64_t dim)

ctypedef fused floating:
    float
    double

cdef enum Kind:
    SUM = 0
    POWER = 1
    MAX = 2
    MIN = 3

cdef enum Denominator:
    NONE = 0
    COUNT = 1
    WEIGHT = 2

KINDS = {"sum": SUM, "power": POWER, "max": MAX, "min": MIN}
DENOMINATORS = {"none": NONE, "count": COUNT, "weight": WEIGHT}


cdef struct Op:
    int kind
    int power
    int denominator
    double unknown
    const float *weights        # per row of the table; NULL: 1
    const float *extra_weights  # per row of extra
    double *total               # dim float64: sums over the blocks of a text
    double weight_sum


cdef struct Source:
    const uint8_t *table
    int kind
    int64_t row_bytes
    const float *scales
    int64_t n_rows
    const float *extra
    int64_t dim


cdef struct Block:
    int64_t n                # known tokens gathered
    int64_t prefetched       # tokens of the batch whose rows are on their way
    const float **rows       # TLC_BLOCK pointers
    int32_t *numbers         # row numbers of those
    float *tokens            # their token weights
    float *scratch           # TLC_BLOCK converted rows
    float *weights           # TLC_BLOCK weights of the operation at hand
    float *sum               # dim float32


cdef inline const float *_fetch(const Source *source, int32_t row, float *scratch) noexcept nogil:
    """The row as float32: in place where it is stored so, else converted into ``scratch``."""
    cdef const uint8_t *raw
    if row >= source.n_rows:
        return source.extra + (row - source.n_rows) * source.dim
    raw = source.table + row * source.row_bytes
    if source.kind == TLC_FLOAT32:
        return <const float *>raw
    if source.kind == TLC_FLOAT16:
        tlc_row_from_float16(scratch, <const uint16_t *>raw, source.dim)
    else:
        tlc_row_from_int8(scratch, <const int8_t *>raw, source.scales[row], source.dim)
    return scratch


cdef inline void _gather(
    const Source *source, const int32_t *rows, int64_t n, const float *token_weights, Block *block
) noexcept nogil:
    """Collect the known rows among the next ``n`` tokens."""
    cdef int64_t i, k = 0
    for i in range(n):
        if rows[i] < 0:
            continue
        block.numbers[k] = rows[i]
        block.rows[k] = _fetch(source, rows[i], block.scratch + k * source.dim)
        block.tokens[k] = token_weights[i] if token_weights != NULL else 1.0
        k += 1
    block.n = k


cdef inline void _apply(Op *op, const Source *source, const Block *block, float *out) noexcept nogil:
    cdef int64_t i
    cdef int32_t row
    if op.kind == SUM:
        for i in range(block.n):
            block.weights[i] = block.tokens[i]
            row = block.numbers[i]
            if row < source.n_rows:
                if op.weights != NULL:
                    block.weights[i] *= op.weights[row]
            elif op.extra_weights != NULL:
                block.weights[i] *= op.extra_weights[row - source.n_rows]
            op.weight_sum += block.weights[i]
        tlc_sum_rows(block.sum, block.rows, block.weights, block.n, source.dim)
        tlc_add_float32(op.total, block.sum, source.dim)
    elif op.kind == POWER:
        tlc_add_powers(op.total, block.rows, op.power, block.n, source.dim)
    elif op.kind == MAX:
        tlc_max_rows(out, block.rows, block.n, source.dim)
    else:
        tlc_min_rows(out, block.rows, block.n, source.dim)


cdef inline void _start(Op *op, int64_t dim, float *out) noexcept nogil:
    cdef int64_t j
    op.weight_sum = 0.0
    if op.kind == SUM or op.kind == POWER:
        memset(op.total, 0, dim * sizeof(double))
    else:
        for j in range(dim):
            out[j] = -INFINITY if op.kind == MAX else INFINITY


cdef inline void _finish(Op *op, int64_t known, int64_t unknown, int64_t dim, float *out) noexcept nogil:
    cdef double denominator = 1.0
    cdef int64_t j
    if op.kind == MAX or op.kind == MIN:
        if known == 0:
            memset(out, 0, dim * sizeof(float))
        elif unknown > 0 and op.unknown > 0:
            for j in range(dim):
                out[j] = max(out[j], 0) if op.kind == MAX else min(out[j], 0)
        return
    if op.denominator == COUNT:
        denominator = known + op.unknown * unknown
    elif op.denominator == WEIGHT:
        denominator = op.weight_sum + op.unknown * unknown
    if known == 0 or denominator == 0.0:
        memset(out, 0, dim * sizeof(float))
    elif op.kind == POWER:
        tlc_root(out, op.total, denominator, op.power, dim)
    else:
        tlc_divide(out, op.total, denominator, dim)


cdef inline void _prefetch_to(const Source *source, const int32_t *rows, int64_t end, Block *block) noexcept nogil:
    cdef int64_t i
    for i in range(block.prefetched, end):
        if 0 <= rows[i] < source.n_rows:
            tlc_prefetch(source.table + rows[i] * source.row_bytes, source.row_bytes)
    block.prefetched = max(end, block.prefetched)


cdef void _pool_text(
    const Source *source, const int32_t *rows, int64_t begin, int64_t end, int64_t n_tokens, const float *token_weights,
    Op *ops, int64_t n_ops, Block *block, float *out
) noexcept nogil:
    """Pool the text that consists of ``rows[begin:end]``."""
    cdef int64_t start = begin, size, o, known = 0, dim = source.dim
    for o in range(n_ops):
        _start(&ops[o], dim, out + o * dim)
    while start < end:
        size = min(<int64_t>TLC_BLOCK, end - start)
        # The rows that come next (of the following texts too) are on their way while these are added up.
        _prefetch_to(source, rows, min(start + size + TLC_BLOCK, n_tokens), block)
        _gather(source, rows + start, size, token_weights + start if token_weights != NULL else token_weights, block)
        known += block.n
        if block.n:
            for o in range(n_ops):
                _apply(&ops[o], source, block, out + o * dim)
        start += size
    for o in range(n_ops):
        _finish(&ops[o], known, end - begin - known, dim, out + o * dim)


class _Memory:
    """Scratch arrays of one call, kept alive by their owner."""

    def __init__(self, n_ops, dim):
        self.rows = np.zeros(TLC_BLOCK, dtype=np.uintp)
        self.numbers = np.zeros(TLC_BLOCK, dtype=np.int32)
        self.tokens = np.zeros(TLC_BLOCK, dtype=np.float32)
        self.weights = np.zeros(TLC_BLOCK, dtype=np.float32)
        self.scratch = np.zeros(TLC_BLOCK * dim, dtype=np.float32)
        self.sum = np.zeros(dim, dtype=np.float32)
        self.totals = np.zeros((n_ops, dim), dtype=np.float64)
        self.ops = np.zeros(n_ops * sizeof(Op), dtype=np.uint8)


cdef int _check(const int32_t[::1] rows, const int64_t[::1] indptr, int64_t n_rows) except -1:
    cdef int64_t i
    cdef int32_t low = 0, high = -1
    with nogil:
        for i in range(rows.shape[0]):
            low = min(low, rows[i])
            high = max(high, rows[i])
    if low < -1 or high >= n_rows:
        raise IndexError(f"rows must lie in -1 .. {n_rows - 1}; got {low if low < -1 else high}")
    if indptr.shape[0] < 1 or indptr[0] != 0 or indptr[indptr.shape[0] - 1] != rows.shape[0]:
        raise ValueError(f"indptr must run from 0 to the number of rows ({rows.shape[0]})")
    for i in range(indptr.shape[0] - 1):
        if indptr[i] > indptr[i + 1]:
            raise ValueError(f"indptr must not decrease; it does at {i + 1}")
    return 0


def _bytes_of(table):
    if table.ndim != 2 or not table.flags.c_contiguous:
        raise ValueError(f"table must be a C-contiguous array of two dimensions; got shape {table.shape}")
    if table.dtype not in (np.float32, np.float16, np.int8):
        raise ValueError(f"table must have dtype float32, float16 or int8; got {table.dtype}")
    return table.reshape(-1).view(np.uint8)


def pool(
    table, const int32_t[::1] rows, const int64_t[::1] indptr, ops, float[:, ::1] out, *, const float[::1] scales=None,
    const float[:, ::1] extra=None, const float[::1] token_weights=None
):
    """Pool the vectors of each text's tokens into ``out``.

    Parameters
    ----------
    table : float32, float16 or int8 array of shape (n, dim)
        C-contiguous; may be read-only and mapped from a file.
    rows : int32 array of shape (n_tokens,)
        A row of the table; ``n + i`` for row i of ``extra``; -1 for an unknown token.
    indptr : int64 array of shape (n_texts + 1,)
        Text t consists of ``rows[indptr[t]:indptr[t + 1]]``.
    ops : sequence of (kind, power, weights, extra_weights, denominator, unknown)
        The poolings. kind: "sum", "power", "max" or "min". power: 1, 2, ... for "power". weights, extra_weights: for
        "sum", float32 arrays of shape (n,) and (m,), or None for ones. denominator: "none", "count" or "weight" for
        "sum". unknown: what an unknown token adds to the denominator; above 0, it counts as a zero vector in "max" and
        "min" as well.
    out : float32 array of shape (n_texts, len(ops) * dim)
        Written; one block of ``dim`` columns per pooling. A text without a known token gets zeros.
    scales : float32 array of shape (n,), optional
        Per row of an int8 table: value = code * scale.
    extra : float32 array of shape (m, dim), optional
    token_weights : float32 array of shape (n_tokens,), optional
        Multiplied into the weights of "sum".

    Raises
    ------
    IndexError
        When a row lies outside the table.
    ValueError
        When shapes or dtypes do not fit together.
    """
    cdef const uint8_t[::1] raw = _bytes_of(table)
    cdef int64_t n = table.shape[0], dim = table.shape[1], n_ops = len(ops), n_texts = indptr.shape[0] - 1, o, t
    cdef int64_t m = extra.shape[0] if extra is not None else 0
    _check(rows, indptr, n + m)
    _check_shapes(table, n, m, dim, rows, indptr, ops, out, scales, extra, token_weights)
    if n_ops == 0 or dim == 0 or n_texts == 0:
        return
    memory = _Memory(n_ops, dim)
    cdef size_t[::1] row_memory = memory.rows
    cdef int32_t[::1] number_memory = memory.numbers
    cdef float[::1] token_memory = memory.tokens, weight_memory = memory.weights
    cdef float[::1] scratch = memory.scratch, sum_memory = memory.sum
    cdef double[:, ::1] totals = memory.totals
    cdef uint8_t[::1] op_memory = memory.ops
    cdef Op *plan = <Op *>&op_memory[0]
    cdef Source source
    cdef Block block
    source.table = &raw[0] if n else NULL
    source.kind = {"float32": TLC_FLOAT32, "float16": TLC_FLOAT16, "int8": TLC_INT8}[table.dtype.name]
    source.row_bytes = dim * table.dtype.itemsize
    source.scales = &scales[0] if scales is not None and n else NULL
    source.n_rows = n
    source.extra = &extra[0, 0] if m else NULL
    source.dim = dim
    block.prefetched = 0
    block.rows = <const float **>&row_memory[0]
    block.numbers = &number_memory[0]
    block.tokens = &token_memory[0]
    block.weights = &weight_memory[0]
    block.scratch = &scratch[0]
    block.sum = &sum_memory[0]
    cdef const float[::1] view
    for o in range(n_ops):
        kind, power, weights, extra_weights, denominator, unknown = ops[o]
        plan[o].kind = KINDS[kind]
        plan[o].power = power
        plan[o].denominator = DENOMINATORS[denominator] if kind == "sum" else COUNT
        plan[o].unknown = unknown
        plan[o].weights = NULL
        plan[o].extra_weights = NULL
        if weights is not None and n:
            view = weights
            plan[o].weights = &view[0]
        if extra_weights is not None and m:
            view = extra_weights
            plan[o].extra_weights = &view[0]
        plan[o].total = &totals[o, 0]
    cdef const int32_t *first_row = &rows[0] if rows.shape[0] else NULL
    cdef const float *first_token = &token_weights[0] if token_weights is not None and rows.shape[0] else NULL
    cdef int64_t n_tokens = rows.shape[0]
    with nogil:
        for t in range(n_texts):
            _pool_text(
                &source, first_row, indptr[t], indptr[t + 1], n_tokens, first_token, plan, n_ops, &block, &out[t, 0]
            )


def _check_shapes(table, n, m, dim, rows, indptr, ops, out, scales, extra, token_weights):
    expected = (indptr.shape[0] - 1, len(ops) * dim)
    if (out.shape[0], out.shape[1]) != expected:
        raise ValueError(f"out must have shape {expected}; got {(out.shape[0], out.shape[1])}")
    if (table.dtype == np.int8) != (scales is not None) or (scales is not None and scales.shape[0] != n):
        raise ValueError(f"an int8 table, and no other, needs one scale per row ({n})")
    if extra is not None and extra.shape[1] != dim:
        raise ValueError(f"extra must have {dim} columns; got {extra.shape[1]}")
    if token_weights is not None and token_weights.shape[0] != rows.shape[0]:
        raise ValueError(f"token_weights must have {rows.shape[0]} values; got {token_weights.shape[0]}")
    for kind, power, weights, extra_weights, _, _ in ops:
        if kind == "power" and power < 1:
            raise ValueError(f"power must be at least 1; got {power}")
        if weights is not None and len(weights) != n:
            raise ValueError(f"weights must have {n} values; got {len(weights)}")
        if weights is not None and m and (extra_weights is None or len(extra_weights) != m):
            raise ValueError(f"extra_weights must have {m} values")


def remove_components(floating[:, ::1] x, const double[:, ::1] components, const double[::1] strengths):
    """Subtract from each row its projections on orthonormal ``components``, each times its strength; in place.

    Parameters
    ----------
    x : float32 or float64 array of shape (n, dim)
    components : float64 array of shape (k, dim)
    strengths : float64 array of shape (k,)
    """
    cdef int64_t n = x.shape[0], dim = x.shape[1], k = components.shape[0], i, c, j
    if components.shape[1] != dim or strengths.shape[0] != k:
        raise ValueError(f"components must have {dim} columns and one strength each")
    if n == 0 or dim == 0 or k == 0:
        return
    cdef double[::1] row = np.empty(dim, dtype=np.float64)
    cdef double projection
    with nogil:
        for i in range(n):
            for j in range(dim):
                row[j] = x[i, j]
            for c in range(k):
                if floating is float:
                    projection = strengths[c] * tlc_dot_float32(&x[i, 0], &components[c, 0], dim)
                else:
                    projection = strengths[c] * tlc_dot_float64(&x[i, 0], &components[c, 0], dim)
                for j in range(dim):
                    row[j] -= projection * components[c, j]
            for j in range(dim):
                x[i, j] = <floating>row[j]


def normalize_rows(floating[:, ::1] x):
    """Scale each row to unit length, in place; a zero row stays zero."""
    cdef int64_t n = x.shape[0], dim = x.shape[1], i, j
    cdef double length
    if n == 0 or dim == 0:
        return
    cdef double[::1] row = np.empty(dim, dtype=np.float64)
    with nogil:
        for i in range(n):
            for j in range(dim):
                row[j] = x[i, j]
            length = sqrt(tlc_dot_float64(&row[0], &row[0], dim))
            if length > 0.0:
                for j in range(dim):
                    x[i, j] = <floating>(row[j] / length)
