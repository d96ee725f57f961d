"""``tlclassic tag finetune``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app.console import print_json, progress_bar
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
from tlclassic.app.options import JsonOption
from tlclassic.app.token_options import FormatOption, NamesOption, TokensOption, load_tagged

__all__ = ["finetune"]


class TagMetric(StrEnum):
    """What the best state is told by."""

    score = "score"
    accuracy = "accuracy"
    loss = "loss"


def finetune(
    train_file: Annotated[
        str,
        typer.Argument(metavar="TRAIN", help="Tagged sentences: CoNLL, CoNLL-U, JSONL or DocBin.", show_default=False),
    ],
    encoder: EncoderOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The new encoder's folder; it appears whole or not at all.", show_default=False
        ),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="A column or key of tags; several times for several tasks. When left out: tags (CoNLL, JSONL), upos "
            "(CoNLL-U), ner (DocBin).",
            show_default=False,
        ),
    ] = None,
    names: NamesOption = None,
    tokens: TokensOption = "tokens",
    input_format: FormatOption = None,
    dev: Annotated[
        str | None,
        typer.Option(help="Tagged sentences that the best state is told by; never trained on.", show_default=False),
    ] = None,
    train: TrainOption = None,
    epochs: EpochsOption = None,
    batch_size: Annotated[int | None, typer.Option(help="Sentences a step.", show_default=False)] = None,
    learning_rate: RateOption = None,
    patience: PatienceOption = None,
    metric: Annotated[
        TagMetric | None,
        typer.Option(
            help="That tells the best state. Default: score, which is entity F1, or accuracy where tags mark none.",
            show_default=False,
        ),
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="Word pieces of a sentence.", show_default=False)] = None,
    int8: Int8Option = True,
    weights: WeightsOption = False,
    resume: ResumeOption = True,
    force: ForceOption = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Fine-tune a transformer encoder on tagged tokens (extra: finetune), for taggers that take its states.

    Example: tlclassic tag finetune train.conll --encoder all-MiniLM-L6-v2 --out tuned --dev dev.conll

    Then: tlclassic tag train train.conll --encoder tuned --out ner.tlc
    """
    before_torch(out, encoder, force=force)
    options = (input_format, names, tokens)
    data = load_tagged(train_file, column, *options)
    held_out = None if dev is None else load_tagged(dev, list(data.columns), *options)
    given = {
        "train": trained(train),
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "patience": patience,
        "metric": None if metric is None else str(metric),
        "max_length": max_length,
        "threads": threads,
    }
    from tlclassic.finetune import fine_tune_tokens

    with progress_bar("training") as advance:
        result = fine_tune_tokens(
            encoder,
            data.sentences,
            data.columns,
            out,
            dev=None if held_out is None else (held_out.sentences, held_out.columns),
            int8=int8,
            weights=weights,
            force=force,
            resume=resume,
            device=device,
            seed=seed,
            columns={"names": names, "tokens": tokens},
            on_progress=advance,
            on_frozen=advance,
            **{name: value for name, value in given.items() if value is not None},
        )
    report = {
        "n": len(data.sentences),
        "tasks": list(data.columns),
        "best": result.best,
        "scores": result.scores,
        "parity": result.parity,
        "int8": result.int8,
        "resumed_at_step": result.resumed,
        "encoder": str(result.path),
    }
    print_json(report) if json else _print(report)


def _print(report: dict[str, Any]) -> None:
    print(f"fine-tuned on {report['n']:,} sentences, tasks: {', '.join(report['tasks'])}")
    if report["resumed_at_step"]:
        print(f"went on from step {report['resumed_at_step']:,}")
    for name, own in (report["scores"] or {}).items():
        print(f"{name}: {own['metric'].replace('_', ' ')} {own['score']:.4f} of the head on dev, which chose the state")
    print(f"ONNX as torch: logits within {report['parity']['max_difference']:.1e}")
    if report["int8"] is not None:
        print("int8 is preferred here" if report["int8"]["preferred"] else "fp32 is preferred here")
        for reason in report["int8"]["reasons"]:
            print(f"  {reason}")
    print(f"saved {report['encoder']}")
    print(f"a tagger on its states: tlclassic tag train TRAIN --encoder {report['encoder']} --out tagger.tlc")
