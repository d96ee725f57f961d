"""Normalisation for the word tokeniser: from the characters of a str to the UTF-8 bytes that tokens are cut from.

Design: one pass. A character that can neither change in NFC nor meet one that can is mapped and written at once; the
others are collected up to the next such boundary and take the textbook way (decompose, order, map, strip, compose).
tools/make_unicode_tables.py checks for every character that both ways give the same. Inline functions only. Plain twin:
_tokenize_plain.py.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tlclassic.kernels._tokenize_unicode cimport (
    CAPITAL_SIGMA, DECOMPOSES, DOTTED_I, FIRST_IGNORED, FOLD, FOLDS_LONG, HANGUL_L, HANGUL_S, HANGUL_T, HANGUL_V,
    IGNORED, LETTER, LOWER, MARK, NFC, NONSPACING, N_L, N_S, N_T, N_V, SPACE, STRIP, UNSTABLE, Char, Chars, Mapping,
    Normal, Record, Tables, Text, grow, kind_at, push, read, record, write,
)


# --- mappings --------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t find_key(const Mapping *mapping, uint32_t code) noexcept nogil:
    """The place of ``code`` among the sorted keys, or -1."""
    cdef Py_ssize_t low = 0, high = mapping.n, middle
    while low < high:
        middle = (low + high) >> 1
        if mapping.keys[middle] < code:
            low = middle + 1
        else:
            high = middle
    return low if low < mapping.n and mapping.keys[low] == code else -1


cdef inline uint32_t composite(const Tables *t, uint32_t first, uint32_t second) noexcept nogil:
    """The primary composite of two characters, or 0."""
    cdef uint64_t key = <uint64_t>first << 32 | second
    cdef Py_ssize_t low = 0, high = t.n_compositions, middle
    if HANGUL_L <= first < HANGUL_L + N_L and HANGUL_V <= second < HANGUL_V + N_V:
        return HANGUL_S + ((first - HANGUL_L) * N_V + (second - HANGUL_V)) * N_T
    if HANGUL_S <= first < HANGUL_S + N_S and (first - HANGUL_S) % N_T == 0 and HANGUL_T < second < HANGUL_T + N_T:
        return first + (second - HANGUL_T)
    while low < high:
        middle = (low + high) >> 1
        if t.composition_keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return t.composition_values[low] if low < t.n_compositions and t.composition_keys[low] == key else 0


cdef inline void push_decomposed(const Tables *t, Normal *out, Chars *to, const Char *c) noexcept nogil:
    cdef uint32_t index = c.code - HANGUL_S
    cdef Py_ssize_t place
    cdef uint32_t k
    if HANGUL_S <= c.code < HANGUL_S + N_S:
        push(out, to, HANGUL_L + index // (N_V * N_T), c.start, c.end)
        push(out, to, HANGUL_V + index % (N_V * N_T) // N_T, c.start, c.end)
        if index % N_T:
            push(out, to, HANGUL_T + index % N_T, c.start, c.end)
        return
    place = find_key(&t.decompositions, c.code) if record(t, c.code).properties & DECOMPOSES else -1
    if place < 0:
        push(out, to, c.code, c.start, c.end)
        return
    for k in range(t.decompositions.bounds[place], t.decompositions.bounds[place + 1]):
        push(out, to, t.decompositions.values[k], c.start, c.end)


cdef inline void push_mapped(const Tables *t, Normal *out, Chars *to, const Char *c, int flags) noexcept nogil:
    """The lower-cased or folded character; a capital sigma waits for its context."""
    cdef const Record *found = record(t, c.code)
    cdef Py_ssize_t place
    cdef uint32_t k
    if flags & LOWER and c.code == DOTTED_I:
        push(out, to, 0x69, c.start, c.end)
        push(out, to, 0x307, c.start, c.end)
    elif flags & LOWER and c.code != CAPITAL_SIGMA:
        push(out, to, c.code + found.to_lower, c.start, c.end)
    elif flags & FOLD and found.properties & FOLDS_LONG:
        place = find_key(&t.folds, c.code)
        for k in range(t.folds.bounds[place], t.folds.bounds[place + 1]):
            push(out, to, t.folds.values[k], c.start, c.end)
    else:
        push(out, to, c.code + (found.to_folded if flags & FOLD else 0), c.start, c.end)


# --- the textbook way, for a few characters at a time ----------------------------------------------------------------

cdef inline void order_run(const Tables *t, Char *at, Py_ssize_t n, Normal *out, Chars *spare) noexcept nogil:
    """Sort combining characters by class, keeping the order of equals; counting sort where there are many."""
    cdef Py_ssize_t counts[257]
    cdef Py_ssize_t i, j, place
    cdef int combining
    cdef Char moved
    if n <= 16:
        for i in range(1, n):
            moved = at[i]
            combining = record(t, moved.code).combining
            j = i
            while j > 0 and record(t, at[j - 1].code).combining > combining:
                at[j] = at[j - 1]
                j -= 1
            at[j] = moved
        return
    for i in range(257):
        counts[i] = 0
    spare.n = 0
    for i in range(n):
        counts[record(t, at[i].code).combining + 1] += 1
        push(out, spare, at[i].code, at[i].start, at[i].end)
    if out.failed:
        return
    for i in range(256):
        counts[i + 1] += counts[i]
    for i in range(n):
        combining = record(t, spare.at[i].code).combining
        place = counts[combining]
        counts[combining] += 1
        at[place] = spare.at[i]


cdef inline void order(const Tables *t, Chars *chars, Normal *out, Chars *spare) noexcept nogil:
    """Canonical order of every run of combining characters."""
    cdef Py_ssize_t i = 0, begin
    while i < chars.n:
        if record(t, chars.at[i].code).combining == 0:
            i += 1
            continue
        begin = i
        while i < chars.n and record(t, chars.at[i].code).combining != 0:
            i += 1
        if i - begin > 1:
            order_run(t, chars.at + begin, i - begin, out, spare)


cdef inline void strip_marks(const Tables *t, Chars *chars) noexcept nogil:
    """Drop non-spacing marks; the character before one takes its place in the text."""
    cdef Py_ssize_t i, kept = 0
    for i in range(chars.n):
        if not record(t, chars.at[i].code).properties & NONSPACING:
            chars.at[kept] = chars.at[i]
            kept += 1
        elif kept and chars.at[kept - 1].end < chars.at[i].end:
            chars.at[kept - 1].end = chars.at[i].end
    chars.n = kept


cdef inline void compose(const Tables *t, Chars *chars) noexcept nogil:
    """Canonical composition (Unicode Standard Annex 15)."""
    cdef Py_ssize_t i, kept = 0, starter = -1
    cdef int combining, last = 0
    cdef uint32_t made
    for i in range(chars.n):
        combining = record(t, chars.at[i].code).combining
        if starter >= 0 and (kept - 1 == starter or last < combining):
            made = composite(t, chars.at[starter].code, chars.at[i].code)
            if made:
                chars.at[starter].code = made
                if chars.at[starter].end < chars.at[i].end:
                    chars.at[starter].end = chars.at[i].end
                continue
        if combining == 0:
            starter = kept
        last = combining
        chars.at[kept] = chars.at[i]
        kept += 1
    chars.n = kept


cdef inline void write_segment(const Tables *t, Normal *out, int flags) noexcept nogil:
    """Normalise and write the characters in ``out.first``, which do not interact with those around them."""
    cdef Py_ssize_t i
    cdef const Char *made
    out.second.n = 0
    for i in range(out.first.n):
        push_decomposed(t, out, &out.second, &out.first.at[i])
    if out.failed:
        return
    order(t, &out.second, out, &out.first)
    out.first.n = 0
    for i in range(out.second.n):
        push_mapped(t, out, &out.first, &out.second.at[i], flags)
    if out.failed:
        return
    if flags & STRIP:
        strip_marks(t, &out.first)
    compose(t, &out.first)
    for i in range(out.first.n):
        made = &out.first.at[i]
        write(out, made.code, record(t, made.code).kind, made.start, made.end)


# --- the pass over the text ------------------------------------------------------------------------------------------

cdef inline Py_ssize_t next_char(
    const Tables *t, const Text *text, Py_ssize_t i, Py_ssize_t stop, Char *c, const Record **found
) noexcept nogil:
    """The character at ``i`` with the ignored ones that follow it, which belong to it; where the next one is."""
    cdef uint32_t code
    c.code = read(text, i)
    c.start = i
    found[0] = record(t, c.code)
    i += 1
    while i < stop:
        code = read(text, i)
        if code < FIRST_IGNORED or record(t, code).kind != IGNORED:
            break
        i += 1
    c.end = i
    return i


cdef inline void write_alone(
    const Tables *t, Normal *out, const Char *c, const Record *found, int flags
) noexcept nogil:
    """Write a character that interacts with none of its neighbours."""
    cdef Py_ssize_t i
    if (c.code == DOTTED_I and flags & LOWER) or (found.properties & FOLDS_LONG and flags & FOLD):
        out.second.n = 0
        push_mapped(t, out, &out.second, c, flags)
        for i in range(out.second.n):
            write(out, out.second.at[i].code, record(t, out.second.at[i].code).kind, c.start, c.end)
    elif flags & LOWER and c.code != CAPITAL_SIGMA:
        write(out, c.code + found.to_lower, found.kind, c.start, c.end)
    else:
        write(out, c.code + (found.to_folded if flags & FOLD else 0), found.kind, c.start, c.end)


cdef inline void normalise(
    const Tables *t, const Text *text, Py_ssize_t start, Py_ssize_t stop, int flags, Normal *out
) noexcept nogil:
    """Write the normalised characters ``start`` to ``stop`` of the text; they begin and end at boundaries."""
    cdef int unstable = 0
    cdef Py_ssize_t i = start
    cdef Char here, ahead
    cdef const Record *here_found = NULL
    cdef const Record *ahead_found = NULL
    cdef bint more
    cdef const uint8_t *ascii = &t.kept[0]
    if flags & (LOWER | FOLD):
        ascii = &t.lowered[0]
    if flags & (NFC | STRIP):
        unstable = UNSTABLE
        if flags & STRIP:
            unstable |= NONSPACING | DECOMPOSES
        if flags & FOLD:
            unstable |= FOLDS_LONG
    out.n = 0
    out.has_sigma = False
    # Ignored characters before the first one belong to nothing.
    while i < stop and record(t, read(text, i)).kind == IGNORED:
        i += 1
    more = i < stop
    if more:
        i = next_char(t, text, i, stop, &here, &here_found)
    while more and not out.failed:
        more = i < stop
        if more:
            i = next_char(t, text, i, stop, &ahead, &ahead_found)
        if not here_found.properties & unstable and not (more and ahead_found.properties & unstable):
            if here.code < 0x80 and not out.wants_places and (out.n < out.room or grow(out)):
                out.bytes[out.n] = ascii[here.code]
                out.n += 1
            else:
                write_alone(t, out, &here, here_found, flags)
        else:
            out.first.n = 0
            push(out, &out.first, here.code, here.start, here.end)
            while more and ahead_found.properties & unstable:
                push(out, &out.first, ahead.code, ahead.start, ahead.end)
                more = i < stop
                if more:
                    i = next_char(t, text, i, stop, &ahead, &ahead_found)
            write_segment(t, out, flags)
        here = ahead
        here_found = ahead_found


cdef inline void resolve_sigmas(const Tables *t, Normal *out) noexcept nogil:
    """A capital sigma becomes a final one after a letter and not before one, marks aside."""
    cdef Py_ssize_t i = 0, j
    cdef int size = 0, kind
    cdef bint follows = False  # whether the last character that was no mark is a letter
    while i < out.n:
        kind = kind_at(t, out.bytes + i, &size)
        if size == 2 and out.bytes[i] == 0xCE and out.bytes[i + 1] == 0xA3:
            j = i
            while True:
                j += size
                kind = kind_at(t, out.bytes + j, &size) if j < out.n else SPACE
                if kind != MARK:
                    break
            out.bytes[i] = 0xCF
            out.bytes[i + 1] = 0x82 if follows and kind != LETTER else 0x83
            kind = LETTER
            size = 2
        if kind != MARK:
            follows = kind == LETTER
        i += size
