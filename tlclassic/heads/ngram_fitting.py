"""How :class:`NgramClassifier` is fitted: its parameters checked, a solver chosen, coefficients found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.fitting import fit_targets
from tlclassic.heads.ngram_features import Features, nb_scales
from tlclassic.heads.ngram_streams import Fitted, fit_chunks, l1_share, sampled, unit_rate
from tlclassic.heads.targets import Targets

if TYPE_CHECKING:
    from tlclassic.heads.ngram_classifier import NgramClassifier

__all__ = ["check_parameters", "fit_texts"]

SOLVERS = ("auto", "newton", "adagrad")
#: Up to how many entries times outputs "auto" solves to convergence: some ten seconds' worth.
NEWTON_LIMIT = 40_000_000
#: Entries that are kept in memory, at eight bytes each; beyond that texts are hashed again in each epoch.
MEMORY_LIMIT = 100_000_000


def check_parameters(model: NgramClassifier) -> None:
    """Raise InvalidParameterError for a parameter outside its domain; those of the features check themselves."""
    check_choice("nb", model.nb, (True, False))
    check_choice("multilabel", model.multilabel, (True, False))
    check_choice("penalty", model.penalty, ("l2", "l1", "elasticnet"))
    check_choice("solver", model.solver, SOLVERS)
    check_number("nb_alpha", model.nb_alpha, low=1e-12)
    check_number("nb_floor", model.nb_floor, low=0.0)
    check_number("C", model.C, low=1e-300)
    check_number("l1_ratio", model.l1_ratio, low=0.0, high=1.0)
    check_number("vectors_weight", model.vectors_weight, low=1e-12)
    check_number("learning_rate", model.learning_rate, low=1e-12)
    check_number("tol", model.tol, low=0.0)
    for name in ("epochs", "max_iter", "threads"):
        check_integer(name, getattr(model, name), low=1)
    check_integer("random_state", model.random_state, low=0)


def fit_texts(
    model: NgramClassifier, features: Features, texts: Sequence[str], targets: Targets, weights: NDArray[np.float64]
) -> Fitted:
    """Fit ``features`` and the coefficients over them, with the parameters of ``model``."""
    n_outputs = targets.outputs.shape[1]
    if model.nb and model.solver == "adagrad" and n_outputs > 1:
        raise InvalidParameterError('nb=True with more than two classes needs solver="newton" (or "auto").')
    entries = _expected_entries(features, texts)
    solver = model.solver
    if solver == "auto":
        solver = "newton" if model.nb or entries * n_outputs <= NEWTON_LIMIT else "adagrad"
    if solver == "adagrad" and entries > MEMORY_LIMIT and not model.nb:
        return fit_chunks(model, features, texts, targets, weights)
    return _fit_rows(model, features, texts, targets, weights, solver)


def _expected_entries(features: Features, texts: Sequence[str]) -> int:
    """About how many entries the rows of ``texts`` have, from a sample of them."""
    sample = texts[sampled(len(texts))]
    return int(features.count_entries(sample) * len(texts) / len(sample))


def _fit_rows(
    model: NgramClassifier,
    features: Features,
    texts: Sequence[str],
    targets: Targets,
    weights: NDArray[np.float64],
    solver: str,
) -> Fitted:
    """With all rows in memory."""
    X = features.fit_transform(texts)
    columns, scale = np.arange(0), None
    if model.nb:
        # Ratios of a million columns for each class would not fit; those that occur do.
        columns = np.unique(X.indices).astype(np.int64)
        place = np.searchsorted(columns, X.indices).astype(np.int32)
        X = sp.csr_matrix((X.data, place, X.indptr), shape=(X.shape[0], len(columns)))
        scale = nb_scales(X, targets.outputs, weights, model.nb_alpha, model.nb_floor)
        scale[:, columns >= features.ngrams.n_features_out_] = 1.0
        scale = scale[0] if len(scale) == 1 else scale
    solution = fit_targets(
        X,
        targets,
        sample_weight=weights,
        class_weight=model.class_weight,
        solver=solver,
        C=model.C,
        l1_ratio=l1_share(model),
        scale=scale,
        tol=model.tol,
        max_iter=model.max_iter,
        epochs=model.epochs,
        learning_rate=unit_rate(model, X[sampled(len(texts))]) if solver == "adagrad" else model.learning_rate,
        threads=model.threads,
        random_state=model.random_state,
    )
    found = columns[solution.columns] if model.nb else solution.columns
    kept = solution.weights.any(axis=0)
    return Fitted(found[kept], solution.weights[:, kept], solution.intercept, solution.n_iter)
