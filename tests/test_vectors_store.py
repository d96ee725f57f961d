"""The native store: opening, converting, damage, the cache, worker processes."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tlclassic.errors import (
    CorruptArtifactError,
    ForeignArtifactError,
    InvalidParameterError,
    RepairWarning,
    TlclassicWarning,
    VectorFormatError,
)
from tlclassic.kernels import COMPILED
from tlclassic.storage import Artifact, ArtifactWriter
from tlclassic.vectors import WordVectors, convert, detect_format, rows, streaming, verify
from tlclassic.vectors.cache import cache_folder

WORDS = [f"wört{i}" for i in range(500)]
TABLE = np.random.default_rng(5).normal(size=(500, 8)).astype(np.float32)


@pytest.fixture
def vectors() -> WordVectors:
    return WordVectors.from_arrays(WORDS, TABLE, counts=np.arange(500, 0, -1), oov="lower")


def same(a: WordVectors, b: WordVectors) -> bool:
    return a.words == list(b.words) and a.digest == b.digest and a.table.tobytes() == b.table.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_save_and_load(tmp_path, vectors, dtype, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_BYTES", 1 << 10)
    saved = vectors if dtype == "float32" else vectors.quantize(dtype)
    saved.save(tmp_path / "v.tlc")
    assert detect_format(tmp_path / "v.tlc") == "store"
    opened = WordVectors.load(tmp_path / "v.tlc")
    assert same(opened, saved)
    assert (opened.dtype, opened.counts.tolist()) == (dtype, saved.counts.tolist())
    assert opened.path == str(tmp_path / "v.tlc")
    assert opened.rows(WORDS).tolist() == list(range(500))
    assert opened.lookup(WORDS).tobytes() == saved.lookup(WORDS).tobytes()
    verify(tmp_path / "v.tlc")


def test_the_policy_is_the_stores_own_or_the_callers(tmp_path, vectors):
    vectors.save(tmp_path / "v.tlc")
    assert WordVectors.load(tmp_path / "v.tlc").oov == "lower"
    assert WordVectors.load(tmp_path / "v.tlc", oov="zero").oov == "zero"
    assert WordVectors.load(tmp_path / "v.tlc", oov="mean").oov == "mean"


def test_a_limit_on_a_store(tmp_path, vectors):
    vectors.save(tmp_path / "v.tlc")
    head = WordVectors.load(tmp_path / "v.tlc", limit=3)
    assert (list(head.words), head.counts.tolist()) == (WORDS[:3], [500, 499, 498])
    assert len(WordVectors.load(tmp_path / "v.tlc", limit=1000)) == 500


@pytest.mark.skipif(not COMPILED, reason="the plain index holds the words in a dict")
def test_large_tables_are_mapped_and_shared(tmp_path):
    table = np.ones((70_000, 8), dtype=np.float32)
    WordVectors.from_arrays([f"w{i}" for i in range(70_000)], table).save(tmp_path / "v.tlc")
    tracemalloc.start()
    opened = WordVectors.load(tmp_path / "v.tlc")
    assert opened["w69999"].tolist() == [1] * 8
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_500_000
    assert not opened.table.flags.writeable


@pytest.mark.parametrize("dtype", [None, "float32", "float16", "int8"])
@pytest.mark.parametrize("format", ["glove", "word2vec", "word2vec-binary", "store"])
def test_convert_is_load_and_save(tmp_path, vectors, format, dtype, monkeypatch):
    monkeypatch.setattr(streaming, "READ_BYTES", 1 << 10)
    monkeypatch.setattr(streaming, "ROWS_BYTES", 1 << 10)
    vectors.save(tmp_path / "source", format=format)
    steps = []
    convert(tmp_path / "source", tmp_path / "out.tlc", dtype=dtype, oov="mean", progress=steps.append)
    expected = WordVectors.load(tmp_path / "source").quantize(dtype or "float32")
    opened = WordVectors.load(tmp_path / "out.tlc")
    assert same(opened, expected)
    assert steps == sorted(steps)
    assert steps[-1] == 500
    metadata = Artifact(tmp_path / "out.tlc").metadata
    assert (metadata["oov"], metadata["count"], metadata["dim"]) == ("mean", 500, 8)
    assert metadata["source"] == {"name": "source", "format": format, "member": None, "limit": None}


def test_convert_drops_duplicates_while_streaming(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "READ_BYTES", 16)
    (tmp_path / "v.txt").write_text("".join(f"w{i % 50} {i}\n" for i in range(200)))
    with pytest.warns(RepairWarning, match="150 duplicate words"):
        convert(tmp_path / "v.txt", tmp_path / "v.tlc", dtype="int8")
    assert WordVectors.load(tmp_path / "v.tlc").lookup([f"w{i}" for i in range(50)])[:, 0] == pytest.approx(range(50))


def test_convert_needs_memory_for_the_words_only(tmp_path):
    line = b" 0.25" * 300 + b"\n"
    with gzip.open(tmp_path / "big", "wb", compresslevel=1) as file:
        for start in range(0, 30_000, 1000):
            file.write(b"".join(b"w%d" % i + line for i in range(start, start + 1000)))
    tracemalloc.start()
    convert(tmp_path / "big", tmp_path / "big.tlc")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    opened = WordVectors.load(tmp_path / "big.tlc")
    assert opened.shape == (30_000, 300)
    # The table alone has 36 MB.
    assert opened.table.nbytes == 36_000_000
    assert peak < 16_000_000


def test_a_failed_conversion_leaves_the_old_file(tmp_path, vectors):
    vectors.save(tmp_path / "v.tlc")
    before = (tmp_path / "v.tlc").read_bytes()
    (tmp_path / "bad.txt").write_text("a 1 2\nb 1\n")
    with pytest.raises(VectorFormatError, match=r"bad.txt:2: 2 numbers expected"):
        convert(tmp_path / "bad.txt", tmp_path / "v.tlc")
    assert (tmp_path / "v.tlc").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt", "v.tlc"]


def test_convert_checks_its_parameters(tmp_path):
    for options in ({"dtype": "int4"}, {"format": "x"}, {"limit": 0}):
        with pytest.raises(InvalidParameterError, match=f"{next(iter(options))} must be"):
            convert(tmp_path / "a", tmp_path / "b", **options)


def test_saving_over_the_mapped_file_is_safe(tmp_path):
    path = tmp_path / "v.tlc"
    table = np.random.default_rng(0).normal(size=(70_000, 8)).astype(np.float32)
    WordVectors.from_arrays([f"w{i}" for i in range(70_000)], table).save(path)
    opened = WordVectors.load(path)
    opened.save(path)
    opened.quantize("int8").save(path)
    assert opened.table.tobytes() == table.tobytes()
    assert WordVectors.load(path).dtype == np.int8
    convert(path, path, dtype="float16")
    assert WordVectors.load(path).dtype == np.float16


# -- damage ------------------------------------------------------------------------------------------------------------


def test_truncated_flipped_and_foreign_files(tmp_path, vectors):
    path = tmp_path / "v.tlc"
    vectors.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(CorruptArtifactError, match="truncated"):
        WordVectors.load(path)
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(CorruptArtifactError, match="block 'table' is damaged"):
        WordVectors.load(path)
    with ArtifactWriter(path, kind="other") as writer:
        writer.add("numbers", np.arange(3))
    with pytest.raises(ForeignArtifactError, match="holds 'other', not 'vectors'"):
        WordVectors.load(path)
    with ArtifactWriter(path, kind="vectors") as writer:
        writer.add("table", np.zeros((3, 3), dtype=np.float32))
    with pytest.raises(CorruptArtifactError, match=r"v.tlc: the word vectors lack or garble"):
        WordVectors.load(path)


def test_verify_finds_damage_in_a_mapped_block(tmp_path):
    path = tmp_path / "v.tlc"
    WordVectors.from_arrays([f"w{i}" for i in range(70_000)], np.ones((70_000, 8), np.float32)).save(path)
    with open(path, "r+b") as file:
        file.seek(1_000_000)
        file.write(b"\xff")
    WordVectors.load(path)
    with pytest.raises(CorruptArtifactError, match="block 'table' is damaged"):
        verify(path)


def test_damaged_offsets_do_no_harm(tmp_path, vectors):
    metadata, arrays = vectors.to_state()
    offsets = arrays["offsets"].copy()
    offsets[1:-1] = 1 << 60
    broken = WordVectors.from_state(metadata, {**arrays, "offsets": offsets})
    assert broken.rows(WORDS[1:3]).tolist() == [-1, -1]
    assert isinstance(broken.words[3], str)
    with pytest.raises(CorruptArtifactError, match="the words' offsets do not ascend"):
        broken.save(tmp_path / "out", format="glove")
    with ArtifactWriter(tmp_path / "v.tlc", kind="vectors") as writer:
        writer.metadata.update(metadata)
        for name, array in {**arrays, "offsets": offsets}.items():
            writer.add(name, array)
    with pytest.raises(CorruptArtifactError, match="the words' offsets do not ascend"):
        verify(tmp_path / "v.tlc")


# -- worker processes --------------------------------------------------------------------------------------------------


def test_pickling_reopens_the_store(tmp_path, vectors):
    vectors.save(tmp_path / "v.tlc")
    opened = WordVectors.load(tmp_path / "v.tlc", oov="mean")
    data = pickle.dumps(opened)
    assert len(data) < 500
    again = pickle.loads(data)
    assert same(again, opened)
    assert (again.oov, again.path) == ("mean", opened.path)
    (tmp_path / "v.pickle").write_bytes(data)
    code = f"import pickle; print(len(pickle.load(open({str(tmp_path / 'v.pickle')!r}, 'rb'))))"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout == "500\n"
    vectors.subset(WORDS[:10]).save(tmp_path / "v.tlc")
    with pytest.raises(CorruptArtifactError, match="the vectors changed after they were sent"):
        pickle.loads(data)


# -- the cache ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path, vectors) -> Path:
    path = tmp_path / "in" / "glove.txt"
    path.parent.mkdir()
    vectors.save(path, format="glove")
    return path


def stores(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".tlc")


def test_the_second_load_opens_the_store(tmp_path, source, monkeypatch):
    first = WordVectors.load(source, cache=tmp_path / "cache" / "deep")
    assert len(stores(tmp_path / "cache" / "deep")) == 1
    assert first.path is not None
    monkeypatch.setattr(streaming, "VectorReader", None)
    monkeypatch.setattr("tlclassic.vectors.loading.VectorReader", None)
    second = WordVectors.load(source, cache=tmp_path / "cache" / "deep", oov="mean")
    assert same(first, second)
    assert second.oov == "mean"
    assert same(second, WordVectors.load(second.path))


def test_where_caches_lie(tmp_path, source, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "tlclassic"
    path = WordVectors.load(source, cache=True).path
    assert Path(path).parent == tmp_path / "xdg" / "tlclassic"
    beside = WordVectors.load(source, cache="beside").path
    assert Path(beside).parent == source.parent
    assert Path(beside).name.startswith("glove.txt.")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "tlclassic"
    assert WordVectors.load(source, cache=False).path is None


def test_the_key_holds_everything_the_contents_depend_on(tmp_path, source):
    cache = tmp_path / "cache"
    assert len(WordVectors.load(source, cache=cache)) == 500
    assert len(WordVectors.load(source, cache=cache, limit=7)) == 7
    assert len(WordVectors.load(source, cache=cache, format="glove")) == 500
    assert len(stores(cache)) == 3
    (tmp_path / "link.txt").symlink_to(source)
    WordVectors.load(tmp_path / "link.txt", cache=cache)
    assert len(stores(cache)) == 3


def test_a_changed_source_is_read_again_and_replaces_its_store(tmp_path, source):
    cache = tmp_path / "cache"
    WordVectors.load(source, cache=cache)
    status = source.stat()
    source.write_bytes(source.read_bytes().replace("wört0 ".encode(), "wörtX ".encode(), 1))
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert source.stat().st_size == status.st_size
    assert WordVectors.load(source, cache=cache).words[0] == "wörtX"
    assert len(stores(cache)) == 1


@pytest.mark.parametrize("damage", [b"", b"\x89TLC", b"something else"])
def test_a_corrupt_cache_is_rebuilt(tmp_path, source, damage):
    cache = tmp_path / "cache"
    path = Path(WordVectors.load(source, cache=cache).path)
    path.write_bytes(damage)
    assert len(WordVectors.load(source, cache=cache)) == 500
    assert path.read_bytes()[:4] == b"\x89TLC"
    verify(path)


def test_an_unwritable_cache_is_a_warning(tmp_path, source):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(TlclassicWarning, match="the cache could not be written .*Choose another folder with cache="):
        vectors = WordVectors.load(source, cache=tmp_path / "file")
    assert (len(vectors), vectors.path) == (500, None)


def test_errors_of_the_source_pass_through_the_cache(tmp_path):
    (tmp_path / "bad.txt").write_text("a 1 2\nb 1\n")
    with pytest.raises(VectorFormatError, match=r"bad.txt:2: 2 numbers expected"):
        WordVectors.load(tmp_path / "bad.txt", cache=tmp_path)
    with pytest.raises(VectorFormatError, match="cannot be read"):
        WordVectors.load(tmp_path / "nowhere.txt", cache=tmp_path)
    assert stores(tmp_path) == []


def test_a_store_needs_no_cache(tmp_path, vectors):
    vectors.save(tmp_path / "v.tlc")
    assert WordVectors.load(tmp_path / "v.tlc", cache=tmp_path / "cache").path == str(tmp_path / "v.tlc")
    assert not (tmp_path / "cache").exists()
