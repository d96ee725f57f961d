"""``tlclassic tune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlclassic.app.console import check_out, note, print_json, progress_bar
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption, TrustOption
from tlclassic.app.train import Metric, _digest, _load_dev, _reading, _say_unlabelled
from tlclassic.errors import InvalidParameterError

if TYPE_CHECKING:
    from tlclassic.data import Dataset
    from tlclassic.tuning import TuneResult


def tune(
    train_file: Annotated[
        Path,
        typer.Argument(
            metavar="TRAIN", help="Labelled texts: TSV, CSV, JSONL or Parquet, also .gz and .zst; - for stdin."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where the model goes, to train on or to compile again.", show_default=False),
    ] = None,
    compiled: Annotated[
        Path | None,
        typer.Option("--compiled", help="Where the compiled model goes: small and fast.", show_default=False),
    ] = None,
    time: Annotated[float, typer.Option(help="Seconds for everything.", min=0.0)] = 60.0,
    max_size: Annotated[
        str | None, typer.Option(help="Of the compiled model, such as 2MB or 500kB.", show_default=False)
    ] = None,
    metric: Annotated[
        Metric | None,
        typer.Option(
            help="What the search is for; accuracy, for multi-label macro_f1, when left out.", show_default=False
        ),
    ] = None,
    dev: Annotated[
        Path | None,
        typer.Option(help="Labelled texts to choose by. Left out: part of TRAIN, or folds of it.", show_default=False),
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
    vectors: Annotated[
        Path | None,
        typer.Option(help="Word vectors, to be tried as further features.", show_default=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Read only the first N word vectors.", show_default=False)] = None,
    trust: TrustOption = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Only what is scored in one pass over the text, at the highest speed.")
    ] = False,
    trials: Annotated[
        Path | None, typer.Option(help="Where the whole search goes, as JSON.", show_default=False)
    ] = None,
    max_trials: Annotated[int | None, typer.Option(help="End after so many trials.", min=1, show_default=False)] = None,
    threads: Annotated[
        int | None, typer.Option(help="Of the solver; all CPUs when left out.", min=1, show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds and of the search's steps.", min=0, max=2**32 - 1)] = 0,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
    json: JsonOption = False,
) -> None:
    """Search for the best classifier of labelled texts under a time and a size budget.

    Ctrl-C ends the search and keeps the best so far.

    Example: tlclassic tune train.tsv --time 60 --max-size 2MB --metric macro_f1 --compiled small.tlc
    """
    from tlclassic.data import load_dataset
    from tlclassic.tuning import tune as search

    _check_paths(train_file, dev, vectors, {"--out": out, "--compiled": compiled, "--trials": trials})
    reading = _reading(text, label, multilabel, separator, input_format, quoted)
    data = load_dataset(str(train_file), **reading)
    _say_unlabelled(train_file, data)
    held_out = None if dev is None else _load_dev(dev, {**reading, "multilabel": data.multilabel})
    task = {"text": text, "label": label, "multilabel": data.multilabel, "separator": separator}
    with progress_bar("tuning") as advance:
        result = search(
            data.texts,
            data.labels,
            time=time,
            max_size=max_size,
            metric=str(metric) if metric else "macro_f1" if data.multilabel else "accuracy",
            dev=None if held_out is None else (held_out.texts, held_out.labels),
            multilabel=data.multilabel,
            vectors=None if vectors is None else _load_vectors(vectors, limit, trust),
            fast=fast,
            max_trials=max_trials,
            random_state=seed,
            threads=threads,
            on_progress=lambda state: advance(min(int(state["elapsed"]), int(time)), int(time)),
            provenance={"task": task, "sha256": _digest(train_file)},
        )
    report = _report(result, data, train_file)
    _save(result, report, task, out, compiled, trials)
    for remark in result.notes:
        note(f"note: {remark}")
    print_json(report) if json else _print(report)


def _check_paths(train_file: Path, dev: Path | None, vectors: Path | None, outs: dict[str, Path | None]) -> None:
    """Before any work."""
    given = {name: path for name, path in outs.items() if path is not None}
    if not given:
        raise InvalidParameterError("nothing would be kept: give --out, --compiled or --trials.")
    for path in given.values():
        check_out(path, train_file, dev, vectors)
    if len({path.resolve() for path in given.values()}) < len(given):
        raise InvalidParameterError(f"{', '.join(given)} must be different files.")


def _load_vectors(path: Path, limit: int | None, trust: bool) -> Any:
    from tlclassic.vectors import WordVectors

    return WordVectors.load(path, limit=limit, trust=trust)


def _report(result: TuneResult, data: Dataset, path: Path) -> dict[str, Any]:
    found = result.as_dict()
    del found["trials"]
    return {
        "n": len(data.texts),
        "n_unlabelled": data.n_unlabelled,
        "classes": result.classifier.classes_.tolist(),
        "multilabel": data.multilabel,
        "n_trials": len(result.trials),
        **found,
        "sha256": _digest(path),
    }


def _save(
    result: TuneResult,
    report: dict[str, Any],
    task: dict[str, Any],
    out: Path | None,
    compiled: Path | None,
    trials: Path | None,
) -> None:
    from tlclassic.pipelines import save
    from tlclassic.storage import atomic_write

    if trials is not None:
        with atomic_write(trials) as file:
            file.write(_json_of({**report, "trials": result.trials}))
    if out is not None:
        labels = report["classes"] if report["multilabel"] else None
        save(result.classifier, out, metadata={"task": {**task, "labels": labels}, "training": dict(report)})
        report["model"] = str(out)
    if compiled is not None:
        result.compiled.save(compiled)
        report["compiled"] = str(compiled)
        report["bytes"] = compiled.stat().st_size


def _json_of(value: dict[str, Any]) -> bytes:
    from json import dumps

    return (dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def _print(report: dict[str, Any]) -> None:
    best = report["best"]
    print(f"{report['n']:,} texts, {len(report['classes'])} classes, {report['n_trials']} trials")
    where = {"dev": "on the dev texts", "held-out": "on held-out texts", "folds": "in cross-validation"}
    print(f"{report['metric']} {best['score']:.4f} {where[report['scored_on']]}", end="")
    print("" if best["compiled_score"] is None else f", {best['compiled_score']:.4f} compiled")
    for name, value in best["params"].items():
        print(f"  {name}: {value}")
    if "model" in report:
        print(f"saved {report['model']}")
    if "compiled" in report:
        print(f"saved {report['compiled']} ({report['bytes']:,} bytes)")
