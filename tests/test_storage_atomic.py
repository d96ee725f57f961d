"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from tlclassic.errors import InputError
from tlclassic.storage import Artifact, ArtifactWriter, atomic_write

KILLED_WRITER = """
import sys, time
import numpy as np
from tlclassic.storage import ArtifactWriter
with ArtifactWriter(sys.argv[1], kind="new") as writer, writer.stream("rows", "f4", (1000,)) as stream:
    while True:
        stream.write(np.ones((100, 1000), np.float32))
        print(stream.rows, flush=True)
"""


def _leftovers(folder, *expected):
    return sorted(path.name for path in folder.iterdir() if path.name not in expected)


@pytest.mark.parametrize("n_reports", [1, 5])
def test_killed_in_the_middle_leaves_the_old_file_whole(tmp_path, n_reports):
    path = tmp_path / "model.tlc"
    with ArtifactWriter(path, kind="old") as writer:
        writer.add("rows", np.arange(10))
    before = path.read_bytes()
    command = [sys.executable, "-c", KILLED_WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(n_reports):
            assert process.stdout.readline().strip().isdigit()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert path.read_bytes() == before
    assert Artifact(path, kind="old").array("rows").tolist() == list(range(10))
    # What the killed writer had begun lies beside it under a hidden name that nothing opens; the next writer succeeds.
    assert all(name.startswith(".model.tlc.") and name.endswith(".tmp") for name in _leftovers(tmp_path, "model.tlc"))
    with ArtifactWriter(path, kind="next"):
        pass
    assert Artifact(path).kind == "next"


def test_killed_at_random_moments_leaves_one_of_both_files(tmp_path):
    path = tmp_path / "file"
    script = (
        "import sys\nfrom tlclassic.storage import atomic_write\nprint('ready', flush=True)\nfor n in range(10**9):\n"
        "    with atomic_write(sys.argv[1]) as file:\n        file.write(b'%09d' % n * 20000)\n"
    )
    seen = set()
    for delay in (0.0, 0.003, 0.01, 0.02, 0.05):
        with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            while not path.exists():
                time.sleep(0.001)
            time.sleep(delay)
            process.kill()
        raw = path.read_bytes()
        assert raw == raw[:9] * 20000
        seen.add(raw[:9])
    assert len(seen) > 1


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_exception_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert _leftovers(tmp_path, "file") == []


def test_the_old_file_stays_until_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert _leftovers(tmp_path, "file") == []


def test_a_reader_keeps_the_old_contents(tmp_path):
    path = tmp_path / "file"
    rows = np.arange(1 << 19, dtype=np.float32)
    with ArtifactWriter(path, kind="t") as writer:
        writer.add("rows", rows)
    mapped = Artifact(path).array("rows")
    with ArtifactWriter(path, kind="t") as writer:
        writer.add("rows", mapped[::-1])
    assert mapped[-1] == rows[-1]
    assert Artifact(path).array("rows")[-1] == 0


def test_a_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert _leftovers(tmp_path / "folder", "target") == []


def test_a_dangling_link_makes_its_target(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides(tmp_path, umask, mode):
    path = tmp_path / "file"
    before = os.umask(umask)
    try:
        with atomic_write(path) as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_missing_folder(tmp_path):
    message = r"the folder '.*/nowhere' does not exist. Create it or choose another path"
    with pytest.raises(InputError, match=message), atomic_write(tmp_path / "nowhere" / "file"):
        pass
    with pytest.raises(InputError, match=message), ArtifactWriter(tmp_path / "nowhere" / "file", kind="t"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="does not exist"), atomic_write(tmp_path / "file" / "file"):
        pass


def test_the_path_is_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"this is a folder\. Give the path of a file"), atomic_write(tmp_path):
        pass


def test_devices_and_pipes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (os.devnull, tmp_path / "pipe"):
        with pytest.raises(InputError, match="this is not a regular file"), atomic_write(path):
            pass
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match=r"cannot write here \(Permission denied\)"), atomic_write(tmp_path / "f"):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_name_of_the_greatest_length(tmp_path):
    # The temporary name must not be longer than the file system allows when the final one is not.
    path = tmp_path / ("x" * 255)
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(InputError, match="File name too long"), atomic_write(tmp_path / ("x" * 256)):
        pass
    assert _leftovers(tmp_path, path.name) == []


def test_relative_paths_are_taken_at_the_start(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with atomic_write("file") as file:
        file.write(b"new")
        os.chdir("elsewhere")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_two_writers_at_once(tmp_path):
    path = tmp_path / "file"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first"
    assert _leftovers(tmp_path, "file") == []


def test_full_disk_names_the_file_and_keeps_the_old_one(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with (
        pytest.raises(InputError, match=r"file: no space is left here\. Free some"),
        atomic_write(tmp_path / "file") as file,
    ):
        file.write(b"new")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
