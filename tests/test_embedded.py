"""The vectors that tlclassic brings along: there, small, whole, opened without reading, and of use."""

from __future__ import annotations

import doctest
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tlclassic
from tlclassic import Tokenizer, WordVectors, load_vectors
from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.vectors import EMBEDDED, verify
from tlclassic.vectors import embedded as module
from tlclassic.vectors.embedded import embedded_path

CARD = Path(__file__).resolve().parent.parent / "models" / "base-en" / "README.md"


def test_the_packaged_vectors_are_whole_and_small():
    assert EMBEDDED == ("base-en",)
    path = embedded_path("base-en")
    verify(path)
    assert path.stat().st_size <= 8_000_000
    vectors = load_vectors("base-en")
    assert (vectors.table.dtype, vectors.dim, len(vectors) >= 25_000) == (np.int8, 256, True)


def test_the_card_tells_the_digests():
    card = CARD.read_text("utf-8")
    assert re.search(r"`([0-9a-f]{64})` \(contents\)", card).group(1) == load_vectors("base-en").digest
    whole = hashlib.sha256(embedded_path("base-en").read_bytes()).hexdigest()
    assert re.search(r"`([0-9a-f]{64})` \(file\)", card).group(1) == whole


def test_words_are_those_of_the_tokenizer():
    vectors, tokenizer = load_vectors("base-en"), Tokenizer()
    words = list(vectors.words)
    assert [word for word in words if tokenizer.tokenize(word) != [word]] == []
    assert {"the", "n't", "!", "?", "excellent", "refund"} <= set(words)
    assert words.index("the") < 5


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [("excellent", "great", "carpet"), ("bank", "loan", "banana"), ("paris", "france", "engine")],
)
def test_meanings(word, near, far):
    vectors = load_vectors("base-en")

    def cosine(a, b):
        return float(vectors[a] @ vectors[b] / np.linalg.norm(vectors[a]) / np.linalg.norm(vectors[b]))

    assert cosine(word, near) > cosine(word, far) + 0.1


def test_options_and_paths_go_through(tmp_path):
    assert load_vectors("base-en", oov="mean").oov == "mean"
    WordVectors.from_arrays(["a"], np.ones((1, 2), dtype=np.float32)).save(tmp_path / "a.tlc")
    assert load_vectors(tmp_path / "a.tlc").dim == 2
    assert load_vectors(str(tmp_path / "a.tlc")).dim == 2


def test_an_unknown_name():
    with pytest.raises(InvalidParameterError, match=r"packaged vectors \('base-en'\) or a path.*got 'base-de'"):
        load_vectors("base-de")
    with pytest.raises(InvalidParameterError, match="name must be one of 'base-en'; got 'base'"):
        embedded_path("base")
    with pytest.raises((InputError, FileNotFoundError)):
        load_vectors("no/such.txt")


def test_a_package_without_its_models(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_models", lambda: tmp_path)
    with pytest.raises(InputError, match="the installed package lacks this model"):
        load_vectors("base-en")


def test_it_needs_numpy_alone_and_no_network():
    code = (
        "import socket, sys; socket.socket = None; import tlclassic; tlclassic.load_vectors('base-en')['good']; "
        "print([m for m in ('scipy', 'sklearn', 'onnxruntime', 'tokenizers', 'gensim') if m in sys.modules])"
    )
    root = Path(tlclassic.__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_docstring():
    results = doctest.testmod(module)
    assert (results.attempted > 0, results.failed) == (True, 0)


def test_a_model_that_refers_to_base_en_is_opened_in_another_environment(tmp_path, monkeypatch):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    import tlclassic
    from tlclassic.vectors import embedded

    texts, labels = ["good film", "bad film", "great plot", "poor plot"], [1, 0, 1, 0]
    other = tmp_path / "other"
    (other / "base-en").mkdir(parents=True)
    (other / "base-en" / "vectors.tlc").write_bytes(embedded.embedded_path("base-en").read_bytes())
    monkeypatch.setattr(embedded, "_models", lambda: other)
    vectors = tlclassic.load_vectors("base-en")
    model = make_pipeline(tlclassic.EmbeddingVectorizer(vectors), LogisticRegression()).fit(texts, labels)
    tlclassic.save(model, tmp_path / "model.tlc", vectors="refer")
    expected = model.predict_proba(texts)
    assert (tmp_path / "model.tlc").stat().st_size < 50_000
    monkeypatch.undo()
    (other / "base-en" / "vectors.tlc").unlink()
    assert (tlclassic.load(tmp_path / "model.tlc").predict_proba(texts) == expected).all()
