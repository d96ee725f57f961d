"""``tune``: the best classifier that a time and a size budget allow."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import available_cpus
from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.folding import parse_size
from tlclassic.tuning.clock import Clock
from tlclassic.tuning.featurising import FeatureCache
from tlclassic.tuning.finishing import Finisher
from tlclassic.tuning.problem import Problem, read_problem
from tlclassic.tuning.result import TuneResult
from tlclassic.tuning.scoring import METRICS
from tlclassic.tuning.search import Search
from tlclassic.tuning.space import Space
from tlclassic.tuning.splits import make_splits, rung_sizes
from tlclassic.tuning.trials import Evaluator, Trial
from tlclassic.vectors import WordVectors

__all__ = ["tune"]

#: Trials whose compiled forms compete for the place within ``max_size``.
FINALISTS = 3
#: Seconds that compiling takes at least, and as a share of a fit.
COMPILE_SECONDS, COMPILE_SHARE = 0.3, 0.5


def tune(
    texts: Any,
    labels: Any,
    *,
    time: float = 60.0,
    max_size: int | str | None = None,
    metric: str = "accuracy",
    dev: tuple[Any, Any] | None = None,
    multilabel: bool = False,
    vectors: WordVectors | str | os.PathLike[str] | None = None,
    fast: bool = False,
    max_trials: int | None = None,
    random_state: int = 0,
    threads: int | None = None,
    on_progress: Callable[[dict[str, Any]], Any] | None = None,
    provenance: dict[str, Any] | None = None,
) -> TuneResult:
    """Search for the features and the strength of a classifier, and compile the best one.

    Successive halving: configurations are tried on samples of the rows, the better ones again on more. What is known
    to be good on many data sets is tried first, so that a few seconds give a sane model already. Scores come from
    ``dev``; else from five folds (twice below 500 rows), above 5,000 rows from a fifth of them (at most 10,000).

    Parameters
    ----------
    texts : sequence of str of length n
    labels : sequence of length n
        One label a text; with ``multilabel`` a list of labels each, or an indicator matrix (n, n_labels).
    time : float, default 60
        Seconds for everything. It may be exceeded by about one fit; the result says when.
    max_size : int or str, optional
        Of the compiled classifier's file, such as ``"2MB"``. The finalists are then compared as they are compiled.
    metric : {"accuracy", "macro_f1"}
        For multi-label, macro F1 with tuned thresholds, or the share of right label decisions.
    dev : (texts, labels), optional
        To choose by; never trained on.
    multilabel : bool
    vectors : WordVectors or path-like, optional
        The search then also tries pooled word vectors as further features.
    fast : bool, default False
        Only what compiles to one pass over the bytes: plain counts, without a norm that needs counts for each text.
    max_trials : int, optional
        End after so many. With it, and time enough, the result depends on ``random_state`` alone.
    random_state : int
    threads : int, optional
        The result does not depend on it. Default: the CPUs there are.
    on_progress : callable, optional
        Called after each trial with a dict: ``trial``, ``best`` (as in ``trials``), ``n_trials``, ``elapsed``,
        ``time``.
    provenance : dict, optional
        JSON-able facts that the compiled classifier keeps, such as where the texts come from.

    Returns
    -------
    TuneResult

    Raises
    ------
    InvalidParameterError
        For arguments outside their domain, fewer than four texts or two classes, or a size that nothing fits into.

    Notes
    -----
    Ctrl-C ends the search and keeps the best so far. Jamieson and Talwalkar 2016, https://arxiv.org/abs/1502.07943.

    Examples
    --------
    >>> texts = ["a good film", "so good", "good fun", "very bad", "a bad film", "bad, bad"] * 4
    >>> found = tune(texts, ["+", "+", "+", "-", "-", "-"] * 4, max_trials=2)
    >>> found.compiled.predict(["good", "bad"]).tolist(), found.best["score"]
    (['+', '-'], 1.0)
    """
    check_number("time", time, low=0.0)
    check_choice("metric", metric, METRICS)
    check_choice("multilabel", multilabel, (True, False))
    check_choice("fast", fast, (True, False))
    check_integer("random_state", random_state, low=0)
    if max_trials is not None:
        check_integer("max_trials", max_trials, low=1)
    if threads is not None:
        check_integer("threads", threads, low=1)
    limit = None if max_size is None else parse_size(max_size)
    clock = Clock(float(time))
    problem = read_problem(texts, labels, dev, multilabel)
    if vectors is not None and not isinstance(vectors, WordVectors):
        vectors = WordVectors.load(vectors)
    random = np.random.default_rng(random_state)
    splits = make_splits(problem.targets.P[: problem.n], problem.n_dev, random)
    finisher = Finisher(
        problem, splits, metric, vectors, limit, threads or available_cpus(), int(random_state), provenance or {}
    )
    work = _Work(problem, finisher, clock, on_progress)
    balance = metric == "macro_f1"
    space = Space(multilabel=multilabel, balance=balance, vectors=vectors is not None, max_size=limit, fast=fast)
    finisher.check_size(space.portfolio()[0])
    work.search(space, max_trials, random)
    return work.finish()


class _Work:
    """One call of ``tune``."""

    def __init__(self, problem: Problem, finisher: Finisher, clock: Clock, on_progress: Any) -> None:
        self.problem, self.finisher, self.clock, self.on_progress = problem, finisher, clock, on_progress
        self.notes: list[str] = []
        self._compiled: dict[int, dict[str, Any]] = {}

    def search(self, space: Space, max_trials: int | None, random: np.random.Generator) -> None:
        """Run the trials."""
        splits = self.finisher.splits
        cache = FeatureCache(self.problem.texts, self.finisher.vectors)
        evaluator = Evaluator(self.problem.targets, splits, self.finisher.metric, cache, self.finisher.threads)
        sizes = rung_sizes(min(len(split.train) for split in splits), len(self.problem.targets.classes))
        self._search = Search(
            evaluator,
            space,
            sizes,
            self.clock,
            random,
            max_trials=max_trials,
            on_trial=self._tell if self.on_progress else None,
            reserve=self._reserve,
        )
        self._search.run()

    def _tell(self, trial: Trial) -> None:
        self.on_progress(
            {
                "trial": trial.as_dict(),
                "best": self._search.best.as_dict(),
                "n_trials": len(self._search.trials),
                "elapsed": self.clock.elapsed,
                "time": self.clock.budget,
            }
        )

    def _reserve(self, trial: Trial) -> float:
        """Seconds of the final fit, and of finalists where there are any."""
        fit = trial.seconds_for(self.problem.n)
        n_fits = 1 if self.finisher.max_size is None else FINALISTS + (0 if self.problem.n_dev else 1)
        return n_fits * (fit * (1 + COMPILE_SHARE) + COMPILE_SECONDS)

    # -- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> TuneResult:
        """Fit and compile the best."""
        trial, classifier, compiled = self._winner()
        rows = self._final_rows(trial)
        if classifier is None or len(rows) != len(self._split.train) or not self.problem.n_dev:
            classifier = self.finisher.fit(trial, rows)
            report_on = self._split.held_out if self.problem.n_dev else None
            compiled = self.finisher.compile(classifier, trial, report_on)
        scored_on = "dev" if self.problem.n_dev else "folds" if len(self.finisher.splits) > 1 else "held-out"
        self._note_budget(trial)
        trials = [self._shown(each) for each in self._search.trials]
        best = {**self._shown(trial), "bytes": compiled.nbytes}
        return TuneResult(
            classifier, compiled, best, trials, self.finisher.metric, scored_on, self.clock.elapsed, self.notes
        )

    @property
    def _split(self) -> Any:
        return self.finisher.splits[0]

    def _winner(self) -> tuple[Trial, Any, Any]:
        """The best trial; with a size limit the one that is best when compiled, and what was made of it for that."""
        ranked = self._search.ranked()
        if self.finisher.max_size is None or len(ranked) == 1:
            return ranked[0], None, None
        made: list[tuple[float, Trial, Any, Any]] = []
        refused: InvalidParameterError | None = None
        for trial in _diverse(ranked):
            if len(made) == FINALISTS:
                break
            if made and trial.seconds_for(self.problem.n) > self.clock.budget - self.clock.elapsed:
                self.notes.append("not all finalists were compared as compiled: raise the time.")
                break
            classifier = self.finisher.fit(trial, self._split.train)
            try:
                compiled = self.finisher.compile(classifier, trial, None)
            except InvalidParameterError as error:
                # What cannot be left out of it, such as the index of word vectors, is larger than the others' is.
                refused = error
                continue
            score = self.finisher.score(compiled, self._split.held_out)
            self._compiled[id(trial)] = {"compiled_score": score, "bytes": compiled.nbytes}
            made.append((score, trial, classifier, compiled))
        if refused is not None and not made:
            raise refused
        _, trial, classifier, compiled = max(made, key=lambda entry: entry[0])
        return trial, classifier, compiled

    def _final_rows(self, trial: Trial) -> NDArray[np.int64]:
        """All training rows or, where one fit would take longer than the time allows, a sample."""
        n = self.problem.n
        order = self._split.train if self.problem.n_dev else np.arange(n)
        left = max(self.clock.budget - self.clock.elapsed, 0.2 * self.clock.budget, 1.0)
        needed = trial.seconds_for(n)
        if needed <= left:
            return np.asarray(order)
        n_rows = max(int(n * left / needed), trial.n_rows)
        self.notes.append(
            f"trained on {n_rows:,} of {n:,} rows: all of them would take about {needed:.0f} s. Raise time."
        )
        return np.asarray(self._split.train[:n_rows])

    def _note_budget(self, trial: Trial) -> None:
        if trial.rung < len(self._search.sizes) - 1:
            self.notes.append(f"chosen on samples of {trial.n_rows:,} rows: the time did not allow more.")
        if self.clock.elapsed > 1.1 * self.clock.budget:
            self.notes.append(
                f"took {self.clock.elapsed:.1f} s instead of {self.clock.budget:g} s: one fit takes that long."
            )

    def _shown(self, trial: Trial) -> dict[str, Any]:
        return {**trial.as_dict(), **self._compiled.get(id(trial), {"compiled_score": None, "bytes": None})}


def _diverse(ranked: list[Trial]) -> list[Trial]:
    """The finalists: the best ones, and the best one of words alone, whose table is smaller; then who takes the place
    of one that does not fit."""
    chosen = ranked[:FINALISTS]
    if all(trial.configuration.char_ngrams is not None for trial in chosen):
        chosen[-1:] = [trial for trial in ranked if trial.configuration.char_ngrams is None][:1] or chosen[-1:]
    return [*chosen, *(trial for trial in ranked if trial not in chosen)]
