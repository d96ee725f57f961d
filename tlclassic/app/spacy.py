"""``tlclassic spacy``: configs and corpora for ``spacy train``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tlclassic.app.console import check_out, note
from tlclassic.app.options import FormatOption, QuotedOption

app = typer.Typer(help="Configs and corpora for `spacy train`, on tlclassic's backbones.", no_args_is_help=True)


class Backbone(StrEnum):
    """What the components of a pipeline share."""

    static = "static"
    onnx = "onnx"


class Store(StrEnum):
    """Whether a trained pipeline holds its vectors or encoder."""

    embed = "embed"
    refer = "refer"


@app.command("init-config")
def init_config(
    tasks: Annotated[
        str,
        typer.Option(
            help="Comma-separated: textcat, textcat_multilabel, ner, parser, tagger, morphologizer, senter.",
            show_default=False,
        ),
    ],
    backbone: Annotated[
        Backbone, typer.Option(help="static: word vectors; onnx: a frozen transformer encoder.")
    ] = Backbone.static,
    lang: Annotated[str, typer.Option(help="spaCy's code of the language.")] = "en",
    vectors: Annotated[
        str, typer.Option(help="static: the name of packaged vectors, or a file or folder of word vectors.")
    ] = "base-en",
    encoder: Annotated[
        Path | None, typer.Option(help="onnx: the folder of an ONNX encoder.", show_default=False)
    ] = None,
    encoder_file: Annotated[
        str, typer.Option(help="onnx: auto, fp32, int8, or a path in the encoder's folder.")
    ] = "auto",
    store: Annotated[
        Store, typer.Option(help="Keep vectors or encoder in the trained pipeline, or refer to them by digest.")
    ] = Store.embed,
    width: Annotated[int, typer.Option(help="Numbers of a token's vector.", min=1)] = 96,
    depth: Annotated[
        int | None,
        typer.Option(help="Layers over windows of tokens: static 4, onnx 2 when left out.", min=0, show_default=False),
    ] = None,
    max_steps: Annotated[int, typer.Option(help="Updates of the training at most.", min=1)] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the training.", min=0)] = 0,
) -> None:
    """Write a complete config to standard output.

    Example: tlclassic spacy init-config --tasks textcat,ner,parser,tagger > config.cfg
    """
    from tlclassic.spacy_ext.configs import init_config as make

    text = make(
        [task.strip() for task in tasks.split(",")],
        str(backbone),
        lang=lang,
        vectors=vectors,
        encoder=encoder,
        file=encoder_file,
        store=str(store),
        width=width,
        depth=depth,
        max_steps=max_steps,
        seed=seed,
    )
    print(text, end="")


@app.command()
def convert(
    file: Annotated[
        str, typer.Argument(help="Labelled texts: TSV, CSV, JSONL or Parquet; - for stdin.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the DocBin goes.", show_default=False)],
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    multilabel: Annotated[
        bool, typer.Option("--multilabel", help="A text may have several labels, separated as --separator says.")
    ] = False,
    separator: Annotated[str, typer.Option(help="Between several labels of a text.")] = ",",
    lang: Annotated[str, typer.Option(help="spaCy's code of the language.")] = "en",
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
) -> None:
    """Turn labelled texts into a corpus of categories; `spacy convert` does so for tagged tokens and trees.

    Example: tlclassic spacy convert train.tsv --label topic --out train.spacy
    """
    from tlclassic.data import load_dataset
    from tlclassic.spacy_ext.converting import write_categories

    check_out(out, file)
    data = load_dataset(
        file,
        text=text,
        label=label,
        multilabel=True if multilabel else None,
        separator=separator,
        format=None if input_format is None else str(input_format),
        quoted=quoted,
    )
    count = write_categories(data.texts, data.labels, out, lang=lang)
    note(f"wrote {out}: {count} documents")
