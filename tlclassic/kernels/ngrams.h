/* From texts to the buckets of their n-grams. The plain twin, _ngrams_plain.py, says exactly what they are.
 *
 * Texts, or pieces of long ones that end before a space (or an ideograph), are put into a stream, each from a new block of
 * 64 bytes on. First step: a text's folded bytes and masks of their classes (classify.h; what is not ASCII is decoded by
 * _ngrams.pyx, found by name when first needed). Second step, for the whole stream, so that short texts cost no more than
 * long ones: the masks give the bounds of tokens, tokens give hashes, hashes give buckets (ngrams_hash.h). The scratch
 * memory is that of one stream, besides the buckets. Needs Python.h, but no lock of the interpreter.
 */
#ifndef TLCLASSIC_NGRAMS_H
#define TLCLASSIC_NGRAMS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "classify.h"
#include "memo.h"
#include "ngrams_hash.h"

enum { TLC_UTF8 = 0, TLC_UCS1 = 1, TLC_UCS2 = 2, TLC_UCS4 = 4, TLC_ASCII = 8 };
enum { TLC_MAX_WORDS = 8, TLC_MAX_CHARS = 32, TLC_PIECE = 8192, TLC_SEGMENTS = 256, TLC_SLACK = 256 };
/* Words of more characters are cut, so that places in a piece fit 32 bits. */
enum { TLC_LONGEST = 1 << 28 };

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
    /* The stream: n bytes, their flags (where not ASCII), masks, bits where tokens start and end, those places. */
    uint8_t *memory, *bytes, *flags;
    tlc_masks *masks;
    uint64_t *first, *last;
    uint32_t *starts, *ends;
    uint8_t *fresh;   /* tokens that are the first of their text */
    uint32_t *before; /* tokens before each block */
    size_t n, room;
    uint32_t segments[TLC_SEGMENTS + 2]; /* a text or a piece of one: its first block, and where the last one ends */
    size_t n_segments;
    /* n-grams that end at the last token. */
    uint64_t running[TLC_MAX_WORDS];
    int n_running;
    tlc_memo *memo; /* words that are known there have a slot among `chars`; or NULL */
    void *unicode; /* of the decoder */
    void (*free_unicode)(void *);
} tlc_scratch;

/* Adds bytes and flags of units start..stop of a text at n, which then is their end; 0, or -1 without memory. */
typedef int (*tlc_decoder)(const tlc_options *, const tlc_text *, size_t start, size_t stop, tlc_scratch *);

static inline void tlc_scratch_free(tlc_scratch *s) {
    free(s->word), free(s->chars), free(s->memory), free(s->flags), free(s->masks), free(s->first), free(s->last);
    free(s->starts), free(s->ends), free(s->fresh), free(s->before);
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

/* Room for a stream of n bytes. */
static inline int tlc_stream_room(tlc_scratch *s, size_t n) {
    if (s->room && n <= s->room) return 0;
    const size_t room = n < 448 ? 448 : n + n / 2, full = (room + TLC_SLACK) / 64 * 64 + 64, blocks = full / 64 + 1;
    if (tlc_resize(&s->memory, full + 8)) return -1;
    s->bytes = s->memory + 8; /* room for a mark in front of the first word */
    if (tlc_resize(&s->flags, full) || tlc_resize(&s->masks, blocks * sizeof(tlc_masks)) ||
        tlc_resize(&s->first, blocks * 8) || tlc_resize(&s->last, blocks * 8) || tlc_resize(&s->fresh, full) ||
        tlc_resize(&s->starts, full * sizeof(uint32_t)) || tlc_resize(&s->ends, full * sizeof(uint32_t)) ||
        tlc_resize(&s->before, blocks * sizeof(uint32_t)))
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

/* --- second step: from masks to buckets ---------------------------------------------------------------------------- */

/* Bounds of the tokens of the stream. */
static inline void tlc_tokens(tlc_scratch *s, int keep_punctuation) {
    const size_t blocks = s->n / 64 + 1;
    const tlc_level *const level = tlc_choose();
    uint64_t word_before = 0, raw_before = 0, mark_before = 0;
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
        s->first[b] = edges & (word | mark);
        s->last[b] = edges & (word << 1 | word_before | mark << 1 | mark_before);
        raw_before = m.word >> 63, word_before = word >> 63, mark_before = mark >> 63;
    }
    level->places(s->first, blocks, s->starts, s->before);
    level->places(s->last, blocks, s->ends, NULL);
}

/* Words and pairs of all segments. Made as if the stream were one text; then the pairs across segments are left out. */
static inline void tlc_words_12(const tlc_options *o, tlc_scratch *s, int64_t *ends) {
    const size_t n = s->before[s->n / 64 + 1];
    const int carried = s->n_running > 0;
    uint32_t *const from = s->word + s->n_word, *to = from;
    tlc_choose()->pairs(s->bytes, s->starts, s->ends, n, 64 - o->bits, &s->running[0], from);
    memset(s->fresh, 0, n + 1);
    size_t at = s->n_word;
    for (size_t k = 0; k < s->n_segments; k++) {
        const size_t begin = s->before[s->segments[k]], end = s->before[s->segments[k + 1]];
        const int fresh = begin < end && (k || !carried);
        s->fresh[begin] |= (uint8_t)fresh;
        at += 2 * (end - begin) - (size_t)fresh;
        ends[k] = (int64_t)at;
    }
    for (size_t i = 0; i < n; i++) {
        memmove(to, from + 2 * i, 2 * sizeof *to);
        to += 2 - s->fresh[i];
    }
    const size_t k = s->n_segments - 1;
    s->n_running = s->before[s->segments[k]] < n || (k == 0 && carried);
    s->n_word = at;
}

/* Words alone: none waits for the one before, whichever text it is of. */
static inline void tlc_words_1(const tlc_options *o, tlc_scratch *s, int64_t *ends) {
    const size_t n = s->before[s->n / 64 + 1], done = s->n_word;
    tlc_choose()->singles(s->bytes, s->starts, s->ends, n, 64 - o->bits, s->word + done);
    for (size_t k = 0; k < s->n_segments; k++) ends[k] = (int64_t)(done + s->before[s->segments[k + 1]]);
    s->n_word = done + n;
}

static inline void tlc_words_any(const tlc_options *o, tlc_scratch *s, size_t begin, size_t end) {
    const int shift = 64 - o->bits;
    uint32_t *to = s->word + s->n_word;
    for (size_t i = begin; i < end; i++) {
        const uint64_t h = tlc_hash(s->bytes + s->starts[i], s->ends[i] - s->starts[i], TLC_SEED_WORD);
        if (s->n_running < o->word_hi) s->n_running++;
        for (int k = s->n_running - 1; k > 0; k--) s->running[k] = tlc_fold(s->running[k - 1] * TLC_ORDER + h);
        s->running[0] = h;
        for (int k = o->word_lo - 1; k < s->n_running; k++) *to++ = tlc_bucket(s->running[k], shift);
    }
    s->n_word = (size_t)(to - s->word);
}

/* The same for one to three words, without loops of unknown lengths. */
static inline void tlc_words_123(const tlc_options *o, tlc_scratch *s, size_t begin, size_t end) {
    const int shift = 64 - o->bits;
    uint32_t *to = s->word + s->n_word;
    uint64_t one = s->running[0], two = s->running[1];
    size_t n = (size_t)s->n_running;
    for (size_t i = begin; i < end; i++) {
        const uint64_t h = tlc_hash(s->bytes + s->starts[i], s->ends[i] - s->starts[i], TLC_SEED_WORD);
        const uint64_t pair = tlc_fold(one * TLC_ORDER + h), triple = tlc_fold(two * TLC_ORDER + h);
        to[0] = tlc_bucket(h, shift), to[1] = tlc_bucket(pair, shift), to[2] = tlc_bucket(triple, shift);
        one = h, two = pair;
        n += n < 3;
        to += n;
    }
    s->running[0] = one, s->running[1] = two, s->n_running = (int)n;
    s->n_word = (size_t)(to - s->word);
}

static inline int tlc_words(const tlc_options *o, tlc_scratch *s, int64_t *ends) {
    const size_t orders = (size_t)(o->word_hi - o->word_lo + 1), n = s->before[s->n / 64 + 1];
    if (tlc_bucket_room(&s->word, &s->word_room, s->n_word + n * orders + 16)) return -1;
    if (o->word_lo == 1 && o->word_hi == 2) {
        tlc_words_12(o, s, ends);
        return 0;
    }
    if (o->word_hi == 1) {
        tlc_words_1(o, s, ends);
        return 0;
    }
    for (size_t k = 0; k < s->n_segments; k++) {
        if (k) s->n_running = 0;
        const size_t begin = s->before[s->segments[k]], end = s->before[s->segments[k + 1]];
        if (o->word_lo == 1 && o->word_hi == 3) tlc_words_123(o, s, begin, end);
        else tlc_words_any(o, s, begin, end);
        ends[k] = (int64_t)s->n_word;
    }
    return 0;
}

/* --- character n-grams --------------------------------------------------------------------------------------------- */

/* `p` is <word> of n ASCII bytes, with 24 more behind that can be read; n-grams of at most 8 bytes. All `orders`, a
 * constant, are written at each place, even those that are too long there. */
static inline __attribute__((always_inline)) uint32_t *tlc_short_orders(
    const tlc_options *o, const uint8_t *p, size_t n, size_t orders, uint32_t *to
) {
    const int shift = 64 - o->bits;
    const size_t low = (size_t)o->char_lo;
    uint64_t masks[8];
    for (size_t k = 0; k < orders; k++) masks[k] = tlc_below(low + k);
    for (size_t i = 0; i + low <= n; i++) {
        const uint64_t x = tlc_load8(p + i);
        const size_t fit = n - i - low + 1;
        for (size_t k = 0; k < orders; k++)
            to[k] = tlc_bucket(tlc_fold((TLC_SEED_CHARS ^ (x & masks[k])) * TLC_BYTES), shift);
        to += fit < orders ? fit : orders;
    }
    return to;
}

static inline uint32_t *tlc_short_chars(const tlc_options *o, const uint8_t *p, size_t n, uint32_t *to) {
    const size_t orders = (size_t)(o->char_hi - o->char_lo + 1);
    if (o->char_lo > 1) {
        if (orders == 1) return tlc_short_orders(o, p, n, 1, to);
        if (orders == 2) return tlc_short_orders(o, p, n, 2, to);
        if (orders == 3) return tlc_short_orders(o, p, n, 3, to);
        if (orders == 4) return tlc_short_orders(o, p, n, 4, to);
        return tlc_short_orders(o, p, n, orders, to);
    }
    /* A mark alone is left out. */
    for (size_t i = 0; i < n; i++) {
        const uint64_t x = tlc_load8(p + i);
        for (size_t k = i == 0 || i == n - 1 ? 2 : 1; k <= (size_t)o->char_hi && k <= n - i; k++)
            *to++ = tlc_bucket(tlc_fold((TLC_SEED_CHARS ^ (x & tlc_below(k))) * TLC_BYTES), 64 - o->bits);
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

/* The n-grams of one word to `to`, where there is room for them. <word> is written over the stream: its neighbours are put
 * back. */
static inline size_t tlc_word_chars(const tlc_options *o, uint8_t *bytes, size_t start, size_t end, uint32_t *to) {
    const size_t size = end - start + 2;
    uint8_t *const p = bytes + start - 1;
    const uint8_t before = p[0], after = bytes[end];
    int ascii = o->char_hi <= 8;
    p[0] = '<', bytes[end] = '>';
    for (size_t k = 0; ascii && k < size; k += 8)
        ascii = !(tlc_load8(p + k) & tlc_below(size - k) & 0x8080808080808080ULL);
    const size_t n = (size_t)((ascii ? tlc_short_chars(o, p, size, to) : tlc_long_chars(o, p, size, to)) - to);
    p[0] = before, bytes[end] = after;
    return n;
}

static inline int tlc_chars(const tlc_options *o, tlc_scratch *s, size_t begin, size_t stop) {
    const size_t orders = (size_t)(o->char_hi - o->char_lo + 1), all = s->before[s->n / 64 + 1];
    for (size_t i = 0; s->memo && begin == 0 && i < TLC_MEMO_AHEAD; i++)
        tlc_memo_fetch(s->memo, s->bytes, s->starts, s->ends, i, all);
    for (size_t i = begin; i < stop; i++) {
        const size_t start = s->starts[i], end = s->ends[i], room = (end - start + 2) * orders + 8;
        if (tlc_bucket_room(&s->chars, &s->chars_room, s->n_chars + room)) return -1;
        tlc_memo *const m = s->memo;
        uint32_t slot = 0;
        int is_new = 0;
        if (m) {
            const size_t first = m->first[i % TLC_MEMO_AHEAD];
            tlc_memo_fetch(m, s->bytes, s->starts, s->ends, i + TLC_MEMO_AHEAD, all);
            if (end - start <= TLC_MEMO_WORD) slot = tlc_memo_find(m, first, s->bytes + start, end - start, &is_new);
        }
        if (is_new) {
            const size_t done = (size_t)m->fresh_ends[m->n_fresh - 1];
            if (tlc_bucket_room(&m->buckets, &m->buckets_room, done + room)) return -1;
            m->fresh_ends[m->n_fresh] = (int64_t)(done + tlc_word_chars(o, s->bytes, start, end, m->buckets + done));
        }
        if (slot) s->chars[s->n_chars++] = slot;
        else s->n_chars += tlc_word_chars(o, s->bytes, start, end, s->chars + s->n_chars);
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

/* First step for units start..stop, a segment of its own behind what the stream holds; the text itself is never read
 * past its end. */
static inline int tlc_append(const tlc_options *o, const tlc_text *t, size_t start, size_t stop, tlc_scratch *s) {
    const tlc_level *const level = tlc_choose();
    const size_t at = s->n, n = stop - start;
    int other = t->kind != TLC_ASCII && t->kind != TLC_UTF8;
    if (tlc_stream_room(s, at + n)) return -1;
    if (!other) {
        other = level->classify((const uint8_t *)t->data + start, n, o->fold, s->bytes + at, s->masks + at / 64);
        s->n = at + n;
    }
    if (other) {
        const tlc_decoder decode = tlc_find_decoder();
        s->n = at;
        if (!decode || decode(o, t, start, stop, s)) return -1;
        memset(s->flags + s->n, 0, 64);
        level->gather(s->flags + at, (s->n - at) / 64 + 1, s->masks + at / 64);
    }
    s->n = (s->n + 63) / 64 * 64;
    s->masks[at / 64].first |= 1;
    s->segments[++s->n_segments] = (uint32_t)(s->n / 64);
    return 0;
}

/* Second step for all that the stream holds; where the buckets of each segment end. */
static inline int tlc_flush(const tlc_options *o, tlc_scratch *s, int64_t *word_ends, int64_t *char_ends) {
    if (!s->n_segments) return 0;
    s->masks[s->n / 64] = (tlc_masks){0, 0, 0, 1};
    if (o->word_hi) {
        tlc_tokens(s, o->keep_punctuation);
        if (tlc_words(o, s, word_ends)) return -1;
    }
    if (o->char_hi) {
        if (!o->word_hi || o->keep_punctuation) tlc_tokens(s, 0);
        for (size_t k = 0; k < s->n_segments; k++) {
            if (tlc_chars(o, s, s->before[s->segments[k]], s->before[s->segments[k + 1]])) return -1;
            char_ends[k] = (int64_t)s->n_chars;
        }
    }
    s->n = s->n_segments = 0;
    return 0;
}

/* Appends the buckets of texts, and writes where those of each one end; 0, or -1 without memory. */
static int tlc_ngrams(
    const tlc_options *o, const tlc_text *texts, size_t n, tlc_scratch *s, int64_t *word_ends, int64_t *char_ends
) {
    size_t begin = 0; /* the text of the stream's first segment */
    s->n = s->n_segments = 0;
    s->n_running = 0;
    for (size_t i = 0; i < n; i++) {
        const tlc_text *const t = &texts[i];
        size_t start = 0;
        do {
            const size_t stop = tlc_piece_end(t, start);
            if (tlc_append(o, t, start, stop, s)) return -1;
            start = stop;
            if (s->n < TLC_PIECE && s->n_segments < TLC_SEGMENTS && start == t->n) break;
            if (tlc_flush(o, s, word_ends + begin, char_ends + begin)) return -1;
            begin = i;
        } while (start < t->n);
        if (!s->n_segments) begin = i + 1, s->n_running = 0;
    }
    return tlc_flush(o, s, word_ends + begin, char_ends + begin);
}

#endif
