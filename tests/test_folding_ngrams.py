"""Hashed n-grams: NgramVectorizer in pipelines, NgramClassifier with all its options."""

from __future__ import annotations

import runpy
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MaxAbsScaler, Normalizer, StandardScaler

from tlclassic import EmbeddingVectorizer, NgramClassifier, NgramVectorizer, SoftLabelLogisticRegression, compile
from tlclassic.errors import InvalidParameterError
from tlclassic.heads import ThresholdClassifier

CASES = runpy.run_path(str(Path(__file__).with_name("folding_cases.py")))
fitted, make_labels, make_texts, make_vectors = itemgetter("fitted", "make_labels", "make_texts", "make_vectors")(CASES)
# Also what training never saw.
TEXTS = [*make_texts(seed=7), "", "?!", "film film film film", "ＷＩＤＥ straße STRASSE", "a\x00b \ud800 東京は"]
FEATURES = {
    "default": {},
    "chars": {"word_ngrams": None, "char_ngrams": (2, 4)},
    "both": {"word_ngrams": (1, 3), "char_ngrams": (3, 3)},
    "keep": {"case": "keep", "punctuation": "drop"},
    "none": {"norm": "none"},
    "length": {"norm": "length", "char_ngrams": (2, 3)},
    "l2": {"norm": "l2"},
    "binary": {"counts": "binary", "norm": "sqrt"},
    "sublinear": {"counts": "sublinear", "norm": "length"},
    "idf": {"idf": True},
    "idf_l2": {"idf": True, "norm": "l2", "counts": "sublinear", "char_ngrams": (1, 2)},
    "few_bits": {"bits": 3},
    "one_bit": {"bits": 1, "char_ngrams": (2, 2)},
    "many_bits": {"bits": 22},
}


def classifier(**options):
    return NgramClassifier(**({"bits": 12} | options)).fit(make_texts(), make_labels())


def assert_same(compiled, model, texts=TEXTS):
    expected = model.decision_function(texts)
    np.testing.assert_allclose(compiled.decision_function(texts), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    proba = model.predict_proba(texts)
    np.testing.assert_allclose(compiled.predict_proba(texts), proba, atol=1e-5)


@pytest.mark.parametrize("name", FEATURES)
def test_features_of_the_classifier(name):
    model = classifier(**FEATURES[name])
    assert_same(compile(model), model)


@pytest.mark.parametrize("name", FEATURES)
def test_features_in_a_pipeline(name):
    options = {"bits": 12} | FEATURES[name]
    if options["bits"] == 22:
        pytest.skip("scikit-learn holds all columns for each class")
    model = fitted(NgramVectorizer(**options), LogisticRegression(C=10))
    assert_same(compile(model), model)


@pytest.mark.parametrize(
    "options",
    [
        {"nb": True},
        {"penalty": "l1", "C": 5.0},
        {"vectors": make_vectors()},
        {"vectors": make_vectors(), "pooling": ["mean", "tfidf", "sif"], "vectors_weight": 2.0},
        {"solver": "adagrad"},
    ],
    ids=["nb", "l1", "vectors", "poolings", "adagrad"],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_kinds_of_classifier(options, n_classes):
    model = NgramClassifier(bits=12, **options).fit(make_texts(), make_labels(n_classes=n_classes))
    compiled = compile(model)
    assert compiled.metadata["outputs"] == (1 if n_classes == 2 else 3)
    assert_same(compiled, model)


def test_soft_labels():
    P = np.random.default_rng(0).dirichlet([1, 1, 1], 60)
    model = NgramClassifier(bits=12).fit(make_texts(), P, classes=["x", "y", "z"])
    compiled = compile(model)
    assert compiled.classes_.tolist() == ["x", "y", "z"]
    assert_same(compiled, model)


def test_multilabel_with_and_without_thresholds():
    Y = (np.random.default_rng(0).random((60, 3)) < 0.3).astype(int)
    model = NgramClassifier(bits=12, multilabel=True).fit(make_texts(), Y)
    compiled = compile(model)
    assert compiled.multilabel
    assert_same(compiled, model)
    np.testing.assert_array_equal(compiled.predict(TEXTS), model.predict(TEXTS))
    tuned = ThresholdClassifier(NgramClassifier(bits=12, multilabel=True), cv=2).fit(make_texts(), Y)
    np.testing.assert_array_equal(compile(tuned).predict(TEXTS), tuned.predict(TEXTS))


def test_calibrated():
    inner = NgramClassifier(bits=12)
    for method in ("sigmoid", "temperature"):
        model = CalibratedClassifierCV(inner, method=method, cv=2, ensemble=False).fit(make_texts(), make_labels())
        np.testing.assert_allclose(compile(model).predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    "step",
    [
        MaxAbsScaler(),
        StandardScaler(with_mean=False),
        TruncatedSVD(3),
        VarianceThreshold(0.05),
        TfidfTransformer(norm=None),
        TfidfTransformer(norm=None, use_idf=False),
    ],
    ids=lambda step: type(step).__name__,
)
def test_steps_after_n_grams(step):
    model = fitted(NgramVectorizer(bits=10, char_ngrams=(2, 3), norm="none"), step, LogisticRegression(max_iter=1000))
    assert_same(compile(model), model)


def test_n_grams_beside_word_vectors():
    union = make_union(
        make_pipeline(EmbeddingVectorizer(make_vectors()), StandardScaler()), NgramVectorizer(bits=10, norm="length")
    )
    model = fitted(union, SoftLabelLogisticRegression(C=10))
    compiled = compile(model)
    assert [family["type"] for family in compiled.metadata["families"]] == ["vectors", "ngrams"]
    assert_same(compiled, model)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Normalizer(), r"'normalizer' .*NgramVectorizer\(norm=...\)"),
        (TfidfTransformer(), r"'tfidftransformer' .*norm='l2' .*NgramVectorizer\(idf=True, norm='l2'\)"),
        (TfidfTransformer(norm=None, sublinear_tf=True), r"'tfidftransformer' .*sublinear_tf=True"),
    ],
)
def test_refused(step, message):
    model = fitted(NgramVectorizer(bits=8), step, LogisticRegression())
    with pytest.raises(InvalidParameterError, match=message):
        compile(model)


def test_a_compiled_classifier_is_not_compiled_again():
    with pytest.raises(InvalidParameterError, match=r"compiled already.* Compile its source"):
        compile(compile(classifier()))


def test_only_buckets_with_weights_have_rows():
    model = classifier(penalty="l1", C=1.0)
    (step,) = compile(model).metadata["report"]["steps"]
    assert step["rows"] == len(model.columns_)
    assert 0 < step["rows"] < len(classifier().columns_)


def test_int8_loses_little():
    model = classifier(char_ngrams=(2, 4), bits=14)
    compiled = compile(model, dtype="int8", texts=make_texts(), labels=make_labels())
    _, folded, last = compiled.metadata["report"]["steps"]
    assert last["agreement"] > 0.95
    assert last["max_logit_error"] < 0.05 * np.abs(model.decision_function(make_texts())).max()
    assert last["bytes"] < 0.6 * folded["bytes"]


def test_a_saved_classifier_gives_the_same(tmp_path):
    import tlclassic

    model = classifier(char_ngrams=(2, 4), idf=True)
    for dtype in ("float32", "float16", "int8"):
        compiled = compile(model, dtype=dtype)
        compiled.save(tmp_path / "model.tlc")
        loaded = tlclassic.load(tmp_path / "model.tlc")
        np.testing.assert_array_equal(loaded.decision_function(TEXTS), compiled.decision_function(TEXTS))
        assert loaded.metadata == compiled.metadata


options = st.fixed_dictionaries(
    {
        "word_ngrams": st.sampled_from([(1, 1), (1, 2), (2, 3)]),
        "char_ngrams": st.sampled_from([None, (1, 2), (3, 4)]),
        "bits": st.integers(1, 13),
        "case": st.sampled_from(["fold", "keep"]),
        "punctuation": st.sampled_from(["keep", "drop"]),
        "counts": st.sampled_from(["count", "binary", "sublinear"]),
        "idf": st.booleans(),
        "norm": st.sampled_from(["none", "length", "sqrt", "l2"]),
    }
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(options, st.lists(st.text("aAbß. !東\n", max_size=12), min_size=1, max_size=10))
def test_random_options_and_texts(drawn, texts):
    model = NgramClassifier(**drawn).fit(["a b", "A ß.", "b! 東 a", "aa bb"], ["x", "y", "x", "z"])
    assert_same(compile(model, texts=texts), model, texts)


def test_classes_that_a_file_cannot_hold():
    large = NgramClassifier(bits=8).fit(
        make_texts(), np.uint64(2**63) + np.unique(make_labels(), return_inverse=True)[1].astype(np.uint64)
    )
    with pytest.raises(InvalidParameterError, match=r"64-bit integers; got 9223372036854775808\. Train with strings"):
        compile(large)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["x", "x", "y"]}, "classes must differ from each other"),
        ({"provenance": "x"}, "provenance must be a dict; got 'x' of type str"),
    ],
)
def test_what_is_said_of_it(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        compile(classifier(), **options)
