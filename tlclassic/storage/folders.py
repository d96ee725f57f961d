"""Folders that appear whole or not at all, and killed runs that leave nothing.

A run writes into a hidden folder beside its target and holds a lock on it, which ends with the process however it ends:
what is there without a lock was left by a killed run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from tlclassic.errors import InputError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: no locks, so nothing that lies there is touched
    fcntl = None

__all__ = ["check_replaceable", "new_folder"]

_PARTIAL, _ASIDE = ".partial", ".old"
#: Raises where a target may not be replaced.
Check = Callable[[Path], None]


def check_replaceable(target: Path, *, is_own: Callable[[Path], bool], what: str, force: bool) -> None:
    """Raise unless a folder may go there: nothing, an empty folder, or with ``force`` an earlier one of its kind.

    Parameters
    ----------
    target : Path
    is_own : callable
        Whether a folder that is not empty is of that kind.
    what : str
        The kind, such as "a result".
    force : bool

    Raises
    ------
    InputError
    """
    remedy = "Give the path of a new folder"
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise InputError("this exists and is no folder", path=target, remedy=remedy)
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not is_own(target):
        raise InputError("this folder holds other files", path=target, remedy=remedy)
    if not force:
        raise InputError(f"there is {what} already", path=target, remedy="Replace it with force (--force)")


@contextlib.contextmanager
def new_folder(target: Path, *, check: Check) -> Iterator[Path]:
    """A hidden folder to write into; it takes the target's place when the block ends well, and is removed when not.

    Parameters
    ----------
    target : Path
        Folders above it are made.
    check : callable
        Given the absolute target, raises where that may not be replaced; asked before the block and after it.

    Raises
    ------
    InputError
        Where the target cannot be written, or is being made by another run; and what ``check`` raises.
    """
    target = Path(os.path.abspath(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear(target)
        check(target)
        made = Path(tempfile.mkdtemp(prefix=_prefix(target), suffix=_PARTIAL, dir=target.parent))
    except OSError as error:
        raise InputError(f"cannot write here ({error.strerror})", path=target, remedy="Choose another path") from error
    with _lock(made):
        try:
            made.chmod(0o755)
            yield made
            _put(made, target, check)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise


def _prefix(target: Path) -> str:
    """Of the hidden names beside a target; short, since file systems take 255 bytes."""
    name = target.name
    if len(name) > 40:
        name = f"{name[:31]}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    return f".{name}."


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Whether the folder could be locked; the lock stays with it when it is renamed, and ends with this process."""
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _clear(target: Path) -> None:
    """Remove what killed runs left; a result that one of them had set aside comes back if nothing took its place."""
    if fcntl is None:
        return
    hidden = re.compile(re.escape(_prefix(target)) + r"\w{8}(\.partial|\.old)")
    for path in sorted(target.parent.iterdir()):
        found = hidden.fullmatch(path.name)
        if not found or path.is_symlink() or not path.is_dir():
            continue
        with _lock(path) as free:
            if not free:
                raise InputError(
                    "another run is writing this folder", path=target, remedy="Wait for it, or give another path"
                )
            if found[1] == _ASIDE and not target.exists():
                path.rename(target)
            else:
                shutil.rmtree(path, ignore_errors=True)


def _put(made: Path, target: Path, check: Check) -> None:
    """Rename into place; an earlier result steps aside first and comes back if that fails."""
    check(target)
    if not target.is_dir() or not any(target.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            target.rmdir()
        made.rename(target)
        return
    aside = made.with_name(made.name.removesuffix(_PARTIAL) + _ASIDE)
    with _lock(target):
        target.rename(aside)
        try:
            made.rename(target)
        except OSError:
            aside.rename(target)
            raise
        shutil.rmtree(aside, ignore_errors=True)
