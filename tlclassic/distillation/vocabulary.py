"""Which words get a vector: the most frequent of a corpus, or all pieces of the encoder's tokeniser."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlclassic.errors import InputError
from tlclassic.text import HuggingFaceTokenizer, Tokenizer

__all__ = ["Vocabulary", "corpus_words", "encoder_pieces", "whole_words"]

#: Marks of pieces inside a word (WordPiece) or at its start (byte-level BPE, SentencePiece), and of special tokens.
_INSIDE, _STARTS = "##", ("Ġ", "▁")


@dataclass(frozen=True)
class Vocabulary:
    """Words with their rows' order.

    Attributes
    ----------
    words : list of str
        As they are looked up.
    texts : list of str
        As the encoder is given them.
    counts : list of int
        Occurrences in the corpus, as far as known.
    tokenizer : object
        Splits texts into such words.
    tokenizer_json : str or None
        Of a sub-word vocabulary.
    """

    words: Sequence[str]
    texts: Sequence[str]
    counts: Sequence[int]
    tokenizer: Any
    tokenizer_json: str | None = None


def corpus_words(
    corpus: Iterable[str], size: int, *, min_count: int = 2, extra: Iterable[str] = (), bonus: int = 10
) -> tuple[Vocabulary, int]:
    """The ``size`` most frequent words of ``corpus``, and how many texts it has.

    Parameters
    ----------
    corpus : iterable of str
    size : int
    min_count : int
        Leave out words that occur less often.
    extra : iterable of str
        Words known to be general, such as :func:`whole_words`; each counts as ``bonus`` occurrences more when words
        are chosen, but not when they are ordered.
    """
    tokenizer, counts, n_texts = Tokenizer(), Counter[str](), 0
    for text in corpus:
        counts.update(tokenizer.tokenize(text))
        n_texts += 1
    score = Counter({word: count for word, count in counts.items() if count >= min_count})
    score.update(dict.fromkeys(extra, bonus))
    chosen = [word for word, _ in sorted(score.items(), key=lambda pair: (-pair[1], pair[0]))[:size]]
    words = sorted(chosen, key=lambda word: (-counts[word], word))
    return Vocabulary(words, words, [counts[word] for word in words], tokenizer), n_texts


def encoder_pieces(tokenizer_json: str, corpus: Iterable[str]) -> tuple[Vocabulary, int]:
    """All pieces of a tokeniser but its special tokens, most frequent in ``corpus`` first, and its number of texts."""
    tokenizer = HuggingFaceTokenizer.from_json(tokenizer_json)
    counts, n_texts = Counter[str](), 0
    for text in corpus:
        counts.update(tokenizer.tokenize(text))
        n_texts += 1
    pieces = sorted(_pieces(tokenizer_json), key=lambda piece: -counts[piece])
    texts = [_plain(piece) for piece in pieces]
    return Vocabulary(pieces, texts, [counts[piece] for piece in pieces], tokenizer, tokenizer_json), n_texts


def whole_words(tokenizer_json: str) -> list[str]:
    """The pieces of a sub-word tokeniser that are words of :class:`tlclassic.Tokenizer`, in the order of their ids."""
    pieces = [piece for piece in _pieces(tokenizer_json) if not piece.startswith(_INSIDE)]
    if any(piece.startswith(_STARTS) for piece in pieces):
        pieces = [piece for piece in pieces if piece.startswith(_STARTS)]
    tokenizer = Tokenizer()
    lowered = dict.fromkeys(_plain(piece).lower() for piece in pieces)
    return [word for word in lowered if tokenizer.tokenize(word) == [word]]


def read_tokenizer_json(folder: Any) -> str:
    """The text of an encoder folder's ``tokenizer.json``.

    Raises
    ------
    InputError
    """
    path = Path(folder) / "tokenizer.json"
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError("there is no tokenizer.json that can be read", path=path) from error


def _pieces(tokenizer_json: str) -> list[str]:
    try:
        state = json.loads(tokenizer_json)
        vocabulary = state["model"]["vocab"]
        special = {token["content"] for token in state.get("added_tokens") or () if token.get("special")}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("this is not a tokenizer.json with a vocabulary") from error
    if isinstance(vocabulary, dict):
        pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    else:  # SentencePiece's Unigram keeps pairs of piece and score
        pieces = [piece for piece, _ in vocabulary]
    unused = [piece for piece in pieces if piece.startswith("[unused")]
    return [piece for piece in pieces if piece not in special.union(unused)]


def _plain(piece: str) -> str:
    for mark in (_INSIDE, *_STARTS):
        if piece.startswith(mark) and len(piece) > len(mark):
            return piece[len(mark) :]
    return piece
