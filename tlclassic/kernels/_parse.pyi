from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WRONG_COUNT: int
BAD_NUMBER: int
NOT_FINITE: int

class ParsedBlock(NamedTuple):
    words: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    consumed: int
    n_lines: int
    n_blank: int
    invalid: NDArray[np.int64]
    problem: tuple[int, int, int, int] | None

def parse_lines(block: NDArray[np.uint8], dim: int, final: bool, out: NDArray[np.float32]) -> ParsedBlock: ...
def parse_binary(block: NDArray[np.uint8], dim: int, out: NDArray[np.float32]) -> ParsedBlock: ...
def slot_count(n_words: int) -> int: ...

class WordCollector:
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def add(self, words: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def finish(self) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint64]]: ...

def format_rows(words: NDArray[np.uint8], offsets: NDArray[np.int64], rows: NDArray[np.float32]) -> bytes: ...
