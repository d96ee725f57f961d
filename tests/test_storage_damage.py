"""Damaged, foreign and hostile files are refused with the right error before anything is built from them."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest

from tlclassic.errors import ArtifactError, ArtifactVersionError, CorruptArtifactError, ForeignArtifactError
from tlclassic.storage import FORMAT, Artifact, ArtifactWriter
from tlclassic.storage.layout import MAGIC, PRELUDE_SIZE, SMALL_BLOCK, Prelude


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small file's bytes, and the places of its padding, which no checksum covers."""
    path = tmp_path_factory.mktemp("small") / "file"
    with ArtifactWriter(path, kind="test") as writer:
        writer.metadata["answer"] = 42
        writer.add("odd", np.arange(5, dtype=np.uint8))
        writer.add("rows", np.arange(6, dtype=np.float32).reshape(3, 2))
    return path.read_bytes(), range(PRELUDE_SIZE + 5, PRELUDE_SIZE + 64)


def test_truncated_at_every_byte(tmp_path, small):
    raw, _ = small
    path = tmp_path / "file"
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        expected = ForeignArtifactError if length == 0 else CorruptArtifactError
        with pytest.raises(expected, match=str(path)):
            Artifact(path)


def test_every_bit_flip_is_found(tmp_path, small):
    raw, padding = small
    path = tmp_path / "file"
    for place in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            if place in padding:
                assert Artifact(path).array("odd").tolist() == [0, 1, 2, 3, 4]
                continue
            assert _error_of(path) is (ForeignArtifactError if place < len(MAGIC) else CorruptArtifactError)


def _error_of(path):
    # pytest.raises takes longer than the opening itself, and there are thousands.
    try:
        Artifact(path)
    except ArtifactError as error:
        return type(error)
    return None


@pytest.mark.parametrize("extra", [b"\0", b"more", bytes(1000)])
def test_appended_bytes(tmp_path, small, extra):
    path = tmp_path / "file"
    path.write_bytes(small[0] + extra)
    with pytest.raises(CorruptArtifactError, match="truncated or appended to"):
        Artifact(path)


def test_large_blocks_are_checked_by_verify(tmp_path):
    path = tmp_path / "file"
    with ArtifactWriter(path, kind="test") as writer:
        writer.add("first", np.zeros(SMALL_BLOCK + 1, np.uint8))
        writer.add("second", np.zeros(SMALL_BLOCK * 40, np.uint8))
    Artifact(path).verify()
    with open(path, "r+b") as file:
        file.seek(PRELUDE_SIZE + SMALL_BLOCK * 30)
        file.write(b"\1")
    with pytest.raises(CorruptArtifactError, match="block 'second' is damaged"):
        Artifact(path).verify()


@pytest.mark.parametrize(
    "raw",
    [
        b"the 0.1 0.2\n",
        b"\x80\x04\x95",
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        b"{}",
        bytes(64),
        bytes(1000),
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_foreign_files(tmp_path, raw):
    path = tmp_path / "file"
    path.write_bytes(raw)
    with pytest.raises(ForeignArtifactError, match="not a tlclassic file"):
        Artifact(path)


def test_line_ends_changed_on_the_way(tmp_path, small):
    path = tmp_path / "file"
    path.write_bytes(small[0].replace(b"\r\n", b"\n"))
    with pytest.raises(ForeignArtifactError, match="not a tlclassic file"):
        Artifact(path)


def test_a_newer_format(tmp_path, small):
    path = tmp_path / "file"
    raw = bytearray(small[0])
    raw[8:12] = struct.pack("<I", FORMAT + 1)
    raw[60:64] = struct.pack("<I", zlib.crc32(raw[:60]))
    path.write_bytes(raw)
    with pytest.raises(ArtifactVersionError, match=r"written in format 2; this tlclassic reads up to 1\. Upgrade: pip"):
        Artifact(path)


def test_format_zero_was_never_written(tmp_path, small):
    path = tmp_path / "file"
    raw = bytearray(small[0])
    raw[8:12] = bytes(4)
    raw[60:64] = struct.pack("<I", zlib.crc32(raw[:60]))
    path.write_bytes(raw)
    with pytest.raises(CorruptArtifactError, match="format 0"):
        Artifact(path)


# --- files whose checksums are right but whose header lies ------------------------------------------------------


def _forge(path, header, *, blocks=bytes(128), **prelude):
    """A file with right checksums around any header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    offset = PRELUDE_SIZE + len(blocks)
    fields = {"header_crc": zlib.crc32(raw), "header_offset": offset, "header_size": len(raw)}
    fields |= {"file_size": offset + len(raw)} | prelude
    path.write_bytes(Prelude(**fields).pack() + blocks + raw)
    return path


def _block(**changes):
    block = {"name": "x", "dtype": "u1", "shape": [8], "offset": 64, "size": 8, "crc32": zlib.crc32(bytes(8))}
    return block | changes


def _header(*blocks, **changes):
    return {"kind": "test", "metadata": {}, "blocks": list(blocks)} | changes


def test_the_forgery_itself_opens(tmp_path):
    artifact = Artifact(_forge(tmp_path / "file", _header(_block())))
    assert artifact.array("x").tolist() == [0] * 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"header_offset": 0}, "the header lies outside the file"),
        ({"header_offset": 63}, "the header lies outside the file"),
        ({"header_offset": 1 << 63}, "the header lies outside the file"),
        ({"header_size": 1 << 40}, "the header lies outside the file"),
        ({"header_size": 10**6}, "the header lies outside the file"),
        ({"header_offset": (1 << 64) - 1, "header_size": 2}, "the header lies outside the file"),
        ({"header_size": 0}, "the header is damaged"),
    ],
)
def test_header_place(tmp_path, fields, message):
    with pytest.raises(CorruptArtifactError, match=message):
        Artifact(_forge(tmp_path / "file", _header(), **fields))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b'{"kind": "test", "metadata": {}, "blocks": []} tail',
        b'{"kind": "test", "metadata": {"x": NaN}, "blocks": []}',
        b'{"kind": "test", "metadata": {"x": -Infinity}, "blocks": []}',
    ],
)
def test_headers_that_are_not_json(tmp_path, raw):
    with pytest.raises(CorruptArtifactError, match="the header is not valid JSON"):
        Artifact(_forge(tmp_path / "file", raw))


@pytest.mark.parametrize(
    "header",
    [
        [],
        None,
        "text",
        {},
        {"kind": "test"},
        {"kind": 1, "metadata": {}, "blocks": []},
        {"kind": "test", "metadata": [], "blocks": []},
        {"kind": "test", "metadata": {}, "blocks": {}},
        {"kind": None, "metadata": None, "blocks": None},
    ],
)
def test_headers_of_another_shape(tmp_path, header):
    with pytest.raises(CorruptArtifactError, match="the header lacks kind, metadata or blocks"):
        Artifact(_forge(tmp_path / "file", header))


@pytest.mark.parametrize(
    "block",
    [
        None,
        3,
        [],
        "x",
        {},
        _block(name=3),
        _block(name=None),
        _block(dtype="O"),
        _block(dtype="|O8"),
        _block(dtype=">f4"),
        _block(dtype="<U8"),
        _block(dtype="<f16"),
        _block(dtype=None),
        _block(dtype=["u1"]),
        _block(dtype={}),
        _block(shape=8),
        _block(shape=None),
        _block(shape="8"),
        _block(shape=[8.0]),
        _block(shape=[True] * 3),
        _block(shape=[-8]),
        _block(shape=[-2, -4]),
        _block(shape=["8"]),
        _block(shape=[[8]]),
        _block(shape=[1] * 8 + [8]),
        _block(shape=[]),
        _block(offset=-64),
        _block(offset=64.0),
        _block(offset=True),
        _block(offset=None),
        _block(size=-8),
        _block(size="8"),
        _block(size=True),
        _block(crc32=-1),
        _block(crc32=None),
        {key: value for key, value in _block().items() if key != "crc32"},
    ],
)
def test_malformed_blocks(tmp_path, block):
    with pytest.raises(CorruptArtifactError, match="block's description in the header is malformed"):
        Artifact(_forge(tmp_path / "file", _header(block)))


@pytest.mark.parametrize(
    "block",
    [
        _block(offset=0),
        _block(offset=65),
        _block(offset=192),
        _block(offset=1 << 70),
        _block(size=9),
        _block(size=0),
        _block(shape=[9]),
        _block(shape=[1 << 62, 4]),
        _block(shape=[1 << 64]),
        _block(shape=[1 << 32, 1 << 32]),
        _block(shape=[1 << 40], size=1 << 40),
        _block(shape=[129], size=129),
        _block(dtype="<f8"),
        _block(shape=[10**4000]),
    ],
)
def test_blocks_outside_the_file(tmp_path, block):
    with pytest.raises(CorruptArtifactError, match="lies outside the file or has a wrong size"):
        Artifact(_forge(tmp_path / "file", _header(block)))


def test_empty_blocks_with_huge_other_dimensions(tmp_path):
    empty = _block(shape=[0, 1 << 62, 1 << 62], size=0, crc32=0)
    with pytest.raises(CorruptArtifactError, match="lies outside the file or has a wrong size"):
        Artifact(_forge(tmp_path / "file", _header(empty)))


def test_overlapping_blocks(tmp_path):
    first = _block(shape=[100], size=100, crc32=zlib.crc32(bytes(100)))
    second = _block(name="y", offset=128)
    with pytest.raises(CorruptArtifactError, match="blocks 'x' and 'y' overlap"):
        Artifact(_forge(tmp_path / "file", _header(first, second)))
    with pytest.raises(CorruptArtifactError, match="blocks 'x' and 'y' overlap"):
        Artifact(_forge(tmp_path / "file", _header(_block(), _block(name="y"))))


def test_two_blocks_of_one_name(tmp_path):
    with pytest.raises(CorruptArtifactError, match="two blocks have the same name"):
        Artifact(_forge(tmp_path / "file", _header(_block(), _block(offset=128))))


def test_wrong_checksum_of_a_block(tmp_path):
    with pytest.raises(CorruptArtifactError, match="block 'x' is damaged"):
        Artifact(_forge(tmp_path / "file", _header(_block(crc32=1))))


@pytest.mark.parametrize("change", [{"shape": ["y" * 10**6]}, {"name": "x" * 10**6, "offset": 1 << 20}])
def test_error_messages_stay_short(tmp_path, change):
    path = _forge(tmp_path / "file", _header(_block(**change)))
    with pytest.raises(ArtifactError) as caught:
        Artifact(path)
    assert len(str(caught.value)) < 1000
