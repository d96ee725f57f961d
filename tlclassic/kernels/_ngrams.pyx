# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Hashed n-grams of texts: words, and characters inside words, as buckets or as rows of counts.

The work is done by ngrams.h (bytes to buckets), classify.h (SIMD) and ngrams_decode.h (what is not ASCII); here are the
tables of characters, unpacked when the first text needs them, and the Python API. Rules and hash: _ngrams_plain.py, the
plain twin, which also answers for single texts (``tokens``, ``spans``), where speed does not matter.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

import numpy as np

cimport tlclassic.kernels._tokenize_unicode as U
from tlclassic.kernels._tokenize_normalise cimport normalise as normalise_piece
from tlclassic.kernels._tokenize_unicode cimport Normal, Record, Tables, Text, record

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

cdef extern from "ngrams_decode.h" nogil:
    int TLC_WORD, TLC_PUNCTUATION, TLC_APOSTROPHE
    int TLC_PLAIN, TLC_ALONE, TLC_REGIONAL, TLC_GONE, TLC_MARK, TLC_SOFT_MARK, TLC_SLOW
    int TLC_DO, TLC_FLAGS, TLC_CODE
    uint32_t tlc_entry(uint32_t code, uint32_t what, uint32_t flags)
    ctypedef struct tlc_unicode:
        const uint32_t *basic
        uint32_t (*beyond)(uint32_t code) noexcept nogil
        int (*normalise)(
            tlc_unicode *u, const tlc_text *t, size_t i, size_t j, int fold, const uint8_t **to, size_t *n
        ) noexcept nogil
        uint32_t *points
        void *work
    int tlc_decode_any(
        tlc_unicode *u, const tlc_text *t, size_t start, size_t stop, int fold, tlc_scratch *s
    )

cdef extern from "classify.h" nogil:
    ctypedef struct tlc_level:
        const char *name
        int (*works)() noexcept nogil
    const tlc_level *tlc_all_levels
    int tlc_n_levels
    const tlc_level *tlc_chosen

HASH_VERSION = 1
MAX_WORDS, MAX_CHARS, MAX_BITS = 8, 32, 31


# --- tables of characters --------------------------------------------------------------------------------------------

cdef Tables TABLES
cdef uint32_t *BASIC = NULL
_held = None


cdef const void *_address(arrays, name) except NULL:
    return <const void *><size_t>arrays[name].ctypes.data


cdef _fill_mapping(arrays, U.Mapping *mapping, name):
    mapping.keys = <const uint32_t *>_address(arrays, f"{name}_keys")
    mapping.bounds = <const uint32_t *>_address(arrays, f"{name}_bounds")
    mapping.values = <const uint32_t *>_address(arrays, f"{name}_values")
    mapping.n = len(arrays[f"{name}_keys"])


cdef _fill_tables(arrays):
    cdef int byte
    TABLES.stage1 = <const uint16_t *>_address(arrays, "stage1")
    TABLES.stage2 = <const uint16_t *>_address(arrays, "stage2")
    TABLES.records = <const Record *>_address(arrays, "records")
    _fill_mapping(arrays, &TABLES.decompositions, "decomposition")
    _fill_mapping(arrays, &TABLES.folds, "fold")
    TABLES.composition_keys = <const uint64_t *>_address(arrays, "composition_keys")
    TABLES.composition_values = <const uint32_t *>_address(arrays, "composition_values")
    TABLES.n_compositions = len(arrays["composition_keys"])
    for byte in range(256):
        TABLES.kind[byte] = record(&TABLES, byte).kind if byte < 0x80 else 255
        TABLES.kept[byte] = 32 if TABLES.kind[byte] == U.SPACE else byte
        TABLES.lowered[byte] = byte + 32 if 65 <= byte <= 90 else TABLES.kept[byte]


cdef uint32_t entry_of(uint32_t code) noexcept nogil:
    """What the decoder does with a character."""
    cdef const Record *found
    cdef uint32_t what = TLC_PLAIN, flags = 0, to
    if code > 0x10FFFF:
        return tlc_entry(0x20, TLC_PLAIN, 0)
    found = record(&TABLES, code)
    to = code + found.to_folded
    if found.kind == U.SPACE:
        to = 0x20
    elif found.kind in (U.LETTER, U.DIGIT, U.KATAKANA, U.CONNECTOR):
        flags = TLC_WORD
    elif found.kind == U.MARK:
        what, flags = TLC_MARK, TLC_WORD
    elif found.kind in (U.SOLO, U.HIRAGANA, U.PICTOGRAPH):
        what, flags = TLC_ALONE, TLC_WORD
    elif found.kind == U.REGIONAL:
        what, flags = TLC_REGIONAL, TLC_WORD
    elif found.kind in (U.JOINER, U.TAG, U.SKIN_TONE, U.KEYCAP, U.IGNORED):
        what = TLC_GONE
    elif found.kind == U.APOSTROPHE:
        to, flags = 0x27, TLC_PUNCTUATION | TLC_APOSTROPHE
    else:
        flags = TLC_PUNCTUATION
        if found.kind == U.EMPHATIC and code > 0x7F:
            to = code - 0xFEE0
    if found.properties & (U.UNSTABLE | U.FOLDS_LONG):
        if found.kind == U.MARK and found.combining and not found.properties & (U.DECOMPOSES | U.FOLDS_LONG):
            if found.to_folded == 0 and not composes(code):
                return tlc_entry(code, TLC_SOFT_MARK, flags)
        return tlc_entry(to, TLC_SLOW, flags | what << 4)
    return tlc_entry(to, what, flags)


cdef inline bint composes(uint32_t code) noexcept nogil:
    """Whether the character is the second one of a composition."""
    cdef Py_ssize_t i
    for i in range(TABLES.n_compositions):
        if <uint32_t>TABLES.composition_keys[i] == code:
            return True
    return False


def ensure_tables():
    """Unpack the tables of characters, once a process; returns the decoder for other kernels."""
    global _held, BASIC
    cdef uint32_t *basic
    cdef uint32_t code
    if _held is None:
        from tlclassic.kernels._tokenize_tables import tables

        arrays = tables()
        _fill_tables(arrays)
        basic = <uint32_t *>malloc(0x10000 * sizeof(uint32_t))
        if basic == NULL:
            raise MemoryError
        for code in range(0x10000):
            basic[code] = entry_of(code)
        BASIC = basic
        _held = arrays, PyCapsule_New(<void *>decode, "tlc_decoder", NULL)
    return _held[1]


# --- the decoder -----------------------------------------------------------------------------------------------------

cdef int normalise_units(
    tlc_unicode *u, const tlc_text *t, size_t i, size_t j, int fold, const uint8_t **to, size_t *n
) noexcept nogil:
    cdef Normal *normal = <Normal *>u.work
    cdef Text view
    view.data, view.width, view.ascii, view.n = t.data, t.kind, False, t.n
    if not U.reserve(normal, 1):
        return -1
    normalise_piece(&TABLES, &view, i, j, U.NFC | (U.FOLD if fold else 0), normal)
    to[0], n[0] = normal.bytes, normal.n
    return -1 if normal.failed else 0


cdef void free_unicode(void *memory) noexcept nogil:
    cdef tlc_unicode *u = <tlc_unicode *>memory
    cdef Normal *normal
    if u != NULL:
        normal = <Normal *>u.work
        if normal != NULL:
            free(normal.bytes)
            free(normal.first.at)
            free(normal.second.at)
        free(normal)
        free(u.points)
        free(u)


cdef int decode(const tlc_options *o, const tlc_text *t, size_t start, size_t stop, tlc_scratch *s) noexcept nogil:
    cdef tlc_unicode *u = <tlc_unicode *>s.unicode
    if u == NULL:
        u = <tlc_unicode *>calloc(1, sizeof(tlc_unicode))
        if u == NULL:
            return -1
        s.unicode, s.free_unicode = u, free_unicode
        u.basic, u.beyond, u.normalise = BASIC, entry_of, normalise_units
        u.work = calloc(1, sizeof(Normal))
    if u.work == NULL:
        return -1
    return tlc_decode_any(u, t, start, stop, o.fold, s)


# --- levels ----------------------------------------------------------------------------------------------------------

def levels():
    """The ways of classifying bytes that this machine can run, slowest first; all give the same."""
    return [tlc_all_levels[i].name.decode() for i in range(tlc_n_levels) if tlc_all_levels[i].works()]


def set_level(name):
    """Classify bytes in the way ``name``, one of :func:`levels`; for tests."""
    global tlc_chosen
    cdef int i
    for i in range(tlc_n_levels):
        if tlc_all_levels[i].works() and tlc_all_levels[i].name.decode() == name:
            tlc_chosen = &tlc_all_levels[i]
            return
    raise ValueError(f"level must be one of {levels()}; got {name!r}")


# --- counts ----------------------------------------------------------------------------------------------------------

cdef inline void insertion_sort(uint32_t *at, size_t n) noexcept nogil:
    cdef size_t i, j
    cdef uint32_t moved
    for i in range(1, n):
        moved = at[i]
        j = i
        while j > 0 and at[j - 1] > moved:
            at[j] = at[j - 1]
            j -= 1
        at[j] = moved


cdef int sort_buckets(uint32_t *at, size_t n, int bits, uint32_t **spare, size_t *room) noexcept nogil:
    """Sort by digits of eight bits; those of one text mostly by the highest digit, for hashes are spread evenly."""
    cdef size_t i, k
    cdef size_t places[257]
    cdef uint32_t *source = at
    cdef uint32_t *to
    cdef void *more
    cdef bint few = n <= 512
    cdef int shift = max(bits - 8, 0) if few else 0
    if n < 24:
        insertion_sort(at, n)
        return 0
    if room[0] < n:
        more = realloc(spare[0], 2 * n * sizeof(uint32_t))
        if more == NULL:
            return -1
        spare[0], room[0] = <uint32_t *>more, 2 * n
    to = spare[0]
    while shift < bits:
        memset(places, 0, sizeof(places))
        for i in range(n):
            places[(source[i] >> shift & 255) + 1] += 1
        for k in range(256):
            places[k + 1] += places[k]
        for i in range(n):
            k = source[i] >> shift & 255
            to[places[k]] = source[i]
            places[k] += 1
        source, to = to, source
        shift += 8
    if source != at:
        memcpy(at, source, n * sizeof(uint32_t))
    if few:
        insertion_sort(at, n)
    return 0


cdef inline size_t count_runs(uint32_t *at, size_t n, float *values) noexcept nogil:
    """Keep one of each run of equal buckets, with its length; returns how many."""
    cdef size_t i, kept = 0
    for i in range(n):
        if i and at[i] == at[kept - 1]:
            values[kept - 1] += 1
        else:
            at[kept] = at[i]
            values[kept] = 1
            kept += 1
    return kept


# --- the Python API --------------------------------------------------------------------------------------------------

cdef int open_text(text, tlc_text *view) except -1:
    if isinstance(text, str):
        TLC_READY(text)
        view.data, view.n = PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text)
        view.kind = TLC_ASCII if PyUnicode_IS_ASCII(text) else PyUnicode_KIND(text)
    elif isinstance(text, bytes):
        view.data, view.n, view.kind = PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), TLC_UTF8
    else:
        raise TypeError(f"a text must be str or bytes; got {type(text).__name__}")
    return 0


cdef _as_array(const void *memory, size_t n, dtype):
    found = np.empty(n, dtype=dtype)
    if n:
        memcpy(<void *><size_t>found.ctypes.data, memory, n * found.itemsize)
    return found


cdef class Ngrams:
    """Hashed n-grams of texts; see the plain twin."""

    cdef tlc_options options
    cdef object plain

    def __init__(self, words=(1, 2), chars=(0, 0), bits=20, fold=True, keep_punctuation=True):
        _check(words, chars, bits)
        self.plain = None
        self.options.word_lo, self.options.word_hi = words
        self.options.char_lo, self.options.char_hi = chars
        self.options.bits, self.options.fold, self.options.keep_punctuation = bits, bool(fold), bool(keep_punctuation)

    @property
    def words(self):
        return self.options.word_lo, self.options.word_hi

    @property
    def chars(self):
        return self.options.char_lo, self.options.char_hi

    @property
    def bits(self):
        return self.options.bits

    @property
    def fold(self):
        return bool(self.options.fold)

    @property
    def keep_punctuation(self):
        return bool(self.options.keep_punctuation)

    def __reduce__(self):
        return Ngrams, (self.words, self.chars, self.bits, self.fold, self.keep_punctuation)

    cdef _twin(self):
        if self.plain is None:
            from tlclassic.kernels import _ngrams_plain

            self.plain = _ngrams_plain.Ngrams(*self.__reduce__()[1])
        return self.plain

    def tokens(self, text):
        """The tokens of a text, normalised."""
        return self._twin().tokens(text)

    def spans(self, text):
        """(0 words or 1 characters, bucket, start, end) of every n-gram; places are characters of the original text."""
        return self._twin().spans(text)

    cdef _run(self, list texts, const tlc_options *options, tlc_scratch *s, int64_t *word, int64_t *chars):
        """Append the buckets of all texts to the scratch memory, and where those of each end to ``word``, ``chars``."""
        cdef Py_ssize_t n = len(texts), i
        cdef int failed = 0
        cdef tlc_text *views = <tlc_text *>calloc(n + 1, sizeof(tlc_text))
        if views == NULL:
            raise MemoryError
        try:
            for i in range(n):
                open_text(texts[i], &views[i])
            with nogil:
                failed = tlc_ngrams(options, views, n, s, word + 1, chars + 1)
        finally:
            free(views)
        if failed:
            raise MemoryError

    def buckets(self, texts):
        """Buckets of the n-grams of words of all texts and the bounds of each text; the same of characters."""
        cdef tlc_scratch s
        cdef list held = list(texts)
        cdef int64_t[::1] word = np.zeros(len(held) + 1, dtype=np.int64)
        cdef int64_t[::1] chars = np.zeros(len(held) + 1, dtype=np.int64)
        memset(&s, 0, sizeof(s))
        try:
            self._run(held, &self.options, &s, &word[0], &chars[0])
            return (
                _as_array(s.word, s.n_word, np.uint32), np.asarray(word),
                _as_array(s.chars, s.n_chars, np.uint32), np.asarray(chars),
            )
        finally:
            tlc_scratch_free(&s)

    def counts(self, texts, family):
        """Indices (sorted in each row), bounds of rows, values of a CSR matrix of counts; ``family``: word or char."""
        cdef tlc_scratch s
        cdef tlc_options options = self.options
        cdef list held = list(texts)
        cdef Py_ssize_t n_texts = len(held), i
        cdef size_t n = 0, at = 0, begin = 0, end, spare_room = 0
        cdef uint32_t *spare = NULL
        cdef uint32_t *found
        cdef float *values = NULL
        cdef int failed = 0
        cdef int64_t[::1] bounds = np.zeros(n_texts + 1, dtype=np.int64), other = np.zeros(n_texts + 1, dtype=np.int64)
        if family not in ("word", "char"):
            raise ValueError(f'family must be "word" or "char"; got {family!r}')
        memset(&s, 0, sizeof(s))
        try:
            if family == "word":
                options.char_lo = options.char_hi = 0
                self._run(held, &options, &s, &bounds[0], &other[0])
                found, n = s.word, s.n_word
            else:
                options.word_lo = options.word_hi = 0
                self._run(held, &options, &s, &other[0], &bounds[0])
                found, n = s.chars, s.n_chars
            values = <float *>malloc((n + 1) * sizeof(float))
            if values == NULL:
                raise MemoryError
            with nogil:
                for i in range(n_texts):
                    end = bounds[i + 1]
                    if sort_buckets(found + begin, end - begin, options.bits, &spare, &spare_room):
                        failed = 1
                        break
                    n = count_runs(found + begin, end - begin, values + at)
                    for begin in range(begin, begin + n):
                        found[at] = found[begin]
                        at += 1
                    begin = end
                    bounds[i + 1] = at
            if failed:
                raise MemoryError
            return _as_array(found, at, np.int32), np.asarray(bounds), _as_array(values, at, np.float32)
        finally:
            free(values)
            free(spare)
            tlc_scratch_free(&s)


def _check(words, chars, bits):
    for name, (low, high), most in (("words", words, MAX_WORDS), ("chars", chars, MAX_CHARS)):
        if (low, high) != (0, 0) and not 1 <= low <= high <= most:
            raise ValueError(f"{name} must be (0, 0) or (lo, hi) with 1 <= lo <= hi <= {most}; got {(low, high)}")
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"bits must be from 1 to {MAX_BITS}; got {bits}")
