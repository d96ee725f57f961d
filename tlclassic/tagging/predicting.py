"""What fitted and compiled taggers do alike: predict, probabilities of labels, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError
from tlclassic.tagging.features import check_sentences
from tlclassic.tagging.model import TaggerModel, probabilities
from tlclassic.tagging.scoring import entity_scores, token_accuracy
from tlclassic.tagging.states import States, read_states
from tlclassic.tagging.tasks import Task

__all__ = ["Predictor"]


class Predictor:
    """Predictions of a ``TaggerModel``."""

    states: States | None

    @property
    def _model(self) -> TaggerModel:
        raise NotImplementedError

    def predict(self, sentences: Sequence[Sequence[str]]) -> Any:
        """Tags of every sentence, legal in their scheme.

        Parameters
        ----------
        sentences : sequence of n lists of tokens

        Returns
        -------
        list of n lists of tags, or dict
            A dict, as in ``fit``, where the tasks had names: for each a list of n lists of tags, n labels or n lists of
            labels.
        """
        found = self._predict(sentences)
        return found if self._model.named else found[self._model.tasks[0].name]

    def _predict(self, sentences: Sequence[Sequence[str]]) -> dict[str, list[Any]]:
        sentences = check_sentences(sentences)
        return self._model.predict(sentences, self._states(sentences))

    def _states(self, sentences: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        model = self._model
        wanted = model.width
        if wanted and self.states is None:
            raise InvalidParameterError(
                f"states must be given: the tagger was fitted with {wanted} numbers a token. Pass states= on loading."
            )
        states = read_states(self.states if wanted else None, sentences)
        if len(sentences) and states.shape[1] != wanted:
            raise InvalidParameterError(f"states must give {wanted} numbers a token; got {states.shape[1]}.")
        return states if states.shape[1] == wanted else np.zeros((0, wanted), np.float32)

    def predict_proba(self, sentences: Sequence[Sequence[str]], task: str) -> NDArray[np.float32]:
        """Probabilities of a task of labels, float32 of shape (n, C), in the order of the task's ``classes``.

        Raises
        ------
        InvalidParameterError
            When ``task`` names none, or one that tags tokens.
        """
        sentences = check_sentences(sentences)
        logits = self._model.label_scores(sentences, self._states(sentences), task)
        return probabilities(next(one for one in self._model.tasks if one.name == task), logits)

    def score(self, sentences: Sequence[Sequence[str]], tags: Any) -> float:
        """The mean of the tasks' main scores: entity F1, token accuracy, accuracy or micro F1 of labels."""
        scores = self.evaluate(sentences, tags)
        return float(np.mean([facts["score"] for facts in scores.values()]))

    def evaluate(self, sentences: Sequence[Sequence[str]], tags: Any) -> dict[str, dict[str, Any]]:
        """Each task's scores on labelled sentences; those without tags or label are left out.

        Returns
        -------
        dict
            Task → ``score`` (entity F1 where tags mark entities, else token accuracy; accuracy of one label, micro F1
            of several), ``metric`` (its name), ``accuracy``, ``entities`` where there are any, ``n_sentences``.

        Raises
        ------
        InvalidParameterError
            When ``tags`` lacks a task or a sentence.
        """
        sentences = check_sentences(sentences)
        model = self._model
        given = dict(tags) if isinstance(tags, Mapping) else {model.tasks[0].name: tags}
        predicted = self._predict(sentences)
        scores = {}
        for task in model.tasks:
            if task.name not in given:
                if isinstance(tags, Mapping):
                    continue
                raise InvalidParameterError(f"tags must be a dict that holds {task.name!r}; got a list.")
            truth = list(given[task.name])
            if len(truth) != len(sentences):
                raise InvalidParameterError(f"{task.name} must hold {len(sentences)} sentences; got {len(truth)}.")
            kept = [place for place, value in enumerate(truth) if value is not None]
            scores[task.name] = _scores(task, [truth[i] for i in kept], [predicted[task.name][i] for i in kept])
        if not scores:
            known = [task.name for task in model.tasks]
            raise InvalidParameterError(f"tags must hold one of the tasks {known}; got {list(given)}.")
        return scores


def _scores(task: Task, truth: list[Any], predicted: list[Any]) -> dict[str, Any]:
    n = {"n_sentences": len(truth)}
    if task.kind == "tags":
        accuracy = token_accuracy(truth, predicted)
        if task.scheme == "none":
            return {"score": accuracy, "metric": "token_accuracy", "accuracy": accuracy, **n}
        found = entity_scores(truth, predicted)
        return {"score": found.f1, "metric": "entity_f1", "accuracy": accuracy, "entities": found.as_dict(), **n}
    if task.kind == "label":
        accuracy = sum(a == b for a, b in zip(truth, predicted, strict=True)) / max(1, len(truth))
        return {"score": accuracy, "metric": "accuracy", "accuracy": accuracy, **n}
    sets = [(set(a), set(b)) for a, b in zip(truth, predicted, strict=True)]
    right, total = sum(len(a & b) for a, b in sets), sum(len(a) + len(b) for a, b in sets)
    exact = sum(a == b for a, b in sets) / max(1, len(sets))
    return {"score": 2 * right / max(1, total), "metric": "micro_f1", "accuracy": exact, **n}
