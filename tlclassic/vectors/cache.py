"""Stores kept of files that are slow to read, keyed by everything their contents depend on."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

from tlclassic.errors import ArtifactError, InputError, TlclassicWarning
from tlclassic.storage import FORMAT, Artifact
from tlclassic.vectors.detect import detect_format
from tlclassic.vectors.loading import read_plainly
from tlclassic.vectors.source import open_source
from tlclassic.vectors.store import KIND, convert_as, open_store
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["CACHED_FORMATS", "cache_folder", "load_cached"]

#: Formats of one file that is slow to read; the others open at once, or lie in several files, or need trust each time.
CACHED_FORMATS = ("glove", "word2vec", "word2vec-binary", "fasttext")
#: Counts up when a reader begins to read the same file differently.
READER_VERSION = 2


def cache_folder() -> Path:
    """Where ``cache=True`` keeps stores: ``$XDG_CACHE_HOME/tlclassic``, else ``~/.cache/tlclassic``."""
    root = os.environ.get("XDG_CACHE_HOME")
    # The base directory specification says to ignore a relative path.
    base = Path(root) if root and os.path.isabs(root) else Path.home() / ".cache"
    return base / "tlclassic"


def load_cached(
    source: str | os.PathLike[str],
    cache: bool | str | os.PathLike[str],
    *,
    format: str | None,
    member: str | None,
    trust: bool,
    limit: int | None,
    oov: str | None,
) -> WordVectors:
    """See ``cache`` in :meth:`WordVectors.load`."""
    found = None if os.path.isdir(source) else _find(source, cache, format, member, limit)
    if found is not None and (vectors := _open_fresh(*found, oov)) is not None:
        return vectors
    known = format or detect_format(source, member=member)
    if known not in CACHED_FORMATS or found is None:
        return read_plainly(source, known, member=member, trust=trust, limit=limit, oov=oov)
    path, identity = found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        convert_as(source, path, identity, known, None, member, trust, limit, None)
        return open_store(path, oov=oov)
    except (OSError, InputError) as error:
        # The source's own errors come again below; what is left is a folder or disk that cannot be written.
        vectors = read_plainly(source, known, member=member, trust=trust, limit=limit, oov=oov)
        warnings.warn(
            f"{path}: the cache could not be written ({error}); the vectors were read without it. "
            "Choose another folder with cache=.",
            TlclassicWarning,
            stacklevel=4,
        )
        return vectors


def _find(
    source: str | os.PathLike[str],
    cache: bool | str | os.PathLike[str],
    format: str | None,
    member: str | None,
    limit: int | None,
) -> tuple[Path, dict[str, Any]]:
    """Where the store of ``source`` belongs, and the identity it must have."""
    opened = open_source(source, member)
    real = os.path.realpath(source)
    status = os.stat(real)
    key = {"path": real, "member": opened.member, "limit": limit, "format": format}
    identity = {
        **key,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "container": FORMAT,
        "reader": READER_VERSION,
    }
    # Not in the name: size and time, so that a store of a changed file is replaced and not left to gather dust.
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return _folder(cache, real) / f"{os.path.basename(real)}.{name}.tlc", identity


def _folder(cache: bool | str | os.PathLike[str], real: str) -> Path:
    if isinstance(cache, bool):
        return cache_folder()
    return Path(real).parent if cache == "beside" else Path(os.fspath(cache))


def _open_fresh(path: Path, identity: dict[str, Any], oov: str | None) -> WordVectors | None:
    """The store at ``path`` if it is whole and of this very source."""
    if not path.is_file():
        return None
    try:
        if Artifact(path, kind=KIND).metadata.get("source") != identity:
            return None
        return open_store(path, oov=oov)
    except (ArtifactError, InputError):
        return None
