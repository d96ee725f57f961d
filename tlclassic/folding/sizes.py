"""Sizes as people write them: ``2MB``, ``500kB``, ``1.5MiB``."""

from __future__ import annotations

import re

from tlclassic._validate import check_integer
from tlclassic.errors import InvalidParameterError

__all__ = ["parse_size"]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kmg]i?)?b?\s*", re.IGNORECASE | re.ASCII)


def parse_size(size: int | str, name: str = "max_size") -> int:
    """A size in bytes.

    Parameters
    ----------
    size : int or str
        Bytes, or a number with a unit: kB, MB, GB (powers of 1000), KiB, MiB, GiB (powers of 1024), in any case.
    name : str
        What to call it in errors.

    Raises
    ------
    InvalidParameterError
        For anything else, or a size below one byte.

    Examples
    --------
    >>> parse_size("2MB"), parse_size("1.5 MiB"), parse_size(1000)
    (2000000, 1572864, 1000)
    """
    if not isinstance(size, str):
        check_integer(name, size, low=1)
        return int(size)
    match = _SIZE.fullmatch(size)
    if match is None:
        raise InvalidParameterError(f"{name} must be a size such as '2MB', '500kB' or '1.5MiB'; got {size!r}.")
    n_bytes = int(float(match[1]) * _UNITS[(match[2] or "").lower()])
    check_integer(name, n_bytes, low=1)
    return n_bytes
