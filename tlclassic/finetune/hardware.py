"""What a run computes on: device, precision, threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tlclassic.errors import InvalidParameterError

__all__ = ["cpu_threads", "device_of", "uses_bfloat16"]


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether matrix products are in bfloat16: as told, or "auto" where the hardware has instructions for them."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    known = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return device.type == "cpu" and any(ask() for ask in known if ask is not None)


def device_of(device: str) -> torch.device:
    """The torch device of a name; "auto" is the GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise InvalidParameterError(f"device must be 'auto', 'cpu' or 'cuda'; got {device!r}: {error}") from None


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Within, torch computes with so many threads and takes denormal numbers, which are slow, for zero."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)
