"""The yard-stick of yardstick.c, compiled with `gcc -O3` and called on joined texts."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import SCRATCH

#: 2^20 rows of 4 floats are 16 MB; 2^16 are 1 MB, about what a compiled classifier takes.
BITS, FEW_BITS = 20, 16
#: The loop reads in blocks, past the last byte.
SLACK = 128


def library(bits: int) -> ctypes.CDLL:
    """Compiled anew where the source is newer."""
    source, built = Path(__file__).with_suffix(".c"), SCRATCH / f"yardstick-{bits}.so"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        built.parent.mkdir(parents=True, exist_ok=True)
        command = ["gcc", "-O3", f"-DBITS={bits}", "-shared", "-fPIC", str(source), "-o", str(built)]
        subprocess.run(command, check=True)
    return ctypes.CDLL(str(built))


def yardsticks(texts: list[str]) -> dict[str, Callable[[], np.ndarray]]:
    """The loops over these texts, joined before the clock starts; weights are random."""
    encoded = [text.replace("\n", " ").encode() for text in texts]
    data = np.frombuffer(b"".join(text + b"\n" for text in encoded) + bytes(SLACK), dtype=np.uint8)
    ends = (np.cumsum([len(text) + 1 for text in encoded]) - 1).astype(np.int64)
    table = np.random.default_rng(0).normal(size=(1 << BITS, 4)).astype(np.float32)

    def run(bits: int, loop: str) -> np.ndarray:
        labels = np.empty(len(ends), dtype=np.int32)
        before, behind = (
            (ctypes.c_void_p(array.ctypes.data) for array in pair) for pair in ((data, ends), (table, labels))
        )
        getattr(loops[bits], loop)(*before, ctypes.c_int64(len(ends)), *behind)
        return labels

    loops = {bits: library(bits) for bits in (BITS, FEW_BITS)}
    return {
        "yard-stick, byte by byte": lambda: run(BITS, "yardstick_fnv"),
        "yard-stick, 64 bytes at a time": lambda: run(BITS, "yardstick_mask"),
        "yard-stick with 2^16 rows": lambda: run(FEW_BITS, "yardstick_mask"),
    }
