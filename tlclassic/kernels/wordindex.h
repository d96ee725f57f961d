/* Word index: open addressing over UTF-8 words that lie end to end in one buffer.
 *
 * A slot is 64 bits: the upper half of the word's hash, then row + 1 (0: empty). The tables may be mapped from a file
 * that was not verified, so every row and offset read from them is bounded before it is followed.
 */
#ifndef TLCLASSIC_WORDINDEX_H
#define TLCLASSIC_WORDINDEX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint64_t *slots;
    uint64_t mask; /* number of slots - 1, a power of two less one */
    const uint8_t *words;
    int64_t words_size;
    const int64_t *offsets; /* n_words + 1 of them */
    int64_t n_words;
} tlc_index;

static inline uint64_t tlc_mix(uint64_t a, uint64_t b) {
#if defined(__SIZEOF_INT128__)
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0, p11 = a1 * b1;
    uint64_t middle = (p00 >> 32) + (uint32_t)p01 + (uint32_t)p10;
    uint64_t low = (middle << 32) | (uint32_t)p00;
    uint64_t high = p11 + (p01 >> 32) + (p10 >> 32) + (middle >> 32);
    return low ^ high;
#endif
}

static inline uint64_t tlc_load64(const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

static inline uint64_t tlc_load_tail(const uint8_t *p, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}

#define TLC_K0 0x9E3779B97F4A7C15ULL
#define TLC_K1 0xD6E8FEB86659FD93ULL
#define TLC_K2 0xA0761D6478BD642FULL

/* Eight bytes at a time, each folded in by a 64 x 64 -> 128 bit product (the construction of wyhash, by Wang Yi). */
static inline uint64_t tlc_hash(const uint8_t *p, size_t n) {
    uint64_t h = (uint64_t)n * TLC_K0;
    while (n >= 8) {
        h = tlc_mix(h ^ tlc_load64(p), TLC_K1) + TLC_K0;
        p += 8;
        n -= 8;
    }
    h = tlc_mix(h ^ tlc_load_tail(p, n), TLC_K2);
    return tlc_mix(h ^ TLC_K0, TLC_K1);
}

/* The row of the word, or -1. */
static inline int64_t tlc_find_hashed(const tlc_index *index, const uint8_t *p, size_t n, uint64_t hash) {
    uint64_t place = hash & index->mask;
    const uint64_t tag = hash >> 32;
    for (uint64_t probes = 0; probes <= index->mask; probes++) {
        const uint64_t slot = index->slots[place];
        if (slot == 0) return -1;
        if ((slot >> 32) == tag) {
            const int64_t row = (int64_t)(slot & 0xFFFFFFFFULL) - 1;
            if (row >= 0 && row < index->n_words) {
                const int64_t start = index->offsets[row], end = index->offsets[row + 1];
                if (start >= 0 && end <= index->words_size && end - start == (int64_t)n &&
                    /* Of the empty word the address may be null, which memcmp does not allow. */
                    (n == 0 || memcmp(index->words + start, p, n) == 0))
                    return row;
            }
        }
        place = (place + 1) & index->mask;
    }
    return -1;
}

static inline int64_t tlc_find(const tlc_index *index, const uint8_t *p, size_t n) {
    return tlc_find_hashed(index, p, n, tlc_hash(p, n));
}

#endif
