"""Nearest words by cosine, a block of the table at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_integer
from tlclassic.errors import InvalidParameterError
from tlclassic.vectors import rows as _rows
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["most_similar", "unit"]

Query = str | NDArray[Any]


def most_similar(
    vectors: WordVectors,
    positive: Sequence[Query],
    negative: Sequence[Query],
    *,
    topn: int,
    restrict: int | None,
) -> list[tuple[str, float]]:
    """See :meth:`WordVectors.most_similar` and :meth:`WordVectors.analogy`."""
    check_integer("topn", topn, low=1)
    if restrict is not None:
        check_integer("restrict", restrict, low=1)
    queries = _as_queries("positive", positive) + _as_queries("negative", negative)
    if not queries:
        raise InvalidParameterError("positive must hold at least one word or vector; got none.")
    total = np.zeros(vectors.dim, dtype=np.float32)
    for position, query in enumerate(queries):
        vector = unit(vectors[query]) if isinstance(query, str) else _check_vector(query, vectors.dim)
        total += vector if position < len(positive) else -vector
    excluded = _rows_of(vectors, [query for query in queries if isinstance(query, str)])
    best, cosines = _top(vectors, unit(total), topn, restrict, excluded)
    return [(vectors.words[int(row)], float(cosine)) for row, cosine in zip(best, cosines, strict=True)]


def unit(vector: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The vector scaled to length one; a zero vector stays zero."""
    norm = np.linalg.norm(vector)
    scaled: NDArray[np.float32] = (vector / norm if norm > 0 else vector).astype(np.float32)
    return scaled


def _as_queries(name: str, queries: Sequence[Query]) -> list[Query]:
    if isinstance(queries, str):
        raise InvalidParameterError(f"{name} must be a list of words; got the single string {queries!r}. Pass [word].")
    return list(queries)


def _check_vector(query: Any, dim: int) -> NDArray[np.float32]:
    vector = np.asarray(query, dtype=np.float32)
    if vector.shape != (dim,):
        raise InvalidParameterError(f"a query vector must have shape ({dim},); got {vector.shape}.")
    return vector


def _rows_of(vectors: WordVectors, words: list[str]) -> NDArray[np.int64]:
    """The rows whose vectors stood for ``words``."""
    rows = vectors.rows(words)
    if vectors.oov == "lower":
        rows = np.where(rows < 0, vectors.rows([word.lower() for word in words]), rows)
    return rows[rows >= 0]


def _top(
    vectors: WordVectors, query: NDArray[np.float32], topn: int, restrict: int | None, excluded: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    norms = np.where(vectors.norms > 0, vectors.norms, np.float32(1))
    best, cosines = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    for start, rows in _rows.blocks(vectors.table, vectors.scales, restrict):
        block = rows @ query / norms[start : start + len(rows)]
        inside = excluded[(excluded >= start) & (excluded < start + len(rows))]
        block[inside - start] = -np.inf
        best = np.concatenate([best, np.arange(start, start + len(rows))])
        cosines = np.concatenate([cosines, block])
        if len(best) > topn:
            keep = np.argpartition(-cosines, topn - 1)[:topn]
            best, cosines = best[keep], cosines[keep]
    # Of equal cosines the earlier row first.
    order = np.lexsort((best, -cosines))
    order = order[cosines[order] > -np.inf]
    return best[order], cosines[order]
