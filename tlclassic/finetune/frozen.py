"""What the heads or the trained layers are fed with: tokens, or what frozen layers made of them once.

With the lower layers frozen their output for a text never changes, so that every epoch needs only the layers above. The
states are kept as float16 in a memory map of a temporary file, which costs disk, not memory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tlclassic.finetune.batches import Tokens, sorted_batches
from tlclassic.finetune.model import EncoderWithHeads, depth

__all__ = ["Inputs", "frozen_layers", "inputs_of", "only_top"]

#: Tokens (padding counted) of a batch without gradients.
EVALUATION_TOKENS = 4096


class Inputs(Protocol):
    """What gives the vectors of the texts by their rows."""

    tokens: Tokens

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every text, by which batches are formed, shape (n,)."""

    def vectors(self, model: EncoderWithHeads, rows: NDArray[np.int64]) -> Tensor:
        """The vectors (units, d) of some rows, on the model's device: pooled ones (B, d), or one for each token."""


class TokenInputs:
    """The whole encoder runs on the tokens."""

    def __init__(self, tokens: Tokens, pad: int) -> None:
        self.tokens, self.pad = tokens, pad
        self.lengths = tokens.lengths

    def vectors(self, model: EncoderWithHeads, rows: NDArray[np.int64]) -> Tensor:
        return self.tokens.vectors(model, *tensors(self.tokens, self.pad, rows, model), rows)


class StateInputs:
    """The trained layers run on the kept states of the frozen ones; ``model`` must be under :func:`only_top`."""

    def __init__(self, tokens: Tokens, pad: int, states: NDArray[np.float16]) -> None:
        self.tokens, self.pad, self.states = tokens, pad, states
        self.lengths = tokens.lengths

    def vectors(self, model: EncoderWithHeads, rows: NDArray[np.int64]) -> Tensor:
        ids, mask = tensors(self.tokens, self.pad, rows, model)
        lengths = self.lengths[rows]
        states = np.zeros((*ids.shape, self.states.shape[1]), np.float16)
        for place, (start, length) in enumerate(zip(self.tokens.offsets[rows], lengths, strict=True)):
            states[place, :length] = self.states[start : start + length]
        model.backbone.embeddings.states = torch.from_numpy(states).to(ids.device).float()
        return self.tokens.vectors(model, ids, mask, rows)


class VectorInputs:
    """Nothing of the encoder is trained: its vectors are all there is."""

    def __init__(self, tokens: Tokens, kept: Tensor) -> None:
        self.tokens, self.kept = tokens, kept
        self.lengths = np.ones(len(tokens), np.int64)

    def vectors(self, model: EncoderWithHeads, rows: NDArray[np.int64]) -> Tensor:
        return self.kept[torch.from_numpy(self.tokens.units(rows))]


def tensors(tokens: Tokens, pad: int, rows: NDArray[np.int64], model: EncoderWithHeads) -> tuple[Tensor, Tensor | None]:
    """Token numbers and mask of a batch as tensors; the mask is None where nothing is padded, which is faster."""
    device = next(model.heads.parameters()).device
    ids, mask = tokens.padded(rows, pad)
    return torch.from_numpy(ids).to(device), None if mask.all() else torch.from_numpy(mask).to(device)


def frozen_layers(model: EncoderWithHeads) -> int:
    """How many of the lowest layers are frozen together with everything below them; -1 where embeddings are trained.

    Tasks that attend to token states need the uppermost layer's, which are more than the vectors that could be kept.
    """
    count, name = len(model.layers), model.layers_name
    depths = [depth(own, name, count) for own, value in model.backbone.named_parameters() if value.requires_grad]
    return min(*depths, count + 1, count if model.task_pooling is not None else count + 1) - 1


def inputs_of(
    model: EncoderWithHeads,
    tokens: Sequence[Tokens],
    pad: int,
    *,
    frozen: int,
    limit: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Inputs]:
    """The cheapest inputs for a model with ``frozen`` lower layers.

    Parameters
    ----------
    model : EncoderWithHeads
    tokens : sequence of Tokens
        Of the texts to train on, and of dev if there is one: all get inputs of the same kind.
    pad : int
        Number of the padding token.
    frozen : int
        As of :func:`frozen_layers`: all layers means that pooled vectors are kept, some that states are.
    limit : int
        Bytes that kept states may take together; beyond, or where the disk of temporary files has less than twice that
        free, the whole encoder runs every time.
    on_progress : callable, optional
        Called with texts done and their number.
    """
    inputs = [TokenInputs(own, pad) for own in tokens]
    report = _Report(sum(len(own) for own in tokens), on_progress)
    if frozen >= len(model.layers):
        return [VectorInputs(own.tokens, _kept_vectors(model, own, report)) for own in inputs]
    size = 2 * model.backbone.config.hidden_size * sum(len(own.ids) for own in tokens)
    possible = frozen >= 1 and isinstance(getattr(model.backbone, "embeddings", None), nn.Module)
    if not possible or not 0 < size <= min(limit, shutil.disk_usage(tempfile.gettempdir()).free // 2):
        return list(inputs)
    return [_kept_states(model, own, frozen, report) for own in inputs]


class _Report:
    """Adds up the texts of several passes."""

    def __init__(self, total: int, on_progress: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self.on_progress = 0, total, on_progress

    def __call__(self, texts: int) -> None:
        self.done += texts
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _kept_vectors(model: EncoderWithHeads, inputs: TokenInputs, report: _Report) -> Tensor:
    model.eval()
    device = next(model.heads.parameters()).device
    kept = torch.empty(inputs.tokens.n_units, model.backbone.config.hidden_size, device=device)
    for rows in sorted_batches(inputs.lengths, EVALUATION_TOKENS):
        kept[torch.from_numpy(inputs.tokens.units(rows))] = inputs.vectors(model, rows).float()
        report(len(rows))
    return kept


@torch.no_grad()  # type: ignore[untyped-decorator]
def _kept_states(model: EncoderWithHeads, inputs: TokenInputs, frozen: int, report: _Report) -> Inputs:
    model.eval()
    tokens, pad = inputs.tokens, inputs.pad
    shape = (len(tokens.ids), model.backbone.config.hidden_size)
    # The file has no name, so that a killed run leaves none behind.
    with tempfile.TemporaryFile(prefix="tlclassic-") as file:
        states = np.memmap(file, np.float16, "w+", shape=shape)
    limit = np.finfo(np.float16).max
    for rows in sorted_batches(inputs.lengths, EVALUATION_TOKENS):
        below = _states_below(model, frozen, *tensors(tokens, pad, rows, model)).float().cpu().numpy()
        for place, row in enumerate(rows):
            start, end = tokens.offsets[row : row + 2]
            states[start:end] = np.clip(below[place, : end - start], -limit, limit)
        report(len(rows))
    return StateInputs(tokens, pad, states)


class _Stop(Exception):
    """Ends a forward pass below a layer."""


def _states_below(model: EncoderWithHeads, frozen: int, ids: Tensor, mask: Tensor | None) -> Tensor:
    """What layer ``frozen`` is given, (B, L, d): the pass ends there."""
    seen: list[Tensor] = []

    def stop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.append(args[0] if args else kwargs["hidden_states"])
        raise _Stop

    handle = model.layers[frozen].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        model.backbone(input_ids=ids, attention_mask=mask)
    except _Stop:
        pass
    finally:
        handle.remove()
    return seen[0]


class _Given(nn.Module):  # type: ignore[misc]
    """Stands in for the embeddings: says what it was given."""

    states: Tensor

    def forward(self, *_: Any, **__: Any) -> Tensor:
        return self.states


@contextmanager
def only_top(model: EncoderWithHeads, frozen: int) -> Iterator[None]:
    """Within, the encoder consists of the layers above ``frozen`` alone, for :class:`StateInputs`."""
    path, owner, layers = model.find_layers()
    name = path.rpartition(".")[2]
    embeddings = model.backbone.embeddings
    setattr(owner, name, nn.ModuleList(list(layers)[frozen:]))
    model.backbone.embeddings = _Given()
    try:
        yield
    finally:
        setattr(owner, name, layers)
        model.backbone.embeddings = embeddings
