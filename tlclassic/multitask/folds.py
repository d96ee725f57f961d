"""Folds over all rows and tasks, and heads that predict what they were not fitted on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.multitask.calibrating import temperature
from tlclassic.multitask.heads import Head, fit_head
from tlclassic.multitask.metrics import chosen_score, losses, outputs_of
from tlclassic.multitask.targets import Target

__all__ = ["TOLERANCE", "Folds", "HeldOut", "make_folds"]

#: Of heads that are there to be compared; those that stay are solved further.
TOLERANCE = 3e-3

Float = NDArray[np.float64]


def make_folds(targets: list[Target], n: int, n_folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row: one partition for all tasks, so that no input of any head has seen the row's labels.

    Rows are dealt out within groups of those that have labels of the same tasks and the same class of the first of
    them, so that each fold has its share of every task and class.
    """
    order = np.random.default_rng(seed).permutation(n)
    keys = np.zeros(n, dtype=np.int64)
    for number, target in enumerate(targets):
        keys += target.present.astype(np.int64) << min(number, 40)
    first = np.zeros(n, dtype=np.int64)
    open_rows = np.ones(n, dtype=bool)
    for target in targets:
        rows = open_rows & target.present
        if target.kind != "regression":
            first[rows] = np.nan_to_num(target.P[rows]).argmax(axis=1)
        open_rows &= ~rows
    order = order[np.lexsort((first[order], keys[order]))]
    folds = np.empty(n, dtype=np.int64)
    folds[order] = np.arange(n) % n_folds
    return folds


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What heads say of the rows that they were not fitted on.

    Attributes
    ----------
    heads : list of Head
        One a fold.
    logits : float64 array of shape (n, K)
    losses : float64 array of shape (n_folds,)
        Mean loss over the rows of each fold that have a label, after one temperature for all folds; NaN where none has.
    scores : float64 array of shape (n_folds,)
    """

    heads: list[Head]
    logits: Float
    losses: Float
    scores: Float

    @property
    def score(self) -> float:
        """The mean metric over the folds."""
        return float(np.nanmean(self.scores)) if not np.isnan(self.scores).all() else 0.0


class Folds:
    """The rows of X by fold, cut once.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, F)
    folds : int array of shape (n,)
    n_folds : int
    threads : int
    """

    def __init__(self, X: Any, folds: NDArray[np.int64], n_folds: int, threads: int) -> None:
        self.X, self.folds, self.n_folds, self.threads = X, folds, n_folds, threads
        self.parts = [(X[folds != fold], X[folds == fold]) for fold in range(n_folds)]

    def with_rows(self, X: Any) -> Folds:
        """The same folds of other features."""
        return Folds(X, self.folds, self.n_folds, self.threads)

    def held_out(
        self, target: Target, weights: Float, C: float, *, scale: Float | None = None, starts: list[Head] | None = None
    ) -> HeldOut:
        """Fit a head without each fold and let it predict that fold, whether its rows have a label or not."""
        heads, logits = [], np.zeros((len(self.folds), target.n_outputs))
        for fold in range(self.n_folds):
            inside, outside = self.folds != fold, self.folds == fold
            train, test = self.parts[fold]
            part = _part(target, inside)
            start = None if starts is None else starts[fold]
            head = fit_head(
                train, part, weights[inside], C, scale=scale, start=start, tol=TOLERANCE, threads=self.threads
            )
            logits[outside] = head.logits(test)
            heads.append(head)
        return self.judged(target, weights, heads, logits)

    def judged(self, target: Target, weights: Float, heads: list[Head], logits: Float) -> HeldOut:
        """Losses and scores of held-out outputs, by fold."""
        loss, score = np.full(self.n_folds, np.nan), np.full(self.n_folds, np.nan)
        # A head that is too sure of itself must not seem to gain by whatever shrinks it.
        heat = temperature(target, outputs_of(target, heads[0].cuts), logits, weights)
        for fold in range(self.n_folds):
            task = replace(outputs_of(target, heads[fold].cuts), temperature=heat)
            rows = (self.folds == fold) & (weights > 0)
            outside = np.flatnonzero(rows & target.present)
            if len(outside):
                own = losses(_part(target, outside), task, logits[outside])
                loss[fold] = np.average(own, weights=weights[outside])
                score[fold] = chosen_score(target, task, logits, rows)
        return HeldOut(heads, logits, loss, score)


def _part(target: Target, rows: NDArray[Any]) -> Target:
    return Target(target.name, target.kind, target.classes, target.P[rows], target.center, target.spread)
