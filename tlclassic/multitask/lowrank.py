"""A projection that the heads of all tasks share, found by alternating structure optimisation.

# Design: Ando and Zhang 2005 (https://www.jmlr.org/papers/v6/ando05a.html) give each predictor two parts,
# ``w = u + theta' v``: u pays the penalty in full, v, in the few directions that all predictors share, pays none. Here
# v pays a fifth, because the shared directions come from the same few predictors, and to free them altogether would
# undo each predictor's own penalty. That is one more block of columns, ``2 * theta x``, under the penalty there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.multitask.heads import Head, fit_head, stacked
from tlclassic.multitask.targets import Target

__all__ = ["default_rank", "fit_low_rank", "shared_directions"]

Float = NDArray[np.float64]
#: Length of the shared columns: what v pays is the penalty divided by the square of it, and one.
STRETCH = 2.0
ROUNDS = 2
MAX_RANK = 50


def default_rank(targets: Sequence[Target]) -> int:
    """Half as many directions as there are outputs."""
    return max(1, min(MAX_RANK, sum(target.n_outputs for target in targets) // 2))


def shared_directions(heads: Sequence[Head], weights: Sequence[float], rank: int) -> Float:
    """Orthonormal directions that the heads have in common, of shape (h, F).

    The right singular vectors of all coefficients, those of each task scaled to the length of the root of its weight:
    a task with many outputs counts no more than one with few.
    """
    rows = []
    for head, weight in zip(heads, weights, strict=True):
        length = np.linalg.norm(head.coef)
        rows.append(head.coef * (np.sqrt(weight) / length if length > 0 else 0.0))
    table = np.vstack(rows)
    # Few rows and many columns: the eigenvectors of the small side give the others.
    values, vectors = np.linalg.eigh(table @ table.T)
    order = np.argsort(-values)[:rank]
    order = order[values[order] > 1e-10 * max(values.max(initial=0.0), 1e-300)]
    if not len(order):
        return np.zeros((0, table.shape[1]))
    return np.asarray((vectors[:, order] / np.sqrt(values[order])).T @ table)


def fit_low_rank(
    X: Any,
    targets: Sequence[Target],
    weights: Sequence[Float],
    strengths: Sequence[float],
    heads: Sequence[Head],
    task_weights: Sequence[float],
    rank: int,
    threads: int,
) -> list[Head]:
    """Heads that share a projection, as plain heads: what is shared is multiplied in.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, F)
    targets, weights, strengths : sequences, one entry a task
    heads : sequence of Head
        The independent ones, to begin with.
    task_weights : sequence of float
    rank : int
        Directions to share.
    threads : int
    """
    found = list(heads)
    for _ in range(ROUNDS):
        theta = shared_directions(found, task_weights, rank)
        if not len(theta):
            return found
        columns = stacked(X, STRETCH * np.asarray(X @ theta.T))
        n = X.shape[1]
        for number, (target, w, C) in enumerate(zip(targets, weights, strengths, strict=True)):
            begin = Head(
                np.hstack([found[number].coef, np.zeros((target.n_outputs, len(theta)))]), found[number].intercept
            )
            head = fit_head(columns, target, w, C, start=begin, threads=threads)
            coef = head.coef[:, :n] + STRETCH * head.coef[:, n:] @ theta
            found[number] = Head(coef, head.intercept, head.cuts)
    return found
