"""Sub-word tokenisers of Hugging Face (``tokenizer.json``)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tlclassic._compat import require
from tlclassic.errors import InvalidParameterError
from tlclassic.text.base import Lookup, TokenizerBase, check_state, check_text

__all__ = ["HuggingFaceTokenizer"]

#: Texts handed over at a time; bounds the memory for their encodings.
_BATCH = 1024


class HuggingFaceTokenizer(TokenizerBase):
    """A ``tokenizer.json`` as a tokeniser: padding and truncation off, no special tokens added.

    Tokens are the strings of its vocabulary (``##ing``, ``Ġthe``, ``▁the``). In :meth:`lookup` its unknown token has
    no row, even where the index holds one of that name.

    Parameters
    ----------
    path : path-like
        The ``tokenizer.json``, or the folder that holds it.

    Raises
    ------
    InvalidParameterError
        When the file is not a tokenizer.json.
    MissingExtraError
        When the package ``tokenizers`` is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        file = Path(path)
        file = file / "tokenizer.json" if file.is_dir() else file
        self._open(file.read_text(encoding="utf-8"), os.fspath(path))

    @classmethod
    def from_json(cls, text: str) -> HuggingFaceTokenizer:
        """The tokeniser from the text of its ``tokenizer.json``."""
        made = cls.__new__(cls)
        made._open(text, "the JSON text")
        return made

    def _open(self, text: str, source: str) -> None:
        library = require("tokenizers", purpose="HuggingFaceTokenizer")
        try:
            self._backend = library.Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise InvalidParameterError(f"path must be that of a tokenizer.json; got {source}: {error}") from error
        self._backend.no_padding()
        self._backend.no_truncation()
        self.json = text

    @cached_property
    def unknown_token(self) -> str | None:
        """What the model gives for a piece that it does not know; None where there is no such thing."""
        model = json.loads(self.json)["model"]
        if model.get("unk_token") is not None:
            return str(model["unk_token"])
        unknown_id = model.get("unk_id")  # Unigram models
        return None if unknown_id is None else str(model["vocab"][unknown_id][0])

    def tokenize(self, text: str) -> list[str]:
        """The tokens of ``text``; lone surrogates are read as U+FFFD."""
        tokens: list[str] = self._backend.encode(_encodable(check_text(text)), add_special_tokens=False).tokens
        return tokens

    def _token_lists(self, texts: Sequence[str]) -> Iterator[list[str]]:
        for start in range(0, len(texts), _BATCH):
            batch = [_encodable(text) for text in texts[start : start + _BATCH]]
            yield from (found.tokens for found in self._backend.encode_batch(batch, add_special_tokens=False))

    def lookup(
        self, texts: Sequence[str], index: Any, *, lower_fallback: bool = False, unknown: bool = False
    ) -> Lookup:
        """The rows of the tokens of ``texts`` in ``index``; see :meth:`tlclassic.text.Tokenizer.lookup`."""
        return super().lookup(
            texts, _WithoutWord(index, self.unknown_token), lower_fallback=lower_fallback, unknown=unknown
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dict that holds the whole ``tokenizer.json``."""
        return {"type": "huggingface", "json": self.json}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> HuggingFaceTokenizer:
        """The tokeniser that :meth:`to_dict` described."""
        check_state(state, "huggingface", ("json",))
        return cls.from_json(state["json"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HuggingFaceTokenizer) and self.json == other.json

    def __hash__(self) -> int:
        return hash(self.json)

    def __repr__(self) -> str:
        return f"HuggingFaceTokenizer({json.loads(self.json)['model'].get('type')})"

    def __reduce__(self) -> tuple[Any, ...]:
        return HuggingFaceTokenizer.from_json, (self.json,)


class _WithoutWord:
    """An index in which one word is not found."""

    def __init__(self, index: Any, word: str | None) -> None:
        self._index, self._word = index, word

    def find_many(self, words: Sequence[str]) -> Any:
        rows = self._index.find_many(words)
        rows[[word == self._word for word in words]] = -1
        return rows


def _encodable(text: str) -> str:
    """The text without lone surrogates, which the library cannot take."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
