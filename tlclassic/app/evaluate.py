"""``tlclassic evaluate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app.console import note, print_json, say_shares
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption, StoresOption
from tlclassic.app.tasks import evaluate_tasks, is_multi_task, read_labels
from tlclassic.errors import InputError, InvalidParameterError


def evaluate(
    model: Annotated[
        Path, typer.Argument(help="A model saved by `tlclassic train`, tune or compile.", show_default=False)
    ],
    test: Annotated[
        str,
        typer.Argument(
            metavar="TEST", help="Labelled texts: TSV, CSV, JSONL or Parquet; - for stdin.", show_default=False
        ),
    ],
    text: Annotated[
        str | None, typer.Option(help="Column of the texts; as in training when left out.", show_default=False)
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of the labels; as in training when left out.", show_default=False)
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Of a model of several tasks: which to measure; all when left out.", show_default=False),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Also write a self-contained HTML page with plots to this file.", show_default=False),
    ] = None,
    json: JsonOption = False,
    vectors: StoresOption = None,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
) -> None:
    """Measure a model on labelled texts: accuracy, macro-F1, per class, calibration, confusion.

    Example: tlclassic evaluate model.tlc test.tsv --json
    """
    from tlclassic.data import load_dataset
    from tlclassic.evaluation import evaluate_predictions
    from tlclassic.opening import load_with_task
    from tlclassic.pipelines.applying import class_names, has_probabilities, predict_texts

    pipeline, known = load_with_task(model, vectors=vectors)
    reading: dict[str, Any] = {"format": None if input_format is None else str(input_format), "quoted": quoted}
    if is_multi_task(pipeline):
        if report is not None:
            raise InvalidParameterError("report must be left out for a model of several tasks; use --json.")
        found = read_labels(pipeline, known, test, task or [], label, {"text": text, **reading})
        evaluate_tasks(pipeline, *found, test, json=json)
        return
    if task:
        raise InvalidParameterError(f"task must be left out: {model} has one task alone.")
    data = load_dataset(
        test,
        text=text or known.get("text") or "text",
        label=label or known.get("label") or "label",
        multilabel=known.get("multilabel"),
        separator=known.get("separator", ","),
        **reading,
    )
    if not data.texts:
        raise InputError("there is no labelled row to measure", path=test, remedy="Check --label and the file")
    if data.n_unlabelled:
        note(f"{test}: {data.n_unlabelled} rows without a label are left out")
    labels = known.get("labels")
    classes = class_names(pipeline, labels)
    predictions = predict_texts(pipeline, data.texts, labels=labels, proba=has_probabilities(pipeline))
    say_shares(pipeline, predictions.report)
    truth = _like_classes(data.labels, classes)
    if predictions.unanswered is not None:
        predictions, truth = _answered(predictions, truth, test)
    evaluation = evaluate_predictions(truth, predictions.labels, predictions.proba, classes)
    if report is not None:
        evaluation.to_html(report)
        note(f"wrote {report}")
    print_json(evaluation.as_dict()) if json else print(evaluation)


def _answered(predictions: Any, truth: list[Any], path: str) -> tuple[Any, list[Any]]:
    """Those that a cascade without a teacher answers: what it leaves is no error."""
    places = [place for place, left in enumerate(predictions.unanswered.tolist()) if not left]
    if not places:
        raise InputError("no text was answered, there is nothing to measure", path=path, remedy="Lower the threshold")
    note("what follows is of the answered texts alone")
    labels = [predictions.labels[place] for place in places]
    return replace(predictions, labels=labels, proba=predictions.proba[places]), [truth[place] for place in places]


def _like_classes(labels: list[Any], classes: list[Any]) -> list[Any]:
    """TSV and CSV have no types: a label read as "1" is the class 1 of a model trained on typed labels."""
    by_name = {_spelling(name): name for name in classes}

    def typed(label: Any) -> Any:
        if isinstance(label, list):
            return [typed(item) for item in label]
        # A class that the model does not know is compared in the model's type as well.
        unknown = _spelling(label) if isinstance(classes[0], str) else label
        return by_name.get(_spelling(label), unknown)

    return [typed(label) for label in labels]


def _spelling(label: Any) -> str:
    # As our own writers spell it.
    return str(label).lower() if isinstance(label, bool) else str(label)
