"""What teacher and student cost: speed on one thread, file, memory, start-up."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tlclassic
from tlclassic._validate import check_integer, check_number, check_texts
from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.evaluation import interleaved, process_cost

__all__ = ["Baseline", "ModelCost", "Speed", "measure_speed"]

#: The first try of a model, from which the number of texts for the wanted time is reckoned.
_FIRST_TEXTS = 16
_MOST_TEXTS = 2_000_000
_STARTS = 3
_PROGRAM = """
import sys
sys.path.append(sys.argv[2])
import tlclassic
tlclassic.load(sys.argv[1]).predict(["the first answer"])
"""


@dataclass(frozen=True)
class Baseline:
    """A model measured elsewhere, for the plot.

    Attributes
    ----------
    name : str
    accuracy : float
        By the report's measure, on the same texts; from 0 to 1.
    texts_per_second : float
    bytes : int or None
    is_ours : bool
    """

    name: str
    accuracy: float
    texts_per_second: float
    bytes: int | None = None
    is_ours: bool = False


@dataclass(frozen=True)
class ModelCost:
    """What a model costs to run; None where it was not measured.

    Attributes
    ----------
    texts_per_second : float
        Median by the clock.
    cores : float
        Processor seconds per second by the clock: above 1 when the model used more than one thread.
    bytes : int or None
        Of its file, or of the files in its folder.
    peak_bytes : int or None
        Largest resident set of a process that opens it and labels one text, Python included.
    startup_seconds : float or None
        From the start of such a process to its end, the median of three.
    """

    texts_per_second: float
    cores: float = 1.0
    bytes: int | None = None
    peak_bytes: int | None = None
    startup_seconds: float | None = None

    @property
    def core_seconds_per_million(self) -> float:
        """Processor seconds for a million texts."""
        return 1e6 * self.cores / self.texts_per_second


@dataclass(frozen=True)
class Speed:
    """Costs measured in one run.

    Attributes
    ----------
    teacher, student : ModelCost
    undistilled : ModelCost or None
    """

    teacher: ModelCost
    student: ModelCost
    undistilled: ModelCost | None = None

    @property
    def factor(self) -> float:
        """How many times faster than the teacher the student is."""
        return self.student.texts_per_second / self.teacher.texts_per_second


def measure_speed(
    teacher: Any,
    student: Any,
    texts: Sequence[str],
    repeats: int = 5,
    *,
    undistilled: Any = None,
    teacher_path: str | os.PathLike[str] | None = None,
    student_path: str | os.PathLike[str] | None = None,
    seconds: float = 0.5,
) -> Speed:
    """Time the models in turn on the same texts; weigh, open and start those that are files.

    A slow model gets a sample of the texts, evenly spread over them; a fast one gets them several times over. Both are
    asked for labels (``predict``) in this thread: the student on one thread, the teacher as it was opened, so open it
    with one thread; ``cores`` tells what it used.

    Parameters
    ----------
    teacher, student : model with ``predict``, or callable
        From a list of texts.
    texts : sequence of str
    repeats : int
        Counted runs of each.
    undistilled : model or callable, optional
    teacher_path, student_path : path-like, optional
        A file or folder that `tlclassic.load` opens. A student without one is saved for the measurement if it can be.
    seconds : float
        What a run should last; a text of a very slow teacher may last longer.

    Raises
    ------
    InvalidParameterError
        For no texts, a model that cannot be called, or a path whose model cannot be opened.
    InputError
        For a path that does not exist.
    """
    check_integer("repeats", repeats, low=1)
    check_number("seconds", seconds, low=0.001)
    texts = list(check_texts(texts))
    if not texts:
        raise InvalidParameterError("texts must hold at least one text; got none.")
    for path in (teacher_path, student_path):
        if path is not None and not Path(path).exists():
            raise InputError("no such file or folder", path=path, remedy="Give the path of a saved model")
    models = {"teacher": teacher, "student": student}
    if undistilled is not None:
        models["undistilled"] = undistilled
    answers = {name: _answers(name, model) for name, model in models.items()}
    samples = {name: _sample(answer, texts, seconds) for name, answer in answers.items()}
    times = interleaved(
        {name: lambda name=name: answers[name](samples[name]) for name in models},  # type: ignore[misc]
        repeats=repeats,
    )
    costs = {
        name: {
            "texts_per_second": len(samples[name]) / max(times[name]["median"], 1e-9),
            "cores": times[name]["cpu"] / max(times[name]["median"], 1e-9),
        }
        for name in models
    }
    of_teacher = {} if teacher_path is None else _process(teacher_path)
    of_student = _of_student(student, student_path)
    return Speed(
        ModelCost(**costs["teacher"], **of_teacher),
        ModelCost(**costs["student"], **of_student),
        ModelCost(**costs["undistilled"]) if undistilled is not None else None,
    )


def _answers(name: str, model: Any) -> Callable[[list[str]], Any]:
    for method in ("predict", "predict_proba"):
        if hasattr(model, method):
            return getattr(model, method)  # type: ignore[no-any-return]
    if callable(model):
        return model  # type: ignore[no-any-return]
    raise InvalidParameterError(
        f"{name} must have predict or predict_proba, or be callable; got {type(model).__name__}."
    )


def _sample(answer: Callable[[list[str]], Any], texts: list[str], seconds: float) -> list[str]:
    """So many texts that an answer takes about ``seconds``."""
    count = min(_FIRST_TEXTS, len(texts))
    while True:
        tried = _spread(texts, count)
        start = time.perf_counter()
        answer(tried)
        spent = time.perf_counter() - start
        # The first call may build something; a short one says little of the speed.
        if spent >= seconds / 8 or count >= _MOST_TEXTS:
            return _spread(texts, max(1, min(_MOST_TEXTS, round(count * seconds / spent))))
        count = min(_MOST_TEXTS, count * 8)


def _spread(texts: list[str], count: int) -> list[str]:
    whole, rest = divmod(count, len(texts))
    return texts * whole + [texts[place * len(texts) // rest] for place in range(rest)]


def _of_student(student: Any, path: str | os.PathLike[str] | None) -> dict[str, Any]:
    if path is not None:
        return _process(path)
    if not hasattr(student, "save"):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "student.tlc"
        student.save(file)
        return _process(file)


def _process(path: str | os.PathLike[str]) -> dict[str, Any]:
    place = Path(path)
    files = [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
    # The process finds this very package, also where a checkout was imported from the working folder.
    home = str(Path(tlclassic.__file__).resolve().parent.parent)
    runs = [process_cost([sys.executable, "-c", _PROGRAM, str(place), home]) for _ in range(_STARTS)]
    return {
        "bytes": sum(file.stat().st_size for file in files),
        "peak_bytes": max(run.peak_bytes for run in runs),
        "startup_seconds": statistics.median(run.wall_seconds for run in runs),
    }
