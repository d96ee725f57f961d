"""Tables of several tasks that the scoring kernel reads as one: the sums are those of the tables, bit by bit."""

from __future__ import annotations

import runpy
import threading
from pathlib import Path

import numpy as np
import pytest

from tlclassic.kernels import COMPILED, load
from tlclassic.kernels import _score_plain as plain
from tlclassic.runtime.classifier import _family

CASES = runpy.run_path(str(Path(__file__).with_name("runtime_cases.py")))
TEXTS = ["", "a b c", "the film was fine", "w " * 700, "?!", *(f"w{i} w{i + 1} a w{i * 7}" for i in range(300))]
ABLE = COMPILED and "avx512vbmi2" in load("ngrams").levels()
pytestmark = pytest.mark.skipif(not ABLE, reason="no compiled kernels, or a processor without AVX-512 VBMI2")


def tasks(widths, *, first=0, seed=0, **options):
    """A family of its own for so many columns each, behind ``first`` others."""
    rng = np.random.default_rng(seed)
    families = []
    for width in widths:
        facts, arrays = CASES["ngrams"](rng, width, **{"bits": 10, "layout": "bitmap", "dtype": "int8", **options})
        families.append(_family({**facts, "columns": [first, first + width]}, arrays, ""))
        first += width
    return families


def scored(families, outputs, *, after, module=None, texts=TEXTS):
    """The logits, and how many bytes the tables take that are read as one."""
    module = module or load("score")
    scorer = module.Scorer(np.zeros(outputs), families, after)
    out = np.tile(np.linspace(-1, 1, outputs), (len(texts), 1))
    scorer.logits(module.Texts(texts), 0, len(texts), out)
    return out, scorer.united_bytes


@pytest.mark.parametrize("widths", [(1, 1, 1), (1, 6, 3, 7, 8), (8,) * 8, (29, 2, 1), (30, 2, 1), (2, 40, 1), (1,) * 8])
@pytest.mark.parametrize("options", [{}, {"norm": "none"}, {"unit": "char"}, {"bits": 6}, {"norm": "length"}])
def test_sums_are_those_of_the_tables(widths, options):
    families = tasks(widths, **options)
    one, n_bytes = scored(families, sum(widths), after=0)
    apart, none = scored(families, sum(widths), after=1 << 40)
    assert none == 0
    assert len(np.unique(apart[:, 0])) > 20
    np.testing.assert_array_equal(one, apart)
    # A block's places are bytes: one whose rows do not fit them keeps the tables.
    assert n_bytes > 0 or sum(widths) > 32


def test_sums_are_those_of_the_plain_twin():
    families = tasks((1, 6, 3))
    one, n_bytes = scored(families, 10, after=0)
    assert n_bytes > 1000
    np.testing.assert_allclose(one, scored(families, 10, after=0, module=plain)[0], rtol=1e-12, atol=1e-12)


def test_families_in_any_order_and_behind_others():
    families = tasks((2, 3, 4), first=5)
    one, n_bytes = scored([families[1], families[2], families[0]], 14, after=0)
    assert n_bytes > 0
    np.testing.assert_array_equal(one, scored(families, 14, after=1 << 40)[0])


@pytest.mark.parametrize("low", [0, 255])
def test_sums_do_not_overflow(low):
    families = tasks((1, 1, 1), bits=6, norm="none", ngrams=[1, 1])
    for family in families:
        family["bitmap"][:] = np.uint64(2**64 - 1)
        family["ranks"] = load("score").rank_words(family["bitmap"])
        family["table"] = np.full(64 + 8, low, dtype=np.uint8)
        family["scales"][:] = 1.0
    found, n_bytes = scored(families, 3, after=0, texts=["w " * 3001])
    assert n_bytes > 0
    np.testing.assert_array_equal(found[0] - [-1, 0, 1], [3001.0 * (low - 128)] * 3)


def test_a_task_that_knows_nothing():
    families = tasks((2, 3, 1))
    families[1]["bitmap"][:] = 0
    families[1]["ranks"][:] = 0
    one, n_bytes = scored(families, 6, after=0)
    assert n_bytes > 0
    np.testing.assert_array_equal(one, scored(families, 6, after=1 << 40)[0])
    np.testing.assert_array_equal(one[:, 2:5], np.tile(np.linspace(-1, 1, 6)[2:5], (len(TEXTS), 1)))


@pytest.mark.parametrize(
    ("widths", "options"),
    [
        ((5,), {}),
        ((2, 2), {}),
        ((1,) * 9, {}),
        ((40, 30), {}),
        ((2, 2, 2), {"dtype": "float32"}),
        ((2, 2, 2), {"layout": "dense"}),
        ((2, 2, 2), {"norm": "l2"}),
        ((2, 2, 2), {"counts": "binary"}),
        ((2, 2, 2), {"bits": 5}),
    ],
)
def test_others_keep_their_tables(widths, options):
    families = tasks(widths, **options)
    assert scored(families, sum(widths), after=0)[1] == 0


def test_families_of_different_norms_or_with_a_gap_keep_their_tables():
    assert scored([*tasks((2, 2), norm="sqrt"), *tasks((2,), first=4, norm="none")], 6, after=0)[1] == 0
    assert scored([*tasks((2, 2)), *tasks((2,), first=5)], 7, after=0)[1] == 0


def test_they_are_made_after_as_many_texts_in_whatever_calls():
    module = load("score")
    scorer = module.Scorer(np.zeros(4), tasks((1, 2, 1)), 5)
    texts, out = module.Texts(TEXTS), np.zeros((2, 4))
    sizes = []
    for _ in range(3):
        scorer.logits(texts, 1, 3, out)
        sizes.append(scorer.united_bytes)
    assert sizes[:2] == [0, 0]
    assert sizes[2] > 0
    labels = np.empty(len(TEXTS), dtype=np.int32)
    scorer.labels(texts, 0, len(TEXTS), labels)
    expected = np.empty_like(labels)
    module.Scorer(np.zeros(4), tasks((1, 2, 1)), 1 << 40).labels(texts, 0, len(TEXTS), expected)
    np.testing.assert_array_equal(labels, expected)


def test_threads_that_score_meanwhile():
    module, families = load("score"), tasks((1, 6, 3))
    expected = scored(families, 10, after=1 << 40)[0]
    scorer, texts = module.Scorer(np.zeros(10), families, 1000), module.Texts(TEXTS)
    outs = [np.tile(np.linspace(-1, 1, 10), (len(TEXTS), 1)) for _ in range(8)]
    threads = [threading.Thread(target=scorer.logits, args=(texts, 0, len(TEXTS), out)) for out in outs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scorer.united_bytes > 0
    for out in outs:
        np.testing.assert_array_equal(out, expected)
