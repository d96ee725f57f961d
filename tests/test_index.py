"""The word index kernel: against its plain twin and a dict, its refusals, and altered tables."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.kernels import _index_plain, load

K = load("index")
BOTH = pytest.mark.parametrize("module", [K, _index_plain], ids=["kernel", "twin"])

# Short words from a small alphabet collide and repeat; longer ones pass the eight-byte steps of the hash.
WORDS = st.lists(
    st.one_of(
        st.text("ab", max_size=3),
        st.text(max_size=30),
        st.sampled_from(["naïve", "naive", "日本語", "😀", "New York", " ", "a" * 7, "a" * 8, "a" * 9, "a" * 64]),
    ).map(lambda word: word.encode("utf-8")),
    max_size=60,
)


def _arrays(words):
    offsets = np.cumsum([0, *map(len, words)], dtype=np.int64)
    return np.frombuffer(b"".join(words), dtype=np.uint8), offsets


def _n_slots(words):
    return 1 << (2 * len(words)).bit_length()


def _index(module, words):
    blob, offsets = _arrays(words)
    slots, _ = module.build_slots(blob, offsets, _n_slots(words))
    return module.WordIndex(slots, blob, offsets)


def _first_rows(words):
    rows = {}
    for row, word in enumerate(words):
        rows.setdefault(word, row)
    return rows


@given(words=WORDS)
@settings(max_examples=150, deadline=None)
def test_slots_and_duplicates_equal_the_twins(words):
    blob, offsets = _arrays(words)
    slots, duplicates = K.build_slots(blob, offsets, _n_slots(words))
    plain_slots, plain_duplicates = _index_plain.build_slots(blob, offsets, _n_slots(words))
    assert slots.dtype == np.uint64
    assert duplicates.dtype == plain_duplicates.dtype == np.int64
    np.testing.assert_array_equal(slots, plain_slots)
    np.testing.assert_array_equal(duplicates, plain_duplicates)


@BOTH
@given(words=WORDS, others=WORDS)
@settings(max_examples=100, deadline=None)
def test_finds_what_a_dict_finds(module, words, others):
    index, expected = _index(module, words), _first_rows(words)
    assert len(index) == len(words)
    queries = words + others
    rows = index.find_many(queries)
    assert rows.dtype == np.int64
    assert rows.tolist() == [expected.get(word, -1) for word in queries]
    assert [index.find(word) for word in queries] == rows.tolist()


@BOTH
def test_literal_rows(module):
    index = _index(module, [b"the", "café".encode(), b"the", b"", b"New York"])
    assert index.find_many(["the", "café", "cafe", "", "New York", b"the", "THE"]).tolist() == [0, 1, -1, 3, 4, 0, -1]
    blob, offsets = _arrays([b"the", b"cat", b"the", b"the"])
    assert module.build_slots(blob, offsets, 8)[1].tolist() == [2, 3]


def test_the_hash_is_fixed():
    # Written into files: it must never change.
    assert _index_plain.hash_word(b"") == 0xC9D874CA57D9E055
    assert _index_plain.hash_word(b"word") == 0x8C51E6221586B9B7
    assert _index_plain.hash_word(b"a longer word") == 0x648B0970E542186B


@BOTH
def test_no_words(module):
    index = _index(module, [])
    assert len(index) == 0
    assert index.find(b"") == index.find(b"word") == -1
    assert index.find_many([]).tolist() == []
    assert index.find_many(("word",)).tolist() == [-1]


@BOTH
def test_only_the_empty_word(module):
    index = _index(module, [b""])
    assert index.find_many(["", "a"]).tolist() == [0, -1]


@BOTH
def test_lone_surrogates_are_looked_up_as_bytes(module):
    index = _index(module, ["\ud800".encode("utf-8", "surrogatepass")])
    assert index.find_many(["\ud800", "\ud801"]).tolist() == [0, -1]


@BOTH
@pytest.mark.parametrize("item", [None, 3, bytearray(b"word")])
def test_other_types_are_refused(module, item):
    index = _index(module, [b"word"])
    with pytest.raises((TypeError, AttributeError)):
        index.find_many(["word", item])


class _Liar(list):
    def __len__(self):
        return 1


@BOTH
def test_a_sequence_that_lies_about_its_length(module):
    assert _index(module, [b"b", b"a"]).find_many(_Liar(["a", "b", "a"])).tolist() == [1, 0, 1]


@BOTH
def test_full_table_ends_the_search(module):
    # One free slot at least is asked for when building; a file may hold none.
    index = _index(module, [b"a"])
    full = module.WordIndex(np.full(4, (0xABCD << 32) | 1, dtype=np.uint64), index.words, index.offsets)
    assert full.find(b"b") == -1


@BOTH
@pytest.mark.parametrize("n_slots", [0, 1, 2, 3, 6, 7])
def test_slots_must_be_a_power_of_two_above_the_words(module, n_slots):
    blob, offsets = _arrays([b"a", b"b"])
    with pytest.raises(ValueError, match="n_slots must be a power of two above the 2 words"):
        module.build_slots(blob, offsets, n_slots)


@BOTH
@pytest.mark.parametrize("offsets", [[0, 3], [-1, 1], [2, 1, 2], [0, 1 << 62], [0, -1]])
def test_offsets_must_cut_the_words(module, offsets):
    with pytest.raises(ValueError, match="offsets must rise from 0 to at most the 2 bytes of words"):
        module.build_slots(np.zeros(2, np.uint8), np.array(offsets, dtype=np.int64), 8)


@BOTH
def test_offsets_must_not_be_empty(module):
    nothing = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="offsets must hold at least one number"):
        module.build_slots(np.zeros(0, np.uint8), nothing, 8)
    with pytest.raises(ValueError, match="offsets must hold at least one number"):
        module.WordIndex(np.zeros(8, np.uint64), np.zeros(0, np.uint8), nothing)


@BOTH
@pytest.mark.parametrize("n", [0, 3, 12])
def test_index_refuses_a_table_of_another_size(module, n):
    with pytest.raises(ValueError, match=f"the number of slots must be a power of two; got {n}"):
        module.WordIndex(np.zeros(n, np.uint64), np.zeros(0, np.uint8), np.zeros(1, np.int64))


def test_wrong_dtypes_are_refused():
    blob, offsets = _arrays([b"a"])
    with pytest.raises(ValueError, match="Buffer dtype mismatch"):
        K.build_slots(blob, offsets.astype(np.int32), 4)
    with pytest.raises(ValueError, match="Buffer dtype mismatch"):
        K.WordIndex(np.zeros(4, np.int64), blob, offsets)


def test_an_index_is_not_made_without_its_tables():
    with pytest.raises(TypeError, match="3 positional arguments"):
        K.WordIndex.__new__(K.WordIndex)
    with pytest.raises(TypeError):
        pickle.dumps(_index(K, [b"a"]))


def test_read_only_tables_are_used_as_they_are():
    words = [b"one", b"two"]
    blob, offsets = _arrays(words)
    slots, _ = K.build_slots(blob, offsets, 8)
    for array in (slots, offsets):
        array.flags.writeable = False
    index = K.WordIndex(slots, blob, offsets)
    assert index.find_many(["two", "three"]).tolist() == [1, -1]
    assert np.shares_memory(index.slots, slots)
    assert np.shares_memory(index.words, blob)
    assert np.shares_memory(index.offsets, offsets)


@given(words=WORDS.filter(bool), data=st.data())
@settings(max_examples=150, deadline=None)
def test_altered_tables_never_crash(words, data):
    """A mapped file may be damaged: the answer may be wrong, but is -1 or a row."""
    blob, offsets = _arrays(words)
    slots, _ = K.build_slots(blob, offsets, _n_slots(words))
    places = st.integers(0, len(slots) - 1)
    for place in data.draw(st.lists(places, max_size=5)):
        tag = int(slots[place]) >> 32 << 32
        slots[place] = tag | data.draw(st.integers(0, (1 << 32) - 1))
    offsets = offsets.copy()
    for place in data.draw(st.lists(st.integers(0, len(offsets) - 1), max_size=3)):
        offsets[place] = data.draw(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-5, len(blob) + 5))
    rows = K.WordIndex(slots, blob, offsets).find_many(words)
    assert ((rows >= -1) & (rows < len(words))).all()


def test_many_words():
    words = [b"w%d" % number for number in range(50_000)]
    index = _index(K, words)
    assert index.find_many(words).tolist() == list(range(50_000))
    assert (index.find_many([b"v%d" % number for number in range(1000)]) == -1).all()
