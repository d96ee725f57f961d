"""Lexicons, retrofitting, counter-fitting, alignment of languages, induced lexicons, zero-shot transfer."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tlclassic
from tlclassic import EmbeddingVectorizer, NgramClassifier, WordVectors
from tlclassic.errors import DataFormatError, InvalidParameterError
from tlclassic.joint import (
    align,
    counter_fit,
    precision_at,
    read_lexicon,
    read_word_pairs,
    retrofit,
    with_vectors,
)
from tlclassic.joint.alignment import procrustes
from tlclassic.joint.neighbours import hubness, nearest

N = 400


def _vectors(words, table, **options):
    return WordVectors.from_arrays(words, np.asarray(table, dtype=np.float32), **options)


# -- lexicons -------------------------------------------------------------------------------------------------------


def test_a_lexicon_has_words_and_neighbours(tmp_path):
    path = tmp_path / "lexicon.txt.gz"
    path.write_bytes(gzip.compress(b"Glad happy merry\n\nsad\nglad  happy glad content\r\n"))
    assert read_lexicon(path) == {"glad": ["happy", "merry", "content"]}
    assert read_lexicon(path, lower=False) == {"Glad": ["happy", "merry"], "glad": ["happy", "content"]}


def test_pairs_are_separated_by_any_blank_and_kept_once(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("good bad \ngood\tbad\nGut schlecht", encoding="utf-8")
    assert read_word_pairs(path) == [("good", "bad"), ("Gut", "schlecht")]
    assert read_word_pairs(path, lower=True)[1] == ("gut", "schlecht")


def test_pairs_of_one_language_are_kept_without_its_prefix(tmp_path):
    path = tmp_path / "antonyms.txt"
    path.write_text("en_good en_bad\nen_good de_schlecht\nde_gut de_schlecht\n")
    assert read_word_pairs(path, language="en") == [("good", "bad")]


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("good bad\none two three\n")
    with pytest.raises(DataFormatError, match=r"pairs.txt:2: 3 words, not a pair: 'one two three'"):
        read_word_pairs(path)
    path.write_bytes(b"good bad\ng\xff\xff bad\n")
    with pytest.raises(DataFormatError, match=r"pairs.txt:2: not UTF-8"):
        read_word_pairs(path)


# -- retrofitting ---------------------------------------------------------------------------------------------------


def test_retrofitting_solves_the_papers_equations():
    rng = np.random.default_rng(0)
    vectors = _vectors(list("abcde"), rng.normal(size=(5, 3)))
    links = {"a": ["b", "c"], "b": ["a"], "c": ["a", "d", "x"], "x": ["a"]}
    found = retrofit(vectors, links, iterations=60).take(np.arange(5))
    own = vectors.normalized().take(np.arange(5))
    # The fixed point of q = (own + mean of neighbours) / 2, solved at once.
    matrix = np.zeros((5, 5))
    matrix[0, [1, 2]] = matrix[2, [0, 3]] = 0.5
    matrix[1, 0] = 1
    moved = np.diag([1, 1, 1, 0, 0])
    expected = np.linalg.solve(np.eye(5) + moved - matrix, own)
    assert np.allclose(found, expected, atol=1e-5)
    assert np.array_equal(found[3:], own[3:])


def test_strength_and_normalising_are_what_they_say():
    vectors = _vectors(["a", "b"], [[2, 0], [0, 4]])
    weak = retrofit(vectors, {"a": ["b"]}, strength=0.25, iterations=1, normalize=False)
    assert weak["a"].tolist() == [1.600000023841858, 0.800000011920929]
    assert retrofit(vectors, {}, normalize=False)["b"].tolist() == [0, 4]
    with pytest.raises(InvalidParameterError, match=r"lexicon\['a'\] must be a list of words; got the string 'b'"):
        retrofit(vectors, {"a": "b"})
    with pytest.raises(InvalidParameterError, match="lexicon must map words to lists of words; got list"):
        retrofit(vectors, ["a"])


def test_counter_fitting_moves_pairs_and_keeps_the_rest():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(60, 10))
    table[1] = table[0] + 0.3 * rng.normal(size=10)
    table[3] = table[2] + 0.1 * rng.normal(size=10)
    words = [f"w{i}" for i in range(60)]
    vectors = _vectors(words, table)
    found = counter_fit(vectors, [("w4", "w5"), ("w0", "w1")], [("w0", "w1"), ("w8", "unknown")])
    before = vectors.normalized()

    def cosine(of, a, b):
        return float(of[a] @ of[b])

    assert cosine(before, "w0", "w1") > 0.8
    assert cosine(found, "w0", "w1") < 0.2  # an antonym that is also a synonym is an antonym
    assert cosine(found, "w4", "w5") > cosine(before, "w4", "w5") + 0.3
    untouched = [word for word in words[6:] if word != "w8"]
    assert np.allclose(found.lookup(untouched), before.lookup(untouched), atol=1e-6)
    assert np.allclose(found.norms, 1, atol=1e-5)
    with pytest.raises(InvalidParameterError, match="must hold a pair of words that the vectors know"):
        counter_fit(vectors, [("x", "y")])


def test_counter_fitting_drags_neighbours_along():
    angle = np.deg2rad([0, 5, 10, 90])
    vectors = _vectors(["a", "near", "b", "far"], np.stack([np.cos(angle), np.sin(angle)], axis=1))
    kept = counter_fit(vectors, [], [("a", "b")], radius=0.01)
    free = counter_fit(vectors, [], [("a", "b")], radius=0.0)
    assert kept["a"] @ kept["near"] > free["a"] @ free["near"] + 0.02


# -- alignment ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    """Spanish is English turned, with noise; dimensions are of different width and skewed, so that shapes tell."""
    rng = np.random.default_rng(2)
    table = rng.exponential(size=(N, 8)) * np.linspace(2, 0.5, 8)
    turned = table @ np.linalg.qr(rng.normal(size=(8, 8)))[0] + 0.02 * rng.normal(size=(N, 8))
    english = [f"word{i}" if i % 10 else f"name{i}" for i in range(N)]
    spanish = [f"palabra{i}" if i % 10 else f"name{i}" for i in range(N)]
    return _vectors(spanish, turned + 0.5), _vectors(english, table - 0.3), list(zip(spanish, english, strict=True))


def test_procrustes_is_that_of_scipy():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 30, 5)).astype(np.float32)
    assert np.allclose(procrustes(x, y), orthogonal_procrustes(x, y)[0], atol=1e-5)
    narrow = procrustes(x[:, :3], y)
    assert narrow.shape == (3, 5)
    assert np.allclose(narrow @ narrow.T, np.eye(3), atol=1e-5)


def test_a_dictionary_aligns(pair):
    source, target, words = pair
    found = align(source, target, words[:60])
    assert found.n_pairs == 60
    assert found.history == []
    score = precision_at(found.source, found.target, [*words[100:], ("unknown", "word1")])
    assert score.precision[1] > 0.9
    assert score.precision[5] >= score.precision[1]
    assert (score.n, score.n_unknown) == (300, 1)
    before = precision_at(source, target, words[100:])
    assert before.precision[1] < 0.1


@pytest.mark.parametrize("start", ["identical", "structure"])
def test_languages_are_aligned_without_a_dictionary(start, pair):
    source, target, words = pair
    found = align(source, target, start=start)
    assert precision_at(found.source, found.target, words, k=[1]).precision[1] > 0.9
    assert found.n_pairs > 300
    assert max(value for _, value in found.history) >= found.history[0][1]


def test_refinement_gets_more_out_of_a_small_dictionary(pair):
    source, target, words = pair
    few, refined = align(source, target, words[:6]), align(source, target, words[:6], refinements=5)
    scores = [precision_at(each.source, each.target, words, k=[1]).precision[1] for each in (few, refined)]
    assert scores[0] < 0.7
    assert scores[1] > 0.9


def test_translations(pair):
    source, target, words = pair
    found = align(source, target, words[:60])
    answers = found.translate([words[200][0], "unknown"], topn=3)
    assert list(answers) == [words[200][0]]
    assert answers[words[200][0]][0] == words[200][1]
    assert len(answers[words[200][0]]) == 3


def test_csls_is_its_formula():
    rng = np.random.default_rng(4)
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in rng.normal(size=(2, 30, 4)).astype("f4"))
    cosines = x @ y.T
    own = np.sort(cosines, axis=1)[:, -10:].mean(axis=1)
    theirs = np.sort(cosines, axis=0)[-10:].mean(axis=0)
    expected = 2 * cosines - own[:, None] - theirs
    places, values = nearest(x, y, topn=4)
    assert np.allclose(values, -np.sort(-expected, axis=1)[:, :4], atol=1e-5)
    assert np.array_equal(places[:, 0], expected.argmax(axis=1))
    assert np.allclose(hubness(x, y), own, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, t, w: align(s, t, w[:4]), "dictionary must hold at least 5 pairs whose words are known"),
        (lambda s, t, w: align(s, t, ["ab"]), r"pairs\[0\] must be a pair of words; got 'ab'"),
        (lambda s, t, w: align(s, t, start="letters"), "start must be one of 'identical', 'structure'"),
        (lambda s, t, w: align(_vectors(["x"], [[1, 0]]), t), "start='identical' found 0 pairs of words"),
        (lambda s, t, w: precision_at(s, t, [("a", "b")]), "dictionary must hold a pair whose words are known"),
        (lambda s, t, w: precision_at(s, t, w, k=[0]), "k must be at least 1; got 0"),
        (lambda s, t, w: precision_at(s, t, w, similarity="dot"), "similarity must be one of 'csls', 'cosine'"),
    ],
)
def test_refused(call, message, pair):
    with pytest.raises(InvalidParameterError, match=message):
        call(*pair)


# -- zero-shot ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts(pair):
    """The same 150 texts in both languages; whether the mean of English's first dimension is high."""
    rng = np.random.default_rng(5)
    rows = rng.integers(0, N, size=(150, 5))
    english = align(pair[0], pair[1], pair[2][:80]).target
    means = np.array([english.take(row)[:, 0].mean() for row in rows])
    labels = (means > np.median(means)).tolist()
    both = [[" ".join(pair[2][i][side] for i in row) for row in rows] for side in (0, 1)]
    return both[0], both[1], labels


@pytest.mark.parametrize("pooling", ["mean", ["mean", "sif"]])
def test_a_classifier_reads_another_language(pooling, pair, texts):
    source, target, words = pair
    spanish, english, labels = texts
    found = align(source, target, words[:80])
    model = make_pipeline(
        EmbeddingVectorizer(found.target, pooling=pooling), StandardScaler(), LogisticRegression(C=10)
    )
    model.fit(english, labels)
    other = with_vectors(model, found.source, texts=spanish)
    assert model.score(english, labels) > 0.9
    assert other.score(spanish, labels) > 0.85
    assert model.score(spanish, labels) < 0.8
    assert other.classes_.tolist() == [False, True]
    compiled = tlclassic.compile(with_vectors(model, found.source, texts=spanish))
    assert (compiled.predict(spanish) == other.predict(spanish)).mean() > 0.98


def test_what_cannot_be_carried_over_is_refused(pair, texts):
    source, _, _ = pair
    model = make_pipeline(EmbeddingVectorizer(pair[1], pooling="sif"), LogisticRegression()).fit(texts[1], texts[2])
    with pytest.raises(InvalidParameterError, match="texts must be given for pooling='sif'"):
        with_vectors(model, source)
    with pytest.raises(InvalidParameterError, match="vectors must be WordVectors of 8 dimensions; got 2"):
        with_vectors(model, _vectors(["a"], [[1, 2]]))
    with pytest.raises(InvalidParameterError, match="begins with an EmbeddingVectorizer; got NgramClassifier"):
        with_vectors(NgramClassifier(), source)
