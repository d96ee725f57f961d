"""Words as UTF-8 bytes that lie end to end: packing, and a lazy sequence over them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError

__all__ = ["Words", "pack_words"]


class Words(Sequence[str]):
    """The words of a table, decoded when they are asked for.

    Parameters
    ----------
    blob : uint8 array
        The words' UTF-8 bytes, end to end.
    offsets : int64 array of shape (n_words + 1,)
        Word i is ``blob[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> Words(*pack_words(["red", "blue"]))[1]
    'blue'
    """

    def __init__(self, blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self._blob, self._offsets = blob, offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, item: int) -> str: ...
    @overload
    def __getitem__(self, item: slice) -> list[str]: ...
    def __getitem__(self, item: int | slice) -> str | list[str]:
        if isinstance(item, slice):
            return [self[i] for i in range(*item.indices(len(self)))]
        row = item + len(self) if item < 0 else item
        if not 0 <= row < len(self):
            raise IndexError(f"word {item} of {len(self)}")
        return self.raw(row).decode("utf-8", "replace")

    def raw(self, row: int) -> bytes:
        """The UTF-8 bytes of word ``row``."""
        return self._blob[self._offsets[row] : self._offsets[row + 1]].tobytes()

    def __iter__(self) -> Iterator[str]:
        step = 1 << 14
        for start in range(0, len(self), step):
            bounds = self._offsets[start : start + step + 1].tolist()
            blob, base = self._blob[bounds[0] : bounds[-1]].tobytes(), bounds[0]
            for begin, end in itertools.pairwise(bounds):
                yield blob[begin - base : end - base].decode("utf-8", "replace")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have no hash

    def __repr__(self) -> str:
        shown = ", ".join(repr(word) for word in self[:3])
        return f"Words([{shown}{', ...' if len(self) > 3 else ''}], n={len(self)})"


def pack_words(words: Iterable[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The words' UTF-8 bytes end to end, and their offsets.

    Raises
    ------
    InvalidParameterError
        For an item that is not a string, or a string that UTF-8 cannot hold (a lone surrogate).
    """
    raw: list[bytes] = []
    for i, word in enumerate(words):
        if not isinstance(word, str):
            raise InvalidParameterError(f"words[{i}] must be a string; got {word!r} of type {type(word).__name__}.")
        try:
            raw.append(word.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise InvalidParameterError(f"words[{i}] must be encodable as UTF-8; got {word!r}.") from error
    offsets = np.zeros(len(raw) + 1, dtype=np.int64)
    np.cumsum([len(word) for word in raw], out=offsets[1:])
    return np.frombuffer(b"".join(raw), dtype=np.uint8), offsets
