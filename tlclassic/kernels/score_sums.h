/* Sums of rows of a table of weights.
 *
 * A table holds `k` weights a row, row after row: float32, float16, or codes of one byte, where a code means
 * (code - 128) * scale and the sum of codes is exact. Rows are prefetched AHEAD of their use, across the bounds of texts.
 * Sums of floats are made in double, in the order of the text.
 */
#ifndef TLCLASSIC_SCORE_SUMS_H
#define TLCLASSIC_SCORE_SUMS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TLC_INLINE static inline __attribute__((always_inline))

enum { TLC_FLOAT32, TLC_FLOAT16, TLC_CODES };
enum { TLC_AHEAD = 24, TLC_ZERO = 128 };

typedef struct {
    const void *values;
    const float *scales; /* of codes: k */
    int64_t k;
    int type;
} tlc_table;

/* --- sums of codes -------------------------------------------------------------------------------------------------
 * Up to four columns: two rows in one word of eight 16-bit lanes. More: vectors of 16-bit sums.
 * 16 bits hold the sum of 257 codes. */

#define TLC_LANES 0x00FF00FF00FF00FFULL

TLC_INLINE uint64_t tlc_four(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, 4);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap32(x);
#endif
    return x;
}

/* k <= 4. */
TLC_INLINE void tlc_codes_4(const uint8_t *t, const uint32_t *rows, size_t n, size_t k, double *sums) {
    while (n) {
        const size_t part = n < 512 ? n : 512;
        uint64_t even = 0, odd = 0;
        for (size_t i = 0; i < part; i += 2) {
            const uint64_t x = tlc_four(t + rows[i] * k) | tlc_four(t + rows[i + 1] * k) << 32;
            __builtin_prefetch(t + rows[i + TLC_AHEAD] * k);
            __builtin_prefetch(t + rows[i + TLC_AHEAD + 1] * k);
            even += x & TLC_LANES;
            odd += x >> 8 & TLC_LANES;
        }
        /* A branch on an odd number could not be predicted. */
        const uint64_t over = (tlc_four(t + rows[part] * k) << 32) & -(uint64_t)(part & 1);
        even -= over & TLC_LANES;
        odd -= over >> 8 & TLC_LANES;
        sums[0] += (double)(int32_t)((even & 0xFFFF) + (even >> 32 & 0xFFFF));
        sums[1] += (double)(int32_t)((odd & 0xFFFF) + (odd >> 32 & 0xFFFF));
        sums[2] += (double)(int32_t)((even >> 16 & 0xFFFF) + (even >> 48));
        sums[3] += (double)(int32_t)((odd >> 16 & 0xFFFF) + (odd >> 48));
        rows += part, n -= part;
    }
}

/* Eight sums; operators of vectors are those of C with GNU's extension, which every processor can do. */
typedef uint8_t tlc_bytes8 __attribute__((vector_size(8)));
typedef uint16_t tlc_sums8 __attribute__((vector_size(16)));

/* `groups` times eight columns, a constant, from the first one at `t` on. May read up to 7 bytes of the next row, or of
 * the slack behind the last one. */
TLC_INLINE void tlc_codes_8(const uint8_t *t, const uint32_t *rows, size_t n, size_t k, size_t groups, double *sums) {
    while (n) {
        const size_t part = n < 256 ? n : 256;
        tlc_sums8 small[8] = {{0}};
        for (size_t i = 0; i < part; i++) {
            const uint8_t *row = t + rows[i] * k;
            __builtin_prefetch(t + rows[i + TLC_AHEAD] * k);
            if (groups > 7) __builtin_prefetch(t + rows[i + TLC_AHEAD] * k + 63);
            for (size_t g = 0; g < groups; g++) {
                tlc_bytes8 eight;
                memcpy(&eight, row + 8 * g, 8);
                small[g] += __builtin_convertvector(eight, tlc_sums8);
            }
        }
        for (size_t g = 0; g < groups; g++)
            for (size_t c = 0; c < 8; c++) sums[8 * g + c] += (double)(int32_t)small[g][c];
        rows += part, n -= part;
    }
}

static void tlc_codes_many(const uint8_t *t, const uint32_t *rows, size_t n, size_t k, double *sums) {
    size_t c = 0;
    for (; c + 56 < k; c += 64) tlc_codes_8(t + c, rows, n, k, 8, sums + c);
    for (; c + 24 < k; c += 32) tlc_codes_8(t + c, rows, n, k, 4, sums + c);
    for (; c + 8 < k; c += 16) tlc_codes_8(t + c, rows, n, k, 2, sums + c);
    if (c < k) tlc_codes_8(t + c, rows, n, k, 1, sums + c);
}

/* The sums of k columns to `sums`, with room for 7 more; they are integers, of which a double holds those that occur. */
TLC_INLINE void tlc_sum_codes(const uint8_t *t, const uint32_t *rows, size_t n, size_t k, double *sums) {
    for (size_t c = 0; c < k + 7; c++) sums[c] = 0;
    if (k <= 4) tlc_codes_4(t, rows, n, k, sums);
    else if (k <= 8) tlc_codes_8(t, rows, n, k, 1, sums);
    else if (k <= 16) tlc_codes_8(t, rows, n, k, 2, sums);
    else if (k <= 24) tlc_codes_8(t, rows, n, k, 3, sums);
    else tlc_codes_many(t, rows, n, k, sums);
    for (size_t c = 0; c < k; c++) sums[c] -= TLC_ZERO * (double)n;
}

/* --- sums of floats ------------------------------------------------------------------------------------------------ */

/* Half precision to single by a product, which is right for subnormal numbers too; what is not finite becomes large. */
TLC_INLINE float tlc_half(uint16_t h) {
    const uint32_t bits = (uint32_t)(h & 0x7FFF) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    float f;
    memcpy(&f, &bits, 4);
    f *= 0x1p112f;
    uint32_t out;
    memcpy(&out, &f, 4);
    out |= sign;
    memcpy(&f, &out, 4);
    return f;
}

TLC_INLINE float tlc_load(const void *values, size_t i, int type) {
    if (type == TLC_FLOAT32) return ((const float *)values)[i];
    if (type == TLC_FLOAT16) return tlc_half(((const uint16_t *)values)[i]);
    return (float)((const uint8_t *)values)[i] - (float)TLC_ZERO;
}

/* `width` columns, a constant, from `first` on. */
TLC_INLINE void tlc_floats(
    const void *v, int type, const uint32_t *rows, size_t n, size_t k, size_t first, size_t width, double *out
) {
    const size_t size = type == TLC_FLOAT32 ? 4 : 2;
    double sums[16] = {0};
    for (size_t i = 0; i < n; i++) {
        const char *next = (const char *)v + ((size_t)rows[i + TLC_AHEAD] * k + first) * size;
        __builtin_prefetch(next);
        if (width > 1) __builtin_prefetch(next + (width - 1) * size);
        for (size_t c = 0; c < width; c++) sums[c] += (double)tlc_load(v, (size_t)rows[i] * k + first + c, type);
    }
    for (size_t c = 0; c < width; c++) out[first + c] = sums[c];
}

TLC_INLINE void tlc_sum_floats(const void *v, int type, const uint32_t *rows, size_t n, size_t k, double *out) {
    size_t c = 0;
    for (; c + 16 <= k; c += 16) tlc_floats(v, type, rows, n, k, c, 16, out);
    for (; c + 8 <= k; c += 8) tlc_floats(v, type, rows, n, k, c, 8, out);
    for (; c + 4 <= k; c += 4) tlc_floats(v, type, rows, n, k, c, 4, out);
    if (k - c == 3) tlc_floats(v, type, rows, n, k, c, 3, out);
    if (k - c == 2) tlc_floats(v, type, rows, n, k, c, 2, out);
    if (k - c == 1) tlc_floats(v, type, rows, n, k, c, 1, out);
}

/* out = the sum of the table's rows; TLC_AHEAD numbers behind `rows` are rows too. */
TLC_INLINE void tlc_sum_rows(
    const tlc_table *table, int type, size_t k, const uint32_t *rows, size_t n, double *out
) {
    if (type == TLC_CODES) {
        tlc_sum_codes(table->values, rows, n, k, out);
        for (size_t c = 0; c < k; c++) out[c] *= (double)table->scales[c];
    } else
        tlc_sum_floats(table->values, type, rows, n, k, out);
}

/* --- families of n-grams ------------------------------------------------------------------------------------------- */

enum { TLC_COUNT, TLC_BINARY, TLC_SUBLINEAR };
enum { TLC_NONE, TLC_LENGTH, TLC_SQRT, TLC_L2 };

typedef struct tlc_family {
    tlc_table table;
    const struct tlc_family *next; /* of the same n-grams, for other columns; or NULL */
    int64_t first;                 /* of all columns, the one that the table's first is added to */
    const uint64_t *bitmap; /* NULL: the bucket is the row */
    const uint32_t *ranks;  /* rows before each word of the bitmap */
    const float *idf;       /* a row; NULL: 1 */
    double idf_default;     /* of a bucket without a row */
    int counts, norm;
} tlc_family;

/* 1 / the factor of a text of n n-grams; `squares`: of its weighted counts. */
TLC_INLINE double tlc_divisor(int norm, size_t n, double squares) {
    const double divisor = norm == TLC_L2 ? sqrt(squares) : norm == TLC_SQRT ? sqrt((double)n) : (double)n;
    return norm == TLC_NONE || !(divisor > 0) ? 1.0 : divisor;
}

#endif
