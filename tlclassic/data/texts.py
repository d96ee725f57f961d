"""The texts of a file as something that can be iterated over again and again without being in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tlclassic.data.batches import read_batches
from tlclassic.errors import InvalidParameterError

__all__ = ["TextColumn"]


class TextColumn:
    """The texts of one column, streamed anew by every ``for`` loop.

    Parameters
    ----------
    source, format, quoted
        As in :func:`tlclassic.data.read_batches`.
    column : str
        The column of the texts; of no matter for plain text.

    Raises
    ------
    InvalidParameterError
        When standard input, which can be read only once, is iterated over a second time.
    DataFormatError
        While iterating; names file and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "texts.txt")
    >>> _ = path.write_text("one\\ntwo\\n")
    >>> texts = TextColumn(path)
    >>> list(texts), list(texts)
    (['one', 'two'], ['one', 'two'])
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        column: str = "text",
        format: str | None = None,
        quoted: bool | None = None,
    ) -> None:
        self.source = source
        self.column = column
        self.format = format
        self.quoted = quoted
        self._consumed = False

    def __iter__(self) -> Iterator[str]:
        if self.source == "-" and self._consumed:
            raise InvalidParameterError("standard input can be read only once; write it to a file first.")
        self._consumed = True
        for batch in read_batches(self.source, columns=[self.column], format=self.format, quoted=self.quoted):
            yield from batch.columns[self.column]
