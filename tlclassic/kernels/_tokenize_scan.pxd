"""The rules that cut normalised UTF-8 into tokens.

Design: one walk from left to right; each function looks at one position, adds the token that starts there, if any, and
returns where to go on. The bytes end in a space or NUL, past which no rule looks, so that no bound needs checking and
the tokens joined by spaces give the same tokens again. A rule that fails after looking far ahead remembers how far it
looked: every walk is linear. Inline functions only. Plain twin, rule for rule: _tokenize_plain_scan.py.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport realloc
from libc.string cimport memchr, memcmp

from tlclassic.kernels._tokenize_unicode cimport (
    APOSTROPHE, CONNECTOR, DECIMAL, DIGIT, EMOJI, EMOTICONS, EMPHASIS, EMPHATIC, HIRAGANA, IGNORED, JOINER, KATAKANA,
    KEYCAP, LETTER, MARK, PICTOGRAPH, PUNCTUATION, REGIONAL, SKIN_TONE, SOLO, SPACE, SPLIT, TAG, Tables, decode,
    kind_at, record,
)

cdef enum:
    LONGEST_WORD_OF_RULES = 8
    MOST_BOUNDS = 1 << 16  # tokens found before they are used, so that long runs need no long lists
    # What a byte may be, in Rules.role.
    IS_WORD = 1  # ASCII letter or digit
    IS_LOCAL = 2  # part of an e-mail address before the @
    IS_URL = 4  # part of a web address
    IS_TRAILING = 8  # not the end of one
    STARTS_FACE = 16


cdef struct Phrase:
    uint8_t bytes[LONGEST_WORD_OF_RULES]
    int n
    bint touches_words


cdef struct Rules:
    uint8_t role[256]
    # Emoticons, those of one first byte together, longest first; where each byte's begin.
    Phrase *faces
    int first_face[257]
    Phrase clitics[LONGEST_WORD_OF_RULES]
    int n_clitics
    Phrase schemes[LONGEST_WORD_OF_RULES]
    int n_schemes
    Phrase www
    int max_emphatic_run


cdef struct Bound:
    Py_ssize_t start
    Py_ssize_t end


cdef struct Scan:
    const Tables *t
    const Rules *rules
    const uint8_t *s
    Py_ssize_t length
    Py_ssize_t place  # how far the bytes have been cut
    int flags
    Bound *at
    Py_ssize_t n
    Py_ssize_t room
    bint failed
    bint has_at_sign
    Py_ssize_t word_end  # where the last word ended
    Py_ssize_t no_acronym_before
    Py_ssize_t no_email_before
    Py_ssize_t no_face_before


cdef inline bint is_word(int kind) noexcept nogil:
    return kind == LETTER or kind == DIGIT


cdef inline bint is_word_or_mark(int kind) noexcept nogil:
    return kind == LETTER or kind == DIGIT or kind == MARK


cdef inline uint8_t lower(uint8_t byte) noexcept nogil:
    return byte + 32 if 65 <= byte <= 90 else byte


cdef inline bint matches(const uint8_t *p, const Phrase *phrase) noexcept nogil:
    """Whether the bytes at ``p`` are the phrase's, ASCII capitals aside; reads no further than the first difference."""
    cdef int k
    for k in range(phrase.n):
        if lower(p[k]) != phrase.bytes[k]:
            return False
    return True


cdef inline Py_ssize_t add(Scan *c, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    cdef void *more
    cdef Py_ssize_t room
    if c.n == c.room:
        room = 2 * c.room + 256
        more = realloc(c.at, room * sizeof(Bound))
        if more == NULL:
            c.failed = True
            return end
        c.at = <Bound *>more
        c.room = room
    c.at[c.n].start = start
    c.at[c.n].end = end
    c.n += 1
    return end


# --- words -----------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t end_of_word(Scan *c, Py_ssize_t i, int base, bint *has_apostrophe) noexcept nogil:
    """Where the word that reaches up to ``i`` ends; ``base`` is the class of its last letter or digit."""
    cdef int size = 1, next_size = 1, kind, following
    while True:
        kind = kind_at(c.t, c.s + i, &size)
        if kind == LETTER or kind == DIGIT:
            base = kind
        elif kind != MARK:
            if kind != APOSTROPHE and kind != CONNECTOR and kind != DECIMAL and kind != JOINER:
                return i
            following = kind_at(c.t, c.s + i + size, &next_size)
            if kind == APOSTROPHE:
                if following != LETTER:
                    return i
                has_apostrophe[0] = True
            elif kind == CONNECTOR:
                if following != LETTER and following != DIGIT:
                    return i
            elif kind == DECIMAL:
                if base != DIGIT or following != DIGIT:
                    return i
            elif base != LETTER or following != LETTER:
                return i
        i += size


cdef inline int kind_before(const Scan *c, Py_ssize_t i) noexcept nogil:
    """The class of the character that ends before byte ``i``."""
    cdef int size
    i -= 1
    while c.s[i] & 0xC0 == 0x80:
        i -= 1
    return kind_at(c.t, c.s + i, &size)


cdef inline Py_ssize_t clitic_at_end(const Scan *c, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """Where the last clitic of the word begins; 0 if there is none or nothing before it."""
    cdef int k
    cdef Py_ssize_t cut
    if end - start >= 3 and c.s[end - 2] == 39 and lower(c.s[end - 1]) == 116 and lower(c.s[end - 3]) == 110:
        return end - 3 if end - 3 > start and is_word_or_mark(kind_before(c, end - 3)) else 0
    for k in range(c.rules.n_clitics):
        cut = end - c.rules.clitics[k].n - 1
        if cut > start and c.s[cut] == 39 and matches(c.s + cut + 1, &c.rules.clitics[k]):
            return cut
    return 0


cdef inline void split(Scan *c, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """Add the word, its contractions as tokens of their own."""
    cdef Py_ssize_t cut = clitic_at_end(c, start, end), first = c.n, last
    cdef Bound held
    while cut:
        add(c, cut, end)
        end = cut
        cut = clitic_at_end(c, start, end)
    add(c, start, end)
    if c.failed:
        return
    last = c.n - 1
    while first < last:
        held = c.at[first]
        c.at[first] = c.at[last]
        c.at[last] = held
        first += 1
        last -= 1


cdef inline Py_ssize_t acronym(Scan *c, Py_ssize_t i) noexcept nogil:
    """The end of ``u.s.``, ``e.g.``, ``J.R.R.``: single letters with full stops between; 0 if it is none."""
    cdef int letters = 0, size = 1, after = 1, kind
    cdef Py_ssize_t j = i
    kind = kind_at(c.t, c.s + j, &size)
    while kind == LETTER and c.s[j + size] == 46:
        letters += 1
        j += size + 1
        kind = kind_at(c.t, c.s + j, &size)
    if kind == LETTER and not is_word_or_mark(kind_at(c.t, c.s + j + size, &after)):
        letters += 1
        j += size
        kind = kind_at(c.t, c.s + j, &size)
    if letters > 1 and not is_word_or_mark(kind):
        return j
    c.no_acronym_before = j
    return 0


cdef inline Py_ssize_t start_of_url(Scan *c, Py_ssize_t i, Py_ssize_t end) noexcept nogil:
    """Where the host would begin, after a scheme or ``www.``; 0 if it is none."""
    cdef int k, size
    cdef Py_ssize_t start = 0
    if c.s[end] == 58 and c.s[end + 1] == 47 and c.s[end + 2] == 47:
        for k in range(c.rules.n_schemes):
            if c.rules.schemes[k].n == end - i and matches(c.s + i, &c.rules.schemes[k]):
                start = end + 3
    elif c.s[end] == 46 and end - i == 3 and matches(c.s + i, &c.rules.www):
        start = end + 1
    return start if start and is_word(kind_at(c.t, c.s + start, &size)) else 0


cdef inline Py_ssize_t url(Scan *c, Py_ssize_t i, Py_ssize_t end) noexcept nogil:
    """The end of a web address that starts with a scheme or ``www.``; 0 if it is none."""
    cdef int size = 1
    cdef Py_ssize_t opened = 0, closed = 0, start = start_of_url(c, i, end)
    if not start:
        return 0
    end = start
    while c.rules.role[c.s[end]] & IS_URL or (c.s[end] >= 0x80 and is_word_or_mark(kind_at(c.t, c.s + end, &size))):
        opened += c.s[end] == 40
        closed += c.s[end] == 41
        end += 1 if c.s[end] < 0x80 else size
    while c.rules.role[c.s[end - 1]] & IS_TRAILING:
        if c.s[end - 1] == 41:
            if closed <= opened:
                break
            closed -= 1
        opened -= c.s[end - 1] == 40
        end -= 1
    return end


cdef inline Py_ssize_t end_of_domain(const Scan *c, Py_ssize_t start) noexcept nogil:
    cdef Py_ssize_t end = start, dot
    cdef int size = 1
    cdef uint8_t byte
    while c.rules.role[c.s[end]] & IS_WORD or c.s[end] == 46 or c.s[end] == 45:
        end += 1
    if is_word_or_mark(kind_at(c.t, c.s + end, &size)) or c.s[end] == 64:
        return 0
    while end > start and (c.s[end - 1] == 46 or c.s[end - 1] == 45):
        end -= 1
    dot = end
    while dot > start and 97 <= lower(c.s[dot - 1]) <= 122:
        dot -= 1
    if dot == start or end - dot < 2 or c.s[dot - 1] != 46 or not c.rules.role[c.s[start]] & IS_WORD:
        return 0
    return end


cdef inline Py_ssize_t email(Scan *c, Py_ssize_t i) noexcept nogil:
    """The end of an e-mail address; 0 if it is none."""
    cdef Py_ssize_t at = i, found = 0
    while c.rules.role[c.s[at]] & (IS_WORD | IS_LOCAL):
        at += 1
    if c.s[at] == 64 and at > i:
        found = end_of_domain(c, at + 1)
    if not found:
        c.no_email_before = at + 1
    return found


cdef inline Py_ssize_t special_word(Scan *c, Py_ssize_t i, Py_ssize_t end, bint single) noexcept nogil:
    """The end of an e-mail or web address or an acronym whose first word is ``i`` to ``end``; 0 if it is none."""
    cdef Py_ssize_t found = 0
    cdef uint8_t byte = c.s[end]
    if c.has_at_sign and i >= c.no_email_before and (byte == 64 or c.rules.role[byte] & IS_LOCAL):
        found = email(c, i)
    if not found and (byte == 58 or byte == 46):
        found = url(c, i, end)
    if not found and single and byte == 46 and i >= c.no_acronym_before:
        found = acronym(c, i)
    return found


cdef inline Py_ssize_t word(Scan *c, Py_ssize_t i, Py_ssize_t known, int base) noexcept nogil:
    """The word at ``i``, of which the bytes up to ``known`` have been seen; ``base`` is the class of the last."""
    cdef bint has_apostrophe = False
    cdef int first_size = 1, size = 1
    cdef Py_ssize_t end, special
    cdef int kind = kind_at(c.t, c.s + i, &first_size)
    if kind == DIGIT and c.flags & EMOJI and kind_at(c.t, c.s + i + first_size, &size) == KEYCAP:
        return add(c, i, i + first_size + size)
    end = end_of_word(c, known, base, &has_apostrophe)
    special = special_word(c, i, end, end == i + first_size)
    if special:
        c.word_end = add(c, i, special)
        return special
    if end == i + 1 and c.rules.role[c.s[i]] & STARTS_FACE:
        special = face(c, i)
        if special:
            return special
    if has_apostrophe and c.flags & SPLIT:
        split(c, i, end)
    else:
        add(c, i, end)
    c.word_end = end
    return end


# --- other scripts, emoji, signs -------------------------------------------------------------------------------------

cdef inline Py_ssize_t letters_without_spaces(Scan *c, Py_ssize_t i, int kind, int size) noexcept nogil:
    cdef Py_ssize_t end = i + size
    cdef int following = kind_at(c.t, c.s + end, &size)
    while following == MARK or (kind != SOLO and following == kind):
        end += size
        following = kind_at(c.t, c.s + end, &size)
    return add(c, i, end)


cdef inline Py_ssize_t emoji(Scan *c, Py_ssize_t i, int kind, int size) noexcept nogil:
    cdef Py_ssize_t end = i + size
    cdef int following = kind_at(c.t, c.s + end, &size), next_size = 1
    if kind == REGIONAL and following == REGIONAL:
        end += size
    while kind == PICTOGRAPH:
        while following == SKIN_TONE or following == TAG:
            end += size
            following = kind_at(c.t, c.s + end, &size)
        if following != JOINER or kind_at(c.t, c.s + end + size, &next_size) != PICTOGRAPH:
            break
        end += size + next_size
        following = kind_at(c.t, c.s + end, &size)
    return add(c, i, end)


cdef inline bint may_follow(const Scan *c, Py_ssize_t i, const Phrase *phrase) noexcept nogil:
    """Whether what stands before place ``i`` allows the emoticon there."""
    if c.rules.role[phrase.bytes[0]] & IS_WORD:
        return i == 0 or c.t.kind[c.s[i - 1]] == SPACE
    return i != c.word_end or phrase.touches_words


cdef inline Py_ssize_t face(Scan *c, Py_ssize_t i) noexcept nogil:
    """Add the emoticon at ``i``; where its repeated last character ends, or 0 if there is none."""
    cdef uint8_t first = lower(c.s[i])
    cdef const Phrase *phrase
    cdef Py_ssize_t end
    cdef int k, size
    if not c.flags & EMOTICONS or i < c.no_face_before:
        return 0
    for k in range(c.rules.first_face[first], c.rules.first_face[first + 1]):
        phrase = &c.rules.faces[k]
        if not matches(c.s + i, phrase) or not may_follow(c, i, phrase):
            continue
        end = i + phrase.n
        while lower(c.s[end]) == phrase.bytes[phrase.n - 1]:
            end += 1
        if phrase.bytes[phrase.n - 1] == 41 or (
            c.s[end] != 47 and c.s[end] != 92 and not is_word(kind_at(c.t, c.s + end, &size))
        ):
            add(c, i, i + phrase.n)
            return end
        if end > c.no_face_before:
            c.no_face_before = end
    return 0


cdef inline Py_ssize_t emphasis(Scan *c, Py_ssize_t i) noexcept nogil:
    cdef Py_ssize_t end = i, j
    while c.t.kind[c.s[end]] == EMPHATIC:
        end += 1
    if c.flags & (EMPHASIS | PUNCTUATION):
        for j in range(i, min(end, i + c.rules.max_emphatic_run)):
            add(c, j, j + 1)
    return end


cdef inline bint ends_clitic(const Scan *c, Py_ssize_t i) noexcept nogil:
    cdef int size = 1, kind = kind_at(c.t, c.s + i, &size)
    if kind == APOSTROPHE:  # a quoted letter, 'd'
        return kind_at(c.t, c.s + i + 1, &size) == LETTER
    return not is_word_or_mark(kind) and kind != CONNECTOR and kind != JOINER


cdef inline Py_ssize_t clitic(const Scan *c, Py_ssize_t i) noexcept nogil:
    """The end of a clitic that stands by itself, as in text that was split before; 0 if it is none."""
    cdef int k
    cdef Py_ssize_t end
    for k in range(c.rules.n_clitics):
        end = i + 1 + c.rules.clitics[k].n
        if matches(c.s + i + 1, &c.rules.clitics[k]) and ends_clitic(c, end):
            return end
    return 0


cdef inline Py_ssize_t punctuation(Scan *c, Py_ssize_t i, int size) noexcept nogil:
    """One mark; two or more hyphens give ``--``, three or more full stops ``...``."""
    cdef Py_ssize_t end = i + 1, least
    if c.s[i] == 45 or c.s[i] == 46:
        while c.s[end] == c.s[i]:
            end += 1
        least = 2 if c.s[i] == 45 else 3
        if end - i >= least:
            add(c, i, i + least)
            return end
    return add(c, i, i + size)


cdef inline Py_ssize_t symbol(Scan *c, Py_ssize_t i, int kind, int size) noexcept nogil:
    cdef Py_ssize_t end
    cdef int next_size = 1
    if (c.s[i] == 35 or c.s[i] == 42) and c.flags & EMOJI and kind_at(c.t, c.s + i + 1, &next_size) == KEYCAP:
        return add(c, i, i + 1 + next_size)
    if c.rules.role[c.s[i]] & STARTS_FACE:
        end = face(c, i)
        if end:
            return end
    if kind == EMPHATIC:
        return emphasis(c, i)
    if kind == APOSTROPHE:
        end = clitic(c, i)
        if end:
            c.word_end = add(c, i, end)
            return end
    return punctuation(c, i, size) if c.flags & PUNCTUATION else i + size


cdef inline Py_ssize_t step(Scan *c, Py_ssize_t i) noexcept nogil:
    """Whatever begins at ``i`` and is not a plain word in ASCII."""
    cdef int size = 1, kind = kind_at(c.t, c.s + i, &size)
    if kind == LETTER or kind == DIGIT:
        return word(c, i, i + size, kind)
    if kind == SPACE or kind == MARK or kind == KEYCAP or kind == TAG or kind == JOINER or kind == IGNORED:
        return i + size
    if kind == SOLO or kind == HIRAGANA or kind == KATAKANA:
        return letters_without_spaces(c, i, kind, size)
    if c.flags & EMOJI and (kind == PICTOGRAPH or kind == SKIN_TONE or kind == REGIONAL):
        return emoji(c, i, kind, size)
    return symbol(c, i, kind, size)


cdef inline void open_scan(Scan *c, const uint8_t *s, Py_ssize_t n) noexcept nogil:
    """Begin with the ``n`` bytes at ``s``, which a space or NUL follows."""
    c.s = s
    c.length = n
    c.place = 0
    c.word_end = -1
    c.no_acronym_before = 0
    c.no_email_before = 0
    c.no_face_before = 0
    c.has_at_sign = n > 0 and memchr(s, 64, n) != NULL


cdef inline void scan(Scan *c) noexcept nogil:
    """The bounds of the next tokens; all of them are found when ``place`` is ``length``."""
    cdef Py_ssize_t i = c.place, j
    cdef const uint8_t *s = c.s
    cdef const uint8_t *role = &c.rules.role[0]
    c.n = 0
    while i < c.length and c.n < MOST_BOUNDS:
        if s[i] == 32:
            i += 1
            continue
        if not role[s[i]] & IS_WORD:
            i = step(c, i)
            continue
        j = i + 1
        while role[s[j]] & IS_WORD:
            j += 1
        if s[j] == 32:  # the usual case
            c.word_end = add(c, i, j)
            i = j + 1
        else:
            i = word(c, i, j, c.t.kind[s[j - 1]])
    c.place = i
