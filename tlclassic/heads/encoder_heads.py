"""Heads on an encoder's vectors: fully connected layers in NumPy, and the file ``heads.tlc`` that holds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_choice
from tlclassic.errors import ArtifactVersionError, CorruptArtifactError, InvalidParameterError
from tlclassic.heads.predicting import LogitClassifier
from tlclassic.storage import Artifact, ArtifactWriter

__all__ = [
    "ACTIVATIONS", "HEADS_FILE", "HEADS_FORMAT", "TOKEN_HEADS_FILE", "HeadTask", "Heads", "TaskHead", "read_heads",
    "write_heads",
]  # fmt: skip

#: The file's name inside the folder of a fine-tuned encoder.
HEADS_FILE = "heads.tlc"
#: The same of an encoder that was fine-tuned on tagged tokens: its heads take the mean state of a token's pieces.
TOKEN_HEADS_FILE = "token_heads.tlc"
HEADS_FORMAT = 1
KIND = "encoder-heads"
#: What may stand between two layers.
ACTIVATIONS = ("gelu", "relu", "tanh")
#: Far above what is trained, and low enough that a hostile file costs neither time nor memory.
MAX_TASKS, MAX_LAYERS = 1000, 16
_CLASS_TYPES: dict[str, Any] = {"str": np.str_, "int64": np.int64, "bool": np.bool_, "float64": np.float64}
_JSON_TYPES: dict[str, type | tuple[type, ...]] = {"str": str, "int64": int, "bool": bool, "float64": (int, float)}


@dataclass(frozen=True)
class HeadTask:
    """The head of one task: layers from the encoder's vector to one logit a class.

    Parameters
    ----------
    name : str
        Of the task; that of its label column, usually.
    classes : sequence of length C
        Distinct str, int, bool or float, in the order of the logits.
    layers : sequence of (weight, bias)
        Float arrays of shapes (out, in) and (out,), the last with C outputs; kept as float32.
    multilabel : bool
        A sigmoid for each class and not a softmax over them.
    thresholds : sequence of length C, optional
        For ``multilabel``: the probability in 0..1 from which a label is given; above one half otherwise.
    activation : {"gelu", "relu", "tanh"}, optional
        Between layers; None for a single one. "gelu" is the exact one, ``x * Phi(x)``
        (https://arxiv.org/abs/1606.08415).

    Raises
    ------
    InvalidParameterError
        When the parts do not fit together, or a number is not finite.
    """

    name: str
    classes: NDArray[Any]
    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
    multilabel: bool = False
    thresholds: NDArray[np.float64] | None = None
    activation: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InvalidParameterError(f"a task's name must be a string that is not empty; got {self.name!r}.")
        layers = tuple((_float32(weight), _float32(bias)) for weight, bias in self.layers)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "classes", _as_classes(self.name, self.classes))
        object.__setattr__(self, "multilabel", bool(self.multilabel))
        if self.thresholds is not None:
            object.__setattr__(self, "thresholds", np.asarray(self.thresholds, dtype=np.float64))
        self._check()

    def _check(self) -> None:
        where = f"the head of task {self.name!r}"
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise InvalidParameterError(f"{where} must have 1 to {MAX_LAYERS} layers; got {len(self.layers)}.")
        width = None
        for number, (weight, bias) in enumerate(self.layers):
            if weight.ndim != 2 or bias.shape != weight.shape[:1] or width not in (None, weight.shape[1]):
                raise InvalidParameterError(
                    f"{where}: layer {number} has a weight of shape {weight.shape} and a bias of shape {bias.shape}; "
                    f"expected (out, {'in' if width is None else width}) and (out,)."
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise InvalidParameterError(f"{where}: layer {number} holds numbers that are not finite.")
            width = weight.shape[0]
        if width != len(self.classes):
            raise InvalidParameterError(f"{where} has {width} outputs, but {len(self.classes)} classes.")
        if len(self.classes) < (1 if self.multilabel else 2):
            raise InvalidParameterError(f"{where} needs two classes at least; got {self.classes.tolist()!r}.")
        if len(self.layers) > 1 or self.activation is not None:
            check_choice("activation", self.activation, ACTIVATIONS)
        self._check_thresholds(where)

    def _check_thresholds(self, where: str) -> None:
        if self.thresholds is None:
            return
        if not self.multilabel:
            raise InvalidParameterError(f"{where}: thresholds are for multilabel=True. Leave them out.")
        within = (self.thresholds >= 0) & (self.thresholds <= 1)
        if self.thresholds.shape != self.classes.shape or not within.all():
            raise InvalidParameterError(
                f"{where}: thresholds must be {len(self.classes)} numbers in 0..1; got {self.thresholds!r:.80}."
            )

    @property
    def dim(self) -> int:
        """The width of the vectors that it takes."""
        return int(self.layers[0][0].shape[1])

    def logits(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Logits of shape (n, C) from float vectors of shape (n, dim)."""
        values = np.asarray(vectors, dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != self.dim:
            raise InvalidParameterError(
                f"the head of task {self.name!r} takes vectors of shape (n, {self.dim}); got {values.shape}. "
                "It belongs to another encoder."
            )
        for number, (weight, bias) in enumerate(self.layers):
            if number and self.activation is not None:
                values = _activate(self.activation)(values)
            values = values @ weight.T + bias
        return values.astype(np.float64)


class TaskHead(LogitClassifier):
    """A task's head as a classifier of vectors.

    Parameters
    ----------
    classes : array of shape (C,)
    multilabel : bool
    thresholds : float64 array of shape (C,), optional
    logits : callable
        From vectors of shape (n, dim) to logits of shape (n, K), K being C, or 1 for two classes.
    """

    def __init__(
        self,
        classes: NDArray[Any],
        multilabel: bool,
        thresholds: NDArray[np.float64] | None,
        logits: Callable[[Any], NDArray[np.float64]],
    ) -> None:
        self.classes_ = classes
        self.multilabel_ = multilabel
        self.thresholds_ = thresholds
        self._function = logits

    def _logits(self, X: Any) -> NDArray[np.float64]:
        return self._function(X)

    @classmethod
    def of(cls, task: HeadTask) -> TaskHead:
        """The classifier of ``task``."""
        return cls(task.classes, task.multilabel, task.thresholds, task.logits)

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row; of a multi-label task the int64 indicator of labels that reach theirs."""
        if self.thresholds_ is None:
            labels: NDArray[Any] = super().predict(X)
            return labels
        return (self.predict_proba(X) >= self.thresholds_).astype(np.int64)


@dataclass(frozen=True)
class Heads:
    """The heads of one encoder, by the names of their tasks.

    Parameters
    ----------
    tasks : sequence of HeadTask
        With different names, for vectors of the same width.
    provenance : mapping
        JSON-able: where they come from. ``"task"`` holds the columns, ``{"text", "label", "separator"}``.

    Examples
    --------
    >>> heads = Heads([HeadTask("label", ["neg", "pos"], [([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.5])])])
    >>> heads["label"].logits([[2.0, 1.0]]).tolist()
    [[2.0, 1.5]]
    """

    tasks: tuple[HeadTask, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        if not 1 <= len(self.tasks) <= MAX_TASKS:
            raise InvalidParameterError(f"there must be 1 to {MAX_TASKS} tasks; got {len(self.tasks)}.")
        if len(set(self.names)) != len(self.names):
            raise InvalidParameterError(f"the tasks' names must differ; got {self.names!r}.")
        if len({task.dim for task in self.tasks}) > 1:
            dims = {task.name: task.dim for task in self.tasks}
            raise InvalidParameterError(f"the tasks' heads must take vectors of the same width; got {dims}.")

    @property
    def names(self) -> list[str]:
        """The tasks, in the file's order."""
        return [task.name for task in self.tasks]

    @property
    def dim(self) -> int:
        """The width of the vectors that the heads take."""
        return self.tasks[0].dim

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[HeadTask]:
        return iter(self.tasks)

    def __getitem__(self, name: str) -> HeadTask:
        check_choice("task", name, self.names)
        return self.tasks[self.names.index(name)]


# -- the file --------------------------------------------------------------------------------------------------------


def write_heads(
    path: str | os.PathLike[str], tasks: Sequence[HeadTask], provenance: Mapping[str, Any] | None = None
) -> None:
    """Write ``heads.tlc``, whole or not at all.

    Parameters
    ----------
    path : path-like
        The file, or the folder that it goes into.
    tasks : sequence of HeadTask
    provenance : mapping, optional
        As of :class:`Heads`.

    Raises
    ------
    InvalidParameterError
        When the tasks do not fit together, or ``provenance`` is no JSON.
    """
    heads = Heads(tuple(tasks), provenance or {})
    with ArtifactWriter(_file(path), kind=KIND) as writer:
        writer.metadata.update(
            {
                "format": HEADS_FORMAT,
                "tasks": [_facts(task) for task in heads],
                "provenance": dict(heads.provenance),
            }
        )
        for number, task in enumerate(heads):
            for layer, (weight, bias) in enumerate(task.layers):
                writer.add(f"{number}/{layer}/weight", weight)
                writer.add(f"{number}/{layer}/bias", bias)


def read_heads(path: str | os.PathLike[str]) -> Heads:
    """Read what :func:`write_heads` wrote; every block is checked.

    Raises
    ------
    InputError, ForeignArtifactError, ArtifactVersionError, CorruptArtifactError
        When the file is missing, of another kind, newer or altered.
    """
    artifact = Artifact(_file(path), kind=KIND)
    artifact.verify()
    number = artifact.metadata.get("format")
    if isinstance(number, int) and number > HEADS_FORMAT:
        raise ArtifactVersionError(
            f"{artifact.path}: heads of format {number}; this tlclassic reads up to {HEADS_FORMAT}. "
            "Upgrade: pip install -U tlclassic"
        )
    try:
        if number != HEADS_FORMAT or not isinstance(artifact.metadata["tasks"], list):
            raise TypeError("no format or no list of tasks")
        provenance = artifact.metadata.get("provenance", {})
        if not isinstance(provenance, dict):
            raise TypeError("the provenance is no object")
        tasks = artifact.metadata["tasks"][: MAX_TASKS + 1]
        return Heads(tuple(_read_task(artifact, i, facts) for i, facts in enumerate(tasks)), provenance)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        # CorruptArtifactError is a ValueError too: a missing block keeps its own words.
        if isinstance(error, CorruptArtifactError):
            raise
        raise CorruptArtifactError(f"{artifact.path}: the heads are incomplete or altered ({error}).") from error


def _file(path: str | os.PathLike[str]) -> str:
    return os.path.join(path, HEADS_FILE) if os.path.isdir(path) else os.fspath(path)


def _facts(task: HeadTask) -> dict[str, Any]:
    return {
        "name": task.name,
        "classes": task.classes.tolist(),
        "classes_dtype": "str" if task.classes.dtype.kind == "U" else task.classes.dtype.name,
        "multilabel": task.multilabel,
        "thresholds": None if task.thresholds is None else task.thresholds.tolist(),
        "activation": task.activation,
        "layers": len(task.layers),
    }


def _read_task(artifact: Artifact, number: int, facts: dict[str, Any]) -> HeadTask:
    dtype, classes, n_layers = facts["classes_dtype"], facts["classes"], facts["layers"]
    if type(n_layers) is not int or not 1 <= n_layers <= MAX_LAYERS or not isinstance(facts["multilabel"], bool):
        raise TypeError(f"task {number} has a wrong number of layers, or no multilabel")
    wanted = _JSON_TYPES.get(dtype)
    if wanted is None or not isinstance(classes, list) or not all(_is(item, wanted) for item in classes):
        raise TypeError(f"task {number} has classes of a wrong type")
    names = [f"{number}/{layer}/" for layer in range(n_layers)]
    blocks = [(artifact.array(f"{name}weight"), artifact.array(f"{name}bias")) for name in names]
    if any(block.dtype != np.float32 for pair in blocks for block in pair):
        raise TypeError(f"task {number} has weights that are not float32")
    thresholds = facts["thresholds"]
    if thresholds is not None and not (isinstance(thresholds, list) and all(_is(t, (int, float)) for t in thresholds)):
        raise TypeError(f"task {number} has thresholds that are no numbers")
    return HeadTask(
        facts["name"],
        np.array(classes, dtype=_CLASS_TYPES[dtype]),
        tuple(blocks),
        facts["multilabel"],
        None if thresholds is None else np.array(thresholds, dtype=np.float64),
        facts["activation"],
    )


def _is(item: object, wanted: type | tuple[type, ...]) -> bool:
    return isinstance(item, wanted) and (wanted is bool or not isinstance(item, bool))


# -- parts -----------------------------------------------------------------------------------------------------------


def _float32(values: Any) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)


def _as_classes(name: str, classes: Any) -> NDArray[Any]:
    array = np.asarray(classes)
    if array.dtype == object and all(isinstance(item, str) for item in array.ravel().tolist()):
        array = array.astype(np.str_)
    kinds = {"U": np.str_, "i": np.int64, "u": np.int64, "b": np.bool_, "f": np.float64}
    mixed = isinstance(classes, (list, tuple)) and len({type(item) for item in classes}) > 1
    if array.ndim != 1 or array.dtype.kind not in kinds or mixed:
        raise InvalidParameterError(
            f"the classes of task {name!r} must be a list of strings, integers, booleans or floats; got "
            f"{classes!r:.80}."
        )
    array = array.astype(kinds[array.dtype.kind])
    if len(set(array.tolist())) != len(array) or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        raise InvalidParameterError(f"the classes of task {name!r} must be distinct; got {array.tolist()!r:.80}.")
    return array


def _activate(name: str) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    return {"gelu": _gelu, "relu": _relu, "tanh": _tanh}[name]


def _relu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(x, np.float32(0))


def _tanh(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.tanh(x)


def _gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    erf = require("scipy.special", purpose="A head with GELU").erf
    gelu: NDArray[np.float32] = np.float32(0.5) * x * (1 + erf(x * np.float32(0.5**0.5)))
    return gelu
