"""``tlclassic bench``."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlclassic.app.console import check_out, note, print_json
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption
from tlclassic.app.train import _digest, _load_dev, _reading, _say_unlabelled
from tlclassic.errors import InputError

if TYPE_CHECKING:
    from tlclassic.data import Dataset


def bench(
    train_file: Annotated[
        Path,
        typer.Argument(metavar="TRAIN", help="Labelled texts: TSV, CSV, JSONL or Parquet, also .gz and .zst."),
    ],
    test: Annotated[
        Path, typer.Argument(metavar="TEST", help="Labelled texts to measure on; nothing is chosen by them.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder for fitted models, rows and results; a run that was killed goes on there."
        ),
    ],
    dev: Annotated[
        Path | None,
        typer.Option(help="Labelled texts to choose by. Left out: a tenth of TRAIN, held out.", show_default=False),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(
            "--unlabelled",
            help="Texts without labels, for the distilled student; may be given more than once.",
            show_default=False,
        ),
    ] = None,
    time: Annotated[
        str, typer.Option(help="For fitting all models: 90s, 30m, 1h. Measuring comes on top, some seconds a model.")
    ] = "30m",
    models: Annotated[
        str | None,
        typer.Option(
            help="Some of tfidf, nbsvm, fasttext, vectors, base-en, ngrams, frozen, finetuned, torch, distilled and "
            "cascade, with commas between them. Default: all.",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            "--encoder",
            "-e",
            help="Folder of a transformer encoder, for frozen, finetuned and torch.",
            show_default=False,
        ),
    ] = None,
    finetuned: Annotated[
        Path | None,
        typer.Option(help="A fine-tuned folder, instead of fine-tuning the encoder here.", show_default=False),
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="Word vectors, in any format that tlclassic reads.", show_default=False)
    ] = None,
    max_size: Annotated[
        str | None, typer.Option(help="Of the distilled student, such as 2MB or 500kB.", show_default=False)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Where the page goes; bench.html in --out when left out.", show_default=False)
    ] = None,
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    multilabel: Annotated[
        bool | None,
        typer.Option(
            "--multilabel/--single-label",
            help="Several labels a text. Told by the labels being lists when left out.",
            show_default=False,
        ),
    ] = None,
    separator: Annotated[str, typer.Option(help="Between the labels of a multi-label TSV or CSV field.")] = ",",
    repeats: Annotated[int, typer.Option(help="Timed runs of each model; their median counts.", min=1)] = 5,
    seed: Annotated[int, typer.Option(help="Of what is held out, and of the models.", min=0, max=2**32 - 1)] = 0,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
    json: JsonOption = False,
) -> None:
    """Set models side by side on your own texts: words counted, word vectors, transformers, students of transformers.

    Accuracy, training time, speed, size, memory and start-up, in one run on this machine. What is not installed or does
    not fit into the time is named as left out.

    Example: tlclassic bench train.tsv test.tsv --encoder minilm --time 30m --out bench
    """
    from tlclassic.comparison import Settings, compare, parse_time

    parse_time(time)
    inputs = [train_file, test, dev, *(unlabelled or [])]
    for path in (*inputs, encoder, finetuned, vectors):
        if path is not None and not path.exists():
            raise InputError("there is no such file or folder", path=path, remedy="Check the path")
    if report is not None:
        check_out(report, *inputs)
    reading = _reading(text, label, multilabel, separator, input_format, quoted)
    data = _load(train_file, reading)
    reading["multilabel"] = data.multilabel
    measured = _load(test, reading)
    held_out = None if dev is None else _load(dev, reading)
    comparison = compare(
        (data.texts, data.labels),
        (measured.texts, measured.labels),
        out,
        dev=None if held_out is None else (held_out.texts, held_out.labels),
        unlabelled=_transfer(unlabelled, measured.texts, text, seed),
        models=None if models is None else [name.strip() for name in models.split(",")],
        time=time,
        settings=Settings(
            encoder=encoder,
            finetuned=finetuned,
            vectors=vectors,
            student_size=max_size,
            columns={"text": text, "label": label, "separator": separator},
            seed=seed,
        ),
        repeats=repeats,
        on_note=note,
    )
    found = {**comparison.as_dict(), "files": {str(path): _digest(path) for path in inputs if path is not None}}
    page = report or out / "bench.html"
    _write(found, out / "bench.json")
    comparison.to_html(page, title=f"{train_file.name} and {test.name}")
    note(f"wrote {out / 'bench.json'} and {page}")
    print_json(found) if json else print(comparison)
    if not comparison.rows:
        raise typer.Exit(1)


def _load(path: Path, reading: dict[str, Any]) -> Dataset:
    data = _load_dev(path, reading)
    _say_unlabelled(path, data)
    return data


def _transfer(paths: list[Path] | None, test: list[str], text: str, seed: int) -> list[str]:
    """A sample of the texts without labels; none that is measured on."""
    if not paths:
        return []
    from tlclassic.distillation import EFFORTS
    from tlclassic.distillation.transfer import read_transfer

    return read_transfer(paths, max_texts=EFFORTS["large"].transfer, random_state=seed, text=text, exclude=test)


def _write(found: dict[str, Any], path: Path) -> None:
    from tlclassic.storage import atomic_write

    with atomic_write(path) as file:
        file.write((jsons.dumps(found, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
