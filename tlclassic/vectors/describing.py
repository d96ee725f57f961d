"""Facts about word vectors for a person."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tlclassic.errors import InvalidParameterError
from tlclassic.vectors import store
from tlclassic.vectors.detect import detect_format
from tlclassic.vectors.state import named_arrays
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["describe", "facts"]


def describe(
    source: str | os.PathLike[str],
    *,
    member: str | None = None,
    limit: int | None = None,
    trust: bool = False,
    verify: bool = False,
) -> dict[str, Any]:
    """What is in a file or folder of word vectors.

    Parameters
    ----------
    source, member, limit, trust
        As for :meth:`WordVectors.load`.
    verify : bool
        Check every byte of a store against its checksums.

    Returns
    -------
    dict
        ``format``, ``file_bytes`` (None for a folder), the facts of :meth:`WordVectors.describe` and ``first_words``.

    Raises
    ------
    InvalidParameterError
        When ``verify`` is asked of something that is not a store.
    """
    format = detect_format(source, member=member)
    if verify and format != "store":
        raise InvalidParameterError(f"verify=True checks a store; {os.fspath(source)!r} is {format}. Convert it first.")
    if verify:
        store.verify(source)
    vectors = WordVectors.load(source, format=format, member=member, limit=limit, trust=trust)
    size = None if os.path.isdir(source) else os.path.getsize(source)
    return {"format": format, "file_bytes": size, **facts(vectors), "first_words": vectors.words[:10]}


def facts(vectors: WordVectors) -> dict[str, Any]:
    """See :meth:`WordVectors.describe`."""
    norms = vectors.norms
    return {
        "count": len(vectors),
        "dim": vectors.dim,
        "dtype": str(vectors.dtype),
        "bytes": sum(array.nbytes for array in named_arrays(vectors).values()),
        "zero_vectors": int(np.count_nonzero(norms == 0)),
        "mean_norm": float(norms.mean(dtype=np.float64)) if len(norms) else 0.0,
        "counts": vectors.counts is not None,
        "subwords": vectors.subwords is not None,
        "oov": vectors.oov,
        "path": vectors.path,
        "digest": vectors.digest,
    }
