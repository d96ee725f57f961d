/* Tables of several tasks over the same n-grams, read as one: what all of them know of a bucket lies side by side.
 *
 * A file keeps a table a task, which is small, but makes a text look every bucket up in every table. In memory, eight
 * neighbouring buckets make a block:
 *
 *     0 | the place in the block of the row of each of the eight, 0: unknown | rows
 *
 * and a row is the set of tasks that know the bucket, as bits, then their weights one after the other, as signed bytes.
 * One instruction spreads them out over the columns of all tasks. Without it (AVX-512 VBMI2) tables stay as they are.
 * Sums are of integers, so they are those of the tables.
 */
#ifndef TLCLASSIC_SCORE_UNITED_H
#define TLCLASSIC_SCORE_UNITED_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "classify.h"
#include "score_sums.h"
#include "wide.h"

enum { TLC_UNITED_TASKS = 8, TLC_UNITED_COLUMNS = 64, TLC_BLOCK = 8, TLC_HEADER = 1 + TLC_BLOCK, TLC_LINE = 64 };

typedef struct tlc_united {
    uint8_t *blocks;  /* the first one is that of all groups of which nothing is known; TLC_LINE more can be read */
    uint32_t *starts; /* of the block of each group of buckets */
    size_t n_bytes, k; /* n_bytes: of both */
    int64_t first; /* of the outputs, the one that the first column is added to */
    int norm;
    uint64_t columns[1 << TLC_UNITED_TASKS]; /* of each set of tasks */
    uint8_t row_bytes[1 << TLC_UNITED_TASKS]; /* of each set: 0 of the empty one */
    float scales[TLC_UNITED_COLUMNS];
} tlc_united;

static void tlc_united_free(tlc_united *u) {
    if (u == NULL) return;
    free(u->blocks), free(u->starts), free(u);
}

#ifdef TLC_X86

/* The tables in the order of their columns; how many, or 0 where they cannot be read as one. */
static int tlc_unitable(const tlc_family *list, const tlc_family **tables) {
    int n = 0;
    int64_t k = 0;
    for (const tlc_family *f = list; f; f = f->next) {
        int at = n++;
        k += f->table.k;
        if (n > TLC_UNITED_TASKS || k > TLC_UNITED_COLUMNS || f->table.type != TLC_CODES || f->bitmap == NULL) return 0;
        if (f->counts != TLC_COUNT || f->norm == TLC_L2 || f->norm != list->norm) return 0;
        for (; at && tables[at - 1]->first > f->first; at--) tables[at] = tables[at - 1];
        tables[at] = f;
    }
    for (int i = 1; i < n; i++)
        if (tables[i]->first != tables[i - 1]->first + tables[i - 1]->table.k) return 0;
    /* Of two tables it takes more memory for the same time. */
    return n > 2 ? n : 0;
}

/* The tasks that know each bucket of a group, a byte each. */
__attribute__((target("bmi2"))) static uint64_t tlc_tasks_of(const tlc_family *const *tables, int n, size_t group) {
    uint64_t tasks = 0;
    for (int i = 0; i < n; i++)
        tasks |= _pdep_u64(tables[i]->bitmap[group / 8] >> 8 * (group % 8), 0x0101010101010101) << i;
    return tasks;
}

/* The blocks' starts; how many bytes they take, or 0 where one has too many for its places. */
static size_t tlc_place_blocks(tlc_united *u, const tlc_family *const *tables, int n, size_t n_groups) {
    size_t end = TLC_HEADER;
    for (size_t group = 0; group < n_groups; group++) {
        size_t size = TLC_HEADER;
        uint64_t tasks = tlc_tasks_of(tables, n, group);
        u->starts[group] = 0;
        if (!tasks) continue;
        for (; tasks; tasks >>= 8) {
            if (tasks & 0xFF && size > UINT8_MAX) return 0;
            size += u->row_bytes[tasks & 0xFF];
        }
        /* A block that can lie in one line of the cache does. */
        if (size <= TLC_LINE && end % TLC_LINE + size > TLC_LINE) end += TLC_LINE - end % TLC_LINE;
        u->starts[group] = (uint32_t)end;
        end += size;
        if (end > UINT32_MAX - TLC_LINE) return 0;
    }
    return end;
}

/* Eight weights at a time, so up to seven bytes more are read, and written where what follows will be. */
static void tlc_fill_blocks(tlc_united *u, const tlc_family *const *tables, int n, size_t n_groups) {
    const uint8_t *next[TLC_UNITED_TASKS];
    for (int i = 0; i < n; i++) next[i] = tables[i]->table.values;
    for (size_t group = 0; group < n_groups; group++) {
        uint64_t tasks = tlc_tasks_of(tables, n, group), eight;
        if (!tasks) continue;
        uint8_t *const block = u->blocks + u->starts[group], *to = block + TLC_HEADER;
        *block = 0;
        for (int j = 0; j < TLC_BLOCK; j++, tasks >>= 8) {
            block[1 + j] = tasks & 0xFF ? (uint8_t)(to - block) : 0;
            if (tasks & 0xFF) *to++ = (uint8_t)tasks;
            for (unsigned left = tasks & 0xFF; left; left &= left - 1) {
                const int i = __builtin_ctz(left);
                for (int64_t c = 0; c < tables[i]->table.k; c += 8) {
                    memcpy(&eight, next[i] + c, 8);
                    eight ^= 0x8080808080808080;
                    memcpy(to + c, &eight, 8);
                }
                to += tables[i]->table.k, next[i] += tables[i]->table.k;
            }
        }
    }
}

/* The tables of a list as one; NULL where they cannot be, or without memory. */
static tlc_united *tlc_unite(const tlc_family *list, int bits) {
    const tlc_family *tables[TLC_UNITED_TASKS];
    const int n = list != NULL && tlc_works_vbmi2() ? tlc_unitable(list, tables) : 0;
    const size_t n_groups = (size_t)1 << bits >> 3;
    tlc_united *u = n && bits >= 6 ? calloc(1, sizeof *u) : NULL;
    if (u == NULL) return NULL;
    u->first = tables[0]->first, u->norm = list->norm;
    for (int i = 0; i < n; i++)
        for (int64_t c = 0; c < tables[i]->table.k; c++, u->k++) {
            u->scales[u->k] = tables[i]->table.scales[c];
            for (unsigned set = 0; set < 1u << n; set++) u->columns[set] |= (uint64_t)(set >> i & 1) << u->k;
        }
    for (unsigned set = 1; set < 1u << n; set++)
        u->row_bytes[set] = (uint8_t)(1 + __builtin_popcountll(u->columns[set]));
    u->starts = malloc(n_groups * sizeof *u->starts);
    if (u->starts) u->n_bytes = tlc_place_blocks(u, tables, n, n_groups);
    if (u->n_bytes) {
        const size_t room = (u->n_bytes + 2 * TLC_LINE) / TLC_LINE * TLC_LINE;
        u->blocks = aligned_alloc(TLC_LINE, room);
        if (u->blocks) memset(u->blocks, 0, TLC_HEADER);
    }
    if (u->blocks == NULL) {
        tlc_united_free(u);
        return NULL;
    }
    tlc_fill_blocks(u, tables, n, n_groups);
    u->n_bytes += n_groups * sizeof *u->starts;
    return u;
}

/* The sums of the columns of n n-grams, at most 256: 16 bits hold them. `wide`, a constant: of more than 32. */
TLC_VBMI2 TLC_INLINE void tlc_united_part(
    const tlc_united *u, int wide, const uint32_t *buckets, size_t n, int32_t *sums
) {
    __m512i low = _mm512_setzero_si512(), high = low;
    for (size_t i = 0; i < n; i++) {
        TLC_FETCH(u->starts + (buckets[i + 2 * TLC_AHEAD] >> 3));
        TLC_FETCH(u->blocks + u->starts[buckets[i + TLC_AHEAD] >> 3]);
        const uint8_t *const block = u->blocks + u->starts[buckets[i] >> 3];
        const uint8_t *const row = block + block[1 + (buckets[i] & 7)];
        const uint64_t columns = u->columns[row[0]];
        if (wide) {
            const __m512i codes = _mm512_maskz_expand_epi8(columns, _mm512_loadu_si512(row + 1));
            low = _mm512_add_epi16(low, _mm512_cvtepi8_epi16(_mm512_castsi512_si256(codes)));
            high = _mm512_add_epi16(high, _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(codes, 1)));
        } else {
            const __m256i codes = _mm256_loadu_si256((const __m256i *)(row + 1));
            low = _mm512_add_epi16(low, _mm512_cvtepi8_epi16(_mm256_maskz_expand_epi8((uint32_t)columns, codes)));
        }
    }
    int16_t parts[TLC_UNITED_COLUMNS];
    _mm512_storeu_si512(parts, low);
    _mm512_storeu_si512(parts + 32, high);
    for (int c = 0; c < (wide ? 64 : 32); c++) sums[c] += parts[c];
}

TLC_VBMI2 TLC_INLINE void tlc_united_texts(
    const tlc_united *u, int wide, const uint32_t *buckets, const int64_t *ends, size_t n, double *logits, size_t stride
) {
    for (size_t t = 0; t < n; t++, logits += stride) {
        int32_t sums[TLC_UNITED_COLUMNS] = {0};
        for (int64_t i = ends[t]; i < ends[t + 1]; i += 256) {
            const int64_t left = ends[t + 1] - i;
            tlc_united_part(u, wide, buckets + i, (size_t)(left < 256 ? left : 256), sums);
        }
        const double divisor = tlc_divisor(u->norm, (size_t)(ends[t + 1] - ends[t]), 0);
        for (size_t c = 0; c < u->k; c++) logits[c] += (double)sums[c] * (double)u->scales[c] / divisor;
    }
}

/* Adds what n texts weigh; behind their buckets 2 * TLC_AHEAD more can be read. */
TLC_VBMI2 static void tlc_add_united(
    const tlc_united *u, const uint32_t *buckets, const int64_t *ends, size_t n, double *logits, size_t stride
) {
    if (u->k > 32) tlc_united_texts(u, 1, buckets, ends, n, logits + u->first, stride);
    else tlc_united_texts(u, 0, buckets, ends, n, logits + u->first, stride);
}

#else

static tlc_united *tlc_unite(const tlc_family *list, int bits) { return NULL; }

static void tlc_add_united(
    const tlc_united *u, const uint32_t *buckets, const int64_t *ends, size_t n, double *logits, size_t stride
) {}

#endif

#endif
