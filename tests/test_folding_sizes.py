"""Quantising, pruning, sizes and the report."""

from __future__ import annotations

import itertools
import json
import runpy
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tlclassic
from tlclassic import EmbeddingVectorizer, NgramClassifier, compile
from tlclassic.errors import InvalidParameterError
from tlclassic.folding import ParityError, measure, parse_size, report_table
from tlclassic.folding.budget import keep, rank, share_that_fits
from tlclassic.folding.encode import encode_tables
from tlclassic.folding.linear import Linear
from tlclassic.folding.quantize import encode
from tlclassic.folding.tables import NgramTable
from tlclassic.storage import Artifact

CASES = runpy.run_path(str(Path(__file__).with_name("folding_cases.py")))
fitted, make_labels, make_texts, make_vectors, with_step = itemgetter(
    "fitted", "make_labels", "make_texts", "make_vectors", "with_step"
)(CASES)
OPTIONS = {"unit": "word", "ngrams": [1, 2], "bits": 12, "case": "fold", "punctuation": "keep"}
OPTIONS |= {"counts": "count", "norm": "sqrt", "idf": False}


def ngram_table(n=300, n_outputs=3, seed=0, **options):
    random = np.random.default_rng(seed)
    merged = OPTIONS | options
    buckets = np.sort(random.choice(1 << merged["bits"], n, replace=False))
    return NgramTable(merged, buckets, random.laplace(size=(n, n_outputs)))


def linear(n_outputs=3):
    classes = np.array(["a", "b", "c"])[: max(2, n_outputs)]
    return Linear((), np.zeros(n_outputs), classes, "softmax" if n_outputs > 1 else "sigmoid")


@pytest.fixture(scope="module")
def large():
    """A model of 3,000 words."""
    words = [f"word{i}" for i in range(3000)]
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(words[:300], 20)) for _ in range(200)]
    source = EmbeddingVectorizer(make_vectors(dim=8, words=words))
    return make_pipeline(source, StandardScaler(), LogisticRegression(C=0.1)).fit(texts, np.arange(200) % 4), texts


# -- codes ------------------------------------------------------------------------------------------------------------


def test_int8_codes():
    weights = np.array([[0.0, 1.0], [-0.5, 0.25], [1.0, 0.0], [-1.0, -1.0]])
    codes, scales = encode(weights, "int8")
    assert codes.dtype == np.uint8
    assert scales.dtype == np.float32
    decoded = (codes.astype(np.float64) - 128) * scales
    np.testing.assert_allclose(decoded, weights, atol=0.5 / 127)
    assert codes[0, 0] == 128


def test_int8_error_is_at_most_half_a_step_where_nothing_is_clipped():
    weights = np.random.default_rng(0).uniform(-3, 3, (500, 4))
    codes, scales = encode(weights, "int8")
    assert np.abs((codes.astype(np.float64) - 128) * scales - weights).max() <= 0.5 * scales.max() * 1.01


def test_a_rare_large_weight_is_clipped_where_frequent_ones_gain():
    weights = np.random.default_rng(0).normal(size=(50_000, 1))
    weights[0] = 12.0
    codes, scales = encode(weights, "int8", frequency=np.ones(50_000))
    plain = np.abs(weights).max() / 127
    error = ((codes.astype(np.float64) - 128) * scales - weights) ** 2
    whole = (np.rint(weights / plain) * plain - weights) ** 2
    assert error.sum() < 0.9 * whole.sum()


def test_a_large_weight_of_unknown_frequency_is_not_clipped():
    weights = np.random.default_rng(0).normal(size=(5_000, 1))
    weights[0] = 12.0
    codes, scales = encode(weights, "int8")
    assert scales[0] == np.float32(12.0 / 127)
    assert codes[0, 0] == 255


@pytest.mark.parametrize("weights", [np.zeros((3, 2)), np.zeros((0, 2)), np.full((1, 1), 1e-45)])
def test_codes_of_nothing(weights):
    codes, scales = encode(weights, "int8")
    assert (codes == 128).all()
    assert np.isfinite(scales).all()


def test_float16_that_would_overflow_is_refused():
    with pytest.raises(InvalidParameterError, match="a weight of 1e\\+06 does not fit float16"):
        encode(np.array([[1e6]]), "float16")


# -- layouts ----------------------------------------------------------------------------------------------------------


def test_few_buckets_have_a_bitmap_and_many_do_not():
    few, arrays = encode_tables(linear(), np.zeros(3), [ngram_table(300)], "int8")
    assert few["families"][0]["layout"] == "bitmap"
    assert len(arrays["0/table"]) == 300 * 3 + 8
    many, arrays = encode_tables(linear(), np.zeros(3), [ngram_table(4000)], "int8")
    assert many["families"][0]["layout"] == "dense"
    assert len(arrays["0/table"]) == 4096 * 3 + 8


@pytest.mark.parametrize("bits", [4, 9, 12])
def test_bitmap_and_ranks(bits):
    table = ngram_table(5, n_outputs=1, bits=bits)
    arrays = encode_tables(linear(1), np.zeros(1), [table], "float32")[1]
    if "0/bitmap" not in arrays:
        pytest.skip("so few buckets are stored densely")
    bits_set = np.unpackbits(arrays["0/bitmap"].view(np.uint8), bitorder="little")
    np.testing.assert_array_equal(np.flatnonzero(bits_set), table.buckets)
    blocks = bits_set.reshape(-1, 512).sum(axis=1)
    np.testing.assert_array_equal(arrays["0/ranks"], np.cumsum(blocks) - blocks)


def test_rows_that_become_zero_are_left_out():
    table = ngram_table(300)
    table.weights[::2] = 1e-9
    arrays = encode_tables(linear(), np.zeros(3), [table], "int8")[1]
    assert len(arrays["0/table"]) == 150 * 3 + 8


def test_two_classes_have_one_column():
    compiled = compile(with_step(n_classes=2))
    assert compiled.metadata["outputs"] == 1
    assert len(compiled.classes_) == 2


# -- pruning ----------------------------------------------------------------------------------------------------------


def test_the_smallest_rows_go_first():
    table = ngram_table(10)
    norms = np.linalg.norm(table.weights, axis=1)
    kept = keep(rank(table), 0.3)
    np.testing.assert_array_equal(kept.buckets, table.buckets[np.sort(np.argsort(-norms)[:3])])
    np.testing.assert_array_equal(kept.weights, table.weights[np.isin(table.buckets, kept.buckets)])


def test_rare_words_go_first(large, tmp_path):
    model, _ = large
    compile(model, prune=0.9).save(tmp_path / "model.tlc")
    artifact = Artifact(tmp_path / "model.tlc")
    words = artifact.array("0/words").tobytes()
    kept = [int(words[a + 4 : b]) for a, b in itertools.pairwise(artifact.array("0/offsets").tolist())]
    assert len(kept) == 300
    # Files of vectors are sorted by frequency: half of what stays is of the first sixth.
    assert np.mean(np.array(kept) < 500) > 0.5


def test_estimated_sizes_are_those_of_the_arrays():
    for n, dtype in ((300, "int8"), (300, "float32"), (4000, "float16")):
        table = ngram_table(n)
        arrays = encode_tables(linear(), np.zeros(3), [table], dtype)[1]
        size = sum(array.nbytes for name, array in arrays.items() if name not in ("bias", "0/scales"))
        assert rank(table).size(n, 3, dtype) == pytest.approx(size, abs=8)


def test_share_that_fits():
    rankings = [rank(ngram_table(2000)), rank(ngram_table(1000, seed=1))]
    whole = sum(ranking.size(len(ranking), 3, "int8") for ranking in rankings)
    assert share_that_fits(rankings, 3, "int8", whole) == 1.0
    share = share_that_fits(rankings, 3, "int8", whole // 2)
    assert 0.3 < share < 0.5
    assert sum(ranking.size(round(share * len(ranking)), 3, "int8") for ranking in rankings) <= whole // 2
    assert share_that_fits(rankings, 3, "int8", 100) is None


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("2MB", 2_000_000),
        ("500kB", 500_000),
        ("500 KB", 500_000),
        ("1.5MiB", 1_572_864),
        (" 3 gib ", 3 << 30),
        ("0.5m", 500_000),
        ("1000", 1000),
        ("64b", 64),
        (np.int64(7), 7),
    ],
)
def test_parse_size(size, expected):
    assert parse_size(size) == expected


@pytest.mark.parametrize("size", ["", "MB", "-1MB", "1e3", "2TB", "1,5MB", "٣MB", 0, -1, 1.5, True, None])
def test_sizes_that_are_none(size):
    with pytest.raises(InvalidParameterError, match="max_size must be"):
        parse_size(size)


@pytest.mark.parametrize(("limit", "dtype"), [("1MB", "float32"), ("145kB", "float16"), ("130kB", "int8")])
def test_max_size_takes_the_widest_that_fits(large, tmp_path, limit, dtype):
    model, texts = large
    compiled = compile(model, max_size=limit, texts=texts)
    compiled.save(tmp_path / "model.tlc")
    size = (tmp_path / "model.tlc").stat().st_size
    assert size <= parse_size(limit)
    assert compiled.metadata["report"]["steps"][-1]["dtype"] == dtype


@pytest.mark.parametrize("limit", [60_000, 20_000, 9_000])
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_max_size_leaves_out_what_does_not_fit(large, tmp_path, limit, dtype):
    model, texts = large
    compiled = compile(model, max_size=limit, dtype=dtype, texts=texts)
    compiled.save(tmp_path / "model.tlc")
    size = (tmp_path / "model.tlc").stat().st_size
    # The slots of the words' index double in number.
    assert 0.5 * limit < size <= limit
    last = compiled.metadata["report"]["steps"][-1]
    assert last["step"] == f"{dtype or 'int8'}, pruned"
    assert last["rows"] < 3000


def test_max_size_passes_over_a_type_that_would_overflow(large):
    model, _ = large
    shifted = make_pipeline(model[0], StandardScaler(), model[-1])
    shifted[1].__dict__.update(vars(model[1]))
    shifted[1].scale_ = model[1].scale_ * 1e-7
    compiled = compile(shifted, max_size="145kB")
    assert compiled.metadata["report"]["steps"][-1]["dtype"] == "int8"


def test_too_small_a_size_is_refused(large):
    with pytest.raises(InvalidParameterError, match=r"max_size=2,000 bytes is too small"):
        compile(large[0], max_size="2kB")


# -- the report -------------------------------------------------------------------------------------------------------


def test_report(large):
    model, texts = large
    labels = model.predict(texts)
    compiled = compile(model, dtype="int8", prune=0.95, texts=texts, labels=labels)
    report = compiled.metadata["report"]
    assert [step["step"] for step in report["steps"]] == ["source", "folded", "pruned", "int8"]
    source, folded, pruned, last = report["steps"]
    assert source == {"step": "source", "accuracy": 1.0, "macro_f1": 1.0}
    assert folded["agreement"] == folded["accuracy"] == 1.0
    assert folded["rows"] == 3000
    assert pruned["rows"] == 150
    assert folded["max_logit_error"] < 1e-5 < pruned["max_logit_error"]
    assert folded["bytes"] > pruned["bytes"] > last["bytes"]
    assert last["agreement"] == pytest.approx(np.mean(compiled.predict(texts) == labels))
    assert report["n_texts"] == 200
    json.dumps(compiled.metadata)


def test_report_without_texts(large):
    (step,) = compile(large[0]).metadata["report"]["steps"]
    assert set(step) == {"step", "dtype", "rows", "bytes", "max_logit_error"}


@pytest.mark.parametrize(
    ("counts", "norm", "priced"),
    [("count", "sqrt", False), ("count", "l2", True), ("binary", "none", True), ("sublinear", "length", True)],
)
def test_counts_of_each_text_have_their_price_in_the_report(counts, norm, priced):
    model = NgramClassifier(counts=counts, norm=norm, bits=8).fit(["good", "bad film"] * 3, [1, 0] * 3)
    report = tlclassic.compile(model).metadata["report"]
    assert ("notes" in report) is priced
    last = report_table(report).splitlines()[-1]
    said = f"word n-grams with counts={counts!r} and norm={norm!r} need the counts of each text"
    assert last.startswith(said if priced else "folded")


def test_report_as_a_table(large):
    model, texts = large
    compiled = compile(model, dtype="int8", texts=texts, labels=model.predict(texts))
    lines = report_table(compiled.metadata["report"]).splitlines()
    assert lines[0].split() == ["step", "rows", "bytes", "logit", "error", "agreement", "accuracy", "macro-F1"]
    assert lines[1].split() == ["source", "1.0000", "1.0000"]
    assert [line.split()[0] for line in lines[1:]] == ["source", "folded", "int8"]
    assert len({len(line) for line in lines}) == 1


def test_provenance(large):
    compiled = compile(large[0], provenance={"training": {"n": 200}})
    assert compiled.metadata["provenance"]["training"] == {"n": 200}
    assert compiled.metadata["provenance"]["versions"]["tlclassic"] == tlclassic.__version__
    assert set(compiled.metadata["provenance"]["versions"]) == {"tlclassic", "numpy", "sklearn"}


# -- the check --------------------------------------------------------------------------------------------------------


def test_a_wrong_table_is_noticed(monkeypatch):
    model = with_step()
    real = measure.exact_logits
    monkeypatch.setattr(measure, "exact_logits", lambda linear, texts: real(linear, texts) * 1.001)
    with pytest.raises(ParityError, match=r"differs from its source by .*fault of tlclassic"):
        compile(model)


def test_a_wrong_link_is_noticed(monkeypatch):
    model = with_step()
    real = measure.exact_proba
    monkeypatch.setattr(measure, "exact_proba", lambda model, texts: real(model, texts)[:, ::-1])
    with pytest.raises(ParityError, match="probabilities differ"):
        compile(model)


def test_the_error_under_a_softmax_is_of_centred_logits():
    logits = np.random.default_rng(0).normal(size=(5, 3))
    shifted = logits + np.arange(5.0)[:, None]
    assert measure.logit_error(linear(3), logits, shifted) < 1e-12
    assert measure.logit_error(linear(1), logits[:, :1], shifted[:, :1]) == pytest.approx(4.0)


def test_given_texts_are_checked_too(monkeypatch):
    seen = []
    real = measure.exact_logits
    monkeypatch.setattr(measure, "exact_logits", lambda linear, texts: seen.extend(texts) or real(linear, texts))
    compile(with_step(), texts=["one very special text"])
    assert "one very special text" in seen


def test_multilabel_reports():
    Y = (np.random.default_rng(0).random((60, 3)) < 0.5).astype(int)
    model = make_pipeline(EmbeddingVectorizer(make_vectors()), OneVsRestClassifier(LogisticRegression(C=10)))
    model.fit(make_texts(), Y)
    truth = model.predict(make_texts())
    names = [[["x", "y", "z"][i] for i in np.flatnonzero(row)] for row in truth]
    for labels in (truth, names):
        compiled = compile(model, texts=make_texts(), labels=labels, classes=["x", "y", "z"])
        assert compiled.metadata["report"]["steps"][0] == {"step": "source", "accuracy": 1.0, "macro_f1": 1.0}
        assert compiled.metadata["report"]["steps"][1]["agreement"] == 1.0
