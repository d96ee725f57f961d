"""Tasks that attend to token states, as one graph of several outputs and heads that read its vectors.

The graph gives ``sentence_embedding``, the vectors of all tasks side by side, and the logits of each task as
``logits_TASK``. Whoever runs the graph alone reads the logits; :class:`~tlclassic.EncoderClassifier` reads the vectors
and applies the heads of ``heads.tlc``, whose first layers have zeros at the other tasks' places.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tlclassic.finetune.export import export_module
from tlclassic.finetune.model import EncoderWithHeads

__all__ = ["export_tasks", "head_layers", "output_of"]


def output_of(task: str) -> str:
    """The name of the output that has a task's logits."""
    return f"logits_{task}"


class _Graph(nn.Module):  # type: ignore[misc]
    """The whole model with named outputs; attention is switched as the exporter does with an encoder."""

    def __init__(self, model: EncoderWithHeads) -> None:
        super().__init__()
        self.model = model
        self.config = model.backbone.config
        self.set_attn_implementation = model.backbone.set_attn_implementation

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        vectors = self.model.vectors(input_ids, attention_mask)
        logits = {output_of(task): values for task, values in self.model.logits(vectors).items()}
        return {"sentence_embedding": vectors.flatten(1), **logits}


def export_tasks(model: EncoderWithHeads, path: Path) -> None:
    """Write the model as one ONNX graph.

    Raises
    ------
    EncoderFormatError
        When it cannot be traced.
    """
    names = [output_of(task) for task in model.tasks]
    export_module(_Graph(model), path, inputs=("input_ids", "attention_mask"), output="pooled", more=names)


def head_layers(model: EncoderWithHeads, place: int) -> tuple[tuple[NDArray[Any], NDArray[Any]], ...]:
    """Weights and biases of a task's head, for the vectors that the graph gives."""
    layers = [
        (layer.weight.detach().cpu().numpy(), layer.bias.detach().cpu().numpy()) for layer in model.heads[place].layers
    ]
    if model.task_pooling is not None:
        weight, bias = layers[0]
        width = weight.shape[1]
        padded = np.zeros((len(weight), len(model.tasks) * width), np.float32)
        padded[:, place * width : (place + 1) * width] = weight
        layers[0] = (padded, bias)
    return tuple(layers)
