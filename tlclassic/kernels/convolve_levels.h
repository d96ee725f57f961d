/* What each kind of processor does of a convolution in its own way; the results are the same.
 */
#ifndef TLCLASSIC_CONVOLVE_LEVELS_H
#define TLCLASSIC_CONVOLVE_LEVELS_H

#include "convolve.h"
#include "convolve_bytes.h"
#include "convolve_words.h"

/* Slowest first. */
typedef struct {
    const char *name;
    void (*windows)(int16_t *best, const int8_t *const *rows, int64_t n_rows, int64_t width, int64_t filters);
    void (*short_sums)(int16_t *sums, const int8_t *const *rows, int64_t n, int64_t first, int64_t n_sums);
    void (*hidden)(
        int32_t *out, const int16_t *x, int64_t n, const int16_t *weights, int64_t features, int64_t hidden);
    /* Of a table whose windows are bytes. */
    void (*shown)(
        int16_t *shown, const int8_t *const *rows, int64_t n, int64_t width, int64_t filters, int64_t n_sums,
        const int16_t *bias, float share, int16_t *room);
    void (*rows)(
        const tlc_known *known, const uint32_t *buckets, size_t n, const char *table, int64_t n_rows, int64_t row_bytes,
        const char **rows);
    int (*works)(void);
} tlc_convolve_level;

static int tlc_convolve_always(void) { return 1; }
#ifdef TLC_X86
static int tlc_convolve_avx2(void) { return __builtin_cpu_supports("avx2"); }
static int tlc_convolve_avx512(void) { 
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}
static int tlc_convolve_vnni(void) { return tlc_convolve_avx512() && __builtin_cpu_supports("avx512vnni"); }
#endif

static const tlc_convolve_level tlc_convolve_levels[] = {
    {"portable", tlc_windows_portable, tlc_short_sums_portable, tlc_hidden_portable, tlc_shown_portable, tlc_rows_portable,
     tlc_convolve_always},
#ifdef TLC_X86
    {"avx2", tlc_windows_avx2, tlc_short_sums_avx2, tlc_hidden_avx2, tlc_shown_avx2, tlc_rows_portable,
     tlc_convolve_avx2},
    {"avx512bw", tlc_windows_avx512, tlc_short_sums_avx512, tlc_hidden_avx512, tlc_shown_avx512, tlc_rows_avx512,
     tlc_convolve_avx512},
    {"avx512vnni", tlc_windows_avx512, tlc_short_sums_avx512, tlc_hidden_vnni, tlc_shown_avx512, tlc_rows_avx512,
     tlc_convolve_vnni},
#endif
};
static const int tlc_n_convolve_levels = sizeof tlc_convolve_levels / sizeof *tlc_convolve_levels;

/* Of the numbers of n rows of codes from `first` on the sums, not divided: exact in doubles for a text of any length. */
static void tlc_totals(
    const tlc_convolve_level *level, double *totals, int16_t *sums, const int8_t *const *rows, int64_t n, int64_t first,
    int64_t n_sums) {
    memset(totals, 0, (size_t)n_sums * sizeof *totals);
    for (int64_t start = 0; start < n; start += TLC_SHORT) {
        level->short_sums(sums, rows + start, n - start < TLC_SHORT ? n - start : TLC_SHORT, first, n_sums);
        for (int64_t j = 0; j < n_sums; j++) totals[j] += (double)sums[j];
    }
}

#endif
