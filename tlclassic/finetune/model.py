"""The encoder with its pooling and its heads as one torch module, and which of its parameters are trained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging

from tlclassic.errors import EncoderFormatError, InvalidParameterError
from tlclassic.finetune.options import FineTuneOptions
from tlclassic.finetune.task_attention import CrossTask, TaskPooling

__all__ = ["EncoderWithHeads", "load_backbone", "parameter_groups", "pooled"]

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "tanh": nn.Tanh}


def load_backbone(folder: str | Path, *, dropout: float | None = None) -> PreTrainedModel:
    """The torch encoder of a Hugging Face folder, in float32, without its own pooler.

    Raises
    ------
    EncoderFormatError
        Where the folder has no configuration or no weights in the safetensors format.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise EncoderFormatError("No config.json here", path=folder, remedy="Name the folder of an encoder.")
    if not any(folder.glob("*.safetensors")):
        raise EncoderFormatError(
            "No model.safetensors here, which fine-tuning starts from", path=folder,
            remedy="Download the folder with its torch weights; pickled ones (.bin) are not opened.",
        )  # fmt: skip
    with _quiet():
        try:
            model = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
            )  # fmt: skip
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise EncoderFormatError(f"transformers cannot open it: {error}", path=folder) from error
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    if dropout is not None:
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def pooled(states: Tensor, mask: Tensor | None, pooling: str) -> Tensor:
    """One vector a text: of states (B, L, d) and mask (B, L) of ones and zeros, or None where nothing is padded.

    ``pooling`` is "mean", "cls", "max", "mean_sqrt_len", "weightedmean" or "lasttoken", as of sentence-transformers.
    """
    states = states.float()
    if pooling == "cls":
        return states[:, 0]
    weights = states.new_ones(states.shape[:2]) if mask is None else mask.to(states.dtype)
    if pooling == "max":
        return states.masked_fill(weights[..., None] == 0, -torch.inf).amax(dim=1)
    if pooling == "lasttoken":
        return states[torch.arange(len(states)), weights.sum(dim=1).long() - 1]
    if pooling == "weightedmean":
        weights = weights * torch.arange(1, states.shape[1] + 1, dtype=states.dtype, device=states.device)
    total = torch.einsum("bld,bl->bd", states, weights)
    count = weights.sum(dim=1, keepdim=True)
    return total / (count.sqrt() if pooling == "mean_sqrt_len" else count)


class EncoderWithHeads(nn.Module):  # type: ignore[misc]
    """An encoder, pooling, and one head a task.

    Parameters
    ----------
    backbone : PreTrainedModel
    sizes : dict of str to int
        Classes of every task.
    options : FineTuneOptions
    pooling : str

    Attributes
    ----------
    backbone : PreTrainedModel
    heads : ModuleDict
        Their linear layers stand at ``heads[task].layers``, each with ``weight`` (out, in) and ``bias`` (out,).
    task_pooling : TaskPooling or None
    cross_task : CrossTask or None
    """

    def __init__(
        self, backbone: PreTrainedModel, sizes: dict[str, int], options: FineTuneOptions, pooling: str = "mean"
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        width = backbone.config.hidden_size
        # Names of tasks may hold dots, which names of torch modules may not.
        self.tasks = list(sizes)
        self.heads = nn.ModuleList(Head(width, classes, options) for classes in sizes.values())
        self.task_pooling = TaskPooling(width, len(sizes)) if options.task_pooling == "attention" else None
        self.cross_task = CrossTask(width) if options.cross_attention else None

    def head_parameters(self) -> list[Tensor]:
        """All that is not of the encoder."""
        modules = [module for module in (self.heads, self.task_pooling, self.cross_task) if module is not None]
        return [parameter for module in modules for parameter in module.parameters()]

    @property
    def layers(self) -> nn.ModuleList:
        return self.find_layers()[2]

    @property
    def layers_name(self) -> str:
        """The name of the list of layers, such as ``"encoder.layer"``."""
        return self.find_layers()[0]

    def find_layers(self) -> tuple[str, nn.Module, nn.ModuleList]:
        """Name of the list of layers, the module that has it, and the list."""
        for name, module in self.backbone.named_modules():
            for child, layers in module.named_children():
                if isinstance(layers, nn.ModuleList) and child in ("layer", "layers", "h", "block"):
                    return f"{name}.{child}".lstrip("."), module, layers
        raise EncoderFormatError(f"No list of layers is known in a {type(self.backbone).__name__}")

    def states(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """States (B, L, d) of token numbers (B, L); mask None: nothing is padded."""
        found: Tensor = self.backbone(input_ids=ids, attention_mask=mask).last_hidden_state
        return found

    def vectors(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Pooled vectors (B, d), or one a task (B, T, d), of token numbers (B, L); mask None: nothing is padded."""
        states = self.states(ids, mask)
        if self.task_pooling is None:
            return pooled(states, mask, self.pooling)
        found: Tensor = self.task_pooling(states.float(), mask)
        return found if self.cross_task is None else self.cross_task(found)

    def logits(self, vectors: Tensor) -> dict[str, Tensor]:
        """Of every task, (B, C), from what :meth:`vectors` gives."""
        own = [vectors] * len(self.tasks) if self.task_pooling is None else vectors.unbind(dim=1)
        return {task: head(its) for task, head, its in zip(self.tasks, self.heads, own, strict=True)}

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        return self.logits(self.vectors(ids, mask))


class Head(nn.Module):  # type: ignore[misc]
    """Linear layers with an activation between and dropout before each."""

    def __init__(self, width: int, classes: int, options: FineTuneOptions) -> None:
        super().__init__()
        sizes = [width, *options.head, classes]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.activation = ACTIVATIONS[options.activation]()
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, vectors: Tensor) -> Tensor:
        for place, layer in enumerate(self.layers):
            if place:
                vectors = self.activation(vectors)
            vectors = layer(self.dropout(vectors))
        return vectors


def parameter_groups(model: EncoderWithHeads, options: FineTuneOptions) -> list[dict[str, Any]]:
    """The trained parameters for the optimiser, with their rates; all others are frozen.

    Returns
    -------
    list of dict
        ``params``, ``lr``, ``weight_decay``, and ``place``: 0 for the heads, 1 for the uppermost layer, and so on down.

    Raises
    ------
    InvalidParameterError
        Where ``train`` names more layers than there are, or a prefix that no parameter has.
    """
    count = len(model.layers)
    trained = trained_names(model, options)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.backbone.named_parameters():
        parameter.requires_grad_(name in trained)
        if name in trained:
            place = count - depth(name, model.layers_name, count) + 1
            rate = options.learning_rate * options.decay ** (place - 1)
            _put(groups, parameter, place, rate, options.weight_decay)
    for parameter in model.head_parameters():
        _put(groups, parameter, 0, options.head_rate, options.weight_decay)
    return [groups[key] for key in sorted(groups)]


def _put(groups: dict[Any, Any], parameter: Tensor, place: int, rate: float, weight_decay: float) -> None:
    matrix = parameter.ndim > 1
    empty = {"params": [], "lr": rate, "rate": rate, "weight_decay": weight_decay if matrix else 0.0, "place": place}
    groups.setdefault((place, matrix), empty)["params"].append(parameter)


def depth(name: str, layers: str, count: int) -> int:
    """Where a parameter stands: 0 for embeddings, i + 1 for layer i, ``count`` for what comes after the layers."""
    found = re.match(re.escape(layers) + r"\.(\d+)\.", name)
    if found:
        return int(found[1]) + 1
    return 0 if "embed" in name else count


def trained_names(model: EncoderWithHeads, options: FineTuneOptions) -> set[str]:
    """Names of the encoder's parameters that ``options.train`` means."""
    names = [name for name, _ in model.backbone.named_parameters()]
    count = len(model.layers)
    if options.train == "head":
        return set()
    if options.train == "all":
        return set(names)
    if options.top is not None:
        if options.top > count:
            raise InvalidParameterError(
                f"train must be at most 'top-{count}' with this encoder; got {options.train!r}."
            )
        return {name for name in names if depth(name, model.layers_name, count) > count - options.top}
    return _named(names, options.train)


def _named(names: Sequence[str], prefixes: Sequence[str]) -> set[str]:
    found = set()
    for prefix in prefixes:
        own = {name for name in names if name.startswith(prefix)}
        if not own:
            shown = ", ".join(sorted({re.sub(r"\.\d+\..*", ".N", name) for name in names})[:8])
            raise InvalidParameterError(f"train names {prefix!r}, with which no parameter begins; there are {shown}.")
        found |= own
    return found
