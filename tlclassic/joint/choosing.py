"""The choice of method, weights, whitening and dimension by cross-validation."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.joint.criteria import Bound, Criterion, LabelCriterion, PairCriterion
from tlclassic.joint.joining import JointParts, join_parts
from tlclassic.joint.maps import METHODS
from tlclassic.joint.vocabulary import check_sources
from tlclassic.vectors import WordVectors
from tlclassic.vectors.evaluation import Pair

__all__ = ["ChosenJoin", "JoinSettings", "choose_join", "tried", "tune_weights"]

Matrix = NDArray[np.float64]
#: Factors by which a weight is changed.
_STEPS = (0.0, 0.25, 0.5, 0.7, 1.4, 2.0, 4.0)
_SWEEPS = 3
_LEAST_GAIN = 1e-5


@dataclass(frozen=True)
class JoinSettings:
    """One way of joining, as :func:`tlclassic.joint.join` takes it."""

    method: str
    weights: tuple[float, ...]
    dim: int | None
    whitening: float
    normalize: bool

    def as_dict(self) -> dict[str, Any]:
        """The settings by name; JSON-able."""
        return {**dataclasses.asdict(self), "weights": list(self.weights)}


@dataclass(frozen=True)
class ChosenJoin:
    """What :func:`choose_join` found.

    Attributes
    ----------
    vectors : WordVectors
        The sources joined with the best settings.
    settings : JoinSettings
    score : float
        Cross-validated: the mean Spearman correlation on pairs, the accuracy on labels.
    trials : list of (JoinSettings, float)
        Everything that was tried, best first.
    singles : list of float
        The score of each source alone, prepared in the way that suits it best.
    """

    vectors: WordVectors
    settings: JoinSettings
    score: float
    trials: list[tuple[JoinSettings, float]]
    singles: list[float]


def choose_join(
    sources: Sequence[WordVectors],
    *,
    pairs: str | os.PathLike[str] | Iterable[Pair] | Mapping[str, Any] | None = None,
    texts: Any = None,
    labels: Any = None,
    methods: Sequence[str] = METHODS,
    dims: Sequence[int | None] = (None,),
    whitenings: Sequence[float] = (0.0, 0.3, 0.6),
    normalize: Sequence[bool] = (True,),
    n_folds: int = 5,
    oov: str = "zero",
    random_state: int = 0,
    on_progress: Callable[[int, int | None], object] | None = None,
) -> ChosenJoin:
    """Join word vectors in the way that does best on word pairs, or on texts with labels.

    For each preparation the weights of a concatenation are tuned, one source at a time, and the other methods and
    dimensions tried with them. Word pairs: weights are tuned on all folds but one, and judged on that. Texts: the
    score of a ridge classifier on the mean of the word vectors. Choosing among many settings flatters the best a
    little: measure the result on data of its own.

    Parameters
    ----------
    sources : sequence of WordVectors
    pairs : path-like, iterable of (word, word, score), or mapping of names to those, optional
    texts, labels : optional
        Instead of pairs: n texts, and their labels as for a classifier, one or several a text.
    methods, dims, whitenings, normalize : sequences
        What is tried; see :func:`tlclassic.joint.join`. Dimensions past those of all sources together are left out.
    n_folds : int
    oov : str
    random_state : int
        Of the folds.
    on_progress : callable, optional
        Called with (preparations done, preparations in all).

    Raises
    ------
    InvalidParameterError

    Examples
    --------
    >>> import numpy as np
    >>> from tlclassic import WordVectors
    >>> rng = np.random.default_rng(0)
    >>> words, meaning = [f"w{i}" for i in range(60)], rng.normal(size=(60, 4))
    >>> good = WordVectors.from_arrays(words, meaning.astype("float32"))
    >>> noise = WordVectors.from_arrays(words, rng.normal(size=(60, 4)).astype("float32"))
    >>> lines = [(words[i], words[i + 1], float(meaning[i] @ meaning[i + 1])) for i in range(59)]
    >>> chosen = choose_join([good, noise], pairs=lines, methods=["concat"])
    >>> [round(weight, 1) for weight in chosen.settings.weights]
    [1.0, 0.0]
    """
    found = check_sources(sources)
    criterion = _criterion(pairs, texts, labels, n_folds, random_state)
    preparations = list(itertools.product(_listed("whitenings", whitenings), _listed("normalize", normalize)))
    for method in _listed("methods", methods):
        check_choice("method", method, METHODS)
    trials: list[tuple[JoinSettings, float]] = []
    singles = np.full(len(found), -np.inf)
    best: tuple[float, JointParts] | None = None
    for done, (whitening, unit) in enumerate(preparations):
        check_number("whitenings", whitening, low=0.0, high=1.0)
        parts = join_parts(found, whitening=whitening, normalize=unit)
        bound = criterion.bind(parts)
        more = tried(parts, bound, methods, dims)
        singles = np.maximum(singles, _singles(parts.without_imputed(), criterion))
        trials += more
        top = max(score for _, score in more)
        if best is None or top > best[0]:
            best = (top, parts)
        if on_progress is not None:
            on_progress(done + 1, len(preparations))
    assert best is not None
    trials.sort(key=lambda trial: -trial[1])
    settings, score = trials[0]
    vectors = best[1].join(settings.method, settings.weights, settings.dim, oov=oov)
    return ChosenJoin(vectors, settings, score, trials, singles.tolist())


def _criterion(pairs: Any, texts: Any, labels: Any, n_folds: int, random_state: int) -> Criterion:
    check_integer("n_folds", n_folds, low=2)
    check_integer("random_state", random_state, low=0)
    if (pairs is None) == (texts is None) or (texts is None) != (labels is None):
        raise InvalidParameterError("choose_join needs either pairs, or texts and labels, and not both.")
    if pairs is not None:
        return PairCriterion(pairs, n_folds=n_folds, random_state=random_state)
    return LabelCriterion(texts, labels, n_folds=n_folds, random_state=random_state)


def _listed(name: str, values: Sequence[Any]) -> list[Any]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or not len(list(values)):
        raise InvalidParameterError(f"{name} must be a list of what to try; got {values!r}.")
    return list(values)


def tried(
    parts: JointParts, bound: Bound, methods: Sequence[str], dims: Sequence[int | None]
) -> list[tuple[JoinSettings, float]]:
    """Every method and dimension on prepared parts, with weights tuned for a concatenation."""
    weights = bound.best_weights(lambda objective: tune_weights(objective, len(parts.sizes)))
    found = []
    for method in methods:
        for dim in dims if method in ("svd", "gcca") else [None]:
            if dim is not None and dim > sum(parts.sizes):
                continue
            score = bound.score(lambda tuned, m=method, d=dim: parts.map(m, tuned, d))  # type: ignore[misc]
            settings = JoinSettings(method, tuple(weights.tolist()), dim, parts.whitening, parts.normalize)
            found.append((settings, score))
    if not found:
        raise InvalidParameterError(
            f"dims must hold a number up to {sum(parts.sizes)}, the sources' dimensions together; got {list(dims)!r}."
        )
    return found


def _singles(parts: JointParts, criterion: Criterion) -> Matrix:
    """The score of each source alone, with the words only that it knows itself."""
    bound = criterion.bind(parts)
    scores = []
    for k in range(len(parts.sizes)):
        only = np.zeros(len(parts.sizes))
        only[k] = 1.0
        scores.append(bound.score(lambda _, w=only: parts.map("concat", w)))  # type: ignore[misc]
    return np.array(scores)


def tune_weights(objective: Callable[[Matrix], float], n_sources: int) -> Matrix:
    """Weights of the sources, the largest 1, that maximise ``objective``: one at a time, while that gains anything."""
    weights = np.ones(n_sources)
    best = objective(weights)
    for _ in range(_SWEEPS):
        before = best
        for source, factor in itertools.product(range(n_sources), _STEPS):
            changed = weights.copy()
            changed[source] = changed[source] * factor if changed[source] else factor
            if not changed.any():
                continue
            score = objective(changed)
            if score > best + _LEAST_GAIN:
                best, weights = score, changed
        if best <= before + _LEAST_GAIN:
            break
    return np.asarray(weights / weights.max())
