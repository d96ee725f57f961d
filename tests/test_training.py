"""The command line's default pipeline, from Python."""

from __future__ import annotations

import numpy as np
import pytest

from tlclassic import WordVectors
from tlclassic.errors import InvalidParameterError
from tlclassic.pipelines.training import FeatureOptions, build_features, train_classifier

TEXTS = ["good film", "bad film", "good good", "bad bad film", "a good one", "a bad one"] * 5
LABELS = ["pos", "neg"] * 15


@pytest.fixture
def store(tmp_path):
    """Four words in eight dimensions."""
    table = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    WordVectors.from_arrays(["good", "bad", "film", "a"], table).save(tmp_path / "v.tlc")
    return tmp_path / "v.tlc"


def test_one_feature_is_not_wrapped(store):
    features = build_features(FeatureOptions(features=[f"vectors:{store}"], pooling=("mean", "max")))
    assert list(features.named_steps) == ["pool", "scale"]
    assert features.fit_transform(TEXTS).shape == (30, 16)


def test_joined_features_have_rows_of_like_length(store):
    options = FeatureOptions(features=[f"vectors:{store}", "tfidf"], pooling=("mean", "power"))
    features = build_features(options)
    assert features.transformer_weights == {"features0": pytest.approx(48**-0.5)}
    matrix = features.fit_transform(TEXTS).toarray()
    dense, sparse = matrix[:, :48], matrix[:, 48:]
    assert np.linalg.norm(sparse, axis=1) == pytest.approx(np.ones(30))
    # Columns of no variance stay zero, so the mean length is at most one.
    assert 0.5 < np.sqrt((dense**2).sum(axis=1).mean()) <= 1.0 + 1e-6


def test_trained_pipeline_predicts_its_training_texts(store):
    result = train_classifier(TEXTS, LABELS, FeatureOptions(features=[f"vectors:{store}", "tfidf", "tfidf-char"]))
    assert result.pipeline.predict(TEXTS).tolist() == LABELS
    assert result.labels is None


def test_labels_of_several_types_are_refused():
    with pytest.raises(InvalidParameterError, match="labels must all be of one type; got int, str"):
        train_classifier(["a"] * 4, ["x", 1, "y", 2], FeatureOptions(features=["tfidf"]))


def test_labels_beyond_64_bits_are_refused():
    with pytest.raises(InvalidParameterError, match=rf"64-bit integers; got {10**30}\. Write it as a string"):
        train_classifier(["a"] * 4, [1, 10**30, 1, 10**30], FeatureOptions(features=["tfidf"]))


@pytest.mark.parametrize(
    ("features", "message"), [([], "got none"), (["vectors:"], "got 'vectors:'"), (["x"], "got 'x'")]
)
def test_unknown_features_are_refused(features, message):
    with pytest.raises(InvalidParameterError, match=message):
        build_features(FeatureOptions(features=features))


def test_calibration_of_several_labels_is_refused():
    with pytest.raises(InvalidParameterError, match="calibrate works with one label a text"):
        train_classifier(
            ["a b", "b", "a", "c"] * 3,
            [["x"], ["y"], ["x", "y"], []] * 3,
            FeatureOptions(features=["tfidf"]),
            multilabel=True,
            calibrate="sigmoid",
        )
