"""The texts of a distillation: given ones checked, a part held out to choose by, more made where there are few."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_texts
from tlclassic.distillation.asking import soft_labels
from tlclassic.distillation.augmentation import METHODS, augment
from tlclassic.distillation.known_answers import KnownAnswers
from tlclassic.distillation.searching import LABELLED, MADE, TRANSFER, Pool
from tlclassic.distillation.teachers import ProbabilityTeacher
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.targets import read_targets
from tlclassic.vectors import WordVectors

__all__ = ["Material", "ask", "gather", "make_texts", "to_make"]

#: Of labelled texts, or of the others where none is labelled, when no dev texts are given.
HELD_OUT_SHARE, HELD_OUT_MOST = 0.1, 2_000
#: So few labelled texts are all needed to learn from.
TOO_FEW = 10
#: Of the texts that are made, on average and at most.
WORDS = 20
#: Of a labelled text, at most, where there are enough others: film reviews say little of cameras, however many. On cr
#: 144,000 beside 300,000 sentences of reviews take the cross-entropy to the teacher from 0.283, with 57,000, to 0.276.
PER_LABELLED = 50
#: Where rare classes count as much as others, texts are drawn by this negative power of their class's share. On
#: goemotions' 28 labels it gains a point of dev macro F1.
EVENNESS = 0.5
#: Words of texts that are spliced, on average at most: questions, comments and sentences gain by it, documents of a
#: hundred words lose.
SENTENCE = 25
#: By default, beside splices.
OTHERS = tuple(name for name in METHODS if name not in ("splice_texts", "replace_neighbours"))
Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Material:
    """What there is before the teacher is asked.

    Attributes
    ----------
    labelled : list of str
    hard : float64 array (n_labelled, C)
    transfer : list of str
        Texts without labels.
    dev : list of str
    truth : float64 array (n_dev, C), or None
        Their labels, where they are known.
    notes : list of str
        What a user should know of the choice.
    """

    labelled: list[str]
    hard: Float
    transfer: list[str]
    dev: list[str]
    truth: Float | None
    notes: list[str]


def gather(
    teacher: ProbabilityTeacher | KnownAnswers,
    texts: Sequence[str] | None,
    labelled: tuple[Sequence[str], Any] | None,
    dev: tuple[Sequence[str], Any] | None,
    most: int,
    random_state: int,
) -> Material:
    """Texts and labels checked, what is held out told apart, and nothing of dev left among the rest."""
    random = np.random.default_rng(random_state)
    notes: list[str] = []
    known, hard = _pair("labelled", labelled, teacher)
    others = list(dict.fromkeys(check_texts(texts if texts is not None else [])))
    if not known and not others:
        raise InvalidParameterError("texts or labelled must hold something to learn from; got no text.")
    truth: Float | None
    if dev is not None:
        dev_texts, truth = _pair("dev", dev, teacher)
        if not dev_texts:
            raise InvalidParameterError("dev must have at least one text; got none. Leave it out or give some.")
    elif len(known) >= TOO_FEW:
        held = random.permutation(len(known))[: _held_out(len(known))]
        dev_texts, truth = [known[i] for i in held], hard[held]
        notes.append(f"no dev texts were given: {len(dev_texts):,} of the labelled ones are held out to choose by")
    elif not others:
        raise InvalidParameterError(
            f"dev must be given where there are fewer than {TOO_FEW} labelled texts and no others; got {len(known)} "
            "labelled ones. Or give texts without labels."
        )
    else:
        held = random.permutation(len(others))[: _held_out(len(others))]
        dev_texts, truth = [others[i] for i in held], None
        notes.append(f"no labels to choose by: {len(dev_texts):,} texts are held out and judged by the teacher")
    known, hard = _without(known, hard, set(dev_texts), notes if dev is not None else [])
    seen = {*dev_texts, *known}
    others = [text for text in others if text not in seen and text.strip()]
    if len(others) > most:
        notes.append(f"{most:,} of {len(others):,} texts without labels are used; a larger effort uses more")
        others = [others[i] for i in np.sort(random.permutation(len(others))[:most])]
    if not known and not others:
        raise InvalidParameterError("texts or labelled must hold something that is not in dev; got nothing else.")
    return Material(known, hard, others, dev_texts, truth, notes)


def _without(texts: list[str], hard: Float, dev: set[str], notes: list[str]) -> tuple[list[str], Float]:
    kept = [i for i, text in enumerate(texts) if text not in dev]
    if len(kept) == len(texts):
        return texts, hard
    notes.append(f"{len(texts) - len(kept):,} labelled texts are also in dev and left out of training")
    return [texts[i] for i in kept], hard[kept]


def _held_out(n: int) -> int:
    return max(1, min(HELD_OUT_MOST, int(n * HELD_OUT_SHARE)))


def _pair(name: str, given: Any, teacher: ProbabilityTeacher | KnownAnswers) -> tuple[list[str], Float]:
    """Texts and their labels as a matrix over the teacher's classes."""
    if given is None:
        return [], np.zeros((0, len(teacher.classes)))
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise InvalidParameterError(f"{name} must be a pair (texts, labels); got {type(given).__name__}.")
    texts = list(check_texts(given[0]))
    labels = given[1]
    n = labels.shape[0] if hasattr(labels, "shape") else len(labels)
    if n != len(texts):
        raise InvalidParameterError(f"{name} must have as many labels as texts; got {n} and {len(texts)}.")
    if not texts:
        return [], np.zeros((0, len(teacher.classes)))
    return texts, _hard(name, labels, teacher)


def _hard(name: str, labels: Any, teacher: ProbabilityTeacher | KnownAnswers) -> Float:
    if hasattr(labels, "ndim") and labels.ndim == 2:
        return read_targets(labels, classes=teacher.classes, multilabel=teacher.multilabel).P
    place = {label: column for column, label in enumerate(teacher.classes)}
    P = np.zeros((len(labels), len(place)))
    rows = list(labels.tolist() if hasattr(labels, "tolist") else labels)
    for i, row in enumerate(rows):
        for label in row if teacher.multilabel else [row]:
            if label not in place:
                raise InvalidParameterError(
                    f"{name} must have labels that the teacher knows; row {i} has {label!r}, the teacher "
                    f"{teacher.classes[:5]!r}{'...' if len(place) > 5 else ''}."
                )
            P[i, place[label]] = 1.0
    return P


def make_texts(
    material: Material,
    least: int,
    max_made: int | None,
    augmentation: Sequence[str] | None,
    vectors: WordVectors | None,
    random_state: int,
    *,
    own: int = 0,
    even: bool = False,
) -> list[str]:
    """Texts made where there are fewer than ``least``, but no more than ``max_made``, and of long ones fewer.

    ``own``: where there are fewer labelled ones than this, they are made into more however many others there are.
    ``even``: from texts of rare classes more often than those are.
    """
    names = None if augmentation is None else tuple(augmentation)
    missing, of_labelled = to_make(len(material.labelled), len(material.transfer), least, own)
    if max_made is not None:
        missing = min(missing, max_made)
    if missing <= 0 or names == ():
        return []
    source = material.labelled if of_labelled else material.labelled + material.transfer
    known = {*material.labelled, *material.transfer, *material.dev}
    weights = _rarity(material)[: len(source)] if even and material.labelled else None
    options: dict[str, Any] = {"weights": weights, "random_state": random_state, "vectors": vectors}
    made = augment(source, missing, methods=names, **options) if names else _by_length(source, missing, options)
    return [text for text in dict.fromkeys(_within(made, WORDS * missing)) if text not in known]


def to_make(n_labelled: int, n_transfer: int, least: int, own: int) -> tuple[int, bool]:
    """How many texts are to be made, and whether of the labelled ones alone."""
    missing = max(0, least - n_labelled - n_transfer)
    of_labelled = max(0, min(own - n_labelled, PER_LABELLED * n_labelled)) if n_transfer else 0
    return max(missing, of_labelled), of_labelled > missing


def _rarity(material: Material) -> list[float]:
    """How often each text is drawn: labelled ones by their rarest class, on average as often as the others."""
    shares = material.hard.mean(axis=0)
    by_class = np.where(shares > 0, np.maximum(shares, 1e-12) ** -EVENNESS, 0.0)
    weights = (np.where(material.hard > 0.5, by_class, 0.0)).max(axis=1)
    # Texts without any label are many.
    weights[weights == 0] = by_class[by_class > 0].min() if shares.any() else 1.0
    return [*(weights / weights.mean()).tolist(), *([1.0] * len(material.transfer))]


def _within(texts: Iterable[str], n_words: int) -> Iterator[str]:
    """The first texts, up to so many words: what a teacher takes for a text grows with them."""
    for text in texts:
        n_words -= len(text.split())
        if n_words < 0:
            return
        yield text


def _by_length(texts: list[str], n: int, options: dict[str, Any]) -> Iterator[str]:
    """Half of what is made of short texts is spliced, nothing of longer ones: their parts cost a teacher less."""
    others = augment(texts, n, methods=OTHERS, **options)
    if sum(len(text.split()) for text in texts) > SENTENCE * len(texts):
        return others
    spliced = augment(texts, n, methods=["splice_texts"], **options)
    both = itertools.chain.from_iterable(itertools.zip_longest(spliced, others))
    return itertools.islice((text for text in both if text is not None), n)


def ask(
    teacher: ProbabilityTeacher | KnownAnswers,
    material: Material,
    made: list[str],
    cache: Any,
    report: Callable[[str, int, int | None], object],
) -> tuple[Pool, NDArray[np.float32]]:
    """The teacher's probabilities of everything, dev first: its own accuracy is known early."""
    every = [*material.dev, *material.labelled, *material.transfer, *made]
    if isinstance(teacher, KnownAnswers):
        P = teacher.look_up(every)
        _fill(P[len(material.dev) :], material, teacher)
    else:
        P = soft_labels(
            teacher, every, cache=cache, on_progress=lambda done, total: report("asking the teacher", done, total)
        )
    teacher_dev, P = P[: len(material.dev)], P[len(material.dev) :]
    counts = {LABELLED: len(material.labelled), TRANSFER: len(material.transfer), MADE: len(made)}
    kind = np.repeat(np.array(list(counts), dtype=np.int8), list(counts.values()))
    truth = material.truth
    if truth is None:
        truth = (teacher_dev >= 0.5).astype(np.float64) if teacher.multilabel else _one_hot(teacher_dev)
    pool = Pool(
        texts=every[len(material.dev) :],
        P=P,
        kind=kind,
        hard=material.hard,
        dev_texts=material.dev,
        dev=truth,
        classes=np.asarray(teacher.classes),
        multilabel=teacher.multilabel,
        dev_teacher=None if np.isnan(teacher_dev).any() else teacher_dev.astype(np.float64),
    )
    return pool, teacher_dev


def _fill(P: NDArray[np.float32], material: Material, teacher: KnownAnswers) -> None:
    """Labelled texts that the teacher was not asked about have their labels for probabilities."""
    labelled = P[: len(material.labelled)]
    unknown = np.isnan(labelled).any(axis=1)
    labelled[unknown] = material.hard[unknown]
    others = np.isnan(P).any(axis=1)
    if others.any():
        text = material.transfer[int(np.flatnonzero(others)[0]) - len(material.labelled)]
        raise InvalidParameterError(
            f"texts must be among those of {teacher.name}; {text!r:.60} is not. Leave them out."
        )


def _one_hot(P: NDArray[Any]) -> Float:
    return np.asarray(np.eye(P.shape[1])[P.argmax(axis=1)])
