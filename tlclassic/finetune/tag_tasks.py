"""Tags of tokens as tasks with a row for each token, and what is said of dev: entity F1, accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.finetune.losses import scores_of
from tlclassic.finetune.tasks import Task, read_tasks
from tlclassic.tagging.features import check_sentences
from tlclassic.tagging.scoring import entity_scores, token_accuracy
from tlclassic.tagging.tasks import SINGLE, read_targets

__all__ = ["TagTask", "TaggedSentences", "read_tag_tasks", "read_tagged", "tag_scores"]

#: A sentence's tags, or None where they are not known.
Tags = list[list[Any] | None]


@dataclass(frozen=True)
class TaggedSentences:
    """Sentences of at least one token, each with the tags of one task at least.

    Attributes
    ----------
    sentences : list of n lists of tokens
    tags : dict of name to n lists of tags, or None for a sentence without
    schemes : dict of name to {"none", "iob2", "bilou"}
    """

    sentences: list[list[str]]
    tags: dict[str, Tags]
    schemes: dict[str, str]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every sentence, shape (n,)."""
        return np.array([len(sentence) for sentence in self.sentences], np.int64)


@dataclass(frozen=True)
class TagTask(Task):
    """A task with a row for each of N tokens, and the tags that its rows were made of.

    Attributes
    ----------
    scheme : {"none", "iob2", "bilou"}
        How its tags mark entities.
    lengths : int64 array of shape (n,)
        Tokens of every sentence.
    tags : list of n lists of tags, or None for a sentence without
    """

    scheme: str
    lengths: NDArray[np.int64]
    tags: Tags

    @property
    def metric(self) -> str:
        """What its score is."""
        return "token_accuracy" if self.scheme == "none" else "entity_f1"


def read_tagged(sentences: Any, tags: Any) -> TaggedSentences:
    """Check sentences with their tags; those without a token, or without any tags, are left out.

    Tags that mark entities are repaired where they are illegal, with a warning, as
    :class:`~tlclassic.tagging.TokenTagger` repairs them.

    Parameters
    ----------
    sentences : sequence of lists of tokens
    tags : sequence of lists of tags, or a dict of them by task

    Raises
    ------
    InvalidParameterError
        Names the task and the sentence.
    """
    held = [list(sentence) for sentence in check_sentences(sentences)]
    targets = read_targets(tags, [len(sentence) for sentence in held], scheme="auto", bilou=False)
    for task in targets.tasks:
        if task.kind != "tags":
            raise InvalidParameterError(
                f"{task.name} must hold a list of tags for each sentence; got labels of sentences. "
                "Fine-tune on these with fine_tune."
            )
    bounds = np.cumsum([0, *map(len, held)])
    named: dict[str, Tags] = {}
    for task, gold in zip(targets.tasks, targets.gold, strict=True):
        places = [gold[start:end].tolist() for start, end in pairwise(bounds)]
        named[task.name] = [None if not own or own[0] < 0 else [task.classes[place] for place in own] for own in places]
    kept = [row for row in range(len(held)) if any(own[row] is not None for own in named.values())]
    if not kept:
        raise InvalidParameterError("sentences must hold at least one token with a tag; got none.")
    return TaggedSentences(
        [held[row] for row in kept],
        {name: [own[row] for row in kept] for name, own in named.items()},
        {task.name: task.scheme for task in targets.tasks},
    )


def read_tag_tasks(
    data: TaggedSentences,
    *,
    seen: NDArray[np.bool_] | None = None,
    class_weight: Any = None,
    of: Sequence[TagTask] | None = None,
) -> list[TagTask]:
    """The tasks of tagged sentences, with a row for each token.

    Parameters
    ----------
    data : TaggedSentences
    seen : bool array of shape (N,), optional
        Tokens that have a state; others weigh nothing. All where None.
    class_weight : dict, "balanced" or None
        For several tasks, or one that has a name, a dict of these by the name of the task as well.
    of : sequence of TagTask, optional
        What was read for training, whose classes and schemes are taken: a tag that is not among them weighs nothing.

    Raises
    ------
    InvalidParameterError
        Where a task is not one of ``of``, or has nothing to learn from.
    """
    known = {} if of is None else {task.name: task for task in of}
    for name in data.tags:
        if of is not None and name not in known:
            raise InvalidParameterError(f"dev must have tasks of tags ({', '.join(known)}); got {name!r}.")
    classes = {
        name: known[name].classes.tolist() if of is not None else _classes(own) for name, own in data.tags.items()
    }
    for name, own in classes.items():
        if len(own) < 2:
            raise InvalidParameterError(f"{name} must hold at least two different tags; got {own}.")
    P = {name: _one_hot(own, data.lengths, classes[name], seen) for name, own in data.tags.items()}
    if list(data.tags) == [SINGLE] and not (isinstance(class_weight, Mapping) and SINGLE in class_weight):
        class_weight = {SINGLE: class_weight}
    read = read_tasks(P, int(data.lengths.sum()), classes=classes, class_weight=class_weight)
    schemes = data.schemes if of is None else {task.name: task.scheme for task in of}
    return [TagTask(**vars(task), scheme=schemes[task.name], lengths=data.lengths, tags=data.tags[task.name])
            for task in read]  # fmt: skip


def _classes(tags: Tags) -> list[Any]:
    return sorted({tag for own in tags if own is not None for tag in own})


def _one_hot(
    tags: Tags, lengths: NDArray[np.int64], classes: list[Any], seen: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Probabilities (N, C) of the tags; a row of NaN where none is known, or it is no class."""
    places = {tag: place for place, tag in enumerate(classes)}
    flat: list[int] = []
    for own, length in zip(tags, lengths.tolist(), strict=True):
        flat += [-1] * length if own is None else [places.get(tag, -1) for tag in own]
    gold = np.array(flat, np.int64)
    P = np.zeros((len(gold), len(classes)), np.float32)
    there = gold >= 0 if seen is None else (gold >= 0) & seen
    P[np.flatnonzero(there), gold[there]] = 1
    P[~there] = np.nan
    return P


def answers(task: TagTask, logits: NDArray[Any]) -> list[list[Any]]:
    """The likeliest tag of every token, a list for each sentence."""
    found = task.classes[logits.argmax(axis=1)].tolist()
    ends = np.cumsum(task.lengths)
    return [found[end - length : end] for end, length in zip(ends.tolist(), task.lengths.tolist(), strict=True)]


def tag_scores(task: TagTask, logits: NDArray[np.float32]) -> dict[str, float]:
    """``loss``, ``accuracy`` of the tokens, and ``score``: entity F1 where the tags mark entities, else the accuracy.

    Every token of a sentence with tags counts, also where it was cut off or its tag is none that was trained on; in the
    loss these do not.
    """
    kept = [row for row, own in enumerate(task.tags) if own is not None]
    predicted = answers(task, logits)
    truth, said = [task.tags[row] or [] for row in kept], [predicted[row] for row in kept]
    accuracy = token_accuracy(truth, said)
    score = accuracy if task.scheme == "none" else entity_scores(truth, said).f1
    return {"loss": scores_of(task, logits)["loss"], "accuracy": accuracy, "score": score}
