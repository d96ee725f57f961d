"""spaCy's ``Vectors``, and the folders that spaCy keeps them in.

Folder layouts (https://spacy.io/api/data-formats): a vectors or vocab folder holds ``vectors`` (a NumPy file),
``key2row`` (MessagePack: hash of a word → row), ``vectors.cfg`` and ``strings.json``; a pipeline folder holds such a
folder named ``vocab``.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic.errors import InputError, InvalidParameterError, RepairWarning, VectorFormatError
from tlclassic.vectors.interop import as_format_error, float32_table, replace_folder
from tlclassic.vectors.making import from_arrays, head
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["from_spacy", "read", "save", "to_spacy"]

_FLORET = (
    "these are floret vectors, which are made from hashed n-grams and have no table of words. Have spaCy compute the "
    "words you need: WordVectors.from_arrays(words, nlp.vocab.vectors.get_batch(words))"
)


def from_spacy(nlp_or_vocab: Any, *, oov: str = "zero") -> WordVectors:
    """Word vectors from a spaCy pipeline, ``Vocab`` or ``Vectors``.

    The words come in the order of their rows. The table is shared where it is float32 and every row belongs to one
    word; where several words share a row, as in pruned tables, each gets its own.

    Raises
    ------
    InvalidParameterError
        When it is something else, holds floret vectors or none at all.
    """
    vocab = getattr(nlp_or_vocab, "vocab", nlp_or_vocab)
    vectors = getattr(vocab, "vectors", vocab)
    if not all(hasattr(vectors, name) for name in ("key2row", "data", "strings")):
        raise InvalidParameterError(
            f"nlp_or_vocab must be a spaCy pipeline, Vocab or Vectors; got {type(nlp_or_vocab).__name__}."
        )
    if vectors.mode != "default":
        raise InvalidParameterError(f"{_FLORET}.")
    if not vectors.key2row or not vectors.data.size:
        raise InvalidParameterError(
            "the spaCy object holds no vectors. Load a pipeline that has some, for example en_core_web_md."
        )
    # CuPy's arrays, on a GPU, have `get`.
    data = vectors.data.get() if hasattr(vectors.data, "get") else vectors.data
    strings = vectors.strings if len(vectors.strings) or not hasattr(vocab, "strings") else vocab.strings
    return _from_parts(data, vectors.key2row, strings, "the spaCy vectors", oov)


def _from_parts(data: NDArray[Any], key2row: dict[int, int], strings: Any, name: str, oov: str) -> WordVectors:
    words, rows, nameless = [], [], 0
    for key, row in sorted(key2row.items(), key=lambda item: item[1]):
        try:
            words.append(strings[key])
            rows.append(row)
        except KeyError:
            nameless += 1
    if nameless:
        warnings.warn(
            f"{name}: {nameless} of {len(key2row)} keys have no string in the string store and were left out.",
            RepairWarning,
            stacklevel=4,
        )
    places = np.array(rows, dtype=np.int64)
    table = data if np.array_equal(places, np.arange(len(data))) else data[places]
    return from_arrays(words, table, oov=oov)


def to_spacy(vectors: WordVectors, nlp_or_vocab: Any = None) -> Any:
    """A spaCy ``Vocab`` with these vectors: a new one, or the given one (or the given pipeline's) changed.

    A float32 table is shared, and read-only: spaCy's ``set_vector`` cannot change it. Counts, sub-words and the policy
    for unknown words have no place in spaCy and stay behind; there, unknown words get zeros.
    """
    module = require("spacy.vectors", purpose="Converting to spaCy")
    vocab = getattr(nlp_or_vocab, "vocab", nlp_or_vocab)
    if vocab is None:
        vocab = require("spacy.vocab", purpose="Converting to spaCy").Vocab()
    if not hasattr(vocab, "strings"):
        raise InvalidParameterError(
            f"nlp_or_vocab must be a spaCy pipeline or Vocab; got {type(nlp_or_vocab).__name__}."
        )
    keys = [vocab.strings.add(word) for word in vectors.words]
    vocab.vectors = module.Vectors(strings=vocab.strings, data=float32_table(vectors), keys=keys, name="tlclassic")
    return vocab


def read(path: str | os.PathLike[str], *, limit: int | None = None, oov: str | None = None) -> WordVectors:
    """Word vectors from a spaCy pipeline, vocab or vectors folder, or from the file ``vectors`` in one.

    The table is mapped where it can be shared as it is.

    Raises
    ------
    VectorFormatError
        When a file is missing or damaged, or holds floret vectors.
    """
    strings_module = require("spacy.strings", purpose="Opening spaCy vectors")
    folder = _find_folder(Path(path))
    if _read_config(folder).get("mode", "default") != "default":
        raise VectorFormatError(_FLORET, path=folder)
    data, key2row = _read_table(folder / "vectors"), _read_key2row(folder / "key2row")
    out_of_range = [row for row in key2row.values() if not 0 <= row < len(data)]
    if out_of_range:
        raise VectorFormatError(f"row {out_of_range[0]} of a table of {len(data)} rows", path=folder / "key2row")
    strings = strings_module.StringStore()
    for word in _read_strings(folder):
        strings.add(word)
    with as_format_error(folder):
        vectors = _from_parts(data, key2row, strings, str(folder), "zero")
    vectors = vectors if oov is None else vectors.with_oov(oov)
    return vectors if limit is None else head(vectors, limit)


def _find_folder(path: Path) -> Path:
    if path.is_file():
        return path.parent
    for folder in (path, path / "vocab", path / "vocab" / "vectors", path / "vectors"):
        if (folder / "vectors").is_file():
            return folder
    raise VectorFormatError("holds no spaCy vectors", path=path, remedy="Give a pipeline, vocab or vectors folder")


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "vectors.cfg"
    config = _parse_json(file) if file.exists() else {}
    if not isinstance(config, dict):
        raise VectorFormatError("is not a JSON object", path=file)
    return config


def _parse_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise VectorFormatError("is missing", path=file, remedy="Copy the whole folder") from error
    except (OSError, ValueError, RecursionError) as error:
        raise VectorFormatError(f"cannot be read as JSON ({error})", path=file) from error


def _read_strings(folder: Path) -> list[str]:
    # A vectors folder inside a vocab folder leaves the strings to the latter.
    file = folder / "strings.json"
    file = file if file.exists() else folder.parent / "strings.json"
    words = _parse_json(file)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise VectorFormatError("is not a JSON list of strings", path=file)
    return words


def _read_table(file: Path) -> NDArray[Any]:
    try:
        data = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise VectorFormatError(f"cannot be read as a NumPy array ({error})", path=file) from error
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.dtype.kind != "f":
        raise VectorFormatError("does not hold a table of floats", path=file)
    return data


def _read_key2row(file: Path) -> dict[int, int]:
    srsly = require("spacy.util", purpose="Opening spaCy vectors").srsly
    try:
        key2row = srsly.read_msgpack(file)
    except Exception as error:  # MessagePack readers raise what they like
        raise VectorFormatError(f"cannot be read as MessagePack ({error})", path=file) from error
    whole = isinstance(key2row, dict) and all(
        isinstance(key, int) and isinstance(row, int) for key, row in key2row.items()
    )
    if not whole or not key2row:
        raise VectorFormatError("does not map hashes to rows, or none", path=file)
    return dict(key2row)


def save(vectors: WordVectors, path: str | os.PathLike[str]) -> None:
    """Write a spaCy pipeline folder without components: ``spacy.load(path)``, and ``vectors = path`` in a config.

    Its language is "xx" (none in particular). ``Vocab.from_disk`` and ``Vectors.from_disk`` open ``path/vocab``.

    Raises
    ------
    InputError
        When ``path`` is something else than a folder that was written so before.
    """
    spacy = require("spacy", purpose="Writing spaCy vectors")
    nlp = spacy.blank("xx")
    to_spacy(vectors, nlp)
    # What the pipeline's meta.json says of its vectors.
    nlp.vocab.vectors.name = "tlclassic"
    try:
        with replace_folder(path, marks=("config.cfg", "vocab")) as folder:
            nlp.to_disk(folder)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", path=path, remedy="Choose another path") from error
