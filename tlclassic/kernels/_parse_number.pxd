"""Decimal numbers to float32 and back, without the interpreter and whatever the locale.

Reading. A number means the float32 nearest to its correctly rounded double. Three ways, the first that can be sure: (1) a
mantissa below 2**53 and a power of ten up to 10**22 are both exact doubles, so one product or quotient is the correctly
rounded double (Clinger 1990, "How to read floating point numbers accurately"); (2) otherwise the double is known to within
2**-49 of itself, and if both ends of that interval round to the same float32, so does the true one; (3) else CPython's own
correctly rounded conversion.

Writing. The fewest digits, from 6 up, that read back as the same float32; tried by reading them back in way (1).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.float cimport FLT_MAX
from libc.math cimport fabs, floor, log10, rint, signbit
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from "Python.h":
    double PyOS_string_to_double(const char *s, char **end, void *overflow) except? -1.0

cdef extern from "wordindex.h" nogil:
    uint64_t tlc_load64(const uint8_t *p)

cdef extern from * nogil:
    """
    static inline int tlc_ctz64(uint64_t x) { return __builtin_ctzll(x); }
    static const double TLC_POWERS[23] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
                                          1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    #define TLC_NARROW (1.0 / 562949953421312.0)
    """
    int tlc_ctz64(uint64_t x)
    const double[23] POWERS "TLC_POWERS"
    const double NARROW "TLC_NARROW"

#: How reading a number or a line ended.
cdef enum:
    OK = 0
    C_WRONG_COUNT = 1
    C_BAD_NUMBER = 2
    C_NOT_FINITE = 3


cdef inline bint is_separator(uint8_t c) noexcept nogil:
    return c == 32 or c == 9


@cython.cdivision(True)
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


cdef inline int slow_number(const uint8_t *p, Py_ssize_t n, float *value) noexcept with gil:
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


@cython.cdivision(True)
cdef inline int parse_field(const uint8_t *start, const uint8_t *stop, const uint8_t **end, float *value) noexcept nogil:
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


@cython.cdivision(True)
cdef inline float scaled_back(uint64_t mantissa, int power) noexcept nogil:
    """mantissa * 10**power as the parser would read it; both factors are exact doubles here."""
    cdef double x = <double>mantissa
    return <float>(x / POWERS[-power] if power < 0 else x * POWERS[power])


@cython.cdivision(True)
cdef inline uint8_t *write_number(uint8_t *p, float value) noexcept nogil:
    """Write ``value`` at ``p`` and give the end, or NULL: then its power of ten is not exact, which is rare in vectors."""
    cdef double x = fabs(<double>value), scaled
    cdef int exponent, precision, power
    cdef uint64_t mantissa = 0
    if value == 0:
        if signbit(value):
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
    return NULL


@cython.cdivision(True)
cdef inline uint8_t *write_digits(uint8_t *p, uint64_t mantissa, int power) noexcept nogil:
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
