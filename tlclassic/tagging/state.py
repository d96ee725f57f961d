"""A tagger as one file of the artefact container, and back: parsed, bounded, checked, then constructed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import ArtifactVersionError, CorruptArtifactError
from tlclassic.kernels import load
from tlclassic.storage import Artifact, ArtifactWriter
from tlclassic.tagging.features import Settings
from tlclassic.tagging.lexicon import Lexicon
from tlclassic.tagging.model import TaggerModel
from tlclassic.tagging.schemes import SCHEMES
from tlclassic.tagging.tasks import KINDS, Task

__all__ = ["KIND", "read_model", "write_model"]

#: The container's kind.
KIND = "tagger"
#: The format of metadata and arrays; raised when an older reader would misread them, also when a hash changes.
FORMAT = 2
_TYPES = {"str": str, "int": int, "bool": bool}
_MAX_COLUMNS, _MAX_WINDOW = 1 << 15, 32


def write_model(model: TaggerModel, path: str | os.PathLike[str], extra: dict[str, Any]) -> None:
    """Write a model; ``extra`` is JSON kept beside it."""
    with ArtifactWriter(path, kind=KIND) as writer:
        writer.metadata.update(
            format=FORMAT,
            tasks=[_task_facts(task) for task in model.tasks],
            named=model.named,
            told=model.told,
            settings=model.settings.as_dict(),
            extra=extra,
        )
        for name, array in _arrays(model).items():
            writer.add(name, array)


def _task_facts(task: Task) -> dict[str, Any]:
    return {
        "name": task.name, "kind": task.kind, "type": type(task.classes[0]).__name__, "classes": list(task.classes),
        "scheme": task.scheme, "inner": task.inner,
    }  # fmt: skip


def _arrays(model: TaggerModel) -> dict[str, NDArray[Any]]:
    return {
        "slots": model.slots, "table": model.table, "scales": model.scales, "bias": model.bias, "links": model.links,
        "states": model.states, "keys": model.keys, "lexicon/slots": model.lexicon.slots,
        "lexicon/classes": model.lexicon.classes, "lexicon/folded": model.lexicon.folded,
    }  # fmt: skip


def read_model(path: str | os.PathLike[str], *, verify: bool = True) -> tuple[TaggerModel, dict[str, Any]]:
    """A model, and what was kept beside it.

    Raises
    ------
    ArtifactError
        When the file is no whole tagger of a format up to this one; names what is wrong.
    """
    artifact = Artifact(path, kind=KIND)
    if verify:
        artifact.verify()
    facts = artifact.metadata
    if not isinstance(facts.get("format"), int) or facts["format"] < 1:
        raise _damaged(artifact, "format must be a number from 1 on")
    if facts["format"] > FORMAT:
        raise ArtifactVersionError(
            f"{artifact.path}: the tagger's format is {facts['format']}; this tlclassic reads up to {FORMAT}. "
            "Upgrade: pip install -U tlclassic"
        )
    try:
        tasks = tuple(_task(item) for item in facts["tasks"])
        settings = _settings(facts["settings"])
        named, extra = facts["named"], facts["extra"]
        # Format 1 told nothing.
        told = facts["told"] if facts["format"] > 1 else 0
        if type(named) is not bool or not isinstance(extra, dict) or not tasks or (len(tasks) > 1 and not named):
            raise ValueError("named and extra do not fit the tasks")
        if len({task.name for task in tasks}) != len(tasks):
            raise ValueError("two tasks have the same name")
        if type(told) is not int or told not in (0, sum(task.size for task in tasks if task.kind != "tags")):
            raise ValueError("told does not fit the tasks")
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(artifact, str(error)) from error
    return _checked(artifact, tasks, named, settings, told), extra


def _damaged(artifact: Artifact, what: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        f"{artifact.path}: not a whole tagger: {what}. Save it again, or restore it from a copy."
    )


def _task(facts: Any) -> Task:
    kind, scheme, inner = facts["kind"], facts["scheme"], facts["inner"]
    if kind not in KINDS or scheme not in SCHEMES or inner not in SCHEMES or not isinstance(facts["name"], str):
        raise ValueError("a task has an unknown kind, scheme or name")
    classes, wanted = facts["classes"], _TYPES[facts["type"]]
    if not isinstance(classes, list) or not 1 <= len(classes) <= _MAX_COLUMNS:
        raise ValueError("a task has no classes, or too many")
    if any(type(item) is not wanted for item in classes) or len(set(classes)) != len(classes):
        raise ValueError("a task's classes are not distinct labels of one type")
    return Task(facts["name"], kind, tuple(classes), scheme, inner)


def _settings(facts: Any) -> Settings:
    window, reach = facts["window"], facts["reach"]
    radius, ngrams = tuple(facts["radius"]), tuple(facts["ngrams"])
    pairs = tuple(tuple(pair) for pair in facts["pairs"])
    numbers = [window, reach, *radius, *ngrams, *(number for pair in pairs for number in pair)]
    if any(type(number) is not int for number in numbers):
        raise ValueError("a setting is not a whole number")
    if not 0 <= reach <= window <= _MAX_WINDOW or any(not -1 <= r <= window for r in radius):
        raise ValueError("window, reach and radius do not fit")
    if len(ngrams) != 2 or not 0 <= ngrams[0] <= ngrams[1] <= 64 or len(radius) < load("tag").COLUMNS:
        raise ValueError("ngrams or radius are out of range")
    for pair in pairs:
        if (
            len(pair) != 4
            or not all(0 <= c < len(radius) for c in pair[::2])
            or max(map(abs, pair[1::2])) > _MAX_WINDOW
        ):
            raise ValueError("a pair of features is out of range")
    return Settings(window, radius, (ngrams[0], ngrams[1]), pairs, reach)


def _checked(artifact: Artifact, tasks: tuple[Task, ...], named: bool, settings: Settings, told: int) -> TaggerModel:
    k = sum(task.size for task in tasks)
    n_links = sum((task.size + 2) * task.size for task in tasks if task.kind == "tags")
    n_classes = len(settings.radius) - load("tag").COLUMNS
    block = _Blocks(artifact)
    slots = block.read("slots", "<u4", 1)
    lexicon = Lexicon(
        slots=block.read("lexicon/slots", "<u4", 1),
        classes=block.read("lexicon/classes", "<u2", 2, columns=n_classes),
        folded=block.read("lexicon/folded", ("<f4", "<f2"), 2),
    )
    n_words = len(lexicon.slots)
    lexicon = Lexicon(lexicon.slots, lexicon.classes, np.zeros((n_words, 0), np.float32), lexicon.folded)
    model = TaggerModel(
        tasks, named, settings, lexicon, slots,
        table=block.read("table", ("<f4", "|i1"), 2, rows=len(slots), columns=k),
        scales=block.read("scales", "<f4", 1, rows=k),
        bias=block.read("bias", "<f4", 1, rows=k),
        links=block.read("links", "<f4", 1, rows=n_links),
        states=block.read("states", "<f4", 2, columns=k),
        keys=block.read("keys", "<u8", 1), told=told,
    )  # fmt: skip
    folded = lexicon.folded.shape[1]
    if len(lexicon.classes) != n_words or len(lexicon.folded) != n_words or len(model.keys) not in (0, len(slots)):
        raise _damaged(artifact, "blocks of the same things differ in length")
    if told > len(model.states):
        raise _damaged(artifact, "block 'states' lacks what is told")
    if folded not in (0, (2 * settings.reach + 1) * k):
        raise _damaged(artifact, "block 'lexicon/folded' has the wrong width")
    for name, array in (("slots", slots), ("lexicon/slots", lexicon.slots)):
        if len(array) < 1 or (array != 0).all():
            raise _damaged(artifact, f"block {name!r} has no empty slot")
    if not (np.isfinite(model.scales).all() and np.isfinite(model.bias).all()) or np.isnan(model.links).any():
        raise _damaged(artifact, "scales, bias and links must be numbers")
    return model


class _Blocks:
    """Reads blocks of an expected type and shape."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact

    def read(
        self,
        name: str,
        dtypes: str | tuple[str, ...],
        ndim: int,
        *,
        rows: int | None = None,
        columns: int | None = None,
    ) -> NDArray[Any]:
        array = self._artifact.array(name)
        known = [np.dtype(dtype) for dtype in ((dtypes,) if isinstance(dtypes, str) else dtypes)]
        if array.dtype not in known or array.ndim != ndim:
            raise _damaged(self._artifact, f"block {name!r} has type {array.dtype} and {array.ndim} dimensions")
        if rows not in (None, len(array)) or columns not in (None, array.shape[-1]):
            raise _damaged(self._artifact, f"block {name!r} has shape {array.shape}")
        return array
