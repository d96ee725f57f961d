"""The tables about distilled students."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from markdown import load, table


def _rows() -> dict[str, dict[str, Any]]:
    return dict(load("distill")["rows"])


def _students() -> dict[str, list[dict[str, Any]]]:
    """The rows of all seeds of each set that has a teacher's row."""
    found: dict[str, list[dict[str, Any]]] = {}
    for key, row in _rows().items():
        if " student " in key:
            found.setdefault(row["set"], []).append(row)
    return {name: rows for name, rows in found.items() if f"{name} teacher" in _rows()}


def _span(values: list[float]) -> str:
    """Mean, and how far the seeds lie from it."""
    mean = float(np.mean(values))
    return f"{mean:.2f}" if len(values) == 1 else f"{mean:.2f} ± {max(abs(value - mean) for value in values):.2f}"


def distillation() -> str:
    """What is kept of the teacher on each set."""
    rows, body, kept, closed = _rows(), [], [], []
    for name, seeds in _students().items():
        teacher = rows[f"{name} teacher"]["test_fp32"]
        student = [row["test_student"] for row in seeds]
        plain = [row["test_undistilled"] for row in seeds]
        kept.append(100 * float(np.mean(student)) / teacher)
        gap = teacher - float(np.mean(plain))
        share = 100 * (float(np.mean(student)) - float(np.mean(plain))) / gap if gap > 0 else None
        closed += [] if share is None else [share]
        size = max(row["bytes"] for row in seeds) / 1e6
        body.append(
            [
                f"{name}{', macro F1' if rows[f'{name} teacher']['metric'] == 'macro_f1' else ''}",
                f"{teacher:.2f}", _span(plain), _span(student), f"{kept[-1]:.1f} %",
                None if share is None else f"{share:.0f} %", f"{size:.1f} MB", len(seeds),
            ]
        )  # fmt: skip
    if len(body) > 1:
        closing = f"{np.mean(closed):.0f} %" if closed else None
        body.append(["mean", None, None, None, f"{np.mean(kept):.1f} %", closing, None, None])
    head = ["set", "teacher", "student alone", "student distilled", "kept", "gap closed", "file", "seeds"]
    return table(head, body)


def distillation_speed() -> str:
    """Student against the int8 teacher."""
    body = [
        [
            row["set"], row["n_classes"],
            *(f"{row['texts_per_second'][who]:,.0f}" for who in ("teacher", "student", "ngrams")),
            f"{row['student_over_teacher']:,} ×", f"{row['ngrams_over_student']:.1f} ×",
        ]
        for key, row in _rows().items() if key.endswith(" speed")
    ]  # fmt: skip
    head = ["set", "classes", "int8 teacher, texts/s", "student, texts/s", "1–3-grams, texts/s"]
    return table([*head, "student / teacher", "cost beside 1–3-grams"], body)


def cascade() -> str:
    """Accuracy and speed of student before teacher."""
    body = [
        [
            row["set"], f"{row['test_teacher']:.2f}", f"{row['test_cascade']:.2f}", f"{row['kept']:.1f} %",
            f"{100 * row['test_share']:.1f} %", f"{row['faster']:.1f} ×",
        ]
        for key, row in load("cascade")["rows"].items() if key.endswith(" cascade")
    ]  # fmt: skip
    return table(["set", "int8 teacher", "cascade", "kept", "passed on", "faster"], body)


def cascade_budgets() -> str:
    """What is kept where the cascade may cost a fifth or a twentieth of the teacher."""
    rows = [row for row in load("cascade")["rows"].values() if "budget" in row]
    budgets = sorted({row["budget"] for row in rows})
    body = []
    for name in dict.fromkeys(row["set"] for row in rows):
        cells = [name]
        for budget in budgets:
            own = next((row for row in rows if (row["set"], row["budget"]) == (name, budget)), None)
            cells += ["", "", ""] if own is None else [
                f"{own['kept']:.1f} %", f"{100 * own['test_share']:.1f} %", f"{own['faster']:.1f} ×"
            ]  # fmt: skip
        body.append(cells)
    heads = [f"{what}, budget 1/{budget}" for budget in budgets for what in ("kept", "passed on", "faster")]
    return table(["set", *heads], body)


def cascade_promise() -> str:
    """How often an agreement that was promised is kept."""
    rows = [row for key, row in load("cascade")["rows"].items() if key.endswith(" promise")]
    promised = sorted({key for row in rows for key in row if key.startswith("0.")})
    body = [
        [
            row["set"],
            row["texts_a_half"],
            *(f"{row[p]['held']:.1f} % ({100 * row[p]['passed_on']:.0f} %)" for p in promised),
        ]
        for row in rows
    ]
    return table(["set", "texts a half", *(f"{100 * float(p):g} % promised" for p in promised)], body)


def distillation_few() -> str:
    """Teachers of few labels and their students beside classical models."""
    names = ("tfidf", "base_en", "teacher", "student")
    body = [
        [row["set"], row["labels"], *(f"{row[f'test_{name}']:.2f}" for name in names)]
        for key, row in sorted(_rows().items(), key=lambda item: (item[1]["set"], item[1].get("labels", 0)))
        if " few " in key
    ]
    heads = ["TF-IDF + LR", "base-en + LR", "fine-tuned encoder (int8)", "its student"]
    return table(["set", "labels", *heads], body)


def distillation_without() -> str:
    """Dev of a student without one of the ways of making texts, or without the texts that have no labels."""
    body = [
        [row["set"], row["without"].replace("_", " "), f"{row['dev_student']:.2f}", f"{row['dev_log_loss']:.4f}"]
        for key, row in _rows().items() if " without " in key
    ]  # fmt: skip
    return table(["set", "without", "accuracy on dev", "log loss on dev"], body)


TABLES: dict[str, Callable[[], str]] = {
    "cascade": cascade,
    "cascade_budgets": cascade_budgets,
    "cascade_promise": cascade_promise,
    "distillation": distillation,
    "distillation_few": distillation_few,
    "distillation_speed": distillation_speed,
    "distillation_without": distillation_without,
}
