"""``tlclassic.tune``: what comes out, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tlclassic import CompiledClassifier, NgramClassifier, WordVectors, tune
from tlclassic.errors import InvalidParameterError
from tlclassic.heads import ThresholdClassifier
from tlclassic.tuning.finishing import Finisher

GOOD, BAD = ("good", "great", "fine", "lovely"), ("bad", "dull", "awful", "poor")
NOUNS = ("film", "plot", "actor", "song", "scene", "book", "joke")


def reviews(n, seed=0, noise=0.1):
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        label = int(random.integers(2))
        words = random.choice(GOOD if label else BAD, 2).tolist() + random.choice(NOUNS, 3).tolist()
        random.shuffle(words)
        texts.append(" ".join(words))
        labels.append(["−", "+"][label if random.random() > noise else 1 - label])
    return texts, labels


@pytest.fixture(scope="module")
def found():
    return tune(*reviews(120), time=60, max_trials=4, threads=1)


def test_the_result_is_a_classifier_a_compiled_one_and_the_search(found):
    assert isinstance(found.classifier, NgramClassifier)
    assert isinstance(found.compiled, CompiledClassifier)
    texts = ["a lovely film", "dull, dull plot"]
    assert found.classifier.predict(texts).tolist() == ["+", "−"]
    assert found.compiled.predict(texts).tolist() == ["+", "−"]
    assert len(found.trials) == 4
    assert found.scored_on == "folds"
    assert found.best["score"] == max(trial["score"] for trial in found.trials) > 0.75
    assert found.best["bytes"] == found.compiled.nbytes
    assert found.notes == []


def test_every_trial_is_json(found):
    shown = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    trial = shown["trials"][0]
    assert set(trial) == {
        "params", "rung", "rows", "splits", "score", "log_loss", "seconds", "path", "bytes", "compiled_score"
    }  # fmt: skip
    assert trial["params"]["word_ngrams"] == [1, 2]
    assert trial["params"]["C"] in [C for C, _ in trial["path"]]
    assert (trial["rung"], trial["splits"]) == (0, 10)


def test_the_same_again_when_trials_end_it(found):
    again = tune(*reviews(120), time=60, max_trials=4, threads=1)
    for first, second in zip(found.trials, again.trials, strict=True):
        assert {**first, "seconds": 0} == {**second, "seconds": 0}
    texts, _ = reviews(20, seed=5)
    np.testing.assert_array_equal(found.classifier.decision_function(texts), again.classifier.decision_function(texts))


def test_another_seed_deals_other_folds(found):
    other = tune(*reviews(120), max_trials=1, random_state=1)
    assert other.trials[0]["log_loss"] != found.trials[0]["log_loss"]


def test_the_trial_that_won_is_what_was_fitted():
    train, dev = reviews(120), reviews(80, seed=1)
    found = tune(*train, dev=dev, max_trials=3)
    assert found.scored_on == "dev"
    assert np.mean(found.classifier.predict(dev[0]) == np.array(dev[1])) == found.best["score"]
    proba = found.classifier.predict_proba(dev[0])[np.arange(80), [["+", "−"].index(label) for label in dev[1]]]
    assert -np.log(proba).mean() == pytest.approx(found.best["log_loss"], rel=1e-3)


def test_dev_rows_are_not_trained_on():
    found = tune(["a b", "a c", "d e", "d f"] * 3, [0, 0, 1, 1] * 3, dev=(["zebra a", "zebra d"], [0, 1]), max_trials=1)
    with_zebra, without = found.classifier.decision_function(["zebra zebra", "unicorn unicorn"])
    assert with_zebra == without


def test_a_size_is_kept_and_finalists_are_compared_compiled(tmp_path):
    texts, labels = reviews(200)
    found = tune(texts, labels, max_size="40kB", max_trials=5, dev=reviews(100, seed=2))
    found.compiled.save(tmp_path / "model.tlc")
    assert (tmp_path / "model.tlc").stat().st_size <= 40_000
    compared = [trial for trial in found.trials if trial["compiled_score"] is not None]
    assert len(compared) >= 2
    assert found.best["compiled_score"] == max(trial["compiled_score"] for trial in compared)


def test_a_size_that_nothing_fits_into():
    with pytest.raises(InvalidParameterError, match="max_size=100 bytes is too small"):
        tune(*reviews(40), max_size=100)


@pytest.mark.parametrize("dev", [None, reviews(40, seed=2)])
def test_a_size_is_refused_before_the_search_or_kept(dev, tmp_path):
    outcomes = []
    for max_size in range(2800, 4000, 200):
        told = []
        try:
            found = tune(*reviews(60), max_size=max_size, max_trials=2, dev=dev, on_progress=told.append)
        except InvalidParameterError:
            outcomes.append("refused")
            assert not told
        else:
            outcomes.append("kept")
            found.compiled.save(tmp_path / "model.tlc")
            assert (tmp_path / "model.tlc").stat().st_size <= max_size
    assert set(outcomes) == {"refused", "kept"}


def test_a_finalist_that_does_not_fit_makes_room_for_the_next(monkeypatch):
    fold = Finisher.compile

    def choosy(self, classifier, trial, report_on):
        if trial.configuration.char_ngrams is not None:
            raise InvalidParameterError("max_size=40,000 bytes is too small")
        return fold(self, classifier, trial, report_on)

    monkeypatch.setattr(Finisher, "check_size", lambda *_: None)
    monkeypatch.setattr(Finisher, "compile", choosy)
    found = tune(*reviews(60), max_size="40kB", max_trials=5)
    assert found.best["params"]["char_ngrams"] is None
    assert [trial["params"]["char_ngrams"] for trial in found.trials if trial["compiled_score"] is not None] == [None]
    monkeypatch.setattr(Finisher, "compile", refuse)
    with pytest.raises(InvalidParameterError, match="too small for all"):
        tune(*reviews(60), max_size="40kB", max_trials=2)


def refuse(*_):
    raise InvalidParameterError("max_size is too small for all")


def test_macro_f1_tries_balanced_weights():
    texts, labels = reviews(150)
    found = tune(texts, labels, metric="macro_f1", max_trials=12)
    assert {trial["params"]["class_weight"] for trial in found.trials} == {None, "balanced"}


def test_fast_means_plain_counts():
    found = tune(*reviews(80), fast=True, max_trials=20)
    assert {trial["params"]["counts"] for trial in found.trials} == {"count"}
    assert {trial["params"]["norm"] for trial in found.trials} <= {"sqrt", "length", "none"}


def test_several_labels_a_text():
    random = np.random.default_rng(0)
    texts, labels = [], []
    for _ in range(150):
        names = [name for name in ("sport", "money", "war") if random.random() < 0.4]
        words = [f"{name}{random.integers(3)}" for name in names for _ in range(2)] + random.choice(NOUNS, 3).tolist()
        texts.append(" ".join(words))
        labels.append(names)
    found = tune(texts, labels, multilabel=True, metric="macro_f1", max_trials=3)
    assert isinstance(found.classifier, ThresholdClassifier)
    assert found.classifier.classes_.tolist() == ["money", "sport", "war"]
    assert found.classifier.predict(["sport1 money2", "war0"]).tolist() == [[1, 1, 0], [0, 0, 1]]
    assert found.compiled.predict(["sport1 money2", "war0"]).tolist() == [[1, 1, 0], [0, 0, 1]]
    assert found.best["score"] > 0.9
    np.testing.assert_allclose(
        found.compiled.predict_proba(texts[:9]), found.classifier.predict_proba(texts[:9]), atol=1e-4
    )


def test_an_indicator_matrix_is_multilabel_too():
    Y = np.array([[1, 0], [0, 1], [1, 1]] * 10)
    found = tune(["a", "b", "a b"] * 10, Y, multilabel=True, metric="accuracy", max_trials=1)
    assert found.classifier.predict(["a", "b"]).tolist() == [[1, 0], [0, 1]]


def test_word_vectors_are_tried():
    vectors = WordVectors.from_arrays([*GOOD, *BAD], np.repeat(np.eye(2, dtype=np.float32), 4, axis=0))
    found = tune(*reviews(100), vectors=vectors, max_trials=4)
    weights = [trial["params"].get("vectors_weight") for trial in found.trials]
    assert None in weights
    assert 0.5 in weights
    assert found.compiled.predict(["lovely", "poor"]).tolist() == ["+", "−"]


def test_progress_is_told():
    told = []
    tune(*reviews(60), max_trials=2, time=30, on_progress=told.append)
    assert [state["n_trials"] for state in told] == [1, 2]
    assert told[0]["time"] == 30.0
    assert told[1]["elapsed"] >= told[0]["elapsed"] > 0
    assert told[1]["best"]["score"] >= told[0]["best"]["score"]


def test_an_interrupt_keeps_the_best_so_far():
    def interrupt(state):
        if state["n_trials"] == 2:
            raise KeyboardInterrupt

    found = tune(*reviews(60), on_progress=interrupt)
    assert len(found.trials) == 2
    assert found.compiled.predict(["lovely film"]).tolist() == ["+"]


def test_no_time_at_all_still_gives_a_model():
    found = tune(*reviews(60), time=0)
    assert len(found.trials) == 1
    assert found.compiled.predict(["lovely film"]).tolist() == ["+"]
    assert "instead of 0 s" in found.notes[-1]


def test_twenty_rows_and_a_class_of_one():
    texts = ["good one", "good two", "nice one", "good nice"] * 3 + ["bad one", "bad two", "so bad"] * 2 + ["ναι"]
    labels = ["ja"] * 12 + ["nein"] * 6 + ["ίσως"]
    found = tune(texts, labels, max_trials=6)
    assert found.classifier.classes_.tolist() == ["ja", "nein", "ίσως"]
    assert found.compiled.predict(["good", "bad"]).tolist() == ["ja", "nein"]


def test_labels_keep_their_type():
    texts, labels = reviews(60)
    found = tune(texts, [label == "+" for label in labels], max_trials=1)
    assert found.compiled.predict(["lovely film"]).tolist() == [True]


def test_a_dev_label_that_training_does_not_know_is_wrong_and_no_error():
    found = tune(*reviews(60, noise=0), dev=(["lovely film", "dull song"], ["+", "?"]), max_trials=1)
    assert found.best["score"] == 0.5


def test_texts_without_any_ngram():
    found = tune(["", "", "a a", "b b"] * 4, [0, 0, 0, 1] * 4, max_trials=2)
    assert found.compiled.predict(["", "b b"]).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("texts", "labels", "options", "message"),
    [
        (["a"] * 8, ["x"] * 8, {}, "at least two classes are needed"),
        (["a"] * 3, ["x", "y", "x"], {}, "at least 4 labelled texts"),
        (["a"] * 8, ["x", "y"], {}, "2 labels and 8 texts"),
        (["a"] * 8, ["x", "y"] * 4, {"time": -1}, "time must be at least"),
        (["a"] * 8, ["x", "y"] * 4, {"metric": "f1"}, "metric must be one of"),
        (["a"] * 8, ["x", "y"] * 4, {"max_size": "big"}, "max_size must be a size"),
        (["a"] * 8, ["x", "y"] * 4, {"max_trials": 0}, "max_trials must be at least 1"),
        (["a"] * 8, ["x", "y"] * 4, {"threads": 0}, "threads must be at least 1"),
        (["a"] * 8, ["x", "y"] * 4, {"dev": ["a", "b", "c"]}, "dev must be a pair"),
        (["a"] * 8, ["x", "y"] * 4, {"dev": ([], [])}, "at least one text"),
        (["a"] * 8, ["x", "y"] * 4, {"dev": (["a"], ["z"])}, "none of the dev labels occurs"),
        (["a"] * 8, ["x", "y"] * 4, {"multilabel": True}, "must be a list of labels"),
        (["a"] * 8, [[]] * 8, {"multilabel": True}, "no text has a label"),
        ("text", ["x"], {}, "a single string"),
        (["a", None] * 4, ["x", "y"] * 4, {}, r"X\[1\] must be a string"),
    ],
)
def test_what_is_refused(texts, labels, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        tune(texts, labels, **options)
