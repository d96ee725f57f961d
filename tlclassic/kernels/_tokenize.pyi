from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNICODE_VERSION: str

def normalise(text: str, flags: int) -> str: ...
def tokens(text: str, flags: int) -> list[str]: ...
def spans(text: str, flags: int) -> tuple[list[str], NDArray[np.int64]]: ...
def lookup(
    texts: Sequence[str], index: Any, flags: int, lower_fallback: bool, unknown: bool
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], list[str]]: ...
