"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tlclassic.errors import InputError

__all__ = ["atomic_write", "check_destination"]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` for writing bytes; rename it over ``path`` when the block ends well.

    A kill at any moment leaves the old file or the new one, whole; on an exception the temporary file is removed
    and the old file stays. The data are flushed to disk before the rename. A symbolic link is followed, so that
    its target is replaced and not the link.

    Raises
    ------
    InputError
        When the folder does not exist or cannot be written, or ``path`` is a folder, a device or a pipe.
    """
    target = Path(os.path.realpath(path))
    _check_target(target)
    # Shortened, so that the temporary name is not too long for the file system where the final one is not.
    temporary = target.parent / f".{target.name[:40]}.{os.urandom(6).hex()}.tmp"
    try:
        # 0o666 lets the umask decide, as for any file that a program writes (mkstemp would give 0o600).
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise InputError(f"cannot write here ({error.strerror})", path=target, remedy="Choose another path") from error
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            remedy = "Free some or choose another path; what was there before is unchanged"
            raise InputError("no space is left here", path=target, remedy=remedy) from error
        raise
    _sync_folder(target.parent)


def check_destination(path: str | os.PathLike[str]) -> None:
    """Raise as :func:`atomic_write` would before its first byte: before long work, not after it.

    Raises
    ------
    InputError
    """
    target = Path(os.path.realpath(path))
    _check_target(target)
    if not os.access(target.parent, os.W_OK):
        raise InputError("cannot write here (Permission denied)", path=target, remedy="Choose another path")


def _check_target(target: Path) -> None:
    if not target.parent.is_dir():
        raise InputError(
            f"the folder {str(target.parent)!r} does not exist", path=target, remedy="Create it or choose another path"
        )
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"cannot write here ({error.strerror})", path=target, remedy="Choose another path") from error
    if stat.S_ISDIR(mode):
        raise InputError("this is a folder", path=target, remedy="Give the path of a file")
    if not stat.S_ISREG(mode):
        raise InputError("this is not a regular file", path=target, remedy="Give the path of a file")


def _sync_folder(folder: Path) -> None:
    # The rename itself survives a power cut only once the folder is on disk; not every file system can do it.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
