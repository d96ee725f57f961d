"""Steps between arrays, each an affine map walked backwards.

# Design: with ``y = A x + a`` a step and ``W y`` what follows it, ``W y = (W A) x + W a``. So every step is one
# function from W to ``(W A, W a)``, in float64; nothing is approximated. A step is looked up by its very class, as a
# subclass may do something else in ``transform``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import sklearn.decomposition as decomposition
import sklearn.preprocessing as preprocessing
from numpy.typing import NDArray
from sklearn.base import OneToOneFeatureMixin
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from tlclassic.features import CommonComponentRemoval
from tlclassic.folding.refusal import refusal

__all__ = ["check_step", "fold_step", "members", "steps_of", "width"]

Matrix = NDArray[np.float64]
Folded = tuple[Matrix, Matrix]

_WHY_NOT = {
    "Normalizer": (
        "dividing each row by its norm is not linear",
        "Leave it out, or scale columns (StandardScaler); n-grams can be scaled by NgramVectorizer(norm=...)",
    ),
    "FunctionTransformer": ("it runs a Python function", "Leave it out"),
    "ColumnTransformer": ("it chooses columns of a table", "Use FeatureUnion, whose parts all read the same texts"),
    "PolynomialFeatures": ("products of features are not linear", "Leave it out"),
    "QuantileTransformer": ("quantiles are not linear", "Use StandardScaler"),
    "PowerTransformer": ("a power is not linear", "Use StandardScaler"),
    "KBinsDiscretizer": ("bins are not linear", "Leave it out"),
}
_OTHERWISE = (
    "no rule is known for it",
    "What folds: scalers, PCA, TruncatedSVD, CommonComponentRemoval, random projections, column selection, unions",
)


def steps_of(pipeline: Pipeline, place: str) -> list[tuple[str, Any]]:
    """The steps that do something, each with its dotted name."""
    return [(_join(place, name), step) for name, step in pipeline.steps if not _is_identity(step)]


def members(union: FeatureUnion, place: str) -> Iterator[tuple[str, Any, float]]:
    """The transformers of a union that are not dropped: dotted name, transformer, weight."""
    weights = union.transformer_weights or {}
    for name, step in union.transformer_list:
        if not (isinstance(step, str) and step == "drop"):
            yield _join(place, name), step, float(weights.get(name, 1.0))


def width(step: Any, n_in: int) -> int:
    """How many columns ``step`` makes of ``n_in``; what reads texts pays no heed to ``n_in``."""
    if _is_identity(step):
        return n_in
    if isinstance(step, Pipeline):
        for _, inner in step.steps:
            n_in = width(inner, n_in)
        return n_in
    if isinstance(step, FeatureUnion):
        return sum(width(inner, n_in) for _, inner, _ in members(step, ""))
    if isinstance(step, SelectorMixin):
        return int(step.get_support().sum())
    if isinstance(step, OneToOneFeatureMixin):
        return int(step.n_features_in_)
    for name in ("n_features_out_", "_n_features_out"):
        if hasattr(step, name):
            return int(getattr(step, name))
    return len(step.get_feature_names_out())


def check_step(place: str, step: Any) -> None:
    """Refuse, by name, a step that does not fold.

    Raises
    ------
    InvalidParameterError
    """
    if _is_identity(step) or isinstance(step, SelectorMixin):
        return
    if isinstance(step, Pipeline):
        for name, inner in steps_of(step, place):
            check_step(name, inner)
    elif isinstance(step, FeatureUnion):
        for name, inner, _ in members(step, place):
            check_step(name, inner)
    elif type(step) not in _RULES:
        raise refusal(place, step, *_WHY_NOT.get(type(step).__name__, _OTHERWISE))


def fold_step(place: str, step: Any, coef: Matrix, n_in: int) -> Folded:
    """``(coef on the step's inputs, constant)`` from ``coef`` on its outputs.

    Parameters
    ----------
    place : str
        The step's dotted name, for errors.
    step : fitted transformer
    coef : float64 array of shape (n_outputs, columns of the step)
    n_in : int
        Columns that the step reads.

    Returns
    -------
    coef : float64 array of shape (n_outputs, n_in)
    constant : float64 array of shape (n_outputs,)

    Raises
    ------
    InvalidParameterError
        When the step is not affine; names it.
    """
    if _is_identity(step):
        return coef, np.zeros(len(coef))
    if isinstance(step, Pipeline):
        return _fold_pipeline(place, step, coef, n_in)
    if isinstance(step, FeatureUnion):
        return _fold_union(place, step, coef, n_in)
    if isinstance(step, SelectorMixin):
        return _fold_selection(step, coef, n_in)
    check_step(place, step)
    return _RULES[type(step)](place, step, coef)


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _is_identity(step: Any) -> bool:
    if isinstance(step, preprocessing.FunctionTransformer):
        # What a fitted union has in the place of "passthrough".
        return step.func is None
    return step is None or (isinstance(step, str) and step == "passthrough")


def _fold_pipeline(place: str, pipeline: Pipeline, coef: Matrix, n_in: int) -> Folded:
    steps = steps_of(pipeline, place)
    widths = [n_in]
    for _, step in steps:
        widths.append(width(step, widths[-1]))
    total = np.zeros(len(coef))
    for (name, step), before in zip(reversed(steps), reversed(widths[:-1]), strict=True):
        coef, constant = fold_step(name, step, coef, before)
        total += constant
    return coef, total


def _fold_union(place: str, union: FeatureUnion, coef: Matrix, n_in: int) -> Folded:
    folded, total, start = np.zeros((len(coef), n_in)), np.zeros(len(coef)), 0
    for name, step, weight in members(union, place):
        end = start + width(step, n_in)
        part, constant = fold_step(name, step, coef[:, start:end] * weight, n_in)
        folded, total, start = folded + part, total + constant, end
    return folded, total


def _fold_selection(step: Any, coef: Matrix, n_in: int) -> Folded:
    folded = np.zeros((len(coef), n_in))
    folded[:, step.get_support()] = coef
    return folded, np.zeros(len(coef))


def _scaled(coef: Matrix, scale: Any, centre: Any) -> Folded:
    """Of ``(x - centre) / scale``; either may be None."""
    folded = coef if scale is None else coef / np.asarray(scale, dtype=np.float64)
    return folded, np.zeros(len(coef)) if centre is None else -(folded @ np.asarray(centre, dtype=np.float64))


def _standard_scaler(place: str, step: Any, coef: Matrix) -> Folded:
    return _scaled(coef, step.scale_ if step.with_std else None, step.mean_ if step.with_mean else None)


def _robust_scaler(place: str, step: Any, coef: Matrix) -> Folded:
    return _scaled(coef, step.scale_ if step.with_scaling else None, step.center_ if step.with_centering else None)


def _check_unclipped(place: str, step: Any) -> None:
    if getattr(step, "clip", False):
        raise refusal(place, step, "clip=True bounds the values, which is not linear", "Fit it with clip=False")


def _max_abs_scaler(place: str, step: Any, coef: Matrix) -> Folded:
    _check_unclipped(place, step)
    return _scaled(coef, step.scale_, None)


def _min_max_scaler(place: str, step: Any, coef: Matrix) -> Folded:
    _check_unclipped(place, step)
    return coef * step.scale_, coef @ step.min_


def _pca(place: str, step: Any, coef: Matrix) -> Folded:
    if step.whiten:
        # As scikit-learn does: a component without variance is not divided by zero.
        coef = coef / np.maximum(np.sqrt(step.explained_variance_, dtype=np.float64), _least(step))
    folded = coef @ step.components_.astype(np.float64)
    return folded, -(folded @ step.mean_)


def _least(step: Any) -> float:
    return float(np.finfo(step.explained_variance_.dtype).eps)


def _projection(place: str, step: Any, coef: Matrix) -> Folded:
    # The components of a random projection may be sparse, and `@` from the right works for both.
    return np.ascontiguousarray((step.components_.T @ coef.T).T, dtype=np.float64), np.zeros(len(coef))


def _component_removal(place: str, step: Any, coef: Matrix) -> Folded:
    return remove_components(coef, step.components_, step.strengths_), np.zeros(len(coef))


def remove_components(coef: Matrix, components: Matrix, strengths: Matrix) -> Matrix:
    """``coef`` on rows from which components (k, d) are still to be removed, each by its strength."""
    return coef - ((coef @ components.T) * strengths) @ components


def _tfidf(place: str, step: Any, coef: Matrix) -> Folded:
    remedy = "Use NgramVectorizer(idf=True, norm='l2'), which is compiled"
    if step.norm is not None:
        raise refusal(place, step, f"norm={step.norm!r} divides each row by its norm, which is not linear", remedy)
    if step.sublinear_tf:
        raise refusal(place, step, "sublinear_tf=True takes logarithms, which is not linear", remedy)
    return (coef * step.idf_ if step.use_idf else coef), np.zeros(len(coef))


_RULES: dict[type, Callable[[str, Any, Matrix], Folded]] = {
    preprocessing.StandardScaler: _standard_scaler,
    preprocessing.RobustScaler: _robust_scaler,
    preprocessing.MaxAbsScaler: _max_abs_scaler,
    preprocessing.MinMaxScaler: _min_max_scaler,
    decomposition.PCA: _pca,
    decomposition.IncrementalPCA: _pca,
    decomposition.TruncatedSVD: _projection,
    GaussianRandomProjection: _projection,
    SparseRandomProjection: _projection,
    CommonComponentRemoval: _component_removal,
    TfidfTransformer: _tfidf,
}
