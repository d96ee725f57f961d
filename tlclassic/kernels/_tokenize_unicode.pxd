"""Characters for the word tokeniser: the generated tables, buffers that grow, UTF-8.

Inline functions only: this file has no module of its own. Plain twin: _tokenize_plain.py.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc


# The same numbers as in _tokenize_rules.py; _tokenize.pyx compares them when it is imported.
cdef enum Flag:
    LOWER = 1
    FOLD = 2
    STRIP = 4
    NFC = 8
    SPLIT = 16
    EMPHASIS = 32
    PUNCTUATION = 64
    EMOJI = 128
    EMOTICONS = 256

cdef enum Kind:
    SPACE = 0
    LETTER = 1
    DIGIT = 2
    MARK = 3
    SOLO = 4
    HIRAGANA = 5
    KATAKANA = 6
    APOSTROPHE = 7
    CONNECTOR = 8
    DECIMAL = 9
    EMPHATIC = 10
    SYMBOL = 11
    PICTOGRAPH = 12
    SKIN_TONE = 13
    REGIONAL = 14
    KEYCAP = 15
    TAG = 16
    JOINER = 17
    IGNORED = 18

cdef enum Property:
    UNSTABLE = 1
    DECOMPOSES = 2
    NONSPACING = 4
    FOLDS_LONG = 8

cdef enum:
    FIRST_IGNORED = 0xAD
    CAPITAL_SIGMA = 0x3A3
    DOTTED_I = 0x130
    # Hangul syllables, from The Unicode Standard, section 3.12.
    HANGUL_S = 0xAC00
    HANGUL_L = 0x1100
    HANGUL_V = 0x1161
    HANGUL_T = 0x11A7
    N_L = 19
    N_V = 21
    N_T = 28
    N_S = 11172


cdef struct Record:
    int32_t kind
    int32_t combining
    int32_t properties
    int32_t to_lower
    int32_t to_folded


cdef struct Mapping:
    const uint32_t *keys
    const uint32_t *bounds
    const uint32_t *values
    Py_ssize_t n


cdef struct Tables:
    const uint16_t *stage1
    const uint16_t *stage2
    const Record *records
    Mapping decompositions
    Mapping folds
    const uint64_t *composition_keys
    const uint32_t *composition_values
    Py_ssize_t n_compositions
    # Of bytes: the class of ASCII characters, 255 for others; and the byte that each is written as.
    uint8_t kind[256]
    uint8_t kept[256]
    uint8_t lowered[256]


cdef struct Char:
    uint32_t code
    int64_t start
    int64_t end


cdef struct Chars:
    Char *at
    Py_ssize_t n
    Py_ssize_t room


cdef struct Text:
    # A str's own storage.
    const void *data
    int width
    bint ascii
    Py_ssize_t n


cdef struct Normal:
    # Normalised UTF-8, followed by at least eight NULs; source places of each byte when they are wanted.
    uint8_t *bytes
    int64_t *starts
    int64_t *ends
    Py_ssize_t n
    Py_ssize_t room
    bint wants_places
    bint has_sigma
    bint failed
    Chars first
    Chars second


cdef inline uint32_t read(const Text *text, Py_ssize_t i) noexcept nogil:
    if text.width == 1:
        return (<const uint8_t *>text.data)[i]
    if text.width == 2:
        return (<const uint16_t *>text.data)[i]
    return (<const uint32_t *>text.data)[i]


cdef inline const Record *record(const Tables *t, uint32_t code) noexcept nogil:
    return &t.records[t.stage2[((<uint32_t>t.stage1[code >> 7]) << 7) + (code & 127)]]


# --- room ------------------------------------------------------------------------------------------------------------

cdef inline bint grow(Normal *out) noexcept nogil:
    """Room for more bytes; false, and ``failed`` set, where there is no memory."""
    cdef Py_ssize_t room = out.room + (out.room >> 1) + 1024
    cdef void *more = realloc(out.bytes, room + 8)
    if more == NULL:
        out.failed = True
        return False
    out.bytes = <uint8_t *>more
    if out.wants_places:
        more = realloc(out.starts, room * sizeof(int64_t))
        if more == NULL:
            out.failed = True
            return False
        out.starts = <int64_t *>more
        more = realloc(out.ends, room * sizeof(int64_t))
        if more == NULL:
            out.failed = True
            return False
        out.ends = <int64_t *>more
    out.room = room
    return True


cdef inline bint reserve(Normal *normal, Py_ssize_t n) noexcept nogil:
    """Room for ``n`` bytes; false where there is no memory."""
    while normal.room < n:
        if not grow(normal):
            return False
    return True


cdef inline void push(Normal *out, Chars *chars, uint32_t code, int64_t start, int64_t end) noexcept nogil:
    cdef Py_ssize_t room
    cdef void *more
    if chars.n == chars.room:
        room = 2 * chars.room + 64
        more = realloc(chars.at, room * sizeof(Char))
        if more == NULL:
            out.failed = True
            return
        chars.at = <Char *>more
        chars.room = room
    chars.at[chars.n].code = code
    chars.at[chars.n].start = start
    chars.at[chars.n].end = end
    chars.n += 1


# --- writing ---------------------------------------------------------------------------------------------------------

cdef inline int encode(uint8_t *p, uint32_t code) noexcept nogil:
    """The UTF-8 of ``code`` at ``p``; how many bytes."""
    if code < 0x80:
        p[0] = <uint8_t>code
        return 1
    if code < 0x800:
        p[0] = <uint8_t>(0xC0 | code >> 6)
        p[1] = <uint8_t>(0x80 | code & 0x3F)
        return 2
    if code < 0x10000:
        p[0] = <uint8_t>(0xE0 | code >> 12)
        p[1] = <uint8_t>(0x80 | code >> 6 & 0x3F)
        p[2] = <uint8_t>(0x80 | code & 0x3F)
        return 3
    p[0] = <uint8_t>(0xF0 | code >> 18)
    p[1] = <uint8_t>(0x80 | code >> 12 & 0x3F)
    p[2] = <uint8_t>(0x80 | code >> 6 & 0x3F)
    p[3] = <uint8_t>(0x80 | code & 0x3F)
    return 4


cdef inline uint32_t decode(const uint8_t *p, int *size) noexcept nogil:
    """The character of valid UTF-8 at ``p``, and its size in bytes."""
    if p[0] < 0x80:
        size[0] = 1
        return p[0]
    if p[0] < 0xE0:
        size[0] = 2
        return (<uint32_t>p[0] & 0x1F) << 6 | (p[1] & 0x3F)
    if p[0] < 0xF0:
        size[0] = 3
        return (<uint32_t>p[0] & 0x0F) << 12 | (<uint32_t>p[1] & 0x3F) << 6 | (p[2] & 0x3F)
    size[0] = 4
    return (<uint32_t>p[0] & 0x07) << 18 | (<uint32_t>p[1] & 0x3F) << 12 | (<uint32_t>p[2] & 0x3F) << 6 | (p[3] & 0x3F)


cdef inline void write(Normal *out, uint32_t code, int kind, int64_t start, int64_t end) noexcept nogil:
    """Append a character of the class ``kind``; spaces, apostrophes and full-width marks are written in one way."""
    cdef int size, k
    if out.n + 4 > out.room and not grow(out):
        return
    if kind == SPACE:
        code = 0x20
    elif kind == APOSTROPHE:
        code = 0x27
    elif kind == EMPHATIC and code > 0x7F:
        code -= 0xFEE0
    elif code == CAPITAL_SIGMA:
        out.has_sigma = True
    size = encode(out.bytes + out.n, code)
    if out.wants_places:
        for k in range(size):
            out.starts[out.n + k] = start
            out.ends[out.n + k] = end
    out.n += size


cdef inline int kind_at(const Tables *t, const uint8_t *p, int *size) noexcept nogil:
    """The class of the character at ``p``, and its size in bytes."""
    if p[0] < 0x80:
        size[0] = 1
        return t.kind[p[0]]
    return record(t, decode(p, size)).kind
