/* Words whose n-grams of characters were added up before: what they weigh is looked up, and their letters are not read.
 *
 * A table of slots by the word's bytes, of open addressing; a word keeps its slot, so that a slot's number stays valid
 * until the table is emptied. Filled and added up by score_memo.h; ngrams.h writes numbers of slots among its buckets.
 */
#ifndef TLCLASSIC_MEMO_H
#define TLCLASSIC_MEMO_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ngrams_hash.h"

/* The longest word in bytes, slots that a word may be in, words that can be new in a group of texts, and how many words
 * ahead of their use slots are fetched. */
enum { TLC_MEMO_WORD = 24, TLC_MEMO_PROBES = 8, TLC_MEMO_FRESH = 256, TLC_MEMO_AHEAD = 8 };
/* Tells a slot from a bucket, which has at most 28 bits. */
#define TLC_MEMO_MARK 0x80000000U

typedef struct {
    uint64_t word[TLC_MEMO_WORD / 8]; /* zeros: free */
    uint64_t n;                       /* n-grams */
} tlc_memo_slot;
enum { TLC_MEMO_SLOT_BYTES = sizeof(tlc_memo_slot) };

typedef struct {
    tlc_memo_slot *slots; /* n_slots + TLC_MEMO_PROBES */
    int16_t *sums;        /* `width` a slot: what the columns add up to, then zeros */
    int32_t *total;       /* width */
    size_t n_slots, width, used;
    uint64_t missed; /* words that found no slot since the table was emptied */
    int shift;
    uint32_t first[TLC_MEMO_AHEAD]; /* the first slot of each of the next words */
    /* Of a group: slots of words that are new, and the buckets of each. */
    uint32_t fresh[TLC_MEMO_FRESH];
    int64_t fresh_ends[TLC_MEMO_FRESH + 1];
    size_t n_fresh, buckets_room;
    uint32_t *buckets;
    /* Of a group's texts: slots. */
    uint32_t *found;
    size_t found_room;
} tlc_memo;

static inline void tlc_memo_free(tlc_memo *m) {
    if (m == NULL) return;
    free(m->slots), free(m->sums), free(m->total), free(m->buckets), free(m->found), free(m);
}

/* A table of 2 ** bits slots for k columns, or NULL without memory. */
static inline tlc_memo *tlc_memo_new(int bits, size_t k) {
    tlc_memo *m = calloc(1, sizeof *m);
    if (m == NULL) return NULL;
    m->n_slots = (size_t)1 << bits, m->width = (k + 7) / 8 * 8, m->shift = 64 - bits;
    m->slots = calloc(m->n_slots + TLC_MEMO_PROBES, sizeof *m->slots);
    m->sums = calloc((m->n_slots + TLC_MEMO_PROBES) * m->width, sizeof *m->sums);
    m->total = calloc(m->width, sizeof *m->total);
    if (m->slots && m->sums && m->total) return m;
    tlc_memo_free(m);
    return NULL;
}

/* Empties a table that is full of other words than those that come. */
static inline void tlc_memo_renew(tlc_memo *m) {
    if (m->missed < 4 * m->n_slots) return;
    memset(m->slots, 0, (m->n_slots + TLC_MEMO_PROBES) * sizeof *m->slots);
    m->used = 0, m->missed = 0;
}

typedef struct {
    uint64_t a, b, c;
} tlc_memo_key;

/* A word of n bytes, behind which 16 more can be read; of longer ones than TLC_MEMO_WORD the beginning. */
static inline tlc_memo_key tlc_memo_read(const uint8_t *p, size_t n) {
    return (tlc_memo_key){
        tlc_load8(p) & tlc_below(n), tlc_load8(p + 8) & tlc_below(n > 8 ? n - 8 : 0),
        n > 16 ? tlc_load8(p + 16) & tlc_below(n - 16) : 0};
}

/* Word number i of n is about to be looked for: its first slot is fetched. */
static inline void tlc_memo_fetch(
    tlc_memo *m, const uint8_t *bytes, const uint32_t *starts, const uint32_t *ends, size_t i, size_t n
) {
    if (i >= n) return;
    const tlc_memo_key key = tlc_memo_read(bytes + starts[i], ends[i] - starts[i]);
    const uint64_t hash = tlc_fold(tlc_fold(key.a * TLC_BYTES ^ key.b * TLC_ORDER) * TLC_BUCKET ^ key.c) * TLC_BYTES;
    m->first[i % TLC_MEMO_AHEAD] = (uint32_t)(hash >> m->shift);
    __builtin_prefetch(m->slots + m->first[i % TLC_MEMO_AHEAD]);
}

/* The marked slot of a word of n bytes, at most TLC_MEMO_WORD, looked for from `first` on; 0: there is none to be had.
 * `is_new`: its n-grams are wanted. */
static inline uint32_t tlc_memo_find(tlc_memo *m, size_t first, const uint8_t *p, size_t n, int *is_new) {
    const tlc_memo_key key = tlc_memo_read(p, n);
    *is_new = 0;
    for (size_t at = first; at < first + TLC_MEMO_PROBES; at++) {
        tlc_memo_slot *const slot = &m->slots[at];
        if (slot->word[0] == key.a && slot->word[1] == key.b && slot->word[2] == key.c) {
            __builtin_prefetch(m->sums + at * m->width);
            return TLC_MEMO_MARK | (uint32_t)at;
        }
        if (slot->word[0]) continue;
        /* Three quarters full, so that words are mostly found near where they are first looked for. */
        if (m->used >= m->n_slots / 4 * 3) break;
        if (m->n_fresh == TLC_MEMO_FRESH) return 0;
        slot->word[0] = key.a, slot->word[1] = key.b, slot->word[2] = key.c;
        m->fresh[m->n_fresh++] = (uint32_t)at;
        m->used++, *is_new = 1;
        return TLC_MEMO_MARK | (uint32_t)at;
    }
    m->missed++;
    return 0;
}

#endif
