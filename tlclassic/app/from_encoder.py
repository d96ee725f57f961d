"""``tlclassic vectors from-encoder``: static word vectors out of a transformer encoder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from tlclassic.app.console import Advance, check_out, progress_bar
from tlclassic.app.options import FormatOption, QuotedOption
from tlclassic.errors import InvalidParameterError

__all__ = ["from_encoder"]


class VocabularyKind(StrEnum):
    """What gets a vector."""

    words = "words"
    tokens = "tokens"


class StoreDtype(StrEnum):
    """How the numbers are kept."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


class Texts:
    """The texts of several files, one after the other, streamed anew by every ``for`` loop."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.parts)


def from_encoder(
    encoder: Annotated[Path, typer.Argument(help="Folder of an ONNX encoder.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the store goes.")],
    corpus: Annotated[
        list[str],
        typer.Option(help="Plain text, one text a line, or TSV, CSV, JSONL, Parquet with --text; may be repeated."),
    ],
    text: Annotated[
        str | None, typer.Option(help="Column of the texts, where the files have columns.", show_default=False)
    ] = None,
    dim: Annotated[int, typer.Option(help="Dimensions.", min=1)] = 256,
    size: Annotated[int, typer.Option(help="How many words at most.", min=1)] = 30_000,
    vocabulary: Annotated[
        VocabularyKind, typer.Option(help="The corpus's most frequent words, or the encoder's own tokens.")
    ] = VocabularyKind.words,
    min_count: Annotated[int, typer.Option(help="Leave out words rarer than this.", min=1)] = 2,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Layers to learn from, each with a weight, such as 3:1,6:0.5; lower ones know more of the words "
            "themselves, the last decides the cosine. The pooled vector when left out.",
            show_default=False,
        ),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(help="Other word vectors whose knowledge is put beside the encoder's.", show_default=False),
    ] = None,
    beside_weight: Annotated[float, typer.Option(help="Their weight.", min=0.0)] = 1.0,
    ridge: Annotated[float, typer.Option(help="How strongly words are held to their own vectors.", min=0.0)] = 0.1,
    iterations: Annotated[int, typer.Option(help="Steps of training; 0 for none.", min=0)] = 15,
    dtype: Annotated[
        StoreDtype, typer.Option(help="Numbers of the store; int8 has a scale for each row.")
    ] = StoreDtype.int8,
    work: Annotated[
        Path | None,
        typer.Option(help="Folder for the encoder's vectors; a stopped run goes on there.", show_default=False),
    ] = None,
    file: Annotated[str, typer.Option(help="The encoder's file: auto, fp32, int8, or a path in its folder.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="Threads; the CPUs at hand when left out.", min=1, show_default=False)
    ] = None,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
) -> None:
    """Make word vectors whose mean over a text predicts the encoder's vector of that text.

    Example: tlclassic vectors from-encoder minilm --corpus texts.txt.gz --out static.tlc
    """
    from tlclassic.data import TextColumn
    from tlclassic.distillation import StaticOptions, static_vectors
    from tlclassic.distillation.vocabulary import read_tokenizer_json
    from tlclassic.vectors import load_vectors
    from tlclassic.vectors.store import write_store

    check_out(out, *corpus, beside)
    numbers, weights = _parse_layers(layers)
    options = StaticOptions(
        dim=dim,
        size=size,
        vocabulary=str(vocabulary),
        min_count=min_count,
        ridge=ridge,
        iterations=iterations,
        blocks=weights,
    )
    chosen = str(input_format) if input_format is not None else None if text is not None else "txt"
    texts = Texts([TextColumn(path, column=text or "text", format=chosen, quoted=quoted) for path in corpus])
    with _opened(encoder, numbers, file, threads) as opened, _steps() as report:
        vectors = static_vectors(
            opened,
            texts,
            tokenizer_json=read_tokenizer_json(encoder),
            options=options,
            beside=None if beside is None else load_vectors(beside),
            beside_weight=beside_weight,
            work=work,
            on_progress=report,
        )
    write_store(vectors, out, dtype=str(dtype), source={"name": encoder.name, "layers": layers})
    print(f"wrote {out}: {len(vectors):,} words x {vectors.dim}")


def _parse_layers(layers: str | None) -> tuple[list[int], tuple[float, ...]]:
    """``3:1,6:0.5`` as numbers and weights."""
    if layers is None:
        return [], (1.0,)
    try:
        pairs = [part.partition(":") for part in layers.split(",")]
        return [int(number) for number, _, _ in pairs], tuple(float(weight or 1) for _, _, weight in pairs)
    except ValueError as error:
        raise InvalidParameterError(
            f"--layers must be numbers with weights, such as 3:1,6:0.5; got {layers!r}."
        ) from error


@contextlib.contextmanager
def _opened(folder: Path, layers: list[int], file: str, threads: int | None) -> Iterator[Any]:
    from tlclassic.distillation.layers import expose_layers
    from tlclassic.encoders import OnnxEncoder

    if not layers:
        yield OnnxEncoder(folder, file=file, normalize=False, threads=threads)
        return
    with tempfile.TemporaryDirectory() as scratch:
        joined = expose_layers(folder, Path(scratch) / "encoder", layers)
        yield OnnxEncoder(joined, pooling="mean", normalize=False, threads=threads)


@contextlib.contextmanager
def _steps() -> Iterator[Any]:
    """A progress bar for each step."""
    with contextlib.ExitStack() as stack:
        bars: dict[str, Advance] = {}

        def report(step: str, done: int, total: int | None) -> None:
            if step not in bars:
                stack.close()
                bars[step] = stack.enter_context(progress_bar(step))
            bars[step](done, total)

        yield report
