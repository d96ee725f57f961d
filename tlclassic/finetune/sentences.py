"""Sentences of tokens as the numbers of their pieces: a vector for each token, the mean state of its pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tlclassic.encoders.files import FolderFiles
from tlclassic.encoders.tokens import Pieces
from tlclassic.errors import InvalidParameterError
from tlclassic.finetune.batches import Tokens
from tlclassic.finetune.layout import Layout
from tlclassic.tagging.states import owners

__all__ = ["SentencePieces", "SentenceTokenizer"]


@dataclass(frozen=True, kw_only=True)
class SentencePieces(Tokens):
    """The pieces of n sentences, and which token each begins in.

    "Tokens" of the base class are pieces here; a unit is a token of a sentence.

    Attributes
    ----------
    bounds : int64 array of shape (n + 1,)
        Sentence i has the tokens ``bounds[i]:bounds[i + 1]`` of N in all.
    owner : int64 array of shape (T,)
        The token of each piece, counted from the beginning of its sentence; -1 for special pieces.
    """

    bounds: NDArray[np.int64]
    owner: NDArray[np.int64]

    @property
    def n_units(self) -> int:
        return int(self.bounds[-1])

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which tokens have a piece, shape (N,): not those that were cut off, nor those of no letters."""
        found = np.zeros(self.n_units, bool)
        first = np.repeat(self.bounds[:-1], self.lengths)
        found[(first + self.owner)[self.owner >= 0]] = True
        return found

    def units(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return _ranges(self.bounds[rows], np.diff(self.bounds)[rows])

    def with_units(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        count = np.concatenate([[0], np.cumsum(flags)])
        return np.asarray(np.diff(count[self.bounds]) > 0)

    def vectors(self, model: Any, ids: Tensor, mask: Tensor | None, rows: NDArray[np.int64]) -> Tensor:
        """The mean state of each token's pieces, zeros for a token without: float tensor (units, d)."""
        states = model.states(ids, mask).float()
        places, counts = self._places(rows, ids.shape[1])
        # Pieces of no token are added up in a row too many.
        total = states.new_zeros(len(counts) + 1, states.shape[2])
        total = total.index_add(0, torch.from_numpy(places).to(ids.device), states.flatten(0, 1))
        return total[:-1] / torch.from_numpy(counts).to(ids.device).clamp(min=1)[:, None]

    def _places(self, rows: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """For each piece of a padded batch (B * L,) the place of its token, and the pieces of each (units,)."""
        sizes, lengths = np.diff(self.bounds)[rows], self.lengths[rows]
        first = np.cumsum(sizes) - sizes
        places = np.full((len(rows), width), sizes.sum(), np.int64)
        own = self.owner[_ranges(self.offsets[rows], lengths)]
        places[np.arange(width) < lengths[:, None]] = np.where(own >= 0, np.repeat(first, lengths) + own, sizes.sum())
        counts = np.bincount(places.ravel(), minlength=sizes.sum() + 1)[:-1]
        return places.ravel(), counts.astype(np.float32)


def _ranges(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """All of ``start, start + 1, ...`` of so many numbers each, one after the other."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - sizes), sizes), np.int64)


class SentenceTokenizer:
    """Turns sentences into pieces as :class:`~tlclassic.tagging.EncoderStates` does.

    Parameters
    ----------
    layout : Layout
    max_length : int, optional
        Pieces of a sentence, special ones counted; the folder's own where None.
    """

    def __init__(self, layout: Layout, max_length: int | None = None) -> None:
        folder = layout.transformer if (layout.transformer / "tokenizer.json").is_file() else layout.root
        self._pieces = Pieces(FolderFiles(folder))
        self._length = layout.length(max_length)

    def __call__(self, sentences: Sequence[Sequence[str]]) -> SentencePieces:
        """The pieces of some sentences.

        Raises
        ------
        InvalidParameterError
            For a token that is not a string.
        """
        rows, owner, truncated = [], [np.zeros(0, np.int64)], 0
        for place, sentence in enumerate(sentences):
            if not all(isinstance(token, str) for token in sentence):
                raise InvalidParameterError(f"sentences[{place}] must hold tokens of type str; got {sentence!r:.80}.")
            numbers, offsets, special = self._pieces.pieces(" ".join(sentence), self._length)
            own = owners(sentence, offsets)
            own[special | (offsets[:, 1] <= 0) | (not len(sentence))] = -1
            rows.append(numbers.astype(np.int32))
            owner.append(own)
            truncated += int(own.max(initial=-1)) < len(sentence) - 1
        tokens = Tokens.of(rows, truncated)
        bounds = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
        return SentencePieces(tokens.ids, tokens.offsets, truncated, bounds=bounds, owner=np.concatenate(owner))
