"""Accuracy, speed, size, memory and start-up of saved models, each in processes of its own."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tlclassic._compat import available_cpus
from tlclassic.comparison.saved import Saved
from tlclassic.comparison.worker import Worker, WorkerError, search_path
from tlclassic.errors import InvalidParameterError
from tlclassic.evaluation import evaluate_predictions, process_cost

__all__ = ["THREADS", "costs", "scores", "speeds"]

#: Numbers of threads that speed is measured with.
THREADS = (1, 2)
#: What a timed run should last; and the fewest texts of one, whose lengths are then much like all texts'.
RUN_SECONDS, _FEWEST_TEXTS, _MOST_TEXTS = 0.5, 64, 2_000_000
_STARTS = 3


def scores(saved: Saved, texts: list[str], labels: Sequence[Any]) -> dict[str, Any]:
    """Measures of the answers for the test texts.

    Raises
    ------
    WorkerError
    """
    with Worker(saved, available_cpus()) as worker:
        predicted = worker.labels(texts)
    classes = sorted(saved.classes)
    if saved.multilabel:
        predicted = [tuple(row) for row in predicted]
    found = evaluate_predictions(list(labels), predicted, None, classes).as_dict()
    names = ("n", "accuracy", "accuracy_interval", "macro_f1", "micro_f1")
    return {name: found[name] for name in names}


def costs(saved: Saved) -> dict[str, Any]:
    """Bytes of its files; peak memory and seconds of a process that opens it and labels one text, median of three."""
    try:
        command = ["env", f"PYTHONPATH={search_path()}", *saved.first_answer()]
        runs = [process_cost(command) for _ in range(_STARTS)]
    except InvalidParameterError as error:
        raise WorkerError(str(error)) from error
    return {
        "bytes": saved.bytes(),
        "peak_bytes": int(statistics.median(run.peak_bytes for run in runs)),
        "startup_seconds": statistics.median(run.wall_seconds for run in runs),
    }


class _Timed:
    """A model with as many threads as it may use: in one process, or in as many processes as threads.

    A library that answers with one thread whatever it is told is at its best in several processes.
    """

    def __init__(self, saved: Saved, threads: int, texts: list[str]) -> None:
        count = 1 if saved.takes_threads else threads
        self._workers = [Worker(saved, threads // count) for _ in range(count)]
        self._texts = texts
        self.count = 0

    def prepare(self) -> None:
        """Send the texts, and find how many of them make a run of the wanted length."""
        for worker in self._workers:
            worker.keep(self._texts)
        fewest = self.count = min(_FEWEST_TEXTS, len(self._texts))
        self.run()  # opens what is opened late
        while True:
            spent = max(self.run(), 1e-6)
            if spent >= RUN_SECONDS / 4 or self.count >= _MOST_TEXTS:
                break
            self.count = min(_MOST_TEXTS, int(self.count * min(8.0, RUN_SECONDS / spent)) + 1)
        self.count = max(fewest, min(_MOST_TEXTS, round(self.count * RUN_SECONDS / spent)))

    def run(self) -> float:
        """Seconds of one run."""
        each = -(-self.count // len(self._workers))
        for worker in self._workers:
            worker.send_run(each)
        seconds = max(float(worker.receive()) for worker in self._workers)
        self.count = each * len(self._workers)
        return seconds

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


def speeds(
    models: Mapping[str, Saved], texts: list[str], repeats: int, tell: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Texts a second of all models, timed in turn, A B C A B C ..., at one and at two threads.

    A run takes about half a second: slow models get an even sample of the texts, fast ones the texts many times over.

    Returns
    -------
    dict of str to dict
        By number of threads: ``texts_per_second`` (the median of the counted runs), ``slowest``, ``fastest``, and
        ``texts`` (how many a run had); empty for a model that failed.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in models}
    for threads in THREADS:
        if threads > available_cpus():
            continue
        tell(f"timing {len(models)} models in turn, {threads} {'thread' if threads == 1 else 'threads'}")
        for name, times in _in_turn(models, texts, threads, repeats).items():
            count, seconds = times
            found[name][str(threads)] = {
                "texts_per_second": count / statistics.median(seconds),
                "slowest": count / max(seconds),
                "fastest": count / min(seconds),
                "texts": count,
            }
    return found


def _in_turn(
    models: Mapping[str, Saved], texts: list[str], threads: int, repeats: int
) -> dict[str, tuple[int, list[float]]]:
    with contextlib.ExitStack() as stack:
        timed: dict[str, _Timed] = {}
        for name, saved in models.items():
            timed[name] = _Timed(saved, threads, texts)
            stack.callback(timed[name].close)
        for name in list(timed):
            try:
                timed[name].prepare()
            except WorkerError:
                del timed[name]
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(repeats):
            for name, one in timed.items():
                seconds[name].append(one.run())
        return {name: (timed[name].count, times) for name, times in seconds.items()}
