/* Classes of ASCII bytes as bit masks, 64 bytes at a time, and their lower case; with the newest instructions also the
 * places of bits and the hashes of eight tokens at a time. Others with SIMD: docs/development.md.
 *
 * Every level gives the same. The best one that the processor has is chosen when the program runs.
 */
#ifndef TLCLASSIC_CLASSIFY_H
#define TLCLASSIC_CLASSIFY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ngrams_hash.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define TLC_X86 1
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TLC_NEON 1
#include <arm_neon.h>
#endif

/* Of 64 bytes, the first one in the lowest bit. */
typedef struct {
    uint64_t word;        /* letters, digits, low line */
    uint64_t punctuation; /* everything else that is visible, apostrophes too */
    uint64_t apostrophe;
    uint64_t first;       /* bytes that begin a token even if they are of the class of the byte before */
} tlc_masks;

/* Classes of bytes that were decoded already, as flags in one byte each. */
enum { TLC_WORD = 1, TLC_PUNCTUATION = 2, TLC_APOSTROPHE = 4, TLC_FIRST = 8 };

typedef struct {
    const char *name;
    /* n bytes; `to` gets them, in lower case with `fold`, filled up with zeros to whole blocks of 64. Returns whether one
     * is not ASCII. */
    int (*classify)(const uint8_t *from, size_t n, int fold, uint8_t *to, tlc_masks *masks);
    /* n blocks of 64 flags. */
    void (*gather)(const uint8_t *flags, size_t n, tlc_masks *masks);
    /* As tlc_places_plain, tlc_singles_plain and tlc_pairs_plain. */
    void (*places)(const uint64_t *masks, size_t n, uint32_t *to, uint32_t *before);
    void (*singles)(
        const uint8_t *bytes, const uint32_t *starts, const uint32_t *ends, size_t n, int shift, uint32_t *to);
    void (*pairs)(
        const uint8_t *bytes, const uint32_t *starts, const uint32_t *ends, size_t n, int shift, uint64_t *last,
        uint32_t *to);
    int (*works)(void);
} tlc_level;

/* A function for whole blocks made one for bytes. */
#define TLC_WITH_TAIL(level)                                                                                            \
    static int tlc_classify_##level(const uint8_t *from, size_t n, int fold, uint8_t *to, tlc_masks *masks) {           \
        const size_t whole = n / 64;                                                                                    \
        int other = tlc_blocks_##level(from, whole, fold, to, masks);                                                   \
        if (n % 64) {                                                                                                   \
            uint8_t last[64] = {0};                                                                                     \
            memcpy(last, from + 64 * whole, n % 64);                                                                    \
            other |= tlc_blocks_##level(last, 1, fold, to + 64 * whole, masks + whole);                                 \
        }                                                                                                               \
        return other;                                                                                                   \
    }

/* --- portable ------------------------------------------------------------------------------------------------------ */

static int tlc_blocks_portable(const uint8_t *from, size_t n, int fold, uint8_t *to, tlc_masks *masks) {
    uint8_t all = 0;
    for (size_t b = 0; b < n; b++) {
        tlc_masks m = {0, 0, 0, 0};
        for (size_t i = 0; i < 64; i++) {
            const uint8_t c = from[64 * b + i], low = c | 0x20;
            const uint64_t word = (uint8_t)(low - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '_';
            m.word |= word << i;
            m.punctuation |= (uint64_t)((uint8_t)(c - 0x21) < 94 && !word) << i;
            m.apostrophe |= (uint64_t)(c == '\'') << i;
            to[64 * b + i] = fold && (uint8_t)(c - 'A') < 26 ? low : c;
            all |= c;
        }
        masks[b] = m;
    }
    return all >> 7;
}

TLC_WITH_TAIL(portable)

static void tlc_gather_portable(const uint8_t *flags, size_t n, tlc_masks *masks) {
    for (size_t b = 0; b < n; b++) {
        tlc_masks m = {0, 0, 0, 0};
        for (size_t i = 0; i < 64; i++) {
            const uint64_t f = flags[64 * b + i];
            m.word |= (f & 1) << i;
            m.punctuation |= (f >> 1 & 1) << i;
            m.apostrophe |= (f >> 2 & 1) << i;
            m.first |= (f >> 3 & 1) << i;
        }
        masks[b] = m;
    }
}

static int tlc_works_always(void) { return 1; }

#ifdef TLC_X86
/* --- SSE2: part of x86-64 ------------------------------------------------------------------------------------------ */

/* Bytes from `low` to `low + count - 1`; comparisons are signed. */
static inline __m128i tlc_range_sse2(__m128i x, char low, int count) {
    const __m128i moved = _mm_add_epi8(_mm_sub_epi8(x, _mm_set1_epi8(low)), _mm_set1_epi8(-128));
    return _mm_cmplt_epi8(moved, _mm_set1_epi8((char)(count - 128)));
}

static int tlc_blocks_sse2(const uint8_t *from, size_t n, int fold, uint8_t *to, tlc_masks *masks) {
    const __m128i bit = _mm_set1_epi8(0x20), folding = _mm_set1_epi8(fold ? 0x20 : 0);
    __m128i all = _mm_setzero_si128();
    for (size_t b = 0; b < n; b++) {
        tlc_masks m = {0, 0, 0, 0};
        uint64_t visible = 0;
        for (int k = 0; k < 4; k++) {
            const __m128i x = _mm_loadu_si128((const __m128i *)(from + 64 * b + 16 * k));
            const __m128i letter = tlc_range_sse2(_mm_or_si128(x, bit), 'a', 26);
            const __m128i other = _mm_or_si128(tlc_range_sse2(x, '0', 10), _mm_cmpeq_epi8(x, _mm_set1_epi8('_')));
            _mm_storeu_si128(
                (__m128i *)(to + 64 * b + 16 * k), _mm_or_si128(x, _mm_and_si128(letter, folding)));
            m.word |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_or_si128(letter, other)) << 16 * k;
            visible |= (uint64_t)(uint32_t)_mm_movemask_epi8(tlc_range_sse2(x, 0x21, 94)) << 16 * k;
            m.apostrophe |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('\''))) << 16 * k;
            all = _mm_or_si128(all, x);
        }
        m.punctuation = visible & ~m.word;
        masks[b] = m;
    }
    return _mm_movemask_epi8(all) != 0;
}

TLC_WITH_TAIL(sse2)

static void tlc_gather_sse2(const uint8_t *flags, size_t n, tlc_masks *masks) {
    for (size_t b = 0; b < n; b++) {
        tlc_masks m = {0, 0, 0, 0};
        for (int k = 0; k < 4; k++) {
            const __m128i x = _mm_loadu_si128((const __m128i *)(flags + 64 * b + 16 * k));
            m.word |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_slli_epi16(x, 7)) << 16 * k;
            m.punctuation |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_slli_epi16(x, 6)) << 16 * k;
            m.apostrophe |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_slli_epi16(x, 5)) << 16 * k;
            m.first |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_slli_epi16(x, 4)) << 16 * k;
        }
        masks[b] = m;
    }
}

/* --- AVX2 ---------------------------------------------------------------------------------------------------------- */

#define TLC_AVX2 __attribute__((target("avx2")))

TLC_AVX2 static inline __m256i tlc_range_avx2(__m256i x, char low, int count) {
    const __m256i moved = _mm256_add_epi8(_mm256_sub_epi8(x, _mm256_set1_epi8(low)), _mm256_set1_epi8(-128));
    return _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(count - 128)), moved);
}

TLC_AVX2 static int tlc_blocks_avx2(const uint8_t *from, size_t n, int fold, uint8_t *to, tlc_masks *masks) {
    const __m256i bit = _mm256_set1_epi8(0x20), folding = _mm256_set1_epi8(fold ? 0x20 : 0);
    __m256i all = _mm256_setzero_si256();
    for (size_t b = 0; b < n; b++) {
        tlc_masks m = {0, 0, 0, 0};
        uint64_t visible = 0;
        for (int k = 0; k < 2; k++) {
            const __m256i x = _mm256_loadu_si256((const __m256i *)(from + 64 * b + 32 * k));
            const __m256i letter = tlc_range_avx2(_mm256_or_si256(x, bit), 'a', 26);
            const __m256i other =
                _mm256_or_si256(tlc_range_avx2(x, '0', 10), _mm256_cmpeq_epi8(x, _mm256_set1_epi8('_')));
            _mm256_storeu_si256(
                (__m256i *)(to + 64 * b + 32 * k), _mm256_or_si256(x, _mm256_and_si256(letter, folding)));
            m.word |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_or_si256(letter, other)) << 32 * k;
            visible |= (uint64_t)(uint32_t)_mm256_movemask_epi8(tlc_range_avx2(x, 0x21, 94)) << 32 * k;
            m.apostrophe |=
                (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, _mm256_set1_epi8('\''))) << 32 * k;
            all = _mm256_or_si256(all, x);
        }
        m.punctuation = visible & ~m.word;
        masks[b] = m;
    }
    return _mm256_movemask_epi8(all) != 0;
}

TLC_WITH_TAIL(avx2)

TLC_AVX2 static void tlc_gather_avx2(const uint8_t *flags, size_t n, tlc_masks *masks) {
    for (size_t b = 0; b < n; b++) {
        tlc_masks m = {0, 0, 0, 0};
        for (int k = 0; k < 2; k++) {
            const __m256i x = _mm256_loadu_si256((const __m256i *)(flags + 64 * b + 32 * k));
            m.word |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(x, 7)) << 32 * k;
            m.punctuation |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(x, 6)) << 32 * k;
            m.apostrophe |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(x, 5)) << 32 * k;
            m.first |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(x, 4)) << 32 * k;
        }
        masks[b] = m;
    }
}

static int tlc_works_avx2(void) { return __builtin_cpu_supports("avx2"); }

/* --- AVX-512BW ----------------------------------------------------------------------------------------------------- */

#define TLC_AVX512 __attribute__((target("avx512f,avx512bw")))

TLC_AVX512 static inline uint64_t tlc_range_avx512(__m512i x, char low, int count) {
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(x, _mm512_set1_epi8(low)), _mm512_set1_epi8((char)count));
}

TLC_AVX512 static int tlc_classify_avx512(const uint8_t *from, size_t n, int fold, uint8_t *to, tlc_masks *masks) {
    const __m512i bit = _mm512_set1_epi8(0x20), folding = _mm512_set1_epi8(fold ? 0x20 : 0);
    uint64_t all = 0;
    for (size_t b = 0; 64 * b < n; b++) {
        const uint64_t inside = n - 64 * b < 64 ? (1ULL << (n - 64 * b)) - 1 : ~0ULL;
        const __m512i x = _mm512_maskz_loadu_epi8(inside, from + 64 * b), low = _mm512_or_si512(x, bit);
        const uint64_t letter = tlc_range_avx512(low, 'a', 26);
        _mm512_storeu_si512((void *)(to + 64 * b), _mm512_or_si512(x, _mm512_maskz_mov_epi8(letter, folding)));
        masks[b].word =
            letter | tlc_range_avx512(x, '0', 10) | _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('_'));
        masks[b].punctuation = tlc_range_avx512(x, 0x21, 94) & ~masks[b].word;
        masks[b].apostrophe = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('\''));
        masks[b].first = 0;
        all |= _mm512_movepi8_mask(x);
    }
    return all != 0;
}

TLC_AVX512 static void tlc_gather_avx512(const uint8_t *flags, size_t n, tlc_masks *masks) {
    for (size_t b = 0; b < n; b++) {
        const __m512i x = _mm512_loadu_si512((const void *)(flags + 64 * b));
        masks[b].word = _mm512_test_epi8_mask(x, _mm512_set1_epi8(TLC_WORD));
        masks[b].punctuation = _mm512_test_epi8_mask(x, _mm512_set1_epi8(TLC_PUNCTUATION));
        masks[b].apostrophe = _mm512_test_epi8_mask(x, _mm512_set1_epi8(TLC_APOSTROPHE));
        masks[b].first = _mm512_test_epi8_mask(x, _mm512_set1_epi8(TLC_FIRST));
    }
}

static int tlc_works_avx512(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"); }

/* --- AVX-512 VBMI2, DQ, VL: places and hashes, too ----------------------------------------------------------------- */

#define TLC_VBMI2 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,popcnt")))

TLC_VBMI2 static void tlc_places_vbmi2(const uint64_t *masks, size_t n, uint32_t *to, uint32_t *before) {
    uint8_t numbers[64];
    uint32_t found = 0;
    for (int i = 0; i < 64; i++) numbers[i] = (uint8_t)i;
    const __m512i every = _mm512_loadu_si512((const void *)numbers);
    for (size_t b = 0; b < n; b++) {
        const uint32_t count = (uint32_t)__builtin_popcountll(masks[b]);
        const __m512i base = _mm512_set1_epi32((int)(64 * b));
        const __m512i chosen = _mm512_maskz_compress_epi8(masks[b], every);
        uint32_t *const at = to + found;
        if (before) before[b] = found;
        _mm512_storeu_si512((void *)at, _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(chosen))));
        if (count > 16) {
            _mm512_storeu_si512(
                (void *)(at + 16), _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(chosen, 1))));
            _mm512_storeu_si512(
                (void *)(at + 32), _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(chosen, 2))));
            _mm512_storeu_si512(
                (void *)(at + 48), _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(chosen, 3))));
        }
        found += count;
    }
    if (before) before[n] = found;
}

/* Sixteen bytes from each of four places, every second one. */
TLC_VBMI2 static inline __m512i tlc_load_vbmi2(const uint8_t *bytes, const uint32_t *starts) {
    const __m128i *const a = (const __m128i *)(bytes + starts[0]), *const b = (const __m128i *)(bytes + starts[2]);
    const __m128i *const c = (const __m128i *)(bytes + starts[4]), *const d = (const __m128i *)(bytes + starts[6]);
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(a)), _mm_loadu_si128(b), 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(c)), _mm_loadu_si128(d), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

TLC_VBMI2 static inline __m512i tlc_fold_vbmi2(__m512i x) { return _mm512_xor_si512(x, _mm512_srli_epi64(x, 32)); }

TLC_VBMI2 static inline __m512i tlc_times_vbmi2(__m512i x, uint64_t y) {
    return _mm512_mullo_epi64(x, _mm512_set1_epi64((long long)y));
}

/* The hashes of eight tokens. */
TLC_VBMI2 static inline __m512i tlc_hash_vbmi2(const uint8_t *bytes, const uint32_t *starts, const uint32_t *ends) {
    const __m256i from = _mm256_loadu_si256((const __m256i *)starts), to = _mm256_loadu_si256((const __m256i *)ends);
    const __m512i n = _mm512_cvtepu32_epi64(_mm256_sub_epi32(to, from)), ones = _mm512_set1_epi64(-1);
    const __m512i even = tlc_load_vbmi2(bytes, starts), odd = tlc_load_vbmi2(bytes, starts + 1);
    /* Shifts of 64 and more give 0. */
    const __m512i spare = _mm512_sub_epi64(_mm512_set1_epi64(128), _mm512_slli_epi64(n, 3));
    const __m512i in_first = _mm512_srlv_epi64(
        ones, _mm512_max_epi64(_mm512_sub_epi64(spare, _mm512_set1_epi64(64)), _mm512_setzero_si512()));
    const __m512i in_second = _mm512_srlv_epi64(ones, _mm512_max_epi64(spare, _mm512_setzero_si512()));
    const __m512i first = _mm512_and_si512(_mm512_unpacklo_epi64(even, odd), in_first);
    const __m512i second = _mm512_and_si512(_mm512_unpackhi_epi64(even, odd), in_second);
    __m512i h = _mm512_xor_si512(first, _mm512_set1_epi64((long long)TLC_SEED_WORD));
    h = tlc_fold_vbmi2(tlc_times_vbmi2(h, TLC_BYTES));
    const __m512i longer = tlc_fold_vbmi2(tlc_times_vbmi2(_mm512_xor_si512(h, second), TLC_BYTES));
    h = _mm512_mask_mov_epi64(h, _mm512_cmpgt_epi64_mask(n, _mm512_set1_epi64(8)), longer);
    __mmask8 rare = _mm512_cmpgt_epi64_mask(n, _mm512_set1_epi64(16));
    if (rare) {
        uint64_t each[8];
        _mm512_storeu_si512((void *)each, h);
        for (int i = 0; i < 8; i++)
            if (rare >> i & 1) each[i] = tlc_hash(bytes + starts[i], ends[i] - starts[i], TLC_SEED_WORD);
        h = _mm512_loadu_si512((const void *)each);
    }
    return h;
}

TLC_VBMI2 static void tlc_singles_vbmi2(
    const uint8_t *bytes, const uint32_t *starts, const uint32_t *ends, size_t n, int shift, uint32_t *to
) {
    const __m128i by = _mm_cvtsi32_si128(shift);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m512i h = tlc_times_vbmi2(tlc_hash_vbmi2(bytes, starts + i, ends + i), TLC_BUCKET);
        _mm256_storeu_si256((__m256i *)(to + i), _mm512_cvtepi64_epi32(_mm512_srl_epi64(h, by)));
    }
    tlc_singles_plain(bytes, starts + i, ends + i, n - i, shift, to + i);
}

TLC_VBMI2 static void tlc_pairs_vbmi2(
    const uint8_t *bytes, const uint32_t *starts, const uint32_t *ends, size_t n, int shift, uint64_t *last, uint32_t *to
) {
    const __m128i by = _mm_cvtsi32_si128(shift), up = _mm_cvtsi32_si128(32);
    __m512i before = _mm512_set1_epi64((long long)*last);
    size_t i = 0;
    for (; i + 8 <= n; i += 8, to += 16) {
        const __m512i h = tlc_hash_vbmi2(bytes, starts + i, ends + i), left = _mm512_alignr_epi64(h, before, 7);
        const __m512i pair = tlc_fold_vbmi2(_mm512_add_epi64(tlc_times_vbmi2(left, TLC_ORDER), h));
        const __m512i one = _mm512_srl_epi64(tlc_times_vbmi2(h, TLC_BUCKET), by);
        const __m512i two = _mm512_srl_epi64(tlc_times_vbmi2(pair, TLC_BUCKET), by);
        _mm512_storeu_si512((void *)to, _mm512_or_si512(one, _mm512_sll_epi64(two, up)));
        before = h;
    }
    if (i) *last = (uint64_t)_mm_extract_epi64(_mm512_extracti64x2_epi64(before, 3), 1);
    tlc_pairs_plain(bytes, starts + i, ends + i, n - i, shift, last, to);
}

static int tlc_works_vbmi2(void) {
    return tlc_works_avx512() && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("popcnt");
}
#endif

#ifdef TLC_NEON
/* --- NEON: part of AArch64 ----------------------------------------------------------------------------------------- */

/* The lowest bit of 64 bytes that are 0 or 255. */
static inline uint64_t tlc_bits_neon(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) {
    static const uint8_t powers[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t p = vld1q_u8(powers);
    uint8x16_t low = vpaddq_u8(vandq_u8(a, p), vandq_u8(b, p)), high = vpaddq_u8(vandq_u8(c, p), vandq_u8(d, p));
    low = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(low, low)), 0);
}

static inline uint8x16_t tlc_range_neon(uint8x16_t x, uint8_t low, uint8_t count) {
    return vcltq_u8(vsubq_u8(x, vdupq_n_u8(low)), vdupq_n_u8(count));
}

static int tlc_blocks_neon(const uint8_t *from, size_t n, int fold, uint8_t *to, tlc_masks *masks) {
    const uint8x16_t bit = vdupq_n_u8(0x20), folding = vdupq_n_u8(fold ? 0x20 : 0);
    uint8x16_t all = vdupq_n_u8(0);
    for (size_t b = 0; b < n; b++) {
        uint8x16_t word[4], visible[4], apostrophe[4];
        for (int k = 0; k < 4; k++) {
            const uint8x16_t x = vld1q_u8(from + 64 * b + 16 * k);
            const uint8x16_t letter = tlc_range_neon(vorrq_u8(x, bit), 'a', 26);
            vst1q_u8(to + 64 * b + 16 * k, vorrq_u8(x, vandq_u8(letter, folding)));
            word[k] = vorrq_u8(vorrq_u8(letter, tlc_range_neon(x, '0', 10)), vceqq_u8(x, vdupq_n_u8('_')));
            visible[k] = tlc_range_neon(x, 0x21, 94);
            apostrophe[k] = vceqq_u8(x, vdupq_n_u8('\''));
            all = vorrq_u8(all, x);
        }
        masks[b].word = tlc_bits_neon(word[0], word[1], word[2], word[3]);
        masks[b].punctuation = tlc_bits_neon(visible[0], visible[1], visible[2], visible[3]) & ~masks[b].word;
        masks[b].apostrophe = tlc_bits_neon(apostrophe[0], apostrophe[1], apostrophe[2], apostrophe[3]);
        masks[b].first = 0;
    }
    return vmaxvq_u8(all) >> 7;
}

TLC_WITH_TAIL(neon)

static inline uint64_t tlc_flag_neon(const uint8_t *p, uint8_t flag) {
    const uint8x16_t f = vdupq_n_u8(flag);
    return tlc_bits_neon(
        vtstq_u8(vld1q_u8(p), f), vtstq_u8(vld1q_u8(p + 16), f), vtstq_u8(vld1q_u8(p + 32), f),
        vtstq_u8(vld1q_u8(p + 48), f));
}

static void tlc_gather_neon(const uint8_t *flags, size_t n, tlc_masks *masks) {
    for (size_t b = 0; b < n; b++) {
        masks[b].word = tlc_flag_neon(flags + 64 * b, TLC_WORD);
        masks[b].punctuation = tlc_flag_neon(flags + 64 * b, TLC_PUNCTUATION);
        masks[b].apostrophe = tlc_flag_neon(flags + 64 * b, TLC_APOSTROPHE);
        masks[b].first = tlc_flag_neon(flags + 64 * b, TLC_FIRST);
    }
}
#endif

/* --- the choice ---------------------------------------------------------------------------------------------------- */

/* Slowest first. */
static const tlc_level tlc_all_levels[] = {
    {"portable", tlc_classify_portable, tlc_gather_portable, tlc_places_plain, tlc_singles_plain, tlc_pairs_plain,
     tlc_works_always},
#ifdef TLC_X86
    {"sse2", tlc_classify_sse2, tlc_gather_sse2, tlc_places_plain, tlc_singles_plain, tlc_pairs_plain,
     tlc_works_always},
    {"avx2", tlc_classify_avx2, tlc_gather_avx2, tlc_places_plain, tlc_singles_plain, tlc_pairs_plain, tlc_works_avx2},
    {"avx512bw", tlc_classify_avx512, tlc_gather_avx512, tlc_places_plain, tlc_singles_plain, tlc_pairs_plain,
     tlc_works_avx512},
    {"avx512vbmi2", tlc_classify_avx512, tlc_gather_avx512, tlc_places_vbmi2, tlc_singles_vbmi2, tlc_pairs_vbmi2,
     tlc_works_vbmi2},
#endif
#ifdef TLC_NEON
    {"neon", tlc_classify_neon, tlc_gather_neon, tlc_places_plain, tlc_singles_plain, tlc_pairs_plain,
     tlc_works_always},
#endif
};

static const int tlc_n_levels = sizeof tlc_all_levels / sizeof *tlc_all_levels;
static const tlc_level *tlc_chosen;

static inline const tlc_level *tlc_choose(void) {
    const tlc_level *level = __atomic_load_n(&tlc_chosen, __ATOMIC_RELAXED);
    if (level) return level;
    for (int i = 0; i < tlc_n_levels; i++)
        if (tlc_all_levels[i].works()) level = &tlc_all_levels[i];
    __atomic_store_n(&tlc_chosen, level, __ATOMIC_RELAXED);
    return level;
}

#endif
