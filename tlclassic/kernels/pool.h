/* Inner loops of pooling: each works on whole rows, one lane per dimension, so that the compiler can vectorise it and
 * the result for a dimension never depends on the vector width. Widened at load time where the processor has AVX2
 * (without fused multiply-add, so that both widths give the same bits).
 */
#ifndef TLCLASSIC_POOL_H
#define TLCLASSIC_POOL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Rows that are gathered before they are added up. Sums run in float32 inside a block and in float64 across blocks:
 * the speed of float32, and an error that does not grow with the length of the text. */
#define TLC_BLOCK 16

#if defined(__GNUC__)
#define TLC_PREFETCH(p) __builtin_prefetch(p)
#define TLC_RESTRICT __restrict__
#else
#define TLC_PREFETCH(p) ((void)0)
#define TLC_RESTRICT
#endif

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_UNDEFINED__)
#define TLC_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define TLC_WIDE
#endif

enum { TLC_FLOAT32 = 0, TLC_FLOAT16 = 1, TLC_INT8 = 2 };

static inline void tlc_prefetch(const void *row, int64_t n_bytes) {
    for (int64_t at = 0; at < n_bytes; at += 64) TLC_PREFETCH((const char *)row + at);
}

/* IEEE half to single: shift the exponent and mantissa into place, then scale by 2^112 (exact, subnormals included). */
TLC_WIDE static void tlc_row_from_float16(float *TLC_RESTRICT out, const uint16_t *TLC_RESTRICT row, int64_t dim) {
    for (int64_t j = 0; j < dim; j++) {
        const uint32_t half = row[j];
        const uint32_t magnitude = (half & 0x7FFFu) << 13;
        /* Infinity and NaN keep the highest exponent. */
        const uint32_t special = magnitude >= 0x0F800000u ? 0x7F800000u : 0u;
        float value;
        uint32_t bits;
        memcpy(&value, &magnitude, 4);
        value *= 5.192296858534828e33f; /* 2^112 */
        memcpy(&bits, &value, 4);
        bits |= special | ((half & 0x8000u) << 16);
        memcpy(&out[j], &bits, 4);
    }
}

TLC_WIDE static void tlc_row_from_int8(float *TLC_RESTRICT out, const int8_t *TLC_RESTRICT row, float scale,
                                       int64_t dim) {
    for (int64_t j = 0; j < dim; j++) out[j] = (float)row[j] * scale;
}

/* sum[j] = the weighted sum of n rows; four at a time, so that the sum is loaded and stored once for the four. */
TLC_WIDE static void tlc_sum_rows(float *TLC_RESTRICT sum, const float *const *rows, const float *weights, int64_t n,
                                  int64_t dim) {
    int64_t i = 0;
    memset(sum, 0, (size_t)dim * sizeof(float));
    for (; i + 4 <= n; i += 4) {
        const float *TLC_RESTRICT a = rows[i], *TLC_RESTRICT b = rows[i + 1];
        const float *TLC_RESTRICT c = rows[i + 2], *TLC_RESTRICT d = rows[i + 3];
        const float u = weights[i], v = weights[i + 1], w = weights[i + 2], x = weights[i + 3];
        for (int64_t j = 0; j < dim; j++) sum[j] += (u * a[j] + v * b[j]) + (w * c[j] + x * d[j]);
    }
    for (; i < n; i++) {
        const float *TLC_RESTRICT a = rows[i];
        const float u = weights[i];
        for (int64_t j = 0; j < dim; j++) sum[j] += u * a[j];
    }
}

TLC_WIDE static void tlc_add_float32(double *TLC_RESTRICT total, const float *TLC_RESTRICT sum, int64_t dim) {
    for (int64_t j = 0; j < dim; j++) total[j] += (double)sum[j];
}

TLC_WIDE static void tlc_divide(float *TLC_RESTRICT out, const double *TLC_RESTRICT total, double denominator,
                                int64_t dim) {
    for (int64_t j = 0; j < dim; j++) out[j] = (float)(total[j] / denominator);
}

TLC_WIDE static void tlc_max_row(float *TLC_RESTRICT best, const float *TLC_RESTRICT row, int64_t dim) {
    for (int64_t j = 0; j < dim; j++) best[j] = row[j] > best[j] ? row[j] : best[j];
}

TLC_WIDE static void tlc_min_row(float *TLC_RESTRICT best, const float *TLC_RESTRICT row, int64_t dim) {
    for (int64_t j = 0; j < dim; j++) best[j] = row[j] < best[j] ? row[j] : best[j];
}

/* total[j] += row[j] ^ power. In float64 throughout: where odd powers cancel, the root enlarges every rounding. */
TLC_WIDE static void tlc_add_power(double *TLC_RESTRICT total, const float *TLC_RESTRICT row, int power, int64_t dim) {
    if (power == 1) {
        for (int64_t j = 0; j < dim; j++) total[j] += (double)row[j];
    } else if (power == 2) {
        for (int64_t j = 0; j < dim; j++) total[j] += (double)row[j] * (double)row[j];
    } else if (power == 3) {
        for (int64_t j = 0; j < dim; j++) total[j] += (double)row[j] * (double)row[j] * (double)row[j];
    } else {
        for (int64_t j = 0; j < dim; j++) {
            double product = (double)row[j];
            for (int k = 1; k < power; k++) product *= (double)row[j];
            total[j] += product;
        }
    }
}

/* out[j] = (total[j] / n) ^ (1 / power), the root with the sign of its argument (which odd powers alone can make negative). */
static inline void tlc_root(float *TLC_RESTRICT out, const double *TLC_RESTRICT total, double n, int power,
                            int64_t dim) {
    for (int64_t j = 0; j < dim; j++) {
        const double mean = total[j] / n;
        if (power == 1)
            out[j] = (float)mean;
        else if (power == 2)
            out[j] = (float)sqrt(mean);
        else if (power == 3)
            out[j] = (float)cbrt(mean);
        else
            out[j] = (float)copysign(pow(fabs(mean), 1.0 / power), mean);
    }
}

/* Dot products with eight running sums in a fixed order: the same bits whatever surrounds the row. */
#define TLC_DOT(NAME, TYPE)                                                                                            \
    TLC_WIDE static double NAME(const TYPE *TLC_RESTRICT x, const double *TLC_RESTRICT y, int64_t dim) {               \
        double lanes[8] = {0};                                                                                         \
        int64_t j = 0;                                                                                                 \
        for (; j + 8 <= dim; j += 8)                                                                                   \
            for (int k = 0; k < 8; k++) lanes[k] += (double)x[j + k] * y[j + k];                                       \
        for (; j < dim; j++) lanes[j & 7] += (double)x[j] * y[j];                                                      \
        return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));      \
    }
TLC_DOT(tlc_dot_float32, float)
TLC_DOT(tlc_dot_float64, double)

#endif
