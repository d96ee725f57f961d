/* Places of bits and hashes of tokens: what follows on the masks, in plain C. The plain twin, _ngrams_plain.py, says
 * exactly what the hashes are. classify.h has the same with SIMD.
 */
#ifndef TLCLASSIC_NGRAMS_HASH_H
#define TLCLASSIC_NGRAMS_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TLC_SEED_WORD 0x9AE16A3B2F90404FULL
#define TLC_SEED_CHARS 0xC949D7C7509E6557ULL
#define TLC_BYTES 0x9E3779B97F4A7C15ULL
#define TLC_ORDER 0xD6E8FEB86659FD93ULL
#define TLC_BUCKET 0xFF51AFD7ED558CCDULL

static inline uint64_t tlc_load8(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

static inline uint64_t tlc_fold(uint64_t x) { return x ^ x >> 32; }

/* The lowest n bytes, of 8 at the most. */
static inline uint64_t tlc_below(size_t n) { return n >= 8 ? ~0ULL : (1ULL << 8 * n) - 1; }

/* The hash of n bytes, behind which 16 more can be read. */
static inline __attribute__((always_inline)) uint64_t tlc_hash(const uint8_t *p, size_t n, uint64_t seed) {
    static const uint64_t low[17] = {
        0, 0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFF, 0xFFFFFFFFFFFF, 0xFFFFFFFFFFFFFF, ~0ULL, ~0ULL, ~0ULL,
        ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL};
    uint64_t h = seed;
    while (n > 16) {
        h = tlc_fold((h ^ tlc_load8(p)) * TLC_BYTES);
        p += 8, n -= 8;
    }
    h = tlc_fold((h ^ (tlc_load8(p) & low[n])) * TLC_BYTES);
    /* Both ways are computed: whether a word is longer than 8 bytes cannot be predicted. */
    const uint64_t longer = tlc_fold((h ^ (tlc_load8(p + 8) & low[n > 8 ? n - 8 : 0])) * TLC_BYTES);
    return n > 8 ? longer : h;
}

static inline uint32_t tlc_bucket(uint64_t g, int shift) { return (uint32_t)(g * TLC_BUCKET >> shift); }

/* Without -mpopcnt, compilers call a function for their own. */
static inline size_t tlc_popcount(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
    return (size_t)(((x + (x >> 4)) & 0x0F0F0F0F0F0F0F0FULL) * 0x0101010101010101ULL >> 56);
}

/* Places of the bits of n masks, ascending; `before`, unless NULL, gets how many lie before each mask, and all. Writes up
 * to 64 places more. */
static void tlc_places_plain(const uint64_t *masks, size_t n, uint32_t *to, uint32_t *before) {
    uint32_t found = 0;
    for (size_t b = 0; b < n; b++) {
        uint64_t mask = masks[b];
        const uint32_t count = (uint32_t)tlc_popcount(mask);
        if (before) before[b] = found;
        /* 16 are written whether wanted or not: few blocks have more, so that the branch can be predicted. */
        for (uint32_t k = 0; k < 16 || k < count; k += 8)
            for (uint32_t j = 0; j < 8; j++) {
                to[found + k + j] = (uint32_t)(64 * b) + (uint32_t)__builtin_ctzll(mask | 1ULL << 63);
                mask &= mask - 1;
            }
        found += count;
    }
    if (before) before[n] = found;
}

/* For each of n tokens its bucket. Tokens may be read 16 bytes past their end. */
static void tlc_singles_plain(
    const uint8_t *bytes, const uint32_t *starts, const uint32_t *ends, size_t n, int shift, uint32_t *to
) {
    for (size_t i = 0; i < n; i++)
        to[i] = tlc_bucket(tlc_hash(bytes + starts[i], ends[i] - starts[i], TLC_SEED_WORD), shift);
}

/* For each of n tokens the buckets of itself and of its pair with the one before; `last` is the hash of the token before
 * the first, and then of the last one. Tokens may be read 16 bytes past their end; up to 16 numbers more are written. */
static void tlc_pairs_plain(
    const uint8_t *bytes, const uint32_t *starts, const uint32_t *ends, size_t n, int shift, uint64_t *last, uint32_t *to
) {
    uint64_t before = *last;
    for (size_t i = 0; i < n; i++, to += 2) {
        const uint64_t h = tlc_hash(bytes + starts[i], ends[i] - starts[i], TLC_SEED_WORD);
        to[0] = tlc_bucket(h, shift);
        to[1] = tlc_bucket(tlc_fold(before * TLC_ORDER + h), shift);
        before = h;
    }
    *last = before;
}

#endif
