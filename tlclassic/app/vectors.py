"""``tlclassic vectors``: look at, convert, train and judge word vectors."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app import joint
from tlclassic.app.console import check_out, print_json, progress_bar
from tlclassic.app.from_encoder import from_encoder
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption, TrustOption, VectorsArgument

app = typer.Typer(help="Look at, convert, train and judge word vectors.", no_args_is_help=True)

MemberOption = Annotated[
    str | None, typer.Option(help="The file to read from a zip archive that holds several.", show_default=False)
]
LimitOption = Annotated[int | None, typer.Option(help="Read only the first N words.", min=1, show_default=False)]


class VectorFormat(StrEnum):
    """Formats that vectors are written in."""

    store = "store"
    glove = "glove"
    word2vec = "word2vec"
    word2vec_binary = "word2vec-binary"
    gensim = "gensim"
    spacy = "spacy"


_NAMED = {
    ".txt": VectorFormat.glove,
    ".vec": VectorFormat.word2vec,
    ".bin": VectorFormat.word2vec_binary,
}


class VectorDtype(StrEnum):
    """How the numbers of a store are kept."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


class Algorithm(StrEnum):
    """How vectors are trained."""

    word2vec = "word2vec"
    fasttext = "fasttext"


@app.command()
def info(
    file: VectorsArgument,
    member: MemberOption = None,
    limit: LimitOption = None,
    trust: TrustOption = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every block of a store against its checksum.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Say what is in a file of word vectors: format, size, dtype, zero vectors, norms, the first words."""
    from tlclassic.vectors import describe

    facts = describe(file, member=member, limit=limit, trust=trust, verify=verify)
    if json:
        print_json(facts)
        return
    for name, value in facts.items():
        print(f"{name.replace('_', ' ') + ':':20}{_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


@app.command()
def convert(
    source: VectorsArgument,
    out: Annotated[
        Path, typer.Argument(help="Where the result goes; an existing file is replaced.", show_default=False)
    ],
    to: Annotated[
        VectorFormat | None,
        typer.Option(
            help="Format of the result; by its name when left out (.txt glove, .vec word2vec, .bin word2vec-binary), "
            "else store.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        VectorDtype | None,
        typer.Option(
            help="Numbers of a store, as in the source when left out; int8 has a scale for each row.",
            show_default=False,
        ),
    ] = None,
    member: MemberOption = None,
    limit: LimitOption = None,
    trust: TrustOption = False,
) -> None:
    """Convert word vectors; to a store in bounded memory, whatever the size of the source.

    Example: tlclassic vectors convert glove.6B.100d.txt glove.tlc --dtype int8
    """
    from tlclassic.errors import InvalidParameterError
    from tlclassic.vectors import WordVectors
    from tlclassic.vectors import convert as convert_vectors

    to = to or _NAMED.get(out.suffix.lower(), VectorFormat.store)
    if to != VectorFormat.spacy:  # that one is a folder
        check_out(out, source)
    if to == VectorFormat.store:
        with progress_bar("converting") as advance:
            convert_vectors(
                source,
                out,
                dtype=None if dtype is None else str(dtype),
                member=member,
                limit=limit,
                trust=trust,
                progress=lambda rows: advance(rows, None),
            )
    else:
        if dtype is not None:
            raise InvalidParameterError(f"--dtype needs --to store; {to} has numbers of one kind.")
        WordVectors.load(source, member=member, limit=limit, trust=trust).save(out, format=str(to))
    print(f"wrote {out} ({to})")


@app.command(context_settings={"ignore_unknown_options": True})
def similar(
    file: VectorsArgument,
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Words; a leading - subtracts: king -man woman.")
    ],
    topn: Annotated[int, typer.Option(help="How many neighbours.", min=1)] = 10,
    member: MemberOption = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """List the nearest words by cosine, or solve an analogy.

    Example: tlclassic vectors similar glove.txt -- king -man woman
    """
    from tlclassic.errors import InvalidParameterError
    from tlclassic.vectors import WordVectors

    vectors = WordVectors.load(file, member=member, trust=trust)
    positive = [word for word in words if not word.startswith("-") or word in vectors]
    negative = [word[1:] for word in words if word not in positive]
    try:
        neighbours = vectors.analogy(positive, negative, topn)
    except KeyError as error:
        raise InvalidParameterError(
            f"the word {error.args[0]!r} is not among the {len(vectors):,} words of {file}."
        ) from error
    if json:
        print_json([{"word": word, "cosine": round(cosine, 6)} for word, cosine in neighbours])
        return
    for word, cosine in neighbours:
        print(f"{cosine:.4f}  {word}")


@app.command()
def train(
    corpus: Annotated[
        str,
        typer.Argument(metavar="CORPUS", help="Plain text, one text a line, or TSV, CSV, JSONL, Parquet with --text."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the store goes.")],
    text: Annotated[
        str | None, typer.Option(help="Column of the texts, where the file has columns.", show_default=False)
    ] = None,
    algorithm: Annotated[Algorithm, typer.Option(help="word2vec, or fasttext with sub-words.")] = Algorithm.word2vec,
    dim: Annotated[
        int | None, typer.Option(help="Dimensions; those of --init, else 100.", min=1, show_default=False)
    ] = None,
    window: Annotated[int, typer.Option(help="Words of context on each side.", min=1)] = 5,
    min_count: Annotated[int, typer.Option(help="Leave out words rarer than this.", min=1)] = 5,
    epochs: Annotated[int, typer.Option(help="Passes over the corpus.", min=1)] = 5,
    skip_gram: Annotated[bool, typer.Option("--skip-gram/--cbow", help="Training objective.")] = True,
    negative: Annotated[int, typer.Option(help="Negative samples.", min=1)] = 5,
    init: Annotated[Path | None, typer.Option(help="Start from these vectors.", show_default=False)] = None,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Keep the vectors of --init as they are; train the new words.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Threads; the CPUs at hand when left out.", min=1, show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the training; exact with --workers 1.")] = 0,
    trust: TrustOption = False,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
) -> None:
    """Train word vectors on a corpus, or adapt existing ones to it; the corpus is streamed.

    Example: tlclassic vectors train reviews.txt.gz --algorithm fasttext --out reviews.tlc
    """
    from tlclassic.data import TextColumn
    from tlclassic.vectors import WordVectors
    from tlclassic.vectors.training import train_vectors

    check_out(out, corpus, init)
    chosen = str(input_format) if input_format is not None else None if text is not None else "txt"
    texts = TextColumn(corpus, column=text or "text", format=chosen, quoted=quoted)
    start = None if init is None else WordVectors.load(init, trust=trust)
    with progress_bar("training") as advance:
        vectors = train_vectors(
            texts,
            algorithm=str(algorithm),
            dim=dim,
            window=window,
            min_count=min_count,
            epochs=epochs,
            sg=skip_gram,
            negative=negative,
            workers=workers,
            seed=seed,
            init=start,
            freeze=freeze,
            on_progress=advance,
        )
    vectors.save(out)
    print(f"wrote {out}: {len(vectors):,} words x {vectors.dim}")


app.command("from-encoder")(from_encoder)
app.command()(joint.join)
app.command()(joint.retrofit)
app.command()(joint.align)


@app.command("eval")
def evaluate(
    file: VectorsArgument,
    pairs: Annotated[
        list[Path], typer.Argument(help="Files of word pairs with human scores: word, word, score, by tabs.")
    ],
    member: MemberOption = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Correlate cosines with people's similarity scores (Spearman, Pearson); unknown pairs are counted apart."""
    from tlclassic.vectors import WordVectors

    vectors = WordVectors.load(file, member=member, trust=trust)
    results = {path.stem: vectors.evaluate_similarity(path) for path in pairs}
    if json:
        print_json(
            {name: {key: _finite(value) for key, value in row.as_dict().items()} for name, row in results.items()}
        )
        return
    print(f"{'':24}{'Spearman':>10}{'Pearson':>10}{'pairs':>8}{'unknown':>9}")
    for name, row in results.items():
        print(f"{name:24}{row.spearman:10.4f}{row.pearson:10.4f}{row.n:8,}{row.n_unknown:9,}")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@app.command()
def coverage(
    file: VectorsArgument,
    texts: Annotated[str, typer.Argument(help="Texts: TSV, CSV, JSONL, Parquet or plain lines (.txt); - for stdin.")],
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    top: Annotated[int, typer.Option(help="How many of the unknown words to list.", min=0)] = 30,
    member: MemberOption = None,
    trust: TrustOption = False,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
    json: JsonOption = False,
) -> None:
    """Report which share of the words and of the running text the vectors know, and the most frequent unknown words."""
    from tlclassic.data import TextColumn
    from tlclassic.features import coverage as measure
    from tlclassic.vectors import WordVectors

    vectors = WordVectors.load(file, member=member, trust=trust)
    chosen = None if input_format is None else str(input_format)
    report = measure(TextColumn(texts, column=text, format=chosen, quoted=quoted), vectors, top=top)
    print_json(report.as_dict()) if json else print(report)
