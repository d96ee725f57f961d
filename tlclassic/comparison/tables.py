"""The cells of a comparison's table, and the table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tlclassic.comparison.result import Comparison, Row

__all__ = ["cells", "head", "remarks", "terminal"]


def head(comparison: Comparison) -> list[str]:
    """Names of the columns."""
    names = ["model", comparison.measure, "95 % interval", "macro-F1"]
    names += ["micro-F1"] if comparison.multilabel else []
    return [*names, "training s", "texts/s", "2 threads", "MB", "peak MB", "start s"]


def cells(comparison: Comparison, row: Row) -> list[str]:
    """Of one model, beside `head`."""
    low, high = row.accuracy_interval
    found = [row.title, f"{row.accuracy:.4f}", f"{low:.4f}–{high:.4f}", f"{row.macro_f1:.4f}"]
    found += [f"{row.micro_f1:.4f}"] if comparison.multilabel else []
    found += [_number(row.training_seconds), _number(row.texts_per_second(1)), _number(row.texts_per_second(2))]
    return [*found, _number(row.bytes / 1e6), f"{row.peak_bytes / 1e6:,.0f}", f"{row.startup_seconds:.2f}"]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def remarks(comparison: Comparison) -> list[str]:
    """What has to be known of single models, and of models that are not there."""
    notes = [f"{row.title}: {note}" for row in comparison.rows for note in row.notes]
    sampled = [
        f"{row.title} ({found['texts']:,})"
        for row in comparison.rows
        if (found := row.speed.get("1")) is not None and found["texts"] < comparison.texts["test"]
    ]
    if sampled:
        notes.append(f"timed on a sample of the test texts: {', '.join(sampled)}")
    return [*notes, *(f"left out: {name}: {why}" for name, why in comparison.left_out.items())]


def terminal(comparison: Comparison) -> str:
    """A table of text."""
    table = [head(comparison), *(cells(comparison, row) for row in comparison.rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    told = "\n".join(remarks(comparison))
    return "\n".join([comparison.summary(), "", *lines]) + (f"\n\n{told}" if told else "")
