"""``TaggerModel``: what a fitted tagger predicts with; NumPy and the kernels alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import load
from tlclassic.tagging.features import Block, Settings, blocks, pair_array, read_block
from tlclassic.tagging.lexicon import Lexicon
from tlclassic.tagging.tasks import Task

__all__ = ["TaggerModel", "columns_of", "label_shares", "probabilities", "with_rows"]

#: Share of the slots that are in use.
FILL = 0.8

Floats = NDArray[np.float32]


def columns_of(tasks: Sequence[Task]) -> tuple[list[tuple[int, int]], int]:
    """First and last column + 1 of each task, and the number of columns."""
    columns, at = [], 0
    for task in tasks:
        columns.append((at, at + task.size))
        at += task.size
    return columns, at


@dataclass(frozen=True)
class TaggerModel:
    """The weights of a tagger; K columns over all its tasks.

    Attributes
    ----------
    tasks : tuple of Task
    named : bool
        Whether predictions are a dict.
    settings : Settings
    lexicon : Lexicon
    slots : uint32 array of shape (n_slots,)
        Marks of features; see the kernel.
    table : float32 or int8 array of shape (n_slots, K)
    scales : float32 array of shape (K,)
        What a column of the table is multiplied by.
    bias : float32 array of shape (K,)
    links : float32 array
        Of each task of tags (k + 2, k), one after the other.
    states : float32 array of shape (width + told, K)
        Weights of further numbers of each token; the last ones of the probabilities of the sentence's labels.
    told : int
        How many labels are told to the tasks of tags: all of the tasks of labels, or 0.
    keys : uint64 array of shape (n_slots,)
        The features' whole hashes; empty in a compiled tagger, which needs their marks alone.
    """

    tasks: tuple[Task, ...]
    named: bool
    settings: Settings
    lexicon: Lexicon
    slots: NDArray[np.uint32]
    table: NDArray[Any]
    scales: Floats
    bias: Floats
    links: Floats
    states: Floats
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    told: int = 0

    @property
    def width(self) -> int:
        """Further numbers of each token that have to be given."""
        return len(self.states) - self.told

    @property
    def n_outputs(self) -> int:
        """K."""
        return int(self.table.shape[1])

    @property
    def n_features(self) -> int:
        """Features that have a row."""
        return int((self.slots != 0).sum())

    def scores(self, block: Block, states: Floats) -> Floats:
        """The scores of a block's tokens, float32 of shape (N, K)."""
        kernel = load("tag")
        n_words, width = len(block.matrix), 2 * self.settings.window + 1
        flat = np.zeros((n_words * width, self.n_outputs), np.float32)
        kernel.score_words(block.keys, block.key_bounds, self.slots, self.table, flat)
        words = flat.reshape(n_words, width, self.n_outputs)
        self._add_vectors(words, block)
        out = np.zeros((len(block.tokens), self.n_outputs), np.float32)
        pairs = pair_array(self.settings)
        kernel.score(words, block.tokens, block.bounds, block.matrix, pairs, self.slots, self.table, out)
        out *= self.scales
        out += self.bias
        if self.width:
            out += states @ self.states[: self.width]
        if self.told:
            shares = label_shares(self.tasks, out, block.bounds)
            out += np.repeat(shares @ self.states[self.width :], np.diff(block.bounds), axis=0)
        return out

    def _add_vectors(self, words: Floats, block: Block) -> None:
        folded = self.lexicon.folded
        if not folded.shape[1]:
            return
        reach, window = self.settings.reach, self.settings.window
        rows = self.lexicon.rows(block.found, folded).reshape(len(words), 2 * reach + 1, self.n_outputs)
        # Words are added up in the table's unit.
        words[:, window - reach : window + reach + 1] += rows / self.scales

    def predict(self, sentences: Sequence[Sequence[str]], states: Floats) -> dict[str, list[Any]]:
        """For each task a list with each sentence's tags, label, or list of labels."""
        found: dict[str, list[Any]] = {task.name: [] for task in self.tasks}
        at = 0
        for first, last in blocks(sentences):
            block = read_block(sentences[first:last], self.settings, self.lexicon)
            scores = self.scores(block, states[at : at + len(block.tokens)])
            at += len(block.tokens)
            link_at = 0
            for task, (left, right) in zip(self.tasks, columns_of(self.tasks)[0], strict=True):
                if task.kind == "tags":
                    size = (task.size + 2) * task.size
                    links = self.links[link_at : link_at + size].reshape(-1, task.size)
                    link_at += size
                    found[task.name] += _tags(task, scores, left, block, links)
                else:
                    found[task.name] += _labels(task, document_scores(scores[:, left:right], block.bounds))
        return found

    def label_scores(self, sentences: Sequence[Sequence[str]], states: Floats, name: str) -> Floats:
        """The logits of a task of labels, float32 of shape (S, k).

        Raises
        ------
        InvalidParameterError
            When there is no such task, or it tags tokens.
        """
        named = {
            task.name: (task, columns) for task, columns in zip(self.tasks, columns_of(self.tasks)[0], strict=True)
        }
        if name not in named or named[name][0].kind == "tags":
            known = [task.name for task in self.tasks if task.kind != "tags"]
            raise InvalidParameterError(f"task must be one of the tasks of labels ({known}); got {name!r}.")
        left, right = named[name][1]
        parts, at = [np.zeros((0, right - left), np.float32)], 0
        for first, last in blocks(sentences):
            block = read_block(sentences[first:last], self.settings, self.lexicon)
            scores = self.scores(block, states[at : at + len(block.tokens)])
            at += len(block.tokens)
            parts.append(document_scores(scores[:, left:right], block.bounds))
        return np.concatenate(parts)

    def quantized(self) -> TaggerModel:
        """The table in int8, one scale a column; the lexicon in float16."""
        if self.table.dtype == np.int8:
            return self
        scales = np.maximum(np.abs(self.table).max(axis=0, initial=0) / 127, 1e-12).astype(np.float32)
        table = np.rint(self.table / scales).astype(np.int8)
        folded = self.lexicon.folded.astype(np.float16)
        return replace(self, table=table, scales=scales, lexicon=replace(self.lexicon, folded=folded))

    def pruned(self, threshold: float) -> TaggerModel:
        """Without the features of which no weight is above ``threshold`` in absolute value.

        Raises
        ------
        InvalidParameterError
            When it was compiled before.
        """
        if not len(self.keys):
            raise InvalidParameterError("a compiled tagger cannot be pruned further; compile the fitted one again.")
        kept = np.flatnonzero((self.slots != 0) & (np.abs(self.table).max(axis=1, initial=0) > threshold))
        return with_rows(self, self.keys[kept], self.table[kept])


def with_rows(model: TaggerModel, keys: NDArray[np.uint64], rows: Floats) -> TaggerModel:
    """The model with these features alone, a row of weights each."""
    slots = np.zeros(int(len(keys) / FILL) + 2, np.uint32)
    places = load("tag").place(keys, slots)
    table, kept = np.zeros((len(slots), rows.shape[1]), np.float32), np.zeros(len(slots), np.uint64)
    # Two features with the same mark side by side share a row: about one pair in 2 ** 32.
    np.add.at(table, places, rows)
    kept[places] = keys
    return replace(model, slots=slots, table=table, keys=kept, scales=np.ones(rows.shape[1], np.float32))


def document_scores(scores: Floats, bounds: NDArray[np.int64]) -> Floats:
    """Sums of the tokens' scores over the root of their number, float32 of shape (S, k); zeros without tokens."""
    lengths = np.diff(bounds)
    out = np.zeros((len(lengths), scores.shape[1]), np.float32)
    filled = np.flatnonzero(lengths)
    if len(filled):
        out[filled] = np.add.reduceat(scores, bounds[filled], axis=0) / np.sqrt(lengths[filled, None])
    return out.astype(np.float32)


def label_shares(tasks: Sequence[Task], scores: Floats, bounds: NDArray[np.int64]) -> Floats:
    """The probabilities of all labels of the tasks of labels, float32 of shape (S, L)."""
    parts = [np.zeros((len(bounds) - 1, 0), np.float32)]
    for task, (left, right) in zip(tasks, columns_of(tasks)[0], strict=True):
        if task.kind != "tags":
            parts.append(probabilities(task, document_scores(scores[:, left:right], bounds)))
    return np.hstack(parts)


def probabilities(task: Task, logits: Floats) -> Floats:
    """Of a task of labels, float32 of shape (S, k)."""
    if task.kind == "labels":
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), dtype=np.float32)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


def _tags(task: Task, scores: Floats, column: int, block: Block, links: Floats) -> list[list[Any]]:
    path = np.zeros(len(scores), np.int32)
    load("tag").decode(scores, column, block.bounds, np.ascontiguousarray(links), path)
    shown = task.decode(list(task.classes))
    flat = [shown[number] for number in path.tolist()]
    edges = block.bounds.tolist()
    return [flat[first:last] for first, last in itertools.pairwise(edges)]


def _labels(task: Task, logits: Floats) -> list[Any]:
    if task.kind == "label":
        return [task.classes[number] for number in logits.argmax(axis=1).tolist()] if len(logits) else []
    return [[name for name, logit in zip(task.classes, row, strict=True) if logit > 0] for row in logits.tolist()]
