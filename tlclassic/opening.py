"""``load``: any model file, told by what it says it holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tlclassic.errors import InvalidParameterError
from tlclassic.storage import Artifact

__all__ = ["load", "load_with_task"]

_COMPILED, _TASKS, _TAGGER = "compiled", "compiled-tasks", "tagger"
#: What a task's provenance may say: the columns, and what separates labels.
_NAMES = ("text", "label", "separator")


def load(path: str | os.PathLike[str], *, verify: bool = True, trusted: Sequence[str] = (), vectors: Any = None) -> Any:
    """Open a model: a pipeline saved by :func:`tlclassic.save`, a compiled classifier, or a folder.

    A folder with ``cascade.json`` is a :class:`tlclassic.Cascade`; any other is a fine-tuned encoder with its heads, or
    a Hugging Face sequence classifier in ONNX, and becomes a :class:`tlclassic.EncoderClassifier`. Compiled
    classifiers and taggers are opened with NumPy and the kernels alone; scikit-learn is imported for the others only.

    Parameters
    ----------
    path : path-like
    verify : bool
        Check every block against its checksum first (about 1 GB/s). Without it, blocks above 1 MiB are mapped unread.
        A compiled classifier's small blocks are always checked, its large ones when ``verify`` is set; the models in a
        cascade's folder are held against their digests.
    trusted : sequence of str
        For a pipeline: further type names to accept inside a part stored with skops.
    vectors : path-like, WordVectors, or a list of those, optional
        For a pipeline that refers to its word vectors: where they are now.

    Returns
    -------
    estimator, CompiledClassifier, CompiledTasks, CompiledTagger, Cascade or EncoderClassifier

    Raises
    ------
    ForeignArtifactError, ArtifactVersionError, CorruptArtifactError
        Before anything is built.
    ArtifactError
        When something that the model refers to is missing or has changed.
    UnsafeFormatError
        When a part stored with skops holds types outside the allow-list and ``trusted``.
    EncoderFormatError
        When a folder holds no classifier that can be opened.
    InvalidParameterError
        When ``trusted`` or ``vectors`` are given for a model that has no use for them.
    """
    if _is_cascade(path):
        _refuse_options(path, "a cascade", trusted, vectors)
        return _open_cascade(path, verify)[0]
    if os.path.isdir(path):
        _refuse_options(path, "an encoder's folder", trusted, vectors)
        from tlclassic.heads.encoder_classifier import open_encoder_folder

        return open_encoder_folder(path)
    artifact = Artifact(path)
    if artifact.kind in (_COMPILED, _TASKS):
        from tlclassic import runtime

        _refuse_options(path, "a compiled classifier", trusted, vectors)
        if verify:
            artifact.verify()
        kind = runtime.CompiledClassifier if artifact.kind == _COMPILED else runtime.CompiledTasks
        return kind.from_artifact(artifact)
    if artifact.kind == _TAGGER:
        from tlclassic.tagging import CompiledTagger

        _refuse_options(path, "a tagger", trusted, vectors)
        return CompiledTagger.load(path, verify=verify)
    from tlclassic.pipelines import load as load_pipeline

    return load_pipeline(path, verify=verify, trusted=trusted, vectors=vectors)


def _is_cascade(path: str | os.PathLike[str]) -> bool:
    # What serves a single file does not import this.
    if not os.path.isdir(path):
        return False
    from tlclassic.cascade.folder import is_cascade

    return is_cascade(path)


def _open_cascade(path: str | os.PathLike[str], verify: bool) -> tuple[Any, dict[str, Any]]:
    from tlclassic.cascade.folder import open_folder

    return open_folder(path, lambda part: load(part, verify=verify), verify=verify)


def _refuse_options(path: str | os.PathLike[str], kind: str, trusted: Sequence[str], vectors: Any) -> None:
    if trusted or vectors is not None:
        raise InvalidParameterError(
            f"trusted and vectors are for saved pipelines; {os.fspath(path)} is {kind}, which needs neither. "
            "Leave them out."
        )


def load_with_task(path: str | os.PathLike[str], *, vectors: Any = None) -> tuple[Any, dict[str, Any]]:
    """A model and what is known of its task: columns, separator, and the labels of a multi-label model."""
    if _is_cascade(path):
        _refuse_options(path, "a cascade", (), vectors)
        return _open_cascade(path, True)
    model = load(path, vectors=vectors)
    if os.path.isdir(path):
        from tlclassic.heads.encoder_classifier import folder_task

        return model, folder_task(path)
    if type(model).__name__ == "CompiledClassifier":
        return model, _compiled_task(model)
    if type(model).__name__ == "CompiledTasks":
        return model, _compiled_tasks(model)
    from tlclassic.pipelines import read_metadata

    return model, read_metadata(path).get("task", {})


def _compiled_task(model: Any) -> dict[str, Any]:
    """What a compiled classifier's free provenance says of its task, as far as it makes sense."""
    said = model.metadata.get("provenance", {}).get("task")
    said = said if isinstance(said, dict) else {}
    task = {name: said[name] for name in _NAMES if isinstance(said.get(name), str) and said[name]}
    labels = model.classes_.tolist() if model.multilabel else None
    return {**task, "multilabel": model.multilabel, "labels": labels}


def _compiled_tasks(model: Any) -> dict[str, Any]:
    """The same of a compiled model of several tasks: the columns of its tasks."""
    said = model.metadata.get("provenance", {}).get("task")
    said = said if isinstance(said, dict) else {}
    task: dict[str, Any] = {name: said[name] for name in _NAMES if isinstance(said.get(name), str) and said[name]}
    columns = said.get("columns")
    if isinstance(columns, dict) and all(isinstance(columns.get(name), str) for name in model.tasks_):
        task["columns"] = {name: columns[name] for name in model.tasks_}
    return task
