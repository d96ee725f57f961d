"""``tlclassic cascade``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app.console import print_json
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption
from tlclassic.errors import InputError, InvalidParameterError

#: Texts that the teacher sees before its time is taken.
_WARM_UP = 16


class Surety(StrEnum):
    """What the student's confidence is."""

    probability = "probability"
    margin = "margin"
    labels = "labels"


def cascade(
    student: Annotated[
        Path,
        typer.Argument(help="The fast model, as `tlclassic predict` takes it.", show_default=False),
    ],
    dev: Annotated[
        Path,
        typer.Option(
            help="Texts that neither was trained on, drawn as later ones will be. Labels: for --accuracy at least.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write; a new one, or an empty one.", show_default=False)
    ],
    teacher: Annotated[
        Path | None,
        typer.Argument(
            help="The better model, for the texts that the student is not sure of. Left out: those get no answer.",
            show_default=False,
        ),
    ] = None,
    agreement: Annotated[
        float | None,
        typer.Option(
            help="Share of all texts that are to get the teacher's answer; 0.995 when nothing is asked for.",
            show_default=False,
        ),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(help="Without a teacher: share of the answered texts that are to be right.", show_default=False),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="Instead of a promise: share of the texts to pass on, at most.", show_default=False),
    ] = None,
    measure: Annotated[
        Surety,
        typer.Option(
            help="What tells that the student is sure: its largest probability, or the margin over the second. Several "
            "labels a text: the least sure label, or labels, the mean over them, for macro F1."
        ),
    ] = Surety.probability,
    confidence: Annotated[
        float, typer.Option(help="With which agreement or accuracy is promised for later texts.")
    ] = 0.95,
    later: Annotated[
        int | None,
        typer.Option(
            help="With --agreement: promise it for the next so many texts, as measured on them; for the rate over all "
            "that may come when left out.",
            show_default=False,
        ),
    ] = None,
    unsure: Annotated[
        str | None,
        typer.Option(
            help="The answer where there is none; `unsure`, or nothing where labels are no strings, when left out.",
            show_default=False,
        ),
    ] = None,
    refer: Annotated[
        bool, typer.Option("--refer", help="Keep the teacher's path and digests, and not a copy of its files.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a cascade that is there.")] = False,
    text: Annotated[
        str | None, typer.Option(help="Column of the texts; as for the student when left out.", show_default=False)
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of the labels; as for the student when left out.", show_default=False)
    ] = None,
    json: JsonOption = False,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
) -> None:
    """Put a fast student before a slow teacher: it answers where it is sure, and passes the other texts on.

    The folder is a model like any other: `tlclassic predict` and `tlclassic evaluate` take it.

    Example: tlclassic cascade small.tlc tuned --dev dev.tsv --agreement 0.995 --out both
    """
    from tlclassic.cascade import Cascade
    from tlclassic.cascade.folder import check_folder
    from tlclassic.opening import load_with_task

    if refer and teacher is None:
        raise InvalidParameterError("--refer is for a teacher; there is none.")
    check_folder(out, force=force)
    first, task = load_with_task(student)
    second, their_task = (None, {}) if teacher is None else load_with_task(teacher)
    made = Cascade(
        first, second, unsure=_unsure(unsure, first, task), student_labels=task.get("labels"),
        teacher_labels=their_task.get("labels"), measure=str(measure),
    )  # fmt: skip
    columns = {"text": text or task.get("text") or "text", "label": label or task.get("label") or "label"}
    reading = {"format": None if input_format is None else str(input_format), "quoted": quoted}
    texts, labels = _read_dev(dev, columns, made, task.get("separator", ","), reading)
    if accuracy is not None and labels is None:
        raise InputError(
            f"there is no label in the column {columns['label']!r}, and --accuracy is measured by labels", path=dev,
            remedy="Name the column with --label, or give --share",
        )  # fmt: skip
    # Speeds are those of models whose files have been read: the student's in one pass, which costs it little.
    first.predict_proba(texts)
    if second is not None:
        second.predict_proba(texts[:_WARM_UP])
    made.tune(texts, labels, agreement=agreement, accuracy=accuracy, share=share, confidence=confidence, later=later)
    made.save(
        out, refer=refer, force=force, student_path=student, teacher_path=teacher,
        task={"separator": task.get("separator"), **columns},
    )  # fmt: skip
    _show(made, texts, out, json)


def _unsure(wanted: str | None, student: Any, task: dict[str, Any]) -> str | None:
    from tlclassic.pipelines.applying import class_names

    return wanted or ("unsure" if isinstance(class_names(student, task.get("labels"))[0], str) else None)


def _read_dev(
    path: Path, columns: dict[str, str], cascade: Any, separator: str, reading: dict[str, Any]
) -> tuple[list[str], list[Any] | None]:
    """All texts, and their labels (None where a text has none) if there is any."""
    from tlclassic.app.evaluate import _like_classes
    from tlclassic.data import load_dataset, read_batches

    if str(path) == "-":
        raise InvalidParameterError("--dev must be a file; it is read twice.")
    texts: list[str] = []
    places: dict[int, int] = {}
    labelled = False
    for batch in read_batches(path, columns=[columns["text"]], optional=[columns["label"]], **reading):
        places |= {line: len(texts) + place for place, line in enumerate(batch.lines)}
        texts += batch.columns[columns["text"]]
        labelled = labelled or any(value is not None for value in batch.columns[columns["label"]])
    if not texts:
        raise InputError("there is no text to set the threshold by", path=path, remedy="Give another file")
    if not labelled:
        return texts, None
    known = {**columns, **reading, "multilabel": cascade.multilabel_, "separator": separator}
    data = load_dataset(path, **known)
    labels: list[Any] = [None] * len(texts)
    for line, value in zip(data.lines, _like_classes(data.labels, cascade.classes_.tolist()), strict=True):
        labels[places[line]] = value
    return texts, labels


def _show(cascade: Any, texts: list[str], out: Path, json: bool) -> None:
    from tlclassic.cascade.report import report_table, shares

    # What is reported of the cascade's speed is what it takes, on texts that are hard and perhaps long.
    run = cascade.answer(texts).report
    teacher = cascade.teacher is not None
    if json:
        print_json({**cascade.tuning_.as_dict(), "run": run.as_dict(), "model": str(out)})
        return
    print(report_table(cascade.tuning_, teacher=teacher))
    print(f"\nrun on the dev texts: {shares(run, teacher=teacher)}")
    print(f"saved {out}")
