"""Text and binary vector files as chunks of words and float32 rows, in bounded memory."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import RepairWarning, VectorFormatError
from tlclassic.kernels import load as load_kernel
from tlclassic.vectors.detect import Layout
from tlclassic.vectors.source import ByteStream, Source

__all__ = ["Chunk", "Repairs", "VectorReader"]

#: Bytes read at a time, and of float32 rows handed out at a time: few enough for the processor's cache.
READ_BYTES = ROWS_BYTES = 1 << 20
#: A line longer than this is no line of a vector file.
MAX_LINE = 1 << 26


class Chunk(NamedTuple):
    """Consecutive words; ``rows`` is overwritten by the next chunk."""

    words: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    rows: NDArray[np.float32]


class Repairs:
    """What was repaired in one file: counted, and told at the end in one warning a kind."""

    TEXTS: ClassVar = {
        "duplicate": "duplicate words were left out; the first of each is kept",
        "utf8": "words were not valid UTF-8; their wrong bytes became U+FFFD",
        "blank": "blank lines were skipped",
        "bom": "byte-order mark was removed",
    }

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: dict[str, int] = {}
        self._examples: dict[str, str] = {}
        self._notes: list[str] = []

    def count(self, kind: str, n: int, example: str | None = None) -> None:
        """Add ``n`` repairs of ``kind``; the first example is kept."""
        if n:
            self._counts[kind] = self._counts.get(kind, 0) + n
            if example is not None:
                self._examples.setdefault(kind, example)

    def note(self, text: str) -> None:
        """Add a repair that happens once."""
        self._notes.append(text)

    def warn(self, stacklevel: int = 2) -> None:
        """Give the warnings."""
        for kind, n in self._counts.items():
            example = f" (for example {self._examples[kind]!r})" if kind in self._examples else ""
            warnings.warn(f"{self._name}: {n} {self.TEXTS[kind]}{example}.", RepairWarning, stacklevel=stacklevel + 1)
        for text in self._notes:
            warnings.warn(f"{self._name}: {text}.", RepairWarning, stacklevel=stacklevel + 1)


class VectorReader:
    """Reads a "glove", "word2vec" or "word2vec-binary" file chunk by chunk.

    Parameters
    ----------
    source : Source
    layout : Layout
    binary : bool
    limit : int, optional
        Stop after this many words, duplicates counted.
    """

    def __init__(self, source: Source, layout: Layout, *, binary: bool, limit: int | None = None) -> None:
        self.source, self.layout, self.binary, self.limit = source, layout, binary, limit
        self.repairs = Repairs(source.name)
        self.n_rows = 0
        self.fraction: float | None = None
        self._kernel = load_kernel("parse")
        self._line = layout.start_line

    def chunks(self) -> Iterator[Chunk]:
        """The file's words and rows, invalid UTF-8 already repaired.

        Raises
        ------
        VectorFormatError
            For a damaged line (or word, in a binary file); names its number.
        """
        dim = self.layout.dim
        out = np.empty((max(1, ROWS_BYTES // (4 * dim)), dim), dtype=np.float32)
        self.repairs.count("bom", int(self.layout.bom))
        with self.source.open() as stream:
            stream.read(self.layout.start)
            yield from self._chunks(stream, out)
        self._check_count()

    def _chunks(self, stream: ByteStream, out: NDArray[np.float32]) -> Iterator[Chunk]:
        # A binary record of many dimensions must fit the block as a whole.
        size, tail, final = max(READ_BYTES, 8 * self.layout.dim), b"", False
        while not final and not self._is_full():
            data = stream.read(size)
            final, block, position = not data, tail + data, 0
            self.fraction = stream.fraction()
            while True:
                parsed = self._parse(np.frombuffer(block, np.uint8, offset=position), final, out)
                if len(parsed.offsets) > 1:
                    yield self._as_chunk(parsed, out)
                if parsed.problem is not None:
                    raise self._problem(parsed.problem, block, position, final)
                position += parsed.consumed
                if not parsed.consumed or self._is_full():
                    break
            tail = block[position:]
            if len(tail) > MAX_LINE + 8 * self.layout.dim:
                raise self._error("a line of more than 64 MiB", remedy="Is this a file of word vectors?")
        if self.binary and tail.strip(b"\n") and not self._is_full():
            raise self._cut_short("the last word or its numbers end too soon")

    def _is_full(self) -> bool:
        return self.limit is not None and self.n_rows >= self.limit

    def _parse(self, block: NDArray[np.uint8], final: bool, out: NDArray[np.float32]) -> Any:
        if self.limit is not None:
            out = out[: max(0, self.limit - self.n_rows)]
        dim = self.layout.dim
        parsed = (
            self._kernel.parse_binary(block, dim, out)
            if self.binary
            else self._kernel.parse_lines(block, dim, final, out)
        )
        self._line += parsed.n_lines
        self.n_rows += len(parsed.offsets) - 1
        self.repairs.count("blank", parsed.n_blank)
        return parsed

    def _as_chunk(self, parsed: Any, out: NDArray[np.float32]) -> Chunk:
        words, offsets = parsed.words, parsed.offsets
        if len(parsed.invalid):
            words, offsets = self._repair_words(words, offsets, parsed.invalid)
        return Chunk(words, offsets, out[: len(offsets) - 1])

    def _repair_words(
        self, words: NDArray[np.uint8], offsets: NDArray[np.int64], invalid: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        blob, bounds = words.tobytes(), offsets.tolist()
        raw = [blob[begin:end] for begin, end in itertools.pairwise(bounds)]
        for row in invalid.tolist():
            text = raw[row].decode("utf-8", "replace")
            self.repairs.count("utf8", 1, text)
            raw[row] = text.encode("utf-8")
        repaired = np.zeros(len(raw) + 1, dtype=np.int64)
        np.cumsum([len(word) for word in raw], out=repaired[1:])
        return np.frombuffer(b"".join(raw), dtype=np.uint8), repaired

    def _check_count(self) -> None:
        promised = self.layout.header_count
        if promised is None or promised == self.n_rows or self._is_full():
            return
        if self.n_rows == 0:
            raise self._cut_short(f"the header promises {promised} words and none follows")
        self.repairs.note(f"the header promises {promised} words; the file holds {self.n_rows}, and all were read")

    # -- errors ------------------------------------------------------------------------------------------------------

    def _error(self, message: str, *, remedy: str | None = None) -> VectorFormatError:
        if self.binary:
            return self.source.error(f"word {self.n_rows + 1}: {message}", remedy=remedy)
        return self.source.error(message, line=self._line, remedy=remedy)

    def _cut_short(self, message: str) -> VectorFormatError:
        whole = f", or read what is whole with limit={self.n_rows}" if self.n_rows else ""
        return self._error(message, remedy=f"The file is cut short: fetch it again{whole}")

    def _problem(
        self, problem: tuple[int, int, int, int], block: bytes, position: int, final: bool
    ) -> VectorFormatError:
        code, count, start, end = problem
        field = block[position + start : position + min(end, start + 60)].decode("utf-8", "replace")
        kernel, dim = self._kernel, self.layout.dim
        if self.binary:
            return self._error(f"{field!r} has a number that is not finite", remedy="Leave the word out of the file")
        if code == kernel.NOT_FINITE:
            remedy = "Correct or delete the line; float32 holds numbers up to 3.4e38"
            return self._error(f"number {count + 1} is not finite: {field!r}", remedy=remedy)
        is_last = final and b"\n" not in block[position + start :]
        if is_last and (code == kernel.BAD_NUMBER or count < dim):
            return self._cut_short(f"the last line ends too soon: {dim} numbers expected, {count} found")
        if code == kernel.BAD_NUMBER:
            return self._error(
                f"number {count + 1} of {dim} is malformed: {field!r}", remedy="Correct or delete the line"
            )
        source = "the header says so" if self.layout.header_count is not None else "as in most of the first lines"
        return self._error(f"{dim} numbers expected ({source}), {count} found", remedy="Correct or delete the line")
