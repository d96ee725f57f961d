/* What the loops over whole rows are built with: widened at load time where the processor has AVX2 (without fused
 * multiply-add, so that both widths give the same bits), and rows fetched ahead.
 */
#ifndef TLCLASSIC_WIDE_H
#define TLCLASSIC_WIDE_H

#include <stdint.h>

/* Into the second-level cache: the rows ahead and those at hand together do not fit the first one. */
#if defined(__GNUC__)
#define TLC_PREFETCH(p) __builtin_prefetch((p), 0, 2)
/* Into the first one: few rows, soon. */
#define TLC_FETCH(p) __builtin_prefetch((p), 0, 3)
#define TLC_RESTRICT __restrict__
#else
#define TLC_PREFETCH(p) ((void)0)
#define TLC_FETCH(p) ((void)0)
#define TLC_RESTRICT
#endif

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_UNDEFINED__)
#define TLC_WIDE __attribute__((target_clones("avx2", "default")))
/* AVX-512 has fused multiply-add with it: for files that are built with -ffp-contract=off. */
#define TLC_WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define TLC_WIDE
#define TLC_WIDEST
#endif

static inline void tlc_prefetch(const void *row, int64_t n_bytes) {
    for (int64_t at = 0; at < n_bytes; at += 64) TLC_PREFETCH((const char *)row + at);
}

static inline void tlc_fetch(const void *row, int64_t n_bytes) {
    for (int64_t at = 0; at < n_bytes; at += 64) TLC_FETCH((const char *)row + at);
}

#endif
