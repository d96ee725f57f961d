"""Further numbers of tokens before they are learned: centred, brought to few dimensions and to one scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tlclassic.tagging.model import TaggerModel

__all__ = ["Projection", "fit_projection"]

#: Root mean square of what is learned from. A step changes a score by the step times the number, and hashed features
#: are ones: at their scale a hundred dense numbers a token would outweigh them all. Of 0.1, 0.3 and the encoder's own
#: scale 0.3 is best on the dev parts of snips and conll2003.
SCALE = 0.3
#: Of tokens, from which directions are learned.
MAX_ROWS = 100_000
_TINY = 1e-3

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """An affine map; ``(x - mean) @ matrix``.

    Attributes
    ----------
    mean : float32 array of shape (width,)
    matrix : float32 array of shape (width, d)
    """

    mean: Floats
    matrix: Floats

    def apply(self, states: Floats) -> Floats:
        """States of tokens, float32 of shape (N, d)."""
        return np.asarray(states @ self.matrix - self.mean @ self.matrix, np.float32)

    def folded(self, model: TaggerModel) -> TaggerModel:
        """A model of projected states as one of the states themselves, which scores the same."""
        d = self.matrix.shape[1]
        weights = np.asarray(self.matrix @ model.states[:d], np.float32)
        bias = np.asarray(model.bias - self.mean @ weights, np.float32)
        return replace(model, states=np.vstack([weights, model.states[d:]]), bias=bias)


def fit_projection(states: Floats, dims: int | None) -> Projection | None:
    """The projection of states, float32 of shape (N, width): columns of unit variance, then their ``dims`` largest
    principal components (None: the columns as they are), all times one number; None for states of no columns.
    """
    if not states.shape[1]:
        return None
    rows = states[:: max(1, -(-len(states) // MAX_ROWS))].astype(np.float32)
    mean = rows.mean(axis=0)
    spread = rows.std(axis=0)
    # A column that is always the same says nothing; nor is its noise to be blown up.
    factors = np.divide(1, spread, out=np.zeros_like(spread), where=spread > _TINY * max(spread.max(), _TINY))
    rows = (rows - mean) * factors
    if dims is None or dims >= rows.shape[1]:
        matrix = np.diag(factors)
    else:
        _, vectors = np.linalg.eigh(rows.T @ rows)
        # The largest come last.
        directions = np.ascontiguousarray(vectors[:, ::-1][:, :dims])
        rows = rows @ directions
        matrix = factors[:, None] * directions
    size = np.sqrt(np.square(rows).mean())
    return Projection(mean, np.asarray(matrix * (SCALE / size if size > 0 else 1), np.float32))
