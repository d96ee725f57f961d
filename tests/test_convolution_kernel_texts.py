"""From texts to what a convolution over them weighs, in one call: equal to the plain twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.kernels import _convolve_plain as plain
from tlclassic.kernels import _score_plain, load

kernel = load("convolve")
WORDS = ["a", "film", "Fine", "don't", "!", "josé", "東京", "x" * 40, "zz-top", "\u00a0"]


def packed(there: Any) -> Any:
    """Bits as words of a map, filled up with zeros."""
    bits = np.zeros(-len(there) % 64 + len(there), dtype=np.uint8)
    bits[: len(there)] = there
    return np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)


def network(
    random: Any, there: Any, outputs: int, *, int8: bool, width: int, filters: int, sums: int = 0
) -> tuple[Any, ...]:
    """Map, table, scales, bias and weights with random numbers."""
    shape = int(np.sum(there)) + 1, width * filters + sums
    table = random.integers(-127, 128, shape).astype(np.int8) if int8 else random.normal(size=shape)
    return (
        packed(there),
        table if int8 else table.astype(np.float32),
        random.random(filters + sums, dtype=np.float32) if int8 else None,
        random.normal(size=filters).astype(np.float32),
        random.normal(size=(filters + sums, outputs)).astype(np.float32),
    )


def with_hidden(random: Any, parts: tuple[Any, ...], hidden: int, *, coded: bool = False) -> tuple[Any, ...]:
    """The same with a hidden layer of so many units between filters and outputs."""
    *first, bias, weights = parts
    head = random.normal(size=(hidden, weights.shape[1])).astype(np.float32)
    layer = random.normal(size=(len(weights), hidden)).astype(np.float32)
    added = random.normal(size=hidden).astype(np.float32)
    if first[2] is None or not coded:
        return *first, bias, head, layer, added
    largest = (2**31 - 1) // (4095 * len(layer))
    layer = random.integers(-largest, largest + 1, layer.shape).astype(np.int16)
    return *first, bias, head, layer, added, random.uniform(1e-6, 1e-5, hidden).astype(np.float32)


def added(module: Any, texts: Any, start: int, stop: int, bits: int, parts: tuple[Any, ...], sums: int = 0) -> Any:
    out = np.full((stop - start, parts[4].shape[1]), 0.5)
    made = load("score").Texts(texts) if module is kernel else _score_plain.Texts(texts)
    module.Convolution(bits, *parts, sums=sums).add(made, start, stop, out)
    return out.tolist()


def check_levels(texts: Any, bits: int, parts: tuple[Any, ...], sums: int) -> None:
    """Every way of this processor gives the twin's logits."""
    expected = added(plain, texts, 0, len(texts), bits, parts, sums)
    for level in kernel.levels():
        kernel.set_level(level)
        found = added(kernel, texts, 0, len(texts), bits, parts, sums)
        kernel.set_level(kernel.levels()[-1])
        assert found == expected, level


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=8),
    st.sampled_from([(3, 1.0), (5, 0.5), (9, 0.2), (12, 0.02), (12, 0.0)]),
    st.booleans(),
    st.integers(1, 8),
    st.sampled_from([16, 32, 48, 96, 112]),
    st.sampled_from([0, 0, 16, 32, 64, 80]),
    st.sampled_from([0, 0, 16, 64, 80]),
    st.booleans(),
    st.sampled_from(kernel.levels()),
)
def test_logits_are_those_of_the_twin(seed, texts, buckets, int8, width, filters, hidden, sums, coded, level):
    random = np.random.default_rng(seed)
    bits, share = buckets
    there = random.random(1 << bits) < share
    parts = network(random, there, int(random.integers(1, 11)), int8=int8, width=width, filters=filters, sums=sums)
    if hidden:
        parts = with_hidden(random, parts, hidden, coded=coded)
    start = int(random.integers(0, len(texts) + 1))
    kernel.set_level(level)
    found = added(kernel, texts, start, len(texts), bits, parts, sums)
    kernel.set_level(kernel.levels()[-1])
    assert found == added(plain, texts, start, len(texts), bits, parts, sums)


@pytest.mark.parametrize("hidden", [16, 32, 48, 64, 80, 144])
@pytest.mark.parametrize("sums", [16, 32, 48, 64, 96, 112])
def test_a_layer_in_codes_is_the_same_at_every_level_for_long_texts_and_many(hidden, sums):
    # Sums of up to 256 words are taken another way; four texts share a reading of the layer, three are left of 19.
    random = np.random.default_rng(hidden + sums)
    there = random.random(1 << 9) < 0.2
    parts = with_hidden(
        random, network(random, there, 20, int8=True, width=3, filters=48, sums=sums), hidden, coded=True
    )
    lengths = (0, 1, 255, 256, 257, 513, *random.integers(0, 30, 13))
    texts = [" ".join(random.choice(WORDS, n)) for n in lengths]
    check_levels(texts, 9, parts, sums)


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize(
    ("width", "filters", "sums"),
    [
        *((4, 64, 32), (4, 96, 32), (3, 128, 64), (4, 128, 64), (3, 256, 64)),
        *((3, 48, 16), (4, 64, 64), (2, 32, 0), (8, 16, 48), (1, 80, 32)),
    ],
)
def test_windows_of_bytes_are_the_same_at_every_level(width, filters, sums, beyond):
    # Windows of one word again and again, in every filter the largest (of unknown words) or the least (of every other
    # known one) that a byte holds, or one beyond it.
    random = np.random.default_rng(width + filters)
    there = random.random(1 << 9) < 0.2
    parts = network(random, there, 20, int8=True, width=width, filters=filters, sums=sums)
    windows = parts[1][:, : width * filters].reshape(-1, width, filters)
    windows[:] = random.integers(-(128 // width), 127 // width + 1, windows.shape)
    windows[::2], windows[-1] = -(128 // width), 127 // width
    windows[::2, -1] = -128 + (width - 1) * (128 // width) - beyond if width > 1 else -128
    windows[-1, 0], windows[-1, 1:] = 127 - (width - 1) * (127 // width) + beyond if width > 1 else 127, 127 // width
    parts = with_hidden(random, parts, 32, coded=True)
    words = [f"w{i}" for i in range(300)]
    lengths = (0, 1, 2, 255, 256, 257, *random.integers(0, 30, 300))
    texts = [" ".join(random.choice(WORDS + words, n)) for n in lengths]
    texts += [" ".join([word] * width) for word in words]
    check_levels(texts, 9, parts, sums)


@pytest.mark.parametrize("texts", [[b"a f\xffilm", "b"], ("a film", ""), np.array(["josé a", "film"]), []])
def test_texts_of_every_kind(texts):
    parts = network(np.random.default_rng(1), np.ones(64), 3, int8=True, width=4, filters=96)
    assert added(kernel, texts, 0, len(texts), 6, parts) == added(plain, texts, 0, len(texts), 6, parts)


def test_many_texts_and_a_long_one():
    random = np.random.default_rng(2)
    texts = [" ".join(random.choice(WORDS, random.integers(0, 9))) for _ in range(1100)]
    texts[700] = "a fine film " * 3000
    for int8 in (True, False):
        parts = network(random, random.random(1 << 10) < 0.3, 2, int8=int8, width=4, filters=32, sums=16)
        assert added(kernel, texts, 0, 1100, 10, parts, 16) == added(plain, texts, 0, 1100, 10, parts, 16)


def test_a_hidden_layer_in_codes_by_hand():
    # Unknown words: filter 0 has code 5 and a bias of 2 codes, filter 1 is below zero, the sum is 3 codes a word.
    table = np.zeros((1, 32), dtype=np.int8)
    table[0, 0], table[0, 1], table[0, 16] = 5, -5, 3
    scales, bias = np.full(32, 0.5, np.float32), np.zeros(16, np.float32)
    bias[0], bias[1] = 1.2, 2.0
    layer, weights = np.zeros((32, 16), np.int16), np.zeros((16, 2), np.float32)
    layer[:2, 4], layer[16, 5] = (10, 1000), 10
    weights[4, 0] = weights[5, 1] = 1.0
    hidden_bias, hidden_scales = np.zeros(16, np.float32), np.full(16, 0.5, np.float32)
    parts = np.zeros(1, np.uint64), table, scales, bias, weights, layer, hidden_bias, hidden_scales
    for module in (kernel, plain):
        found = added(module, ["film", "a film", ""], 0, 3, 6, parts, 16)
        # Of two words the sum is 6 / sqrt(2) codes, or 33.94 eighths, rounded.
        assert found == [[0.5 + 0.5 * 70, 0.5 + 0.5 * 240], [35.5, 0.5 + 0.5 * 340], [0.5 + 0.5 * 4020, 0.5]]


def test_sums_by_hand():
    # Two unknown words of 3 each: 6 by the root of 2. Sums of thousands of words fit as well.
    table = np.zeros((1, 32), dtype=np.int8)
    table[0, 16], table[0, 17] = 3, -127
    scales, weights = np.ones(32, np.float32), np.zeros((32, 2), np.float32)
    weights[16, 0] = weights[17, 1] = 1.0
    parts = np.zeros(1, np.uint64), table, scales, np.zeros(16, np.float32), weights
    texts = ["a film", "", "film " * 10_000]
    for module in (kernel, plain):
        found = np.array(added(module, texts, 0, 3, 6, parts, 16))
        np.testing.assert_allclose(found[0], [0.5 + 6 / np.sqrt(2), 0.5 - 254 / np.sqrt(2)], rtol=1e-6)
        assert found[1].tolist() == [0.5, 0.5]
        np.testing.assert_allclose(found[2], [0.5 + 300, 0.5 - 12_700], rtol=1e-6)


def test_buckets_that_lie_side_by_side():
    # More in one group of the index than it compares in any case, and none in the others.
    there = np.zeros(1 << 8, dtype=bool)
    there[100:140] = True
    random = np.random.default_rng(3)
    parts = network(random, there, 1, int8=True, width=1, filters=16)
    texts = [f"w{i}" for i in range(2000)]
    found = added(kernel, texts, 0, 2000, 8, parts)
    assert found == added(plain, texts, 0, 2000, 8, parts)
    assert len({row[0] for row in found}) > 30


def test_by_hand():
    there = np.zeros(64, dtype=bool)
    ngrams = load("ngrams").Ngrams(words=(1, 1), chars=(0, 0), bits=6, fold=True, keep_punctuation=True)
    there[ngrams.buckets(["film"])[0]] = True
    table = np.zeros((2, 2 * 16), dtype=np.int8)
    table[0, 0], table[0, 16], table[1, 0] = 5, 7, -9
    scales, bias, weights = np.full(16, 0.5, np.float32), np.full(16, -1, np.float32), np.zeros((16, 1), np.float32)
    weights[0] = 2
    # "film film": 5 + 7 in the window of both; "film": 7 where it ends one; nothing: 0, and then 0 - 1 is below zero.
    parts = packed(there), table, scales, bias, weights
    assert added(kernel, ["film film", "film", ""], 0, 3, 6, parts) == [[10.5], [5.5], [0.5]]


def test_a_hidden_layer_by_hand():
    # Nothing known: filters are their biases, of which the layer passes on the sum above 1.
    bias, layer = np.zeros(16, np.float32), np.zeros((16, 16), np.float32)
    bias[:3], layer[:3, 5] = (1, 2, -4), (1, 1, 1)
    hidden_bias, weights = np.zeros(16, np.float32), np.zeros((16, 1), np.float32)
    hidden_bias[5], weights[5] = -1, 10
    parts = (
        np.zeros(1, np.uint64),
        np.zeros((1, 16), np.int8),
        np.ones(16, np.float32),
        bias,
        weights,
        layer,
        hidden_bias,
    )
    assert added(kernel, ["film"], 0, 1, 6, parts) == [[20.5]]
    assert added(plain, ["film"], 0, 1, 6, parts) == [[20.5]]


def layer(filters: int, hidden: int, dtype: Any = np.float32) -> dict[str, Any]:
    return {
        "hidden_weights": np.zeros((filters, hidden), dtype),
        "hidden_bias": np.zeros(hidden, np.float32),
    }


@pytest.mark.parametrize("module", [kernel, plain], ids=["compiled", "plain"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 7}, "the map must have a bit for each bucket"),
        ({"bits": 32}, "the map must have a bit for each bucket"),
        ({"bitmap": np.full(1, 2**64 - 1, np.uint64)}, "a row for each bit of the map and one more"),
        ({"scales": None}, "scales are of a table of int8"),
        ({"scales": np.ones(15, np.float32)}, "must be those of filters and sums"),
        ({"weights": np.zeros((15, 1), np.float32)}, "must be those of filters and sums"),
        ({"sums": 8}, "sums must be a multiple of 16, or 0"),
        ({"sums": -16}, "sums must be a multiple of 16, or 0"),
        ({"sums": 32}, "sums must be a multiple of 16, or 0"),
        ({"sums": 16}, "windows must be of 1 to 8 words|must be those of filters and sums"),
        ({"weights": np.zeros((16, 0), np.float32)}, "one output or more"),
        ({"hidden_weights": np.zeros((16, 32), np.float32)}, "a hidden layer has weights and bias"),
        ({"hidden_bias": np.zeros(32, np.float32)}, "a hidden layer has weights and bias"),
        (layer(16, 24), "a multiple of 16 units"),
        (layer(16, 0), "a multiple of 16 units"),
        (layer(15, 16), r"of shape \(filters \+ sums, hidden\)"),
        (layer(16, 32), "or weights those of the hidden layer"),
        (layer(16, 16, np.int16), "float32, or int16 with scales"),
        (layer(16, 16) | {"hidden_scales": np.ones(16, np.float32)}, "float32, or int16 with scales"),
        (layer(16, 16, np.int16) | {"hidden_scales": np.ones(15, np.float32)}, "must have one number a unit"),
        (
            layer(16, 16, np.int16)
            | {"hidden_scales": np.ones(16, np.float32), "scales": None, "table": np.zeros((2, 16), np.float32)},
            "for a table of int8",
        ),
        (
            {
                "table": np.zeros((2, 32), np.int8),
                "scales": np.ones(32, np.float32),
                "bias": np.zeros(32, np.float32),
                "hidden_weights": np.full((32, 16), -16_389, np.int16),
                "hidden_bias": np.zeros(16, np.float32),
                "hidden_scales": np.ones(16, np.float32),
            },
            "a sum of 32 bits",
        ),
    ],
)
def test_what_does_not_fit_is_refused(module, change, message):
    given: dict[str, Any] = {
        "bits": 6,
        "bitmap": np.ones(1, np.uint64),
        "table": np.zeros((2, 16), np.int8),
        "scales": np.ones(16, np.float32),
        "bias": np.zeros(16, np.float32),
        "weights": np.zeros((16, 1), np.float32),
    }
    module.Convolution(**given)
    with pytest.raises(ValueError, match=message):
        module.Convolution(**(given | change))


@pytest.mark.parametrize("module", [kernel, plain], ids=["compiled", "plain"])
def test_ranges_that_are_refused(module):
    parts = network(np.random.default_rng(0), np.ones(64), 2, int8=True, width=1, filters=16)
    made = (load("score") if module is kernel else _score_plain).Texts(["a", "b"])
    model = module.Convolution(6, *parts)
    for start, stop in ((-1, 1), (0, 3), (2, 1)):
        with pytest.raises(ValueError, match="no texts from"):
            model.add(made, start, stop, np.zeros((max(stop - start, 0), 2)))
    for shape in ((1, 2), (2, 1)):
        with pytest.raises(ValueError, match="out must be of shape"):
            model.add(made, 0, 2, np.zeros(shape))
