"""A corpus as tokens in a temporary file, and the lines of a text file."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from tlclassic.errors import DataFormatError, InputError, InvalidParameterError
from tlclassic.vectors.source import open_source

__all__ = ["TokenFile", "read_lines"]

#: Tokens that gensim takes of one text; it would drop the rest without a word.
_MAX_PIECE = 10_000
_REPORT = 1000
#: Between tokens, and (a line feed) between texts. Tokens that hold them get spaces instead.
_SEPARATOR = "\x1f"
_FORBIDDEN = str.maketrans({"\n": " ", _SEPARATOR: " "})
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Progress = Callable[[int, int | None], object]


class TokenFile:
    """The tokens of texts in a temporary file: filled once, iterated over as often as one likes.

    Attributes
    ----------
    counts : dict
        How often each token occurs, in the order of first occurrence.
    n_pieces : int
        How many lists of tokens it yields: one a text, or several of a very long one; texts without tokens count not.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.n_pieces = 0
        self._file = tempfile.TemporaryFile(prefix="tlclassic-")  # noqa: SIM115 - closed by __exit__
        self._report: Progress | None = None
        self._done = self._total = 0
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def fill(self, texts: Iterable[str], tokenizer: Any, on_progress: Progress | None) -> None:
        """Tokenise ``texts`` and write the tokens down.

        Raises
        ------
        InvalidParameterError
            When ``texts`` is no iterable of strings.
        InputError
            When the disk is full.
        """
        from tlclassic.text import Tokenizer, as_tokenizer

        tokenize = (Tokenizer() if tokenizer is None else as_tokenizer(tokenizer)).tokenize
        if not isinstance(texts, Iterable):
            raise InvalidParameterError(f"corpus must be a path or an iterable of texts; got {type(texts).__name__}.")
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise InvalidParameterError(
                    f"corpus[{i}] must be a string; got {text!r} of type {type(text).__name__}."
                )
            # Words that UTF-8 cannot hold could not be saved.
            tokens = tokenize(_LONE_SURROGATE.sub("\ufffd", text))
            self._add([token.translate(_FORBIDDEN) for token in tokens if token and not token.isspace()])
            if on_progress is not None and (i + 1) % _REPORT == 0:
                on_progress(i + 1, None)

    def _add(self, tokens: list[str]) -> None:
        for token in tokens:
            self.counts[token] = self.counts.get(token, 0) + 1
        for start in range(0, len(tokens), _MAX_PIECE):
            piece = _SEPARATOR.join(tokens[start : start + _MAX_PIECE]) + "\n"
            try:
                self._file.write(piece.encode("utf-8"))
            except OSError as error:
                raise InputError(
                    f"the tokens cannot be written to {tempfile.gettempdir()} ({error.strerror})",
                    remedy="Set TMPDIR to a folder with more room",
                ) from error
            self.n_pieces += 1

    def watch(self, on_progress: Progress | None, passes: int) -> None:
        """Report on the iterations to come, of which there will be ``passes``."""
        self._report, self._done, self._total = on_progress, 0, passes * self.n_pieces

    def __iter__(self) -> Iterator[list[str]]:
        # gensim iterates in a thread of its own, and waits for ever when that thread dies: remember, and end quietly.
        try:
            self._file.seek(0)
            for line in self._file:
                if self._failure is not None:
                    return
                yield line[:-1].decode("utf-8").split(_SEPARATOR)
                self._done += 1
                if self._report is not None and (self._done % _REPORT == 0 or self._done == self._total):
                    self._report(self._done, self._total)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._failure = error

    def raise_failure(self) -> None:
        """Raise what an iteration ran into, if anything."""
        if self._failure is not None:
            raise self._failure


def read_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """The lines of a UTF-8 text file, plain or packed.

    Raises
    ------
    DataFormatError
        When a line is not UTF-8; names it.
    """
    number = 0
    with open_source(path, None).open() as stream:
        rest = b""
        while block := stream.read(1 << 20):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                number += 1
                yield _decode(line, path, number)
        if rest:
            yield _decode(rest, path, number + 1)


def _decode(line: bytes, path: str | os.PathLike[str], number: int) -> str:
    try:
        return line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataFormatError(
            f"not valid UTF-8 ({error.reason})", path=path, line=number, remedy="Convert it: iconv -f ... -t UTF-8"
        ) from error
