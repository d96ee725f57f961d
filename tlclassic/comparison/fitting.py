"""What every model is given to be fitted, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlclassic.comparison.budget import Deadline
from tlclassic.comparison.problem import Problem, Settings
from tlclassic.comparison.saved import Saved

__all__ = ["Fitted", "LeftOut", "Work"]


#: Texts that tell how fast a model is.
_PROBE = 64
_TELL_SECONDS = 10.0


class LeftOut(Exception):
    """A model cannot take part; the message says why. Never leaves the package."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model fitted and saved.

    Attributes
    ----------
    name : str
        Of the row in the table.
    saved : Saved
    chosen : dict
        Settings and dev score; JSON-able.
    notes : list of str
    trained : bool
        False where it was given, or is another form of one that was trained already.
    """

    name: str
    saved: Saved
    chosen: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    trained: bool = True

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**vars(self), "saved": self.saved.as_dict()}

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Fitted:
        """What `as_dict` gave."""
        return cls(**{**known, "saved": Saved(**known["saved"])})


@dataclass(frozen=True, eq=False)
class Work:
    """One model's task.

    Attributes
    ----------
    problem : Problem
    settings : Settings
    folder : Path
        Where fitted models go.
    cache : Path
        For what a killed run can go on from.
    deadline : Deadline
    fitted : mapping of str to list of Fitted
        The models before it, by name.
    tell : callable
        Takes a line of progress.
    """

    problem: Problem
    settings: Settings
    folder: Path
    cache: Path
    deadline: Deadline
    fitted: Mapping[str, list[Fitted]]
    tell: Callable[[str], None]
    _told: list[float] = field(default_factory=lambda: [time.monotonic()], repr=False)

    @property
    def task(self) -> dict[str, Any]:
        """What a saved pipeline is to know of its task."""
        labels = self.problem.classes if self.problem.multilabel else None
        return {**self.settings.columns, "multilabel": self.problem.multilabel, "labels": labels}

    def rate(self, answer: Callable[[list[str]], Any], texts: list[str]) -> float:
        """Texts a second, of a sample; the first call, which opens the model, does not count."""
        sample = texts[:: max(1, len(texts) // _PROBE)][:_PROBE]
        answer(sample[:2])
        began = time.perf_counter()
        answer(sample)
        return len(sample) / max(time.perf_counter() - began, 1e-6)

    def watch(self, what: str, done: int, total: int | None) -> None:
        """Tell of progress now and then, and end the work at its deadline."""
        self.deadline.check()
        if time.monotonic() - self._told[0] > _TELL_SECONDS:
            self._told[0] = time.monotonic()
            self.tell(f"{what}: {done:,}" + ("" if total is None else f" of {total:,}"))

    def saved(self, kind: str, path: Path, **options: Any) -> Saved:
        """A file of this problem's labels."""
        return Saved(kind, str(path), self.problem.classes, self.problem.multilabel, options)
