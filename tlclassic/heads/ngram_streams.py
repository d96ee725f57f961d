"""Training :class:`NgramClassifier` on more texts than their n-grams fit in memory, and batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.features.tokens import BATCH_SIZE
from tlclassic.heads.fitting import weighted_outputs
from tlclassic.heads.matrix import as_csr
from tlclassic.heads.ngram_features import Features
from tlclassic.heads.streaming import Streaming
from tlclassic.heads.targets import Targets

if TYPE_CHECKING:
    from tlclassic.heads.ngram_classifier import NgramClassifier

__all__ = [
    "Fitted",
    "check_stream",
    "fit_chunks",
    "l1_share",
    "learn",
    "make_stream",
    "sampled",
    "set_penalty",
    "single_problem",
    "taught",
    "unit_rate",
]

#: Texts that are hashed at a time.
CHUNK = 16 * BATCH_SIZE
#: About how many texts are looked at to tell what the others are like.
SAMPLE = 1000


@dataclass(frozen=True)
class Fitted:
    """Coefficients over the columns of :class:`Features`: ``columns`` int64 (m,) ascending, ``coef`` float64 (K, m)."""

    columns: NDArray[np.int64]
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    n_iter: int


def l1_share(model: NgramClassifier) -> float:
    """The share of L1 in the penalty."""
    return {"l2": 0.0, "l1": 1.0}.get(model.penalty, model.l1_ratio)


def sampled(n: int) -> slice:
    """Which of ``n`` rows tell what the others are like."""
    return slice(None, None, max(1, n // SAMPLE))


def unit_rate(model: NgramClassifier, rows: sp.csr_matrix) -> float:
    """The learning rate for rows like these, so that a step moves logits as it would with rows of length one.

    AdaGrad's steps do not depend on the scale of the features, what they do to the logits does.
    """
    mean_square = float((rows.data.astype(np.float64) ** 2).sum()) / max(1, rows.shape[0])
    return model.learning_rate / (np.sqrt(mean_square) or 1.0)


def make_stream(
    model: NgramClassifier,
    features: Features,
    targets: Targets,
    texts: Sequence[str],
    total_rows: int | None = None,
) -> Streaming:
    """A stream with the parameters of ``model`` for texts like these, over which its penalty is spread."""
    stream = Streaming(
        features.n_columns,
        targets.outputs.shape[1],
        loss=targets.loss,
        learning_rate=unit_rate(model, features.transform(texts[sampled(len(texts))])),
        total_rows=total_rows,
        threads=model.threads,
    )
    set_penalty(model, stream, len(texts))
    return stream


def set_penalty(model: NgramClassifier, stream: Streaming, n_rows: int) -> None:
    """Spread the penalty over ``n_rows``."""
    penalty, l1_ratio = 1.0 / (model.C * max(1, n_rows)), l1_share(model)
    stream.l1, stream.l2 = penalty * l1_ratio, penalty * (1.0 - l1_ratio)


def fit_chunks(
    model: NgramClassifier, features: Features, texts: Sequence[str], targets: Targets, weights: NDArray[np.float64]
) -> Fitted:
    """``epochs`` passes over the texts in random order, hashed anew in each."""
    P, rows = single_problem(targets, weights, model.class_weight)
    features.fit(texts)
    stream = make_stream(model, features, targets, texts, model.epochs * len(texts))
    rng = np.random.default_rng(model.random_state)
    for _ in range(model.epochs):
        order = rng.permutation(len(texts))
        for start in range(0, len(order), CHUNK):
            chosen = order[start : start + CHUNK]
            learn(stream, features, [texts[i] for i in chosen.tolist()], P[chosen], rows[chosen])
    return taught(stream, model.epochs)


def learn(
    stream: Streaming, features: Features, texts: Sequence[str], P: NDArray[np.float64], weights: NDArray[np.float64]
) -> None:
    """One pass over a batch of texts."""
    values, indices, indptr = as_csr(features.transform(texts))
    stream.step(indices, indptr, values.astype(np.float32, copy=False), P, weights)


def taught(stream: Streaming, n_iter: int) -> Fitted:
    """What a stream has come to."""
    coef = stream.coef
    columns = np.flatnonzero(coef.any(axis=0))
    return Fitted(columns, coef[:, columns].astype(np.float64), stream.intercept.astype(np.float64), n_iter)


def single_problem(
    targets: Targets, weights: NDArray[np.float64], class_weight: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Targets of the outputs and the rows' weights.

    Raises
    ------
    InvalidParameterError
        Where a row would weigh more for one label than for another: that is a pass for each label.
    """
    problems = weighted_outputs(targets, weights, class_weight)
    if len(problems) > 1:
        raise InvalidParameterError(
            "class_weight with multilabel=True does not go with streams of texts. Use sample_weight, or "
            "ThresholdClassifier for rare labels."
        )
    return problems[0][0], problems[0][1]


def check_stream(model: NgramClassifier, classes: Any) -> None:
    """Raise for what ``partial_fit`` cannot do."""
    first = not model.__sklearn_is_fitted__()
    if first and classes is None:
        raise InvalidParameterError("the first call of partial_fit needs classes: all labels that will ever come.")
    if not first and classes is not None and list(classes) != model.classes_.tolist():
        raise InvalidParameterError(f"classes must stay {model.classes_.tolist()}; got {list(classes)}.")
    if isinstance(model.class_weight, str):
        raise InvalidParameterError('class_weight="balanced" needs all rows; give partial_fit a dict of weights.')
    if model.nb:
        raise InvalidParameterError("nb=True counts n-grams in all texts; use fit, or nb=False with partial_fit.")
    for name, learns in (("idf=True", model.idf), ("vectors", model.vectors is not None)):
        if first and learns:
            raise InvalidParameterError(
                f"{name} needs a pass over texts before the first call of partial_fit. Call fit on a sample first, or "
                "leave it out."
            )
