"""The artefact container: round trips, and what a writer refuses."""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tlclassic.errors import ForeignArtifactError, InputError, InvalidParameterError
from tlclassic.storage import Artifact, ArtifactWriter, is_artifact
from tlclassic.storage.layout import ALIGNMENT, DTYPES, MAGIC, PRELUDE_SIZE, SMALL_BLOCK

LARGE = SMALL_BLOCK // 4 + 1  # float32 values: just above what is read instead of mapped


def _write(path, arrays, *, kind="test", metadata=None):
    with ArtifactWriter(path, kind=kind) as writer:
        writer.metadata.update(metadata or {})
        for name, array in arrays.items():
            writer.add(name, array)
    return path


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(tmp_path, dtype):
    array = np.arange(-6, 6).astype(dtype).reshape(3, 4)
    opened = Artifact(_write(tmp_path / "file.tlc", {"block": array})).array("block")
    assert opened.dtype == array.dtype
    assert opened.shape == (3, 4)
    assert opened.tobytes() == array.tobytes()


@given(
    array=hnp.arrays(
        dtype=st.sampled_from(["u1", "i1", "<f2", "<f4", "<i8", ">f4", ">i8", "<u8"]),
        shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
    ),
    metadata=st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    ),
)
@settings(max_examples=60, deadline=None)
def test_round_trip(tmp_path_factory, array, metadata):
    path = tmp_path_factory.mktemp("round") / "file"
    try:
        _write(path, {"block": array}, metadata=metadata)
    except (UnicodeEncodeError, InvalidParameterError):
        assert any(0xD800 <= ord(c) < 0xE000 for c in repr(metadata)) or "\\ud" in repr(metadata)
        return
    artifact = Artifact(path, kind="test")
    assert artifact.metadata == metadata
    opened = artifact.array("block")
    assert opened.dtype == array.dtype.newbyteorder("<")
    np.testing.assert_array_equal(opened, array)
    artifact.verify()


@pytest.mark.parametrize("shape", [(0,), (0, 300), (3, 0), (0, 0), (2, 0, 4)])
def test_empty_arrays(tmp_path, shape):
    path = _write(tmp_path / "file", {"before": np.ones(3), "empty": np.empty(shape, np.float32), "after": np.ones(2)})
    artifact = Artifact(path)
    assert artifact.array("empty").shape == shape
    assert artifact.array("empty").dtype == np.float32
    assert artifact.array("after").tolist() == [1.0, 1.0]
    artifact.verify()


def test_no_blocks(tmp_path):
    artifact = Artifact(_write(tmp_path / "file", {}, metadata={"only": "metadata"}))
    assert artifact.names == []
    assert artifact.metadata == {"only": "metadata"}
    artifact.verify()


def test_unicode_metadata_and_names(tmp_path):
    text = 'naïve 日本語 😀 \u0000 \u0085 \u2028 " \\ end'
    path = _write(tmp_path / "datei-ä 😀.tlc", {"vectors/ünïcode": np.arange(3)}, metadata={text: [text, None, 1.5]})
    artifact = Artifact(path)
    assert artifact.metadata == {text: [text, None, 1.5]}
    assert artifact.names == ["vectors/ünïcode"]
    assert artifact.array("vectors/ünïcode").tolist() == [0, 1, 2]


def test_blocks_are_aligned_and_in_order(tmp_path):
    arrays = {f"b{n}": np.full(n, n, dtype=np.uint8) for n in (1, 63, 64, 65, 0, 7)}
    path = _write(tmp_path / "file", arrays)
    artifact = Artifact(path)
    assert artifact.names == list(arrays)
    raw = path.read_bytes()
    assert raw[:8] == MAGIC == b"\x89TLC\r\n\x1a\n"
    place = PRELUDE_SIZE
    for array in arrays.values():
        place += -place % ALIGNMENT
        assert raw[place : place + array.size] == array.tobytes()
        place += array.size


def test_non_contiguous_and_strided_input(tmp_path):
    base = np.arange(60, dtype=np.float32).reshape(6, 10)
    arrays = {"fortran": np.asfortranarray(base), "steps": base[::2, ::3], "reversed": base[::-1], "cast": base.T}
    artifact = Artifact(_write(tmp_path / "file", arrays))
    for name, array in arrays.items():
        np.testing.assert_array_equal(artifact.array(name), array)
        assert artifact.array(name).flags.c_contiguous


def test_stream_equals_add(tmp_path):
    rows = np.arange(50, dtype=np.float32).reshape(10, 5)
    _write(tmp_path / "added", {"rows": rows})
    with ArtifactWriter(tmp_path / "streamed", kind="test") as writer, writer.stream("rows", "f4", (5,)) as stream:
        for start in range(0, 10, 3):
            stream.write(rows[start : start + 3])
        stream.write(rows[:0])
    assert (tmp_path / "streamed").read_bytes() == (tmp_path / "added").read_bytes()


def test_large_blocks_are_mapped_and_read_only(tmp_path):
    path = _write(tmp_path / "file", {"large": np.arange(LARGE, dtype=np.float32), "small": np.arange(4)})
    artifact = Artifact(path)
    for name in artifact.names:
        array = artifact.array(name)
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        artifact.array("large").flags.writeable = True
    assert np.shares_memory(artifact.array("large"), artifact.array("large"))
    assert path.name in _mappings()


def test_a_mapped_array_outlives_its_artifact(tmp_path):
    path = _write(tmp_path / "file", {"large": np.arange(LARGE, dtype=np.float32)})
    array = Artifact(path).array("large")
    path.unlink()
    assert array[-1] == LARGE - 1


def _mappings():
    with open("/proc/self/maps", encoding="utf-8") as file:
        return file.read()


_OTHER_PROCESS = """
import sys
from tlclassic.storage import Artifact
array = Artifact(sys.argv[1]).array("large")
print(int(array[-1]), sys.argv[1] in open("/proc/self/maps", encoding="utf-8").read())
"""


def test_other_processes_map_the_same_file(tmp_path):
    path = _write(tmp_path / "shared.tlc", {"large": np.arange(LARGE, dtype=np.float32)})
    done = subprocess.run([sys.executable, "-c", _OTHER_PROCESS, str(path)], check=True, capture_output=True, text=True)
    assert done.stdout == f"{LARGE - 1} True\n"


def test_copying_a_mapped_file_to_another(tmp_path):
    first = Artifact(_write(tmp_path / "first", {"large": np.arange(LARGE * 10, dtype=np.float32).reshape(-1, 2)}))
    second = Artifact(_write(tmp_path / "second", {"large": first.array("large")}))
    np.testing.assert_array_equal(second.array("large"), first.array("large"))
    second.verify()


def test_kind_is_checked(tmp_path):
    path = _write(tmp_path / "file", {}, kind="vectors")
    assert Artifact(path).kind == Artifact(path, kind="vectors").kind == "vectors"
    with pytest.raises(ForeignArtifactError, match="holds 'vectors', not 'pipeline'"):
        Artifact(path, kind="pipeline")


def test_is_artifact(tmp_path):
    (tmp_path / "text").write_text("the 0.1 0.2\n")
    (tmp_path / "empty").write_bytes(b"")
    assert is_artifact(_write(tmp_path / "file", {}))
    assert not any(is_artifact(tmp_path / name) for name in ("text", "empty", "missing", "."))


def test_repr(tmp_path):
    path = _write(tmp_path / "file", {"a": np.ones(1)})
    assert repr(Artifact(path)) == f"Artifact({str(path)!r}, kind='test', format=1/1, blocks=1)"


def test_unknown_block_is_named(tmp_path):
    artifact = Artifact(_write(tmp_path / "file", {"a": np.ones(1)}))
    with pytest.raises(ValueError, match="block 'b' is missing"):
        artifact.array("b")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.float32(1), "block 'x' must have at least one dimension; got a scalar"),
        (np.array(["text"]), "block 'x' has dtype <U4; allowed are u1, i1"),
        (np.array([None]), "block 'x' has dtype object; allowed are"),
        (np.array([True]), "block 'x' has dtype bool; allowed are"),
        (np.array([1j]), "block 'x' has dtype complex128; allowed are"),
        (np.zeros((1,) * 9), "block 'x' has 9 dimensions; at most 8 are allowed"),
    ],
)
def test_arrays_that_cannot_be_stored(tmp_path, array, message):
    with pytest.raises(InvalidParameterError, match=message), ArtifactWriter(tmp_path / "file", kind="t") as writer:
        writer.add("x", array)
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_used_once(tmp_path):
    with (
        pytest.raises(InvalidParameterError, match="block 'x' was already written"),
        ArtifactWriter(tmp_path / "file", kind="t") as writer,
    ):
        writer.add("x", np.ones(1))
        writer.add("x", np.ones(1))
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_shape(tmp_path):
    with (
        pytest.raises(InvalidParameterError, match=r"block 'x' has rows of shape \(3,\); got \(2,\)"),
        ArtifactWriter(tmp_path / "file", kind="t") as writer,
        writer.stream("x", "f4", (3,)) as stream,
    ):
        stream.write(np.zeros((4, 2), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_writer_used_in_the_wrong_order(tmp_path):
    with pytest.raises(RuntimeError, match="outside its `with` block"):
        ArtifactWriter(tmp_path / "file", kind="t").add("x", np.ones(1))
    with (
        pytest.raises(RuntimeError, match="block 'x' is still open"),
        ArtifactWriter(tmp_path / "file", kind="t") as writer,
    ):
        writer.stream("x", "f4")
        writer.stream("y", "f4")
    with pytest.raises(RuntimeError, match="a block is still open"), ArtifactWriter(tmp_path / "f", kind="t") as writer:
        writer.stream("x", "f4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {1, 2}, b"bytes", np.float32(1), "\ud800"])
def test_metadata_that_is_not_json(tmp_path, value):
    with (
        pytest.raises(InvalidParameterError, match="metadata cannot be written as JSON"),
        ArtifactWriter(tmp_path / "file", kind="t") as writer,
    ):
        writer.metadata["value"] = value
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"missing: cannot be read \(No such file or directory\). Check the path"):
        Artifact(tmp_path / "missing")


def test_a_folder(tmp_path):
    with pytest.raises(ForeignArtifactError, match="this is a folder, not a tlclassic file"):
        Artifact(tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ForeignArtifactError, match="not a regular file"):
        Artifact(tmp_path / "pipe")
    with pytest.raises(ForeignArtifactError, match="not a regular file"):
        Artifact(os.devnull)
    assert not is_artifact(tmp_path / "pipe")


def test_an_artifact_reopens_elsewhere(tmp_path):
    artifact = Artifact(_write(tmp_path / "file", {"a": np.arange(3)}))
    with pytest.raises(TypeError):
        copy.deepcopy(artifact)
