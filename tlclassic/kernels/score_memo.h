/* What the n-grams of characters of a word weigh, kept for when the word comes again (memo.h).
 *
 * Letters within words are many times as many as words, and most words of a text are common ones. What is kept are sums
 * of codes, which are whole numbers, so that logits are those of the table, bit by bit. Included by score.h.
 */
#ifndef TLCLASSIC_SCORE_MEMO_H
#define TLCLASSIC_SCORE_MEMO_H

/* Bytes of sums and bits of slots, at most: what stays in the second cache, or near it. */
enum { TLC_MEMO_BYTES = 1 << 22, TLC_MEMO_BITS = 16, TLC_MEMO_LEAST_BITS = 10 };

typedef int16_t tlc_short8 __attribute__((vector_size(16)));
typedef int32_t tlc_int8 __attribute__((vector_size(32)));

/* A new table for what these options and families ask, or NULL: sums must be of codes, each n-gram counted as often as
 * it occurs, and fit 16 bits. */
static tlc_memo *tlc_memo_for(const tlc_options *o, const tlc_family *f, int *failed) {
    *failed = 0;
    if (f == NULL || f->next || f->table.type != TLC_CODES || f->counts != TLC_COUNT || f->norm == TLC_L2) return NULL;
    const int longest = TLC_MEMO_WORD + 2;
    int most = 0, bits = TLC_MEMO_BITS;
    for (int k = o->char_lo; k <= o->char_hi && k <= longest; k++) most += longest - k + 1;
    if (most * TLC_ZERO > INT16_MAX) return NULL;
    while (bits > TLC_MEMO_LEAST_BITS && ((size_t)f->table.k * 2) << bits > TLC_MEMO_BYTES) bits--;
    if (((size_t)f->table.k * 2) << bits > TLC_MEMO_BYTES) return NULL;
    tlc_memo *const m = tlc_memo_new(bits, (size_t)f->table.k);
    *failed = m == NULL;
    return m;
}

/* Adds up the n-grams of words that are new. */
static int tlc_memo_fill(const tlc_family *f, tlc_memo *m, tlc_scorer *s) {
    if (!m->n_fresh) return 0;
    if (tlc_rows_of(f, m->buckets, m->fresh_ends, m->n_fresh, s)) return -1;
    const size_t k = (size_t)f->table.k;
    for (size_t i = 0; i < m->n_fresh; i++) {
        tlc_sum_codes(f->table.values, s->rows + s->row_ends[i], s->row_ends[i + 1] - s->row_ends[i], k, s->sums);
        for (size_t c = 0; c < k; c++) m->sums[m->fresh[i] * m->width + c] = (int16_t)s->sums[c];
        m->slots[m->fresh[i]].n = (uint64_t)(m->fresh_ends[i + 1] - m->fresh_ends[i]);
    }
    m->n_fresh = 0;
    return 0;
}

/* `groups` times eight columns, a constant, from `first` on. */
TLC_INLINE void tlc_memo_columns(const tlc_memo *m, const uint32_t *slots, size_t n, size_t first, size_t groups) {
    tlc_int8 sums[4] = {{0}};
    for (size_t i = 0; i < n; i++) {
        const int16_t *const row = m->sums + slots[i] * m->width + first;
        for (size_t g = 0; g < groups; g++) {
            tlc_short8 eight;
            memcpy(&eight, row + 8 * g, sizeof eight);
            sums[g] += __builtin_convertvector(eight, tlc_int8);
        }
    }
    memcpy(m->total + first, sums, groups * sizeof *sums);
}

/* What the words in these slots weigh, to `total`; how many n-grams they have. */
static size_t tlc_memo_sum(const tlc_memo *m, const uint32_t *slots, size_t n) {
    size_t first = 0, n_grams = 0;
    for (; first + 32 <= m->width; first += 32) tlc_memo_columns(m, slots, n, first, 4);
    if (m->width - first == 24) tlc_memo_columns(m, slots, n, first, 3);
    if (m->width - first == 16) tlc_memo_columns(m, slots, n, first, 2);
    if (m->width - first == 8) tlc_memo_columns(m, slots, n, first, 1);
    for (size_t i = 0; i < n; i++) n_grams += m->slots[slots[i]].n;
    return n_grams;
}

/* As tlc_add_group, for buckets among which there are slots; buckets and ends are changed. */
static int tlc_add_memo(
    const tlc_family *f, tlc_memo *m, uint32_t *buckets, int64_t *ends, size_t n, tlc_scorer *s, double *logits,
    size_t stride
) {
    const size_t k = (size_t)f->table.k;
    size_t slot_ends[TLC_GROUP + 1] = {0}, n_found = 0, n_buckets = 0;
    if (tlc_memo_fill(f, m, s) || tlc_bucket_room(&m->found, &m->found_room, (size_t)ends[n] + 1)) return -1;
    for (size_t t = 0, i = 0; t < n; t++) {
        for (; i < (size_t)ends[t + 1]; i++) {
            const uint32_t entry = buckets[i];
            /* Both are written: which of them it is cannot always be predicted. */
            m->found[n_found] = entry & ~TLC_MEMO_MARK, buckets[n_buckets] = entry;
            n_found += entry >> 31, n_buckets += 1 - (entry >> 31);
        }
        ends[t + 1] = (int64_t)n_buckets, slot_ends[t + 1] = n_found;
    }
    if (tlc_rows_of(f, buckets, ends, n, s)) return -1;
    logits += f->first;
    for (size_t t = 0; t < n; t++, logits += stride) {
        const size_t begin = slot_ends[t], from = s->row_ends[t], to = s->row_ends[t + 1];
        const size_t known = tlc_memo_sum(m, m->found + begin, slot_ends[t + 1] - begin);
        const double divisor = tlc_divisor(f->norm, known + (size_t)(ends[t + 1] - ends[t]), 0);
        if (from < to) tlc_sum_codes(f->table.values, s->rows + from, to - from, k, s->sums);
        else memset(s->sums, 0, k * sizeof *s->sums);
        for (size_t c = 0; c < k; c++)
            logits[c] += (s->sums[c] + (double)m->total[c]) * (double)f->table.scales[c] / divisor;
    }
    return 0;
}

#endif
