"""How a student may be made: features, strength and objective; and how much of it an effort allows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tlclassic.tuning.space import Configuration

__all__ = ["EFFORTS", "HARD_WEIGHT", "OBJECTIVES", "PLAIN", "Convolution", "Effort", "Recipe", "first_recipes"]

OBJECTIVES = ("cross_entropy", "logits")
#: Share of the labels beside the teacher's answers: what recipes begin with, and what convolutions are judged by.
HARD_WEIGHT = 0.3
#: Of word vectors beside n-grams: a little, and up to where the n-grams stand beside them.
VECTORS_WEIGHTS = (0.5, 2.0, 4.0)


@dataclass(frozen=True)
class Convolution:
    """Parameters of :class:`tlclassic.ConvolutionClassifier`, in place of n-grams.

    Sums and a hidden layer come nearer to a teacher than as many filters again, from ten thousand of its answers on; of
    labels alone they learn less than filters do.
    """

    filters: int = 64
    width: int = 4
    sums: int = 32
    hidden: int = 32
    dropout: float = 0.1
    word_dropout: float = 0.1
    vectors_rate: float = 0.3
    epochs: int | str = "auto"


#: For more classes than so many, in a file of so many bytes at least.
_WIDE, FEW_CLASSES, _WIDE_BYTES = Convolution(filters=128, width=3, sums=64, hidden=128), 20, 6_000_000
_WIDER = Convolution(filters=256, width=3, sums=64, hidden=256)
#: What labels alone are better learnt by.
PLAIN = Convolution(filters=96, sums=0, hidden=0, dropout=0.3)
_MIDDLING = Convolution(filters=96, sums=32, hidden=64)


@dataclass(frozen=True)
class Recipe:
    """Everything that a student depends on but its texts.

    Attributes
    ----------
    features : Configuration
        N-grams and the weight of word vectors beside them, as of :class:`tlclassic.NgramClassifier`.
    C : float
        Strength of the data against the penalty.
    temperature : float
        The teacher's probabilities are softened by it (Hinton, Vinyals and Dean 2015,
        https://arxiv.org/abs/1503.02531); below 1 they are sharpened.
    hard_weight : float
        Share of the true labels in the targets of labelled texts, from 0 (the teacher alone) to 1.
    transfer_weight : float
        Weight of a text without a label; labelled ones weigh 1.
    made_weight : float
        Weight of a text that was made from others.
    confidence : float
        Power of the teacher's confidence by which texts without a label are weighted; 0: all the same.
    prior : float
        Share of the way to the labelled texts' class frequencies that the teacher's probabilities of texts without a
        label are moved, from 0 (as they are) to 1.
    objective : {"cross_entropy", "logits"}
        What is minimised: the cross-entropy to the targets, or the squared distance from their logits.
    convolution : Convolution, optional
        The student is one; ``features`` and ``C`` do not matter then.
    """

    features: Configuration
    C: float
    temperature: float = 1.0
    hard_weight: float = 0.0
    transfer_weight: float = 1.0
    made_weight: float = 1.0
    confidence: float = 0.0
    prior: float = 0.0
    objective: str = "cross_entropy"
    convolution: Convolution | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable, in one level."""
        own = {name: value for name, value in vars(self).items() if name not in ("features", "convolution")}
        if self.convolution is not None:
            own.pop("C")
            return {**vars(self.convolution), **own}
        features = self.features.as_dict()
        features.pop("label_smoothing")
        return {**features, **own}

    def with_features(self, **changes: Any) -> Recipe:
        """The same with other features."""
        return replace(self, features=replace(self.features, **changes))


@dataclass(frozen=True)
class Effort:
    """How much is spent on a student.

    Attributes
    ----------
    transfer : int
        Texts without labels that are used, at most.
    least : int
        Where there are fewer texts than this, or than thrice the labelled ones, texts are made from them until there
        are so many, or ``transfer`` in all.
    rows : int
        Texts that recipes are compared on, at most; the last few are compared on all.
    finalists : int
        How many recipes are compared on all texts.
    stages : tuple of dict
        One stage after the other, each parameter's values are tried on the best recipe so far.
    convolutions : tuple of Convolution
        Tried on all texts, with a middling objective; none at the smallest effort, unless they are asked for.
    """

    transfer: int
    least: int
    own: int
    rows: int
    finalists: int
    stages: tuple[dict[str, tuple[Any, ...]], ...] = field(default=())
    convolutions: tuple[Convolution, ...] = ()

    def wanted(self, n_labelled: int) -> int:
        """Texts in all, for so many labelled ones. Where those are many they want others beside them as well: on
        goemotions, with 43 k, twice as many made as labelled gain half a point of dev macro F1 over 17 k made.
        """
        return max(self.least, min(self.transfer, 3 * n_labelled))

    def convolutions_for(self, n_classes: int, max_size: int | None = None) -> tuple[Convolution, ...]:
        """Those to try.

        Many classes share the filters: beyond twenty they are wide, which gains three points of dev macro F1 on
        goemotions' 28, and on banking77's 77 a tenth of the log loss and a point of accuracy. Their words take half a
        kilobyte each, so that a small file would hold too few of them. Twice as wide leaves room for half as many and
        takes longer: it is for the largest effort alone.
        """
        narrow = n_classes <= FEW_CLASSES or (max_size is not None and max_size < _WIDE_BYTES)
        if narrow or not self.convolutions:
            return self.convolutions
        return (_WIDE, _WIDER, *self.convolutions[2:]) if len(self.convolutions) > 2 else (_WIDE,)


_STRENGTHS = {"C": (0.3, 3.0, 10.0)}
_OBJECTIVE = (
    {"hard_weight": (0.0, 0.3, 0.6)},
    {"transfer_weight": (0.3, 1.0)},
    {"temperature": (0.5, 1.0, 2.0)},
)

EFFORTS: dict[str, Effort] = {
    "small": Effort(20_000, 5_000, 5_000, 20_000, 1, (_STRENGTHS, {"hard_weight": (0.0, 0.5)})),
    "medium": Effort(
        300_000,
        300_000,
        150_000,
        60_000,
        2,
        (_STRENGTHS, *_OBJECTIVE),
        (Convolution(), _MIDDLING),
    ),
    "large": Effort(
        1_000_000,
        400_000,
        300_000,
        120_000,
        3,
        (
            {"C": (0.1, 0.3, 3.0, 10.0)},
            *_OBJECTIVE,
            {"made_weight": (0.3, 1.0)},
            {"confidence": (0.0, 1.0)},
            {"prior": (0.0, 0.5, 1.0)},
            {"C": (0.1, 0.3, 1.0, 3.0, 10.0)},
        ),
        (
            Convolution(),
            _MIDDLING,
            Convolution(filters=128, sums=64, hidden=128, dropout=0.2),
            replace(_MIDDLING, dropout=0.3, word_dropout=0.2),
            replace(_MIDDLING, vectors_rate=1.0, word_dropout=0.2),
        ),
    ),
}


def first_recipes(
    effort: str, *, multilabel: bool, vectors: bool, bits: int, objective: str = "cross_entropy"
) -> list[Recipe]:
    """The features that are compared first, each with a middling objective.

    Parameters
    ----------
    effort : {"small", "medium", "large"}
    multilabel : bool
    vectors : bool
        Whether there are word vectors to stand beside n-grams.
    bits : int
        Of the buckets.
    objective : {"cross_entropy", "logits"}
    """
    words = Configuration(counts="count", idf=True, norm="sqrt", nb=False, char_ngrams=None, bits=bits)
    start = Recipe(words, C=1.0, hard_weight=0.0 if multilabel else HARD_WEIGHT, objective=objective)
    trigrams = start.with_features(word_ngrams=(1, 3))
    letters = start.with_features(char_ngrams=(3, 5))
    found = [start, trigrams]
    if effort != "small":
        found += [letters, trigrams.with_features(char_ngrams=(3, 5))]
    if effort == "large":
        found += [trigrams.with_features(word_ngrams=(1, 4)), trigrams.with_features(idf=False)]
    if vectors:
        beside = start if effort == "small" else trigrams
        found += [beside.with_features(vectors_weight=weight) for weight in VECTORS_WEIGHTS]
    return found
