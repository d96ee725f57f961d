from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def rank_words(bitmap: NDArray[np.uint64]) -> NDArray[np.uint32]: ...
def best(logits: NDArray[np.float64]) -> NDArray[np.int32]: ...
def add_words(
    out: NDArray[np.float64],
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    table: NDArray[Any],
    scales: NDArray[np.float32] | None,
    unknown: NDArray[np.float64],
    weights: NDArray[np.float32] | None,
    unknown_weight: float,
    ignore: bool,
) -> None: ...

class Texts:
    def __init__(self, source: Any) -> None: ...
    def __len__(self) -> int: ...
    def strings(self, start: int, stop: int) -> list[str]: ...

class Scorer:
    def __init__(
        self,
        bias: NDArray[np.float64],
        families: Sequence[dict[str, Any]],
        unite_after: int = ...,
        memo_after: int = ...,
    ) -> None: ...
    @property
    def united_bytes(self) -> int: ...
    @property
    def memo_bytes(self) -> int: ...
    def logits(self, texts: Texts, start: int, stop: int, out: NDArray[np.float64]) -> None: ...
    def labels(self, texts: Texts, start: int, stop: int, out: NDArray[np.int32]) -> None: ...
