"""From features and targets to the fitted parts of a model: strengths, sharing, layer, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.multitask.calibrating import calibrated
from tlclassic.multitask.choosing import Gain, search_strength
from tlclassic.multitask.folds import Folds, HeldOut, make_folds
from tlclassic.multitask.heads import Head, fit_head
from tlclassic.multitask.lowrank import default_rank, fit_low_rank
from tlclassic.multitask.metrics import METRICS, outputs_of
from tlclassic.multitask.sharing import Link, Problem, attend, chain, fit_attended, fit_link, low_rank, middle
from tlclassic.multitask.targets import Target
from tlclassic.runtime.tasks import Layer, Outputs

__all__ = ["SHARING", "Fitted", "Options", "fit_tasks"]

Float = NDArray[np.float64]
SHARING = ("auto", "none", "low-rank", "chain", "attention")


@dataclass(frozen=True)
class Options:
    """How to fit; see :class:`tlclassic.MultiTaskClassifier`."""

    sharing: str
    strengths: Sequence[float]
    rank: int | None
    order: Sequence[int] | None
    cv: int
    calibrate: bool
    tune_thresholds: bool
    threads: int
    random_state: int


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model: ``X @ coef.T + intercept``, then the layer, then each task's outputs."""

    outputs: list[Outputs]
    coef: Float
    intercept: Float
    layer: Layer | None
    attention: Float | None
    order: list[int]
    strengths: list[float]
    sharing: list[str]
    results: list[dict[str, Any]]


def fit_tasks(
    X: Any, targets: list[Target], weights: list[Float], task_weights: list[float], options: Options
) -> Fitted:
    """Fit all tasks.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, F)
    targets : list of Target
    weights : list of float64 arrays of shape (n,)
    task_weights : list of float
    options : Options
    """
    weights = [w * share for w, share in zip(weights, task_weights, strict=True)]
    n_folds = min(options.cv, X.shape[0])
    alone = len(targets) == 1 or options.sharing == "none"
    if n_folds < 2 or (alone and len(options.strengths) == 1 and not _needs_held_out(targets, options)):
        return _fit_plainly(X, targets, weights, options)
    folds = Folds(X, make_folds(targets, X.shape[0], n_folds, options.random_state), n_folds, options.threads)
    found = [search_strength(folds, t, w, options.strengths) for t, w in zip(targets, weights, strict=True)]
    problem = Problem(folds, targets, weights, [each[0] for each in found], task_weights, options.threads)
    work = _Work(problem, options, [each[1] for each in found], [each[2] for each in found])
    if not alone:
        work.choose_linear()
        work.choose_layer()
    return work.finish()


def _needs_held_out(targets: list[Target], options: Options) -> bool:
    return options.calibrate or (options.tune_thresholds and any(t.kind == "multilabel" for t in targets))


def _fit_plainly(X: Any, targets: list[Target], weights: list[Float], options: Options) -> Fitted:
    """Without any cross-validation: there is nothing to choose, or too little to choose by."""
    strength = sorted(options.strengths)[len(options.strengths) // 2]
    heads = [fit_head(X, t, w, strength, threads=options.threads) for t, w in zip(targets, weights, strict=True)]
    results = [{"metric": METRICS[t.kind], "C": strength, "strengths": {}, "sharing": {}} for t in targets]
    outputs = _placed(targets, [head.cuts for head in heads])
    coef, intercept = np.vstack([h.coef for h in heads]), np.concatenate([h.intercept for h in heads])
    n = len(targets)
    return Fitted(outputs, coef, intercept, None, None, list(range(n)), [strength] * n, ["none"] * n, results)


def _placed(targets: Sequence[Target], cuts: Sequence[Float]) -> list[Outputs]:
    start, outputs = 0, []
    for target, own in zip(targets, cuts, strict=True):
        outputs.append(outputs_of(target, own, start))
        start += target.n_outputs
    return outputs


class _Work:
    """One fit: what has been chosen so far, and what it says of the rows held out."""

    def __init__(
        self, problem: Problem, options: Options, alone: list[HeldOut], scores: list[dict[float, float]]
    ) -> None:
        self.problem, self.options, self.alone = problem, options, alone
        self.n = len(problem.targets)
        self.linear = list(alone)
        self.final = list(alone)
        self.ways: list[list[str]] = [[] for _ in range(self.n)]
        self.links: dict[int, Link] = {}
        self.attended: dict[int, float] = {}
        self.rank = options.rank or default_rank(problem.targets)
        self.order = list(options.order) if options.order is not None else self._easiest_first()
        self.results: list[dict[str, Any]] = [
            {
                "metric": METRICS[target.kind],
                "C": C,
                "strengths": {repr(float(strength)): score for strength, score in tried.items()},
                "score": held.score,
                "fold_scores": held.scores.tolist(),
                "sharing": {},
            }
            for target, C, held, tried in zip(problem.targets, problem.strengths, alone, scores, strict=True)
        ]

    def _easiest_first(self) -> list[int]:
        """What is predicted well is of most use to what follows."""
        return sorted(range(self.n), key=lambda number: -self.alone[number].score)

    def _note(self, number: int, way: str, gain: Gain) -> None:
        self.results[number]["sharing"][way] = gain.as_dict()

    def choose_linear(self) -> None:
        """A shared projection for the tasks that gain by it."""
        if self.options.sharing not in ("auto", "low-rank"):
            return
        shared = low_rank(self.problem, self.alone, self.rank)
        for number, held in enumerate(shared):
            gain = Gain.of(self.alone[number], held)
            self._note(number, "low-rank", gain)
            if self.options.sharing == "low-rank" or gain.clear:
                self.linear[number] = self.final[number] = held
                self.ways[number].append("low-rank")

    def choose_layer(self) -> None:
        """A chain or attention: of the two the one by which the tasks that gain lose more of their loss."""
        sharing = self.options.sharing
        always = sharing != "auto"
        links, gains = ({}, {}) if sharing not in ("auto", "chain") else (
            chain(self.problem, self.linear, self.order, always=always)
        )  # fmt: skip
        attended: dict[int, tuple[HeldOut, float]] = {}
        attention_gains: dict[int, Gain] = {}
        for number in range(self.n) if sharing in ("auto", "attention") else ():
            held, strength, gain = attend(self.problem, self.linear, number)
            attention_gains[number] = gain
            if always or gain.clear:
                attended[number] = (held, strength)
        for way, every in (("chain", gains), ("attention", attention_gains)):
            for number, gain in every.items():
                self._note(number, way, gain)
        by_attention = sum(attention_gains[number].loss for number in attended)
        if sharing == "attention" or (sharing == "auto" and by_attention > sum(gains[i].loss for i in links)):
            self._take_attention(attended)
        else:
            self._take_chain(links)

    def _take_attention(self, attended: dict[int, tuple[HeldOut, float]]) -> None:
        for number, (held, strength) in attended.items():
            self.final[number], self.attended[number] = held, strength
            self.ways[number].append("attention")

    def _take_chain(self, links: dict[int, Link]) -> None:
        self.links = links
        for number, link in links.items():
            self.final[number] = link.held
            # The head over X is fitted anew, with its inputs.
            self.ways[number] = ["chain"]

    # -- all rows ----------------------------------------------------------------------------------------------------

    def finish(self) -> Fitted:
        """Fit what was chosen on all rows, and calibrate it on what was held out."""
        problem = self.problem
        heads = self._linear_heads()
        starts = np.concatenate([[0], np.cumsum([t.n_outputs for t in problem.targets])]).astype(int)
        size = int(starts[-1])
        weights, own, bias = np.zeros((size, size)), np.eye(size), np.zeros(size)
        attention = np.zeros((self.n, self.n)) if self.attended else None
        cuts = [head.cuts for head in heads]
        for number, link in self.links.items():
            heads[number], block = fit_link(problem, number, link)
            weights[:, starts[number] : starts[number + 1]] = block
            cuts[number] = heads[number].cuts
        for number, strength in self.attended.items():
            part = fit_attended(problem, self.linear, number, strength)
            columns = slice(starts[number], starts[number + 1])
            weights[:, columns], own[columns, columns], bias[columns] = part.weights, part.own, part.bias
            assert attention is not None  # some task attends
            attention[number], cuts[number] = part.attention, part.cuts
        layer = None
        if self.links or self.attended:
            order = tuple(number for number in self.order if number in self.links)
            layer = Layer("chain" if self.links else "attention", order, weights, own, bias)
        return Fitted(
            self._outputs(cuts),
            np.vstack([head.coef for head in heads]),
            np.concatenate([head.intercept for head in heads]),
            layer,
            attention,
            self.order,
            problem.strengths,
            ["+".join(ways) or "none" for ways in self.ways],
            self.results,
        )

    def _linear_heads(self) -> list[Head]:
        problem = self.problem
        X, threads = problem.folds.X, problem.threads
        shares = any("low-rank" in ways for ways in self.ways)
        heads = []
        for number, (target, w, C) in enumerate(zip(problem.targets, problem.weights, problem.strengths, strict=True)):
            if number in self.links and not shares:
                # Fitted with its inputs, below.
                heads.append(Head(np.zeros((target.n_outputs, X.shape[1])), np.zeros(target.n_outputs)))
                continue
            heads.append(fit_head(X, target, w, C, start=middle(self.alone[number].heads), threads=threads))
        if not shares:
            return heads
        shared = fit_low_rank(
            X, problem.targets, problem.weights, problem.strengths, heads, problem.task_weights, self.rank, threads
        )
        return [shared[number] if "low-rank" in ways else heads[number] for number, ways in enumerate(self.ways)]

    def _outputs(self, cuts: Sequence[Float]) -> list[Outputs]:
        outputs = []
        for number, task in enumerate(_placed(self.problem.targets, cuts)):
            held = self.final[number]
            self.results[number]["final_score"] = held.score
            outputs.append(
                calibrated(
                    self.problem.targets[number],
                    task,
                    held.logits,
                    self.problem.weights[number],
                    heat=self.options.calibrate,
                    thresholds=self.options.tune_thresholds,
                )
            )
        return outputs
