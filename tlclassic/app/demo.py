"""``tlclassic demo``."""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app.console import check_out, note, print_json
from tlclassic.app.options import JsonOption

EXAMPLES = (
    "the courier left my box with some neighbour i have never met",
    "why was i charged twice this month??",
    "Can I move my Thursday slot to next week?",
)


def demo(
    texts: Annotated[
        list[str] | None,
        typer.Option("--text", help="A message to classify; give it several times for several.", show_default=False),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep the sample files, the vectors and the models in this folder.", show_default=False),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Where the page that compares teacher and student goes; by default into the folder of --keep.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train on the embedded sample of customer messages, compare, distil, and classify what you type."""
    from tlclassic.distillation.demonstration import run_distillation_demo
    from tlclassic.pipelines.demonstration import run_demo

    if report is not None:
        check_out(report)
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        page = report or (None if keep is None else keep / "fidelity.html")
        rows, pipeline = run_demo(folder, on_step=_say)
        distilled = run_distillation_demo(folder, page, on_step=_say)
        examples = _classify(pipeline, texts or list(EXAMPLES))
        if json:
            shown = {"rows": [row.as_dict() for row in rows], "examples": examples}
            print_json({**shown, "distillation": distilled.as_dict()})
            return
        _print_table(rows)
        _print_examples(examples)
        _print_distilled(distilled)
        if not texts and sys.stdin.isatty():
            _converse(pipeline)
    _print_next(keep, distilled)


def _say(message: str) -> None:
    note(f"… {message}")


def _classify(pipeline: Any, texts: list[str]) -> list[dict[str, Any]]:
    probabilities = pipeline.predict_proba(texts)
    best = probabilities.argmax(axis=1)
    return [
        {"text": text, "topic": str(pipeline.classes_[column]), "probability": round(float(row[column]), 3)}
        for text, row, column in zip(texts, probabilities, best, strict=True)
    ]


def _print_table(rows: list[Any]) -> None:
    print("\nTopic of a customer message (8 classes), 160 test messages:\n")
    print(f"{'features':26}{'accuracy':>9}{'95 % interval':>17}{'size':>10}{'load':>10}{'texts/s':>10}")
    for row in rows:
        interval = f"{100 * row.interval[0]:.1f} - {100 * row.interval[1]:.1f}"
        print(
            f"{row.features:26}{100 * row.accuracy:9.1f}{interval:>17}{row.size / 1e6:7.2f} MB"
            f"{1000 * row.load_seconds:7.1f} ms{row.texts_per_second:10,.0f}"
        )


def _print_examples(examples: list[dict[str, Any]]) -> None:
    print()
    for example in examples:
        print(f"{example['topic']:>10} {example['probability']:.2f}  {example['text']}")


def _converse(pipeline: Any) -> None:
    print("\nType a message to classify it; an empty line ends.")
    while True:
        try:
            text = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not text:
            return
        _print_examples(_classify(pipeline, [text]))


def _print_distilled(demo: Any) -> None:
    kept, names = demo.fidelity, " + ".join(path.stem for path in demo.teacher_files)
    labelled, others, made = (f"{demo.n_texts[kind]:,}" for kind in ("labelled", "transfer", "made"))
    print(
        f"""
The same task, distilled. The teacher, on base-en: {names}. The student learnt
its probabilities of {labelled} labelled texts, {others} without labels and {made} made of them. On one thread:
"""
    )
    print(f"{'model':26}{'accuracy':>9}{'95 % interval':>17}{'size':>10}{'start':>10}{'texts/s':>12}")
    for row in demo.models:
        low, high = row.interval
        print(
            f"{row.name:26}{100 * row.accuracy:9.1f}{f'{100 * low:.1f} - {100 * high:.1f}':>17}{row.size / 1e6:7.2f} MB"
            f"{row.startup_seconds:8.2f} s{row.texts_per_second:12,.0f}"
        )
    share, factor, same = kept.retention.value, kept.speed.factor, kept.agreement.value
    print(
        f"\nThe student keeps {share:.1%} of the teacher's accuracy at {factor:,.0f} times its speed, and labels "
        f"{same:.1%} of the texts as it does."
    )
    if demo.models[1].accuracy < demo.models[2].accuracy:
        print("The same student does better here on the labels alone: the teacher brought it nothing.")
    if demo.report is not None:
        print(f"The report: {demo.report}")


def _print_next(keep: Path | None, distilled: Any) -> None:
    print(
        """
The sample's vectors were learned from a thousand messages alone; base-en, which comes with tlclassic, knows what a
sentence encoder knows. With labelled texts of your own, on base-en or on any GloVe, word2vec or fastText file:

  tlclassic train train.tsv --dev dev.tsv --out model.tlc
  tlclassic train train.tsv --features vectors:glove.6B.100d.txt --dev dev.tsv --out model.tlc
  tlclassic evaluate model.tlc test.tsv
  tlclassic predict model.tlc new.tsv --proba
  tlclassic distill model.tlc --texts unlabelled.txt --train train.tsv --dev dev.tsv --out student.tlc"""
    )
    if keep is None:
        print("\nThe sample as files, and all models, to go on with:\n\n  tlclassic demo --keep demo")
        return
    print(f"\nThe student above once more, with more effort:\n\n  tlclassic {shlex.join(distilled.arguments())}")
