"""A text as the numbers of its pieces, by the folder's ``tokenizer.json``; truncated here, so that it is counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic.encoders.files import EncoderFiles
from tlclassic.errors import EncoderFormatError

__all__ = ["Pieces"]

#: A text is cut off, before it is split, at so many characters for each token that may be kept: no language needs
#: half as many, and a text of gigabytes costs no more than this.
_CHARACTERS_PER_TOKEN = 512


class Pieces:
    """The tokenizer of an encoder's folder.

    Padding and truncation that ``tokenizer.json`` may carry are switched off.

    Parameters
    ----------
    files : EncoderFiles

    Attributes
    ----------
    pad : int
        Number of the padding token.

    Raises
    ------
    EncoderFormatError
        When ``tokenizer.json`` is missing or cannot be read.
    MissingExtraError
    """

    def __init__(self, files: EncoderFiles) -> None:
        library = require("tokenizers", purpose="A transformer encoder")
        name = "tokenizer.json"
        raw, where = files.read(name), files.path(name) or name
        if raw is None:
            raise EncoderFormatError(
                "has no tokenizer.json",
                path=getattr(files, "folder", None),
                remedy="Save it beside the graph: AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
            )
        try:
            json.loads(raw)
            self._tokenizer = library.Tokenizer.from_str(raw.decode("utf-8"))
        except json.JSONDecodeError as error:
            raise EncoderFormatError(
                f"is not JSON ({error.msg})", path=where, line=error.lineno, remedy="Copy the folder again"
            ) from error
        except Exception as error:  # the library raises Exception itself
            raise EncoderFormatError(
                f"cannot be used as a tokenizer ({error})", path=where, remedy="Save it anew with a current version"
            ) from error
        said = self._tokenizer.padding
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.pad = self._pad_number(files, said)
        empty = self._tokenizer.encode("")
        # Special tokens before and after the text: those of a text with one piece tell which is which.
        self._n_special = len(empty.ids)
        self._n_after = self._specials_after() if self._n_special else 0

    def _pad_number(self, files: EncoderFiles, said: dict[str, Any] | None) -> int:
        if said:
            return int(said["pad_id"])
        for token in ("[PAD]", "<pad>", "<|endoftext|>"):
            number = self._tokenizer.token_to_id(token)
            if number is not None:
                return int(number)
        return 0

    def _specials_after(self) -> int:
        mask = np.array(self._tokenizer.encode("a").special_tokens_mask)
        inner = np.flatnonzero(mask == 0)
        return int(len(mask) - 1 - inner[-1]) if len(inner) else self._n_special // 2

    def numbers(self, texts: Sequence[str], max_length: int | None) -> tuple[list[NDArray[np.int64]], int]:
        """The pieces of each text, special tokens included, and how many texts were truncated to ``max_length``."""
        cut, n_cut = self._cut(texts, max_length)
        encodings = self._tokenizer.encode_batch_fast(cut)
        rows = [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        truncated = n_cut.copy()
        if max_length is not None:
            for place, row in enumerate(rows):
                if len(row) > max_length:
                    rows[place] = self._truncated(row, max_length)
                    truncated[place] = True
        return rows, int(truncated.sum())

    def pieces(
        self, text: str, max_length: int | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """One text: numbers of shape (t,), character offsets (t, 2), and which pieces are special."""
        (cut,), _ = self._cut([text], max_length)
        encoding = self._tokenizer.encode(cut)
        numbers = np.array(encoding.ids, dtype=np.int64)
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        special = np.array(encoding.special_tokens_mask, dtype=bool)
        if max_length is not None and len(numbers) > max_length:
            return tuple(self._truncated(part, max_length) for part in (numbers, offsets, special))  # type: ignore[return-value]
        return numbers, offsets, special

    def inner(self, texts: Sequence[str]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """For each text the numbers of its pieces, none special and none cut off, and their character offsets."""
        encodings = self._tokenizer.encode_batch([_encodable(text) for text in texts], add_special_tokens=False)
        return [
            (np.array(found.ids, dtype=np.int64), np.array(found.offsets, dtype=np.int64).reshape(-1, 2))
            for found in encodings
        ]

    @property
    def around(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The special pieces before a text and those after it."""
        special = np.array(self._tokenizer.encode("").ids, dtype=np.int64)
        cut = len(special) - self._n_after
        return special[:cut], special[cut:]

    def room(self, max_length: int | None) -> int:
        """How many pieces of a text go into so many tokens with the special ones around it; without a limit, many."""
        return (1 << 30) if max_length is None else max(1, max_length - self._n_special)

    def n_prompt(self, prompt: str) -> int:
        """How many tokens at the beginning a prompt takes, with the special ones before it."""
        return len(self._tokenizer.encode(prompt).ids) - self._n_after

    def _truncated(self, row: NDArray[Any], max_length: int) -> NDArray[Any]:
        after = min(self._n_after, max_length)
        return np.concatenate([row[: max_length - after], row[len(row) - after :]])

    def _cut(self, texts: Sequence[str], max_length: int | None) -> tuple[list[str], NDArray[np.bool_]]:
        if max_length is None:
            return [_encodable(text) for text in texts], np.zeros(len(texts), dtype=bool)
        most = max_length * _CHARACTERS_PER_TOKEN
        return [_encodable(text[:most]) for text in texts], np.array([len(text) > most for text in texts], dtype=bool)


def _encodable(text: str) -> str:
    """Lone surrogates, which UTF-8 has no bytes for, as U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text
