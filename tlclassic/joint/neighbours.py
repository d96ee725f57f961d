"""Nearest neighbours between two sets of unit vectors, by cosine or by CSLS, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIMILARITIES", "hubness", "nearest"]

Floats = NDArray[np.float32]
#: Cosine, or cosine less the mean cosine of both words' neighbourhoods.
SIMILARITIES = ("csls", "cosine")
#: Neighbours that a neighbourhood is made of (Conneau et al. 2018).
NEIGHBOURHOOD = 10
_CELLS = 1 << 23


def hubness(rows: Floats, others: Floats, k: int = NEIGHBOURHOOD) -> Floats:
    """The mean cosine of each row, float32 of shape (n,), with its ``k`` nearest among ``others``; of unit vectors."""
    k = min(k, len(others))
    result = np.empty(len(rows), dtype=np.float32)
    for start, end in _blocks(len(rows), len(others)):
        cosines = rows[start:end] @ others.T
        result[start:end] = np.partition(cosines, len(others) - k, axis=1)[:, len(others) - k :].mean(axis=1)
    return result


def nearest(
    rows: Floats,
    others: Floats,
    topn: int = 1,
    *,
    similarity: str = "csls",
    own: Floats | None = None,
    hubs: Floats | None = None,
) -> tuple[NDArray[np.int64], Floats]:
    """The ``topn`` most similar of ``others`` for each row, best first.

    CSLS (Conneau et al. 2018, https://openreview.net/forum?id=H196sainb) is 2 cos(x, y) - r(x) - r(y), with r the mean
    cosine of a word with its ten nearest in the other language: what is near to everything is nearest to nothing.

    Parameters
    ----------
    rows, others : float32 arrays of shape (n, dim) and (m, dim)
        Of unit length.
    topn : int
        At most m.
    similarity : {"csls", "cosine"}
    own : float32 array of shape (n,), optional
        :func:`hubness` of the rows, where it is known already.
    hubs : float32 array of shape (m,), optional
        The neighbourhood of ``others`` in all of the language of ``rows``, where the rows are a part of it; by
        default that among the rows.

    Returns
    -------
    places : int64 array of shape (n, topn)
    similarities : float32 array of shape (n, topn)
    """
    if similarity == "csls":
        own = hubness(rows, others) if own is None else own
        hubs = hubness(others, rows) if hubs is None else hubs
    topn = min(topn, len(others))
    places = np.empty((len(rows), topn), dtype=np.int64)
    values = np.empty((len(rows), topn), dtype=np.float32)
    for start, end in _blocks(len(rows), len(others)):
        scores = rows[start:end] @ others.T
        if similarity == "csls" and own is not None and hubs is not None:
            scores *= 2
            scores -= hubs
            scores -= own[start:end, None]
        places[start:end], values[start:end] = _best(scores, topn)
    return places, values


def _best(scores: Floats, topn: int) -> tuple[NDArray[np.int64], Floats]:
    """The places and values of the largest of each row, in order; of equal ones the earlier, the more frequent word."""
    if topn == 1:
        places = scores.argmax(axis=1)[:, None]
        return places, np.take_along_axis(scores, places, axis=1)
    best = np.argpartition(-scores, topn - 1, axis=1)[:, :topn]
    found = np.take_along_axis(scores, best, axis=1)
    order = np.lexsort((best, -found), axis=1)
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)


def _blocks(n: int, m: int) -> Iterator[tuple[int, int]]:
    step = max(1, _CELLS // max(1, m))
    for start in range(0, n, step):
        yield start, min(n, start + step)
