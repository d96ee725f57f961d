"""Transfer text: which of the texts there are the teacher is asked for."""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Iterable, Sequence

from tlclassic._validate import check_integer
from tlclassic.data import TextColumn
from tlclassic.errors import InvalidParameterError

__all__ = ["TextSample", "read_transfer"]


def read_transfer(
    sources: Sequence[str | os.PathLike[str]],
    *,
    max_texts: int | None,
    random_state: int = 0,
    text: str = "text",
    exclude: Iterable[str] = (),
    format: str | None = None,
    quoted: bool | None = None,
) -> list[str]:
    """A uniform sample of the different texts in files, which are streamed once.

    Parameters
    ----------
    sources : sequence of path-like
        One text a line (``.txt``), or TSV, CSV, JSONL or Parquet; plain or packed. At most one may be ``"-"``.
    max_texts : int or None
        Texts in the sample, and in memory; None for all.
    random_state : int
        The same seed gives the same texts, in whatever order they come.
    text : str
        The column of the texts.
    exclude : iterable of str
        Texts that are left out, such as those of the dev and test files.
    format, quoted
        As in :func:`tlclassic.data.read_batches`, for all sources.

    Returns
    -------
    list of str
        In the order in which they first came; none is blank.

    Raises
    ------
    DataFormatError
        For a file that cannot be read, with the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "texts.txt")
    >>> _ = path.write_text("one\\ntwo\\n\\none\\nthree\\n")
    >>> read_transfer([path], max_texts=None)
    ['one', 'two', 'three']
    """
    if isinstance(sources, (str, bytes, os.PathLike)):
        raise InvalidParameterError(f"sources must be a list of paths; got {sources!r}. Pass [path].")
    sample = TextSample(max_texts, random_state=random_state, exclude=exclude)
    for source in sources:
        sample.add(TextColumn(source, column=text, format=format, quoted=quoted))
    return sample.texts()


class TextSample:
    """A uniform sample of the different texts of a stream, in memory for the sample alone.

    Each text has a pseudo-random number, its keyed hash, and those with the lowest ones are kept: bottom-k sampling
    (Cohen and Kaplan 2007, https://doi.org/10.1145/1281100.1281133). A text that comes again has the same number, so
    that it counts once without a record of what was left out.

    Parameters
    ----------
    max_texts : int or None
        Size of the sample; None keeps all.
    random_state : int
        From 0 to 2**64 - 1.
    exclude : iterable of str
        Texts that are never taken.
    """

    def __init__(self, max_texts: int | None, *, random_state: int = 0, exclude: Iterable[str] = ()) -> None:
        if max_texts is not None:
            check_integer("max_texts", max_texts, low=1)
        check_integer("random_state", random_state, low=0, high=2**64 - 1)
        if isinstance(exclude, (str, bytes)):
            raise InvalidParameterError(f"exclude must be texts; got the single string {exclude!r:.80}. Pass [text].")
        self._size = max_texts
        self._key = int(random_state).to_bytes(8, "little")
        self._excluded = {self._number(text) for text in exclude}
        #: The largest number first: (-number, place in the stream, text).
        self._heap: list[tuple[int, int, str]] = []
        self._kept: set[int] = set()
        self._n = 0

    def add(self, texts: Iterable[str]) -> None:
        """Look at ``texts``, in order; blank ones are passed over."""
        for text in texts:
            self._n += 1
            if not text or text.isspace():
                continue
            number = self._number(text)
            if self._is_full and number >= -self._heap[0][0]:
                continue
            if number not in self._kept and number not in self._excluded:
                self._keep(number, text)

    def texts(self) -> list[str]:
        """The sample, in the order in which its texts first came."""
        return [text for _, _, text in sorted(self._heap, key=lambda entry: entry[1])]

    @property
    def _is_full(self) -> bool:
        return self._size is not None and len(self._heap) >= self._size

    def _keep(self, number: int, text: str) -> None:
        entry = (-number, self._n, text)
        self._kept.add(number)
        if self._is_full:
            self._kept.remove(-heapq.heapreplace(self._heap, entry)[0])
        elif self._size is None:
            self._heap.append(entry)
        else:
            heapq.heappush(self._heap, entry)

    def _number(self, text: str) -> int:
        raw = text.encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(raw, digest_size=16, key=self._key).digest(), "little")
