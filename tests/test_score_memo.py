"""What the letters of words weigh, kept by the scoring kernel: logits are those without it, bit by bit."""

from __future__ import annotations

import runpy
import threading
from pathlib import Path

import numpy as np
import pytest

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import COMPILED, load
from tlclassic.kernels import _score_plain as plain
from tlclassic.runtime.classifier import _family

CASES = runpy.run_path(str(Path(__file__).with_name("runtime_cases.py")))
NEVER = 1 << 40
#: More words that differ than a group may bring, and words of every length around those of the table's slots.
MANY = " ".join(f"word{i} w{i}" for i in range(700))
LENGTHS = " ".join("abcdefghijklmnopqrstuvwxyz"[: i % 26 + 1] * (1 + i // 13) for i in range(40))
TEXTS = [*CASES["TEXTS"], MANY, LENGTHS, *(f"w{i} w{i + 1} film é{i} fine {i * 7}" for i in range(300))]
pytestmark = pytest.mark.skipif(not COMPILED, reason="no compiled kernels: the plain twin keeps nothing")


def letters(outputs, *, words=False, seed=0, **options):
    """A family of letters, and one of words beside it."""
    rng = np.random.default_rng(seed)
    families = []
    for unit in ("word", "char") if words else ("char",):
        given = {"unit": unit, "ngrams": [1, 2] if unit == "word" else [3, 5], "layout": "bitmap", "dtype": "int8"}
        families.append(_family(*CASES["ngrams"](rng, outputs, **{**given, "bits": 10, **options}), ""))
    return families


def scored(families, outputs, *, after, module=None, texts=TEXTS, times=1):
    """The logits, and how many bytes what is kept takes."""
    module = module or load("score")
    scorer = module.Scorer(np.zeros(outputs), families, NEVER, after)
    for _ in range(times):
        out = np.tile(np.linspace(-1, 1, outputs), (len(texts), 1))
        scorer.logits(module.Texts(texts), 0, len(texts), out)
    return out, scorer.memo_bytes


@pytest.mark.parametrize("outputs", [1, 2, 5, 8, 9, 20, 24, 31, 32, 33, 40, 77])
@pytest.mark.parametrize("options", [{}, {"words": True}])
def test_logits_are_those_without(outputs, options):
    families = letters(outputs, **options)
    with_it, n_bytes = scored(families, outputs, after=0, times=2)
    without, none = scored(families, outputs, after=NEVER)
    assert none == 0
    assert n_bytes > 10_000
    assert len(np.unique(without[:, 0])) > 200
    np.testing.assert_array_equal(with_it, without)


@pytest.mark.parametrize(
    "options",
    [
        {"norm": "none"},
        {"norm": "sqrt"},
        {"layout": "dense"},
        {"ngrams": [1, 3]},
        {"ngrams": [2, 2]},
        {"ngrams": [4, 12]},
        {"ngrams": [20, 30]},
        {"case": "keep"},
        {"bits": 6},
        {"idf": True},
    ],
)
def test_logits_are_those_without_for_other_letters(options):
    families = letters(3, **options)
    with_it, n_bytes = scored(families, 3, after=0, times=2)
    assert n_bytes > 0
    np.testing.assert_array_equal(with_it, scored(families, 3, after=NEVER)[0])


def test_logits_are_those_of_the_plain_twin():
    families = letters(4, words=True)
    found, n_bytes = scored(families, 4, after=0)
    assert n_bytes > 0
    np.testing.assert_allclose(found, scored(families, 4, after=0, module=plain)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("low", [0, 255])
def test_sums_do_not_overflow(low):
    families = letters(1, norm="none", layout="dense")
    families[0]["table"][:] = low
    families[0]["scales"][:] = 1.0
    text = "abcdefghijklmnopqrstuvwx " * 5000
    found, n_bytes = scored(families, 1, after=0, texts=[text])
    assert n_bytes > 0
    # <word> has 26 characters: 24 of three, 23 of four, 22 of five.
    np.testing.assert_array_equal(found - 1.0 + 2.0, [[5000.0 * 69 * (low - 128)]])


def test_a_table_that_is_full_is_emptied_when_other_words_come():
    outputs = 900  # so wide that a table has few slots
    families = letters(outputs, seed=3)
    texts = [f"a{i}b{j}" for i in range(20) for j in range(100)]
    others = [f"z{i}y{j}" for i in range(100) for j in range(100)]
    module = load("score")
    scorer = module.Scorer(np.zeros(outputs), families, NEVER, 0)
    for some in (texts, others, texts, others):
        out = np.tile(np.linspace(-1, 1, outputs), (len(some), 1))
        scorer.logits(module.Texts(some), 0, len(some), out)
        np.testing.assert_array_equal(out, scored(families, outputs, after=NEVER, texts=some)[0])
    assert 0 < scorer.memo_bytes < 1 << 22


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"dtype": "float16"},
        {"counts": "binary"},
        {"counts": "sublinear"},
        {"norm": "l2"},
        {"unit": "word", "ngrams": [1, 2]},
        {"ngrams": [1, 16]},
    ],
)
def test_others_are_read_each_time(options):
    assert scored(letters(2, **options), 2, after=0)[1] == 0


def test_letters_of_several_tasks_are_read_each_time():
    families = [*letters(2), *letters(2, seed=1)]
    for number, family in enumerate(families):
        family["columns"] = (2 * number, 2 * number + 2)
    found, n_bytes = scored(families, 4, after=0)
    assert n_bytes == 0
    np.testing.assert_array_equal(found, scored(families, 4, after=NEVER)[0])


def test_letters_with_other_options_have_tables_of_their_own():
    families = [*letters(3), *letters(3, seed=1, case="keep"), *letters(3, seed=2, bits=8)]
    found, n_bytes = scored(families, 3, after=0, times=2)
    assert n_bytes > 2 * scored(families[:1], 3, after=0)[1]
    np.testing.assert_array_equal(found, scored(families, 3, after=NEVER)[0])


def test_it_begins_after_as_many_texts_in_whatever_calls():
    module = load("score")
    scorer = module.Scorer(np.zeros(4), letters(4), NEVER, 5)
    texts, out = module.Texts(TEXTS), np.zeros((2, 4))
    sizes = []
    for _ in range(3):
        scorer.logits(texts, 1, 3, out)
        sizes.append(scorer.memo_bytes)
    assert sizes[:2] == [0, 0]
    assert sizes[2] > 0
    labels, expected = np.empty(len(TEXTS), dtype=np.int32), np.empty(len(TEXTS), dtype=np.int32)
    scorer.labels(texts, 0, len(TEXTS), labels)
    module.Scorer(np.zeros(4), letters(4), NEVER, NEVER).labels(texts, 0, len(TEXTS), expected)
    np.testing.assert_array_equal(labels, expected)


def test_threads_have_tables_of_their_own():
    module, families = load("score"), letters(6, words=True)
    expected = scored(families, 6, after=NEVER)[0]
    scorer, texts = module.Scorer(np.zeros(6), families, NEVER, 0), module.Texts(TEXTS)
    outs = [np.tile(np.linspace(-1, 1, 6), (len(TEXTS), 1)) for _ in range(8)]
    for _ in range(2):
        threads = [threading.Thread(target=scorer.logits, args=(texts, 0, len(TEXTS), out)) for out in outs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for out in outs:
            np.testing.assert_array_equal(out, expected)
            out[:] = np.linspace(-1, 1, 6)
    one = scored(families, 6, after=0)[1]
    assert scorer.memo_bytes % one == 0
    assert one <= scorer.memo_bytes <= 8 * one


def test_a_text_that_is_none_leaves_it_whole():
    module, families = load("score"), letters(3)
    scorer = module.Scorer(np.zeros(3), families, NEVER, 0)
    with pytest.raises(InvalidParameterError, match="must be a string"):
        scorer.logits(module.Texts(["a film", None]), 0, 2, np.zeros((2, 3)))
    out = np.tile(np.linspace(-1, 1, 3), (len(TEXTS), 1))
    scorer.logits(module.Texts(TEXTS), 0, len(TEXTS), out)
    np.testing.assert_array_equal(out, scored(families, 3, after=NEVER)[0])
