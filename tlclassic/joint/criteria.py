"""What a way of joining is judged by: word pairs with people's scores, or texts with labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.joint.joining import JointParts
from tlclassic.vectors import WordVectors
from tlclassic.vectors.evaluation import Pair, correlation_of_ranks, read_pairs

__all__ = ["Bound", "Criterion", "LabelCriterion", "PairCriterion", "folds_of"]

Matrix = NDArray[np.float64]
#: From weights of the sources to the matrix that joins them.
MakeMap = Callable[[Matrix], Matrix]
#: Penalties of the ridge classifier, as shares of the mean variance of its columns.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


class Bound(Protocol):
    """A criterion applied to prepared parts."""

    def best_weights(self, tune: Callable[[Callable[[Matrix], float]], Matrix]) -> Matrix:
        """The sources' weights that are best on everything, kept for :meth:`score`; ``tune`` maximises a function."""

    def score(self, make_map: MakeMap) -> float:
        """The cross-validated score of a way of joining."""


class Criterion(Protocol):
    """What is judged."""

    def bind(self, parts: JointParts) -> Bound:
        """Applied to these parts."""


def folds_of(n: int, n_folds: int, random_state: int) -> NDArray[np.int64]:
    """A fold for each of ``n`` items, of equal sizes up to one."""
    return np.random.default_rng(random_state).permutation(np.arange(n) % n_folds)


class PairCriterion:
    """Spearman's correlation of cosines with people's scores, the mean over sets of pairs.

    A set counts by the root of its size, as its correlation is known that much better. Weights are tuned on all folds
    but one and judged on that one. A pair with an unknown word counts as one of average similarity, so that knowing
    more words is worth something.

    Parameters
    ----------
    pairs : path-like, iterable of (word, word, score), or a mapping of names to those
    n_folds : int
    random_state : int
    """

    def __init__(
        self, pairs: str | os.PathLike[str] | Iterable[Pair] | Mapping[str, Any], *, n_folds: int, random_state: int
    ) -> None:
        named = pairs if isinstance(pairs, Mapping) else {"pairs": pairs}
        self.sets = {
            str(name): read_pairs(value) if isinstance(value, (str, os.PathLike)) else list(value)
            for name, value in named.items()
        }
        for name, triples in self.sets.items():
            if len(triples) < 2 * n_folds:
                raise InvalidParameterError(
                    f"pairs[{name!r}] must hold at least {2 * n_folds} pairs for {n_folds} folds; got {len(triples)}."
                )
        self.n_folds, self.random_state = n_folds, random_state

    def bind(self, parts: JointParts) -> BoundPairs:
        """Applied to these parts."""
        return BoundPairs(self, parts)


class BoundPairs:
    """A :class:`PairCriterion` on prepared parts."""

    def __init__(self, criterion: PairCriterion, parts: JointParts) -> None:
        self._sets = [_PairSet(triples, parts, criterion) for triples in criterion.sets.values()]
        self._n_folds = criterion.n_folds
        self._sizes = parts.sizes
        self._weights: list[Matrix] = []

    def best_weights(self, tune: Callable[[Callable[[Matrix], float]], Matrix]) -> Matrix:
        """Tuned on everything; and once for each fold without it."""

        def without(fold: int) -> Callable[[Matrix], float]:
            return lambda weights: self._mean(lambda pairs: pairs.by_weights(weights, pairs.folds != fold))

        self._weights = [tune(without(fold)) for fold in range(self._n_folds)]
        return tune(without(-1))

    def score(self, make_map: MakeMap) -> float:
        """The mean over the folds, each with the weights that were tuned without it."""
        weights = self._weights or [np.ones(len(self._sizes))] * self._n_folds
        scores = []
        for fold, tuned in enumerate(weights):
            matrix = make_map(tuned)
            scores.append(self._mean(lambda pairs, m=matrix, f=fold: pairs.by_map(m, pairs.folds == f)))  # type: ignore[misc]
        return float(np.mean(scores))

    def _mean(self, measure: Callable[[_PairSet], float]) -> float:
        importance = np.sqrt([len(pairs.gold) for pairs in self._sets])
        return float(np.average([measure(pairs) for pairs in self._sets], weights=importance))


class _PairSet:
    """The pairs of one set: rows of both words, and products of the sources' vectors."""

    def __init__(self, triples: Sequence[Pair], parts: JointParts, criterion: PairCriterion) -> None:
        first, second = (_places(parts.words, [str(triple[side]) for triple in triples]) for side in (0, 1))
        self.gold = np.array([triple[2] for triple in triples], dtype=np.float64)
        self.folds = folds_of(len(triples), criterion.n_folds, criterion.random_state)
        self.known = (first >= 0) & (second >= 0)
        self.a, self.b = (np.where(self.known[:, None], parts.table[rows], 0) for rows in (first, second))
        starts = np.cumsum([0, *parts.sizes[:-1]])
        self._dots, self._a2, self._b2 = (
            np.add.reduceat((x * y).astype(np.float64), starts, axis=1)
            for x, y in ((self.a, self.b), (self.a, self.a), (self.b, self.b))
        )

    def by_weights(self, weights: Matrix, chosen: NDArray[np.bool_]) -> float:
        """Spearman's correlation of a weighted concatenation, on the chosen pairs."""
        squares = weights**2
        return self._correlation(self._dots @ squares, (self._a2 @ squares) * (self._b2 @ squares), chosen)

    def by_map(self, matrix: Matrix, chosen: NDArray[np.bool_]) -> float:
        """The same of any way of joining."""
        small = matrix.astype(np.float32)
        a, b = self.a[chosen] @ small, self.b[chosen] @ small
        lengths = np.square(a).sum(axis=1) * np.square(b).sum(axis=1)
        return self._correlation((a * b).sum(axis=1), lengths, chosen, sliced=True)

    def _correlation(self, dots: Any, lengths: Any, chosen: NDArray[np.bool_], *, sliced: bool = False) -> float:
        if not sliced:
            dots, lengths = dots[chosen], lengths[chosen]
        known = self.known[chosen] & (lengths > 0)
        if known.sum() < 2:
            return 0.0
        cosines = np.full(len(dots), np.nan)
        cosines[known] = dots[known] / np.sqrt(lengths[known])
        cosines[~known] = cosines[known].mean()
        found = correlation_of_ranks(self.gold[chosen], cosines)
        return found if np.isfinite(found) else 0.0


def _places(words: Sequence[str], wanted: Sequence[str]) -> NDArray[np.int64]:
    """Rows, upper and lower case alike; of words equal then the first counts."""
    index: dict[str, int] = {}
    for row, word in enumerate(words):
        index.setdefault(word.upper(), row)
    return np.array([index.get(word.upper(), -1) for word in wanted], dtype=np.int64)


class LabelCriterion:
    """Accuracy of a ridge classifier on the mean of a text's word vectors, cross-validated.

    Where a text may have several labels: the mean precision of the ranking of its labels (LRAP of scikit-learn).

    Parameters
    ----------
    texts : sequence of str, length n
    labels : array-like of shape (n,) of str, int or bool; or 0/1 of shape (n, C); or a list of lists of labels
    n_folds : int
    random_state : int
    """

    def __init__(self, texts: Any, labels: Any, *, n_folds: int, random_state: int) -> None:
        self.texts = check_texts(texts)
        self.targets, self.multilabel = _indicators(labels)
        if len(self.targets) != len(self.texts):
            raise InvalidParameterError(f"labels must be {len(self.texts)}, one a text; got {len(self.targets)}.")
        if len(self.texts) < n_folds:
            raise InvalidParameterError(f"texts must be at least {n_folds}, one a fold; got {len(self.texts)}.")
        self.folds = folds_of(len(self.texts), n_folds, random_state)
        self.n_folds = n_folds

    def bind(self, parts: JointParts) -> BoundLabels:
        """Applied to the means of the texts' words."""
        from tlclassic.features import EmbeddingVectorizer

        vectors = WordVectors.from_arrays(parts.words, parts.table)
        return BoundLabels(self, EmbeddingVectorizer(vectors).fit_transform(self.texts), parts.sizes)


class BoundLabels:
    """A :class:`LabelCriterion` on vectors of its texts."""

    def __init__(self, criterion: LabelCriterion, features: NDArray[np.float32], sizes: Sequence[int]) -> None:
        self._criterion, self._sizes = criterion, sizes
        self._weights = np.ones(len(sizes))
        self._features = features - features.mean(axis=0)
        targets = criterion.targets - criterion.targets.mean(axis=0)
        held = [criterion.folds == fold for fold in range(criterion.n_folds)]
        x = self._features.astype(np.float64)
        products = [(x[~out].T @ x[~out], x[~out].T @ targets[~out]) for out in held]
        self._folds = [(out, gram, cross) for out, (gram, cross) in zip(held, products, strict=True)]

    def best_weights(self, tune: Callable[[Callable[[Matrix], float]], Matrix]) -> Matrix:
        """Tuned by the cross-validated score, at the strength that is best for equal weights."""
        equal = np.ones(sum(self._sizes))
        strength = max(STRENGTHS, key=lambda value: self._at(equal, value))

        def objective(weights: Matrix) -> float:
            return self._at(np.repeat(weights, self._sizes), strength)

        self._weights = tune(objective)
        return self._weights

    def score(self, make_map: MakeMap) -> float:
        """At the best of a few strengths."""
        matrix = make_map(self._weights)
        if matrix.shape[0] == matrix.shape[1] and not (matrix - np.diag(np.diag(matrix))).any():
            matrix = np.diag(matrix).copy()
        return max(self._at(matrix, strength) for strength in STRENGTHS)

    def _at(self, matrix: Matrix, strength: float) -> float:
        """The score of a map, or of column weights alone (which need no product), at one strength."""
        if matrix.ndim == 1:
            columns = matrix[matrix > 0]
            place = np.ix_(matrix > 0, matrix > 0)
            joined = self._features[:, matrix > 0] * columns.astype(np.float32)
            inner = [(held, gram[place] * np.outer(columns, columns)) for held, gram, _ in self._folds]
            crosses = [cross[matrix > 0] * columns[:, None] for _, _, cross in self._folds]
        else:
            joined = self._features @ matrix.astype(np.float32)
            inner = [(held, matrix.T @ gram @ matrix) for held, gram, _ in self._folds]
            crosses = [matrix.T @ cross for _, _, cross in self._folds]
        scores = np.empty(self._criterion.targets.shape)
        for (held, gram), cross in zip(inner, crosses, strict=True):
            penalty = strength * np.trace(gram) / len(gram) or 1.0
            scores[held] = joined[held] @ np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)
        return self._measure(scores + self._criterion.targets.mean(axis=0))

    def _measure(self, scores: Matrix) -> float:
        targets = self._criterion.targets
        if not self._criterion.multilabel:
            return float(np.mean(scores.argmax(axis=1) == targets.argmax(axis=1)))
        some = targets.any(axis=1)
        right = np.take_along_axis(targets[some], np.argsort(-scores[some], axis=1, kind="stable"), axis=1)
        precisions = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
        return float(np.mean((precisions * right).sum(axis=1) / right.sum(axis=1)))


def _indicators(labels: Any) -> tuple[Matrix, bool]:
    """Labels as a 0/1 matrix of shape (n, C), and whether a text may have several."""
    rows = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    multilabel = bool(rows) and isinstance(rows[0], (list, tuple, set, frozenset))
    if multilabel and getattr(labels, "ndim", 1) == 2:
        return np.asarray(labels, dtype=np.float64), True
    sets: list[list[Any]] = [list(row) for row in rows] if multilabel else [[row] for row in rows]
    classes = sorted({label for row in sets for label in row}, key=lambda label: (str(type(label)), label))
    if len(classes) < 2:
        raise InvalidParameterError(f"labels must be of at least 2 classes; got {classes!r:.80}.")
    place = {label: column for column, label in enumerate(classes)}
    result = np.zeros((len(sets), len(classes)))
    for number, row in enumerate(sets):
        result[number, [place[label] for label in row]] = 1
    return result, multilabel
