"""What a person at the terminal sees: results on stdout; progress, warnings and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from tlclassic.errors import InvalidParameterError, TlclassicWarning
from tlclassic.storage import check_destination

__all__ = ["check_out", "note", "print_json", "progress_bar", "say_shares", "warnings_on_stderr"]

#: Called with (done, total or None when it is not known).
Advance = Callable[[int, int | None], None]


def note(message: str) -> None:
    """Say something on stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def check_out(out: str | os.PathLike[str], *inputs: str | os.PathLike[str] | None) -> None:
    """Before any work: ``out`` can be written, and is none of the ``inputs``.

    Raises
    ------
    InputError, InvalidParameterError
    """
    if str(out) == "-":
        return
    check_destination(out)
    for source in inputs:
        if source is not None and os.path.exists(source) and os.path.exists(out) and os.path.samefile(source, out):
            raise InvalidParameterError(f"the output must not replace an input; got {os.fspath(out)!r} for both.")


@contextlib.contextmanager
def progress_bar(description: str) -> Iterator[Advance]:
    """A progress bar on stderr; nothing where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def say_shares(model: Any, report: Any) -> None:
    """On stderr, who of a cascade answered how many texts; nothing for other models, whose ``report`` is None."""
    if report is not None:
        from tlclassic.cascade.report import shares

        note(f"cascade: {shares(report, teacher=model.teacher is not None)}")


@contextlib.contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Show tlclassic's own warnings as one line each, without a source line; others as Python shows them."""
    show = warnings.showwarning

    def show_short(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, TlclassicWarning):
            note(f"warning: {message}")
        else:
            show(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", TlclassicWarning)
        warnings.showwarning = show_short
        yield
