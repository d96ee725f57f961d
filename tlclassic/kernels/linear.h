/* Inner loops of the linear solvers: plain C, widened at load time where the processor has AVX2 (without fused
 * multiply-add, so that both widths give the same bits).
 *
 * Tables are row-major, one row of k outputs a feature, so that the innermost loop is contiguous. For few outputs k is a
 * constant in its own copy of the loop and the sums stay in registers.
 */
#ifndef TLCLASSIC_LINEAR_H
#define TLCLASSIC_LINEAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define TLC_LINEAR_INLINE static inline __attribute__((always_inline))
#define TLC_LINEAR_RESTRICT __restrict__
#define TLC_LINEAR_PREFETCH(p) __builtin_prefetch((p), 0, 3)
#define TLC_LINEAR_PREFETCH_WRITE(p) __builtin_prefetch((p), 1, 3)
#else
#define TLC_LINEAR_INLINE static inline
#define TLC_LINEAR_RESTRICT
#define TLC_LINEAR_PREFETCH(p) ((void)0)
#define TLC_LINEAR_PREFETCH_WRITE(p) ((void)0)
#endif

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_UNDEFINED__)
#define TLC_LINEAR_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define TLC_LINEAR_WIDE
#endif

/* How many entries ahead the rows of the table are fetched. */
#define TLC_LINEAR_AHEAD 16
/* Outputs whose sums are kept in registers together when there are many. */
#define TLC_LINEAR_STRIP 8

/* out[i] = sum over the entries of row i: value * table[index], for rows first..last-1. */
#define TLC_LINEAR_PRODUCT(NAME, TYPE)                                                                                \
    TLC_LINEAR_INLINE void NAME##_fixed(const TYPE *values, const int32_t *indices, const int64_t *indptr,            \
                                        const double *table, double *out, int64_t first, int64_t last, int k) {      \
        const int64_t end = first < last ? indptr[last] : 0;                                                          \
        for (int64_t i = first; i < last; i++) {                                                                      \
            double sums[TLC_LINEAR_STRIP] = {0};                                                                      \
            for (int64_t e = indptr[i]; e < indptr[i + 1]; e++) {                                                     \
                if (e + TLC_LINEAR_AHEAD < end) TLC_LINEAR_PREFETCH(table + (int64_t)indices[e + TLC_LINEAR_AHEAD] * k); \
                const double x = (double)values[e];                                                                   \
                const double *row = table + (int64_t)indices[e] * k;                                                  \
                for (int c = 0; c < k; c++) sums[c] += x * row[c];                                                    \
            }                                                                                                         \
            for (int c = 0; c < k; c++) out[i * k + c] = sums[c];                                                     \
        }                                                                                                             \
    }                                                                                                                 \
    TLC_LINEAR_INLINE void NAME##_many(const TYPE *values, const int32_t *indices, const int64_t *indptr,             \
                                       const double *table, double *out, int64_t first, int64_t last, int64_t k) {   \
        for (int64_t i = first; i < last; i++) {                                                                      \
            double *TLC_LINEAR_RESTRICT sums = out + i * k;                                                           \
            for (int64_t c = 0; c < k; c++) sums[c] = 0.0;                                                            \
            for (int64_t e = indptr[i]; e < indptr[i + 1]; e++) {                                                     \
                const double x = (double)values[e];                                                                   \
                const double *TLC_LINEAR_RESTRICT row = table + (int64_t)indices[e] * k;                              \
                for (int64_t c = 0; c < k; c++) sums[c] += x * row[c];                                                \
            }                                                                                                         \
        }                                                                                                             \
    }                                                                                                                 \
    TLC_LINEAR_WIDE static void NAME(const TYPE *values, const int32_t *indices, const int64_t *indptr,               \
                                     const double *table, double *out, int64_t first, int64_t last, int64_t k) {     \
        switch (k) {                                                                                                  \
            case 1: NAME##_fixed(values, indices, indptr, table, out, first, last, 1); break;                         \
            case 2: NAME##_fixed(values, indices, indptr, table, out, first, last, 2); break;                         \
            case 3: NAME##_fixed(values, indices, indptr, table, out, first, last, 3); break;                         \
            case 4: NAME##_fixed(values, indices, indptr, table, out, first, last, 4); break;                         \
            case 5: NAME##_fixed(values, indices, indptr, table, out, first, last, 5); break;                         \
            case 6: NAME##_fixed(values, indices, indptr, table, out, first, last, 6); break;                         \
            case 7: NAME##_fixed(values, indices, indptr, table, out, first, last, 7); break;                         \
            case 8: NAME##_fixed(values, indices, indptr, table, out, first, last, 8); break;                         \
            default: NAME##_many(values, indices, indptr, table, out, first, last, k);                                \
        }                                                                                                             \
    }

TLC_LINEAR_PRODUCT(tlc_product_float32, float)
TLC_LINEAR_PRODUCT(tlc_product_float64, double)

/* Cross-entropy of softmax(z) against the targets p, which sum to `mass`; z becomes the softmax. */
static double tlc_softmax_row(double *z, const double *p, int64_t k) {
    double highest = z[0], total = 0.0, mass = 0.0, picked = 0.0;
    for (int64_t c = 1; c < k; c++) highest = z[c] > highest ? z[c] : highest;
    for (int64_t c = 0; c < k; c++) {
        picked += p[c] * (z[c] - highest);
        mass += p[c];
    }
    for (int64_t c = 0; c < k; c++) {
        z[c] = exp(z[c] - highest);
        total += z[c];
    }
    for (int64_t c = 0; c < k; c++) z[c] /= total;
    return mass * log(total) - picked;
}

/* Sum of the binary cross-entropies of sigmoid(z) against p; z becomes the sigmoid. */
static double tlc_sigmoid_row(double *z, const double *p, int64_t k) {
    double loss = 0.0;
    for (int64_t c = 0; c < k; c++) {
        const double small = exp(-fabs(z[c]));
        /* log(1 + exp(z)) - p z, without overflow on either side. */
        loss += log1p(small) + (z[c] > 0.0 ? z[c] : 0.0) - p[c] * z[c];
        z[c] = z[c] >= 0.0 ? 1.0 / (1.0 + small) : small / (1.0 + small);
    }
    return loss;
}

/* The streaming solver's table: one row of `stride` float32 a feature: k weights, the sum of squared gradients, and the
 * number (bits of a uint32) of the step that saw the feature last. A row is what one feature needs, side by side. */
typedef struct {
    float *table;
    float *bias;     /* k weights, then the sum of squared gradients */
    int64_t stride;
    int64_t k;
    int32_t softmax; /* else sigmoids */
    int32_t fit_intercept;
    float l1, l2;    /* a step */
    float rate;      /* at the first step of the call */
    float slope;     /* added to the rate at each step */
    uint32_t step;   /* of the first row of the call */
} tlc_stream;

/* Bring a row up to date: the penalties of the steps that did not see the feature, at the present rate (lazily, after
 * Langford, Li and Zhang 2009; the L2 step is implicit, hence stable at any rate). */
TLC_LINEAR_INLINE void tlc_stream_settle(const tlc_stream *s, float *row, uint32_t now, float rate, int64_t k) {
    uint32_t last;
    memcpy(&last, &row[k + 1], 4);
    /* Another thread, further on, may have settled the row up to a later step. */
    const int32_t missed = (int32_t)(now - last);
    if (missed <= 0) return;
    memcpy(&row[k + 1], &now, 4);
    if (row[k] == 0.0f) return;
    const float eta = rate / sqrtf(row[k]) * (float)missed;
    const float shrink = 1.0f / (1.0f + eta * s->l2), cut = eta * s->l1;
    for (int64_t c = 0; c < k; c++) {
        float w = row[c] * shrink;
        if (cut > 0.0f) w = w > cut ? w - cut : (w < -cut ? w + cut : 0.0f);
        row[c] = w;
    }
}

/* p - target in `z`, and the loss. Float32 exponentials: the steps are noisier than their rounding. */
TLC_LINEAR_INLINE double tlc_stream_residual(const tlc_stream *s, float *z, const float *target, float weight,
                                             int64_t k) {
    double loss = 0.0;
    if (s->softmax) {
        float highest = z[0], total = 0.0f, picked = 0.0f, mass = 0.0f;
        for (int64_t c = 1; c < k; c++) highest = z[c] > highest ? z[c] : highest;
        for (int64_t c = 0; c < k; c++) {
            picked += target[c] * (z[c] - highest);
            mass += target[c];
            z[c] = expf(z[c] - highest);
            total += z[c];
        }
        loss = (double)weight * (mass * logf(total) - picked);
        const float share = 1.0f / total;
        for (int64_t c = 0; c < k; c++) z[c] = weight * (z[c] * share - target[c]);
        return loss;
    }
    for (int64_t c = 0; c < k; c++) {
        const float small = expf(-fabsf(z[c]));
        loss += log1pf(small) + (z[c] > 0.0f ? z[c] : 0.0f) - target[c] * z[c];
        const float p = z[c] >= 0.0f ? 1.0f / (1.0f + small) : small / (1.0f + small);
        z[c] = weight * (p - target[c]);
    }
    return loss * (double)weight;
}

TLC_LINEAR_INLINE void tlc_stream_prefetch(const tlc_stream *s, const int32_t *indices, int64_t from, int64_t to) {
    const int64_t bytes = s->stride * 4;
    for (int64_t e = from; e < to; e++) {
        const char *row = (const char *)(s->table + (int64_t)indices[e] * s->stride);
        for (int64_t at = 0; at < bytes; at += 64) TLC_LINEAR_PREFETCH_WRITE(row + at);
    }
}

/* AdaGrad (Duchi, Hazan and Singer 2011) with one step size a feature instead of one a weight: a quarter of the square
 * roots and half the memory traffic for four classes. */
TLC_LINEAR_INLINE double tlc_stream_one(const tlc_stream *s, const float *values, const int32_t *indices, int64_t from,
                                        int64_t to, const float *target, float weight, uint32_t now, float rate,
                                        float *z, int64_t k) {
    const int penalised = s->l1 > 0.0f || s->l2 > 0.0f;
    for (int64_t c = 0; c < k; c++) z[c] = s->bias[c];
    for (int64_t e = from; e < to; e++) {
        float *TLC_LINEAR_RESTRICT row = s->table + (int64_t)indices[e] * s->stride;
        const float x = values ? values[e] : 1.0f;
        if (penalised) tlc_stream_settle(s, row, now, rate, k);
        for (int64_t c = 0; c < k; c++) z[c] += x * row[c];
    }
    const double loss = tlc_stream_residual(s, z, target, weight, k);
    float squared = 0.0f;
    for (int64_t c = 0; c < k; c++) squared += z[c] * z[c];
    if (squared == 0.0f) return loss;
    if (s->fit_intercept) {
        s->bias[k] += squared;
        const float eta = rate / sqrtf(s->bias[k]);
        for (int64_t c = 0; c < k; c++) s->bias[c] -= eta * z[c];
    }
    for (int64_t e = from; e < to; e++) {
        float *TLC_LINEAR_RESTRICT row = s->table + (int64_t)indices[e] * s->stride;
        const float x = values ? values[e] : 1.0f;
        const float sum = row[k] + x * x * squared;
        row[k] = sum;
        const float eta = sum > 0.0f ? rate / sqrtf(sum) * x : 0.0f;
        for (int64_t c = 0; c < k; c++) row[c] -= eta * z[c];
    }
    return loss;
}

TLC_LINEAR_INLINE double tlc_stream_rows(const tlc_stream *s, const float *values, const int32_t *indices,
                                         const int64_t *indptr, const float *targets, const float *weights,
                                         const int64_t *order, int64_t first, int64_t last, float *z, int64_t k) {
    double loss = 0.0;
    for (int64_t i = first; i < last; i++) {
        const int64_t r = order ? order[i] : i;
        if (i + 1 < last) {
            const int64_t next = order ? order[i + 1] : i + 1;
            tlc_stream_prefetch(s, indices, indptr[next], indptr[next + 1]);
        }
        loss += tlc_stream_one(s, values, indices, indptr[r], indptr[r + 1], targets + r * k,
                               weights ? weights[r] : 1.0f, s->step + (uint32_t)i, s->rate + s->slope * (float)i, z, k);
    }
    return loss;
}

/* One pass over the rows order[first..last-1]; z is scratch for k float32. Returns the sum of the weighted losses, each
 * before the step that its row caused ("progressive validation"). */
TLC_LINEAR_WIDE static double tlc_stream_pass(const tlc_stream *s, const float *values, const int32_t *indices,
                                              const int64_t *indptr, const float *targets, const float *weights,
                                              const int64_t *order, int64_t first, int64_t last, float *z) {
    switch (s->k) {
        case 1: return tlc_stream_rows(s, values, indices, indptr, targets, weights, order, first, last, z, 1);
        case 2: return tlc_stream_rows(s, values, indices, indptr, targets, weights, order, first, last, z, 2);
        case 3: return tlc_stream_rows(s, values, indices, indptr, targets, weights, order, first, last, z, 3);
        case 4: return tlc_stream_rows(s, values, indices, indptr, targets, weights, order, first, last, z, 4);
        case 5: return tlc_stream_rows(s, values, indices, indptr, targets, weights, order, first, last, z, 5);
        case 6: return tlc_stream_rows(s, values, indices, indptr, targets, weights, order, first, last, z, 6);
        default: return tlc_stream_rows(s, values, indices, indptr, targets, weights, order, first, last, z, s->k);
    }
}

/* The inner product of two vectors; in eight interleaved sums, so that both widths give the same bits. */
TLC_LINEAR_WIDE static double tlc_dot(const double *a, const double *b, int64_t n) {
    double sums[TLC_LINEAR_STRIP] = {0}, total = 0.0;
    int64_t i = 0;
    for (; i + TLC_LINEAR_STRIP <= n; i += TLC_LINEAR_STRIP)
        for (int c = 0; c < TLC_LINEAR_STRIP; c++) sums[c] += a[i + c] * b[i + c];
    for (; i < n; i++) total += a[i] * b[i];
    for (int c = 0; c < TLC_LINEAR_STRIP; c++) total += sums[c];
    return total;
}

/* total += factor * part */
TLC_LINEAR_WIDE static void tlc_add(double *TLC_LINEAR_RESTRICT total, double factor, const double *part, int64_t n) {
    for (int64_t i = 0; i < n; i++) total[i] += factor * part[i];
}

#endif
