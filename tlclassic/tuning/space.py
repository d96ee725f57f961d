"""What is searched: configurations of ``NgramClassifier``, good ones first, and their neighbours.

# Design: the portfolio holds what won on eight data sets (docs/tune.md), and the configurations of the usual rivals
# (TF-IDF with logistic regression, NB-SVM), so that a search does not end below them. What follows are random steps
# from the best so far: the space has few dimensions that matter, and their optima lie near each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = ["FACTOR", "Configuration", "Space"]

#: Between neighbouring strengths C.
FACTOR = 10.0**0.5
BITS, MIN_BITS = 20, 8
Range = tuple[int, int]


@dataclass(frozen=True)
class Configuration:
    """The parameters of a classifier, all but its strength C.

    Attributes
    ----------
    word_ngrams, char_ngrams : (int, int) or None
    bits : int
    case, punctuation, counts, norm, idf, nb, class_weight
        As of :class:`tlclassic.NgramClassifier`.
    smoothing : float
        Share of each hard label that is spread over all classes (label smoothing: Szegedy et al. 2016,
        https://arxiv.org/abs/1512.00567).
    vectors_weight : float or None
        Weight of the word vectors' columns; None for no word vectors.
    """

    word_ngrams: Range | None = (1, 2)
    char_ngrams: Range | None = (3, 5)
    bits: int = BITS
    case: str = "fold"
    punctuation: str = "keep"
    counts: str = "binary"
    norm: str = "l2"
    idf: bool = False
    nb: bool = True
    class_weight: str | None = None
    smoothing: float = 0.0
    vectors_weight: float | None = None

    @property
    def features(self) -> dict[str, Any]:
        """The parameters of its ``NgramVectorizer``."""
        names = ("word_ngrams", "char_ngrams", "bits", "case", "punctuation", "counts", "norm", "idf")
        return {name: getattr(self, name) for name in names}

    @property
    def first_C(self) -> float:
        """Where to begin with the strength: rather strong, as weak ones take longer. Longer rows need a smaller C."""
        base = {"none": 0.1, "length": 100.0}.get(self.norm, 1.0)
        # An IDF makes all rows longer but those that are scaled to a length of one.
        return base if not self.idf or self.norm == "l2" else base / 10.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        shown: dict[str, Any] = {**self.features, "nb": self.nb, "class_weight": self.class_weight}
        shown["label_smoothing"] = self.smoothing
        for name in ("word_ngrams", "char_ngrams"):
            shown[name] = None if shown[name] is None else list(shown[name])
        if self.vectors_weight is not None:
            shown["vectors_weight"] = self.vectors_weight
        return shown


class Space:
    """The configurations of one search.

    Parameters
    ----------
    multilabel : bool
        Then labels are not smoothed.
    balance : bool
        Whether classes may be weighted by their rarity (worth it for macro F1 only).
    vectors : bool
        Whether there are word vectors.
    max_size : int or None
        Bytes of the compiled classifier: a map of the buckets in use is part of it, so a small one has few buckets.
    fast : bool
        Only what compiles to one pass over the bytes.
    """

    def __init__(
        self, *, multilabel: bool, balance: bool, vectors: bool, max_size: int | None = None, fast: bool = False
    ) -> None:
        self.multilabel, self.balance, self.vectors, self.fast = multilabel, balance, vectors, fast
        self.max_size = max_size
        self.bits = BITS if max_size is None else _bits_within(max_size)

    def portfolio(self) -> list[Configuration]:
        """What is tried first, the most promising first."""
        mild = 0.0 if self.multilabel else 0.1
        quick = Configuration(counts="count", idf=True, norm="sqrt", nb=False, smoothing=mild)
        ratios = replace(quick, nb=True)
        tfidf = Configuration(counts="sublinear", idf=True, nb=False)
        binary = Configuration(smoothing=mild)
        given = [
            quick,
            ratios,
            replace(tfidf, smoothing=mild, vectors_weight=0.5),
            tfidf,
            replace(tfidf, nb=True, smoothing=mild, vectors_weight=0.5),
            replace(tfidf, char_ngrams=None, punctuation="drop"),
            binary,
            replace(tfidf, class_weight="balanced"),
            replace(tfidf, nb=True, smoothing=mild),
            replace(quick, char_ngrams=None),
            replace(tfidf, smoothing=mild, vectors_weight=1.0),
            replace(tfidf, smoothing=0.2),
            replace(binary, char_ngrams=None, norm="none", smoothing=0.0),
            replace(tfidf, class_weight="balanced", vectors_weight=0.5),
            replace(ratios, case="keep"),
            replace(tfidf, smoothing=mild, char_ngrams=(2, 5)),
            replace(binary, char_ngrams=(3, 6), norm="sqrt"),
        ]
        return list(dict.fromkeys(self._adapted(each) for each in given if self.allows(self._adapted(each))))

    def _adapted(self, configuration: Configuration) -> Configuration:
        """With this search's buckets; with ``fast`` the nearest that compiles to one pass."""
        configuration = replace(configuration, bits=self.bits)
        if not self.fast:
            return configuration
        norm = "sqrt" if configuration.norm == "l2" else configuration.norm
        return replace(configuration, counts="count", norm=norm)

    def allows(self, configuration: Configuration) -> bool:
        """Whether it belongs to this search."""
        return not (
            (configuration.word_ngrams is None and configuration.char_ngrams is None)
            or (configuration.smoothing and self.multilabel)
            or (configuration.class_weight and not self.balance)
            or (configuration.vectors_weight is not None and not self.vectors)
            or (self.fast and (configuration.counts != "count" or configuration.norm == "l2"))
        )

    def neighbours(self, configuration: Configuration, random: np.random.Generator) -> Iterator[Configuration]:
        """Random steps from ``configuration``, without end: one to three parameters changed."""
        choices = self._choices()
        names = [name for name, values in choices.items() if set(values) != {getattr(configuration, name)}]
        while True:
            changed = random.choice(len(names), size=int(random.integers(1, 4)), replace=False)
            steps = {}
            for name in (names[i] for i in changed):
                others = [value for value in choices[name] if value != getattr(configuration, name)]
                steps[name] = others[int(random.integers(len(others)))]
            found = replace(configuration, **steps)
            if self.allows(found):
                yield found

    def _choices(self) -> dict[str, list[Any]]:
        choices: dict[str, list[Any]] = {
            "word_ngrams": [(1, 1), (1, 2), (1, 3)],
            "char_ngrams": [None, (2, 4), (2, 5), (3, 5), (3, 6), (4, 6)],
            "case": ["fold", "keep"],
            "punctuation": ["keep", "drop"],
            "counts": ["binary", "sublinear", "count"] if not self.fast else ["count"],
            "norm": ["l2", "sqrt"] if not self.fast else ["sqrt", "length"],
            "idf": [False, True],
            "nb": [False, True],
        }
        steps = (0, 2) if self.max_size is None else (0, -1, -2)
        choices["bits"] = [max(MIN_BITS, self.bits + step) for step in steps]
        if not self.multilabel:
            choices["smoothing"] = [0.0, 0.05, 0.1, 0.2]
        if self.balance:
            choices["class_weight"] = [None, "balanced"]
        if self.vectors:
            choices["vectors_weight"] = [None, 0.25, 0.5, 1.0]
        return choices


def _bits_within(max_size: int) -> int:
    """The most buckets whose two maps, of a bit each and a little more, take up a quarter of the size."""
    bits = BITS
    while bits > MIN_BITS and 2 * (1 << bits) / 7.5 > max_size / 4:
        bits -= 1
    return bits
