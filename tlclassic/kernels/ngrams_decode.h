/* First step for text that is not ASCII: code points to folded UTF-8 and a flag for each of its bytes.
 *
 * One table gives for each character of the basic plane its folded code, its flags and what to do. A character that can
 * change in NFC, or compose with what stands before it, is normalised together with the character before it by a slower
 * function, as is one that folds to several.
 */
#ifndef TLCLASSIC_NGRAMS_DECODE_H
#define TLCLASSIC_NGRAMS_DECODE_H

#include "ngrams.h"

/* An entry: code in the lowest 21 bits, then 3 bits for what to do, then the flags. */
enum { TLC_PLAIN, TLC_ALONE, TLC_REGIONAL, TLC_GONE, TLC_MARK, TLC_SOFT_MARK, TLC_SLOW };
enum { TLC_DO = 21, TLC_FLAGS = 24, TLC_CODE = (1 << 21) - 1 };

static inline uint32_t tlc_entry(uint32_t code, uint32_t what, uint32_t flags) {
    return code | what << TLC_DO | flags << TLC_FLAGS;
}

typedef struct tlc_unicode {
    const uint32_t *basic;
    uint32_t (*beyond)(uint32_t code);
    /* Normalises units i..j; gives bytes that are valid until the next call. */
    int (*normalise)(struct tlc_unicode *u, const tlc_text *t, size_t i, size_t j, int fold, const uint8_t **to, size_t *n);
    uint32_t *points; /* decoded UTF-8 */
    size_t points_room;
    void *work;
} tlc_unicode;

/* Where writing stands: bytes written, and what the last character was. */
typedef struct {
    size_t n;
    int alone, half_flag;
} tlc_place;

static inline uint32_t tlc_look_up(const tlc_unicode *u, uint32_t c) { return c < 0x10000 ? u->basic[c] : u->beyond(c); }

static inline size_t tlc_encode(uint8_t *p, uint32_t c) {
    if (c < 0x80) {
        p[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (uint8_t)(0xC0 | c >> 6), p[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (uint8_t)(0xE0 | c >> 12), p[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F)), p[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    p[0] = (uint8_t)(0xF0 | c >> 18), p[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    p[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F)), p[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

/* Writes a character and its flags; room for 4 bytes must be there. */
static inline void tlc_put(tlc_scratch *s, tlc_place *at, uint32_t code, uint32_t what, uint32_t flags) {
    int first = at->alone;
    if (what == TLC_GONE) return;
    if (what == TLC_ALONE) {
        first = 1, at->alone = 1, at->half_flag = 0;
    } else if (what == TLC_REGIONAL) {
        first = !at->half_flag, at->alone = 1, at->half_flag = first;
    } else if (what == TLC_MARK || what == TLC_SOFT_MARK) {
        first = 0, at->half_flag = 0;
    } else {
        at->alone = at->half_flag = 0;
    }
    const uint32_t all = flags * 0x01010101u;
    memcpy(s->flags + at->n, &all, 4);
    if (first) s->flags[at->n] |= TLC_FIRST;
    at->n += tlc_encode(s->bytes + at->n, code);
}

/* Writes the normalised form of units i..j. */
static int tlc_put_slow(
    tlc_unicode *u, const tlc_text *t, size_t i, size_t j, size_t stop, int fold, tlc_scratch *s, tlc_place *at
) {
    const uint8_t *p;
    size_t n;
    if (u->normalise(u, t, i, j, fold, &p, &n) || tlc_stream_room(s, at->n + n + 4 * (stop - j) + 8)) return -1;
    for (const uint8_t *end = p + n; p < end;) {
        uint32_t c = p[0];
        const size_t size = tlc_char_size(p[0]);
        if (size > 1) c &= 0x3Fu >> (size - 1);
        for (size_t k = 1; k < size; k++) c = c << 6 | (p[k] & 0x3F);
        const uint32_t entry = tlc_look_up(u, c);
        uint32_t what = entry >> TLC_DO & 7, flags = entry >> TLC_FLAGS;
        /* The flags of a slow character tell what it is, too. */
        if (what == TLC_SLOW) what = flags >> 4, flags &= 15;
        tlc_put(s, at, c, what, flags & 15);
        p += size;
    }
    return 0;
}

/* `kind` is a constant. */
static inline __attribute__((always_inline)) int tlc_decode_units(
    tlc_unicode *u, const tlc_text *t, size_t start, size_t stop, int kind, int fold, tlc_scratch *s
) {
    tlc_text view = {t->data, t->n, kind};
    tlc_place at = {s->n, 0, 0}, before = at; /* before: in front of the last character that is no soft mark */
    size_t last = start;
    int soft = 0;
    if (tlc_stream_room(s, at.n + 4 * (stop - start) + 8)) return -1;
    for (size_t i = start; i < stop;) {
        const uint32_t c = tlc_unit(&view, i);
        const uint32_t entry = kind == TLC_UCS1 || c < 0x10000 ? u->basic[c] : u->beyond(c);
        const uint32_t what = entry >> TLC_DO & 7, flags = entry >> TLC_FLAGS;
        if (c < 0x80) {
            before = at, last = i++, soft = 0;
            s->bytes[at.n] = (uint8_t)(fold || c < 'A' || flags != TLC_WORD ? entry & TLC_CODE : c);
            s->flags[at.n++] = (uint8_t)(flags | (at.alone ? TLC_FIRST : 0));
            at.alone = at.half_flag = 0;
        } else if (what == TLC_SLOW || (what == TLC_SOFT_MARK && (soft || i == start))) {
            size_t j = i + 1;
            for (; j < stop; j++) {
                const uint32_t next = tlc_look_up(u, tlc_unit(&view, j)) >> TLC_DO & 7;
                if (next != TLC_SLOW && next != TLC_SOFT_MARK && next != TLC_GONE) break;
            }
            at = before;
            if (tlc_put_slow(u, &view, last, j, stop, fold, s, &at)) return -1;
            before = at, last = i = j, soft = 0;
        } else {
            if (what == TLC_SOFT_MARK) soft = 1;
            else if (what != TLC_GONE) before = at, last = i, soft = 0;
            tlc_put(s, &at, fold || flags != TLC_WORD ? entry & TLC_CODE : c, what, flags);
            i++;
        }
    }
    s->n = at.n;
    return 0;
}

/* One character of UTF-8 at p; what is malformed becomes U+FFFD, one for each maximal part of a well-formed sequence
 * (The Unicode Standard, section 3.9, as Python's errors="replace"). Returns how many bytes it took. */
static inline size_t tlc_decode_utf8(const uint8_t *p, size_t n, uint32_t *to) {
    const uint8_t lead = p[0];
    *to = 0xFFFD;
    if (lead < 0xC2 || lead > 0xF4) {
        if (lead < 0x80) *to = lead;
        return 1;
    }
    const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (n < 2 || p[1] < low || p[1] > high) return 1;
    const size_t size = tlc_char_size(lead);
    uint32_t c = (lead & (0x3Fu >> (size - 1))) << 6 | (p[1] & 0x3F);
    for (size_t k = 2; k < size; k++) {
        if (n <= k || (p[k] & 0xC0) != 0x80) return k;
        c = c << 6 | (p[k] & 0x3F);
    }
    *to = c;
    return size;
}

static int tlc_decode_bytes(tlc_unicode *u, const tlc_text *t, size_t start, size_t stop, int fold, tlc_scratch *s) {
    const uint8_t *p = (const uint8_t *)t->data;
    if (tlc_bucket_room(&u->points, &u->points_room, stop - start)) return -1;
    size_t n = 0;
    for (size_t i = start; i < stop; n++) i += tlc_decode_utf8(p + i, stop - i, u->points + n);
    const tlc_text points = {u->points, n, TLC_UCS4};
    return tlc_decode_units(u, &points, 0, n, TLC_UCS4, fold, s);
}

static int tlc_decode_any(tlc_unicode *u, const tlc_text *t, size_t start, size_t stop, int fold, tlc_scratch *s) {
    if (t->kind == TLC_UCS1) return tlc_decode_units(u, t, start, stop, TLC_UCS1, fold, s);
    if (t->kind == TLC_UCS2) return tlc_decode_units(u, t, start, stop, TLC_UCS2, fold, s);
    if (t->kind == TLC_UCS4) return tlc_decode_units(u, t, start, stop, TLC_UCS4, fold, s);
    return tlc_decode_bytes(u, t, start, stop, fold, s);
}

#endif
