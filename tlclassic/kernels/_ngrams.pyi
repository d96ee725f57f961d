from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HASH_VERSION: int
MAX_WORDS: int
MAX_CHARS: int
MAX_BITS: int

def ensure_tables() -> object: ...
def levels() -> list[str]: ...
def set_level(name: str) -> None: ...

class Ngrams:
    words: tuple[int, int]
    chars: tuple[int, int]
    bits: int
    fold: bool
    keep_punctuation: bool
    def __init__(
        self,
        words: tuple[int, int] = ...,
        chars: tuple[int, int] = ...,
        bits: int = ...,
        fold: bool = ...,
        keep_punctuation: bool = ...,
    ) -> None: ...
    def tokens(self, text: str | bytes) -> list[str]: ...
    def spans(self, text: str | bytes) -> list[tuple[int, int, int, int]]: ...
    def buckets(
        self, texts: Sequence[str | bytes]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]: ...
    def counts(
        self, texts: Sequence[str | bytes], family: str
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]: ...
