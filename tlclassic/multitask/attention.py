"""Heads that see the other tasks' predictions, weighed by attention over the tasks.

# Design: the output of task t is ``own z_t + sum_s a_ts V_ts f_s``, f_s what task s predicts of the text and a_t a
# softmax over the other tasks. Under the penalty ``|V|^2`` the attention is not free to be anything: for given products
# ``M_ts = a_ts V_ts`` the penalty ``sum_s |M_ts|^2 / a_ts^2`` is least where ``a_ts`` is proportional to
# ``|M_ts|^(2/3)`` (the variational form of a group penalty; Bach, Jenatton, Mairal and Obozinski 2012, section 1.4). So
# the two are found in turns, each a convex problem, and tasks that do not help fade out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlclassic.multitask.heads import TOLERANCE, Head, fit_head
from tlclassic.multitask.targets import Target
from tlclassic.runtime.tasks import activations

__all__ = ["Attended", "fit_attention"]

Float = NDArray[np.float64]
ROUNDS = 3
#: Before the last round the lengths alone are wanted.
_COARSE = 10 * TOLERANCE
#: Of the softmax, so that a task that fades out can come back.
_FLOOR = 0.01
#: Lengths of the columns of a task's own outputs: for the output itself next to no penalty, for the others a high one.
_SELF, _SIBLING = 10.0, 0.3


@dataclass(frozen=True, eq=False)
class Attended:
    """One task's part of the layer.

    Attributes
    ----------
    attention : float64 array of shape (T,)
        Over the tasks, sums to 1; 0 for the task itself.
    own : float64 array of shape (K_t, K_t)
        From its outputs (rows) to its outputs.
    weights : float64 array of shape (K, K_t)
        From the activations of all tasks to its outputs.
    bias : float64 array of shape (K_t,)
    cuts : float64 array of shape (C - 1,)
    """

    attention: Float
    own: Float
    weights: Float
    bias: Float
    cuts: Float

    def apply(self, own: Float, seen: Float) -> Float:
        """Outputs from the task's own, (n, K_t), and the activations of all, (n, K)."""
        return np.asarray(own @ self.own + seen @ self.weights + self.bias)


def fit_attention(
    number: int,
    logits: Sequence[Float],
    targets: Sequence[Target],
    weights: Float,
    C: float,
    threads: int,
    *,
    blind: bool = False,
) -> Attended:
    """Learn what task ``number`` takes from the others.

    Parameters
    ----------
    number : int
    logits : sequence of float64 arrays of shape (n, K_s)
        Outputs of every task for the n rows, from heads that were not fitted on them.
    targets : sequence of Target
    weights : float64 array of shape (n,)
    C : float
    threads : int
    blind : bool
        To the other tasks: what is left is the gain of fitting a task's own outputs once more.
    """
    target = targets[number]
    own = logits[number]
    spread = max(float(own.std()), 1e-6)
    others = [s for s in range(len(targets)) if s != number]
    seen = [activations(targets[s].kind, logits[s]) for s in others]
    means = np.concatenate([part.mean(axis=0) for part in seen])
    columns = np.hstack([own / spread, (np.hstack(seen) - means) * (0.0 if blind else 1.0)])
    sizes = [part.shape[1] for part in seen]
    share = np.full(len(others), 1.0 / len(others))
    head: Head | None = None
    for turn in range(1 if blind else ROUNDS):
        last = turn == ROUNDS - 1
        scale = _scales(target, share, sizes)
        head = fit_head(
            columns, target, weights, C, scale=scale, start=head, tol=TOLERANCE if last else _COARSE, threads=threads
        )
        lengths = np.array([np.linalg.norm(part) for part in _blocks(head.coef[:, target.n_outputs :], sizes)])
        raised = lengths ** (2.0 / 3.0)
        if raised.sum() <= 0:
            break
        share = (1.0 - _FLOOR) * raised / raised.sum() + _FLOOR / len(others)
    assert head is not None  # ROUNDS is above 0
    return _assembled(number, head, targets, spread, means, share, others)


def _scales(target: Target, share: Float, sizes: list[int]) -> Float:
    """The length of every column for every output."""
    n = target.n_outputs
    own = np.full((n, n), _SIBLING)
    np.fill_diagonal(own, _SELF)
    rest = np.tile(np.repeat(share, sizes), (n, 1))
    scales = np.hstack([own, rest])
    return scales[0] if n == 1 else scales


def _blocks(table: Float, sizes: list[int]) -> list[Float]:
    return np.split(table, np.cumsum(sizes)[:-1], axis=1)


def _assembled(
    number: int, head: Head, targets: Sequence[Target], spread: float, means: Float, share: Float, others: list[int]
) -> Attended:
    n = targets[number].n_outputs
    starts = np.concatenate([[0], np.cumsum([target.n_outputs for target in targets])])
    weights = np.zeros((int(starts[-1]), n))
    for s, part in zip(others, _blocks(head.coef[:, n:], [targets[s].n_outputs for s in others]), strict=True):
        weights[starts[s] : starts[s + 1]] = part.T
    attention = np.zeros(len(targets))
    attention[others] = share
    return Attended(
        attention, head.coef[:, :n].T / spread, weights, head.intercept - head.coef[:, n:] @ means, head.cuts
    )
