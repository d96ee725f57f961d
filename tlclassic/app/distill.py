"""``tlclassic distill``."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlclassic.app.console import check_out, note, print_json, progress_bar
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption, StoresOption
from tlclassic.app.tasks import distill_tasks, opened_teacher
from tlclassic.app.train import Metric, _digest, _reading
from tlclassic.errors import InputError, InvalidParameterError

if TYPE_CHECKING:
    from tlclassic.distillation import Distilled


#: A teacher's name that is no model but a file of texts with their probabilities.
_DATA = re.compile(r"\.(tsv|csv|jsonl|ndjson|parquet)(\.(gz|zst|bz2|xz))?$")


class EffortChoice(StrEnum):
    """How much is spent on a student."""

    small = "small"
    medium = "medium"
    large = "large"


class ObjectiveChoice(StrEnum):
    """What a student is fitted by."""

    cross_entropy = "cross_entropy"
    logits = "logits"
    auto = "auto"


class WeighChoice(StrEnum):
    """What several teachers are weighed by."""

    accuracy = "accuracy"
    classes = "classes"


class StudentChoice(StrEnum):
    """Kinds of student."""

    auto = "auto"
    ngrams = "ngrams"
    ngrams_vectors = "ngrams+vectors"
    convolution = "convolution"


def distill(
    teacher: Annotated[
        list[str],
        typer.Argument(
            help="A model's file or folder, the URL of one that answers /predict, or a file of texts with their "
            "probabilities; several models are averaged, or weighed by --weigh.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where the compiled student goes; an existing file is replaced.")
    ],
    texts: Annotated[
        list[Path] | None,
        typer.Option(
            "--texts", help="Texts without labels; - for stdin; may be given more than once.", show_default=False
        ),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="Labelled texts, to be mixed in and learnt from.", show_default=False)
    ] = None,
    dev: Annotated[
        Path | None,
        typer.Option(help="Labelled texts to choose by. Left out: a part of the others.", show_default=False),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(help="Labelled texts that --report compares teacher and student on.", show_default=False),
    ] = None,
    weigh: Annotated[
        WeighChoice | None,
        typer.Option(
            help="Weigh several teachers by their accuracy on --dev, or by their F1 of each class there.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Where the fidelity report goes: .html, .md or .json by its name. Needs --test.", show_default=False
        ),
    ] = None,
    effort: Annotated[EffortChoice, typer.Option(help="How much is tried.")] = EffortChoice.medium,
    objective: Annotated[
        ObjectiveChoice,
        typer.Option(
            help="Cross-entropy to the teacher's probabilities, least squares to its logits, or what dev says."
        ),
    ] = ObjectiveChoice.cross_entropy,
    student: Annotated[
        StudentChoice,
        typer.Option(
            help="Of n-grams alone or with word vectors beside them, or a convolution over words; auto: what dev says."
        ),
    ] = StudentChoice.auto,
    max_size: Annotated[
        str | None, typer.Option(help="Of the compiled student, such as 2MB or 500kB.", show_default=False)
    ] = None,
    metric: Annotated[
        Metric | None,
        typer.Option(
            help="What the choice is for; accuracy, for multi-label macro_f1, when left out.", show_default=False
        ),
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            "--augment",
            help="How texts are made where there are few; may be given more than once, none for not at all.",
            show_default=False,
        ),
    ] = None,
    max_made: Annotated[
        int | None, typer.Option(help="Make no more than so many texts.", min=0, show_default=False)
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Of the teacher; chosen on dev when left out.", min=0.0, show_default=False)
    ] = None,
    hard_weight: Annotated[
        float | None,
        typer.Option(
            help="Share of the true labels, 0 to 1; chosen on dev when left out.", min=0.0, max=1.0, show_default=False
        ),
    ] = None,
    transfer_weight: Annotated[
        float | None,
        typer.Option(
            help="Of a text without a label beside a labelled one; chosen on dev when left out.",
            min=0.0,
            show_default=False,
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the teacher's answers, written as they come: a killed run goes on there.",
            show_default=False,
        ),
    ] = None,
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    separator: Annotated[str, typer.Option(help="Between the labels of a multi-label TSV or CSV field.")] = ",",
    threads: Annotated[
        int | None, typer.Option(help="Of the solver; all CPUs when left out.", min=1, show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of samples and made texts.", min=0, max=2**32 - 1)] = 0,
    vectors: StoresOption = None,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
    json: JsonOption = False,
) -> None:
    """Distil a model into a small linear one, by its probabilities of texts without labels.

    A teacher of several tasks makes a student of the same tasks, fitted once: no recipes are tried.

    Example: tlclassic distill tuned --texts reviews.txt --train train.tsv --dev dev.tsv --out small.tlc
    """
    from tlclassic.data.batches import format_of_name
    from tlclassic.distillation import EFFORTS, distill, read_transfer

    _check_paths(out, report, test, [train, dev, test, *(texts or []), *map(Path, teacher)])
    several = opened_teacher(teacher, vectors)
    if several is not None:
        _refuse_for_tasks(
            test=test, report=report, metric=metric, augment=augment, temperature=temperature,
            transfer_weight=transfer_weight, cache=cache, max_made=max_made, threads=threads,
            effort=None if effort is EffortChoice.medium else str(effort),
            objective=None if objective is ObjectiveChoice.cross_entropy else str(objective),
            student=None if student is StudentChoice.auto else str(student),
        )  # fmt: skip
        distill_tasks(
            several, out, texts=texts or [], train=train, dev=dev, max_size=max_size, hard_weight=hard_weight,
            text=text, reading={"format": None if input_format is None else str(input_format), "quoted": quoted},
            seed=seed, json=json,
        )  # fmt: skip
        return
    asked = _teacher(teacher, text, vectors)
    reading = {**_reading(text, label, asked.multilabel, separator, input_format, quoted)}
    labelled = None if train is None else _labelled(train, reading, asked)
    chosen = None if dev is None else _labelled(dev, reading, asked)
    # Now, and not after hours of fitting.
    judged = None if test is None else _known(_labelled(test, reading, asked), asked)
    asked = asked if weigh is None else _weighed(teacher, chosen, str(weigh), asked, vectors)
    fixed = {"temperature": temperature, "hard_weight": hard_weight, "transfer_weight": transfer_weight}
    transfer = (
        read_transfer(
            [str(path) for path in texts],
            max_texts=2 * EFFORTS[str(effort)].transfer,
            random_state=seed,
            text=text,
            format=None if any(map(format_of_name, texts)) else reading["format"],
            quoted=quoted,
        )
        if texts
        else None
    )
    if transfer is None and labelled is None and not hasattr(asked, "soft"):
        raise InvalidParameterError("there is nothing to learn from: give --texts, --train or both.")
    with progress_bar("distilling") as advance:
        result = distill(
            asked,
            transfer,
            labelled=labelled,
            dev=chosen,
            student=str(student),
            effort=str(effort),
            objective=str(objective),
            max_size=max_size,
            metric=None if metric is None else str(metric),
            augmentation=None if augment is None else [] if augment == ["none"] else augment,
            max_made=max_made,
            fixed={name: value for name, value in fixed.items() if value is not None},
            cache=cache,
            threads=threads,
            random_state=seed,
            on_progress=lambda stage, done, total: advance(done, total),
            provenance={
                "task": {"text": text, "label": label, "separator": separator},
                "sha256": {str(path): _digest(path) for path in (train, *(texts or [])) if path is not None},
            },
        )
    result.compiled.save(out)
    found = {**result.as_dict(), "model": str(out), "bytes": out.stat().st_size, "size_curve": result.size_curve()}
    if judged is not None:
        found["test"] = _compared(result, asked, teacher, judged, report, out)
    for remark in result.notes:
        note(f"note: {remark}")
    print_json(found) if json else _print(found)


def _refuse_for_tasks(**given: Any) -> None:
    """What the search for a student of one task chooses by; a student of several has one recipe."""
    for name, value in given.items():
        if value is not None:
            raise InvalidParameterError(f"{name} must be left out for a teacher of several tasks; got {value!r:.80}.")


def _check_paths(out: Path, report: Path | None, test: Path | None, inputs: list[Path | None]) -> None:
    """Before any work."""
    for path in (out, report):
        if path is not None:
            check_out(path, *inputs)
    if report is not None and report.suffix not in (".html", ".md", ".json"):
        raise InvalidParameterError(f"--report must end in .html, .md or .json; got {str(report)!r}.")
    if report is not None and test is None:
        raise InvalidParameterError(
            "--report compares teacher and student on texts that neither has seen: give --test."
        )


def _teacher(names: list[str], text: str, vectors: list[Path] | None) -> Any:
    """What gives the probabilities."""
    from tlclassic.distillation import KnownAnswers, open_teacher, read_soft_labels

    files = [name for name in names if _DATA.search(name.lower())]
    if not files:
        return open_teacher(names[0] if len(names) == 1 else names, vectors=vectors)
    if len(names) > 1:
        raise InvalidParameterError(
            f"a file of probabilities must be the only teacher; got {len(names)} with {files[0]}."
        )
    return KnownAnswers(read_soft_labels(files[0], text=text), name=files[0])


def _weighed(
    names: list[str], dev: tuple[list[str], list[Any]] | None, by: str, asked: Any, vectors: list[Path] | None
) -> Any:
    """Several teachers by what they are worth on dev."""
    from tlclassic.distillation import dev_weights, open_teacher

    if len(names) < 2 or dev is None:
        raise InvalidParameterError("--weigh weighs several teachers on labelled texts: give two or more, and --dev.")
    options = {"classes": asked.classes, "multilabel": asked.multilabel, "vectors": vectors}
    weights = dev_weights(names, *dev, by=by, **options)
    shown = weights if weights.ndim == 1 else weights.mean(axis=1)
    note("weights: " + ", ".join(f"{name} {weight:.3f}" for name, weight in zip(names, shown, strict=True)))
    return open_teacher(names, weights=weights, **options)


def _labelled(path: Path, reading: dict[str, Any], teacher: Any) -> tuple[list[str], list[Any]]:
    """Texts and labels of a file, labels as the teacher has them."""
    from tlclassic.app.evaluate import _like_classes
    from tlclassic.data import load_dataset

    data = load_dataset(str(path), **reading)
    if not data.texts:
        raise InputError("there is no labelled row", path=path, remedy="Check --label, or leave the file out")
    if data.n_unlabelled:
        note(f"{path}: {data.n_unlabelled} rows without a label are left out")
    labels = _like_classes(list(data.labels), teacher.classes)
    known = set(teacher.classes)
    for line, row in zip(data.lines, labels, strict=True):
        strange = set(row if teacher.multilabel else [row]) - known
        if strange:
            raise InputError(
                f"the teacher does not know the label {min(map(str, strange))!r}",
                path=path,
                line=line,
                remedy="Check --label, or leave those rows out",
            )
    return list(data.texts), labels


def _known(test: tuple[list[str], list[Any]], teacher: Any) -> tuple[list[str], list[Any]]:
    """The test texts, refused where a file of probabilities lacks them."""
    import numpy as np

    if hasattr(teacher, "look_up") and np.isnan(teacher.look_up(test[0])).any():
        raise InvalidParameterError(f"--test must have texts that {teacher.name} has probabilities of.")
    return test


def _compared(
    result: Distilled,
    teacher: Any,
    names: list[str],
    test: tuple[list[str], list[Any]],
    report: Path | None,
    out: Path,
) -> dict[str, Any]:
    """Teacher and student on the test texts; the report if one is wanted."""
    from tlclassic.distillation import fidelity
    from tlclassic.storage import atomic_write

    texts, labels = test
    known = teacher.look_up(texts) if hasattr(teacher, "look_up") else teacher.probabilities(texts)
    found = fidelity(
        texts,
        labels,
        known,
        result.compiled,
        classes=teacher.classes,
        multilabel=teacher.multilabel,
        undistilled=result.undistilled(),
        speed=_speed(teacher, names, result, texts, out),
    )
    if report is not None and report.suffix == ".html":
        found.to_html(report, title=f"{out.name}: student of {teacher.name}")
    elif report is not None and report.suffix == ".md":
        found.to_markdown(report)
    elif report is not None:
        from json import dumps

        with atomic_write(report) as file:
            file.write((dumps(found.as_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
    shown: dict[str, Any] = found.as_dict()
    for name in ("examples", "per_class", "calibration"):
        shown.pop(name, None)
    return shown


def _speed(teacher: Any, names: list[str], result: Distilled, texts: list[str], out: Path) -> Any:
    """Of both, where the teacher can be asked."""
    from tlclassic.distillation import measure_speed

    if hasattr(teacher, "look_up"):
        return None
    paths = names if all(Path(name).exists() for name in names) else None
    return measure_speed(teacher.probabilities, result.compiled, texts, teacher_path=paths, student_path=out)


def _print(found: dict[str, Any]) -> None:
    counts, best = found["texts"], found["best"]
    print(
        f"{counts['labelled']:,} labelled texts, {counts['transfer']:,} without labels, {counts['made']:,} made; "
        f"{counts['dev']:,} to choose by; {found['n_trials']} recipes tried"
    )
    teacher = found["teacher"]["dev_score"]
    print(f"{found['metric']} on dev: " + ("" if teacher is None else f"teacher {teacher:.4f}, "), end="")
    print(f"student {best['score']:.4f}")
    for name, value in best["recipe"].items():
        print(f"  {name}: {value}")
    for row in found["size_curve"]:
        name = found["metric"] if found["metric"] in row else "accuracy" if "accuracy" in row else "macro_f1"
        print(f"  in {row['bytes']:,} bytes: {name} {row[name]:.4f}")
    if "test" in found:
        test = found["test"]
        name = test["metric"]
        scores = ", ".join(f"{model} {test[model][name]['value']:.4f}" for model in ("teacher", "student"))
        print(f"{name} on test: {scores}")
    print(f"saved {found['model']} ({found['bytes']:,} bytes)")
