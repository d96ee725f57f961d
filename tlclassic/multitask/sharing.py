"""The ways in which tasks share, each over the same folds: what a task gains, and the fit on all rows.

# Design: two stages. First the linear part of each task: by itself, or with a projection shared by all. Then a layer
# between tasks, one kind for the whole model: a chain, or attention. Every input that comes from another task's head is
# out of fold, in the choice as in the fit. In the choice the inputs of a row's own fold still come from heads that saw
# other folds' labels, as in all stacking; none has seen the row's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.multitask.attention import Attended, fit_attention
from tlclassic.multitask.choosing import Gain
from tlclassic.multitask.folds import Folds, HeldOut
from tlclassic.multitask.heads import Head, fit_head, stacked
from tlclassic.multitask.lowrank import fit_low_rank
from tlclassic.multitask.targets import Target
from tlclassic.runtime.tasks import activations

__all__ = ["ATTENTION_STRENGTHS", "Problem", "attend", "chain", "low_rank", "middle"]

Float = NDArray[np.float64]
ATTENTION_STRENGTHS = (0.1, 1.0)


@dataclass(frozen=True, eq=False)
class Problem:
    """What all ways of sharing are given.

    Attributes
    ----------
    folds : Folds
        With all rows of X.
    targets : list of Target
    weights : list of float64 array of shape (n,)
        Of the rows, one a task.
    strengths : list of float
    task_weights : list of float
    threads : int
    """

    folds: Folds
    targets: list[Target]
    weights: list[Float]
    strengths: list[float]
    task_weights: list[float]
    threads: int

    def part(self, rows: NDArray[Any]) -> tuple[list[Target], list[Float]]:
        """Targets and weights of some rows."""
        targets = [replace_rows(target, rows) for target in self.targets]
        return targets, [weights[rows] for weights in self.weights]


def replace_rows(target: Target, rows: NDArray[Any]) -> Target:
    """The target of some rows."""
    return replace(target, P=target.P[rows])


# -- a shared projection ---------------------------------------------------------------------------------------------


def low_rank(problem: Problem, alone: Sequence[HeldOut], rank: int) -> list[HeldOut]:
    """What heads with a shared projection say, held out: the projection too is learned without each fold."""
    folds = problem.folds
    heads: list[list[Head]] = [[] for _ in problem.targets]
    logits = [np.zeros_like(held.logits) for held in alone]
    for fold, (train, test) in enumerate(folds.parts):
        targets, weights = problem.part(folds.folds != fold)
        begin = [held.heads[fold] for held in alone]
        found = fit_low_rank(
            train, targets, weights, problem.strengths, begin, problem.task_weights, rank, problem.threads
        )
        outside = folds.folds == fold
        for number, head in enumerate(found):
            heads[number].append(head)
            logits[number][outside] = head.logits(test)
    return [
        folds.judged(target, weights, own, z)
        for target, weights, own, z in zip(problem.targets, problem.weights, heads, logits, strict=True)
    ]


# -- chains ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Link:
    """A task that sees earlier ones: its head's columns are those of X and then their activations, all tasks'."""

    held: HeldOut
    inputs: Float


def chain(
    problem: Problem, linear: Sequence[HeldOut], order: Sequence[int], *, always: bool
) -> tuple[dict[int, Link], dict[int, Gain]]:
    """Classifier chains (Read, Pfahringer, Holmes and Frank 2011), with predictions in the place of labels.

    Task after task: a head over X and over what the tasks before it predict, out of fold. A task joins when it gains
    (or ``always``); those after it see what it came to.

    Returns
    -------
    dict of int to Link, dict of int to Gain
    """
    final = [held.logits for held in linear]
    links, gains = {}, {}
    for place, number in enumerate(order):
        if place == 0:
            continue
        inputs = np.zeros((len(final[0]), sum(z.shape[1] for z in final)))
        starts = np.concatenate([[0], np.cumsum([z.shape[1] for z in final])]).astype(int)
        for s in order[:place]:
            inputs[:, starts[s] : starts[s + 1]] = activations(problem.targets[s].kind, final[s])
        folds = problem.folds.with_rows(stacked(problem.folds.X, inputs))
        begin = [_widened(head, inputs.shape[1]) for head in linear[number].heads]
        held = folds.held_out(problem.targets[number], problem.weights[number], problem.strengths[number], starts=begin)
        gains[number] = Gain.of(linear[number], held)
        if always or gains[number].clear:
            links[number] = Link(held, inputs)
            final[number] = held.logits
    return links, gains


def _widened(head: Head, n: int) -> Head:
    """With n more columns that weigh nothing, to begin with."""
    return Head(np.hstack([head.coef, np.zeros((len(head.coef), n))]), head.intercept, head.cuts)


def middle(heads: Sequence[Head]) -> Head:
    """The mean of the heads of all folds: from there it is not far to the one on all rows."""
    coef = sum(head.coef for head in heads) / len(heads)
    intercept = sum(head.intercept for head in heads) / len(heads)
    return Head(np.asarray(coef), np.asarray(intercept))


def fit_link(problem: Problem, number: int, link: Link) -> tuple[Head, Float]:
    """The head of a linked task on all rows, and its weights of the activations, of shape (K, K_t)."""
    X = problem.folds.X
    head = fit_head(
        stacked(X, link.inputs),
        problem.targets[number],
        problem.weights[number],
        problem.strengths[number],
        start=middle(link.held.heads),
        threads=problem.threads,
    )
    return Head(head.coef[:, : X.shape[1]], head.intercept, head.cuts), head.coef[:, X.shape[1] :].T


# -- attention -------------------------------------------------------------------------------------------------------


def attend(problem: Problem, linear: Sequence[HeldOut], number: int) -> tuple[HeldOut, float, Gain]:
    """What a task says that attends to the others, held out, at the better strength; that strength; and the gain.

    The gain is that over its own outputs fitted once more in the same way: held-out outputs lean away from what folds
    have in common, which a second fit can make use of without any other task's help.
    """
    alone = _attend(problem, linear, number, ATTENTION_STRENGTHS[0], blind=True)
    best: tuple[HeldOut, float] | None = None
    for strength in ATTENTION_STRENGTHS:
        held = _attend(problem, linear, number, strength)
        if best is None or np.nanmean(held.losses) < np.nanmean(best[0].losses):
            best = (held, strength)
        if np.nanmean(held.losses) >= np.nanmean(alone.losses):
            # A weaker penalty would not find what is not there.
            break
    assert best is not None  # there are strengths
    return *best, Gain.of(linear[number], best[0]).at_most(Gain.of(alone, best[0]))


def _attend(problem: Problem, linear: Sequence[HeldOut], number: int, C: float, *, blind: bool = False) -> HeldOut:
    folds, target = problem.folds, problem.targets[number]
    logits = [held.logits for held in linear]
    seen = np.hstack([activations(t.kind, z) for t, z in zip(problem.targets, logits, strict=True)])
    found, result = [], np.zeros_like(logits[number])
    for fold in range(folds.n_folds):
        inside, outside = folds.folds != fold, folds.folds == fold
        targets, weights = problem.part(inside)
        outputs = [z[inside] for z in logits]
        part = fit_attention(number, outputs, targets, weights[number], C, problem.threads, blind=blind)
        result[outside] = part.apply(logits[number][outside], seen[outside])
        found.append(Head(part.own.T, part.bias, part.cuts))
    return folds.judged(target, problem.weights[number], found, result)


def fit_attended(problem: Problem, linear: Sequence[HeldOut], number: int, C: float) -> Attended:
    """A task's part of the layer on all rows; its inputs are out of fold."""
    logits = [held.logits for held in linear]
    return fit_attention(number, logits, problem.targets, problem.weights[number], C, problem.threads)
