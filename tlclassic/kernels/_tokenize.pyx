# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Unicode word tokeniser: from texts to tokens, to their places, or straight to rows of a word index.

Texts are worked on in pieces that end at a space (or between ideographs): normalised into scratch memory, or left
where they are when they are ASCII and keep their case; scanned into bounds; then the bounds are used. The scratch
memory is that of one piece: about CHUNK characters, or the longest run without a space. Rules: docs/tokenizer.md;
plain twin: _tokenize_plain.py.
"""

from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

import numpy as np

from tlclassic.kernels import _tokenize_rules as R
from tlclassic.kernels._tokenize_tables import UNICODE_VERSION, tables

cimport tlclassic.kernels._tokenize_unicode as U
from tlclassic.kernels._index cimport WordIndex, tlc_index
from tlclassic.kernels._tokenize_normalise cimport normalise as normalise_piece
from tlclassic.kernels._tokenize_normalise cimport resolve_sigmas
from tlclassic.kernels._tokenize_rows cimport Rows, add_rows, free_rows, more_room
from tlclassic.kernels._tokenize_scan cimport (
    IS_LOCAL, IS_TRAILING, IS_URL, IS_WORD, LONGEST_WORD_OF_RULES, STARTS_FACE, Bound, Phrase, Rules, Scan,
    open_scan, scan,
)
from tlclassic.kernels._tokenize_unicode cimport (
    FOLD, LOWER, NFC, SOLO, SPACE, STRIP, Normal, Tables, Text, read, record, reserve,
)

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030C0000
    #define TLC_READY(text) PyUnicode_READY(text)
    #else
    #define TLC_READY(text) 0
    #endif
    """
    int TLC_READY(object text) except -1
    int PyUnicode_KIND(object text)
    void *PyUnicode_DATA(object text)
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef Py_ssize_t CHUNK = R.CHUNK


# --- tables and lists, filled once -----------------------------------------------------------------------------------

cdef Tables TABLES
cdef Rules RULES
_held = tables()  # keeps the arrays alive that TABLES points into


cdef const void *_address(name) except NULL:
    return <const void *><size_t>_held[name].ctypes.data


cdef _fill_mapping(U.Mapping *mapping, name):
    mapping.keys = <const uint32_t *>_address(f"{name}_keys")
    mapping.bounds = <const uint32_t *>_address(f"{name}_bounds")
    mapping.values = <const uint32_t *>_address(f"{name}_values")
    mapping.n = len(_held[f"{name}_keys"])


cdef _fill_tables():
    cdef int byte
    TABLES.stage1 = <const uint16_t *>_address("stage1")
    TABLES.stage2 = <const uint16_t *>_address("stage2")
    TABLES.records = <const U.Record *>_address("records")
    _fill_mapping(&TABLES.decompositions, "decomposition")
    _fill_mapping(&TABLES.folds, "fold")
    TABLES.composition_keys = <const uint64_t *>_address("composition_keys")
    TABLES.composition_values = <const uint32_t *>_address("composition_values")
    TABLES.n_compositions = len(_held["composition_keys"])
    for byte in range(256):
        TABLES.kind[byte] = record(&TABLES, byte).kind if byte < 0x80 else 255
        TABLES.kept[byte] = 32 if TABLES.kind[byte] == SPACE else byte
        TABLES.lowered[byte] = byte + 32 if 65 <= byte <= 90 else TABLES.kept[byte]


cdef _fill_phrase(Phrase *phrase, text):
    raw = text.encode("ascii")
    if not 0 < len(raw) <= LONGEST_WORD_OF_RULES:
        raise ImportError(f"a word of the tokenizer's rules is too long: {text!r}")
    phrase.n = len(raw)
    memcpy(phrase.bytes, <const uint8_t *>raw, phrase.n)


cdef _fill_roles():
    cdef int byte
    for byte in range(128):
        char = chr(byte)
        RULES.role[byte] = IS_WORD if char.isalnum() else 0
        if char in R.EMAIL_LOCAL:
            RULES.role[byte] |= IS_LOCAL
        if TABLES.kind[byte] != SPACE and char not in R.URL_STOPS:
            RULES.role[byte] |= IS_URL
        if char in R.URL_TRAILING:
            RULES.role[byte] |= IS_TRAILING


cdef _fill_rules():
    from tlclassic.kernels._tokenize_plain_scan import touches_words

    cdef int i, first
    _fill_roles()
    faces = sorted(set(R.EMOTICONS_LIST), key=lambda face: (face[0], -len(face), face))
    RULES.faces = <Phrase *>calloc(len(faces), sizeof(Phrase))
    if RULES.faces == NULL:
        raise MemoryError
    for i, text in enumerate(faces):
        _fill_phrase(&RULES.faces[i], text)
        RULES.faces[i].touches_words = touches_words(text)
        for char in {text[0], text[0].upper()}:
            RULES.role[<int>ord(char)] |= STARTS_FACE
    for first in range(257):
        RULES.first_face[first] = sum(ord(text[0]) < first for text in faces)
    RULES.n_clitics, RULES.n_schemes = len(R.CLITICS), len(R.URL_SCHEMES)
    for i, text in enumerate(R.CLITICS):
        _fill_phrase(&RULES.clitics[i], text)
    for i, text in enumerate(R.URL_SCHEMES):
        _fill_phrase(&RULES.schemes[i], text)
    _fill_phrase(&RULES.www, R.URL_WWW)
    RULES.max_emphatic_run = R.MAX_EMPHATIC_RUN


cdef _check_numbers():
    """The numbers that C code was compiled with are those of the rules."""
    compiled = {
        "LOWER": U.LOWER, "FOLD": U.FOLD, "STRIP": U.STRIP, "NFC": U.NFC, "SPLIT": U.SPLIT, "EMPHASIS": U.EMPHASIS,
        "PUNCTUATION": U.PUNCTUATION, "EMOJI": U.EMOJI, "EMOTICONS": U.EMOTICONS, "SPACE": U.SPACE, "LETTER": U.LETTER,
        "DIGIT": U.DIGIT, "MARK": U.MARK, "SOLO": U.SOLO, "HIRAGANA": U.HIRAGANA, "KATAKANA": U.KATAKANA,
        "APOSTROPHE": U.APOSTROPHE, "CONNECTOR": U.CONNECTOR, "DECIMAL": U.DECIMAL, "EMPHATIC": U.EMPHATIC,
        "SYMBOL": U.SYMBOL, "PICTOGRAPH": U.PICTOGRAPH, "SKIN_TONE": U.SKIN_TONE, "REGIONAL": U.REGIONAL,
        "KEYCAP": U.KEYCAP, "TAG": U.TAG, "JOINER": U.JOINER, "IGNORED": U.IGNORED, "UNSTABLE": U.UNSTABLE,
        "DECOMPOSES": U.DECOMPOSES, "NONSPACING": U.NONSPACING, "FOLDS_LONG": U.FOLDS_LONG,
    }
    for name, number in compiled.items():
        if getattr(R, name) != number:
            raise ImportError(f"the tokenizer's kernel was compiled with another {name}: build it again")


_fill_tables()
_fill_rules()
_check_numbers()


# --- pieces of a text ------------------------------------------------------------------------------------------------

cdef struct Work:
    Normal normal
    Scan scan
    # The current piece: its bytes, from where on they may not be read, and where it began in the text.
    const uint8_t *bytes
    const uint8_t *limit
    Py_ssize_t begin
    Py_ssize_t end


cdef inline void open_work(Work *work, int flags, bint wants_places) noexcept nogil:
    memset(work, 0, sizeof(Work))
    work.normal.wants_places = wants_places
    work.scan.t = &TABLES
    work.scan.rules = &RULES
    work.scan.flags = flags


cdef inline void close_work(Work *work) noexcept nogil:
    free(work.normal.bytes)
    free(work.normal.starts)
    free(work.normal.ends)
    free(work.normal.first.at)
    free(work.normal.second.at)
    free(work.scan.at)


cdef int open_text(text, Text *view) except -1:
    if not isinstance(text, str):
        raise TypeError(f"a text must be a string; got {type(text).__name__}")
    TLC_READY(text)
    view.data = PyUnicode_DATA(text)
    view.width = PyUnicode_KIND(text)
    view.ascii = PyUnicode_IS_ASCII(text)
    view.n = PyUnicode_GET_LENGTH(text)
    return 0


cdef inline Py_ssize_t end_of_piece(const Text *text, Py_ssize_t start) noexcept nogil:
    """Where a piece that starts at ``start`` may end: before a space, or before an ideograph."""
    cdef Py_ssize_t i = start + CHUNK
    cdef int kind
    while i < text.n:
        kind = record(&TABLES, read(text, i)).kind
        if kind == SPACE or kind == SOLO:
            return i
        i += 1
    return text.n


cdef inline void lower_ascii(const uint8_t *source, uint8_t *to, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):  # compilers vectorise this
        to[i] = source[i] + ((<uint8_t>(source[i] - 65) < 26) << 5)


cdef inline bint open_piece(Work *work, const Text *text, Py_ssize_t start) noexcept nogil:
    """Normalise the piece of the text at ``start``; false without memory."""
    cdef Py_ssize_t stop = end_of_piece(text, start)
    cdef Py_ssize_t n = stop - start
    cdef int flags = work.scan.flags
    cdef const uint8_t *source = <const uint8_t *>text.data + start
    work.begin, work.end = start, stop
    if text.ascii and not flags & (LOWER | FOLD):
        # In place: what follows is the space that ends the piece, or the NUL that ends every str.
        work.bytes = source
        work.limit = <const uint8_t *>text.data + text.n
    else:
        if not reserve(&work.normal, n if text.ascii else 1):
            return False
        if text.ascii:
            lower_ascii(source, work.normal.bytes, n)
            work.normal.n = n
        else:
            normalise_piece(&TABLES, text, start, stop, flags, &work.normal)
            if work.normal.failed:
                return False
            if flags & LOWER and work.normal.has_sigma:
                resolve_sigmas(&TABLES, &work.normal)
        n = work.normal.n
        memset(work.normal.bytes + n, 0, 8)
        work.bytes = work.normal.bytes
        work.limit = work.bytes + n + 8
    open_scan(&work.scan, work.bytes, n)
    return True


cdef inline int next_tokens(Work *work, const Text *text) noexcept nogil:
    """Find the next tokens of the text, possibly none; 0 when it is at its end, -1 without memory, else 1."""
    if work.scan.place == work.scan.length:
        if work.end == text.n:
            return 0
        if not open_piece(work, text, work.end):
            return -1
    scan(&work.scan)
    return -1 if work.scan.failed else 1


cdef inline void open_tokens(Work *work) noexcept nogil:
    """Go to the beginning of a text."""
    work.end = work.scan.place = work.scan.length = work.scan.n = 0


cdef inline str _str(const uint8_t *bytes, Py_ssize_t n):
    return PyUnicode_DecodeUTF8(<const char *>bytes, n, NULL)


def normalise(text, int flags):
    """The text that tokens are slices of."""
    cdef Work work
    cdef Text view
    parts = []
    open_text(text, &view)
    # In place, nothing is written: lower-casing what has no capitals is the same, and spaces are unified below.
    open_work(&work, flags, False)
    try:
        while work.end < view.n:
            if not open_piece(&work, &view, work.end):
                raise MemoryError
            parts.append(_str(work.bytes, work.scan.length))
    finally:
        close_work(&work)
    return "".join(parts).translate(_SPACES)


_SPACES = {code: " " for code in range(0x80) if TABLES.kind[code] == SPACE}


def tokens(text, int flags):
    """The tokens of ``text``."""
    cdef Work work
    cdef Text view
    cdef Py_ssize_t k
    cdef int more = 1
    cdef Bound bound
    cdef list found = []
    open_text(text, &view)
    open_work(&work, flags, False)
    try:
        while more:
            with nogil:
                more = next_tokens(&work, &view)
            if more < 0:
                raise MemoryError
            for k in range(work.scan.n if more else 0):
                bound = work.scan.at[k]
                found.append(_str(work.bytes + bound.start, bound.end - bound.start))
    finally:
        close_work(&work)
    return found


# --- places ----------------------------------------------------------------------------------------------------------

cdef inline int width_of(uint32_t code) noexcept nogil:
    """Bytes of the character in UTF-8; a lone surrogate counts as U+FFFD."""
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4


cdef inline void original_place(
    const Work *work, const Text *text, Bound bound, int64_t *start, int64_t *end
) noexcept nogil:
    """The characters of the original text that the bytes of the piece come from."""
    cdef Py_ssize_t k
    if text.ascii:
        start[0] = work.begin + bound.start
        end[0] = work.begin + bound.end
        return
    start[0] = work.normal.starts[bound.start]
    end[0] = 0
    for k in range(bound.start, bound.end):
        end[0] = max(end[0], work.normal.ends[k])


def spans(text, int flags):
    """The tokens, and int64 of shape (n_tokens, 4): characters from, to; UTF-8 bytes from, to in the original."""
    cdef Work work
    cdef Text view
    cdef Py_ssize_t k
    cdef int unfinished = 1
    cdef Bound bound
    cdef int64_t at = 0, at_byte = 0, j
    cdef int64_t *places = NULL
    cdef int64_t *place
    cdef Py_ssize_t room = 0
    cdef void *more
    cdef list found = []
    open_text(text, &view)
    open_work(&work, flags, True)
    try:
        while True:
            with nogil:
                unfinished = next_tokens(&work, &view)
            if unfinished < 0:
                raise MemoryError
            if unfinished == 0:
                break
            if 4 * (len(found) + work.scan.n) > room:
                more = more_room(places, &room, 4 * (len(found) + work.scan.n), sizeof(int64_t))
                if more == NULL:
                    raise MemoryError
                places = <int64_t *>more
            for k in range(work.scan.n):
                bound = work.scan.at[k]
                place = places + 4 * len(found)
                original_place(&work, &view, bound, place, place + 1)
                # Tokens begin in the order of the text, so that the bytes before each are counted once.
                while at < place[0]:
                    at_byte += width_of(read(&view, at))
                    at += 1
                place[2] = place[3] = at_byte
                for j in range(place[0], place[1]):
                    place[3] += width_of(read(&view, j))
                found.append(_str(work.bytes + bound.start, bound.end - bound.start))
        return found, _as_array(places, 4 * len(found), np.int64).reshape(-1, 4)
    finally:
        close_work(&work)
        free(places)


# --- rows ------------------------------------------------------------------------------------------------------------

cdef inline bint look_up_all(
    const Text *views, Py_ssize_t n_texts, Work *work, Rows *out, const tlc_index *index, int64_t *bounds
) noexcept nogil:
    cdef Py_ssize_t k
    cdef int more
    bounds[0] = 0
    for k in range(n_texts):
        open_tokens(work)
        while True:
            more = next_tokens(work, &views[k])
            if more == 0:
                break
            if more < 0 or not add_rows(out, &TABLES, work.bytes, work.limit, work.scan.at, work.scan.n, index):
                return False
        bounds[k + 1] = out.n
    return True


cdef _as_array(const void *memory, Py_ssize_t n, dtype):
    found = np.empty(n, dtype=dtype)
    if n:
        memcpy(<void *><size_t>found.ctypes.data, memory, n * found.itemsize)
    return found


def lookup(texts, WordIndex index not None, int flags, bint lower_fallback, bint unknown):
    """Rows of the tokens of all texts (-1: unknown), bounds of each text, and where the unknown tokens are.

    The lock of the interpreter is let go while the texts are worked on.
    """
    if index.view.n_words >= <int64_t>1 << 31:
        raise ValueError(f"the index holds {index.view.n_words} words; at most {(1 << 31) - 1} are possible")
    # A list of our own, so that nobody can take a text away in the meantime.
    cdef list held = list(texts)
    cdef Py_ssize_t n_texts = len(held), k, start = 0
    cdef Work work
    cdef Rows out
    cdef bint done
    cdef int64_t[::1] bounds = np.zeros(n_texts + 1, dtype=np.int64)
    cdef list words = []
    cdef Text *views = <Text *>malloc((n_texts + 1) * sizeof(Text))
    if views == NULL:
        raise MemoryError
    open_work(&work, flags, False)
    memset(&out, 0, sizeof(Rows))
    out.wants_unknown = unknown
    out.lower_fallback = lower_fallback
    out.lowering = LOWER | flags & (NFC | STRIP)
    try:
        for k in range(n_texts):
            open_text(held[k], &views[k])
        with nogil:
            done = look_up_all(views, n_texts, &work, &out, &index.view, &bounds[0])
        if not done:
            raise MemoryError
        for k in range(out.n_unknown):
            words.append(_str(out.unknown_bytes + start, out.unknown_end[k] - start))
            start = out.unknown_end[k]
        return (
            _as_array(out.rows, out.n, np.int32),
            np.asarray(bounds),
            _as_array(out.unknown_at, out.n_unknown, np.int64),
            words,
        )
    finally:
        free(views)
        close_work(&work)
        free_rows(&out)
