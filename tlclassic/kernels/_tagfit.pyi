from typing import Any

import numpy as np
from numpy.typing import NDArray

def train(
    problem: dict[str, Any],
    model: dict[str, NDArray[np.float32]],
    order: NDArray[np.int64],
    *,
    crf: bool,
    adagrad: bool,
    rate: float,
    margin: float = 0.0,
    dropout: float = 0.0,
    seed: int = 0,
    count: int = 1,
) -> float: ...
