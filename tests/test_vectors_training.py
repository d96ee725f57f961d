"""Training word vectors: what is learnt, kept and frozen, and what is refused."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from tlclassic.errors import DataFormatError, InvalidParameterError
from tlclassic.vectors import WordVectors
from tlclassic.vectors.corpus import TokenFile, read_lines
from tlclassic.vectors.training import train_vectors

pytest.importorskip("gensim", reason="training is gensim's")

SMALL = {"dim": 10, "min_count": 1, "workers": 1, "epochs": 2, "bucket": 300}
WORDS = [f"w{i}" for i in range(40)]


def _texts(seed=0, extra=()):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS[:15], k=6) + rng.choices([*WORDS, *extra], k=4)) for _ in range(200)]


@pytest.fixture(params=[("word2vec", True), ("word2vec", False), ("fasttext", True), ("fasttext", False)], ids=str)
def options(request):
    return SMALL | {"algorithm": request.param[0], "sg": request.param[1]}


def test_words_that_share_contexts_come_close():
    pairs = [("red", "blue"), ("cat", "dog"), ("run", "walk")]
    contexts = [f"{topic}{i}" for topic in "abc" for i in range(6)]
    rng = random.Random(1)
    texts = []
    for _ in range(3000):
        topic = rng.randrange(3)
        texts.append(" ".join([rng.choice(pairs[topic]), *rng.choices(contexts[6 * topic : 6 * topic + 6], k=4)]))
    vectors = train_vectors(texts, dim=20, workers=1, epochs=3)
    for one, other in pairs:
        names = [word for word, _ in vectors.most_similar(one, topn=20) if word in {w for p in pairs for w in p}]
        assert names[0] == other


def test_counts_order_and_policy(options):
    texts = _texts()
    vectors = train_vectors(texts, **options)
    expected = {word: sum(text.split().count(word) for text in texts) for word in WORDS}
    assert dict(zip(vectors.words, vectors.counts.tolist(), strict=True)) == expected
    assert (np.diff(vectors.counts) <= 0).all()
    assert vectors.dtype == np.float32
    assert len(np.unique(vectors.table, axis=0)) == len(WORDS)
    assert vectors.oov == ("subword" if options["algorithm"] == "fasttext" else "zero")


def test_the_same_seed_gives_the_same_vectors(options):
    first = train_vectors(_texts(), seed=5, **options)
    assert train_vectors(iter(_texts()), seed=5, **options).digest == first.digest
    assert train_vectors(_texts(), seed=6, **options).digest != first.digest


@pytest.mark.slow
def test_the_same_whatever_the_hash_seed():
    code = (
        "from tlclassic.vectors.training import train_vectors\n"
        "texts = ['one two three four', 'two three five'] * 20\n"
        "print(train_vectors(texts, algorithm='fasttext', dim=5, workers=1, epochs=1, bucket=50, seed=1).digest)"
    )
    run = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert len(run[0]) > 60
    assert run[0] == run[1]


def test_equal_to_gensim_called_by_hand():
    from gensim.models import Word2Vec

    texts = _texts()
    model = Word2Vec(vector_size=10, window=5, min_count=1, sg=1, epochs=2, workers=1, seed=3, sorted_vocab=0)
    counts = {}
    for word in " ".join(texts).split():
        counts[word] = counts.get(word, 0) + 1
    counts = dict(sorted(counts.items(), key=lambda item: -item[1]))
    model.build_vocab_from_freq(counts, corpus_count=len(texts))
    model.train([text.split() for text in texts], total_examples=len(texts), epochs=2)
    vectors = train_vectors(texts, tokenizer=str.split, seed=3, **SMALL)
    assert list(vectors.words) == model.wv.index_to_key
    np.testing.assert_array_equal(vectors.table, model.wv.vectors)


def test_subwords_of_a_trained_model():
    vectors = train_vectors(_texts(), algorithm="fasttext", min_n=2, max_n=3, **SMALL)
    assert (vectors.subwords.min_n, vectors.subwords.max_n, vectors.subwords.bucket) == (2, 3, 300)
    assert np.abs(vectors["w1234"]).max() > 0
    # A known word is the mean of its own row and its n-grams; gensim's own formula gives the same table again.
    keyed = vectors.to_gensim()
    keyed.recalc_char_ngram_buckets()
    keyed.adjust_vectors()
    np.testing.assert_allclose(keyed.vectors, vectors.table, rtol=0, atol=1e-6)


def test_continued_training_moves_known_words_and_adds_new_ones(options):
    start = train_vectors(_texts(), **options)
    gone = "w39"
    texts = [text.replace(gone, "new").replace("w38", "newer") for text in _texts(1)]
    vectors = train_vectors(texts, init=start, **options | {"dim": None})
    assert set(vectors.words) == {*WORDS, "new", "newer"}
    # After the words of the corpus, as in `start`.
    assert list(vectors.words[-2:]) == [word for word in start.words if word in ("w38", "w39")]
    common = WORDS[:38]
    changed = np.abs(vectors.lookup(common) - start.lookup(common)).max(axis=1)
    assert (changed > 0).all()
    if options["algorithm"] == "word2vec":
        np.testing.assert_array_equal(vectors.lookup(["w38", gone]), start.lookup(["w38", gone]))
    counted = {word: sum(text.split().count(word) for text in [*_texts(), *texts]) for word in vectors.words}
    assert vectors.counts.tolist() == list(counted.values())


def test_frozen_vectors_stay_bit_for_bit(options):
    start = train_vectors(_texts(), **options)
    texts = _texts(1, extra=("new", "newer"))
    vectors = train_vectors(texts, init=start, freeze=True, seed=2, **options | {"dim": None})
    np.testing.assert_array_equal(vectors.lookup(WORDS), start.lookup(WORDS))
    longer = train_vectors(texts, init=start, freeze=True, seed=2, **options | {"dim": None, "epochs": 3})
    assert (vectors.lookup(["new", "newer"]) != longer.lookup(["new", "newer"])).any(axis=1).all()
    np.testing.assert_array_equal(longer.lookup(WORDS), start.lookup(WORDS))
    if start.subwords is not None:
        np.testing.assert_array_equal(vectors.subwords.table, start.subwords.table)


def test_gensim_itself_keeps_locked_rows(options, monkeypatch):
    # The result's frozen rows are written again after the training; this looks at what gensim left.
    from tlclassic.vectors import training

    start = train_vectors(_texts(), **options)
    models, before = [], {}
    original = training._finish

    def finish(model, *rest):
        models.append(model)
        return original(model, *rest)

    def start_from(model, *rest):
        training_start(model, *rest)
        before.update({name: getattr(model.wv, name).copy() for name in names})

    training_start = training._start_from
    names = ("vectors_vocab", "vectors_ngrams") if start.subwords is not None else ("vectors",)
    monkeypatch.setattr(training, "_finish", finish)
    monkeypatch.setattr(training, "_start_from", start_from)
    train_vectors(_texts(1, extra=("new",)), init=start, freeze=True, **options | {"dim": None})
    keyed = models[0].wv
    free = np.array([word == "new" for word in keyed.index_to_key])
    changed = (getattr(keyed, names[0]) != before[names[0]]).any(axis=1)
    np.testing.assert_array_equal(changed, free)
    if len(names) == 2:
        np.testing.assert_array_equal(keyed.vectors_ngrams, before["vectors_ngrams"])


def test_unfrozen_fasttext_words_outside_the_corpus_follow_their_n_grams():
    start = train_vectors(_texts(), algorithm="fasttext", **SMALL)
    texts = [text.replace("w39", "w38") for text in _texts(1)]
    vectors = train_vectors(texts, algorithm="fasttext", init=start, **SMALL)
    keyed = vectors.to_gensim()
    own = start.to_gensim().vectors_vocab[start.rows(["w39"])[0]]
    np.testing.assert_allclose(keyed.vectors_vocab[vectors.rows(["w39"])[0]], own, rtol=0, atol=1e-5)


def test_words_of_init_are_trained_below_min_count_too():
    start = WordVectors.from_arrays(["rare", "absent"], np.ones((2, 4), "f4"))
    vectors = train_vectors(["rare often often often"] * 3, init=start, min_count=4, epochs=2, workers=1)
    assert list(vectors.words) == ["often", "rare", "absent"]
    assert vectors.counts.tolist() == [9, 3, 0]
    np.testing.assert_array_equal(vectors["absent"], [1, 1, 1, 1])


def test_init_may_be_a_path_and_quantised(tmp_path):
    start = train_vectors(_texts(), **SMALL).quantize("int8")
    start.save(tmp_path / "start.tlc")
    vectors = train_vectors(_texts(1), init=tmp_path / "start.tlc", freeze=True, min_count=1, workers=1, epochs=1)
    np.testing.assert_array_equal(vectors.lookup(WORDS), start.lookup(WORDS))


def test_a_corpus_without_words_leaves_init_as_it_is():
    start = WordVectors.from_arrays(["a"], np.ones((1, 4), "f4"))
    assert train_vectors(["", "..."], init=start) is start


@pytest.mark.parametrize("pack", [None, gzip.compress])
def test_a_corpus_in_a_file(tmp_path, pack):
    data = ("\r\n".join(_texts()) + "\r\n\r\nlast").encode()
    path = tmp_path / "corpus.txt"
    path.write_bytes(pack(data) if pack else data)
    vectors = train_vectors(path, **SMALL)
    assert vectors.digest == train_vectors([*_texts(), "last"], **SMALL).digest


def test_long_texts_are_not_cut():
    with TokenFile() as tokens:
        tokens.fill(["a " * 25_000 + "b"], None, None)
        assert tokens.counts == {"a": 25_000, "b": 1}
        assert [len(piece) for piece in tokens] == [10_000, 10_000, 5001]


def test_odd_tokens():
    with TokenFile() as tokens:
        tokens.fill(["x"], lambda text: ["two words", "", " ", "line\nend", "unit\x1fsep", "a\u2028b"], None)
        tokens.fill(["lone \ud800 surrogate", ""], str.split, None)
        assert list(tokens) == [["two words", "line end", "unit sep", "a\u2028b"], ["lone", "\ufffd", "surrogate"]]
        assert tokens.n_pieces == 2


def test_progress():
    calls = []
    train_vectors(_texts() * 12, on_progress=lambda done, total: calls.append((done, total)), **SMALL)
    assert calls == [(1000, None), (2000, None), (1000, 4800), (2000, 4800), (3000, 4800), (4000, 4800), (4800, 4800)]


@pytest.mark.parametrize("stage", ["reading", "training"])
def test_an_error_in_the_progress_callback_ends_the_training(stage):
    def report(done, total):
        if (total is None) == (stage == "reading"):
            raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        train_vectors(_texts() * 12, on_progress=report, **SMALL)


def test_an_error_in_the_corpus_is_raised():
    def texts():
        yield from _texts()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        train_vectors(texts(), **SMALL)


def test_a_line_that_is_not_utf8(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(DataFormatError, match=r"latin.txt:2: not valid UTF-8"):
        list(read_lines(path))


_START = WordVectors.from_arrays(["a"], np.ones((1, 4), "f4"))


@pytest.mark.parametrize(
    ("corpus", "options", "message"),
    [
        (["a b"], {}, "no word of the corpus occurs 5 times .2 different words were read.. Lower min_count"),
        ([], {"min_count": 1}, "no word of the corpus occurs 1 times .0 different"),
        (["a", 3], {"min_count": 1}, r"corpus\[1\] must be a string; got 3"),
        (5, {}, "corpus must be a path or an iterable of texts; got int"),
        (["a"], {"algorithm": "glove"}, "algorithm must be one of 'word2vec', 'fasttext'; got 'glove'"),
        (["a"], {"dim": 0}, "dim must be at least 1; got 0"),
        (["a"], {"window": 0}, "window must be at least 1"),
        (["a"], {"epochs": 0}, "epochs must be at least 1"),
        (["a"], {"negative": 0}, "negative must be at least 1"),
        (["a"], {"workers": 0}, "workers must be at least 1"),
        (["a"], {"algorithm": "fasttext", "min_n": 4, "max_n": 3}, "max_n must be at least 4; got 3"),
        (["a"], {"freeze": True}, "freeze=True needs init"),
        (["a"], {"init": 3}, "init must be WordVectors or a path; got int"),
        (["a"], {"init": _START, "dim": 5}, "dim must be that of init, 4, or left out; got 5"),
        (["a"], {"init": _START, "algorithm": "fasttext"}, "algorithm='fasttext' needs init to have sub-words"),
    ],
)
def test_refuses(corpus, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        train_vectors(corpus, **options)
