"""Token states of an encoder: the pieces of a token brought together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import InvalidParameterError

__all__ = ["EncoderStates", "States", "read_states"]

#: Sentences of tokens → for each an array of shape (its tokens, width).
States = Callable[[Sequence[Sequence[str]]], Sequence[Any]]


class EncoderStates:
    """The states of an ONNX encoder, one for each token: the mean over its pieces, zeros for a token without.

    Parameters
    ----------
    encoder : OnnxEncoder, or the path of an encoder's folder
        Its graph has to give hidden states.

    Examples
    --------
    >>> states = EncoderStates("all-MiniLM-L6-v2/")  # doctest: +SKIP
    >>> states([["where", "is", "my", "parcel"]])[0].shape  # doctest: +SKIP
    (4, 384)
    """

    def __init__(self, encoder: Any) -> None:
        if isinstance(encoder, (str, os.PathLike)):
            from tlclassic.encoders import OnnxEncoder

            encoder = OnnxEncoder(os.fspath(encoder))
        self.encoder = encoder

    def __call__(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        texts = [" ".join(sentence) for sentence in sentences]
        found = []
        for sentence, (states, offsets) in zip(sentences, self.encoder.token_states(texts), strict=True):
            found.append(align(sentence, states, offsets))
        return found


def align(sentence: Sequence[str], states: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean state of the pieces that begin within each token of ``" ".join(sentence)``, float32 of shape (t, d).

    Examples
    --------
    >>> pieces = np.array([[1.0], [3.0], [5.0]], np.float32)
    >>> align(["playing", "on"], pieces, np.array([[0, 4], [4, 7], [8, 10]]))
    array([[2.],
           [5.]], dtype=float32)
    """
    owner = owners(sentence, offsets)
    total = np.zeros((len(sentence), states.shape[1]), np.float32)
    if len(sentence):
        np.add.at(total, owner, states)
    counts = np.bincount(owner, minlength=len(sentence))[: len(sentence), None]
    return np.asarray(total / np.maximum(counts, 1), dtype=np.float32)


def owners(sentence: Sequence[str], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Within which token of ``" ".join(sentence)`` each piece begins, int64 of shape (t,).

    Parameters
    ----------
    sentence : sequence of tokens
    offsets : int64 array of shape (t, 2)
        The characters that each piece spans.

    Examples
    --------
    >>> owners(["playing", "on"], np.array([[0, 4], [4, 7], [8, 10]]))
    array([0, 0, 1])
    """
    ends = np.cumsum([len(token) + 1 for token in sentence], dtype=np.int64)
    owner = np.searchsorted(ends, offsets[:, 0], side="right")
    return np.asarray(np.minimum(owner, max(0, len(sentence) - 1)), np.int64)


def read_states(states: States | None, sentences: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """The states of all tokens, float32 of shape (N, width); of no columns without ``states``.

    Raises
    ------
    InvalidParameterError
        When they are not an array of one row a token for each sentence.
    """
    n_tokens = sum(len(sentence) for sentence in sentences)
    if states is None or not sentences:
        return np.zeros((n_tokens, 0), np.float32)
    parts = [np.asarray(part, np.float32) for part in states(sentences)]
    if len(parts) != len(sentences):
        raise InvalidParameterError(
            f"states must give an array for each of {len(sentences)} sentences; got {len(parts)}."
        )
    for place, (part, sentence) in enumerate(zip(parts, sentences, strict=True)):
        if part.ndim != 2 or len(part) != len(sentence) or part.shape[1] != parts[0].shape[1]:
            raise InvalidParameterError(
                f"states[{place}] must have a row for each of {len(sentence)} tokens; got shape {part.shape}."
            )
        if not np.isfinite(part).all():
            raise InvalidParameterError(f"states[{place}] must be finite; got NaN or an infinity.")
    return np.concatenate(parts)
