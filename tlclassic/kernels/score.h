/* From n-grams to logits: rows of a table of weights, found by bucket and added up.
 *
 * A table holds `k` weights a row, row after row: float32, float16, or codes of one byte, where a code means
 * (code - 128) * scale and the sum of codes is exact. Rows are prefetched AHEAD of their use, across the bounds of the
 * texts of a group. Sums of floats are made in double, in the order of the text. Plain twin: _score_plain.py.
 */
#ifndef TLCLASSIC_SCORE_H
#define TLCLASSIC_SCORE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ngrams.h"

#define TLC_INLINE static inline __attribute__((always_inline))

enum { TLC_FLOAT32, TLC_FLOAT16, TLC_CODES };
enum { TLC_COUNT, TLC_BINARY, TLC_SUBLINEAR };
enum { TLC_NONE, TLC_LENGTH, TLC_SQRT, TLC_L2 };
enum { TLC_AHEAD = 24, TLC_ZERO = 128, TLC_GROUP = 256, TLC_GROUP_CHARS = 8192 };

typedef struct {
    const void *values;
    const float *scales; /* of codes: k */
    int64_t k;
    int type;
} tlc_table;

typedef struct {
    tlc_table table;
    const uint64_t *bitmap; /* NULL: the bucket is the row */
    const uint32_t *ranks;  /* rows before each word of the bitmap */
    const float *idf;       /* a row; NULL: 1 */
    double idf_default;     /* of a bucket without a row */
    int counts, norm;
} tlc_family;

/* Scratch of one thread. */
typedef struct {
    uint32_t *rows;   /* of a group of texts; TLC_AHEAD + 2 more are zero */
    uint32_t *before; /* rows of the group before each of its buckets */
    size_t rows_room;
    double *sums;     /* k */
    uint32_t *keys, *stamps, *places; /* counting table */
    uint32_t *distinct, *repeats;     /* the buckets of a text in order of their first place */
    size_t slots;
    uint32_t stamp;
    size_t row_ends[TLC_GROUP + 1];
} tlc_scorer;

static void tlc_scorer_free(tlc_scorer *s) {
    free(s->rows), free(s->before), free(s->sums);
    free(s->keys), free(s->stamps), free(s->places), free(s->distinct), free(s->repeats);
    memset(s, 0, sizeof *s);
}

static int tlc_scorer_init(tlc_scorer *s, int64_t k) {
    memset(s, 0, sizeof *s);
    s->sums = malloc((size_t)(k + 8) * sizeof *s->sums);
    if (s->sums) return 0;
    tlc_scorer_free(s);
    return -1;
}

static int tlc_rows_room(tlc_scorer *s, size_t n) {
    if (n + TLC_AHEAD + 2 <= s->rows_room) return 0;
    const size_t room = n + n / 2 + TLC_AHEAD + 2;
    if (tlc_resize(&s->rows, room * sizeof *s->rows) || tlc_resize(&s->before, room * sizeof *s->before)) return -1;
    s->rows_room = room;
    return 0;
}

/* --- sums of codes -------------------------------------------------------------------------------------------------
 * Up to four columns: two rows in one word of eight 16-bit lanes. More: vectors of 16-bit sums.
 * 16 bits hold the sum of 257 codes. */

#define TLC_LANES 0x00FF00FF00FF00FFULL

TLC_INLINE uint64_t tlc_four(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, 4);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap32(x);
#endif
    return x;
}

/* k <= 4. */
TLC_INLINE void tlc_codes_4(const uint8_t *t, const uint32_t *rows, size_t n, size_t k, double *sums) {
    while (n) {
        const size_t part = n < 512 ? n : 512;
        uint64_t even = 0, odd = 0;
        for (size_t i = 0; i < part; i += 2) {
            const uint64_t x = tlc_four(t + rows[i] * k) | tlc_four(t + rows[i + 1] * k) << 32;
            __builtin_prefetch(t + rows[i + TLC_AHEAD] * k);
            __builtin_prefetch(t + rows[i + TLC_AHEAD + 1] * k);
            even += x & TLC_LANES;
            odd += x >> 8 & TLC_LANES;
        }
        /* A branch on an odd number could not be predicted. */
        const uint64_t over = (tlc_four(t + rows[part] * k) << 32) & -(uint64_t)(part & 1);
        even -= over & TLC_LANES;
        odd -= over >> 8 & TLC_LANES;
        sums[0] += (double)(int32_t)((even & 0xFFFF) + (even >> 32 & 0xFFFF));
        sums[1] += (double)(int32_t)((odd & 0xFFFF) + (odd >> 32 & 0xFFFF));
        sums[2] += (double)(int32_t)((even >> 16 & 0xFFFF) + (even >> 48));
        sums[3] += (double)(int32_t)((odd >> 16 & 0xFFFF) + (odd >> 48));
        rows += part, n -= part;
    }
}

/* Eight sums; operators of vectors are those of C with GNU's extension, which every processor can do. */
typedef uint8_t tlc_bytes8 __attribute__((vector_size(8)));
typedef uint16_t tlc_sums8 __attribute__((vector_size(16)));

/* `groups` times eight columns, a constant, from the first one at `t` on. May read up to 7 bytes of the next row, or of
 * the slack behind the last one. */
TLC_INLINE void tlc_codes_8(const uint8_t *t, const uint32_t *rows, size_t n, size_t k, size_t groups, double *sums) {
    while (n) {
        const size_t part = n < 256 ? n : 256;
        tlc_sums8 small[8] = {{0}};
        for (size_t i = 0; i < part; i++) {
            const uint8_t *row = t + rows[i] * k;
            __builtin_prefetch(t + rows[i + TLC_AHEAD] * k);
            if (groups > 7) __builtin_prefetch(t + rows[i + TLC_AHEAD] * k + 63);
            for (size_t g = 0; g < groups; g++) {
                tlc_bytes8 eight;
                memcpy(&eight, row + 8 * g, 8);
                small[g] += __builtin_convertvector(eight, tlc_sums8);
            }
        }
        for (size_t g = 0; g < groups; g++)
            for (size_t c = 0; c < 8; c++) sums[8 * g + c] += (double)(int32_t)small[g][c];
        rows += part, n -= part;
    }
}

static void tlc_codes_many(const uint8_t *t, const uint32_t *rows, size_t n, size_t k, double *sums) {
    size_t c = 0;
    for (; c + 56 < k; c += 64) tlc_codes_8(t + c, rows, n, k, 8, sums + c);
    for (; c + 24 < k; c += 32) tlc_codes_8(t + c, rows, n, k, 4, sums + c);
    for (; c + 8 < k; c += 16) tlc_codes_8(t + c, rows, n, k, 2, sums + c);
    if (c < k) tlc_codes_8(t + c, rows, n, k, 1, sums + c);
}

/* The sums of k columns to `sums`, with room for 7 more; they are integers, of which a double holds those that occur. */
TLC_INLINE void tlc_sum_codes(const uint8_t *t, const uint32_t *rows, size_t n, size_t k, double *sums) {
    for (size_t c = 0; c < k + 7; c++) sums[c] = 0;
    if (k <= 4) tlc_codes_4(t, rows, n, k, sums);
    else if (k <= 8) tlc_codes_8(t, rows, n, k, 1, sums);
    else if (k <= 16) tlc_codes_8(t, rows, n, k, 2, sums);
    else if (k <= 24) tlc_codes_8(t, rows, n, k, 3, sums);
    else tlc_codes_many(t, rows, n, k, sums);
    for (size_t c = 0; c < k; c++) sums[c] -= TLC_ZERO * (double)n;
}

/* --- sums of floats ------------------------------------------------------------------------------------------------ */

/* Half precision to single by a product, which is right for subnormal numbers too; what is not finite becomes large. */
TLC_INLINE float tlc_half(uint16_t h) {
    const uint32_t bits = (uint32_t)(h & 0x7FFF) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    float f;
    memcpy(&f, &bits, 4);
    f *= 0x1p112f;
    uint32_t out;
    memcpy(&out, &f, 4);
    out |= sign;
    memcpy(&f, &out, 4);
    return f;
}

TLC_INLINE float tlc_load(const void *values, size_t i, int type) {
    if (type == TLC_FLOAT32) return ((const float *)values)[i];
    if (type == TLC_FLOAT16) return tlc_half(((const uint16_t *)values)[i]);
    return (float)((const uint8_t *)values)[i] - (float)TLC_ZERO;
}

/* `width` columns, a constant, from `first` on. */
TLC_INLINE void tlc_floats(
    const void *v, int type, const uint32_t *rows, size_t n, size_t k, size_t first, size_t width, double *out
) {
    const size_t size = type == TLC_FLOAT32 ? 4 : 2;
    double sums[16] = {0};
    for (size_t i = 0; i < n; i++) {
        const char *next = (const char *)v + ((size_t)rows[i + TLC_AHEAD] * k + first) * size;
        __builtin_prefetch(next);
        if (width > 1) __builtin_prefetch(next + (width - 1) * size);
        for (size_t c = 0; c < width; c++) sums[c] += (double)tlc_load(v, (size_t)rows[i] * k + first + c, type);
    }
    for (size_t c = 0; c < width; c++) out[first + c] = sums[c];
}

TLC_INLINE void tlc_sum_floats(const void *v, int type, const uint32_t *rows, size_t n, size_t k, double *out) {
    size_t c = 0;
    for (; c + 16 <= k; c += 16) tlc_floats(v, type, rows, n, k, c, 16, out);
    for (; c + 8 <= k; c += 8) tlc_floats(v, type, rows, n, k, c, 8, out);
    for (; c + 4 <= k; c += 4) tlc_floats(v, type, rows, n, k, c, 4, out);
    if (k - c == 3) tlc_floats(v, type, rows, n, k, c, 3, out);
    if (k - c == 2) tlc_floats(v, type, rows, n, k, c, 2, out);
    if (k - c == 1) tlc_floats(v, type, rows, n, k, c, 1, out);
}

/* out = the sum of the table's rows; TLC_AHEAD numbers behind `rows` are rows too. */
TLC_INLINE void tlc_sum_rows(
    const tlc_table *table, int type, size_t k, const uint32_t *rows, size_t n, double *out
) {
    if (type == TLC_CODES) {
        tlc_sum_codes(table->values, rows, n, k, out);
        for (size_t c = 0; c < k; c++) out[c] *= (double)table->scales[c];
    } else
        tlc_sum_floats(table->values, type, rows, n, k, out);
}

static void tlc_sum_any(const tlc_table *table, const uint32_t *rows, size_t n, tlc_scorer *s) {
    const size_t k = (size_t)table->k;
    if (table->type == TLC_CODES) tlc_sum_rows(table, TLC_CODES, k, rows, n, s->sums);
    else if (table->type == TLC_FLOAT32) tlc_sum_rows(table, TLC_FLOAT32, k, rows, n, s->sums);
    else tlc_sum_rows(table, TLC_FLOAT16, k, rows, n, s->sums);
}

/* --- from buckets to rows ------------------------------------------------------------------------------------------ */

TLC_INLINE uint32_t tlc_bits(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
    return (uint32_t)(((x + (x >> 4)) & 0x0F0F0F0F0F0F0F0FULL) * 0x0101010101010101ULL >> 56);
}

/* The rows of those buckets that have one, in order; `row_ends` gets where those of each text end. */
TLC_INLINE size_t tlc_ranked(
    const tlc_family *f, const uint32_t *buckets, const int64_t *ends, size_t n, uint32_t *rows, uint32_t *before, size_t *row_ends,
    int popcount
) {
    size_t found = 0;
    /* One loop over the buckets of all texts: where a text ends cannot be predicted. */
    for (int64_t i = 0; i < ends[n]; i++) {
        const uint32_t b = buckets[i];
        const uint64_t word = f->bitmap[b >> 6], below = word & ((1ULL << (b & 63)) - 1);
        rows[found] = f->ranks[b >> 6] + (popcount ? (uint32_t)__builtin_popcountll(below) : tlc_bits(below));
        before[i] = (uint32_t)found;
        found += word >> (b & 63) & 1;
    }
    before[ends[n]] = (uint32_t)found;
    for (size_t t = 0; t <= n; t++) row_ends[t] = before[ends[t]];
    return found;
}

static size_t tlc_ranked_plain(
    const tlc_family *f, const uint32_t *buckets, const int64_t *ends, size_t n, uint32_t *rows, uint32_t *before, size_t *row_ends
) {
    return tlc_ranked(f, buckets, ends, n, rows, before, row_ends, 0);
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("popcnt,bmi,bmi2"))) static size_t tlc_ranked_popcnt(
    const tlc_family *f, const uint32_t *buckets, const int64_t *ends, size_t n, uint32_t *rows, uint32_t *before, size_t *row_ends
) {
    return tlc_ranked(f, buckets, ends, n, rows, before, row_ends, 1);
}
#endif

/* The rows of n texts, and behind them TLC_AHEAD + 1 more numbers that are rows. */
static int tlc_rows_of(const tlc_family *f, const uint32_t *buckets, const int64_t *ends, size_t n, tlc_scorer *s) {
    size_t found = (size_t)ends[n];
    if (tlc_rows_room(s, found)) return -1;
    if (f->bitmap == NULL) {
        memcpy(s->rows, buckets, found * sizeof *s->rows);
        for (size_t i = 0; i <= n; i++) s->row_ends[i] = (size_t)ends[i];
#if defined(__x86_64__) && defined(__GNUC__)
    } else if (__builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2")) {
        found = tlc_ranked_popcnt(f, buckets, ends, n, s->rows, s->before, s->row_ends);
#endif
    } else
        found = tlc_ranked_plain(f, buckets, ends, n, s->rows, s->before, s->row_ends);
    memset(s->rows + found, 0, (TLC_AHEAD + 2) * sizeof *s->rows);
    return 0;
}

/* --- counts of a text's buckets ------------------------------------------------------------------------------------
 * Open addressing; a slot is free unless its stamp is that of the text. */

static int tlc_slots_room(tlc_scorer *s, size_t n) {
    if (s->slots && s->slots / 2 >= n) return 0;
    size_t slots = 1024;
    while (slots / 2 < n) slots *= 2;
    uint32_t **arrays[5] = {&s->keys, &s->stamps, &s->places, &s->distinct, &s->repeats};
    s->slots = 0;
    for (int i = 0; i < 5; i++) {
        free(*arrays[i]);
        *arrays[i] = calloc(slots, sizeof **arrays[i]);
        if (*arrays[i] == NULL) return -1;
    }
    s->slots = slots, s->stamp = 0;
    return 0;
}

/* Fills s->distinct and s->repeats; returns how many buckets differ, or -1 without memory. */
static int64_t tlc_count_buckets(tlc_scorer *s, const uint32_t *buckets, size_t n) {
    if (tlc_slots_room(s, n)) return -1;
    if (++s->stamp == 0) {
        memset(s->stamps, 0, s->slots * sizeof *s->stamps);
        s->stamp = 1;
    }
    const size_t mask = s->slots - 1;
    int64_t found = 0;
    for (size_t i = 0; i < n; i++) {
        size_t slot = (size_t)((buckets[i] * 0x9E3779B97F4A7C15ULL) >> 32) & mask;
        while (s->stamps[slot] == s->stamp && s->keys[slot] != buckets[i]) slot = (slot + 1) & mask;
        if (s->stamps[slot] != s->stamp) {
            s->stamps[slot] = s->stamp, s->keys[slot] = buckets[i], s->places[slot] = (uint32_t)found;
            s->distinct[found] = buckets[i], s->repeats[found++] = 0;
        }
        s->repeats[s->places[slot]]++;
    }
    return found;
}

TLC_INLINE double tlc_tf(int counts, uint32_t count) {
    if (counts == TLC_BINARY || count == 1) return 1.0;
    return counts == TLC_SUBLINEAR ? 1.0 + log((double)count) : (double)count;
}

/* 1 / the factor of a text of n n-grams; `squares`: of its weighted counts. */
TLC_INLINE double tlc_divisor(int norm, size_t n, double squares) {
    const double divisor = norm == TLC_L2 ? sqrt(squares) : norm == TLC_SQRT ? sqrt((double)n) : (double)n;
    return norm == TLC_NONE || !(divisor > 0) ? 1.0 : divisor;
}

/* --- texts --------------------------------------------------------------------------------------------------------- */

/* Texts whose weights depend on how often each n-gram occurs. */
static int tlc_add_counted(
    const tlc_family *f, const uint32_t *buckets, const int64_t *ends, size_t n, tlc_scorer *s, double *logits
) {
    const size_t k = (size_t)f->table.k;
    for (size_t t = 0; t < n; t++, logits += k) {
        const size_t all = (size_t)(ends[t + 1] - ends[t]);
        const int64_t distinct = tlc_count_buckets(s, buckets + ends[t], all);
        if (distinct < 0) return -1;
        double squares = 0;
        for (size_t c = 0; c < k; c++) s->sums[c] = 0;
        for (int64_t i = 0; i < distinct; i++) {
            const int64_t one[2] = {0, 1};
            if (tlc_rows_of(f, s->distinct + i, one, 1, s)) return -1;
            const size_t has_row = s->row_ends[1], row = s->rows[0];
            const double tf = tlc_tf(f->counts, s->repeats[i]);
            const double scaled = tf * (f->idf == NULL ? 1.0 : has_row ? (double)f->idf[row] : f->idf_default);
            squares += scaled * scaled;
            if (!has_row) continue;
            for (size_t c = 0; c < k; c++) s->sums[c] += tf * (double)tlc_load(f->table.values, row * k + c, f->table.type);
        }
        const double divisor = tlc_divisor(f->norm, all, squares);
        for (size_t c = 0; c < k; c++)
            logits[c] += s->sums[c] * (f->table.type == TLC_CODES ? (double)f->table.scales[c] : 1.0) / divisor;
    }
    return 0;
}

/* `type` and, where it is not 0, `few`, the number of columns, are constants. */
TLC_INLINE void tlc_add_sums(
    const tlc_family *f, int type, size_t few, const int64_t *ends, size_t n, tlc_scorer *s, double *logits
) {
    const size_t k = few ? few : (size_t)f->table.k;
    double sums[16];
    double *const to_sums = few ? sums : s->sums;
    for (size_t i = 0; i < n; i++, logits += k) {
        const size_t begin = s->row_ends[i], end = s->row_ends[i + 1];
        if (begin == end) continue;
        tlc_sum_rows(&f->table, type, k, s->rows + begin, end - begin, to_sums);
        const double divisor = tlc_divisor(f->norm, (size_t)(ends[i + 1] - ends[i]), 0);
        for (size_t c = 0; c < k; c++) logits[c] += to_sums[c] / divisor;
    }
}

/* For few columns a function for each number of them. */
TLC_INLINE void tlc_add_type(
    const tlc_family *f, int type, const int64_t *ends, size_t n, tlc_scorer *s, double *logits
) {
    switch (f->table.k) {
    case 1: tlc_add_sums(f, type, 1, ends, n, s, logits); break;
    case 2: tlc_add_sums(f, type, 2, ends, n, s, logits); break;
    case 3: tlc_add_sums(f, type, 3, ends, n, s, logits); break;
    case 4: tlc_add_sums(f, type, 4, ends, n, s, logits); break;
    case 5: tlc_add_sums(f, type, 5, ends, n, s, logits); break;
    case 6: tlc_add_sums(f, type, 6, ends, n, s, logits); break;
    case 7: tlc_add_sums(f, type, 7, ends, n, s, logits); break;
    case 8: tlc_add_sums(f, type, 8, ends, n, s, logits); break;
    default: tlc_add_sums(f, type, 0, ends, n, s, logits);
    }
}

/* Texts of a group: text i has buckets[ends[i]] to buckets[ends[i + 1]]. Adds to logits, k a text. */
static int tlc_add_group(
    const tlc_family *f, const uint32_t *buckets, const int64_t *ends, size_t n, tlc_scorer *s, double *logits
) {
    if (f->counts != TLC_COUNT || f->norm == TLC_L2) return tlc_add_counted(f, buckets, ends, n, s, logits);
    if (tlc_rows_of(f, buckets, ends, n, s)) return -1;
    if (f->table.type == TLC_CODES) tlc_add_type(f, TLC_CODES, ends, n, s, logits);
    else if (f->table.type == TLC_FLOAT32) tlc_add_type(f, TLC_FLOAT32, ends, n, s, logits);
    else tlc_add_type(f, TLC_FLOAT16, ends, n, s, logits);
    return 0;
}

/* The first of the largest; of one output: 1 where it is above 0. */
TLC_INLINE int32_t tlc_best(const double *logits, size_t k) {
    if (k == 1) return logits[0] > 0;
    size_t best = 0;
    for (size_t c = 1; c < k; c++)
        if (logits[c] > logits[best]) best = c;
    return (int32_t)best;
}

/* --- one call ------------------------------------------------------------------------------------------------------ */

/* One reading of a text: up to one table for its words and one for its characters. */
typedef struct {
    tlc_options options;
    const tlc_family *words, *chars;
} tlc_scan;

typedef struct {
    tlc_scratch ngrams;
    tlc_scorer scorer;
    double *logits; /* of a group */
    int64_t word_ends[TLC_GROUP + 1], char_ends[TLC_GROUP + 1]; /* the first is 0 */
} tlc_work;

static int tlc_work_init(tlc_work *w, int64_t k) {
    memset(w, 0, sizeof *w);
    w->logits = malloc((size_t)(TLC_GROUP * k) * sizeof *w->logits);
    return tlc_scorer_init(&w->scorer, k) || w->logits == NULL ? -1 : 0;
}

static void tlc_work_free(tlc_work *w) {
    tlc_scratch_free(&w->ngrams);
    tlc_scorer_free(&w->scorer);
    free(w->logits);
}

static int tlc_add_scan(const tlc_scan *scan, const tlc_text *texts, size_t n, double *out, tlc_work *w) {
    w->ngrams.n_word = w->ngrams.n_chars = 0;
    if (tlc_ngrams(&scan->options, texts, n, &w->ngrams, w->word_ends + 1, w->char_ends + 1)) return -1;
    if (scan->words && tlc_add_group(scan->words, w->ngrams.word, w->word_ends, n, &w->scorer, out)) return -1;
    if (scan->chars && tlc_add_group(scan->chars, w->ngrams.chars, w->char_ends, n, &w->scorer, out)) return -1;
    return 0;
}

/* Adds to `logits` (n x k), or puts the best outputs, the bias included, into `labels`. In groups of texts so small that
 * their buckets stay in the nearest cache. */
static int tlc_score(
    const tlc_scan *scans, int n_scans, const double *bias, int64_t k, const tlc_text *texts, size_t n, double *logits,
    int32_t *labels, tlc_work *w
) {
    for (size_t begin = 0, end; begin < n; begin = end) {
        size_t chars = 0;
        for (end = begin; end < n && end - begin < TLC_GROUP && chars < TLC_GROUP_CHARS; end++)
            chars += (size_t)texts[end].n;
        double *out = logits == NULL ? w->logits : logits + begin * (size_t)k;
        if (logits == NULL)
            for (size_t i = 0; i < end - begin; i++) memcpy(out + i * (size_t)k, bias, (size_t)k * sizeof *out);
        for (int i = 0; i < n_scans; i++)
            if (tlc_add_scan(&scans[i], texts + begin, end - begin, out, w)) return -1;
        if (labels != NULL)
            for (size_t i = 0; i < end - begin; i++) labels[begin + i] = tlc_best(out + i * (size_t)k, (size_t)k);
    }
    return 0;
}

/* --- word vectors -------------------------------------------------------------------------------------------------- */

/* Adds the sum of a text's rows (-1: unknown) over their number or weight; room for n rows was made. */
static void tlc_add_words(
    const tlc_table *table, const int32_t *words, size_t n, const double *unknown, const float *weights,
    double unknown_weight, int ignore, tlc_scorer *s, double *out
) {
    size_t known = 0;
    double divisor = 0;
    for (size_t i = 0; i < n; i++) {
        if (words[i] < 0) continue;
        s->rows[known++] = (uint32_t)words[i];
        divisor += weights == NULL ? 1.0 : (double)weights[words[i]];
    }
    const double missing = (double)(n - known);
    if (!ignore) divisor += missing * (weights == NULL ? 1.0 : unknown_weight);
    if (divisor == 0) return;
    memset(s->rows + known, 0, (TLC_AHEAD + 2) * sizeof *s->rows);
    tlc_sum_any(table, s->rows, known, s);
    for (int64_t c = 0; c < table->k; c++) out[c] += (s->sums[c] + missing * unknown[c]) / divisor;
}

#endif
