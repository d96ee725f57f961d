"""How far a compiled classifier is from its source: the parity check, and the lines of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import TlclassicError
from tlclassic.evaluation import evaluate_predictions
from tlclassic.folding.exact import exact_logits, exact_proba
from tlclassic.folding.linear import Linear
from tlclassic.runtime.links import probabilities

__all__ = ["Dev", "ParityError", "check_parity", "logit_error"]

#: Largest error of a logit, as a share of the logits' scale.
LOGIT_TOLERANCE = 1e-5
#: Logits below this say nothing: they are what is left of sums that cancel out.
SMALLEST_LOGIT = 1e-12
#: Largest error of the probabilities of most texts.
PROBABILITY_TOLERANCE = 1e-3
#: Texts that are scored at a time.
_BATCH = 1024


class ParityError(TlclassicError):
    """A compiled classifier differs from its source: a fault of tlclassic, or noise that a step of it divides by."""


def check_parity(model: Any, linear: Linear, compiled: Any, texts: Sequence[str], largest: float) -> float:
    """Hold a classifier of float32 weights against its source; the largest error of a logit.

    Weights far larger than the logits cancel out, as after a step that divides by next to no variance: then the
    rounding of the ``largest`` weight to float32 is allowed for.

    Raises
    ------
    ParityError
        When logits differ by more than 1e-5 of their scale from the source's in float64, or the probabilities of
        most texts by more than 1e-3.
    """
    expected, got = exact_logits(linear, texts), _two_dimensional(compiled.decision_function(texts))
    error = float(np.abs(expected - got).max(initial=0.0))
    scale = float(max(np.abs(expected).max(initial=0.0), np.abs(got).max(initial=0.0), np.finfo(np.float32).tiny))
    if not error <= LOGIT_TOLERANCE * scale + 4 * float(np.finfo(np.float32).eps) * largest + SMALLEST_LOGIT:
        worst = texts[int(np.abs(expected - got).max(axis=1).argmax())]
        raise ParityError(
            f"the compiled classifier differs from its source by {error:g} (logits up to {scale:g}), most for the text "
            f"{worst[:80]!r}. Where a step divides by next to nothing (a scale below 1e-4), noise is in both: leave "
            "such columns out. Else this is a fault of tlclassic: please report it with the steps of the pipeline."
        )
    _check_probabilities(model, linear, expected, texts)
    return error


def _check_probabilities(model: Any, linear: Linear, logits: NDArray[np.float64], texts: Sequence[str]) -> None:
    """That the link makes of the logits what the source makes of the texts: heads and calibration are at stake."""
    if linear.link == "none" or not hasattr(model, "predict_proba"):
        return
    got = probabilities(logits, linear.link, multilabel=linear.multilabel)
    # Of most texts: where features are float32, an ill-conditioned step can move some far.
    error = float(np.median(np.abs(exact_proba(model, texts) - got).max(axis=1)))
    if not error <= PROBABILITY_TOLERANCE:
        raise ParityError(
            f"the compiled classifier's probabilities differ from its source's by {error:g}. This is a fault of "
            "tlclassic: please report it with the classifier's parameters."
        )


def logit_error(linear: Linear, expected: NDArray[np.float64], got: NDArray[np.float64]) -> float:
    """The largest difference; under a softmax, of what is left when each text's mean over the classes is taken off."""
    difference = expected - got
    if linear.link == "softmax":
        difference = difference - difference.mean(axis=1, keepdims=True)
    return float(np.abs(difference).max(initial=0.0))


def _two_dimensional(logits: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(logits, dtype=np.float64).reshape(len(logits), -1)


@dataclass(frozen=True, eq=False)
class Dev:
    """Texts to report on, and what the source says of them.

    Attributes
    ----------
    texts : sequence of str of length n
    logits : float64 array of shape (n, n_outputs)
    predictions : array of shape (n,), or (n, n_labels) of 0 and 1
    labels : sequence of length n, or None
        The truth: a class each; for multi-label a list of classes each, or an indicator matrix.
    """

    linear: Linear
    texts: Sequence[str]
    logits: NDArray[np.float64]
    predictions: NDArray[Any]
    labels: Sequence[Any] | None

    @classmethod
    def of(cls, model: Any, linear: Linear, texts: Sequence[str], labels: Any) -> Dev:
        """Apply ``model`` to ``texts``, in batches."""
        batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
        logits = np.concatenate([exact_logits(linear, batch) for batch in batches])
        predictions = np.concatenate([np.asarray(model.predict(list(batch))) for batch in batches])
        return cls(linear, texts, logits, predictions, labels)

    def source_scores(self) -> dict[str, Any]:
        """Accuracy and macro-F1 of the source, where there are labels."""
        return self._scores(self.predictions)

    def scores(self, compiled: Any) -> dict[str, Any]:
        """Largest error of a logit, agreement with the source, accuracy and macro-F1."""
        got = _two_dimensional(compiled.decision_function(self.texts))
        predictions = compiled.predict(self.texts)
        same = predictions == self.predictions
        agreement = float((same.all(axis=1) if same.ndim == 2 else same).mean())
        error = logit_error(self.linear, self.logits, got)
        return {"max_logit_error": error, "agreement": agreement, **self._scores(predictions)}

    def _scores(self, predictions: NDArray[Any]) -> dict[str, Any]:
        if self.labels is None:
            return {}
        classes = self.linear.classes.tolist()
        truth, predicted = self._names(self.labels), self._names(predictions)
        evaluation = evaluate_predictions(truth, predicted, None, classes)
        return {"accuracy": evaluation.accuracy, "macro_f1": evaluation.macro_f1}

    def _names(self, labels: Any) -> list[Any]:
        if self.linear.multilabel and isinstance(labels, np.ndarray) and labels.ndim == 2:
            classes = self.linear.classes.tolist()
            return [[classes[i] for i in np.flatnonzero(row).tolist()] for row in labels]
        return list(labels.tolist()) if isinstance(labels, np.ndarray) else list(labels)
