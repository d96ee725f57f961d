# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Word-vector files at the speed of the disk: text and binary blocks to words and float32 rows, and back.

Plain twin: _parse_plain.py, which also says what a line may look like; numbers: _parse_number.pxd.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.float cimport FLT_MAX
from libc.math cimport fabs
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcpy

import numpy as np

from tlclassic.kernels._index cimport tlc_find_hashed, tlc_hash, tlc_index
from tlclassic.kernels._parse_number cimport (
    C_NOT_FINITE, C_WRONG_COUNT, OK, is_separator, parse_field, usual_number, write_number,
)

from tlclassic.kernels._parse_plain import BAD_NUMBER, NOT_FINITE, WRONG_COUNT, ParsedBlock, format_number, slot_count


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
    cdef int64_t bad_start = -1, bad_end = 0
    with nogil:
        while n_rows < capacity and consumed < size:
            begin = base + consumed
            while begin < base + size and begin[0] == 10:
                begin += 1
            space = <const uint8_t *>memchr(begin, 32, base + size - begin)
            if space == NULL or base + size - (space + 1) < 4 * dim:
                break
            memcpy(&out[n_rows, 0], space + 1, 4 * dim)
            if not all_finite(&out[n_rows, 0], dim):
                bad_start, bad_end = begin - base, space - base
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
    problem = (C_NOT_FINITE, dim, bad_start, bad_end) if bad_start >= 0 else None
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
        check_offsets(offsets, words.shape[0])
        self.reserve(n, words.shape[0])
        duplicates_array = np.empty(n, dtype=np.int64)
        cdef int64_t[::1] duplicates = duplicates_array
        cdef const uint8_t *base = &words[0] if words.shape[0] else &self.words[0]
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


cdef check_offsets(const int64_t[::1] offsets, int64_t size):
    """Refuse offsets that do not ascend within the words: they may come from a mapped file that was not verified."""
    cdef Py_ssize_t i
    cdef bint good = offsets.shape[0] > 0 and offsets[0] >= 0 and offsets[offsets.shape[0] - 1] <= size
    with nogil:
        for i in range(offsets.shape[0] - 1):
            good &= offsets[i] <= offsets[i + 1]
    if not good:
        raise ValueError(f"offsets must ascend within the {size} bytes of the words")


cdef _grown(array, int64_t used, int64_t needed):
    larger = np.empty(max(needed, 2 * len(array)), dtype=array.dtype)
    larger[:used] = array[:used]
    return larger


# -- writing --------------------------------------------------------------------------------------------------------------

cdef uint8_t *write_slow(uint8_t *p, float value) noexcept with gil:
    """Numbers too small or too large for exact powers of ten."""
    cdef bytes text = format_number(np.float32(value))
    memcpy(p, PyBytes_AS_STRING(text), len(text))
    return p + len(text)


def format_rows(const uint8_t[::1] words, const int64_t[::1] offsets, const float[:, ::1] rows):
    """Lines ``word number ... number``, each number the shortest that reads back as the same float32."""
    cdef Py_ssize_t n = rows.shape[0], dim = rows.shape[1], i, j, length
    if offsets.shape[0] != n + 1:
        raise ValueError(f"offsets must have {n + 1} items; got {offsets.shape[0]}")
    check_offsets(offsets, words.shape[0])
    # A number takes at most 24 bytes with its separator: sign, "0.0000", 9 digits or 15, "e-45".
    result = np.empty((offsets[n] - offsets[0]) + n * (24 * dim + 1) + 1, dtype=np.uint8)
    cdef uint8_t[::1] out = result
    cdef uint8_t *p = &out[0]
    cdef uint8_t *end
    with nogil:
        for i in range(n):
            length = offsets[i + 1] - offsets[i]
            if length:
                memcpy(p, &words[offsets[i]], length)
            p += length
            for j in range(dim):
                p[0] = 32
                end = write_number(p + 1, rows[i, j])
                p = end if end != NULL else write_slow(p + 1, rows[i, j])
            p[0] = 10
            p += 1
    return result[:p - &out[0]].tobytes()
