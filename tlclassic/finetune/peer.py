"""An encoder run by torch through sentence-transformers or transformers, as a peer to be measured against.

Nothing of tlclassic's own way of running encoders is used here: batches, padding and pooling are the libraries' own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tlclassic._compat import is_installed
from tlclassic.finetune.layout import Layout, read_layout
from tlclassic.heads.encoder_heads import HEADS_FILE, TaskHead, read_heads

__all__ = ["TorchPeer", "open_peer"]

#: The default of sentence-transformers.
_BATCH = 32
Floats = NDArray[np.float32]


class TorchPeer:
    """A folder's encoder in torch on the CPU, with a head on its vectors.

    Parameters
    ----------
    folder : path-like
        As Hugging Face and sentence-transformers lay it out, with torch weights.
    predict_vectors : callable, optional
        From vectors to labels.
    threads : int, optional
        Of torch; as they are where None.

    Attributes
    ----------
    toolkit : {"sentence-transformers", "transformers"}
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        predict_vectors: Callable[[Floats], Any] | None = None,
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._predict = predict_vectors
        has_modules = Path(folder, "modules.json").is_file()
        self.toolkit = (
            "sentence-transformers" if has_modules and is_installed("sentence_transformers") else "transformers"
        )
        self._encode = _sentence_transformers(folder) if self.toolkit != "transformers" else _transformers(folder)

    def transform(self, texts: Sequence[str]) -> Floats:
        """Vectors of the texts, float32 of shape (n, dim)."""
        return self._encode(list(texts))

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Labels of shape (n,), or the indicator matrix (n, C) of several labels a text."""
        assert self._predict is not None
        return np.asarray(self._predict(self.transform(texts)))


def open_peer(
    folder: str | os.PathLike[str], *, head: str | os.PathLike[str] | None = None, threads: int | None = None
) -> TorchPeer:
    """A fine-tuned folder with its own heads; or any encoder with a head that :func:`tlclassic.save` wrote."""
    if head is not None:
        from tlclassic.pipelines import load

        return TorchPeer(folder, load(head).predict, threads)
    heads = read_heads(Path(folder, HEADS_FILE))
    return TorchPeer(folder, TaskHead.of(heads[heads.names[0]]).predict, threads)


def _sentence_transformers(folder: str | os.PathLike[str]) -> Callable[[list[str]], Floats]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(os.fspath(folder), device="cpu", local_files_only=True)
    return lambda texts: np.asarray(
        model.encode(texts, batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True), dtype=np.float32
    )


def _transformers(folder: str | os.PathLike[str]) -> Callable[[list[str]], Floats]:
    """As the page of a sentence encoder shows it: texts sorted by length, 32 at a time, padded to the longest."""
    import transformers

    layout = read_layout(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(layout.transformer, local_files_only=True)
    model = transformers.AutoModel.from_pretrained(layout.transformer, local_files_only=True).eval()
    normalize = _normalizes(Path(folder))

    def encode(texts: list[str]) -> Floats:
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        found = np.empty((len(texts), model.config.hidden_size), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                tokens = tokenizer(
                    [texts[row] for row in rows],
                    padding=True, truncation=True, max_length=layout.max_length, return_tensors="pt",
                )  # fmt: skip
                vectors = _pooled(model(**tokens).last_hidden_state, tokens["attention_mask"], layout)
                found[rows] = (torch.nn.functional.normalize(vectors) if normalize else vectors).numpy()
        return found

    return encode


def _pooled(states: Any, mask: Any, layout: Layout) -> Any:
    if layout.pooling == "cls":
        return states[:, 0]
    if layout.pooling == "max":
        return states.masked_fill(mask[..., None] == 0, float("-inf")).max(dim=1).values
    weights = mask[..., None].to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def _normalizes(folder: Path) -> bool:
    modules = folder / "modules.json"
    if not modules.is_file():
        return False
    return any(str(module.get("type", "")).endswith("Normalize") for module in json.loads(modules.read_text("utf-8")))
