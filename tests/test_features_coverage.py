"""Coverage reports, and files of word counts."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma

import numpy as np
import pytest

from tlclassic import Tokenizer, WordVectors
from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.features import CoverageReport, coverage, read_counts
from tlclassic.features.counts import counts_of_rows, zipf_probabilities
from tlclassic.features.weights import usif_parameter, usif_weights

VECTORS = WordVectors.from_arrays(["the", "good", "film"], np.eye(3, dtype=np.float32))
TEXTS = ["The good film", "", "the the goood film", "xyzzy xyzzy", "plugh"]


def test_report():
    assert coverage(TEXTS, VECTORS, top=2) == CoverageReport(
        n_texts=5,
        n_empty=1,
        n_unknown_texts=2,
        n_tokens=10,
        n_known_tokens=6,
        n_words=6,
        n_known_words=3,
        unknown=[("xyzzy", 2), ("goood", 1)],
        text_shares={"min": 0.0, "5%": 0.0, "25%": 0.0, "median": 0.375, "75%": pytest.approx(0.8125), "max": 1.0},
    )


def test_report_reads_well():
    report = coverage(TEXTS, VECTORS)
    assert str(report) == (
        "running text   60.00%  (6 of 10 tokens known)\n"
        "vocabulary     50.00%  (3 of 6 distinct words known)\n"
        "texts         5, of them 1 empty and 2 without a known word\n"
        "per text      min 0%, 5% 0%, 25% 0%, median 38%, 75% 81%, max 100%\n"
        "unknown       xyzzy (2), goood (1), plugh (1)"
    )
    assert json.loads(json.dumps(report.as_dict()))["unknown"] == [["xyzzy", 2], ["goood", 1], ["plugh", 1]]
    assert report.as_dict()["token_share"] == 0.6


def test_streams_any_iterable():
    assert coverage((text for text in TEXTS * 1000), VECTORS).n_tokens == 10_000
    assert coverage([], VECTORS).token_share == 1.0
    assert coverage(["", ""], VECTORS).text_shares == {}


def test_takes_a_tokenizer():
    report = coverage(["The film"], VECTORS, tokenizer=Tokenizer(case="keep"), lower_fallback=False)
    assert report.unknown == [("The", 1)]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("text", VECTORS), "single string"),
        ((5, VECTORS), "must be a list of texts; got int"),
        ((["a", 5], VECTORS), r"X\[1\] must be a string"),
    ],
)
def test_refusals(arguments, match):
    with pytest.raises(InvalidParameterError, match=match):
        coverage(*arguments)


# -- counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opener", [open, gzip.open, bz2.open, lzma.open])
def test_reads_counts(tmp_path, opener):
    path = tmp_path / "counts"
    with opener(path, "wb") as file:
        file.write("the\t10\r\nnew york 2.5\n\n  naïve\t3\nthe 1\n".encode())
    assert read_counts(path) == {"the": 11.0, "new york": 2.5, "  naïve": 3.0}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"the 1\nof\n", r"counts:2: no count in b'of\\n'\. Each line must hold a word"),
        (b"the one\n", "counts:1: no count"),
        (b"the -1\n", "counts:1: the count is -1. Counts must be at least 0"),
        (b"the inf\n", "counts:1: the count is inf"),
        (b"the nan\n", "counts:1: the count is nan"),
        (b"the 1\n\xff 1\n", "counts:2: not valid UTF-8"),
        (b"\x1f\x8b broken", "the word counts cannot be read"),
    ],
)
def test_refuses_bad_counts(tmp_path, content, match):
    (tmp_path / "counts").write_bytes(content)
    with pytest.raises(InputError, match=match):
        read_counts(tmp_path / "counts")


def test_counts_and_case():
    counts = {"the": 5.0, "The": 2.0, "paris": 3.0, "NASA": 4.0}
    lower = WordVectors.from_arrays(["the", "paris", "nasa"], np.eye(3, dtype=np.float32))
    assert counts_of_rows(counts, lower, cased=False).tolist() == [7.0, 3.0, 4.0]
    cased = WordVectors.from_arrays(["The", "the", "Paris", "nasa"], np.eye(4, dtype=np.float32))
    assert counts_of_rows(counts, cased, cased=True).tolist() == [2.0, 5.0, 3.0, 4.0]


def test_zipf():
    np.testing.assert_allclose(zipf_probabilities(3).rows, np.array([6, 3, 2]) / 11)


def test_usif_parameter_by_hand():
    # Ten words, texts of two: threshold 1 - 0.9^2 = 0.19; two words are above it: alpha = 0.2, Z = 5.
    p = np.array([0.4, 0.2, *[0.05] * 8])
    assert usif_parameter(p, 2.0) == pytest.approx(0.8 / (0.2 * 5))
    np.testing.assert_allclose(usif_weights(np.array([0.4, 0.0]), 0.8, 0.05), [0.8 / 0.8, 0.8 / 0.45])
    # No word is that probable: all weigh the same.
    assert usif_parameter(np.full(10, 0.1), 30.0) == float("inf")
    assert usif_weights(p, float("inf"), 0.05).tolist() == [2.0] * 10


@pytest.mark.data
def test_a_real_file_of_counts(shared):
    counts = read_counts(shared / "lexicons/unigram_counts/norvig_trillion_word_125k.tsv.gz")
    assert len(counts) == 125_000
    assert counts["the"] == 23135851162.0
