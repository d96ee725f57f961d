from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def pool(
    table: NDArray[Any],
    rows: NDArray[np.int32],
    indptr: NDArray[np.int64],
    ops: Sequence[tuple[str, int, NDArray[np.float32] | None, NDArray[np.float32] | None, str, float]],
    out: NDArray[np.float32],
    *,
    scales: NDArray[np.float32] | None = None,
    extra: NDArray[np.float32] | None = None,
    token_weights: NDArray[np.float32] | None = None,
) -> None: ...
def remove_components(x: NDArray[Any], components: NDArray[np.float64], strengths: NDArray[np.float64]) -> None: ...
def normalize_rows(x: NDArray[Any]) -> None: ...
