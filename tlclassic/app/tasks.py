"""What the commands do with models of several tasks: ``train --task``, ``predict`` and ``evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tlclassic.app.console import note, print_json
from tlclassic.errors import InputError, InvalidParameterError

__all__ = [
    "TaskShape",
    "answers",
    "distill_tasks",
    "evaluate_tasks",
    "is_multi_task",
    "joined",
    "opened_teacher",
    "read_labels",
    "train_tasks",
]


def is_multi_task(model: Any) -> bool:
    """Whether a model answers a dict of tasks."""
    return type(model).__name__ in ("MultiTaskClassifier", "CompiledTasks")


# -- train -----------------------------------------------------------------------------------------------------------


def train_tasks(
    files: Sequence[Path],
    out: Path,
    *,
    tasks: Sequence[str],
    kinds: Sequence[str],
    sharing: str,
    dev: Sequence[Path],
    options: Any,
    reading: dict[str, Any],
    label: str,
    vectors: str,
    seed: int,
    json: bool,
) -> None:
    """Fit one model for all tasks, save it, and say what came out."""
    from tlclassic.multitask import MultiTaskClassifier
    from tlclassic.multitask.files import label_columns, parse_kinds, read_files
    from tlclassic.pipelines import save
    from tlclassic.pipelines.training import build_shared_features

    columns = label_columns(tasks, len(files), label)
    known = parse_kinds(kinds, tasks)
    texts, labels = read_files(files, columns, kinds=known, **reading)
    if dev and len(dev) != len(files):
        raise InvalidParameterError(f"dev must be given once a training file; got {len(dev)} for {len(files)} files.")
    held_out = read_files(dev, columns, kinds=known, **reading) if dev else None
    model = MultiTaskClassifier(build_shared_features(options), kinds=known, sharing=sharing, random_state=seed)
    model.fit(texts, labels)
    report = _report(model, len(texts), labels)
    if held_out is not None:
        report["dev"] = model.score_tasks(*held_out)
    task = {"text": reading["text"], "columns": columns, "kinds": model.kinds_, "separator": reading["separator"]}
    shown = {"features": list(options.features), "bits": options.bits}
    save(model, out, vectors=vectors, metadata={"task": task, "training": report, "options": shown})
    report |= {"model": str(out), "bytes": out.stat().st_size}
    print_json(report) if json else _print(report)


def _report(model: Any, n: int, labels: dict[str, list[Any]]) -> dict[str, Any]:
    tasks = {}
    for name in model.tasks_:
        found = model.cv_results_[name]
        tasks[name] = {
            "kind": model.kinds_[name],
            "n": sum(value is not None for value in labels[name]),
            "classes": model.classes_[name].tolist(),
            "C": model.C_[name],
            "sharing": model.sharing_[name],
            "metric": found["metric"],
            "alone": found.get("score"),
            "cross_validation": found.get("final_score"),
        }
    attention = None if model.attention_ is None else model.attention_.tolist()
    return {"n": n, "tasks": tasks, "attention": attention}


def _print(report: dict[str, Any]) -> None:
    dev = report.get("dev", {})
    header = ["task", "kind", "texts", "metric", "alone", "chosen", "sharing", *(["dev"] if dev else [])]
    rows = [
        [
            name,
            task["kind"],
            f"{task['n']:,}",
            task["metric"],
            _shown(task["alone"]),
            _shown(task["cross_validation"]),
            task["sharing"],
            *([_shown(dev.get(name))] if dev else []),
        ]
        for name, task in report["tasks"].items()
    ]
    print(_table([header, *rows]))
    print(f"saved {report['model']} ({report['bytes']:,} bytes)")


def _shown(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.4f}"


def _table(lines: list[list[str]]) -> str:
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


# -- distill ---------------------------------------------------------------------------------------------------------


def opened_teacher(names: Sequence[str], vectors: Any) -> tuple[Any, dict[str, Any]] | None:
    """A teacher of several tasks and what is known of them; None for any other."""
    from tlclassic.opening import load_with_task
    from tlclassic.storage import Artifact, is_artifact

    if len(names) != 1 or not is_artifact(names[0]):
        return None
    artifact = Artifact(names[0])
    node = artifact.metadata.get("model")
    if artifact.kind != "compiled-tasks" and not (isinstance(node, dict) and node.get("$") == "multi-task"):
        return None
    return load_with_task(names[0], vectors=vectors)


def distill_tasks(
    teacher: tuple[Any, dict[str, Any]],
    out: Path,
    *,
    texts: Sequence[Path],
    train: Path | None,
    dev: Path | None,
    max_size: str | None,
    hard_weight: float | None,
    text: str,
    reading: dict[str, Any],
    seed: int,
    json: bool,
) -> None:
    """Fit one student on all tasks' probabilities, compile and save it."""
    from tlclassic.distillation import read_transfer
    from tlclassic.folding import compile as fold
    from tlclassic.folding import report_table
    from tlclassic.multitask.distilling import HARD_WEIGHT, distil_tasks

    model, known = teacher
    if train is None and not texts:
        raise InvalidParameterError("there is nothing to learn from: give --texts, --train or both.")
    options = {"text": None if text == "text" else text, **reading}
    labelled = None if train is None else read_labels(model, known, str(train), [], None, options)
    held_out = (None, None) if dev is None else read_labels(model, known, str(dev), [], None, options)
    transfer = read_transfer(list(texts), max_texts=None, random_state=seed, text=text) if texts else []
    share = HARD_WEIGHT if hard_weight is None else hard_weight
    student = distil_tasks(model, transfer, labelled=labelled, hard_weight=share, random_state=seed)
    compiled = fold(
        student, max_size=max_size, texts=held_out[0], labels=held_out[1], provenance={"task": known}
    )  # fmt: skip
    compiled.save(out)
    report = {**compiled.metadata["report"], "model": str(out), "bytes": out.stat().st_size}
    if json:
        print_json(report)
        return
    print(report_table(report))
    print(f"saved {report['model']} ({report['bytes']:,} bytes)")


# -- predict ---------------------------------------------------------------------------------------------------------


def answers(model: Any, texts: Sequence[str], *, proba: bool) -> tuple[dict[str, list[Any]], dict[str, Any] | None]:
    """Of each task its predictions, of multi-label a list of labels a text; and its probabilities if asked for."""
    if hasattr(model, "answer"):
        found, chances = model.answer(texts)
    else:
        found, chances = model.predict(texts), model.predict_proba(texts) if proba else None
    classes = model.classes_
    named = {
        name: _names(values, classes[name].tolist()) if values.ndim == 2 else values.tolist()
        for name, values in found.items()
    }
    return named, chances if proba else None


def _names(indicator: Any, classes: list[Any]) -> list[list[Any]]:
    return [[classes[column] for column in row.nonzero()[0].tolist()] for row in indicator]


class TaskShape:
    """How the answers of several tasks become columns: one a task, or in JSONL with the probabilities in an object."""

    def __init__(self, model: Any, output_format: str, kept: list[str], proba: bool, separator: str) -> None:
        self._tasks: list[str] = list(model.tasks_)
        self._classes = {name: [str(value) for value in model.classes_[name].tolist()] for name in self._tasks}
        self._nested = output_format == "jsonl"
        self._flat_labels = output_format in ("tsv", "csv")
        self._proba, self._separator = proba, separator
        chances = [f"proba_{task}_{name}" for task in self._tasks for name in self._classes[task]]
        self.columns = [*kept, *self._tasks, *((["proba"] if self._nested else chances) if proba else [])]
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            raise InvalidParameterError(f"keep must not name a task of the model; got {twice[0]!r} for both.")

    def rows(self, found: dict[str, list[Any]], chances: dict[str, Any] | None) -> dict[str, list[Any]]:
        """The columns of a batch."""
        columns: dict[str, list[Any]] = {name: self._flat(found[name]) for name in self._tasks}
        if chances is None:
            return columns
        tables = {name: chances[name].tolist() for name in self._tasks if self._classes[name]}
        if not self._nested:
            return columns | {
                f"proba_{task}_{name}": [row[place] for row in table]
                for task, table in tables.items()
                for place, name in enumerate(self._classes[task])
            }
        n = len(columns[self._tasks[0]])
        nested = [
            {task: dict(zip(self._classes[task], table[i], strict=True)) for task, table in tables.items()}
            for i in range(n)
        ]
        return {**columns, "proba": nested}

    def _flat(self, values: list[Any]) -> list[Any]:
        if self._flat_labels and values and isinstance(values[0], list):
            return joined(values, self._separator)
        return values


def joined(rows: list[list[Any]], separator: str) -> list[str]:
    """Several labels a text as one field each; refused where a label could not be told from two."""
    listed = [["" if item is None else str(item) for item in row] for row in rows]
    for item in sorted({item for row in listed for item in row}):
        if separator in item:
            raise InvalidParameterError(
                f"--format must be jsonl or parquet: the label {item!r} holds {separator!r}, which parts labels."
            )
    return [separator.join(row) for row in listed]


# -- evaluate --------------------------------------------------------------------------------------------------------


def read_labels(
    model: Any, task: dict[str, Any], path: str, wanted: Sequence[str], label: str | None, reading: dict[str, Any]
) -> tuple[list[str], dict[str, list[Any]]]:
    """The texts of a labelled file and the labels of those tasks that it has.

    Which column is which task's is known from training: a column a task, or the same column in a file of each task, of
    which ``wanted`` then names one.
    """
    from tlclassic.multitask.files import read_columns

    columns = dict(task.get("columns") or {name: name for name in model.tasks_})
    unknown = [name for name in wanted if name not in columns]
    if unknown:
        raise InvalidParameterError(f"task must be one of {', '.join(columns)}; got {unknown[0]!r}.")
    chosen = {name: columns[name] for name in wanted or columns}
    if label is not None:
        chosen = dict.fromkeys(chosen, label)
    if len(chosen) > 1 and len(set(chosen.values())) < len(chosen):
        raise InvalidParameterError(
            f"task must say which task the labels of {path} are of: the model was trained on a file for each "
            f"({', '.join(columns)})."
        )
    text = reading["text"] or task.get("text") or "text"
    options = {**reading, "text": text, "kinds": model.kinds_, "separator": task.get("separator", ",")}
    return read_columns(path, chosen, **options)


def evaluate_tasks(model: Any, texts: Sequence[str], labels: dict[str, list[Any]], path: str, *, json: bool) -> None:
    """Measure each task on the rows that have a label, and say so."""
    from tlclassic.app.evaluate import _like_classes
    from tlclassic.evaluation import evaluate_predictions
    from tlclassic.multitask.metrics import METRICS
    from tlclassic.multitask.scoring import score_outputs

    found, chances = answers(model, texts, proba=True)
    assert chances is not None  # they were asked for
    outputs = getattr(model, "outputs_", None) or model._outputs
    classes = {name: model.classes_[name].tolist() for name in labels}
    typed = {
        name: [None if value is None else _like_classes([value], classes[name])[0] for value in values]
        if classes[name]
        else values
        for name, values in labels.items()
    }
    scores = score_outputs(outputs, model.decision_function(texts), _known(typed, model, classes))
    report: dict[str, Any] = {"score": sum(scores.values()) / len(scores), "tasks": {}}
    for name, truth in typed.items():
        places = [place for place, value in enumerate(truth) if value is not None]
        if not places:
            raise InputError(f"no row has a label of task {name}", path=path, remedy="Check --task and the file")
        kind = model.kinds_[name]
        if len(places) < len(truth):
            note(f"{path}: {len(truth) - len(places)} rows without a label of task {name} are left out")
        facts: dict[str, Any] = {"kind": kind, "n": len(places), "metric": METRICS[kind], "score": scores[name]}
        own = [found[name][place] for place in places]
        if kind == "regression":
            errors = [abs(a - b) for a, b in zip(own, (truth[place] for place in places), strict=True)]
            facts["mean_absolute_error"] = sum(errors) / len(errors)
            shown: Any = ""
        else:
            shown = evaluate_predictions([truth[p] for p in places], own, chances[name][places], classes[name])
            facts |= {"evaluation": shown.as_dict()}
        report["tasks"][name] = facts
        if not json:
            print(f"{name} ({kind}): {METRICS[kind]} {scores[name]:.4f} on {len(places):,} texts")
            if shown:
                print(shown)
            else:
                print(f"mean absolute error {facts['mean_absolute_error']:.4f}")
            print()
    if json:
        print_json(report)
    else:
        print(f"mean over {len(scores)} tasks: {report['score']:.4f}")


def _known(labels: dict[str, list[Any]], model: Any, classes: dict[str, list[Any]]) -> dict[str, Any]:
    """Labels as the metrics take them: several labels as an indicator of those that the model knows."""
    import numpy as np

    def indicator(rows: list[Any], names: list[Any]) -> Any:
        cells = [[None] * len(names) if row is None else [int(name in row) for name in names] for row in rows]
        return np.array(cells, dtype=object)

    return {
        name: indicator(values, classes[name]) if model.kinds_[name] == "multilabel" else values
        for name, values in labels.items()
    }
