"""scikit-learn's checks on the array transformer, and the same checks for texts on every pooling."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from tlclassic import EmbeddingVectorizer, Tokenizer, WordVectors
from tlclassic.features import CommonComponentRemoval

# By path: the tests are no package, and pytest does not put their folder on the import path.
CHECKS = runpy.run_path(str(Path(__file__).with_name("text_estimator_checks.py")))["CHECKS"]
TEXTS = [
    "A good film, a very good film!",
    "not good",
    "",
    "Bad film. Really?",
    "zzzzz qqqqq",
    "the the the the the the the the the the the the the the the the the the a good",
    "I don't know, it's a film",
    "naïve café 😀",
]
WORDS = ["the", "a", "good", "film", "bad", "not", "n't", "do", "it", "'s", "!", "?", "know", "really", "i", "café"]


def _vectors(dtype="float32"):
    table = np.random.default_rng(7).standard_normal((len(WORDS), 6)).astype(np.float32)
    vectors = WordVectors.from_arrays(WORDS, table, counts=np.arange(len(WORDS), 0, -1))
    return vectors if dtype == "float32" else vectors.quantize(dtype)


VECTORS = _vectors()
ESTIMATORS = {
    "mean": EmbeddingVectorizer(VECTORS),
    "max": EmbeddingVectorizer(VECTORS, pooling="max"),
    "min, unknown words are zero": EmbeddingVectorizer(VECTORS, pooling="min", unknown="zero"),
    "tfidf": EmbeddingVectorizer(VECTORS, pooling="tfidf"),
    "tfidf, unknown words are zero": EmbeddingVectorizer(VECTORS, pooling="tfidf", unknown="zero"),
    "sif": EmbeddingVectorizer(VECTORS, pooling="sif"),
    "sif, two components by rank": EmbeddingVectorizer(VECTORS, pooling="sif", n_components=2, counts="rank", a=0.01),
    "sif, counts as a dict": EmbeddingVectorizer(VECTORS, pooling="sif", counts={"the": 10, "Good": 2.5, "x y": 1}),
    "usif": EmbeddingVectorizer(VECTORS, pooling="usif", unknown="mean"),
    "usif, counts of the vectors": EmbeddingVectorizer(VECTORS, pooling="usif", counts="vectors", n_components=3),
    "power": EmbeddingVectorizer(VECTORS, pooling="power"),
    "some powers": EmbeddingVectorizer(VECTORS, pooling="power", powers=[4, 5.0]),
    "everything": EmbeddingVectorizer(
        VECTORS,
        pooling=("mean", "max", "min", "tfidf", "sif", "usif", "power"),
        tokenizer=Tokenizer(case="keep", punctuation="keep"),
        unknown="mean",
        normalize=True,
    ),
    "float16": EmbeddingVectorizer(_vectors("float16"), pooling=["mean", "sif"]),
    "int8": EmbeddingVectorizer(_vectors("int8"), pooling=["mean", "usif"]),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_text_estimator(name, check):
    check(ESTIMATORS[name], TEXTS)


@parametrize_with_checks(
    [CommonComponentRemoval(), CommonComponentRemoval(n_components=3, weighting="usif"), CommonComponentRemoval(0)]
)
def test_array_estimator(estimator, check):
    check(estimator)


def test_clone_shares_the_vectors():
    assert clone(ESTIMATORS["mean"]).vectors is VECTORS


def test_component_removal_by_hand():
    X = np.array([[3.0, 1.0], [3.0, -1.0], [0.0, 0.0]])
    np.testing.assert_allclose(CommonComponentRemoval().fit_transform(X), [[0, 1], [0, -1], [0, 0]], atol=1e-15)
    half = CommonComponentRemoval(2, weighting="usif").fit(X)
    # Squared singular values 18 and 2: nine tenths of the first column and one tenth of the second go.
    np.testing.assert_allclose(half.transform(X), [[0.3, 0.9], [0.3, -0.9], [0, 0]], atol=1e-15)
    np.testing.assert_allclose(half.strengths_, [0.9, 0.1])


def test_component_removal_leaves_out_what_the_rows_do_not_determine():
    rank_one = CommonComponentRemoval(n_components=3).fit(np.outer([1.0, 2.0], [3.0, 4.0, 0.0]))
    np.testing.assert_allclose(rank_one.components_, [[0.6, 0.8, 0.0]])
    nothing = CommonComponentRemoval(n_components=3).fit(np.zeros((2, 3)))
    assert nothing.components_.shape == (0, 3)
    np.testing.assert_array_equal(nothing.transform(np.ones((1, 3))), np.ones((1, 3)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_component_removal_keeps_the_dtype_and_the_input(dtype):
    X = np.random.default_rng(0).standard_normal((20, 5)).astype(dtype)
    before = X.copy()
    removal = CommonComponentRemoval(2).fit(X)
    result = removal.transform(X)
    assert result.dtype == dtype
    np.testing.assert_array_equal(X, before)
    np.testing.assert_allclose(result @ removal.components_.T, 0, atol=1e-6 if dtype == "float32" else 1e-14)
    restored = CommonComponentRemoval.from_state(*removal.to_state())
    assert restored.transform(X).tobytes() == result.tobytes()
    assert restored.get_params() == removal.get_params()


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_components": -1}, "n_components must be at least 0; got -1"),
        ({"n_components": 1.5}, "n_components must be an integer; got 1.5"),
        ({"weighting": "half"}, "weighting must be one of 'none', 'usif'; got 'half'"),
    ],
)
def test_component_removal_refuses(params, match):
    with pytest.raises(ValueError, match=match):
        CommonComponentRemoval(**params).fit(np.ones((2, 2)))
