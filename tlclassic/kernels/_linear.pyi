from typing import Any

import numpy as np
from numpy.typing import NDArray

def check_rows(indices: NDArray[np.int32], indptr: NDArray[np.int64], n_columns: int) -> None: ...
def product(
    values: NDArray[Any],
    indices: NDArray[np.int32],
    indptr: NDArray[np.int64],
    table: NDArray[np.float64],
    out: NDArray[np.float64],
    first: int,
    last: int,
) -> None: ...
def dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> float: ...
def add(total: NDArray[np.float64], factor: float, part: NDArray[np.float64]) -> None: ...
def losses(
    z: NDArray[np.float64],
    targets: NDArray[np.float64],
    softmax: bool,
    out: NDArray[np.float64],
    first: int,
    last: int,
) -> None: ...
def curvature(
    p: NDArray[np.float64],
    z: NDArray[np.float64],
    weights: NDArray[np.float64],
    softmax: bool,
    first: int,
    last: int,
) -> None: ...
def stream(
    table: NDArray[np.float32],
    bias: NDArray[np.float32],
    values: NDArray[np.float32] | None,
    indices: NDArray[np.int32],
    indptr: NDArray[np.int64],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32] | None,
    order: NDArray[np.int64] | None,
    first: int,
    last: int,
    *,
    softmax: bool,
    fit_intercept: bool,
    rate: float,
    slope: float,
    l1: float,
    l2: float,
    step: int,
) -> float: ...
