"""``tlclassic vectors join``, ``retrofit`` and ``align``: one set of word vectors from several sources."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app.console import check_out, print_json, progress_bar
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption, TrustOption, VectorsArgument
from tlclassic.errors import InvalidParameterError

__all__ = ["align", "join", "retrofit"]

OutOption = Annotated[Path, typer.Option("--out", "-o", help="Where the store goes.")]


class Method(StrEnum):
    """How sources are joined."""

    concat = "concat"
    average = "average"
    svd = "svd"
    gcca = "gcca"


class Start(StrEnum):
    """What an alignment without a dictionary begins with."""

    identical = "identical"
    structure = "structure"


def join(
    files: Annotated[
        list[str], typer.Argument(help="Files or folders of word vectors, or base-en.", show_default=False)
    ],
    out: OutOption,
    method: Annotated[
        Method | None,
        typer.Option(help="How; concat when left out, or what --pairs or --train find best.", show_default=False),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="One a source, such as 1,0.5,1; all alike when left out.", show_default=False)
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option(help="Dimensions of svd and gcca; those of the largest source.", min=1, show_default=False),
    ] = None,
    whitening: Annotated[
        float | None,
        typer.Option(
            help="From 0, directions of a source as they are, to 1, all alike; 0.5 when left out.",
            min=0.0,
            max=1.0,
            show_default=False,
        ),
    ] = None,
    impute: Annotated[
        bool, typer.Option("--impute/--zeros", help="What a word gets from a source that lacks it.")
    ] = True,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(
            help="Choose what is left out above by word pairs with human scores; may be repeated.", show_default=False
        ),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(help="Or by texts with labels: TSV, CSV, JSONL, Parquet.", show_default=False),
    ] = None,
    text: Annotated[str, typer.Option(help="Column of the texts of --train.")] = "text",
    label: Annotated[str, typer.Option(help="Column of the labels of --train.")] = "label",
    trust: TrustOption = False,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
    json: JsonOption = False,
) -> None:
    """Join several sets of word vectors into one over all their words; missing words are imputed.

    Example: tlclassic vectors join glove.txt word2vec.bin base-en --pairs simlex.tsv --out joint.tlc
    """
    from tlclassic.joint import choose_join, join_parts
    from tlclassic.joint.joining import WHITENING
    from tlclassic.vectors import load_vectors

    check_out(out, *files, *(pairs or []), train)
    sources = [load_vectors(file, trust=trust) for file in files]
    if not pairs and train is None:
        parts = join_parts(sources, whitening=WHITENING if whitening is None else whitening, impute=impute)
        vectors = parts.join(str(method or Method.concat), _numbers(weights), dim)
        settings: dict[str, Any] = {"method": str(method or Method.concat), "r2": parts.r2}
    else:
        if weights is not None or not impute:
            raise InvalidParameterError("--weights and --zeros are not for --pairs or --train, which choose weights.")
        options: dict[str, Any] = {"pairs": {path.stem: path for path in pairs}} if pairs else {}
        if train is not None:
            options |= _labelled(train, text, label, input_format, quoted)
        if method is not None:
            options["methods"] = [str(method)]
        if whitening is not None:
            options["whitenings"] = [whitening]
        with progress_bar("choosing") as advance:
            chosen = choose_join(sources, dims=[dim], on_progress=advance, **options)
        vectors = chosen.vectors
        settings = {**chosen.settings.as_dict(), "score": chosen.score, "singles": chosen.singles}
    vectors.save(out)
    if json:
        print_json({"words": len(vectors), "dim": vectors.dim, **settings})
        return
    if "score" in settings:
        shown = ", ".join(f"{weight:.3g}" for weight in settings["weights"])
        print(f"{settings['method']}, weights {shown}, whitening {settings['whitening']:g}")
        print(f"cross-validated {settings['score']:.4f}; best single source {max(settings['singles']):.4f}")
    print(f"wrote {out}: {len(vectors):,} words x {vectors.dim}")


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidParameterError(f"--weights must be numbers, such as 1,0.5,1; got {text!r}.") from error


def _labelled(train: str, text: str, label: str, input_format: Any, quoted: bool | None) -> dict[str, Any]:
    from tlclassic.data import load_dataset

    chosen = None if input_format is None else str(input_format)
    data = load_dataset(train, text=text, label=label, format=chosen, quoted=quoted)
    return {"texts": data.texts, "labels": data.labels}


def retrofit(
    file: VectorsArgument,
    out: OutOption,
    lexicon: Annotated[
        list[Path] | None,
        typer.Option(help="A word and its neighbours a line; may be repeated.", show_default=False),
    ] = None,
    synonyms: Annotated[
        list[Path] | None,
        typer.Option(help="Instead, counter-fitting: pairs to draw together; may be repeated.", show_default=False),
    ] = None,
    antonyms: Annotated[
        list[Path] | None,
        typer.Option(help="Counter-fitting: pairs to push apart; may be repeated.", show_default=False),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Of pairs whose words begin with it, such as en_good.", show_default=False),
    ] = None,
    strength: Annotated[float, typer.Option(help="Weight of the lexicon beside the vector itself.", min=0.0)] = 1.0,
    iterations: Annotated[
        int | None, typer.Option(help="Passes; 10, counter-fitting 20.", min=0, show_default=False)
    ] = None,
    trust: TrustOption = False,
) -> None:
    """Draw words to their neighbours in a lexicon (retrofitting); or synonyms together and antonyms apart.

    Example: tlclassic vectors retrofit glove.txt --lexicon ppdb-xl.txt.gz --out better.tlc
    """
    from tlclassic.joint import counter_fit, read_lexicon, read_word_pairs
    from tlclassic.joint import retrofit as retrofit_vectors
    from tlclassic.vectors import load_vectors

    lists = [*(lexicon or []), *(synonyms or []), *(antonyms or [])]
    check_out(out, file, *lists)
    if bool(lexicon) == bool(synonyms or antonyms):
        raise InvalidParameterError("retrofit needs --lexicon, or --synonyms and --antonyms, and not both.")
    vectors = load_vectors(str(file), trust=trust)
    if lexicon:
        merged: dict[str, list[str]] = {}
        for path in lexicon:
            for word, others in read_lexicon(path).items():
                merged.setdefault(word, []).extend(others)
        done = retrofit_vectors(vectors, merged, strength=strength, iterations=10 if iterations is None else iterations)
    else:
        same, opposite = (
            [pair for path in paths or [] for pair in read_word_pairs(path, language=language)]
            for paths in (synonyms, antonyms)
        )
        done = counter_fit(vectors, same, opposite, iterations=20 if iterations is None else iterations)
    done.save(out)
    print(f"wrote {out}: {len(done):,} words x {done.dim}")


def align(
    source: VectorsArgument,
    target: Annotated[
        Path, typer.Argument(help="Word vectors of the other language, whose space is kept.", show_default=False)
    ],
    out: OutOption,
    out_target: Annotated[
        Path, typer.Option(help="Where the target's vectors go, centred and of unit length.", show_default=False)
    ],
    dictionary: Annotated[
        Path | None,
        typer.Option(help="Pairs source word, target word to learn from, a line each.", show_default=False),
    ] = None,
    start: Annotated[
        Start, typer.Option(help="Without a dictionary: words spelt alike, or the shape of the spaces.")
    ] = Start.identical,
    refinements: Annotated[
        int | None, typer.Option(help="At most so many; none with a dictionary, else 5.", min=0, show_default=False)
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(help="Pairs to measure the precision on; not those of --dictionary.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the start from structure.", min=0)] = 0,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Rotate the vectors of one language into the space of another, with a dictionary or without.

    Example: tlclassic vectors align es.vec en.vec --dictionary es-en.txt --out es.tlc --out-target en.tlc
    """
    from tlclassic.joint import align as align_vectors
    from tlclassic.joint import precision_at, read_word_pairs
    from tlclassic.vectors import load_vectors

    for path in (out, out_target):
        check_out(path, source, target, dictionary, test)
    if out.resolve() == out_target.resolve():
        raise InvalidParameterError(f"--out and --out-target must be two files; got {str(out)!r} for both.")
    found = align_vectors(
        *(load_vectors(str(path), trust=trust) for path in (source, target)),
        None if dictionary is None else read_word_pairs(dictionary),
        start=str(start),
        refinements=refinements,
        random_state=seed,
    )
    found.source.save(out)
    found.target.save(out_target)
    scores = {} if test is None else {
        name: precision_at(found.source, found.target, read_word_pairs(test), similarity=name).as_dict()
        for name in ("csls", "cosine")
    }  # fmt: skip
    if json:
        print_json({"pairs": found.n_pairs, "history": found.history, **scores})
        return
    print(f"aligned on {found.n_pairs:,} pairs; wrote {out} and {out_target}")
    for name, score in scores.items():
        shown = ", ".join(f"precision@{k} {value:.4f}" for k, value in score["precision"].items())
        print(f"{name}: {shown} of {score['n']:,} words; {score['n_unknown']:,} unknown")
