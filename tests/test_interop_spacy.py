"""spaCy's vectors: shared, read from and written to its folders, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tlclassic.errors import InputError, InvalidParameterError, RepairWarning, VectorFormatError
from tlclassic.vectors import WordVectors

spacy = pytest.importorskip("spacy")
Vectors, Vocab = spacy.vectors.Vectors, spacy.vocab.Vocab

# NOUN is a symbol with a fixed number in spaCy, and not hashed.
WORDS = ["red", "blue", "NOUN", "naïve", "日本語", "two words", "don't"]


@pytest.fixture
def vectors():
    table = np.random.default_rng(0).standard_normal((len(WORDS), 5)).astype("f4")
    return WordVectors.from_arrays(WORDS, table)


def test_the_table_is_shared_both_ways(vectors):
    vocab = vectors.to_spacy()
    assert isinstance(vocab, Vocab)
    assert np.shares_memory(vocab.vectors.data, vectors.table)
    for word in WORDS:
        np.testing.assert_array_equal(vocab[word].vector, vectors[word])
    assert vocab["unknown"].vector.tolist() == [0] * 5
    again = WordVectors.from_spacy(vocab)
    assert np.shares_memory(again.table, vectors.table)
    assert list(again.words) == WORDS
    assert again.digest == vectors.digest


def test_into_a_pipeline_and_out_of_it(vectors):
    nlp = spacy.blank("en")
    assert vectors.to_spacy(nlp) is nlp.vocab
    assert vectors.to_spacy(nlp.vocab) is nlp.vocab
    np.testing.assert_allclose(nlp("red blue").vector, vectors.lookup(["red", "blue"]).mean(axis=0), atol=1e-6)
    for source in (nlp, nlp.vocab, nlp.vocab.vectors):
        assert WordVectors.from_spacy(source).digest == vectors.digest


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_other_dtypes_are_decoded(vectors, dtype):
    small = vectors.quantize(dtype)
    vocab = small.to_spacy()
    assert vocab.vectors.data.dtype == np.float32
    np.testing.assert_array_equal(vocab["blue"].vector, small["blue"])


def test_words_that_share_a_row_get_one_each():
    vocab = Vocab()
    keys = [vocab.strings.add(word) for word in ("a", "b", "c")]
    vocab.vectors = Vectors(strings=vocab.strings, data=np.arange(8, dtype="f4").reshape(4, 2))
    for key, row in zip(keys, (2, 0, 2), strict=True):
        vocab.vectors.add(key, row=row)
    vectors = WordVectors.from_spacy(vocab)
    assert list(vectors.words) == ["b", "a", "c"]
    assert vectors.table.tolist() == [[0, 1], [4, 5], [4, 5]]


def test_keys_without_a_string_are_left_out_with_a_warning():
    data = np.arange(4, dtype="f4").reshape(2, 2)
    vectors = Vectors(data=data, keys=[7_000_000_000_000_000_001, 7_000_000_000_000_000_002])
    key = vectors.strings.add("known")
    vectors.add(key, row=1)
    with pytest.warns(RepairWarning, match="2 of 3 keys have no string in the string store and were left out"):
        result = WordVectors.from_spacy(vectors)
    assert list(result.words) == ["known"]


def test_a_pipeline_folder_that_spacy_opens(tmp_path, vectors):
    path = tmp_path / "spacy"
    vectors.save(path, format="spacy")
    assert [file.name for file in tmp_path.iterdir()] == ["spacy"]
    nlp = spacy.load(path)
    for word in WORDS:
        np.testing.assert_array_equal(nlp.vocab[word].vector, vectors[word])
    np.testing.assert_array_equal(Vocab().from_disk(path / "vocab")["blue"].vector, vectors["blue"])
    np.testing.assert_array_equal(Vectors().from_disk(path / "vocab")["blue"], vectors["blue"])
    for folder in (path, path / "vocab", path / "vocab" / "vectors"):
        again = WordVectors.load(folder)
        assert list(again.words) == WORDS
        assert again.digest == vectors.digest
    assert list(WordVectors.load(path, limit=2).words) == WORDS[:2]


def test_a_vectors_folder_of_spacys_own(tmp_path, vectors):
    vectors.to_spacy().vectors.to_disk(tmp_path / "vectors-folder")
    assert WordVectors.load(tmp_path / "vectors-folder").digest == vectors.digest


def test_a_folder_is_replaced_only_if_it_was_written_so(tmp_path, vectors):
    path = tmp_path / "spacy"
    vectors.save(path, format="spacy")
    WordVectors.from_arrays(["only"], np.ones((1, 2), "f4")).save(path, format="spacy")
    assert list(WordVectors.load(path).words) == ["only"]
    (tmp_path / "other").mkdir()
    vectors.save(tmp_path / "other", format="spacy")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("all of it")
    for name in ("precious", "precious/thesis.txt"):
        with pytest.raises(InputError, match="this exists and is no such folder"):
            vectors.save(tmp_path / name, format="spacy")
    with pytest.raises(InputError, match="the folder that should hold it does not exist"):
        vectors.save(tmp_path / "no" / "where", format="spacy")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "all of it"
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_a_failure_leaves_the_old_folder(tmp_path, vectors, monkeypatch):
    from tlclassic.vectors import interop

    path = tmp_path / "spacy"
    vectors.save(path, format="spacy")
    calls = []

    def rename(old, new):
        calls.append(old)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        old.replace(new)

    monkeypatch.setattr(interop.os, "rename", rename)
    with pytest.raises(InputError, match="cannot be written"):
        vectors.save(path, format="spacy")
    assert WordVectors.load(path).digest == vectors.digest
    assert [file.name for file in tmp_path.iterdir()] == ["spacy"]


@pytest.fixture
def folder(tmp_path, vectors):
    vectors.save(tmp_path / "spacy", format="spacy")
    return tmp_path / "spacy" / "vocab"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vectors", b"\x93NUMPY broken", "cannot be read as a NumPy array"),
        ("vectors", None, None),
        ("key2row", b"\xc1", "cannot be read as MessagePack"),
        ("key2row", b"\x80", "does not map hashes to rows"),
        ("key2row", b"\x81\xa1a\x01", "does not map hashes to rows"),
        ("key2row", b"\x81\x01\x7f", "row 127 of a table of 7 rows"),
        ("strings.json", b"{", "cannot be read as JSON"),
        ("strings.json", b"{}", "is not a JSON list of strings"),
        ("strings.json", None, "is missing"),
        ("vectors.cfg", b"[]", "is not a JSON object"),
        ("vectors.cfg", json.dumps({"mode": "floret"}).encode(), "floret vectors, which .* have no table of words"),
    ],
)
def test_damaged_folders(folder, file, content, message):
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(VectorFormatError, match=message):
        WordVectors.load(folder, format="spacy")


def test_a_table_that_is_not_finite(folder):
    np.save(folder / "vectors.npy", np.full((len(WORDS), 2), np.nan, dtype="f4"))
    (folder / "vectors.npy").replace(folder / "vectors")
    with pytest.raises(VectorFormatError, match="vocab: table must be finite"):
        WordVectors.load(folder)


def test_a_pickled_table_is_not_opened(folder):
    np.save(folder / "vectors.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (folder / "vectors.npy").replace(folder / "vectors")
    with pytest.raises(VectorFormatError, match="cannot be read as a NumPy array"):
        WordVectors.load(folder, format="spacy")


def test_floret_vectors_are_refused():
    floret = Vectors(data=np.ones((4, 2), "f4"), mode="floret", minn=2, maxn=3)
    with pytest.raises(InvalidParameterError, match=r"floret vectors.*get_batch"):
        WordVectors.from_spacy(floret)


def test_what_is_refused():
    with pytest.raises(InvalidParameterError, match="must be a spaCy pipeline, Vocab or Vectors; got int"):
        WordVectors.from_spacy(3)
    with pytest.raises(InvalidParameterError, match="the spaCy object holds no vectors"):
        WordVectors.from_spacy(spacy.blank("en"))
    with pytest.raises(InvalidParameterError, match="must be a spaCy pipeline or Vocab; got int"):
        WordVectors.from_arrays(["a"], np.ones((1, 2), "f4")).to_spacy(3)
