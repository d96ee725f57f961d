"""Meta-embeddings: several sets of word vectors as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_number
from tlclassic.joint.imputing import impute as fill_in
from tlclassic.joint.maps import check_weights, joining_map
from tlclassic.joint.preparing import fit_preparation, prepare
from tlclassic.joint.vocabulary import check_sources, joint_vocabulary
from tlclassic.vectors import WordVectors

Weights = Sequence[float] | NDArray[np.floating]

__all__ = ["WHITENING", "JointParts", "join", "join_parts"]

#: Half-way between the sources as they are and all directions alike; see docs/joint.md for what it was chosen on.
WHITENING = 0.5
#: Rows that are multiplied at a time.
_BLOCK = 1 << 14


@dataclass(frozen=True)
class JointParts:
    """The prepared vectors of several sources over one vocabulary, from which any way of joining is made at once.

    Attributes
    ----------
    words : list of str, length n
    table : float32 array of shape (n, sum of sizes)
        The sources side by side.
    sizes : list of int
        Dimensions of each source.
    known : bool array of shape (n, k)
        Which source knows which word; the others' vectors are imputed, or zero.
    r2 : list of float
        Share of the variance that imputing predicts, for each source; NaN where nothing was imputed.
    whitening : float
    normalize : bool
    """

    words: list[str]
    table: NDArray[np.float32]
    sizes: list[int]
    known: NDArray[np.bool_]
    r2: list[float]
    whitening: float
    normalize: bool

    @cached_property
    def gram(self) -> NDArray[np.float64]:
        """Products of the table's columns, float64 of shape (sum of sizes, sum of sizes)."""
        total = np.zeros((self.table.shape[1],) * 2)
        for start in range(0, len(self.table), _BLOCK):
            rows = self.table[start : start + _BLOCK]
            total += rows.T @ rows
        return total

    def without_imputed(self) -> JointParts:
        """The same with zeros where a source does not know a word itself; a copy."""
        table = self.table * np.repeat(self.known, self.sizes, axis=1)
        return dataclasses.replace(self, table=table, r2=[float("nan")] * len(self.sizes))

    def map(
        self,
        method: str = "concat",
        weights: Weights | None = None,
        dim: int | None = None,
    ) -> NDArray[np.float64]:
        """The matrix that joins the parts; see :func:`tlclassic.joint.maps.joining_map`."""
        checked = check_weights(weights, len(self.sizes))
        return joining_map(method, self.gram, self.sizes, checked, dim, len(self.table))

    def join(
        self,
        method: str = "concat",
        weights: Weights | None = None,
        dim: int | None = None,
        *,
        oov: str = "zero",
    ) -> WordVectors:
        """The parts as one set of word vectors; a source of weight 0 takes no columns in a concatenation."""
        matrix = self.map(method, weights, dim)
        if method == "concat":
            matrix = matrix[:, matrix.any(axis=0)]
        small = matrix.astype(np.float32)
        result = np.empty((len(self.table), small.shape[1]), dtype=np.float32)
        for start in range(0, len(result), _BLOCK):
            result[start : start + _BLOCK] = self.table[start : start + _BLOCK] @ small
        return WordVectors.from_arrays(self.words, result, oov=oov)


def join_parts(
    sources: Sequence[WordVectors],
    *,
    whitening: float = WHITENING,
    normalize: bool = True,
    impute: bool = True,
    words: Iterable[str] | None = None,
) -> JointParts:
    """Sources over one vocabulary, prepared and imputed, but not yet joined. Parameters as for :func:`join`."""
    found = check_sources(sources)
    check_number("whitening", whitening, low=0.0, high=1.0)
    for name, value in (("normalize", normalize), ("impute", impute)):
        check_choice(name, value, (True, False))
    vocabulary, rows = joint_vocabulary(found, words)
    known = rows >= 0
    kept = np.asarray(known.any(axis=1))
    vocabulary = [word for word, keep in zip(vocabulary, kept.tolist(), strict=True) if keep]
    rows, known = rows[kept], known[kept]
    sizes = [source.dim for source in found]
    table = np.zeros((len(rows), sum(sizes)), dtype=np.float32)
    parts = np.split(table, np.cumsum(sizes)[:-1], axis=1)
    for k, source in enumerate(found):
        whole = source.take(np.arange(len(source)))
        preparation = fit_preparation(whole, whitening, normalize)
        parts[k][known[:, k]] = prepare(whole[rows[known[:, k], k]], preparation)
    r2 = fill_in(parts, known) if impute else [float("nan")] * len(found)
    return JointParts(vocabulary, table, sizes, known, r2, whitening, normalize)


def join(
    sources: Sequence[WordVectors],
    method: str = "concat",
    *,
    weights: Sequence[float] | None = None,
    dim: int | None = None,
    whitening: float = WHITENING,
    normalize: bool = True,
    impute: bool = True,
    words: Iterable[str] | None = None,
    oov: str = "zero",
) -> WordVectors:
    """Several sets of word vectors, of any dimensions and vocabularies, as one: a meta-embedding.

    Each source is centred, partly whitened and brought to unit length; words that it lacks are imputed from the
    others; and all are joined over the union of the vocabularies.

    Parameters
    ----------
    sources : sequence of WordVectors
    method : {"concat", "average", "svd", "gcca"}
        See :func:`tlclassic.joint.maps.joining_map`, which names the papers.
    weights : sequence of float, optional
        One a source; ones by default. :func:`choose_join` finds them.
    dim : int, optional
        Dimensions of "svd" and "gcca"; by default those of the largest source.
    whitening : float
        0 leaves the directions of a source as they are, 1 makes all count alike.
    normalize : bool
        Whether every vector of a source is brought to length one, or the source as a whole to the mean length one.
    impute : bool
        Whether a word that a source lacks gets the vector that ridge regression predicts from the other sources, or
        zeros.
    words : iterable of str, optional
        Keep these words only.
    oov : str
        The answer of the result for unknown words.

    Returns
    -------
    WordVectors
        float32; like any other: it can be saved, pooled, folded.

    Raises
    ------
    InvalidParameterError

    Examples
    --------
    >>> import numpy as np
    >>> from tlclassic import WordVectors
    >>> first = WordVectors.from_arrays(["red", "blue"], np.eye(2, dtype="float32"))
    >>> second = WordVectors.from_arrays(["blue", "green"], np.eye(3, dtype="float32")[:2])
    >>> joined = join([first, second])
    >>> list(joined.words), joined.dim
    (['blue', 'red', 'green'], 5)
    """
    parts = join_parts(sources, whitening=whitening, normalize=normalize, impute=impute, words=words)
    return parts.join(method, weights, dim, oov=oov)
