"""Writing GloVe and word2vec files: what is written reads back bit for bit, here and in gensim."""

from __future__ import annotations

import numpy as np
import pytest

from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.vectors import WordVectors, detect_format, rows

LINES = ("glove", "word2vec", "word2vec-binary")
WORDS = ["the", "naïve", "a\xa0b", "a\x85b", "人", "🌀", "1", "BZh9", "nan"]


def random_vectors(words: list[str], dim: int = 6) -> WordVectors:
    rng = np.random.default_rng(11)
    table = rng.normal(size=(len(words), dim)) * 10.0 ** rng.integers(-30, 30, size=(len(words), 1))
    return WordVectors.from_arrays(words, table)


@pytest.mark.parametrize("format", LINES)
def test_round_trip_is_bit_for_bit(tmp_path, format, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_BYTES", 50)
    vectors = random_vectors(WORDS)
    vectors.save(tmp_path / "v", format=format)
    assert detect_format(tmp_path / "v") == format
    again = WordVectors.load(tmp_path / "v")
    assert list(again.words) == WORDS
    assert again.table.tobytes() == vectors.table.tobytes()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("format", LINES)
def test_gensim_reads_the_same(tmp_path, format):
    models = pytest.importorskip("gensim.models")
    vectors = random_vectors(WORDS)
    vectors.save(tmp_path / "v", format=format)
    theirs = models.KeyedVectors.load_word2vec_format(
        str(tmp_path / "v"), no_header=format == "glove", binary=format == "word2vec-binary"
    )
    assert theirs.index_to_key == WORDS
    assert theirs.vectors.tobytes() == vectors.table.tobytes()


def test_the_text_is_short(tmp_path):
    WordVectors.from_arrays(["a", "b"], np.array([[0.418, -1], [1e-7, 0]])).save(tmp_path / "v", format="word2vec")
    assert (tmp_path / "v").read_bytes() == b"2 2\na 0.418 -1.0\nb 1e-07 0.0\n"


@pytest.mark.parametrize("format", LINES)
def test_quantized_tables_are_written_decoded(tmp_path, format):
    vectors = random_vectors(WORDS).quantize("int8")
    vectors.save(tmp_path / "v", format=format)
    assert WordVectors.load(tmp_path / "v").table.tobytes() == vectors.lookup(WORDS).tobytes()


def test_words_with_spaces_fit_glove(tmp_path):
    words = ["the", ". . .", "at name@domain.com", "tab\tin"]
    random_vectors(words).save(tmp_path / "v", format="glove")
    assert list(WordVectors.load(tmp_path / "v").words) == words


@pytest.mark.parametrize(
    ("format", "word", "reason"),
    [
        ("glove", "a\nb", "a line feed or carriage return ends the line"),
        ("glove", "a\r", "a line feed or carriage return ends the line"),
        ("glove", " a", "white space at its ends"),
        ("glove", "iphone 4", "the number at its end"),
        ("glove", "", "an empty word reads back as nothing"),
        ("word2vec", ". .", "white space ends the word"),
        ("word2vec", "a\tb", "white space ends the word"),
        ("word2vec", "", "an empty word"),
        ("word2vec-binary", "a b", "a space ends the word"),
        ("word2vec-binary", "\na", "a space ends the word and a line feed before it"),
        ("word2vec-binary", "", "an empty word"),
    ],
)
def test_words_that_do_not_fit_are_named(tmp_path, format, word, reason):
    vectors = random_vectors(["fine", word, "too"])
    with pytest.raises(InvalidParameterError, match=rf"cannot hold the word .*\(row 1\): {reason}.*format='store'"):
        vectors.save(tmp_path / "v", format=format)
    assert list(tmp_path.iterdir()) == []
    vectors.save(tmp_path / "v.tlc")
    assert WordVectors.load(tmp_path / "v.tlc").words[1] == word


def test_a_byte_order_mark_cannot_come_first(tmp_path):
    with pytest.raises(InvalidParameterError, match="it begins with a byte-order mark"):
        random_vectors(["\ufeffa", "b"]).save(tmp_path / "v", format="glove")
    random_vectors(["b", "\ufeffa"]).save(tmp_path / "v", format="glove")
    assert WordVectors.load(tmp_path / "v").words[1] == "\ufeffa"


def test_empty_tables(tmp_path):
    empty = WordVectors.from_arrays([], np.zeros((0, 4), dtype=np.float32))
    for format in ("word2vec", "word2vec-binary", "store"):
        empty.save(tmp_path / "v", format=format)
        assert WordVectors.load(tmp_path / "v").shape == (0, 4)
    with pytest.raises(InvalidParameterError, match="cannot hold a table without words"):
        empty.save(tmp_path / "v", format="glove")


def test_one_dimension(tmp_path):
    vectors = WordVectors.from_arrays(["7", "8"], np.array([[1.0], [2.0]]))
    for format in (*LINES, "store"):
        vectors.save(tmp_path / "v", format=format)
        assert WordVectors.load(tmp_path / "v").digest == vectors.digest


def test_formats_and_paths_are_checked(tmp_path):
    vectors = random_vectors(WORDS)
    with pytest.raises(InvalidParameterError, match="format must be one of 'store', 'glove'"):
        vectors.save(tmp_path / "v", format="fasttext")
    with pytest.raises(InputError, match=r"the folder .* does not exist"):
        vectors.save(tmp_path / "none" / "v", format="glove")


def test_writing_over_the_source_is_atomic(tmp_path):
    path = tmp_path / "v"
    random_vectors(WORDS).save(path)
    opened = WordVectors.load(path)
    opened.save(path, format="glove")
    assert WordVectors.load(path).table.tobytes() == opened.table.tobytes()
    assert [file.name for file in tmp_path.iterdir()] == ["v"]
