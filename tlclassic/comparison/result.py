"""What a comparison found, as numbers, as a table and as a page."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Comparison", "Row"]


@dataclass(frozen=True)
class Row:
    """One model, measured.

    Attributes
    ----------
    name : str
        Such as ``"tfidf"`` or ``"finetuned-int8"``.
    title : str
    is_ours : bool
        Whether it is what tlclassic offers beside the baselines.
    accuracy : float
        On the test texts; for several labels a text the share whose set of labels is exactly right.
    accuracy_interval : (float, float)
        95 % Wilson interval.
    macro_f1, micro_f1 : float
    training_seconds : float or None
        The choice of settings included; None where the model was given, or is another form of one that was trained.
    bytes, peak_bytes : int
        Of its files; of a process that opens it and labels one text.
    startup_seconds : float
        Of such a process.
    speed : dict
        By number of threads (``"1"``, ``"2"``): ``texts_per_second``, ``slowest``, ``fastest``, ``texts``.
    chosen : dict
        Settings and dev score.
    notes : list of str
    """

    name: str
    title: str
    is_ours: bool
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float
    micro_f1: float
    training_seconds: float | None
    bytes: int
    peak_bytes: int
    startup_seconds: float
    speed: dict[str, dict[str, Any]] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def texts_per_second(self, threads: int) -> float | None:
        """None where it was not measured."""
        found = self.speed.get(str(threads))
        return None if found is None else float(found["texts_per_second"])


@dataclass(frozen=True)
class Comparison:
    """Models side by side; ``print`` shows them as a table.

    Attributes
    ----------
    rows : list of Row
    left_out : dict of str to str
        Why, by the name of the model.
    texts : dict of str to int
        ``train``, ``dev``, ``test``, ``unlabelled``.
    classes : list
    multilabel : bool
    held_out : bool
        Whether dev is a part of the training file.
    repeats : int
        Timed runs of each model.
    environment : dict
        Of the machine and its packages.
    digests : dict of str to str
        Of the data.
    """

    rows: list[Row]
    left_out: dict[str, str]
    texts: dict[str, int]
    classes: list[Any]
    multilabel: bool
    held_out: bool
    repeats: int
    environment: dict[str, Any]
    digests: dict[str, str]

    @property
    def measure(self) -> str:
        """The name of what ``accuracy`` is."""
        return "exact match" if self.multilabel else "accuracy"

    def as_dict(self) -> dict[str, Any]:
        """One object of JSON's types."""
        rows = [{**vars(row), "accuracy_interval": list(row.accuracy_interval)} for row in self.rows]
        return {**vars(self), "rows": rows}

    def summary(self) -> str:
        """One sentence on the data."""
        dev = f"{self.texts['dev']:,} to choose by" + (" (held out from the training file)" if self.held_out else "")
        kind = "labels, several a text" if self.multilabel else "classes"
        return (
            f"{self.texts['train']:,} training texts, {dev}, {self.texts['test']:,} test texts, "
            f"{self.texts['unlabelled']:,} without labels; {len(self.classes):,} {kind}"
        )

    def __str__(self) -> str:
        from tlclassic.comparison.tables import terminal

        return terminal(self)

    def to_html(self, path: str | os.PathLike[str], *, title: str = "Comparison") -> None:
        """Write one self-contained page: accuracy against speed, the table, what was left out and why."""
        from tlclassic.comparison.page import write_page

        write_page(self, path, title=title)
