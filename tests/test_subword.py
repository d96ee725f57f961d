"""Character n-grams: the kernel against its plain twin and gensim, and the table over it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.kernels import _subword_plain, load
from tlclassic.vectors.subword import SubwordTable

K = load("subword")
WORDS = ["hello", "", "é", "naïve", "日本語", "a", "</s>", "😀", "don't", "x" * 300]


def _pack(words):
    raw = [word if isinstance(word, bytes) else word.encode() for word in words]
    return np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)], dtype=np.int64)


def _encode(word):
    return word.encode("utf-8", "surrogatepass")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=8).map(_encode), st.binary(max_size=8), st.just(b"</s>")), max_size=5),
    st.integers(0, 4),
    st.integers(0, 7),
    st.one_of(st.integers(1, 50), st.just(2_000_000), st.just(2**31 - 1)),
)
def test_equal_to_the_plain_twin(words, min_n, max_n, bucket):
    expected = _subword_plain.hash_ngrams(*_pack(words), min_n, max_n, bucket)
    result = K.hash_ngrams(*_pack(words), min_n, max_n, bucket)
    for mine, theirs in zip(result, expected, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("min_n", "max_n"), [(3, 6), (1, 3), (0, 2), (0, 0), (5, 5), (4, 3)])
def test_equal_to_gensim(min_n, max_n):
    gensim = pytest.importorskip("gensim.models.fasttext_inner")
    buckets, indptr = K.hash_ngrams(*_pack(WORDS), min_n, max_n, 2_000_000)
    for i, word in enumerate(WORDS):
        # gensim gives the end-of-sentence mark n-grams; fastText does not.
        ngrams = [] if word == "</s>" else gensim.compute_ngrams_bytes(word, min_n, max_n)
        assert buckets[indptr[i] : indptr[i + 1]].tolist() == [
            gensim.ft_hash_bytes(ngram) % 2_000_000 for ngram in ngrams
        ]


def test_the_n_grams_of_a_word():
    # "<ab>" has the single characters a and b (not the brackets), <a ab b>, and <ab ab>.
    assert list(_subword_plain._ngrams(b"ab", 1, 3)) == [b"<a", b"<ab", b"a", b"ab", b"ab>", b"b", b"b>"]
    # FNV-1a of the lone byte "a", by the page of its authors: 0xe40c292c.
    assert _subword_plain._hash(b"a") == 0xE40C292C
    # A byte above 127 is sign-extended first, which FNV-1a itself does not do.
    assert _subword_plain._hash(b"\xff") == (2166136261 ^ 0xFFFFFFFF) * 16777619 % 2**32


@pytest.mark.parametrize("module", [K, _subword_plain], ids=["compiled", "plain"])
@pytest.mark.parametrize(
    ("offsets", "bucket", "message"),
    [
        ([0, 3], 0, "bucket must lie in 1 .. 2147483647; got 0"),
        ([0, 3], 2**31, "bucket must lie in"),
        ([0, 4], 5, "offsets must lie in 0 .. 3"),
        ([-1, 3], 5, "offsets must lie in 0 .. 3"),
        ([], 5, "offsets must lie in 0 .. 3"),
        ([0, 2, 1, 3], 5, "offsets must not decrease; they do at 2"),
    ],
)
def test_kernel_refuses(module, offsets, bucket, message):
    with pytest.raises(ValueError, match=message):
        module.hash_ngrams(np.zeros(3, np.uint8), np.array(offsets, np.int64), 3, 6, bucket)


def test_kernel_reads_read_only_arrays():
    blob, offsets = _pack(WORDS)
    offsets.flags.writeable = False
    assert not blob.flags.writeable
    assert len(K.hash_ngrams(blob, offsets, 3, 6, 100)[1]) == len(WORDS) + 1


def _plainly(table, words, min_n, max_n, bucket, rows_of=None):
    result = np.zeros((len(words), table.shape[1]))
    for i, word in enumerate(words):
        buckets, _ = _subword_plain.hash_ngrams(*_pack([word]), min_n, max_n, bucket)
        rows = [b if rows_of is None else rows_of[b] for b in buckets.tolist() if rows_of is None or b in rows_of]
        if rows:
            result[i] = table[rows].astype(np.float64).mean(axis=0)
    return result


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_mean_of_the_rows(dtype):
    rng = np.random.default_rng(0)
    plain = rng.standard_normal((30, 7)).astype(np.float32)
    table = SubwordTable(plain, min_n=2, max_n=3, bucket=30).quantize(dtype)
    decoded = table.table.astype(np.float32) * (1 if table.scales is None else table.scales[:, None])
    assert table.table.dtype == dtype
    np.testing.assert_allclose(table.vectors(WORDS), _plainly(decoded, WORDS, 2, 3, 30), rtol=0, atol=1e-6)
    np.testing.assert_allclose(table.vectors(WORDS), _plainly(plain, WORDS, 2, 3, 30), rtol=0, atol=0.02)


def test_many_words_and_no_words():
    table = SubwordTable(np.random.default_rng(0).standard_normal((11, 3)).astype("f4"), min_n=1, max_n=2, bucket=11)
    words = [f"word{i}" for i in range(5000)]
    result = table.vectors(words)
    np.testing.assert_array_equal(result[4321], table.vectors(["word4321"])[0])
    assert len(np.unique(result, axis=0)) > 1000
    assert table.vectors([]).shape == (0, 3)


def test_a_word_without_n_grams_gets_zeros():
    table = SubwordTable(np.ones((5, 2), "f4"), min_n=4, max_n=6, bucket=5)
    np.testing.assert_array_equal(table.vectors(["a", "</s>", "ab"]), [[0, 0], [0, 0], [1, 1]])


def test_pruned():
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((3, 4)).astype("f4")
    table = SubwordTable(matrix, min_n=2, max_n=3, bucket=20, pruned=np.array([[2, 7, 19], [1, 0, 2]]))
    expected = _plainly(matrix, WORDS, 2, 3, 20, rows_of={2: 1, 7: 0, 19: 2})
    assert (expected == 0).all(axis=1).any()
    np.testing.assert_allclose(table.vectors(WORDS), expected, rtol=0, atol=1e-6)
    again = SubwordTable.from_state(*table.to_state())
    np.testing.assert_array_equal(again.vectors(WORDS), table.vectors(WORDS))


def test_a_table_at_an_odd_address():
    matrix = np.random.default_rng(2).standard_normal((20, 5)).astype("<f4")
    odd = np.frombuffer(b"x" + matrix.tobytes(), dtype=np.uint8)[1:].view("<f4").reshape(20, 5)
    assert not odd.flags.aligned
    expected = SubwordTable(matrix, min_n=2, max_n=3, bucket=20).vectors(WORDS)
    np.testing.assert_array_equal(SubwordTable(odd, min_n=2, max_n=3, bucket=20).vectors(WORDS), expected)


def test_lone_surrogates_are_looked_up():
    table = SubwordTable(np.ones((5, 2), "f4"), min_n=1, max_n=2, bucket=5)
    np.testing.assert_array_equal(table.vectors(["\ud800"]), [[1, 1]])


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_state(dtype):
    matrix = np.random.default_rng(3).standard_normal((9, 2)).astype("f4")
    table = SubwordTable(matrix, min_n=2, max_n=3, bucket=9).quantize(dtype)
    metadata, arrays = table.to_state()
    assert metadata == {"min_n": 2, "max_n": 3, "bucket": 9}
    again = SubwordTable.from_state(metadata, arrays)
    assert np.shares_memory(again.table, table.table)
    np.testing.assert_array_equal(again.vectors(WORDS), table.vectors(WORDS))


@pytest.mark.parametrize(
    "change",
    [{"min_n": "2"}, {"max_n": 0}, {"bucket": 8}, {"bucket": None}],
)
def test_state_that_does_not_fit_is_corrupt(change):
    metadata, arrays = SubwordTable(np.ones((9, 2), "f4"), min_n=2, max_n=3, bucket=9).to_state()
    with pytest.raises(CorruptArtifactError, match="the sub-word vectors do not fit together"):
        SubwordTable.from_state(metadata | change, arrays)
    with pytest.raises(CorruptArtifactError, match="the sub-word vectors do not fit together: 'table'"):
        SubwordTable.from_state(metadata, {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_n": 4}, "max_n must be at least 4; got 3"),
        ({"min_n": -1}, "min_n must be at least 0; got -1"),
        ({"bucket": 10}, "table must have 10 rows, one a bucket; got 9"),
        ({"scales": np.ones(9)}, "an int8 table, and no other, needs scales"),
        ({"pruned": np.array([[3, 1], [0, 1]])}, "pruned must hold ascending buckets"),
        ({"pruned": np.array([[1, 3], [0, 9]])}, "rows in 0 to 8"),
        ({"pruned": np.array([1.5])}, r"pruned must be an integer array of shape \(2, k\)"),
        ({"table": np.ones((9, 2))}, "table must be a float32, float16 or int8 array"),
    ],
)
def test_refuses(options, message):
    good = {"table": np.ones((9, 2), "f4"), "min_n": 2, "max_n": 3, "bucket": 9} | options
    with pytest.raises(InvalidParameterError, match=message):
        SubwordTable(good.pop("table"), **good)
