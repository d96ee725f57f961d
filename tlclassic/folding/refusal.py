"""One wording for what cannot be folded: the step's name, the reason, what to do instead."""

from __future__ import annotations

from typing import Any

from tlclassic.errors import InvalidParameterError

__all__ = ["refusal"]


def refusal(place: str, step: Any, reason: str, remedy: str) -> InvalidParameterError:
    """The error for a step that is not affine, or whose tokens the compiled classifier cannot make."""
    kind = step if isinstance(step, str) else type(step).__name__
    where = f"step {place!r} ({kind})" if place else kind
    return InvalidParameterError(f"{where} cannot be compiled: {reason}. {remedy}.")
