"""Transformer encoders through onnxruntime: features for scikit-learn, with no torch at prediction time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlclassic.encoders.encoder import OnnxEncoder
    from tlclassic.encoders.files import EncoderFiles, FolderFiles, MemoryFiles

__all__ = ["EncoderFiles", "FolderFiles", "MemoryFiles", "OnnxEncoder"]


def __getattr__(name: str) -> Any:
    # scikit-learn is imported with the encoder only, not with the tools beside it.
    if name == "OnnxEncoder":
        from tlclassic.encoders.encoder import OnnxEncoder

        return OnnxEncoder
    if name in __all__:
        from tlclassic.encoders import files

        return getattr(files, name)
    raise AttributeError(f"module 'tlclassic.encoders' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
