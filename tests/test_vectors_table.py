"""``WordVectors``: look-up, unknown words, sharing, what is made from it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tlclassic.vectors
from tlclassic.errors import CorruptArtifactError, InvalidParameterError, RepairWarning
from tlclassic.vectors import WordVectors, rows
from tlclassic.vectors.words import Words, pack_words

WORDS = ["red", "Blue", "grün", ". .", "", "zero"]
TABLE = np.array([[3, 4], [0, 2], [-1, 0], [1, 1], [5, 12], [0, 0]], dtype=np.float32)


def make(**options) -> WordVectors:
    return WordVectors.from_arrays(WORDS, TABLE, **options)


class Subwords:
    """Stands in for a sub-word table: a word's vector is its length, twice."""

    def vectors(self, words):
        return np.array([[len(word)] * 2 for word in words], dtype=np.float32)


def test_public_names():
    assert tlclassic.vectors.__all__ == sorted(tlclassic.vectors.__all__, key=lambda name: (not name.isupper(), name))
    assert tlclassic.WordVectors is WordVectors
    for name in tlclassic.vectors.__all__:
        assert getattr(tlclassic.vectors, name).__doc__


def test_importing_costs_numpy_only():
    code = (
        "import sys, tlclassic.vectors; heavy = {'scipy', 'sklearn', 'gensim', 'spacy', 'pyarrow', 'tokenizers'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shape_and_attributes():
    vectors = make(counts=[6, 5, 4, 3, 2, 1])
    assert (len(vectors), vectors.dim, vectors.shape, vectors.dtype) == (6, 2, (6, 2), np.float32)
    assert (vectors.scales, vectors.subwords, vectors.oov, vectors.path) == (None, None, "zero", None)
    assert vectors.counts.tolist() == [6, 5, 4, 3, 2, 1]
    assert repr(vectors) == "WordVectors(n=6, dim=2, dtype=float32, oov='zero')"


def test_the_table_is_shared_and_read_only():
    vectors = make()
    assert np.shares_memory(vectors.table, TABLE)
    with pytest.raises(ValueError, match="read-only"):
        vectors.table[0, 0] = 1
    assert TABLE.flags.writeable


def test_lookup_of_one_word():
    vectors = make()
    assert vectors["grün"].tolist() == [-1, 0]
    assert vectors["grün"].dtype == np.float32
    assert vectors[""].tolist() == [5, 12]
    assert "red" in vectors
    assert "Red" not in vectors
    assert 3 not in vectors
    assert "\ud800" not in vectors
    with pytest.raises(KeyError, match="black"):
        vectors["black"]
    with pytest.raises(InvalidParameterError, match=r"For several words use lookup\(words\)"):
        vectors[["red"]]


def test_rows_and_take():
    vectors = make()
    assert vectors.rows(["zero", "x", "red"]).tolist() == [5, -1, 0]
    assert vectors.rows([]).tolist() == []
    assert vectors.take([1, 1]).tolist() == [[0, 2], [0, 2]]
    assert vectors.take([]).shape == (0, 2)
    vectors.take([0])[0] = 9  # a copy
    assert vectors["red"].tolist() == [3, 4]
    for bad in ([-1], [6]):
        with pytest.raises(IndexError, match="rows must lie in 0 to 5"):
            vectors.take(bad)
    with pytest.raises(InvalidParameterError, match="got the single string 'red'"):
        vectors.rows("red")
    with pytest.raises(InvalidParameterError, match=r"words\[1\] must be a string; got None"):
        vectors.rows(["red", None])


@pytest.mark.parametrize(
    ("oov", "expected"),
    [
        ("zero", [[3, 4], [0, 0], [0, 0]]),
        ("lower", [[3, 4], [3, 4], [0, 0]]),
        ("mean", [[3, 4], [8 / 6, 19 / 6], [8 / 6, 19 / 6]]),
        ("subword", [[3, 4], [3, 3], [5, 5]]),
    ],
)
def test_unknown_words(oov, expected):
    vectors = make(subwords=Subwords(), oov=oov)
    for result in (
        vectors.lookup(["red", "RED", "black"]),
        make(subwords=Subwords()).lookup(["red", "RED", "black"], oov=oov),
    ):
        assert result == pytest.approx(np.float32(expected))
        assert result.dtype == np.float32
    if oov in ("zero", "lower"):
        with pytest.raises(KeyError, match="black"):
            vectors["black"]
    else:
        assert vectors["black"] == pytest.approx(np.float32(expected[2]))
    if oov == "lower":
        assert vectors["RED"].tolist() == [3, 4]
    assert vectors.with_oov("zero").lookup(["black"]).tolist() == [[0, 0]]
    assert np.shares_memory(vectors.with_oov("zero").table, TABLE)


def test_policies_are_checked():
    with pytest.raises(
        InvalidParameterError, match="oov must be one of 'zero', 'subword', 'lower', 'mean'; got 'none'"
    ):
        make(oov="none")
    with pytest.raises(InvalidParameterError, match="oov='subword' needs vectors with sub-words"):
        make().lookup(["red"], oov="subword")


def test_words_are_a_lazy_sequence():
    words = make().words
    assert isinstance(words, Words)
    assert words == WORDS
    assert words != WORDS[:-1]
    assert words != "red"
    assert (words[-1], words[1:3], words[0]) == ("zero", ["Blue", "grün"], "red")
    assert (next(reversed(words)), words.index("grün"), "Blue" in words) == ("zero", 2, True)
    assert repr(words) == "Words(['red', 'Blue', 'grün', ...], n=6)"
    with pytest.raises(IndexError, match="word 6 of 6"):
        words[6]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=30, unique=True))
def test_words_and_index_hold_any_text(words):
    vectors = WordVectors.from_arrays(words, np.ones((len(words), 1), dtype=np.float32))
    assert list(vectors.words) == words
    assert [vectors.words[i] for i in range(len(words))] == words
    assert vectors.rows(words).tolist() == list(range(len(words)))


def test_many_words_iterate_in_blocks():
    words = [f"w{i}" for i in range(40_000)]
    assert list(Words(*pack_words(words))) == words


def test_duplicates_keep_the_first():
    with pytest.warns(RepairWarning, match=r"1 duplicate words were left out; the first of each is kept.*'a'"):
        vectors = WordVectors.from_arrays(["a", "b", "a"], np.eye(3, dtype=np.float32), counts=[7, 8, 9])
    assert (list(vectors.words), vectors.table.tolist()) == (["a", "b"], [[1, 0, 0], [0, 1, 0]])
    assert vectors.counts.tolist() == [7, 8]


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint8, ">f4", np.float16])
def test_tables_of_other_dtypes(dtype):
    vectors = WordVectors.from_arrays(["a", "b"], np.array([[1, 2], [3, 4]], dtype=dtype))
    assert vectors.dtype == (np.float16 if dtype is np.float16 else np.float32)
    assert vectors.dtype.isnative
    assert vectors["b"].tolist() == [3, 4]
    assert vectors["b"].dtype == np.float32


@pytest.mark.parametrize(
    ("words", "table", "options", "message"),
    [
        (["a"], np.zeros((2, 3)), {}, r"table must have shape \(1, dim\), one row a word; got \(2, 3\)"),
        (["a"], np.zeros(1), {}, r"one row a word; got \(1,\)"),
        (["a"], np.zeros((1, 0)), {}, "at least one column"),
        (["a"], np.array([[np.nan]]), {}, "row 0, the word 'a', is not"),
        (["b", "a"], np.array([[1.0], [1e39]]), {}, "row 1, the word 'a', is not"),
        (["a"], np.array([["x"]]), {}, "must hold real numbers; got dtype <U1"),
        (["a"], np.array([[1]], dtype=np.int8), {}, "an int8 table needs scales"),
        (["a"], np.array([[1.0]]), {"scales": [1.0]}, "an int8 table needs scales, and only that"),
        (["a"], np.zeros((1, 1)), {"counts": [1, 2]}, r"counts must have shape \(1,\)"),
        ("a", np.zeros((1, 1)), {}, "got the single string 'a'"),
        ([b"a"], np.zeros((1, 1)), {}, r"words\[0\] must be a string; got b'a'"),
        (["\ud800"], np.zeros((1, 1)), {}, r"words\[0\] must be encodable as UTF-8"),
    ],
)
def test_from_arrays_refuses(words, table, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        WordVectors.from_arrays(words, table, **options)


def test_an_empty_table():
    vectors = WordVectors.from_arrays([], np.zeros((0, 3), dtype=np.float32), oov="mean")
    assert vectors.lookup(["x"]).tolist() == [[0, 0, 0]]
    assert vectors.most_similar(np.ones(3)) == []
    assert vectors.describe()["mean_norm"] == 0.0
    assert vectors.quantize().shape == vectors.normalized().shape == (0, 3)


# -- sharing -----------------------------------------------------------------------------------------------------------


def test_copies_are_the_same_object():
    vectors = make()
    assert copy.copy(vectors) is vectors
    assert copy.deepcopy({"x": [vectors]})["x"][0] is vectors
    clone = pytest.importorskip("sklearn.base").clone
    assert clone(vectors) is vectors


def test_pickle_without_a_store_carries_the_arrays():
    vectors = pickle.loads(pickle.dumps(make(counts=[1] * 6, oov="mean")))
    assert (list(vectors.words), vectors.oov) == (WORDS, "mean")
    assert vectors.table.tolist() == TABLE.tolist()
    assert vectors.rows(["zero"]).tolist() == [5]


def test_state_round_trip_and_damage():
    vectors = make(counts=[1, 2, 3, 4, 5, 6], oov="lower").quantize("int8")
    metadata, arrays = vectors.to_state()
    again = WordVectors.from_state(metadata, arrays)
    assert again.lookup(["RED", "grün"]).tolist() == vectors.lookup(["RED", "grün"]).tolist()
    assert again.digest == vectors.digest
    for name in ("table", "words", "offsets", "slots"):
        with pytest.raises(CorruptArtifactError, match=f"lack or garble '{name}'"):
            WordVectors.from_state(metadata, {key: value for key, value in arrays.items() if key != name})
    damage = {
        "table": (arrays["table"][:-1], "the table's shape"),
        "scales": (arrays["scales"][:-1], "the scales"),
        "counts": (arrays["counts"].astype(np.int32), "the counts"),
        "words": (arrays["words"][:-1], "the words' offsets"),
        "offsets": (arrays["offsets"][:-1], "the words' offsets"),
        "slots": (arrays["slots"][:5], "the index"),
    }
    for name, (array, message) in damage.items():
        with pytest.raises(CorruptArtifactError, match=message):
            WordVectors.from_state(metadata, {**arrays, name: array})
    for change in ({"dtype": "float64"}, {"count": 5}, {"oov": "x"}, {"dim": None}):
        with pytest.raises(CorruptArtifactError, match="the word vectors"):
            WordVectors.from_state({**metadata, **change}, arrays)


def test_the_digest_is_of_the_contents():
    digest = make().digest
    assert len(digest) == 64
    assert make(oov="mean").digest == digest
    others = [
        make(counts=[1] * 6),
        make().quantize("float16"),
        make().quantize("int8"),
        WordVectors.from_arrays([*WORDS[:-1], "other"], TABLE),
        WordVectors.from_arrays(WORDS, TABLE + np.float32(1)),
        # The same bytes of words, cut elsewhere.
        WordVectors.from_arrays(["redB", "lue", *WORDS[2:]], TABLE),
    ]
    assert len({digest, *(other.digest for other in others)}) == 7


def test_threads_share_one_object():
    vectors, results = make(), []
    threads = [
        threading.Thread(target=lambda: results.append((vectors.lookup(["x"], oov="mean").tolist(), vectors.digest)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(result == results[0] for result in results)


# -- made from it ------------------------------------------------------------------------------------------------------


def test_subset_keeps_order_counts_and_policy():
    vectors = make(counts=[6, 5, 4, 3, 2, 1], oov="mean")
    part = vectors.subset(iter(["zero", "unknown", "grün", "red", "grün", ""]))
    assert list(part.words) == ["red", "grün", "", "zero"]
    assert part.table.tolist() == [[3, 4], [-1, 0], [5, 12], [0, 0]]
    assert (part.counts.tolist(), part.oov) == ([6, 4, 2, 1], "mean")
    assert vectors.subset([]).shape == (0, 2)
    assert list(make(oov="lower").subset(["RED"]).words) == ["red"]
    assert list(make().subset(["RED"]).words) == []


def test_subset_of_a_quantized_table():
    part = make().quantize("int8").subset(["zero", "Blue"])
    assert (part.dtype, part["Blue"].tolist(), part["zero"].tolist()) == (np.int8, [0, 2], [0, 0])


def test_normalized(monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_BYTES", 16)
    unit = make(counts=[1] * 6).normalized()
    assert unit["red"] == pytest.approx([0.6, 0.8])
    assert unit["zero"].tolist() == [0, 0]
    assert np.linalg.norm(unit.table, axis=1) == pytest.approx([1, 1, 1, 1, 1, 0])
    assert unit.counts is not None


@pytest.mark.parametrize(("dtype", "error"), [("float16", 2**-11), ("int8", 0.5 / 127)])
def test_quantize_keeps_within_half_a_step(monkeypatch, dtype, error):
    monkeypatch.setattr(rows, "BLOCK_BYTES", 1 << 10)
    table = np.random.default_rng(0).normal(size=(100, 20)).astype(np.float32) * 10
    words = [f"w{i}" for i in range(100)]
    vectors = WordVectors.from_arrays(words, table).quantize(dtype)
    assert vectors.dtype == dtype
    assert vectors.lookup(words).dtype == np.float32
    step = np.abs(table).max(axis=1, keepdims=True) * error * 1.0001
    assert (np.abs(vectors.lookup(words) - table) <= step).all()
    assert vectors.quantize("float32").lookup(words).tolist() == vectors.lookup(words).tolist()


def test_quantize_refuses_what_does_not_fit():
    big = WordVectors.from_arrays(["a"], np.array([[70000.0]]))
    with pytest.raises(InvalidParameterError, match="float16' holds numbers up to 65504; the vectors have 70000"):
        big.quantize("float16")
    assert big.quantize("int8")["a"] == pytest.approx([70000])
    with pytest.raises(InvalidParameterError, match="dtype must be one of"):
        big.quantize("int4")
    tiny = WordVectors.from_arrays(["a"], np.array([[1e-45, -1e-45]])).quantize("int8")
    assert np.abs(tiny.table).max() <= 127


def test_describe():
    facts = make(counts=[1] * 6).describe()
    digest = facts.pop("digest")
    assert len(digest) == 64
    assert facts.pop("mean_norm") == pytest.approx((5 + 2 + 1 + 2**0.5 + 13) / 6)
    assert facts == {
        "count": 6,
        "dim": 2,
        "dtype": "float32",
        "bytes": 48 + 48 + 19 + 56 + 128,
        "zero_vectors": 1,
        "counts": True,
        "subwords": False,
        "oov": "zero",
        "path": None,
    }


def test_describe_a_file(tmp_path):
    make().save(tmp_path / "v.tlc")
    found = tlclassic.vectors.describe(tmp_path / "v.tlc", verify=True)
    assert (found["format"], found["count"], found["first_words"]) == ("store", 6, WORDS)
    assert found["file_bytes"] == (tmp_path / "v.tlc").stat().st_size
    assert found["path"] == str(tmp_path / "v.tlc")
    (tmp_path / "v.txt").write_text("red 1 2\nblue 3 4\n")
    found = tlclassic.vectors.describe(tmp_path / "v.txt", limit=1)
    assert (found["format"], found["first_words"], found["dim"]) == ("glove", ["red"], 2)
    with pytest.raises(InvalidParameterError, match=r"verify=True checks a store; .* is glove. Convert it first"):
        tlclassic.vectors.describe(tmp_path / "v.txt", verify=True)
