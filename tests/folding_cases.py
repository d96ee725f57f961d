"""What the tests of folding share: small models, and word vectors pooled again in plain Python."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from tlclassic import EmbeddingVectorizer, Tokenizer, WordVectors

WORDS = [
    "the", "a", "good", "bad", "film", "plot", "n't", "do", "!", "Paris", "straße", "naïve", "東", "x1", "very", "not",
    "great", "dull", "e-mail", "u.s.",
]  # fmt: skip


def make_vectors(seed: int = 0, dim: int = 5, dtype: str = "float32", words: Any = WORDS) -> WordVectors:
    table = np.random.default_rng(seed).normal(size=(len(words), dim)).astype(np.float32)
    vectors = WordVectors.from_arrays(list(words), table)
    return vectors if dtype == "float32" else vectors.quantize(dtype)


def make_texts(n: int = 60, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    choice = [*WORDS, "unknown", "Film", "GOOD", "don't", "42"]
    return ["", "nothing known here", *(" ".join(random.choice(choice, random.integers(1, 12))) for _ in range(n - 2))]


def make_labels(n: int = 60, n_classes: int = 3) -> np.ndarray:
    return np.array(["red", "green", "blue", "black"])[np.arange(n) % n_classes]


def fitted(*steps: Any, n_classes: int = 3) -> Pipeline:
    """A pipeline of ``steps``, the last a classifier, fitted on the texts and labels above."""
    return make_pipeline(*steps).fit(make_texts(), make_labels(n_classes=n_classes))


def with_step(*steps: Any, n_classes: int = 3) -> Pipeline:
    """Pooled vectors, ``steps`` and a logistic regression."""
    return fitted(EmbeddingVectorizer(make_vectors()), *steps, LogisticRegression(C=10.0), n_classes=n_classes)


def pooled(source: EmbeddingVectorizer, text: str) -> np.ndarray:
    """What ``source`` makes of one text, in float64 and plain Python; poolings that are sums only."""
    vectors, tokenizer = source.vectors_, source.tokenizer_
    assert isinstance(tokenizer, Tokenizer)
    rows = []
    for token in tokenizer.tokenize(text):
        found = vectors.index.find(token.encode())
        if found < 0 and source.lower_fallback and tokenizer.case == "keep":
            found = vectors.index.find(token.lower().encode())
        rows.append(found)
    return np.concatenate([_pooled_block(source, block, rows) for block in source._blocks])


def _pooled_block(source: EmbeddingVectorizer, block: Any, rows: list[int]) -> np.ndarray:
    total, count, weight_sum = np.zeros(source.vectors_.dim), 0, 0.0
    for row in rows:
        if row < 0 and source.unknown_ == "ignore":
            continue
        weight = 1.0
        if block.weighting:
            weight = source.weights_[block.name][row] if row >= 0 else source.unknown_weights_[block.name]
        count, weight_sum = count + 1, weight_sum + float(weight)
        if row >= 0:
            total += float(weight) * source.vectors_.take([row])[0].astype(np.float64)
        elif source.unknown_ == "mean":
            total += float(weight) * source.vectors_.mean.astype(np.float64)
    divisor = weight_sum if block.weighting == "tfidf" else count
    result = total / divisor if divisor else total
    if block.removal:
        components = source.components_[block.name]
        result = result - components.T @ (components @ result)
    return result


def features(step: Any, texts: list[str]) -> Any:
    """``step.transform(texts)`` with word vectors pooled in float64."""
    if isinstance(step, EmbeddingVectorizer):
        return np.array([pooled(step, text) for text in texts])
    if isinstance(step, FeatureUnion):
        weights = step.transformer_weights or {}
        kept = [(name, inner) for name, inner in step.transformer_list if not isinstance(inner, str) or inner != "drop"]
        return np.hstack([features(inner, texts) * weights.get(name, 1.0) for name, inner in kept])
    if isinstance(step, Pipeline):
        result = texts
        for _, inner in step.steps:
            result = features(inner, result)
        return result
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return texts
    return in_float64(step).transform(texts)


def in_float64(step: Any) -> Any:
    """A copy of a step of scikit-learn, its float32 parameters in float64: it would round sums to float32."""
    wide = copy.deepcopy(step)
    for name, value in vars(wide).items():
        if isinstance(value, np.ndarray) and value.dtype == np.float32:
            setattr(wide, name, value.astype(np.float64))
    if hasattr(wide, "explained_variance_"):
        # Whitening in float32 divides by no less than its epsilon.
        wide.explained_variance_ = np.maximum(wide.explained_variance_, np.finfo(np.float32).eps ** 2)
    return wide


def decision(model: Pipeline, texts: list[str]) -> np.ndarray:
    """The decision function of ``model``, its features in float64."""
    return model[-1].decision_function(features(model[:-1], texts))


def assert_same_decisions(compiled: Any, model: Pipeline, texts: list[str] | None = None) -> None:
    """Within 1e-5 of the logits' scale of the source in float64; the same labels as the source itself."""
    texts = make_texts(seed=7) if texts is None else texts
    expected = decision(model, texts)
    got = compiled.decision_function(texts)
    assert got.dtype == np.float64
    assert got.shape == expected.shape
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    # Two classes are a tie where nothing is known: float32 and float64 may break it differently.
    ranked = np.sort(expected.reshape(len(texts), -1), axis=1)
    clear = np.abs(ranked[:, -1] - (ranked[:, -2] if ranked.shape[1] > 1 else 0)) > 1e-4
    np.testing.assert_array_equal(compiled.predict(texts)[clear], model.predict(texts)[clear])
