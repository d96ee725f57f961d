"""From the pieces of an encoder to the tokens of spaCy, by the characters that both stand on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["align", "token_spans"]


def token_spans(doc: Any) -> NDArray[np.int64]:
    """The characters of each token, int64 of shape (n_tokens, 2)."""
    from spacy.attrs import IDX, LENGTH

    array = doc.to_array([IDX, LENGTH]).astype(np.int64).reshape(-1, 2)
    array[:, 1] += array[:, 0]
    return np.asarray(array)


def align(states: NDArray[np.float32], offsets: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean of the states of the pieces that share a character with each token, float32 of shape (n_tokens, d).

    Whatever the two tokenisers do: a piece may span several tokens, and counts for each; a token without a piece, such
    as one of white space, is zero.

    Parameters
    ----------
    states : float32 array of shape (n_pieces, d)
    offsets : int64 array of shape (n_pieces, 2)
        First character and last + 1 of each piece, ascending; a piece of none is in no token.
    tokens : int64 array of shape (n_tokens, 2)
        Of each token, ascending, without overlap.

    Examples
    --------
    >>> pieces = np.array([[1.0], [3.0], [5.0]], np.float32)
    >>> align(pieces, np.array([[0, 4], [4, 7], [8, 10]]), np.array([[0, 7], [7, 8], [8, 9], [9, 10]]))
    array([[2.],
           [0.],
           [5.],
           [5.]], dtype=float32)
    """
    result = np.zeros((len(tokens), states.shape[1]), dtype=np.float32)
    if not len(tokens) or not len(states):
        return result
    first = np.searchsorted(tokens[:, 1], offsets[:, 0], side="right")
    last = np.searchsorted(tokens[:, 0], offsets[:, 1], side="left")
    shared = np.maximum(last - first, 0)
    shared[offsets[:, 1] <= offsets[:, 0]] = 0
    pieces = np.repeat(np.arange(len(states)), shared)
    if not len(pieces):
        return result
    # The n-th pair of a piece is with its n-th token.
    owner = np.repeat(first, shared) + np.arange(len(pieces)) - np.repeat(np.cumsum(shared) - shared, shared)
    # Some tokenisers give pieces of one character that overlap, so the order is not taken for granted.
    order = np.argsort(owner, kind="stable")
    owner, pieces = owner[order], pieces[order]
    starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    counts = np.diff(np.append(starts, len(owner)))
    result[owner[starts]] = np.add.reduceat(states[pieces], starts, axis=0) / counts[:, None]
    return result
