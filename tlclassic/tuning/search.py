"""The search: brackets of successive halving over growing samples of rows, as many as the time allows.

# Design: successive halving (Jamieson and Talwalkar 2016, https://arxiv.org/abs/1502.07943) over rows, as in
# Hyperband (Li et al. 2018, https://jmlr.org/papers/v18/16-558.html). The first bracket holds the portfolio, later
# ones the neighbours of the best so far. The rungs of a bracket share its time: each begins trials until its share is
# over, so that something reaches the top however little time there is. With enough time nothing depends on the clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tlclassic.tuning.clock import Clock
from tlclassic.tuning.space import FACTOR, Configuration, Space
from tlclassic.tuning.splits import ETA
from tlclassic.tuning.trials import Evaluator, Trial

__all__ = ["Search"]

#: Configurations of a bracket after the first.
BRACKET = 6
#: Never fewer than this many go on from a rung.
KEPT = 3
#: Brackets in a row that improve nothing end the search.
PATIENCE = 8
#: The final fit, and what goes with it, may take up this share of the time.
FINAL_SHARE = 0.4
#: C stays between 1 / LIMIT and LIMIT times the first one.
LIMIT = 2e3


class Search:
    """Trials so far, and which comes next.

    Parameters
    ----------
    evaluator : Evaluator
    space : Space
    sizes : list of int
        Training rows of the rungs, growing.
    clock : Clock
    random : numpy Generator
    max_trials : int or None
    on_trial : callable or None
        Called with each finished trial.
    reserve : callable
        Seconds that the final fit and what follows it will take, given a finished trial.

    Attributes
    ----------
    trials : list of Trial
    notes : list of str
    """

    def __init__(
        self,
        evaluator: Evaluator,
        space: Space,
        sizes: list[int],
        clock: Clock,
        random: np.random.Generator,
        *,
        max_trials: int | None,
        on_trial: Callable[[Trial], Any] | None,
        reserve: Callable[[Trial], float],
    ) -> None:
        self.evaluator, self.space, self.sizes, self.clock, self.random = evaluator, space, sizes, clock, random
        self.max_trials, self.on_trial, self.reserve = max_trials, on_trial, reserve
        self.trials: list[Trial] = []
        self._seen: set[Configuration] = set()

    # -- the course ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until the time or the trials are used up, or nothing improves any more. KeyboardInterrupt ends it early."""
        try:
            self._bracket(self.space.portfolio(), share=0.6)
            idle = 0
            while idle < PATIENCE and not self._over:
                before = self.best.key
                configurations = self._neighbours()
                if not configurations:
                    break
                self._bracket(configurations, share=1.0)
                idle = 0 if self.best.key > before else idle + 1
        except KeyboardInterrupt:
            if not self.trials:
                raise

    def _bracket(self, configurations: list[Configuration], share: float) -> None:
        self._seen.update(configurations)
        # Where every row of the portfolio's best is cheap, there is nothing to gain from samples.
        began, budget = self.clock.elapsed, max(0.0, self.clock.left) * share
        # A configuration, its best strength so far, and the trial on fewer rows that tells what it costs.
        entries: list[tuple[Configuration, float, Trial | None]] = [
            (each, each.first_C, None) for each in configurations
        ]
        for rung in range(len(self.sizes)):
            until = began + budget * (rung + 1) / len(self.sizes)
            done = []
            for configuration, C, like in entries:
                if self.trials and (self._over or self.clock.elapsed >= until):
                    break
                if self._affordable(rung, like):
                    done.append(self._trial(configuration, rung, C))
            if not done:
                return
            done.sort(key=lambda trial: (self._is_quick(trial), *trial.key), reverse=True)
            kept = done[: max(KEPT, math.ceil(len(done) / ETA))]
            # From below: the stronger fit is quick, and a good start for the next.
            entries = [(trial.configuration, trial.C / FACTOR, trial) for trial in kept]

    @property
    def _over(self) -> bool:
        return self.clock.left <= 0 or (self.max_trials is not None and len(self.trials) >= self.max_trials)

    def _affordable(self, rung: int, like: Trial | None) -> bool:
        """Whether a trial is likely to end in time, going by ``like`` or the last one."""
        if not self.trials:
            return True
        last = like or self.trials[-1]
        return last.seconds_for(self.sizes[rung]) * self._n_splits(rung) < self.clock.left

    def _n_splits(self, rung: int) -> int:
        """Lower rungs are scored on one split; the top one on all."""
        return len(self.evaluator.splits) if rung == len(self.sizes) - 1 else 1

    def _neighbours(self) -> list[Configuration]:
        """New configurations around the best ones."""
        found: list[Configuration] = []
        parents = self.ranked()[:KEPT]
        for number in range(BRACKET):
            # The best one has as many children as the others together.
            parent = parents[0 if number % 2 == 0 else int(self.random.integers(len(parents)))]
            for _, child in zip(range(50), self.space.neighbours(parent.configuration, self.random), strict=False):
                if child not in self._seen:
                    self._seen.add(child)
                    found.append(child)
                    break
        return found

    # -- one trial ----------------------------------------------------------------------------------------------------

    def _trial(self, configuration: Configuration, rung: int, C: float) -> Trial:
        start = time.perf_counter()
        n_rows, n_splits = self.sizes[rung], self._n_splits(rung)
        climb = _Climb(self.evaluator, configuration, n_rows, n_splits)
        climb.visit(C)
        climb.run(C, go_on=lambda: self.clock.left > 2 * climb.last_seconds)
        score, loss, proba = climb.found[climb.best]
        trial = Trial(configuration, rung, n_rows, n_splits, climb.best, score, loss, proba=proba)
        trial.path = {strength: value[0] for strength, value in climb.found.items()}
        trial.seconds = time.perf_counter() - start
        trial.overhead = max(0.0, trial.seconds - climb.fit_seconds)
        self.trials.append(trial)
        self.clock.reserved = self.reserve(self.best)
        if self.on_trial is not None:
            self.on_trial(trial)
        return trial

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def ranked(self) -> list[Trial]:
        """Trials of the highest rung that was reached, the best first, one a configuration.

        What would take too long to fit on all rows is passed over, unless there is nothing else.
        """
        quick = [trial for trial in self.trials if self._is_quick(trial)]
        if not quick:
            return sorted(self.trials, key=lambda trial: (-trial.rung, self.reserve(trial)))
        top = max(trial.rung for trial in quick)
        return sorted((trial for trial in quick if trial.rung == top), key=lambda trial: trial.key, reverse=True)

    def _is_quick(self, trial: Trial) -> bool:
        return self.reserve(trial) <= FINAL_SHARE * self.clock.budget

    @property
    def best(self) -> Trial:
        """The best trial of the highest rung."""
        return self.ranked()[0]


class _Climb:
    """The strength of a configuration: uphill from a first one, in steps of :data:`FACTOR`."""

    def __init__(self, evaluator: Evaluator, configuration: Configuration, n_rows: int, n_splits: int) -> None:
        self._evaluator = evaluator
        self._fits = evaluator.fits(configuration, n_rows, n_splits)
        self._bounds = configuration.first_C / LIMIT, configuration.first_C * LIMIT
        self.found: dict[float, tuple[float, float, list[Any]]] = {}
        self.last_seconds = 0.0

    @property
    def best(self) -> float:
        """The strength with the best score; of equals the one with the lower log loss."""
        return max(self.found, key=lambda C: (self.found[C][0], -self.found[C][1]))

    @property
    def fit_seconds(self) -> float:
        """Of all fits so far."""
        return float(sum(fit.seconds for fit in self._fits))

    def visit(self, C: float) -> None:
        """Fit and score at ``C``."""
        start = time.perf_counter()
        probas = [fit.at(C) for fit in self._fits]
        scores = [self._evaluator.score(fit.held_out, p) for fit, p in zip(self._fits, probas, strict=True)]
        weights = [len(fit.held_out) for fit in self._fits]
        score, loss = np.average(np.array(scores), axis=0, weights=weights)
        self.found[C] = float(score), float(loss), probas
        self.last_seconds = time.perf_counter() - start

    def run(self, C: float, *, go_on: Callable[[], bool]) -> None:
        """Up, then down, each until a step is no better."""
        for factor in (FACTOR, 1.0 / FACTOR):
            at, better = C, True
            while better:
                at *= factor
                if not self._bounds[0] <= at <= self._bounds[1] or not go_on():
                    break
                before = self.found[self.best][0]
                self.visit(at)
                # A lower log loss alone breaks ties, but is no reason to go on.
                better = self.found[at][0] > before
