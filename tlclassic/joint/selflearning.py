"""Bilingual dictionaries out of the vectors themselves: what refinement and self-learning are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tlclassic.joint.neighbours import hubness, nearest

__all__ = ["induced_pairs", "learn_alone", "structural_pairs"]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
#: Words of each language that a structural start and self-learning look at: half of what Artetxe et al. 2018 take, as
#: the time grows with the square.
N_STRUCTURE = 2000
#: Share of the similarities that are kept at first, its growth, and how many rounds without progress make it grow.
_KEPT, _GROWTH, _PATIENCE = 0.1, 2.0, 5
_MAX_ROUNDS = 500


def induced_pairs(x: Floats, y: Floats) -> tuple[Rows, float]:
    """The rows that are each other's nearest by CSLS, int64 of shape (n, 2), and the criterion.

    The criterion, by which a rotation is judged without a dictionary, is the mean CSLS of the words of ``x`` with their
    nearest (Conneau et al. 2018, section 3.5). Unit vectors in one space.
    """
    own, theirs = hubness(x, y), hubness(y, x)
    places, values = nearest(x, y, own=own, hubs=theirs)
    forth, back = places[:, 0], nearest(y, x, own=theirs, hubs=own)[0][:, 0]
    rows = np.arange(len(x))
    mutual = back[forth] == rows
    return np.stack([rows[mutual], forth[mutual]], axis=1), float(values.mean())


def structural_pairs(x: Floats, y: Floats) -> Rows:
    """Words whose sorted similarities to their own language's words are most alike: Artetxe et al. 2018, section 3.2.

    Parameters
    ----------
    x, y : float32 arrays of shape (n, p) and (m, q)
        Unit vectors; the first few thousand rows are looked at.
    """
    count = min(len(x), len(y), N_STRUCTURE)
    profiles = [_profile(side[:count]) for side in (x, y)]
    return _both_ways(*profiles)


def _profile(rows: Floats) -> Floats:
    """Each row of the square root of the similarity matrix, sorted; centred, of unit length."""
    u, singular, _ = np.linalg.svd(rows, full_matrices=False)
    similarities = np.sort((u * singular) @ u.T, axis=1)
    for _ in range(2):
        similarities /= np.maximum(np.linalg.norm(similarities, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        similarities -= similarities.mean(axis=0)
    lengths = np.linalg.norm(similarities, axis=1, keepdims=True)
    return np.asarray(similarities / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def _both_ways(x: Floats, y: Floats) -> Rows:
    """Each row of x with its nearest, and each row of y with its nearest."""
    own, theirs = hubness(x, y), hubness(y, x)
    forth = nearest(x, y, own=own, hubs=theirs)[0][:, 0]
    back = nearest(y, x, own=theirs, hubs=own)[0][:, 0]
    return np.concatenate([np.stack([np.arange(len(x)), forth], axis=1), np.stack([back, np.arange(len(y))], axis=1)])


def learn_alone(
    x: Floats, y: Floats, pairs: Rows, random_state: int, rotate: Callable[[Floats, Floats], Floats]
) -> Rows:
    """Improve a weak dictionary by self-learning: rotation and dictionary in turn.

    # Design: from a weak start the plain procedure is caught in the first local optimum. So similarities are dropped
    # at random from the dictionary's induction, most at first and fewer as progress ends (stochastic dictionary
    # induction, Artetxe et al. 2018, section 3.3).

    Parameters
    ----------
    x, y : float32 arrays of shape (n, p) and (m, q)
        Unit vectors of frequent words.
    pairs : int64 array of shape (k, 2)
        The start.
    random_state : int
    rotate : callable
        Called with the vectors of both sides of the dictionary; gives the rotation.
    """
    random = np.random.default_rng(random_state)
    x, y = x[:N_STRUCTURE], y[:N_STRUCTURE]
    kept, best, since = _KEPT, -np.inf, 0
    for _ in range(_MAX_ROUNDS):
        matrix = rotate(x[pairs[:, 0]], y[pairs[:, 1]])
        pairs, objective = _dropped_pairs(x @ matrix, y, kept, random)
        since = 0 if objective > best + 1e-6 else since + 1
        best = max(best, objective)
        if since < _PATIENCE:
            continue
        if kept >= 1.0:
            break
        kept, since, best = min(1.0, kept * _GROWTH), 0, -np.inf
    return pairs


def _dropped_pairs(x: Floats, y: Floats, kept: float, random: np.random.Generator) -> tuple[Rows, float]:
    """Nearest pairs both ways by CSLS with a share of the similarities dropped; the mean cosine of nearest pairs."""
    cosines = x @ y.T
    objective = float(cosines.max(axis=1).mean() + cosines.max(axis=0).mean()) / 2
    k = min(10, *cosines.shape)
    own = np.partition(cosines, cosines.shape[1] - k, axis=1)[:, -k:].mean(axis=1)
    theirs = np.partition(cosines, cosines.shape[0] - k, axis=0)[-k:].mean(axis=0)
    scores = 2 * cosines - own[:, None] - theirs
    if kept < 1:
        scores[random.random(scores.shape, dtype=np.float32) >= kept] = -np.inf
    forth, back = scores.argmax(axis=1), scores.argmax(axis=0)
    one = np.stack([np.arange(len(x)), forth], axis=1)
    return np.concatenate([one, np.stack([back, np.arange(len(y))], axis=1)]), objective
