"""Shared by the tests of fine-tuning: a tiny BERT with torch weights, texts whose words tell two classes
apart, and sentences of tagged tokens."""

from __future__ import annotations

import json
import shutil

from tests.tiny_encoder import make_tiny_encoder

GOOD, BAD = ("good", "great", "fine", "help"), ("bad", "poor", "lost", "late")
WORDS = [word for pair in zip(GOOD, BAD, strict=True) for word in pair]
TEXTS = [f"the {word} {noun}" for noun in ("film", "plot", "card", "phone") for word in WORDS]
LABELS = ["pos", "neg"] * (len(TEXTS) // 2)

#: The word before tells whether "card" and the like begin an entity, so that the encoder has something to learn.
SENTENCES = [
    ["my", "card", "zq", "is", "lost"], ["the", "card", "is", "late"], ["where", "is", "my", "phone", "!"],
    ["the", "phone", "zq"],
] * 6  # fmt: skip
TAGS = [
    ["O", "B-THING", "I-THING", "O", "O"], ["O", "O", "O", "O"], ["O", "O", "O", "B-THING", "O"], ["O", "O", "O"],
] * 6  # fmt: skip
TAG_SETTINGS = {
    "epochs": 10, "batch_size": 8, "learning_rate": 0.01, "head_learning_rate": 0.01, "precision": "float32",
    "threads": 1, "dropout": 0.0, "encoder_dropout": 0.0,
}  # fmt: skip


def make_torch_encoder(folder, *, layers=2, positions=64, pooling="mean"):
    """A folder as it is downloaded: torch weights, tokenizer and settings, no graph."""
    import torch
    import transformers

    make_tiny_encoder(folder, pooling=pooling)
    shutil.rmtree(folder / "onnx")
    words = len(json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"])
    config = transformers.BertConfig(
        vocab_size=words, hidden_size=16, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=positions, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    return folder


def files_below(folder):
    """Names of all files below a folder, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
