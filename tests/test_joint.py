"""Meta-embeddings: vocabulary, preparation, imputing, the ways of joining, the choice among them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import tlclassic
from tlclassic import EmbeddingVectorizer, WordVectors
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.joint import JointEncoder, choose_join, join, join_parts
from tlclassic.joint.imputing import fit_ridge, impute
from tlclassic.joint.maps import joining_map
from tlclassic.joint.preparing import fit_preparation, prepare
from tlclassic.joint.vocabulary import joint_vocabulary

N = 300
WORDS = [f"w{i}" for i in range(N)]


def _vectors(words, table, **options):
    return WordVectors.from_arrays(words, np.asarray(table, dtype=np.float32), **options)


@pytest.fixture(scope="module")
def meaning():
    """What the words mean, of which each source shows a part."""
    return np.random.default_rng(0).normal(size=(N, 6))


@pytest.fixture(scope="module")
def sources(meaning):
    """Two sources of 8 and 5 dimensions that share 200 words, and each see the meaning through a map with noise."""
    rng = np.random.default_rng(1)
    first = meaning @ rng.normal(size=(6, 8)) + 0.1 * rng.normal(size=(N, 8)) + 1
    second = meaning @ rng.normal(size=(6, 5)) + 0.1 * rng.normal(size=(N, 5))
    return _vectors(WORDS[:250], first[:250]), _vectors(WORDS[50:], second[50:])


@pytest.fixture(scope="module")
def pairs(meaning):
    """Word pairs whose score is the cosine of their meanings."""
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, N, size=(2, 200))
    unit = meaning / np.linalg.norm(meaning, axis=1, keepdims=True)
    return [(WORDS[i], WORDS[j], float(unit[i] @ unit[j])) for i, j in zip(a, b, strict=True)]


def test_the_vocabulary_is_the_union_in_the_order_of_mean_ranks():
    first = _vectors(["the", "red", "car"], np.eye(3))
    second = _vectors(["the", "car", "sea"], np.eye(3))
    words, rows = joint_vocabulary([first, second])
    assert words == ["the", "car", "red", "sea"]
    assert rows.tolist() == [[0, 0], [2, 1], [1, -1], [-1, 2]]


def test_cased_sources_answer_for_uncased_words_and_zero_vectors_for_none():
    cased = _vectors(["Paris", "Rome"], [[1, 0], [0, 0]])
    lower = _vectors(["paris", "rome"], np.eye(2))
    words, rows = joint_vocabulary([cased, lower])
    assert dict(zip(words, rows.tolist(), strict=True)) == {
        "Paris": [0, 0], "paris": [0, 0], "Rome": [-1, 1], "rome": [-1, 1],
    }  # fmt: skip


def test_whitening_makes_all_directions_alike_and_none_leaves_them():
    rows = (np.random.default_rng(0).normal(size=(2000, 3)) * [5, 1, 0.5] + 3).astype(np.float32)
    plain = prepare(rows, fit_preparation(rows, 0.0, False))
    white = prepare(rows, fit_preparation(rows, 1.0, False))
    assert np.allclose(plain.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(np.corrcoef(plain.T[0], rows.T[0])[0, 1], 1)
    assert plain.std(axis=0)[0] > 8 * plain.std(axis=0)[2]
    # The smallest direction, which the floor raises a little, is the furthest off.
    assert np.allclose(white.std(axis=0) / white.std(axis=0)[0], 1, atol=0.03)
    assert np.isclose(np.square(plain).sum(axis=1).mean(), 1, atol=1e-3)
    unit = prepare(rows, fit_preparation(rows, 0.5, True))
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-5)


def test_ridge_equals_the_closed_form():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 4)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    found = fit_ridge(x, y, strengths=[2.0])
    xc, yc = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = np.linalg.solve(xc.T @ xc + 2.0 * np.eye(4), xc.T @ yc)
    assert np.allclose(found.weights, expected, atol=1e-5)
    assert np.allclose(found.predict(x[:1]), (x[:1] - x.mean(axis=0)) @ expected + y.mean(axis=0), atol=1e-5)


def test_generalised_cross_validation_penalises_noise_and_not_a_rule():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 20)).astype(np.float32)
    rule = fit_ridge(x, x @ rng.normal(size=(20, 3)).astype(np.float32))
    noise = fit_ridge(x, rng.normal(size=(60, 3)).astype(np.float32))
    assert (rule.strength, noise.strength) == (1e-3, 100.0)
    assert rule.r2 > 0.99
    assert noise.r2 < 0.2


def test_missing_words_are_imputed_from_the_other_sources(sources):
    parts = join_parts(sources, whitening=0.0)
    assert parts.table.shape == (N, 13)
    assert parts.known.sum(axis=0).tolist() == [250, 250]
    assert min(parts.r2) > 0.7
    missing = ~parts.known[:, 0]
    assert np.abs(parts.table[missing, :8]).sum(axis=1).min() > 0.1
    zeros = join_parts(sources, impute=False)
    assert np.abs(zeros.table[~zeros.known[:, 0], :8]).max() == 0
    assert np.isnan(zeros.r2).all()


def test_an_imputed_vector_is_close_to_the_one_that_was_left_out(meaning):
    rng = np.random.default_rng(5)
    whole = (meaning @ rng.normal(size=(6, 8))).astype(np.float32)
    parts = [whole.copy(), (meaning @ rng.normal(size=(6, 7))).astype(np.float32)]
    known = np.ones((N, 2), dtype=bool)
    known[200:, 0] = False
    parts[0][200:] = 0
    shares = impute(parts, known)
    assert np.abs(parts[0][200:] - whole[200:]).max() < 0.05
    assert shares[0] > 0.99
    assert np.isnan(shares[1])


def test_nothing_is_imputed_from_too_few_common_words():
    parts = [np.ones((60, 2), dtype=np.float32), np.ones((60, 2), dtype=np.float32)]
    known = np.ones((60, 2), dtype=bool)
    known[40:, 0] = False
    parts[0][40:] = 0
    assert np.isnan(impute(parts, known)).all()
    assert not parts[0][40:].any()


def test_average_pads_the_shorter_with_zeros():
    table = np.array([[1, 2, 3, 10, 20]], dtype=np.float64)
    found = table @ joining_map("average", np.eye(5), [3, 2], np.array([1.0, 3.0]), None, 1)
    assert found.tolist() == [[7.75, 15.5, 0.75]]


def test_svd_keeps_the_cosines_of_a_concatenation(sources):
    parts = join_parts(sources)
    whole = parts.join("concat", [1, 2]).take(np.arange(N))
    full = parts.join("svd", [1, 2], 13).take(np.arange(N))
    assert np.allclose(whole @ whole.T, full @ full.T, atol=1e-4)
    assert parts.join("svd", [1, 2], 4).shape == (N, 4)


def test_gcca_finds_what_the_sources_agree_on(meaning):
    rng = np.random.default_rng(6)
    shared = meaning[:, :1]
    tables = [
        np.hstack([shared, 5 * rng.normal(size=(N, 3))]) @ np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(2)
    ]
    parts = join_parts([_vectors(WORDS, table) for table in tables], whitening=0.0, normalize=False)
    found = parts.join("gcca", dim=1).take(np.arange(N))[:, 0]
    svd = parts.join("svd", dim=1).take(np.arange(N))[:, 0]
    order = [int(word[1:]) for word in parts.words]
    assert abs(np.corrcoef(found, shared[order, 0])[0, 1]) > 0.95
    assert abs(np.corrcoef(svd, shared[order, 0])[0, 1]) < 0.6


def test_a_source_of_weight_zero_takes_no_columns(sources):
    parts = join_parts(sources)
    assert parts.join("concat", [0, 1]).dim == 5
    assert parts.join("concat").dim == 13


def test_the_result_is_like_any_other_and_folds(sources, tmp_path):
    joined = join(sources, "svd", dim=6, words=WORDS[:100])
    assert joined.shape == (100, 6)
    joined.save(tmp_path / "joint.tlc")
    assert np.array_equal(WordVectors.load(tmp_path / "joint.tlc").table, joined.table)
    texts = [" ".join(WORDS[i : i + 3]) for i in range(60)]
    labels = [int(i % 2) for i in range(60)]
    model = make_pipeline(EmbeddingVectorizer(joined), LogisticRegression()).fit(texts, labels)
    compiled = tlclassic.compile(model)
    assert np.allclose(compiled.predict_proba(texts), model.predict_proba(texts), atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: join(s[0]), "sources must be a list of WordVectors"),
        (lambda s: join([s[0], "glove.txt"]), r"sources\[1\] must be WordVectors; got str"),
        (lambda s: join([]), "sources must be at least 1 sets of word vectors; got 0"),
        (lambda s: join(s, "sum"), "method must be one of 'concat', 'average', 'svd', 'gcca'; got 'sum'"),
        (lambda s: join(s, weights=[1]), "weights must be 2 numbers, one a source"),
        (lambda s: join(s, weights=[0, 0]), "weights must be at least 0, finite and not all 0"),
        (lambda s: join(s, dim=3), "dim must be left out for method='concat'; got 3"),
        (lambda s: join(s, "svd", dim=14), "dim must be at most 13; got 14"),
        (lambda s: join(s, whitening=2), "whitening must be at most 1.0; got 2"),
        (lambda s: choose_join(s), "needs either pairs, or texts and labels"),
        (lambda s: choose_join(s, texts=["a"] * 9, labels=["x"] * 9), "labels must be of at least 2 classes"),
        (lambda s: choose_join(s, pairs=[("a", "b", 1.0)]), "must hold at least 10 pairs for 5 folds; got 1"),
    ],
)
def test_refused(call, message, sources):
    with pytest.raises(InvalidParameterError, match=message):
        call(sources)


def test_joining_beats_each_source_on_pairs(sources, pairs):
    chosen = choose_join(sources, pairs={"all": pairs}, whitenings=[0.0, 0.5], dims=[None, 6], n_folds=3)
    assert chosen.score > max(chosen.singles) + 0.05
    assert chosen.trials == sorted(chosen.trials, key=lambda trial: -trial[1])
    assert len(chosen.trials) == 2 * (2 + 2 * 2)
    assert chosen.settings == chosen.trials[0][0]
    assert chosen.vectors.evaluate_similarity(pairs).spearman > 0.8
    again = choose_join(sources, pairs={"all": pairs}, whitenings=[0.0, 0.5], dims=[None, 6], n_folds=3)
    assert again.vectors.digest == chosen.vectors.digest


@pytest.mark.parametrize("kind", ["str", "int", "bool", "lists", "indicator"])
def test_weights_are_chosen_by_labels_of_any_kind(kind, meaning):
    good = _vectors(WORDS, meaning)
    noise = _vectors(WORDS, np.random.default_rng(7).normal(size=(N, 6)))
    positive = meaning[:200, 0] > 0
    labels = {
        "str": ["yes" if value else "no" for value in positive],
        "int": positive.astype(int) * 3,
        "bool": positive,
        "lists": [["yes", "any"] if value else ["any", "no"] for value in positive],
        "indicator": np.stack([positive, ~positive, meaning[:200, 1] > 0], axis=1).astype(int),
    }[kind]
    chosen = choose_join([noise, good], texts=WORDS[:200], labels=labels, methods=["concat"], whitenings=[0.0])
    assert chosen.settings.weights[1] == 1.0
    assert chosen.settings.weights[0] <= 0.5
    assert chosen.score > 0.85


# -- encoders of texts ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts():
    """120 texts and their labels, which the first words decide."""
    rng = np.random.default_rng(8)
    found = [" ".join(rng.choice(WORDS[60:240], 4)) for _ in range(120)]
    return found, ["even" if sum(int(word[1:]) for word in text.split()[:2]) % 2 else "odd" for text in found]


@pytest.mark.parametrize(("method", "width"), [("concat", 13), ("average", 8), ("svd", 8), ("gcca", 8)])
def test_a_joint_encoder_is_a_transformer(method, width, sources, texts):
    encoder = JointEncoder([EmbeddingVectorizer(source) for source in sources], method=method)
    first = encoder.fit_transform(texts[0])
    assert first.shape == (120, width)
    assert first.dtype == np.float32
    assert np.allclose(encoder.transform(texts[0]), first, atol=1e-6)
    assert np.allclose(encoder.transform(texts[0][:1]), first[:1], atol=1e-6)
    assert encoder.transform([]).shape == (0, width)
    assert encoder.get_feature_names_out()[0] == "jointencoder0"
    assert [type(each).__name__ for each in encoder.encoders_] == ["EmbeddingVectorizer"] * 2
    assert not hasattr(encoder.encoders[0], "vectors_")


def test_its_weights_by_labels_leave_noise_out(meaning, texts):
    good, noise = _vectors(WORDS, meaning), _vectors(WORDS, np.random.default_rng(9).normal(size=(N, 60)))
    labels = [bool(meaning[[int(word[1:]) for word in text.split()], 0].sum() > 0) for text in texts[0]]
    encoder = JointEncoder([EmbeddingVectorizer(good), EmbeddingVectorizer(noise)], weights="cv")
    encoder.fit(texts[0], labels)
    assert encoder.weights_[0] == 1.0
    assert encoder.weights_[1] < 1.0
    with pytest.raises(InvalidParameterError, match="weights='cv' needs labels"):
        encoder.fit(texts[0])


def test_it_is_saved_with_its_encoders(sources, texts, tmp_path):
    encoder = JointEncoder([EmbeddingVectorizer(source) for source in sources], method="svd", dim=5, whitening=0.5)
    model = make_pipeline(encoder, LogisticRegression()).fit(*texts)
    tlclassic.save(model, tmp_path / "model.tlc")
    opened = tlclassic.load(tmp_path / "model.tlc")
    assert np.array_equal(opened.predict_proba(texts[0]), model.predict_proba(texts[0]))
    assert opened[0].get_params(deep=False)["dim"] == 5


def test_onnx_encoders_of_two_folders_join_and_are_saved(tmp_path):
    pytest.importorskip("onnxruntime")
    from tiny_encoder import make_tiny_encoder

    folders = [make_tiny_encoder(tmp_path / name, dim=dim, seed=dim) for name, dim in (("one", 8), ("two", 16))]
    encoder = JointEncoder([tlclassic.OnnxEncoder(folder, threads=1) for folder in folders], method="gcca", dim=5)
    texts = ["my card is lost", "a great film", "the bill is wrong", "poor plot", "cancel the order", "fine film"]
    model = make_pipeline(encoder, LogisticRegression()).fit(texts, [0, 1, 0, 1, 0, 1])
    assert model[0].transform(texts).shape == (6, 5)
    tlclassic.save(model, tmp_path / "model.tlc")
    opened = tlclassic.load(tmp_path / "model.tlc")
    assert np.allclose(opened.predict_proba(texts), model.predict_proba(texts), atol=1e-6)


def test_a_state_that_does_not_fit_together_is_refused(sources, texts):
    encoder = JointEncoder([EmbeddingVectorizer(source) for source in sources]).fit(texts[0])
    fitted = {name: getattr(encoder, name) for name in JointEncoder.FITTED}
    assert JointEncoder.from_state(encoder.encoders_, {}, fitted).transform(texts[0]).shape == (120, 13)
    with pytest.raises(CorruptArtifactError, match="malformed: shapes do not match"):
        JointEncoder.from_state(encoder.encoders_, {}, {**fitted, "sizes_": [8, 6]})
    with pytest.raises(CorruptArtifactError, match="the saved JointEncoder is malformed"):
        JointEncoder.from_state(encoder.encoders_, {"colour": 1}, fitted)


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ([], "encoders must be a list of transformers of texts"),
        ([3], r"encoders\[0\] must be a transformer of texts; got 3"),
    ],
)
def test_a_joint_encoder_of_nothing_is_refused(encoders, message):
    with pytest.raises(InvalidParameterError, match=message):
        JointEncoder(encoders).fit(["a"])
