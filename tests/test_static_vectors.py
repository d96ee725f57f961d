"""Static vectors from an encoder: what the regression finds, what is refused, and going on after a stop."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import numpy as np
import pytest

from tlclassic import WordVectors
from tlclassic.distillation import StaticOptions, static_vectors
from tlclassic.distillation.regression import MeanRegression, mean_matrix, principal_axes
from tlclassic.distillation.sentence_vectors import SentenceVectors
from tlclassic.distillation.vocabulary import corpus_words, encoder_pieces, read_tokenizer_json, whole_words
from tlclassic.errors import InputError, InvalidParameterError

WORDS = [f"{a}{b}" for a in "bcdfghklmn" for b in ("an", "od", "it", "ur")]
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [{"id": 0, "content": "[UNK]", "special": True, "single_word": False, "lstrip": False,
                      "rstrip": False, "normalized": False}],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": None, "decoder": None, "truncation": None, "padding": None,
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100,
              "vocab": {"[UNK]": 0, "[unused0]": 1, "good": 2, "film": 3, "##s": 4, "!": 5, ",": 6, "bad": 7}},
}  # fmt: skip


class SumEncoder:
    """An encoder whose vectors really are means of word vectors, which the regression has to find."""

    def __init__(self, words=WORDS, dim=6, scale=1.0, seed=0):
        rows = np.random.default_rng(seed).normal(size=(len(words), dim)) * scale
        self.rows = dict(zip(words, rows, strict=True))
        self.calls = 0

    def transform(self, texts):
        self.calls += 1
        return np.array([np.mean([self.rows[w] for w in text.split()] or [[0.0] * 6], axis=0) for text in texts])


def make_corpus(n=600, seed=1, words=WORDS):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(words, size=random.integers(2, 9))) for _ in range(n)]


def cosines(table):
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    return unit @ unit.T


def test_mean_matrix_leaves_unknown_words_out():
    rows, indptr = np.array([2, 0, 0, -1, -1], dtype=np.int32), np.array([0, 4, 5], dtype=np.int64)
    means = mean_matrix(rows, indptr, 3).toarray()
    assert means == pytest.approx(np.array([[2 / 3, 0, 1 / 3], [0, 0, 0]]))


def test_the_regression_is_the_ridge_solution():
    random = np.random.default_rng(0)
    rows = random.integers(0, 5, size=60).astype(np.int32)
    indptr = np.arange(0, 61, 3).astype(np.int64)
    targets = random.normal(size=(20, 2))
    start = random.normal(size=(5, 2)).astype(np.float32)
    regression = MeanRegression(5, 2)
    regression.add(rows[:30], indptr[:11], targets[:10])
    regression.add(rows[30:], indptr[10:] - 30, targets[10:])
    found = regression.solve(start, np.eye(2), ridge=0.3, iterations=50)
    counts = mean_matrix(rows, indptr, 5).toarray().astype(np.float64)
    centred = targets - targets.mean(axis=0)
    wanted = np.linalg.solve(counts.T @ counts + 0.3 * np.eye(5), counts.T @ centred + 0.3 * start)
    assert found == pytest.approx(wanted, abs=1e-4)
    assert regression.covariance == pytest.approx(np.cov(targets.T, bias=True), abs=1e-5)
    residual = ((counts @ wanted - centred) ** 2).sum() / (centred**2).sum()
    assert regression.explained(found, np.eye(2)) == pytest.approx(1 - residual, abs=1e-4)


def test_no_steps_leave_the_start():
    regression = MeanRegression(2, 1)
    regression.add(np.array([0, 1], dtype=np.int32), np.array([0, 1, 2]), np.array([[1.0], [3.0]]))
    start = np.array([[5.0], [7.0]], dtype=np.float32)
    assert regression.solve(start, np.eye(1), ridge=0.1, iterations=0).tolist() == [[5.0], [7.0]]


def test_texts_without_words_are_left_out():
    regression = MeanRegression(2, 1)
    regression.add(np.array([-1, 1], dtype=np.int32), np.array([0, 1, 1, 2]), np.array([[1.0], [2.0], [4.0]]))
    assert (regression.n_texts, regression.mean.tolist()) == (1, [4.0])


def test_principal_axes_have_one_sign():
    assert principal_axes(np.diag([1.0, 3.0, 2.0]), 2).tolist() == [[0, 0], [1, 0], [0, 1]]


def test_the_mean_of_the_vectors_predicts_the_encoder():
    encoder, corpus = SumEncoder(), make_corpus()
    options = StaticOptions(dim=6, ridge=1e-4, iterations=60, floor=0.0)
    vectors = static_vectors(encoder, corpus, options=options)
    assert set(vectors.words) == set(WORDS)
    assert vectors.dim == 6
    table = np.array([vectors[word] for word in WORDS])
    true = np.array([encoder.rows[word] for word in WORDS])
    means = np.array(encoder.transform(corpus)).mean(axis=0)
    assert cosines(table) == pytest.approx(cosines(true - means), abs=0.02)


def test_counts_and_order_are_those_of_the_corpus():
    vectors = static_vectors(SumEncoder(["a1", "b2"]), ["a1 b2 b2", "b2"], options=StaticOptions(dim=2))
    assert list(vectors.words) == ["b2"]  # a1 occurs once
    assert vectors.counts.tolist() == [3]


def test_fewer_dimensions_than_asked_are_filled_with_zeros_or_fewer():
    vectors = static_vectors(SumEncoder(), make_corpus(), options=StaticOptions(dim=4, size=10))
    assert (len(vectors), vectors.dim) == (10, 4)
    assert np.isfinite(vectors.table).all()


def test_layers_side_by_side_are_weighted():
    class Two(SumEncoder):
        def transform(self, texts):
            found = super().transform(texts)
            return np.hstack([1000 * found, found[:, ::-1]])

    vectors = static_vectors(Two(), make_corpus(), options=StaticOptions(dim=6, blocks=(1.0, 0.5)))
    assert vectors.dim == 6
    with pytest.raises(InvalidParameterError, match="blocks must be as many as the layers side by side; got 5 for 12"):
        static_vectors(Two(), make_corpus(), options=StaticOptions(dim=6, blocks=(1.0,) * 5))


def test_other_vectors_beside():
    other = WordVectors.from_arrays(WORDS[1:], np.random.default_rng(3).normal(size=(len(WORDS) - 1, 3)))
    plain = static_vectors(SumEncoder(), make_corpus(), options=StaticOptions(dim=9))
    joined = static_vectors(SumEncoder(), make_corpus(), options=StaticOptions(dim=9), beside=other)
    assert np.linalg.matrix_rank(np.asarray(plain.table)[:, :], tol=1e-3) == 6
    assert np.linalg.matrix_rank(np.asarray(joined.table), tol=1e-3) == 9


def test_runs_agree():
    one, two = (static_vectors(SumEncoder(), make_corpus(), options=StaticOptions(dim=4)) for _ in range(2))
    assert one.digest == two.digest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "dim must be"),
        ({"size": 1.5}, "size must be"),
        ({"vocabulary": "letters"}, "vocabulary must be"),
        ({"ridge": -1}, "ridge must be"),
        ({"floor": 2}, "floor must be"),
        ({"blocks": ()}, "blocks must be positive weights"),
        ({"blocks": (1, -1)}, "blocks must be positive weights"),
    ],
)
def test_options_outside_their_domain(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        StaticOptions(**options)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ([], "corpus must hold words"),
        (["", " "], "corpus must hold words"),
        ("a text", "got a single string"),
        ((text for text in ["a"]), "got a generator"),
    ],
)
def test_a_corpus_that_is_none(corpus, message):
    with pytest.raises(InvalidParameterError, match=message):
        static_vectors(SumEncoder(), corpus)


def test_tokens_need_their_tokenizer():
    with pytest.raises(InvalidParameterError, match="needs tokenizer_json"):
        static_vectors(SumEncoder(), make_corpus(), options=StaticOptions(vocabulary="tokens"))


# -- vocabulary --------------------------------------------------------------------------------------------------------


def test_general_words_go_before_rare_ones_of_the_corpus():
    corpus = ["xa xa xa xb xb xc"] * 2
    vocabulary, n = corpus_words(corpus, 3, extra=["film", "xc"], bonus=5)
    assert (list(vocabulary.words), list(vocabulary.counts), n) == (["xa", "xc", "film"], [6, 2, 0], 2)


def test_words_of_a_subword_tokenizer():
    text = json.dumps(TOKENIZER)
    assert whole_words(text) == ["good", "film", "!", "bad"]
    vocabulary, n = encoder_pieces(text, ["Bad films!", "bad"])
    assert (list(vocabulary.words)[:4], n) == (["bad", "film", "##s", "!"], 2)
    assert list(vocabulary.texts)[:3] == ["bad", "film", "s"]
    assert "[unused0]" not in vocabulary.words


def test_tokens_come_with_their_tokenizer():
    encoder = SumEncoder(["good", "film", "s", "!", ",", "bad", "films!"], scale=1)
    corpus = ["good film !", "bad film", "bad good ,", "good good bad"] * 5
    options = StaticOptions(dim=3, vocabulary="tokens", iterations=3)
    vectors = static_vectors(encoder, corpus, tokenizer_json=json.dumps(TOKENIZER), options=options)
    assert json.loads(vectors.tokenizer_json) == TOKENIZER
    assert set(vectors.words) == {"good", "film", "##s", "!", ",", "bad"}


def test_a_tokenizer_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r"not a tokenizer\.json"):
        whole_words('{"model": 1}')
    with pytest.raises(InputError, match=r"there is no tokenizer\.json"):
        read_tokenizer_json(tmp_path)


# -- the work folder ---------------------------------------------------------------------------------------------------


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("tlclassic.distillation.sentence_vectors.BATCH", 100)
    corpus = make_corpus(350)
    whole = static_vectors(SumEncoder(), corpus, options=StaticOptions(dim=4))

    class Killed(SumEncoder):
        def transform(self, texts):
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().transform(texts)

    with pytest.raises(KeyboardInterrupt):
        static_vectors(Killed(), corpus, options=StaticOptions(dim=4), work=tmp_path)
    assert json.loads((tmp_path / "teacher.json").read_text())["texts"] == 200
    encoder = SumEncoder()
    again = static_vectors(encoder, corpus, options=StaticOptions(dim=4), work=tmp_path)
    assert encoder.calls == 3  # the words, and two batches
    assert again.digest == whole.digest


def test_a_work_folder_of_other_texts(tmp_path, monkeypatch):
    monkeypatch.setattr("tlclassic.distillation.sentence_vectors.BATCH", 100)
    list(SentenceVectors(SumEncoder(), tmp_path).batches(make_corpus(200), 200))
    with pytest.raises(InputError, match="holds the vectors of other texts"):
        list(SentenceVectors(SumEncoder(), tmp_path).batches(make_corpus(200, seed=9), 200))
    with pytest.raises(InputError, match="holds the vectors of other texts"):
        list(SentenceVectors(SumEncoder(), tmp_path).batches(make_corpus(200)[:150], 150))
    (tmp_path / "teacher.f16").write_bytes(b"")
    with pytest.raises(InputError, match="lacks vectors"):
        list(SentenceVectors(SumEncoder(), tmp_path).batches(make_corpus(200), 200))
    (tmp_path / "teacher.json").write_text("[]")
    with pytest.raises(InputError, match=r"is not a teacher\.json"):
        list(SentenceVectors(SumEncoder(), tmp_path).batches(make_corpus(200), 200))


def test_the_page_and_the_docstrings():
    page = Path(__file__).resolve().parent.parent / "docs" / "static-vectors.md"
    results = doctest.testfile(str(page), module_relative=False)
    assert (results.attempted > 5, results.failed) == (True, 0)
