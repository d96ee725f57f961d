"""The feature cache: nothing is encoded twice, by several processes, after kills and with damaged files."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tlclassic.encoders import cache as module
from tlclassic.encoders.cache import FeatureCache, open_cache
from tlclassic.errors import InvalidParameterError, TlclassicWarning

KEY = {"model": "0123", "pooling": "mean"}


class Encoder:
    """Vectors (length, first character, 1) and what was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked += texts
        return vectors(texts)


def vectors(texts):
    return np.array([[len(text), ord(text[0]) if text else 0, 1] for text in texts], dtype=np.float32).reshape(-1, 3)


def test_a_text_is_encoded_once_in_any_order_and_any_process(tmp_path):
    encode = Encoder()
    cache = FeatureCache(tmp_path / "cache", KEY, 3)
    first = cache.fetch(["b", "aa", "b", ""], encode)
    assert first.tolist() == [[1, 98, 1], [2, 97, 1], [1, 98, 1], [0, 0, 1]]
    assert first.dtype == np.float32
    assert encode.asked == ["b", "aa", ""]
    assert cache.fetch(["", "ccc", "aa"], encode).tolist() == [[0, 0, 1], [3, 99, 1], [2, 97, 1]]
    assert encode.asked == ["b", "aa", "", "ccc"]
    other = FeatureCache(tmp_path / "cache", KEY, 3)
    assert other.fetch(["ccc", "b"], encode).tolist() == [[3, 99, 1], [1, 98, 1]]
    assert encode.asked == ["b", "aa", "", "ccc"]
    assert len(other) == 4


def test_the_key_is_part_of_what_is_looked_up(tmp_path):
    encode = Encoder()
    for key in (KEY, {**KEY, "pooling": "cls"}, {**KEY, "model": "0124"}):
        FeatureCache(tmp_path, key, 3).fetch(["a"], encode)
    assert encode.asked == ["a", "a", "a"]
    FeatureCache(tmp_path, dict(reversed(KEY.items())), 3).fetch(["a"], encode)
    assert encode.asked == ["a", "a", "a"]


def test_odd_texts_are_told_apart(tmp_path):
    texts = ["", " ", "\0", "é", "e\u0301", "\ud800", "a" * 100_000, "A"]
    encode = Encoder()
    cache = FeatureCache(tmp_path, KEY, 3)
    cache.fetch(texts, encode)
    assert len(cache) == 8
    assert np.array_equal(cache.fetch(texts, encode), vectors(texts))
    assert len(encode.asked) == 8


def test_lookup_says_what_is_known(tmp_path):
    cache = FeatureCache(tmp_path, KEY, 3)
    cache.add(["a", "b", "a"], vectors(["a", "b", "a"]))
    rows, known = cache.lookup(["b", "c"])
    assert known.tolist() == [True, False]
    assert rows.tolist() == [[1, 98, 1], [0, 0, 0]]
    assert cache.fetch([], Encoder()).shape == (0, 3)


def only(folder, suffix):
    (path,) = folder.glob(f"*/*{suffix}")
    return path


@pytest.mark.parametrize(("suffix", "extra"), [(".rows", 5), (".rows", 36), (".keys", 7), (".keys", 48)])
def test_what_a_killed_process_left_is_cut_off(tmp_path, suffix, extra):
    texts = ["a", "bb", "ccc"]
    FeatureCache(tmp_path, KEY, 3).fetch(texts, Encoder())
    with open(only(tmp_path, suffix), "ab") as file:
        file.write(b"\x7f" * extra)
    encode = Encoder()
    cache = FeatureCache(tmp_path, KEY, 3)
    assert np.array_equal(cache.fetch([*texts, "dddd"], encode), vectors([*texts, "dddd"]))
    assert encode.asked == ["dddd"]
    assert only(tmp_path, ".rows").stat().st_size == 4 * 12
    assert only(tmp_path, ".keys").stat().st_size == 4 * 24
    assert np.array_equal(FeatureCache(tmp_path, KEY, 3).fetch(["dddd", "a"], Encoder()), vectors(["dddd", "a"]))


@pytest.mark.parametrize("byte", [0, 13, 35])
def test_a_damaged_row_is_encoded_again(tmp_path, byte):
    texts = ["a", "bb", "ccc"]
    FeatureCache(tmp_path, KEY, 3).fetch(texts, Encoder())
    path = only(tmp_path, ".rows")
    raw = bytearray(path.read_bytes())
    raw[byte] ^= 0x10
    path.write_bytes(raw)
    encode = Encoder()
    assert np.array_equal(FeatureCache(tmp_path, KEY, 3).fetch(texts, encode), vectors(texts))
    assert encode.asked == [texts[byte // 12]]
    again = Encoder()
    assert np.array_equal(FeatureCache(tmp_path, KEY, 3).fetch(texts, again), vectors(texts))
    assert again.asked == []


def test_rows_of_zeros_after_a_power_cut_are_not_taken_for_vectors(tmp_path):
    FeatureCache(tmp_path, KEY, 3).fetch(["a", "bb"], Encoder())
    only(tmp_path, ".rows").write_bytes(bytes(24))
    assert FeatureCache(tmp_path, KEY, 3).lookup(["a", "bb"])[1].tolist() == [False, False]


def test_the_oldest_vectors_are_dropped_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT_BYTES", 120)
    cache = FeatureCache(tmp_path, KEY, 3, max_bytes=1500)
    for start in range(0, 100, 7):
        cache.fetch([f"{i}" for i in range(start, start + 7)], Encoder())
        assert cache.nbytes <= 1500
    known = cache.lookup([f"{i}" for i in range(105)])[1]
    assert known[-7:].all()
    assert not known[:30].any()
    assert 10 <= known.sum() <= 41
    other = FeatureCache(tmp_path, {"model": "other"}, 3, max_bytes=1500)
    other.fetch([f"{i}" for i in range(60)], Encoder())
    assert other.nbytes <= 1500
    assert cache.lookup(["104"])[1].tolist() == [False]


def test_clear_leaves_other_encoders_alone(tmp_path):
    mine, other = FeatureCache(tmp_path, KEY, 3), FeatureCache(tmp_path, {"model": "other"}, 3)
    mine.fetch(["a"], Encoder())
    other.fetch(["a"], Encoder())
    mine.clear()
    assert (len(mine), len(other)) == (0, 1)
    mine.fetch(["a"], Encoder())
    assert len(mine) == 1


def test_a_folder_that_cannot_be_written_is_warned_of_once(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    cache = FeatureCache(tmp_path / "file" / "below", KEY, 3)
    with pytest.warns(TlclassicWarning, match="the cache could not be written"):
        assert cache.fetch(["a"], Encoder()).tolist() == [[1, 97, 1]]
    assert cache.fetch(["a"], Encoder()).tolist() == [[1, 97, 1]]


def test_pickled_caches_find_the_same_folder(tmp_path):
    FeatureCache(tmp_path, KEY, 3).fetch(["a"], Encoder())
    copy = pickle.loads(pickle.dumps(FeatureCache(tmp_path, KEY, 3, max_bytes=12345)))
    assert len(copy) == 1
    assert copy.max_bytes == 12345


def test_open_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert open_cache(None, KEY, 3) is None
    assert open_cache(False, KEY, 3) is None
    assert open_cache(True, KEY, 3).root == tmp_path / "tlclassic" / "features"
    assert open_cache(tmp_path / "own", KEY, 3).root == tmp_path / "own"
    with pytest.raises(InvalidParameterError, match="cache must be None, True or a path; got 3"):
        open_cache(3, KEY, 3)


def test_wrong_shapes_are_refused(tmp_path):
    cache = FeatureCache(tmp_path, KEY, 3)
    with pytest.raises(InvalidParameterError, match=r"encode must give an array of shape \(1, 3\); got \(1, 2\)"):
        cache.fetch(["a"], lambda texts: np.zeros((len(texts), 2)))
    with pytest.raises(InvalidParameterError, match="vectors must have the shape"):
        cache.add(["a"], np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(InvalidParameterError, match="dim must be at least 1"):
        FeatureCache(tmp_path, KEY, 0)


def _write_many(folder, start, barrier):
    barrier.wait()
    cache = FeatureCache(folder, KEY, 3)
    for i in range(start, start + 400, 20):
        texts = [f"{j % 500} text" for j in range(i, i + 20)]
        assert np.array_equal(cache.fetch(texts, vectors), vectors(texts))


def test_processes_write_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT_BYTES", 1200)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    workers = [context.Process(target=_write_many, args=(tmp_path, start, barrier)) for start in (0, 100, 200)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    cache = FeatureCache(tmp_path, KEY, 3)
    texts = [f"{j} text" for j in range(500)]
    rows, known = cache.lookup(texts)
    assert known.all()
    assert np.array_equal(rows, vectors(texts))
    assert len(cache) == 500


_ENDLESS = """
import sys
import numpy as np
from tlclassic.encoders.cache import FeatureCache
cache = FeatureCache(sys.argv[1], {"model": "0123", "pooling": "mean"}, 3)
start = 0
while True:
    texts = [f"{i} {'x' * (i % 7)}" for i in range(start, start + 1000)]
    cache.fetch(texts, lambda part: np.array([[len(t), ord(t[0]), 1] for t in part], dtype=np.float32))
    print(start, flush=True)
    start += 1000
"""


def test_a_killed_process_leaves_whole_vectors(tmp_path):
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _ENDLESS, str(tmp_path)], stdout=subprocess.PIPE, env={**os.environ}
        )
        with process, process.stdout as output:
            for _ in range(4):
                assert output.readline()
            time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    encode = Encoder()
    texts = [f"{i} {'x' * (i % 7)}" for i in range(4000)]
    assert np.array_equal(FeatureCache(tmp_path, KEY, 3).fetch(texts, encode), vectors(texts))
    assert encode.asked == []


def test_many_texts_are_looked_up_quickly(tmp_path):
    texts = [f"text number {i}" for i in range(100_000)]
    rows = np.random.default_rng(0).random((100_000, 8), dtype=np.float32)
    cache = FeatureCache(tmp_path, KEY, 8)
    cache.add(texts, rows)
    cache = FeatureCache(tmp_path, KEY, 8)
    start = time.process_time()
    found, known = cache.lookup(texts)
    seconds = time.process_time() - start
    assert known.all()
    assert np.array_equal(found, rows)
    # About 0.2 s; a Python object a row would take several times that.
    assert seconds < 3
