/* The rows of words: which of the buckets that texts are hashed to are known, and where their numbers lie. */
#ifndef TLCLASSIC_CONVOLVE_WORDS_H
#define TLCLASSIC_CONVOLVE_WORDS_H

#include <stdint.h>
#include <stdlib.h>

#include "convolve.h"

enum { TLC_TAGS = 6, TLC_TAG_BITS = 15 };
/* No bucket's: of places that no word has, and in the last place of a group of more words than that. */
#define TLC_NO_TAG 0xFFFFu
#define TLC_CROWDED 0xFFFEu

/* Some neighbouring buckets: the row of the first known one, and the low bits of each, in their order, which is that of
 * the rows. So a lookup reads one cache line, and a few bytes a word are fewer than those of a bitmap of all buckets. */
typedef struct {
    uint32_t start;
    uint16_t tags[TLC_TAGS];
} tlc_word_group;

typedef struct {
    tlc_word_group *groups;
    uint32_t *keys; /* all known buckets, for crowded groups */
    int shift;
} tlc_known;

static inline void tlc_known_free(tlc_known *k) { free(k->groups), free(k->keys); }

/* The next group, of which no word is known yet; its first has the row `start`. */
static inline void tlc_begin_group(tlc_word_group *g, int64_t start) {
    g->start = (uint32_t)start;
    for (int t = 0; t < TLC_TAGS; t++) g->tags[t] = TLC_NO_TAG;
}

/* Of the bits set in n words of a map, of which there are n_known; 0, or -1 without memory. */
static int tlc_known_init(tlc_known *k, const uint64_t *bitmap, int64_t n, int64_t n_known) {
    k->shift = 0;
    /* One to two words a group: hardly one is crowded. */
    while (k->shift < TLC_TAG_BITS && 64 * n >> (k->shift + 1) > n_known / 2) k->shift++;
    const int64_t n_groups = ((64 * n - 1) >> k->shift) + 1;
    k->keys = malloc((size_t)(n_known + 1) * sizeof *k->keys);
    /* And one behind them, where the last one ends. */
    k->groups = malloc((size_t)(n_groups + 1) * sizeof *k->groups);
    if (k->keys == NULL || k->groups == NULL) return -1;
    int64_t at = 0, group = -1;
    for (int64_t i = 0; i < n; i++)
        for (uint64_t word = bitmap[i]; word && at < n_known; word &= word - 1) {
            const uint64_t low = word & (0 - word);
            const uint32_t key = (uint32_t)(64 * i) + tlc_bits(low - 1);
            while (group < key >> k->shift) tlc_begin_group(&k->groups[++group], at);
            tlc_word_group *const g = &k->groups[group];
            const int64_t place = at - g->start;
            if (place < TLC_TAGS) g->tags[place] = (uint16_t)(key & ((1u << k->shift) - 1));
            else g->tags[TLC_TAGS - 1] = TLC_CROWDED;
            k->keys[at++] = key;
        }
    while (group < n_groups) tlc_begin_group(&k->groups[++group], at);
    return 0;
}

/* Which tags of a group are that one, as bits. */
static inline unsigned tlc_tag_bits(const tlc_word_group *g, uint32_t tag) {
#if defined(__SSE2__)
    const __m128i equal = _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *)g), _mm_set1_epi16((short)tag));
    /* The first four bytes are not tags. */
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())) >> 2;
#else
    unsigned bits = 0;
    for (unsigned t = 0; t < TLC_TAGS; t++) bits |= (unsigned)(g->tags[t] == tag) << t;
    return bits;
#endif
}

/* The number of the lowest bit that is set, of one or more. */
static inline int tlc_lowest(unsigned bits) {
#if defined(__GNUC__)
    return __builtin_ctz(bits);
#else
    return (int)tlc_bits((bits & (0 - bits)) - 1);
#endif
}

/* The row of a bucket of a crowded group, or `otherwise`. */
static int64_t tlc_crowded_row(const uint32_t *keys, const tlc_word_group *g, uint32_t bucket, int64_t otherwise) {
    for (uint32_t row = g[0].start + TLC_TAGS - 1; row < g[1].start; row++)
        if (keys[row] == bucket) return row;
    return otherwise;
}

/* Of n buckets, behind which TLC_AHEAD more can be read, the rows, the last of the table for unknown ones. Which of its
 * group a word is costs no jump, for that cannot be predicted; unknown words and crowded groups are rare. */
#define TLC_DEFINE_ROWS(name, target, tag_bits)                                                                        \
    target static void name(                                                                                           \
        const tlc_known *known, const uint32_t *buckets, size_t n, const char *table, int64_t n_rows,                  \
        int64_t row_bytes, const char **rows) {                                                                        \
        const tlc_word_group *const groups = known->groups;                                                            \
        const int shift = known->shift;                                                                                \
        const uint32_t low = (1u << shift) - 1;                                                                        \
        for (size_t i = 0; i < n; i++) {                                                                               \
            TLC_FETCH(groups + (buckets[i + TLC_AHEAD] >> shift));                                                     \
            const tlc_word_group *const g = groups + (buckets[i] >> shift);                                            \
            const unsigned bits = tag_bits(g, buckets[i] & low);                                                       \
            int64_t row = (int64_t)g->start + tlc_lowest(bits | 1u << TLC_TAGS);                                       \
            row = bits ? row : n_rows - 1;                                                                             \
            if (g->tags[TLC_TAGS - 1] == TLC_CROWDED) row = tlc_crowded_row(known->keys, g, buckets[i], row);          \
            rows[i] = table + row * row_bytes;                                                                         \
        }                                                                                                              \
    }

#define TLC_ANY
TLC_DEFINE_ROWS(tlc_rows_portable, TLC_ANY, tlc_tag_bits)

#ifdef TLC_X86
#define TLC_AVX512VL __attribute__((target("avx512f,avx512bw,avx512vl,bmi,bmi2")))
TLC_AVX512VL static inline unsigned tlc_tag_bits_avx512(const tlc_word_group *g, uint32_t tag) {
    return (unsigned)_mm_cmpeq_epi16_mask(_mm_loadu_si128((const __m128i *)g), _mm_set1_epi16((short)tag)) >> 2;
}
TLC_DEFINE_ROWS(tlc_rows_avx512, TLC_AVX512VL, tlc_tag_bits_avx512)
#endif

#endif
