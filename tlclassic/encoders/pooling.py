"""From the states of a text's tokens to its vector: pooling, dense layers, normalisation; all in float32 NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tlclassic.encoders.folder import Dense

__all__ = ["ACTIVATIONS", "MODES", "finish", "pool"]

Floats = NDArray[np.float32]
#: Ways of pooling, as sentence-transformers has them (Reimers & Gurevych 2019; weighted mean: Muennighoff 2022).
MODES = ("mean", "cls", "max", "mean_sqrt_len", "weightedmean", "lasttoken")


def _gelu(x: Floats) -> Floats:
    erf = np.vectorize(math.erf, otypes=[np.float32])
    result: Floats = x * np.float32(0.5) * (1 + erf(x / math.sqrt(2.0)))
    return result


#: By the names of torch's modules.
ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "Identity": lambda x: x,
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: np.float32(1) / (np.float32(1) + np.exp(-x)),
    "GELU": _gelu,
}


def pool(states: Floats, lengths: NDArray[np.int64], modes: Sequence[str], *, skip: int = 0) -> Floats:
    """Vectors of shape (b, d * len(modes)).

    Parameters
    ----------
    states : float32 array of shape (b, t, d)
        Of the tokens; those of a text come first, padding after them.
    lengths : int64 array of shape (b,)
        Tokens of each text, at least 1.
    modes : sequence of str
        Of ``MODES``, put side by side.
    skip : int
        How many tokens at the beginning (a prompt's) do not take part.
    """
    # Row by row, so that a text that is nothing but its prompt does not change the others of its batch.
    first = np.minimum(skip, lengths - 1)
    parts = [_pool(states, lengths, mode, first) for mode in modes]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _pool(states: Floats, lengths: NDArray[np.int64], mode: str, first: NDArray[np.int64]) -> Floats:
    if mode == "cls":
        return states[:, 0].copy()
    if mode == "lasttoken":
        return states[np.arange(len(states)), lengths - 1]
    place = np.arange(states.shape[1])
    inside = (place < lengths[:, None]) & (place >= first[:, None])
    if mode == "max":
        highest: Floats = np.where(inside[:, :, None], states, -np.inf).max(axis=1).astype(np.float32)
        return highest
    weights = inside.astype(np.float32)
    if mode == "weightedmean":
        weights *= (place + 1).astype(np.float32)
    total = weights.sum(axis=1, keepdims=True)
    weights /= np.sqrt(total) if mode == "mean_sqrt_len" else total
    summed: Floats = np.matmul(weights[:, None, :], states)[:, 0]
    return summed


def finish(vectors: Floats, dense: Iterable[Dense], normalize: bool) -> Floats:
    """Dense layers, then the length brought to one; a vector of zeros stays as it is."""
    for layer in dense:
        vectors = vectors @ layer.weight.T
        if layer.bias is not None:
            vectors = vectors + layer.bias
        vectors = ACTIVATIONS[layer.activation](vectors).astype(np.float32, copy=False)
    if normalize:
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(norms, np.float32(1e-12))
    return vectors
