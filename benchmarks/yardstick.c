/* What a bare loop over the bytes can do: the bar that scoring is measured against.
 *
 * The texts lie joined in one buffer, each followed by a newline. A word is a run of ASCII letters, digits, `_` and
 * bytes from 0x80 on, lower-cased by one bit; each word and each pair of neighbours is hashed into 2^20 buckets of 4
 * float weights, whose rows are added up; a text's label is its largest sum. No Unicode, no objects, no options.
 *
 * Two ways: byte by byte with FNV-1a; and 64 bytes at a time, classified into a bit mask by SSE2, word edges from the
 * mask, hashing by 8 bytes, and rows prefetched before they are added. Compiled with `gcc -O3` alone.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <emmintrin.h>

#ifndef BITS
#define BITS 20
#endif
enum { CHUNK = 1024 };

static inline int32_t best(__m128 sum)
{
    float s[4];
    _mm_storeu_ps(s, sum);
    int left = s[1] > s[0], right = 2 + (s[3] > s[2]);
    return s[right] > s[left] ? right : left;
}

/* ---- byte by byte -------------------------------------------------------------------------------------------- */

static int is_word(uint8_t c)
{
    return (uint8_t)((c | 32) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '_' || c >= 128;
}

/* data: n_bytes; ends: where each text's newline lies, n of them; table: 2^20 rows of 4; labels: n. */
void yardstick_fnv(const uint8_t *data, const int64_t *ends, int64_t n, const float *table, int32_t *labels)
{
    uint8_t word[256];
    for (int c = 0; c < 256; c++)
        word[c] = (uint8_t)is_word((uint8_t)c);
    int64_t at = 0;
    for (int64_t text = 0; text < n; text++) {
        __m128 sum = _mm_setzero_ps();
        uint32_t last = 0;
        while (at < ends[text]) {
            while (at < ends[text] && !word[data[at]])
                at++;
            if (at == ends[text])
                break;
            uint32_t hash = 2166136261u;
            while (word[data[at]])
                hash = (hash ^ (data[at++] | 32)) * 16777619u;
            uint32_t pair = (last ^ hash) * 16777619u;
            sum = _mm_add_ps(sum, _mm_loadu_ps(table + 4 * (size_t)((hash ^ hash >> BITS) & ((1 << BITS) - 1))));
            if (last)
                sum = _mm_add_ps(sum, _mm_loadu_ps(table + 4 * (size_t)((pair ^ pair >> BITS) & ((1 << BITS) - 1))));
            last = hash * 16777619u | 1;
        }
        labels[text] = best(sum);
        at = ends[text] + 1;
    }
}

/* ---- 64 bytes at a time -------------------------------------------------------------------------------------- */

/* Bit i is set where byte i belongs to a word. */
static inline uint64_t word_mask(const uint8_t *data)
{
    const __m128i lower = _mm_set1_epi8(32), shift_a = _mm_set1_epi8((char)(128 - 'a')),
                  shift_0 = _mm_set1_epi8((char)(128 - '0')), n_a = _mm_set1_epi8(-128 + 26),
                  n_0 = _mm_set1_epi8(-128 + 10), under = _mm_set1_epi8('_');
    uint64_t mask = 0;
    for (int part = 0; part < 4; part++) {
        __m128i c = _mm_loadu_si128((const __m128i *)(data + 16 * part));
        /* Signed comparison after moving the range to the lowest numbers. */
        __m128i letter = _mm_cmplt_epi8(_mm_add_epi8(_mm_or_si128(c, lower), shift_a), n_a);
        __m128i digit = _mm_cmplt_epi8(_mm_add_epi8(c, shift_0), n_0);
        __m128i other = _mm_or_si128(c, _mm_cmpeq_epi8(c, under));
        mask |= (uint64_t)(uint16_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, digit), other)) << 16 * part;
    }
    return mask;
}

static inline int count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    return (int)(((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
}

/* Where words begin and end in turn, from data[from] to the last whole word's end; returns how many positions. */
static int64_t edges(const uint8_t *data, int64_t from, int64_t to, uint32_t *found, uint64_t *inside)
{
    uint32_t *next = found;
    for (int64_t block = from; block < to; block += 64) {
        uint64_t mask = word_mask(data + block), turn = mask ^ (mask << 1 | *inside);
        *inside = mask >> 63;
        int count = count_bits(turn);
        /* 24 are written whether wanted or not: few blocks have more, so the branch is foreseeable. */
        uint32_t base = (uint32_t)(block - from);
        for (int k = 0; k < 24 || __builtin_expect(k < count, 0); k += 8) {
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) {
                next[k + j] = base + (uint32_t)__builtin_ctzll(turn | 1ull << 63);
                turn &= turn - 1;
            }
        }
        next += count;
    }
    return next - found;
}

static inline uint64_t eight(const uint8_t *data)
{
    uint64_t x;
    memcpy(&x, data, 8);
    return x | 0x2020202020202020u;
}

static const uint64_t KEEP[17] = {
    0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, ~0ull,
    ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull};
static const uint64_t KEEP_SECOND[17] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, ~0ull};

static inline uint64_t mix(uint64_t x)
{
    x *= 0x9e3779b97f4a7c15u;
    return x ^ x >> 32;
}

static inline uint64_t word_hash(const uint8_t *data, uint32_t length)
{
    uint64_t hash = 0;
    for (; __builtin_expect(length > 16, 0); length -= 8, data += 8)
        hash = mix(hash ^ eight(data));
    hash ^= (eight(data) & KEEP[length]) + (eight(data + 8) & KEEP_SECOND[length]) * 0xd6e8feb86659fd93u;
    return mix(hash) * 0xff51afd7ed558ccdu;
}

static inline uint32_t bucket(uint64_t hash)
{
    return (uint32_t)(hash >> (64 - BITS));
}

static inline void add(const float *table, const uint32_t *rows, __m128 *one, __m128 *two)
{
    *one = _mm_add_ps(*one, _mm_loadu_ps(table + 4 * (size_t)rows[0]));
    *two = _mm_add_ps(*two, _mm_loadu_ps(table + 4 * (size_t)rows[1]));
}

/* As above; `data` may be read 128 bytes past its end, where nothing but zeros lies. */
void yardstick_mask(const uint8_t *data, const int64_t *ends, int64_t n, const float *table, int32_t *labels)
{
    uint32_t found[CHUNK + 64], rows[CHUNK + 64];
    uint64_t inside = 0, before = 0;
    int64_t text = 0, n_bytes = n ? ends[n - 1] + 1 : 0, open = -1;
    __m128 one = _mm_setzero_ps(), two = one;
    for (int64_t from = 0; from < n_bytes; from += CHUNK) {
        int64_t to = from + CHUNK < n_bytes ? from + CHUNK : n_bytes;
        int carried = open >= 0;
        int64_t n_found = edges(data, from, to, found + carried, &inside) + carried;
        int64_t n_rows = 0, added = 0, start = carried ? open : from + found[0];
        for (int64_t i = 0; i + 1 < n_found; i += 2, start = from + found[i]) {
            if (start > ends[text]) {
                for (; added < n_rows; added += 2)
                    add(table, rows + added, &one, &two);
                labels[text++] = best(_mm_add_ps(one, two));
                for (; start > ends[text]; text++)
                    labels[text] = 0;
                one = two = _mm_setzero_ps();
                before = 0;
            }
            uint64_t hash = word_hash(data + start, (uint32_t)(from + found[i + 1] - start));
            rows[n_rows] = bucket(hash);
            rows[n_rows + 1] = bucket(hash + before);
            __builtin_prefetch(table + 4 * (size_t)rows[n_rows]);
            __builtin_prefetch(table + 4 * (size_t)rows[n_rows + 1]);
            before = hash * 0xd6e8feb86659fd93u;
            n_rows += 2;
        }
        for (; added < n_rows; added += 2)
            add(table, rows + added, &one, &two);
        /* A word that goes on behind the chunk waits for its end. */
        open = n_found & 1 ? (n_found == 1 ? start : from + found[n_found - 1]) : -1;
    }
    for (; text < n; text++) {
        labels[text] = best(_mm_add_ps(one, two));
        one = two = _mm_setzero_ps();
    }
}
