# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Sparse products, sums of vectors, losses and the streaming pass of the linear solvers. Inner loops: linear.h; plain
twin: _linear_plain.py.

Design: a product gives each output row to one thread, whether the rows are those of X or, through a column-wise copy of
X, the features. So nothing is added up across threads and any number of them gives the same bits. Callers check the
arrays once a fit (``check_rows``), not once a product. Vectors are added up here and not by BLAS: its threads, as many as there
are processors whatever was asked for, wait for each other (on a busy machine for most of a small fit) and their number
decides the last bits.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport free, malloc

cdef extern from "linear.h" nogil:
    ctypedef struct tlc_stream:
        float *table
        float *bias
        int64_t stride
        int64_t k
        int32_t softmax
        int32_t fit_intercept
        float l1
        float l2
        float rate
        float slope
        uint32_t step
    void tlc_product_float32(const float *values, const int32_t *indices, const int64_t *indptr, const double *table,
                             double *out, int64_t first, int64_t last, int64_t k)
    void tlc_product_float64(const double *values, const int32_t *indices, const int64_t *indptr, const double *table,
                             double *out, int64_t first, int64_t last, int64_t k)
    double tlc_dot(const double *a, const double *b, int64_t n)
    void tlc_add(double *total, double factor, const double *part, int64_t n)
    double tlc_softmax_row(double *z, const double *p, int64_t k)
    double tlc_sigmoid_row(double *z, const double *p, int64_t k)
    double tlc_stream_pass(const tlc_stream *s, const float *values, const int32_t *indices, const int64_t *indptr,
                           const float *targets, const float *weights, const int64_t *order, int64_t first,
                           int64_t last, float *z)

ctypedef fused floating:
    float
    double


def check_rows(const int32_t[::1] indices, const int64_t[::1] indptr, int64_t n_columns):
    """Raise unless the arrays describe rows over ``n_columns`` columns."""
    cdef int64_t i, n = indptr.shape[0] - 1
    cdef bint good = n >= 0 and indptr[0] == 0 and indptr[n] == indices.shape[0]
    if good:
        with nogil:
            for i in range(n):
                if indptr[i] > indptr[i + 1]:
                    good = False
                    break
            for i in range(indices.shape[0]):
                if indices[i] < 0 or indices[i] >= n_columns:
                    good = False
                    break
    if not good:
        raise ValueError(f"indices and indptr do not describe rows over {n_columns} columns.")


def product(const floating[::1] values, const int32_t[::1] indices, const int64_t[::1] indptr,
            const double[:, ::1] table, double[:, ::1] out, int64_t first, int64_t last):
    """``out[i] = X[i] @ table`` for ``first <= i < last``; indices as checked by ``check_rows``."""
    cdef int64_t k = table.shape[1]
    if not (0 <= first <= last < indptr.shape[0] and out.shape[0] >= last and out.shape[1] == k):
        raise ValueError("product: the shapes do not fit.")
    if values.shape[0] != indices.shape[0]:
        raise ValueError("product: values and indices differ in length.")
    if k == 0 or first == last:
        return
    # An address of an empty array must not be taken: rows without entries read neither.
    cdef const floating *v = &values[0] if values.shape[0] else NULL
    cdef const int32_t *c = &indices[0] if indices.shape[0] else NULL
    cdef const double *t = &table[0, 0] if table.shape[0] else NULL
    with nogil:
        if floating is float:
            tlc_product_float32(v, c, &indptr[0], t, &out[0, 0], first, last, k)
        else:
            tlc_product_float64(v, c, &indptr[0], t, &out[0, 0], first, last, k)


def dot(const double[::1] a, const double[::1] b):
    """The inner product."""
    cdef double total = 0.0
    if a.shape[0] != b.shape[0]:
        raise ValueError("dot: the shapes do not fit.")
    if a.shape[0]:
        with nogil:
            total = tlc_dot(&a[0], &b[0], a.shape[0])
    return total


def add(double[::1] total, double factor, const double[::1] part):
    """``total += factor * part``; the two must not overlap."""
    if total.shape[0] != part.shape[0]:
        raise ValueError("add: the shapes do not fit.")
    if total.shape[0]:
        with nogil:
            tlc_add(&total[0], factor, &part[0], total.shape[0])


def losses(double[:, ::1] z, const double[:, ::1] targets, bint softmax, double[::1] out, int64_t first, int64_t last):
    """The cross-entropy of each row ``first <= i < last`` into ``out``; ``z``, the logits, become probabilities."""
    cdef int64_t i, k = z.shape[1]
    if not (0 <= first <= last <= z.shape[0] and targets.shape[0] == z.shape[0] and targets.shape[1] == k
            and out.shape[0] == z.shape[0]):
        raise ValueError("losses: the shapes do not fit.")
    if k == 0:
        return
    with nogil:
        for i in range(first, last):
            if softmax:
                out[i] = tlc_softmax_row(&z[i, 0], &targets[i, 0], k)
            else:
                out[i] = tlc_sigmoid_row(&z[i, 0], &targets[i, 0], k)


def curvature(const double[:, ::1] p, double[:, ::1] z, const double[::1] weights, bint softmax, int64_t first,
              int64_t last):
    """``z[i] = weights[i] * H_i z[i]`` with the loss's Hessian ``H_i`` in the logits, at the probabilities ``p``."""
    cdef int64_t i, c, k = p.shape[1]
    cdef double mean
    if not (0 <= first <= last <= z.shape[0] and p.shape[0] == z.shape[0] and z.shape[1] == k
            and weights.shape[0] == z.shape[0]):
        raise ValueError("curvature: the shapes do not fit.")
    with nogil:
        for i in range(first, last):
            if softmax:
                mean = 0.0
                for c in range(k):
                    mean += p[i, c] * z[i, c]
                for c in range(k):
                    z[i, c] = weights[i] * p[i, c] * (z[i, c] - mean)
            else:
                for c in range(k):
                    z[i, c] = weights[i] * p[i, c] * (1.0 - p[i, c]) * z[i, c]


def stream(float[:, ::1] table, float[::1] bias, const float[::1] values, const int32_t[::1] indices,
           const int64_t[::1] indptr, const float[:, ::1] targets, const float[::1] weights, const int64_t[::1] order,
           int64_t first, int64_t last, *, bint softmax, bint fit_intercept, float rate, float slope, float l1,
           float l2, uint32_t step):
    """One AdaGrad step for each of the rows ``order[first:last]``; returns the sum of their losses before the steps.

    ``values``, ``weights`` and ``order`` may be None (ones, ones, as they come). ``table`` is (n_features, >= k + 2):
    weights, sum of squared gradients, number of the last step; ``bias`` is (k + 1,). Step ``i`` has the learning rate
    ``rate + slope * i`` and the number ``step + i``, for ``first <= i < last``.
    """
    cdef tlc_stream s
    cdef int64_t i, k = targets.shape[1], n = indptr.shape[0] - 1
    cdef double loss
    if not (k >= 1 and table.shape[1] >= k + 2 and bias.shape[0] == k + 1 and targets.shape[0] == n):
        raise ValueError("stream: the shapes do not fit.")
    if ((values is not None and values.shape[0] != indices.shape[0]) or (weights is not None and weights.shape[0] != n)
            or not 0 <= first <= last <= (n if order is None else order.shape[0])):
        raise ValueError("stream: the shapes do not fit.")
    if order is not None:
        for i in range(first, last):
            if not 0 <= order[i] < n:
                raise ValueError("stream: order names a row that is not there.")
    if first == last:
        return 0.0
    cdef float *z = <float *>malloc(k * sizeof(float))
    if z == NULL:
        raise MemoryError()
    s.table = &table[0, 0] if table.shape[0] else NULL
    s.bias = &bias[0]
    s.stride, s.k, s.softmax, s.fit_intercept = table.shape[1], k, softmax, fit_intercept
    s.l1, s.l2, s.rate, s.slope, s.step = l1, l2, rate, slope, step
    cdef const float *v = &values[0] if values is not None and values.shape[0] else NULL
    cdef const int32_t *columns = &indices[0] if indices.shape[0] else NULL
    cdef const float *w = &weights[0] if weights is not None else NULL
    cdef const int64_t *rows = &order[0] if order is not None else NULL
    with nogil:
        loss = tlc_stream_pass(&s, v, columns, &indptr[0], &targets[0, 0], w, rows, first, last, z)
        free(z)
    return loss
