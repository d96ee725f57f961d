"""A teacher's probabilities for many texts: each text asked once, kept on disk as they come."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_integer, check_texts
from tlclassic.distillation.soft_label_files import SoftLabelFile, SoftLabels, read_soft_labels
from tlclassic.distillation.teachers import ProbabilityTeacher
from tlclassic.encoders.cache import FeatureCache
from tlclassic.errors import InvalidParameterError

__all__ = ["SoftLabelFile", "SoftLabels", "open_soft_label_cache", "read_soft_labels", "soft_labels"]

#: Nothing that a teacher was asked for is dropped: a terabyte.
MAX_BYTES = 1 << 40
#: Seconds of a teacher's work that a killed run may lose.
WRITE_SECONDS = 1.0
#: Share of the time that writing may take: each write sorts the keys of all that is kept.
WRITE_SHARE = 0.1

Progress = Callable[[int, int], object]


def soft_labels(
    teacher: ProbabilityTeacher,
    texts: Sequence[str],
    *,
    cache: str | os.PathLike[str] | None = None,
    batch: int = 1024,
    on_progress: Progress | None = None,
) -> NDArray[np.float32]:
    """The teacher's probabilities of ``texts``.

    Parameters
    ----------
    teacher : ProbabilityTeacher
    texts : sequence of str of length n
        Each different text is asked once.
    cache : path-like, optional
        A folder, shared by any number of teachers and processes, made where it is missing. What is in it is not asked
        again, so that a run that was killed goes on where it was.
    batch : int
        Texts that the teacher is given at a time.
    on_progress : callable, optional
        Called with the different texts done and to do.

    Returns
    -------
    float32 array of shape (n, C)

    Raises
    ------
    InvalidParameterError
        When ``cache`` is given for a teacher without a digest.

    Examples
    --------
    >>> from tlclassic.distillation.teachers import open_teacher
    >>> teacher = open_teacher(lambda texts: [[0.75, 0.25]] * len(texts), classes=["no", "yes"])
    >>> soft_labels(teacher, ["a", "b", "a"]).tolist()
    [[0.75, 0.25], [0.75, 0.25], [0.75, 0.25]]
    """
    texts = check_texts(texts)
    check_integer("batch", batch, low=1)
    places: dict[str, int] = {}
    rows = np.fromiter((places.setdefault(text, len(places)) for text in texts), dtype=np.int64, count=len(texts))
    unique = list(places)
    kept = None if cache is None else open_soft_label_cache(cache, teacher)
    P = np.zeros((len(unique), len(teacher.classes)), dtype=np.float32)
    is_known = np.zeros(len(unique), dtype=bool)
    if kept is not None:
        P, is_known = kept.lookup(unique)
    _ask(teacher, unique, P, np.flatnonzero(~is_known), kept, batch, on_progress)
    return P if len(unique) == len(texts) else P[rows]


def open_soft_label_cache(folder: str | os.PathLike[str], teacher: ProbabilityTeacher) -> FeatureCache:
    """The teacher's part of the cache in ``folder``; raises :class:`InvalidParameterError` without a digest."""
    if teacher.digest is None:
        raise InvalidParameterError(
            f"cache needs a teacher with a digest, to tell its probabilities from another's; {teacher.name} has none. "
            "Save the model and give its path, or pass digest= to open_teacher."
        )
    key = {"teacher": teacher.digest, "classes": teacher.classes}
    return FeatureCache(folder, key, len(teacher.classes), max_bytes=MAX_BYTES)


def _ask(
    teacher: ProbabilityTeacher,
    texts: list[str],
    P: NDArray[np.float32],
    missing: NDArray[np.int64],
    kept: FeatureCache | None,
    batch: int,
    on_progress: Progress | None,
) -> None:
    """Fill the ``missing`` rows of P, a batch at a time."""
    done = len(texts) - len(missing)
    if on_progress is not None:
        on_progress(done, len(texts))
    writing = _Writing(kept, texts, P)
    try:
        for start in range(0, len(missing), batch):
            part = missing[start : start + batch]
            P[part] = teacher.probabilities([texts[i] for i in part.tolist()])
            writing.add(part)
            if on_progress is not None:
                on_progress(done + start + len(part), len(texts))
    finally:
        writing.write()


class _Writing:
    """Puts rows into the cache, seldom enough that it costs little."""

    def __init__(self, kept: FeatureCache | None, texts: list[str], P: NDArray[np.float32]) -> None:
        self._kept = kept
        self._texts = texts
        self._P = P
        self._parts: list[NDArray[np.int64]] = []
        self._next = time.monotonic() + WRITE_SECONDS

    def add(self, part: NDArray[np.int64]) -> None:
        self._parts.append(part)
        if time.monotonic() >= self._next:
            self.write()

    def write(self) -> None:
        if self._kept is None or not self._parts:
            return
        began = time.monotonic()
        rows = np.concatenate(self._parts)
        self._kept.add([self._texts[i] for i in rows.tolist()], self._P[rows])
        self._parts = []
        now = time.monotonic()
        self._next = now + max(WRITE_SECONDS, (now - began) / WRITE_SHARE)
