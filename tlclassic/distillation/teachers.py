"""Whatever gives probabilities for texts, as one kind of teacher: models, files, folders, URLs, functions, several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_texts
from tlclassic.distillation.digests import digest_of, digest_of_model, digest_of_path
from tlclassic.distillation.endpoint import Endpoint, is_url
from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.heads.targets import SUM_TOLERANCE

__all__ = ["ProbabilityTeacher", "open_teacher"]


@dataclass(frozen=True)
class ProbabilityTeacher:
    """Gives texts the probabilities of classes; made by :func:`open_teacher`.

    Attributes
    ----------
    name : str
        For people: a path, a URL, or the type of a model.
    classes : list
        Of str, int or bool, in the order of the columns.
    multilabel : bool
        Whether a text may have several labels: each column is a probability by itself.
    digest : str or None
        Hex, of everything that the probabilities depend on; None where that cannot be told.
    function : callable
        From a list of n texts to a matrix of shape (n, C).
    """

    name: str
    classes: list[Any]
    multilabel: bool
    digest: str | None
    function: Callable[[list[str]], Any] = field(repr=False, compare=False)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The probabilities of ``texts``, float32 of shape (n, C); rows sum to 1 unless ``multilabel``.

        Raises
        ------
        InvalidParameterError
            When the teacher gives something else; its first wrong row is named.
        """
        texts = list(check_texts(texts))
        if not texts:
            return np.empty((0, len(self.classes)), dtype=np.float32)
        return _checked(self.function(texts), len(texts), self)


def open_teacher(
    teacher: Any,
    *,
    classes: Sequence[Any] | None = None,
    multilabel: bool | None = None,
    weights: Any = None,
    digest: str | None = None,
    vectors: Any = None,
    timeout: float = 60.0,
    retries: int = 4,
) -> ProbabilityTeacher:
    """A teacher from whatever gives probabilities.

    Parameters
    ----------
    teacher : object
        One of: a fitted model with ``predict_proba`` and ``classes_``, which takes texts; the path of a saved model or
        of an encoder's folder; the URL of an endpoint (:class:`~tlclassic.distillation.endpoint.Endpoint`); a function
        from a list of texts to a matrix of shape (n, C), with ``classes``; a list of several of these, whose
        probabilities are averaged; a ProbabilityTeacher.
    classes : sequence, optional
        The order of the columns; the names of the columns of a function, or of a model that numbers its labels.
    multilabel : bool, optional
        Whether a text may have several labels; by default what the teacher says, else no.
    weights : array of shape (teachers,) or (teachers, C), optional
        For several teachers: their weights, or those for each class in the order of the columns.
    digest : str, optional
        Instead of the one that is computed: for functions and models that cannot be saved. Change it whenever the
        probabilities may change.
    vectors : path-like, WordVectors, or a list of those, optional
        For a path, as in :func:`tlclassic.load`.
    timeout, retries : float, int
        For a URL.

    Raises
    ------
    InvalidParameterError
        For something that gives no probabilities, or several teachers with different classes.
    InputError, ArtifactError
        For a path or URL that cannot be opened.

    Examples
    --------
    >>> long = open_teacher(lambda texts: [[0.2, 0.8] if len(t) > 4 else [0.7, 0.3] for t in texts], classes=["s", "l"])
    >>> both = open_teacher([long, long], weights=[3, 1])
    >>> both.probabilities(["tiny", "longer"])
    array([[0.7, 0.3],
           [0.2, 0.8]], dtype=float32)
    """
    wanted = None if classes is None else _listed(classes)
    opened = _open(teacher, wanted, multilabel, weights, vectors, {"timeout": timeout, "retries": retries})
    if digest is not None:
        if not isinstance(digest, str) or not digest:
            raise InvalidParameterError(f"digest must be a string that is not empty; got {digest!r}.")
        opened = replace(opened, digest=digest)
    return opened if wanted is None else _in_order(opened, wanted)


def _open(
    teacher: Any, classes: list[Any] | None, multilabel: bool | None, weights: Any, vectors: Any, line: dict[str, Any]
) -> ProbabilityTeacher:
    if isinstance(teacher, (list, tuple)):
        members = [
            open_teacher(member, classes=classes, multilabel=multilabel, vectors=vectors, **line) for member in teacher
        ]
        return _several(members, weights)
    if weights is not None:
        raise InvalidParameterError("weights are for a list of teachers; got one teacher. Leave them out.")
    if isinstance(teacher, ProbabilityTeacher):
        return teacher if multilabel is None else replace(teacher, multilabel=multilabel)
    if is_url(teacher):
        return _of_url(teacher, multilabel, line)
    if isinstance(teacher, (str, os.PathLike)):
        return _of_path(teacher, multilabel, vectors)
    if hasattr(teacher, "predict_proba"):
        name = type(getattr(teacher, "steps", [("", teacher)])[-1][1]).__name__
        return _of_model(teacher, name, None, multilabel, digest_of_model(teacher))
    if callable(teacher):
        if classes is None:
            raise InvalidParameterError("classes must name the columns that the function gives; got None.")
        return ProbabilityTeacher(getattr(teacher, "__name__", "function"), classes, bool(multilabel), None, teacher)
    remedy = "Calibrate it: CalibratedClassifierCV." if hasattr(teacher, "predict") else ""
    raise InvalidParameterError(
        "teacher must be a model with predict_proba, a path, a URL, a function or a list of these; "
        f"got {teacher!r:.100}. {remedy}".rstrip()
    )


# -- one teacher -----------------------------------------------------------------------------------------------------


def _of_path(path: str | os.PathLike[str], multilabel: bool | None, vectors: Any) -> ProbabilityTeacher:
    from tlclassic.opening import load_with_task

    name = os.fspath(path)
    if not Path(path).exists():
        raise InputError("there is no such file or folder", path=name, remedy="Check the path of the teacher")
    model, task = load_with_task(path, vectors=vectors)
    is_encoder = hasattr(model, "encoder") and Path(path).is_dir()
    digest = digest_of_model(model) if is_encoder else digest_of_path(path)
    labels = task.get("labels")
    return _of_model(model, name, labels, True if labels is not None else multilabel, digest)


def _of_model(
    model: Any, name: str, labels: Sequence[Any] | None, multilabel: bool | None, digest: str | None
) -> ProbabilityTeacher:
    if not getattr(model, "has_probabilities", True):
        raise InvalidParameterError(f"teacher must give probabilities; {name} was compiled from a model without.")
    said = getattr(model, "classes_", None)
    if labels is None and said is None:
        raise InvalidParameterError(f"teacher must have classes_; {name} has none. Fit it first.")
    if labels is None and isinstance(said, list) and said and np.ndim(said[0]):
        return _of_outputs(model, name, said, digest)
    classes = _listed(said if labels is None else labels)
    told = _is_multilabel(model)
    return ProbabilityTeacher(
        name, classes, bool(told if multilabel is None else multilabel), digest, model.predict_proba
    )


def _is_multilabel(model: Any) -> bool:
    """What the last step says of itself; scikit-learn's estimators name it differently."""
    head = getattr(model, "steps", [("", model)])[-1][1]
    for attribute in ("estimator_", "best_estimator_"):
        inner = getattr(head, attribute, None)
        if inner is not None and not hasattr(head, "multilabel_"):
            return _is_multilabel(inner)
    for attribute in ("multilabel_", "multilabel"):
        said = getattr(head, attribute, None)
        if isinstance(said, (bool, np.bool_)):
            return bool(said)
    binarizer = getattr(head, "_label_binarizer", None)
    return str(getattr(binarizer, "y_type_", "")).startswith("multilabel")


def _of_outputs(model: Any, name: str, said: list[Any], digest: str | None) -> ProbabilityTeacher:
    """scikit-learn's models of several outputs: a list with a matrix for each, of one label if it is 0 or 1."""
    outputs = [np.asarray(values) for values in said]
    if not all(set(values.tolist()) <= {0, 1} for values in outputs):
        raise InvalidParameterError(
            f"teacher must have one output, or labels that are there or not (0 and 1); {name} has {len(outputs)} "
            "outputs with other classes. Give one model for each output."
        )

    def positive(texts: list[str]) -> NDArray[np.float64]:
        columns = []
        for values, matrix in zip(outputs, model.predict_proba(texts), strict=True):
            at = np.flatnonzero(values == 1)
            columns.append(matrix[:, at[0]] if len(at) else np.zeros(len(matrix)))
        return np.column_stack(columns)

    return ProbabilityTeacher(name, list(range(len(outputs))), True, digest, positive)


def _of_url(url: str, multilabel: bool | None, line: dict[str, Any]) -> ProbabilityTeacher:
    endpoint = Endpoint(url, **line)
    digest = digest_of({"url": endpoint.url, "classes": endpoint.classes})
    several = bool(endpoint.multilabel if multilabel is None else multilabel)
    opened = ProbabilityTeacher(endpoint.url, endpoint.classes, several, digest, endpoint.probabilities)
    # Now, and not after the first thousand texts.
    _checked(endpoint.probe, 1, opened)
    return opened


# -- several ---------------------------------------------------------------------------------------------------------


def _several(members: list[ProbabilityTeacher], weights: Any) -> ProbabilityTeacher:
    if not members:
        raise InvalidParameterError("teacher must be at least one; got an empty list.")
    first = members[0]
    for member in members[1:]:
        if member.multilabel != first.multilabel:
            raise InvalidParameterError(
                f"teachers must all be multi-label or none; {first.name} and {member.name} differ. Pass multilabel=."
            )
    members = [first, *(_in_order(member, first.classes) for member in members[1:])]
    W = _weights(weights, len(members), len(first.classes))

    def average(texts: list[str]) -> NDArray[np.float64]:
        total = sum(W[i] * member.probabilities(texts) for i, member in enumerate(members))
        P = np.asarray(total, dtype=np.float64)
        return P if first.multilabel else P / np.maximum(P.sum(axis=1, keepdims=True), 1e-300)

    digests = [member.digest for member in members]
    digest = None if None in digests else digest_of({"teachers": digests, "weights": W.tolist()})
    name = " + ".join(member.name for member in members)
    return ProbabilityTeacher(name, first.classes, first.multilabel, digest, average)


def _weights(weights: Any, n: int, n_classes: int) -> NDArray[np.float64]:
    """Of shape (teachers, C); each column sums to 1."""
    try:
        given = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidParameterError(f"weights must be numbers; got {weights!r:.100}.") from None
    if given.shape not in ((n,), (n, n_classes)):
        raise InvalidParameterError(
            f"weights must have the shape {(n,)} or {(n, n_classes)}: one for each teacher, or for each and each class;"
            f" got {given.shape}."
        )
    W = np.broadcast_to(given.reshape(n, -1), (n, n_classes))
    if not np.isfinite(W).all() or (W < 0).any() or not (W.sum(axis=0) > 0).all():
        raise InvalidParameterError(f"weights must be at least 0 and not all 0; got {given.tolist()!r:.100}.")
    return np.asarray(W / W.sum(axis=0))


# -- columns ---------------------------------------------------------------------------------------------------------


def _listed(classes: Any) -> list[Any]:
    listed = [name.item() if isinstance(name, np.generic) else name for name in classes]
    if isinstance(classes, (str, bytes)) or not listed or len(set(listed)) != len(listed):
        raise InvalidParameterError(f"classes must be a list of different names; got {classes!r:.200}.")
    return listed


def _in_order(teacher: ProbabilityTeacher, classes: list[Any]) -> ProbabilityTeacher:
    """The teacher with its columns in the order of ``classes``."""
    if _same(teacher.classes, classes):
        return teacher
    places = _places(teacher.classes, classes)
    if places is None and len(classes) == len(teacher.classes) and _same(teacher.classes, list(range(len(classes)))):
        places = list(range(len(classes)))  # numbered columns get their names
    if places is None:
        raise InvalidParameterError(
            f"the classes of {teacher.name} must be {classes!r:.300}; got {teacher.classes!r:.300}. All teachers need "
            "the same classes."
        )
    order = np.array(places)
    digest = None if teacher.digest is None else digest_of({"teacher": teacher.digest, "order": places})
    return replace(
        teacher, classes=classes, digest=digest, function=lambda texts: teacher.probabilities(texts)[:, order]
    )


def _places(have: list[Any], want: list[Any]) -> list[int] | None:
    """Where each of ``want`` stands in ``have``; those that JSON or a header made strings of are found as well."""
    for key in (lambda value: (type(value), value), str):
        keys = [key(value) for value in have]
        wanted = [key(value) for value in want]
        if sorted(map(repr, keys)) == sorted(map(repr, wanted)):
            return [keys.index(value) for value in wanted]
    return None


def _same(left: list[Any], right: list[Any]) -> bool:
    return left == right and [type(value) for value in left] == [type(value) for value in right]


def _checked(given: Any, n: int, teacher: ProbabilityTeacher) -> NDArray[np.float32]:
    names = list(getattr(given, "columns", []))
    if names and (places := _places(names, teacher.classes)) is not None:
        given = given.iloc[:, places] if hasattr(given, "iloc") else given
    try:
        P = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidParameterError(f"{teacher.name} must give a matrix of numbers; got {given!r:.100}.") from None
    if P.shape != (n, len(teacher.classes)):
        raise InvalidParameterError(
            f"{teacher.name} must give a matrix of shape {(n, len(teacher.classes))}; got {P.shape}."
        )
    fits = ((P >= -SUM_TOLERANCE) & (P <= 1.0 + SUM_TOLERANCE)).all(axis=1)
    sums = P.sum(axis=1)
    if not teacher.multilabel:
        fits &= np.abs(sums - 1.0) <= SUM_TOLERANCE
    if not fits.all():
        row = int(np.flatnonzero(~fits)[0])
        remedy = "" if teacher.multilabel else " If a text may have several labels, pass multilabel=True."
        raise InvalidParameterError(
            f"{teacher.name} must give probabilities{'' if teacher.multilabel else ' that sum to 1'}; text {row} got "
            f"{P[row].tolist()!r:.120}.{remedy}"
        )
    P = P if teacher.multilabel else P / sums[:, None]
    return np.clip(P, 0.0, 1.0).astype(np.float32)
