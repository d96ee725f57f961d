"""fastText's binary models: against gensim, against fastText itself, and what is refused."""

from __future__ import annotations

import gzip
import io
import mmap
import struct
import warnings

import numpy as np
import pytest

from tlclassic.errors import InputError, InvalidParameterError, RepairWarning, VectorFormatError
from tlclassic.vectors import WordVectors, convert, fasttext_bin, fasttext_matrix

WORDS = ["</s>", "the", "naïve", "日本語", "a", "😀", "don't", "ébène"]
UNSEEN = ["unseen", "thee", "日本", "x", "étés", "", "😀😀", "two words"]


def _dense(matrix):
    return struct.pack("<2q", *matrix.shape) + matrix.astype("<f4").tobytes()


def _quantizer(rng, dim, width):
    n_parts = -(-dim // width)
    last = dim - width * (n_parts - 1)
    return struct.pack("<4i", dim, n_parts, width, last) + rng.standard_normal(dim * 256).astype("<f4").tobytes()


def _quantised(rng, n_rows, dim, width, norms):
    n_parts = -(-dim // width)
    data = struct.pack("<?qqi", norms, n_rows, dim, n_rows * n_parts)
    data += rng.integers(0, 256, n_rows * n_parts, dtype=np.uint8).tobytes() + _quantizer(rng, dim, width)
    if norms:
        data += rng.integers(0, 256, n_rows, dtype=np.uint8).tobytes() + _quantizer(rng, 1, 1)
    return data


def model_bytes(
    words=WORDS,
    labels=(),
    *,
    dim=5,
    bucket=40,
    min_n=2,
    max_n=4,
    version=12,
    kind=2,
    pruned=None,
    width=None,
    norms=False,
):
    """A fastText model of random numbers; ``pruned`` maps buckets to rows, ``width`` asks for quantisation."""
    rng = np.random.default_rng(7)
    data = struct.pack("<2i", 793712314, version)
    data += struct.pack("<12id", dim, 5, 1, 1, 5, 1, 2, kind, bucket, min_n, max_n, 100, 1e-4)
    entries = [(word, 0) for word in words] + [(label, 1) for label in labels]
    data += struct.pack("<3i2q", len(entries), len(words), len(labels), 1000, -1 if pruned is None else len(pruned))
    for i, (word, entry) in enumerate(entries):
        raw = word if isinstance(word, bytes) else word.encode()
        data += raw + b"\0" + struct.pack("<qb", 100 - i, entry)
    for pair in (pruned or {}).items():
        data += struct.pack("<2i", *pair)
    n_rows = len(words) + (bucket if pruned is None else len(pruned))
    data += struct.pack("?", width is not None)
    data += _dense(rng.standard_normal((n_rows, dim))) if width is None else _quantised(rng, n_rows, dim, width, norms)
    return (
        data
        + struct.pack("?", False)
        + _dense(rng.standard_normal((max(1, len(labels)) if kind == 3 else len(words), dim)))
    )


PRUNED = {3: 1, 17: 0, 21: 3, 39: 2}
MODELS = {
    "skip-gram": {},
    "cbow": {"kind": 1, "min_n": 1, "max_n": 2},
    "from length 0": {"min_n": 0, "max_n": 3},
    "no n-grams": {"min_n": 0, "max_n": 0, "bucket": 0},
    "min above max": {"min_n": 4, "max_n": 3},
    "supervised": {"kind": 3, "labels": ["__label__a", "__label__b"]},
    "supervised without n-grams, with word n-grams": {"kind": 3, "labels": ["__label__a"], "min_n": 0, "max_n": 0},
    "supervised, format 11": {"kind": 3, "labels": ["__label__a"], "version": 11},
    "quantised": {"kind": 3, "labels": ["__label__a"], "width": 2},
    "quantised, norms": {"kind": 3, "labels": ["__label__a"], "width": 2, "norms": True},
    "quantised, pruned": {"kind": 3, "labels": ["__label__a"], "width": 3, "norms": True, "pruned": PRUNED},
    "quantised, all n-grams pruned": {"kind": 3, "labels": ["__label__a"], "width": 1, "pruned": {}},
}


@pytest.fixture(params=["memory", "mapped"])
def storage(request, monkeypatch):
    if request.param == "mapped":
        monkeypatch.setattr(fasttext_matrix, "IN_MEMORY", 0)


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_equal_to_fasttext(tmp_path, options, storage):
    fasttext = pytest.importorskip("fasttext")
    path = tmp_path / "model.bin"
    path.write_bytes(model_bytes(**options))
    model = fasttext.load_model(str(path))
    for source in (path, io.BytesIO(path.read_bytes())):
        vectors = fasttext_bin.read(source)
        assert list(vectors.words) == model.get_words() == WORDS
        assert vectors.counts.tolist() == model.get_words(include_freq=True)[1].tolist()
        for words in (WORDS, UNSEEN):
            expected = np.array([model.get_word_vector(word) for word in words])
            np.testing.assert_allclose(vectors.lookup(words), expected, rtol=0, atol=1e-6)
    loaded = WordVectors.load(path)
    if loaded.subwords is not None:
        np.testing.assert_allclose(loaded["unseenword"], model.get_word_vector("unseenword"), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "oov"),
    [({}, "subword"), ({"min_n": 0, "max_n": 0, "bucket": 0}, "zero"), ({"kind": 3, "version": 11}, "zero")],
)
def test_policy_follows_the_model(options, oov):
    vectors = fasttext_bin.read(io.BytesIO(model_bytes(**options)))
    assert vectors.oov == oov
    assert (vectors.subwords is not None) == (oov == "subword")
    if oov == "zero":
        with pytest.raises(InvalidParameterError, match="oov='subword' needs vectors with sub-words"):
            fasttext_bin.read(io.BytesIO(model_bytes(**options)), oov="subword")


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2**-11), ("int8", 1 / 254)])
def test_a_smaller_dtype_holds_for_the_sub_words_too(tmp_path, dtype, tolerance):
    (tmp_path / "a.bin").write_bytes(model_bytes())
    exact = WordVectors.load(tmp_path / "a.bin")
    convert(tmp_path / "a.bin", tmp_path / "a.tlc", dtype=dtype)
    stored, quantised = WordVectors.load(tmp_path / "a.tlc"), exact.quantize(dtype)
    assert stored.digest == quantised.digest
    assert stored.table.dtype == stored.subwords.table.dtype == dtype
    allowed = tolerance * max(np.abs(exact.table).max(), np.abs(exact.subwords.table).max()) * 1.001
    np.testing.assert_allclose(stored.lookup([*WORDS, *UNSEEN]), exact.lookup([*WORDS, *UNSEEN]), rtol=0, atol=allowed)
    assert np.abs(stored["unseen"]).max() > 10 * allowed
    convert(tmp_path / "a.tlc", tmp_path / "b.tlc")
    assert WordVectors.load(tmp_path / "b.tlc").digest == stored.digest
    assert exact.quantize("float32").subwords is exact.subwords


@pytest.mark.parametrize("oov", [None, "zero", "mean"])
def test_converted_and_cached_with_the_policy_of_the_model(tmp_path, oov):
    (tmp_path / "a.bin").write_bytes(model_bytes())
    convert(tmp_path / "a.bin", tmp_path / "a.tlc", oov=oov)
    expected = fasttext_bin.read(tmp_path / "a.bin")
    assert WordVectors.load(tmp_path / "a.tlc").oov == (oov or "subword")
    for _ in range(2):
        cached = WordVectors.load(tmp_path / "a.bin", cache=tmp_path / "cache", oov=oov)
        assert cached.oov == (oov or "subword")
    np.testing.assert_array_equal(cached.lookup(UNSEEN, oov="subword"), expected.lookup(UNSEEN))


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_the_same_from_path_stream_and_gzip(tmp_path, options, monkeypatch):
    data = model_bytes(**options)
    (tmp_path / "model.bin").write_bytes(data)
    expected = fasttext_bin.read(io.BytesIO(data))
    for limit in (0, 1 << 28):
        monkeypatch.setattr(fasttext_matrix, "IN_MEMORY", limit)
        with gzip.open(io.BytesIO(gzip.compress(data))) as packed:
            for source in (tmp_path / "model.bin", io.BytesIO(data), packed):
                vectors = fasttext_bin.read(source)
                assert vectors.digest == expected.digest
                np.testing.assert_array_equal(vectors.lookup(UNSEEN), expected.lookup(UNSEEN))


@pytest.mark.parametrize(("dim", "min_n", "max_n", "bucket", "sg"), [(10, 3, 6, 1000, 1), (7, 1, 2, 50, 0)])
def test_equal_to_gensim(tmp_path, dim, min_n, max_n, bucket, sg, storage):
    gensim = pytest.importorskip("gensim.models.fasttext")
    texts = [["the", "quick", "naïve", "日本語", "a", f"n{i % 30}"] for i in range(100)]
    options = {"vector_size": dim, "min_n": min_n, "max_n": max_n, "bucket": bucket, "sg": sg}
    model = gensim.FastText(texts, min_count=1, epochs=1, seed=1, workers=1, **options)
    path = tmp_path / "model.bin"
    gensim.save_facebook_model(model, str(path))
    expected = gensim.load_facebook_vectors(str(path))
    vectors = fasttext_bin.read(path)
    assert list(vectors.words) == expected.index_to_key
    assert vectors.counts.tolist() == [expected.get_vecattr(word, "count") for word in expected.index_to_key]
    np.testing.assert_allclose(vectors.table, expected.vectors, rtol=0, atol=1e-6)
    unseen = [word for word in UNSEEN if word]
    np.testing.assert_allclose(vectors.lookup(unseen), [expected[word] for word in unseen], rtol=0, atol=1e-6)
    np.testing.assert_allclose(WordVectors.load(path)["unseenword"], expected["unseenword"], rtol=0, atol=1e-6)


def test_large_matrices_are_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(fasttext_matrix, "IN_MEMORY", 0)
    path = tmp_path / "model.bin"
    path.write_bytes(model_bytes())
    for source in (path, io.BytesIO(path.read_bytes())):
        vectors = fasttext_bin.read(source)
        for base in (vectors.table, vectors.subwords.table):
            while isinstance(base, np.ndarray):
                base = base.base
            assert isinstance(base, mmap.mmap)


def test_limit_keeps_the_first_words_and_all_n_grams(tmp_path, storage):
    path = tmp_path / "model.bin"
    path.write_bytes(model_bytes())
    whole = fasttext_bin.read(path)
    for source in (path, io.BytesIO(path.read_bytes())):
        first = fasttext_bin.read(source, limit=3)
        assert list(first.words) == WORDS[:3]
        np.testing.assert_array_equal(first.table, whole.table[:3])
        np.testing.assert_array_equal(first.lookup(["unseen"]), whole.lookup(["unseen"]))


def test_words_that_are_not_utf8_are_escaped_with_a_warning():
    data = model_bytes(words=["ok", b"caf\xe9", b"\xff\xfe"])
    with pytest.warns(RepairWarning, match=r"2 words are not valid UTF-8.*'caf\\\\xe9'"):
        vectors = fasttext_bin.read(io.BytesIO(data), name="some.bin")
    assert list(vectors.words) == ["ok", "caf\\xe9", "\\xff\\xfe"]


def test_opened_by_content_plain_and_packed(tmp_path):
    data = model_bytes()
    (tmp_path / "a.vec").write_bytes(data)
    (tmp_path / "b").write_bytes(gzip.compress(data))
    expected = fasttext_bin.read(io.BytesIO(data))
    for name in ("a.vec", "b"):
        vectors = WordVectors.load(tmp_path / name)
        assert vectors.digest == expected.digest
        np.testing.assert_array_equal(vectors["unseen"], expected["unseen"])


def test_kept_in_a_store(tmp_path):
    vectors = fasttext_bin.read(io.BytesIO(model_bytes(width=3, norms=True, pruned=PRUNED)))
    vectors.save(tmp_path / "vectors.tlc")
    again = WordVectors.load(tmp_path / "vectors.tlc")
    assert again.digest == vectors.digest
    assert again.oov == "subword"
    np.testing.assert_array_equal(again.lookup(UNSEEN), vectors.lookup(UNSEEN))


def test_a_warning_is_not_given_for_valid_words():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fasttext_bin.read(io.BytesIO(model_bytes()))


@pytest.mark.parametrize("width", [None, 2])
def test_truncated_anywhere(tmp_path, width, storage):
    # The output matrix is not read: the input matrix is the last thing that has to be whole.
    data = model_bytes(width=width, norms=True, kind=3, labels=["__label__a"])
    end = len(data) - 1 - 16 - 4 * 5
    path = tmp_path / "cut.bin"
    for size in [*range(0, 300, 7), *range(300, end, 41), end - 1]:
        for source in (path, io.BytesIO(data[:size])):
            path.write_bytes(data[:size])
            with pytest.raises(VectorFormatError, match="not a whole fastText model: it ends in"):
                fasttext_bin.read(source)
    fasttext_bin.read(io.BytesIO(data[:end]))


def _patched(offset, layout, value, **options):
    data = bytearray(model_bytes(**options))
    struct.pack_into("<" + layout, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"2 3\nred 1 2 3\n", "not a fastText model: it begins with b'2 3"),
        (_patched(4, "i", 13), "format is number 13; formats up to 12 are known"),
        (_patched(8, "i", 0), "dim=0"),
        (_patched(8, "i", 6), "input matrix is 48 x 5, but the model has 8 words of 6 dimensions"),
        (_patched(40, "i", -1), "bucket=-1"),
        (_patched(40, "i", 41), "table must have 41 rows, one a bucket; got 40"),
        (_patched(64, "i", 7), "a dictionary of 7 entries, 8 words and 0 labels"),
        (_patched(64, "i", 2**31 - 1), "a dictionary of 2147483647 entries"),
        (_patched(105, "b", 5), "entry 0 of the dictionary is of type 5"),
        (model_bytes(width=2, pruned={3: 9}), "pruned must hold ascending buckets, and rows in 0 to 0"),
        (model_bytes(words=[b"x" * (1 << 20) * 3]), "a word of the dictionary has no end within 1048576 bytes"),
    ],
)
def test_malformed(data, message):
    with pytest.raises(VectorFormatError, match=message):
        fasttext_bin.read(io.BytesIO(data), name="some.bin")


def test_a_bucket_that_is_not_finite_is_refused():
    data = bytearray(model_bytes())
    end = len(data) - 1 - 16 - 4 * 5 * len(WORDS)
    struct.pack_into("<f", data, end - 4 * 5, float("nan"))
    with pytest.raises(VectorFormatError, match="the row of bucket 39 is not finite"):
        fasttext_bin.read(io.BytesIO(bytes(data)))


def test_a_word_that_is_not_finite_is_refused():
    data = bytearray(model_bytes(min_n=0, max_n=0, bucket=0))
    struct.pack_into("<f", data, len(data) - 1 - 2 * (16 + 4 * 5 * len(WORDS)) + 16, float("inf"))
    with pytest.raises(VectorFormatError, match=r"some\.bin: table must be finite in float32; row 0, the word '</s>'"):
        fasttext_bin.read(io.BytesIO(bytes(data)), name="some.bin")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        fasttext_bin.read(tmp_path / "nothing.bin")


def test_a_full_disk_is_an_error_with_a_remedy(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fasttext_matrix, "IN_MEMORY", 0)
    monkeypatch.setattr(fasttext_matrix.os, "posix_fallocate", full)
    with pytest.raises(InputError, match=r"cannot be written to .* Set TMPDIR"):
        fasttext_matrix.allocate((3, 4))
