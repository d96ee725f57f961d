/* Texts whose windows fit in a byte: tables whose codes are so small that no sum of a window leaves -128 to 127. Twice as
 * many filters fit in a register then, and nothing is widened before the largest window is known.
 */
#ifndef TLCLASSIC_CONVOLVE_BYTES_H
#define TLCLASSIC_CONVOLVE_BYTES_H

#include <stdint.h>
#include <stdlib.h>

#include "convolve.h"

/* The largest and least of codes so far and those of a row. */
TLC_WIDE static void tlc_code_range(
    int8_t *TLC_RESTRICT most, int8_t *TLC_RESTRICT least, const int8_t *TLC_RESTRICT row, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        most[j] = row[j] > most[j] ? row[j] : most[j];
        least[j] = row[j] < least[j] ? row[j] : least[j];
    }
}

/* Whether every sum of codes, of any row for each offset of a window, is in a byte: 1 or 0, or -1 without memory. */
static int tlc_windows_are_bytes(
    const int8_t *table, int64_t n_rows, int64_t row_bytes, int64_t width, int64_t filters) {
    int8_t *const most = calloc((size_t)(2 * width * filters), 1), *const least = most + width * filters;
    if (most == NULL) return -1;
    for (int64_t i = 0; i < n_rows; i++) tlc_code_range(most, least, table + i * row_bytes, width * filters);
    int fit = 1;
    for (int64_t j = 0; j < filters; j++) {
        int largest = 0, smallest = 0;
        for (int64_t o = 0; o < width; o++) largest += most[o * filters + j], smallest += least[o * filters + j];
        fit &= largest <= INT8_MAX && smallest >= INT8_MIN;
    }
    free(most);
    return fit;
}

/* What a hidden layer of int16 is shown of a text of at most TLC_SHORT words: filters, then sums. `room` is memory for as
 * many numbers; `share` is what sums are multiplied by. */
static void tlc_shown_portable(
    int16_t *shown, const int8_t *const *rows, int64_t n, int64_t width, int64_t filters, int64_t n_sums,
    const int16_t *bias, float share, int16_t *room) {
    tlc_short_sums_portable(room, rows, n, width * filters, n_sums);
    tlc_short_sums_int16(shown + filters, room, n_sums, share);
    tlc_windows_portable(room, rows, n, width, filters);
    tlc_activate_int16(shown, room, bias, filters);
}

#ifdef TLC_X86
/* Loops of constant length, so that arrays of registers are not kept in memory as well. */
#define TLC_UNROLL _Pragma("GCC unroll 8")

/* As TLC_DEFINE_BLOCK, of bytes: filters j to j + 32. */
TLC_AVX2 TLC_INLINE void tlc_byte_block_avx2(
    int16_t *best, const int8_t *const *rows, int64_t n_rows, const int64_t width, int64_t filters, int64_t j) {
    __m256i most = n_rows ? _mm256_set1_epi8(INT8_MIN) : _mm256_setzero_si256(), begun[TLC_MAX_WIDTH];
    for (int64_t o = 0; o < width; o++) begun[o] = _mm256_setzero_si256();
    for (int64_t i = 0; i < n_rows; i++) {
        const int8_t *const row = rows[i] + j;
        if (j == 0) tlc_fetch(rows[i + TLC_AHEAD], width * filters);
        for (int64_t o = width - 1; o > 0; o--)
            begun[o] = _mm256_add_epi8(begun[o - 1], _mm256_loadu_si256((const __m256i *)(row + o * filters)));
        begun[0] = _mm256_loadu_si256((const __m256i *)row);
        most = _mm256_max_epi8(most, begun[width - 1]);
    }
    for (int64_t o = 0; o < width - 1; o++) most = _mm256_max_epi8(most, begun[o]);
    const __m256i first = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(most));
    const __m256i second = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(most, 1));
    _mm256_storeu_si256((__m256i *)(best + j), first);
    _mm256_storeu_si256((__m256i *)(best + j + 16), second);
}

TLC_AVX2 static void tlc_shown_avx2(
    int16_t *shown, const int8_t *const *rows, int64_t n, int64_t width, int64_t filters, int64_t n_sums,
    const int16_t *bias, float share, int16_t *room) {
    tlc_short_sums_avx2(room, rows, n, width * filters, n_sums);
    tlc_short_sums_int16(shown + filters, room, n_sums, share);
    int16_t *const best = room;
    const int64_t n_rows = n;
    int64_t j = 0;
    for (; j + 32 <= filters; j += 32) {
        if (width == 3) tlc_byte_block_avx2(best, rows, n, 3, filters, j);
        else if (width == 4) tlc_byte_block_avx2(best, rows, n, 4, filters, j);
        else tlc_byte_block_avx2(best, rows, n, width, filters, j);
    }
    TLC_BLOCKS(tlc_block_avx2, 16, 1)
    tlc_activate_int16(shown, best, bias, filters);
}

/* A text at one go: `n_most` registers of filters, the last of them in part or whole, and `n_added` of sums. */
TLC_AVX512 TLC_INLINE void tlc_text_avx512(
    int16_t *shown, const int8_t *const *rows, int64_t n_rows, const int64_t width, const int64_t filters,
    const int64_t n_sums, const int16_t *bias, float share) {
    enum { LANES = 64, MOST = 4 };
    const int n_most = (int)((filters + LANES - 1) / LANES), n_added = (int)(n_sums / 32);
    const int n_last = (int)(filters - (n_most - 1) * LANES);
    const __mmask64 last = n_last == LANES ? ~(__mmask64)0 : ((__mmask64)1 << n_last) - 1;
    __m512i most[MOST], begun[TLC_MAX_WIDTH][MOST], added[MOST];
    TLC_UNROLL
    for (int k = 0; k < n_most; k++) most[k] = n_rows ? _mm512_set1_epi8(INT8_MIN) : _mm512_setzero_si512();
    TLC_UNROLL
    for (int64_t o = 0; o < width; o++)
        TLC_UNROLL
        for (int k = 0; k < n_most; k++) begun[o][k] = _mm512_setzero_si512();
    TLC_UNROLL
    for (int k = 0; k < n_added; k++) added[k] = _mm512_setzero_si512();
#define TLC_CODES(place, k)                                                                                            \
    (n_last == LANES || (k) < n_most - 1 ? _mm512_loadu_si512((const void *)((place) + LANES * (k)))                   \
                                         : _mm512_maskz_loadu_epi8(last, (const void *)((place) + LANES * (k))))
    for (int64_t i = 0; i < n_rows; i++) {
        const int8_t *const row = rows[i];
        tlc_fetch(rows[i + TLC_AHEAD], width * filters + n_sums);
        TLC_UNROLL
        for (int64_t o = width - 1; o > 0; o--)
            TLC_UNROLL
            for (int k = 0; k < n_most; k++)
                begun[o][k] = _mm512_add_epi8(begun[o - 1][k], TLC_CODES(row + o * filters, k));
        TLC_UNROLL
        for (int k = 0; k < n_most; k++) begun[0][k] = TLC_CODES(row, k);
        TLC_UNROLL
        for (int k = 0; k < n_most; k++) most[k] = _mm512_max_epi8(most[k], begun[width - 1][k]);
        TLC_UNROLL
        for (int k = 0; k < n_added; k++)
            added[k] = _mm512_add_epi16(added[k], tlc_widened_avx512(row + width * filters + 32 * k));
    }
#undef TLC_CODES
    TLC_UNROLL
    for (int64_t o = 0; o < width - 1; o++)
        TLC_UNROLL
        for (int k = 0; k < n_most; k++) most[k] = _mm512_max_epi8(most[k], begun[o][k]);
    const __m512i nothing = _mm512_setzero_si512(), largest = _mm512_set1_epi16(TLC_MOST);
    TLC_UNROLL
    for (int k = 0; k < 2 * n_most; k++) {
        if (32 * k >= filters) break;
        const __m256i half = k % 2 ? _mm512_extracti64x4_epi64(most[k / 2], 1) : _mm512_castsi512_si256(most[k / 2]);
        const __m512i added_bias = _mm512_loadu_si512((const void *)(bias + 32 * k));
        const __m512i code = _mm512_adds_epi16(_mm512_cvtepi8_epi16(half), added_bias);
        _mm512_storeu_si512((void *)(shown + 32 * k), _mm512_min_epi16(_mm512_max_epi16(code, nothing), largest));
    }
    const __m512 shares = _mm512_set1_ps(share), half = _mm512_set1_ps(0.5f);
    const __m512i sign = _mm512_set1_epi32(INT32_MIN), highest = _mm512_set1_epi32(TLC_MOST),
                  lowest = _mm512_set1_epi32(-TLC_MOST);
    TLC_UNROLL
    for (int k = 0; k < 2 * n_added; k++) {
        const __m256i codes = k % 2 ? _mm512_extracti64x4_epi64(added[k / 2], 1) : _mm512_castsi512_si256(added[k / 2]);
        const __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(codes)), shares);
        const __m512i away = _mm512_or_si512(_mm512_and_si512(_mm512_castps_si512(x), sign), _mm512_castps_si512(half));
        const __m512i whole = _mm512_cvttps_epi32(_mm512_add_ps(x, _mm512_castsi512_ps(away)));
        const __m512i code = _mm512_max_epi32(_mm512_min_epi32(whole, highest), lowest);
        _mm256_storeu_si256((__m256i *)(shown + filters + 16 * k), _mm512_cvtepi32_epi16(code));
    }
}

/* The recipes' layouts, all places in a row constants; others as with AVX2. */
TLC_AVX512 static void tlc_shown_avx512(
    int16_t *shown, const int8_t *const *rows, int64_t n, int64_t width, int64_t filters, int64_t n_sums,
    const int16_t *bias, float share, int16_t *room) {
    if (width == 4 && filters == 64 && n_sums == 32) tlc_text_avx512(shown, rows, n, 4, 64, 32, bias, share);
    else if (width == 4 && filters == 96 && n_sums == 32) tlc_text_avx512(shown, rows, n, 4, 96, 32, bias, share);
    else if (width == 4 && filters == 128 && n_sums == 64) tlc_text_avx512(shown, rows, n, 4, 128, 64, bias, share);
    else if (width == 3 && filters == 128 && n_sums == 64) tlc_text_avx512(shown, rows, n, 3, 128, 64, bias, share);
    else if (width == 3 && filters == 256 && n_sums == 64) tlc_text_avx512(shown, rows, n, 3, 256, 64, bias, share);
    else tlc_shown_avx2(shown, rows, n, width, filters, n_sums, bias, share, room);
}
#endif

#endif
