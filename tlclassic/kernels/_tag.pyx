# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Token features, their table of weights, scores and the Viterbi decoder of the taggers. Plain twin: _tag_plain.py.

Design: nearly every feature of a token belongs to one word at one distance. Such features are hashed, looked up and
added up once for each distinct word of a block (``score_words``), so that a token costs one addition of K numbers a
distance; only features of two words are looked up token by token. The table is probed in place: slot and row have the
same number, a feature that is not there costs one read of four bytes.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

import numpy as np

from tlclassic.kernels._tag_plain import COLUMNS, check_bounds, check_pairs, check_slots, check_tokens

cdef int64_t N_COLUMNS = COLUMNS
cdef uint64_t GOLDEN = 0x9E3779B97F4A7C15
cdef uint64_t PRIME = 0x100000001B3

ctypedef fused cell:
    float
    int8_t


cdef inline uint64_t _mix(uint64_t x) noexcept nogil:
    # The finaliser of splitmix64 (Steele, Lea and Flood 2014).
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline uint64_t _at(uint64_t atom, int64_t distance) noexcept nogil:
    return _mix(atom + <uint64_t>(distance + 64) * GOLDEN)


cdef inline uint64_t _start(uint64_t kind) noexcept nogil:
    return _mix(kind * GOLDEN)


cdef inline uint64_t _ended(uint64_t hash) noexcept nogil:
    hash = _mix(hash)
    return hash if hash else 1  # 0 is "none"


# --- words -----------------------------------------------------------------------------------------------------------


def index_words(sentences):
    """The distinct words of a list of sentences in order of appearance, each token's word, and the sentences' bounds.

    Returns ``(words, tokens, bounds)``: a list of str, int32 of shape (n_tokens,), int64 of shape (n_sentences + 1,).
    Raises TypeError for a token that is not a ``str``.
    """
    cdef dict rows = {}
    cdef int64_t n = 0, at = 0, s = 0
    sentences = [list(sentence) for sentence in sentences]
    for sentence in sentences:
        n += len(<list>sentence)
    tokens_array, bounds_array = np.empty(n, np.int32), np.zeros(len(sentences) + 1, np.int64)
    cdef int32_t[::1] tokens = tokens_array
    cdef int64_t[::1] bounds = bounds_array
    cdef list sentence_list
    for item in sentences:
        sentence_list = item
        for word in sentence_list:
            row = rows.get(word)
            if row is None:
                if type(word) is not str and not isinstance(word, str):
                    raise TypeError(f"a token must be a string; got {word!r:.80} of type {type(word).__name__}")
                row = len(rows)
                rows[word] = row
            tokens[at] = row
            at += 1
        s += 1
        bounds[s] = at
    return list(rows), tokens_array, bounds_array


cdef inline uint64_t _shape_of(Py_UCS4 c) noexcept:
    if c.isupper():
        return 88
    if c.islower():
        return 120
    if c.isdigit():
        return 100
    return 97 if c.isalpha() else <uint64_t>c


def atoms(list words, int64_t shortest, int64_t longest):
    """What a word is made of, as hashes; 0 where there is none.

    Returns ``(matrix, ngrams, offsets)``: uint64 of shape (n + 2, COLUMNS), whose columns are the word in lower case with its
    digits as 0, the word as it stands, its shape with runs of at most four, its shape with runs of one, prefixes of 1 to
    4 and suffixes of 1 to 4 characters in lower case, and whose last two rows are the places before and behind a sentence;
    and the hashes of the character n-grams of ``shortest`` to ``longest`` characters, those of word i at
    ``ngrams[offsets[i]:offsets[i + 1]]``.
    """
    cdef int64_t n = len(words), row, i, size, length, run, total = 0, at = 0
    cdef uint64_t h, full, short_, kind, last
    cdef Py_UCS4 c
    cdef str word, lower
    if not 0 <= shortest <= longest:
        raise ValueError("atoms: n-grams must have 0 <= shortest <= longest.")
    lowered = [(<str?>item).lower() for item in words]
    matrix_array = np.zeros((n + 2, N_COLUMNS), np.uint64)
    offsets_array = np.zeros(n + 3, np.int64)
    cdef uint64_t[:, ::1] matrix = matrix_array
    cdef int64_t[::1] offsets = offsets_array
    for row in range(n):
        if shortest > 0:
            size = len(<str>lowered[row]) + 2
            for length in range(shortest, longest + 1):
                if length <= size:
                    total += size - length + 1
        offsets[row + 1] = total
    offsets[n + 1] = offsets[n + 2] = total
    ngrams_array = np.zeros(total, np.uint64)
    cdef uint64_t[::1] ngrams = ngrams_array
    for row in range(n):
        word, lower = words[row], lowered[row]
        h = _start(1)
        for c in lower:
            h = (h ^ (48 if c.isdigit() else <uint64_t>c)) * PRIME
        matrix[row, 0] = _ended(h)
        h, full, short_, last, run = _start(2), _start(3), _start(4), 0, 0
        for c in word:
            h = (h ^ <uint64_t>c) * PRIME
            kind = _shape_of(c)
            run = run + 1 if kind == last else 1
            last = kind
            if run <= 4:
                full = (full ^ kind) * PRIME
            if run == 1:
                short_ = (short_ ^ kind) * PRIME
        matrix[row, 1], matrix[row, 2], matrix[row, 3] = _ended(h), _ended(full), _ended(short_)
        size = len(lower)
        for length in range(1, min(4, size) + 1):
            h = _start(4 + length)
            for i in range(length):
                h = (h ^ <uint64_t>lower[i]) * PRIME
            matrix[row, 3 + length] = _ended(h)
            h = _start(8 + length)
            for i in range(size - length, size):
                h = (h ^ <uint64_t>lower[i]) * PRIME
            matrix[row, 7 + length] = _ended(h)
        if shortest > 0:
            lower = "\x02" + lower + "\x03"
            size += 2
            for length in range(shortest, min(longest, size) + 1):
                for at in range(size - length + 1):
                    h = _start(16 + length)
                    for i in range(at, at + length):
                        h = (h ^ <uint64_t>lower[i]) * PRIME
                    ngrams[offsets[row]] = _ended(h)
                    offsets[row] += 1
    # The loop above moved every offset to its word's end.
    for row in range(n, 0, -1):
        offsets[row] = offsets[row - 1]
    offsets[0] = 0
    matrix[n, 0], matrix[n + 1, 0] = _ended(_start(1) + 1), _ended(_start(1) + 2)
    return matrix_array, ngrams_array, offsets_array


def unary_keys(const uint64_t[:, ::1] matrix, const int32_t[::1] radius, const uint64_t[::1] ngrams,
               const int64_t[::1] offsets, int64_t window):
    """The keys of what one word says of the token at each distance from ``-window`` to ``window``.

    Column c of ``matrix`` counts up to the distance ``radius[c]`` (-1: never), n-grams at distance 0. Returns ``(keys,
    bounds)``: those of word i as seen from the token at distance d lie from bound ``i * (2 * window + 1) + d + window``.
    """
    cdef int64_t n = matrix.shape[0], columns = matrix.shape[1], row, d, c, e, at = 0, cell_ = 0
    if radius.shape[0] != columns or window < 0:
        raise ValueError("unary_keys: the shapes do not fit.")
    check_bounds(np.asarray(offsets), ngrams.shape[0], n)
    keys_array = np.empty(n * (2 * window + 1) * columns + ngrams.shape[0], np.uint64)
    bounds_array = np.zeros(n * (2 * window + 1) + 1, np.int64)
    cdef uint64_t[::1] keys = keys_array
    cdef int64_t[::1] bounds = bounds_array
    with nogil:
        for row in range(n):
            for d in range(-window, window + 1):
                for c in range(columns):
                    if matrix[row, c] and (d if d >= 0 else -d) <= radius[c]:
                        keys[at] = _at(matrix[row, c], d)
                        at += 1
                if d == 0:
                    for e in range(offsets[row], offsets[row + 1]):
                        keys[at] = _at(ngrams[e], 0)
                        at += 1
                cell_ += 1
                bounds[cell_] = at
    return keys_array[:at].copy(), bounds_array


cdef inline int64_t _word(const int32_t[::1] tokens, int64_t place, int64_t first, int64_t last, int64_t n) noexcept nogil:
    """The row of the word at a place; n and n + 1 before and behind the sentence ``first:last``."""
    if place < first:
        return n
    return n + 1 if place >= last else tokens[place]


cdef inline uint64_t _pair(const uint64_t[:, ::1] matrix, const int32_t[::1] tokens, const int32_t[:, ::1] pairs,
                           int64_t p, int64_t t, int64_t first, int64_t last) noexcept nogil:
    cdef int64_t n = matrix.shape[0] - 2
    cdef uint64_t a = matrix[_word(tokens, t + pairs[p, 1], first, last, n), pairs[p, 0]]
    cdef uint64_t b = matrix[_word(tokens, t + pairs[p, 3], first, last, n), pairs[p, 2]]
    if not a or not b:
        return 0
    return _ended(_at(a, pairs[p, 1]) * PRIME + _at(b, pairs[p, 3]) + <uint64_t>p)


def pair_keys(const uint64_t[:, ::1] matrix, const int32_t[::1] tokens, const int64_t[::1] bounds,
              const int32_t[:, ::1] pairs):
    """The keys of features of two words, uint64 of shape (n_tokens, n_pairs), 0 where there is none.

    Row p of ``pairs`` is (column, distance, column, distance).
    """
    cdef int64_t s, t, p
    check_tokens(np.asarray(tokens), np.asarray(bounds), matrix.shape[0] - 2)
    check_pairs(np.asarray(pairs), matrix.shape[1])
    keys_array = np.zeros((tokens.shape[0], pairs.shape[0]), np.uint64)
    cdef uint64_t[:, ::1] keys = keys_array
    with nogil:
        for s in range(bounds.shape[0] - 1):
            for t in range(bounds[s], bounds[s + 1]):
                for p in range(pairs.shape[0]):
                    keys[t, p] = _pair(matrix, tokens, pairs, p, t, bounds[s], bounds[s + 1])
    return keys_array


# --- the table -------------------------------------------------------------------------------------------------------


cdef inline int64_t _find(const uint32_t[::1] slots, uint64_t key) noexcept nogil:
    """The slot of a key; -1 - slot where it would go. ``slots`` has an empty place, as ``check_slots`` sees to."""
    cdef uint64_t size = slots.shape[0], place = ((key & <uint64_t>0xFFFFFFFF) * size) >> 32
    cdef uint32_t mark = <uint32_t>(key >> 32)
    if mark == 0:
        mark = 1
    while slots[place] != 0:
        if slots[place] == mark:
            return place
        place += 1
        if place == size:
            place = 0
    return -1 - <int64_t>place


def place(const uint64_t[::1] keys, uint32_t[::1] slots):
    """Put keys into ``slots``, of which some stay empty (0); the slot of each, int64 of shape (n,)."""
    cdef int64_t i, found, free_ = 0
    for i in range(slots.shape[0]):
        free_ += slots[i] == 0
    if keys.shape[0] >= free_ or slots.shape[0] >= 1 << 31:
        raise ValueError("place: the slots do not suffice.")
    places_array = np.empty(keys.shape[0], np.int64)
    cdef int64_t[::1] places = places_array
    with nogil:
        for i in range(keys.shape[0]):
            found = _find(slots, keys[i])
            if found < 0:
                found = -1 - found
                slots[found] = <uint32_t>(keys[i] >> 32) if keys[i] >> 32 else 1
            places[i] = found
    return places_array


def find(const uint64_t[::1] keys, const uint32_t[::1] slots):
    """The slot of each key, -1 where it is not there; int64 of shape (n,)."""
    cdef int64_t i
    check_slots(np.asarray(slots))
    places_array = np.empty(keys.shape[0], np.int64)
    cdef int64_t[::1] places = places_array
    with nogil:
        for i in range(keys.shape[0]):
            places[i] = max(_find(slots, keys[i]), <int64_t>-1)
    return places_array


# --- scores ----------------------------------------------------------------------------------------------------------


def score_words(const uint64_t[::1] keys, const int64_t[::1] bounds, const uint32_t[::1] slots, const cell[:, ::1] table,
                float[:, ::1] out):
    """Add to row i of ``out`` the rows of ``table`` of the keys ``bounds[i]:bounds[i + 1]``."""
    cdef int64_t i, e, c, found, k = table.shape[1]
    check_slots(np.asarray(slots))
    check_bounds(np.asarray(bounds), keys.shape[0], out.shape[0])
    if table.shape[0] != slots.shape[0] or out.shape[1] != k:
        raise ValueError("score_words: the shapes do not fit.")
    with nogil:
        for i in range(out.shape[0]):
            for e in range(bounds[i], bounds[i + 1]):
                found = _find(slots, keys[e])
                if found >= 0:
                    for c in range(k):
                        out[i, c] += <float>table[found, c]


def score(const float[:, :, ::1] words, const int32_t[::1] tokens, const int64_t[::1] bounds,
          const uint64_t[:, ::1] matrix, const int32_t[:, ::1] pairs, const uint32_t[::1] slots, const cell[:, ::1] table,
          float[:, ::1] out):
    """Add to row t of ``out`` what the words around token t say of it, ``words[word, distance + window]``, and its pairs.

    ``words`` has a row for each row of ``matrix``: the distinct words, then the places before and behind a sentence.
    """
    cdef int64_t s, t, d, p, c, row, found, first, last, k = table.shape[1], n = matrix.shape[0] - 2
    cdef int64_t window = words.shape[1] // 2
    cdef uint64_t key
    check_slots(np.asarray(slots))
    check_tokens(np.asarray(tokens), np.asarray(bounds), n)
    check_pairs(np.asarray(pairs), matrix.shape[1])
    if (table.shape[0] != slots.shape[0] or out.shape[1] != k or words.shape[2] != k or words.shape[0] != n + 2
            or out.shape[0] != tokens.shape[0] or words.shape[1] % 2 == 0):
        raise ValueError("score: the shapes do not fit.")
    with nogil:
        for s in range(bounds.shape[0] - 1):
            first, last = bounds[s], bounds[s + 1]
            for t in range(first, last):
                for d in range(-window, window + 1):
                    row = _word(tokens, t + d, first, last, n)
                    for c in range(k):
                        out[t, c] += words[row, d + window, c]
                for p in range(pairs.shape[0]):
                    key = _pair(matrix, tokens, pairs, p, t, first, last)
                    found = _find(slots, key) if key else -1
                    if found >= 0:
                        for c in range(k):
                            out[t, c] += <float>table[found, c]


def decode(const float[:, ::1] scores, int64_t column, const int64_t[::1] bounds, const float[:, ::1] links,
           int32_t[::1] out):
    """The best path of every sentence (Viterbi 1967) through the columns from ``column`` on.

    ``links`` is (k + 2, k): the score of going from one tag (row) to another (column), of beginning with a tag (row k)
    and of ending with it (row k + 1); minus infinity where that is not allowed. Of equal paths the one with the lowest
    last tags is taken. Where no path is allowed, the tags are 0.
    """
    cdef int64_t k = links.shape[1], s, t, i, j, longest = 1, first, last
    cdef float value
    check_bounds(np.asarray(bounds), scores.shape[0], bounds.shape[0] - 1)
    if (links.shape[0] != k + 2 or k < 1 or k > 1 << 15 or column < 0 or column + k > scores.shape[1]
            or out.shape[0] != scores.shape[0]):
        raise ValueError("decode: the shapes do not fit.")
    for s in range(bounds.shape[0] - 1):
        longest = max(longest, bounds[s + 1] - bounds[s])
    cdef int32_t *back = <int32_t *>malloc(longest * k * sizeof(int32_t))
    cdef float *now = <float *>malloc(2 * k * sizeof(float))
    cdef float *before = now + k
    if back == NULL or now == NULL:
        free(back)
        free(now)
        raise MemoryError()
    with nogil:
        for s in range(bounds.shape[0] - 1):
            first, last = bounds[s], bounds[s + 1]
            if first == last:
                continue
            for j in range(k):
                before[j] = links[k, j] + scores[first, column + j]
            for t in range(first + 1, last):
                _step(before, now, &back[(t - first) * k], &links[0, 0], k)
                for j in range(k):
                    before[j] = now[j] + scores[t, column + j]
            i = 0
            value = -INFINITY
            for j in range(k):
                if before[j] + links[k + 1, j] > value:
                    value, i = before[j] + links[k + 1, j], j
            for t in range(last - 1, first - 1, -1):
                out[t] = <int32_t>i
                if t > first:
                    i = back[(t - first) * k + i]
        free(back)
        free(now)


cdef void _step(const float *before, float *now, int32_t *back, const float *links, int64_t k) noexcept nogil:
    cdef int64_t i, j
    cdef float value, base
    cdef const float *row
    for j in range(k):
        now[j] = -INFINITY
        back[j] = 0
    for i in range(k):
        base, row = before[i], links + i * k
        if base == -INFINITY:
            continue
        for j in range(k):
            value = base + row[j]
            if value > now[j]:
                now[j] = value
                back[j] = <int32_t>i
