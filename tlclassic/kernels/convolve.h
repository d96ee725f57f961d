/* Inner loops of a one-layer convolution over words whose filters are multiplied into the rows of the words: one lane
 * per filter, so that the compiler can vectorise it and the result for a filter never depends on the vector width.
 */
#ifndef TLCLASSIC_CONVOLVE_H
#define TLCLASSIC_CONVOLVE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "bits.h"
#include "convolve_products.h"
#include "wide.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define TLC_X86 1
#include <immintrin.h>
#endif

/* The row of each bucket: how many bits of the map are set before its own, or -1 where its own is not. */
static inline void tlc_rows(
    const uint32_t *buckets, int64_t n, const uint64_t *bitmap, const uint32_t *ranks, int32_t *rows, int popcount) {
    for (int64_t i = 0; i < n; i++) {
        const uint64_t word = bitmap[buckets[i] >> 6], bit = 1ULL << (buckets[i] & 63);
        const uint64_t below = word & (bit - 1);
#if defined(__GNUC__)
        const uint32_t n_below = popcount ? (uint32_t)__builtin_popcountll(below) : tlc_bits(below);
#else
        const uint32_t n_below = tlc_bits(below);
#endif
        rows[i] = word & bit ? (int32_t)(ranks[buckets[i] >> 6] + n_below) : -1;
    }
}

#ifdef TLC_X86
__attribute__((target("popcnt"))) static void tlc_rows_popcnt(
    const uint32_t *buckets, int64_t n, const uint64_t *bitmap, const uint32_t *ranks, int32_t *rows) {
    tlc_rows(buckets, n, bitmap, ranks, rows, 1);
}
#endif

static inline void tlc_rows_of(
    const uint32_t *buckets, int64_t n, const uint64_t *bitmap, const uint32_t *ranks, int32_t *rows) {
#ifdef TLC_X86
    if (__builtin_cpu_supports("popcnt")) {
        tlc_rows_popcnt(buckets, n, bitmap, ranks, rows);
        return;
    }
#endif
    tlc_rows(buckets, n, bitmap, ranks, rows, 0);
}

/* Rows are fetched so many words before they are added: as many as fit the first-level cache beside those at hand. */
enum { TLC_AHEAD = 16 };

/* The largest sum of a window, for each filter: window p, from 1 - width on, is made of offset o of rows[p + o], where
 * p + o is one of the n words; without words, 0. Behind them are TLC_AHEAD addresses more, of rows to fetch. */
static void tlc_windows_portable(int16_t *best, const int8_t *const *rows, int64_t n, int64_t width, int64_t filters) {
    for (int64_t i = 0; i < n; i++) tlc_fetch(rows[i + TLC_AHEAD], width * filters);
    for (int64_t start = 0; start < filters; start += TLC_LANES) {
        int16_t most[TLC_LANES];
        for (int j = 0; j < TLC_LANES; j++) most[j] = n ? INT16_MIN : 0;
        for (int64_t p = 1 - width; p < n; p++) {
            int16_t sum[TLC_LANES] = {0};
            for (int64_t o = p < 0 ? -p : 0; o < width && p + o < n; o++) {
                const int8_t *row = rows[p + o] + o * filters + start;
                for (int j = 0; j < TLC_LANES; j++) sum[j] = (int16_t)(sum[j] + row[j]);
            }
            for (int j = 0; j < TLC_LANES; j++) most[j] = sum[j] > most[j] ? sum[j] : most[j];
        }
        memcpy(best + start, most, sizeof most);
    }
}

/* What a hidden layer of int16 is shown is at most so large, a sum in this many steps of its code; the sum of what it
 * multiplies fits in 32 bits then, which is checked when a file is read. */
enum { TLC_MOST = 4095, TLC_STEPS = 8 };

/* Weights of a hidden layer for integers: of TLC_LANES units side by side those of two features after each other, and so
 * on for all features. Of each of n texts, out[k] is the sum over f of x[f] * weight of f and k. */
static void tlc_hidden_portable(
    int32_t *out, const int16_t *x, int64_t n, const int16_t *weights, int64_t features, int64_t hidden) {
    for (int64_t i = 0; i < n; i++, x += features, out += hidden) {
        const int16_t *row = weights;
        for (int64_t start = 0; start < hidden; start += TLC_LANES) {
            int32_t sums[TLC_LANES] = {0};
            for (int64_t f = 0; f < features; f += 2, row += 2 * TLC_LANES)
                for (int k = 0; k < TLC_LANES; k++)
                    sums[k] += (int32_t)x[f] * row[2 * k] + (int32_t)x[f + 1] * row[2 * k + 1];
            memcpy(out + start, sums, sizeof sums);
        }
    }
}

/* Rows are added up so many at a time, which fit in 16 bits where they are codes, and then in a wider type. */
enum { TLC_SHORT = 256 };

/* Of n rows of codes, at most TLC_SHORT, the sums of n_sums numbers from `first` on. The windows' numbers of a row are
 * fetched when those are read. */
static void tlc_short_sums_portable(int16_t *sums, const int8_t *const *rows, int64_t n, int64_t first, int64_t n_sums) {
    memset(sums, 0, (size_t)n_sums * sizeof *sums);
    for (int64_t i = 0; i < n; i++) {
        tlc_fetch((const char *)(rows[i + TLC_AHEAD] + first), n_sums);
        for (int64_t j = 0; j < n_sums; j++) sums[j] = (int16_t)(sums[j] + rows[i][first + j]);
    }
}

#ifdef TLC_X86
/* Compilers keep neither sums nor maxima in registers by themselves: this is the loop that most of the time goes to. A
 * block is some filters side by side, whose maxima stay in registers over all words, as do the sums of the windows that
 * are not whole yet: begun[k] has its first k + 1 words. So each row is read once, from its beginning to its end. The
 * width of block and window is a constant wherever it is inlined. */
#define TLC_INLINE static inline __attribute__((always_inline))
#define TLC_AVX2 __attribute__((target("avx2")))
#define TLC_AVX512 __attribute__((target("avx512f,avx512bw")))
#define TLC_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
enum { TLC_MAX_WIDTH = 8 };

TLC_AVX2 TLC_INLINE __m256i tlc_widened_avx2(const int8_t *codes) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)codes));
}

TLC_AVX512 TLC_INLINE __m512i tlc_widened_avx512(const int8_t *codes) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)codes));
}

/* The same for both widths of register: filters j to j + n * lanes. */
#define TLC_DEFINE_BLOCK(name, target, vector, lanes, zero, set1, widened, add, max, store)                             \
    target TLC_INLINE void name(                                                                                        \
        int16_t *best, const int8_t *const *rows, int64_t n_rows, const int64_t width, const int64_t filters,           \
        const int64_t j, const int n                                                                                    \
    ) {                                                                                                                 \
        vector most[3], begun[TLC_MAX_WIDTH][3];                                                                        \
        for (int k = 0; k < n; k++) most[k] = n_rows ? set1(INT16_MIN) : zero();                                        \
        for (int64_t o = 0; o < width; o++)                                                                             \
            for (int k = 0; k < n; k++) begun[o][k] = zero();                                                           \
        for (int64_t i = 0; i < n_rows; i++) {                                                                          \
            const int8_t *const row = rows[i] + j;                                                                      \
            if (j == 0) tlc_fetch(rows[i + TLC_AHEAD], width * filters);                                                \
            for (int64_t o = width - 1; o > 0; o--)                                                                     \
                for (int k = 0; k < n; k++) begun[o][k] = add(begun[o - 1][k], widened(row + o * filters + lanes * k)); \
            for (int k = 0; k < n; k++) begun[0][k] = widened(row + lanes * k);                                         \
            for (int k = 0; k < n; k++) most[k] = max(most[k], begun[width - 1][k]);                                    \
        }                                                                                                               \
        /* Those that end behind the text. */                                                                           \
        for (int64_t o = 0; o < width - 1; o++)                                                                         \
            for (int k = 0; k < n; k++) most[k] = max(most[k], begun[o][k]);                                            \
        for (int k = 0; k < n; k++) store((void *)(best + j + lanes * k), most[k]);                                     \
    }

TLC_DEFINE_BLOCK(
    tlc_block_avx2, TLC_AVX2, __m256i, 16, _mm256_setzero_si256, _mm256_set1_epi16, tlc_widened_avx2, _mm256_add_epi16,
    _mm256_max_epi16, _mm256_storeu_si256)
TLC_DEFINE_BLOCK(
    tlc_block_avx512, TLC_AVX512, __m512i, 32, _mm512_setzero_si512, _mm512_set1_epi16, tlc_widened_avx512,
    _mm512_add_epi16, _mm512_max_epi16, _mm512_storeu_si512)

/* Blocks from filter j on, as far as they go. */
#define TLC_BLOCKS(each, step, n)                                     \
    for (; j + (step) <= filters; j += (step)) {                      \
        if (width == 3) each(best, rows, n_rows, 3, filters, j, n);      \
        else if (width == 4) each(best, rows, n_rows, 4, filters, j, n); \
        else each(best, rows, n_rows, width, filters, j, n);             \
    }

TLC_AVX2 static void tlc_windows_avx2(
    int16_t *best, const int8_t *const *rows, int64_t n_rows, int64_t width, int64_t filters) {
    int64_t j = 0;
    TLC_BLOCKS(tlc_block_avx2, 32, 2)
    TLC_BLOCKS(tlc_block_avx2, 16, 1)
}

TLC_AVX512 static void tlc_windows_avx512(
    int16_t *best, const int8_t *const *rows, int64_t n_rows, int64_t width, int64_t filters) {
    int64_t j = 0;
    /* The default: all places in a row are constants. */
    if (filters == 96 && width == 4) {
        tlc_block_avx512(best, rows, n_rows, 4, 96, 0, 3);
        return;
    }
    TLC_BLOCKS(tlc_block_avx512, 96, 3)
    TLC_BLOCKS(tlc_block_avx512, 32, 1)
    TLC_BLOCKS(tlc_block_avx2, 16, 1)
}

/* Numbers j to j + n * lanes of tlc_short_sums_portable. */
#define TLC_DEFINE_SHORT_SUMS(name, target, vector, lanes, zero, widened, add, store)                                  \
    target TLC_INLINE void name(                                                                                       \
        int16_t *sums, const int8_t *const *rows, int64_t n_rows, int64_t first, int64_t n_sums, int64_t j,            \
        const int n) {                                                                                                 \
        vector added[2];                                                                                               \
        for (int k = 0; k < n; k++) added[k] = zero();                                                                 \
        for (int64_t i = 0; i < n_rows; i++) {                                                                         \
            const int8_t *const row = rows[i] + first;                                                                 \
            if (j == 0) tlc_fetch((const char *)(rows[i + TLC_AHEAD] + first), n_sums);                                \
            for (int k = 0; k < n; k++) added[k] = add(added[k], widened(row + j + lanes * k));                        \
        }                                                                                                              \
        for (int k = 0; k < n; k++) store((void *)(sums + j + lanes * k), added[k]);                                   \
    }

TLC_DEFINE_SHORT_SUMS(
    tlc_short_block_avx2, TLC_AVX2, __m256i, 16, _mm256_setzero_si256, tlc_widened_avx2, _mm256_add_epi16,
    _mm256_storeu_si256)
TLC_DEFINE_SHORT_SUMS(
    tlc_short_block_avx512, TLC_AVX512, __m512i, 32, _mm512_setzero_si512, tlc_widened_avx512, _mm512_add_epi16,
    _mm512_storeu_si512)

TLC_AVX2 static void tlc_short_sums_avx2(
    int16_t *sums, const int8_t *const *rows, int64_t n, int64_t first, int64_t n_sums) {
    int64_t j = 0;
    for (; j + 32 <= n_sums; j += 32) tlc_short_block_avx2(sums, rows, n, first, n_sums, j, 2);
    if (j < n_sums) tlc_short_block_avx2(sums, rows, n, first, n_sums, j, 1);
}

TLC_AVX512 static void tlc_short_sums_avx512(
    int16_t *sums, const int8_t *const *rows, int64_t n, int64_t first, int64_t n_sums) {
    int64_t j = 0;
    for (; j + 64 <= n_sums; j += 64) tlc_short_block_avx512(sums, rows, n, first, n_sums, j, 2);
    for (; j + 32 <= n_sums; j += 32) tlc_short_block_avx512(sums, rows, n, first, n_sums, j, 1);
    if (j < n_sums) tlc_short_block_avx2(sums, rows, n, first, n_sums, j, 1);
}

/* Two features that lie beside each other, in every lane. */
static inline int32_t tlc_pair(const int16_t *x) {
    int32_t pair;
    memcpy(&pair, x, sizeof pair);
    return pair;
}

/* Of n_texts texts the sums of `vectors` registers of units: so many that none waits for the one before, of weights that
 * are read once for all texts. A block of units fills `per_block` registers. */
#define TLC_DEFINE_HIDDEN_BLOCK(name, target, vector, zero, set1, load, store, added, per_block)                       \
    target TLC_INLINE void name(                                                                                       \
        int32_t *out, const int16_t *x, const int16_t *weights, int64_t features, int64_t hidden, const int n_texts,   \
        const int vectors) {                                                                                           \
        const int lanes = TLC_LANES / per_block;                                                                       \
        vector sums[4][4];                                                                                             \
        for (int t = 0; t < n_texts; t++)                                                                              \
            for (int k = 0; k < vectors; k++) sums[t][k] = zero();                                                     \
        for (int64_t f = 0; f < features; f += 2)                                                                      \
            for (int k = 0; k < vectors; k++) {                                                                        \
                const vector row =                                                                                     \
                    load((const void *)(weights + (k / per_block * features + f) * TLC_LANES +                         \
                                        k % per_block * 2 * lanes));                                                   \
                for (int t = 0; t < n_texts; t++)                                                                      \
                    sums[t][k] = added(sums[t][k], set1(tlc_pair(x + t * features + f)), row);                         \
            }                                                                                                          \
        for (int t = 0; t < n_texts; t++)                                                                              \
            for (int k = 0; k < vectors; k++) store((void *)(out + t * hidden + k * lanes), sums[t][k]);               \
    }

#define TLC_MADD_AVX2(sums, pair, row) _mm256_add_epi32(sums, _mm256_madd_epi16(pair, row))
#define TLC_MADD_AVX512(sums, pair, row) _mm512_add_epi32(sums, _mm512_madd_epi16(pair, row))
TLC_DEFINE_HIDDEN_BLOCK(
    tlc_hidden_block_avx2, TLC_AVX2, __m256i, _mm256_setzero_si256, _mm256_set1_epi32, _mm256_loadu_si256,
    _mm256_storeu_si256, TLC_MADD_AVX2, 2)
TLC_DEFINE_HIDDEN_BLOCK(
    tlc_hidden_block_avx512, TLC_AVX512, __m512i, _mm512_setzero_si512, _mm512_set1_epi32, _mm512_loadu_si512,
    _mm512_storeu_si512, TLC_MADD_AVX512, 1)
/* Products and their sums in one instruction. */
TLC_DEFINE_HIDDEN_BLOCK(
    tlc_hidden_block_vnni, TLC_VNNI, __m512i, _mm512_setzero_si512, _mm512_set1_epi32, _mm512_loadu_si512,
    _mm512_storeu_si512, _mm512_dpwssd_epi32, 1)

/* Texts and units together as far as they go: `most` texts, each with `most_vectors` registers. */
#define TLC_DEFINE_HIDDEN(name, target, each, per_block, most, most_vectors)                                           \
    target static void name(                                                                                           \
        int32_t *out, const int16_t *x, int64_t n, const int16_t *weights, int64_t features, int64_t hidden) {         \
        const int64_t lanes = TLC_LANES / per_block;                                                                   \
        int64_t k = 0;                                                                                                 \
        for (; k + most_vectors * lanes <= hidden; k += most_vectors * lanes) {                                        \
            int64_t i = 0;                                                                                             \
            for (; i + most <= n; i += most)                                                                           \
                each(out + i * hidden + k, x + i * features, weights + k * features, features, hidden, most,           \
                     most_vectors);                                                                                    \
            for (; i < n; i++)                                                                                         \
                each(out + i * hidden + k, x + i * features, weights + k * features, features, hidden, 1,              \
                     most_vectors);                                                                                    \
        }                                                                                                              \
        for (; k < hidden; k += TLC_LANES)                                                                             \
            for (int64_t i = 0; i < n; i++)                                                                            \
                each(out + i * hidden + k, x + i * features, weights + k * features, features, hidden, 1, per_block);  \
    }

TLC_DEFINE_HIDDEN(tlc_hidden_avx2, TLC_AVX2, tlc_hidden_block_avx2, 2, 2, 4)
TLC_DEFINE_HIDDEN(tlc_hidden_avx512, TLC_AVX512, tlc_hidden_block_avx512, 1, 4, 2)
TLC_DEFINE_HIDDEN(tlc_hidden_vnni, TLC_VNNI, tlc_hidden_block_vnni, 1, 4, 2)
#endif

/* The windows of float32, and where the first of the largest begins. Sums run in the order of the offsets. */
TLC_WIDE static void tlc_windows_float32(
    float *TLC_RESTRICT best, int32_t *TLC_RESTRICT at, float *TLC_RESTRICT sum, const float *const *rows,
    int64_t n_windows, int64_t width, int64_t filters) {
    for (int64_t p = 0; p < n_windows; p++) {
        memcpy(sum, rows[p], (size_t)filters * sizeof(float));
        for (int64_t o = 1; o < width; o++) {
            const float *TLC_RESTRICT row = rows[p + o] + o * filters;
            for (int64_t j = 0; j < filters; j++) sum[j] += row[j];
        }
        if (p == 0) {
            memcpy(best, sum, (size_t)filters * sizeof(float));
            memset(at, 0, (size_t)filters * sizeof(int32_t));
            continue;
        }
        for (int64_t j = 0; j < filters; j++) {
            const int larger = sum[j] > best[j];
            best[j] = larger ? sum[j] : best[j];
            at[j] = larger ? (int32_t)p : at[j];
        }
    }
}

TLC_WIDE static void tlc_activate_int8(
    float *TLC_RESTRICT out, const int16_t *TLC_RESTRICT best, const float *TLC_RESTRICT scales,
    const float *TLC_RESTRICT bias, int64_t filters) {
    for (int64_t j = 0; j < filters; j++) {
        const float x = bias[j] + scales[j] * (float)best[j];
        out[j] = x > 0.0f ? x : 0.0f;
    }
}

TLC_WIDE static void tlc_activate_products(
    float *TLC_RESTRICT out, const int32_t *TLC_RESTRICT products, const float *TLC_RESTRICT scales,
    const float *TLC_RESTRICT bias, int64_t hidden) {
    for (int64_t k = 0; k < hidden; k++) {
        const float x = bias[k] + scales[k] * (float)products[k];
        out[k] = x > 0.0f ? x : 0.0f;
    }
}

TLC_WIDE static void tlc_activate_float32(
    float *TLC_RESTRICT out, const float *TLC_RESTRICT best, const float *TLC_RESTRICT bias, int64_t filters) {
    for (int64_t j = 0; j < filters; j++) {
        const float x = bias[j] + best[j];
        out[j] = x > 0.0f ? x : 0.0f;
    }
}

/* Sums over n rows are divided by the root of n. */
static inline float tlc_share(int64_t n) { return n ? 1.0f / sqrtf((float)n) : 0.0f; }

TLC_WIDE static void tlc_sums_int8(
    float *TLC_RESTRICT out, const double *TLC_RESTRICT totals, const float *TLC_RESTRICT scales, int64_t n_sums,
    int64_t n) {
    const float share = tlc_share(n);
    for (int64_t j = 0; j < n_sums; j++) out[j] = scales[j] * (float)totals[j] * share;
}

/* What sums over n rows are multiplied by for a hidden layer of int16, whose steps are parts of a code. */
static inline float tlc_share_in_steps(int64_t n) { return (float)TLC_STEPS * tlc_share(n); }

/* Sums for it, of either type. */
#define TLC_DEFINE_SUMS_INT16(name, type)                                                                              \
    TLC_WIDE static void name(                                                                                         \
        int16_t *TLC_RESTRICT out, const type *TLC_RESTRICT totals, int64_t n_sums, float share) {                     \
        for (int64_t j = 0; j < n_sums; j++) {                                                                         \
            const float x = (float)totals[j] * share;                                                                  \
            /* To the nearest, halves away from zero; by way of 32 bits, which compilers can vectorise. */             \
            int32_t code = (int32_t)(x + (x < 0.0f ? -0.5f : 0.5f));                                                   \
            code = code > TLC_MOST ? TLC_MOST : code;                                                                  \
            out[j] = (int16_t)(code < -TLC_MOST ? -TLC_MOST : code);                                                   \
        }                                                                                                              \
    }

TLC_DEFINE_SUMS_INT16(tlc_sums_int16, double)
TLC_DEFINE_SUMS_INT16(tlc_short_sums_int16, int16_t)

/* Activations of filters for a hidden layer of int16, in codes. */
TLC_WIDE static void tlc_activate_int16(
    int16_t *TLC_RESTRICT out, const int16_t *TLC_RESTRICT best, const int16_t *TLC_RESTRICT bias, int64_t filters) {
    for (int64_t j = 0; j < filters; j++) {
        int32_t code = (int32_t)best[j] + bias[j];
        code = code > TLC_MOST ? TLC_MOST : code;
        out[j] = (int16_t)(code < 0 ? 0 : code);
    }
}

TLC_WIDEST static void tlc_sums_float32(
    float *TLC_RESTRICT out, const float *const *rows, int64_t n, int64_t first, int64_t n_sums,
    double *TLC_RESTRICT totals) {
    memset(totals, 0, (size_t)n_sums * sizeof *totals);
    for (int64_t start = 0; start < n; start += TLC_SHORT) {
        memset(out, 0, (size_t)n_sums * sizeof *out);
        for (int64_t i = start; i < n && i < start + TLC_SHORT; i++) {
            const float *TLC_RESTRICT row = rows[i] + first;
            for (int64_t j = 0; j < n_sums; j++) out[j] += row[j];
        }
        for (int64_t j = 0; j < n_sums; j++) totals[j] += (double)out[j];
    }
    const float share = tlc_share(n);
    for (int64_t j = 0; j < n_sums; j++) out[j] = (float)totals[j] * share;
}

#endif
