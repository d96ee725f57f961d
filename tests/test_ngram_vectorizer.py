"""NgramVectorizer: its values against their formulas, scikit-learn's conventions, saving."""

from __future__ import annotations

import doctest
import json
import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import tlclassic
from tlclassic import NgramVectorizer
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.features import ngrams
from tlclassic.kernels import _ngrams_plain
from tlclassic.kernels import load as load_kernel

CHECKS = runpy.run_path(str(Path(__file__).with_name("text_estimator_checks.py")))["CHECKS"]
TEXTS = [
    "A good film, a very good film!",
    "not good",
    "",
    "Bad film. Really?!",
    "the the the the the the the the the a good",
    "I don't know, it's a film",
    "naïve CAFÉ 😀 東京",
    "... \x00 x",
]
ESTIMATORS = {
    "defaults": NgramVectorizer(bits=9),
    "words and characters": NgramVectorizer(char_ngrams=(2, 4), bits=9, counts="sublinear", idf=True, norm="l2"),
    "characters": NgramVectorizer(word_ngrams=None, char_ngrams=(3, 3), bits=8, counts="binary", norm="length"),
    "as it is": NgramVectorizer(word_ngrams=(2, 3), bits=6, case="keep", punctuation="drop", norm="none", idf=True),
}
#: A CSR matrix does not become a data frame; scikit-learn says so itself.
SPARSE_CHECKS = [check for check in CHECKS if check.__name__ != "sets_its_output"]


@pytest.mark.parametrize("check", SPARSE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_text_estimator(name, check):
    check(clone(ESTIMATORS[name]), TEXTS)


def test_a_data_frame_is_refused():
    with pytest.raises(ValueError, match="sparse"):
        NgramVectorizer(bits=4).set_output(transform="pandas").fit_transform(TEXTS)


def _expected(vectorizer, texts, fitted_on):
    """The formulas, with plain dicts, from the kernel's buckets."""
    kernel = load_kernel("ngrams").Ngrams(
        words=vectorizer.word_ngrams or (0, 0),
        chars=vectorizer.char_ngrams or (0, 0),
        bits=vectorizer.bits,
        fold=vectorizer.case == "fold",
        keep_punctuation=vectorizer.punctuation == "keep",
    )
    families = [f for f in (0, 1) if (vectorizer.word_ngrams, vectorizer.char_ngrams)[f] is not None]
    size = 1 << vectorizer.bits
    out = np.zeros((len(texts), len(families) * size))
    for place, family in enumerate(families):
        known = [Counter(b for f, b, *_ in kernel.spans(text) if f == family) for text in fitted_on]
        df = Counter(b for row in known for b in row)
        for i, text in enumerate(texts):
            row = Counter(b for f, b, *_ in kernel.spans(text) if f == family)
            n = sum(row.values())
            values = {}
            for bucket, count in row.items():
                tf = {"count": count, "binary": 1, "sublinear": 1 + np.log(count)}[vectorizer.counts]
                idf = np.log((1 + len(fitted_on)) / (1 + df[bucket])) + 1 if vectorizer.idf else 1.0
                values[bucket] = tf * idf
            norm = {"none": 1, "length": n, "sqrt": np.sqrt(n)}.get(vectorizer.norm)
            norm = np.sqrt(sum(v * v for v in values.values())) if norm is None else norm
            for bucket, value in values.items():
                out[i, place * size + bucket] = value / (norm or 1)
    return out


@pytest.mark.parametrize("norm", ngrams.NORMS)
@pytest.mark.parametrize("counts", ngrams.COUNTS)
@pytest.mark.parametrize("idf", [False, True])
def test_values_are_the_formulas(norm, counts, idf):
    vectorizer = NgramVectorizer(char_ngrams=(1, 3), bits=7, norm=norm, counts=counts, idf=idf).fit(TEXTS)
    others = [*TEXTS, "a film nobody has seen before", "good good good"]
    X = vectorizer.transform(others)
    np.testing.assert_allclose(X.toarray(), _expected(vectorizer, others, TEXTS), rtol=2e-6, atol=1e-7)


@settings(max_examples=25)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_any_text_gives_the_formulas(texts):
    vectorizer = NgramVectorizer(word_ngrams=(1, 3), char_ngrams=(2, 3), bits=5, counts="sublinear", norm="l2")
    X = vectorizer.fit_transform(texts)
    assert X.dtype == np.float32
    assert X.has_sorted_indices
    assert (np.diff(X.indptr) >= 0).all()
    np.testing.assert_allclose(X.toarray(), _expected(vectorizer, texts, texts), rtol=2e-6, atol=1e-7)


def test_the_families_have_columns_of_their_own():
    both = NgramVectorizer(word_ngrams=(1, 1), char_ngrams=(2, 3), bits=10).fit_transform(TEXTS)
    words = NgramVectorizer(word_ngrams=(1, 1), bits=10).fit_transform(TEXTS)
    characters = NgramVectorizer(word_ngrams=None, char_ngrams=(2, 3), bits=10).fit_transform(TEXTS)
    np.testing.assert_array_equal(both[:, :1024].toarray(), words.toarray())
    np.testing.assert_array_equal(both[:, 1024:].toarray(), characters.toarray())


def test_idf_is_that_of_scikit_learn():
    vectorizer = NgramVectorizer(bits=12, idf=True).fit(TEXTS)
    counts = NgramVectorizer(bits=12, norm="none").fit_transform(TEXTS)
    np.testing.assert_allclose(vectorizer.idf_["word"], TfidfTransformer().fit(counts).idf_, rtol=1e-6)
    assert vectorizer.idf_["word"].dtype == np.float32
    assert NgramVectorizer(bits=4).fit(TEXTS).idf_ == {}


def test_columns_do_not_depend_on_the_training_texts():
    left, right = NgramVectorizer().fit(["x"]), NgramVectorizer().fit(TEXTS)
    assert (left.transform(TEXTS) != right.transform(TEXTS)).nnz == 0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"word_ngrams": (0, 2)}, "word_ngrams must be at least 1; got 0"),
        ({"word_ngrams": (2, 1)}, r"word_ngrams must have its shorter length first; got \(2, 1\)"),
        ({"word_ngrams": (1, 9)}, "word_ngrams must be at most 8; got 9"),
        ({"word_ngrams": 2}, r"word_ngrams must be None or a pair such as \(1, 2\); got 2"),
        ({"char_ngrams": (1, 2, 3)}, "char_ngrams must be None or a pair"),
        ({"char_ngrams": (2, 33)}, "char_ngrams must be at most 32"),
        ({"char_ngrams": (2.0, 3)}, "char_ngrams must be an integer; got 2.0"),
        ({"word_ngrams": None}, "word_ngrams and char_ngrams must not both be None"),
        ({"bits": 0}, "bits must be at least 1"),
        ({"bits": 29}, "bits must be at most 28"),
        ({"case": "lower"}, "case must be one of 'fold', 'keep'; got 'lower'"),
        ({"punctuation": True}, "punctuation must be one of"),
        ({"counts": "log"}, "counts must be one of"),
        ({"idf": 1}, "idf must be one of True, False"),
        ({"norm": "l1"}, "norm must be one of"),
    ],
)
def test_parameters_outside_their_domain(params, message):
    with pytest.raises(InvalidParameterError, match=message):
        NgramVectorizer(**params).fit(TEXTS)


def test_the_limits_are_the_kernels():
    assert ngrams.FAMILIES == {"word": _ngrams_plain.MAX_WORDS, "char": _ngrams_plain.MAX_CHARS}
    assert ngrams.MAX_BITS <= _ngrams_plain.MAX_BITS


def test_in_a_pipeline_saved_and_opened_again(tmp_path):
    labels = np.arange(len(TEXTS)) % 2
    vectorizer = NgramVectorizer(bits=12, idf=True, char_ngrams=(2, 3), norm="l2")
    model = make_pipeline(vectorizer, LogisticRegression()).fit(TEXTS, labels)
    tlclassic.save(model, tmp_path / "model.tlc")
    opened = tlclassic.load(tmp_path / "model.tlc")
    np.testing.assert_array_equal(opened.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert (tmp_path / "model.tlc").stat().st_size < 200_000


def test_only_seen_buckets_are_saved():
    _, arrays = NgramVectorizer(idf=True).fit(TEXTS).to_state()
    assert sum(array.nbytes for array in arrays.values()) < 4096


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, a: m["params"].update(bits=77), "wrong parameter: bits must be at most 28"),
        (lambda m, a: m["params"].pop("norm") and m.pop("unseen"), "incomplete or altered"),
        (lambda m, a: a.pop("idf/word/values"), "incomplete or altered"),
        (lambda m, a: a.update({"idf/word/buckets": a["idf/word/buckets"] + 4000}), "names buckets it does not have"),
        (lambda m, a: a.update({"idf/word/values": a["idf/word/values"][1:]}), "names buckets it does not have"),
        (lambda m, a: a.update({"idf/word/values": a["idf/word/values"] * np.nan}), "not finite"),
    ],
)
def test_a_damaged_state_is_refused(change, message):
    metadata, arrays = NgramVectorizer(bits=12, idf=True).fit(TEXTS).to_state()
    metadata = json.loads(json.dumps(metadata))
    change(metadata, arrays)
    with pytest.raises(CorruptArtifactError, match=message):
        NgramVectorizer.from_state(metadata, arrays)


def test_docstring():
    results = doctest.testmod(ngrams)
    assert results.attempted > 0
    assert results.failed == 0
