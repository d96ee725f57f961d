"""What ``pooling=`` asks for, taken apart into blocks of ``dim`` columns."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlclassic._validate import check_choice
from tlclassic.errors import InvalidParameterError

__all__ = ["POOLINGS", "Block", "resolve_poolings"]

#: The values of ``pooling``; a list of them puts their columns side by side.
POOLINGS = ("mean", "max", "min", "tfidf", "sif", "usif", "power")
_MAX_POWER = 16


@dataclass(frozen=True)
class Block:
    """One pooling of the word vectors, ``dim`` columns of the result.

    Attributes
    ----------
    name : str
        Prefix of the columns' names; unique within a vectoriser.
    kind : {"sum", "power", "max", "min"}
        The operation of the pooling kernel.
    power : int
        Its exponent.
    weighting : {"tfidf", "sif", "usif"} or None
        Which weights the words have in a sum.
    """

    name: str
    kind: str
    power: int = 1
    weighting: str | None = None

    @property
    def removal(self) -> str | None:
        """How common components are removed (see ``CommonComponentRemoval.weighting``), if they are."""
        return {"sif": "none", "usif": "usif"}.get(self.weighting or "")

    @property
    def n_components(self) -> int:
        """How many common components the papers remove."""
        return {"sif": 1, "usif": 5}.get(self.weighting or "", 0)


def resolve_poolings(pooling: object, powers: object) -> list[Block]:
    """The blocks that ``pooling`` and ``powers`` ask for, in column order.

    Raises
    ------
    InvalidParameterError
        For an unknown or repeated pooling, or a power that is not 1, 2, ..., 16 or plus/minus infinity.
    """
    names = [pooling] if isinstance(pooling, str) else pooling
    if not isinstance(names, (list, tuple)) or not names:
        raise InvalidParameterError(
            f"pooling must be one of {', '.join(map(repr, POOLINGS))} or a list of those; got {pooling!r}."
        )
    blocks: list[Block] = []
    for name in names:
        check_choice("pooling", name, POOLINGS)
        if name == "power":
            blocks.extend(_power_blocks(powers))
        elif name in ("max", "min"):
            blocks.append(Block(name, name))
        else:
            blocks.append(Block(name, "sum", weighting=None if name == "mean" else name))
    _check_distinct([block.name for block in blocks], pooling, powers)
    return blocks


def _power_blocks(powers: object) -> list[Block]:
    if not isinstance(powers, Sequence) or isinstance(powers, str) or not powers:
        raise InvalidParameterError(f"powers must be a list of powers such as (1, 2, 3); got {powers!r}.")
    return [_power_block(power) for power in powers]


def _power_block(power: Any) -> Block:
    """The block of one power mean; infinite powers are the maximum and the minimum, the first is the mean."""
    real = isinstance(power, numbers.Real) and not isinstance(power, bool)
    if real and math.isinf(power):
        return Block("powerinf", "max") if power > 0 else Block("power-inf", "min")
    if not real or power != power or power != int(power) or not 1 <= power <= _MAX_POWER:
        raise InvalidParameterError(
            f"powers must be whole numbers from 1 to {_MAX_POWER} or plus/minus infinity; got {power!r}. Word vectors "
            "hold negative numbers and zeros, for which other power means are not real."
        )
    return Block("power1", "sum") if power == 1 else Block(f"power{int(power)}", "power", int(power))


def _check_distinct(names: list[str], pooling: object, powers: object) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidParameterError(
            f"pooling and powers must not repeat themselves; {', '.join(repeated)} occurs more than once in "
            f"pooling={pooling!r}, powers={powers!r}."
        )
