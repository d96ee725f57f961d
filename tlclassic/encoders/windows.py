"""States of the pieces of texts of any length: what is longer than the encoder takes goes through in windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tlclassic.encoders import OnnxEncoder

__all__ = ["piece_states", "windows"]

#: Windows that are computed before their states are handed out: what is held of them stays in tens of megabytes.
_PIECES = 16_384


def windows(n: int, size: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Windows over n pieces: ``(first, last + 1, from, to)``, of which the states from..to are taken from this window.

    Every window is full as far as the text goes. Where two overlap, each piece is taken from the one in which it stands
    farther from the edge. Windows share ``overlap`` pieces, and never more than half of them: every piece is then
    computed about twice at most, however small the windows are.

    Examples
    --------
    >>> windows(10, 6, 2)
    [(0, 6, 0, 5), (4, 10, 5, 10)]
    >>> windows(0, 6, 2)
    []
    """
    if n <= size:
        return [(0, n, 0, n)] if n else []
    step = size - min(overlap, size // 2)
    starts = [*range(0, n - size, step), n - size]
    found = []
    taken = 0
    for place, start in enumerate(starts):
        if place + 1 < len(starts):
            shared = start + size - starts[place + 1]
            to = start + size - shared // 2
        else:
            to = n
        found.append((start, start + size, taken, to))
        taken = to
    return found


def piece_states(
    encoder: OnnxEncoder, texts: Sequence[str], *, overlap: int, layers: Sequence[str] = ()
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """For each text ``(states, offsets)``: the states of its pieces, special ones left out, and their characters.

    Parameters
    ----------
    encoder : OnnxEncoder
        Its graph gives states of tokens. Its prompt is not used, its ``max_length`` is the size of a window.
    texts : sequence of str
        None is truncated.
    overlap : int
        Pieces that a window shares with the next one; half a window at most.
    layers : sequence of str
        Names of the graph's outputs whose states are put side by side; by default those of its answer.

    Yields
    ------
    (float32 array of shape (t, d), int64 array of shape (t, 2))
    """
    opened = encoder._opened
    inner = opened.pieces.inner(texts)
    size = opened.pieces.room(opened.max_length)
    start = 0
    while start < len(inner):
        end, held = start, 0
        while end < len(inner) and (end == start or held + len(inner[end][0]) <= _PIECES):
            held += len(inner[end][0])
            end += 1
        states = _states(opened, [numbers for numbers, _ in inner[start:end]], size, overlap, layers, encoder)
        for found, (_, offsets) in zip(states, inner[start:end], strict=True):
            yield found, offsets
        start = end


def _states(
    opened: Any,
    texts: list[NDArray[np.int64]],
    size: int,
    overlap: int,
    layers: Sequence[str],
    encoder: OnnxEncoder,
) -> list[NDArray[np.float32]]:
    """The states of texts given as the numbers of their pieces."""
    before, after = opened.pieces.around
    places = [(number, *window) for number, text in enumerate(texts) for window in windows(len(text), size, overlap)]
    rows = [np.concatenate([before, texts[number][first:last], after]) for number, first, last, _, _ in places]
    results: list[NDArray[np.float32] | None] = [None] * len(texts)
    for i, states in opened.states(rows, encoder.batch_tokens, layers):
        number, first, _, start, end = places[i]
        result = results[number]
        if result is None:
            result = np.empty((len(texts[number]), states.shape[1]), dtype=np.float32)
            results[number] = result
        shift = len(before) - first
        result[start:end] = states[start + shift : end + shift]
    width = next((result.shape[1] for result in results if result is not None), 0)
    return [np.zeros((0, width), dtype=np.float32) if result is None else result for result in results]
