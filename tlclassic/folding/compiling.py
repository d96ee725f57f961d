"""``compile``: a fitted linear text classifier as one small, fast artefact."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from tlclassic._validate import check_choice, check_number, check_texts
from tlclassic._version import __version__
from tlclassic.errors import InvalidParameterError
from tlclassic.folding.budget import Ranking, keep, rank, share_that_fits
from tlclassic.folding.encode import encode_tables
from tlclassic.folding.heads import fold_classifier
from tlclassic.folding.linear import Linear
from tlclassic.folding.measure import Dev, check_parity
from tlclassic.folding.multitask import Tasks, TasksDev, is_multi_task
from tlclassic.folding.probes import probe_texts
from tlclassic.folding.quantize import DTYPES
from tlclassic.folding.sizes import parse_size
from tlclassic.folding.sources import fold_features
from tlclassic.folding.tables import ConvolutionTable, NgramTable, Table
from tlclassic.runtime import CompiledClassifier
from tlclassic.runtime.multitask import CompiledTasks

__all__ = ["compile"]

#: Texts of ``texts`` that the parity check looks at.
_N_CHECKED = 256
#: Bytes for the lines of the report and the alignment of blocks, which are not known before.
_MARGIN = 600


@dataclass(frozen=True, eq=False)
class _Folded:
    """A classifier as tables, before they are encoded."""

    linear: Linear
    bias: NDArray[np.float64]
    tables: list[Table]

    def build(self, dtype: str, metadata: Mapping[str, Any] | None = None) -> CompiledClassifier:
        described, arrays = encode_tables(self.linear, self.bias, self.tables, dtype)
        return CompiledClassifier({**described, **(metadata or {})}, arrays)

    @property
    def largest(self) -> float:
        """The largest magnitude of a weight."""
        return max((table.largest for table in self.tables), default=0.0)

    def fits(self, dtype: str) -> bool:
        """Whether no weight overflows."""
        return dtype == "int8" or self.largest <= float(np.finfo(dtype).max)

    def centred(self) -> _Folded:
        """A softmax does not change when a row's mean is taken off: smaller numbers make smaller rounding errors."""
        if self.linear.link != "softmax":
            return self
        tables = [table.mapped(lambda rows: rows - rows.mean(axis=-1, keepdims=True)) for table in self.tables]
        return replace(self, bias=self.bias - self.bias.mean(), tables=tables)


def compile(
    fitted: Any,
    *,
    dtype: str | None = None,
    max_size: int | str | None = None,
    prune: float = 0.0,
    texts: Sequence[str] | None = None,
    labels: Sequence[Any] | Mapping[str, Any] | None = None,
    classes: Sequence[Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> CompiledClassifier | CompiledTasks:
    """Fold a fitted linear text classifier into a table of words or n-grams times classes.

    A linear head on a mean of word vectors is a sum over words of ``W v(w)``: the head, and all steps between that are
    affine, are multiplied into the table in float64. The result is checked against the source on some texts before it
    is returned. What does not fold is refused by the step's name; nothing is approximated unless asked for by
    ``dtype``, ``prune`` or ``max_size``, and the report says what those cost.

    Parameters
    ----------
    fitted : NgramClassifier, ConvolutionClassifier, MultiTaskClassifier or sklearn.pipeline.Pipeline
        From texts to classes; fitted. docs/compile.md lists the steps that fold.
    dtype : {"float32", "float16", "int8"}, optional
        Of the weights; int8 with one scale a class, or a filter of a convolution, whose table stays float32 for
        float16. By default float32 or, with ``max_size``, the first of the three that fits.
    max_size : int or str, optional
        Of the saved file, such as ``"2MB"``, ``"500kB"``, ``"1.5MiB"`` or a number of bytes. Rows of small weight are
        left out as needed.
    prune : float, default 0.0
        Share of the rows to leave out, those with the smallest weights first; below 1.
    texts : sequence of str of length n, optional
        To check and to report on, such as a development set; never trained on.
    labels : sequence of length n, optional
        Their labels, for accuracy and macro-F1 in the report. For multi-label a list of classes each, or an indicator
        matrix; for several tasks what :meth:`tlclassic.MultiTaskClassifier.fit` takes.
    classes : sequence, optional
        Names of the outputs, where the classifier has only numbers (multi-label pipelines fitted on an indicator
        matrix).
    provenance : mapping, optional
        JSON-serialisable; kept in ``metadata["provenance"]`` with the versions that compiled it.

    Returns
    -------
    CompiledClassifier, or CompiledTasks for a MultiTaskClassifier
        ``metadata["report"]`` has a list ``steps``: of the source and each step its ``bytes``, ``rows``,
        ``max_logit_error``, ``agreement``, ``accuracy`` and ``macro_f1``, as far as they are known; and ``notes`` where
        n-grams are scored at a lower speed, or a type of weights was not used.

    Raises
    ------
    InvalidParameterError
        When a step does not fold (it is named), nothing fits into ``max_size``, or a parameter is outside its domain.
    ParityError
        When the result differs from its source.
    sklearn.exceptions.NotFittedError

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from tlclassic import EmbeddingVectorizer, WordVectors
    >>> vectors = WordVectors.from_arrays(["good", "bad", "film"], np.eye(3, dtype="float32"))
    >>> texts = ["a good film", "good", "bad", "a bad film"]
    >>> model = make_pipeline(EmbeddingVectorizer(vectors), LogisticRegression()).fit(texts, [1, 1, 0, 0])
    >>> compile(model).predict(["bad, bad film", "good!"])
    array([0, 1])
    """
    limit = None if max_size is None else parse_size(max_size)
    texts = None if texts is None else check_texts(texts)
    _check(fitted, dtype, prune, texts, labels)
    if is_multi_task(fitted):
        return _compile_tasks(fitted, dtype, limit, prune, texts, labels, classes, _provenance(provenance))
    linear = fold_classifier(fitted)
    linear = linear if classes is None else _renamed(linear, classes)
    tables, bias = fold_features(linear)
    folded = _Folded(linear, bias, tables)
    dev = Dev.of(fitted, linear, texts, labels) if texts else None
    work = _Work(fitted, folded, dev, {"provenance": _provenance(provenance)})
    work.start()
    if prune:
        work.prune(1.0 - prune)
    return work.finish(dtype, limit)


def _compile_tasks(
    fitted: Any,
    dtype: str | None,
    limit: int | None,
    prune: float,
    texts: Sequence[str] | None,
    labels: Any,
    classes: Any,
    provenance: dict[str, Any],
) -> CompiledTasks:
    """The same for all tasks at once: their outputs side by side, then what lies between them."""
    if classes is not None:
        raise InvalidParameterError("classes must be None for a MultiTaskClassifier: its tasks know their classes.")
    check_is_fitted(fitted)
    tasks = Tasks.of(fitted)
    linear = tasks.linear()
    tables, bias = fold_features(linear)
    folded = _Folded(linear, bias, tasks.split(tables))
    dev = TasksDev.of(tasks, linear, texts, labels) if texts else None
    work = _Work(fitted, folded, dev, {"provenance": provenance})
    work.start()
    tasks.check(folded.build("float32"), work.checked)
    if prune:
        work.prune(1.0 - prune)
    work.reserved = tasks.n_bytes
    return tasks.wrap(work.finish(dtype, None if limit is None else limit - tasks.n_bytes))


def _check(fitted: Any, dtype: str | None, prune: float, texts: Sequence[str] | None, labels: Any) -> None:
    if isinstance(fitted, (CompiledClassifier, CompiledTasks)):
        kind = type(fitted).__name__
        raise InvalidParameterError(f"fitted is compiled already; got a {kind}. Compile its source again.")
    if dtype is not None:
        check_choice("dtype", dtype, DTYPES)
    check_number("prune", prune, low=0.0)
    if prune >= 1:
        raise InvalidParameterError(f"prune must be below 1; got {prune!r}.")
    if labels is not None and is_multi_task(fitted):
        if texts is None:
            raise InvalidParameterError("labels must come with the texts that they are of; got labels alone.")
        return
    if labels is not None and (texts is None or len(texts) != len(labels)):
        n_texts = 0 if texts is None else len(texts)
        raise InvalidParameterError(f"labels must be as many as texts; got {len(labels)} labels and {n_texts} texts.")


def _renamed(linear: Linear, classes: Sequence[Any]) -> Linear:
    if len(classes) != len(linear.classes):
        raise InvalidParameterError(f"classes must have {len(linear.classes)} names; got {len(classes)}.")
    if len(set(classes)) < len(classes):
        raise InvalidParameterError(f"classes must differ from each other; got {list(classes)!r:.80}.")
    return replace(linear, classes=np.asarray(classes))


def _provenance(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise InvalidParameterError(f"provenance must be a dict; got {given!r:.80} of type {type(given).__name__}.")
    versions = {"tlclassic": __version__, "numpy": np.__version__, "sklearn": sklearn.__version__}
    provenance = {**(given or {}), "versions": versions}
    try:
        json.dumps(provenance, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(f"provenance must be JSON-serialisable: {error}.") from error
    return provenance


class _Work:
    """One compilation: the tables as they are now, and the report so far."""

    def __init__(self, model: Any, folded: _Folded, dev: Dev | TasksDev | None, metadata: dict[str, Any]) -> None:
        self.model, self.folded, self.dev, self.metadata = model, folded, dev, metadata
        self.steps: list[dict[str, Any]] = []
        self.checked: list[str] = []
        self.reserved = 0  #: Bytes of the file that something else fills: the limit of ``finish`` is what is left.

    def start(self) -> None:
        """Fold and check."""
        if self.dev is not None:
            self.steps.append({"step": "source", **self.dev.source_scores()})
        compiled = self.folded.build("float32")
        texts = probe_texts(self.folded.tables)
        if self.dev is not None:
            texts += self.dev.texts[:_N_CHECKED]
        self.checked = texts
        error = check_parity(self.model, self.folded.linear, compiled, texts, self.folded.largest)
        self.note("folded", "float32", compiled)
        self.steps[-1].setdefault("max_logit_error", error)

    def prune(self, share: float) -> None:
        """Keep this share of the rows."""
        tables = [keep(rank(table), share) for table in self.folded.tables]
        self.folded = replace(self.folded, tables=tables)
        self.note("pruned", "float32", self.folded.build("float32"))

    def note(self, step: str, dtype: str, compiled: CompiledClassifier) -> None:
        """One line of the report."""
        rows = sum(family["rows"] for family in compiled.metadata["families"])
        line = {"step": step, "dtype": dtype, "rows": rows, "bytes": compiled.nbytes}
        self.steps.append(line | (self.dev.scores(compiled) if self.dev is not None else {}))

    def finish(self, dtype: str | None, limit: int | None) -> CompiledClassifier:
        """Quantise, and leave out what does not fit."""
        if limit is None:
            return self.encoded(dtype or "float32")
        rankings = [rank(table) for table in self.folded.tables]
        free = limit - self.overhead(rankings)
        before, steps = self.folded, list(self.steps)
        for attempt in range(5):
            chosen, share = self.choose(rankings, dtype, free, limit)
            if attempt == 0 and chosen == "int8":
                # What rounds to zero has no row: all may fit, though their number says otherwise.
                share = 1.0
            self.folded = replace(before, tables=[keep(ranking, share) for ranking in rankings])
            compiled = self.encoded(chosen, pruned=share < 1.0)
            excess = _file_size(compiled) - limit
            if excess <= 0:
                return compiled
            self.folded, self.steps = before, list(steps)
            free -= excess if share < 1.0 or chosen != "int8" else 0
        raise self.too_small(limit, limit - free)

    def overhead(self, rankings: list[Ranking]) -> int:
        """Bytes of a file that do not depend on the rows: measured on one with all of them."""
        n_outputs = self.folded.linear.n_outputs
        rows = sum(ranking.size(len(ranking), n_outputs, "float32") for ranking in rankings)
        whole = self.folded.build("float32", {**self.metadata, "report": {"steps": self.steps}})
        return _file_size(whole) - rows + _MARGIN

    def choose(self, rankings: list[Ranking], dtype: str | None, free: int, limit: int) -> tuple[str, float]:
        """The widest dtype that fits whole, else the narrowest and the share of its rows that fits."""
        n_outputs = self.folded.linear.n_outputs
        candidates = [dtype] if dtype is not None else [name for name in DTYPES if self.folded.fits(name)]
        for candidate in candidates:
            share = share_that_fits(rankings, n_outputs, candidate, free)
            if share == 1.0:
                return candidate, share
        if not share:
            raise self.too_small(
                limit, limit - free + sum(ranking.size(0, n_outputs, candidates[-1]) for ranking in rankings)
            )
        return candidates[-1], share

    def too_small(self, limit: int, needed: int) -> InvalidParameterError:
        """The error that names the whole file's limit, and what the whole file needs."""
        return _too_small(limit + self.reserved, needed + self.reserved)

    def encoded(self, dtype: str, *, pruned: bool = False) -> CompiledClassifier:
        """The classifier with weights of ``dtype``, and the report in it."""
        if dtype == "int8":
            self.folded = self.folded.centred()
        compiled = self.folded.build(dtype)
        if pruned or dtype != "float32":
            self.note(f"{dtype}, pruned" if pruned else dtype, dtype, compiled)
        report: dict[str, Any] = {"steps": self.steps, "n_texts": 0 if self.dev is None else len(self.dev.texts)}
        if notes := _notes(self.folded.tables, dtype):
            report["notes"] = notes
        compiled.metadata.update({**self.metadata, "report": report})
        return compiled


def _notes(tables: Sequence[Table], dtype: str) -> list[str]:
    notes = [_price(table) for table in tables if isinstance(table, NgramTable) and table.needs_counts]
    if dtype == "float16" and any(isinstance(table, ConvolutionTable) for table in tables):
        notes.append("the table of a convolution stays float32 for float16: choose int8 for a smaller one.")
    return notes


def _price(table: NgramTable) -> str:
    options = table.options
    return (
        f"{options['unit']} n-grams with counts={options['counts']!r} and norm={options['norm']!r} need the counts of "
        "each text: exact, at up to four times the time."
    )


def _too_small(limit: int, needed: int) -> InvalidParameterError:
    return InvalidParameterError(
        f"max_size={limit:,} bytes is too small: what cannot be left out takes about {needed:,} bytes. Allow more, or "
        "train with fewer bits; a convolution, with fewer words."
    )


def _file_size(compiled: CompiledClassifier) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tlc"
        compiled.save(path)
        return path.stat().st_size
