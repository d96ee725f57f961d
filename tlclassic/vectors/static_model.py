"""Static-model folders: a vector for each token of a sub-word tokeniser.

The layout is that of model2vec (https://github.com/MinishLab/model2vec) and of the ``StaticEmbedding`` of
sentence-transformers: ``model.safetensors`` with the tensor ``embeddings`` (or ``embedding.weight``), perhaps
``weights`` (one a token) and ``mapping`` (from tokens to rows), and ``tokenizer.json``.

The words of such vectors are the tokens, so texts must be split by the same tokeniser: its text goes with the vectors
(``vectors.tokenizer_json``). The mean of the tokens' vectors is then what model2vec's ``encode`` gives.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import RepairWarning, VectorFormatError
from tlclassic.vectors.interop import as_format_error
from tlclassic.vectors.making import from_arrays, head
from tlclassic.vectors.safetensors import read_tensors
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["read"]

#: The tensor of vectors: model2vec's name, that of sentence-transformers.
_TABLES = ("embeddings", "embedding.weight")


def read(path: str | os.PathLike[str], *, limit: int | None = None, oov: str | None = None) -> WordVectors:
    """Word vectors from a static-model folder, or from the ``.safetensors`` file in one; words are tokens, by number.

    A float32 or float16 table without weights and mapping is mapped and not read. The int8 tables of model2vec come
    without scales: their numbers are taken as they are (every scale is 1, or the token's weight).

    Raises
    ------
    VectorFormatError
        When a file is missing or malformed, or there are more tokens than vectors.
    """
    model, tokenizer = _find(Path(path))
    tensors = read_tensors(model, (*_TABLES, "weights", "mapping"))
    table = next((tensors[name] for name in _TABLES if name in tensors), None)
    if table is None or table.ndim != 2 or table.dtype not in (np.float64, np.float32, np.float16, np.int8):
        raise VectorFormatError("holds no table 'embeddings' of floats or int8", path=model)
    text, tokens = _read_tokens(tokenizer)
    ids = np.fromiter(tokens, dtype=np.int64, count=len(tokens))
    rows = _rows_of(ids, tensors.get("mapping"), len(table), model)
    if "mapping" not in tensors and len(table) > len(ids):
        warnings.warn(
            f"{model}: {len(table) - len(ids)} of {len(table)} vectors belong to no token and were left out.",
            RepairWarning,
            stacklevel=4,
        )
    picked = table if np.array_equal(rows, np.arange(len(table))) else table[rows]
    weights = tensors.get("weights")
    if weights is not None:
        if weights.ndim != 1 or weights.dtype.kind != "f" or (len(ids) and ids.max() >= len(weights)):
            raise VectorFormatError(f"the tensor 'weights' of shape {weights.shape} is not one a token", path=model)
        weights = weights[ids].astype(np.float32)
    with as_format_error(model):
        vectors = _weighted(list(tokens.values()), picked, weights, text)
    vectors = vectors if oov is None else vectors.with_oov(oov)
    return vectors if limit is None else head(vectors, limit)


def _weighted(
    words: list[str], table: NDArray[Any], weights: NDArray[np.float32] | None, tokenizer_json: str
) -> WordVectors:
    if table.dtype == np.int8:
        scales = np.ones(len(words), dtype=np.float32) if weights is None else weights
        return from_arrays(words, table, scales=scales, tokenizer_json=tokenizer_json)
    return from_arrays(words, table if weights is None else table * weights[:, None], tokenizer_json=tokenizer_json)


def _find(path: Path) -> tuple[Path, Path]:
    """The files of vectors and of the tokeniser."""
    if path.is_file():
        candidates = [path]
    else:
        folders = (path, path / "0_StaticEmbedding")
        candidates = [folder / "model.safetensors" for folder in folders if (folder / "model.safetensors").is_file()]
        candidates = candidates or sorted(path.glob("*.safetensors"))
    if len(candidates) != 1:
        found = ", ".join(file.name for file in candidates) or "none"
        raise VectorFormatError(f"one .safetensors file was expected; there is {found}", path=path)
    tokenizer = candidates[0].parent / "tokenizer.json"
    if not tokenizer.is_file():
        raise VectorFormatError("is missing: it names the vectors", path=tokenizer, remedy="Copy the whole folder")
    return candidates[0], tokenizer


def _read_tokens(file: Path) -> tuple[str, dict[int, str]]:
    """The text of a ``tokenizer.json``, and its tokens by number, ascending."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        content = json.loads(text)
        vocab = content["model"]["vocab"]
        # Unigram models list their tokens with their scores; the others map them to numbers.
        pairs = [(i, entry[0]) for i, entry in enumerate(vocab)] if isinstance(vocab, list) else _swap(vocab)
        pairs += [(added["id"], added["content"]) for added in content.get("added_tokens") or []]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise VectorFormatError(f"cannot be read as a tokenizer.json ({error!r})", path=file) from error
    tokens = dict(pairs)
    for number, token in tokens.items():
        if type(number) is not int or not 0 <= number < 1 << 31 or not isinstance(token, str):
            raise VectorFormatError(f"token {token!r} has the number {number!r}", path=file)
    return text, {number: tokens[number] for number in sorted(tokens)}


def _swap(vocab: dict[str, int]) -> list[tuple[int, str]]:
    return [(number, token) for token, number in vocab.items()]


def _rows_of(ids: NDArray[np.int64], mapping: NDArray[Any] | None, n_rows: int, file: Path) -> NDArray[np.int64]:
    """The row of each token, within the table."""
    rows = ids
    if mapping is not None:
        if mapping.ndim != 1 or mapping.dtype.kind not in "iu" or (len(ids) and ids.max() >= len(mapping)):
            raise VectorFormatError(f"the tensor 'mapping' of shape {mapping.shape} is not one a token", path=file)
        rows = mapping[ids].astype(np.int64)
    if not len(rows) or rows.min() < 0 or rows.max() >= n_rows:
        raise VectorFormatError(
            f"{len(rows)} tokens do not fit a table of {n_rows} vectors",
            path=file,
            remedy="Use the tokenizer.json that the vectors were made for",
        )
    return rows
