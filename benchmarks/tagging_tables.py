"""The tables about taggers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markdown import load, table


def _rows(end: str) -> list[dict[str, Any]]:
    return [row for key, row in load("tagging")["rows"].items() if key.endswith(f" {end}")]


def tagging_accuracy() -> str:
    """Dev and test figures of each set and task."""
    body = []
    for row, with_steps in [(row, "") for row in _rows("test")] + [(row, ", more steps") for row in _rows("steps")]:
        size = f"{row['bytes_compiled'] / 1e6:.1f}"
        body += [
            [
                f"{row['set']}, {task}{with_steps}",
                *(f"{row[each][task]:.2f}" for each in ("dev", "test", "test_compiled")),
                size,
            ]
            for task in row["test"]
        ]
    body += [
        [f"{row['set']}, {task}, with states", f"{row['dev'][task]:.2f}", f"{row['test'][task]:.2f}", None, None]
        for row in _rows("states")
        for task in row["test"]
    ]
    for row in _rows("finetuned"):
        own = [f"{row['set']}, {row['task']}, fine-tuned encoder alone", row["dev_encoder"], row["test_encoder"]]
        body.append([own[0], *(f"{score:.2f}" for score in own[1:]), None, None])
        body += [
            [
                f"{row['set']}, {task}, with its states",
                f"{row['dev'][task]:.2f}",
                f"{row['test'][task]:.2f}",
                None,
                None,
            ]
            for task in row["test"]
        ]
    return table(["set, task", "dev", "test", "test, compiled", "compiled, MB"], body)


def tagging_speed() -> str:
    """Tokens a second beside spaCy's."""
    row = load("tagging")["rows"].get("speed")
    if row is None:
        return ""
    rates = row["tokens_per_second"]
    shown = [f"{rates['tlclassic']:,}", f"{rates['spacy_ner']:,}", f"{row['ratio']} ×"]
    return table(["tagger", "tlclassic, tokens/s", "spaCy ner", "ratio"], [["conll2003, entities", *shown]])


def tagging_joint() -> str:
    """One tagger beside separate ones, by share of the labels."""
    body = [
        [
            f"{row['set']}, {task}", f"{100 * row['share']:.0f} %", f"{found['separate']:.2f}", f"{found['joint']:.2f}",
            f"{found['difference']:+.2f}", f"{found['interval'][0]:+.2f} to {found['interval'][1]:+.2f}",
        ]
        for key, row in load("tagging")["rows"].items() if key.startswith("joint ")
        for task, found in row["tasks"].items()
    ]  # fmt: skip
    return table(["set, task", "labels", "separate", "joint", "difference", "95 % interval"], body)


TABLES: dict[str, Callable[[], str]] = {
    "tagging_accuracy": tagging_accuracy,
    "tagging_speed": tagging_speed,
    "tagging_joint": tagging_joint,
}
