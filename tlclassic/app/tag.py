"""``tlclassic tag``: train, apply and measure taggers of tokens."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app.console import check_out, note, print_json, progress_bar
from tlclassic.app.options import JsonOption
from tlclassic.app.tag_finetune import finetune
from tlclassic.app.token_options import FormatOption, NamesOption, TokensOption, load_tagged

app = typer.Typer(
    help="Tag tokens: parts of speech, chunks, entities, slots; and label sentences.", no_args_is_help=True
)


class Algorithm(StrEnum):
    """How weights are learned."""

    crf = "crf"
    perceptron = "perceptron"


class TagOutput(StrEnum):
    """Formats that predictions are written in."""

    jsonl = "jsonl"
    conll = "conll"


EncoderOption = Annotated[
    Path | None,
    typer.Option(help="Folder of an ONNX encoder whose token states are further features.", show_default=False),
]
ModelArgument = Annotated[Path, typer.Argument(help="A tagger saved by `tlclassic tag train`.", show_default=False)]


@app.command()
def train(
    train_file: Annotated[
        str,
        typer.Argument(metavar="TRAIN", help="Tagged sentences: CoNLL, CoNLL-U, JSONL or DocBin.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the tagger goes.", show_default=False)],
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="What to learn: a column or key of tags, or of sentences' labels; several times for several tasks. "
            "When left out: tags (CoNLL, JSONL), upos (CoNLL-U), ner (DocBin).",
            show_default=False,
        ),
    ] = None,
    names: NamesOption = None,
    tokens: TokensOption = "tokens",
    input_format: FormatOption = None,
    dev: Annotated[
        str | None, typer.Option(help="Tagged sentences to measure on at the end.", show_default=False)
    ] = None,
    algorithm: Annotated[Algorithm, typer.Option(help="How weights are learned.")] = Algorithm.crf,
    vectors: Annotated[str, typer.Option(help="Word vectors: a packaged name, a file or folder, or none.")] = "base-en",
    char_ngrams: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Shortest and longest character n-gram of a token.", show_default=False),
    ] = None,
    encoder: EncoderOption = None,
    reach: Annotated[
        int, typer.Option(help="Word vectors of so many words on each side as features; -1 for none.", min=-1)
    ] = -1,
    epochs: Annotated[int, typer.Option(help="Passes over the sentences.", min=1)] = 10,
    learning_rate: Annotated[float, typer.Option(help="Length of the steps.")] = 0.2,
    min_count: Annotated[int, typer.Option(help="Features seen less often are left out.", min=1)] = 1,
    dropout: Annotated[float, typer.Option(help="Share of the features left out at random while learning.")] = 0.3,
    seed: Annotated[int, typer.Option(help="Of the order of the sentences and the dropout.", min=0)] = 0,
    compiled: Annotated[
        bool, typer.Option("--compiled/--full", help="Prune and quantise the file, or keep what fitting gave.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Train a tagger.

    Example: tlclassic tag train train.conll --dev dev.conll --out ner.tlc
    """
    from tlclassic.tagging import TokenTagger

    check_out(out, train_file, dev)
    options = (input_format, names, tokens)
    data = load_tagged(train_file, column, *options)
    with progress_bar("training") as advance:
        tagger = TokenTagger(
            algorithm=str(algorithm),
            vectors=None if vectors == "none" else vectors,
            char_ngrams=char_ngrams,
            reach=reach,
            states=_states(encoder),
            epochs=epochs,
            learning_rate=learning_rate,
            min_count=min_count,
            dropout=dropout,
            random_state=seed,
            progress=advance,
        ).fit(data.sentences, data.columns)
    final: Any = tagger.compile() if compiled else tagger
    final.save(out)
    note(f"wrote {out}: {final.model_.n_features} features, {out.stat().st_size:,} bytes")
    if dev is not None:
        held_out = load_tagged(dev, list(data.columns), *options)
        _show(final.evaluate(held_out.sentences, held_out.columns), json)


@app.command()
def predict(
    model: ModelArgument,
    file: Annotated[
        str, typer.Argument(help="Sentences: CoNLL, CoNLL-U, JSONL or DocBin; - for stdin.", show_default=False)
    ],
    lines: Annotated[
        bool, typer.Option("--lines", help="The input has a sentence a line, its tokens separated by spaces.")
    ] = False,
    names: NamesOption = None,
    tokens: TokensOption = "tokens",
    input_format: FormatOption = None,
    output_format: Annotated[TagOutput, typer.Option("--format", help="Format of the output.")] = TagOutput.jsonl,
    output: Annotated[str, typer.Option("--output", "-o", help="Where the predictions go; - for stdout.")] = "-",
    encoder: EncoderOption = None,
) -> None:
    """Tag every sentence, in order. CoNLL has a column for each task of tags, labels of sentences as comments.

    Example: echo "wake me at six" | tlclassic tag predict slots.tlc - --lines
    """
    from tlclassic.tagging import CompiledTagger

    check_out(output, model, file)
    tagger = CompiledTagger.load(model, states=_states(encoder))
    if lines:
        from tlclassic.data import TextColumn

        sentences = [text.split() for text in TextColumn(file, format="txt")]
    else:
        sentences = load_tagged(file, [], input_format, names, tokens).sentences
    predicted = tagger.predict(sentences)
    found = predicted if isinstance(predicted, dict) else {tagger.tasks_[0].name: predicted}
    _write(output, output_format, sentences, found, {task.name for task in tagger.tasks_ if task.kind == "tags"})


@app.command()
def evaluate(
    model: ModelArgument,
    test: Annotated[str, typer.Argument(metavar="TEST", help="Tagged sentences.", show_default=False)],
    names: NamesOption = None,
    tokens: TokensOption = "tokens",
    input_format: FormatOption = None,
    encoder: EncoderOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a tagger on tagged sentences: entity F1 or token accuracy, and accuracy of the sentences' labels.

    Example: tlclassic tag evaluate ner.tlc test.conll --json
    """
    from tlclassic.tagging import CompiledTagger

    tagger = CompiledTagger.load(model, states=_states(encoder))
    data = load_tagged(test, [task.name for task in tagger.tasks_], input_format, names, tokens)
    _show(tagger.evaluate(data.sentences, data.columns), json)


app.command()(finetune)


def _states(encoder: Path | None) -> Any:
    if encoder is None:
        return None
    from tlclassic.tagging import EncoderStates

    return EncoderStates(encoder)


def _show(scores: dict[str, dict[str, Any]], json: bool) -> None:
    if json:
        print_json(scores)
        return
    for name, facts in scores.items():
        print(f"{name}: {facts['metric'].replace('_', ' ')} {facts['score']:.4f} ({facts['n_sentences']} sentences)")
        for kind, shares in facts.get("entities", {}).get("types", {}).items():
            print(
                f"  {kind:24} precision {shares['precision']:.4f}  recall {shares['recall']:.4f}  "
                f"F1 {shares['f1']:.4f}  {shares['support']:6}"
            )


def _write(
    output: str, kind: TagOutput, sentences: list[list[str]], found: dict[str, list[Any]], tagged: set[str]
) -> None:
    if kind == TagOutput.jsonl:
        from tlclassic.data import open_writer

        with open_writer(output, format="jsonl", columns=["tokens", *found]) as writer:
            writer.write({"tokens": sentences, **found})
        return
    import sys

    from tlclassic.storage import atomic_write

    text = "".join(_conll(place, sentences, found, tagged) for place in range(len(sentences)))
    if output == "-":
        sys.stdout.write(text)
        return
    with atomic_write(output) as file:
        file.write(text.encode("utf-8", "surrogatepass"))


def _conll(place: int, sentences: list[list[str]], found: dict[str, list[Any]], tagged: set[str]) -> str:
    comments = [f"# {name} = {values[place]}\n" for name, values in found.items() if name not in tagged]
    columns = [sentences[place], *(found[name][place] for name in found if name in tagged)]
    return "".join([*comments, *("\t".join(map(str, row)) + "\n" for row in zip(*columns, strict=True)), "\n"])
