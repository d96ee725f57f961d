"""``compare``: models fitted one after the other within a limit of time, measured on the test texts, timed in turn."""

from __future__ import annotations

import shutil
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlclassic._validate import check_choice, check_integer
from tlclassic._version import __version__
from tlclassic.comparison.budget import Budget, OutOfTime, parse_time
from tlclassic.comparison.fitting import Fitted, LeftOut, Work
from tlclassic.comparison.measuring import costs, scores, speeds
from tlclassic.comparison.models import BEFORE, MODELS, Model, title_of
from tlclassic.comparison.problem import Problem, Settings, digest_of, read_pair, read_problem
from tlclassic.comparison.result import Comparison, Row
from tlclassic.comparison.state import State
from tlclassic.comparison.worker import WorkerError
from tlclassic.errors import InvalidParameterError
from tlclassic.evaluation import environment
from tlclassic.evaluation.counting import is_multilabel
from tlclassic.folding import parse_size

__all__ = ["compare"]

Pair = tuple[Sequence[str], Sequence[Any]]


def compare(
    train: Pair,
    test: Pair,
    out: str | Path,
    *,
    dev: Pair | None = None,
    unlabelled: Sequence[str] = (),
    models: Sequence[str] | None = None,
    time: str | float = "30m",
    settings: Settings | None = None,
    repeats: int = 5,
    on_note: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Fit and measure models on one's own texts.

    Everything is chosen by train and dev; each model is asked about the test texts once, when it is done. Fitted models
    and their rows are kept in ``out``: a run that was killed, or one with more models or more time, goes on there.

    Parameters
    ----------
    train, test : (texts, labels)
        One label a text (str, int or bool), or a list of labels each.
    out : path-like
        A new folder, or that of an earlier comparison.
    dev : (texts, labels), optional
        By default a tenth of the training texts is held out, at most 5,000.
    unlabelled : sequence of str
        For the distilled student.
    models : sequence of str, optional
        Names in `MODELS`; all by default. Those that lack something are left out and say why.
    time : str or float
        For fitting all models: ``"90s"``, ``"30m"``, ``"1h"``, or seconds. Measuring comes on top.
    settings : Settings, optional
    repeats : int
        Timed runs of each model.
    on_note : callable
        Takes lines of progress.

    Raises
    ------
    InvalidParameterError, InputError
    """
    seconds = parse_time(time)
    check_integer("repeats", repeats, low=1)
    chosen = _chosen(models)
    if settings is not None and settings.student_size is not None:
        parse_size(settings.student_size)
    problem = read_problem(train, dev, unlabelled, (settings or Settings()).seed)
    texts, labels = read_pair("test", test)
    if not texts or is_multilabel(labels) != problem.multilabel:
        raise InvalidParameterError("test must hold labelled texts of the same kind as train.")
    folder = Path(out).absolute()
    run = _Run(
        problem, settings or Settings(), folder, State(folder), (texts, labels), digest_of(texts, labels), on_note
    )
    run.fit(chosen, seconds)
    return run.finish(chosen, repeats)


def _chosen(models: Sequence[str] | None) -> list[Model]:
    for name in models if models is not None else ():
        check_choice("models", name, tuple(MODELS))
    return [model for name, model in MODELS.items() if models is None or name in models]


@dataclass(eq=False)
class _Run:
    """One call of `compare`."""

    problem: Problem
    settings: Settings
    folder: Path
    state: State
    test: tuple[list[str], list[Any]]
    test_digest: str
    tell: Callable[[str], None]

    def __post_init__(self) -> None:
        self.left_out: dict[str, str] = {}
        self.fitted: dict[str, list[Fitted]] = {}
        self._keys: dict[str, str] = {}
        # With more time it would go on from what is in the cache.
        self._unfinished = False

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(self, models: list[Model], seconds: float) -> None:
        """Fit and measure one model after the other."""
        for name in ("models", "cache"):
            (self.folder / name).mkdir(exist_ok=True)
        budget = Budget(seconds, {model.name: model.weight for model in models})
        for model in models:
            missing = model.missing(self.settings)
            if missing is not None:
                self._leave_out(model.name, missing)
                budget.skip(model.name)
                continue
            key = self._keys[model.name] = self._key(model)
            known = self.state.fitted(model.name, key)
            if known is not None:
                self.tell(f"{model.name}: fitted before")
                budget.skip(model.name)
            elif not self._fit(model, key, budget):
                continue
            else:
                known = self.state.fitted(model.name, key)
            self.fitted[model.name] = known or []
            self._measure(model.name)

    def _key(self, model: Model) -> str:
        before = {name: self._keys.get(name) for name in BEFORE.get(model.name, ()) if name in self.fitted}
        own = model.depends(self.settings, self.problem)
        return digest_of(model.name, __version__, self.problem.digest, self.settings.seed, own, before)

    def _fit(self, model: Model, key: str, budget: Budget) -> bool:
        began = clock.monotonic()
        try:
            deadline = budget.deadline(model.name)
            self.tell(f"{model.name}: {budget.left:.0f} s left for all")
            rows = model.fit(
                Work(
                    self.problem,
                    self.settings,
                    self.folder / "models",
                    self.folder / "cache",
                    deadline,
                    self.fitted,
                    lambda line: self.tell(f"{model.name}: {line}"),
                )
            )
        except LeftOut as reason:
            self._leave_out(model.name, f"{reason}")
        except OutOfTime as reason:
            self._unfinished = True
            self._leave_out(model.name, f"{reason}. Raise --time")
        # Whatever one model's library raises, the others' hours of work are not lost for it.
        except Exception as error:
            self._leave_out(model.name, f"failed: {type(error).__name__}: {error}")
        else:
            self.state.keep_fitted(model.name, key, rows, clock.monotonic() - began)
            return True
        finally:
            budget.spend(clock.monotonic() - began)
        return False

    def _leave_out(self, name: str, why: str) -> None:
        self.left_out[name] = why
        self.fitted.pop(name, None)
        self.tell(f"{name}: left out: {why}")

    def _measure(self, name: str) -> None:
        """The one look at the test texts, for every row of a model."""
        for row in self.fitted[name]:
            if self.state.measured(name, row.name, self.test_digest) is not None:
                continue
            self.tell(f"{row.name}: measuring")
            try:
                values = {**scores(row.saved, *self.test), **costs(row.saved)}
            except WorkerError as error:
                self._leave_out(name, f"{row.name} failed when it was asked: {error}")
                return
            self.state.keep_measured(name, row.name, self.test_digest, values)

    # -- the end -----------------------------------------------------------------------------------------------------

    def finish(self, models: list[Model], repeats: int) -> Comparison:
        """Time all models in turn; the comparison."""
        saved = {row.name: row.saved for rows in self.fitted.values() for row in rows}
        key = digest_of({name: self._keys[name] for name in self.fitted}, self.test_digest, repeats)
        if saved and self.state.speed.get("key") != key:
            self.state.keep_speed(key, speeds(saved, self.test[0], repeats, self.tell))
        if not self._unfinished:
            shutil.rmtree(self.folder / "cache", ignore_errors=True)
        problem = self.problem
        return Comparison(
            rows=[self._row(model, row) for model in models for row in self.fitted.get(model.name, ())],
            left_out=self.left_out,
            texts={
                "train": len(problem.train.texts),
                "dev": len(problem.dev.texts),
                "test": len(self.test[0]),
                "unlabelled": len(problem.unlabelled),
            },
            classes=problem.classes,
            multilabel=problem.multilabel,
            held_out=problem.held_out,
            repeats=repeats,
            environment=environment(),
            digests={"train and dev": problem.digest, "test": self.test_digest},
        )

    def _row(self, model: Model, row: Fitted) -> Row:
        values = self.state.measured(model.name, row.name, self.test_digest)
        assert values is not None
        low, high = values["accuracy_interval"]
        return Row(
            name=row.name,
            title=title_of(model.name, row.name),
            is_ours=model.is_ours,
            accuracy_interval=(low, high),
            training_seconds=self.state.models[model.name]["seconds"] if row.trained else None,
            speed=self.state.speed["values"].get(row.name, {}),
            chosen=row.chosen,
            notes=row.notes,
            **{name: value for name, value in values.items() if name not in ("n", "accuracy_interval")},
        )
