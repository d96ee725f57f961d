"""gensim's ``KeyedVectors`` and ``FastTextKeyedVectors``, without a copy of the table."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic.errors import InvalidParameterError, VectorFormatError
from tlclassic.kernels import load as load_kernel
from tlclassic.storage import atomic_write
from tlclassic.vectors.fasttext_matrix import allocate
from tlclassic.vectors.interop import float32_table
from tlclassic.vectors.making import from_arrays, head
from tlclassic.vectors.subword import SubwordTable
from tlclassic.vectors.wordvectors import WordVectors, own_policy

__all__ = ["from_gensim", "own_rows", "read", "save", "to_gensim"]

_BATCH = 4096


def from_gensim(keyed_vectors: Any, *, oov: str | None = None) -> WordVectors:
    """Word vectors from a gensim ``KeyedVectors``, or from a model that has one as ``wv``.

    A float32 and C-contiguous table is shared: do not train the model on while the vectors are in use. Counts are
    kept, and so are the n-grams of ``FastTextKeyedVectors``, which make ``oov`` "subword" by default. The counts that
    gensim gives to words of a file without any (n, n - 1, ..., 1) are not counts and are left out.

    Raises
    ------
    InvalidParameterError
        When it is something else, or its keys are not strings.
    """
    keyed = getattr(keyed_vectors, "wv", keyed_vectors)
    if not (hasattr(keyed, "index_to_key") and isinstance(getattr(keyed, "vectors", None), np.ndarray)):
        raise InvalidParameterError(
            f"keyed_vectors must be a gensim 4 KeyedVectors or a model with one; got {type(keyed_vectors).__name__}."
        )
    words = list(keyed.index_to_key)
    counts = _counts(keyed.expandos.get("count"), len(words))
    subwords = _subwords(keyed)
    policy = own_policy(subwords) if oov is None else oov
    return from_arrays(words, keyed.vectors, counts=counts, subwords=subwords, oov=policy)


def _counts(counts: NDArray[Any] | None, n: int) -> NDArray[np.int64] | None:
    if counts is None or len(counts) != n or np.array_equal(counts, np.arange(n, 0, -1)):
        return None
    return np.array(counts, dtype=np.int64)


def _subwords(keyed: Any) -> SubwordTable | None:
    matrix = getattr(keyed, "vectors_ngrams", None)
    if matrix is None or keyed.bucket == 0 or keyed.max_n < max(1, keyed.min_n):
        return None
    return SubwordTable(matrix, min_n=keyed.min_n, max_n=keyed.max_n, bucket=keyed.bucket)


def to_gensim(vectors: WordVectors) -> Any:
    """A gensim ``KeyedVectors``, or a ``FastTextKeyedVectors`` where there are sub-words.

    A float32 table is shared, and read-only; float16 and int8 are decoded. Counts become the attribute "count".

    Raises
    ------
    InvalidParameterError
        When the sub-words were pruned, which gensim cannot express.
    """
    models = require("gensim.models", purpose="Converting to gensim")
    subwords = vectors.subwords
    keyed = models.KeyedVectors(vectors.dim) if subwords is None else _fasttext(vectors, subwords)
    keyed.vectors = float32_table(vectors)
    keyed.index_to_key = list(vectors.words)
    keyed.key_to_index = {word: row for row, word in enumerate(keyed.index_to_key)}
    keyed.next_index = len(vectors)
    if vectors.counts is not None:
        keyed.expandos["count"] = np.array(vectors.counts)
    return keyed


def _fasttext(vectors: WordVectors, subwords: SubwordTable) -> Any:
    if subwords.pruned is not None:
        raise InvalidParameterError(
            "gensim cannot hold sub-words that were pruned. Leave them out: "
            "WordVectors.from_arrays(vectors.words, vectors.table).to_gensim()."
        )
    models = require("gensim.models.fasttext", purpose="Converting to gensim")
    keyed = models.FastTextKeyedVectors(vectors.dim, subwords.min_n, subwords.max_n, subwords.bucket)
    keyed.vectors_ngrams = subwords.quantize("float32").table
    keyed.vectors_vocab = own_rows(vectors, subwords)
    keyed.vectors_vocab_lockf = np.ones(1, dtype=np.float32)
    keyed.vectors_ngrams_lockf = np.ones(1, dtype=np.float32)
    return keyed


def own_rows(vectors: WordVectors, subwords: SubwordTable) -> NDArray[np.float32]:
    """The words' own rows, from which and the n-grams' rows gensim would make the table again."""
    own: NDArray[np.float32] = allocate(vectors.shape)
    index = vectors.index
    for start in range(0, len(vectors), _BATCH):
        bounds = index.offsets[start : start + _BATCH + 1]
        blob, offsets = index.words[bounds[0] : bounds[-1]], bounds - bounds[0]
        _, indptr = load_kernel("subword").hash_ngrams(blob, offsets, subwords.min_n, subwords.max_n, subwords.bucket)
        n_ngrams = np.diff(indptr)[:, None].astype(np.float32)
        out = own[start : start + _BATCH]
        subwords.mean_into(out, blob, offsets)
        out *= -n_ngrams
        out += (n_ngrams + 1) * vectors.take(np.arange(start, start + len(out)))
    return own


def read(path: str | os.PathLike[str], *, limit: int | None = None, oov: str | None = None) -> WordVectors:
    """Word vectors from a file that gensim saved: ``KeyedVectors``, ``Word2Vec``, ``FastText``.

    The file is a pickle, and opening a pickle runs the code that is in it: the caller must have been told that it can
    be trusted. Large arrays in ``.npy`` files beside it are mapped.

    Raises
    ------
    VectorFormatError
        When gensim cannot open it, or it holds no word vectors.
    """
    utils = require("gensim.utils", purpose="Opening a gensim file")
    name = os.fspath(path)
    try:
        loaded = utils.SaveLoad.load(name, mmap=None if name.endswith((".gz", ".bz2")) else "r")
        vectors = from_gensim(loaded)
    except FileNotFoundError as error:
        raise VectorFormatError(
            f"a file that belongs to it is missing: {error.filename}", path=path, remedy="Copy the .npy files as well"
        ) from error
    except Exception as error:  # unpickling can raise anything
        raise VectorFormatError(
            f"gensim cannot open it as word vectors ({type(error).__name__}: {error})",
            path=path,
            remedy="Give a file that KeyedVectors.save wrote",
        ) from error
    vectors = vectors if oov is None else vectors.with_oov(oov)
    return vectors if limit is None else head(vectors, limit)


def save(vectors: WordVectors, path: str | os.PathLike[str]) -> None:
    """Write the vectors for gensim's ``KeyedVectors.load`` (``FastTextKeyedVectors.load`` where there are sub-words).

    One file, without ``.npy`` files beside it, so that it appears whole or not at all.
    """
    keyed = to_gensim(vectors)
    with atomic_write(path) as file:
        # Protocol 5 writes large arrays without copying them first.
        keyed.save(file, pickle_protocol=5)
