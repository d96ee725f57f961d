"""A fidelity report in Markdown (the tables of GitHub's flavour)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tlclassic.distillation.fidelity_examples import Disagreement
from tlclassic.distillation.fidelity_excerpts import excerpt
from tlclassic.distillation.fidelity_text import CLASS_HEAD, class_row, comparison, count, facts, labelled, sized
from tlclassic.evaluation.names import name_of
from tlclassic.storage import atomic_write

if TYPE_CHECKING:
    from tlclassic.distillation.fidelity import Fidelity

__all__ = ["markdown"]

#: Everywhere; in an address; what begins a list or a heading at the start of a line.
_ACTING = re.compile(r"([\\`*_{}\[\]#!|~<>&$]|:(?=//)|^[-+=]|(?<=^\d)[.)]|(?<=^\d\d)[.)])")


def markdown(report: Fidelity, path: str | os.PathLike[str] | None, *, title: str) -> str:
    """The report; also written to ``path``, whole or not at all."""
    parts = [
        f"# {_plain(name_of(title))}",
        f"{report.n:,} texts, {len(report.classes):,} {'labels' if report.multilabel else 'classes'}; "
        f"intervals of {100 * report.confidence:g} %.",
        _table(["", "", ""], facts(report)),
        _compared(report),
        _baselines(report),
        _classes(report),
        _examples(report),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    if path is not None:
        with atomic_write(path) as file:
            file.write(text.encode("utf-8", "replace"))
    return text


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    drawn = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([*drawn, *("| " + " | ".join(map(_cell, row)) + " |" for row in rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _compared(report: Fidelity) -> str:
    head, *rows = comparison(report)
    return "## Models\n\n" + _table(head, rows)


def _baselines(report: Fidelity) -> str:
    if not report.baselines:
        return ""
    name = "macro-F1" if report.multilabel else "accuracy"
    rows = [
        [_plain(name_of(one.name)), f"{one.accuracy:.4f}", count(one.texts_per_second), sized(one.bytes)]
        for one in report.baselines
    ]
    return "## Baselines\n\n" + _raw_table(["model", name, "texts/s", "size"], rows)


def _classes(report: Fidelity) -> str:
    rows = [[_plain(name_of(one.label)), *class_row(one)] for one in report.per_class]
    order = "largest loss first" if report.teacher else "least agreement first"
    return f"## Classes, {order}\n\n" + _raw_table(CLASS_HEAD, rows)


def _raw_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Of cells that are Markdown already; columns without anything are left out."""
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    lines = [[head[i] for i in kept], ["---"] + ["---:"] * (len(kept) - 1), *([row[i] for i in kept] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _examples(report: Fidelity) -> str:
    if not report.examples:
        return ""
    counts = report.outcomes
    told = f"{report.disagreements:,} texts"
    if counts is not None:
        told += f"; right: both {counts.both:,}, only the teacher {counts.only_teacher:,}, "
        told += f"only the student {counts.only_student:,}, neither {counts.neither:,} of all"
    return "\n\n".join([f"## Where they differ\n\n{told}.", *map(_example, report.examples)])


def _example(example: Disagreement) -> str:
    text = "".join(_plain(piece.text) for piece in excerpt(example)).strip() or "(empty)"
    chance = "" if example.contested is None else f" for {_plain(labelled(example.contested))}"
    lines = [f"> {text}", ">"]
    said = [
        f"teacher **{_plain(labelled(example.teacher_label))}** ({example.teacher_probability:.3f}{chance})",
        f"student **{_plain(labelled(example.student_label))}** ({example.student_probability:.3f}{chance})",
    ]
    if example.truth is not None:
        said.append(f"truth **{_plain(labelled(example.truth))}**")
    lines.append("> " + ", ".join(said))
    if example.ngrams:
        moved = ", ".join(f"{_plain(name_of(one.text))} {one.weight:+.2f}" for one in example.ngrams)
        lines += [">", f"> moved by: {moved}"]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text in which nothing is markup."""
    return _ACTING.sub(r"\\\1", text).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")
