"""``tlclassic compile``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app.console import check_out, note, print_json
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption, StoresOption
from tlclassic.app.tasks import is_multi_task, read_labels
from tlclassic.errors import InputError, InvalidParameterError


class Weights(StrEnum):
    """Types of the weights."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


def compile(
    model: Annotated[Path, typer.Argument(help="A model saved by `tlclassic train` or tune.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Where the compiled model goes; an existing file is replaced."),
    ],
    dtype: Annotated[
        Weights | None,
        typer.Option(
            help="Of the weights. Left out: float32 or, with --max-size, the first of the three that fits.",
            show_default=False,
        ),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(
            help="Of the file, such as 2MB, 500kB or 1.5MiB; small weights are left out as needed.", show_default=False
        ),
    ] = None,
    prune: Annotated[float, typer.Option(help="Share of the rows of small weight to leave out.", min=0.0)] = 0.0,
    dev: Annotated[
        Path | None,
        typer.Option(help="Labelled texts to report the cost of every step on.", show_default=False),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Column of the texts; as in training when left out.", show_default=False)
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of the labels; as in training when left out.", show_default=False)
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Of a model of several tasks: the one that --dev has labels of.", show_default=False),
    ] = None,
    json: JsonOption = False,
    vectors: StoresOption = None,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
) -> None:
    """Fold a trained model into one small file that is fast to score and needs NumPy alone.

    Example: tlclassic compile model.tlc --out small.tlc --max-size 2MB --dev dev.tsv
    """
    from tlclassic.folding import compile as fold
    from tlclassic.folding import parse_size, report_table
    from tlclassic.opening import load_with_task

    check_out(out, model, dev)
    limit = None if max_size is None else parse_size(max_size, "--max-size")
    fitted, known = load_with_task(model, vectors=vectors)
    if task is not None and not is_multi_task(fitted):
        raise InvalidParameterError(f"task must be left out: {model} has one task alone.")
    reading = {"text": text, "label": label, "format": input_format and str(input_format), "quoted": quoted}
    texts, labels = (None, None) if dev is None else _load_dev(dev, fitted, known, reading, task)
    compiled = fold(
        fitted,
        dtype=None if dtype is None else str(dtype),
        max_size=limit,
        prune=prune,
        texts=texts,
        labels=labels,
        classes=known.get("labels"),
        provenance=_provenance(model, known),
    )
    compiled.save(out)
    report = {**compiled.metadata["report"], "model": str(out), "bytes": out.stat().st_size}
    if json:
        print_json(report)
    else:
        print(report_table(report))
        print(f"saved {report['model']} ({report['bytes']:,} bytes)")


def _load_dev(
    path: Path, fitted: Any, task: dict[str, Any], reading: dict[str, Any], wanted: str | None
) -> tuple[list[str], Any]:
    if is_multi_task(fitted):
        chosen = [] if wanted is None else [wanted]
        return read_labels(fitted, task, str(path), chosen, reading.pop("label"), reading)
    from tlclassic.app.evaluate import _like_classes
    from tlclassic.data import load_dataset
    from tlclassic.pipelines.applying import class_names

    known = {name: reading[name] or task.get(name) or name for name in ("text", "label")}
    data = load_dataset(
        str(path),
        **{**reading, **known},
        multilabel=task.get("multilabel"),
        separator=task.get("separator", ","),
    )
    if not data.texts:
        raise InputError("there is no labelled row to report on", path=path, remedy="Check --label and the file")
    if data.n_unlabelled:
        note(f"{path}: {data.n_unlabelled} rows without a label are left out")
    return list(data.texts), _like_classes(list(data.labels), class_names(fitted, task.get("labels")))


def _provenance(model: Path, task: dict[str, Any]) -> dict[str, Any]:
    from tlclassic.app.train import _digest
    from tlclassic.pipelines import read_metadata
    from tlclassic.storage import Artifact

    if Artifact(model).kind != "pipeline":
        return {}
    known = read_metadata(model)
    source = {"sha256": _digest(model), "tlclassic": known.pop("tlclassic"), "sklearn": known.pop("sklearn")}
    return {**known, "task": task, "source": source}
