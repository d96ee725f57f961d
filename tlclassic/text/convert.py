"""From what users have in hand, or from a saved state, to a tokeniser."""

from __future__ import annotations

import sys
from typing import Any

from tlclassic.errors import InvalidParameterError
from tlclassic.text.base import AnyTokenizer
from tlclassic.text.function import CallableTokenizer
from tlclassic.text.huggingface import HuggingFaceTokenizer
from tlclassic.text.spacy import SpacyTokenizer
from tlclassic.text.words import Tokenizer

__all__ = ["as_tokenizer", "tokenizer_from_dict"]

_KINDS: dict[str, Any] = {"words": Tokenizer, "huggingface": HuggingFaceTokenizer, "spacy": SpacyTokenizer}


def as_tokenizer(tokenizer: Any) -> AnyTokenizer:
    """The tokeniser behind ``tokenizer``.

    Parameters
    ----------
    tokenizer : tokenizer, spacy.Language, tokenizers.Tokenizer or callable
        Anything with ``tokenize`` and ``lookup`` is returned as it is.

    Raises
    ------
    InvalidParameterError
        For anything else.

    Examples
    --------
    >>> as_tokenizer(str.split).tokenize("a b")
    ['a', 'b']
    """
    if isinstance(tokenizer, AnyTokenizer) and not isinstance(tokenizer, type):
        return tokenizer
    # Whoever holds such an object has imported its library: nothing heavy is imported here.
    if "spacy" in sys.modules and isinstance(tokenizer, sys.modules["spacy"].Language):
        return SpacyTokenizer(tokenizer)
    if "tokenizers" in sys.modules and isinstance(tokenizer, sys.modules["tokenizers"].Tokenizer):
        return HuggingFaceTokenizer.from_json(tokenizer.to_str())
    if callable(tokenizer) and not isinstance(tokenizer, type):
        return CallableTokenizer(tokenizer)
    raise InvalidParameterError(
        "tokenizer must be a tlclassic tokenizer, a function from a text to its tokens, a spaCy pipeline or a Hugging "
        f"Face tokenizer; got {tokenizer!r} of type {type(tokenizer).__name__}."
    )


def tokenizer_from_dict(state: dict[str, Any]) -> AnyTokenizer:
    """The tokeniser whose ``to_dict`` gave ``state``.

    Raises
    ------
    InvalidParameterError
        When ``state`` is not such a dict.
    """
    kind = state.get("type") if isinstance(state, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidParameterError(f"state must have a type out of {sorted(_KINDS)}; got {state!r}.")
    tokenizer: AnyTokenizer = _KINDS[kind].from_dict(state)
    return tokenizer
