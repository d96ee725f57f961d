"""One trial: a configuration fitted on some rows at several strengths and scored on others."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from tlclassic.heads.fitting import fit_targets, probabilities
from tlclassic.heads.targets import Targets
from tlclassic.tuning.featurising import FeatureCache, Features
from tlclassic.tuning.scoring import log_loss, score_proba
from tlclassic.tuning.space import Configuration
from tlclassic.tuning.splits import Split

__all__ = ["MAX_ITER", "TOLERANCE", "Evaluator", "Trial", "smoothed"]

#: Of the solver: a share of the objective. Tighter ones take twice as long for the same scores.
TOLERANCE, MAX_ITER = 1e-2, 30
#: More rows need more iterations as well: seconds grow with the number of rows to this power.
GROWTH = 1.3
Float = NDArray[np.float64]


@dataclass(eq=False)
class Trial:
    """What came of a configuration.

    Attributes
    ----------
    configuration : Configuration
    rung : int
    n_rows : int
        Training rows.
    n_splits : int
        Splits that the score is the mean of.
    C : float
        The best strength.
    score, log_loss : float
        Mean over the splits.
    seconds : float
        All of the trial.
    overhead : float
        Seconds of these that were no fitting: features and scores, which more training rows make little longer.
    path : dict of float to float
        Strength → score.
    proba : list of float64 array of shape (n_held_out, K)
        Of each split's held-out rows, at the best strength.
    """

    configuration: Configuration
    rung: int
    n_rows: int
    n_splits: int
    C: float
    score: float
    log_loss: float
    seconds: float = 0.0
    overhead: float = 0.0
    path: dict[float, float] = field(default_factory=dict)
    proba: list[Float] = field(default_factory=list)

    @property
    def key(self) -> tuple[float, float]:
        """Greater is better."""
        return self.score, -self.log_loss

    def seconds_for(self, n_rows: int) -> float:
        """A guess of what one fit from nothing will take on so many rows: about all the fits that led here."""
        fitting = (self.seconds - self.overhead) * (n_rows / self.n_rows) ** GROWTH
        return float((self.overhead + fitting) / self.n_splits)

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return {
            "params": {**self.configuration.as_dict(), "C": self.C},
            "rung": self.rung,
            "rows": self.n_rows,
            "splits": self.n_splits,
            "score": self.score,
            "log_loss": self.log_loss,
            "seconds": round(self.seconds, 3),
            "path": [[C, score] for C, score in sorted(self.path.items())],
        }


def smoothed(P: Float, share: float) -> Float:
    """Targets with ``share`` of each row spread evenly over the classes."""
    return P if share == 0.0 else (1.0 - share) * P + share / P.shape[1]


class Evaluator:
    """Runs trials.

    Parameters
    ----------
    targets : Targets
        Of the training texts, then of those of a dev set.
    splits : list of Split
    metric : str
    cache : FeatureCache
    threads : int
    """

    def __init__(self, targets: Targets, splits: list[Split], metric: str, cache: FeatureCache, threads: int) -> None:
        self.targets, self.splits, self.metric = targets, splits, metric
        self.cache, self.threads = cache, threads

    def fits(self, configuration: Configuration, n_rows: int, n_splits: int) -> list[_Fit]:
        """The fits of a configuration, one a split."""
        return [_Fit(self, configuration, split.train[:n_rows], split.held_out) for split in self.splits[:n_splits]]

    def score(self, rows: NDArray[np.int64], proba: Float) -> tuple[float, float]:
        """Score and log loss of probabilities for held-out ``rows``."""
        kind, wanted = self.targets.loss, self.targets.outputs[rows]
        score = score_proba(wanted, proba, self.metric, kind, self.targets.multilabel)
        return score, log_loss(wanted, proba, kind)


class _Fit:
    """One configuration on one split; each fit starts where the last one ended."""

    def __init__(
        self, evaluator: Evaluator, configuration: Configuration, train: NDArray[np.int64], held_out: NDArray[np.int64]
    ) -> None:
        self._evaluator, self._configuration = evaluator, configuration
        self.held_out = held_out
        all_targets = evaluator.targets
        self._features: Features = evaluator.cache.get(configuration, train, held_out)
        self._targets = replace(all_targets, P=smoothed(all_targets.P[train], configuration.smoothing))
        self._scale = self._features.nb_scales(self._targets.outputs) if configuration.nb else None
        if self._scale is not None and len(self._scale) == 1:
            self._scale = self._scale[0]
        self._start: tuple[Float, Float] | None = None
        self.seconds = 0.0  # of all fits so far

    def at(self, C: float) -> Float:
        """Probabilities of the held-out rows, of shape (n, K), at strength ``C``."""
        began = time.perf_counter()
        with warnings.catch_warnings():
            # A trial is judged as it is.
            warnings.simplefilter("ignore", ConvergenceWarning)
            solution = fit_targets(
                self._features.train,
                self._targets,
                class_weight=self._configuration.class_weight,
                C=C,
                scale=self._scale,
                start=self._start,
                tol=TOLERANCE,
                max_iter=MAX_ITER,
                threads=self._evaluator.threads,
            )
        self.seconds += time.perf_counter() - began
        self._start = solution.coef, solution.intercept
        logits = self._features.held_out @ solution.coef.T + solution.intercept
        proba = probabilities(logits, multilabel=self._targets.multilabel)
        return proba[:, -logits.shape[1] :]
