"""The yard-stick of yardstick.c, compiled with `gcc -O3` and called on joined texts."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import SCRATCH

ROWS = 1 << 20
#: The loop reads in blocks, past the last byte.
SLACK = 128


def library() -> ctypes.CDLL:
    """Compiled anew where the source is newer."""
    source, built = Path(__file__).with_suffix(".c"), SCRATCH / "yardstick.so"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        built.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-O3", "-shared", "-fPIC", str(source), "-o", str(built)], check=True)
    return ctypes.CDLL(str(built))


def yardsticks(texts: list[str]) -> dict[str, Callable[[], np.ndarray]]:
    """Both loops over these texts, joined before the clock starts; weights are random."""
    encoded = [text.replace("\n", " ").encode() for text in texts]
    data = np.frombuffer(b"".join(text + b"\n" for text in encoded) + bytes(SLACK), dtype=np.uint8)
    ends = (np.cumsum([len(text) + 1 for text in encoded]) - 1).astype(np.int64)
    table = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
    loops = library()

    def run(loop: str) -> np.ndarray:
        labels = np.empty(len(ends), dtype=np.int32)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (data, ends)]
        getattr(loops, loop)(
            *pointers, ctypes.c_int64(len(ends)), *(ctypes.c_void_p(array.ctypes.data) for array in (table, labels))
        )
        return labels

    return {
        "yard-stick, byte by byte": lambda: run("yardstick_fnv"),
        "yard-stick, 64 bytes at a time": lambda: run("yardstick_mask"),
    }
