"""What tasks on one encoder have of their own: a query over the token states, and a look at each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["CrossTask", "TaskPooling"]


class TaskPooling(nn.Module):  # type: ignore[misc]
    """Each task's own attention over the token states: a softmax of their products with its query.

    Queries begin near zero, so that the first step pools by the mean. Sentence-level attention with a learned query:
    Yang et al. 2016, https://aclanthology.org/N16-1174.

    Parameters
    ----------
    width : int
        Of the states.
    tasks : int
    """

    def __init__(self, width: int, tasks: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(tasks, width))
        nn.init.normal_(self.query, std=0.02)

    def weights(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """How much of each token every task takes, (B, T, L); rows sum to 1, padding has 0."""
        scores = torch.einsum("bld,td->btl", states, self.query) / math.sqrt(states.shape[2])
        if mask is not None:
            scores = scores.masked_fill(mask[:, None] == 0, -torch.inf)
        return torch.softmax(scores, dim=2)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """A vector for every text and task, (B, T, d), of states (B, L, d) and mask (B, L)."""
        return torch.matmul(self.weights(states, mask), states)


class CrossTask(nn.Module):  # type: ignore[misc]
    """Attention of every task's vector over those of all tasks, added to it; nothing is added at the beginning.

    Parameters
    ----------
    width : int
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        for layer in (self.query, self.key, self.value):
            nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(self.out.weight)

    def weights(self, vectors: Tensor) -> Tensor:
        """How much each task (rows) takes of each (columns), (B, T, T); rows sum to 1."""
        scores = torch.matmul(self.query(vectors), self.key(vectors).transpose(1, 2))
        return torch.softmax(scores / math.sqrt(vectors.shape[2]), dim=2)

    def forward(self, vectors: Tensor) -> Tensor:
        """Of the same shape (B, T, d)."""
        found: Tensor = vectors + self.out(torch.matmul(self.weights(vectors), self.value(vectors)))
        return found
