"""NgramClassifier on streams: the stochastic solver, texts hashed anew in each epoch, partial_fit."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from tlclassic import NgramClassifier
from tlclassic.errors import InvalidParameterError
from tlclassic.heads import ngram_fitting, ngram_streams

CASES = runpy.run_path(str(Path(__file__).with_name("test_ngram_classifier.py")))
TEXTS, LABELS, BINARY, INDICATOR, NEW = (CASES[name] for name in ("TEXTS", "LABELS", "BINARY", "INDICATOR", "NEW"))
make_vectors = CASES["make_vectors"]


def test_a_few_epochs_come_near_the_optimum():
    newton = NgramClassifier(C=3.0).fit(TEXTS, LABELS)
    adagrad = NgramClassifier(C=3.0, solver="adagrad", epochs=50).fit(TEXTS, LABELS)
    assert adagrad.n_iter_ == 50
    assert (newton.predict(NEW) == adagrad.predict(NEW)).mean() > 0.9
    assert np.abs(newton.predict_proba(NEW) - adagrad.predict_proba(NEW)).max() < 0.2


def test_one_thread_gives_the_same_again():
    first, again, other = (
        NgramClassifier(solver="adagrad", random_state=state).fit(TEXTS, LABELS).decision_function(NEW)
        for state in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "params", [{"idf": False}, {"char_ngrams": (2, 3)}, {"vectors": make_vectors()}, {"class_weight": {"+": 2}}]
)
def test_hashed_anew_in_each_epoch_is_the_same_model(params, monkeypatch):
    kept = NgramClassifier(solver="adagrad", bits=12, **params).fit(TEXTS, LABELS)
    monkeypatch.setattr(ngram_fitting, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(ngram_streams, "CHUNK", 50)
    longest = []
    plain = ngram_streams.learn

    def learn(stream, features, texts, *rest):
        longest.append(len(texts))
        plain(stream, features, texts, *rest)

    monkeypatch.setattr(ngram_streams, "learn", learn)
    hashed = NgramClassifier(solver="adagrad", bits=12, **params).fit(TEXTS, LABELS)
    assert longest == [50, 50, 20] * 5
    # The columns that no gradient has touched are left out of one and zero in the other.
    np.testing.assert_allclose(hashed.decision_function(NEW), kept.decision_function(NEW), atol=1e-4)


def test_auto_takes_the_stochastic_solver_when_there_is_much_to_do(monkeypatch):
    assert NgramClassifier().fit(TEXTS, LABELS).n_iter_ != 3
    monkeypatch.setattr(ngram_fitting, "NEWTON_LIMIT", 10)
    assert NgramClassifier(epochs=3).fit(TEXTS, LABELS).n_iter_ == 3


def test_batches_of_a_stream():
    model = NgramClassifier(idf=False)
    for start in range(0, len(TEXTS), 30):
        batch = slice(start, start + 30)
        names = ["0", "-", "+"] if start == 0 else None
        assert model.partial_fit(TEXTS[batch], LABELS[batch], classes=names) is model
    assert model.n_iter_ == 4
    assert model.classes_.tolist() == ["0", "-", "+"]
    before = model.score(TEXTS, LABELS)
    for _ in range(20):
        model.partial_fit(TEXTS, LABELS)
    assert model.score(TEXTS, LABELS) > max(before, 0.9)
    assert model.coef_.shape == (3, len(model.columns_))
    assert (np.diff(model.columns_) > 0).all()


def test_batches_do_not_depend_on_when_the_model_is_looked_at():
    looked, blind = (NgramClassifier(bits=12, idf=False) for _ in range(2))
    for _ in range(3):
        looked.partial_fit(TEXTS, BINARY, classes=[False, True])
        assert looked.coef_.shape[0] == 1
        blind.partial_fit(TEXTS, BINARY, classes=[False, True])
    np.testing.assert_array_equal(looked.decision_function(NEW), blind.decision_function(NEW))


def test_a_batch_may_hold_one_class_soft_labels_and_weights():
    P = np.stack([1 - BINARY * 0.8, BINARY * 0.8], axis=1)
    model = NgramClassifier(idf=False).partial_fit(["good"], ["no"], classes=["no", "yes"])
    model.partial_fit(TEXTS, P, sample_weight=np.ones(len(TEXTS)))
    assert model.predict_proba(NEW).shape == (len(NEW), 2)
    labels = NgramClassifier(multilabel=True, idf=False).partial_fit(TEXTS, INDICATOR, classes=["x", "y"])
    assert labels.predict(NEW).shape == (len(NEW), 2)


@pytest.mark.parametrize("params", [{"idf": False}, {}, {"vectors": make_vectors()}])
def test_goes_on_after_fit(params):
    model = NgramClassifier(bits=12, learning_rate=1e-9, **params).fit(TEXTS, LABELS)
    before = model.decision_function(NEW)
    model.partial_fit(TEXTS, LABELS)
    # Steps of next to nothing: what was learnt before is still there.
    np.testing.assert_allclose(model.decision_function(NEW), before, atol=1e-3)
    restored = NgramClassifier.from_state(*model.to_state())
    restored.partial_fit(TEXTS, LABELS)
    np.testing.assert_allclose(restored.decision_function(NEW), before, atol=1e-3)


def test_fit_after_batches_forgets_them():
    model = NgramClassifier(idf=False).partial_fit(TEXTS, BINARY, classes=[False, True]).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(
        model.decision_function(NEW), NgramClassifier(idf=False).fit(TEXTS, LABELS).decision_function(NEW)
    )


@pytest.mark.parametrize(
    ("params", "classes", "message"),
    [
        ({}, None, "the first call of partial_fit needs classes"),
        ({}, ["+", "-", "0"], "idf=True needs a pass over texts.*Call fit on a sample first"),
        ({"vectors": make_vectors(), "idf": False}, ["+", "-", "0"], "vectors needs a pass over texts"),
        ({"nb": True}, ["+", "-", "0"], "nb=True counts n-grams in all texts; use fit"),
        ({"class_weight": "balanced"}, ["+", "-", "0"], 'class_weight="balanced" needs all rows'),
    ],
)
def test_what_needs_all_texts_is_refused(params, classes, message):
    with pytest.raises(InvalidParameterError, match=message):
        NgramClassifier(**params).partial_fit(TEXTS, LABELS, classes=classes)


def test_classes_stay():
    model = NgramClassifier(idf=False).partial_fit(TEXTS, BINARY, classes=[False, True])
    with pytest.raises(InvalidParameterError, match=r"classes must stay \[False, True\]; got \[True, False\]"):
        model.partial_fit(TEXTS, BINARY, classes=[True, False])
    with pytest.raises(InvalidParameterError, match="which is not among classes"):
        model.partial_fit(["a"], ["neither"])


def test_weights_of_labels_do_not_go_with_streams():
    with pytest.raises(InvalidParameterError, match="class_weight with multilabel=True"):
        NgramClassifier(multilabel=True, class_weight={0: 2}, idf=False).partial_fit(TEXTS, INDICATOR, classes=[0, 1])
