"""What can be asked of word vectors: neighbours, analogies, agreement with people."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray

if TYPE_CHECKING:
    from tlclassic.vectors.evaluation import SimilarityResult
    from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["Queries"]


class Queries:
    """The questions, a base class of ``WordVectors``; each is answered in a module of its own."""

    def most_similar(
        self, word_or_vector: str | NDArray[Any], topn: int = 10, *, restrict: int | None = None
    ) -> list[tuple[str, float]]:
        """The ``topn`` words of highest cosine, best first, the word itself left out.

        Parameters
        ----------
        word_or_vector : str or array of shape (dim,)
        topn : int
        restrict : int, optional
            Look only at the first ``restrict`` rows (the most frequent words, in most files).

        Raises
        ------
        KeyError
            When the word is unknown and the policy has no vector for it.
        """
        from tlclassic.vectors.similarity import most_similar

        return most_similar(cast("WordVectors", self), [word_or_vector], [], topn=topn, restrict=restrict)

    def analogy(
        self,
        positive: Sequence[str | NDArray[Any]],
        negative: Sequence[str | NDArray[Any]] = (),
        topn: int = 10,
        *,
        restrict: int | None = None,
    ) -> list[tuple[str, float]]:
        """The words nearest to ``positive`` minus ``negative`` (3CosAdd), the words of the query left out.

        The query is the mean of the unit vectors, those of ``negative`` with a minus sign: Mikolov, Yih and Zweig
        2013, https://aclanthology.org/N13-1090/; the same numbers as gensim's ``most_similar``.
        """
        from tlclassic.vectors.similarity import most_similar

        return most_similar(cast("WordVectors", self), positive, negative, topn=topn, restrict=restrict)

    def evaluate_similarity(
        self,
        pairs: str | os.PathLike[str] | Iterable[tuple[str, str, float]],
        *,
        case_insensitive: bool = True,
        restrict: int | None = 300_000,
    ) -> SimilarityResult:
        """How well cosines agree with people's scores of word pairs: Pearson, Spearman and the share left out.

        The same numbers as gensim's ``evaluate_word_pairs``, whose defaults these are.

        Parameters
        ----------
        pairs : path-like or iterable of (word, word, score)
            A file has the three separated by tabs, ``#`` for comments, and perhaps a line of column names.
        case_insensitive : bool
            Compare words in upper case; of words equal then, the first row counts.
        restrict : int or None
            Use only the first ``restrict`` rows.
        """
        from tlclassic.vectors.evaluation import evaluate_similarity

        return evaluate_similarity(
            cast("WordVectors", self), pairs, case_insensitive=case_insensitive, restrict=restrict
        )
