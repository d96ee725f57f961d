"""Reading vector files: the format told by content, and a defined answer for every odd corner."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlclassic.errors import (
    ArtifactError,
    InputError,
    InvalidParameterError,
    RepairWarning,
    UnsafeFormatError,
    VectorFormatError,
)
from tlclassic.vectors import WordVectors, convert, detect_format, streaming
from tlclassic.vectors.source import open_source

GLOVE = b"red 1 0 0.5\nblue 0 1 -0.5\n"
EXPECTED = [[1, 0, 0.5], [0, 1, -0.5]]


def write(tmp_path: Path, data: bytes, name: str = "vectors.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def binary(words: list[bytes], rows: list[list[float]], *, gap: bytes = b"", count: int | None = None) -> bytes:
    header = f"{len(words) if count is None else count} {len(rows[0])}\n".encode()
    return header + b"".join(w + b" " + struct.pack(f"<{len(r)}f", *r) + gap for w, r in zip(words, rows, strict=True))


BINARY = binary([b"red", b"blue"], EXPECTED)


def check(vectors: WordVectors, words: list[str], rows: list[list[float]]) -> None:
    assert list(vectors.words) == words
    assert vectors.table.tolist() == rows
    assert vectors.rows(words).tolist() == list(range(len(words)))


# -- format and packing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (GLOVE, "glove"),
        (b"2 3\n" + GLOVE, "word2vec"),
        (b"2 3\r\n" + GLOVE.replace(b"\n", b" \r\n"), "word2vec"),
        (b"\xef\xbb\xbf2 3\n" + GLOVE, "word2vec"),
        (BINARY, "word2vec-binary"),
        (binary([b"a"], [[0.5]]), "word2vec-binary"),
        (binary([b"\xe4\xba\xba"], [[0.5, 2.0]], gap=b"\n"), "word2vec-binary"),
        (b"1 4\nat name@domain.com 0.25 1 2 3\n", "word2vec"),
        (b"0 50\n", "word2vec"),
        # A header or the word "7"? The next line decides.
        (b"7 1\n8 2\n", "word2vec"),
        (b"7 3\n8 2\n", "glove"),
        (b"7 0.5\n", "glove"),
        ((793712314).to_bytes(4, "little") + bytes(60), "fasttext"),
        (pickle.dumps({"a": 1}), "gensim"),
    ],
)
def test_the_format_is_told_by_content(tmp_path, data, format):
    assert detect_format(write(tmp_path, data, "misleading.bin")) == format


def test_the_format_of_folders_and_their_files(tmp_path):
    static, spacy = tmp_path / "static", tmp_path / "spacy"
    (spacy / "vocab").mkdir(parents=True)
    static.mkdir()
    (static / "tokenizer.json").write_text("{}")
    (static / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    (spacy / "vocab" / "vectors").write_bytes(b"\x93NUMPY")
    (spacy / "vocab" / "key2row").write_bytes(b"\x80")
    assert detect_format(static) == "static-model"
    assert detect_format(static / "model.safetensors") == "static-model"
    assert detect_format(spacy) == "spacy"
    assert detect_format(spacy / "vocab") == "spacy"
    assert detect_format(spacy / "vocab" / "vectors") == "spacy"
    with pytest.raises(VectorFormatError, match="the folder holds no known vectors"):
        detect_format(tmp_path)


def zipped(tmp_path: Path, members: dict[str, bytes]) -> Path:
    path = tmp_path / "packed"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("data", [GLOVE, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_packing_is_told_by_content(tmp_path, pack, data):
    check(WordVectors.load(write(tmp_path, pack(data), "plain.txt")), ["red", "blue"], EXPECTED)


def test_zip_members(tmp_path):
    path = zipped(tmp_path, {"a/": b"", "a/one.txt": GLOVE, "two.bin": BINARY, "__MACOSX/one.txt": b"x"})
    check(WordVectors.load(path, member="two.bin"), ["red", "blue"], EXPECTED)
    with pytest.raises(
        VectorFormatError, match=r"holds 2 files: 'a/one.txt', 'two.bin'. Name one of them with member="
    ):
        WordVectors.load(path)
    with pytest.raises(VectorFormatError, match=r"got member='three'"):
        WordVectors.load(path, member="three")
    check(WordVectors.load(zipped(tmp_path, {"only.txt": GLOVE})), ["red", "blue"], EXPECTED)
    with pytest.raises(VectorFormatError, match="the zip archive holds no file"):
        WordVectors.load(zipped(tmp_path, {}))
    with pytest.raises(InvalidParameterError, match="is not one"):
        WordVectors.load(write(tmp_path, GLOVE), member="one.txt")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_data_cut_short(tmp_path, pack):
    rng = np.random.default_rng(0)
    data = b"".join(b"w%d %f %f\n" % (i, *rng.normal(size=2)) for i in range(2000))
    packed = pack(data)
    with pytest.raises(VectorFormatError, match=r"data are damaged or cut short .*Fetch the file again"):
        WordVectors.load(write(tmp_path, packed[: len(packed) * 2 // 3]))


def test_damaged_zip(tmp_path):
    path = zipped(tmp_path, {"one.txt": GLOVE})
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(VectorFormatError, match="a damaged zip archive"):
        WordVectors.load(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\n \n\t\n", "the file holds no words"),
        (b"\xef\xbb\xbf", "the file holds no words"),
        (b"\xff\xfer\x00", "the text is UTF-16"),
        (b"\x00\x01\x02", r"no known vector format \(it begins with b'\\x00\\x01\\x02'\)"),
        (b"<!DOCTYPE html>\n<html>\n", r":1: no numbers in the first line; it begins '<!DOCTYPE html>"),
        (b"1 999999999\na 1 2\n", r":1: a header 'number-of-words dimensions' was expected; got '1 999999999'"),
        (b"2 0\na 1 2\n", r":1: a header 'number-of-words dimensions' was expected; got '2 0'"),
        (b"a 1 2\nb\nc\n", r":2: 2 numbers expected \(as in most of the first lines\), 0 found"),
        (b"1 2 3\n", None),
    ],
)
def test_what_is_no_vector_file(tmp_path, data, message):
    path = write(tmp_path, data)
    if message is None:
        check(WordVectors.load(path), ["1"], [[2, 3]])
        return
    with pytest.raises(VectorFormatError, match=message) as caught:
        WordVectors.load(path)
    assert str(path) in str(caught.value)


def test_a_tar_archive_is_named(tmp_path):
    with pytest.raises(VectorFormatError, match="this is a tar archive"):
        WordVectors.load(write(tmp_path, b"name".ljust(257, b"\0") + b"ustar" + bytes(300)))


def test_wrong_paths(tmp_path):
    with pytest.raises(VectorFormatError, match=r"nowhere.txt: cannot be read \(No such file or directory\)"):
        WordVectors.load(tmp_path / "nowhere.txt")
    with pytest.raises(VectorFormatError, match="the folder holds no known vectors"):
        WordVectors.load(tmp_path)


def test_a_pickle_is_refused_without_trust(tmp_path):
    path = write(tmp_path, pickle.dumps({"a": 1}))
    with pytest.raises(UnsafeFormatError, match=r"opening a pickle runs whatever code.*trust=True"):
        WordVectors.load(path)
    with pytest.raises(UnsafeFormatError, match="trust=True"):
        convert(path, tmp_path / "out.tlc")


def test_parameters_are_checked(tmp_path):
    path = write(tmp_path, GLOVE)
    with pytest.raises(InvalidParameterError, match="format must be one of 'store', 'glove'"):
        WordVectors.load(path, format="word3vec")
    with pytest.raises(InvalidParameterError, match="limit must be at least 1; got 0"):
        WordVectors.load(path, limit=0)
    with pytest.raises(InvalidParameterError, match="oov must be one of"):
        WordVectors.load(path, oov="random")
    with pytest.raises(InvalidParameterError, match="oov='subword' needs vectors with sub-words"):
        WordVectors.load(path, oov="subword")
    with pytest.raises(InvalidParameterError, match="oov='subword' needs vectors with sub-words"):
        convert(path, tmp_path / "out.tlc", oov="subword")


def test_a_format_can_be_forced(tmp_path):
    path = write(tmp_path, b"7 1\n8 2\n")
    check(WordVectors.load(path, format="glove"), ["7", "8"], [[1], [2]])
    with pytest.raises(VectorFormatError, match=r":1: a header 'number-of-words dimensions' was expected; got 'red 1"):
        WordVectors.load(write(tmp_path, GLOVE), format="word2vec")


# -- odd corners of text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        GLOVE[:-1],
        GLOVE.replace(b"\n", b"\r\n"),
        GLOVE.replace(b"\n", b" \n"),
        GLOVE.replace(b" ", b"\t"),
        GLOVE.replace(b" ", b"   "),
        b"2 3\n" + GLOVE,
        b"2\t3 \r\n" + GLOVE,
        b"red 1. 0e5 +.5\nblue 0 1.0E0 -5e-1\n",
    ],
)
def test_spellings_of_the_same_file(tmp_path, data):
    check(WordVectors.load(write(tmp_path, data)), ["red", "blue"], EXPECTED)


def test_words_with_spaces_and_unusual_line_ends(tmp_path):
    words = [". . .", "at name@domain.com", "a\x85b", "a\xa0b", "a\u2028b", "a\x0bb", "my nan"]
    path = write(tmp_path, "".join(f"{word} 1 2\n" for word in ["the", *words]).encode())
    check(WordVectors.load(path), ["the", *words], [[1, 2]] * 8)


def test_duplicate_words_keep_the_first(tmp_path):
    path = write(tmp_path, b"a 1\nb 2\na 3\nb 4\nc 5\n")
    with pytest.warns(RepairWarning, match=r"2 duplicate words were left out.*for example 'a'"):
        check(WordVectors.load(path), ["a", "b", "c"], [[1], [2], [5]])


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("kind", ["text", "binary"])
def test_a_wrong_count_in_the_header_is_repaired(tmp_path, kind, count):
    data = b"%d 3\n" % count + GLOVE if kind == "text" else binary([b"red", b"blue"], EXPECTED, count=count)
    with pytest.warns(RepairWarning, match=f"promises {count} words; the file holds 2, and all were read"):
        check(WordVectors.load(write(tmp_path, data)), ["red", "blue"], EXPECTED)


@pytest.mark.parametrize(("dim", "found"), [(2, 3), (4, 3)])
def test_wrong_dimensions_in_the_header_are_an_error(tmp_path, dim, found):
    data = b"2 %d\n" % dim + GLOVE
    with pytest.raises(
        VectorFormatError, match=rf"txt:2: {dim} numbers expected \(the header says so\), {found} found"
    ):
        WordVectors.load(write(tmp_path, data))


@pytest.mark.parametrize(
    ("line", "found"), [(b"bad 1 2", 2), (b"bad 1 2 3 4", 4), (b"1 2 3", 2), (b"bad", 0), (b"b a d 1 2 3 4 5", 5)]
)
def test_a_wrong_dimension_names_the_line(tmp_path, line, found):
    path = write(tmp_path, GLOVE + line + b"\n" + b"green 1 2 3\n")
    with pytest.raises(VectorFormatError, match=rf"txt:3: 3 numbers expected .*, {found} found. Correct or delete"):
        WordVectors.load(path)


@pytest.mark.parametrize("number", [b"0x1", b"1e", b"dead", b"1,5", b"1_0", b"\xff"])
def test_a_malformed_number_names_the_line(tmp_path, number):
    path = write(tmp_path, GLOVE + b"bad 1 " + number + b" 3\nlast 1 2 3\n")
    with pytest.raises(VectorFormatError, match=r"txt:3: number 2 of 3 is malformed: '"):
        WordVectors.load(path)


@pytest.mark.parametrize("number", [b"nan", b"-inf", b"1e39"])
def test_a_number_that_is_not_finite_names_the_line(tmp_path, number):
    path = write(tmp_path, GLOVE + b"bad 1 " + number + b" 3\n")
    with pytest.raises(VectorFormatError, match=rf"txt:3: number 2 is not finite: '{number.decode()}'"):
        WordVectors.load(path)


@pytest.mark.parametrize("rest", [b"green 1 2", b"green", b"green 1 2 -", b"green 1 2e 3"])
def test_a_last_line_cut_short_is_an_error_with_the_remedy(tmp_path, rest):
    path = write(tmp_path, GLOVE + rest)
    with pytest.raises(VectorFormatError, match=r"txt:3: the last line ends too soon.*with limit=2"):
        WordVectors.load(path)
    check(WordVectors.load(path, limit=2), ["red", "blue"], EXPECTED)


def test_lines_are_counted_through_blank_lines_and_headers(tmp_path):
    path = write(tmp_path, b"3 3\n\nred 1 0 0.5\n \nblue 0 1\nlast 1 2 3\n")
    with pytest.raises(VectorFormatError, match=r"txt:5: 3 numbers expected"):
        WordVectors.load(path)


def test_blank_lines_are_skipped_and_counted(tmp_path):
    with pytest.warns(RepairWarning, match="3 blank lines were skipped"):
        check(WordVectors.load(write(tmp_path, b"\n" + GLOVE + b" \n\r\n")), ["red", "blue"], EXPECTED)


@pytest.mark.parametrize("header", [b"", b"2 3\n"])
def test_a_byte_order_mark_is_removed(tmp_path, header):
    with pytest.warns(RepairWarning, match="1 byte-order mark was removed"):
        check(WordVectors.load(write(tmp_path, b"\xef\xbb\xbf" + header + GLOVE)), ["red", "blue"], EXPECTED)


def test_invalid_utf8_becomes_replacement_characters(tmp_path):
    path = write(tmp_path, b"ok 1\nsch\xf6n 2\n\xff\xff 3\n\xc3\xbc 4\n")
    with pytest.warns(RepairWarning, match=r"2 words were not valid UTF-8.*for example 'sch\ufffdn'"):
        check(WordVectors.load(path), ["ok", "sch\ufffdn", "\ufffd\ufffd", "ü"], [[1], [2], [3], [4]])


def test_words_that_become_equal_by_repair_are_duplicates(tmp_path):
    with pytest.warns(RepairWarning) as caught:
        check(WordVectors.load(write(tmp_path, b"\xff 1\n\xfe 2\n")), ["\ufffd"], [[1]])
    assert sorted(str(w.message).partition(": ")[2][:11] for w in caught) == ["1 duplicate", "2 words wer"]


def test_the_empty_word_and_zero_vectors_are_kept(tmp_path):
    vectors = WordVectors.load(write(tmp_path, b"a 1 2\n 3 4\nnull 0 0\n"))
    check(vectors, ["a", "", "null"], [[1, 2], [3, 4], [0, 0]])
    assert vectors.describe()["zero_vectors"] == 1


def test_one_dimension_and_one_word(tmp_path):
    check(WordVectors.load(write(tmp_path, b"7 0.5\n8 0.25\n")), ["7", "8"], [[0.5], [0.25]])
    check(WordVectors.load(write(tmp_path, b"only 1 2")), ["only"], [[1, 2]])


def test_header_only(tmp_path):
    vectors = WordVectors.load(write(tmp_path, b"0 50\n"))
    assert vectors.shape == (0, 50)
    assert vectors.lookup(["x"]).tolist() == [[0.0] * 50]
    with pytest.raises(VectorFormatError, match=r"promises 10 words and none follows. The file is cut short"):
        WordVectors.load(write(tmp_path, b"10 50\n"))


def test_limit_counts_entries_and_silences_the_header(tmp_path):
    path = write(tmp_path, b"9 3\n" + GLOVE)
    check(WordVectors.load(path, limit=1), ["red"], EXPECTED[:1])
    check(WordVectors.load(write(tmp_path, BINARY), limit=1), ["red"], EXPECTED[:1])


def test_a_line_without_end_is_no_vector_file(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "MAX_LINE", 1 << 10)
    monkeypatch.setattr(streaming, "READ_BYTES", 1 << 9)
    with pytest.raises(VectorFormatError, match="a line of more than 64 MiB"):
        WordVectors.load(write(tmp_path, b"a 1\n" + b"b" * 5000))


@pytest.mark.parametrize("size", [7, 64, 1000])
def test_small_reads_give_the_same(tmp_path, monkeypatch, size):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(200, 5)).astype(np.float32)
    vectors = WordVectors.from_arrays([f"wörd{i}" for i in range(200)], rows)
    monkeypatch.setattr(streaming, "READ_BYTES", size)
    monkeypatch.setattr(streaming, "ROWS_BYTES", size)
    for format in ("glove", "word2vec", "word2vec-binary"):
        vectors.save(tmp_path / "v", format=format)
        check(WordVectors.load(tmp_path / "v"), list(vectors.words), rows.tolist())


# -- odd corners of binary ---------------------------------------------------------------------------------------------


def test_binary_line_feeds(tmp_path):
    data = binary([b"red", b"blue"], EXPECTED, gap=b"\n")
    check(WordVectors.load(write(tmp_path, data)), ["red", "blue"], EXPECTED)


def test_binary_invalid_utf8_and_duplicates(tmp_path):
    path = write(tmp_path, binary([b"a\xff", b"b", b"b"], [[0.1, 0.2], [1, 2], [3, 4]]))
    with pytest.warns(RepairWarning) as caught:
        check(WordVectors.load(path), ["a\ufffd", "b"], np.float32([[0.1, 0.2], [1, 2]]).tolist())
    assert len(caught) == 2


@pytest.mark.parametrize("cut", [1, 5, 12, 15])
def test_binary_cut_short_names_the_word(tmp_path, cut):
    with pytest.raises(VectorFormatError, match=r"word 2: the last word or its numbers end too soon.*limit=1"):
        WordVectors.load(write(tmp_path, BINARY[:-cut]))


def test_binary_not_finite_names_the_word(tmp_path):
    data = binary([b"red", b"bad"], [[0.1, 0.2], [1, float("inf")]])
    with pytest.raises(VectorFormatError, match=r"word 2: 'bad' has a number that is not finite"):
        WordVectors.load(write(tmp_path, data))


def test_source_streams_from_the_beginning_each_time(tmp_path):
    source = open_source(write(tmp_path, gzip.compress(GLOVE)))
    assert source.head(3) == source.head(3) == b"red"


TEXT_PIECES = [b"a", b" ", b"\n", b"1", b"0.5", b"-", b"\r\n", b"2 2\n", b"w 1 2\n", b"\t", b"e5", b"\xef\xbb\xbf"]
MAGIC_PIECES = [b"PK\x03\x04", b"\x1f\x8b", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"\x89TLC", b"\x80\x04"]
PIECES = st.sampled_from([*TEXT_PIECES, *MAGIC_PIECES, b"\xff", b"\x00", struct.pack("<2f", 1.5, -2)])


@pytest.mark.filterwarnings("ignore::tlclassic.errors.RepairWarning")
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=12))
def test_any_bytes_are_read_or_refused(tmp_path, pieces):
    path = write(tmp_path, b"".join(pieces))
    with contextlib.suppress(InputError, ArtifactError, UnsafeFormatError):
        vectors = WordVectors.load(path)
        assert np.isfinite(vectors.table).all()
        assert vectors.rows(list(vectors.words)).tolist() == list(range(len(vectors)))


# -- against gensim ----------------------------------------------------------------------------------------------------


# gensim opens a file without a header twice and closes it once.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("format", ["glove", "word2vec", "word2vec-binary"])
def test_equal_to_gensim(tmp_path, format):
    models = pytest.importorskip("gensim.models")
    rng = np.random.default_rng(3)
    words = [f"w{i}é" for i in range(300)]
    path = tmp_path / "v"
    if format == "word2vec-binary":
        path.write_bytes(binary([w.encode() for w in words], rng.normal(size=(300, 7)).tolist(), gap=b"\n"))
    else:
        header = "" if format == "glove" else "300 7\n"
        rows = (rng.normal(size=(300, 7)) * 10.0 ** rng.integers(-6, 4, size=(300, 1))).tolist()
        lines = (" ".join([word, *map(repr, row)]) for word, row in zip(words, rows, strict=True))
        path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    theirs = models.KeyedVectors.load_word2vec_format(
        str(path), no_header=format == "glove", binary=format == "word2vec-binary"
    )
    ours = WordVectors.load(path)
    assert detect_format(path) == format
    assert list(ours.words) == theirs.index_to_key
    assert ours.table.tobytes() == theirs.vectors.tobytes()
