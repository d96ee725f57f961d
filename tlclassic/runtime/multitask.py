"""The compiled model of several tasks: one table for all of them, scored by reading each text once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.runtime.classifier import CompiledClassifier
from tlclassic.runtime.tasks import KINDS, LAYERS, Layer, Outputs, decide, n_outputs, task_proba
from tlclassic.storage import Artifact, ArtifactWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tlclassic.runtime.explain import Explanation

__all__ = ["KIND", "CompiledTasks", "described", "layer_arrays"]

#: The container's kind.
KIND = "compiled-tasks"
_CLASS_TYPES: dict[str, tuple[type, type]] = {
    "str": (np.str_, str),
    "int64": (np.int64, int),
    "bool": (np.bool_, bool),
    "float64": (np.float64, float),
}
_NUMBERS = ("center", "spread", "temperature")
_LAYER = "layer/"
_MAX_TASKS, _MAX_MIXED = 1 << 12, 1 << 12


class CompiledTasks:
    """A :class:`~tlclassic.MultiTaskClassifier` folded into tables, as :func:`tlclassic.compile` makes it.

    Parameters
    ----------
    metadata : dict
        That of a :class:`CompiledClassifier` whose outputs are those of all tasks side by side, and ``"tasks"`` and
        ``"layer"``; see docs/runtime.md.
    arrays : dict of str to array
        Its tables and, beside them, the layer between the tasks.

    Attributes
    ----------
    tasks_ : list of str
    kinds_ : dict of str to str
    classes_ : dict of str to array
        Empty for regression.
    metadata : dict

    Raises
    ------
    ArtifactVersionError, CorruptArtifactError
        As for :class:`CompiledClassifier`.

    Examples
    --------
    >>> import tlclassic
    >>> model = tlclassic.load(path)  # doctest: +SKIP
    >>> model.predict(["a fine film"])  # doctest: +SKIP
    {'tone': array(['+'], dtype='<U1'), 'medium': array(['film'], dtype='<U4')}
    """

    #: There is no separate calibration to be missing.
    has_probabilities = True

    def __init__(self, metadata: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        own = {name: array for name, array in arrays.items() if name.startswith(_LAYER)}
        self._base = CompiledClassifier(metadata, {name: arrays[name] for name in arrays if name not in own})
        self._outputs = _read_tasks(metadata)
        self._layer = _read_layer(metadata.get("layer"), own, self._outputs)
        self._own = own
        self.metadata = metadata
        self.tasks_ = [task.name for task in self._outputs]
        self.kinds_ = {task.name: task.kind for task in self._outputs}
        self.classes_: dict[str, NDArray[Any]] = {task.name: task.classes for task in self._outputs}

    @property
    def nbytes(self) -> int:
        """Bytes of the tables and the layer."""
        return self._base.nbytes + sum(array.nbytes for array in self._own.values())

    def __repr__(self) -> str:
        return f"CompiledTasks({', '.join(self.tasks_)}, {self.nbytes:,} bytes)"

    def __reduce__(self) -> tuple[Any, ...]:
        # Arrays of a mapped file are copied.
        arrays = {name: np.array(array) for name, array in {**self._base._arrays, **self._own}.items()}
        return type(self), (self.metadata, arrays)

    # --- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to ``path``, whole or not at all.

        Raises
        ------
        InputError
            When the file cannot be written.
        """
        with ArtifactWriter(path, kind=KIND) as writer:
            writer.metadata.update(self.metadata)
            for name, array in {**self._base._arrays, **self._own}.items():
                writer.add(name, array)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CompiledTasks:
        """Open the model that :meth:`save` wrote; raises as :meth:`CompiledClassifier.load` does."""
        return cls.from_artifact(Artifact(path, kind=KIND))

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> CompiledTasks:
        """The model that an open file of kind "compiled-tasks" holds."""
        return cls(artifact.metadata, {name: artifact.array(name) for name in artifact.names})

    # --- scoring -----------------------------------------------------------------------------------------------------

    def decision_function(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """The outputs of all tasks side by side, float64 of shape (n, K); ``metadata["tasks"]`` says whose each is.

        Parameters and errors as for :meth:`CompiledClassifier.decision_function`.
        """
        logits = self._base.decision_function(X, threads=threads)
        return logits if self._layer is None else self._layer.apply(self._outputs, logits)

    def predict(self, X: Any, *, threads: int = 1) -> dict[str, NDArray[Any]]:
        """Of each task its labels or numbers, of shape (n,); for multi-label an int64 indicator (n, n_labels)."""
        return self._each(X, decide, threads)

    def predict_proba(self, X: Any, *, threads: int = 1) -> dict[str, NDArray[np.float64]]:
        """Of each task its probabilities, float64 of shape (n, n_classes); for regression the numbers, (n,)."""
        return self._each(X, task_proba, threads)

    def answer(self, X: Any, *, threads: int = 1) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[np.float64]]]:
        """Both of these, from one reading of the texts."""
        logits = self.decision_function(X, threads=threads)
        return self._read(logits, decide), self._read(logits, task_proba)

    def _each(self, X: Any, read: Callable[..., Any], threads: int) -> dict[str, NDArray[Any]]:
        return self._read(self.decision_function(X, threads=threads), read)

    def _read(self, logits: NDArray[np.float64], read: Callable[..., Any]) -> dict[str, NDArray[Any]]:
        return {task.name: read(task, logits[:, task.columns]) for task in self._outputs}

    def explain(self, text: str | bytes, task: str, label: Any = None) -> Explanation:
        """What each n-gram and word of ``text`` adds to an output of a task, before the layer between tasks.

        Parameters
        ----------
        text : str or bytes
        task : str
        label : a class, default=None
            None: the one with the largest output. Of tasks with one output it is that one.

        Raises
        ------
        InvalidParameterError
            When there is no such task or label.
        """
        found = next((each for each in self._outputs if each.name == task), None)
        if found is None:
            raise InvalidParameterError(f"task must be one of {', '.join(map(repr, self.tasks_))}; got {task!r}.")
        place = 0
        names = found.classes.tolist()
        if found.stop - found.start > 1:
            own = self._base.decision_function([text])[0, found.columns]
            if label is not None and label not in names:
                raise InvalidParameterError(f"label must be one of the classes ({names!r:.80}); got {label!r}.")
            place = int(own.argmax()) if label is None else names.index(label)
        shown = self._base.explain(text, found.start + place)
        return shown._replace(label=names[1 if found.kind == "binary" else place] if found.classes.size else task)


# --- metadata --------------------------------------------------------------------------------------------------------


def described(tasks: list[Outputs], layer: Layer | None) -> dict[str, Any]:
    """``"tasks"`` and ``"layer"`` of the metadata, JSON-able."""
    return {
        "tasks": [
            {
                "name": task.name,
                "kind": task.kind,
                "columns": [task.start, task.stop],
                "classes": task.classes.tolist(),
                "classes_dtype": _type_of(task),
                "cuts": task.cuts.tolist(),
                "thresholds": task.thresholds.tolist(),
                **{name: float(getattr(task, name)) for name in _NUMBERS},
            }
            for task in tasks
        ],
        "layer": None if layer is None else {"kind": layer.kind, "order": list(layer.order)},
    }


def _type_of(task: Outputs) -> str:
    kinds = {type(value) for value in task.classes.tolist()}
    for name, (_, kind) in _CLASS_TYPES.items():
        if kinds <= {kind}:
            return name
    shown = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise InvalidParameterError(
        f"the classes of task {task.name!r} must all be strings, integers, floats or booleans; got {shown}. Train with "
        "plain labels."
    )


def layer_arrays(layer: Layer | None) -> dict[str, NDArray[Any]]:
    """The arrays of the layer between tasks."""
    if layer is None:
        return {}
    return {
        f"{_LAYER}weights": np.ascontiguousarray(layer.weights, dtype="<f8").ravel(),
        f"{_LAYER}own": np.ascontiguousarray(layer.own, dtype="<f8").ravel(),
        f"{_LAYER}bias": np.ascontiguousarray(layer.bias, dtype="<f8"),
    }


def _damaged(what: str) -> CorruptArtifactError:
    return CorruptArtifactError(f"compiled tasks: {what}. Compile the model again, or restore it from a copy.")


def _read_tasks(metadata: dict[str, Any]) -> list[Outputs]:
    facts = metadata.get("tasks")
    if not isinstance(facts, list) or not 1 <= len(facts) <= _MAX_TASKS:
        raise _damaged(f"tasks must be a list of them; got {facts!r:.80}")
    tasks: list[Outputs] = []
    for number, each in enumerate(facts):
        try:
            task = _task(each)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(f"tasks[{number}] is malformed ({error!r:.80})") from error
        if task.start != (tasks[-1].stop if tasks else 0):
            raise _damaged(f"tasks[{number}] must begin where the task before it ends")
        tasks.append(task)
    if tasks[-1].stop != metadata["outputs"] or len({task.name for task in tasks}) < len(tasks):
        raise _damaged("the tasks must have different names, and all outputs")
    return tasks


def _task(facts: Any) -> Outputs:
    numpy_type, python_type = _CLASS_TYPES[facts["classes_dtype"]]
    name, kind, classes, (start, stop) = facts["name"], facts["kind"], facts["classes"], facts["columns"]
    if not isinstance(name, str) or kind not in KINDS or not isinstance(classes, list):
        raise ValueError("a name, kind or list of classes is wrong")
    if any(type(value) is not python_type for value in classes) or len(set(classes)) < len(classes):
        raise ValueError("the classes are not different labels of one type")
    width = n_outputs(kind, len(classes))
    if type(start) is not int or type(stop) is not int or start < 0 or stop != start + width or width < 1:
        raise ValueError("the columns do not fit the classes")
    least = {"regression": 0, "multilabel": 1}.get(kind, 2)
    if len(classes) < least or (kind == "binary" and len(classes) != 2):
        raise ValueError("the number of classes does not fit the kind")
    cuts, thresholds = (
        np.array([_finite(value) for value in facts[part]], dtype=np.float64) for part in ("cuts", "thresholds")
    )
    expected = [len(classes) - 1 if kind == "ordinal" else 0, len(classes) if kind == "multilabel" else 0]
    if [len(cuts), len(thresholds)] != expected:
        raise ValueError("cuts or thresholds do not fit the kind")
    center, spread, temperature = (_finite(facts[part]) for part in _NUMBERS)
    if not temperature > 0:
        raise ValueError("the temperature is not positive")
    names: NDArray[Any] = np.array(classes, dtype=numpy_type)
    return Outputs(name, kind, start, stop, names, cuts, thresholds, center, spread, temperature)


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e300:
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _read_layer(facts: Any, arrays: dict[str, NDArray[Any]], tasks: list[Outputs]) -> Layer | None:
    if facts is None:
        return None
    size = tasks[-1].stop
    if not isinstance(facts, dict) or facts.get("kind") not in LAYERS or size > _MAX_MIXED:
        raise _damaged(f"layer must be an object of kind {' or '.join(LAYERS)}; got {facts!r:.80}")
    order = facts.get("order")
    if not isinstance(order, list) or any(type(i) is not int or not 0 <= i < len(tasks) for i in order):
        raise _damaged(f"layer.order must be numbers of tasks; got {order!r:.80}")
    found = []
    for name, length in (("weights", size * size), ("own", size * size), ("bias", size)):
        array = arrays.get(f"{_LAYER}{name}")
        if array is None or array.dtype != np.dtype("<f8") or array.shape != (length,) or not np.isfinite(array).all():
            raise _damaged(f"array '{_LAYER}{name}' must hold {length} finite numbers of type float64")
        found.append(array)
    return Layer(facts["kind"], tuple(order), found[0].reshape(size, size), found[1].reshape(size, size), found[2])
