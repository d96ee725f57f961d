"""Plain twin of ``_parse.pyx``: word-vector text and binary blocks in Python."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Why a block's parsing stopped before its end; the codes of :attr:`ParsedBlock.problem`.
WRONG_COUNT, BAD_NUMBER, NOT_FINITE = 1, 2, 3

_SEPARATORS = b" \t"
_NUMBER = re.compile(rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|infinity|nan))")
_FIELD = re.compile(rb"[^ \t]+")


class ParsedBlock(NamedTuple):
    """What a block held.

    Attributes
    ----------
    words : uint8 array
        The words' bytes, end to end, as they stand in the file.
    offsets : int64 array of shape (n_rows + 1,)
    consumed : int
        How many bytes of the block were parsed: whole lines (text) or whole records (binary).
    n_lines, n_blank : int
        Lines parsed, and how many of them were blank; for a binary block, the records and 0.
    invalid : int64 array
        Rows whose word is not valid UTF-8.
    problem : tuple or None
        ``(code, count, start, end)`` of the line or record at ``consumed``: the numbers found in it and the bytes of
        the field in question.
    """

    words: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    consumed: int
    n_lines: int
    n_blank: int
    invalid: NDArray[np.int64]
    problem: tuple[int, int, int, int] | None


def parse_number(field: bytes) -> float | None:
    """The float32 of a decimal number (through the correctly rounded double), or None if it is not one."""
    if _NUMBER.fullmatch(field) is None:
        return None
    with np.errstate(over="ignore"):
        return float(np.float32(float(field)))


def parse_lines(block: NDArray[np.uint8], dim: int, final: bool, out: NDArray[np.float32]) -> ParsedBlock:
    """Parse lines ``word number ... number`` into ``out``.

    A line ends at a line feed and nowhere else; ``dim`` numbers are its last fields, everything before them is the
    word. Fields are separated by spaces and tabs; those at either end of the line and a carriage return at its end do
    not count. A line that begins with a separator and has ``dim`` fields has the empty word.

    Parameters
    ----------
    block : uint8 array
    dim : int
    final : bool
        Whether a last line without a line feed is a whole one.
    out : float32 array of shape (capacity, dim)
        Parsing stops when it is full.
    """
    data = block.tobytes()
    words: list[bytes] = []
    invalid: list[int] = []
    consumed = n_lines = n_blank = 0
    problem = None
    while consumed < len(data):
        end = data.find(b"\n", consumed)
        if end < 0 and not final:
            break
        stop = end if end >= 0 else len(data)
        fields = list(_FIELD.finditer(data, consumed, consumed + len(data[consumed:stop].rstrip(b" \t\r"))))
        if fields:
            if len(words) == len(out):
                break
            word, problem = _parse_fields(data, consumed, fields, dim, out[len(words)])
            if problem is not None:
                break
            if not _is_utf8(word):
                invalid.append(len(words))
            words.append(word)
        n_blank += not fields
        n_lines += 1
        consumed = stop + (end >= 0)
    return _as_block(words, consumed, n_lines, n_blank, invalid, problem)


def _parse_fields(
    data: bytes, begin: int, fields: list[re.Match[bytes]], dim: int, row: NDArray[np.float32]
) -> tuple[bytes, tuple[int, int, int, int] | None]:
    empty_word = len(fields) == dim and data[begin : begin + 1] in (b" ", b"\t")
    n_word = len(fields) - dim
    if n_word < 1 and not empty_word:
        return b"", (WRONG_COUNT, len(fields) - 1, begin, fields[-1].end())
    if n_word > 1 and _looks_numeric(fields[n_word - 1][0]):
        count = dim
        while count < len(fields) - 1 and _looks_numeric(fields[len(fields) - 1 - count][0]):
            count += 1
        return b"", (WRONG_COUNT, count, begin, fields[-1].end())
    for j, field in enumerate(fields[n_word:]):
        value = parse_number(field[0])
        if value is None:
            return b"", (BAD_NUMBER, j, field.start(), field.end())
        if not np.isfinite(value):
            return b"", (NOT_FINITE, j, field.start(), field.end())
        row[j] = value
    return (b"" if empty_word else data[fields[0].start() : fields[n_word - 1].end()]), None


def _looks_numeric(field: bytes) -> bool:
    """Whether the field is a finite number; "nan" and "inf" are words too."""
    value = parse_number(field)
    return value is not None and bool(np.isfinite(value))


def parse_binary(block: NDArray[np.uint8], dim: int, out: NDArray[np.float32]) -> ParsedBlock:
    """Parse records of a word2vec binary file: line feeds (left out), a word, a space, ``dim`` little-endian float32.

    The problem code is NOT_FINITE, its bytes those of the word. A record cut short is left for the next block.
    """
    data = block.tobytes()
    words: list[bytes] = []
    invalid: list[int] = []
    consumed = 0
    problem = None
    while len(words) < len(out):
        start = consumed
        while data[start : start + 1] == b"\n":
            start += 1
        space = data.find(b" ", start)
        if space < 0 or space + 1 + 4 * dim > len(data):
            break
        out[len(words)] = np.frombuffer(data, dtype="<f4", count=dim, offset=space + 1)
        if not np.isfinite(out[len(words)]).all():
            problem = (NOT_FINITE, dim, start, space)
            break
        if not _is_utf8(data[start:space]):
            invalid.append(len(words))
        words.append(data[start:space])
        consumed = space + 1 + 4 * dim
    return _as_block(words, consumed, len(words), 0, invalid, problem)


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _as_block(
    words: list[bytes],
    consumed: int,
    n_lines: int,
    n_blank: int,
    invalid: list[int],
    problem: tuple[int, int, int, int] | None,
) -> ParsedBlock:
    offsets = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum([len(word) for word in words], out=offsets[1:])
    blob = np.frombuffer(b"".join(words), dtype=np.uint8)
    return ParsedBlock(blob, offsets, consumed, n_lines, n_blank, np.array(invalid, dtype=np.int64), problem)


def slot_count(n_words: int) -> int:
    """How many slots the index of ``n_words`` words has: the smallest power of two of at least 16 and 2 * n_words."""
    return max(16, 1 << (2 * n_words - 1).bit_length()) if n_words else 16


class WordCollector:
    """Gathers words block by block, the first of equal ones only, and ends as the arrays of a word index."""

    def __init__(self) -> None:
        self._words: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._words)

    def add(self, words: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add a block of words; the rows of the block that were there already, int64."""
        _check_offsets(offsets, len(words))
        blob, bounds, duplicates = words.tobytes(), offsets.tolist(), []
        for row in range(len(bounds) - 1):
            word = blob[bounds[row] : bounds[row + 1]]
            if word in self._words:
                duplicates.append(row)
            self._words[word] = None
        return np.array(duplicates, dtype=np.int64)

    def finish(self) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint64]]:
        """``(words, offsets, slots)`` of all words added."""
        from tlclassic.kernels._index_plain import build_slots

        block = _as_block(list(self._words), 0, 0, 0, [], None)
        slots, _ = build_slots(block.words, block.offsets, slot_count(len(self._words)))
        return block.words, block.offsets, slots


def _check_offsets(offsets: NDArray[np.int64], size: int) -> None:
    if not (len(offsets) and offsets[0] >= 0 and offsets[-1] <= size and (np.diff(offsets) >= 0).all()):
        raise ValueError(f"offsets must ascend within the {size} bytes of the words")


def format_rows(words: NDArray[np.uint8], offsets: NDArray[np.int64], rows: NDArray[np.float32]) -> bytes:
    """Lines ``word number ... number``, each number the shortest that reads back as the same float32."""
    if len(offsets) != len(rows) + 1:
        raise ValueError(f"offsets must have {len(rows) + 1} items; got {len(offsets)}")
    _check_offsets(offsets, len(words))
    blob, bounds = words.tobytes(), offsets.tolist()
    lines = []
    for row, values in enumerate(rows):
        lines.append(blob[bounds[row] : bounds[row + 1]] + b"".join(b" " + format_number(x) for x in values) + b"\n")
    return b"".join(lines)


def format_number(value: np.float32) -> bytes:
    """The shortest decimal number that reads back as ``value``: always with a point or an exponent."""
    text = np.format_float_scientific(value, unique=True, trim="-")
    sign = "-" if text.startswith("-") else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    digits, power = mantissa.replace(".", "").rstrip("0") or "0", int(exponent)
    if power < -5 or power > 14:
        point = "." + digits[1:] if len(digits) > 1 else ""
        body = f"{digits[0]}{point}e{power:+03d}"
    elif power < 0:
        body = "0." + "0" * (-power - 1) + digits
    else:
        digits = digits.ljust(power + 1, "0")
        body = f"{digits[: power + 1]}.{digits[power + 1 :] or '0'}"
    return (sign + body).encode()
