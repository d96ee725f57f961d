"""The tables about several tasks in one model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markdown import load, table


def _rows(kind: str) -> list[dict[str, Any]]:
    return [row for row in load("multitask")["rows"].values() if kind in row]


def multitask_sets() -> str:
    """Joint against separate models, for each measure."""
    body = []
    for row in sorted(_rows("gain"), key=lambda row: row["set"]):
        for measure, gain in row["gain"].items():
            low, high = gain["interval"]
            body.append(
                [
                    f"{row['set']}, {measure}", f"{100 * row['share']:.0f} % ({row['n_train']:,})",
                    f"{row['test']['separate'][measure]:.2f}", f"{row['test']['joint'][measure]:.2f}",
                    f"{gain['mean']:+.2f}", f"{low:+.2f} to {high:+.2f}", _ways(row["sharing"], measure),
                ]
            )  # fmt: skip
    return table(["set, measure", "labels", "separate", "joint", "gain", "95 % interval", "chosen, by seed"], body)


def _ways(sharing: list[dict[str, Any]], measure: str) -> str:
    """What was chosen for the task that is measured, or of many tasks how many chose what."""
    if measure in sharing[0]:
        return ", ".join(each[measure] for each in sharing)
    return "; ".join(", ".join(f"{count} {way}" for way, count in each.items()) for each in sharing)


def multitask_artefact() -> str:
    """One file for five tasks against five files."""
    body = [
        [
            f"{row['what']}, {dtype}", found["tables"], f"{found['bytes']:,}", f"{found['bytes_of_five']:,}",
            f"{found['microseconds']:.2f}", f"{found['microseconds_of_largest']:.2f}",
            f"{found['microseconds'] / found['microseconds_of_largest']:.2f}", f"{found['microseconds_of_five']:.2f}",
        ]
        for row in _rows("dtypes")
        for dtype, found in row["dtypes"].items()
    ]  # fmt: skip
    head = ["tasks", "tables", "bytes", "of five files", "µs a text", "of the slowest", "ratio", "of all five"]
    return table(head, body)


def finetune_tasks() -> str:
    """One encoder for several sets against one for each."""
    names = {"attention": "attention of and between tasks", "plain": "hard sharing alone"}
    body = []
    for row in load("finetune_tasks")["rows"].values():
        for name, gain in row.get("gains", {}).items():
            low, high = gain["interval"]
            body.append(
                [name, names[row["kind"]], f"{gain['separate']:.2f}", f"{gain['joint']:.2f}", f"{gain['gain']:+.2f}",
                 f"{low:+.2f} to {high:+.2f}"]
            )  # fmt: skip
    return table(["set", "joint encoder", "separate", "joint", "gain", "95 % interval"], body)


TABLES: dict[str, Callable[[], str]] = {
    "multitask_sets": multitask_sets,
    "finetune_tasks": finetune_tasks,
    "multitask_artefact": multitask_artefact,
}
