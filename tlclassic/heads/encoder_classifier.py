"""``EncoderClassifier``: a transformer encoder with its heads, opened from a folder and run through onnxruntime."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from tlclassic._validate import check_choice
from tlclassic.errors import EncoderFormatError, InvalidParameterError
from tlclassic.heads.encoder_heads import HEADS_FILE, TOKEN_HEADS_FILE, Heads, TaskHead, read_heads
from tlclassic.heads.predicting import LogitClassifier

__all__ = ["EncoderClassifier", "folder_task", "open_encoder_folder"]

#: A config.json is a few kB; a label for each of a hundred thousand classes would still fit.
MAX_CONFIG = 1 << 24
#: What the one task of a folder without names is called.
DEFAULT_TASK = "label"
_ENCODER_PARAMS = ("file", "max_length", "threads", "cache", "progress")
_TASK_KEYS = ("text", "label", "separator")
#: What transformers takes where ``id2label`` is not written.
_TWO_LABELS = {"0": "LABEL_0", "1": "LABEL_1"}


class EncoderClassifier(LogitClassifier, BaseEstimator):  # type: ignore[misc]
    """A classifier of texts read from a folder: a fine-tuned encoder, or a Hugging Face sequence classifier in ONNX.

    It is trained already, so ``fit`` refuses: fine-tune again for other data, or fit a head on
    :class:`~tlclassic.OnnxEncoder`. Nothing is opened before it is used; copies in worker processes open the folder
    again, by its path.

    Parameters
    ----------
    model : path-like
        A folder with ``heads.tlc`` as fine-tuning writes it, or one whose graph has the output ``logits``. There the
        classes are the names in ``id2label`` of ``config.json``, several labels a text where ``problem_type`` is
        ``"multi_label_classification"``, and 0 and 1 where there is one logit.
    task : str, optional
        Which of the folder's tasks; the first by default.
    file, max_length, threads, cache, progress
        As for :class:`~tlclassic.OnnxEncoder`.

    Attributes
    ----------
    classes_ : array of shape (C,)
    multilabel_ : bool
        Whether a text may have several labels.
    labels : list or None
        The labels of a multi-label task, in the order of the columns of ``predict``; None for other tasks.
    thresholds_ : float64 array of shape (C,), or None
        Of a multi-label task: the probability from which a label is given; None for above one half.
    tasks : list of str
    encoder : OnnxEncoder

    Raises
    ------
    EncoderFormatError
        On first use: the folder holds no classifier, or its parts do not belong together.
    InvalidParameterError
        On first use: it has no such ``task``.

    Examples
    --------
    >>> model = EncoderClassifier("out/")  # doctest: +SKIP
    >>> model.predict(["why was i charged twice"])  # doctest: +SKIP
    array(['card_payment_fee_charged'], dtype='<U24')
    """

    def __init__(
        self,
        model: Any,
        *,
        task: str | None = None,
        file: str = "auto",
        max_length: int | None = None,
        threads: int | None = None,
        cache: Any = None,
        progress: Any = None,
    ) -> None:
        self.model = model
        self.task = task
        self.file = file
        self.max_length = max_length
        self.threads = threads
        self.cache = cache
        self.progress = progress

    # -- what the folder holds ---------------------------------------------------------------------------------------

    def open(self) -> Self:
        """Open the folder and check that its parts belong together; gives itself back. Raises as the class says."""
        _ = self._opened.head
        self._opened.check()
        return self

    @property
    def _opened(self) -> _Opened:
        """What the present parameters open; kept until one of them changes."""
        params = self.get_params(deep=False)
        kept = self.__dict__.get("_kept")
        if kept is None or any(kept[0][name] is not value for name, value in params.items()):
            kept = (params, _Opened(params))
            self._kept = kept
        opened: _Opened = kept[1]
        return opened

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks that the folder has heads for."""
        heads = self._opened.heads
        return [DEFAULT_TASK] if heads is None else heads.names

    @property
    def encoder(self) -> Any:
        """The :class:`~tlclassic.OnnxEncoder` below the heads."""
        return self._opened.encoder

    @property
    def classes_(self) -> NDArray[Any]:  # type: ignore[override]
        """The classes, of shape (C,)."""
        return self._opened.head.classes_

    @property
    def multilabel_(self) -> bool:  # type: ignore[override]
        """Whether a text may have several labels."""
        return self._opened.head.multilabel_

    @property
    def thresholds_(self) -> NDArray[np.float64] | None:
        """The thresholds of a multi-label task, of shape (C,), if it has any."""
        return self._opened.head.thresholds_

    @property
    def labels(self) -> list[Any] | None:
        """The labels of a multi-label task, else None."""
        return self.classes_.tolist() if self.multilabel_ else None

    # -- use ---------------------------------------------------------------------------------------------------------

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Refused: the model is trained already.

        Raises
        ------
        InvalidParameterError
            Always.
        """
        raise InvalidParameterError(
            "EncoderClassifier cannot be fitted: it is a trained model, opened from a folder. Fine-tune the encoder on "
            "these texts (tlclassic finetune), or fit a head on its vectors: "
            "make_pipeline(OnnxEncoder(folder), LogisticRegression()).fit(X, y)."
        )

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The encoder's vectors, float32 of shape (n, dim): what the heads of a fine-tuned encoder take."""
        vectors: NDArray[np.float32] = self.encoder.transform(X)
        return vectors

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each text; of a multi-label task the int64 indicator matrix of its labels."""
        features, head = self.as_steps()
        return head.predict(features.transform(X))

    def predict_tasks(self, X: Any) -> dict[str, NDArray[Any]]:
        """The predictions of every task, each text encoded once."""
        heads = self._opened.heads
        if heads is None:
            return {DEFAULT_TASK: self.predict(X)}
        vectors = self.transform(X)
        return {task.name: TaskHead.of(task).predict(vectors) for task in heads}

    def predict_proba_tasks(self, X: Any) -> dict[str, NDArray[np.float64]]:
        """The probabilities of every task, (n, C) in the order of its classes, each text encoded once.

        They are soft labels of several tasks, as a model of several tasks is distilled from.
        """
        heads = self._opened.heads
        if heads is None:
            return {DEFAULT_TASK: self.predict_proba(X)}
        vectors = self.transform(X)
        return {task.name: TaskHead.of(task).predict_proba(vectors) for task in heads}

    def classes_of_tasks(self) -> dict[str, NDArray[Any]]:
        """The classes of every task, in the order of its columns."""
        heads = self._opened.heads
        return {DEFAULT_TASK: self.classes_} if heads is None else {task.name: task.classes for task in heads}

    def as_steps(self) -> tuple[Any, TaskHead]:
        """What turns texts into rows, by ``transform``, and the classifier of those rows."""
        return _Features(self._opened.features), self._opened.head

    def _logits(self, X: Any) -> NDArray[np.float64]:
        features, head = self.as_steps()
        return head._logits(features.transform(X))

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.requires_fit = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # A session cannot be sent to another process, and need not be: the folder is opened there.
        state = {name: value for name, value in super().__getstate__().items() if name != "_kept"}
        if isinstance(state["model"], (str, os.PathLike)):
            state["model"] = os.path.abspath(state["model"])
        return state


@dataclass(frozen=True)
class _Features:
    """What gives a head its rows, with the verb of scikit-learn."""

    function: Callable[[Any], Any]

    def transform(self, X: Any) -> Any:
        return self.function(X)


class _Opened:
    """A folder's encoder and heads, each opened when it is asked for."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._model = params["model"]
        self._task = params["task"]
        self._options = {name: params[name] for name in _ENCODER_PARAMS}

    @cached_property
    def encoder(self) -> Any:
        # What a folder says of its task is read without onnxruntime.
        from tlclassic.encoders import OnnxEncoder

        return OnnxEncoder(self._model, **self._options)

    @cached_property
    def heads(self) -> Heads | None:
        path = _path_of(self._model, HEADS_FILE)
        if path is None and _path_of(self._model, TOKEN_HEADS_FILE) is not None:
            folder = os.fspath(self._model)
            raise EncoderFormatError(
                "this encoder was fine-tuned on tagged tokens and labels no texts",
                path=folder,
                remedy=f"Train a tagger on its states: tlclassic tag train TRAIN --encoder {folder} --out tagger.tlc",
            )
        return read_heads(path) if path is not None else None

    @cached_property
    def head(self) -> TaskHead:
        if self.heads is not None:
            return TaskHead.of(self.heads[self.heads.names[0] if self._task is None else self._task])
        if self._task is not None:
            check_choice("task", self._task, [DEFAULT_TASK])
        config = _read_config(self._model)
        # Not written for two labels without names; nor for an encoder without a head.
        if "id2label" not in config:
            self.check()
        return _sequence_head(config, os.fspath(self._model))

    @property
    def features(self) -> Callable[[Any], Any]:
        method: Callable[[Any], Any] = self.encoder.logits if self.heads is None else self.encoder.transform
        return method

    def check(self) -> None:
        """Raise unless the graph gives what the head takes."""
        if self.heads is None and self.encoder.output != "logits":
            raise _no_classifier(os.fspath(self._model))
        if self.heads is not None and self.encoder.dim != self.heads.dim:
            raise EncoderFormatError(
                f"the heads take vectors of {self.heads.dim} numbers, but the encoder beside them gives "
                f"{self.encoder.dim}",
                path=_path_of(self._model, HEADS_FILE),
                remedy="Put back the files that were written together",
            )


def open_encoder_folder(path: str | os.PathLike[str], **options: Any) -> EncoderClassifier:
    """The classifier in the folder ``path``, opened and checked; ``options`` are those of :class:`EncoderClassifier`.

    Raises
    ------
    EncoderFormatError
        When the folder holds no classifier, or its parts do not belong together.
    InvalidParameterError
        When it has no such ``task``.
    """
    return EncoderClassifier(os.fspath(path), **options).open()


def folder_task(path: str | os.PathLike[str], task: str | None = None) -> dict[str, Any]:
    """What the folder says of a task (default: its first): columns, separator, and the labels of a multi-label one.

    Returns
    -------
    dict
        ``"multilabel"`` and ``"labels"`` (None unless multi-label); ``"text"``, ``"label"`` and ``"separator"`` as far
        as they are known.
    """
    opened = _Opened({"model": os.fspath(path), "task": task, **dict.fromkeys(_ENCODER_PARAMS)})
    head = opened.head
    known = {"multilabel": head.multilabel_, "labels": head.classes_.tolist() if head.multilabel_ else None}
    if opened.heads is None:
        return known
    said = opened.heads.provenance.get("task")
    said = said if isinstance(said, dict) else {}
    columns = {key: said[key] for key in _TASK_KEYS if isinstance(said.get(key), str) and said[key]}
    if len(opened.heads) > 1:
        # One label column a task, named as the task is.
        columns["label"] = task or opened.heads.names[0]
    return {**columns, **known}


# -- sequence classifiers as the ecosystem lays them out -------------------------------------------------------------


def _sequence_head(config: dict[str, Any], path: str) -> TaskHead:
    names = _class_names(config, path)
    problem = config.get("problem_type")
    if problem == "regression":
        raise EncoderFormatError(
            "the graph predicts a number (problem_type 'regression') and no class",
            path=path,
            remedy="Use OnnxEncoder(path).logits(texts)",
        )
    multilabel = problem == "multi_label_classification"
    # One logit is that of the second of two classes, and has one name or none.
    classes = np.array([0, 1]) if len(names) == 1 and not multilabel else np.array(names)

    def logits(values: Any) -> NDArray[np.float64]:
        values = np.asarray(values)
        if values.shape[1] != len(names):
            raise EncoderFormatError(
                f"the graph gives {values.shape[1]} logits, but config.json names {len(names)} labels",
                path=path,
                remedy="Correct id2label",
            )
        return np.asarray(values, dtype=np.float64)

    return TaskHead(classes, multilabel, None, logits)


def _class_names(config: dict[str, Any], path: str) -> list[str]:
    """The names in the order of the logits."""
    table = config.get("id2label", _TWO_LABELS)
    names = [table.get(str(number)) for number in range(len(table))] if isinstance(table, dict) else []
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise EncoderFormatError(
            f"id2label must give each number from 0 on a name of its own; got {table!r:.200}",
            path=os.path.join(path, "config.json"),
            remedy="Correct it",
        )
    return [str(name) for name in names]


def _no_classifier(path: str) -> EncoderFormatError:
    return EncoderFormatError(
        f"there is no classifier in this folder: neither {HEADS_FILE} nor a graph with the output 'logits' and the "
        "names of its labels (id2label in config.json)",
        path=path,
        remedy="An encoder without a head is opened with OnnxEncoder(path); fit a head on it, or fine-tune it",
    )


def _read_config(model: Any) -> dict[str, Any]:
    path = _path_of(model, "config.json")
    if path is None:
        raise _no_classifier(os.fspath(model))
    try:
        if path.stat().st_size > MAX_CONFIG:
            raise EncoderFormatError(f"larger than {MAX_CONFIG} bytes", path=path, remedy="Put back the real file")
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise EncoderFormatError(f"cannot be read ({error.strerror})", path=path, remedy="Check the path") from error
    except (ValueError, RecursionError) as error:
        raise EncoderFormatError(f"not valid JSON ({error})", path=path, remedy="Put back the real file") from error
    if not isinstance(config, dict):
        raise EncoderFormatError("must hold an object", path=path, remedy="Put back the real file")
    return config


def _path_of(model: Any, name: str) -> Path | None:
    """The file ``name`` of the folder, if it is there."""
    if not isinstance(model, (str, os.PathLike)):
        raise InvalidParameterError(f"model must be the path of a folder; got {model!r:.80}.")
    if not os.path.isdir(model):
        raise EncoderFormatError("there is no such folder", path=model, remedy="Check the path")
    path = Path(model) / name
    return path if path.is_file() else None
