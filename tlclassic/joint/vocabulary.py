"""One vocabulary for several sets of word vectors, and where each of its words lies in each set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.vectors import WordVectors

__all__ = ["check_sources", "joint_vocabulary"]


def check_sources(sources: Any, *, low: int = 1) -> list[WordVectors]:
    """The sources as a list.

    Raises
    ------
    InvalidParameterError
        For something else than word vectors, fewer than ``low`` of them, or an empty table.
    """
    if isinstance(sources, WordVectors) or not isinstance(sources, Iterable):
        raise InvalidParameterError(f"sources must be a list of WordVectors; got {sources!r:.80}. Pass [a, b].")
    found = list(sources)
    for i, source in enumerate(found):
        if not isinstance(source, WordVectors):
            raise InvalidParameterError(
                f"sources[{i}] must be WordVectors; got {type(source).__name__}. Open a file with WordVectors.load."
            )
        if not len(source):
            raise InvalidParameterError(f"sources[{i}] must hold at least one word; got none.")
    if len(found) < low:
        raise InvalidParameterError(f"sources must be at least {low} sets of word vectors; got {len(found)}.")
    return found


def joint_vocabulary(
    sources: Sequence[WordVectors], words: Iterable[str] | None = None
) -> tuple[list[str], NDArray[np.int64]]:
    """The union of the sources' words, frequent ones first, and the row of each in each source.

    A word that a source does not know as it stands is looked up there in lower case, then with a capital, so that
    cased and uncased sources share their words. A zero vector says nothing, and counts as unknown.

    Parameters
    ----------
    sources : sequence of WordVectors, length k
    words : iterable of str, optional
        Take these only, where a source knows them, and in the union's order.

    Returns
    -------
    words : list of str, length n
        In the order of the mean over the sources of log(1 + row), a source that lacks the word counting as if it were
        its last: published vectors are sorted by frequency, and so is the result.
    rows : int64 array of shape (n, k)
        -1 where a source does not know the word.
    """
    found = list(dict.fromkeys(word for source in sources for word in source.words))
    if words is not None:
        wanted = set(words)
        found = [word for word in found if word in wanted]
    exact = np.stack([source.rows(found) for source in sources], axis=1)
    places = [np.where(exact[:, k] < 0, len(source), exact[:, k]) for k, source in enumerate(sources)]
    order = np.argsort(np.mean([np.log1p(place) for place in places], axis=0), kind="stable")
    ordered = [found[i] for i in order.tolist()]
    return ordered, np.stack([_rows(source, ordered) for source in sources], axis=1)


def _rows(source: WordVectors, words: list[str]) -> NDArray[np.int64]:
    rows = source.rows(words)
    for change in (str.lower, str.capitalize):
        unknown = np.flatnonzero(rows < 0)
        rows[unknown] = source.rows([change(words[i]) for i in unknown.tolist()])
    known = np.flatnonzero(rows >= 0)
    rows[known[source.norms[rows[known]] == 0]] = -1
    return rows
