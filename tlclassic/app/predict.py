"""``tlclassic predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app.console import check_out, progress_bar, say_shares
from tlclassic.app.options import FormatOption, OutputFormat, QuotedOption, StoresOption
from tlclassic.app.tasks import TaskShape, answers, is_multi_task, joined
from tlclassic.data.batches import format_of_name
from tlclassic.errors import InvalidParameterError


def predict(
    model: Annotated[
        Path, typer.Argument(help="A model saved by `tlclassic train`, tune or compile.", show_default=False)
    ],
    file: Annotated[
        str, typer.Argument(help="Texts: TSV, CSV, JSONL or Parquet, also .gz and .zst; - for stdin.")
    ] = "-",
    text: Annotated[
        str | None,
        typer.Option(help="Column of the texts; the one of the training file when left out.", show_default=False),
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="The input has no columns: every line is a text.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="A column of the input to copy to the output, such as an id.", show_default=False),
    ] = None,
    column: Annotated[
        str, typer.Option(help="Name of the predicted column in the output; of several tasks those of the tasks.")
    ] = "label",
    proba: Annotated[bool, typer.Option("--proba", help="Add the probability of every class.")] = False,
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format", help="Format of the output; told by its name when left out, else jsonl.", show_default=False
        ),
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="Where the predictions go; - for stdout.")] = "-",
    batch_size: Annotated[int, typer.Option(help="Texts read and predicted at a time.", min=1)] = 4096,
    vectors: StoresOption = None,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
) -> None:
    """Predict the label of every text, in order, one row each; memory does not grow with the input.

    Example: echo "why was i charged twice" | tlclassic predict model.tlc --lines --proba
    """
    from tlclassic.data import open_writer, read_batches
    from tlclassic.opening import load_with_task
    from tlclassic.pipelines.applying import class_names, predict_texts

    check_out(output, model, file)
    output_format = _format_of(output_format, output)
    pipeline, task = load_with_task(model, vectors=vectors)
    labels = task.get("labels")
    text = text or task.get("text") or "text"
    kept = keep or []
    separator = task.get("separator", ",")
    several = is_multi_task(pipeline)
    shape: Any
    if several:
        shape = TaskShape(pipeline, str(output_format), kept, proba, separator)
    else:
        shape = _Shape(output_format, class_names(pipeline, labels), kept, column, proba, separator)
    batches = read_batches(
        file,
        columns=[text],
        optional=[name for name in kept if name != text],
        format="txt" if lines else None if input_format is None else str(input_format),
        quoted=quoted,
        batch_size=batch_size,
    )
    done, report = 0, None
    with (
        progress_bar("predicting") as advance,
        open_writer(output, format=str(output_format), columns=shape.columns) as writer,
    ):
        for number, batch in enumerate(batches):
            if number == 0:
                _check_kept(kept, batch.columns)
            texts = batch.columns[text]
            if several:
                rows = shape.rows(*answers(pipeline, texts, proba=proba))
            else:
                predictions = predict_texts(pipeline, texts, labels=labels, proba=proba)
                rows = shape.rows(predictions)
                report = predictions.report if report is None else report + predictions.report
            writer.write({**{name: batch.columns[name] for name in kept}, **rows})
            done += len(texts)
            advance(done, None)
    say_shares(pipeline, report)


def _format_of(wanted: OutputFormat | None, output: str) -> OutputFormat:
    """The format asked for, or that of the output's name; refused where the two differ."""
    named = format_of_name(output)
    if wanted is not None and named is not None and named != str(wanted):
        raise InvalidParameterError(f"--format {wanted} does not fit the name {output!r}; leave one of the two out.")
    return wanted or OutputFormat(named or "jsonl")


def _check_kept(kept: list[str], columns: dict[str, list[Any]]) -> None:
    """Refuse a column that is not there; the reader gives None for one that a row may lack."""
    for name in kept:
        if all(value is None for value in columns[name]):
            raise InvalidParameterError(f"--keep {name!r} names a column without a value in the input's first rows.")


class _Shape:
    """How predictions become columns: JSONL nests the probabilities, the tables have a column for each class."""

    def __init__(
        self, output_format: OutputFormat, names: list[Any], kept: list[str], column: str, proba: bool, separator: str
    ) -> None:
        self._column = column
        self._nested = output_format == OutputFormat.jsonl
        self._flat_labels = output_format in (OutputFormat.tsv, OutputFormat.csv)
        self._names = [str(name) for name in names]
        self._proba = proba
        self._separator = separator
        probabilities = ["proba"] if self._nested else [f"proba_{name}" for name in self._names]
        self.columns = [*kept, column, *(probabilities if proba else [])]

    def rows(self, predictions: Any) -> dict[str, list[Any]]:
        labels = predictions.labels
        if self._flat_labels and labels and isinstance(labels[0], list):
            labels = joined(labels, self._separator)
        columns = {self._column: labels}
        if not self._proba:
            return columns
        table = predictions.proba.tolist()
        if self._nested:
            return {**columns, "proba": [dict(zip(self._names, row, strict=True)) for row in table]}
        return {**columns, **{f"proba_{name}": [row[i] for row in table] for i, name in enumerate(self._names)}}
