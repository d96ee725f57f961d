"""``tlclassic encoder``: export, quantise, check and use transformer encoders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from tlclassic.app.console import check_out, print_json, progress_bar
from tlclassic.app.options import FormatOption, JsonOption, QuotedOption
from tlclassic.errors import InvalidParameterError

app = typer.Typer(help="Export, quantise, check and use transformer encoders.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="Folder of an ONNX encoder.", show_default=False)]
ThreadsOption = Annotated[
    int | None, typer.Option(help="Threads; the CPUs at hand when left out.", min=1, show_default=False)
]


class ReduceRange(StrEnum):
    """Whether weights take 7 bits in place of 8."""

    auto = "auto"
    yes = "yes"
    no = "no"


class VectorsFormat(StrEnum):
    """Formats that vectors are written in."""

    npy = "npy"
    parquet = "parquet"
    jsonl = "jsonl"


_REDUCE: dict[ReduceRange, bool | str] = {ReduceRange.auto: "auto", ReduceRange.yes: True, ReduceRange.no: False}


@app.command()
def export(
    source: Annotated[
        Path, typer.Argument(help="Folder of transformers or sentence-transformers.", show_default=False)
    ],
    out: Annotated[Path, typer.Argument(help="The new folder; it must not exist yet.", show_default=False)],
    opset: Annotated[int, typer.Option(help="Version of the ONNX operators.", min=11, max=20)] = 17,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise as well, as `encoder quantize` does.")] = False,
) -> None:
    """Turn a Hugging Face folder into an ONNX encoder that runs without torch (extra: finetune).

    Example: tlclassic encoder export all-MiniLM-L6-v2 minilm --int8
    """
    from tlclassic.encoders.quantize import quantize as quantize_folder
    from tlclassic.finetune.export import export_onnx

    export_onnx(source, out, opset=opset)
    print(f"wrote {out}")
    if int8:
        print(f"wrote {quantize_folder(out)}")


@app.command()
def quantize(
    folder: FolderArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where the graph goes; onnx/model_qint8.onnx in the folder when left out."),
    ] = None,
    per_channel: Annotated[
        bool, typer.Option("--per-channel/--per-tensor", help="A scale for each output channel, or for each matrix.")
    ] = True,
    reduce_range: Annotated[
        ReduceRange, typer.Option(help="Weights of 7 bits, for CPUs without VNNI; auto asks this CPU.")
    ] = ReduceRange.auto,
    embeddings: Annotated[
        bool, typer.Option("--embeddings/--no-embeddings", help="Quantise the embedding matrices as well.")
    ] = True,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(help="Regular expression; multiplications of such a name stay float.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Quantise an encoder's graph to int8 (dynamic); `encoder check` says whether that pays here.

    Example: tlclassic encoder quantize minilm
    """
    from tlclassic.encoders.quantize import float_graph
    from tlclassic.encoders.quantize import quantize as quantize_folder

    if out is not None:
        check_out(out, float_graph(folder))
    made = quantize_folder(
        folder,
        out,
        per_channel=per_channel,
        reduce_range=_REDUCE[reduce_range],
        embeddings=embeddings,
        keep_float=keep_float or (),
    )
    sizes = {"from": float_graph(folder).stat().st_size, "to": made.stat().st_size}
    if json:
        print_json({"file": str(made), "bytes": sizes["to"], "float_bytes": sizes["from"]})
        return
    print(f"wrote {made}: {sizes['to'] / 1e6:.1f} MB, from {sizes['from'] / 1e6:.1f} MB")


@app.command()
def check(
    folder: FolderArgument,
    data: Annotated[
        str | None,
        typer.Argument(help="Texts like those to encode: TSV, CSV, JSONL, Parquet or plain lines.", show_default=False),
    ] = None,
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label: Annotated[
        str | None, typer.Option(help="Column of labels: accuracy is compared as well.", show_default=False)
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="The quantised graph, as a path in the folder.", show_default=False)
    ] = None,
    min_cosine: Annotated[float, typer.Option(help="Mean cosine to fp32 that int8 must reach.")] = 0.99,
    max_loss: Annotated[float, typer.Option(help="Accuracy that int8 may lose, with --label.")] = 0.005,
    min_speedup: Annotated[float, typer.Option(help="How many times as fast as fp32 int8 must be.")] = 1.05,
    limit: Annotated[int, typer.Option(help="Read at most so many texts.", min=1)] = 2000,
    repeats: Annotated[int, typer.Option(help="Timed runs of each graph.", min=1)] = 5,
    threads: ThreadsOption = None,
    write: Annotated[bool, typer.Option("--write/--dry-run", help="Keep the answer in the folder.")] = True,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
    json: JsonOption = False,
) -> None:
    """Compare int8 with fp32 on this machine: cosine, speed, accuracy with --label; keep the better as the default.

    Example: tlclassic encoder check minilm reviews.tsv --label sentiment
    """
    from tlclassic.encoders.check import check as check_folder

    if label is not None and data is None:
        raise InvalidParameterError("--label needs a file of texts.")
    texts, labels = _read_rows(data, text, label, limit, input_format, quoted) if data is not None else (None, None)
    with progress_bar("checking") as advance:
        report = check_folder(
            folder,
            texts,
            labels,
            file=file,
            min_cosine=min_cosine,
            max_loss=max_loss,
            min_speedup=min_speedup,
            repeats=repeats,
            threads=threads,
            write=write,
            on_progress=advance,
        )
    if json:
        print_json(report.as_dict())
        return
    _print_report(report, write)


def _read_rows(
    data: str, text: str, label: str | None, limit: int, input_format: Any, quoted: bool | None
) -> tuple[list[str], list[Any] | None]:
    """The first ``limit`` texts of a file, and their labels if a column is named."""
    from tlclassic.data import read_batches

    texts: list[str] = []
    labels: list[Any] = []
    columns = [text] if label is None else [text, label]
    chosen = None if input_format is None else str(input_format)
    for batch in read_batches(data, columns=columns, format=chosen, quoted=quoted):
        texts += batch.columns[text]
        labels += batch.columns[label] if label is not None else []
        if len(texts) >= limit:
            break
    return texts[:limit], labels[:limit] if label is not None else None


def _print_report(report: Any, written: bool) -> None:
    print(f"{report.texts:,} texts, {report.threads} threads, {report.cpu}")
    print(f"{'':10}{'texts/s':>10}{'MB':>8}{'accuracy':>10}  file")
    for kind in ("fp32", "int8"):
        accuracy = getattr(report, f"{kind}_accuracy")
        shown = "" if accuracy is None else f"{accuracy:.4f}"
        speed, size = (getattr(report, f"{kind}_{name}") for name in ("texts_per_second", "megabytes"))
        print(f"{kind:10}{speed:10,.1f}{size:8.1f}{shown:>10}  {getattr(report, kind)}")
    print(f"cosine of int8 to fp32: mean {report.cosine_mean:.4f}, min {report.cosine_min:.4f}")
    print(f"int8, a text alone to the same in a batch: mean {report.alone_mean:.4f}, min {report.alone_min:.4f}")
    for reason in report.reasons:
        print(f"  {reason}")
    print(f"{'kept' if written else 'would keep'} as the default here: {report.prefer}")


@app.command()
def encode(
    model: FolderArgument,
    file: Annotated[
        str, typer.Argument(help="Texts: TSV, CSV, JSONL or Parquet, also .gz and .zst; - for stdin.")
    ] = "-",
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where the vectors go: .npy, .parquet or .jsonl; - for JSONL on stdout.")
    ] = "-",
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    lines: Annotated[bool, typer.Option("--lines", help="The input has no columns: every line is a text.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="A column of the input to copy to the output, such as an id; not to .npy.", show_default=False
        ),
    ] = None,
    graph: Annotated[str, typer.Option("--graph", help="auto, fp32, int8, or a path in the folder.")] = "auto",
    pooling: Annotated[str, typer.Option(help="auto: as the folder says; mean, cls, max...")] = "auto",
    prompt: Annotated[str | None, typer.Option(help="Name of a prompt of the folder.", show_default=False)] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Tokens of a text at most; as the folder says when left out.", min=3)
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder where vectors are kept for the next time.", show_default=False)
    ] = None,
    threads: ThreadsOption = None,
    batch_size: Annotated[int, typer.Option(help="Texts read and encoded at a time.", min=1)] = 4096,
    output_format: Annotated[
        VectorsFormat | None, typer.Option("--format", help="Of the output; told by its name when left out.")
    ] = None,
    input_format: FormatOption = None,
    quoted: QuotedOption = None,
) -> None:
    """Encode every text of a file, in order; memory does not grow with the input.

    Example: tlclassic encoder encode minilm reviews.tsv --out reviews.npy
    """
    from tlclassic.data import read_batches
    from tlclassic.encoders import OnnxEncoder

    check_out(out, file)
    chosen = _output_format(output_format, out)
    kept = keep or []
    if kept and chosen == VectorsFormat.npy:
        raise InvalidParameterError("--keep needs a table; a .npy file holds vectors alone.")
    encoder = OnnxEncoder(
        model,
        file=graph,
        pooling=pooling,
        prompt=prompt,
        max_length=max_length,
        cache=None if cache is None else str(cache),
        threads=threads,
    )
    batches = read_batches(
        file,
        columns=[text],
        optional=[name for name in kept if name != text],
        format="txt" if lines else None if input_format is None else str(input_format),
        quoted=quoted,
        batch_size=batch_size,
    )
    done = truncated = 0
    with progress_bar("encoding") as advance, _writer(out, chosen, kept, lambda: encoder.dim) as write:
        for batch in batches:
            vectors = encoder.transform(batch.columns[text])
            write(vectors, {name: batch.columns[name] for name in kept})
            done += len(vectors)
            truncated += encoder.n_truncated_
            advance(done, None)
    typer.echo(f"{done:,} texts encoded, {truncated:,} of them truncated", err=True)


def _output_format(wanted: VectorsFormat | None, out: str) -> VectorsFormat:
    named = next((name for name in VectorsFormat if out.lower().endswith(f".{name}")), None)
    if wanted is not None and named is not None and wanted != named:
        raise InvalidParameterError(f"--format {wanted} does not fit the name {out!r}; leave one of the two out.")
    chosen = wanted or named or (VectorsFormat.jsonl if out == "-" else None)
    if chosen is None:
        raise InvalidParameterError(f"--out must end in .npy, .parquet or .jsonl, or --format be given; got {out!r}.")
    if chosen == VectorsFormat.npy and out == "-":
        raise InvalidParameterError("--format npy needs a file; its header is written last.")
    return chosen


@contextlib.contextmanager
def _writer(out: str, chosen: VectorsFormat, kept: list[str], dim: Any) -> Iterator[Any]:
    """A function of (vectors, kept columns) that writes them; the file appears when all is written."""
    from tlclassic.data import open_writer
    from tlclassic.storage import atomic_write

    if chosen == VectorsFormat.npy:
        with atomic_write(out) as file:
            array = _NpyFile(file)
            yield array.append
            array.finish(dim)
        return
    with open_writer(out, columns=[*kept, "vector"], format=str(chosen)) as table:
        # Lists of NumPy's float32: the writer gives each the fewest digits that read back to it.
        yield lambda vectors, columns: table.write({**columns, "vector": [list(row) for row in vectors]})


class _NpyFile:
    """A float32 matrix that grows by rows; the header, which holds the number of rows, is written last.

    Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (version 1.0).
    """

    _HEADER = 128

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._shape = (0, 0)
        file.write(bytes(self._HEADER))

    def append(self, vectors: Any, columns: dict[str, list[Any]]) -> None:
        self._file.write(vectors.astype("<f4", order="C", copy=False).data)
        self._shape = (self._shape[0] + vectors.shape[0], vectors.shape[1])

    def finish(self, dim: Any) -> None:
        """Write the header; ``dim()`` is asked where no row came."""
        rows, width = self._shape if self._shape[0] else (0, dim())
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}"
        length = self._HEADER - 10
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little"))
        self._file.write(text.ljust(length - 1).encode("latin-1") + b"\n")
