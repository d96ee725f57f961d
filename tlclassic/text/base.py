"""What every tokeniser has in common: the two methods, and what they return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import load
from tlclassic.kernels._tokenize_rules import LOWER

__all__ = ["AnyTokenizer", "Lookup", "Span", "TokenizerBase"]


class Span(NamedTuple):
    """A token and where it stood in the original text.

    Attributes
    ----------
    text : str
        The token, normalised.
    start, end : int
        Characters (code points) of the original text, as in ``original[start:end]``.
    byte_start, byte_end : int
        The same in bytes of its UTF-8 form.
    """

    text: str
    start: int
    end: int
    byte_start: int
    byte_end: int


class Lookup(NamedTuple):
    """The rows of the tokens of several texts.

    Attributes
    ----------
    rows : int32 array of shape (n_tokens,)
        Row in the index, -1 for a token that it does not hold.
    indptr : int64 array of shape (n_texts + 1,)
        The tokens of text i are ``rows[indptr[i]:indptr[i + 1]]``.
    unknown_at : int64 array of shape (n_unknown,)
        Places in ``rows`` of the unknown tokens; empty unless asked for.
    unknown_words : list of str
        Those tokens, in the same order.
    """

    rows: NDArray[np.int32]
    indptr: NDArray[np.int64]
    unknown_at: NDArray[np.int64]
    unknown_words: list[str]


@runtime_checkable
class AnyTokenizer(Protocol):
    """What the rest of tlclassic asks of a tokeniser."""

    def tokenize(self, text: str) -> list[str]: ...

    def lookup(
        self, texts: Sequence[str], index: Any, *, lower_fallback: bool = False, unknown: bool = False
    ) -> Lookup: ...

    def to_dict(self) -> dict[str, Any]: ...


class TokenizerBase:
    """``lookup`` by way of lists of tokens, for tokenisers that are not our own."""

    def tokenize(self, text: str) -> list[str]:
        """The tokens of ``text``, in order."""
        raise NotImplementedError

    def __call__(self, text: str) -> list[str]:
        return self.tokenize(text)

    def _token_lists(self, texts: Sequence[str]) -> Iterable[list[str]]:
        return map(self.tokenize, texts)

    def lookup(
        self, texts: Sequence[str], index: Any, *, lower_fallback: bool = False, unknown: bool = False
    ) -> Lookup:
        """The rows of the tokens of ``texts`` in ``index``; see :meth:`tlclassic.text.Tokenizer.lookup`."""
        words: list[str] = []
        bounds = [0]
        for tokens in self._token_lists(check_texts(texts)):
            words += tokens
            bounds.append(len(words))
        rows = index.find_many(words).astype(np.int32)
        if lower_fallback:
            missing = np.flatnonzero(rows < 0)
            normalise = load("tokenize").normalise  # and not str.lower, which differs between Pythons
            rows[missing] = index.find_many([normalise(words[i], LOWER) for i in missing])
        unknown_at = np.flatnonzero(rows < 0).astype(np.int64) if unknown else np.zeros(0, dtype=np.int64)
        return Lookup(rows, np.array(bounds, dtype=np.int64), unknown_at, [words[i] for i in unknown_at])


def check_text(text: object) -> str:
    """The text, if it is one."""
    if not isinstance(text, str):
        raise InvalidParameterError(f"text must be a string; got {text!r} of type {type(text).__name__}.")
    return text


def check_state(state: dict[str, Any], kind: str, keys: Iterable[str]) -> None:
    """Raise unless ``state`` is what ``to_dict`` of the tokeniser ``kind`` gives."""
    if not isinstance(state, dict) or state.get("type") != kind:
        raise InvalidParameterError(f"state must be that of a tokenizer of type {kind!r}; got {state!r}.")
    expected = {"type", *keys}
    if set(state) != expected:
        raise InvalidParameterError(f"state must have the keys {sorted(expected)}; got {sorted(map(str, state))}.")
