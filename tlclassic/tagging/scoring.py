"""Scores of predicted tags: entity precision, recall and F1, token accuracy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tlclassic.errors import InvalidParameterError
from tlclassic.tagging.schemes import entities

__all__ = ["EntityScore", "EntityScores", "entity_scores", "token_accuracy"]


@dataclass(frozen=True)
class EntityScore:
    """Shares from 0 to 1; ``support`` is the number of true entities."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class EntityScores(EntityScore):
    """Over all types together (micro average).

    Attributes
    ----------
    types : dict of EntityScore
        Of each type, sorted by name.
    """

    types: dict[str, EntityScore] = field(default_factory=dict)

    @property
    def macro_f1(self) -> float:
        """The mean of the types' F1; 0 where there is none."""
        return sum(score.f1 for score in self.types.values()) / max(1, len(self.types))

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**_facts(self), "macro_f1": self.macro_f1, "types": {k: _facts(v) for k, v in self.types.items()}}


def _facts(score: EntityScore) -> dict[str, Any]:
    return {"precision": score.precision, "recall": score.recall, "f1": score.f1, "support": score.support}


def entity_scores(truth: Sequence[Sequence[Any]], predicted: Sequence[Sequence[Any]]) -> EntityScores:
    """Exact match of entities, as the CoNLL shared task and seqeval's default mode count it.

    Parameters
    ----------
    truth, predicted : sequence of n sequences of tags
        Of the same lengths; see :func:`tlclassic.tagging.entities`.

    Raises
    ------
    InvalidParameterError
        When the lengths differ; the sentence is named.

    Examples
    --------
    >>> entity_scores([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "O", "O"]]).f1
    0.6666666666666666
    """
    _check_lengths(truth, predicted)
    right: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for gold, guess in zip(truth, predicted, strict=True):
        true, found = entities(gold), entities(guess)
        wanted.update(kind for kind, _, _ in true)
        given.update(kind for kind, _, _ in found)
        right.update(kind for kind, _, _ in set(true) & set(found))
    types = {kind: EntityScore(*_shares(right[kind], given[kind], wanted[kind])) for kind in sorted(wanted | given)}
    return EntityScores(*_shares(right.total(), given.total(), wanted.total()), types)


def _shares(right: int, given: int, wanted: int) -> tuple[float, float, float, int]:
    precision, recall = right / given if given else 0.0, right / wanted if wanted else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return precision, recall, f1, wanted


def token_accuracy(truth: Sequence[Sequence[Any]], predicted: Sequence[Sequence[Any]]) -> float:
    """The share of tokens with the right tag; 0 where there is no token.

    Raises
    ------
    InvalidParameterError
        When the lengths differ; the sentence is named.
    """
    _check_lengths(truth, predicted)
    pairs = [pair for gold, guess in zip(truth, predicted, strict=True) for pair in zip(gold, guess, strict=True)]
    return float(sum(bool(gold == guess) for gold, guess in pairs) / max(1, len(pairs)))


def _check_lengths(truth: Sequence[Sequence[Any]], predicted: Sequence[Sequence[Any]]) -> None:
    if len(truth) != len(predicted):
        raise InvalidParameterError(
            f"predicted must hold the {len(truth)} sentences of truth; got {len(predicted)}. Predict those."
        )
    for place, (gold, guess) in enumerate(zip(truth, predicted, strict=True)):
        if len(gold) != len(guess):
            raise InvalidParameterError(
                f"predicted[{place}] must hold {len(gold)} tags as truth does; got {len(guess)}. Check the tokens."
            )
