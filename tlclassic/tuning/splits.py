"""Rows to learn from and rows to score on: a dev set, a held-out part, or folds; and nested samples of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Split", "make_splits", "rung_sizes"]

Rows = NDArray[np.int64]
#: With fewer rows than this, every row is held out once (folds); with more, one part of them is.
FOLDS_BELOW = 5_000
N_FOLDS = 5
#: Folds are dealt twice where there are so few rows that one deal's luck would decide.
TWICE_BELOW = 500
HELD_OUT_SHARE, HELD_OUT_MOST = 0.2, 10_000
#: Rungs of successive halving grow by this factor, the lowest has at least MIN_ROWS rows.
ETA = 3
MIN_ROWS = 1_000


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the texts.

    Attributes
    ----------
    train : int64 array
        In an order in which the first m rows have the classes in proportion, for any m, and rare ones early.
    held_out : int64 array
    """

    train: Rows
    held_out: Rows


def make_splits(targets: NDArray[np.float64], n_dev: int, random: np.random.Generator) -> list[Split]:
    """Where the scores of a search come from.

    Parameters
    ----------
    targets : array of shape (n, C)
        Of the training rows; each row's first largest entry is its stratum.
    n_dev : int
        Rows of a dev set, numbered from n on; 0 without one.
    random : numpy Generator

    Returns
    -------
    list of Split
        One for a dev set or many rows, else folds. A stratum with a single row is never held out.
    """
    strata = targets.argmax(axis=1)
    n = len(strata)
    rows = np.arange(n)
    if n_dev:
        return [Split(_proportioned(rows, strata, random), np.arange(n, n + n_dev))]
    if n >= FOLDS_BELOW:
        part = _deal(strata, round(1 / _held_out_share(n)), random) == 0
        return [Split(_proportioned(rows[~part], strata, random), rows[part])]
    splits = []
    for _ in range(2 if n < TWICE_BELOW else 1):
        fold = _deal(strata, min(N_FOLDS, n), random)
        for number in np.unique(fold[fold >= 0]):
            train = rows[fold != number]
            splits.append(Split(_proportioned(train, strata, random), rows[fold == number]))
    return splits


def _held_out_share(n: int) -> float:
    return min(HELD_OUT_SHARE, HELD_OUT_MOST / n)


def _deal(strata: Rows, n_folds: int, random: np.random.Generator) -> Rows:
    """A fold for each row, strata dealt out one after the other; -1 for the only row of a stratum."""
    order = random.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    fold = np.empty(len(strata), dtype=np.int64)
    fold[order] = np.arange(len(strata)) % n_folds
    fold[np.bincount(strata)[strata] == 1] = -1
    return fold


def _proportioned(rows: Rows, strata: Rows, random: np.random.Generator) -> Rows:
    rows = random.permutation(rows)
    own = strata[rows]
    order = np.argsort(own, kind="stable")
    counts = np.bincount(own)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(rows))
    rank[order] = np.arange(len(rows)) - starts[own[order]]
    return np.asarray(rows[np.argsort(rank / counts[own], kind="stable")])


def rung_sizes(n: int, n_classes: int) -> list[int]:
    """Numbers of training rows, growing, the last one all ``n``."""
    sizes = [n]
    while sizes[0] // ETA >= max(MIN_ROWS, 5 * n_classes):
        sizes.insert(0, sizes[0] // ETA)
    return sizes
