"""Digests of all that a model's probabilities depend on: the keys of cached soft labels."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tlclassic.errors import TlclassicError
from tlclassic.storage import Artifact

__all__ = ["digest_of", "digest_of_model", "digest_of_path"]

#: What nobody computes with.
_DOCUMENTS = (".md", ".html", ".svg", ".png", ".pdf")
#: Parts of a saved model that say where it comes from.
_REMARKS = ("provenance", "report", "user", "tlclassic", "sklearn")
#: Addresses in memory, which differ from run to run: skops' own, and one that scikit-learn's vectorisers keep.
_ADDRESSES = ("__id__", "_stop_words_id")


def digest_of(facts: Any) -> str:
    """SHA-256 (hex) of JSON-able facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=repr).encode()).hexdigest()


def digest_of_path(path: str | os.PathLike[str]) -> str:
    """SHA-256 (hex) of a file, or of the files of a folder but documents and what is hidden."""
    path = Path(path)
    if not path.is_dir():
        return _file_digest(path)
    return _files_digest(path, (place for place in path.rglob("*") if place.is_file()))


def digest_of_model(model: Any) -> str | None:
    """SHA-256 (hex) of a fitted model, the same in every process; None where it cannot be told.

    That of what :func:`tlclassic.save` would write, without remarks; of an encoder's folder: its files, but of several
    graphs the one in use. A model may bring its own as an attribute ``digest``.
    """
    own = getattr(model, "digest", None)
    if isinstance(own, str) and own:
        return own
    if hasattr(model, "encoder") and isinstance(getattr(model, "model", None), (str, os.PathLike)):
        return _encoder_digest(model)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            path = Path(folder, "model.tlc")
            if type(model).__name__ == "CompiledClassifier":
                model.save(path)
            else:
                from tlclassic.pipelines import save

                save(model, path)
            return _artifact_digest(Artifact(path))
    # Whatever cannot be saved has no digest; scikit-learn's and skops' own errors are of many types.
    except (TlclassicError, TypeError, ValueError, AttributeError, KeyError):
        return None


def _artifact_digest(artifact: Artifact) -> str:
    facts = {name: value for name, value in artifact.metadata.items() if name not in _REMARKS}
    blocks = {}
    for name in artifact.names:
        array = artifact.array(name)
        plain = hashlib.sha256(np.ascontiguousarray(array))
        blocks[name] = _skops_digest(array.tobytes()) if name.endswith("/skops") else plain.hexdigest()
    return digest_of({"kind": artifact.kind, "metadata": _without_addresses(facts), "blocks": blocks})


def _without_addresses(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_addresses(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {name: _without_addresses(value) for name, value in node.items() if name not in _ADDRESSES}


def _skops_digest(raw: bytes) -> str:
    """Of the contents: skops calls the files of arrays by addresses as well."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:

        def by_contents(node: Any) -> Any:
            if isinstance(node, list):
                return [by_contents(item) for item in node]
            if not isinstance(node, dict):
                return node
            named = {name: by_contents(value) for name, value in node.items()}
            if isinstance(node.get("file"), str):
                named["file"] = hashlib.sha256(archive.read(node["file"])).hexdigest()
            return named

        return digest_of(_without_addresses(by_contents(json.loads(archive.read("schema.json")))))


def _encoder_digest(model: Any) -> str | None:
    """Of an :class:`~tlclassic.EncoderClassifier`."""
    from tlclassic.encoders.files import open_files
    from tlclassic.encoders.folder import choose_graph

    folder = Path(model.model)
    if not folder.is_dir():
        return None
    graph = folder / choose_graph(open_files(folder), model.file)
    # tlclassic.json says which graph is preferred here, and that is known already.
    others = (place for place in folder.rglob("*") if place.suffix != ".onnx" and place.name != "tlclassic.json")
    files = _files_digest(folder, (place for place in [graph, *others] if place.is_file()))
    options = {name: getattr(model, name, None) for name in ("task", "max_length")}
    return digest_of({"files": files, "graph": os.path.relpath(graph, folder), **options})


def _files_digest(folder: Path, places: Iterable[Path]) -> str:
    hashes = {}
    for place in sorted(places):
        parts = place.relative_to(folder).parts
        if place.suffix.lower() not in _DOCUMENTS and not any(part.startswith(".") for part in parts):
            hashes["/".join(parts)] = _file_digest(place)
    return digest_of(hashes)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
