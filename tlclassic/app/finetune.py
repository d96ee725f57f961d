"""``tlclassic finetune``."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from tlclassic.app.console import note, print_json, progress_bar
from tlclassic.app.finetune_options import (
    DeviceOption,
    EncoderOption,
    EpochsOption,
    ForceOption,
    Int8Option,
    PatienceOption,
    RateOption,
    ResumeOption,
    SeedOption,
    ThreadsOption,
    TrainOption,
    WeightsOption,
    before_torch,
    trained,
)
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption
from tlclassic.errors import InputError, InvalidParameterError

if TYPE_CHECKING:
    from tlclassic.data import Dataset


class Schedule(StrEnum):
    """How the learning rate goes."""

    slanted = "slanted"
    linear = "linear"
    cosine = "cosine"
    constant = "constant"


class Precision(StrEnum):
    """Of the matrix products in training."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class DevMetric(StrEnum):
    """What the best state is told by."""

    accuracy = "accuracy"
    macro_f1 = "macro_f1"
    loss = "loss"


def finetune(
    train_file: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRAIN...",
            help="Labelled texts: TSV, CSV, JSONL or Parquet, also .gz and .zst. Several files make a task each, by "
            "the names that --task gives.",
        ),
    ],
    encoder: EncoderOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The new folder; it appears whole or not at all.")],
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of the labels; several make a task each, and a text may lack some. Default: label.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of the task of a file; as often as there are files, in their order. Each task attends to the "
            "tokens with a query of its own, and to the other tasks.",
            show_default=False,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="With --task: files of n texts are drawn in proportion to n ** (1 / temperature). Default: 2.",
            min=1.0,
            show_default=False,
        ),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            help="Column of TRAIN that says how much each text counts. Default: all alike.", show_default=False
        ),
    ] = None,
    soft: Annotated[
        bool,
        typer.Option("--soft", help="TRAIN has probabilities, as `tlclassic predict --proba --keep text` writes them."),
    ] = False,
    dev: Annotated[
        list[Path] | None,
        typer.Option(
            help="Labelled texts that the best state is told by; never trained on. With --task one for each file.",
            show_default=False,
        ),
    ] = None,
    train: TrainOption = None,
    few_shot: Annotated[
        bool,
        typer.Option("--few-shot", help="For up to about a hundred texts a class: contrastive tuning as in SetFit."),
    ] = False,
    head: Annotated[
        list[int] | None,
        typer.Option(help="Size of a hidden layer of the head; repeat it for more. Default: none.", show_default=False),
    ] = None,
    dropout: Annotated[float | None, typer.Option(help="Before layers of the head.", show_default=False)] = None,
    epochs: EpochsOption = None,
    batch_size: Annotated[int | None, typer.Option(help="Texts a step.", show_default=False)] = None,
    learning_rate: RateOption = None,
    decay: Annotated[
        float | None, typer.Option(help="Of the learning rate from a layer to the one below.", show_default=False)
    ] = None,
    schedule: Annotated[Schedule | None, typer.Option(help="Of the learning rate.", show_default=False)] = None,
    gradual_unfreezing: Annotated[
        bool, typer.Option("--gradual-unfreezing", help="Train the head first, then layer by layer.")
    ] = False,
    patience: PatienceOption = None,
    metric: Annotated[DevMetric | None, typer.Option(help="That tells the best state.", show_default=False)] = None,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Weight classes by the inverse of their frequency.")
    ] = False,
    max_length: Annotated[int | None, typer.Option(help="Tokens of a text.", show_default=False)] = None,
    precision: Annotated[Precision | None, typer.Option(help="Of training.", show_default=False)] = None,
    multilabel: Annotated[
        bool | None,
        typer.Option(
            "--multilabel/--single-label",
            help="Several labels a text. Told by the labels being lists when left out.",
            show_default=False,
        ),
    ] = None,
    separator: Annotated[str, typer.Option(help="Between the labels of a multi-label TSV or CSV field.")] = ",",
    int8: Int8Option = True,
    weights: WeightsOption = False,
    resume: ResumeOption = True,
    force: ForceOption = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
    json: JsonOption = False,
) -> None:
    """Fine-tune a transformer encoder on labelled texts (extra: finetune); the result runs without torch.

    Example: tlclassic finetune train.tsv --encoder all-MiniLM-L6-v2 --out model --dev dev.tsv

    Several files: tlclassic finetune mood.tsv irony.tsv --task mood --task irony --encoder FOLDER --out model
    """
    before_torch(out, encoder, force=force)
    names = list(dict.fromkeys(label or ["label"]))
    _check_files(train_file, task or [], dev or [], names, temperature, few_shot or soft or weight is not None)
    if few_shot and (soft or weight is not None):
        raise InvalidParameterError("--few-shot takes hard labels without weights. Leave --soft and --weight out.")
    if soft and len(names) > 1:
        raise InvalidParameterError("--soft takes one task. Leave --label out, or name the label column of dev.")
    reading = {
        "text": text,
        "separator": separator,
        "format": None if input_format is None else str(input_format),
        "quoted": quoted,
    }
    of_train = {**reading, "multilabel": multilabel, "weight": weight}
    if task:
        data = _read_sets(train_file, task, names[0], of_train)
        held_out = _read_sets(dev, task, names[0], reading, of=data) if dev else None
    else:
        data = _read_soft(train_file[0], of_train) if soft else _read(train_file[0], names, of_train)
        held_out = _read(dev[0], names, reading, of=data) if dev else None
    given = {
        "train": trained(train),
        "head": None if head is None else tuple(head),
        "dropout": dropout,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "decay": decay,
        "schedule": None if schedule is None else str(schedule),
        "patience": patience,
        "metric": None if metric is None else str(metric),
        "precision": None if precision is None else str(precision),
        "max_length": max_length,
        "threads": threads,
        "class_weight": "balanced" if balanced else None,
        "task_pooling": "attention" if task else None,
        "cross_attention": True if task else None,
        "temperature": (temperature or 2.0) if task else None,
    }
    from tlclassic.finetune import fine_tune

    with progress_bar("training") as advance:
        result = fine_tune(
            encoder,
            data.texts,
            data.labels,
            out,
            dev=None if held_out is None else (held_out.texts, held_out.labels),
            multilabel=data.multilabel,
            classes=data.classes,
            sample_weight=data.weights,
            contrastive=few_shot,
            int8=int8,
            weights=weights,
            force=force,
            resume=resume,
            gradual_unfreezing=gradual_unfreezing,
            device=device,
            seed=seed,
            columns={"text": text, "label": names[0], "separator": separator},
            on_progress=advance,
            on_frozen=advance,
            **{name: value for name, value in given.items() if value is not None},
        )
    report = {
        "n": len(data.texts),
        "tasks": task or names,
        "best": result.best,
        "parity": result.parity,
        "int8": result.int8,
        "resumed_at_step": result.resumed,
        "model": str(result.path),
    }
    print_json(report) if json else _print(report)


class _Texts:
    """Texts and labels of one task, or of several by name."""

    def __init__(
        self,
        texts: Sequence[str],
        labels: Any,
        multilabel: Any,
        classes: Any = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.texts, self.labels, self.multilabel, self.classes = texts, labels, multilabel, classes
        self.weights = weights

    def known(self, task: str) -> set[Any]:
        """The labels of a task."""
        return set(self.classes or (self.labels[task] if isinstance(self.labels, dict) else self.labels))


def _check_files(
    files: list[Path], tasks: list[str], dev: list[Path], names: list[str], temperature: float | None, other: bool
) -> None:
    """Files and tasks are as many; what several files do not take is refused."""
    if not tasks and (len(files) > 1 or len(dev) > 1 or temperature is not None):
        raise InvalidParameterError("several files, and --temperature, need a name for each task: give --task.")
    if not tasks:
        return
    if len(tasks) != len(files) or len(set(tasks)) != len(tasks) or len(dev) not in (0, len(files)):
        raise InvalidParameterError(
            f"--task must name each file once, and --dev be given for all or none; got {len(files)} files, tasks "
            f"{', '.join(tasks)}, {len(dev)} of dev."
        )
    if len(names) > 1 or other:
        raise InvalidParameterError("--task takes one --label, and no --few-shot, --soft or --weight. Leave them out.")


def _read_sets(
    paths: list[Path], tasks: list[str], label: str, reading: dict[str, Any], *, of: _Texts | None = None
) -> _Texts:
    """A file for each task, joined; ``of`` is what was read for training."""
    from tlclassic.finetune.joining import join_sets

    sets = {}
    for name, path in zip(tasks, paths, strict=True):
        known = None if of is None else _Texts([], of.labels[name], of.multilabel[name], of.classes[name])
        sets[name] = _read(path, [label], reading, of=known)
    texts, labels = join_sets({name: (own.texts, own.labels) for name, own in sets.items()}, "TRAIN")
    kinds = {name: own.multilabel for name, own in sets.items()}
    return _Texts(texts, labels, kinds, {name: own.classes for name, own in sets.items()})


def _read_soft(path: Path, reading: dict[str, Any]) -> _Texts:
    """The file's texts with their probabilities."""
    from tlclassic.data import load_dataset
    from tlclassic.distillation.soft_label_files import read_soft_labels

    own = {name: reading[name] for name in ("text", "multilabel", "format", "quoted")}
    soft = read_soft_labels(str(path), **own)
    if reading["weight"] in soft.classes:
        raise InvalidParameterError(
            f"--weight {reading['weight']} is read as a class. Name the columns of probabilities proba_CLASS."
        )
    # Read once more for the weights, and so that an empty text is refused as it is among hard labels.
    data = load_dataset(str(path), label=None, **reading)
    return _Texts(data.texts, soft.P, soft.multilabel, soft.classes, data.weights)


def _read(path: Path, names: list[str], reading: dict[str, Any], *, of: _Texts | None = None) -> _Texts:
    """The file's texts with one label column, or with several, joined by line; ``of`` says which are multi-label."""
    from tlclassic.data import load_dataset

    if str(path) == "-" and len(names) > 1:
        raise InvalidParameterError("several --label need a file; standard input is read once.")
    sets: dict[str, Dataset] = {}
    for name in names:
        own = dict(reading)
        if of is not None:
            own["multilabel"] = of.multilabel
        sets[name] = load_dataset(str(path), label=name, **own)
        if not sets[name].texts:
            raise InputError(f"no row has a label in column {name!r}", path=path, remedy="Check the file and --label")
        if sets[name].n_unlabelled and len(names) == 1:
            note(f"{path}: {sets[name].n_unlabelled} rows without a label are left out")
        if of is not None:
            _check_known(sets[name], of.known(name), path)
    if len(names) == 1:
        only = sets[names[0]]
        return _one_task(only, of)
    return _join(sets)


def _check_known(data: Dataset, known: set[Any], path: Path) -> None:
    for line, labels in zip(data.lines, data.labels, strict=True):
        for own in labels if data.multilabel else (labels,):
            if own not in known:
                raise InputError(
                    f"no text of TRAIN has the label {own!r}", path=path, line=line,
                    remedy="Correct the row, leave it out, or add such texts to TRAIN",
                )  # fmt: skip


def _one_task(data: Dataset, of: _Texts | None) -> _Texts:
    if not data.multilabel:
        return _Texts(data.texts, data.labels, False, weights=data.weights)
    classes = sorted({own for labels in data.labels for own in labels}) if of is None else of.classes
    places = {own: place for place, own in enumerate(classes or [])}
    matrix = np.zeros((len(data.texts), len(places)), np.float32)
    for row, labels in enumerate(data.labels):
        for own in labels:
            matrix[row, places[own]] = 1
    return _Texts(data.texts, matrix, True, classes, data.weights)


def _join(sets: dict[str, Dataset]) -> _Texts:
    texts = {line: text for data in sets.values() for line, text in zip(data.lines, data.texts, strict=True)}
    lines = sorted(texts)
    labels = {}
    for name, data in sets.items():
        if data.multilabel:
            raise InvalidParameterError(f"several --label take one label a text each; {name!r} has lists.")
        own = dict(zip(data.lines, data.labels, strict=True))
        labels[name] = [own.get(line) for line in lines]
    weights = {line: own for data in sets.values() for line, own in zip(data.lines, data.weights or (), strict=False)}
    found = [weights[line] for line in lines] if weights else None
    return _Texts([texts[line] for line in lines], labels, False, weights=found)


def _print(report: dict[str, Any]) -> None:
    print(f"fine-tuned on {report['n']:,} texts, tasks: {', '.join(report['tasks'])}")
    if report["resumed_at_step"]:
        print(f"went on from step {report['resumed_at_step']:,}")
    if report["best"] is not None:
        best = report["best"]
        print(f"accuracy {best['dev_accuracy']:.4f}, macro-F1 {best['dev_macro_f1']:.4f} on dev, which chose the state")
    print(f"ONNX as torch: logits within {report['parity']['max_difference']:.1e}")
    if report["int8"] is not None:
        print("int8 is preferred here" if report["int8"]["preferred"] else "fp32 is preferred here")
        for reason in report["int8"]["reasons"]:
            print(f"  {reason}")
    print(f"saved {report['model']}")
