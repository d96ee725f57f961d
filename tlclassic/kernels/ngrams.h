/* From a text to the buckets of its n-grams. The plain twin, _ngrams_plain.py, says exactly what they are.
 *
 * A text is worked on in pieces that end before a space (or an ideograph). First step: the piece's folded bytes and
 * masks of their classes (classify.h; what is not ASCII is decoded by _ngrams.pyx, found by name when first needed).
 * Second step: the masks give the bounds of tokens, tokens give hashes, hashes give buckets. The scratch memory is that
 * of one piece, besides the buckets. Needs Python.h, but no lock of the interpreter.
 */
#ifndef TLCLASSIC_NGRAMS_H
#define TLCLASSIC_NGRAMS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "classify.h"

enum { TLC_UTF8 = 0, TLC_UCS1 = 1, TLC_UCS2 = 2, TLC_UCS4 = 4, TLC_ASCII = 8 };
enum { TLC_MAX_WORDS = 8, TLC_MAX_CHARS = 32, TLC_PIECE = 8192, TLC_SLACK = 192 };
/* Words of more characters are cut, so that places in a piece fit 32 bits. */
enum { TLC_LONGEST = 1 << 28 };

#define TLC_SEED_WORD 0x9AE16A3B2F90404FULL
#define TLC_SEED_CHARS 0xC949D7C7509E6557ULL
#define TLC_BYTES 0x9E3779B97F4A7C15ULL
#define TLC_ORDER 0xD6E8FEB86659FD93ULL
#define TLC_BUCKET 0xFF51AFD7ED558CCDULL

typedef struct {
    int word_lo, word_hi; /* 0, 0: none */
    int char_lo, char_hi;
    int bits;
    int fold, keep_punctuation;
} tlc_options;

/* n units: bytes (UTF-8, ASCII), or code points of 1, 2 or 4 bytes. */
typedef struct {
    const void *data;
    size_t n;
    int kind;
} tlc_text;

typedef struct {
    uint32_t *word, *chars; /* buckets */
    size_t n_word, n_chars, word_room, chars_room;
    /* The piece: n bytes, their flags (where it is not ASCII), masks, bounds of tokens. */
    uint8_t *memory, *bytes, *flags;
    tlc_masks *masks;
    uint32_t *starts, *ends;
    size_t n, room;
    /* n-grams that end at the last token. */
    uint64_t running[TLC_MAX_WORDS];
    int n_running;
    void *unicode; /* of the decoder */
    void (*free_unicode)(void *);
} tlc_scratch;

/* Fills bytes, flags and n from units start..stop of a text; 0, or -1 without memory. */
typedef int (*tlc_decoder)(const tlc_options *, const tlc_text *, size_t start, size_t stop, tlc_scratch *);

static inline void tlc_scratch_free(tlc_scratch *s) {
    free(s->word), free(s->chars), free(s->memory), free(s->flags), free(s->masks), free(s->starts), free(s->ends);
    if (s->free_unicode) s->free_unicode(s->unicode);
    memset(s, 0, sizeof *s);
}

/* --- room ---------------------------------------------------------------------------------------------------------- */

static inline int tlc_resize(void *array, size_t bytes) {
    void *more;
    memcpy(&more, array, sizeof more);
    more = realloc(more, bytes);
    if (more == NULL) return -1;
    memcpy(array, &more, sizeof more);
    return 0;
}

/* Room for a piece of n bytes. */
static inline int tlc_piece_room(tlc_scratch *s, size_t n) {
    if (n <= s->room) return 0;
    const size_t room = n < 448 ? 448 : n + n / 4, full = (room + TLC_SLACK) / 64 * 64 + 64;
    if (tlc_resize(&s->memory, full + 8)) return -1;
    s->bytes = s->memory + 8; /* room for a mark in front of the first word */
    if (tlc_resize(&s->flags, full) || tlc_resize(&s->masks, full / 64 * sizeof(tlc_masks)) ||
        tlc_resize(&s->starts, full * sizeof(uint32_t)) || tlc_resize(&s->ends, full * sizeof(uint32_t)))
        return -1;
    s->room = room;
    return 0;
}

static inline int tlc_bucket_room(uint32_t **buckets, size_t *room, size_t n) {
    if (n <= *room) return 0;
    const size_t more = n + n / 2 + 1024;
    if (tlc_resize(buckets, more * sizeof(uint32_t))) return -1;
    *room = more;
    return 0;
}

/* --- hashes -------------------------------------------------------------------------------------------------------- */

static inline uint64_t tlc_load8(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

static inline uint64_t tlc_fold(uint64_t x) { return x ^ x >> 32; }

/* The lowest n bytes, of 8 at the most. */
static inline uint64_t tlc_below(size_t n) { return n >= 8 ? ~0ULL : (1ULL << 8 * n) - 1; }

/* The hash of n bytes, behind which 16 more can be read. */
static inline __attribute__((always_inline)) uint64_t tlc_hash(const uint8_t *p, size_t n, uint64_t seed) {
    static const uint64_t low[17] = {
        0, 0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFF, 0xFFFFFFFFFFFF, 0xFFFFFFFFFFFFFF, ~0ULL, ~0ULL, ~0ULL,
        ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL};
    uint64_t h = seed;
    while (n > 16) {
        h = tlc_fold((h ^ tlc_load8(p)) * TLC_BYTES);
        p += 8, n -= 8;
    }
    h = tlc_fold((h ^ (tlc_load8(p) & low[n])) * TLC_BYTES);
    /* Both ways are computed: whether a word is longer than 8 bytes cannot be predicted. */
    const uint64_t longer = tlc_fold((h ^ (tlc_load8(p + 8) & low[n > 8 ? n - 8 : 0])) * TLC_BYTES);
    return n > 8 ? longer : h;
}

static inline uint32_t tlc_bucket(uint64_t g, int shift) { return (uint32_t)(g * TLC_BUCKET >> shift); }

/* --- second step: from masks to buckets ---------------------------------------------------------------------------- */

/* Without -mpopcnt, compilers call a function for their own. */
static inline size_t tlc_popcount(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
    return (size_t)(((x + (x >> 4)) & 0x0F0F0F0F0F0F0F0FULL) * 0x0101010101010101ULL >> 56);
}

static inline uint32_t *tlc_positions(uint64_t mask, uint32_t base, uint32_t *to) {
    uint32_t *const end = to + tlc_popcount(mask);
    while (to < end) {
        for (int k = 0; k < 4; k++) {
            to[k] = base + (uint32_t)__builtin_ctzll(mask | 1ULL << 63);
            mask &= mask - 1;
        }
        to += 4;
    }
    return end;
}

/* Bounds of the tokens of the piece; returns how many. */
static inline size_t tlc_tokens(const tlc_scratch *s, int keep_punctuation) {
    const size_t blocks = s->n / 64 + 1;
    uint64_t word_before = 0, raw_before = 0, mark_before = 0;
    uint32_t *starts = s->starts, *ends = s->ends;
    for (size_t b = 0; b < blocks; b++) {
        const tlc_masks m = s->masks[b];
        uint64_t word = m.word, mark = m.punctuation;
        if (m.apostrophe) {
            const uint64_t next = b + 1 < blocks ? s->masks[b + 1].word & ~s->masks[b + 1].first : 0;
            const uint64_t joined = m.apostrophe & ~m.first & (m.word << 1 | raw_before) &
                                    ((m.word & ~m.first) >> 1 | next << 63);
            word |= joined;
            mark &= ~joined;
        }
        if (!keep_punctuation) mark = 0;
        const uint64_t edges = (word ^ (word << 1 | word_before)) | (mark ^ (mark << 1 | mark_before)) | m.first;
        starts = tlc_positions(edges & (word | mark), (uint32_t)(64 * b), starts);
        ends = tlc_positions(edges & (word << 1 | word_before | mark << 1 | mark_before), (uint32_t)(64 * b), ends);
        raw_before = m.word >> 63, word_before = word >> 63, mark_before = mark >> 63;
    }
    return (size_t)(starts - s->starts);
}

static inline void tlc_words_12(const tlc_options *o, tlc_scratch *s, size_t n) {
    const int shift = 64 - o->bits;
    uint32_t *to = s->word + s->n_word;
    size_t i = 0;
    if (n && !s->n_running) {
        s->running[0] = tlc_hash(s->bytes + s->starts[0], s->ends[0] - s->starts[0], TLC_SEED_WORD);
        *to++ = tlc_bucket(s->running[0], shift);
        s->n_running = 1, i = 1;
    }
    uint64_t before = s->running[0];
    for (; i < n; i++) {
        const uint64_t h = tlc_hash(s->bytes + s->starts[i], s->ends[i] - s->starts[i], TLC_SEED_WORD);
        to[0] = tlc_bucket(h, shift);
        to[1] = tlc_bucket(tlc_fold(before * TLC_ORDER + h), shift);
        before = h, to += 2;
    }
    s->running[0] = before;
    s->n_word = (size_t)(to - s->word);
}

static inline void tlc_words_any(const tlc_options *o, tlc_scratch *s, size_t n) {
    const int shift = 64 - o->bits;
    uint32_t *to = s->word + s->n_word;
    for (size_t i = 0; i < n; i++) {
        const uint64_t h = tlc_hash(s->bytes + s->starts[i], s->ends[i] - s->starts[i], TLC_SEED_WORD);
        if (s->n_running < o->word_hi) s->n_running++;
        for (int k = s->n_running - 1; k > 0; k--) s->running[k] = tlc_fold(s->running[k - 1] * TLC_ORDER + h);
        s->running[0] = h;
        for (int k = o->word_lo - 1; k < s->n_running; k++) *to++ = tlc_bucket(s->running[k], shift);
    }
    s->n_word = (size_t)(to - s->word);
}

static inline int tlc_words(const tlc_options *o, tlc_scratch *s, size_t n) {
    const size_t orders = (size_t)(o->word_hi - o->word_lo + 1);
    if (tlc_bucket_room(&s->word, &s->word_room, s->n_word + n * orders + 2)) return -1;
    if (o->word_lo == 1 && o->word_hi == 2) tlc_words_12(o, s, n);
    else tlc_words_any(o, s, n);
    return 0;
}

/* --- character n-grams --------------------------------------------------------------------------------------------- */

/* `p` is <word> of n ASCII bytes, with 24 more behind that can be read; n-grams of at most 8 bytes. */
static inline uint32_t *tlc_short_chars(const tlc_options *o, const uint8_t *p, size_t n, uint32_t *to) {
    const int shift = 64 - o->bits;
    for (size_t i = 0; i < n; i++) {
        const uint64_t x = tlc_load8(p + i);
        const size_t most = n - i < (size_t)o->char_hi ? n - i : (size_t)o->char_hi;
        for (size_t k = (size_t)o->char_lo; k <= most; k++) {
            if (k == 1 && (i == 0 || i == n - 1)) continue;
            *to++ = tlc_bucket(tlc_fold((TLC_SEED_CHARS ^ (x & tlc_below(k))) * TLC_BYTES), shift);
        }
    }
    return to;
}

static inline size_t tlc_char_size(uint8_t lead) { return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4; }

/* Any UTF-8 and lengths. */
static inline uint32_t *tlc_long_chars(const tlc_options *o, const uint8_t *p, size_t n, uint32_t *to) {
    for (size_t i = 0; i < n; i += tlc_char_size(p[i])) {
        size_t end = i;
        for (int k = 1; k <= o->char_hi && end < n; k++) {
            end += tlc_char_size(p[end]);
            if (k < o->char_lo || (k == 1 && (i == 0 || i == n - 1))) continue;
            *to++ = tlc_bucket(tlc_hash(p + i, end - i, TLC_SEED_CHARS), 64 - o->bits);
        }
    }
    return to;
}

/* <word> is written over the piece: its neighbours are put back. */
static inline int tlc_chars(const tlc_options *o, tlc_scratch *s, size_t n) {
    const size_t orders = (size_t)(o->char_hi - o->char_lo + 1);
    uint8_t *const bytes = s->bytes;
    for (size_t i = 0; i < n; i++) {
        const size_t start = s->starts[i], end = s->ends[i], size = end - start + 2;
        if (tlc_bucket_room(&s->chars, &s->chars_room, s->n_chars + size * orders)) return -1;
        uint8_t *const p = bytes + start - 1;
        const uint8_t before = p[0], after = bytes[end];
        int ascii = o->char_hi <= 8;
        p[0] = '<', bytes[end] = '>';
        for (size_t k = 0; ascii && k < size; k += 8)
            ascii = !(tlc_load8(p + k) & tlc_below(size - k) & 0x8080808080808080ULL);
        uint32_t *const to = s->chars + s->n_chars;
        s->n_chars += (size_t)((ascii ? tlc_short_chars(o, p, size, to) : tlc_long_chars(o, p, size, to)) - to);
        p[0] = before, bytes[end] = after;
    }
    return 0;
}

/* --- a text -------------------------------------------------------------------------------------------------------- */

static tlc_decoder tlc_decode;

/* The decoder, whose tables are unpacked now; NULL with an error that is printed. */
static tlc_decoder tlc_find_decoder(void) {
    tlc_decoder found = __atomic_load_n(&tlc_decode, __ATOMIC_ACQUIRE);
    if (found) return found;
    const PyGILState_STATE state = PyGILState_Ensure();
    PyObject *module = PyImport_ImportModule("tlclassic.kernels._ngrams");
    PyObject *capsule = module ? PyObject_CallMethod(module, "ensure_tables", NULL) : NULL;
    if (capsule) memcpy(&found, &(void *){PyCapsule_GetPointer(capsule, "tlc_decoder")}, sizeof found);
    if (!found) PyErr_WriteUnraisable(module);
    Py_XDECREF(capsule);
    Py_XDECREF(module);
    PyGILState_Release(state);
    if (found) __atomic_store_n(&tlc_decode, found, __ATOMIC_RELEASE);
    return found;
}

static inline uint32_t tlc_unit(const tlc_text *t, size_t i) {
    if (t->kind == TLC_UCS2) return ((const uint16_t *)t->data)[i];
    if (t->kind == TLC_UCS4) return ((const uint32_t *)t->data)[i];
    return ((const uint8_t *)t->data)[i];
}

/* Where the piece from `start` ends: before an ASCII space, or before an ideograph that composes with nothing. */
static size_t tlc_piece_end(const tlc_text *t, size_t start) {
    size_t i = start + TLC_PIECE;
    if (t->n <= i) return t->n;
    for (; i < t->n; i++) {
        const uint32_t c = tlc_unit(t, i);
        if (c <= 0x20) return i;
        if (i - start >= TLC_LONGEST && (t->kind != TLC_UTF8 || (c & 0xC0) != 0x80)) return i;
        if (t->kind >= TLC_UCS2 && t->kind != TLC_ASCII && c >= 0x4E00 && c < 0x9FA6) return i;
        if (t->kind == TLC_UTF8 && c >= 0xE5 && c <= 0xE8 && i + 2 < t->n && (tlc_unit(t, i + 1) & 0xC0) == 0x80 &&
            (tlc_unit(t, i + 2) & 0xC0) == 0x80)
            return i;
    }
    return t->n;
}

/* First step for units start..stop; the text itself is never read past its end. */
static inline int tlc_open_piece(const tlc_options *o, const tlc_text *t, size_t start, size_t stop, tlc_scratch *s) {
    const size_t n = stop - start, whole = n / 64;
    const tlc_level *const level = tlc_choose();
    int other = t->kind != TLC_ASCII && t->kind != TLC_UTF8;
    if (tlc_piece_room(s, n)) return -1;
    if (!other) {
        const uint8_t *from = (const uint8_t *)t->data + start;
        uint8_t last[64] = {0};
        if (n % 64) memcpy(last, from + 64 * whole, n % 64);
        other = level->classify(from, whole, o->fold, s->bytes, s->masks);
        other |= level->classify(last, 1, o->fold, s->bytes + 64 * whole, s->masks + whole);
        s->n = n;
    }
    if (other) {
        const tlc_decoder decode = tlc_find_decoder();
        if (!decode || decode(o, t, start, stop, s)) return -1;
        memset(s->flags + s->n, 0, 64);
        level->gather(s->flags, s->n / 64 + 1, s->masks);
    }
    return 0;
}

/* Appends the buckets of a text; 0, or -1 without memory. */
static int tlc_ngrams(const tlc_options *o, const tlc_text *t, tlc_scratch *s) {
    s->n_running = 0;
    for (size_t start = 0, stop; start < t->n; start = stop) {
        stop = tlc_piece_end(t, start);
        if (tlc_open_piece(o, t, start, stop, s)) return -1;
        if (o->word_hi && tlc_words(o, s, tlc_tokens(s, o->keep_punctuation))) return -1;
        if (o->char_hi && tlc_chars(o, s, tlc_tokens(s, 0))) return -1;
    }
    return 0;
}

#endif
