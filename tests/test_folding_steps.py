"""Every step that folds, one by one: compiled decisions are those of the source in float64."""

from __future__ import annotations

import runpy
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from tlclassic import EmbeddingVectorizer, Tokenizer, compile
from tlclassic.features import CommonComponentRemoval

CASES = runpy.run_path(str(Path(__file__).with_name("folding_cases.py")))
assert_same_decisions, fitted, make_texts, make_vectors, with_step = itemgetter(
    "assert_same_decisions", "fitted", "make_texts", "make_vectors", "with_step"
)(CASES)

STEPS = {
    "standard": StandardScaler(),
    "standard_no_mean": StandardScaler(with_mean=False),
    "standard_no_std": StandardScaler(with_std=False),
    "min_max": MinMaxScaler(feature_range=(-1, 3)),
    "max_abs": MaxAbsScaler(),
    "robust": RobustScaler(),
    "robust_no_centering": RobustScaler(with_centering=False),
    "robust_no_scaling": RobustScaler(with_scaling=False),
    "pca": PCA(3),
    "pca_whiten": PCA(3, whiten=True),
    "incremental_pca": IncrementalPCA(2),
    "svd": TruncatedSVD(3),
    "components": CommonComponentRemoval(2),
    "components_usif": CommonComponentRemoval(2, weighting="usif"),
    "variance": VarianceThreshold(1e-6),
    "k_best": SelectKBest(k=2),
    "from_model": SelectFromModel(LogisticRegression()),
    "gaussian": GaussianRandomProjection(4, random_state=0),
    "sparse_projection": SparseRandomProjection(4, random_state=0),
    "passthrough": "passthrough",
    "identity": FunctionTransformer(),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_step_between_vectors_and_head(name, n_classes):
    model = with_step(STEPS[name], n_classes=n_classes)
    assert_same_decisions(compile(model), model)


def test_steps_one_after_another_and_in_pipelines():
    inner = make_pipeline(StandardScaler(), make_pipeline(PCA(4, whiten=True), "passthrough"))
    model = with_step(CommonComponentRemoval(), inner, MinMaxScaler())
    assert_same_decisions(compile(model), model)


def test_a_union_of_steps_with_weights():
    union = FeatureUnion(
        [
            ("pca", make_pipeline(StandardScaler(), PCA(2))),
            ("same", "passthrough"),
            ("left_out", "drop"),
            ("best", SelectKBest(k=1)),
        ],
        transformer_weights={"pca": 3.0, "best": 0.5},
    )
    model = with_step(union)
    assert_same_decisions(compile(model), model)


def test_a_union_of_sources_with_weights_and_nesting():
    union = FeatureUnion(
        [
            ("scaled", make_pipeline(EmbeddingVectorizer(make_vectors(1)), StandardScaler())),
            ("left_out", "drop"),
            ("nested", make_union(EmbeddingVectorizer(make_vectors(2), pooling=["mean", "sif"], unknown="zero"))),
        ],
        transformer_weights={"scaled": 0.2, "nested": 2.0},
    )
    model = fitted(union, MaxAbsScaler(), LogisticRegression(C=10))
    assert_same_decisions(compile(model), model)


@pytest.mark.parametrize(
    "pooling", ["mean", "tfidf", "sif", "power", ["mean", "tfidf"], ["sif", "mean", "power", "tfidf"]]
)
@pytest.mark.parametrize("unknown", ["ignore", "zero", "mean"])
def test_poolings_and_unknown_words(pooling, unknown):
    source = EmbeddingVectorizer(make_vectors(), pooling=pooling, powers=(1,), unknown=unknown)
    model = fitted(source, StandardScaler(), LogisticRegression(C=10))
    assert_same_decisions(compile(model), model)


@pytest.mark.parametrize("n_components", [0, 1, 3])
def test_common_components_of_sif(n_components):
    source = EmbeddingVectorizer(make_vectors(), pooling="sif", counts="train", n_components=n_components, a=0.1)
    model = fitted(source, LogisticRegression(C=100))
    assert_same_decisions(compile(model), model)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_quantised_vectors(dtype):
    model = fitted(EmbeddingVectorizer(make_vectors(dtype=dtype)), StandardScaler(), LogisticRegression(C=10))
    assert_same_decisions(compile(model), model)


@pytest.mark.parametrize("lower_fallback", [True, False])
@pytest.mark.parametrize("case", ["keep", "lower", "fold"])
def test_case_and_its_fallback(case, lower_fallback):
    tokenizer = Tokenizer(case=case, punctuation="keep", contractions="keep")
    source = EmbeddingVectorizer(make_vectors(), tokenizer=tokenizer, lower_fallback=lower_fallback)
    model = fitted(source, LogisticRegression(C=10))
    texts = ["GOOD Film", "good film", "PARIS Paris paris", "STRASSE Straße straße", "İ don't", *make_texts(seed=5)]
    assert_same_decisions(compile(model), model, texts)


def test_sums_with_one_denominator_are_one_table():
    source = EmbeddingVectorizer(make_vectors(), pooling=["mean", "sif", "tfidf"])
    compiled = compile(fitted(source, LogisticRegression()))
    (family,) = compiled.metadata["families"]
    assert [block["denominator"] for block in family["blocks"]] == ["count", "weights"]


def test_two_vectorizers_over_the_same_words_are_one_family():
    vectors = make_vectors()
    union = make_union(EmbeddingVectorizer(vectors), EmbeddingVectorizer(vectors, pooling="tfidf"))
    compiled = compile(fitted(union, LogisticRegression()))
    assert len(compiled.metadata["families"]) == 1
    other = make_union(EmbeddingVectorizer(vectors), EmbeddingVectorizer(vectors, unknown="zero"))
    assert len(compile(fitted(other, LogisticRegression())).metadata["families"]) == 2


def test_words_that_the_tokenizer_never_gives_are_left_out():
    model = with_step()
    step = compile(model).metadata["report"]["steps"][0]
    # Not "u.s.", which is split, nor the upper-case "Paris" of a lower-casing tokeniser.
    assert model[0].tokenizer_.case == "keep"
    assert step["rows"] == 19
    lower = fitted(EmbeddingVectorizer(make_vectors(), tokenizer=Tokenizer(case="lower")), LogisticRegression())
    assert compile(lower).metadata["report"]["steps"][0]["rows"] == 18


def test_a_subclass_of_a_step_is_not_taken_for_it():
    class Doubled(StandardScaler):
        def transform(self, X, copy=None):
            return 2 * super().transform(X, copy)

    with pytest.raises(ValueError, match=r"step 'doubled' \(Doubled\) cannot be compiled"):
        compile(with_step(Doubled()))


def test_a_pipeline_inside_the_first_step():
    first = Pipeline([("pool", EmbeddingVectorizer(make_vectors())), ("scale", StandardScaler())])
    model = fitted(first, PCA(3), LogisticRegression(C=10))
    assert_same_decisions(compile(model), model)


def test_one_text_gives_what_it_gives_in_a_batch():
    model = with_step(StandardScaler())
    compiled = compile(model)
    texts = make_texts(seed=3)
    alone = np.concatenate([compiled.decision_function([text]) for text in texts])
    np.testing.assert_array_equal(alone, compiled.decision_function(texts))
