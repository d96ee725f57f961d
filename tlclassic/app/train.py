"""``tlclassic train``."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlclassic.app.console import check_out, note, print_json, progress_bar
from tlclassic.app.options import Format, FormatOption, JsonOption, QuotedOption, TrustOption
from tlclassic.app.tasks import train_tasks
from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.storage import is_artifact

if TYPE_CHECKING:
    from tlclassic.data import Dataset
    from tlclassic.pipelines.training import FeatureOptions, TrainingResult


class Pooling(StrEnum):
    """Ways of pooling word vectors."""

    mean = "mean"
    max = "max"
    min = "min"
    tfidf = "tfidf"
    sif = "sif"
    usif = "usif"
    power = "power"


class Unknown(StrEnum):
    """What an unknown word counts for."""

    auto = "auto"
    ignore = "ignore"
    zero = "zero"
    subword = "subword"
    mean = "mean"


class Metric(StrEnum):
    """What the regularisation strength is chosen by."""

    accuracy = "accuracy"
    macro_f1 = "macro_f1"


class Calibration(StrEnum):
    """Ways of calibrating probabilities."""

    none = "none"
    sigmoid = "sigmoid"
    isotonic = "isotonic"
    temperature = "temperature"


class Sharing(StrEnum):
    """What tasks share."""

    auto = "auto"
    none = "none"
    low_rank = "low-rank"
    chain = "chain"
    attention = "attention"


class InModel(StrEnum):
    """Where the vectors of a saved model are."""

    embed = "embed"
    refer = "refer"


def train(
    train_file: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRAIN...",
            help="Labelled texts: TSV, CSV, JSONL or Parquet, also .gz and .zst; - for stdin. Several files, of a task "
            "each, with --task.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the model goes; an existing file is replaced.")],
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features",
            "-f",
            help="vectors:PATH (pooled word vectors), encoder:FOLDER (a frozen transformer encoder), ngrams (hashed "
            "words and bigrams), ngrams-char, tfidf (words and bigrams) or tfidf-char; several are combined, n-grams "
            "with one vectors:PATH. Default: vectors:base-en, which tlclassic brings along; with --task ngrams.",
            show_default=False,
        ),
    ] = None,
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    task: Annotated[
        list[str] | None,
        typer.Option(
            help="One model for several tasks: with one file the column of each task's labels, which may be empty in "
            "some rows; with several files the name of the task of each, its labels in --label.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="TASK=KIND: binary, multiclass, multilabel, ordinal or regression, where the labels do not tell.",
            show_default=False,
        ),
    ] = None,
    sharing: Annotated[
        Sharing,
        typer.Option(help="What tasks share; auto: what gains clearly in cross-validation, for each task."),
    ] = Sharing.auto,
    dev: Annotated[
        list[Path] | None,
        typer.Option(
            help="Labelled texts to report on; never trained on. With several files one for each.", show_default=False
        ),
    ] = None,
    pooling: Annotated[
        list[Pooling] | None,
        typer.Option(
            help="How word vectors become a text vector; several are put side by side. Default: mean.",
            show_default=False,
        ),
    ] = None,
    counts: Annotated[
        str,
        typer.Option(
            help="Where sif and usif take word probabilities from: rank (Zipf's law over sorted vectors), train (the "
            "training texts), vectors (counts stored with them), or a file of 'word count' lines.",
        ),
    ] = "rank",
    unknown: Annotated[
        Unknown, typer.Option(help="What a word without a vector counts for; auto: its sub-words if there are any.")
    ] = Unknown.auto,
    encoder_file: Annotated[
        str,
        typer.Option(help="The encoder's file: auto, fp32, int8, or a path in its folder."),
    ] = "auto",
    encoder_cache: Annotated[
        bool,
        typer.Option("--encoder-cache", help="Keep the encoder's vectors on disk: no text is encoded twice."),
    ] = False,
    bits: Annotated[
        int, typer.Option(help="N-grams are hashed into 2^BITS buckets; fewer make smaller files.", min=8, max=26)
    ] = 20,
    multilabel: Annotated[
        bool | None,
        typer.Option(
            "--multilabel/--single-label",
            help="Several labels a text. Told by the labels being lists when left out.",
            show_default=False,
        ),
    ] = None,
    separator: Annotated[str, typer.Option(help="Between the labels of a multi-label TSV or CSV field.")] = ",",
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Weight classes by the inverse of their frequency.")
    ] = False,
    metric: Annotated[
        Metric | None,
        typer.Option(
            help="What cross-validation chooses the strength by; accuracy, for multi-label macro_f1, when left out.",
            show_default=False,
        ),
    ] = None,
    calibrate: Annotated[Calibration, typer.Option(help="Calibrate the probabilities.")] = Calibration.none,
    vectors: Annotated[
        InModel, typer.Option(help="Store the word vectors or encoder in the model, or refer to their file.")
    ] = InModel.embed,
    limit: Annotated[int | None, typer.Option(help="Read only the first N word vectors.", show_default=False)] = None,
    member: Annotated[
        str | None, typer.Option(help="The vectors' file in a zip archive that holds several.", show_default=False)
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Keep a fast copy of the vectors in the cache folder.")
    ] = False,
    trust: TrustOption = False,
    seed: Annotated[int, typer.Option(help="Of the cross-validation's folds.", min=0, max=2**32 - 1)] = 0,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
    json: JsonOption = False,
) -> None:
    """Train a classifier on labelled texts and save it as one file.

    Features, then a logistic regression whose strength is chosen by cross-validation on TRAIN.

    Examples: tlclassic train train.tsv --features vectors:glove.6B.100d.txt --out model.tlc;
    tlclassic train tone.tsv irony.tsv --task tone --task irony --out model.tlc
    """
    from tlclassic.data import load_dataset
    from tlclassic.pipelines import save
    from tlclassic.pipelines.training import DEFAULT_FEATURES, FeatureOptions, train_classifier

    features = features or (["ngrams"] if task else list(DEFAULT_FEATURES))
    check_out(out, *train_file, *(dev or ()), *(name.partition(":")[2] for name in features))
    if vectors == InModel.refer:
        _check_stores(features)
    options = FeatureOptions(
        features=features,
        pooling=[str(name) for name in pooling or [Pooling.mean]],
        vectorizer={"unknown": str(unknown), "counts": counts},
        load={"limit": limit, "member": member, "cache": True if cache else None, "trust": trust},
        encoder={"file": encoder_file, "cache": True if encoder_cache else None},
        bits=bits,
    )
    reading = _reading(text, label, multilabel, separator, input_format, quoted)
    if task:
        _refuse_for_tasks(multilabel=multilabel, balanced=balanced, metric=metric, calibrate=calibrate)
        train_tasks(
            train_file, out, tasks=task, kinds=kind or [], sharing=str(sharing), dev=dev or [], options=options,
            reading={name: reading[name] for name in ("text", "separator", "format", "quoted")},
            label=label, vectors=str(vectors), seed=seed, json=json,
        )  # fmt: skip
        return
    if len(train_file) > 1 or len(dev or ()) > 1 or kind or sharing != Sharing.auto:
        raise InvalidParameterError("several files, --kind and --sharing are for several tasks; name them with --task.")
    source, held_out_file = train_file[0], dev[0] if dev else None
    data = load_dataset(str(source), **reading)
    _say_unlabelled(source, data)
    is_multilabel = data.multilabel
    held_out = None if held_out_file is None else _load_dev(held_out_file, {**reading, "multilabel": is_multilabel})
    with progress_bar("cross-validating") as advance:
        tried: list[float] = []

        def on_step(strength: float, score: float) -> None:
            tried.append(strength)
            advance(len(tried), None)

        result = train_classifier(
            data.texts,
            data.labels,
            options,
            multilabel=is_multilabel,
            metric=None if metric is None else str(metric),
            class_weight="balanced" if balanced else None,
            calibrate=str(calibrate),
            random_state=seed,
            on_step=on_step,
        )
    report = _report(result, data, source)
    if held_out is not None:
        report["dev"] = _evaluate(result, held_out)
    facts = {"text": text, "label": label, "multilabel": is_multilabel, "separator": separator, "labels": result.labels}
    save(
        result.pipeline,
        out,
        vectors=str(vectors),
        metadata={"task": facts, "training": report, "options": _shown(options)},
    )
    report["model"] = str(out)
    report["bytes"] = out.stat().st_size
    print_json(report) if json else _print(report)


def _refuse_for_tasks(**given: Any) -> None:
    """What one model for several tasks chooses by itself."""
    for name, value in given.items():
        if value not in (None, False, Calibration.none):
            raise InvalidParameterError(
                f"{name} must be left out with --task: kinds are told by --kind, metrics and calibration by the kinds."
            )


def _check_stores(features: list[str]) -> None:
    """Before the training, not after it: only a store can be referred to."""
    from tlclassic.vectors import EMBEDDED

    for name in features:
        kind, _, path = name.partition(":")
        if kind == "vectors" and path not in EMBEDDED and not is_artifact(path):
            remedy = f"Make one: tlclassic vectors convert {path} OUT"
            raise InvalidParameterError(f"--vectors refer needs vectors in a store; {path} is none. {remedy}")


def _load_dev(path: Path, reading: dict[str, Any]) -> Dataset:
    from tlclassic.data import load_dataset

    data = load_dataset(str(path), **reading)
    if not data.texts:
        raise InputError(
            "there is no labelled row to report on", path=path, remedy="Leave --dev out or give another file"
        )
    return data


def _reading(
    text: str, label: str, multilabel: bool | None, separator: str, input_format: Format | None, quoted: bool | None
) -> dict[str, Any]:
    return {
        "text": text,
        "label": label,
        "multilabel": multilabel,
        "separator": separator,
        "format": None if input_format is None else str(input_format),
        "quoted": quoted,
    }


def _say_unlabelled(path: Path, data: Dataset) -> None:
    if data.n_unlabelled:
        note(f"{path}: {data.n_unlabelled} rows without a label are left out of training")


def _report(result: TrainingResult, data: Dataset, path: Path) -> dict[str, Any]:
    search = result.search
    classes = result.labels if result.labels is not None else result.pipeline.classes_.tolist()
    return {
        "n": len(data.texts),
        "n_unlabelled": data.n_unlabelled,
        "classes": classes,
        "multilabel": result.labels is not None,
        "C": search.C,
        "cross_validation": {"metric": search.metric, "score": search.scores[search.C], "folds": search.n_folds},
        "sha256": _digest(path),
    }


def _digest(path: Path) -> str | None:
    if str(path) == "-":
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _evaluate(result: TrainingResult, data: Dataset) -> dict[str, Any]:
    from tlclassic.evaluation import evaluate_predictions
    from tlclassic.pipelines.applying import class_names, predict_texts

    predictions = predict_texts(result.pipeline, data.texts, labels=result.labels, proba=True)
    classes = class_names(result.pipeline, result.labels)
    evaluation = evaluate_predictions(data.labels, predictions.labels, predictions.proba, classes).as_dict()
    return {key: evaluation[key] for key in ("n", "accuracy", "macro_f1")}


def _shown(options: FeatureOptions) -> dict[str, Any]:
    return {"features": list(options.features), "pooling": list(options.pooling), **options.vectorizer}


def _print(report: dict[str, Any]) -> None:
    validation = report["cross_validation"]
    print(f"trained on {report['n']:,} texts, {len(report['classes'])} classes")
    per_label = " of the label decisions" if report["multilabel"] and validation["metric"] == "accuracy" else ""
    folds = f"{validation['folds']}-fold cross-validation"
    print(f"{validation['metric']} {validation['score']:.4f}{per_label} in {folds} (C = {report['C']:g})")
    if "dev" in report:
        scores = report["dev"]
        print(f"accuracy {scores['accuracy']:.4f}, macro-F1 {scores['macro_f1']:.4f} on {scores['n']:,} dev texts")
    print(f"saved {report['model']} ({report['bytes']:,} bytes)")
