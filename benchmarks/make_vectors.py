"""Write a GloVe-format file of realistic words and numbers, of any size: the full public tables cannot be shipped.

Words are those of the GloVe 6B cut in ../shared/vectors while they last, then pseudo-words put together from their
halves; a row is a random mixture of two real rows of GloVe 6B (50 dimensions, repeated to the width asked for) plus
noise, written with five significant digits, as GloVe's own files are.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
from common import SHARED

CHUNK = 20_000


def real_rows() -> tuple[list[str], np.ndarray]:
    """Words and rows of the GloVe 6B cut."""
    words, rows = [], []
    with gzip.open(SHARED / "vectors/glove_6b_50d/glove.6B.50d.8k.txt.gz", "rt", encoding="utf-8") as file:
        for line in file:
            word, *numbers = line.rstrip("\n").split(" ")
            words.append(word)
            rows.append([float(number) for number in numbers])
    return words, np.array(rows)


def make_words(real: list[str], n: int, rng: np.random.Generator) -> list[str]:
    """``n`` distinct words: the real ones, then halves of real ones put together."""
    words = dict.fromkeys(real[:n])
    while len(words) < n:
        left, right = rng.integers(0, len(real), (2, 4096))
        for i, j in zip(left, right, strict=True):
            head, tail = real[i], real[j]
            words[head[: len(head) // 2 + 1] + tail[len(tail) // 2 :]] = None
            if len(words) < n and i % 3 == 0:
                words[f"{head}-{tail}"] = None
        while len(words) > n:
            words.popitem()
    return list(words)


def write(path: Path, n: int, dim: int, seed: int = 0) -> None:
    """Write ``n`` rows of ``dim`` numbers to ``path``."""
    rng = np.random.default_rng(seed)
    real, rows = real_rows()
    words = make_words(real, n, rng)
    table = np.tile(rows, (1, -(-dim // rows.shape[1])))[:, :dim]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        for start in range(0, n, CHUNK):
            part = words[start : start + CHUNK]
            a, b = rng.integers(0, len(table), (2, len(part)))
            mixed = 0.6 * table[a] + 0.4 * table[b] + rng.normal(0, 0.05, (len(part), dim))
            # Printed through one format string a row: np.savetxt takes several times as long.
            row_format = " ".join(["%.5g"] * dim)
            file.writelines(
                f"{word} {row_format % tuple(row)}\n" for word, row in zip(part, mixed.round(5), strict=True)
            )
    temporary.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("n", type=int)
    parser.add_argument("dim", type=int)
    arguments = parser.parse_args()
    write(arguments.path, arguments.n, arguments.dim)
