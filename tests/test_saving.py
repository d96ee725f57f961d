"""Saving and loading of fitted pipelines."""

from __future__ import annotations

import json
import os
import zlib

import numpy as np
import pytest
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeClassifier, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from tlclassic import EmbeddingVectorizer, WordVectors
from tlclassic.errors import (
    ArtifactVersionError,
    CorruptArtifactError,
    ForeignArtifactError,
    InvalidParameterError,
    UnsafeFormatError,
)
from tlclassic.pipelines import load, read_metadata, save, saving
from tlclassic.storage import ArtifactWriter
from tlclassic.storage.layout import Prelude

TEXTS = [
    "the parcel never came",
    "parcel is late again",
    "where is the parcel",
    "my bill is wrong",
    "charged twice on this bill",
    "the bill came twice",
    "cannot log in",
    "password reset does not work",
    "log in fails with my password",
] * 4
LABELS = (["delivery"] * 3 + ["billing"] * 3 + ["account"] * 3) * 4


def _assert_same(pipeline, loaded, inputs):
    assert type(loaded) is type(pipeline)
    assert loaded.predict(inputs).tolist() == pipeline.predict(inputs).tolist()
    assert loaded.predict(inputs).dtype == pipeline.predict(inputs).dtype
    for method in ("predict_proba", "decision_function"):
        if hasattr(pipeline, method):
            np.testing.assert_array_equal(getattr(loaded, method)(inputs), getattr(pipeline, method)(inputs))


HEADS = [
    LogisticRegression(C=3.0),
    LogisticRegression(C=3.0, solver="newton-cholesky"),
    RidgeClassifier(),
    SGDClassifier(loss="log_loss", random_state=0),
    LinearSVC(),
    OneVsRestClassifier(LogisticRegression()),
    DummyClassifier(strategy="prior"),
    ComplementNB(),
    SVC(),
    KNeighborsClassifier(3),
    RandomForestClassifier(5, random_state=0),
    MLPClassifier((5,), max_iter=30, random_state=0, solver="lbfgs"),
    CalibratedClassifierCV(LogisticRegression(), method="sigmoid", cv=2, ensemble=False),
    CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2, ensemble=False),
    CalibratedClassifierCV(LinearSVC(), method="sigmoid", cv=2),
    CalibratedClassifierCV(LogisticRegression(), method="temperature", cv=2, ensemble=False),
]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: f"{type(head).__name__}")
def test_any_head_comes_back_equal(head, tmp_path):
    pipeline = make_pipeline(TfidfVectorizer(), head).fit(TEXTS, LABELS)
    save(pipeline, tmp_path / "model.tlc")
    _assert_same(pipeline, load(tmp_path / "model.tlc"), TEXTS)


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, stop_words=["the"]),
        TfidfVectorizer(dtype=np.float32, norm=None, use_idf=False, min_df=2),
        CountVectorizer(analyzer="char_wb", ngram_range=(2, 3), binary=True),
        HashingVectorizer(n_features=64),
        FeatureUnion(
            [("words", TfidfVectorizer()), ("chars", TfidfVectorizer(analyzer="char"))],
            transformer_weights={"chars": 0.5},
        ),
        FeatureUnion([("words", TfidfVectorizer()), ("none", "drop")]),
        make_pipeline(TfidfVectorizer(), TruncatedSVD(4, random_state=0), StandardScaler()),
        make_pipeline(TfidfVectorizer(), TruncatedSVD(4, random_state=0), PCA(2, random_state=0), MinMaxScaler()),
        make_pipeline(CountVectorizer(), MaxAbsScaler(), Normalizer(), "passthrough"),
    ],
    ids=lambda vectorizer: type(vectorizer).__name__,
)
def test_any_vectorizer_comes_back_equal(vectorizer, tmp_path):
    pipeline = Pipeline([("features", vectorizer), ("head", LogisticRegression())]).fit(TEXTS, LABELS)
    save(pipeline, tmp_path / "model.tlc")
    loaded = load(tmp_path / "model.tlc")
    _assert_same(pipeline, loaded, [*TEXTS, "", "ünknown words"])
    assert str(loaded.get_params()) == str(pipeline.get_params())


def test_plain_heads_do_not_go_through_skops(tmp_path, monkeypatch):
    def refuse(*_args):
        raise AssertionError("skops was used")

    monkeypatch.setattr(saving, "_encode_with_skops", refuse)
    pipeline = make_pipeline(TfidfVectorizer(), StandardScaler(with_mean=False), LogisticRegression()).fit(
        TEXTS, LABELS
    )
    save(pipeline, tmp_path / "model.tlc")


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(36) % 3,
        (np.arange(36) % 3).astype(np.int32),
        np.arange(36) % 2 == 0,
        (np.arange(36) % 3) * 2.0,
        np.array(["é", "b", "c"] * 12, dtype=object),
    ],
    ids=["int64", "int32", "bool", "float", "object"],
)
def test_label_types_survive(labels, tmp_path):
    pipeline = make_pipeline(CountVectorizer(), LogisticRegression()).fit(TEXTS, labels)
    save(pipeline, tmp_path / "model.tlc")
    loaded = load(tmp_path / "model.tlc")
    _assert_same(pipeline, loaded, TEXTS)
    assert loaded.classes_.dtype == pipeline.classes_.dtype
    assert type(loaded.predict(TEXTS).tolist()[0]) is type(labels.tolist()[0])


def test_multilabel(tmp_path):
    targets = np.random.default_rng(0).integers(0, 2, (36, 4))
    pipeline = make_pipeline(CountVectorizer(), OneVsRestClassifier(LogisticRegression())).fit(TEXTS, targets)
    save(pipeline, tmp_path / "model.tlc")
    _assert_same(pipeline, load(tmp_path / "model.tlc"), TEXTS)


def test_single_estimator_and_cv(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(36, 5))
    head = LogisticRegressionCV(
        Cs=[0.1, 1.0], cv=2, l1_ratios=(0.0,), scoring="accuracy", use_legacy_attributes=False
    ).fit(matrix, LABELS)
    save(head, tmp_path / "model.tlc")
    _assert_same(head, load(tmp_path / "model.tlc"), matrix)


def test_saving_again_gives_the_same_bytes(tmp_path):
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, LABELS)
    save(pipeline, tmp_path / "one.tlc")
    save(load(tmp_path / "one.tlc"), tmp_path / "two.tlc")
    assert (tmp_path / "one.tlc").read_bytes() == (tmp_path / "two.tlc").read_bytes()


def test_metadata(tmp_path):
    head = DummyClassifier().fit(np.zeros((2, 1)), ["a", "b"])
    save(head, tmp_path / "model.tlc", metadata={"task": {"text": "tëxt"}})
    metadata = read_metadata(tmp_path / "model.tlc")
    assert metadata["task"] == {"text": "tëxt"}
    assert set(metadata) == {"task", "tlclassic", "sklearn"}


def test_functions_are_refused_by_name(tmp_path):
    pipeline = make_pipeline(TfidfVectorizer(tokenizer=str.split, token_pattern=None), LogisticRegression()).fit(
        TEXTS, LABELS
    )
    with pytest.raises(InvalidParameterError, match=r"model\.tfidfvectorizer\.tokenizer cannot be saved"):
        save(pipeline, tmp_path / "model.tlc")
    assert os.listdir(tmp_path) == []


def _own_function(matrix):
    return matrix


def test_foreign_types_are_refused_when_saving(tmp_path):
    pipeline = make_pipeline(CountVectorizer(), FunctionTransformer(_own_function), LogisticRegression()).fit(
        TEXTS, LABELS
    )
    with pytest.raises(
        InvalidParameterError, match=r"model\.functiontransformer cannot be saved so that it opens again.*_own_function"
    ):
        save(pipeline, tmp_path / "model.tlc")


def test_foreign_types_are_refused_when_loading(tmp_path):
    import skops.io

    estimator = FunctionTransformer(os.path.basename)
    raw = np.frombuffer(skops.io.dumps(estimator), dtype=np.uint8)
    with ArtifactWriter(tmp_path / "model.tlc", kind="pipeline") as writer:
        writer.metadata.update({"sklearn": "1.0", "model": {"$": "skops", "block": "b"}})
        writer.add("b", raw)
    with pytest.raises(UnsafeFormatError, match=r"posixpath\.basename"):
        load(tmp_path / "model.tlc")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"$": "sklearn", "class": "os.system", "params": {}, "fitted": {}}, "unknown class 'os.system'"),
        ({"$": "own", "class": "Tokenizer", "place": "model", "state": {}}, "unknown class 'Tokenizer'"),
        (
            {"$": "sklearn", "class": "LogisticRegression", "params": {}, "fitted": {"predict": 1}},
            "attribute named 'predict'",
        ),
        (
            {"$": "sklearn", "class": "LogisticRegression", "params": {}, "fitted": {"__class__": 1}},
            "attribute named '__class__'",
        ),
        ({"$": "sklearn", "class": "LogisticRegression"}, "description is malformed"),
        ({"$": "sklearn", "class": ["x"], "params": {}, "fitted": {}}, "unknown class"),
        ({"$": "what"}, "unknown kind 'what'"),
        ([], "unknown kind None"),
        ("passthrough", "unknown kind None"),
        (
            {
                "$": "sklearn",
                "class": "Normalizer",
                "params": {"norm": {"$": "array", "place": "nowhere"}},
                "fitted": {},
            },
            "no block 'nowhere'",
        ),
    ],
)
def test_altered_descriptions_are_refused(node, message, tmp_path):
    with ArtifactWriter(tmp_path / "model.tlc", kind="pipeline") as writer:
        writer.metadata.update({"sklearn": "1.0", "model": node})
    with pytest.raises(CorruptArtifactError, match=message):
        load(tmp_path / "model.tlc")


def test_foreign_and_other_kinds_are_refused(tmp_path):
    (tmp_path / "text").write_text("text\tlabel\n")
    with pytest.raises(ForeignArtifactError, match="not a tlclassic file"):
        load(tmp_path / "text")
    with ArtifactWriter(tmp_path / "vectors", kind="vectors"):
        pass
    with pytest.raises(ForeignArtifactError, match=r"holds 'vectors', not a model.*WordVectors\.load"):
        load(tmp_path / "vectors")


def test_damaged_large_block_is_found_before_anything_is_built(tmp_path):
    head = LogisticRegression().fit(np.eye(4, 150_000), [0, 1, 0, 1])
    save(head, tmp_path / "model.tlc")
    raw = bytearray((tmp_path / "model.tlc").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "model.tlc").write_bytes(raw)
    with pytest.raises(CorruptArtifactError, match=r"block 'model\.coef_' is damaged"):
        load(tmp_path / "model.tlc")


def test_newer_format_is_refused(tmp_path):
    save(DummyClassifier().fit([[0]], [0]), tmp_path / "model.tlc")
    raw = bytearray((tmp_path / "model.tlc").read_bytes())
    prelude = Prelude.unpack(bytes(raw[:64]), path="", actual_size=len(raw))
    newer = Prelude(prelude.header_crc, prelude.header_offset, prelude.header_size, prelude.file_size, format=99)
    raw[:64] = newer.pack()
    (tmp_path / "model.tlc").write_bytes(raw)
    with pytest.raises(ArtifactVersionError, match="written in format 99"):
        load(tmp_path / "model.tlc")
    assert zlib.crc32(newer.pack()[:60]) == int.from_bytes(newer.pack()[60:], "little")


def test_hist_gradient_boosting_on_arrays(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(60, 3))
    head = HistGradientBoostingClassifier(max_iter=3).fit(matrix, np.arange(60) % 2)
    save(head, tmp_path / "model.tlc")
    _assert_same(head, load(tmp_path / "model.tlc"), matrix)


def test_metadata_must_be_json(tmp_path):
    with pytest.raises(InvalidParameterError, match="not JSON serializable"):
        save(DummyClassifier().fit([[0]], [0]), tmp_path / "model.tlc", metadata={"x": json})
    assert os.listdir(tmp_path) == []


def test_sparse_coefficients_are_refused_or_kept(tmp_path):
    matrix = sparse.csr_matrix(np.eye(6))
    head = LogisticRegression().fit(matrix, [0, 1] * 3).sparsify()
    with pytest.raises(InvalidParameterError, match=r"model\.coef_ cannot be saved: it is a csr_"):
        save(head, tmp_path / "model.tlc")


def test_logistic_regression_cv_with_its_defaults(tmp_path):
    head = LogisticRegressionCV(Cs=[0.1, 1.0], cv=2, scoring="accuracy", use_legacy_attributes=True, l1_ratios=None)
    with pytest.warns(FutureWarning):
        head.fit(np.random.default_rng(0).normal(size=(36, 5)), LABELS)
    save(head, tmp_path / "model.tlc")
    assert load(tmp_path / "model.tlc").coef_.tolist() == head.coef_.tolist()


def test_a_label_that_every_row_carries(tmp_path):
    targets = np.stack([np.arange(36) % 2, np.ones(36, dtype=int)], axis=1)
    head = OneVsRestClassifier(LogisticRegression())
    with pytest.warns(UserWarning, match="present in all training examples"):
        head.fit(np.arange(36.0)[:, None], targets)
    save(head, tmp_path / "model.tlc")
    _assert_same(head, load(tmp_path / "model.tlc"), np.arange(5.0)[:, None])


def test_voting_classifier(tmp_path):
    voting = VotingClassifier([("a", LogisticRegression()), ("b", ComplementNB())])
    pipeline = make_pipeline(CountVectorizer(), voting).fit(TEXTS, LABELS)
    save(pipeline, tmp_path / "model.tlc")
    assert load(tmp_path / "model.tlc").predict(TEXTS).tolist() == pipeline.predict(TEXTS).tolist()


def test_set_output_survives(tmp_path):
    vectors = WordVectors.from_arrays(["parcel", "bill"], np.eye(2, dtype=np.float32))
    vectorizer = EmbeddingVectorizer(vectors).set_output(transform="pandas").fit(TEXTS)
    save(vectorizer, tmp_path / "model.tlc")
    frame = load(tmp_path / "model.tlc").transform(["my parcel"])
    assert list(frame.columns) == ["mean_0", "mean_1"]
