"""Readers of lexicons: words with their neighbours, pairs of synonyms or antonyms, bilingual dictionaries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import DataFormatError, InvalidParameterError
from tlclassic.vectors import WordVectors
from tlclassic.vectors.source import open_source

__all__ = ["Lexicon", "WordPair", "known_pairs", "read_lexicon", "read_word_pairs"]

#: A word and its neighbours.
Lexicon = Mapping[str, Iterable[str]]
WordPair = tuple[str, str]
_CHUNK = 1 << 20
#: A longer line is no line of words.
_MAX_LINE = 1 << 24


def read_lexicon(path: str | os.PathLike[str], *, lower: bool = True) -> dict[str, list[str]]:
    """Words with their neighbours, as the retrofitting lexicons have them: a word a line, then its neighbours.

    Fields are separated by blanks. A word that comes again gets the neighbours of both lines; a word is not its own
    neighbour. Packed files (gzip, bzip2, xz, zip) are told by content.

    Parameters
    ----------
    path : path-like
    lower : bool
        Bring all words to lower case.

    Raises
    ------
    InputError
        When the file cannot be read or is not UTF-8; names it.
    """
    found: dict[str, dict[str, None]] = {}
    for _, line in _lines(path):
        word, *others = (line.lower() if lower else line).split()
        found.setdefault(word, {}).update(dict.fromkeys(other for other in others if other != word))
    return {word: list(others) for word, others in found.items() if others}


def read_word_pairs(
    path: str | os.PathLike[str], *, lower: bool = False, language: str | None = None
) -> list[tuple[str, str]]:
    """Pairs of words, one a line, separated by blanks: synonyms, antonyms, or the two sides of a dictionary.

    Parameters
    ----------
    path : path-like
        May be packed.
    lower : bool
        Bring all words to lower case.
    language : str, optional
        For files whose words begin with their language (``en_good``): keep the pairs whose words are both of this
        one, without the prefix.

    Returns
    -------
    list of (str, str)
        Each pair once, in the file's order.

    Raises
    ------
    DataFormatError
        For a line of another number of words; names it.
    InputError
        When the file cannot be read.
    """
    pairs: dict[tuple[str, str], None] = {}
    for number, line in _lines(path):
        words = (line.lower() if lower else line).split()
        if len(words) != 2:
            raise DataFormatError(
                f"{len(words)} words, not a pair: {line.strip()[:60]!r}",
                path=path,
                line=number,
                remedy="Expected two words a line, separated by a blank; read_lexicon reads words with neighbours",
            )
        if language is not None:
            if not all(word.startswith(f"{language}_") for word in words):
                continue
            words = [word[len(language) + 1 :] for word in words]
        pairs[words[0], words[1]] = None
    return list(pairs)


def known_pairs(source: WordVectors, target: WordVectors, pairs: Iterable[WordPair]) -> NDArray[np.int64]:
    """The rows of the pairs whose words are both known, int64 of shape (n, 2): in ``source`` and in ``target``.

    Raises
    ------
    InvalidParameterError
        For an item that is not a pair of words.
    """
    listed = []
    for i, pair in enumerate(pairs):
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(word, str) for word in pair):
            raise InvalidParameterError(f"pairs[{i}] must be a pair of words; got {pair!r:.80}.")
        listed.append(pair)
    rows = np.stack([source.rows([a for a, _ in listed]), target.rows([b for _, b in listed])], axis=1)
    return rows[(rows >= 0).all(axis=1)]


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number."""
    rest, number = b"", 0
    with open_source(path).open() as stream:
        while chunk := stream.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _MAX_LINE:
                raise DataFormatError("no line ends", path=path, line=number + 1, remedy="Expected words, line by line")
            for line in lines:
                number += 1
                yield from _decoded(line, number, path)
    yield from _decoded(rest, number + 1, path)


def _decoded(line: bytes, number: int, path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataFormatError(
            f"not UTF-8 ({error.reason})", path=path, line=number, remedy="Convert it with iconv -t utf-8"
        ) from error
    if text.strip():
        yield number, text
