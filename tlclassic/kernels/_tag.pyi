from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS: int

def index_words(sentences: Iterable[Iterable[str]]) -> tuple[list[str], NDArray[np.int32], NDArray[np.int64]]: ...
def atoms(
    words: list[str], shortest: int, longest: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]: ...
def unary_keys(
    matrix: NDArray[np.uint64],
    radius: NDArray[np.int32],
    ngrams: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    window: int,
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]: ...
def pair_keys(
    matrix: NDArray[np.uint64], tokens: NDArray[np.int32], bounds: NDArray[np.int64], pairs: NDArray[np.int32]
) -> NDArray[np.uint64]: ...
def place(keys: NDArray[np.uint64], slots: NDArray[np.uint32]) -> NDArray[np.int64]: ...
def find(keys: NDArray[np.uint64], slots: NDArray[np.uint32]) -> NDArray[np.int64]: ...
def score_words(
    keys: NDArray[np.uint64],
    bounds: NDArray[np.int64],
    slots: NDArray[np.uint32],
    table: NDArray[Any],
    out: NDArray[np.float32],
) -> None: ...
def score(
    words: NDArray[np.float32],
    tokens: NDArray[np.int32],
    bounds: NDArray[np.int64],
    matrix: NDArray[np.uint64],
    pairs: NDArray[np.int32],
    slots: NDArray[np.uint32],
    table: NDArray[Any],
    out: NDArray[np.float32],
) -> None: ...
def decode(
    scores: NDArray[np.float32],
    column: int,
    bounds: NDArray[np.int64],
    links: NDArray[np.float32],
    out: NDArray[np.int32],
) -> None: ...
