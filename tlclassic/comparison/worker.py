"""A process that opens one model and answers requests; started by `Worker`, with the environment of its threads.

One JSON object a line on standard input and output: ``{"labels": texts}`` gives their labels, ``{"texts": texts}``
keeps texts, ``{"run": n}`` labels so many of them, round and round, and gives the seconds that took.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from tlclassic.comparison.saved import Saved

__all__ = ["Worker", "WorkerError", "search_path", "spread"]

#: Numbers of threads are read from these when libraries are loaded.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


class WorkerError(Exception):
    """The process of a model failed; the message is its last line. Never leaves the package."""


class Worker:
    """A model opened in a process of its own.

    Parameters
    ----------
    saved : Saved
    threads : int

    Raises
    ------
    WorkerError
        On any request, when the model cannot be opened or asked.
    """

    def __init__(self, saved: Saved, threads: int) -> None:
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "TOKENIZERS_PARALLELISM": "true"}
        environment["PYTHONPATH"] = search_path()
        # Not a pipe: a library that warns of every text would fill it and wait.
        self._told = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tlclassic.comparison.worker", json.dumps(saved.as_dict()), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            env=environment,
            text=True,
            encoding="utf-8",
        )

    def labels(self, texts: list[str]) -> list[Any]:
        """Of the texts."""
        return list(self.ask({"labels": texts}))

    def keep(self, texts: list[str]) -> None:
        """Texts for `send_run`."""
        self.ask({"texts": texts})

    def send_run(self, count: int) -> None:
        """Begin to label so many texts; `receive` gives the seconds."""
        self._send({"run": count})

    def ask(self, request: dict[str, Any]) -> Any:
        """The answer to one request."""
        self._send(request)
        return self.receive()

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def receive(self) -> Any:
        """The next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._fail()
        return json.loads(line)

    def _fail(self) -> None:
        self._process.wait()
        self._told.seek(0)
        lines = [line for line in self._told.read().decode("utf-8", "replace").splitlines() if line.strip()]
        raise WorkerError(lines[-1] if lines else f"the process ended with {self._process.returncode}")

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout, self._told):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._process.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def search_path() -> str:
    """PYTHONPATH of other processes: what a relative path, or one set at run time, finds here is found there."""
    return os.pathsep.join(os.path.abspath(path) for path in sys.path if path)


def spread(texts: list[str], count: int) -> list[str]:
    """So many texts: all of them again and again, and an even sample for what is left."""
    whole, rest = divmod(count, len(texts))
    return texts * whole + [texts[place * len(texts) // rest] for place in range(rest)]


def _serve(saved: Saved, threads: int) -> None:
    # Whatever a library prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    predict = saved.open(threads)
    gc.disable()
    kept: list[str] = []
    sample: list[str] = []
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any = None
        if "labels" in request:
            answer = predict(request["labels"])
        elif "texts" in request:
            kept = request["texts"]
        else:
            if len(sample) != request["run"]:
                sample = spread(kept, request["run"])
            gc.collect()
            began = time.perf_counter()
            predict(sample)
            answer = time.perf_counter() - began
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve(Saved(**json.loads(sys.argv[1])), int(sys.argv[2]))
