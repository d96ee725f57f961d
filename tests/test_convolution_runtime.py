"""Convolutions in compiled classifiers: from words to rows, what is refused, what is explained, threads, files."""

from __future__ import annotations

import copy
import pickle
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tlclassic
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.kernels import _convolve_plain as plain
from tlclassic.kernels import load
from tlclassic.runtime import CompiledClassifier
from tlclassic.runtime.inputs import as_texts, strings

CASES = runpy.run_path(str(Path(__file__).with_name("runtime_cases.py")))
TEXTS = [*CASES["TEXTS"], "film", "fine film", "nothing known"]
WORDS = ["a", "film", "fine", "dull", "!", "josé"]
BITS = 12


def hashed(bits=BITS):
    return load("ngrams").Ngrams(words=(1, 1), chars=(0, 0), bits=bits, fold=True, keep_punctuation=True)


#: Bucket of a word → its row.
ROWS = {bucket: row for row, bucket in enumerate(sorted(hashed().buckets(WORDS)[0].tolist()))}


def row_of(word):
    return ROWS[int(hashed().buckets([word])[0][0])]


def bitmap_of(buckets, size):
    """Arrays "bitmap" and "ranks"."""
    bits = np.zeros(max(size, 512), dtype=np.uint8)
    bits[buckets] = 1
    counts = bits.reshape(-1, 512).sum(axis=1)
    bitmap = np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)
    return {"bitmap": bitmap, "ranks": (np.cumsum(counts) - counts).astype(np.uint32)}


def convolution(rng, outputs, dtype="int8", width=3, filters=32, sums=0, hidden=0):
    """A family of type "convolution" with random numbers: its metadata and arrays."""
    arrays = bitmap_of(list(ROWS), 1 << BITS)
    size = (len(WORDS) + 1) * (width * filters + sums)
    if dtype == "int8":
        arrays["table"] = rng.integers(-127, 128, size).astype(np.int8)
        arrays["scales"] = rng.uniform(0.001, 0.02, filters + sums).astype(np.float32)
    else:
        arrays["table"] = rng.normal(size=size).astype(np.float32)
    arrays["bias"] = rng.normal(size=filters).astype(np.float32)
    arrays["weights"] = rng.normal(size=(hidden or filters + sums) * outputs).astype(np.float32)
    family = {
        "type": "convolution", "rows": len(WORDS), "width": width, "filters": filters, "dtype": dtype,
        "bits": BITS,
    }  # fmt: skip
    if sums:
        family["sums"] = sums
    if hidden:
        family["hidden"] = hidden
        arrays["hidden_weights"] = rng.normal(size=(filters + sums) * hidden).astype(np.float32)
        if dtype == "int8":
            arrays["hidden_weights"] = rng.integers(-2000, 2001, (filters + sums) * hidden).astype(np.int16)
            arrays["hidden_scales"] = rng.uniform(1e-6, 2e-6, hidden).astype(np.float32)
        arrays["hidden_bias"] = rng.normal(size=hidden).astype(np.float32)
    return family, arrays


def good(outputs=3, dtype="int8", sums=0, hidden=0, **metadata):
    family = convolution(np.random.default_rng(2), outputs, dtype, sums=sums, hidden=hidden)
    return CASES["state"](outputs, family, **metadata)


def mixed(outputs=3):
    rng = np.random.default_rng(4)
    families = [
        convolution(rng, outputs, "float32"), CASES["ngrams"](rng, outputs),
        CASES["vectors"](rng, outputs, WORDS), convolution(rng, outputs, width=2, sums=16, hidden=32),
    ]  # fmt: skip
    return CompiledClassifier(*CASES["state"](outputs, *families))


def expected_logits(metadata, arrays, texts):
    """In plain Python, by the definition."""
    family, outputs = metadata["families"][0], metadata["outputs"]
    width, filters = family["width"], family["filters"]
    table, summed = np.split(
        arrays["0/table"].astype(np.float64).reshape(len(WORDS) + 1, -1), [width * filters], axis=1
    )
    table = table.reshape(-1, width, filters)
    if family["dtype"] == "int8":
        table, summed = table * arrays["0/scales"][:filters], summed * arrays["0/scales"][filters:]
    logits = []
    for text in texts:
        rows = [ROWS.get(bucket, -1) for _, bucket, _, _ in hashed().spans(text)]
        windows = [] if rows else [np.zeros(filters)]
        for first in range(1 - width, len(rows)) if rows else ():
            inside = [(first + o, o) for o in range(width) if 0 <= first + o < len(rows)]
            windows.append(sum(table[rows[place], o] for place, o in inside))
        sums = sum((summed[row] for row in rows), np.zeros(summed.shape[1])) / np.sqrt(len(rows) or 1)
        features = np.append(np.maximum(0.0, arrays["0/bias"] + np.max(windows, axis=0)), sums)
        if "hidden" in family:
            layer = arrays["0/hidden_weights"].reshape(len(features), -1).astype(np.float64)
            if family["dtype"] == "int8":
                # Features are whole numbers of codes then, sums of eighths.
                steps = arrays["0/scales"] / np.repeat([1.0, 8.0], [filters, len(features) - filters])
                bias = np.rint(arrays["0/bias"] / arrays["0/scales"][:filters])
                largest = np.maximum(0.0, bias + np.max(windows, axis=0) / steps[:filters])
                features = np.rint(np.append(largest, sums / steps[filters:]).clip(-4095, 4095))
                layer = layer * arrays["0/hidden_scales"]
            features = np.maximum(0.0, arrays["0/hidden_bias"] + features @ layer)
        logits.append(arrays["bias"] + features @ arrays["0/weights"].reshape(-1, outputs).astype(np.float64))
    return np.array(logits)


# -- rows -------------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from([0.0, 0.01, 0.5, 1.0]), st.integers(0, 300))
def test_rows_are_those_of_the_twin(seed, n_words, share, n):
    random = np.random.default_rng(seed)
    there = random.random(64 * n_words) < share
    bitmap = np.packbits(there, bitorder="little").view("<u8").astype(np.uint64)
    ranks = load("score").rank_words(bitmap)
    buckets = random.integers(0, len(there), n).astype(np.uint32)
    expected = np.where(there, np.cumsum(there) - 1, -1)[buckets].tolist()
    for kernel in (load("convolve"), plain):
        rows = kernel.rows_of(buckets, bitmap, ranks)
        assert rows.dtype == np.int32
        assert rows.tolist() == expected


@pytest.mark.parametrize("kernel", [load("convolve"), plain], ids=["compiled", "plain"])
def test_rows_by_hand(kernel):
    bitmap = np.array([1 << 63 | 1 << 5 | 1, 0, 1 << 2], dtype=np.uint64)
    buckets = np.array([0, 1, 5, 62, 63, 64, 127, 129, 130, 191, 0], dtype=np.uint32)
    rows = kernel.rows_of(buckets, bitmap, np.array([0, 3, 3, 4], dtype=np.uint32))
    assert rows.tolist() == [0, -1, 1, -1, 2, -1, -1, -1, 3, -1, 0]


@pytest.mark.parametrize("kernel", [load("convolve"), plain], ids=["compiled", "plain"])
def test_rows_that_are_refused(kernel):
    bitmap, ranks = np.zeros(2, dtype=np.uint64), np.zeros(3, dtype=np.uint32)
    for bucket in (128, 2**32 - 1):
        with pytest.raises(ValueError, match="buckets must be below the number of bits of the map"):
            kernel.rows_of(np.array([0, bucket], dtype=np.uint32), bitmap, ranks)
    for n in (0, 2, 4):
        with pytest.raises(ValueError, match="ranks must have one number more than bitmap has words"):
            kernel.rows_of(np.array([0], dtype=np.uint32), bitmap, np.zeros(n, dtype=np.uint32))


def test_a_map_of_fewer_bits_than_a_block():
    metadata, arrays = good(1, "float32")
    metadata["families"][0].update(bits=3, rows=8, width=1)
    table = np.zeros((9, 32), dtype=np.float32)
    table[:, 0] = np.arange(9) + 0.5
    weights, zeros = np.eye(1, 32, dtype=np.float32)[0], np.zeros(32, dtype=np.float32)
    new = {**bitmap_of(np.arange(8), 8), "table": table.ravel(), "weights": weights, "bias": zeros}
    arrays = {"bias": np.zeros(1), **{f"0/{name}": array for name, array in new.items()}}
    # Of each word's twelve bits the first three.
    expected = [(bucket >> 9) + 0.5 for bucket in hashed().buckets(WORDS)[0].tolist()]
    assert len(set(expected)) > 2
    assert CompiledClassifier(metadata, arrays).decision_function(WORDS).tolist() == expected


# -- scores -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("outputs", [1, 2, 3, 20])
@pytest.mark.parametrize("hidden", [0, 48])
@pytest.mark.parametrize("sums", [0, 16])
def test_scores_are_those_of_the_definition(dtype, outputs, sums, hidden):
    metadata, arrays = good(outputs, dtype, sums, hidden)
    model = CompiledClassifier(metadata, arrays)
    expected = expected_logits(metadata, arrays, TEXTS)
    assert np.ptp(expected, axis=0).min() > 0.1
    got = model.decision_function(TEXTS)
    np.testing.assert_allclose(got.reshape(len(TEXTS), -1), expected, atol=1e-5 * max(10, np.abs(expected).max()))
    best = (got > 0).astype(int) if outputs == 1 else got.argmax(axis=1)
    np.testing.assert_array_equal(model.predict(TEXTS), model.classes_[best])
    assert f"({max(2, outputs)} classes, convolution, " in repr(model)


def test_no_texts_and_all_ways_to_hold_them():
    model = CompiledClassifier(*good())
    assert model.predict([]).shape == (0,)
    assert model.decision_function([]).shape == (0, 3)
    texts = ["a fine film", "dull", ""]
    expected = model.decision_function(texts)
    for held in (tuple(texts), [text.encode() for text in texts], ["a fine film", b"dull", np.str_("")]):
        np.testing.assert_array_equal(model.decision_function(held), expected)
    for held in (np.array(texts), np.array(texts, dtype="S"), np.array(texts, dtype=object)):
        np.testing.assert_array_equal(model.decision_function(held), expected)
    with pytest.raises(InvalidParameterError, match=r"X\[1\] must be a string; got None"):
        model.predict(["a", None])


def test_bytes_are_the_strings_that_they_spell():
    model = CompiledClassifier(*good())
    # What is no UTF-8, and half of a pair, is a space; a letter and its accent are one letter.
    texts = ["José film", "fine \ufffd film", "映画"]
    expected = model.decision_function(texts)
    for held in (
        [b"Jos\xc3\xa9 film", b"fine \xff film", b"\xe6\x98\xa0\xe7\x94\xbb"],
        [b"Jose\xcc\x81 film", "fine \ud83d film", "映画"],
    ):
        np.testing.assert_array_equal(model.decision_function(held), expected)
    assert not np.array_equal(model.decision_function(["Jose film"])[0], expected[0])
    found, same = model.explain(b"fine \xff film", "c1"), model.explain(texts[1], "c1")
    assert [(part.text, part.start, part.end) for part in found.contributions] == [("fine", 0, 4), ("film", 7, 11)]
    assert found.contributions == same.contributions


def test_strings_of_a_list_are_not_copied():
    texts = ["fine", "film", "日本", "dull"]
    for held in (texts, tuple(texts)):
        found = strings(held, as_texts(held), 1, 3)
        assert len(found) == 2
        assert found[0] is texts[1]
        assert found[1] is texts[2]
    assert strings(["a", b"\xff", "c"], as_texts(["a", b"\xff", "c"]), 0, 2) == ["a", "\ufffd"]


def test_batches_and_threads_change_nothing():
    for model in (mixed(), CompiledClassifier(*good(dtype="float32"))):
        texts = [f"{text} {i}" for i in range(250) for text in TEXTS[:9]]
        logits, labels = model.decision_function(texts), model.predict(texts)
        for threads in (2, 3, 7):
            np.testing.assert_array_equal(model.decision_function(texts, threads=threads), logits)
            np.testing.assert_array_equal(model.predict(texts, threads=threads), labels)
        singly = np.vstack([model.decision_function([text]) for text in texts[:30]])
        np.testing.assert_array_equal(singly, logits[:30])


def test_several_labels_with_thresholds():
    metadata, arrays = good(3, multilabel=True, link="sigmoid")
    model = CompiledClassifier(metadata, arrays)
    proba = model.predict_proba(TEXTS)
    arrays = {**arrays, "thresholds": np.median(proba, axis=0)}
    indicators = CompiledClassifier(metadata, arrays).predict(TEXTS)
    np.testing.assert_array_equal(indicators, (proba >= arrays["thresholds"]).astype(int))
    assert 0.3 < indicators.mean() < 0.8


# -- explanations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("hidden", [0, 32])
@pytest.mark.parametrize("sums", [0, 16])
def test_an_explanation_sums_to_the_logit(outputs, dtype, sums, hidden):
    model = CompiledClassifier(*good(outputs, dtype, sums, hidden))
    for text in TEXTS:
        for label in model.classes_ if len(text) < 100 else [None]:
            explanation = model.explain(text, label)
            total = explanation.bias + sum(part.weight for part in explanation.contributions)
            assert total == pytest.approx(explanation.logit, abs=1e-4, rel=1e-5)
            assert {part.family for part in explanation.contributions} <= {"convolution"}
            assert len(explanation.contributions) == len(hashed().spans(text))


def test_an_explanation_of_several_families():
    model = mixed()
    explanation = model.explain("a fine, dull film: José film")
    assert {part.family for part in explanation.contributions} == {"convolution", "word", "vectors"}
    total = explanation.bias + sum(part.weight for part in explanation.contributions)
    assert total == pytest.approx(explanation.logit, abs=1e-4)


def test_what_a_word_weighs():
    metadata, arrays = good(1, "float32")
    table = np.zeros((len(WORDS) + 1, 3, 32), dtype=np.float32)
    # Filter 0: "fine" before "film". Filter 1: "dull" anywhere, but it stays below zero.
    table[row_of("fine"), 0, 0], table[row_of("film"), 1, 0], table[row_of("dull"), :, 1] = 2.0, 3.0, 1.0
    weights = np.zeros(32, dtype=np.float32)
    weights[:2] = [0.5, 7.0]
    bias = np.full(32, -1.5, dtype=np.float32)
    arrays.update({"0/table": table.ravel(), "0/weights": weights, "0/bias": bias, "bias": np.array([0.25])})
    found = CompiledClassifier(metadata, arrays).explain("Fine film, a film Dull", "c1")
    assert found.logit == pytest.approx(0.25 + 0.5 * (2.0 + 3.0 - 1.5))
    assert found.bias == pytest.approx(0.25 - 0.5 * 1.5)
    assert [(part.text, part.start, part.end, part.weight) for part in found.contributions] == [
        ("Fine", 0, 4, 1.0), ("film", 5, 9, 1.5), (",", 9, 10, 0.0), ("a", 11, 12, 0.0), ("film", 13, 17, 0.0),
        ("Dull", 18, 22, 0.0),
    ]  # fmt: skip


def test_what_a_word_weighs_in_a_sum():
    metadata, arrays = good(1, "float32", sums=16)
    table = np.zeros((len(WORDS) + 1, 3 * 32 + 16), dtype=np.float32)
    table[row_of("film"), -1], table[row_of("dull"), -1] = 3.0, -1.0
    weights = np.zeros(48, dtype=np.float32)
    weights[-1] = 10.0
    arrays.update({"0/table": table.ravel(), "0/weights": weights, "bias": np.array([0.25])})
    found = CompiledClassifier(metadata, arrays).explain("film, dull film", "c1")
    assert found.logit == pytest.approx(0.25 + 10.0 * (3.0 - 1.0 + 3.0) / 2.0)
    assert [(part.text, part.weight) for part in found.contributions] == [
        ("film", 15.0), (",", 0.0), ("dull", -5.0), ("film", 15.0),
    ]  # fmt: skip


def test_what_a_word_weighs_through_a_hidden_layer():
    metadata, arrays = good(1, "float32", hidden=16)
    table = np.zeros((len(WORDS) + 1, 3, 32), dtype=np.float32)
    # Filter 0: "film". Filter 1: "dull". Unit 0 takes one from the other, unit 1 is never above zero.
    table[row_of("film"), :, 0], table[row_of("dull"), :, 1] = 3.0, 1.0
    layer, weights = np.zeros((32, 16), dtype=np.float32), np.zeros(16, dtype=np.float32)
    layer[:2, 0], layer[:2, 1], weights[:2] = [1.0, -2.0], [-1.0, -1.0], [10.0, 99.0]
    hidden_bias = np.zeros(16, dtype=np.float32)
    hidden_bias[0] = 0.5
    new = {"table": table.ravel(), "hidden_weights": layer.ravel(), "hidden_bias": hidden_bias, "weights": weights}
    arrays.update({f"0/{name}": value for name, value in new.items()})
    arrays.update({"0/bias": np.zeros(32, dtype=np.float32), "bias": np.array([0.25])})
    found = CompiledClassifier(metadata, arrays).explain("dull film", "c1")
    assert found.logit == pytest.approx(0.25 + 10.0 * (3.0 - 2.0 * 1.0 + 0.5))
    assert found.bias == pytest.approx(0.25 + 10.0 * 0.5)
    assert [(part.text, part.weight) for part in found.contributions] == [("dull", -20.0), ("film", 30.0)]


# -- files ------------------------------------------------------------------------------------------------------------


def test_copies_and_files(tmp_path):
    model = mixed()
    expected = model.decision_function(TEXTS)
    model.save(tmp_path / "model.tlc")
    read = CompiledClassifier.load(tmp_path / "model.tlc")
    for twin in (read, tlclassic.load(tmp_path / "model.tlc"), copy.deepcopy(model), pickle.loads(pickle.dumps(read))):
        np.testing.assert_array_equal(twin.decision_function(TEXTS), expected)
        assert twin.metadata == model.metadata


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("type", "convolutions", "families[0].type must be one of 'ngrams', 'vectors', 'convolution'"),
        ("rows", 5, "array '0/bitmap' must have 5 words; got 6"),
        ("rows", None, "families[0].rows must be of type int; got None"),
        ("rows", -1, "families[0].rows must be from 0 to 2147483646; got -1"),
        ("width", 0, "families[0].width must be from 1 to 8; got 0"),
        ("width", 9, "families[0].width must be from 1 to 8; got 9"),
        ("width", 2, "array '0/table' must hold 6 rows and one more of 64; got 672"),
        ("filters", 24, "families[0].filters must be a multiple of 16; got 24"),
        ("filters", 0, "families[0].filters must be from 16 to 16384; got 0"),
        ("filters", 16, "array '0/table' must hold 6 rows and one more of 48; got 672"),
        ("filters", True, "families[0].filters must be of type int; got True"),
        ("dtype", "float16", "families[0].dtype must be one of 'float32', 'int8'; got 'float16'"),
        ("dtype", "float32", "array '0/table' must be contiguous float32 of one dimension; got int8"),
        ("bits", 0, "families[0].bits must be from 1 to 28; got 0"),
        ("bits", 29, "families[0].bits must be from 1 to 28; got 29"),
        ("bits", 11, "array '0/bitmap' must hold 32 numbers; got 64"),
        ("bits", 13, "array '0/bitmap' must hold 128 numbers; got 64"),
        ("bits", True, "families[0].bits must be of type int; got True"),
        ("bits", None, "families[0].bits must be of type int; got None"),
        ("hidden", 0, "families[0].hidden must be from 16 to 16384; got 0"),
        ("hidden", 40, "families[0].hidden must be a multiple of 16; got 40"),
        ("hidden", None, "families[0].hidden must be of type int; got None"),
        ("hidden", 16, "array '0/hidden_bias' must hold 16 numbers; got 32"),
        ("sums", 0, "families[0].sums must be from 16 to 16384; got 0"),
        ("sums", 24, "families[0].sums must be a multiple of 16; got 24"),
        ("sums", 32, "array '0/table' must hold 6 rows and one more of 128; got 784"),
    ],
)
def test_metadata_that_is_refused(name, value, message):
    metadata, arrays = good(sums=16 if name == "sums" else 0, hidden=32 if name == "hidden" else 0)
    metadata["families"][0][name] = value
    with pytest.raises(CorruptArtifactError, match=re.escape(message)):
        CompiledClassifier(metadata, arrays)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(
    "name",
    ["bitmap", "ranks", "table", "scales", "bias", "weights", "hidden_weights", "hidden_bias", "hidden_scales"],
)
def test_arrays_that_are_refused(dtype, name):
    metadata, arrays = good(dtype=dtype, sums=16, hidden=16)
    if f"0/{name}" not in arrays:
        return
    array = arrays[f"0/{name}"]
    for bad in (None, array[:-1], array.astype("u2"), array[None], np.repeat(array, 2)[::2]):
        changed = {key: value for key, value in arrays.items() if key != f"0/{name}"}
        changed |= {} if bad is None else {f"0/{name}": bad}
        with pytest.raises(CorruptArtifactError, match=r"array '0/[a-z_]+' "):
            CompiledClassifier(metadata, changed)


@pytest.mark.parametrize("block", range(8))
def test_ranks_that_do_not_count_the_bits(block):
    metadata, arrays = good()
    bitmap, ranks = arrays["0/bitmap"].copy(), arrays["0/ranks"].copy()
    bitmap[8 * block + 7] ^= np.uint64(1 << 63)
    # No rank lies behind the last block: there the number of rows tells.
    message = "'0/ranks' does not count the bits of '0/bitmap'" if block < 7 else "'0/bitmap' must have 6 words; got 7"
    with pytest.raises(CorruptArtifactError, match=message):
        CompiledClassifier(metadata, {**arrays, "0/bitmap": bitmap})
    ranks[block] += 1
    with pytest.raises(CorruptArtifactError, match="'0/ranks' does not count the bits of '0/bitmap'"):
        CompiledClassifier(metadata, {**arrays, "0/ranks": ranks})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scales", 0.0, "positive and finite"), ("scales", -0.1, "positive and finite"),
        ("scales", np.nan, "positive and finite"), ("scales", np.inf, "positive and finite"),
        ("bias", np.nan, "finite"), ("bias", np.inf, "finite"), ("hidden_bias", np.nan, "finite"),
        ("hidden_scales", 0.0, "positive and finite"), ("hidden_scales", np.nan, "positive and finite"),
    ],
)  # fmt: skip
def test_numbers_that_are_refused(name, value, message):
    metadata, arrays = good(hidden=16)
    arrays[f"0/{name}"][3] = value
    with pytest.raises(CorruptArtifactError, match=f"array '0/{name}' must be {message}"):
        CompiledClassifier(metadata, arrays)


def test_hidden_layers_that_are_refused():
    metadata, arrays = good(dtype="float32", hidden=16)
    arrays["0/hidden_weights"][3] = np.inf
    with pytest.raises(CorruptArtifactError, match="array '0/hidden_weights' must be finite"):
        CompiledClassifier(metadata, arrays)
    metadata, arrays = good(hidden=16)
    # Of 32 filters of at most 4095 each.
    arrays["0/hidden_weights"][:] = 16_389
    with pytest.raises(CorruptArtifactError, match="'0/hidden_weights' holds numbers whose sums are beyond 32 bits"):
        CompiledClassifier(metadata, arrays)
    arrays["0/hidden_weights"][:] = -16_388
    assert np.isfinite(CompiledClassifier(metadata, arrays).decision_function(TEXTS)).all()


def test_tables_of_noise_give_numbers_and_no_crash():
    rng = np.random.default_rng(0)
    for dtype in ("float32", "int8"):
        metadata, arrays = good(dtype=dtype)
        for name in ("0/table", "0/weights"):
            arrays[name] = np.frombuffer(rng.bytes(arrays[name].nbytes), dtype=arrays[name].dtype)
        found = bitmap_of(rng.choice(1 << BITS, len(WORDS), replace=False), 1 << BITS)
        arrays.update({f"0/{name}": array for name, array in found.items()})
        with np.errstate(all="ignore"):
            model = CompiledClassifier(metadata, arrays)
            assert set(model.predict(TEXTS)) <= set(model.classes_)
