"""``load``: any model file, told by what it says it holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tlclassic.errors import InvalidParameterError
from tlclassic.storage import Artifact

__all__ = ["load", "load_with_task"]

_COMPILED = "compiled"
#: What a task's provenance may say: the columns, and what separates labels.
_NAMES = ("text", "label", "separator")


def load(path: str | os.PathLike[str], *, verify: bool = True, trusted: Sequence[str] = (), vectors: Any = None) -> Any:
    """Open a model: a pipeline saved by :func:`tlclassic.save`, a compiled classifier, or an encoder's folder.

    A folder is a fine-tuned encoder with its heads, or a Hugging Face sequence classifier in ONNX; it becomes a
    :class:`tlclassic.EncoderClassifier`. A compiled classifier is opened with NumPy and the kernels alone; scikit-learn
    is imported for the others only.

    Parameters
    ----------
    path : path-like
    verify : bool
        Check every block against its checksum first (about 1 GB/s). Without it, blocks above 1 MiB are mapped unread.
        A compiled classifier's small blocks are always checked, its large ones when ``verify`` is set.
    trusted : sequence of str
        For a pipeline: further type names to accept inside a part stored with skops.
    vectors : path-like, WordVectors, or a list of those, optional
        For a pipeline that refers to its word vectors: where they are now.

    Returns
    -------
    estimator, CompiledClassifier or EncoderClassifier

    Raises
    ------
    ForeignArtifactError, ArtifactVersionError, CorruptArtifactError
        Before anything is built.
    UnsafeFormatError
        When a part stored with skops holds types outside the allow-list and ``trusted``.
    EncoderFormatError
        When a folder holds no classifier that can be opened.
    InvalidParameterError
        When ``trusted`` or ``vectors`` are given for a model that has no use for them.
    """
    if os.path.isdir(path):
        _refuse_options(path, "an encoder's folder", trusted, vectors)
        from tlclassic.heads.encoder_classifier import open_encoder_folder

        return open_encoder_folder(path)
    artifact = Artifact(path)
    if artifact.kind == _COMPILED:
        from tlclassic.runtime import CompiledClassifier

        _refuse_options(path, "a compiled classifier", trusted, vectors)
        if verify:
            artifact.verify()
        return CompiledClassifier.from_artifact(artifact)
    from tlclassic.pipelines import load as load_pipeline

    return load_pipeline(path, verify=verify, trusted=trusted, vectors=vectors)


def _refuse_options(path: str | os.PathLike[str], kind: str, trusted: Sequence[str], vectors: Any) -> None:
    if trusted or vectors is not None:
        raise InvalidParameterError(
            f"trusted and vectors are for saved pipelines; {os.fspath(path)} is {kind}, which needs neither. "
            "Leave them out."
        )


def load_with_task(path: str | os.PathLike[str], *, vectors: Any = None) -> tuple[Any, dict[str, Any]]:
    """A model and what is known of its task: columns, separator, and the labels of a multi-label model."""
    model = load(path, vectors=vectors)
    if os.path.isdir(path):
        from tlclassic.heads.encoder_classifier import folder_task

        return model, folder_task(path)
    if type(model).__name__ == "CompiledClassifier":
        return model, _compiled_task(model)
    from tlclassic.pipelines import read_metadata

    return model, read_metadata(path).get("task", {})


def _compiled_task(model: Any) -> dict[str, Any]:
    """What a compiled classifier's free provenance says of its task, as far as it makes sense."""
    said = model.metadata.get("provenance", {}).get("task")
    said = said if isinstance(said, dict) else {}
    task = {name: said[name] for name in _NAMES if isinstance(said.get(name), str) and said[name]}
    labels = model.classes_.tolist() if model.multilabel else None
    return {**task, "multilabel": model.multilabel, "labels": labels}
