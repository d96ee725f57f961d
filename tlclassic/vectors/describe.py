"""What is in a file of word vectors, in a few facts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tlclassic.vectors.detect import detect_format
from tlclassic.vectors.store import verify as verify_store
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["describe"]

_FIRST_WORDS = 10


def describe(
    source: str | os.PathLike[str],
    *,
    member: str | None = None,
    limit: int | None = None,
    trust: bool = False,
    verify: bool = False,
) -> dict[str, Any]:
    """Facts about a file or folder of word vectors, JSON-able and in reading order.

    Parameters
    ----------
    source, member, limit, trust
        As for :meth:`WordVectors.load`.
    verify : bool
        Check every block of a store against its checksum first.

    Returns
    -------
    dict
        ``format``, ``bytes`` (None for a folder), ``words``, ``dim``, ``dtype``, ``zero_vectors``, ``mean_norm``,
        ``cased`` (whether a word has an upper-case letter), ``counts``, ``subwords``, ``oov``, ``digest`` (stores only:
        it takes reading the whole table) and ``first_words``.
    """
    kind = detect_format(source, member=member)
    if verify and kind == "store":
        verify_store(source)
    vectors = WordVectors.load(source, member=member, limit=limit, trust=trust)
    norms = vectors.norms
    return {
        "format": kind,
        "bytes": None if Path(source).is_dir() else Path(source).stat().st_size,
        "words": len(vectors),
        "dim": vectors.dim,
        "dtype": str(vectors.dtype),
        "zero_vectors": int(np.count_nonzero(norms == 0)),
        "mean_norm": round(float(norms.mean()), 4) if len(norms) else None,
        "cased": any(word != word.lower() for word in vectors.words),
        "counts": vectors.counts is not None,
        "subwords": vectors.subwords is not None,
        "oov": vectors.oov,
        "digest": vectors.digest if kind == "store" else None,
        "first_words": [vectors.words[row] for row in range(min(_FIRST_WORDS, len(vectors)))],
    }
