"""Writing vectors in the formats other tools read; atomically, a block of rows at a time."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.kernels import load as load_kernel
from tlclassic.storage import atomic_write
from tlclassic.vectors import rows as _rows
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["save"]

_BOM = b"\xef\xbb\xbf"
_NUMBER_AT_END = re.compile(rb"[ \t][+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$")
#: Bytes that a word must not hold, by format; the reason ends the error.
_FORBIDDEN = {
    "glove": (b"\n\r", "a line feed or carriage return ends the line"),
    "word2vec": (b" \t\n\r", "white space ends the word"),
    "word2vec-binary": (b" \n", "a space ends the word and a line feed before it is left out"),
}


def save(vectors: WordVectors, path: str | os.PathLike[str], format: str) -> None:
    """See :meth:`WordVectors.save`."""
    if format == "store":
        from tlclassic.vectors.store import write_store

        write_store(vectors, path)
    elif format == "gensim":
        from tlclassic.vectors import interop_gensim

        interop_gensim.save(vectors, path)
    elif format == "spacy":
        from tlclassic.vectors import interop_spacy

        interop_spacy.save(vectors, path)
    else:
        _save_lines(vectors, path, format)


def _save_lines(vectors: WordVectors, path: str | os.PathLike[str], format: str) -> None:
    if format == "glove" and not len(vectors):
        raise InvalidParameterError("format='glove' cannot hold a table without words. Use format='word2vec'.")
    _check_words(vectors, format)
    with atomic_write(path) as file:
        if format != "glove":
            file.write(f"{len(vectors)} {vectors.dim}\n".encode())
        write = _write_binary if format == "word2vec-binary" else _write_text
        for start, rows in _rows.blocks(vectors.table, vectors.scales):
            write(file, vectors.index.words, vectors.index.offsets[start : start + len(rows) + 1], rows)


def _write_text(
    file: BinaryIO, words: NDArray[np.uint8], offsets: NDArray[np.int64], rows: NDArray[np.float32]
) -> None:
    file.write(load_kernel("parse").format_rows(words, offsets, np.ascontiguousarray(rows)))


def _write_binary(
    file: BinaryIO, words: NDArray[np.uint8], offsets: NDArray[np.int64], rows: NDArray[np.float32]
) -> None:
    bounds = offsets.tolist()
    blob, base, data = words[bounds[0] : bounds[-1]].tobytes(), bounds[0], rows.astype("<f4").tobytes()
    size = rows.shape[1] * 4
    pieces = [
        blob[bounds[i] - base : bounds[i + 1] - base] + b" " + data[i * size : (i + 1) * size] for i in range(len(rows))
    ]
    file.write(b"".join(pieces))


def _check_words(vectors: WordVectors, format: str) -> None:
    """Refuse words that would read back as something else."""
    index = vectors.index
    if (np.diff(index.offsets) < 0).any():
        raise CorruptArtifactError(f"{vectors.path}: the words' offsets do not ascend. Restore the file from a copy.")
    suspects = np.isin(index.words, np.frombuffer(b" \t\n\r", np.uint8))
    rows = np.searchsorted(index.offsets, np.flatnonzero(suspects), side="right") - 1
    empty = np.flatnonzero(np.diff(index.offsets) == 0)
    # The very first bytes of a file are read as a byte-order mark.
    first = [0] if format == "glove" else []
    for row in np.unique(np.concatenate([rows, empty, np.array(first, dtype=np.int64)])):
        word = vectors.words.raw(int(row))
        reason = _why_not(word, format, is_first=row == 0)
        if reason is not None:
            shown = word.decode("utf-8", "replace")
            raise InvalidParameterError(
                f"format={format!r} cannot hold the word {shown!r} (row {row}): {reason}. "
                "Use format='store', or leave the word out with subset()."
            )


def _why_not(word: bytes, format: str, *, is_first: bool) -> str | None:
    forbidden, reason = _FORBIDDEN[format]
    if not word:
        return "an empty word reads back as nothing"
    if any(byte in forbidden for byte in word):
        return reason
    if format != "glove":
        return None
    if word != word.strip(b" \t"):
        return "white space at its ends is left out in reading"
    if _NUMBER_AT_END.search(word):
        return "the number at its end would be read as one of the vector"
    if is_first and word.startswith(_BOM):
        return "it begins with a byte-order mark"
    return None
