"""The tables about spaCy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markdown import load, table

#: In place of a table without a row.
MISSING = "Not measured yet: `python benchmarks/bench_spacy.py`, some hours on two cores.\n"


def _rows(begin: str) -> list[dict[str, Any]]:
    return [row for key, row in load("spacy")["rows"].items() if key.startswith(f"{begin} ")]


def spacy_backbones() -> str:
    """Test scores of each backbone: parser and tagger on UD English EWT, entities on CoNLL-2003."""
    cells: dict[str, dict[str, dict[str, Any]]] = {}
    for row in _rows("train"):
        cells.setdefault(row["backbone"], {})[row["corpus"]] = row
    body = []
    for name, rows in cells.items():
        ewt, conll = rows.get("ewt"), rows.get("conll")
        scores = [f"{ewt['test'][metric]:.2f}" if ewt else None for metric in ("tag_acc", "dep_uas", "dep_las")]
        body.append(
            [
                name, *scores, f"{conll['test']['ents_f']:.2f}" if conll else None,
                f"{ewt['words_per_s']:,}" if ewt else None, f"{conll['words_per_s']:,}" if conll else None,
                f"{ewt['train_cpu_s']:.0f}" if ewt else None, f"{conll['train_cpu_s']:.0f}" if conll else None,
            ]
        )  # fmt: skip
    head = [
        "backbone", "tags", "UAS", "LAS", "entity F1", "words/s, EWT", "words/s, CoNLL", "training s, EWT",
        "training s, CoNLL",
    ]  # fmt: skip
    return table(head, body) if body else MISSING


def spacy_joint() -> str:
    """One backbone for all against a pipeline for each corpus."""
    joint = _rows("joint")
    body = []
    for row in joint:
        alone = [other for other in _rows("train") if other["backbone"] == row["backbone"]]
        metrics = list(row["test"])
        single = {name: score for other in alone for name, score in other["test"].items()}
        seconds = sum(other["train_cpu_s"] for other in alone)
        shown = [f"{single[name]:.2f}" if name in single else None for name in metrics]
        body.append([f"{len(alone)} pipelines", *shown, f"{seconds:.0f}"])
        body.append(["one pipeline", *(f"{row['test'][name]:.2f}" for name in metrics), f"{row['train_cpu_s']:.0f}"])
    names = {"dep_las": "LAS", "dep_uas": "UAS", "tag_acc": "tags", "ents_f": "entity F1", "cats_macro_f": "SST-2 F1"}
    metrics = list(joint[0]["test"]) if joint else []
    return table(["", *(names[name] for name in metrics), "training s"], body) if body else MISSING


def spacy_components() -> str:
    """Microseconds a document of a compiled classifier and of spaCy's bag of words, and their accuracy."""
    body = [
        [
            f"{row['set']}, {row['tokens']} tokens", f"{row['accuracy']:.2f}", f"{row['accuracy_bow']:.2f}",
            row["us_tokenizer"], row["us_component"], row["us_doc_text"], row["us_bow"], f"{row['times']:.1f}",
        ]
        for row in _rows("component")
    ]  # fmt: skip
    head = [
        "texts", "accuracy", "of bag of words", "tokeniser µs", "component µs", "of it doc.text µs", "bag of words µs",
        "times",
    ]  # fmt: skip
    return table(head, body) if body else MISSING


def spacy_threads() -> str:
    """Words a second of wall time, by threads of the encoder."""
    body = [
        [f"MiniLM {row['file']}", *(f"{rate:,}" for rate in row["words_per_s"].values())] for row in _rows("threads")
    ]
    return table(["backbone", "one thread, words/s", "two threads, words/s"], body) if body else MISSING


TABLES: dict[str, Callable[[], str]] = {
    "spacy_backbones": spacy_backbones,
    "spacy_joint": spacy_joint,
    "spacy_components": spacy_components,
    "spacy_threads": spacy_threads,
}
