"""The report of a compilation as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["report_table"]

_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("step", "step", str),
    ("rows", "rows", "{:,}".format),
    ("bytes", "bytes", "{:,}".format),
    ("max_logit_error", "logit error", "{:.2g}".format),
    ("agreement", "agreement", "{:.4f}".format),
    ("accuracy", "accuracy", "{:.4f}".format),
    ("macro_f1", "macro-F1", "{:.4f}".format),
    ("score", "score", "{:.4f}".format),
)


def report_table(report: Mapping[str, Any]) -> str:
    """A table of ``metadata["report"]``, a line for each step, and the notes below it.

    Examples
    --------
    >>> steps = [{"step": "source", "accuracy": 0.9}, {"step": "folded", "rows": 1200, "bytes": 4800, "accuracy": 0.9}]
    >>> print(report_table({"steps": steps}))
    step     rows  bytes  accuracy
    source                  0.9000
    folded  1,200  4,800    0.9000
    """
    steps = report["steps"]
    columns = [column for column in _COLUMNS if any(column[0] in step for step in steps)]
    lines = [[title for _, title, _ in columns]]
    lines += [[show(step[name]) if name in step else "" for name, _, show in columns] for step in steps]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    table = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    ]
    return "\n".join([*table, *report.get("notes", ())])
