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
from tlclassic.distillation.recipes import HARD_WEIGHT, Convolution, Effort, Recipe
from tlclassic.heads import ConvolutionClassifier
from tlclassic.heads.fitting import fit_targets, probabilities
from tlclassic.heads.logit_matching import fit_to_logits
from tlclassic.heads.solvers import Solution
from tlclassic.heads.streaming import LEARNING_RATE
from tlclassic.heads.targets import Targets
from tlclassic.tuning.featurising import FeatureCache
from tlclassic.tuning.scoring import row_losses, score_proba
from tlclassic.vectors import WordVectors

__all__ = [
    "LABELLED",
    "LOGITS_TOLERANCE",
    "MADE",
    "MAX_ITER",
    "TOLERANCE",
    "TRANSFER",
    "Pool",
    "Search",
    "Trial",
    "make_convolution",
    "solving",
]

Float = NDArray[np.float64]
Rows = NDArray[np.int64]
#: Kinds of texts.
LABELLED, TRANSFER, MADE = 0, 1, 2
#: Of the solver: a share of the objective. Tighter ones take twice as long for the same scores.
TOLERANCE, MAX_ITER = 1e-2, 30
#: Of least squares to logits: a share of the residual.
LOGITS_TOLERANCE = 1e-3
#: Up to how many entries times outputs a student is fitted to convergence. Beyond it stochastic steps take a ninth of
#: the time for the same accuracy on dev (sst2, 378,000 texts: log loss 0.317 for 0.314).
NEWTON_LIMIT, EPOCHS = 15_000_000, 10
#: Scores that differ by less than this many standard errors are held to be equal: recipes are alike in what they get
#: wrong, so their difference errs less than each of them.
TELLING = 0.5
#: Products of a hidden layer that take the time of one number of a word: texts of twenty words, and three at once.
_HIDDEN_SHARE = 60
TEMPERATURES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5)


def solving(entries: float, n_classes: int, threads: int) -> dict[str, Any]:
    """Parameters of the solver: to convergence, or in passes of stochastic steps where that would take long.

    Those take one thread, so that the result depends on the seed alone.
    """
    if entries * (1 if n_classes == 2 else n_classes) <= NEWTON_LIMIT:
        return {"solver": "newton", "threads": threads}
    return {"solver": "adagrad", "epochs": EPOCHS, "threads": 1}


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
    #: The teacher's probabilities of the dev texts, float64 (m, C), where they are known.
    dev_teacher: Float | None = None

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

    def outputs(self, proba: NDArray[Any]) -> Float:
        """Of probabilities (m, C) those that are a student's outputs: the last column for two classes, else all."""
        single = len(self.classes) == 2 and not self.multilabel
        return np.asarray(proba[:, 1:] if single else proba, dtype=np.float64)

    def dev_outputs(self, model: Any) -> Float:
        """Of a model's probabilities of the dev texts."""
        return self.outputs(model.predict_proba(self.dev_texts))

    def judging(self, proba: Float) -> tuple[Float, str]:
        """Dev's labels in the columns of ``proba`` (m, K), where K is 1 for two classes, and the loss between them."""
        loss = "sigmoid" if self.multilabel or proba.shape[1] == 1 else "softmax"
        return self.dev[:, -proba.shape[1] :], loss

    def aims(self, proba: Float) -> tuple[Float, str]:
        """As :meth:`judging`, with the teacher's answers beside the labels, as in what a student learns from.

        Labels alone tell students of one teacher apart badly: one that is nearer to it than another by a percent of dev
        texts is as likely to be further from their labels.
        """
        wanted, loss = self.judging(proba)
        if self.dev_teacher is None:
            return wanted, loss
        return (1 - HARD_WEIGHT) * self.dev_teacher[:, -proba.shape[1] :] + HARD_WEIGHT * wanted, loss

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
    score : float
    log_loss : float
        Of dev at the best temperature, so that a student that is too sure is not held to be a worse one.
    seconds : float
    proba : float64 array (m, K)
        Of the dev texts.
    model : ConvolutionClassifier, optional
        That was fitted for it.
    """

    recipe: Recipe
    n_rows: int
    score: float
    log_loss: float
    seconds: float
    proba: Float = field(repr=False)
    model: Any = field(default=None, repr=False)

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
    on_epoch : callable, optional
        Called with how many passes over the texts are done and how many there are, where one trial has several.

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
        on_epoch: Callable[[int, int], object] | None = None,
    ) -> None:
        self.pool, self.metric, self.threads, self.random_state = pool, metric, threads, random_state
        self.vectors = vectors
        self._on_trial, self._on_epoch = on_trial, on_epoch
        self._cache = FeatureCache([*pool.texts, *pool.dev_texts], vectors)
        self._dev_rows = np.arange(len(pool.texts), len(pool.texts) + len(pool.dev_texts))
        self.trials: list[Trial] = []

    def run(self, first: list[Recipe], effort: Effort, *, keep: Sequence[str] = ()) -> Trial:
        """The best trial on all texts; the parts of recipes that ``keep`` names stay as they are."""
        rows = self.pool.sample(effort.rows, self.random_state)
        best = self.best_of([self.at(recipe, rows) for recipe in first])
        for stage in effort.stages:
            changes = {name: values for name, values in stage.items() if name not in keep}
            best = self.best_of([best, *(self.at(recipe, rows) for recipe in _changed(best.recipe, changes))])
        if len(rows) == len(self.pool.texts):
            return best
        left, every = list(self.trials), np.arange(len(self.pool.texts))
        finals: list[Trial] = []
        while left and len(finals) < effort.finalists:
            left.remove(best)
            finals.append(self.at(best.recipe, every))
            best = self.best_of(left) if left else best
        if "C" not in keep:
            # Each text's share of the objective against the penalty is as in the sample, and as if there were no more.
            fewer = replace(finals[0].recipe, C=finals[0].recipe.C * len(rows) / len(every))
            finals.append(self.at(fewer, every))
        return self.best_of(finals)

    def run_convolutions(self, first: Recipe, convolutions: Sequence[Convolution]) -> Trial:
        """The cheapest that dev cannot tell from the best, on all texts, with the objective of ``first``.

        The best has the least loss against labels and teacher (:meth:`Pool.aims`) among those whose score is as good as
        the best, for all that dev can tell.
        """
        every = np.arange(len(self.pool.texts))
        recipes = [replace(first, objective="cross_entropy", convolution=each) for each in convolutions]
        near = self._near([self.at(recipe, every) for recipe in recipes])
        found = [self._aimed_losses(trial) for trial in near]
        best = min(found, key=lambda each: float(each.sum()))
        equal = [trial for trial, each in zip(near, found, strict=True) if _equals(each, best)]
        return min(equal, key=lambda trial: (_cost(trial), trial.log_loss))

    def _aimed_losses(self, trial: Trial) -> Float:
        wanted, loss = self.pool.aims(trial.proba)
        return losses(wanted, trial.proba, loss)

    def _near(self, trials: list[Trial]) -> list[Trial]:
        """Those whose score is as good as the best, for all that dev can tell."""
        most = max(trial.score for trial in trials)
        return [trial for trial in trials if trial.score >= most - TELLING * self._error(most)]

    def _error(self, score: float) -> float:
        """Its standard error."""
        return float(np.sqrt(max(score * (1.0 - score), 0.0) / len(self.pool.dev_texts)))

    def best_of(self, trials: list[Trial]) -> Trial:
        """The one with the least log loss among those whose score is as good as the best, for all that dev can tell."""
        return min(self._near(trials), key=lambda trial: (trial.log_loss, -trial.score))

    def at(self, recipe: Recipe, rows: Rows) -> Trial:
        """One recipe on some rows; what was tried before is not tried again."""
        for trial in self.trials:
            if trial.recipe == recipe and trial.n_rows == len(rows):
                return trial
        began = time.perf_counter()
        model = None if recipe.convolution is None else self._convolution(recipe, rows)
        proba = self._proba(recipe, rows) if model is None else self.pool.dev_outputs(model)
        wanted, loss = self.pool.judging(proba)
        score = score_proba(wanted, proba, self.metric, loss, self.pool.multilabel)
        trial = Trial(
            recipe, len(rows), score, calibrated(wanted, proba, loss), time.perf_counter() - began, proba, model
        )
        self.trials.append(trial)
        if self._on_trial is not None:
            self._on_trial(trial)
        return trial

    def _convolution(self, recipe: Recipe, rows: Rows) -> ConvolutionClassifier:
        P, weights = self.pool.objective(recipe, rows)
        model = make_convolution(recipe, self.pool, self.vectors, self.random_state)
        texts = [self.pool.texts[row] for row in rows.tolist()]
        return model.fit(texts, P, sample_weight=weights, classes=self.pool.classes, on_epoch=self._on_epoch)

    def _proba(self, recipe: Recipe, rows: Rows) -> Float:
        features = self._cache.get(recipe.features, rows, self._dev_rows)
        P, weights = self.pool.objective(recipe, rows)
        targets = Targets(self.pool.classes, P, self.pool.multilabel)
        if recipe.objective == "logits":
            solution = fit_to_logits(
                features.train, targets, sample_weight=weights, C=recipe.C, tol=LOGITS_TOLERANCE, max_iter=MAX_ITER
            )
        else:
            solution = self._by_cross_entropy(features.train, targets, weights, recipe.C)
        logits = features.held_out @ solution.coef.T + solution.intercept
        proba = probabilities(logits, multilabel=self.pool.multilabel)
        return proba[:, -logits.shape[1] :]

    def _by_cross_entropy(self, X: Any, targets: Targets, weights: Float, C: float) -> Solution:
        with warnings.catch_warnings():
            # A trial is judged as it is.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return fit_targets(
                X,
                targets,
                sample_weight=weights,
                **solving(X.nnz, len(self.pool.classes), self.threads),
                learning_rate=LEARNING_RATE / (np.sqrt(_mean_square(X)) or 1.0),
                random_state=self.random_state,
                C=C,
                tol=TOLERANCE,
                max_iter=MAX_ITER,
            )


def make_convolution(
    recipe: Recipe, pool: Pool, vectors: WordVectors | None, random_state: int
) -> ConvolutionClassifier:
    """The classifier of a recipe that has a convolution."""
    return ConvolutionClassifier(
        **vars(recipe.convolution),
        vectors="base-en" if vectors is None else vectors,
        multilabel=pool.multilabel,
        random_state=random_state,
    )


def calibrated(wanted: Float, proba: Float, loss: str) -> float:
    """The log loss at the best of some temperatures."""
    return float(losses(wanted, proba, loss).mean())


def losses(wanted: Float, proba: Float, loss: str) -> Float:
    """The log loss of each row, at the temperature that is best for all."""
    every = [row_losses(wanted, _softened(proba, temperature, loss), loss) for temperature in TEMPERATURES]
    return min(every, key=lambda found: float(found.sum()))


def _equals(one: Float, best: Float) -> bool:
    """Whether losses of the same texts differ by less than half a standard error.

    As the rule of one standard error (Breiman et al. 1984), but of the difference, text by text.
    """
    worse = one - best
    return bool(worse.mean() <= TELLING * worse.std() / np.sqrt(len(worse)))


def _cost(trial: Trial) -> float:
    """What a convolution reads a word, and a share of what a text's hidden layer multiplies."""
    convolution = trial.recipe.convolution
    assert convolution is not None
    features = convolution.filters + convolution.sums
    return convolution.filters * convolution.width + convolution.sums + features * convolution.hidden / _HIDDEN_SHARE


def _softened(proba: Float, temperature: float, loss: str) -> Float:
    p = np.clip(proba, 1e-12, 1.0 - 1e-12)
    if loss == "sigmoid":
        return np.asarray(1.0 / (1.0 + (1.0 / p - 1.0) ** (1.0 / temperature)))
    p = p ** (1.0 / temperature)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _mean_square(X: Any) -> float:
    """Of the length of a row, from a sample."""
    rows = X[:: max(1, X.shape[0] // 1000)]
    return float((rows.data.astype(np.float64) ** 2).sum() / max(1, rows.shape[0]))


def _changed(recipe: Recipe, changes: dict[str, tuple[Any, ...]]) -> Iterator[Recipe]:
    """One parameter changed at a time; ``C`` is told as a multiple of what it is."""
    for name, values in changes.items():
        for value in values:
            yield replace(recipe, **{name: recipe.C * value if name == "C" else value})
