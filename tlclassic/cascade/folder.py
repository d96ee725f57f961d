"""The folder of a cascade: ``cascade.json``, the student, and the teacher or where it is; checked before it is opened.

Format 1 of ``cascade.json``: one object with ``format``, ``tlclassic`` (the version that wrote it), ``checksum``
(SHA-256 of the rest as `_checksum` spells it), the parameters, ``tuning``, ``task``, and for ``student`` and
``teacher`` (null: none) ``form`` ("file" or "folder"), ``files`` (SHA-256 by name; of a file under the name ""),
``options`` of an encoder's folder, and ``path`` where it is referred to. What is not referred to lies beside it as
``student.tlc`` or ``student``. A threshold of null is infinity.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlclassic._version import __version__
from tlclassic.cascade.report import Tuning
from tlclassic.errors import (
    ArtifactError,
    ArtifactVersionError,
    CorruptArtifactError,
    ForeignArtifactError,
    InputError,
    InvalidParameterError,
)
from tlclassic.storage.folders import check_replaceable, new_folder

if TYPE_CHECKING:
    from tlclassic.cascade.cascade import Cascade

__all__ = ["FILE", "FORMAT", "check_folder", "is_cascade", "open_folder", "read_description", "save_folder"]

FILE = "cascade.json"
FORMAT = 1
#: A cascade.json is some kB; a label for each of a hundred thousand classes, twice, would still fit.
MAX_BYTES = 1 << 25
ROLES = ("student", "teacher")
_TASK = ("text", "label", "separator")
#: Parameters of an encoder's folder that change what it answers.
_OPTIONS = {"task": str, "file": str, "max_length": int}
_PLAIN = ("measure", "unsure", "student_labels", "teacher_labels")

Paths = Mapping[str, str | os.PathLike[str] | None]


# -- saving ----------------------------------------------------------------------------------------------------------


def check_folder(target: Path, *, force: bool) -> None:
    """Raise unless a cascade may go there: nothing, an empty folder, or with ``force`` an earlier cascade.

    Raises
    ------
    InputError
    """
    check_replaceable(target, is_own=is_cascade, what="a cascade", force=force)


def save_folder(
    cascade: Cascade, path: str | os.PathLike[str], *, refer: bool, force: bool, paths: Paths, task: Any
) -> None:
    """As :meth:`tlclassic.Cascade.save` says."""
    threshold = cascade.threshold_
    known = {role: _path_of(cascade, role, paths.get(role)) for role in ROLES}
    if refer and (cascade.teacher is None or known["teacher"] is None):
        raise InvalidParameterError("refer=True needs a teacher that lies in a file or folder: give teacher_path.")
    said = {name: (task or {})[name] for name in _TASK if (task or {}).get(name)}
    target = Path(path)
    with new_folder(target, check=lambda place: check_folder(place, force=force)) as made:
        content: dict[str, Any] = {"format": FORMAT, "tlclassic": __version__}
        for role in ROLES:
            model = getattr(cascade, role)
            referred = refer and role == "teacher"
            content[role] = None if model is None else _write_part(cascade, role, known[role], made, said, referred)
        content |= {name: _plain(getattr(cascade, name)) for name in _PLAIN}
        content["threshold"] = threshold if math.isfinite(threshold) else None
        content["tuning"] = None if cascade.tuning_ is None else cascade.tuning_.as_dict()
        content["task"] = said
        content["checksum"] = _checksum(content)
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        (made / FILE).write_text(text + "\n", "utf-8")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value


def _path_of(cascade: Cascade, role: str, given: str | os.PathLike[str] | None) -> Path | None:
    """Where a model lies: as given, as it was loaded from, or as an encoder's folder says itself."""
    model = getattr(cascade, role)
    loaded = cascade.__dict__.get("_loaded", {}).get(role)
    if given is None and loaded is not None and loaded[0] is model:
        given = loaded[1]
    if given is None and _is_encoder(model) and isinstance(model.model, (str, os.PathLike)):
        given = model.model
    if given is not None and not os.path.exists(given):
        raise InputError(f"the {role}'s file or folder does not exist", path=given, remedy=f"Correct {role}_path")
    return None if given is None else Path(os.path.abspath(given))


def _is_encoder(model: Any) -> bool:
    # By name: importing the class would import scikit-learn.
    return type(model).__name__ == "EncoderClassifier"


def _write_part(
    cascade: Cascade, role: str, source: Path | None, made: Path, task: dict[str, Any], refer: bool
) -> dict[str, Any]:
    """Copy or save a model into the new folder; what cascade.json says of it."""
    model = getattr(cascade, role)
    folder = source is not None and source.is_dir()
    place = source if refer and source is not None else made / (role if folder else f"{role}.tlc")
    if source is not None and place is not source:
        _copy(source, place)
    elif source is None:
        _save_model(model, place, task, cascade.multilabel_, getattr(cascade, f"{role}_labels"))
    options = {name: getattr(model, name) for name in _OPTIONS} if _is_encoder(model) else {}
    said = {"form": "folder" if folder else "file", "files": _digests(place), "options": options}
    return {**said, "path": str(source)} if refer else said


def _copy(source: Path, place: Path) -> None:
    if source.is_file():
        shutil.copyfile(source, place)
        return
    # Links are followed, as a cache of downloaded models has them; hidden files are no part of a model.
    shutil.copytree(source, place, ignore=shutil.ignore_patterns(".*"))


def _save_model(model: Any, path: Path, task: dict[str, Any], multilabel: bool, labels: Any) -> None:
    if type(model).__name__ == "CompiledClassifier":
        model.save(path)
        return
    from tlclassic.pipelines import save

    save(model, path, metadata={"task": {**task, "multilabel": multilabel, "labels": _plain(labels)}})


def _digests(path: Path) -> dict[str, str]:
    """SHA-256 (hex) of every file that is not hidden, by its path below the folder; of a single file, under ""."""
    if path.is_file():
        return {"": _sha256(path)}
    found = {}
    for place, folders, files in os.walk(path, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                full = Path(place, name)
                found[full.relative_to(path).as_posix()] = _sha256(full)
    return found


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="Check its permissions") from error


def _checksum(content: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


# -- opening ---------------------------------------------------------------------------------------------------------


def is_cascade(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a cascade."""
    return os.path.isfile(os.path.join(path, FILE))


def read_description(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``cascade.json`` in the folder says, checked; nothing is built.

    Raises
    ------
    ForeignArtifactError, ArtifactVersionError, CorruptArtifactError
    InputError
        When it cannot be read.
    """
    file = Path(path, FILE)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise CorruptArtifactError(f"{file}: larger than {MAX_BYTES:,} bytes. Restore it from a copy.")
        content: dict[str, Any] = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=file, remedy="Check the path") from error
    except (ValueError, RecursionError) as error:
        raise CorruptArtifactError(f"{file}: not valid JSON ({error}). Restore it from a copy.") from error
    number = content.get("format") if isinstance(content, dict) else None
    if type(number) is not int or number < 1:
        raise ForeignArtifactError(f"{file}: does not say that it is a cascade of tlclassic.")
    if number > FORMAT:
        raise ArtifactVersionError(
            f"{file}: format {number}, written by tlclassic {content.get('tlclassic')}; this version reads up to "
            f"{FORMAT}. Update tlclassic."
        )
    if content.get("checksum") != _checksum(content):
        raise CorruptArtifactError(f"{file}: altered since it was written (checksum). Restore it from a copy.")
    _check_content(content, file)
    return content


def _check_content(content: Mapping[str, Any], file: Path) -> None:
    """Raise unless the entries are what `save_folder` writes; a checksum keeps off accidents and not ill will."""
    number = (int, float, type(None))
    lists = (list, type(None))
    kinds: dict[str, Any] = {
        "student": dict, "teacher": (dict, type(None)), "threshold": number, "tuning": (dict, type(None)),
        "task": dict, "measure": str, "unsure": (str, int, type(None)), "student_labels": lists,
        "teacher_labels": lists,
    }  # fmt: skip
    wrong = [name for name, kind in kinds.items() if name not in content or not isinstance(content[name], kind)]
    wrong += [role for role in ROLES if role not in wrong and content[role] and not _is_part(content[role])]
    wrong += [f"task.{name}" for name in content.get("task") or () if not isinstance(content["task"][name], str)]
    if wrong:
        raise CorruptArtifactError(f"{file}: {wrong[0]} is missing or malformed. Restore it from a copy.")


def _is_part(part: Mapping[str, Any]) -> bool:
    files, options = part.get("files"), part.get("options")
    return (
        part.get("form") in ("file", "folder")
        and isinstance(files, dict)
        and len(files) > 0
        and all(isinstance(digest, str) for digest in files.values())
        and isinstance(options, dict)
        and all(isinstance(value, (_OPTIONS.get(name, ()), type(None))) for name, value in options.items())
        and set(options) <= set(_OPTIONS)
        and isinstance(part.get("path", ""), str)
    )


def open_folder(
    path: str | os.PathLike[str], open_model: Callable[[Path], Any], *, verify: bool = True
) -> tuple[Cascade, dict[str, Any]]:
    """The cascade in a folder, and what it knows of its task.

    Parameters
    ----------
    path : path-like
    open_model : callable
        Opens a student's or teacher's file or folder.
    verify : bool
        Check the models in the folder against their digests; one that is referred to always is.

    Raises
    ------
    ForeignArtifactError, ArtifactVersionError, CorruptArtifactError, InputError
        As `read_description`; when a part is missing or altered.
    ArtifactError
        When the teacher that it refers to is not found or has changed; says where it was looked for.
    """
    from tlclassic.cascade.cascade import Cascade

    content = read_description(path)
    places = {role: _find(Path(path), role, content[role], verify) for role in ROLES if content[role] is not None}
    try:
        tuning = None if content["tuning"] is None else Tuning.from_dict(content["tuning"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptArtifactError(f"{Path(path, FILE)}: tuning is malformed ({error!r}). Restore it.") from error
    models = {role: open_model(place) for role, place in places.items()}
    for role, model in models.items():
        if content[role]["options"]:
            model.set_params(**content[role]["options"])
    threshold = math.inf if content["threshold"] is None else float(content["threshold"])
    cascade = Cascade(**models, threshold=threshold, **{name: content[name] for name in _PLAIN})
    vars(cascade).update(_tuning=tuning, _loaded={role: (models[role], places[role]) for role in models})
    task = {name: value for name, value in content["task"].items() if name in _TASK}
    # Whatever does not fit together is told now, and not when the first text comes.
    return cascade, {**task, "multilabel": cascade.multilabel_, "labels": cascade.labels}


def _find(folder: Path, role: str, part: Mapping[str, Any], verify: bool) -> Path:
    """Where a part lies, checked."""
    if "path" not in part:
        place = folder / (role if part["form"] == "folder" else f"{role}.tlc")
        problem = _difference(place, part, verify)
        if problem is not None:
            raise CorruptArtifactError(f"{place}: {problem}. Restore the cascade from a copy.")
        return place
    recorded = Path(part["path"])
    looked = []
    # Both may have been moved together.
    for place in dict.fromkeys([recorded, Path(os.path.realpath(folder)).parent / recorded.name]):
        problem = _difference(place, part, True)
        if problem is None:
            return place
        looked.append(f"{place}: {problem}")
    raise ArtifactError(
        f"{folder}: the {role} that the cascade refers to was not found. {'; '.join(looked)}. Put it back, there or "
        "beside the cascade's folder; a cascade saved with refer=False needs none."
    )


def _difference(place: Path, part: Mapping[str, Any], verify: bool) -> str | None:
    """What keeps a file or folder from being the one that was saved."""
    if not (place.is_file() if part["form"] == "file" else place.is_dir()):
        return f"no such {part['form']}"
    for name, expected in part["files"].items():
        file = place / name if name else place
        if ".." in Path(name).parts or Path(name).is_absolute() or not file.is_file():
            return f"{name or 'it'} is missing"
        if verify and (found := _sha256(file)) != expected:
            return f"{name or 'it'} is another one (SHA-256 {found[:12]}, expected {expected[:12]})"
    return None
