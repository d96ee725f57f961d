"""Plain twin of ``_ngrams.pyx``: texts to tokens to hashed n-grams, in Python. Exact specification of both.

**Tokens.** The text (bytes are decoded as UTF-8 with ``errors="replace"``) is put into NFC and, with ``fold``, into its
full case folding. Characters of the classes of ``_tokenize_rules`` then are

- word characters: LETTER, DIGIT, MARK, KATAKANA, CONNECTOR, and an APOSTROPHE between two of them; maximal runs are
  tokens;
- single: SOLO, HIRAGANA, PICTOGRAPH, REGIONAL; each, with the MARKs behind it, is a token; two REGIONAL in a row are
  one;
- punctuation: every other APOSTROPHE, DECIMAL, EMPHATIC, SYMBOL; maximal runs are tokens, or are separators;
- nothing at all: JOINER, TAG, SKIN_TONE, KEYCAP, IGNORED;
- separators: SPACE, to which control characters, lone surrogates and U+FFFD belong.

**Hash** (version 1). Arithmetic is modulo 2**64; ``fold(x) = x ^ x >> 32``. The hash of a string of bytes:
``h = seed``, then for each eight bytes, read as a little-endian integer, the last ones filled up with zeros:
``h = fold((h ^ block) * BYTES)``. The hash of an n-gram of words is that of its first word, then for each further one
``g = fold(g * ORDER + h)``. A character n-gram has the hash of its UTF-8, with another seed. The bucket is
``g * BUCKET >> 64 - bits``.

**Order.** n-grams of words by their last word, then by length; of characters by word, then first character, then
length. A character n-gram lies inside ``<word>``, of every token but punctuation; a mark ``<`` or ``>`` alone is left
out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tlclassic.kernels import _tokenize_rules as R
from tlclassic.kernels._tokenize_plain import _normalised, character_class

__all__ = ["HASH_VERSION", "MAX_BITS", "MAX_CHARS", "MAX_WORDS", "Ngrams", "ensure_tables", "levels", "set_level"]

HASH_VERSION = 1
#: The longest n-grams, and the most bits of a bucket.
MAX_WORDS, MAX_CHARS, MAX_BITS = 8, 32, 31

SEED_WORD, SEED_CHARS = 0x9AE16A3B2F90404F, 0xC949D7C7509E6557
BYTES, ORDER, BUCKET = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD

_MODULUS = (1 << 64) - 1
_RUN = {R.LETTER, R.DIGIT, R.MARK, R.KATAKANA, R.CONNECTOR}
_SINGLE = {R.SOLO, R.HIRAGANA, R.PICTOGRAPH, R.REGIONAL}
_GONE = {R.JOINER, R.TAG, R.SKIN_TONE, R.KEYCAP, R.IGNORED}
_WORD, _PUNCTUATION, _SPACE = 1, 2, 0


def ensure_tables() -> object:
    """Unpack the tables of characters; here they always are."""
    return None


def levels() -> list[str]:
    """The ways of classifying bytes that this machine can run, slowest first; all give the same."""
    return ["plain"]


def set_level(name: str) -> None:
    """Classify bytes in the way ``name``, one of :func:`levels`; for tests."""
    if name != "plain":
        raise ValueError(f"level must be one of {levels()}; got {name!r}")


def check_options(words: tuple[int, int], chars: tuple[int, int], bits: int) -> None:
    """Raise ValueError for options out of their bounds."""
    for name, (low, high), most in (("words", words, MAX_WORDS), ("chars", chars, MAX_CHARS)):
        if (low, high) != (0, 0) and not 1 <= low <= high <= most:
            raise ValueError(f"{name} must be (0, 0) or (lo, hi) with 1 <= lo <= hi <= {most}; got {(low, high)}")
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"bits must be from 1 to {MAX_BITS}; got {bits}")


def _fold(x: int) -> int:
    x &= _MODULUS
    return x ^ x >> 32


def hash_bytes(raw: bytes, seed: int) -> int:
    """The hash of a string of bytes."""
    h = seed
    for start in range(0, len(raw), 8):
        h = _fold((h ^ int.from_bytes(raw[start : start + 8], "little")) * BYTES)
    return h


class _Char:
    """A character of the normalised text that is in a token."""

    __slots__ = ("char", "end", "first", "kind", "start")

    def __init__(self, char: str, kind: int, first: bool, start: int, end: int) -> None:
        self.char, self.kind, self.first, self.start, self.end = char, kind, first, start, end


class _Token:
    def __init__(self, chars: list[_Char]) -> None:
        self.text = "".join(c.char for c in chars)
        self.is_word = chars[0].kind == _WORD
        self.starts, self.ends = [c.start for c in chars], [c.end for c in chars]


def _classified(text: str, flags: int) -> Iterator[_Char]:
    """The characters that do not vanish; ``first``: it does not belong to the token of the character before it."""
    single = half_flag = False
    for char, start, end in zip(*_normalised(text, flags), strict=True):
        kind = character_class(ord(char))
        if kind in _GONE:
            continue
        if kind == R.MARK:
            yield _Char(char, _WORD, False, start, end)
            half_flag = False
        elif kind in _SINGLE:
            pair = kind == R.REGIONAL and half_flag
            yield _Char(char, _WORD, not pair, start, end)
            single, half_flag = True, kind == R.REGIONAL and not pair
        else:
            group = _WORD if kind in _RUN else _SPACE if kind == R.SPACE else _PUNCTUATION
            yield _Char(char, group, single, start, end)
            single = half_flag = False


def _join_apostrophes(chars: list[_Char]) -> None:
    kinds = [c.kind for c in chars]
    for i in range(1, len(chars) - 1):
        around = kinds[i - 1] == _WORD == kinds[i + 1] and not chars[i].first and not chars[i + 1].first
        if chars[i].char == "'" and around:
            chars[i].kind = _WORD


def _tokens(text: str | bytes, fold: bool, keep_punctuation: bool) -> Iterator[_Token]:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        raise TypeError(f"a text must be str or bytes; got {type(text).__name__}")
    chars = list(_classified(text, R.NFC | (R.FOLD if fold else 0)))
    _join_apostrophes(chars)
    wanted = (_WORD, _PUNCTUATION) if keep_punctuation else (_WORD,)
    token: list[_Char] = []
    for char in chars:
        if token and (char.first or char.kind != token[0].kind):
            yield _Token(token)
            token = []
        if char.kind in wanted:
            token.append(char)
    if token:
        yield _Token(token)


class Ngrams:
    """Hashed n-grams of texts.

    Parameters
    ----------
    words, chars : (int, int)
        Shortest and longest n-gram of words, and of characters inside words; (0, 0) for none.
    bits : int
        Buckets are numbers below 2**bits, for words and for characters apart.
    fold : bool
        Full case folding.
    keep_punctuation : bool
        Runs of punctuation are tokens; else separators.
    """

    def __init__(
        self,
        words: tuple[int, int] = (1, 2),
        chars: tuple[int, int] = (0, 0),
        bits: int = 20,
        fold: bool = True,
        keep_punctuation: bool = True,
    ) -> None:
        check_options(words, chars, bits)
        self.words, self.chars, self.bits = tuple(words), tuple(chars), bits
        self.fold, self.keep_punctuation = fold, keep_punctuation

    def _bucket(self, g: int) -> int:
        return (g * BUCKET & _MODULUS) >> (64 - self.bits)

    def _word_spans(self, tokens: list[_Token]) -> Iterator[tuple[int, int, int, int]]:
        low, high = self.words
        running: list[int] = []  # hashes of the n-grams that end at the last token, shortest first
        for place, token in enumerate(tokens if high else ()):
            h = hash_bytes(token.text.encode(), SEED_WORD)
            running = [h, *(_fold(g * ORDER + h) for g in running[: high - 1])]
            end = max(token.ends)
            for n, g in enumerate(running[low - 1 :], low):
                yield 0, self._bucket(g), tokens[place - n + 1].starts[0], max(end, max(tokens[place - n + 1].ends))

    def _char_spans(self, tokens: list[_Token]) -> Iterator[tuple[int, int, int, int]]:
        low, high = self.chars
        for token in tokens if high else ():
            marked = f"<{token.text}>" if token.is_word else ""
            starts, ends = [token.starts[0], *token.starts], [*token.ends, max(token.ends)]
            for i in range(len(marked)):
                for n in range(low, min(high, len(marked) - i) + 1):
                    if n == 1 and i in (0, len(marked) - 1):
                        continue
                    found = self._bucket(hash_bytes(marked[i : i + n].encode(), SEED_CHARS))
                    yield 1, found, starts[i], max(ends[max(i - 1, 0) : i + n - 1])

    def tokens(self, text: str | bytes) -> list[str]:
        """The tokens of a text, normalised."""
        return [token.text for token in _tokens(text, self.fold, self.keep_punctuation)]

    def spans(self, text: str | bytes) -> list[tuple[int, int, int, int]]:
        """(0 words or 1 characters, bucket, start, end) of every n-gram; places are characters of the original text."""
        tokens = list(_tokens(text, self.fold, self.keep_punctuation))
        return [*self._word_spans(tokens), *self._char_spans(tokens)]

    def buckets(
        self, texts: Sequence[str | bytes]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]:
        """Buckets of the n-grams of words of all texts and the bounds of each text; the same of characters."""
        found: tuple[list[int], list[int]] = ([], [])
        bounds: tuple[list[int], list[int]] = ([0], [0])
        for text in texts:
            for family, bucket, _, _ in self.spans(text):
                found[family].append(bucket)
            for family in (0, 1):
                bounds[family].append(len(found[family]))
        words, chars = (np.array(buckets, dtype=np.uint32) for buckets in found)
        return words, np.array(bounds[0], dtype=np.int64), chars, np.array(bounds[1], dtype=np.int64)

    def counts(
        self, texts: Sequence[str | bytes], family: str
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]:
        """Indices (sorted in each row), bounds of rows, values of a CSR matrix of counts; ``family``: word or char."""
        if family not in ("word", "char"):
            raise ValueError(f'family must be "word" or "char"; got {family!r}')
        words, word_bounds, chars, char_bounds = self.buckets(texts)
        buckets, bounds = (words, word_bounds) if family == "word" else (chars, char_bounds)
        rows = [sorted(Counter(buckets[i:j].tolist()).items()) for i, j in pairwise(bounds)]
        return (
            np.array([bucket for row in rows for bucket, _ in row], dtype=np.int32),
            np.cumsum([0, *map(len, rows)], dtype=np.int64),
            np.array([count for row in rows for _, count in row], dtype=np.float32),
        )
