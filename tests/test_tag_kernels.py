"""The taggers' kernels: against their plain twins, against every path, and their refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.kernels import _tag_plain, _tagfit_plain, load

K, FIT = load("tag"), load("tagfit")
PAIRS = np.array([[0, -1, 0, 0], [2, 0, 3, 1]], np.int32)
RADIUS = np.array([2, 1, 2, 1] + [1] * 4 + [0] * 4, np.int32)

sentences = st.lists(st.lists(st.text(max_size=6), max_size=4), max_size=4)


def _everything(module, text):
    words, tokens, bounds = module.index_words(text)
    matrix, ngrams, offsets = module.atoms(words, 2, 3)
    keys, key_bounds = module.unary_keys(matrix, RADIUS, ngrams, offsets, 2)
    return words, (
        tokens,
        bounds,
        matrix,
        ngrams,
        offsets,
        keys,
        key_bounds,
        module.pair_keys(matrix, tokens, bounds, PAIRS),
    )


@settings(max_examples=60)
@given(sentences)
def test_features_equal_the_twin(text):
    words, ours = _everything(K, text)
    others, plain = _everything(_tag_plain, text)
    assert words == others
    for mine, theirs in zip(ours, plain, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_atoms_tell_what_they_should():
    matrix, ngrams, offsets = K.atoms(["Berlin", "BERLIN", "Munich", "1990", "2015", "b"], 0, 0)
    same = matrix[:, None] == matrix[None]
    assert same[0, 1, 0]  # the same in lower case
    assert not same[0, 1, 1]
    assert same[0, 2, 2:4].all()  # the same shapes
    assert not same[0, 1, 2]
    assert same[3, 4, 0]  # digits are folded
    assert not same[3, 4, 1]
    assert (matrix[5, 5:8] == 0).all()  # no longer prefixes of one letter
    assert len(ngrams) == 0
    assert offsets.tolist() == [0] * 9
    assert matrix[6, 0] != matrix[7, 0]


def test_a_token_is_a_string():
    for module in (K, _tag_plain):
        with pytest.raises(TypeError, match="a token must be a string; got 3 of type int"):
            module.index_words([["a", 3]])


@settings(max_examples=40)
@given(st.lists(st.integers(1, 2**64 - 1), max_size=40, unique=True), st.lists(st.integers(1, 2**64 - 1), max_size=20))
def test_the_table_finds_what_was_put_into_it(keys, others):
    keys, others = np.array(keys, np.uint64), np.array(others, np.uint64)
    slots = [np.zeros(len(keys) + 1, np.uint32) for _ in range(2)]
    places = [module.place(keys, table) for module, table in zip((K, _tag_plain), slots, strict=True)]
    np.testing.assert_array_equal(*places)
    np.testing.assert_array_equal(*slots)
    np.testing.assert_array_equal(K.find(keys, slots[0]), places[0])
    np.testing.assert_array_equal(K.find(others, slots[0]), _tag_plain.find(others, slots[0]))


def test_a_full_table_is_refused():
    full = np.ones(3, np.uint32)
    for module in (K, _tag_plain):
        with pytest.raises(ValueError, match="the slots do not suffice"):
            module.place(np.array([1], np.uint64), np.zeros(1, np.uint32))
        with pytest.raises(ValueError, match="one of them empty"):
            module.find(np.array([1], np.uint64), full)


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_scores_equal_the_twin(dtype):
    rng = np.random.default_rng(0)
    text = [["a", "B", "c1"], [], ["c1", "a"]]
    _, (tokens, bounds, matrix, _, _, keys, key_bounds, pairs) = _everything(K, text)
    slots = np.zeros(400, np.uint32)
    K.place(np.concatenate([keys[::2], pairs.ravel()[pairs.ravel() > 0][:4]]), slots)
    table = rng.integers(-9, 9, (400, 3)).astype(dtype)
    found = []
    for module in (K, _tag_plain):
        words = np.zeros((len(key_bounds) - 1, 3), np.float32)
        module.score_words(keys, key_bounds, slots, table, words)
        out = np.zeros((len(tokens), 3), np.float32)
        module.score(words.reshape(-1, 5, 3), tokens, bounds, matrix, PAIRS, slots, table, out)
        found.append((words, out))
    assert np.abs(found[0][1]).sum() > 0
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(0, 4))
def test_decode_finds_the_best_of_all_paths(seed, k, n):
    rng = np.random.default_rng(seed)
    scores, links = (
        rng.standard_normal((n, k + 1)).astype(np.float32),
        rng.standard_normal((k + 2, k)).astype(np.float32),
    )
    links[0, k - 1] = -np.inf
    bounds = np.array([0, 0, n])
    for module in (K, _tag_plain):
        path = np.zeros(n, np.int32)
        module.decode(scores, 1, bounds, links, path)
        if n:
            best = max(_value(way, scores[:, 1:], links) for way in itertools.product(range(k), repeat=n))
            np.testing.assert_allclose(_value(path.tolist(), scores[:, 1:], links), best, atol=1e-5)


def _value(path, scores, links):
    k = scores.shape[1]
    steps = sum(links[a, b] for a, b in itertools.pairwise(path))
    return links[k, path[0]] + steps + links[k + 1, path[-1]] + sum(scores[t, tag] for t, tag in enumerate(path))


def _problem(seed):
    """Two tasks of tags, one of one label and one of several, on random arrays."""
    rng = np.random.default_rng(seed)
    n_words, n_features, sizes, kinds = 5, 30, (3, 2, 2, 4), (0, 1, 2, 0)
    bounds = np.concatenate([[0], np.cumsum(rng.integers(0, 5, 4))]).astype(np.int64)
    unary_bounds = np.concatenate([[0], np.cumsum(rng.integers(0, 4, (n_words + 2) * 3))]).astype(np.int64)
    n, starts = int(bounds[-1]), np.cumsum([0, *sizes])
    tasks = [
        [starts[a], starts[a + 1], kinds[a], at, row] for a, (at, row) in enumerate([(0, 0), (0, 0), (2, 0), (15, 1)])
    ]
    problem = {
        "tokens": rng.integers(0, n_words, n).astype(np.int32),
        "bounds": bounds,
        "unary": rng.integers(-1, n_features, unary_bounds[-1]).astype(np.int32),
        "unary_bounds": unary_bounds,
        "pairs": rng.integers(-1, n_features, (n, 2)).astype(np.int32),
        "vectors": rng.standard_normal((n_words + 2, 2)).astype(np.float32),
        "states": rng.standard_normal((n, 3)).astype(np.float32),
        "gold": np.stack([rng.integers(0, 3, n), rng.integers(0, 4, n)]).astype(np.int32),
        "targets": rng.integers(0, 2, (4, 4)).astype(np.float32),
        "tasks": np.array(tasks, np.int32),
        "window": 1,
        "reach": 1,
    }
    model = {"links": rng.standard_normal(15 + 24).astype(np.float32)}
    for name, rows in (("weights", n_features + 1), ("dense", 9)):
        model[name] = rng.standard_normal((rows, 11)).astype(np.float32)
    for name, sums, squares in (("weights", "sums", "squares"), ("dense", "dense_sums", "dense_squares")):
        model[sums], model[squares] = np.zeros_like(model[name]), np.zeros((len(model[name]), 4), np.float32)
    model["link_sums"], model["link_squares"] = np.zeros_like(model["links"]), np.zeros_like(model["links"])
    return problem, model, rng.permutation(4)


@pytest.mark.parametrize("crf", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_training_equals_the_twin(seed, crf):
    found = []
    for module in (FIT, _tagfit_plain):
        problem, model, order = _problem(seed)
        options = {"crf": crf, "adagrad": crf, "rate": 0.3, "margin": 0.5, "dropout": 0.2, "seed": 7}
        found.append((module.train(problem, model, order, **options), model))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4, abs=1e-4)
    for name, array in found[0][1].items():
        np.testing.assert_allclose(array, found[1][1][name], rtol=2e-2, atol=2e-3, err_msg=name)


def test_the_loss_of_a_field_is_its_negative_log_likelihood():
    problem, model, _ = _problem(1)
    problem["tasks"] = problem["tasks"][:1]
    for name in ("squares", "dense_squares"):
        model[name] = model[name][:, :1].copy()
    s = int(np.argmax(np.diff(problem["bounds"])))
    first, last = problem["bounds"][s : s + 2]
    assert last - first >= 2
    dense = np.stack([_tagfit_plain._dense(problem, t, first, last) for t in range(first, last)])
    features = [_tagfit_plain._features(problem, t, first, last, 0, 0) for t in range(first, last)]
    scores = (np.stack([_tagfit_plain._score(model, f) for f in features]) + dense @ model["dense"])[:, :3]
    links, gold = model["links"][:15].reshape(5, 3).copy(), problem["gold"][0, first:last].tolist()
    values = [_value(way, scores, links) for way in itertools.product(range(3), repeat=len(gold))]
    expected = np.logaddexp.reduce(np.array(values, np.float64)) - _value(gold, scores, links)
    loss = FIT.train(problem, model, np.array([s]), crf=True, adagrad=True, rate=0.1)
    assert loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["tokens", "unary", "pairs", "gold"])
def test_a_number_out_of_bounds_is_refused(name):
    for module in (FIT, _tagfit_plain):
        problem, model, order = _problem(2)
        problem[name].reshape(-1)[0] = 99
        with pytest.raises(ValueError, match="the shapes do not fit"):
            module.train(problem, model, order, crf=True, adagrad=True, rate=0.1)
