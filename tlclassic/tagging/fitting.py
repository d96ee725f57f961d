"""Fitting a tagger: features seen often enough become rows, passes over the sentences, averaged weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlclassic.kernels import load
from tlclassic.tagging.features import Block, Settings, pair_array, read_block
from tlclassic.tagging.lexicon import Lexicon
from tlclassic.tagging.model import TaggerModel, columns_of, label_shares, with_rows
from tlclassic.tagging.projection import fit_projection
from tlclassic.tagging.tasks import Targets

__all__ = ["Training", "fit_model"]

#: Of sentences, for probabilities of labels that were not seen.
N_FOLDS = 5

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How weights are learned; see :class:`~tlclassic.TokenTagger`."""

    crf: bool
    epochs: int
    learning_rate: float
    margin: float
    dropout: float
    min_count: int
    random_state: int
    chain: bool = False
    state_dims: int | None = None
    progress: Callable[[int, int], None] | None = None


class Rows(NamedTuple):
    """Features as rows: the keys of those that have one, and for each occurrence its row or -1."""

    keys: NDArray[np.uint64]
    unary: NDArray[np.int32]
    pairs: NDArray[np.int32]


class Inputs(NamedTuple):
    """Sentences that were read."""

    block: Block
    rows: Rows
    settings: Settings
    lexicon: Lexicon


def fit_model(
    sentences: Sequence[Sequence[str]],
    targets: Targets,
    settings: Settings,
    lexicon: Lexicon,
    states: Floats,
    training: Training,
) -> TaggerModel:
    """The model of labelled sentences.

    ``states`` (float32, (N, width)) are further numbers of each token.
    """
    block = read_block(sentences, settings, lexicon)
    inputs = Inputs(block, _number(block, settings, training.min_count), settings, lexicon)
    projection = fit_projection(states, training.state_dims)
    if projection is not None:
        states = projection.apply(states)
    chained = training.chain and len({task.kind == "tags" for task in targets.tasks}) == 2
    model = (fit_chain if chained else fit_inputs)(inputs, targets, states, training)
    return model if projection is None else projection.folded(model)


def fit_inputs(inputs: Inputs, targets: Targets, states: Floats, training: Training) -> TaggerModel:
    """The model of sentences that were read."""
    columns, n_outputs = columns_of(targets.tasks)
    problem = _problem(inputs, states, targets, columns)
    weights = _start(len(inputs.rows.keys) + 1, n_outputs, problem, targets)
    count = _passes(problem, weights, training)
    return _finished(inputs, targets, weights, count, states.shape[1], training.dropout)


# --- chains ----------------------------------------------------------------------------------------------------------


def fit_chain(inputs: Inputs, targets: Targets, states: Floats, training: Training) -> TaggerModel:
    """Labels first; what they probably are is told to the tags (a chain of classifiers, Read et al. 2011)."""
    labels = targets.of_labels()
    first = fit_inputs(inputs, labels, states, replace(training, progress=None))
    shares = _out_of_fold(inputs, labels, states, training)
    told = np.repeat(shares, np.diff(inputs.block.bounds), axis=0)
    second = fit_inputs(inputs, targets.of_tags(), np.hstack([states, told]), training)
    return _side_by_side(second, first, targets)


def _out_of_fold(inputs: Inputs, targets: Targets, states: Floats, training: Training) -> Floats:
    """Probabilities of the labels of sentences, by models that have not seen their labels; float32 of shape (S, L)."""
    order = np.random.default_rng(training.random_state).permutation(len(targets.labels))
    shares = np.zeros_like(targets.labels)
    for fold in np.array_split(order, N_FOLDS):
        seen = targets.labels.copy()
        seen[fold] = -1
        model = fit_inputs(inputs, replace(targets, labels=seen), states, replace(training, progress=None))
        scores = model.scores(inputs.block, states)
        shares[fold] = label_shares(model.tasks, scores, inputs.block.bounds)[fold]
    return shares


def _side_by_side(tags: TaggerModel, labels: TaggerModel, targets: Targets) -> TaggerModel:
    """Two models of the same features as one, its columns in the order of the tasks."""
    places = dict(zip((task.name for task in (*tags.tasks, *labels.tasks)), _ranges(tags, labels), strict=True))
    order = np.concatenate([places[task.name] for task in targets.tasks])
    told = len(tags.states) - len(labels.states)
    padded = np.vstack([labels.states, np.zeros((told, labels.n_outputs), np.float32)])
    n = len(tags.lexicon.slots)
    blocks = [model.lexicon.folded.reshape(n, -1, model.n_outputs) for model in (tags, labels)]
    folded = np.concatenate(blocks, axis=2)[:, :, order].reshape(n, -1)
    return replace(
        tags,
        tasks=targets.tasks,
        lexicon=replace(tags.lexicon, folded=folded),
        table=np.ascontiguousarray(np.hstack([tags.table, labels.table])[:, order]),
        scales=np.ones(len(order), np.float32),
        bias=np.concatenate([tags.bias, labels.bias])[order],
        states=np.ascontiguousarray(np.hstack([tags.states, padded])[:, order]),
        told=told,
    )


def _ranges(*models: TaggerModel) -> list[NDArray[np.int64]]:
    """The columns of each task, where the models' columns stand side by side."""
    columns, _ = columns_of([task for model in models for task in model.tasks])
    return [np.arange(left, right) for left, right in columns]


# --- the parts -------------------------------------------------------------------------------------------------------


def _number(block: Block, settings: Settings, min_count: int) -> Rows:
    kernel = load("tag")
    pairs = kernel.pair_keys(block.matrix, block.tokens, block.bounds, pair_array(settings))
    # A word's features count as often as the word; those of the places outside once a sentence.
    counts = np.bincount(block.tokens, minlength=len(block.matrix))
    counts[-2:] = max(1, len(block.bounds) - 1)
    width = 2 * settings.window + 1
    times = np.repeat(np.repeat(counts, width), np.diff(block.key_bounds))
    everything = np.concatenate([block.keys, pairs.ravel()])
    distinct, inverse = np.unique(everything, return_inverse=True)
    total = np.bincount(inverse, np.concatenate([times, np.ones(pairs.size)]), minlength=len(distinct))
    kept = (total >= min_count) & (distinct != 0)
    numbers = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)[inverse]
    n_unary = len(block.keys)
    return Rows(distinct[kept], numbers[:n_unary].copy(), numbers[n_unary:].reshape(pairs.shape).copy())


def _problem(inputs: Inputs, states: Floats, targets: Targets, columns: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """What the training kernel takes."""
    block, rows, settings, lexicon = inputs
    tasks, link_at, label_at, gold_row = [], 0, 0, 0
    for task, (first, last) in zip(targets.tasks, columns, strict=True):
        if task.kind == "tags":
            tasks.append((first, last, 0, link_at, gold_row))
            link_at += (task.size + 2) * task.size
            gold_row += 1
        else:
            tasks.append((first, last, 1 if task.kind == "label" else 2, label_at, 0))
            label_at += task.size
    return {
        "tokens": block.tokens,
        "bounds": block.bounds,
        "unary": rows.unary,
        "unary_bounds": block.key_bounds,
        "pairs": rows.pairs,
        "vectors": lexicon.rows(block.found, lexicon.vectors),
        "states": np.ascontiguousarray(states, np.float32),
        "gold": targets.gold,
        "targets": targets.labels,
        "tasks": np.array(tasks, np.int32).reshape(-1, 5),
        "window": settings.window,
        "reach": settings.reach,
    }


def _start(n_rows: int, n_outputs: int, problem: dict[str, Any], targets: Targets) -> dict[str, Floats]:
    n_tasks = len(targets.tasks)
    n_dense = (2 * problem["reach"] + 1) * problem["vectors"].shape[1] + problem["states"].shape[1]
    links = [task.links().ravel() for task in targets.tasks if task.kind == "tags"]
    weights = {"links": np.concatenate([np.zeros(0, np.float32), *links])}
    for name, size in (("weights", n_rows), ("dense", n_dense)):
        weights[name] = np.zeros((size, n_outputs), np.float32)
    for name, sums, squares in (
        ("weights", "sums", "squares"),
        ("dense", "dense_sums", "dense_squares"),
        ("links", "link_sums", "link_squares"),
    ):
        weights[sums] = np.zeros_like(weights[name])
        shape = weights[name].shape if name == "links" else (len(weights[name]), n_tasks)
        weights[squares] = np.zeros(shape, np.float32)
    return weights


def _passes(problem: dict[str, Any], weights: dict[str, Floats], training: Training) -> int:
    """All passes; the number of steps."""
    train = load("tagfit").train
    rng = np.random.default_rng(training.random_state)
    count = 1
    for epoch in range(training.epochs):
        order = rng.permutation(len(problem["bounds"]) - 1)
        train(
            problem,
            weights,
            order,
            crf=training.crf,
            adagrad=training.crf,
            rate=training.learning_rate,
            margin=training.margin,
            dropout=training.dropout,
            seed=int(rng.integers(1 << 62)),
            count=count,
        )
        count += len(order)
        if training.progress is not None:
            training.progress(epoch + 1, training.epochs)
    return count


def _finished(
    inputs: Inputs, targets: Targets, weights: dict[str, Floats], count: int, width: int, dropout: float
) -> TaggerModel:
    """Averages over all steps, as a model; vectors are folded into scores."""
    for name, sums in (("weights", "sums"), ("dense", "dense_sums"), ("links", "link_sums")):
        weights[name] -= weights[sums] / np.float32(count)
        del weights[sums]
    dense = weights["dense"]
    n_vector_rows = len(dense) - width
    n_outputs = weights["weights"].shape[1]
    model = TaggerModel(
        tasks=targets.tasks,
        named=targets.named,
        settings=inputs.settings,
        lexicon=_fold(inputs.lexicon, dense[:n_vector_rows], inputs.settings.reach),
        slots=np.zeros(1, np.uint32),
        table=np.zeros((1, n_outputs), np.float32),
        scales=np.ones(n_outputs, np.float32),
        bias=weights["weights"][-1].copy(),
        links=weights["links"],
        states=dense[n_vector_rows:].copy(),
    )
    # In training a share of the features was left out.
    return with_rows(model, inputs.rows.keys, weights["weights"][:-1] * np.float32(1 - dropout))


def _fold(lexicon: Lexicon, dense: Floats, reach: int) -> Lexicon:
    n, dim = lexicon.vectors.shape
    if dim == 0:
        return lexicon
    k = dense.shape[1]
    wide = dense.reshape(2 * reach + 1, dim, k).transpose(1, 0, 2).reshape(dim, -1)
    return replace(lexicon, vectors=np.zeros((n, 0), np.float32), folded=lexicon.vectors @ wide)
