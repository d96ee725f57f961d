"""The real vector files, beside gensim's reading of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tlclassic.vectors import WordVectors, convert, detect_format, verify

SHARED = Path(__file__).resolve().parents[2] / "shared"
FILES = {
    "glove_6b_50d/glove.6B.50d.8k.txt.gz": ("glove", 8392, 50),
    "glove_6b_100d/glove.6B.100d.top2k7.txt.gz": ("glove", 2722, 100),
    "glove_twitter_25d/glove.twitter.27B.25d.14k.txt.gz": ("glove", 13895, 25),
    "minilm_static_128d/minilm-static.40k.128d.txt.gz": (None, 40000, 128),
    "word2vec_googlenews_300d/GoogleNews-vectors-negative300.13k.bin.gz": ("word2vec-binary", 13598, 300),
    "emoji2vec_300d/emoji2vec.bin": ("word2vec-binary", 1661, 300),
    "fasttext_wiki_en_fr_300d/wiki.en.75x.vec.gz": ("word2vec", 756, 300),
    "word2vec_wiki_es_en_50d/word2vec.es.txt.gz": ("word2vec", 4774, 50),
    "word2vec_wiki_it_en_50d/word2vec.it.txt.gz": ("word2vec", 8490, 50),
}

pytestmark = [
    pytest.mark.data,
    # gensim opens a file without a header twice and closes it once.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path


@pytest.mark.parametrize("name", FILES)
def test_equal_to_gensim(tmp_path, name):
    models = pytest.importorskip("gensim.models")
    path = shared(f"vectors/{name}")
    format, count, dim = FILES[name]
    ours = WordVectors.load(path)
    found = detect_format(path)
    assert found == (format or found)
    theirs = models.KeyedVectors.load_word2vec_format(
        str(path), no_header=found == "glove", binary=found == "word2vec-binary"
    )
    assert ours.shape == theirs.vectors.shape == (count, dim)
    assert list(ours.words) == theirs.index_to_key
    assert ours.lookup(theirs.index_to_key) == pytest.approx(theirs.vectors, abs=1e-6)
    assert ours.table.tobytes() == theirs.vectors.tobytes()
    convert(path, tmp_path / "v.tlc", dtype="int8")
    verify(tmp_path / "v.tlc")
    stored = WordVectors.load(tmp_path / "v.tlc")
    steps = np.abs(ours.table).max(axis=1, keepdims=True) / 254 * 1.0001
    assert (np.abs(stored.lookup(list(ours.words)) - ours.table) <= steps).all()


@pytest.mark.parametrize("name", ["EN-WS-353-ALL", "EN-SIMLEX-999", "EN-MEN-TR-3k", "EN-RW-STANFORD"])
def test_word_similarity_is_gensims(name):
    models = pytest.importorskip("gensim.models")
    path, pairs = shared("vectors/glove_6b_50d/glove.6B.50d.8k.txt.gz"), shared(f"data/wordsim/{name}.tsv")
    ours = WordVectors.load(path).evaluate_similarity(pairs)
    theirs = models.KeyedVectors.load_word2vec_format(str(path), no_header=True).evaluate_word_pairs(str(pairs))
    assert ours.spearman == pytest.approx(float(theirs[1][0]), abs=1e-9)
    assert ours.pearson == pytest.approx(float(theirs[0][0]), abs=1e-6)
    assert ours.unknown_share * 100 == pytest.approx(theirs[2])
