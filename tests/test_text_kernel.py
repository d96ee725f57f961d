"""The tokeniser's kernel: equal to its plain twin, idempotent, linear, safe in threads; tables equal to Python's."""

from __future__ import annotations

import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import COMPILED, _tokenize_plain, load
from tlclassic.kernels import _tokenize_rules as rules
from tlclassic.kernels._tokenize_tables import UNICODE_VERSION, tables
from tlclassic.text import Tokenizer

kernel = load("tokenize")
KernelIndex = load("index")

PIECES = [
    *["don't", "can’t", "N'T", "it's", "'s", "''", "'", "’ll", "n", "t", "ll", "o'clock"],
    *[" ", "\u00a0", "\x85", "\x00", "\u200b", "\ud800", "\udfff", "\ufffd", "\t"],
    *[":)", "<3", ":D", "d:", "D:", ">:(", ":/", "^^", "o.o", "-_-", "8-)", "(", ")", "/", "\\", "3", ":", "=", "<"],
    *["http://", "HTTPS://", "www.", "a@b.co", "@", "u.s.", ".", "..", ",", "--", "-", "_", "!", "?", "！", "#", "*"],
    *["\u0301", "\u0323", "\u0345", "\u0327", "\u0334", "é", "Å", "Å", "ǰ", "ﬁ", "ß", "ẞ", "ŉ", "İ", "I", "º", "豈"],
    *["Σ", "ς", "σ", "Ω", "ᾈ", "\u1e9b\u0323", "\u0340", "ʼ", "´", "Ꭰ", "Ⓜ", "ⓐ", "ǅ"],
    *["\u200d", "\u200c", "\u00ad", "\ufe0f", "\ufeff", "\u034f", "\u20e3", "1", "2", "½", "٣"],
    *["👩", "🏽", "❤", "🔥", "🇩", "🇪", "🏴", "\U000e0067", "\U000e007f", "©"],
    *["漢", "カ", "ー", "ひ", "が", "か\u3099", "ก", "\u0e31", "ำ", "မြ", "\u1039", "\u1025\u102e"],
    *["가", "\u11a8", "\u1100", "\u1161", "\u0f71\u0f72", "\u09c7", "\u09be", "हि", "ع", "x", "A", "b"],
]
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.characters(codec=None)), max_size=14).map("".join)
options = st.builds(
    lambda case, accents, form, contractions, marks, emoji, faces: (
        case | accents | form | contractions | marks | emoji | faces
    ),
    st.sampled_from([0, rules.LOWER, rules.FOLD]),
    st.sampled_from([0, rules.STRIP]),
    st.sampled_from([0, rules.NFC]),
    st.sampled_from([0, rules.SPLIT]),
    st.sampled_from([0, rules.EMPHASIS, rules.PUNCTUATION]),
    st.sampled_from([0, rules.EMOJI]),
    st.sampled_from([0, rules.EMOTICONS]),
)
DEFAULT = rules.LOWER | rules.NFC | rules.SPLIT | rules.EMPHASIS | rules.EMOJI | rules.EMOTICONS


def make_index(words: list[str]) -> Any:
    raw = [word.encode() for word in words]
    offsets = np.concatenate([[0], np.cumsum([len(word) for word in raw], dtype=np.int64)]).astype(np.int64)
    blob = np.frombuffer(b"".join(raw), dtype=np.uint8)
    n_slots = 1 << (2 * len(words) + 1).bit_length()
    return KernelIndex.WordIndex(KernelIndex.build_slots(blob, offsets, n_slots)[0], blob, offsets)


INDEX = make_index(["do", "n't", "Do", "it", "'s", ":)", "!", "é", "x", "漢", "οδος", "❤", "a@b.co", "i̇", "\u01f0"])


@settings(max_examples=400, deadline=None)
@given(texts, options)
def test_tokens_equal_the_plain_twin(text: str, flags: int) -> None:
    assert kernel.normalise(text, flags) == _tokenize_plain.normalise(text, flags)
    assert kernel.tokens(text, flags) == _tokenize_plain.tokens(text, flags)


@settings(max_examples=200, deadline=None)
@given(texts, options)
def test_spans_equal_the_plain_twin(text: str, flags: int) -> None:
    words, places = kernel.spans(text, flags)
    expected_words, expected_places = _tokenize_plain.spans(text, flags)
    assert words == expected_words
    assert places.dtype == np.int64
    np.testing.assert_array_equal(places, expected_places)
    assert words == kernel.tokens(text, flags)
    assert all(0 <= start < end <= len(text) for start, end in places[:, :2].tolist())


@settings(max_examples=200, deadline=None)
@given(st.lists(texts, max_size=5), options, st.booleans(), st.booleans())
def test_lookup_equals_the_plain_twin(batch: list[str], flags: int, lower_fallback: bool, unknown: bool) -> None:
    found = kernel.lookup(batch, INDEX, flags, lower_fallback, unknown)
    expected = _tokenize_plain.lookup(batch, INDEX, flags, lower_fallback, unknown)
    for got, wished in zip(found[:3], expected[:3], strict=True):
        assert got.dtype == wished.dtype
        np.testing.assert_array_equal(got, wished)
    assert found[3] == expected[3]


@settings(max_examples=400, deadline=None)
@given(texts, options)
def test_tokens_joined_by_spaces_give_the_same_tokens(text: str, flags: int) -> None:
    tokens = kernel.tokens(text, flags)
    assert kernel.tokens(" ".join(tokens), flags) == tokens


@settings(max_examples=200, deadline=None)
@given(texts)
def test_composed_and_decomposed_text_give_the_same_tokens(text: str) -> None:
    # Ignored characters between a letter and its mark are dropped first, which the standard's own forms do not do.
    text = "".join(c for c in text if _tokenize_plain.character_class(ord(c)) != rules.IGNORED)
    forms = {tuple(kernel.tokens(unicodedata.normalize(form, text), DEFAULT)) for form in ("NFC", "NFD")}
    assert forms == {tuple(kernel.tokens(text, DEFAULT))}


@pytest.mark.parametrize("flags", [DEFAULT, DEFAULT & ~rules.LOWER, DEFAULT | rules.STRIP])
def test_pieces_of_long_texts_join_seamlessly(flags: int) -> None:
    rng = np.random.default_rng(0)
    for filler in ("", "é"):
        text = filler + "".join(PIECES[i] for i in rng.integers(0, len(PIECES), rules.CHUNK))
        assert kernel.tokens(text, flags) == _tokenize_plain.tokens(text, flags)
        words, places = kernel.spans(text, flags)
        assert words == kernel.tokens(text, flags)
        np.testing.assert_array_equal(places, _tokenize_plain.spans(text, flags)[1])


@pytest.mark.parametrize("piece", ["a,b! ", "a,b!", "é,b!", "a,b'"])
def test_many_tokens_with_and_without_spaces(piece: str) -> None:
    text = piece * 50_000
    assert kernel.tokens(text, DEFAULT) == _tokenize_plain.tokens(text, DEFAULT)
    words, places = kernel.spans(text, DEFAULT)
    assert all(text[start:end] == word for word, (start, end) in zip(words, places[:, :2].tolist(), strict=True))
    assert len(kernel.lookup([text, "x", text], INDEX, DEFAULT, False, False)[0]) == 2 * len(words) + 1


def every_kind_of_character() -> list[int]:
    """A few characters of each distinct record, and each that has a long mapping."""
    found: dict[tuple[int, ...], list[int]] = {}
    for c in range(0x110000):
        alike = found.setdefault(_tokenize_plain.record(c), [])
        if len(alike) < 3:
            alike.append(c)
    special = [*tables()["decomposition_keys"].tolist(), *tables()["fold_keys"].tolist()]
    return sorted({*special, *(c for alike in found.values() for c in alike)})


def test_every_kind_of_character_alone_and_beside_letters() -> None:
    characters = every_kind_of_character()
    assert len(characters) > 2000
    for start in range(0, len(characters), 100):
        text = "".join(f" {chr(c)} a{chr(c)}b Σ{chr(c)}" for c in characters[start : start + 100])
        for flags in (DEFAULT, DEFAULT & ~rules.NFC, rules.FOLD | rules.STRIP | rules.PUNCTUATION):
            assert kernel.tokens(text, flags) == _tokenize_plain.tokens(text, flags)


HARD = [
    *[
        "a",
        "é",
        "a.",
        "a@",
        "a@b.",
        "a.b@",
        ":(",
        "^^x",
        "^",
        "(",
        "'",
        "a'",
        "'s",
        "a's",
        "n't",
        "--",
        "..",
        "!",
        ":((x",
    ],
    *[
        "http://",
        "http://a",
        "http://a.(",
        "www.",
        "a_",
        "1.",
        "1,",
        "<3",
        ":d",
        "o.o",
        "e\u0301",
        "\u0301\u0323",
        "Σ\u0301",
    ],
    *[
        "Σ",
        "\u200d",
        "👩\u200d",
        "🇩",
        "👩🏽",
        "\ufe0f",
        "漢",
        "ー",
        "가",
        "\u1100",
        "a\u200d",
        "\x00",
        "\ud800",
        "İ",
        "ŉ",
    ],
]


@pytest.mark.parametrize("piece", HARD)
def test_time_is_linear_on_hard_texts(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    for flags in (DEFAULT, DEFAULT | rules.PUNCTUATION | rules.STRIP):
        start = time.perf_counter()
        kernel.tokens(text if COMPILED else text[:20_000], flags)
        # Quadratic work would take minutes.
        assert time.perf_counter() - start < 5


def test_lookup_gives_bounds_rows_and_unknown_words() -> None:
    found = Tokenizer().lookup(["Don't zap", "", "x ÉÉ é"], INDEX, unknown=True)
    assert found.rows.tolist() == [0, 1, -1, 8, -1, 7]
    assert found.rows.dtype == np.int32
    assert found.indptr.tolist() == [0, 3, 3, 6]
    assert found.unknown_at.tolist() == [2, 4]
    assert found.unknown_words == ["zap", "éé"]
    assert Tokenizer().lookup([], INDEX).indptr.tolist() == [0]
    assert Tokenizer().lookup(["zap"], INDEX).unknown_words == []


def test_lookup_falls_back_to_lower_case() -> None:
    tokenizer = Tokenizer(case="keep")
    batch = ["Do DO X É ΟΔΟΣ İ J\u030c Zap"]
    assert tokenizer.lookup(batch, INDEX).rows.tolist() == [2, -1, -1, -1, -1, -1, -1, -1]
    found = tokenizer.lookup(batch, INDEX, lower_fallback=True, unknown=True)
    assert found.rows.tolist() == [2, 0, 8, 7, 10, 13, 14, -1]
    assert found.unknown_words == ["Zap"]


def test_lookup_takes_arrays_and_refuses_what_is_no_list_of_texts() -> None:
    assert Tokenizer().lookup(np.array(["x", "y"]), INDEX).rows.tolist() == [8, -1]
    with pytest.raises(InvalidParameterError, match="X must be a list of texts; got a single string"):
        Tokenizer().lookup("text", INDEX)
    with pytest.raises(InvalidParameterError, match=r"X\[1\] must be a string; got None"):
        Tokenizer().lookup(["a", None], INDEX)  # type: ignore[list-item]


def test_threads_do_not_disturb_each_other() -> None:
    batch = ["Don't é zap :) x 漢!" * 50] * 50
    expected = Tokenizer().lookup(batch, INDEX, unknown=True)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: Tokenizer().lookup(batch, INDEX, unknown=True), range(16)):
            np.testing.assert_array_equal(found.rows, expected.rows)
            assert found.unknown_words == expected.unknown_words


def known_to_python() -> list[int]:
    return [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]


def test_normalisation_and_case_are_those_of_python_for_what_it_knows() -> None:
    assert tuple(map(int, unicodedata.unidata_version.split("."))) <= tuple(map(int, UNICODE_VERSION.split(".")))
    plain = (rules.LETTER, rules.DIGIT, rules.MARK, rules.SOLO, rules.HIRAGANA, rules.KATAKANA, rules.SYMBOL)
    for c in known_to_python():
        if _tokenize_plain.character_class(c) not in plain:
            continue
        char = chr(c)
        composed = unicodedata.normalize("NFC", char)
        if all(_tokenize_plain.character_class(ord(x)) in plain for x in composed):
            assert kernel.normalise(char, rules.NFC) == composed
        assert kernel.normalise(char, rules.LOWER) == char.lower()
        if c != 0x149:  # its folding begins with an apostrophe
            assert kernel.normalise(char, rules.FOLD) == char.casefold()


def test_tables_are_small() -> None:
    assert sum(array.nbytes for array in tables().values()) < 150_000


def test_emoticons_fit_the_kernel() -> None:
    faces = rules.EMOTICONS_LIST
    assert len(set(faces)) == len(faces)
    assert all(face == face.lower() and face.isascii() and 2 <= len(face) <= 8 for face in faces)
    for face in faces:
        assert Tokenizer()(f"x {face} y")[1:-1] == [face], face
