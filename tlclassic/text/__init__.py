"""From texts to tokens: the Unicode word tokeniser, and tokenisers of other libraries behind the same two methods."""

from __future__ import annotations

from tlclassic.text.base import AnyTokenizer, Lookup, Span
from tlclassic.text.convert import as_tokenizer, tokenizer_from_dict
from tlclassic.text.function import CallableTokenizer
from tlclassic.text.huggingface import HuggingFaceTokenizer
from tlclassic.text.spacy import SpacyTokenizer
from tlclassic.text.words import UNICODE_VERSION, Tokenizer

__all__ = [
    "UNICODE_VERSION",
    "AnyTokenizer",
    "CallableTokenizer",
    "HuggingFaceTokenizer",
    "Lookup",
    "SpacyTokenizer",
    "Span",
    "Tokenizer",
    "as_tokenizer",
    "tokenizer_from_dict",
]
