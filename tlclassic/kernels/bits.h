/* How many bits of a word are set, where the processor has no instruction for it. */
#ifndef TLCLASSIC_BITS_H
#define TLCLASSIC_BITS_H

#include <stdint.h>

static inline uint32_t tlc_bits(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
    return (uint32_t)(((x + (x >> 4)) & 0x0F0F0F0F0F0F0F0FULL) * 0x0101010101010101ULL >> 56);
}

#endif
