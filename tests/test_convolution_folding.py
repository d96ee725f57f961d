"""Convolutions folded into tables: parity, int8, pruning, sizes, calibration, thresholds, saved states."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from tlclassic import ConvolutionClassifier, NgramVectorizer, compile
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.features.convolution import TextConvolution, find_rows, word_buckets, words_of
from tlclassic.folding.budget import rank
from tlclassic.folding.heads import fold_classifier
from tlclassic.folding.probes import probe_texts
from tlclassic.folding.quantize import encode_signed, encode_windows
from tlclassic.folding.sources import fold_features
from tlclassic.folding.tables import ConvolutionTable
from tlclassic.heads import ThresholdClassifier
from tlclassic.kernels import load
from tlclassic.runtime import CompiledClassifier

WORDS = ["not", "good", "bad", "film", "plot", "the", "a", "very", "dull", "great", "José", "東", "naïve", "!"]
ODD = ["", " ", "zz qq xx", "JOSÉ 東京 東", "good \ud83d film", "🙂 not good!", "film", "NAÏVE ﬁlm e\u0301"]


def make_texts(n=90, seed=0):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice([*WORDS, "unknown"], random.integers(1, 12))) for _ in range(n)]


def convolution(width=3, filters=16, seed=0, words=WORDS, bits=16, sums=0, hidden=0):
    random = np.random.default_rng(seed)
    buckets = np.sort(word_buckets(words, bits))
    assert buckets[0] >= 0
    table = random.normal(size=(len(words) + 1, width * filters)).astype(np.float32)
    bias = random.normal(size=filters).astype(np.float32)
    beside = {}
    if sums:
        beside["sum_table"] = random.normal(size=(len(words) + 1, sums))
    if hidden:
        beside |= {"hidden_weights": random.normal(0, 0.2, (filters + sums, hidden)), "hidden_bias": np.ones(hidden)}
    frequency = 1.0 / np.arange(1.0, len(words) + 1.0)
    beside = {name: value.astype(np.float32) for name, value in beside.items()}
    return TextConvolution(buckets, bits, table, bias, frequency, **beside)


def distinct(words, bits):
    """Those that share no bucket with one before."""
    return [words[i] for i in np.unique(word_buckets(words, bits), return_index=True)[1].tolist()]


def pipeline(n_classes=3, *steps, **options):
    labels = np.array(["red", "green", "blue"])[np.arange(90) % n_classes]
    return make_pipeline(convolution(**options), *steps, LogisticRegression(C=0.1, max_iter=1000)).fit(
        make_texts(), labels
    )


def logits_of(model, texts):
    """As the definition says, word by word, of a pipeline of a convolution and a linear head."""
    source, head = model[0], model[-1]
    table = source.table.astype(np.float64).reshape(len(source.table), source.width, source.filters)
    known = {bucket: row for row, bucket in enumerate(source.buckets.tolist())}
    rows = []
    for text in texts:
        words = [known.get(span[1], -1) for span in words_of(source.bits).spans(text)]
        windows = [
            sum(
                (table[words[p + o], o] for o in range(source.width) if 0 <= p + o < len(words)),
                np.zeros(source.filters),
            )
            for p in range(1 - source.width, len(words))
        ]
        largest = np.max(windows, axis=0) if words else np.zeros(source.filters)
        features = np.maximum(0, source.bias + largest)
        if source.sums:
            summed = source.sum_table[words].astype(np.float64).sum(axis=0) / np.sqrt(len(words) or 1)
            features = np.append(features, summed)
        if source.hidden:
            features = np.maximum(0, source.hidden_bias + features @ source.hidden_weights.astype(np.float64))
        rows.append(features)
    return np.array(rows) @ head.coef_.T + head.intercept_


@pytest.fixture(scope="module", params=[0, 16])
def trained(request):
    texts = ["not good", "very good film", "bad plot", "not bad", "great film", "dull plot"] * 6
    labels = [False, True, False, True, True, False] * 6
    options = {"filters": 16, "sums": request.param, "hidden": request.param, "vectors": None, "epochs": 30}
    options["batch_size"] = 8
    return ConvolutionClassifier(**options).fit(texts, labels), texts, labels


# -- parity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "filters"), [(1, 16), (2, 32), (3, 16), (8, 48)])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("sums", "hidden"), [(0, 0), (0, 32), (16, 0), (32, 16)])
def test_logits_are_those_of_the_definition(width, filters, n_classes, sums, hidden):
    model = pipeline(n_classes, width=width, filters=filters, sums=sums, hidden=hidden)
    texts = [*make_texts(40, 5), *ODD]
    compiled = compile(model)
    got = compiled.decision_function(texts)
    expected = logits_of(model, texts)
    np.testing.assert_allclose(got.reshape(len(texts), -1), expected, atol=1e-5 * np.abs(expected).max())
    # An older tlclassic that would misread them reads no file of a later format.
    assert compiled.metadata["format"] == (2 if sums or hidden else 1)
    assert np.ptp(expected, axis=0).min() > 0.5
    np.testing.assert_array_equal(compiled.predict(texts), model.predict(texts))
    np.testing.assert_allclose(compiled.predict_proba(texts), model.predict_proba(texts), atol=1e-5)


def test_steps_between_and_beside():
    texts, labels = make_texts(), np.arange(90) % 3
    union = FeatureUnion(
        [("conv", convolution()), ("n", NgramVectorizer(bits=10)), ("other", convolution(2, 32, seed=1))],
        transformer_weights={"conv": 0.5},
    )
    model = make_pipeline(union, LogisticRegression(C=0.1, max_iter=1000)).fit(texts, labels)
    compiled = compile(model, texts=texts)
    kinds = [family["type"] for family in compiled.metadata["families"]]
    assert kinds == ["convolution", "ngrams", "convolution"]
    np.testing.assert_allclose(compiled.decision_function(texts), model.decision_function(texts), atol=1e-4)
    scaled = pipeline(3, StandardScaler())
    np.testing.assert_allclose(compile(scaled).decision_function(texts), scaled.decision_function(texts), atol=1e-4)


def test_a_trained_classifier(trained, tmp_path):
    model, texts, labels = trained
    compiled = compile(model, texts=texts, labels=labels)
    assert compiled.predict(texts).tolist() == labels
    assert compiled.classes_.tolist() == [False, True]
    np.testing.assert_allclose(compiled.predict_proba(texts), model.predict_proba(texts), atol=1e-5)
    steps = compiled.metadata["report"]["steps"]
    assert [step["step"] for step in steps] == ["source", "folded"]
    assert steps[1]["agreement"] == 1.0
    assert steps[1]["rows"] == len(model.convolution_.buckets)
    compiled.save(tmp_path / "model.tlc")
    loaded = CompiledClassifier.load(tmp_path / "model.tlc")
    np.testing.assert_array_equal(loaded.predict_proba([*texts, *ODD]), compiled.predict_proba([*texts, *ODD]))


def test_calibration_and_thresholds_compose():
    texts = make_texts()
    calibrated = CalibratedClassifierCV(pipeline(2), method="sigmoid", ensemble=False).fit(
        texts, np.array(["red", "green"])[np.arange(90) % 2]
    )
    np.testing.assert_allclose(compile(calibrated).predict_proba(texts), calibrated.predict_proba(texts), atol=1e-5)
    truth = np.array([[("good" in text), ("bad" in text)] for text in texts], dtype=float)
    labels = ConvolutionClassifier(filters=16, vectors=None, epochs=2, batch_size=16, multilabel=True)
    model = ThresholdClassifier(labels, cv=2).fit(texts, truth.astype(int))
    compiled = compile(model, classes=["good", "bad"])
    np.testing.assert_array_equal(compiled.thresholds_, model.thresholds_)
    assert compiled.multilabel
    assert compiled.classes_.tolist() == ["good", "bad"]
    np.testing.assert_array_equal(compiled.predict(texts), model.predict(texts))


def test_probes_hold_words_that_a_convolution_takes_for_its_own():
    words = distinct([f"word{i}" for i in range(300)], 10)
    model = pipeline(words=words, bits=10)
    (table,), _ = fold_features(fold_classifier(model))
    rows = model[0].lookup(probe_texts([table]))[0]
    assert 0.5 < (rows < len(words)).mean() < 0.95
    assert len(np.unique(rows)) > 50


# -- words ------------------------------------------------------------------------------------------------------------


def test_a_word_is_known_by_its_bucket():
    assert word_buckets(["Film", "FILM", "ﬁlm", "film plot", "", " ", "u.s."], 16).tolist() == [61524] * 3 + [-1] * 4
    assert word_buckets(["film", "don't"], 8).tolist() == [61524 >> 8, 12634 >> 8]
    found = find_rows(np.array([5, 7, 6, 9, 0], np.uint32), np.array([5, 6, 9]))
    assert found.dtype == np.int32
    assert found.tolist() == [0, 3, 1, 2, 3]
    assert find_rows(np.array([5, 0], np.uint32), np.zeros(0, np.int64)).tolist() == [0, 0]


@pytest.mark.parametrize(("bits", "rows"), [(6, 11), (9, 14), (20, 14)])
def test_words_that_share_a_bucket_share_a_row(bits, rows):
    texts, words = [*make_texts(40, 5), *ODD], distinct(WORDS, bits)
    model = pipeline(words=words, bits=bits)
    compiled = compile(model, texts=texts)
    assert compiled.metadata["families"][0]["bits"] == bits
    assert compiled.metadata["families"][0]["rows"] == len(words) == rows
    np.testing.assert_allclose(compiled.decision_function(texts), logits_of(model, texts), atol=1e-5)


@pytest.mark.parametrize(
    ("sums", "hidden", "more", "last"),
    [
        (0, 0, [], "filter15"),
        (16, 0, ["sum_table"], "sum15"),
        (0, 32, ["hidden_bias", "hidden_weights"], "hidden31"),
        (16, 32, ["sum_table", "hidden_bias", "hidden_weights"], "hidden31"),
    ],
)
def test_a_saved_convolution(sums, hidden, more, last):
    source = convolution(sums=sums, hidden=hidden)
    metadata, arrays = source.to_state()
    assert metadata == {"bits": 16}
    assert sorted(arrays) == sorted(["bias", "buckets", "frequency", "table", *more])
    assert source.get_feature_names_out()[-1] == last
    assert source.transform(ODD).shape == (len(ODD), source.n_features)
    np.testing.assert_allclose(source.exact(ODD), source.transform(ODD), atol=1e-4)
    np.testing.assert_array_equal(TextConvolution.from_state(metadata, arrays).transform(ODD), source.transform(ODD))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda buckets: buckets[::-1], "buckets do not ascend"),
        (lambda buckets: buckets[[1, 0, *range(2, len(WORDS))]], "buckets do not ascend"),
        (lambda buckets: buckets[[0, 0, *range(2, len(WORDS))]], "buckets do not ascend"),
        (lambda buckets: np.append(buckets[:-1], 1 << 16), "buckets do not ascend"),
        (lambda buckets: np.append(-1, buckets[1:]), "buckets do not ascend"),
        (lambda buckets: buckets[:-1], "another number of words than rows"),
        (lambda buckets: ["film"] * len(buckets), "incomplete or altered"),
    ],
)
def test_saved_buckets_that_are_refused(changed, message):
    metadata, arrays = convolution().to_state()
    with pytest.raises(CorruptArtifactError, match=message):
        TextConvolution.from_state(metadata, {**arrays, "buckets": changed(arrays["buckets"])})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden_bias": np.zeros(16)}, "hidden layer has shapes"),
        ({"hidden_weights": np.zeros((15, 32))}, "hidden layer has shapes"),
        ({"hidden_weights": np.zeros((16, 24)), "hidden_bias": np.zeros(24)}, "hidden layer has shapes"),
        ({"hidden_weights": np.full((16, 32), np.nan)}, "not finite"),
        ({"sum_table": np.zeros((4, 16))}, "table of sums has shape"),
        ({"sum_table": np.zeros((len(WORDS) + 1, 24))}, "table of sums has shape"),
        ({"sum_table": np.zeros((len(WORDS) + 1, 0))}, "table of sums has shape"),
        ({"sum_table": np.zeros((len(WORDS) + 1, 16))}, "hidden layer has shapes"),
    ],
)
def test_saved_sums_and_hidden_layers_that_are_refused(changed, message):
    metadata, arrays = convolution(hidden=32).to_state()
    with pytest.raises(CorruptArtifactError, match=message):
        TextConvolution.from_state(metadata, {**arrays, **changed})


@pytest.mark.parametrize("name", ["hidden_weights", "hidden_bias"])
def test_half_a_hidden_layer_is_refused(name):
    metadata, arrays = convolution(hidden=32).to_state()
    arrays.pop(name)
    with pytest.raises(CorruptArtifactError, match="hidden layer has shapes"):
        TextConvolution.from_state(metadata, arrays)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"bits": 5}, "has 5 bits"), ({"bits": -1}, "has -1 bits"), ({"bits": 32}, "has 32 bits"),
        ({"bits": 15}, "do not ascend"), ({"bits": None}, "incomplete or altered"), ({}, "incomplete or altered"),
    ],
)  # fmt: skip
def test_saved_bits_that_are_refused(metadata, message):
    with pytest.raises(CorruptArtifactError, match=message):
        TextConvolution.from_state(metadata, convolution().to_state()[1])


# -- smaller ----------------------------------------------------------------------------------------------------------


def test_signed_codes():
    weights = np.array([[0.0, 1.0, 0.0], [-0.5, 0.25, 0.0], [1.0, 0.0, 0.0], [-1.0, -1.0, 0.0]], dtype=np.float32)
    codes, scales = encode_signed(weights, np.ones(4))
    assert codes.dtype == np.int8
    assert scales.dtype == np.float32
    assert (scales > 0).all()
    np.testing.assert_allclose(codes * scales, weights, atol=0.5 / 127)
    assert codes.min() >= -127
    # A large weight that is all but never seen is clipped.
    rare = np.append(np.random.default_rng(0).normal(size=5000), 12.0)[:, None]
    codes, scales = encode_signed(rare, np.append(np.ones(5000), 1e-9))
    assert scales[0] * 127 < 8
    assert codes[-1, 0] == 127


@pytest.mark.parametrize("width", [1, 3, 4, 8])
def test_codes_whose_windows_fit_in_a_byte(width):
    random = np.random.default_rng(width)
    # Places of very different sizes, a filter without weights, and one with a weight in one place alone.
    weights = (random.normal(size=(400, width, 32)) * random.uniform(0.01, 3, (width, 32))).astype(np.float32)
    weights[:, :, 3] = 0.0
    weights[:, 1:, 4] = 0.0
    codes, scales = encode_windows(weights, np.ones(400))
    assert codes.dtype == np.int8
    assert (scales > 0).all()
    most, least = codes.astype(int).max(axis=0).sum(axis=0), codes.astype(int).min(axis=0).sum(axis=0)
    assert most.max() <= 127
    assert least.min() >= -127
    # The room is used: the largest codes of the places add up to nearly all of it.
    assert np.delete(most, 3).min() > 90
    assert most[3] == 0
    error = np.abs(codes * scales - weights).mean(axis=(0, 1))
    assert (error < 0.5 * scales).all()
    # What is all but never seen is clipped for the sake of the rest.
    weights[0] = 4 * np.abs(weights).max(axis=0)
    clipped, finer = encode_windows(weights, np.append(1e-9, np.ones(399)))
    assert (finer[5:] < 0.5 * np.abs(weights).max(axis=0).sum(axis=0)[5:] / 127).all()
    assert clipped.astype(int).max(axis=0).sum(axis=0).max() <= 127


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("sums", [0, 16])
def test_int8_agrees(n_classes, sums):
    model = pipeline(n_classes, filters=32, sums=sums)
    texts = [*make_texts(300, 3), *ODD]
    compiled = compile(model, dtype="int8", texts=texts)
    assert compiled._arrays["0/table"].dtype == np.int8
    assert compiled._arrays["0/scales"].shape == (32 + sums,)
    report = compiled.metadata["report"]["steps"][-1]
    assert report["step"] == "int8"
    assert report["agreement"] > 0.95
    assert 0 < report["max_logit_error"] < 0.2
    # What the codes stand for is what is scored.
    windows, summed = np.split(compiled._arrays["0/table"].reshape(len(WORDS) + 1, -1), [96], axis=1)
    scales = compiled._arrays["0/scales"]
    coded = pipeline(n_classes, filters=32, sums=sums)
    coded[0].table = windows * np.tile(scales[:32], 3)
    if sums:
        coded[0].sum_table = summed * scales[32:]
    expected = logits_of(coded, texts)
    expected = expected if n_classes == 2 else expected - expected.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        compiled.decision_function(texts).reshape(len(texts), -1), expected, atol=1e-5 * np.abs(expected).max()
    )


def test_float16_leaves_the_table_and_says_so():
    compiled = compile(pipeline(), dtype="float16")
    assert compiled.metadata["families"][0]["dtype"] == "float32"
    assert compiled.metadata["report"]["notes"] == [
        "the table of a convolution stays float32 for float16: choose int8 for a smaller one."
    ]


def test_rows_near_that_of_unknown_words_and_rare_ones_go_first():
    table = np.zeros((5, 16), dtype=np.float32)
    table[-1] = 3.0  # unknown words
    table[0] = 3.0  # as those
    table[1] = table[2] = 0.0
    table[3, :8] = 3.0
    weights = np.ones((16, 1))
    frequency = np.array([9.0, 1.0, 4.0, 4.0])
    ranked = rank(ConvolutionTable(10, np.arange(4), table, np.zeros(16, np.float32), weights, frequency))
    assert ranked.order.tolist() == [2, 3, 1, 0]
    # A filter without weight does not count.
    weights[8:] = 0.0
    ranked = rank(ConvolutionTable(10, np.arange(4), table, np.zeros(16, np.float32), weights, frequency))
    assert ranked.order.tolist() == [2, 1, 0, 3]
    # Nor one whose units of the hidden layer have none.
    weights[:], weights[3] = 0.0, 1.0
    layer = np.zeros((16, 16), np.float32), np.zeros(16, np.float32)
    layer[0][:8, 3], layer[0][8:, 4] = 1.0, 1.0
    folded = ConvolutionTable(10, np.arange(4), table, np.zeros(16, np.float32), weights, frequency, None, *layer)
    assert rank(folded).order.tolist() == [2, 1, 0, 3]
    # Sums count as well.
    sums = np.zeros((5, 16), np.float32)
    sums[3] = 100.0
    folded = ConvolutionTable(
        10, np.arange(4), table, np.zeros(16, np.float32), np.vstack([weights, weights]), frequency, sums
    )
    assert rank(folded).order.tolist() == [3, 2, 1, 0]


def test_a_pruned_word_is_an_unknown_word():
    model = pipeline()
    compiled = compile(model, prune=0.5)
    assert compiled.metadata["families"][0]["rows"] == round(0.5 * len(WORDS))
    bitmap = compiled._arrays["0/bitmap"]
    buckets = word_buckets(WORDS, 16).astype(np.uint32)
    rows = load("convolve").rows_of(buckets, bitmap, load("score").rank_words(bitmap))
    gone = [word for word, row in zip(WORDS, rows.tolist(), strict=True) if row < 0]
    assert len(gone) == len(WORDS) - round(0.5 * len(WORDS))
    np.testing.assert_array_equal(
        compiled.decision_function([f"film {gone[0]} film"]), compiled.decision_function(["film zzz film"])
    )
    assert compiled.decision_function([gone[0]]).tolist() != compile(model).decision_function([gone[0]]).tolist()


def test_sizes(tmp_path):
    words = distinct([f"word{i}" for i in range(2200)], 14)
    assert len(words) >= 2000
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(words[:200], 10)) for _ in range(100)]
    model = make_pipeline(convolution(words=words, bits=14), LogisticRegression(C=0.1, max_iter=1000)).fit(
        texts, np.arange(100) % 4
    )
    whole = compile(model, max_size="1MB")
    assert whole.metadata["families"][0]["dtype"] == "float32"
    for limit, dtype, all_rows in ((200_000, "int8", True), (60_000, "int8", False), (12_000, "int8", False)):
        compiled = compile(model, max_size=limit)
        compiled.save(tmp_path / "model.tlc")
        size = (tmp_path / "model.tlc").stat().st_size
        family = compiled.metadata["families"][0]
        assert size <= limit
        assert (family["rows"] == len(words)) == all_rows
        if not all_rows:
            assert size > 0.8 * limit
        assert family["dtype"] == dtype
        assert compiled.predict(texts).shape == (100,)
    with pytest.raises(InvalidParameterError, match="max_size=2,000 bytes is too small"):
        compile(model, max_size=2000)
