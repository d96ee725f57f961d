"""The vectors that an encoder gives to the texts of a corpus, kept on disk so that a stopped run goes on."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InputError
from tlclassic.storage import atomic_write

__all__ = ["BATCH", "SentenceVectors", "slices"]

#: Texts that are encoded at a time.
BATCH = 4096
_TABLE, _STATE = "teacher.f16", "teacher.json"

Progress = Callable[[int, int | None], object]


class SentenceVectors:
    """Sentence vectors of a corpus in a folder: ``teacher.f16``, a plain float16 table, and ``teacher.json``.

    Parameters
    ----------
    encoder : object
        With ``transform(list of str) -> float array of shape (n, dim)``.
    folder : path-like
        Made where it is missing. Vectors in it are used again if the texts before them are the same.

    Raises
    ------
    InputError
        When the folder holds the vectors of other texts, or of an encoder with other dimensions.
    """

    def __init__(self, encoder: Any, folder: str | os.PathLike[str]) -> None:
        self.encoder = encoder
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def batches(
        self, corpus: Iterable[str], total: int, on_progress: Progress | None = None
    ) -> Iterator[tuple[Sequence[str], NDArray[Any]]]:
        """The texts of ``corpus``, a batch at a time, with their vectors: those on disk first, then new ones."""
        state = self._state()
        digest, done = hashlib.sha256(), 0
        for texts in slices(corpus):
            for text in texts:
                digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
            if done + len(texts) <= state["texts"]:
                vectors = self._stored(done, len(texts), state["dim"])
            elif done < state["texts"]:  # what is stored ends at no batch of this corpus
                self._refuse("holds the vectors of other texts")
            else:
                vectors = np.asarray(self.encoder.transform(list(texts))).astype(np.float16)
                self._append(done, vectors)
            done += len(texts)
            if done == state["texts"] and digest.hexdigest() != state["digest"]:
                self._refuse("holds the vectors of other texts")
            if done > state["texts"]:
                state = {"texts": done, "dim": int(vectors.shape[1]), "digest": digest.hexdigest()}
                self._keep(state)
            if on_progress is not None:
                on_progress(done, total)
            yield texts, vectors
        if done < state["texts"]:
            self._refuse("holds the vectors of other texts")

    def _state(self) -> dict[str, Any]:
        path = self.folder / _STATE
        if not path.exists():
            return {"texts": 0, "dim": 0, "digest": hashlib.sha256().hexdigest()}
        try:
            state = json.loads(path.read_text("utf-8"))
            return {"texts": int(state["texts"]), "dim": int(state["dim"]), "digest": str(state["digest"])}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("is not a teacher.json", path=path, remedy="Give an empty work folder") from error

    def _stored(self, first: int, n: int, dim: int) -> NDArray[Any]:
        path = self.folder / _TABLE
        values = np.fromfile(path, dtype=np.float16, count=n * dim, offset=2 * first * dim)
        if len(values) != n * dim:
            self._refuse("lacks vectors that teacher.json tells of")
        return values.reshape(n, dim)

    def _append(self, first: int, vectors: NDArray[np.float16]) -> None:
        path = self.folder / _TABLE
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(first * vectors.shape[1] * 2)
            file.truncate()
            file.write(vectors.tobytes())
            file.flush()
            os.fsync(file.fileno())

    def _keep(self, state: dict[str, Any]) -> None:
        with atomic_write(self.folder / _STATE) as file:
            file.write(json.dumps(state).encode())

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(f"this work folder {what}", path=self.folder, remedy="Give another one, or empty it")


def slices(corpus: Iterable[str]) -> Iterator[list[str]]:
    """The texts of ``corpus``, ``BATCH`` at a time."""
    texts = iter(corpus)
    while batch := list(itertools.islice(texts, BATCH)):
        yield batch
