/* From n-grams to logits: rows of a table of weights, found by bucket and added up.
 *
 * A few texts are scanned into buckets, these become rows, and the rows of each text are added up (score_sums.h). Plain
 * twin: _score_plain.py.
 */
#ifndef TLCLASSIC_SCORE_H
#define TLCLASSIC_SCORE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "ngrams.h"
#include "score_sums.h"
#include "score_united.h"

enum { TLC_GROUP = 256, TLC_GROUP_CHARS = 8192 };

/* Scratch of one thread. */
typedef struct {
    uint32_t *rows;   /* of a group of texts; TLC_AHEAD + 2 more are zero */
    uint32_t *before; /* rows of the group before each of its buckets */
    size_t rows_room;
    double *sums;     /* k */
    /* The buckets of a group that differ within a text, how often each occurs, and which occur again. */
    uint32_t *numbers, *distinct, *repeats, *again;
    size_t slots, counts_room;
    uint32_t number;
    int64_t distinct_ends[TLC_GROUP + 1];
    uint32_t again_ends[TLC_GROUP + 1];
    size_t row_ends[TLC_GROUP + 1];
} tlc_scorer;

static void tlc_scorer_free(tlc_scorer *s) {
    free(s->rows), free(s->before), free(s->sums);
    free(s->numbers), free(s->distinct), free(s->repeats), free(s->again);
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

static void tlc_sum_any(const tlc_table *table, const uint32_t *rows, size_t n, tlc_scorer *s) {
    const size_t k = (size_t)table->k;
    if (table->type == TLC_CODES) tlc_sum_rows(table, TLC_CODES, k, rows, n, s->sums);
    else if (table->type == TLC_FLOAT32) tlc_sum_rows(table, TLC_FLOAT32, k, rows, n, s->sums);
    else tlc_sum_rows(table, TLC_FLOAT16, k, rows, n, s->sums);
}

/* --- from buckets to rows ------------------------------------------------------------------------------------------ */

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
        /* Of texts without a token there may be no buckets at all, and memcpy takes no null pointer. */
        if (found) memcpy(s->rows, buckets, found * sizeof *s->rows);
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
 * Open addressing by the bucket, which is a hash. A slot holds the number of a bucket among all that were ever counted: it
 * is free for a text whose first number is larger. */

static int tlc_counts_room(tlc_scorer *s, size_t all, size_t longest) {
    if (all + TLC_AHEAD > s->counts_room) {
        const size_t room = all + all / 2 + TLC_AHEAD;
        if (tlc_resize(&s->distinct, room * 4) || tlc_resize(&s->repeats, room * 4) || tlc_resize(&s->again, room * 4))
            return -1;
        s->counts_room = room;
    }
    if (s->slots >= 3 * longest && s->number < 1U << 31 && s->slots) return 0;
    size_t slots = s->slots ? s->slots : 1024;
    while (slots < 3 * longest) slots *= 2;
    free(s->numbers);
    s->numbers = calloc(slots, sizeof *s->numbers);
    s->slots = s->numbers ? slots : 0, s->number = 1;
    return s->numbers ? 0 : -1;
}

/* Fills distinct, repeats and, with the places of those that repeat, again, all for n texts. */
static int tlc_count_buckets(tlc_scorer *s, const uint32_t *buckets, const int64_t *ends, size_t n) {
    size_t longest = 0;
    for (size_t t = 0; t < n; t++)
        if ((size_t)(ends[t + 1] - ends[t]) > longest) longest = (size_t)(ends[t + 1] - ends[t]);
    if (tlc_counts_room(s, (size_t)ends[n], longest)) return -1;
    const uint32_t number = s->number, mask = (uint32_t)(s->slots - 1);
    uint32_t found = 0, again = 0;
    for (size_t t = 0; t < n; t++) {
        const uint32_t first = number + found;
        for (int64_t i = ends[t]; i < ends[t + 1]; i++) {
            const uint32_t bucket = buckets[i];
            uint32_t slot = bucket & mask;
            while (s->numbers[slot] >= first && s->distinct[s->numbers[slot] - number] != bucket) slot = (slot + 1) & mask;
            if (s->numbers[slot] < first) {
                s->numbers[slot] = number + found;
                s->distinct[found] = bucket, s->repeats[found++] = 1;
            } else if (s->repeats[s->numbers[slot] - number]++ == 1)
                s->again[again++] = s->numbers[slot] - number;
        }
        s->distinct_ends[t + 1] = found, s->again_ends[t + 1] = again;
    }
    s->number += found;
    return 0;
}

TLC_INLINE double tlc_tf(int counts, uint32_t count) {
    if (counts == TLC_BINARY || count == 1) return 1.0;
    return counts == TLC_SUBLINEAR ? 1.0 + log((double)count) : (double)count;
}

/* Of the distinct bucket i, when tlc_rows_of was called with them. */
TLC_INLINE int tlc_has_row(const tlc_family *f, const tlc_scorer *s, size_t i) {
    return f->bitmap == NULL || s->before[i + 1] > s->before[i];
}

TLC_INLINE uint32_t tlc_row(const tlc_family *f, const tlc_scorer *s, size_t i) {
    return f->bitmap == NULL ? s->distinct[i] : s->rows[s->before[i]];
}

/* --- texts --------------------------------------------------------------------------------------------------------- */

/* The sum of squares of the weighted counts of text t; what repeats is added to what all would be that occur once. */
static double tlc_squares(const tlc_family *f, const tlc_scorer *s, size_t t) {
    const size_t begin = (size_t)s->distinct_ends[t], end = (size_t)s->distinct_ends[t + 1];
    double squares = 0;
    if (f->idf == NULL) squares = (double)(end - begin);
    for (size_t i = begin; f->idf && i < end; i++) {
        const double idf = tlc_has_row(f, s, i) ? (double)f->idf[tlc_row(f, s, i)] : f->idf_default;
        squares += idf * idf;
    }
    for (uint32_t j = s->again_ends[t]; j < s->again_ends[t + 1]; j++) {
        const size_t i = s->again[j];
        const double tf = tlc_tf(f->counts, s->repeats[i]);
        const double idf =
            f->idf == NULL ? 1.0 : tlc_has_row(f, s, i) ? (double)f->idf[tlc_row(f, s, i)] : f->idf_default;
        squares += (tf * tf - 1.0) * idf * idf;
    }
    return squares;
}

/* Texts whose weights depend on how often each n-gram occurs: the rows of all that differ, and once more, with what is
 * above 1, of those that repeat. */
static int tlc_add_counted(
    const tlc_family *f, const uint32_t *buckets, const int64_t *ends, size_t n, tlc_scorer *s, double *logits, size_t stride
) {
    const size_t k = (size_t)f->table.k;
    if (tlc_count_buckets(s, buckets, ends, n)) return -1;
    if (tlc_rows_of(f, s->distinct, s->distinct_ends, n, s)) return -1;
    for (size_t t = 0; t < n; t++, logits += stride) {
        tlc_sum_any(&f->table, s->rows + s->row_ends[t], s->row_ends[t + 1] - s->row_ends[t], s);
        for (uint32_t j = s->again_ends[t]; j < s->again_ends[t + 1]; j++) {
            const size_t i = s->again[j];
            const double more = tlc_tf(f->counts, s->repeats[i]) - 1.0;
            if (more == 0 || !tlc_has_row(f, s, i)) continue;
            const size_t at = (size_t)tlc_row(f, s, i) * k;
            for (size_t c = 0; c < k; c++)
                s->sums[c] += more * (double)tlc_load(f->table.values, at + c, f->table.type) *
                              (f->table.type == TLC_CODES ? (double)f->table.scales[c] : 1.0);
        }
        const double divisor =
            tlc_divisor(f->norm, (size_t)(ends[t + 1] - ends[t]), f->norm == TLC_L2 ? tlc_squares(f, s, t) : 0);
        for (size_t c = 0; c < k; c++) logits[c] += s->sums[c] / divisor;
    }
    return 0;
}

/* `type` and, where it is not 0, `few`, the number of columns, are constants. */
TLC_INLINE void tlc_add_sums(
    const tlc_family *f, int type, size_t few, const int64_t *ends, size_t n, tlc_scorer *s, double *logits, size_t stride
) {
    const size_t k = few ? few : (size_t)f->table.k;
    double sums[16];
    double *const to_sums = few ? sums : s->sums;
    for (size_t i = 0; i < n; i++, logits += stride) {
        const size_t begin = s->row_ends[i], end = s->row_ends[i + 1];
        if (begin == end) continue;
        tlc_sum_rows(&f->table, type, k, s->rows + begin, end - begin, to_sums);
        const double divisor = tlc_divisor(f->norm, (size_t)(ends[i + 1] - ends[i]), 0);
        for (size_t c = 0; c < k; c++) logits[c] += to_sums[c] / divisor;
    }
}

/* For few columns a function for each number of them. */
TLC_INLINE void tlc_add_type(
    const tlc_family *f, int type, const int64_t *ends, size_t n, tlc_scorer *s, double *logits, size_t stride
) {
    switch (f->table.k) {
    case 1: tlc_add_sums(f, type, 1, ends, n, s, logits, stride); break;
    case 2: tlc_add_sums(f, type, 2, ends, n, s, logits, stride); break;
    case 3: tlc_add_sums(f, type, 3, ends, n, s, logits, stride); break;
    case 4: tlc_add_sums(f, type, 4, ends, n, s, logits, stride); break;
    case 5: tlc_add_sums(f, type, 5, ends, n, s, logits, stride); break;
    case 6: tlc_add_sums(f, type, 6, ends, n, s, logits, stride); break;
    case 7: tlc_add_sums(f, type, 7, ends, n, s, logits, stride); break;
    case 8: tlc_add_sums(f, type, 8, ends, n, s, logits, stride); break;
    default: tlc_add_sums(f, type, 0, ends, n, s, logits, stride);
    }
}

/* Texts of a group: text i has buckets[ends[i]] to buckets[ends[i + 1]]. Adds to logits, `stride` a text. */
static int tlc_add_group(
    const tlc_family *f, const uint32_t *buckets, const int64_t *ends, size_t n, tlc_scorer *s, double *logits, size_t stride
) {
    logits += f->first;
    if (f->counts != TLC_COUNT || f->norm == TLC_L2) return tlc_add_counted(f, buckets, ends, n, s, logits, stride);
    if (tlc_rows_of(f, buckets, ends, n, s)) return -1;
    if (f->table.type == TLC_CODES) tlc_add_type(f, TLC_CODES, ends, n, s, logits, stride);
    else if (f->table.type == TLC_FLOAT32) tlc_add_type(f, TLC_FLOAT32, ends, n, s, logits, stride);
    else tlc_add_type(f, TLC_FLOAT16, ends, n, s, logits, stride);
    return 0;
}

#include "score_memo.h"

enum { TLC_COMPARED = 8 };

/* The first of the largest; of one output: 1 where it is above 0. */
TLC_INLINE int32_t tlc_best(const double *logits, size_t k) {
    if (k == 1) return logits[0] > 0;
    size_t best = 0;
    if (k >= 2 * TLC_COMPARED) {
        /* The largest of many first, several comparisons at a time, then its place. */
        double most[TLC_COMPARED];
        memcpy(most, logits, sizeof most);
        for (size_t c = TLC_COMPARED; c + TLC_COMPARED <= k; c += TLC_COMPARED)
            for (size_t i = 0; i < TLC_COMPARED; i++) most[i] = logits[c + i] > most[i] ? logits[c + i] : most[i];
        double largest = logits[k - 1];
        for (size_t c = k / TLC_COMPARED * TLC_COMPARED; c < k; c++) largest = logits[c] > largest ? logits[c] : largest;
        for (size_t i = 0; i < TLC_COMPARED; i++) largest = most[i] > largest ? most[i] : largest;
        while (best + 1 < k && logits[best] != largest) best++;
        return (int32_t)best;
    }
    for (size_t c = 1; c < k; c++)
        if (logits[c] > logits[best]) best = c;
    return (int32_t)best;
}

/* --- one call ------------------------------------------------------------------------------------------------------ */

/* One reading of a text: the tables for its words and those for its characters, each of other columns. */
typedef struct {
    tlc_options options;
    const tlc_family *words, *chars;
    tlc_united *words_as_one, *chars_as_one; /* or NULL */
} tlc_scan;

/* A copy of n readings in which lists of tables are read as one where they can be; NULL without memory. */
static tlc_scan *tlc_unite_scans(const tlc_scan *scans, int n) {
    tlc_scan *united = malloc((size_t)(n ? n : 1) * sizeof *united);
    for (int i = 0; united && i < n; i++) {
        united[i] = scans[i];
        united[i].words_as_one = tlc_unite(scans[i].words, scans[i].options.bits);
        united[i].chars_as_one = tlc_unite(scans[i].chars, scans[i].options.bits);
    }
    return united;
}

static size_t tlc_united_bytes(const tlc_scan *united, int n) {
    size_t bytes = 0;
    for (int i = 0; united && i < n; i++) {
        if (united[i].words_as_one) bytes += united[i].words_as_one->n_bytes;
        if (united[i].chars_as_one) bytes += united[i].chars_as_one->n_bytes;
    }
    return bytes;
}

static void tlc_united_scans_free(tlc_scan *united, int n) {
    for (int i = 0; united && i < n; i++) tlc_united_free(united[i].words_as_one), tlc_united_free(united[i].chars_as_one);
    free(united);
}

typedef struct {
    tlc_scratch ngrams;
    tlc_scorer scorer;
    tlc_memo **memos; /* of each reading, or NULL; not its own */
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

/* What all tables of a list weigh, or those tables read as one. */
static int tlc_add_list(
    const tlc_family *list, const tlc_united *as_one, uint32_t **buckets, size_t *room, const int64_t *ends, size_t n,
    double *out, size_t stride, tlc_scorer *s
) {
    if (as_one) {
        const size_t found = (size_t)ends[n];
        if (tlc_bucket_room(buckets, room, found + 2 * TLC_AHEAD)) return -1;
        memset(*buckets + found, 0, 2 * TLC_AHEAD * sizeof(uint32_t));
        tlc_add_united(as_one, *buckets, ends, n, out, stride);
        return 0;
    }
    for (const tlc_family *f = list; f; f = f->next)
        if (tlc_add_group(f, *buckets, ends, n, s, out, stride)) return -1;
    return 0;
}

static int tlc_add_scan(
    const tlc_scan *scan, tlc_memo *memo, const tlc_text *texts, size_t n, double *out, size_t stride, tlc_work *w
) {
    w->ngrams.n_word = w->ngrams.n_chars = 0;
    w->ngrams.memo = memo;
    if (tlc_ngrams(&scan->options, texts, n, &w->ngrams, w->word_ends + 1, w->char_ends + 1)) return -1;
    tlc_scratch *const g = &w->ngrams;
    tlc_scorer *const s = &w->scorer;
    if (tlc_add_list(scan->words, scan->words_as_one, &g->word, &g->word_room, w->word_ends, n, out, stride, s)) return -1;
    if (memo) return tlc_add_memo(scan->chars, memo, g->chars, w->char_ends, n, s, out, stride);
    return tlc_add_list(scan->chars, scan->chars_as_one, &g->chars, &g->chars_room, w->char_ends, n, out, stride, s);
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
            if (tlc_add_scan(&scans[i], w->memos ? w->memos[i] : NULL, texts + begin, end - begin, out, (size_t)k, w)) return -1;
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
