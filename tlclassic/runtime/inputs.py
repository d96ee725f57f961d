"""From what a caller holds its texts in to what the kernel reads, without a Python object per text if it can be."""

from __future__ import annotations

from operator import countOf
from typing import Any

import numpy as np

from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import load

__all__ = ["Piece", "as_texts", "strings"]


def as_texts(X: Any) -> Any:
    """The texts of ``X``, ready for the kernel.

    Parameters
    ----------
    X : list or tuple of str or bytes, NumPy array, pandas or polars Series, Arrow array or chunked array
        Arrow columns are read where they lie, through ``__arrow_c_stream__`` or ``__arrow_c_array__``; ``U`` and ``S``
        arrays as well. Bytes are UTF-8; what is not becomes U+FFFD.

    Raises
    ------
    InvalidParameterError
        For a single string, more than one dimension, or an item that is no text (its position is named).
    """
    if isinstance(X, (str, bytes, bytearray)):
        raise InvalidParameterError("X must be a list of texts; got a single string. Pass [text] to use one text.")
    if isinstance(X, (list, tuple)):
        return load("score").Texts(X)
    if getattr(X, "ndim", 1) != 1:
        raise InvalidParameterError(
            f"X must be a one-dimensional list of texts; got shape {getattr(X, 'shape', None)}. Pass one column of it."
        )
    if isinstance(X, np.ndarray):
        return load("score").Texts(_of_array(X))
    if _is_arrow(X):
        return load("score").Texts(X)
    if hasattr(X, "to_numpy"):
        return load("score").Texts(_of_array(np.asarray(X.to_numpy())))
    if not hasattr(X, "__iter__") or isinstance(X, dict):
        raise InvalidParameterError(f"X must be a list of texts; got {type(X).__name__}. Pass a list of str.")
    return load("score").Texts(list(X))


def strings(X: Any, texts: Any, start: int, stop: int) -> list[str]:
    """Some of the texts of ``X`` as str: of a list of them the very objects, as copies take time.

    Parameters
    ----------
    X : as in :func:`as_texts`
    texts : Texts
        ``as_texts(X)``.
    start, stop : int
        From text ``start`` to before ``stop``.

    Raises
    ------
    InvalidParameterError
        For an item that is no text (its position is named).
    """
    if isinstance(X, (list, tuple)):
        piece = X[start:stop] if isinstance(X, list) else list(X[start:stop])
        # In one call, as it is asked for each text. A list that lost texts is refused by what reads it next.
        if countOf(map(type, piece), str) == stop - start:
            return piece
    found: list[str] = texts.strings(start, stop)
    return found


class Piece:
    """Some of the texts of ``X``, for families that read them where they lie or as str.

    Parameters
    ----------
    X, texts, start, stop : as in :func:`strings`
    """

    def __init__(self, X: Any, texts: Any, start: int, stop: int) -> None:
        self._given = X
        self.texts, self.start, self.stop = texts, start, stop
        self._strings: list[str] | None = None

    def strings(self) -> list[str]:
        """See :func:`strings`; made once, when a family first asks."""
        if self._strings is None:
            self._strings = strings(self._given, self.texts, self.start, self.stop)
        return self._strings


def _of_array(X: np.ndarray[Any, Any]) -> Any:
    # A masked array is taken item by item: what it hides is missing.
    if X.dtype.kind in "US" and not isinstance(X, np.ma.MaskedArray):
        native = X.astype(X.dtype.newbyteorder("="), copy=False)
        # One that is not aligned, such as a field of packed records, is copied.
        return np.require(native, requirements="A")
    return X.tolist()


def _is_arrow(X: Any) -> bool:
    if not (hasattr(X, "__arrow_c_stream__") or hasattr(X, "__arrow_c_array__")):
        return False
    # pandas offers the interface for every Series, and would convert one of objects, or import pyarrow for it.
    dtype = getattr(X, "dtype", None)
    return (
        type(X).__module__.partition(".")[0] != "pandas"
        or type(dtype).__name__ == "ArrowDtype"
        or (getattr(dtype, "storage", None) == "pyarrow")
    )
