"""Checks of parameters, with one wording: name, constraint, value got, what to do."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

from tlclassic.errors import InvalidParameterError

__all__ = ["check_choice", "check_integer", "check_number", "check_texts"]


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    options = list(choices)
    # Same type as well, so that True is not taken for 1.
    if not any(type(value) is type(option) and value == option for option in options):
        listed = ", ".join(repr(option) for option in options)
        raise InvalidParameterError(f"{name} must be one of {listed}; got {value!r}.")


def check_integer(name: str, value: object, *, low: int | None = None, high: int | None = None) -> None:
    """Raise unless ``value`` is an integer with ``low <= value <= high``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InvalidParameterError(f"{name} must be an integer; got {value!r} of type {type(value).__name__}.")
    _check_bounds(name, value, low, high)


def check_number(name: str, value: object, *, low: float | None = None, high: float | None = None) -> None:
    """Raise unless ``value`` is a finite real number with ``low <= value <= high``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InvalidParameterError(f"{name} must be a number; got {value!r} of type {type(value).__name__}.")
    if value != value or value in (float("inf"), float("-inf")):
        raise InvalidParameterError(f"{name} must be finite; got {value!r}.")
    _check_bounds(name, value, low, high)


def _check_bounds(name: str, value: Any, low: float | None, high: float | None) -> None:
    if low is not None and value < low:
        raise InvalidParameterError(f"{name} must be at least {low}; got {value!r}.")
    if high is not None and value > high:
        raise InvalidParameterError(f"{name} must be at most {high}; got {value!r}.")


def check_texts(texts: object) -> Sequence[str]:
    """The texts as a sequence of ``str``.

    Lists and tuples are returned as they are; NumPy arrays, pandas Series, Arrow columns and other iterables become
    a list.

    Raises
    ------
    InvalidParameterError
        For a bare string, something that is not iterable, or an item that is not a string (its position is named).
    """
    if isinstance(texts, (str, bytes)):
        raise InvalidParameterError("X must be a list of texts; got a single string. Pass [text] to use one text.")
    if getattr(texts, "ndim", 1) != 1:
        shape = getattr(texts, "shape", None)
        raise InvalidParameterError(f"X must be a one-dimensional list of texts; got shape {shape}.")
    if not isinstance(texts, (list, tuple)):
        if not isinstance(texts, Iterable):
            raise InvalidParameterError(f"X must be a list of texts; got {type(texts).__name__}.")
        texts = _listed(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            remedy = "Replace missing texts with an empty string or leave those rows out."
            if isinstance(text, bytes):
                remedy = "Decode it first: text.decode()."
            raise InvalidParameterError(
                f"X[{position}] must be a string; got {text!r:.80} of type {type(text).__name__}. {remedy}"
            )
    return texts


def _listed(texts: Any) -> list[Any]:
    # NumPy and pandas call it tolist, chunked Arrow arrays to_pylist.
    for name in ("tolist", "to_pylist"):
        if hasattr(texts, name):
            return list(getattr(texts, name)())
    return list(texts)
