"""``tlclassic_textcat``: a classifier that tlclassic made, as a component of a spaCy pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.spacy_ext.attributions import TokenAttributions, attribute
from tlclassic.spacy_ext.classifiers import TextModel, open_model
from tlclassic.spacy_ext.component import ModelComponent
from tlclassic.spacy_ext.scoring import CATS_WEIGHTS, score_cats

require("spacy", purpose="tlclassic_textcat")
from spacy.language import Language  # noqa: E402
from spacy.tokens import Doc, Span  # noqa: E402

__all__ = ["FACTORY", "TextcatComponent", "make_textcat"]

FACTORY = "tlclassic_textcat"
#: The extension of documents and spans that holds results: component → label and scores.
EXTENSION = "tlclassic"
#: What has an annotation of its own: the document, its sentences, its entities; else a key of ``doc.spans``.
UNITS = ("doc", "sents", "ents")
#: Where spaCy keeps the value of a document's extension attribute; writing there takes a tenth of the time.
_KEY = ("._.", EXTENSION, None, None)


def _set_extensions() -> None:
    for owner in (Doc, Span):
        if not owner.has_extension(EXTENSION):
            owner.set_extension(EXTENSION, default=None)


# Design: a text is scored as a text. Asking spaCy for `doc.text` costs half of what getting the same string from the
# tokens' arrays (`to_array` and the string store) does, and the compiled model reads bytes at gigabytes a second with
# the tokens that it was trained with, which are not spaCy's.
class TextcatComponent(ModelComponent):
    """Sets ``doc.cats`` and ``doc._.tlclassic[name]``, a dict of ``label`` (or ``labels``) and ``scores``.

    Of an encoder that was fine-tuned for several tasks these are the first one's, and ``tasks`` holds such a dict for
    each; a text is encoded once.

    Labels keep their type there; ``doc.cats`` has them as strings. Made by ``nlp.add_pipe("tlclassic_textcat",
    config={"model": path})``.

    Parameters
    ----------
    vocab : Vocab
    name : str
    model : path-like or None
        A compiled classifier, a pipeline saved by :func:`tlclassic.save`, a cascade or a fine-tuned encoder's folder.
        None: an :class:`~tlclassic.NgramClassifier` is trained by ``nlp.update``.
    store : {"embed", "refer"}, default "embed"
        Whether a saved pipeline holds the model's files, or their path and digest.
    threshold : float or None, default None
        From which score a label is given where a document may have several; None: the model's own.
    units : list of str, default ["doc"]
        What is classified: "doc", "sents", "ents", or a key of ``doc.spans``; spans have ``span._.tlclassic``.
    multilabel : bool, default False
        Of a model that is trained here: whether a document may have several labels.
    options : dict, optional
        Of a model that is trained here: parameters of ``NgramClassifier``.
    threads : int, default 1
        Of a compiled classifier.
    """

    _without_model = (
        "there is none yet. Set it in the config to a model saved by tlclassic, or train one: nlp.initialize(...)"
    )

    def __init__(
        self,
        vocab: Any,
        name: str = FACTORY,
        *,
        model: str | os.PathLike[str] | None = None,
        store: str = "embed",
        threshold: float | None = None,
        units: Sequence[str] = ("doc",),
        multilabel: bool = False,
        options: dict[str, Any] | None = None,
        threads: int = 1,
    ) -> None:
        check_integer("threads", threads, low=1)
        if threshold is not None:
            check_number("threshold", threshold, low=0, high=1)
        if isinstance(units, str) or not units or not all(isinstance(unit, str) and unit for unit in units):
            raise InvalidParameterError(
                f"units must be a list of 'doc', 'sents', 'ents' or keys of doc.spans; got {units!r}."
            )
        cfg = {
            "threshold": threshold,
            "units": list(units),
            "multilabel": multilabel,
            "options": dict(options or {}),
            "threads": threads,
        }
        super().__init__(vocab, name, model, store, cfg)
        _set_extensions()

    def _open(self, path: Path) -> TextModel:
        _set_extensions()
        return open_model(path, self.cfg["threshold"])

    def _save(self, path: Path) -> None:
        from tlclassic.pipelines import save

        text_model = self.opened
        task = {"multilabel": text_model.multilabel, "labels": text_model.classes if text_model.multilabel else None}
        save(text_model.model, path, metadata={"task": task})

    @property
    def classifier(self) -> Any:
        """The model itself, for what it offers beyond the component."""
        return self.opened.model

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels as ``doc.cats`` has them; none before a model is there."""
        if not self._can_tell:
            return ()
        return tuple(self.opened.names)

    @property
    def label_data(self) -> tuple[str, ...] | None:
        """The labels, for ``spacy init labels``."""
        return self.labels or None

    # -- annotating --------------------------------------------------------------------------------------------------

    def predict(self, docs: Sequence[Any]) -> list[tuple[str, list[Any], NDArray[np.float64], dict[str, Any]]]:
        """For each unit its name, the documents or spans, their scores of shape (n, n_labels), and those of tasks."""
        model = self.opened
        found = []
        for unit in self.cfg["units"]:
            pieces = list(docs) if unit == "doc" else list(_pieces(docs, unit))
            texts = [piece.text for piece in pieces]
            tasks = model.task_scores(texts) if model.tasks else {}
            # A folder is opened for its first task.
            own = next(iter(tasks.values()), None)
            scores = model.scores(texts, self.cfg["threads"]) if own is None else own
            found.append((unit, pieces, scores, tasks))
        return found

    def set_annotations(self, docs: Sequence[Any], predictions: Any) -> None:
        """Write what :meth:`predict` gave."""
        model = self.opened
        for unit, pieces, scores, tasks in predictions:
            results = _results(model, scores)
            for name, values in tasks.items():
                for result, of_task in zip(results, _results(model.tasks[name], values), strict=True):
                    result.setdefault("tasks", {})[name] = of_task
            for piece, result in zip(pieces, results, strict=True):
                if unit == "doc":
                    piece.cats = {**piece.cats, **result["scores"]}
                    data = piece.user_data
                    data[_KEY] = {**(data.get(_KEY) or {}), self.name: result}
                else:
                    piece._.tlclassic = {**(piece._.tlclassic or {}), self.name: result}

    def explain(self, doc_or_span: Any, label: Any = None) -> TokenAttributions:
        """What each token of a document or a span adds to the logit of ``label`` (None: the most probable one).

        Raises
        ------
        InvalidParameterError
            When the model is not linear over words, or ``label`` is none of its classes.
        """
        tokens = doc_or_span
        start = tokens.start_char if isinstance(tokens, Span) else 0
        return attribute(self._explaining().explain(tokens.text, label), tokens, start)

    def _explaining(self) -> Any:
        model = self.opened.model
        if hasattr(model, "explain"):
            return model
        from tlclassic.folding import compile as fold

        # What was trained here is folded for the asking; a model that does not fold says so itself.
        return fold(model, dtype="float32")

    # -- training ----------------------------------------------------------------------------------------------------

    def initialize(
        self, get_examples: Callable[[], Iterable[Any]], *, nlp: Any = None, labels: Iterable[str] | None = None
    ) -> None:
        """Where no model was given: learn the labels from the examples, and begin one that ``update`` trains.

        Raises
        ------
        InvalidParameterError
            When the examples have fewer than two categories.
        """
        if self._has_model:
            return
        from tlclassic.heads import NgramClassifier

        names = sorted(set(labels) if labels is not None else {cat for e in get_examples() for cat in e.reference.cats})
        if len(names) < 2:
            raise InvalidParameterError(f"examples must have at least two categories in doc.cats; got {names}.")
        model = NgramClassifier(**{"idf": False, "multilabel": self.cfg["multilabel"], **self.cfg["options"]})
        several = names if self.cfg["multilabel"] else None
        self._opened = TextModel(model, several, self.cfg["threshold"], classes=names)

    def update(
        self, examples: Iterable[Any], *, drop: float = 0.0, sgd: Any = None, losses: dict[str, float] | None = None
    ) -> dict[str, float]:
        """One pass of stochastic steps over the examples that have categories; a model that cannot learn so stays.

        A document without categories teaches nothing; of several labels, one that is missing counts as 0.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        model = self.opened
        kept = [example for example in examples if example.reference.cats]
        if not kept or not self.is_trainable:
            return losses
        texts = [example.reference.text for example in kept]
        targets = _targets(model, [example.reference.cats for example in kept])
        losses[self.name] += _loss(model, texts, targets)
        model.model.partial_fit(texts, targets, classes=model.classes)
        self._dirty = True
        return losses

    @property
    def is_trainable(self) -> bool:
        """Whether the model learns from streams: an ``NgramClassifier``."""
        return self._opened is not None and hasattr(self._opened.model, "partial_fit")

    @property
    def model(self) -> None:
        """None: no thinc model is trained here, and spaCy's optimizer has nothing to do."""

    def score(self, examples: Iterable[Any], **kwargs: Any) -> dict[str, Any]:
        """spaCy's scores of categories, over the documents that have any."""
        return score_cats(examples, self.labels, self.opened.multilabel, self.cfg["threshold"], **kwargs)


def _results(model: TextModel, scores: NDArray[np.float64]) -> list[dict[str, Any]]:
    """What is kept of each row of scores."""
    key, names = "labels" if model.multilabel else "label", model.names
    return [
        {key: chosen, "scores": dict(zip(names, row, strict=True))}
        for row, chosen in zip(scores.tolist(), model.chosen(scores), strict=True)
    ]


def _pieces(docs: Sequence[Any], unit: str) -> Iterator[Any]:
    for doc in docs:
        if unit == "sents":
            yield from doc.sents
        elif unit == "ents":
            yield from doc.ents
        else:
            yield from doc.spans.get(unit, ())


def _targets(model: TextModel, cats: Sequence[dict[str, float]]) -> NDArray[np.float64]:
    """Probabilities of the labels, of shape (n, n_labels); rows of one label sum to 1."""
    targets = np.array([[float(row.get(name, 0.0)) for name in model.names] for row in cats])
    if model.multilabel:
        return targets
    sums = targets.sum(axis=1, keepdims=True)
    if (sums <= 0).any():
        place = int(np.flatnonzero(sums[:, 0] <= 0)[0])
        raise InvalidParameterError(
            f"cats must give one of the labels {list(model.names)} more than 0; got {cats[place]!r:.200}."
        )
    return np.asarray(targets / sums)


def _loss(model: TextModel, texts: Sequence[str], targets: NDArray[np.float64]) -> float:
    """The mean squared error, as spaCy's own categorisers report it."""
    return float(((model.scores(texts) - targets) ** 2).mean())


@Language.factory(  # type: ignore[untyped-decorator]
    FACTORY,
    assigns=["doc.cats", f"doc._.{EXTENSION}"],
    default_config={
        "model": None,
        "store": "embed",
        "threshold": None,
        "units": ["doc"],
        "multilabel": False,
        "options": {},
        "threads": 1,
    },
    default_score_weights=CATS_WEIGHTS,
)
def make_textcat(
    nlp: Language,
    name: str,
    model: str | None,
    store: str,
    threshold: float | None,
    units: list[str],
    multilabel: bool,
    options: dict[str, Any],
    threads: int,
) -> TextcatComponent:
    """The factory of :class:`TextcatComponent`."""
    _set_extensions()
    return TextcatComponent(
        nlp.vocab, name, model=model, store=store, threshold=threshold, units=units, multilabel=multilabel,
        options=options, threads=threads,
    )  # fmt: skip
