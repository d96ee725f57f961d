"""Static-model folders: equal to model2vec, mapped, and what is refused."""

from __future__ import annotations

import json
import mmap
import pickle
import struct

import numpy as np
import pytest

from tlclassic.errors import CorruptArtifactError, MissingExtraError, RepairWarning, VectorFormatError
from tlclassic.vectors import WordVectors, convert
from tlclassic.vectors.safetensors import read_tensors

TOKENS = ["[PAD]", "[UNK]", "the", "cat", "sat", "##s", "dog", "é"]


def write_safetensors(path, tensors, *, odd=False, codes=None):
    """By the format's page; ``odd`` puts the data at an odd address."""
    header, data = {"__metadata__": {"made": "here"}}, b""
    for name, array in tensors.items():
        code = (codes or {}).get(name) or {"f": "F", "i": "I", "u": "U"}[array.dtype.kind] + str(8 * array.itemsize)
        raw = array.tobytes()
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * ((-len(text)) % 8 + odd)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_folder(folder, tensors, *, tokens=TOKENS, model=None, added=()):
    folder.mkdir(exist_ok=True)
    model = model or {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {token: i for i, token in enumerate(tokens)}}
    content = {"version": "1.0", "added_tokens": list(added), "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def _table(n=8, dim=6, dtype="f4"):
    return (np.random.default_rng(0).standard_normal((n, dim)) * 10).astype(dtype)


TENSORS = {
    "plain": lambda dtype: {"vectors": _table(dtype=dtype)},
    "weights": lambda dtype: {"vectors": _table(dtype=dtype), "weights": np.linspace(0.1, 2, 8, dtype="f4")},
    "mapping and weights": lambda dtype: {
        "vectors": _table(3, dtype=dtype),
        "weights": np.linspace(0.1, 2, 8, dtype="f4"),
        "token_mapping": np.array([0, 1, 2, 0, 1, 2, 0, 1]),
    },
}


def _save_model2vec(folder, tensors):
    model2vec = pytest.importorskip("model2vec")
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.WordPiece({token: i for i, token in enumerate(TOKENS)}, unk_token="[UNK]")
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    model2vec.StaticModel(tokenizer=backend, config={}, **tensors).save_pretrained(folder)
    return model2vec.StaticModel.from_pretrained(folder)


@pytest.mark.parametrize("dtype", ["f4", "f2", "i1"])
@pytest.mark.parametrize("tensors", TENSORS.values(), ids=TENSORS)
def test_equal_to_model2vec(tmp_path, dtype, tensors):
    from tlclassic.text import HuggingFaceTokenizer

    peer = _save_model2vec(tmp_path / "model", tensors(dtype))
    vectors = WordVectors.load(tmp_path / "model")
    assert list(vectors.words) == list(peer.tokens) == TOKENS
    tokenizer = HuggingFaceTokenizer(tmp_path / "model")
    for text in ("the cats sat", "dogs zzz é", "zzz", ""):
        found = tokenizer.lookup([text], vectors.index)
        rows = found.rows[found.rows >= 0]
        mean = vectors.take(rows).mean(axis=0) if len(rows) else np.zeros(6)
        # model2vec adds float16 rows up in float16.
        np.testing.assert_allclose(mean, peer.encode([text])[0], rtol=0, atol=0.01 if dtype == "f2" else 1e-6)


def test_a_table_as_it_is(tmp_path):
    folder = write_folder(tmp_path / "model", {"embeddings": _table()})
    for source in (folder, folder / "model.safetensors"):
        vectors = WordVectors.load(source)
        assert list(vectors.words) == TOKENS
        np.testing.assert_array_equal(vectors.table, _table())
    assert list(WordVectors.load(folder, limit=3).words) == TOKENS[:3]


def test_a_large_table_is_mapped(tmp_path):
    tokens = [f"t{i}" for i in range(3000)]
    folder = write_folder(tmp_path / "model", {"embeddings": _table(3000, 100)}, tokens=tokens)
    base = WordVectors.load(folder).table
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap)


def test_a_table_at_an_odd_address(tmp_path):
    folder = write_folder(tmp_path / "model", {"embeddings": _table()})
    write_safetensors(folder / "model.safetensors", {"embeddings": _table()}, odd=True)
    vectors = WordVectors.load(folder)
    assert vectors.table.flags.aligned
    np.testing.assert_array_equal(vectors.table, _table())


def test_sentence_transformers_layout(tmp_path):
    (tmp_path / "model").mkdir()
    write_folder(tmp_path / "model" / "0_StaticEmbedding", {"embedding.weight": _table()})
    vectors = WordVectors.load(tmp_path / "model", format="static-model")
    np.testing.assert_array_equal(vectors.table, _table())


def test_bfloat16_becomes_float32(tmp_path):
    path = tmp_path / "a.safetensors"
    bits = np.array([[0x3F80, 0xC000]], dtype="<u2")
    write_safetensors(path, {"embeddings": bits}, codes={"embeddings": "BF16"})
    tensor = read_tensors(path, ("embeddings", "absent"))["embeddings"]
    assert tensor.dtype == np.float32
    assert tensor.tolist() == [[1.0, -2.0]]


@pytest.mark.parametrize(
    "model",
    [
        {"type": "Unigram", "unk_id": 1, "vocab": [[token, -1.0] for token in TOKENS[:6]]},
        {"type": "BPE", "merges": [], "vocab": {token: i for i, token in enumerate(TOKENS[:6])}},
        {"type": "WordLevel", "vocab": {token: 5 - i for i, token in enumerate(reversed(TOKENS[:6]))}},
    ],
    ids=lambda model: model["type"],
)
def test_kinds_of_vocabulary(tmp_path, model):
    added = [{"id": 0, "content": "[PAD]"}, {"id": 6, "content": "dog"}, {"id": 7, "content": "é"}]
    folder = write_folder(tmp_path / "model", {"embeddings": _table()}, model=model, added=added)
    vectors = WordVectors.load(folder)
    assert list(vectors.words) == TOKENS
    np.testing.assert_array_equal(vectors["é"], _table()[7])


def test_vectors_without_a_token_are_left_out_with_a_warning(tmp_path):
    folder = write_folder(tmp_path / "model", {"embeddings": _table(10)})
    with pytest.warns(RepairWarning, match="2 of 10 vectors belong to no token"):
        vectors = WordVectors.load(folder)
    assert list(vectors.words) == TOKENS


def test_the_tokenizer_that_belongs_to_it(tmp_path):
    folder = write_folder(tmp_path / "model", {"embeddings": _table()})
    vectors = WordVectors.load(folder)
    assert vectors.tokenizer_json == (folder / "tokenizer.json").read_text(encoding="utf-8")
    others = [vectors.with_oov("mean"), vectors.quantize("int8"), vectors.subset(["cat"]), vectors.normalized()]
    vectors.save(tmp_path / "v.tlc")
    convert(folder, tmp_path / "c.tlc", dtype="float16")
    others += [WordVectors.load(tmp_path / "v.tlc"), WordVectors.load(tmp_path / "c.tlc", limit=3)]
    others += [WordVectors.from_state(*vectors.to_state()), pickle.loads(pickle.dumps(vectors))]
    assert [other.tokenizer_json == vectors.tokenizer_json for other in others] == [True] * 8
    assert others[4].digest == vectors.digest
    plain = WordVectors.from_arrays(list(vectors.words), vectors.table)
    assert plain.tokenizer_json is None
    assert plain.digest != vectors.digest
    metadata, arrays = vectors.to_state()
    with pytest.raises(CorruptArtifactError, match=r"the tokenizer\.json"):
        WordVectors.from_state(metadata, {**arrays, "tokenizer": np.zeros(3, "f4")})


def test_texts_are_split_by_the_models_own_tokeniser(tmp_path):
    model2vec, features = pytest.importorskip("model2vec"), pytest.importorskip("tlclassic.features")
    from tlclassic.pipelines import load, save

    peer = _save_model2vec(tmp_path / "model", TENSORS["mapping and weights"]("f4"))
    assert isinstance(peer, model2vec.StaticModel)
    texts = ["the cats sat", "dogs zzz é", "zzz", "", "The dog dog  [UNK] sat."]
    expected = peer.encode(texts)
    assert np.abs(expected).max() > 1
    WordVectors.load(tmp_path / "model").save(tmp_path / "v.tlc")
    for source in ("model", "v.tlc"):
        vectorizer = features.EmbeddingVectorizer(tmp_path / source).fit(texts)
        np.testing.assert_allclose(vectorizer.transform(texts), expected, rtol=0, atol=1e-5)
    save(vectorizer, tmp_path / "saved.tlc")
    loaded = load(tmp_path / "saved.tlc")
    assert loaded.tokenizer == "auto"
    assert loaded.tokenizer_ == vectorizer.tokenizer_
    np.testing.assert_array_equal(loaded.transform(texts), vectorizer.transform(texts))
    # Once, with the vectors.
    assert (tmp_path / "saved.tlc").read_bytes().count(b"BertPreTokenizer") == 1
    report = features.coverage(texts, vectorizer.vectors_)
    assert (report.n_empty, report.unknown[0]) == (1, ("[UNK]", 7))


def test_the_tokeniser_needs_its_extra(tmp_path, monkeypatch):
    features = pytest.importorskip("tlclassic.features")
    monkeypatch.setattr("tlclassic._compat.is_installed", lambda module: module != "tokenizers")
    folder = write_folder(tmp_path / "model", {"embeddings": _table()})
    with pytest.raises(MissingExtraError, match=r"pip install 'tlclassic\[onnx\]'"):
        features.EmbeddingVectorizer(folder).fit(["the cat"])
    assert features.EmbeddingVectorizer(folder, tokenizer=str.split).fit_transform(["the cat"]).shape == (1, 6)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"other": _table()}, "holds no table 'embeddings'"),
        ({"embeddings": _table()[0]}, "holds no table 'embeddings'"),
        ({"embeddings": np.full((8, 2), np.nan, "f4")}, r"model.safetensors: table must be finite"),
        ({"embeddings": _table(7)}, "8 tokens do not fit a table of 7 vectors"),
        ({"embeddings": _table(3), "mapping": np.arange(8)}, "8 tokens do not fit a table of 3 vectors"),
        ({"embeddings": _table(), "mapping": np.arange(7)}, r"the tensor 'mapping' of shape \(7,\) is not one a token"),
        ({"embeddings": _table(), "weights": _table()[:, 0][:3]}, r"the tensor 'weights' of shape \(3,\)"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, tensors, message):
    folder = write_folder(tmp_path / "model", tensors)
    with pytest.raises(VectorFormatError, match=message):
        WordVectors.load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as a tokenizer.json"),
        ("{}", "cannot be read as a tokenizer.json"),
        ('{"model": {"vocab": 3}}', "cannot be read as a tokenizer.json"),
        ('{"model": {"vocab": {"a": -1}}}', "token 'a' has the number -1"),
        ('{"model": {"vocab": {"a": "b"}}}', "token 'a' has the number 'b'"),
        ('{"model": {"vocab": {}}}', "0 tokens do not fit"),
    ],
)
def test_malformed_tokenizers(tmp_path, content, message):
    folder = write_folder(tmp_path / "model", {"embeddings": _table()})
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(VectorFormatError, match=message):
        WordVectors.load(folder)


def test_missing_files(tmp_path):
    folder = write_folder(tmp_path / "model", {"embeddings": _table()})
    (folder / "tokenizer.json").unlink()
    with pytest.raises(VectorFormatError, match=r"tokenizer.json: is missing: it names the vectors"):
        WordVectors.load(folder, format="static-model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(VectorFormatError, match=r"one .safetensors file was expected; there is none"):
        WordVectors.load(folder, format="static-model")


def _header(text, data=b"\0" * 8):
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole safetensors file"),
        (b"\1\0\0", "not a whole safetensors file"),
        (struct.pack("<Q", 1 << 60) + b"{}", "a header of 1152921504606846976 bytes"),
        (_header(b"{"), "the header is not JSON"),
        (_header(b"\xff"), "the header is not JSON"),
        (_header(b"[]"), "the header is not a JSON object"),
        (_header(b"[" * 100_000), "the header is not JSON"),
        (_header(b'{"a": 3}'), "tensor 'a' is described as 3"),
        (_header(b'{"a": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}'), "tensor 'a' is described as"),
        (_header(b'{"a": {"dtype": [], "shape": [2], "data_offsets": [0, 8]}}'), "tensor 'a' is described as"),
        (_header(b'{"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}'), "tensor 'a' is described as"),
        (_header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 9]}}'), "tensor 'a' is described as"),
        (_header(b'{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}'), "tensor 'a' does not fit"),
        (_header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}'), "tensor 'a' does not fit"),
    ],
)
def test_malformed_safetensors(tmp_path, content, message):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(VectorFormatError, match=message):
        read_tensors(path, ("a",))


def test_written_by_the_reference_implementation(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "a.safetensors"
    numpy_files.save_file({"embeddings": _table(), "mapping": np.arange(5)}, path, metadata={"a": "b"})
    tensors = read_tensors(path, ("embeddings", "mapping"))
    np.testing.assert_array_equal(tensors["embeddings"], _table())
    np.testing.assert_array_equal(tensors["mapping"], np.arange(5))
