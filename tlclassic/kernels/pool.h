/* Inner loops of pooling: each works on whole rows, one lane per dimension, so that the compiler can vectorise it and
 * the result for a dimension never depends on the vector width. Widened at load time where the processor has AVX2
 * (without fused multiply-add, so that both widths give the same bits).
 */
#ifndef TLCLASSIC_POOL_H
#define TLCLASSIC_POOL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

/* Rows that are gathered before they are added up. Sums run in float32 inside a block and in float64 across blocks:
 * the speed of float32, and an error that does not grow with the length of the text. */
#define TLC_BLOCK 16

enum { TLC_FLOAT32 = 0, TLC_FLOAT16 = 1, TLC_INT8 = 2 };

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

/* best[j] = the largest (smallest) of itself and n rows, four at a time. */
#define TLC_LARGER(a, b) ((a) > (b) ? (a) : (b))
#define TLC_SMALLER(a, b) ((a) < (b) ? (a) : (b))
#define TLC_EXTREME(NAME, OF)                                                                                          \
    TLC_WIDE static void NAME(float *TLC_RESTRICT best, const float *const *rows, int64_t n, int64_t dim) {            \
        int64_t i = 0;                                                                                                 \
        for (; i + 4 <= n; i += 4) {                                                                                   \
            const float *TLC_RESTRICT a = rows[i], *TLC_RESTRICT b = rows[i + 1];                                      \
            const float *TLC_RESTRICT c = rows[i + 2], *TLC_RESTRICT d = rows[i + 3];                                  \
            for (int64_t j = 0; j < dim; j++) {                                                                        \
                const float ab = OF(a[j], b[j]), cd = OF(c[j], d[j]);                                                  \
                const float all = OF(ab, cd);                                                                          \
                best[j] = OF(all, best[j]);                                                                            \
            }                                                                                                          \
        }                                                                                                              \
        for (; i < n; i++) {                                                                                           \
            const float *TLC_RESTRICT a = rows[i];                                                                     \
            for (int64_t j = 0; j < dim; j++) best[j] = OF(a[j], best[j]);                                             \
        }                                                                                                              \
    }
TLC_EXTREME(tlc_max_rows, TLC_LARGER)
TLC_EXTREME(tlc_min_rows, TLC_SMALLER)

/* total[j] += the sum of row[j] ^ power over n rows, four at a time. In float64 throughout: where odd powers cancel, the
 * root enlarges every rounding. */
#define TLC_POWER_1(a) ((double)(a))
#define TLC_POWER_2(a) ((double)(a) * (double)(a))
#define TLC_POWER_3(a) ((double)(a) * (double)(a) * (double)(a))
#define TLC_ADD_POWERS(NAME, OF)                                                                                       \
    TLC_WIDE static void NAME(double *TLC_RESTRICT total, const float *const *rows, int64_t n, int64_t dim) {          \
        int64_t i = 0;                                                                                                 \
        for (; i + 4 <= n; i += 4) {                                                                                   \
            const float *TLC_RESTRICT a = rows[i], *TLC_RESTRICT b = rows[i + 1];                                      \
            const float *TLC_RESTRICT c = rows[i + 2], *TLC_RESTRICT d = rows[i + 3];                                  \
            for (int64_t j = 0; j < dim; j++) total[j] += (OF(a[j]) + OF(b[j])) + (OF(c[j]) + OF(d[j]));               \
        }                                                                                                              \
        for (; i < n; i++) {                                                                                           \
            const float *TLC_RESTRICT a = rows[i];                                                                     \
            for (int64_t j = 0; j < dim; j++) total[j] += OF(a[j]);                                                    \
        }                                                                                                              \
    }
TLC_ADD_POWERS(tlc_add_powers_1, TLC_POWER_1)
TLC_ADD_POWERS(tlc_add_powers_2, TLC_POWER_2)
TLC_ADD_POWERS(tlc_add_powers_3, TLC_POWER_3)

static inline void tlc_add_powers(double *total, const float *const *rows, int power, int64_t n, int64_t dim) {
    if (power == 1) {
        tlc_add_powers_1(total, rows, n, dim);
    } else if (power == 2) {
        tlc_add_powers_2(total, rows, n, dim);
    } else if (power == 3) {
        tlc_add_powers_3(total, rows, n, dim);
    } else {
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < dim; j++) {
                double product = (double)rows[i][j];
                for (int k = 1; k < power; k++) product *= (double)rows[i][j];
                total[j] += product;
            }
    }
}

/* out[j] = the cube root of total[j] / n, with its sign. libm's cbrt cannot be vectorised and took most of the time:
 * a guess by a third of the exponent is within 4 %, and each of Halley's steps cubes that error. Means below the smallest
 * normal float32 count as zero, those above the largest one as infinite. */
TLC_WIDE static void tlc_cube_root(float *TLC_RESTRICT out, const double *TLC_RESTRICT total, double n, int64_t dim) {
    for (int64_t j = 0; j < dim; j++) {
        const float mean = (float)(total[j] / n);
        uint32_t bits, guess_bits;
        float guess, root;
        memcpy(&bits, &mean, 4);
        const uint32_t sign = bits & 0x80000000u, size = bits & 0x7FFFFFFFu;
        guess_bits = size / 3u + 0x2A514067u;
        memcpy(&guess, &guess_bits, 4);
        const double x = fabs((double)mean);
        double y = (double)guess, cube = y * y * y;
        y = y * (cube + 2.0 * x) / (2.0 * cube + x);
        cube = y * y * y;
        y = y * (cube + 2.0 * x) / (2.0 * cube + x);
        root = (float)y;
        memcpy(&bits, &root, 4);
        bits = size < 0x00800000u ? 0u : bits;
        bits = (size >= 0x7F800000u ? 0x7F800000u : bits) | sign;
        memcpy(&out[j], &bits, 4);
    }
}

/* out[j] = (total[j] / n) ^ (1 / power); the root has the sign of its argument, which only odd powers make negative. */
static inline void tlc_root(float *TLC_RESTRICT out, const double *TLC_RESTRICT total, double n, int power,
                            int64_t dim) {
    if (power == 3) {
        tlc_cube_root(out, total, n, dim);
        return;
    }
    for (int64_t j = 0; j < dim; j++) {
        const double mean = total[j] / n;
        if (power == 1)
            out[j] = (float)mean;
        else if (power == 2)
            out[j] = (float)sqrt(mean);
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
