"""Poolings against a plain reading of the papers, written here in float64, and against other libraries."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic import EmbeddingVectorizer, WordVectors

RNG = np.random.default_rng(3)
WORDS = [f"w{i}" for i in range(60)]
TABLE = (RNG.standard_normal((60, 12)) + 0.5).astype(np.float32)
VECTORS = WordVectors.from_arrays(WORDS, TABLE, counts=np.arange(60, 0, -1) ** 4)
#: Words by Zipf's law; some of them (u0 ...) unknown to the vectors.
VOCABULARY = [*WORDS, *(f"u{i}" for i in range(5))]
TEXTS = [
    " ".join(RNG.choice(VOCABULARY, size=RNG.integers(1, 7), p=(p := 1 / np.arange(1, 66)) / p.sum()))
    for _ in range(200)
]
NEW = [*TEXTS[:3], "w50 w51", "u1", ""]


def known(text):
    return [word for word in text.split() if word in WORDS]


def vector(word):
    return TABLE[WORDS.index(word)].astype(np.float64)


def probabilities(source):
    """p(w) of every counted word."""
    counts = {
        "train": Counter(word for text in TEXTS for word in known(text)),
        "rank": {word: 1 / (rank + 1) for rank, word in enumerate(WORDS)},
        "vectors": {word: (60 - rank) ** 4 for rank, word in enumerate(WORDS)},
    }[source]
    total = sum(counts.values())
    return {word: count / total for word, count in counts.items()}


def average(text, weight):
    words = known(text)
    return sum((weight(word) * vector(word) for word in words), np.zeros(12)) / max(len(words), 1)


def sif(texts, p, a=1e-3, n_components=1):
    """Algorithm 1 of Arora, Liang and Ma 2017, the components taken from the training texts."""

    def embed(some):
        return np.array([average(text, lambda word: a / (a + p.get(word, 0.0))) for text in some])

    components = np.linalg.svd(embed(TEXTS), full_matrices=False)[2][:n_components]
    x = embed(texts)
    return x - x @ components.T @ components


def usif(texts, p, m=5):
    """Ethayarajh 2018 as its author's code: a = (1 - alpha) / (alpha Z), dimensions normalised, piecewise removal."""
    size = len(p)
    n = np.mean([len(known(text)) for text in TEXTS])
    alpha = sum(probability > 1 - (1 - 1 / size) ** n for probability in p.values()) / size
    a = (1 - alpha) / (alpha * size / 2)
    least = min(p.values())

    def embed(some):
        return np.array([embed_one(known(text)) for text in some])

    def embed_one(words):
        if not words:
            return np.zeros(TABLE.shape[1])
        v = np.array([vector(word) for word in words])
        v = v / np.linalg.norm(v, axis=0)
        return np.mean([a / (a / 2 + p.get(word, least)) * v[i] for i, word in enumerate(words)], axis=0)

    _, s, components = np.linalg.svd(embed(TEXTS), full_matrices=False)
    result = embed(texts)
    for strength, c in zip(s[:m] ** 2 / (s[:m] ** 2).sum(), components[:m], strict=True):
        result = result - strength * np.outer(result @ c, c)
    return result


@pytest.mark.parametrize("counts", ["train", "rank", "vectors"])
@pytest.mark.parametrize("n_components", [0, 1, 3])
def test_sif(counts, n_components):
    vectorizer = EmbeddingVectorizer(VECTORS, pooling="sif", counts=counts, n_components=n_components, a=0.01)
    expected = sif(NEW, probabilities(counts), a=0.01, n_components=n_components)
    np.testing.assert_allclose(vectorizer.fit(TEXTS).transform(NEW), expected, atol=1e-5)


def test_sif_defaults():
    expected = sif(NEW, probabilities("rank"))
    np.testing.assert_allclose(
        EmbeddingVectorizer(VECTORS, pooling="sif").fit(TEXTS).transform(NEW), expected, atol=1e-5
    )


@pytest.mark.parametrize("counts", ["train", "rank", "vectors"])
def test_usif(counts):
    vectorizer = EmbeddingVectorizer(VECTORS, pooling="usif", counts=counts).fit(TEXTS)
    np.testing.assert_allclose(vectorizer.transform(NEW), usif(NEW, probabilities(counts)), atol=1e-5)
    assert np.abs(usif(NEW, probabilities("train")) - usif(NEW, probabilities("rank"))).max() > 1e-3


def test_tfidf_is_scikit_learns_smooth_idf():
    from sklearn.feature_extraction.text import TfidfVectorizer

    tfidf = TfidfVectorizer(vocabulary=WORDS, norm="l1", token_pattern=r"\S+").fit(TEXTS)
    expected = tfidf.transform(NEW) @ TABLE.astype(np.float64)
    vectorizer = EmbeddingVectorizer(VECTORS, pooling="tfidf").fit(TEXTS)
    np.testing.assert_allclose(vectorizer.transform(NEW), expected, atol=1e-5)
    np.testing.assert_allclose(vectorizer.weights_["tfidf"], tfidf.idf_, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40), st.integers(1, 8))
def test_power_means(words, p):
    """Equation 1 of Rücklé et al. 2018; the odd root of a negative mean is negative."""
    x = np.array([vector(word) for word in words])
    mean = (x**p).mean(axis=0)
    expected = np.sign(mean) * np.abs(mean) ** (1 / p)
    vectorizer = EmbeddingVectorizer(VECTORS, pooling="power", powers=(p, float("inf"), float("-inf"))).fit(["w0"])
    result = vectorizer.transform([" ".join(words)])
    np.testing.assert_allclose(result[0, :12], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(result[0, 12:24], x.max(axis=0).astype(np.float32))
    np.testing.assert_array_equal(result[0, 24:], x.min(axis=0).astype(np.float32))


def test_mean_is_gensims():
    keyed = pytest.importorskip("gensim.models.keyedvectors").KeyedVectors(12)
    keyed.add_vectors(WORDS, TABLE)
    texts = [text for text in TEXTS if known(text)]
    expected = np.array([keyed.get_mean_vector(text.split(), pre_normalize=False) for text in texts])
    np.testing.assert_allclose(EmbeddingVectorizer(VECTORS).fit_transform(texts), expected, atol=1e-6)


def test_unknown_words():
    def first(unknown, **options):
        vectorizer = EmbeddingVectorizer(VECTORS, unknown=unknown, **options).fit(TEXTS)
        return vectorizer.transform(["w1 u1 w2 u2"])[0].astype(np.float64)

    total, mean = vector("w1") + vector("w2"), TABLE.mean(axis=0)
    np.testing.assert_allclose(first("ignore"), total / 2, atol=1e-6)
    np.testing.assert_allclose(first("zero"), total / 4, atol=1e-6)
    np.testing.assert_allclose(first("mean"), (total + 2 * mean) / 4, atol=1e-6)
    np.testing.assert_allclose(first("zero", pooling="max"), np.maximum(np.maximum(vector("w1"), vector("w2")), 0))
    # An unknown word is as rare as can be: weight 1 in SIF.
    p = probabilities("train")
    weighted = sum(1e-3 / (1e-3 + p[word]) * vector(word) for word in ("w1", "w2"))
    np.testing.assert_allclose(first("zero", pooling="sif", counts="train", n_components=0), weighted / 4, atol=1e-6)
    np.testing.assert_allclose(
        first("mean", pooling="sif", counts="train", n_components=0), (weighted + 2 * mean) / 4, atol=1e-6
    )
    # And it has the inverse document frequency of a word that no text holds.
    idf = EmbeddingVectorizer(VECTORS, pooling="tfidf").fit(TEXTS).weights_["tfidf"].astype(np.float64)
    numerator = idf[1] * vector("w1") + idf[2] * vector("w2")
    denominator = idf[1] + idf[2] + 2 * (np.log(201) + 1)
    np.testing.assert_allclose(first("zero", pooling="tfidf"), numerator / denominator, atol=1e-6)


def test_unknown_words_by_their_n_grams():
    from tlclassic.vectors.subword import SubwordTable

    subwords = SubwordTable(RNG.standard_normal((50, 12)).astype(np.float32), min_n=2, max_n=4, bucket=50)
    vectors = WordVectors.from_arrays(WORDS, TABLE, subwords=subwords)
    x, y = subwords.vectors(["zebra", "yak"]).astype(np.float64)

    def last(**options):
        vectorizer = EmbeddingVectorizer(vectors, unknown="subword", **options).fit(TEXTS)
        return vectorizer.transform(["w1", "", "zebra w2", "zebra w1 yak zebra"])[-1]

    np.testing.assert_allclose(last(), (vector("w1") + 2 * x + y) / 4, atol=1e-6)
    np.testing.assert_allclose(last(pooling="max"), np.maximum(np.maximum(vector("w1"), x), y), atol=1e-6)
    # By rank, every word of the vocabulary is counted; an unseen one is as probable as the last.
    weights = EmbeddingVectorizer(vectors, pooling="usif", counts="rank").fit(TEXTS).weights_["usif"].astype(np.float64)
    norms = np.sqrt(2 * x**2 + vector("w1") ** 2 + y**2)
    expected = (weights[1] * vector("w1") + weights[-1] * (2 * x + y)) / 4 / norms
    np.testing.assert_allclose(last(pooling="usif", counts="rank", n_components=0), expected, atol=1e-5)
