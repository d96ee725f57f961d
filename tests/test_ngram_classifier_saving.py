"""NgramClassifier saved and opened again: the same bits, and damaged files refused by name."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

import tlclassic
from tlclassic import NgramClassifier, WordVectors
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.heads import ThresholdClassifier

CASES = runpy.run_path(str(Path(__file__).with_name("test_ngram_classifier.py")))
TEXTS, LABELS, INDICATOR, NEW = (CASES[name] for name in ("TEXTS", "LABELS", "INDICATOR", "NEW"))
make_vectors = CASES["make_vectors"]
MODELS = {
    "defaults": {},
    "everything": {
        "vectors": make_vectors(), "pooling": ["mean", "sif"], "idf": True, "norm": "l2", "char_ngrams": (2, 3),
        "class_weight": {"+": 2.0}, "counts": "sublinear",
    },
    "nb": {"nb": True, "bits": 10},
    "l1": {"penalty": "l1", "threads": 2},
    "stochastic": {"solver": "adagrad"},
}  # fmt: skip


def _params(model):
    return {name: value for name, value in model.get_params().items() if name != "vectors"}


@pytest.mark.parametrize("name", MODELS)
def test_the_same_bits(name, tmp_path):
    model = NgramClassifier(**MODELS[name]).fit(TEXTS, LABELS)
    tlclassic.save(model, tmp_path / "model.tlc")
    opened = tlclassic.load(tmp_path / "model.tlc")
    np.testing.assert_array_equal(opened.decision_function(NEW), model.decision_function(NEW))
    np.testing.assert_array_equal(opened.predict(NEW), model.predict(NEW))
    assert _params(opened) == _params(model)
    assert opened.n_iter_ == model.n_iter_
    np.testing.assert_array_equal(clone(opened).fit(TEXTS, LABELS).predict_proba(NEW), model.predict_proba(NEW))


@pytest.mark.parametrize(
    "labels", [LABELS, LABELS == "+", np.where(LABELS == "+", 7, -1), LABELS.astype(object), (LABELS == "+") * 1.0]
)
def test_labels_of_every_type(labels, tmp_path):
    model = NgramClassifier().fit(TEXTS, labels)
    tlclassic.save(model, tmp_path / "model.tlc")
    opened = tlclassic.load(tmp_path / "model.tlc")
    assert opened.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(opened.predict(NEW), model.predict(NEW))


def test_labels_that_json_does_not_know():
    model = NgramClassifier().fit(
        TEXTS, np.where(LABELS == "+", np.datetime64("2020-01-01"), np.datetime64("2021-01-01"))
    )
    with pytest.raises(InvalidParameterError, match="labels cannot be saved"):
        model.to_state()


def test_inside_a_threshold_classifier(tmp_path):
    model = ThresholdClassifier(NgramClassifier(multilabel=True), cv=3).fit(TEXTS, INDICATOR)
    tlclassic.save(model, tmp_path / "model.tlc")
    np.testing.assert_array_equal(tlclassic.load(tmp_path / "model.tlc").predict(NEW), model.predict(NEW))


def test_before_it_is_fitted():
    for model in (NgramClassifier(C=2.0), NgramClassifier(vectors=make_vectors()), NgramClassifier(vectors="here.tlc")):
        metadata, arrays = model.to_state()
        restored = NgramClassifier.from_state(json.loads(json.dumps(metadata)), arrays)
        assert _params(restored) == _params(model)
        assert type(restored.vectors) is type(model.vectors)
        assert not hasattr(restored, "classes_")


def test_vectors_in_their_store(tmp_path):
    make_vectors().save(tmp_path / "vectors.tlc")
    model = NgramClassifier(vectors=tmp_path / "vectors.tlc").fit(TEXTS, LABELS)
    tlclassic.save(model, tmp_path / "model.tlc", vectors="refer")
    opened = tlclassic.load(tmp_path / "model.tlc")
    np.testing.assert_array_equal(opened.decision_function(NEW), model.decision_function(NEW))
    metadata, arrays = model.to_state(include_vectors=False)
    assert not [name for name in arrays if name.startswith("vectors/")]
    given = NgramClassifier.from_state(metadata, arrays, vectors=WordVectors.load(tmp_path / "vectors.tlc"))
    np.testing.assert_array_equal(given.decision_function(NEW), model.decision_function(NEW))


def test_a_file_is_as_large_as_its_columns(tmp_path):
    tlclassic.save(NgramClassifier().fit(TEXTS, LABELS), tmp_path / "model.tlc")
    assert (tmp_path / "model.tlc").stat().st_size < 100_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, a: m["fitted"].pop("classes"), "incomplete or altered"),
        (lambda m, a: m["fitted"]["classes"]["items"].append("x"), "does not fit its 4 classes"),
        (lambda m, a: m["fitted"]["classes"].update(items=[["x"], "y", "z"]), "no list of labels"),
        (lambda m, a: a.update(coef=a["coef"][:, 1:]), "does not fit its 3 classes"),
        (lambda m, a: a.update(intercept=a["intercept"][1:]), "does not fit"),
        (lambda m, a: a.update(columns=a["columns"] + (1 << 20)), "not ascending, or out of range"),
        (lambda m, a: a.update(columns=a["columns"][::-1]), "not ascending, or out of range"),
        (lambda m, a: a.pop("intercept"), "incomplete or altered"),
        (lambda m, a: a.update(embedding_coef=a["embedding_coef"][:, 1:]), "embedding_coef has the wrong shape"),
        (lambda m, a: a.update({"scaler/mean_": a["scaler/mean_"][1:]}), "scaler has shape"),
        (lambda m, a: m["fitted"]["ngrams"]["params"].update(norm="?"), "wrong parameter"),
        (lambda m, a: m["params"].update(no_such=1), "incomplete or altered"),
        (lambda m, a: m["params"].update(C=-1), "wrong parameter: C must be"),
    ],
)
def test_a_damaged_state_is_refused(change, message):
    model = NgramClassifier(vectors=make_vectors()).fit(TEXTS, LABELS)
    metadata, arrays = model.to_state()
    metadata = json.loads(json.dumps(metadata, allow_nan=False))
    change(metadata, arrays)
    with pytest.raises(CorruptArtifactError, match=message):
        NgramClassifier.from_state(metadata, arrays)


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibrated(method, ensemble, tmp_path):
    model = CalibratedClassifierCV(NgramClassifier(), method=method, cv=2, ensemble=ensemble).fit(TEXTS, LABELS)
    tlclassic.save(model, tmp_path / "model.tlc")
    opened = tlclassic.load(tmp_path / "model.tlc")
    np.testing.assert_array_equal(opened.predict_proba(NEW), model.predict_proba(NEW))
    assert opened.predict(NEW).tolist() == model.predict(NEW).tolist()


def test_calibrated_after_the_fit(tmp_path):
    fitted = NgramClassifier().fit(TEXTS, LABELS)
    model = CalibratedClassifierCV(FrozenEstimator(fitted), cv=2).fit(TEXTS, LABELS)
    tlclassic.save(model, tmp_path / "model.tlc")
    opened = tlclassic.load(tmp_path / "model.tlc")
    np.testing.assert_array_equal(opened.predict_proba(NEW), model.predict_proba(NEW))


def test_a_search_is_refused_with_what_to_save_instead(tmp_path):
    search = GridSearchCV(NgramClassifier(), {"C": [1.0, 3.0]}, cv=2).fit(TEXTS, LABELS)
    with pytest.raises(InvalidParameterError, match=r"Save the fitted estimator that it holds, such as its best_est"):
        tlclassic.save(search, tmp_path / "model.tlc")
    assert not (tmp_path / "model.tlc").exists()
