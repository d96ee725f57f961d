"""Plain twin of ``_tagfit.pyx``: same name, same steps up to rounding, far slower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_problem", "train"]

Single = NDArray[np.float32]

_MASK = (1 << 64) - 1
_SMALL = 1e-3


def check_problem(problem: dict[str, Any], model: dict[str, Single], order: NDArray[np.int64]) -> None:
    """Raise ValueError unless the arrays fit together and every number in them is within bounds."""
    tokens, bounds, tasks = problem["tokens"], problem["bounds"], problem["tasks"]
    words, n_features, k = len(problem["vectors"]), len(model["weights"]), model["weights"].shape[1]
    runs = words * (2 * problem["window"] + 1)
    rows = (2 * problem["reach"] + 1) * problem["vectors"].shape[1] + problem["states"].shape[1]
    kinds = tasks[:, 2] if len(tasks) else np.empty(0, np.int32)
    good = (
        len(tokens) == bounds[-1] == len(problem["pairs"]) == len(problem["states"])
        and bool((np.diff(bounds) >= 0).all() and bounds[0] == 0)
        and _within(tokens, 0, words - 2)
        and _within(order, 0, len(bounds) - 1)
        and len(problem["unary_bounds"]) == runs + 1
        and problem["unary_bounds"][0] == 0
        and problem["unary_bounds"][-1] == len(problem["unary"])
        and bool((np.diff(problem["unary_bounds"]) >= 0).all())
        and _within(problem["unary"], -1, n_features - 1)
        and _within(problem["pairs"], -1, n_features - 1)
        and model["sums"].shape == (n_features, k)
        and model["squares"].shape == (n_features, len(tasks))
        and model["dense"].shape == model["dense_sums"].shape == (rows, k)
        and model["dense_squares"].shape == (rows, len(tasks))
        and model["links"].shape == model["link_sums"].shape == model["link_squares"].shape
        and problem["targets"].shape[0] == len(bounds) - 1
        and problem["gold"].shape[1] == len(tokens)
        and min(problem["window"], problem["reach"]) >= 0
        and _within(kinds, 0, 3)
    )
    for first, last, kind, at, row in tasks.tolist() if good else ():
        size = last - first
        room = len(model["links"]) - (size + 2) * size if kind == 0 else problem["targets"].shape[1] - size
        good = good and 0 <= first < last <= k and 0 <= at <= room
        good = good and (kind != 0 or (0 <= row < len(problem["gold"]) and _within(problem["gold"][row], -1, size)))
    if not good:
        raise ValueError("train: the shapes do not fit.")


def _within(array: NDArray[Any], low: int, high: int) -> bool:
    return not array.size or bool(low <= array.min() and array.max() < high)


def train(
    problem: dict[str, Any],
    model: dict[str, Single],
    order: NDArray[np.int64],
    *,
    crf: bool,
    adagrad: bool,
    rate: float,
    margin: float = 0.0,
    dropout: float = 0.0,
    seed: int = 0,
    count: int = 1,
) -> float:
    """One pass over the sentences ``order``, one step a sentence and task; the sum of the losses before the steps.

    Parameters
    ----------
    problem : dict
        ``tokens`` (int32, (N,)): the row of each token's word among V; ``bounds`` (int64, (S + 1,)) of the sentences.
        ``unary`` (int32) and ``unary_bounds``: the features of word v (V and V + 1: before and behind the sentence) as
        seen from distance d, those of run ``v * (2 * window + 1) + d + window``. ``pairs`` (int32, (N, P)): features
        of each token. -1 is none. ``vectors`` (float32, (V + 2, dim)), seen up to the distance ``reach``; ``states``
        (float32, (N, width)), of the token alone. ``gold`` (int32, (A, N)): tags, -1 in a sentence without. ``targets``
        (float32, (S, L)): of the documents' labels, -1 where there is none. ``tasks`` (int32, (n, 5)): first column,
        last column + 1, kind (0 tags, 1 one label of a document, 2 several), where its links or targets begin, row of
        ``gold``.
    model : dict of float32 arrays
        ``weights`` (F, K), whose last row is the bias, ``dense`` ((2 * reach + 1) * dim + width, K) and ``links``, one
        after the other (k + 2, k) for each task of tags, as ``decode`` takes them; minus infinity stays. Of each the
        ``sums``: steps times their number, and the ``squares`` of AdaGrad, one for each row and task. All are changed.
    order : int64 array
    crf : bool
        Conditional log-likelihood, else the structured perceptron (Collins 2002), with ``margin`` (Taskar et al. 2003).
    adagrad : bool
        Steps of ``rate`` over the root of the squared gradients so far (Duchi et al. 2011), else of ``rate``.
    dropout : float
        Share of sparse features left out, told by ``seed``, token and feature.
    count : int
        Number of the first step.
    """
    check_problem(problem, model, order)
    loss = 0.0
    for number, s in enumerate(order.tolist()):
        first, last = problem["bounds"][s : s + 2].tolist()
        if first == last:
            continue
        found = [_features(problem, t, first, last, dropout, seed) for t in range(first, last)]
        dense = np.stack([_dense(problem, t, first, last) for t in range(first, last)])
        scores = np.stack([_score(model, features) for features in found]) + dense @ model["dense"]
        for a, (left, right, kind, at, row) in enumerate(problem["tasks"].tolist()):
            k = right - left
            own = scores[:, left:right].astype(np.float64)
            if kind != 0:
                target = problem["targets"][s, at : at + k].astype(np.float64)
                if target[0] < 0:
                    continue
                part, gradient = _document(own, target, kind == 1)
            else:
                gold = problem["gold"][row, first:last]
                if gold[0] < 0:
                    continue
                links = model["links"][at : at + (k + 2) * k].reshape(k + 2, k)
                loss_of = _crf if crf else _perceptron
                part, gradient, link_gradient = loss_of(own, gold, links.astype(np.float64), margin)
                _link_step(model, at, link_gradient, adagrad, rate, count + number)
            loss += part
            _update(model, a, left, right, gradient, found, dense, adagrad, rate, count + number)
    return loss


def _mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def _around(problem: dict[str, Any], t: int, reach: int, first: int, last: int) -> Iterator[tuple[int, int]]:
    n = len(problem["vectors"]) - 2
    for d in range(-reach, reach + 1):
        yield d, n if t + d < first else n + 1 if t + d >= last else int(problem["tokens"][t + d])


def _features(problem: dict[str, Any], t: int, first: int, last: int, dropout: float, seed: int) -> list[int]:
    window, found = problem["window"], []
    for d, word in _around(problem, t, window, first, last):
        run = word * (2 * window + 1) + d + window
        begin, end = problem["unary_bounds"][run : run + 2].tolist()
        found += problem["unary"][begin:end].tolist()
    found += problem["pairs"][t].tolist()
    threshold = float(np.float32(dropout))
    return [f for f in found if f >= 0 and not _dropped(seed, t, f, threshold)]


def _dropped(seed: int, t: int, f: int, dropout: float) -> bool:
    return dropout > 0 and (_mix((seed + (t << 32) + f) & _MASK) >> 11) / (1 << 53) < dropout


def _dense(problem: dict[str, Any], t: int, first: int, last: int) -> Single:
    around = [problem["vectors"][word] for _, word in _around(problem, t, problem["reach"], first, last)]
    return np.concatenate([*around, problem["states"][t]]).astype(np.float32)


def _score(model: dict[str, Single], features: list[int]) -> Single:
    total: Single = model["weights"][-1].copy()
    for f in features:
        total += model["weights"][f]
    return total


def _crf(scores: Any, gold: Any, links: Any, margin: float) -> tuple[float, Any, Any]:
    n, k = scores.shape
    with np.errstate(divide="ignore"):
        forward = [links[k] + scores[0]]
        for row in scores[1:]:
            forward.append(np.logaddexp.reduce(forward[-1][:, None] + links[:k], axis=0) + row)
        backward = [links[k + 1]]
        for row in scores[:0:-1]:
            backward.insert(0, np.logaddexp.reduce(links[:k] + row + backward[0], axis=1))
        total = np.logaddexp.reduce(forward[-1] + links[k + 1])
        gradient = -np.exp(np.array(forward) + np.array(backward) - total)
        link_gradient = np.zeros_like(links)
        link_gradient[k], link_gradient[k + 1] = gradient[0], gradient[-1]
        for t in range(1, n):
            link_gradient[:k] -= np.exp(forward[t - 1][:, None] + links[:k] + scores[t] + backward[t] - total)
    loss = total - _gold_score(scores, gold, links)
    _add_path(gradient, link_gradient, gold, 1)
    return float(loss), gradient, link_gradient


def _gold_score(scores: Any, gold: Any, links: Any) -> Any:
    k = scores.shape[1]
    own = scores[np.arange(len(gold)), gold].sum()
    return own + links[[k, *gold[:-1]], gold].sum() + links[k + 1, gold[-1]]


def _add_path(gradient: Any, link_gradient: Any, path: Any, sign: int) -> None:
    k = gradient.shape[1]
    gradient[np.arange(len(path)), path] += sign
    np.add.at(link_gradient, ([k, *path[:-1]], path), sign)
    link_gradient[k + 1, path[-1]] += sign


def _perceptron(scores: Any, gold: Any, links: Any, margin: float) -> tuple[float, Any, Any]:
    n, k = scores.shape
    costs = scores + margin
    costs[np.arange(n), gold] -= margin
    best, back = links[k] + costs[0], []
    for row in costs[1:]:
        ways = best[:, None] + links[:k]
        back.append(ways.argmax(axis=0))
        best = ways.max(axis=0) + row
    path = [int((best + links[k + 1]).argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    guess = np.array(path[::-1])
    gradient, link_gradient = np.zeros((n, k)), np.zeros((k + 2, k))
    _add_path(gradient, link_gradient, gold, 1)
    _add_path(gradient, link_gradient, guess, -1)
    return float((guess != gold).sum()), gradient, link_gradient


def _document(scores: Any, target: Any, softmax: bool) -> tuple[float, Any]:
    scale = 1 / np.sqrt(len(scores))
    z = scores.sum(axis=0) * scale
    if softmax:
        total = np.logaddexp.reduce(z)
        share, loss = np.exp(z - total), (target * (total - z)).sum()
    else:
        share, loss = 1 / (1 + np.exp(-z)), (np.logaddexp(0, z) - target * z).sum()
    return float(loss), np.tile((target - share) * scale, (len(scores), 1))


def _link_step(model: dict[str, Single], at: int, gradient: Any, adagrad: bool, rate: float, count: int) -> None:
    part, g = slice(at, at + gradient.size), gradient.astype(np.float32).ravel()
    moved = (g != 0) & np.isfinite(model["links"][part])
    delta = np.where(moved, np.float32(rate) * g, 0)
    if adagrad:
        model["link_squares"][part] += np.where(moved, g * g, 0)
        delta = np.divide(delta, np.sqrt(model["link_squares"][part]), out=np.zeros_like(delta), where=moved)
    model["links"][part] += delta
    model["link_sums"][part] += count * delta


def _update(
    model: dict[str, Single], task: int, left: int, right: int, gradients: Any, found: list[list[int]], dense: Single,
    adagrad: bool, rate: float, count: int,
) -> None:  # fmt: skip
    for g, features, x in zip(gradients.astype(np.float32), found, dense, strict=True):
        if np.abs(g).max() <= _SMALL:
            continue
        bias = len(model["weights"]) - 1
        steps = [("weights", "sums", "squares", f, np.float32(1)) for f in (bias, *features)]
        steps += [("dense", "dense_sums", "dense_squares", i, x[i]) for i in np.flatnonzero(x).tolist()]
        norm = (g * g).sum()
        for name, sums, squares, row, value in steps:
            eta = np.float32(rate) * value
            if adagrad:
                model[squares][row, task] += value * value * norm
                eta = eta / np.sqrt(model[squares][row, task])
            model[name][row, left:right] += eta * g
            model[sums][row, left:right] += count * (eta * g)
