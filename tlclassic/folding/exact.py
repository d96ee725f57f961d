"""The source's own outputs in float64: what a compiled classifier is held against.

# Design: features are float32, and what follows multiplies their rounding errors. So word vectors are pooled here
# again in float64, in a way that shares nothing with folding (the sparse matrix of a text's words times their vectors),
# and go through the very steps of the pipeline.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.pipeline import FeatureUnion, Pipeline

from tlclassic.features import EmbeddingVectorizer
from tlclassic.features.components import removal_strengths
from tlclassic.features.convolution import TextConvolution
from tlclassic.folding.linear import Linear
from tlclassic.folding.steps import members, steps_of

__all__ = ["exact_logits", "exact_proba", "exact_transform"]


def exact_logits(linear: Linear, texts: Sequence[str]) -> NDArray[np.float64]:
    """The outputs of ``linear`` before it is folded, float64 of shape (n, n_outputs)."""
    logits = np.tile(linear.intercept, (len(texts), 1))
    for part in linear.parts:
        features: Any = texts
        for _, step in part.steps:
            features = exact_transform(step, features)
        if part.columns is not None:
            features = features[:, part.columns]
        logits += np.asarray(features @ part.coef.T)
    return logits


def exact_proba(model: Any, texts: Sequence[str]) -> NDArray[np.float64]:
    """``model.predict_proba(texts)``, of a pipeline with features in float64."""
    features: Any = list(texts)
    if isinstance(model, Pipeline):
        for _, step in model.steps[:-1]:
            features = exact_transform(step, features)
        model = model.steps[-1][1]
    return np.asarray(model.predict_proba(features), dtype=np.float64)


def exact_transform(step: Any, X: Any) -> Any:
    """``step.transform(X)``, pooling and all that follows in float64."""
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return X
    if isinstance(step, Pipeline):
        for _, inner in steps_of(step, ""):
            X = exact_transform(inner, X)
        return X
    if isinstance(step, FeatureUnion):
        parts = [exact_transform(inner, X) * weight for _, inner, weight in members(step, "")]
        return sp.hstack(parts, format="csr") if any(map(sp.issparse, parts)) else np.hstack(parts)
    if isinstance(step, EmbeddingVectorizer):
        return _pooled(step, X)
    if isinstance(step, TextConvolution):
        return step.exact(X)
    return _widened(step).transform(X).astype(np.float64)


def _widened(step: Any) -> Any:
    """The step with what it learnt in float64: fitted on float32, some add up in float32 whatever they are given."""
    narrow = {name: value for name, value in vars(step).items() if getattr(value, "dtype", None) == np.float32}
    if not narrow or not type(step).__module__.startswith("sklearn."):
        return step
    wide = copy.copy(step)
    vars(wide).update({name: value.astype(np.float64) for name, value in narrow.items()})
    if "explained_variance_" in narrow:
        # The least deviation that whitening divides by is that of the type it was fitted in.
        wide.explained_variance_ = np.maximum(wide.explained_variance_, np.finfo(np.float32).eps ** 2)
    return wide


def _pooled(source: EmbeddingVectorizer, texts: Sequence[str]) -> NDArray[np.float64]:
    tokens = source._look_up(texts)
    rows, n_words = tokens.rows, len(source.vectors_)
    # An unknown word takes one row past the end: the mean vector, or zeros.
    rows = np.where(rows < 0, n_words, rows)
    used, places = np.unique(np.append(rows, n_words), return_inverse=True)
    vectors = np.zeros((len(used), source.vectors_.dim))
    vectors[:-1] = source.vectors_.take(used[:-1])
    if source.unknown_ == "mean":
        vectors[-1] = source.vectors_.mean
    counts = sp.csr_array((np.ones(len(rows)), places[:-1], tokens.indptr), shape=(len(texts), len(used)))
    return np.hstack([_block(source, block, counts, vectors, used) for block in source._blocks])


def _block(
    source: EmbeddingVectorizer, block: Any, counts: Any, vectors: NDArray[np.float64], used: NDArray[Any]
) -> NDArray[np.float64]:
    counts_unknown = 0.0 if source.unknown_ == "ignore" else 1.0
    weights, present = np.ones(len(used)), np.ones(len(used))
    if block.weighting:
        weights[:-1] = source.weights_[block.name][used[:-1]]
        weights[-1] = source.unknown_weights_[block.name]
    present[-1] = counts_unknown
    denominator = counts @ (present * weights if block.weighting == "tfidf" else present)
    sums = counts @ (vectors * weights[:, None])
    pooled = np.divide(sums, denominator[:, None], out=np.zeros_like(sums), where=denominator[:, None] != 0)
    if block.removal:
        components = source.components_[block.name]
        strengths = removal_strengths(source.singular_values_[block.name], block.removal)
        pooled = pooled - ((pooled @ components.T) * strengths) @ components
    return np.asarray(pooled)
