"""The n-grams kernel and its plain twin: tokens as literals, both equal, every SIMD level equal."""

from __future__ import annotations

import doctest
import itertools
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tlclassic.kernels import _ngrams_plain as plain
from tlclassic.kernels import load

K = load("ngrams")
# Characters that normalisation, folding and the rules treat in some way of their own.
NASTY = (
    "aAbZ 9_'’.!?$-<>\n\x00\x7fßİıéÉ\u0301\u0327\u0300ſKÅΣςµÿ\u00ad\u200d\u200c\ufe0f😀👨👩👍🏽🇫🇷🏴\U000e0067\u20e3"
    "我爱ひカー゛\u3099がไทยำนมสते्क़़한ᄒ\u1161\u11a8عَّا\ufffd\u0345ᾳΐŉǰ！？Ａ…—«。\u0344\U0001d15e\U00010400"
    "Ⓐ\u2126\u037e\u0f71\u0f72\u0f73"
)
TEXTS = st.one_of(
    st.text(st.sampled_from(NASTY + "\ud800\udfff"), max_size=150),
    st.text(st.sampled_from("abC' .\n"), max_size=200),
    st.text(max_size=30),
    st.binary(max_size=40),
    st.text(st.sampled_from(NASTY), max_size=40).map(lambda text: text.encode()[1:-1]),
)
OPTIONS = st.tuples(
    st.sampled_from([(0, 0), (1, 1), (1, 2), (2, 3), (1, 8)]),
    st.sampled_from([(0, 0), (1, 3), (3, 6), (2, 12)]),
    st.sampled_from([1, 20, 31]),
    st.booleans(),
    st.booleans(),
)


@pytest.fixture(autouse=True)
def best_level() -> Iterator[None]:
    yield
    K.set_level(K.levels()[-1])


def assert_same(found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@given(st.lists(TEXTS, max_size=4), OPTIONS)
@example(["e\u00ad\u0301", "한국\u11a8", "'\u0301'a", "a'我'b"], ((1, 2), (1, 3), 20, True, True))
@settings(max_examples=150, deadline=None)
def test_kernel_equals_twin_at_every_level(texts: list[str | bytes], options: Any) -> None:
    expected = plain.Ngrams(*options).buckets(texts)
    for level in K.levels():
        K.set_level(level)
        assert_same(K.Ngrams(*options).buckets(texts), expected)


@given(st.lists(TEXTS, max_size=4), OPTIONS, st.sampled_from(["word", "char"]))
@settings(max_examples=60, deadline=None)
def test_counts_equal_twin(texts: list[str | bytes], options: Any, family: str) -> None:
    assert_same(K.Ngrams(*options).counts(texts, family), plain.Ngrams(*options).counts(texts, family))


@pytest.mark.parametrize("text", ["It's 5 o'clock, isn't it? ", "naïve Straße 我们 😀 "])
def test_every_length_around_the_blocks(text: str) -> None:
    long = text * 12
    texts = [long[start : start + n] for start in (0, 1, 3) for n in range(200)]
    expected = plain.Ngrams(chars=(2, 4)).buckets(texts)
    for level in K.levels():
        K.set_level(level)
        assert_same(K.Ngrams(chars=(2, 4)).buckets(texts), expected)
        assert_same(K.Ngrams(chars=(2, 4)).buckets([t.encode() for t in texts]), expected)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't STOP...  it’s :)", ["don't", "stop", "...", "it's", ":)"]),
        ("'a' ''b'' rock'n'roll '", ["'", "a", "'", "''", "b", "''", "rock'n'roll", "'"]),
        ("a_b 3.5% $5 me@x.org", ["a_b", "3", ".", "5", "%", "$", "5", "me", "@", "x", ".", "org"]),
        ("Straße STRASSE ǰ", ["strasse", "strasse", "ǰ"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("soft\u00adhyphen zero\u200dwidth", ["softhyphen", "zerowidth"]),
        ("我爱 NLP的", ["我", "爱", "nlp", "的"]),
        ("ひらカタカナ 한국어", ["ひ", "ら", "カタカナ", "한국어"]),
        ("ภาษา", ["ภ", "า", "ษ", "า"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("السلام عليكم؟", ["السلام", "عليكم", "؟"]),
        ("ok👍🏽!! I❤️U 👨‍👩‍👧 🇫🇷🇩🇪 1️⃣", ["ok", "👍", "!!", "i", "❤", "u", "👨", "👩", "👧", "🇫🇷", "🇩🇪", "1"]),
        ("«naïve»—100€", ["«", "naïve", "»—", "100", "€"]),
        ("a\x00b\ud800c\ufffdd\u3000e\nf", ["a", "b", "c", "d", "e", "f"]),
        (b"caf\xc3\xa9 \xff\xe2\x82x", ["café", "x"]),
        ("", []),
    ],
)
def test_tokens(text: str | bytes, tokens: list[str]) -> None:
    found = K.Ngrams().tokens(text)
    assert found == tokens
    joined = K.Ngrams(words=(1, 1), bits=31).buckets([text])[0]
    alone = [K.Ngrams(words=(1, 1), bits=31).buckets([token])[0] for token in tokens]
    np.testing.assert_array_equal(joined, np.concatenate(alone) if alone else joined[:0])


def test_options() -> None:
    assert K.Ngrams(fold=False, keep_punctuation=False).tokens("Don't, STOP! Ünï") == ["Don't", "STOP", "Ünï"]
    assert K.Ngrams(keep_punctuation=False).tokens("a 😀, b") == ["a", "😀", "b"]
    ngrams = K.Ngrams((1, 3), (2, 4), 18, False, True)
    assert (ngrams.words, ngrams.chars, ngrams.bits) == ((1, 3), (2, 4), 18)
    assert (ngrams.fold, ngrams.keep_punctuation) == (False, True)


@given(st.text(st.sampled_from(NASTY), max_size=60))
@settings(max_examples=80, deadline=None)
def test_equal_texts_give_equal_buckets(text: str) -> None:
    forms = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD")), text.encode()]
    rows = [K.Ngrams().buckets([form])[0] for form in forms]
    for row in rows[1:]:
        np.testing.assert_array_equal(row, rows[0])


def test_the_hash_is_what_models_were_trained_with() -> None:
    """These numbers are in saved models: a change of them is a change of HASH_VERSION."""
    assert K.HASH_VERSION == 1
    words, _, chars, _ = K.Ngrams(chars=(2, 3)).buckets(["ab Cß"])
    assert words.tolist() == [578973, 926541, 847810]
    expected = [928576, 189957, 588686, 498522, 489269, 614898, 771228, 34966, 732512, 80387, 895180, 482854]
    assert chars.tolist() == expected
    assert f"{plain.hash_bytes(b'internationalisation', plain.SEED_WORD):016x}" == "7b9de52ded8e3d00"


def test_spans_are_places_in_the_original_text() -> None:
    text = "Straße e\u0301t\u00ade"
    spans = K.Ngrams(chars=(3, 3)).spans(text)
    assert [(s, e) for family, _, s, e in spans if family == 0] == [(0, 6), (7, 12), (0, 12)]
    for given_text in (text, "ab 我们 I❤️U, it's"):
        ngrams = K.Ngrams(chars=(1, 4))
        found = ngrams.buckets([given_text])
        for family in (0, 1):
            buckets = [bucket for unit, bucket, _, _ in ngrams.spans(given_text) if unit == family]
            assert buckets == found[2 * family].tolist()


@pytest.mark.parametrize(("unit", "repeats"), [("ab ", 400_000), ("é我", 300_000), ("x.", 500_000), ("न म\n", 200_000)])
def test_texts_larger_than_a_piece(unit: str, repeats: int) -> None:
    """Cut into pieces, with the n-grams across the cuts."""
    text = unit * repeats
    found = K.Ngrams(words=(1, 3)).buckets([text])[0]
    assert_same(K.Ngrams(words=(1, 3)).buckets([text.encode()])[:1], (found,))
    n_tokens = len(plain.Ngrams().tokens(unit))
    period = plain.Ngrams(words=(1, 3)).buckets([unit * 4])[0][3 : 3 + 3 * n_tokens]
    assert len(found) == 3 * n_tokens * repeats - 3
    np.testing.assert_array_equal(found[3:], np.resize(period, len(found) - 3))


@pytest.mark.parametrize("unit", ["a", "é", "!", "a'"])
def test_one_huge_token(unit: str) -> None:
    text = unit * 500_000 + "a"
    found = K.Ngrams(words=(1, 2)).buckets([text, text.encode()])[0].reshape(2, -1)
    np.testing.assert_array_equal(found[0], found[1])
    expected = [plain.hash_bytes(token.encode(), plain.SEED_WORD) for token in K.Ngrams().tokens(text)]
    assert found[0][0] == (expected[0] * plain.BUCKET % 2**64) >> 44
    assert found.shape[1] == 2 * len(expected) - 1


def test_buckets_are_spread_evenly() -> None:
    """Chi-square of short, regular words: its expectation is the number of buckets, its deviation sqrt(2 * that)."""
    words = ["".join(w) for w in itertools.product("aeioust", repeat=6)] + [f"{i}" for i in range(30_000)]
    for texts, ngrams in (
        (words, K.Ngrams((1, 1), bits=12)),
        ([f"{w} {w[::-1]}" for w in words], K.Ngrams((2, 2), bits=12)),
    ):
        counts = np.bincount(ngrams.buckets(texts)[0], minlength=4096)
        expected = counts.sum() / 4096
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert 4096 - 6 * np.sqrt(2 * 4096) < chi_square < 4096 + 6 * np.sqrt(2 * 4096)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"words must be .* got \(2, 1\)"):
        K.Ngrams(words=(2, 1))
    with pytest.raises(ValueError, match="bits must be from 1 to 31; got 32"):
        K.Ngrams(bits=32)
    with pytest.raises(TypeError, match="a text must be str or bytes; got int"):
        K.Ngrams().buckets(["a", 3])
    with pytest.raises(ValueError, match='family must be "word" or "char"'):
        K.Ngrams().counts(["a"], "words")
    with pytest.raises(ValueError, match="level must be one of"):
        K.set_level("abacus")


def test_the_page_on_ngrams() -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "ngrams.md"
    results = doctest.testfile(str(page), module_relative=False)
    assert results.attempted >= 8
    assert results.failed == 0
