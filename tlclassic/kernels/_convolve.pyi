from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.kernels._score import Texts

MAX_WIDTH: int

def levels() -> list[str]: ...
def set_level(name: str) -> None: ...
def rows_of(
    buckets: NDArray[np.uint32], bitmap: NDArray[np.uint64], ranks: NDArray[np.uint32]
) -> NDArray[np.int32]: ...
def add_convolved(
    out: NDArray[np.float64],
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    table: NDArray[Any],
    scales: NDArray[np.float32] | None,
    bias: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> None: ...
def features(
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    table: NDArray[Any],
    scales: NDArray[np.float32] | None,
    bias: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None: ...
def forward(
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    table: NDArray[np.float32],
    best: NDArray[np.float32],
    at: NDArray[np.int32],
) -> None: ...
def backward(
    gradient: NDArray[np.float32],
    at: NDArray[np.int32],
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None: ...

class Convolution:
    def __init__(
        self,
        bits: int,
        bitmap: NDArray[np.uint64],
        table: NDArray[Any],
        scales: NDArray[np.float32] | None,
        bias: NDArray[np.float32],
        weights: NDArray[np.float32],
        hidden_weights: NDArray[Any] | None = None,
        hidden_bias: NDArray[np.float32] | None = None,
        hidden_scales: NDArray[np.float32] | None = None,
        sums: int = 0,
    ) -> None: ...
    def add(self, texts: Texts, start: int, stop: int, out: NDArray[np.float64]) -> None: ...
