"""Models of several tasks: their outputs as one linear map, its tables split by task where that is smaller."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.folding.budget import Ranking
from tlclassic.folding.exact import exact_logits
from tlclassic.folding.linear import Linear, Part
from tlclassic.folding.measure import PROBABILITY_TOLERANCE, ParityError, logit_error
from tlclassic.folding.tables import NgramTable, Table
from tlclassic.runtime import CompiledClassifier
from tlclassic.runtime.multitask import CompiledTasks, described, layer_arrays
from tlclassic.runtime.tasks import Layer, Outputs

__all__ = ["Tasks", "TasksDev", "is_multi_task"]

_BATCH = 1024
#: Bytes that a block takes beside its contents, at most.
_BLOCK = 256


def is_multi_task(model: Any) -> bool:
    """Whether ``model`` is a fitted :class:`tlclassic.MultiTaskClassifier`."""
    ours = type(model).__module__.startswith("tlclassic.multitask")
    return ours and type(model).__name__ == "MultiTaskClassifier"


@dataclass(frozen=True, eq=False)
class Tasks:
    """The tasks of a model, and what lies between them: what a compiled classifier has not."""

    model: Any
    outputs: list[Outputs]
    layer: Layer | None

    @classmethod
    def of(cls, model: Any) -> Tasks:
        """Raises InvalidParameterError for a model that does not start from texts."""
        if model.features_ is None:
            raise InvalidParameterError(
                "fitted must start from texts; got a MultiTaskClassifier of a matrix. Fit it on texts, with the steps "
                "before it as its features."
            )
        return cls(model, list(model.outputs_), model.layer_)

    def linear(self) -> Linear:
        """The outputs of all tasks side by side, before the layer between them."""
        model = self.model
        coef, columns = np.asarray(model.coef_, dtype=np.float64), model.columns_
        if columns is not None and type(model.features_).__name__ != "NgramVectorizer":
            # Columns by number are for n-grams alone; of any other features all have their place.
            width = int(model.features_.transform([""]).shape[1])
            full = np.zeros((len(coef), width))
            full[:, columns] = coef
            coef, columns = full, None
        part = Part(coef, (("features", model.features_),), columns)
        intercept: NDArray[np.float64] = np.asarray(model.intercept_, dtype=np.float64)
        # Outputs that are read by task: here they have numbers for names, and no link.
        return Linear((part,), intercept, np.arange(len(coef)), "none", multilabel=True)

    def split(self, tables: Sequence[Table]) -> list[Table]:
        """Tables of n-grams by task, where those are smaller than one with a column for every output.

        Tasks over the same texts have weights for the same n-grams, and share a table. Of tasks from files that share
        no text most n-grams occur in one file alone.
        """
        result: list[Table] = []
        for table in tables:
            parts = self._parts(table) if isinstance(table, NgramTable) and table.idf is None else []
            smaller = parts and sum(map(_size, parts)) < _size(table)
            result += parts if smaller else [table]
        return result

    def _parts(self, table: NgramTable) -> list[NgramTable]:
        parts = []
        for task in self.outputs:
            weights = table.weights[:, task.columns]
            rows = np.flatnonzero(weights.any(axis=1))
            if len(rows):
                own = np.ascontiguousarray(weights[rows])
                parts.append(replace(table, buckets=table.buckets[rows], weights=own, columns=(task.start, task.stop)))
        return parts if len(parts) > 1 else []

    @property
    def n_bytes(self) -> int:
        """About how many bytes of a file are the tasks' and not the tables'."""
        facts = json.dumps(described(self.outputs, self.layer))
        return len(facts) + sum(array.nbytes + _BLOCK for array in layer_arrays(self.layer).values())

    def wrap(self, compiled: CompiledClassifier) -> CompiledTasks:
        """The compiled outputs as tasks again."""
        metadata = {**compiled.metadata, **described(self.outputs, self.layer)}
        return CompiledTasks(metadata, {**compiled._arrays, **layer_arrays(self.layer)})

    def check(self, compiled: CompiledClassifier, texts: Sequence[str]) -> None:
        """Hold the answers against the model's own.

        Raises
        ------
        ParityError
            When the probabilities of most texts differ by more than 1e-3.
        """
        expected, got = _by_task(self.model.predict_proba(list(texts)), self.outputs), self.wrap(compiled)
        for name, found in got.predict_proba(texts).items():
            difference = np.abs(np.reshape(found, (len(texts), -1)) - np.reshape(expected[name], (len(texts), -1)))
            scale = max(1.0, float(np.abs(expected[name]).max(initial=0.0)))
            error = float(np.median(difference.max(axis=1)))
            if not error <= PROBABILITY_TOLERANCE * scale:
                raise ParityError(
                    f"the compiled model's answers to task {name!r} differ from its source's by {error:g}. This is a "
                    "fault of tlclassic: please report it with the model's parameters."
                )


def _size(table: Table) -> int:
    assert isinstance(table, NgramTable)  # only those are split
    return Ranking(table, np.arange(len(table.buckets))).size(len(table.buckets), table.weights.shape[1], "float32")


def _by_task(found: Any, outputs: Sequence[Outputs]) -> dict[str, Any]:
    """Answers of a model fitted on a dict or an array."""
    if isinstance(found, Mapping):
        return dict(found)
    values = found if isinstance(found, list) else [found] if len(outputs) == 1 else list(np.asarray(found).T)
    return dict(zip([task.name for task in outputs], values, strict=True))


@dataclass(frozen=True, eq=False)
class TasksDev:
    """Texts to report on, and what the source says of them; as :class:`tlclassic.folding.measure.Dev`."""

    tasks: Tasks
    linear: Linear
    texts: Sequence[str]
    logits: NDArray[np.float64]
    predictions: dict[str, NDArray[Any]]
    labels: Any

    @classmethod
    def of(cls, tasks: Tasks, linear: Linear, texts: Sequence[str], labels: Any) -> TasksDev:
        """Apply the model to ``texts``, in batches."""
        batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
        logits = np.concatenate([exact_logits(linear, batch) for batch in batches])
        predictions = _by_task(tasks.model.predict(list(texts)), tasks.outputs)
        return cls(tasks, linear, texts, logits, predictions, labels)

    def source_scores(self) -> dict[str, Any]:
        """The source's mean metric, and each task's, where there are labels."""
        return {} if self.labels is None else _scores(self.tasks.model.score_tasks(list(self.texts), self.labels))

    def scores(self, compiled: CompiledClassifier) -> dict[str, Any]:
        """Largest error of an output, agreement with the source (the mean over the tasks), metrics."""
        got = np.asarray(compiled.decision_function(self.texts), dtype=np.float64).reshape(len(self.texts), -1)
        wrapped = self.tasks.wrap(compiled)
        predictions = wrapped.predict(self.texts)
        kinds = wrapped.kinds_
        same = [
            _agreement(predictions[name], self.predictions[name]) for name in predictions if kinds[name] != "regression"
        ]
        scores = {} if self.labels is None else _scores(self._measured(got))
        agreement = {"agreement": float(np.mean(same))} if same else {}
        return {"max_logit_error": logit_error(self.linear, self.logits, got), **agreement, **scores}

    def _measured(self, logits: NDArray[np.float64]) -> dict[str, float]:
        layer = self.tasks.layer
        final = logits if layer is None else layer.apply(self.tasks.outputs, logits)
        found: dict[str, float] = self.tasks.model._scores_of(final, self.labels)
        return found


def _agreement(left: NDArray[Any], right: NDArray[Any]) -> float:
    same = left == right
    return float((same.all(axis=1) if same.ndim == 2 else same).mean())


def _scores(by_task: Mapping[str, float]) -> dict[str, Any]:
    known = {name: score for name, score in by_task.items() if not np.isnan(score)}
    return {"score": float(np.mean(list(known.values()))), "scores": known} if known else {}
