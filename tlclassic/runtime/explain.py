"""Why a classifier decided as it did: what each n-gram and each word of a text adds to a logit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import load
from tlclassic.runtime.format import ZERO
from tlclassic.runtime.inputs import as_texts

if TYPE_CHECKING:
    from tlclassic.runtime.classifier import CompiledClassifier

__all__ = ["Contribution", "Explanation", "explain"]

_SHOWN = 20


class Contribution(NamedTuple):
    """What one n-gram or word adds to the logit.

    Attributes
    ----------
    text : str
        As it stands in the original text; several words with what lies between them.
    family : {"word", "char", "vectors", "convolution"}
    start, end : int
        Its characters: ``original[start:end]``.
    weight : float
    """

    text: str
    family: str
    start: int
    end: int
    weight: float


class Explanation(NamedTuple):
    """The parts of a logit: ``bias`` and the weights of ``contributions`` sum to ``logit``, up to rounding.

    Attributes
    ----------
    label : a class
    logit : float
    probability : float or None
        None where the classifier has no probabilities.
    bias : float
        With what is no word's: the biases of the filters of a convolution that are above zero.
    contributions : list of Contribution
        In the order of the text, family by family; those without a weight are there too.
    """

    label: Any
    logit: float
    probability: float | None
    bias: float
    contributions: list[Contribution]

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON-able dicts and lists."""
        return {**self._asdict(), "contributions": [part._asdict() for part in self.contributions]}

    def __str__(self) -> str:
        ranked = sorted(self.contributions, key=lambda part: -abs(part.weight))
        chance = "" if self.probability is None else f", probability {self.probability:.3f}"
        lines = [f"{self.label}: logit {self.logit:.4f}{chance}", f"{self.bias:+10.4f}  (bias)"]
        lines += [f"{p.weight:+10.4f}  {p.text!r} [{p.start}:{p.end}] {p.family}" for p in ranked[:_SHOWN]]
        rest = ranked[_SHOWN:]
        if rest:
            lines.append(f"{math.fsum(part.weight for part in rest):+10.4f}  ({len(rest)} more)")
        return "\n".join(lines)


def explain(model: CompiledClassifier, text: str | bytes, label: Any) -> Explanation:
    """See :meth:`tlclassic.CompiledClassifier.explain`."""
    if not isinstance(text, (str, bytes)):
        raise InvalidParameterError(f"text must be a string; got {text!r:.80} of type {type(text).__name__}.")
    string: str = as_texts([text]).strings(0, 1)[0]
    logits = model.decision_function([text]).reshape(1, -1)
    number = _number(model, label, logits)
    # One logit for two classes speaks for the second and, negated, for the first.
    single = logits.shape[1] == 1 and not model.multilabel
    output, sign = (0, 1.0 if number else -1.0) if single else (number, 1.0)
    parts: list[Contribution] = []
    bias = sign * float(model._arrays["bias"][output])
    for place, family in enumerate(model._families):
        if family is None:
            of_words = model._words[place]
            rest, found = of_words.spans(string, output)
            parts += [
                Contribution(word, of_words.name, start, end, sign * weight) for word, start, end, weight in found
            ]
            bias += sign * rest
        else:
            parts += _of_ngrams(string, family, output, logits.shape[1], sign)
    probability = None
    if model.has_probabilities:
        probability = float(model._probabilities(logits)[0, number])
    return Explanation(model.classes_[number].item(), sign * float(logits[0, output]), probability, bias, parts)


def _number(model: CompiledClassifier, label: Any, logits: Any) -> int:
    if label is None:
        return int(logits.argmax()) if model.multilabel else int(load("score").best(logits)[0])
    for number, name in enumerate(model.classes_.tolist()):
        if name == label:
            return number
    shown = ", ".join(map(repr, model.classes_.tolist()[:10]))
    raise InvalidParameterError(f"label must be one of the classes ({shown}); got {label!r}.")


def _of_ngrams(text: str, family: dict[str, Any], output: int, k: int, sign: float) -> list[Contribution]:
    if family["columns"] is not None:
        first, stop = family["columns"]
        if not first <= output < stop:
            return []
        output, k = output - first, stop - first
    lengths = (family["lo"], family["hi"])
    words, chars = ((0, 0), lengths) if family["unit"] else (lengths, (0, 0))
    options = {name: family[name] for name in ("bits", "fold", "keep_punctuation")}
    spans = load("ngrams").Ngrams(words=words, chars=chars, **options).spans(text)
    if not spans:
        return []
    buckets = np.array([span[1] for span in spans], dtype=np.int64)
    distinct, inverse, counts = np.unique(buckets, return_inverse=True, return_counts=True)
    rows = _rows(family, distinct)
    weights = _weights(family, rows, output, k)
    tf = {0: counts, 1: np.ones(len(counts)), 2: 1.0 + np.log(counts)}[family["counts"]]
    squares = 0.0
    if family["norm"] == 3:
        idf = np.ones(len(rows))
        if family["idf"] is not None:
            idf = np.where(rows >= 0, family["idf"][np.maximum(rows, 0)] if len(family["idf"]) else 0.0, 0.0)
            idf = np.where(rows >= 0, idf, family["idf_default"])
        squares = float(((tf * idf) ** 2).sum())
    divisor = (1.0, float(len(spans)), math.sqrt(len(spans)), math.sqrt(squares))[family["norm"]]
    # An n-gram that occurs several times shares its weight among its places.
    shares = (weights * tf / counts / (divisor if divisor > 0 else 1.0))[inverse]
    name = "char" if family["unit"] else "word"
    return [
        Contribution(text[start:end], name, start, end, sign * share)
        for (_, _, start, end), share in zip(spans, shares.tolist(), strict=True)
    ]


def _rows(family: dict[str, Any], buckets: Any) -> Any:
    """The rows of buckets, -1 without one."""
    if family["bitmap"] is None:
        return buckets
    words = family["bitmap"][buckets >> 6]
    bits = (buckets & 63).astype(np.uint64)
    below = words & ((np.uint64(1) << bits) - np.uint64(1))
    rows = family["ranks"][buckets >> 6].astype(np.int64)
    rows += np.array([int(word).bit_count() for word in below], dtype=np.int64)
    return np.where((words >> bits & np.uint64(1)).astype(bool), rows, -1)


def _weights(family: dict[str, Any], rows: Any, output: int, k: int) -> Any:
    weights = np.zeros(len(rows))
    known = rows >= 0
    values = family["table"][rows[known] * k + output].astype(np.float64)
    weights[known] = values if family["scales"] is None else (values - ZERO) * float(family["scales"][output])
    return weights
