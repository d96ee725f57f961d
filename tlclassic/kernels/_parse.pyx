# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Word-vector files at the speed of the disk: text and binary blocks to words and float32 rows, and back.

Numbers. A decimal number means the float32 nearest to its correctly rounded double, whatever the locale. Three ways, the
first that can be sure: (1) a mantissa below 2**53 and a power of ten up to 10**22 are both exact doubles, so one product
or quotient is the correctly rounded double (Clinger 1990, "How to read floating point numbers accurately"); (2) otherwise
the double is known to within 2**-49 of itself, and if both ends of that interval round to the same float32, so does
the true one; (3) else CPython's own correctly rounded conversion.

Plain twin: _parse_plain.py, which also says what a line may look like.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.float cimport FLT_MAX
from libc.math cimport fabs, floor, log10, rint
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

import numpy as np

from tlclassic.kernels._index cimport tlc_find_hashed, tlc_hash, tlc_index

from tlclassic.kernels._parse_plain import BAD_NUMBER, NOT_FINITE, WRONG_COUNT, ParsedBlock, slot_count

cdef extern from "Python.h":
    double PyOS_string_to_double(const char *s, char **end, void *overflow) except? -1.0

cdef extern from "wordindex.h" nogil:
    uint64_t tlc_load64(const uint8_t *p)

cdef extern from * nogil:
    """
    static inline int tlc_ctz64(uint64_t x) { return __builtin_ctzll(x); }
    """
    int tlc_ctz64(uint64_t x)

cdef enum:
    OK = 0
    C_WRONG_COUNT = 1
    C_BAD_NUMBER = 2
    C_NOT_FINITE = 3

cdef double[23] POWERS
cdef int _i
for _i in range(23):
    POWERS[_i] = float(10 ** _i)

cdef double NARROW = 1.0 / <double>(1 << 49)


# -- numbers --------------------------------------------------------------------------------------------------------------

cdef inline bint is_separator(uint8_t c) noexcept nogil:
    return c == 32 or c == 9


cdef inline const uint8_t *usual_number(const uint8_t *p, const uint8_t *stop, float *value) noexcept nogil:
    """Where a number of the form ``-0.12345`` ends (one digit, a point, 1 to 7 digits), or NULL for any other.

    Reads ten bytes, which the caller vouches for. The digits after the point are taken eight bytes at a time (Lemire
    2018, "Quickly parsing eight digits"): no loop, so no branch that depends on how many there are.
    """
    cdef bint negative = p[0] == 45
    p += negative
    cdef uint64_t whole = <uint8_t>(p[0] - 48), digits, others
    if whole > 9 or p[1] != 46:
        return NULL
    digits = tlc_load64(p + 2) ^ <uint64_t>0x3030303030303030
    # The high bit of each byte that is no digit; exact up to the first such byte.
    others = ((digits + <uint64_t>0x7676767676767676) | digits) & <uint64_t>0x8080808080808080
    if others == 0:
        return NULL
    cdef int n = tlc_ctz64(others) >> 3
    if n == 0:
        return NULL
    digits <<= 64 - 8 * n
    digits = (digits * 10 + (digits >> 8)) & <uint64_t>0x00FF00FF00FF00FF
    digits = (digits * 100 + (digits >> 16)) & <uint64_t>0x0000FFFF0000FFFF
    digits = (digits * 10000 + (digits >> 32)) & <uint64_t>0xFFFFFFFF
    p += 2 + n
    if p < stop and not is_separator(p[0]):
        return NULL
    cdef float x = <float>((<double>whole * POWERS[n] + <double>digits) / POWERS[n])
    value[0] = -x if negative else x
    return p


cdef int slow_number(const uint8_t *p, Py_ssize_t n, float *value) noexcept with gil:
    """CPython's conversion of a field whose spelling was found to be good."""
    cdef char *end
    cdef bytes text = PyBytes_FromStringAndSize(<const char *>p, n)
    try:
        value[0] = <float>PyOS_string_to_double(PyBytes_AS_STRING(text), &end, NULL)
    except ValueError:
        return C_BAD_NUMBER
    if end != PyBytes_AS_STRING(text) + n:
        return C_BAD_NUMBER
    return OK if fabs(value[0]) <= FLT_MAX else C_NOT_FINITE


cdef inline bint is_word_like(const uint8_t *p, Py_ssize_t n) noexcept nogil:
    """Whether the field, without a sign, spells inf, infinity or nan in any case."""
    cdef char[8] lower
    cdef Py_ssize_t i
    if n != 3 and n != 8:
        return False
    for i in range(n):
        lower[i] = <char>(p[i] | 32)
    if n == 3:
        return memcmp(lower, b"inf", 3) == 0 or memcmp(lower, b"nan", 3) == 0
    return memcmp(lower, b"infinity", 8) == 0


cdef int parse_field(const uint8_t *start, const uint8_t *stop, const uint8_t **end, float *value) noexcept nogil:
    """The number at ``start``; it ends at a separator or ``stop``, whither ``end`` is set. OK or a problem's code."""
    cdef const uint8_t *p = start
    cdef uint64_t mantissa = 0
    cdef int64_t digits = 0, power = 0, exponent = 0
    cdef bint negative = False, minus = False, any_digit = False, truncated = False
    cdef uint8_t c
    cdef double x, low, high
    if p < stop and (p[0] == 45 or p[0] == 43):
        negative = p[0] == 45
        p += 1
    cdef const uint8_t *body = p
    while p < stop:
        c = p[0] - 48
        if c > 9:
            break
        if digits < 19:
            mantissa = mantissa * 10 + c
            digits += mantissa != 0
        else:
            power += 1
            truncated = True
        p += 1
    any_digit = p != body
    if p < stop and p[0] == 46:
        p += 1
        body = p
        while p < stop:
            c = p[0] - 48
            if c > 9:
                break
            if digits < 19:
                mantissa = mantissa * 10 + c
                digits += mantissa != 0
                power -= 1
            else:
                truncated = True
            p += 1
        any_digit = any_digit or p != body
    if any_digit and p < stop and (p[0] | 32) == 101:
        p += 1
        if p < stop and (p[0] == 45 or p[0] == 43):
            minus = p[0] == 45
            p += 1
        body = p
        while p < stop:
            c = p[0] - 48
            if c > 9:
                break
            if exponent < 100000:
                exponent = exponent * 10 + c
            p += 1
        any_digit = p != body
        power += -exponent if minus else exponent
    if not any_digit or (p < stop and not is_separator(p[0])):
        # Not the spelling of a number; the infinities are told apart, for a better message.
        while p < stop and not is_separator(p[0]):
            p += 1
        end[0] = p
        body = start + 1 if start < p and (start[0] == 45 or start[0] == 43) else start
        return C_NOT_FINITE if is_word_like(body, p - body) else C_BAD_NUMBER
    end[0] = p
    if mantissa == 0:
        value[0] = -0.0 if negative else 0.0
        return OK
    x = <double>mantissa
    if not truncated and mantissa < (<uint64_t>1 << 53) and -22 <= power <= 22:
        x = x / POWERS[-power] if power < 0 else x * POWERS[power]
        value[0] = <float>(-x if negative else x)
        return OK if x <= FLT_MAX or fabs(value[0]) <= FLT_MAX else C_NOT_FINITE
    if -44 <= power <= 22:
        if power < -22:
            x = x / POWERS[22] / POWERS[-power - 22]
        else:
            x = x / POWERS[-power] if power < 0 else x * POWERS[power]
        low, high = x * (1.0 - NARROW), x * (1.0 + NARROW)
        # Between these bounds no float32 is subnormal or infinite.
        if low > 1e-37 and high < 1e38 and <float>low == <float>high:
            value[0] = <float>(-low if negative else low)
            return OK
    return slow_number(start, p - start, value)


# -- text lines -----------------------------------------------------------------------------------------------------------

cdef struct line_result:
    int code
    int64_t count
    const uint8_t *field
    const uint8_t *field_end
    const uint8_t *word
    const uint8_t *word_end


cdef inline bint looks_numeric(const uint8_t *p, const uint8_t *stop) noexcept nogil:
    """Whether the field is a finite number; "nan" and "inf" are words too."""
    cdef const uint8_t *end
    cdef float value
    return parse_field(p, stop, &end, &value) == OK and end == stop


cdef inline const uint8_t *field_start(const uint8_t *first, const uint8_t *end) noexcept nogil:
    """Where the field that ends at ``end`` begins, not before ``first``."""
    while end > first and not is_separator((end - 1)[0]):
        end -= 1
    return end


cdef inline const uint8_t *skip_back(const uint8_t *first, const uint8_t *end) noexcept nogil:
    while end > first and is_separator((end - 1)[0]):
        end -= 1
    return end


cdef bint parse_simple(const uint8_t *begin, const uint8_t *stop, const uint8_t *safe, Py_ssize_t dim, float *row,
                       line_result *result) noexcept nogil:
    """The usual line: a word without spaces, then exactly ``dim`` good numbers; False for any other.

    Up to ``safe`` ten bytes more can be read.
    """
    cdef const uint8_t *p = begin
    cdef const uint8_t *end
    cdef Py_ssize_t j
    while p < stop and not is_separator(p[0]):
        p += 1
    if p == begin:
        return False
    result.word, result.word_end = begin, p
    for j in range(dim):
        while p < stop and is_separator(p[0]):
            p += 1
        end = usual_number(p, stop, row + j) if p <= safe else NULL
        if end == NULL and (p == stop or parse_field(p, stop, &end, row + j) != OK):
            return False
        p = end
    return p == stop


cdef void parse_any(const uint8_t *begin, const uint8_t *stop, Py_ssize_t dim, float *row, line_result *result) noexcept nogil:
    """Any line that is not blank; ``stop`` is past its last field. Fields are counted from the end."""
    cdef const uint8_t *first = begin
    cdef const uint8_t *p
    cdef const uint8_t *end
    cdef Py_ssize_t n_fields = 0, j
    cdef bint empty_word
    while first < stop and is_separator(first[0]):
        first += 1
    result.code, result.field, result.field_end = OK, begin, stop
    p = stop
    while p > first and n_fields < dim:
        p = skip_back(first, field_start(first, p))
        n_fields += 1
    # Here p ends the word: everything before the last `dim` fields.
    empty_word = n_fields == dim and p == first and first > begin
    if p == first and not empty_word:
        result.code, result.count = C_WRONG_COUNT, n_fields - 1
        return
    result.word, result.word_end = first, p
    if field_start(first, p) > first and looks_numeric(field_start(first, p), p):
        result.code, result.count = C_WRONG_COUNT, dim
        while field_start(first, p) > first and looks_numeric(field_start(first, p), p):
            p = skip_back(first, field_start(first, p))
            result.count += 1
        return
    for j in range(dim):
        while is_separator(p[0]):
            p += 1
        end = p
        result.code = parse_field(p, stop, &end, row + j)
        if result.code != OK:
            result.count, result.field, result.field_end = j, p, end
            return
        p = end


def parse_lines(const uint8_t[::1] block, Py_ssize_t dim, bint final, float[:, ::1] out):
    """Parse lines ``word number ... number`` into ``out``; see the plain twin."""
    cdef Py_ssize_t size = block.shape[0], capacity = out.shape[0], n_rows = 0, consumed = 0
    cdef Py_ssize_t n_lines = 0, n_blank = 0, n_invalid = 0, used = 0, length
    if out.shape[1] != dim or dim < 1:
        raise ValueError(f"out must have {dim} >= 1 columns; got {out.shape[1]}")
    words_array = np.empty(size, dtype=np.uint8)
    offsets_array = np.zeros(capacity + 1, dtype=np.int64)
    invalid_array = np.zeros(capacity, dtype=np.int64)
    cdef uint8_t[::1] words = words_array
    cdef int64_t[::1] offsets = offsets_array, invalid = invalid_array
    cdef const uint8_t *base = &block[0] if size else NULL
    cdef const uint8_t *begin
    cdef const uint8_t *stop
    cdef const uint8_t *line_end
    cdef line_result result
    result.code, result.count, result.field, result.field_end = OK, 0, base, base
    with nogil:
        while consumed < size:
            begin = base + consumed
            line_end = <const uint8_t *>memchr(begin, 10, size - consumed)
            if line_end == NULL and not final:
                break
            stop = line_end if line_end != NULL else base + size
            while stop > begin and (is_separator((stop - 1)[0]) or (stop - 1)[0] == 13):
                stop -= 1
            if stop == begin:
                n_blank += 1
            else:
                if n_rows == capacity:
                    break
                if not parse_simple(begin, stop, base + size - 12, dim, &out[n_rows, 0], &result):
                    parse_any(begin, stop, dim, &out[n_rows, 0], &result)
                    if result.code != OK:
                        break
                length = result.word_end - result.word
                memcpy(&words[0] + used, result.word, length)
                if not is_utf8(result.word, result.word_end):
                    invalid[n_invalid] = n_rows
                    n_invalid += 1
                used += length
                n_rows += 1
                offsets[n_rows] = used
            n_lines += 1
            consumed = (line_end - base) + 1 if line_end != NULL else size
    problem = None
    if result.code != OK:
        problem = (result.code, result.count, result.field - base, result.field_end - base)
    return ParsedBlock(words_array[:used].copy(), offsets_array[:n_rows + 1], consumed, n_lines, n_blank,
                       invalid_array[:n_invalid].copy(), problem)


cdef bint is_utf8(const uint8_t *p, const uint8_t *stop) noexcept nogil:
    """Whether the bytes are UTF-8 as RFC 3629 has it: shortest forms, no surrogates, nothing past U+10FFFF."""
    cdef uint8_t c, low, high
    cdef int more, i
    while p < stop:
        c = p[0]
        p += 1
        if c < 0x80:
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= c <= 0xDF:
            more = 1
        elif 0xE0 <= c <= 0xEF:
            more = 2
            if c == 0xE0:
                low = 0xA0
            elif c == 0xED:
                high = 0x9F
        elif 0xF0 <= c <= 0xF4:
            more = 3
            if c == 0xF0:
                low = 0x90
            elif c == 0xF4:
                high = 0x8F
        else:
            return False
        if stop - p < more or p[0] < low or p[0] > high:
            return False
        for i in range(1, more):
            if p[i] & 0xC0 != 0x80:
                return False
        p += more
    return True


# -- binary records -------------------------------------------------------------------------------------------------------

cdef inline bint all_finite(const float *row, Py_ssize_t dim) noexcept nogil:
    cdef Py_ssize_t j
    cdef bint finite = True
    for j in range(dim):
        finite &= fabs(row[j]) <= FLT_MAX
    return finite


def parse_binary(const uint8_t[::1] block, Py_ssize_t dim, float[:, ::1] out):
    """Parse records of a word2vec binary file into ``out``; see the plain twin."""
    cdef Py_ssize_t size = block.shape[0], capacity = out.shape[0], n_rows = 0, consumed = 0
    cdef Py_ssize_t n_invalid = 0, used = 0, length
    if out.shape[1] != dim or dim < 1:
        raise ValueError(f"out must have {dim} >= 1 columns; got {out.shape[1]}")
    words_array = np.empty(size, dtype=np.uint8)
    offsets_array = np.zeros(capacity + 1, dtype=np.int64)
    invalid_array = np.zeros(capacity, dtype=np.int64)
    cdef uint8_t[::1] words = words_array
    cdef int64_t[::1] offsets = offsets_array, invalid = invalid_array
    cdef const uint8_t *base = &block[0] if size else NULL
    cdef const uint8_t *begin
    cdef const uint8_t *space
    problem = None
    while n_rows < capacity and consumed < size:
        begin = base + consumed
        while begin < base + size and begin[0] == 10:
            begin += 1
        space = <const uint8_t *>memchr(begin, 32, base + size - begin) if begin < base + size else NULL
        if space == NULL or base + size - (space + 1) < 4 * dim:
            break
        memcpy(&out[n_rows, 0], space + 1, 4 * dim)
        if not all_finite(&out[n_rows, 0], dim):
            problem = (C_NOT_FINITE, dim, begin - base, space - base)
            break
        length = space - begin
        memcpy(&words[0] + used, begin, length)
        if not is_utf8(begin, space):
            invalid[n_invalid] = n_rows
            n_invalid += 1
        used += length
        n_rows += 1
        offsets[n_rows] = used
        consumed = (space + 1 + 4 * dim) - base
    return ParsedBlock(words_array[:used].copy(), offsets_array[:n_rows + 1], consumed, n_rows, 0,
                       invalid_array[:n_invalid].copy(), problem)


# -- words ----------------------------------------------------------------------------------------------------------------

cdef class WordCollector:
    """Gathers words block by block, the first of equal ones only, and ends as the arrays of a word index."""

    cdef object words_array, offsets_array, slots_array
    cdef uint8_t[::1] words
    cdef int64_t[::1] offsets
    cdef uint64_t[::1] slots
    cdef int64_t n_words, used

    def __init__(self):
        self.n_words = self.used = 0
        self.words_array = np.empty(1 << 12, dtype=np.uint8)
        self.offsets_array = np.zeros(1 << 9, dtype=np.int64)
        self.slots_array = np.zeros(slot_count(0), dtype=np.uint64)
        self.words, self.offsets, self.slots = self.words_array, self.offsets_array, self.slots_array

    def __len__(self):
        return self.n_words

    cdef reserve(self, int64_t more_words, int64_t more_bytes):
        if self.used + more_bytes > self.words.shape[0]:
            self.words_array = _grown(self.words_array, self.used, self.used + more_bytes)
            self.words = self.words_array
        if self.n_words + more_words + 1 > self.offsets.shape[0]:
            self.offsets_array = _grown(self.offsets_array, self.n_words + 1, self.n_words + more_words + 1)
            self.offsets = self.offsets_array
        if slot_count(self.n_words + more_words) > self.slots.shape[0]:
            self.rehash(slot_count(self.n_words + more_words))

    cdef rehash(self, int64_t n_slots):
        cdef uint64_t hash
        cdef int64_t row
        self.slots_array = np.zeros(n_slots, dtype=np.uint64)
        self.slots = self.slots_array
        with nogil:
            for row in range(self.n_words):
                hash = tlc_hash(&self.words[0] + self.offsets[row], <size_t>(self.offsets[row + 1] - self.offsets[row]))
                self.insert(hash, row)

    cdef inline void insert(self, uint64_t hash, int64_t row) noexcept nogil:
        cdef uint64_t mask = self.slots.shape[0] - 1
        cdef uint64_t place = hash & mask
        while self.slots[place] != 0:
            place = (place + 1) & mask
        self.slots[place] = ((hash >> 32) << 32) | <uint64_t>(row + 1)

    def add(self, const uint8_t[::1] words, const int64_t[::1] offsets):
        """Add a block of words; the rows of the block that were there already, int64."""
        cdef int64_t n = offsets.shape[0] - 1, row, n_duplicates = 0, length
        if n + self.n_words >= 0xFFFFFFFF:
            raise OverflowError("a word index holds at most 2**32 - 2 words")
        self.reserve(n, words.shape[0])
        duplicates_array = np.empty(n, dtype=np.int64)
        cdef int64_t[::1] duplicates = duplicates_array
        cdef const uint8_t *base = &words[0] if words.shape[0] else NULL
        cdef uint64_t hash
        cdef tlc_index view
        view.slots = &self.slots[0]
        view.mask = self.slots.shape[0] - 1
        view.words = &self.words[0]
        view.offsets = &self.offsets[0]
        with nogil:
            for row in range(n):
                length = offsets[row + 1] - offsets[row]
                hash = tlc_hash(base + offsets[row], <size_t>length)
                view.words_size = self.used
                view.n_words = self.n_words
                if tlc_find_hashed(&view, base + offsets[row], <size_t>length, hash) >= 0:
                    duplicates[n_duplicates] = row
                    n_duplicates += 1
                    continue
                memcpy(&self.words[0] + self.used, base + offsets[row], length)
                self.insert(hash, self.n_words)
                self.used += length
                self.n_words += 1
                self.offsets[self.n_words] = self.used
        return duplicates_array[:n_duplicates].copy()

    def finish(self):
        """``(words, offsets, slots)`` of all words added."""
        if slot_count(self.n_words) != self.slots.shape[0]:
            self.rehash(slot_count(self.n_words))
        return self.words_array[:self.used].copy(), self.offsets_array[:self.n_words + 1].copy(), self.slots_array


cdef _grown(array, int64_t used, int64_t needed):
    larger = np.empty(max(needed, 2 * len(array)), dtype=array.dtype)
    larger[:used] = array[:used]
    return larger


# -- writing --------------------------------------------------------------------------------------------------------------

def format_rows(const uint8_t[::1] words, const int64_t[::1] offsets, const float[:, ::1] rows):
    """Lines ``word number ... number``, each number the shortest that reads back as the same float32."""
    cdef Py_ssize_t n = rows.shape[0], dim = rows.shape[1], i, j, length
    if offsets.shape[0] != n + 1:
        raise ValueError(f"offsets must have {n + 1} items; got {offsets.shape[0]}")
    # A number takes at most 24 bytes with its separator: sign, "0.0000", 9 digits or 15, "e-45".
    result = np.empty((offsets[n] - offsets[0]) + n * (24 * dim + 1) + 1, dtype=np.uint8)
    cdef uint8_t[::1] out = result
    cdef uint8_t *p = &out[0]
    with nogil:
        for i in range(n):
            length = offsets[i + 1] - offsets[i]
            if length:
                memcpy(p, &words[offsets[i]], length)
            p += length
            for j in range(dim):
                p[0] = 32
                p = write_number(p + 1, rows[i, j])
            p[0] = 10
            p += 1
    return result[:p - &out[0]].tobytes()


cdef inline float scaled_back(uint64_t mantissa, int power) noexcept nogil:
    """mantissa * 10**power as the parser would read it; both factors are exact doubles here."""
    cdef double x = <double>mantissa
    return <float>(x / POWERS[-power] if power < 0 else x * POWERS[power])


cdef uint8_t *write_number(uint8_t *p, float value) noexcept nogil:
    cdef double x = fabs(<double>value), scaled
    cdef int exponent, precision, power
    cdef uint64_t mantissa = 0
    if value == 0:
        # 1 / -0.0 is negative; the sign of zero is kept.
        if 1.0 / <double>value < 0:
            p[0] = 45
            p += 1
        memcpy(p, b"0.0", 3)
        return p + 3
    if value < 0:
        p[0] = 45
        p += 1
    exponent = <int>floor(log10(x))
    # 9 digits tell all float32 apart; 6 or fewer come out of 6, their trailing zeros dropped.
    for precision in range(6, 10):
        power = exponent + 1 - precision
        if power < -22 or power > 22:
            break
        scaled = x * POWERS[-power] if power < 0 else x / POWERS[power]
        mantissa = <uint64_t>rint(scaled)
        if scaled_back(mantissa, power) == <float>x:
            return write_digits(p, mantissa, power)
    return write_slow(p, <float>x)


cdef uint8_t *write_slow(uint8_t *p, float value) noexcept with gil:
    """Numbers too small or large for exact powers of ten: rare in vectors."""
    cdef bytes text = _format_number(np.float32(value))
    memcpy(p, PyBytes_AS_STRING(text), len(text))
    return p + len(text)


from tlclassic.kernels._parse_plain import format_number as _format_number


cdef uint8_t *write_digits(uint8_t *p, uint64_t mantissa, int power) noexcept nogil:
    """mantissa * 10**power: positional from 1e-5 up to 1e15, else with an exponent, as the plain twin has it."""
    cdef uint8_t[24] digits
    cdef int n = 0, i, top
    while mantissa % 10 == 0:
        mantissa //= 10
        power += 1
    while mantissa:
        digits[23 - n] = <uint8_t>(48 + mantissa % 10)
        mantissa //= 10
        n += 1
    cdef const uint8_t *d = &digits[24 - n]
    top = power + n - 1
    if top < -5 or top > 14:
        p[0] = d[0]
        p += 1
        if n > 1:
            p[0] = 46
            memcpy(p + 1, d + 1, n - 1)
            p += n
        p[0] = 101
        p[1] = 45 if top < 0 else 43
        top = -top if top < 0 else top
        p[2] = <uint8_t>(48 + top // 10)
        p[3] = <uint8_t>(48 + top % 10)
        return p + 4
    if top < 0:
        p[0], p[1] = 48, 46
        p += 2
        for i in range(-top - 1):
            p[0] = 48
            p += 1
        memcpy(p, d, n)
        return p + n
    for i in range(max(n, top + 2)):
        if i == top + 1:
            p[0] = 46
            p += 1
        p[0] = d[i] if i < n else 48
        p += 1
    return p
