"""gensim's vectors: shared, kept and written, and what is refused."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from tlclassic.errors import InvalidParameterError, UnsafeFormatError, VectorFormatError
from tlclassic.vectors import WordVectors
from tlclassic.vectors.subword import SubwordTable

models = pytest.importorskip("gensim.models")
FastText, KeyedVectors, Word2Vec = models.FastText, models.KeyedVectors, models.Word2Vec
FastTextKeyedVectors = models.fasttext.FastTextKeyedVectors

TEXTS = [f"the quick naïve fox sees 日本語 number n{i % 40}".split() for i in range(120)]
UNSEEN = ["unseen", "quickest", "日本", "x"]


@pytest.fixture(scope="module")
def word2vec():
    return Word2Vec(TEXTS, vector_size=8, min_count=1, epochs=1, workers=1, seed=1)


@pytest.fixture(scope="module")
def fasttext():
    return FastText(TEXTS, vector_size=8, min_count=1, epochs=1, bucket=90, workers=1, seed=1)


def test_the_table_is_shared_both_ways(word2vec):
    vectors = WordVectors.from_gensim(word2vec.wv)
    assert np.shares_memory(vectors.table, word2vec.wv.vectors)
    assert list(vectors.words) == word2vec.wv.index_to_key
    assert np.shares_memory(vectors.to_gensim().vectors, word2vec.wv.vectors)


def test_a_whole_model_is_taken_too(word2vec):
    assert WordVectors.from_gensim(word2vec).digest == WordVectors.from_gensim(word2vec.wv).digest


def test_counts_are_kept_both_ways(word2vec):
    vectors = WordVectors.from_gensim(word2vec)
    expected = [word2vec.wv.get_vecattr(word, "count") for word in word2vec.wv.index_to_key]
    assert vectors.counts.tolist() == expected
    keyed = vectors.to_gensim()
    assert [keyed.get_vecattr(word, "count") for word in keyed.index_to_key] == expected
    # A copy: gensim may change its own.
    keyed.set_vecattr("the", "count", 5)
    assert vectors.counts[vectors.rows(["the"])[0]] == 120


def test_the_counts_that_gensim_makes_up_are_left_out(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("3 2\na 1 0\nb 0 1\nc 1 1\n")
    keyed = KeyedVectors.load_word2vec_format(str(path))
    assert keyed.get_vecattr("a", "count") == 3
    assert WordVectors.from_gensim(keyed).counts is None


def test_gensim_works_on_the_shared_table(word2vec):
    vectors = WordVectors.from_gensim(word2vec)
    keyed = vectors.to_gensim()
    assert isinstance(keyed, KeyedVectors)
    assert not keyed.vectors.flags.writeable
    assert [word for word, _ in keyed.most_similar("the", topn=5)] == [w for w, _ in vectors.most_similar("the", 5)]
    assert keyed["the"].tolist() == vectors["the"].tolist()
    assert "unseen" not in keyed


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_other_dtypes_are_decoded(word2vec, dtype):
    vectors = WordVectors.from_gensim(word2vec).quantize(dtype)
    keyed = vectors.to_gensim()
    assert keyed.vectors.dtype == np.float32
    np.testing.assert_array_equal(keyed.vectors, vectors.take(np.arange(len(vectors))))


def test_a_float64_or_strided_table_is_copied():
    keyed = KeyedVectors(2, dtype=np.float64)
    keyed.add_vectors(["a", "b"], np.array([[1, 2], [3, 4]]))
    vectors = WordVectors.from_gensim(keyed)
    assert vectors.dtype == np.float32
    assert vectors["b"].tolist() == [3, 4]
    keyed.vectors = np.asfortranarray(np.array([[1, 2], [3, 4]], dtype="f4"))
    assert WordVectors.from_gensim(keyed)["b"].tolist() == [3, 4]


def test_sub_words_are_shared_and_answer_for_unseen_words(fasttext):
    vectors = WordVectors.from_gensim(fasttext.wv)
    assert (vectors.oov, WordVectors.from_gensim(fasttext, oov="mean").oov) == ("subword", "mean")
    assert np.shares_memory(vectors.subwords.table, fasttext.wv.vectors_ngrams)
    expected = [fasttext.wv[word] for word in UNSEEN]
    np.testing.assert_allclose(vectors.lookup(UNSEEN), expected, rtol=0, atol=1e-6)
    keyed = vectors.to_gensim()
    assert isinstance(keyed, FastTextKeyedVectors)
    assert np.shares_memory(keyed.vectors_ngrams, fasttext.wv.vectors_ngrams)
    np.testing.assert_allclose([keyed[word] for word in UNSEEN], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(keyed.vectors_vocab, fasttext.wv.vectors_vocab, rtol=0, atol=1e-6)


def test_fasttext_without_n_grams():
    model = FastText(TEXTS, vector_size=4, min_count=1, epochs=1, max_n=0, workers=1)
    vectors = WordVectors.from_gensim(model)
    assert (vectors.subwords, vectors.oov) == (None, "zero")


def test_pruned_sub_words_are_refused():
    subwords = SubwordTable(np.ones((1, 2), "f4"), min_n=2, max_n=3, bucket=9, pruned=np.array([[4], [0]]))
    vectors = WordVectors.from_arrays(["a"], np.ones((1, 2), "f4"), subwords=subwords)
    with pytest.raises(InvalidParameterError, match="gensim cannot hold sub-words that were pruned"):
        vectors.to_gensim()


def test_saved_for_gensim(tmp_path, word2vec):
    vectors = WordVectors.from_gensim(word2vec)
    vectors.save(tmp_path / "kv", format="gensim")
    assert [file.name for file in tmp_path.iterdir()] == ["kv"]
    keyed = KeyedVectors.load(str(tmp_path / "kv"))
    np.testing.assert_array_equal(keyed.vectors, word2vec.wv.vectors)
    assert keyed.index_to_key == word2vec.wv.index_to_key
    assert keyed.get_vecattr("the", "count") == 120
    assert WordVectors.load(tmp_path / "kv", trust=True).digest == vectors.digest


def test_fasttext_saved_for_gensim(tmp_path, fasttext):
    vectors = WordVectors.from_gensim(fasttext, oov="subword")
    vectors.save(tmp_path / "kv", format="gensim")
    keyed = FastTextKeyedVectors.load(str(tmp_path / "kv"))
    np.testing.assert_allclose([keyed[word] for word in UNSEEN], [fasttext.wv[word] for word in UNSEEN], atol=1e-6)
    again = WordVectors.load(tmp_path / "kv", trust=True)
    assert again.oov == "subword"
    assert again.digest == vectors.digest


@pytest.mark.parametrize("what", ["model", "keyed vectors"])
def test_gensims_own_files_open_on_trust_only(tmp_path, fasttext, what):
    path = tmp_path / "saved"
    (fasttext if what == "model" else fasttext.wv).save(str(path))
    with pytest.raises(UnsafeFormatError, match=r"pickle.*trust=True"):
        WordVectors.load(path)
    vectors = WordVectors.load(path, trust=True, oov="subword", limit=3)
    assert list(vectors.words) == fasttext.wv.index_to_key[:3]
    np.testing.assert_allclose(vectors["unseen"], fasttext.wv["unseen"], rtol=0, atol=1e-6)


def test_large_arrays_beside_the_file_are_mapped(tmp_path, word2vec):
    keyed = WordVectors.from_gensim(word2vec).to_gensim()
    keyed.save(str(tmp_path / "kv"), separately=["vectors"])
    vectors = WordVectors.load(tmp_path / "kv", trust=True)
    np.testing.assert_array_equal(vectors.table, word2vec.wv.vectors)
    base = vectors.table
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap)
    (tmp_path / "kv.vectors.npy").unlink()
    with pytest.raises(VectorFormatError, match=r"a file that belongs to it is missing: .*kv\.vectors\.npy"):
        WordVectors.load(tmp_path / "kv", trust=True)


def test_a_policy_that_the_file_cannot_answer(tmp_path, word2vec):
    word2vec.save(str(tmp_path / "saved"))
    with pytest.raises(InvalidParameterError, match="oov='subword' needs vectors with sub-words"):
        WordVectors.load(tmp_path / "saved", trust=True, oov="subword")


def test_a_pickle_of_something_else(tmp_path):
    import pickle

    (tmp_path / "other").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(VectorFormatError, match="gensim cannot open it as word vectors"):
        WordVectors.load(tmp_path / "other", trust=True)


def test_something_else_is_refused():
    with pytest.raises(InvalidParameterError, match="must be a gensim 4 KeyedVectors or a model with one; got dict"):
        WordVectors.from_gensim({})
    keyed = KeyedVectors(2)
    keyed.add_vectors([1, 2], np.ones((2, 2), "f4"))
    with pytest.raises(InvalidParameterError, match=r"words\[0\] must be a string; got 1"):
        WordVectors.from_gensim(keyed)
