from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def build_slots(
    words: NDArray[np.uint8], offsets: NDArray[np.int64], n_slots: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]: ...

class WordIndex:
    slots: NDArray[np.uint64]
    words: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    def __init__(self, slots: NDArray[np.uint64], words: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None: ...
    def __len__(self) -> int: ...
    def find(self, word: bytes) -> int: ...
    def find_many(self, words: Sequence[str | bytes]) -> NDArray[np.int64]: ...
