import numpy as np
from numpy.typing import NDArray

def hash_ngrams(
    words: NDArray[np.uint8], offsets: NDArray[np.int64], min_n: int, max_n: int, bucket: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
