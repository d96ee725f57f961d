"""The rules of the word tokeniser, one literal expectation each."""

from __future__ import annotations

import json
import sys

import pytest

from tlclassic.errors import InvalidParameterError
from tlclassic.text import UNICODE_VERSION, Span, Tokenizer


def words(text: str, **options: object) -> str:
    return " | ".join(Tokenizer(**options)(text))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \t\r\n\x0b\x0c\x85\xa0\u2028\u3000", ""),
        ("The cat sat.", "the | cat | sat"),
        ("well-known state-of-the-art", "well | known | state | of | the | art"),
        ("foo_bar _baz_ a__b", "foo_bar | baz | a | b"),
        ("1,000.50 3.5mm v1.2.3 10.0.0.1", "1,000.50 | 3.5mm | v1.2.3 | 10.0.0.1"),
        ("1. 2, .5 a.5 5.a", "1 | 2 | 5 | a | 5 | 5 | a"),
        ("8:00 16:9 1/2 $5 50%", "8 | 00 | 16 | 9 | 1 | 2 | 5 | 50"),
        ("the U.S. and e.g. J.R.R.'s u.s.a, U.S's", "the | u.s. | and | e.g. | j.r.r. | 's | u.s.a | u.s | 's"),
        ("т.е. π.χ.", "т.е. | π.χ."),
        ("t.co Ph.D. end.I u.s.army", "t | co | ph | d | end | i | u | s | army"),
        ("@user_name #BlackLivesMatter C++", "user_name | blacklivesmatter | c"),
        ("m² ½ ①", "m² | ½ | ①"),
    ],
)
def test_words_and_numbers(text: str, expected: str) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "split", "keep"),
    [
        ("don't", "do | n't", "don't"),
        ("Can’t", "ca | n't", "can't"),
        ("cannot", "cannot", "cannot"),
        ("WON'T", "wo | n't", "won't"),
        ("it's we're I'll they'd I've I'm", "it | 's | we | 're | i | 'll | they | 'd | i | 've | i | 'm", None),
        ("y'all'd've", "y'all | 'd | 've", "y'all'd've"),
        ("o'clock O’Brien rock'n'roll l'homme", "o'clock | o'brien | rock'n'roll | l'homme", None),
        ("dogs' '90s 80's 5'10", "dogs | 90s | 80 | 's | 5 | 10", None),
        ("ca n't it 's do n't", "ca | n't | it | 's | do | n't", "ca | n't | it | 's | do | n't"),
        ("'quoted' 'd' the 's'", "quoted | d | the | s", "quoted | d | the | s"),
        ("a'n't x_n't", "a'n't | x_n't", None),
        ("п’ять donʼt don＇t", "п'ять | do | n't | do | n't", None),
    ],
)
def test_contractions(text: str, split: str, keep: str | None) -> None:
    assert words(text) == split
    if keep is not None:
        assert words(text, contractions="keep") == keep


@pytest.mark.parametrize(
    ("text", "drop", "emphasis", "keep"),
    [
        ("Hi, (you)!", "hi | you", "hi | you | !", "hi | , | ( | you | ) | !"),
        ("what?!?!?!", "what", "what | ? | ! | ?", "what | ? | ! | ?"),
        ("啊！？", "啊", "啊 | ! | ?", "啊 | ! | ?"),
        ("a--b --- ... .. .....", "a | b", "a | b", "a | -- | b | -- | ... | . | . | ..."),
        ("a-b", "a | b", "a | b", "a | - | b"),
        ("$5 — “x” … #t", "5 | x | t", "5 | x | t", "$ | 5 | — | “ | x | ” | … | # | t"),
        ("dogs' 'x'", "dogs | x", "dogs | x", "dogs | ' | ' | x | '"),
        ("©™®", "", "", "© | ™ | ®"),
    ],
)
def test_punctuation(text: str, drop: str, emphasis: str, keep: str) -> None:
    assert words(text, punctuation="drop") == drop
    assert words(text, punctuation="emphasis") == emphasis
    assert words(text, punctuation="keep") == keep


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so😀good", "so | 😀 | good"),
        ("❤️❤ ☺︎", "❤ | ❤ | ☺"),
        ("👩🏽‍🦰👨‍👩‍👧", "👩🏽‍🦰 | 👨‍👩‍👧"),
        ("🤷‍♀️ 👁️‍🗨️", "🤷‍♀ | 👁‍🗨"),
        ("🇩🇪🇫🇷🇬", "🇩🇪 | 🇫🇷 | 🇬"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿x", "🏴󠁧󠁢󠁥󠁮󠁧󠁿 | x"),
        ("1️⃣ #️⃣ *⃣ 12⃣", "1⃣ | #⃣ | *⃣ | 12"),
        ("🏽 👩‍ a", "🏽 | 👩 | a"),
        ("Ⓜ ‼", "Ⓜ | ‼"),
    ],
)
def test_emoji_are_one_token_each(text: str, expected: str) -> None:
    assert words(text) == expected


def test_emoji_off() -> None:
    assert words("so😀good 🇩🇪 1️⃣", emoji=False) == "so | good | 1"
    assert words("👩🏽", emoji=False, punctuation="keep") == "👩 | 🏽"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":) :-( ;-) :D :'( <3 =) :/", ":) | :-( | ;-) | :d | :'( | <3 | =) | :/"),
        ("XD xD D: >:( (: ^_^ -_- o.O T_T", "xd | xd | d: | >:( | (: | ^_^ | -_- | o.o | t_t"),
        ("lol:) great:-)thanks!:(", "lol | :) | great | :-) | thanks | ! | :("),
        (":)))))) :DDD <33333 :((((", ":) | :d | <3 | :("),
        ("http://x.org ratio 1:3) 8:00 16:9) 10:30:)", "http://x.org | ratio | 1 | 3 | 8 | 00 | 16 | 9 | 10 | 30 | :)"),
        ("foo:D a<3b (T&D:) either:/or C:/dir", "foo | d | a | 3b | t | d | :) | either | or | c | dir"),
        (":path 3:2", "path | 3 | 2"),
        ("reasons:(1) x=(y) std::dir :start", "reasons | 1 | x | y | std | dir | start"),
        ("mailto://host foo://bar", "mailto | host | foo | bar"),
    ],
)
def test_emoticons(text: str, expected: str) -> None:
    assert words(text) == expected


def test_emoticons_off() -> None:
    assert words("hi :) :D <3", emoticons=False) == "hi | d | 3"
    assert words(":)", emoticons=False, punctuation="keep") == ": | )"


def test_emoticons_keep_their_case_when_words_do() -> None:
    assert words("Hi :D :P", case="keep") == "Hi | :D | :P"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://ex.org/a?b=c#d.", "see | https://ex.org/a?b=c#d"),
        ("(http://ex.org/a(b)) www.ex.org!", "http://ex.org/a(b) | www.ex.org | !"),
        ('<a href="http://ex.org">x</a>', "a | href | http://ex.org | x | a"),
        ("http:// https:/x www. wwwx.y ex.com", "http | https | x | www | wwwx | y | ex | com"),
        ("http://ex.org/été/漢字😀", "http://ex.org/été/ | 漢 | 字 | 😀"),
        ("Mail J.Doe+x@mail.ex.org, now", "mail | j.doe+x@mail.ex.org | now"),
        ("a@b a@b.c a@b.co. @ab.co a@b@c.de", "a | b | a | b.c | a@b.co | ab | co | a | b@c.de"),
        ("a@ex.comé a@-x.com", "a | ex | comé | a | x | com"),
    ],
)
def test_addresses(text: str, expected: str) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("東京タワーへ行く", "東 | 京 | タワー | へ | 行 | く"),
        ("らーめん ﾗｰﾒﾝ が", "らーめん | ﾗｰﾒﾝ | が"),
        ("สวัสดี ภาษาไทย", "ส | วั | ส | ดี | ภ | า | ษ | า | ไ | ท | ย"),
        ("น้ำ ພາສາ ភាសា မြန်မာ", "น้ำ | ພ | າ | ສ | າ | ភា | សា | မြ | န် | မာ"),
        ("한국어 हिन्दी العربية עִבְרִית", "한국어 | हिन्दी | العربية | עִבְרִית"),
        ("第3章", "第 | 3 | 章"),
        ("می\u200cخواهم x\u200c \u200cy", "می\u200cخواهم | x | y"),
    ],
)
def test_scripts(text: str, expected: str) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\ud800b \udfff", "a | b"),
        ("a\ufffdb", "a | b"),
        ("a\x00b\x1fc", "a | b | c"),
        ("a\u200bb", "a | b"),
        ("in\u00adfor\u00adma\u00adtion", "information"),
        ("\ufeffword\ufeff", "word"),
        ("\u200eabc\u200f", "abc"),
        ("\u0301abc !\u0301", "abc | !"),
        ("a\ue000b \U000effff", "a | b"),
    ],
)
def test_odd_characters(text: str, expected: str) -> None:
    assert words(text) == expected


def test_case() -> None:
    assert words("ΟΔΟΣ Σ ΣΑΣ. ΟΔΟΣ\u0301") == "οδος | σ | σας | οδος\u0301"
    assert words("ΟΔΟΣ ὈΔΟΣ", case="fold") == "οδοσ | ὀδοσ"
    assert words("İstanbul IĞDIR") == "i̇stanbul | iğdir"
    assert words("İ", accents="strip") == "i"
    assert words("Straße ﬁn ŉ ǰ", case="fold") == "strasse | fin | n | ǰ"
    assert words("Straße ẞ Ꭰ ǅ K Å") == "straße | ß | ꭰ | ǆ | k | å"
    assert words("Straße İ Σ", case="keep") == "Straße | İ | Σ"


def test_normalisation_and_accents() -> None:
    assert words("e\u0301te\u0301 a\u0323\u0302 \u1112\u1161\u11ab") == "été | ậ | 한"
    assert words("e\u0301 é", normalize="none") == "e\u0301 | é"
    assert words("Café e\u0301 ậ ñ ø ё 각 が", accents="strip") == "cafe | e | a | n | ø | е | 각 | か"
    assert words("é", accents="strip", normalize="none", case="keep") == "e"


def test_spans_are_places_in_the_original() -> None:
    text = "\ufeffDon’t e\u0301té 👍️!!"
    spans = Tokenizer().spans(text)
    assert [span.text for span in spans] == ["do", "n't", "été", "👍", "!", "!"]
    assert [text[span.start : span.end] for span in spans] == ["Do", "n’t", "e\u0301té", "👍️", "!", "!"]
    raw = text.encode()
    for span in spans:
        assert raw[span.byte_start : span.byte_end].decode() == text[span.start : span.end]
    assert Tokenizer().spans("a \ud800 b")[1] == Span("b", 4, 5, 6, 7)
    assert Tokenizer().spans("") == []


def test_a_long_run_without_a_space_is_one_token() -> None:
    long = "x" * 3_000_000
    assert Tokenizer()(f"a {long} b") == ["a", long, "b"]
    accented = "é" * 1_000_000
    assert Tokenizer()(f"a {accented} b") == ["a", accented, "b"]
    assert len(Tokenizer()("漢" * 100_000)) == 100_000


def test_no_utf8_copy_stays_in_the_text() -> None:
    text = "".join(["é", "a "] * 1000)
    size = sys.getsizeof(text)
    Tokenizer()(text)
    Tokenizer().spans(text)
    assert sys.getsizeof(text) == size


def test_state_and_equality() -> None:
    tokenizer = Tokenizer(case="fold", emoji=False)
    state = json.loads(json.dumps(tokenizer.to_dict()))
    assert Tokenizer.from_dict(state) == tokenizer
    assert hash(Tokenizer.from_dict(state)) == hash(tokenizer)
    assert Tokenizer() != tokenizer
    assert UNICODE_VERSION == "18.0.0"


def test_bad_states_are_refused() -> None:
    state = Tokenizer().to_dict()
    with pytest.raises(InvalidParameterError, match=r"rules must be 1, .* got 2"):
        Tokenizer.from_dict({**state, "rules": 2})
    with pytest.raises(InvalidParameterError, match="state must have the keys"):
        Tokenizer.from_dict({**state, "surprise": 1})
    with pytest.raises(InvalidParameterError, match="case must be one of"):
        Tokenizer.from_dict({**state, "case": "upper"})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"case": "upper"}, "case must be one of 'lower', 'fold', 'keep'; got 'upper'"),
        ({"emoji": 1}, "emoji must be one of True, False; got 1"),
        ({"punctuation": None}, "punctuation must be one of"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], match: str) -> None:
    with pytest.raises(InvalidParameterError, match=match):
        Tokenizer(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [None, b"bytes", 3, ["list"]])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(InvalidParameterError, match="text must be a string; got"):
        Tokenizer().tokenize(text)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="text must be a string; got"):
        Tokenizer().spans(text)  # type: ignore[arg-type]
