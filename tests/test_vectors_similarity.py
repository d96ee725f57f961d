"""Neighbours, analogies and word similarity, beside gensim's."""

from __future__ import annotations

import numpy as np
import pytest

from tlclassic.errors import DataFormatError, InvalidParameterError
from tlclassic.vectors import WordVectors, rows
from tlclassic.vectors.evaluation import SimilarityResult, _ranks, read_pairs

WORDS = [f"w{i}" for i in range(400)]
TABLE = np.random.default_rng(2).normal(size=(400, 10)).astype(np.float32)


@pytest.fixture(params=[1 << 24, 1 << 10], ids=["one block", "many blocks"])
def vectors(request, monkeypatch) -> WordVectors:
    monkeypatch.setattr(rows, "BLOCK_BYTES", request.param)
    return WordVectors.from_arrays(WORDS, TABLE)


@pytest.fixture(scope="module")
def gensim_vectors():
    models = pytest.importorskip("gensim.models")
    keyed = models.KeyedVectors(10)
    keyed.add_vectors(WORDS, TABLE)
    return keyed


def equal(ours, theirs) -> bool:
    assert [word for word, _ in ours] == [word for word, _ in theirs]
    assert [x for _, x in ours] == pytest.approx([x for _, x in theirs], abs=1e-6)
    return True


def test_a_small_case_by_hand():
    small = WordVectors.from_arrays(["e", "ne", "n", "w", "nil"], np.array([[2, 0], [1, 1], [0, 3], [-1, 0], [0, 0]]))
    result = small.most_similar("e", topn=3)
    assert [word for word, _ in result] == ["ne", "n", "nil"]
    assert [x for _, x in result] == pytest.approx([2**-0.5, 0, 0])
    assert small.most_similar(np.array([0, 5]), topn=1) == [("n", 1.0)]
    assert [word for word, _ in small.most_similar("e", topn=99)] == ["ne", "n", "nil", "w"]
    assert small.most_similar("e", topn=5, restrict=2) == [("ne", pytest.approx(2**-0.5))]
    assert [x for _, x in small.most_similar("nil", topn=2)] == [0, 0]


def test_most_similar_is_gensims(vectors, gensim_vectors):
    for word in ("w0", "w17", "w399"):
        assert equal(vectors.most_similar(word), gensim_vectors.most_similar(word))
        ours = vectors.most_similar(word, topn=7, restrict=50)
        assert equal(ours, gensim_vectors.most_similar(word, topn=7, restrict_vocab=50))
    query = np.arange(10, dtype=np.float32)
    assert equal(vectors.most_similar(query, topn=400), gensim_vectors.most_similar(query, topn=400))


def test_analogy_is_gensims(vectors, gensim_vectors):
    ours = vectors.analogy(["w1", "w2"], ["w3"], topn=20)
    assert equal(ours, gensim_vectors.most_similar(["w1", "w2"], ["w3"], topn=20))
    mixed = [TABLE[5] * 3, "w9"]
    assert equal(vectors.analogy(mixed, ["w3"]), gensim_vectors.most_similar(mixed, ["w3"]))
    assert not {"w1", "w2", "w3"} & {word for word, _ in vectors.analogy(["w1", "w2"], ["w3"], topn=400)}


def test_quantized_neighbours_are_nearly_the_same(vectors):
    exact = dict(vectors.most_similar("w3", topn=5))
    for dtype in ("float16", "int8"):
        near = dict(vectors.quantize(dtype).most_similar("w3", topn=400))
        assert all(abs(near[word] - cosine) < 0.02 for word, cosine in exact.items())


def test_lower_case_fallback_leaves_out_the_word_it_used(vectors):
    lower = vectors.with_oov("lower")
    assert equal(lower.most_similar("W3"), vectors.most_similar("w3"))


def test_queries_are_checked(vectors):
    with pytest.raises(KeyError, match="unknown"):
        vectors.most_similar("unknown")
    with pytest.raises(InvalidParameterError, match=r"must have shape \(10,\); got \(3,\)"):
        vectors.most_similar(np.ones(3))
    with pytest.raises(InvalidParameterError, match="topn must be at least 1; got 0"):
        vectors.most_similar("w1", topn=0)
    with pytest.raises(InvalidParameterError, match="restrict must be at least 1"):
        vectors.most_similar("w1", restrict=0)
    with pytest.raises(InvalidParameterError, match="positive must be a list of words; got the single string 'w1'"):
        vectors.analogy("w1", ["w2"])
    with pytest.raises(InvalidParameterError, match="positive must hold at least one word"):
        vectors.analogy([])


# -- word similarity ---------------------------------------------------------------------------------------------------

PAIRS = [
    ("w0", "w1", 3.0),
    ("W2", "w3", 1.0),
    ("w4", "none", 9.0),
    ("w5", "w6", 2.0),
    ("w7", "w8", 2.0),
    ("w9", "w0", 5.0),
]


def test_ranks_share_ties():
    assert _ranks(np.array([30.0, 10, 20, 10, 30, 30])).tolist() == [5, 1.5, 3, 1.5, 5, 5]


def test_word_similarity_is_gensims(tmp_path, vectors, gensim_vectors):
    path = tmp_path / "pairs.tsv"
    path.write_text("# comment\n" + "".join(f"{a}\t{b}\t{score}\n" for a, b, score in PAIRS))
    for case_insensitive, restrict in ((True, 300_000), (False, 300_000), (True, 8)):
        result = vectors.evaluate_similarity(path, case_insensitive=case_insensitive, restrict=restrict)
        pearson, spearman, oov = gensim_vectors.evaluate_word_pairs(
            str(path), case_insensitive=case_insensitive, restrict_vocab=restrict
        )
        assert result.pearson == pytest.approx(float(pearson[0]), abs=1e-6)
        assert result.spearman == pytest.approx(float(spearman[0]), abs=1e-9)
        assert result.unknown_share * 100 == pytest.approx(oov)
        assert vectors.evaluate_similarity(iter(PAIRS), case_insensitive=case_insensitive, restrict=restrict) == result


def test_the_first_of_words_equal_in_upper_case_counts():
    vectors = WordVectors.from_arrays(["Us", "US", "it"], np.array([[1, 0], [0, 1], [1, 0.1]]))
    assert vectors.evaluate_similarity([("us", "it", 1.0), ("us", "us", 2.0)]).pearson == pytest.approx(1)
    assert vectors.evaluate_similarity([("us", "it", 1.0)], case_insensitive=False).n_unknown == 1


def test_too_few_pairs():
    vectors = WordVectors.from_arrays(["a"], np.ones((1, 1)))
    result = vectors.evaluate_similarity([("a", "a", 1.0), ("x", "y", 2.0)])
    assert (result.n, result.n_unknown, result.unknown_share) == (1, 1, 0.5)
    assert np.isnan(result.spearman)
    assert np.isnan(vectors.evaluate_similarity([("a", "a", 1.0), ("a", "a", 2.0)]).pearson)
    assert SimilarityResult(0.0, 0.0, 0, 0).unknown_share == 0
    assert SimilarityResult(0.5, 0.25, 3, 1).as_dict() == {"spearman": 0.5, "pearson": 0.25, "n": 3, "n_unknown": 1}


def test_reading_pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(b"\xef\xbb\xbfword1\tword2\tscore\r\n\r\n# note\r\na\tb\t1.5\r\n")
    assert read_pairs(path) == [("a", "b", 1.5)]
    path.write_text("a\tb\t1\nword1\tword2\tscore\n")
    with pytest.raises(DataFormatError, match=r"pairs.tsv:2: no word pair with a score: 'word1\\tword2\\tscore'"):
        read_pairs(path)
    path.write_text("a b 1\n")
    with pytest.raises(DataFormatError, match=r"pairs.tsv:1: .*separated by tabs"):
        read_pairs(path)
    with pytest.raises(DataFormatError, match="cannot be read"):
        read_pairs(tmp_path / "none.tsv")
    with pytest.raises(InvalidParameterError, match=r"pairs\[0\] must be \(word, word, score\)"):
        WordVectors.from_arrays(["a"], np.ones((1, 1))).evaluate_similarity([("a", "b")])
