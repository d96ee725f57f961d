"""Random pipelines over random vocabularies: compiled decisions are those of the source in float64."""

from __future__ import annotations

import runpy
import warnings
from operator import itemgetter
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import LinearSVC

from tlclassic import EmbeddingVectorizer, Tokenizer, compile
from tlclassic.errors import InvalidParameterError
from tlclassic.features import CommonComponentRemoval
from tlclassic.folding.measure import ParityError

CASES = runpy.run_path(str(Path(__file__).with_name("folding_cases.py")))
decision, make_vectors = itemgetter("decision", "make_vectors")(CASES)

SLOW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

words = st.text("abcdeABéßИ東!'n.-1", min_size=1, max_size=5)
vocabularies = st.lists(words, min_size=4, max_size=25, unique=True)
tokenizers = st.builds(
    Tokenizer,
    case=st.sampled_from(["lower", "fold", "keep"]),
    accents=st.sampled_from(["keep", "strip"]),
    contractions=st.sampled_from(["split", "keep"]),
    punctuation=st.sampled_from(["drop", "emphasis", "keep"]),
)
steps = st.sampled_from(
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        MinMaxScaler(),
        MaxAbsScaler(),
        RobustScaler(with_scaling=False),
        PCA(2),
        PCA(2, whiten=True),
        TruncatedSVD(2),
        CommonComponentRemoval(1),
        SelectKBest(k=2),
        FeatureUnion([("pca", PCA(1)), ("same", "passthrough")], transformer_weights={"pca": 2.0}),
    ]
)
heads = st.sampled_from(
    [LogisticRegression(C=10), RidgeClassifier(), OneVsRestClassifier(LogisticRegression()), LinearSVC()]
)
POOLINGS = ["mean", "tfidf", "sif", "power"]


@st.composite
def models(draw):
    vocabulary = draw(vocabularies)
    sources = []
    for number in range(draw(st.integers(1, 2))):
        vectors = make_vectors(number, dim=3, words=vocabulary)
        source = EmbeddingVectorizer(
            vectors,
            pooling=draw(st.lists(st.sampled_from(POOLINGS), min_size=1, max_size=3, unique=True)),
            powers=(1,),
            tokenizer=draw(tokenizers),
            lower_fallback=draw(st.booleans()),
            unknown=draw(st.sampled_from(["ignore", "zero", "mean"])),
            counts=draw(st.sampled_from(["rank", "train"])),
        )
        sources.append((f"part{number}", source))
    first = sources[0][1] if len(sources) == 1 else FeatureUnion(sources, transformer_weights={"part0": 0.5})
    return vocabulary, make_pipeline(first, *map(clone, draw(st.lists(steps, max_size=2))), clone(draw(heads)))


def texts_of(vocabulary, random, n=30):
    choice = [*vocabulary, "unknown", "B", "é e", ""]
    return ["", *(" ".join(random.choice(choice, random.integers(0, 9))) for _ in range(n - 1))]


def well_conditioned(model):
    """Whether no step divides by next to nothing, which makes noise of float32 features as large as the logits."""
    scales = [step.scale_ for _, step in model.steps if getattr(step, "scale_", None) is not None]
    scales += [np.sqrt(step.explained_variance_) for _, step in model.steps if getattr(step, "whiten", False)]
    return all(np.abs(scale).min() > 1e-4 for scale in scales if not np.isscalar(scale))


@SLOW
@given(models(), st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_random_pipelines(drawn, seed, n_classes):
    vocabulary, model = drawn
    random = np.random.default_rng(seed)
    with warnings.catch_warnings():
        # Columns without variance, solvers that stop early: of no concern here.
        warnings.simplefilter("ignore")
        model.fit(texts_of(vocabulary, random), np.arange(30) % n_classes)
        try:
            compiled = compile(model)
        except ParityError:
            # What a step that divides by next to nothing makes of rounding is noise in the source, too.
            assume(well_conditioned(model))
            raise
        assume(well_conditioned(model))
        texts = texts_of(vocabulary, random)
        expected = decision(model, texts)
    got = compiled.decision_function(texts)
    # Where words nearly cancel, what is added up is larger than the sum: its scale is that of bias and sum.
    scale = max(np.abs(expected).max(), np.abs(compiled.decision_function([""])).max())
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * scale + 1e-12)


@SLOW
@given(models(), st.integers(0, 2**32 - 1), st.sampled_from(["float16", "int8"]))
def test_quantised_logits_stay_within_a_step_per_word(drawn, seed, dtype):
    vocabulary, model = drawn
    random = np.random.default_rng(seed)
    texts = texts_of(vocabulary, random)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(texts, np.arange(30) % 3)
        try:
            compiled = compile(model, dtype=dtype, texts=texts)
        except InvalidParameterError:
            # A scaler that divides by next to nothing: its weights do not fit float16.
            assume(False)
    last = compiled.metadata["report"]["steps"][-1]
    assert last["dtype"] == dtype
    exact = compile(model).decision_function(texts)
    error = float(np.abs(exact - compiled.decision_function(texts)).max())
    assert 0 <= last["max_logit_error"] <= 2 * error + 1e-6
