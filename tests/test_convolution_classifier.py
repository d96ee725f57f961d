"""``ConvolutionClassifier``: what it learns, its gradient, its parameters, saving."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

import tlclassic
from tlclassic import ConvolutionClassifier
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.features.convolution import TextConvolution
from tlclassic.heads.convolution_training import Batch, Descent, Network, batches
from tlclassic.vectors import WordVectors

WORDS = ["good", "bad", "not", "film", "plot", "a", "the"]


def make_texts(n=240, seed=0):
    """A class that hangs on the order of words: "not" turns around the word right after it alone."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        good = bool(random.integers(2))
        turned = bool(random.integers(2))
        feeling = "good" if good != turned else "bad"
        words = ["not", feeling] if turned else [feeling, "not"]
        before, after = random.choice(["film", "plot", "a", "the"], 2), random.choice(["film", "plot", "a"], 2)
        texts.append(" ".join([*before, *words, *after]))
        labels.append("pos" if good else "neg")
    return texts, labels


def small(**options):
    return ConvolutionClassifier(**({"filters": 16, "batch_size": 16, "vectors": None, "epochs": 30} | options))


def test_order_is_learnt_where_n_gram_counts_of_one_word_say_nothing():
    texts, labels = make_texts()
    model = small(dropout=0.0, word_dropout=0.0).fit(texts, labels)
    unseen, truth = make_texts(seed=1)
    assert model.score(unseen, truth) == 1.0
    assert model.loss_curve_[-1] < 0.1 < model.loss_curve_[0]
    assert len(model.loss_curve_) == model.n_iter_ == 30


def test_the_same_seed_gives_the_same_model_and_another_another():
    texts, labels = make_texts(60)
    first, again, other = (
        small(epochs=2, random_state=seed).fit(texts, labels).decision_function(texts) for seed in (3, 3, 4)
    )
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_soft_labels_are_followed():
    texts = ["good film", "bad film"] * 100
    P = np.array([[0.2, 0.8], [0.7, 0.3]] * 100)
    model = small(word_dropout=0.0, dropout=0.0).fit(texts, P, classes=["neg", "pos"])
    np.testing.assert_allclose(model.predict_proba(["good film", "bad film"]), P[:2], atol=0.02)
    assert model.predict(["good film", "bad film"]).tolist() == ["pos", "neg"]


def test_weights_of_texts_count():
    texts, labels = ["good film", "good film"] * 50, ["pos", "neg"] * 50
    weights = np.array([3.0, 1.0] * 50)
    model = small(word_dropout=0.0, dropout=0.0).fit(texts, labels, sample_weight=weights)
    np.testing.assert_allclose(model.predict_proba(["good film"])[0], [0.25, 0.75], atol=0.03)


def test_several_labels_a_text():
    texts = ["good film", "bad film", "good plot", "bad plot"] * 30
    Y = np.array([[1, 1], [0, 1], [1, 0], [0, 0]] * 30)
    model = small(multilabel=True).fit(texts, Y, classes=["good", "film"])
    assert model.predict(texts[:4]).tolist() == Y[:4].tolist()
    assert model.predict_proba(texts[:4]).shape == (4, 2)


def test_more_than_two_classes():
    texts = ["good film", "bad film", "a plot"] * 30
    model = small().fit(texts, [1, 2, 3] * 30)
    assert model.predict(["good film", "bad film", "a plot"]).tolist() == [1, 2, 3]
    assert model.coef_.shape == (3, 16)


def test_word_vectors_carry_over_to_words_that_no_text_had():
    table = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2]] + np.float32(0.01)
    vectors = WordVectors.from_arrays(["good", "fine", "bad", "dull", "film"], table)
    model = small(vectors=vectors, vectors_rate=0.0).fit(["good film", "bad film"] * 60, ["pos", "neg"] * 60)
    assert model.predict(["fine", "dull"]).tolist() == ["pos", "neg"]
    # They stay what they were, up to the scale that all have.
    rows = model.convolution_.lookup(["good fine"])[0]
    assert model.convolution_.table[rows[0]].tolist() == model.convolution_.table[rows[1]].tolist()


def test_a_hidden_layer_is_learnt_and_saved():
    # Either word alone means one thing, both or neither the other, wherever they stand.
    random = np.random.default_rng(0)
    texts, labels = [], []
    for _ in range(400):
        words = ["film", "plot", "scene", "the", "an", "actor"]
        both = random.integers(0, 2, 2)
        words += [word for word, there in zip(["good", "dull"], both, strict=True) if there]
        texts.append(" ".join(random.permutation(words)))
        labels.append(bool(both.sum() == 1))
    options = {"width": 1, "epochs": 30, "dropout": 0.0, "word_dropout": 0.0}
    model = small(hidden=16, **options).fit(texts[:300], labels[:300])
    assert np.mean(model.predict(texts[300:]) == labels[300:]) > 0.95
    again = ConvolutionClassifier.from_state(*model.to_state())
    np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))
    assert model.coef_.shape == (1, 16)


def test_empty_and_unknown_texts_have_probabilities():
    model = small(epochs=2).fit(*make_texts(60))
    proba = model.predict_proba(["", "   ", "zzz", "\U0001f600 東京"])
    assert np.isfinite(proba).all()
    assert proba[0].tolist() == proba[1].tolist()


@pytest.mark.parametrize("hidden", [0, 16])
@pytest.mark.parametrize("sums", [0, 16])
def test_the_gradient_is_that_of_finite_differences(sums, hidden):
    random = np.random.default_rng(0)
    vectors = random.normal(size=(6, 5)).astype(np.float32)
    network = Network.start(vectors, 3, random, width=2, filters=16, sums=sums, hidden=hidden)
    parts = [name for name, value in vars(network).items() if value is not None]
    assert ("sums" in parts, "hidden_weights" in parts) == (bool(sums), bool(hidden))
    P = random.dirichlet(np.ones(3), size=4).astype(np.float32)
    batch = Batch(np.array([0, 1, 2, 3, 1, 4], np.int32), np.array([0, 2, 3, 6, 6]), P, np.ones(4, np.float32))

    def loss(name, place, change):
        copy = Network(**{part: getattr(network, part).copy() for part in parts})
        getattr(copy, name)[place] += change
        return descent(copy).step(batch)

    def descent(of):
        options = {"softmax": True, "learning_rate": 1.0, "n_steps": 10**9, "dropout": 0.0, "word_dropout": 0.0}
        return Descent(of, **options, vectors_rate=1.0, random=random)

    before = Network(**{part: getattr(network, part).copy() for part in parts})
    descent(before).step(batch)
    checked = set()
    for name in parts:
        moved = getattr(before, name) - getattr(network, name)
        for place in list(zip(*np.nonzero(np.abs(moved) > 0.5), strict=True))[:5]:
            slope = (loss(name, place, 1e-2) - loss(name, place, -1e-2)) / 2e-2
            if abs(slope) > 1e-3:
                # The first step of Adam is the sign of the slope.
                assert np.sign(slope) == -np.sign(moved[place]), (name, place)
                checked.add(name)
    assert checked == set(parts)


def test_batches_hold_every_text_once():
    indptr = np.array([0, 2, 2, 5, 6])
    rows = np.array([1, 2, 3, 4, 5, 6], np.int32)
    random = np.random.default_rng(0)
    made = list(batches(rows, indptr, np.arange(4.0)[:, None], np.ones(4), 3, random))
    assert [len(batch.targets) for batch in made] == [3, 1]
    found = {
        int(target): batch.rows[start:stop].tolist()
        for batch in made
        for target, start, stop in zip(batch.targets[:, 0], batch.indptr[:-1], batch.indptr[1:], strict=True)
    }
    assert found == {0: [1, 2], 1: [], 2: [3, 4, 5], 3: [6]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 17}, "filters must be a multiple of 16; got 17"),
        ({"hidden": 17}, "hidden must be a multiple of 16, or 0; got 17"),
        ({"hidden": -16}, "hidden must be"),
        ({"sums": 8}, "sums must be a multiple of 16, or 0; got 8"),
        ({"width": 9}, "width must be"),
        ({"epochs": 0}, "epochs must be"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"min_count": 0}, "min_count must be"),
        ({"vectors_rate": -1.0}, "vectors_rate must be"),
    ],
)
def test_parameters_outside_their_domain(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        small(**options).fit(["good", "bad"], [0, 1])


def test_what_cannot_be_fitted():
    with pytest.raises(InvalidParameterError, match="at least one text"):
        small().fit([], [])
    with pytest.raises(InvalidParameterError, match="as many rows; got 1 and 2"):
        small().fit(["good"], [0, 1])
    with pytest.raises(InvalidParameterError, match="at least two classes"):
        small().fit(["good", "bad"], [0, 0])


def test_clone_and_parameters_survive_fit():
    model = small(width=2)
    before = model.get_params()
    model.fit(*make_texts(30))
    assert model.get_params() == before
    assert clone(model).get_params() == before


def test_saved_and_loaded(tmp_path):
    texts, labels = make_texts(80)
    model = small(epochs=3).fit(texts, labels)
    tlclassic.save(model, tmp_path / "model.tlc")
    loaded = tlclassic.load(tmp_path / "model.tlc")
    assert loaded.decision_function(texts).tolist() == model.decision_function(texts).tolist()
    assert loaded.classes_.tolist() == ["neg", "pos"]
    assert loaded.get_params() == model.get_params()


def test_an_altered_state_is_refused():
    metadata, arrays = small(epochs=1).fit(*make_texts(30)).to_state()
    with pytest.raises(CorruptArtifactError, match="do not fit its classes"):
        ConvolutionClassifier.from_state(metadata, {**arrays, "coef": arrays["coef"][:, :8]})
    with pytest.raises(CorruptArtifactError, match="another number of words"):
        ConvolutionClassifier.from_state(metadata, {**arrays, "table": arrays["table"][:-1]})
    with pytest.raises(CorruptArtifactError, match="incomplete or altered"):
        ConvolutionClassifier.from_state(metadata, {"coef": arrays["coef"]})


def test_exact_features_are_those_of_the_kernel():
    model = small(epochs=2, width=3).fit(*make_texts(60))
    texts = ["good film", "", "zzz not good", "a the film plot not bad"]
    found, expected = model.convolution_.transform(texts), model.convolution_.exact(texts)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert isinstance(model.convolution_, TextConvolution)
    assert model.convolution_.get_feature_names_out()[:2].tolist() == ["filter0", "filter1"]


def test_epochs_by_the_size_of_the_data():
    assert ConvolutionClassifier()._n_epochs(1000) == 100
    assert ConvolutionClassifier()._n_epochs(5000) == 25
    assert ConvolutionClassifier()._n_epochs(40_000) == 10
    assert ConvolutionClassifier()._n_epochs(1_000_000) == 4
    assert ConvolutionClassifier(epochs=7)._n_epochs(10) == 7
