"""Two sets of word vectors, of two languages, brought into one space by a rotation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer
from tlclassic.errors import InvalidParameterError
from tlclassic.joint.lexicons import WordPair, known_pairs
from tlclassic.joint.retrofitting import replaced
from tlclassic.joint.selflearning import induced_pairs, learn_alone, structural_pairs
from tlclassic.joint.vocabulary import check_sources
from tlclassic.vectors import WordVectors

__all__ = ["STARTS", "Alignment", "align", "procrustes"]

#: What an alignment without a dictionary begins with.
STARTS = ("identical", "structure")
#: A rotation of fewer pairs says nothing.
MIN_PAIRS = 5
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Alignment:
    """Two languages in one space.

    Attributes
    ----------
    source, target : WordVectors
        Both in the common space, which is the target's: float32, centred where asked for, of unit length.
    matrix : float32 array of shape (source dim, target dim)
        The rotation: what the prepared source vectors were multiplied by.
    n_pairs : int
        Pairs of words that the rotation was learnt from in the end.
    history : list of (int, float)
        For each refinement the number of pairs, and the mean CSLS of frequent words with their translation.
    """

    source: WordVectors
    target: WordVectors
    matrix: Floats
    n_pairs: int
    history: list[tuple[int, float]] = field(default_factory=list)

    def translate(self, words: Iterable[str], topn: int = 1, *, similarity: str = "csls") -> dict[str, list[str]]:
        """The most similar target words of source words, best first; unknown words are left out.

        Parameters
        ----------
        words : iterable of str
        topn : int
        similarity : {"csls", "cosine"}
        """
        from tlclassic.joint.induction import translations

        return translations(self.source, self.target, words, topn, similarity=similarity)


def procrustes(x: Floats, y: Floats) -> Floats:
    """The rotation W that minimises the distance of ``x @ W`` to ``y``: Schönemann 1966.

    W = U V' of the singular value decomposition of X'Y; for different dimensions its rows or columns are orthonormal.

    Parameters
    ----------
    x, y : float32 arrays of shape (n, p) and (n, q)

    Returns
    -------
    float32 array of shape (p, q)
    """
    u, _, vt = np.linalg.svd(x.T.astype(np.float64) @ y, full_matrices=False)
    return np.asarray(u @ vt, dtype=np.float32)


def align(
    source: WordVectors,
    target: WordVectors,
    dictionary: Iterable[WordPair] | None = None,
    *,
    start: str = "identical",
    refinements: int | None = None,
    center: bool = True,
    n_frequent: int = 10_000,
    random_state: int = 0,
) -> Alignment:
    """Rotate the vectors of one language into the space of another.

    With a dictionary: orthogonal Procrustes, and refinements if asked for. Without: a start is made from words that
    are written alike, or from the shape of both spaces alone, and refined. A refinement induces a dictionary (pairs of
    frequent words that are each other's nearest by CSLS) and learns the rotation from it anew: Conneau et al. 2018,
    https://openreview.net/forum?id=H196sainb. The rotation whose criterion is best is kept.

    Parameters
    ----------
    source, target : WordVectors
        Sorted by frequency, as published ones are; dimensions may differ.
    dictionary : iterable of (source word, target word), optional
        From :func:`read_word_pairs`.
    start : {"identical", "structure"}
        Without a dictionary: words of both languages with the same spelling (names, numbers, loans); or words whose
        similarities to their own language's words are distributed alike (Artetxe, Labaka and Agirre 2018,
        https://aclanthology.org/P18-1073/), improved by self-learning that drops pairs at random and drops fewer with
        time.
    refinements : int, optional
        At most so many; by default none with a dictionary, 5 without.
    center : bool
        Subtract the mean of each language first (Artetxe, Labaka and Agirre 2016,
        https://aclanthology.org/D16-1250/).
    n_frequent : int
        The first so many words of each language take part in refinements.
    random_state : int
        Of the structural start's self-learning.

    Raises
    ------
    InvalidParameterError
        When fewer than 5 pairs are known on both sides; says what to do.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> table = rng.normal(size=(40, 4)).astype("float32")
    >>> turned = table @ np.linalg.qr(rng.normal(size=(4, 4)))[0].astype("float32")
    >>> english = WordVectors.from_arrays([f"word{i}" for i in range(40)], table)
    >>> spanish = WordVectors.from_arrays([f"palabra{i}" for i in range(40)], turned)
    >>> aligned = align(spanish, english, [(f"palabra{i}", f"word{i}") for i in range(10)])
    >>> aligned.translate(["palabra30"])
    {'palabra30': ['word30']}
    """
    check_sources([source, target])
    check_choice("start", start, STARTS)
    check_choice("center", center, (True, False))
    check_integer("n_frequent", n_frequent, low=1)
    check_integer("random_state", random_state, low=0)
    if refinements is not None:
        check_integer("refinements", refinements, low=0)
    x, y = _unit(source, center), _unit(target, center)
    if dictionary is not None:
        pairs = known_pairs(source, target, dictionary)
        rounds = 0 if refinements is None else refinements
    else:
        rounds = 5 if refinements is None else refinements
        pairs = (
            _identical(source, target)
            if start == "identical"
            else learn_alone(x[:n_frequent], y[:n_frequent], structural_pairs(x, y), random_state, procrustes)
        )
    _check_enough(pairs, dictionary is not None, start)
    matrix = procrustes(x[pairs[:, 0]], y[pairs[:, 1]])
    n_pairs = len(pairs)
    history: list[tuple[int, float]] = []
    if rounds:
        matrix, n_pairs, history = _refined(x[:n_frequent], y[:n_frequent], matrix, n_pairs, rounds)
    return Alignment(replaced(source, x @ matrix), replaced(target, y), matrix, n_pairs, history)


def _refined(
    x: Floats, y: Floats, matrix: Floats, n_pairs: int, rounds: int
) -> tuple[Floats, int, list[tuple[int, float]]]:
    """Dictionary and rotation in turn; the best of them, how many pairs it is of, and what each came to."""
    pairs, criterion = induced_pairs(x @ matrix, y)
    best, history = (criterion, matrix, n_pairs), [(n_pairs, criterion)]
    for _ in range(rounds):
        if len(pairs) < MIN_PAIRS:
            break
        n_pairs, matrix = len(pairs), procrustes(x[pairs[:, 0]], y[pairs[:, 1]])
        pairs, criterion = induced_pairs(x @ matrix, y)
        history.append((n_pairs, criterion))
        if criterion <= best[0]:
            break
        best = (criterion, matrix, n_pairs)
    return best[1], best[2], history


def _unit(vectors: WordVectors, center: bool) -> Floats:
    """Unit vectors; with ``center``, of unit length before and after the mean is taken away."""
    table = vectors.normalized().take(np.arange(len(vectors)))
    if not center:
        return table
    table = table - table.mean(axis=0)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(table / np.where(lengths > 0, lengths, np.float32(1)), dtype=np.float32)


def _identical(source: WordVectors, target: WordVectors) -> NDArray[np.int64]:
    """The words that are spelt alike in both languages and are longer than two characters."""
    return known_pairs(source, target, [(word, word) for word in source.words if len(word) > 2])


def _check_enough(pairs: NDArray[np.int64], has_dictionary: bool, start: str) -> None:
    if len(pairs) >= MIN_PAIRS:
        return
    if has_dictionary:
        raise InvalidParameterError(
            f"dictionary must hold at least {MIN_PAIRS} pairs whose words are known on both sides; got {len(pairs)}. "
            "Is it in the order source, target, and are words spelt (in lower case) as the vectors have them?"
        )
    other = "structure" if start == "identical" else "identical"
    raise InvalidParameterError(
        f"start={start!r} found {len(pairs)} pairs of words, of which at least {MIN_PAIRS} are needed. Choose "
        f"start={other!r} or give a dictionary."
    )
