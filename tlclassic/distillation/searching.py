"""The recipe of a student, chosen on dev: features first, then strength and objective one after the other."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from tlclassic.distillation.objective import confidence_weights, correct_prior, mix, targets
from tlclassic.distillation.recipes import Effort, Recipe
from tlclassic.heads.fitting import fit_targets, probabilities
from tlclassic.heads.streaming import LEARNING_RATE
from tlclassic.heads.targets import Targets
from tlclassic.tuning.featurising import FeatureCache
from tlclassic.tuning.scoring import log_loss, score_proba
from tlclassic.vectors import WordVectors

__all__ = ["LABELLED", "MADE", "MAX_ITER", "TOLERANCE", "TRANSFER", "Pool", "Search", "Trial", "solver_for"]

Float = NDArray[np.float64]
Rows = NDArray[np.int64]
#: Kinds of texts.
LABELLED, TRANSFER, MADE = 0, 1, 2
#: Of the solver: a share of the objective. Tighter ones take twice as long for the same scores.
TOLERANCE, MAX_ITER = 1e-2, 30
#: Up to how many entries times outputs a student is fitted to convergence: about a minute's worth.
NEWTON_LIMIT = 100_000_000


def solver_for(entries: float, n_classes: int) -> str:
    """To convergence, or in passes of stochastic steps where that would take long."""
    return "newton" if entries * (1 if n_classes == 2 else n_classes) <= NEWTON_LIMIT else "adagrad"


@dataclass(frozen=True, eq=False)
class Pool:
    """What a student learns from and is judged by.

    Attributes
    ----------
    texts : list of str, length n
    P : float32 array (n, C)
        The teacher's probabilities.
    kind : int8 array (n,)
        ``LABELLED``, ``TRANSFER`` or ``MADE``.
    hard : float64 array (n_labelled, C)
        True labels of the labelled texts, which come first.
    dev_texts : list of str, length m
    dev : float64 array (m, C)
        Their true labels; the teacher's own answers where there are none.
    classes : array (C,)
    multilabel : bool
    """

    texts: list[str]
    P: NDArray[np.float32]
    kind: NDArray[np.int8]
    hard: Float
    dev_texts: list[str]
    dev: Float
    classes: NDArray[Any]
    multilabel: bool

    def objective(self, recipe: Recipe, rows: Rows) -> tuple[Float, Float]:
        """Targets (k, C) and weights (k,) of ``rows`` under a recipe."""
        P = np.asarray(self.P[rows], dtype=np.float64)
        labelled = self.kind[rows] == LABELLED
        if recipe.prior and labelled.any() and not labelled.all():
            P[~labelled] = self._towards_labels(P[~labelled], recipe.prior)
        P = targets(P, temperature=recipe.temperature, multilabel=self.multilabel).astype(np.float64)
        if recipe.hard_weight:
            given = self.hard[rows[labelled]]
            P[labelled] = mix(P[labelled], given, recipe.hard_weight, multilabel=self.multilabel)
        by_kind = np.array([1.0, recipe.transfer_weight, recipe.made_weight])
        weights = by_kind[self.kind[rows]]
        if recipe.confidence:
            weights[~labelled] *= confidence_weights(
                self.P[rows][~labelled], recipe.confidence, multilabel=self.multilabel
            )
        return P, weights

    def _towards_labels(self, P: Float, share: float) -> Float:
        """The teacher's probabilities, moved towards the class frequencies of the labelled texts."""
        low = 1.0 / (len(self.hard) + 2.0)
        wanted = np.clip(self.hard.mean(axis=0), low, 1.0 - low if self.multilabel else 1.0)
        found = np.clip(P.mean(axis=0), 1e-6, 1.0 - 1e-6 if self.multilabel else 1.0)
        moved = found ** (1.0 - share) * wanted**share
        if not self.multilabel:
            found, moved = found / found.sum(), moved / moved.sum()
        return np.asarray(correct_prior(P, found, moved, multilabel=self.multilabel), dtype=np.float64)

    def counts(self) -> dict[str, int]:
        """How many texts of each kind there are."""
        found = np.bincount(self.kind, minlength=3).tolist()
        return {"labelled": found[LABELLED], "transfer": found[TRANSFER], "made": found[MADE], "dev": len(self.dev)}

    def sample(self, n: int, random_state: int) -> Rows:
        """About ``n`` rows, ascending: of every kind the same share, but at least half of ``n`` from labelled ones."""
        if n >= len(self.texts):
            return np.arange(len(self.texts))
        random = np.random.default_rng(random_state)
        labelled = np.flatnonzero(self.kind == LABELLED)
        others = np.flatnonzero(self.kind != LABELLED)
        n_labelled = min(len(labelled), max(n // 2, n * len(labelled) // len(self.texts)))
        parts = (
            random.choice(labelled, n_labelled, replace=False),
            random.choice(others, min(len(others), n - n_labelled), replace=False),
        )
        return np.sort(np.concatenate(parts))


@dataclass(frozen=True, eq=False)
class Trial:
    """A recipe and what dev said of it.

    Attributes
    ----------
    recipe : Recipe
    n_rows : int
    score, log_loss : float
    seconds : float
    proba : float64 array (m, K)
        Of the dev texts.
    """

    recipe: Recipe
    n_rows: int
    score: float
    log_loss: float
    seconds: float
    proba: Float = field(repr=False)

    @property
    def key(self) -> tuple[float, float]:
        """Greater is better."""
        return self.score, -self.log_loss

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return {
            "recipe": self.recipe.as_dict(),
            "rows": self.n_rows,
            "score": self.score,
            "log_loss": self.log_loss,
            "seconds": round(self.seconds, 2),
        }


class Search:
    """Recipes compared on dev.

    Parameters
    ----------
    pool : Pool
    metric : {"accuracy", "macro_f1"}
    vectors : WordVectors or None
    threads, random_state : int
    on_trial : callable, optional
        Called with each :class:`Trial`.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they were made.
    """

    def __init__(
        self,
        pool: Pool,
        metric: str,
        vectors: WordVectors | None,
        *,
        threads: int,
        random_state: int,
        on_trial: Callable[[Trial], object] | None = None,
    ) -> None:
        self.pool, self.metric, self.threads, self.random_state = pool, metric, threads, random_state
        self._on_trial = on_trial
        self._cache = FeatureCache([*pool.texts, *pool.dev_texts], vectors)
        self._dev_rows = np.arange(len(pool.texts), len(pool.texts) + len(pool.dev_texts))
        self.trials: list[Trial] = []

    def run(self, first: list[Recipe], effort: Effort, *, keep: Sequence[str] = ()) -> Trial:
        """The best trial on all texts; the parts of recipes that ``keep`` names stay as they are."""
        rows = self.pool.sample(effort.rows, self.random_state)
        best = max((self.at(recipe, rows) for recipe in first), key=lambda trial: trial.key)
        for stage in effort.stages:
            changes = {name: values for name, values in stage.items() if name not in keep}
            for recipe in _changed(best.recipe, changes):
                best = max(best, self.at(recipe, rows), key=lambda trial: trial.key)
        if len(rows) == len(self.pool.texts):
            return best
        ranked = sorted(self.trials, key=lambda trial: trial.key, reverse=True)
        every = np.arange(len(self.pool.texts))
        finals = [self.at(trial.recipe, every) for trial in ranked[: effort.finalists]]
        if "C" not in keep:
            # Each text's share of the objective against the penalty is as in the sample, and as if there were no more.
            fewer = replace(finals[0].recipe, C=finals[0].recipe.C * len(rows) / len(every))
            finals.append(self.at(fewer, every))
        return max(finals, key=lambda trial: trial.key)

    def at(self, recipe: Recipe, rows: Rows) -> Trial:
        """One recipe on some rows; what was tried before is not tried again."""
        for trial in self.trials:
            if trial.recipe == recipe and trial.n_rows == len(rows):
                return trial
        began = time.perf_counter()
        proba = self._proba(recipe, rows)
        loss = "sigmoid" if proba.shape[1] == 1 or self.pool.multilabel else "softmax"
        wanted = self.pool.dev if proba.shape[1] == self.pool.dev.shape[1] else self.pool.dev[:, 1:]
        score = score_proba(wanted, proba, self.metric, loss, self.pool.multilabel)
        trial = Trial(recipe, len(rows), score, log_loss(wanted, proba, loss), time.perf_counter() - began, proba)
        self.trials.append(trial)
        if self._on_trial is not None:
            self._on_trial(trial)
        return trial

    def _proba(self, recipe: Recipe, rows: Rows) -> Float:
        features = self._cache.get(recipe.features, rows, self._dev_rows)
        P, weights = self.pool.objective(recipe, rows)
        with warnings.catch_warnings():
            # A trial is judged as it is.
            warnings.simplefilter("ignore", ConvergenceWarning)
            solution = fit_targets(
                features.train,
                Targets(self.pool.classes, P, self.pool.multilabel),
                sample_weight=weights,
                solver=solver_for(features.train.nnz, len(self.pool.classes)),
                learning_rate=LEARNING_RATE / (np.sqrt(_mean_square(features.train)) or 1.0),
                random_state=self.random_state,
                C=recipe.C,
                tol=TOLERANCE,
                max_iter=MAX_ITER,
                threads=self.threads,
            )
        logits = features.held_out @ solution.coef.T + solution.intercept
        proba = probabilities(logits, multilabel=self.pool.multilabel)
        return proba[:, -logits.shape[1] :]


def _mean_square(X: Any) -> float:
    """Of the length of a row, from a sample."""
    rows = X[:: max(1, X.shape[0] // 1000)]
    return float((rows.data.astype(np.float64) ** 2).sum() / max(1, rows.shape[0]))


def _changed(recipe: Recipe, changes: dict[str, tuple[Any, ...]]) -> Iterator[Recipe]:
    """One parameter changed at a time; ``C`` is told as a multiple of what it is."""
    for name, values in changes.items():
        for value in values:
            yield replace(recipe, **{name: recipe.C * value if name == "C" else value})
