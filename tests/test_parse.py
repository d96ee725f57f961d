"""The kernel of vector text: numbers, lines, binary records, words, writing; each against its plain twin."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tlclassic.kernels import COMPILED, _parse_plain, load
from tlclassic.kernels._index_plain import WordIndex, build_slots

KERNEL = load("parse")
both = pytest.mark.parametrize("kernel", [KERNEL, _parse_plain], ids=["kernel", "plain"])

NUMBERS = st.one_of(
    st.from_regex(r"[+-]?([0-9]{1,25}\.?[0-9]{0,25}|\.[0-9]{1,12})([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: repr(float(np.float32(x)))),
    st.decimals(-10, 10, places=6).map(str),
)
FIELDS = st.one_of(
    NUMBERS, st.sampled_from(["", "nan", "-inf", "Infinity", "1e", "--1", "1_0", "0x1p3", "é", "a", ".", "-", "1.5x"])
)


def as_block(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8)


def parse(kernel, data: bytes, dim: int, *, final: bool = True, capacity: int = 20):
    out = np.zeros((capacity, dim), dtype=np.float32)
    parsed = kernel.parse_lines(as_block(data), dim, final, out)
    return parsed, out[: len(parsed.offsets) - 1]


def words_of(parsed) -> list[bytes]:
    blob = parsed.words.tobytes()
    return [blob[a:b] for a, b in zip(parsed.offsets[:-1], parsed.offsets[1:], strict=True)]


def facts(parsed) -> tuple:
    return (words_of(parsed), *parsed[2:5], parsed.invalid.tolist(), parsed.problem)


def test_the_kernel_is_compiled_here():
    assert not COMPILED or KERNEL.__name__ == "tlclassic.kernels._parse"


@both
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-5", 1e-5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("+3", 3.0),
        ("1E2", 100.0),
        ("0.000000000000000000000000000001", 1e-30),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
        ("1e-50", 0.0),
        ("1.401298464324817e-45", 1.401298464324817e-45),
        ("16777217", 16777216.0),
        # Half-way between two float32 and a digit far behind: the double, not the decimal, is rounded to float32.
        ("1.00000005960464477539062500000000001", 1.0),
        ("3.4028235e38", 3.4028234663852886e38),
    ],
)
def test_numbers(kernel, text, expected):
    parsed, rows = parse(kernel, f"w {text}\n".encode(), 1)
    assert parsed.problem is None
    assert rows[0, 0] == np.float32(expected)


@both
def test_minus_zero_keeps_its_sign(kernel):
    _, rows = parse(kernel, b"w -0.0 -0\n", 2)
    assert np.signbit(rows).all()


@both
@pytest.mark.parametrize("text", ["1e", "e5", ".", "-", "--1", "1.2.3", "1_000", "0x10", "1,5", "x", "1.5x", "٣"])
def test_garbage_is_no_number(kernel, text):
    parsed, _ = parse(kernel, f"good 1 2\nw 1 {text}\n".encode(), 2)
    code, count, start, end = parsed.problem
    assert (code, count) == (KERNEL.BAD_NUMBER, 1)
    assert (parsed.n_lines, parsed.consumed) == (1, 9)
    assert f"good 1 2\nw 1 {text}\n".encode()[start:end] == text.encode()


@both
@pytest.mark.parametrize("text", ["nan", "-NaN", "inf", "-Infinity", "1e39", "-1e999", "1" + "0" * 400])
def test_not_finite_has_its_own_code(kernel, text):
    parsed, _ = parse(kernel, f"w {text}\n".encode(), 1)
    assert parsed.problem[0] == KERNEL.NOT_FINITE


@settings(max_examples=400)
@given(NUMBERS)
@example("8.589973e9")
@example("9007199254740993.0")
@example("0.1234567")
@example("0.12345678")
def test_every_number_is_numpys(text):
    parsed, rows = parse(KERNEL, f"w {text} 0\n".encode(), 2)
    with np.errstate(over="ignore"):
        expected = np.float32(float(text))
    if np.isfinite(expected):
        assert rows[0, 0].tobytes() == expected.tobytes()
    else:
        assert parsed.problem[0] == KERNEL.NOT_FINITE


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", " ", "\t", "  "]),
            st.lists(FIELDS, max_size=5),
            st.sampled_from([" ", "\t", "  "]),
            st.sampled_from(["", " ", "\r", " \t\r"]),
        ),
        max_size=4,
    ),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([b"", b"\n", b"a 1", b"\xff\xc3\x28 1 2"]),
)
def test_lines_are_the_twins(lines, dim, final, rest):
    data = b"".join((lead + gap.join(fields) + tail + "\n").encode() for lead, fields, gap, tail in lines) + rest
    for capacity in (1, 20):
        mine, rows = parse(KERNEL, data, dim, final=final, capacity=capacity)
        plain, expected = parse(_parse_plain, data, dim, final=final, capacity=capacity)
        assert facts(mine) == facts(plain)
        assert rows.tobytes() == expected.tobytes()


@both
def test_words_may_hold_anything_but_a_line_feed(kernel):
    words = [
        ". . .",
        "at name@domain.com",
        "a\x85b",
        "a\xa0b",
        "a\u2028b",
        "a\x0bb",
        "a\x0cb",
        "a\rb",
        "a\x00b",
        "\t a  b",
    ]
    data = "".join(f"{word} 1 2\n" for word in words).encode()
    parsed, rows = parse(kernel, data, 2)
    assert [word.decode() for word in words_of(parsed)] == [word.strip(" \t") for word in words]
    assert rows.tolist() == [[1, 2]] * len(words)


@both
def test_a_word_that_ends_in_a_number_is_a_wrong_count(kernel):
    parsed, _ = parse(kernel, b"w 1 2 3\n", 2)
    assert parsed.problem[:2] == (KERNEL.WRONG_COUNT, 3)
    parsed, _ = parse(kernel, b"w 1\n", 2)
    assert parsed.problem[:2] == (KERNEL.WRONG_COUNT, 1)
    assert words_of(parse(kernel, b"my nan 1 2\n", 2)[0]) == [b"my nan"]


@both
def test_an_unfinished_line_waits_for_the_next_block(kernel):
    parsed, rows = parse(kernel, b"a 1 2\nb 3 4", 2, final=False)
    assert (parsed.consumed, len(rows)) == (6, 1)
    parsed, rows = parse(kernel, b"a 1 2\nb 3 4", 2, final=True)
    assert (parsed.consumed, rows.tolist()) == (11, [[1, 2], [3, 4]])


@both
def test_parsing_stops_when_out_is_full(kernel):
    parsed, _ = parse(kernel, b"a 1\nb 2\n\nc 3\n", 1, capacity=2)
    assert (words_of(parsed), parsed.consumed, parsed.n_blank) == ([b"a", b"b"], 9, 1)


@both
@pytest.mark.parametrize(
    "word",
    [b"\xff", b"\xc0\xaf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3", b"a\xe2\x82", b"\x80"],
)
def test_invalid_utf8_is_told(kernel, word):
    assert parse(kernel, b"ok 1\n" + word + b" 1\n", 1)[0].invalid.tolist() == [1]


@settings(max_examples=200)
@given(st.binary(max_size=6))
def test_utf8_is_pythons(word):
    word = word.translate(None, b"\n \t\r") or b"x"
    try:
        word.decode("utf-8")
        expected = []
    except UnicodeDecodeError:
        expected = [0]
    assert parse(KERNEL, word + b" 1\n", 1)[0].invalid.tolist() == expected


def test_the_shape_of_out_is_checked():
    if COMPILED:
        with pytest.raises(ValueError, match="2 >= 1 columns; got 3"):
            KERNEL.parse_lines(as_block(b"a 1 2\n"), 2, True, np.zeros((1, 3), np.float32))


# -- binary ------------------------------------------------------------------------------------------------------------


@both
def test_binary_records_with_and_without_line_feeds(kernel):
    data = b"a " + struct.pack("<2f", 1, 2) + b"\nb\xff " + struct.pack("<2f", 3, 4) + b"c " + struct.pack("<f", 5)
    out = np.zeros((5, 2), dtype=np.float32)
    parsed = kernel.parse_binary(as_block(data), 2, out)
    assert (words_of(parsed), parsed.invalid.tolist(), parsed.problem) == ([b"a", b"b\xff"], [1], None)
    assert out[:2].tolist() == [[1, 2], [3, 4]]
    assert data[parsed.consumed :].startswith(b"c ")


@both
def test_binary_not_finite(kernel):
    data = b"a " + struct.pack("<f", 1) + b"bad " + struct.pack("<f", float("nan"))
    parsed = kernel.parse_binary(as_block(data), 1, np.zeros((5, 1), dtype=np.float32))
    assert parsed.problem == (KERNEL.NOT_FINITE, 1, 6, 9)


@given(st.binary(max_size=60), st.integers(1, 3), st.integers(0, 4))
def test_binary_is_the_twins(data, dim, capacity):
    results = []
    for kernel in (KERNEL, _parse_plain):
        out = np.zeros((capacity, dim), dtype=np.float32)
        parsed = kernel.parse_binary(as_block(data), dim, out)
        results.append((facts(parsed), out[: len(parsed.offsets) - 1].tobytes()))
    assert results[0] == results[1]


# -- words -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.binary(max_size=9), max_size=30), max_size=4))
def test_the_collector_is_the_twins_and_the_index_builders(blocks):
    mine, plain = KERNEL.WordCollector(), _parse_plain.WordCollector()
    for words in blocks:
        packed = _parse_plain._as_block(words, 0, 0, 0, [], None)
        assert mine.add(packed.words, packed.offsets).tolist() == plain.add(packed.words, packed.offsets).tolist()
    arrays, expected = mine.finish(), plain.finish()
    assert len(mine) == len(plain) == len(expected[1]) - 1
    for array, other in zip(arrays, expected, strict=True):
        assert array.tolist() == other.tolist()
    slots, duplicates = build_slots(arrays[0], arrays[1], KERNEL.slot_count(len(mine)))
    assert slots.tolist() == arrays[2].tolist()
    assert len(duplicates) == 0
    unique = list(dict.fromkeys(word for words in blocks for word in words))
    index = load("index").WordIndex(arrays[2], arrays[0], arrays[1])
    assert index.find_many(unique).tolist() == list(range(len(unique)))
    assert WordIndex(arrays[2], arrays[0], arrays[1]).find_many([b"nobody has this"]).tolist() == [-1]


def test_the_collector_grows():
    collector = KERNEL.WordCollector()
    for start in range(0, 60_000, 20_000):
        words = [f"word{i}".encode() for i in range(start, start + 20_000)]
        packed = _parse_plain._as_block(words, 0, 0, 0, [], None)
        assert len(collector.add(packed.words, packed.offsets)) == 0
        assert len(collector.add(packed.words, packed.offsets)) == 20_000
    blob, offsets, slots = collector.finish()
    assert (len(offsets), len(slots)) == (60_001, 131_072)
    assert load("index").WordIndex(slots, blob, offsets).find(b"word59999") == 59_999


@pytest.mark.parametrize(("n", "slots"), [(0, 16), (8, 16), (9, 32), (16, 32), (17, 64), (400_000, 1 << 20)])
def test_slot_count(n, slots):
    assert KERNEL.slot_count(n) == slots


# -- writing -----------------------------------------------------------------------------------------------------------


def written(kernel, values) -> bytes:
    rows = np.array([values], dtype=np.float32)
    return kernel.format_rows(as_block(b"w"), np.array([0, 1]), rows)


@both
def test_numbers_are_written_as_short_as_can_be(kernel):
    values = [0.1, -0.25, 1, 0, -0.0, 1e-5, 1.5e-7, 123456.78, 1e14, 1e15, 1e20, 3.4028235e38, 1e-45, 0.3333333]
    assert written(kernel, values) == (
        b"w 0.1 -0.25 1.0 0.0 -0.0 0.00001 1.5e-07 123456.78 100000000000000.0 1e+15 1e+20 3.4028235e+38 1e-45 "
        b"0.3333333\n"
    )


@settings(max_examples=400)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_what_is_written_reads_back_bit_for_bit(values):
    text = written(KERNEL, values)
    _, rows = parse(KERNEL, text, len(values))
    assert rows.tobytes() == np.array(values, dtype="<f4").tobytes()
    _, rows = parse(KERNEL, written(_parse_plain, values), len(values))
    assert rows.tobytes() == np.array(values, dtype="<f4").tobytes()


def test_random_numbers_are_written_as_the_twin_does():
    rng = np.random.default_rng(7)
    values = (rng.normal(size=2000) * 10.0 ** rng.integers(-9, 9, size=2000)).astype(np.float32)
    assert written(KERNEL, values) == written(_parse_plain, values)


@both
def test_rows_without_words_and_empty_rows(kernel):
    assert kernel.format_rows(as_block(b""), np.array([0]), np.zeros((0, 3), np.float32)) == b""
    with pytest.raises(ValueError, match="offsets must have 2 items; got 1"):
        kernel.format_rows(as_block(b""), np.array([0]), np.zeros((1, 3), np.float32))


@both
@pytest.mark.parametrize("offsets", [[-1, 1], [0, 9], [2, 1], []])
def test_offsets_out_of_bounds_are_refused(kernel, offsets):
    offsets = np.array(offsets, dtype=np.int64)
    rows = np.zeros((len(offsets) - 1 if len(offsets) else 0, 1), np.float32)
    with pytest.raises(ValueError, match="offsets must"):
        kernel.format_rows(as_block(b"word"), offsets, rows)
    with pytest.raises(ValueError, match="offsets must ascend within the 4 bytes of the words"):
        kernel.WordCollector().add(as_block(b"word"), offsets)
