"""Bilingual lexicon induction: how many words have their translation as nearest neighbour in the common space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import InvalidParameterError
from tlclassic.joint.lexicons import WordPair, known_pairs
from tlclassic.joint.neighbours import SIMILARITIES, hubness, nearest
from tlclassic.vectors import WordVectors

__all__ = ["LexiconScore", "precision_at", "translations"]


@dataclass(frozen=True)
class LexiconScore:
    """Precision of an induced lexicon.

    Attributes
    ----------
    precision : dict of int to float
        For each k the share of the source words with a right translation among the k nearest, 0 to 1.
    n : int
        Source words that were asked for: known, and with a translation that is known.
    n_unknown : int
        Other source words of the dictionary.
    """

    precision: dict[int, float]
    n: int
    n_unknown: int

    def as_dict(self) -> dict[str, Any]:
        """The attributes by name; JSON-able."""
        precision = {str(k): value for k, value in self.precision.items()}
        return {"precision": precision, "n": self.n, "n_unknown": self.n_unknown}


def precision_at(
    source: WordVectors,
    target: WordVectors,
    dictionary: Iterable[WordPair],
    k: Sequence[int] = (1, 5),
    *,
    similarity: str = "csls",
) -> LexiconScore:
    """How often a right translation is among the ``k`` nearest target words.

    Parameters
    ----------
    source, target : WordVectors
        In one space, such as ``Alignment.source`` and ``Alignment.target``.
    dictionary : iterable of (source word, target word)
        Not what the alignment was learnt from. A word may have several translations; any of them is right. Words and
        translations that are unknown cannot be found, and are counted apart.
    k : sequence of int
    similarity : {"csls", "cosine"}

    Raises
    ------
    InvalidParameterError
        When the dimensions differ, or no pair is known.
    """
    ks = list(k)
    for value in ks:
        check_integer("k", value, low=1)
    pairs = list(dictionary)
    rows = known_pairs(source, target, pairs)
    if not len(rows) or not ks:
        raise InvalidParameterError("dictionary must hold a pair whose words are known on both sides; got none.")
    right: dict[int, set[int]] = {}
    for one, other in rows.tolist():
        right.setdefault(one, set()).add(other)
    asked = np.array(list(right), dtype=np.int64)
    found = _nearest_rows(source, target, asked, max(ks), similarity)
    ranks = [
        next((rank for rank, row in enumerate(line, 1) if row in right[word]), max(ks) + 1)
        for word, line in zip(asked.tolist(), found.tolist(), strict=True)
    ]
    precision = {value: float(np.mean(np.array(ranks) <= value)) for value in ks}
    return LexiconScore(precision, len(asked), len({one for one, _ in pairs}) - len(asked))


def translations(
    source: WordVectors, target: WordVectors, words: Iterable[str], topn: int = 1, *, similarity: str = "csls"
) -> dict[str, list[str]]:
    """The ``topn`` most similar target words of source words, best first; unknown words are left out."""
    check_integer("topn", topn, low=1)
    asked = list(dict.fromkeys(words))
    rows = source.rows(asked)
    known = [word for word, row in zip(asked, rows.tolist(), strict=True) if row >= 0]
    if not known:
        return {}
    found = _nearest_rows(source, target, rows[rows >= 0], topn, similarity)
    return {word: [target.words[row] for row in line] for word, line in zip(known, found.tolist(), strict=True)}


def _nearest_rows(
    source: WordVectors, target: WordVectors, rows: NDArray[np.int64], topn: int, similarity: str
) -> NDArray[np.int64]:
    check_choice("similarity", similarity, SIMILARITIES)
    if source.dim != target.dim:
        raise InvalidParameterError(
            f"source and target must have the same dimensions; got {source.dim} and {target.dim}. Align them first."
        )
    x, y = (side.normalized().take(np.arange(len(side))) for side in (source, target))
    # Neighbourhoods are those of the languages, whichever words are asked for.
    hubs = hubness(y, x) if similarity == "csls" else None
    return nearest(x[rows], y, topn, similarity=similarity, hubs=hubs)[0]
