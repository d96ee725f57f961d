"""What does not fold is refused by the step's name, with a way out."""

from __future__ import annotations

import runpy
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC

from tlclassic import EmbeddingVectorizer, WordVectors, compile
from tlclassic.errors import InvalidParameterError
from tlclassic.vectors.subword import SubwordTable

CASES = runpy.run_path(str(Path(__file__).with_name("folding_cases.py")))
fitted, make_labels, make_texts, make_vectors, with_step = itemgetter(
    "fitted", "make_labels", "make_texts", "make_vectors", "with_step"
)(CASES)

STEPS = [
    (Normalizer(), "'normalizer' .Normalizer. .*norm is not linear"),
    (FunctionTransformer(np.abs), "'functiontransformer' .*Python function"),
    (MinMaxScaler(clip=True), "'minmaxscaler' .*clip=True"),
    (PolynomialFeatures(), "'polynomialfeatures' .*products"),
    (QuantileTransformer(n_quantiles=5), "'quantiletransformer' .*quantiles"),
    (PowerTransformer(), "'powertransformer' .*power"),
    (ColumnTransformer([("all", StandardScaler(), [0, 1])]), "'columntransformer' .*FeatureUnion"),
    (make_pipeline(StandardScaler(), Normalizer()), "'pipeline.normalizer' "),
    (make_union(StandardScaler(), Normalizer()), "'featureunion.normalizer' "),
]


@pytest.mark.parametrize(("step", "message"), STEPS, ids=[type(step).__name__ for step, _ in STEPS])
def test_steps(step, message):
    with pytest.raises(InvalidParameterError, match=f"step {message}"):
        compile(with_step(step))


def test_max_abs_scaler_that_clips():
    if "clip" not in MaxAbsScaler().get_params():
        pytest.skip("this scikit-learn has no MaxAbsScaler(clip=...)")
    with pytest.raises(InvalidParameterError, match=r"'maxabsscaler' .*clip=True"):
        compile(with_step(MaxAbsScaler(clip=True)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalize": True}, "normalize=True"),
        ({"pooling": "usif"}, "pooling 'usif'"),
        ({"pooling": ["mean", "max"]}, "pooling 'max'"),
        ({"pooling": "min"}, "pooling 'min'"),
        ({"pooling": "power", "powers": (1, 2)}, "pooling 'power2'"),
        ({"pooling": "power", "powers": (float("inf"),)}, "pooling 'powerinf'"),
        ({"tokenizer": str.split}, "CallableTokenizer"),
    ],
)
def test_embeddings(options, message):
    model = fitted(EmbeddingVectorizer(make_vectors(), **options), LogisticRegression())
    with pytest.raises(InvalidParameterError, match=f"'embeddingvectorizer' .EmbeddingVectorizer. .*{message}"):
        compile(model)


def test_sub_words():
    plain = make_vectors()
    table = SubwordTable(np.eye(5, dtype="float32"), min_n=2, max_n=3, bucket=5)
    vectors = WordVectors.from_arrays(list(plain.words), plain.table, subwords=table, oov="subword")
    model = fitted(EmbeddingVectorizer(vectors), LogisticRegression())
    with pytest.raises(InvalidParameterError, match=r"unknown='subword'.* unknown='ignore'"):
        compile(model)


@pytest.mark.parametrize("source", [CountVectorizer(), TfidfVectorizer(), HashingVectorizer(n_features=64)])
def test_text_vectorizers_of_scikit_learn(source):
    name = type(source).__name__
    with pytest.raises(InvalidParameterError, match=f"'{name.lower()}' .{name}. .*NgramVectorizer"):
        compile(fitted(source, LogisticRegression()))
    union = make_union(EmbeddingVectorizer(make_vectors()), make_pipeline(source, MaxAbsScaler()))
    with pytest.raises(InvalidParameterError, match=f"'featureunion.pipeline.{name.lower()}' .*NgramVectorizer"):
        compile(fitted(union, LogisticRegression()))


def test_a_source_of_another_kind():
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(np.eye(6), [0, 1] * 3)
    with pytest.raises(InvalidParameterError, match=r"'standardscaler' .*The first step must be EmbeddingVectorizer"):
        compile(model)


@pytest.mark.parametrize(
    "head",
    [SVC(), RandomForestClassifier(n_estimators=2), MLPClassifier((2,), max_iter=1, solver="lbfgs")],
    ids=["SVC", "forest", "MLP"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_heads(head):
    name = type(head).__name__
    with pytest.raises(InvalidParameterError, match=f"step '{name.lower()}' .{name}. .*What compiles: Logistic"):
        compile(fitted(EmbeddingVectorizer(make_vectors()), head))


def test_calibrations():
    isotonic = CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2, ensemble=False)
    with pytest.raises(InvalidParameterError, match=r"'calibratedclassifiercv' .*'isotonic' is a step function"):
        compile(with_steps_and(isotonic))
    average = CalibratedClassifierCV(LogisticRegression(), method="sigmoid", cv=2, ensemble=True)
    with pytest.raises(InvalidParameterError, match=r"ensemble=True averages.* 2 classifiers.*ensemble=False"):
        compile(with_steps_and(average))


def with_steps_and(head):
    return fitted(EmbeddingVectorizer(make_vectors()), head)


def test_ridge_with_several_labels():
    Y = np.eye(3, dtype=int)[np.arange(60) % 3]
    model = make_pipeline(EmbeddingVectorizer(make_vectors()), RidgeClassifier()).fit(make_texts(), Y)
    with pytest.raises(InvalidParameterError, match=r"'ridgeclassifier' .*OneVsRestClassifier"):
        compile(model)


def test_one_vs_rest_of_pipelines():
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.raises(InvalidParameterError, match="one-vs-rest is compiled over bare classifiers"):
        compile(with_steps_and(OneVsRestClassifier(inner)))


def test_a_classifier_without_its_features():
    with pytest.raises(InvalidParameterError, match=r"must start from texts.*Compile the pipeline"):
        compile(LogisticRegression().fit(np.eye(4), [0, 1, 0, 1]))


def test_what_is_not_fitted():
    with pytest.raises(NotFittedError):
        compile(make_pipeline(EmbeddingVectorizer(make_vectors()), LogisticRegression()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int4"}, "dtype must be one of 'float32', 'float16', 'int8'; got 'int4'"),
        ({"prune": 1.0}, "prune must be below 1; got 1.0"),
        ({"prune": -0.1}, "prune must be at least 0.0; got -0.1"),
        ({"max_size": "2 apples"}, "max_size must be a size such as '2MB'"),
        ({"max_size": 10}, r"max_size=10 bytes is too small: .* takes about [\d,]+ bytes"),
        ({"labels": make_labels()}, "labels must be as many as texts; got 60 labels and 0 texts"),
        ({"texts": ["a"], "labels": [1, 2]}, "got 2 labels and 1 texts"),
        ({"texts": "a text"}, "single string"),
        ({"provenance": {"x": object()}}, "provenance must be JSON-serialisable"),
    ],
)
def test_parameters(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        compile(with_step(), **options)


def test_classes_of_several_types():
    y = np.array([1, "a"] * 30, dtype=object)
    model = with_step()
    model[-1].classes_ = y[:3]
    with pytest.raises(InvalidParameterError, match=r"the classes must all be .*; got int, str"):
        compile(model)
