"""Whether an encoder's int8 graph is worth using on this machine: parity, accuracy, speed; the answer is kept."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlclassic._compat import available_cpus, require
from tlclassic._validate import check_integer, check_number, check_texts
from tlclassic.encoders.quantize import QUANTIZED_NAME, float_graph
from tlclassic.errors import EncoderFormatError, InvalidParameterError
from tlclassic.storage import atomic_write

__all__ = ["PREFERENCE_NAME", "CheckReport", "check"]

#: Where the preference is kept in an encoder's folder; ``OnnxEncoder(file="auto")`` reads it.
PREFERENCE_NAME = "tlclassic.json"
_FORMAT = 1
_QUANTIZED = re.compile(r"q?u?int8|quantized", re.IGNORECASE)
_TIMED = 256
_ALONE = 64
_FOLDS = 5


@dataclass(frozen=True)
class CheckReport:
    """What :func:`check` measured, and what follows from it.

    Attributes
    ----------
    prefer : str
        The graph to use on this machine, as a path in the folder.
    reasons : tuple of str
        One sentence for each rule, beginning with "yes" or "no"; int8 is preferred when all say yes.
    fp32, int8 : str
        The two graphs, as paths in the folder.
    texts, threads : int
        How many texts were encoded, with how many threads.
    cosine_mean, cosine_min : float
        Of the int8 vectors to the fp32 vectors of the same texts.
    alone_mean, alone_min : float
        Cosine of int8 vectors of texts encoded alone to those of the same texts in batches (fp32 gives 1).
    fp32_texts_per_second, int8_texts_per_second : float
        From the medians of interleaved runs.
    speedup : float
        Their ratio, int8 over fp32.
    fp32_megabytes, int8_megabytes : float
        Sizes of the graphs.
    fp32_accuracy, int8_accuracy : float or None
        Of logistic regression, cross-validated, where labels are given.
    cpu : str
        The processor the figures are from.
    """

    prefer: str
    reasons: tuple[str, ...]
    fp32: str
    int8: str
    texts: int
    threads: int
    cosine_mean: float
    cosine_min: float
    alone_mean: float
    alone_min: float
    fp32_texts_per_second: float
    int8_texts_per_second: float
    speedup: float
    fp32_megabytes: float
    int8_megabytes: float
    fp32_accuracy: float | None
    int8_accuracy: float | None
    cpu: str

    def as_dict(self) -> dict[str, Any]:
        """As written to JSON."""
        return {**asdict(self), "reasons": list(self.reasons)}


def check(
    folder: str | os.PathLike[str],
    texts: object | None = None,
    labels: Sequence[Any] | None = None,
    *,
    file: str | None = None,
    min_cosine: float = 0.99,
    max_loss: float = 0.005,
    min_speedup: float = 1.05,
    repeats: int = 5,
    threads: int | None = None,
    write: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Compare an encoder's int8 graph with its float graph on this machine, and keep the better one as its default.

    int8 is preferred when the mean cosine of its vectors to those of fp32 is at least ``min_cosine``, when (labels
    given) it loses at most ``max_loss`` of cross-validated accuracy, and when it is at least ``min_speedup`` times as
    fast. The answer goes to ``tlclassic.json`` in the folder, where ``OnnxEncoder(file="auto")`` finds it.

    Parameters
    ----------
    folder : path-like
        An encoder's folder with a float graph and a quantised one (:func:`tlclassic.encoders.quantize.quantize`).
    texts : sequence of str, optional
        Texts like those that will be encoded; the bundled sample when left out.
    labels : sequence, optional
        One label for each text: accuracy is compared as well (scikit-learn's logistic regression, five folds).
    file : str, optional
        The quantised graph, as a path in the folder; found by its name when left out.
    min_cosine, max_loss, min_speedup : float
        The rules.
    repeats : int
        Timed runs of each graph, in turn, on at most 256 texts spread over all.
    threads : int, optional
        The CPUs at hand when left out.
    write : bool
        Whether to keep the answer.
    on_progress : callable, optional
        Called with (steps done, steps in all).

    Returns
    -------
    CheckReport

    Raises
    ------
    EncoderFormatError
        When one of the two graphs is missing.
    InvalidParameterError, MissingExtraError
    """
    check_number("min_cosine", min_cosine, low=-1, high=1)
    check_number("max_loss", max_loss, low=0, high=1)
    check_number("min_speedup", min_speedup, low=0)
    check_integer("repeats", repeats, low=1)
    sample = _texts(texts)
    if labels is not None:
        _check_labels(labels, len(sample))
    root = Path(folder)
    names = {"fp32": float_graph(root).relative_to(root).as_posix(), "int8": _quantized_name(root, file)}
    step = _Steps(on_progress, 3 + 2 * repeats + (0 if labels is None else 2))
    encoders = {kind: _encoder(root, name, threads) for kind, name in names.items()}
    vectors = {kind: step(encoder.transform(sample)) for kind, encoder in encoders.items()}
    cosines = _cosines(vectors["fp32"], vectors["int8"])
    chosen = np.unique(np.linspace(0, len(sample) - 1, min(_ALONE, len(sample))).astype(int))
    alone = step(np.concatenate([encoders["int8"].transform([sample[i]]) for i in chosen]))
    alone_cosines = _cosines(alone, vectors["int8"][chosen])
    accuracy = {kind: None if labels is None else step(_accuracy(rows, labels)) for kind, rows in vectors.items()}
    speed = _speed(encoders, sample, repeats, step)
    measured: dict[str, Any] = {
        **names,
        "texts": len(sample),
        "threads": threads or available_cpus(),
        "cosine_mean": _rounded(cosines.mean()),
        "cosine_min": _rounded(cosines.min()),
        "alone_mean": _rounded(alone_cosines.mean()),
        "alone_min": _rounded(alone_cosines.min()),
        "speedup": round(speed["int8"] / speed["fp32"], 3),
        "cpu": _cpu_name(),
    }
    for kind, name in names.items():
        measured[f"{kind}_texts_per_second"] = round(speed[kind], 1)
        measured[f"{kind}_megabytes"] = round((root / name).stat().st_size / 1e6, 1)
        measured[f"{kind}_accuracy"] = accuracy[kind]
    prefers_int8, reasons = _decide(measured, min_cosine, max_loss, min_speedup)
    report = CheckReport(prefer=names["int8" if prefers_int8 else "fp32"], reasons=reasons, **measured)
    if write:
        _keep(root, report)
    return report


class _Steps:
    """Counts what is done; gives back what it is called with."""

    def __init__(self, on_progress: Callable[[int, int], None] | None, total: int) -> None:
        self._on_progress, self._total, self._done = on_progress, total, 0

    def __call__(self, value: Any) -> Any:
        self._done += 1
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)
        return value


def _texts(texts: object | None) -> Sequence[str]:
    if texts is None:
        from tlclassic.data import load_sample

        texts = load_sample().texts
    checked = check_texts(texts)
    if not checked:
        raise InvalidParameterError("texts must hold at least one text; got none.")
    return checked


def _check_labels(labels: Sequence[Any], n_texts: int) -> None:
    """Before any work: as many as texts, and enough of each class for two folds."""
    if len(labels) != n_texts:
        raise InvalidParameterError(f"labels must be as many as texts, {n_texts}; got {len(labels)}.")
    classes, counts = np.unique(np.asarray(labels), return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        raise InvalidParameterError(
            f"labels must be of two classes or more, each with two texts or more; got {len(classes)} classes, "
            f"{counts.min()} texts of {classes[counts.argmin()]!s:.80}."
        )


def _quantized_name(root: Path, file: str | None) -> str:
    """The graph asked for, else ours, else one that others made for a processor like this."""
    from tlclassic.encoders.files import FolderFiles
    from tlclassic.encoders.folder import choose_graph

    if file is None and (root / QUANTIZED_NAME).is_file():
        return QUANTIZED_NAME
    if file is None and not _has_quantized(root):
        remedy = "Make one with `tlclassic encoder quantize`"
        raise EncoderFormatError("there is no quantised graph to check here", path=root, remedy=remedy)
    return choose_graph(FolderFiles(root), file or "int8")


def _has_quantized(root: Path) -> bool:
    return any(_QUANTIZED.search(path.name) for part in (".", "onnx") for path in (root / part).glob("*.onnx"))


def _encoder(root: Path, name: str, threads: int | None) -> Any:
    from tlclassic.encoders.encoder import OnnxEncoder

    return OnnxEncoder(root, file=name, threads=threads)


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of each row to its counterpart; 1 where both are zero."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    return np.where(both_zero, 1.0, (a * b).sum(axis=1) / np.maximum(norms, 1e-30))


def _rounded(value: Any) -> float:
    return round(float(value), 6)


def _accuracy(vectors: np.ndarray, labels: Sequence[Any]) -> float:
    """Mean accuracy of logistic regression over stratified folds."""
    linear_model = require("sklearn.linear_model", purpose="Comparing accuracy")
    model_selection = require("sklearn.model_selection", purpose="Comparing accuracy")
    _, counts = np.unique(np.asarray(labels), return_counts=True)
    folds = model_selection.StratifiedKFold(min(_FOLDS, int(counts.min())), shuffle=True, random_state=0)
    model = linear_model.LogisticRegression(C=10, max_iter=1000)
    scores = model_selection.cross_val_score(model, vectors, np.asarray(labels), cv=folds)
    return round(float(scores.mean()), 5)


def _speed(encoders: dict[str, Any], sample: Sequence[str], repeats: int, step: _Steps) -> dict[str, float]:
    """Texts a second, from medians of runs in turn, so that a drifting machine is unfair to neither."""
    chosen = np.unique(np.linspace(0, len(sample) - 1, min(_TIMED, len(sample))).astype(int))
    texts = [sample[i] for i in chosen]
    seconds: dict[str, list[float]] = {kind: [] for kind in encoders}
    for _ in range(repeats):
        for kind, encoder in encoders.items():
            start = time.perf_counter()
            encoder.transform(texts)
            seconds[kind].append(max(time.perf_counter() - start, 1e-9))
            step(None)
    return {kind: len(texts) / statistics.median(times) for kind, times in seconds.items()}


def _decide(
    measured: dict[str, Any], min_cosine: float, max_loss: float, min_speedup: float
) -> tuple[bool, tuple[str, ...]]:
    cosine, speedup = measured["cosine_mean"], measured["speedup"]
    rules = [(cosine >= min_cosine, f"mean cosine of int8 to fp32 {cosine:.4f}, at least {min_cosine:g} wanted")]
    if measured["fp32_accuracy"] is not None:
        loss = measured["fp32_accuracy"] - measured["int8_accuracy"]
        sentence = (
            f"accuracy {measured['int8_accuracy']:.4f} with int8, {measured['fp32_accuracy']:.4f} with fp32, "
            f"a loss of at most {max_loss:g} allowed"
        )
        rules.append((loss <= max_loss + 1e-9, sentence))
    rules.append((speedup >= min_speedup, f"int8 is {speedup:.2f} x as fast, at least {min_speedup:g} x wanted"))
    return all(holds for holds, _ in rules), tuple(f"{'yes' if holds else 'no'}: {text}" for holds, text in rules)


def _keep(root: Path, report: CheckReport) -> None:
    checked = report.as_dict()
    prefer = checked.pop("prefer")
    content = {"format": _FORMAT, "prefer": prefer, "checked": checked}
    with atomic_write(root / PREFERENCE_NAME) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _cpu_name() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
