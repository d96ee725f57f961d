"""What an encoder's folder says that training must know, read and checked before anything long begins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tlclassic.encoders.files import FolderFiles
from tlclassic.encoders.folder import read_json, read_spec
from tlclassic.errors import EncoderFormatError, InvalidParameterError
from tlclassic.finetune.export import transformer_folder

__all__ = ["Layout", "read_layout"]

#: Tokens of a text where the folder names no limit.
_MAX_LENGTH = 512


@dataclass(frozen=True)
class Layout:
    """An encoder's folder as training sees it.

    Attributes
    ----------
    root : Path
        The folder that was given, with ``modules.json`` if there is one.
    transformer : Path
        Where configuration, weights and tokenizer are: the root, or the folder of the first module (older folders of
        sentence-transformers have them in ``0_Transformer``).
    pooling : str
    max_length : int
        Tokens of a text, special ones counted.
    positions : int or None
        How many tokens the model has positions for; None where it has no such limit.
    pad : int
        Number of the padding token.
    """

    root: Path
    transformer: Path
    pooling: str
    max_length: int
    positions: int | None
    pad: int

    def length(self, wanted: int | None) -> int:
        """Tokens of a text: as wanted, else as the folder says.

        Raises
        ------
        InvalidParameterError
            Where the model has fewer positions.
        """
        if wanted is not None and self.positions is not None and wanted > self.positions:
            raise InvalidParameterError(
                f"max_length must be at most {self.positions}, the positions of this encoder; got {wanted}."
            )
        return wanted or self.max_length


class _AsExported(FolderFiles):
    """The folder as its export will look: with a graph, and the transformer's own files at the top."""

    def __init__(self, root: Path, transformer: Path) -> None:
        super().__init__(root)
        self._transformer = transformer

    def names(self) -> list[str]:
        return ["onnx/model.onnx"]

    def path(self, name: str) -> Path | None:
        own = self._transformer / name
        return own if own.is_file() else super().path(name)


def read_layout(source: str | os.PathLike[str]) -> Layout:
    """What the folder says, by the rules that the exported encoder goes by.

    Raises
    ------
    EncoderFormatError
        Where a file is missing or malformed, or a module or a way of pooling is asked for that is not trained here.
    """
    root = Path(source)
    transformer = transformer_folder(root)
    files = _AsExported(root, transformer)
    for module in read_json(files, "modules.json", list) or []:
        if isinstance(module, dict) and str(module.get("type")).rpartition(".")[2] == "Dense":
            raise EncoderFormatError(
                f"fine-tuning does not train the Dense module {str(module.get('path'))!r}", path=root / "modules.json",
                remedy="Remove it from a copy of modules.json, so that heads take the pooled vectors themselves",
            )  # fmt: skip
    spec = read_spec(files)
    if len(spec.pooling) != 1:
        raise EncoderFormatError(
            f"fine-tuning takes one way of pooling; this folder has {', '.join(spec.pooling)}", path=root,
            remedy="Leave one of them in 1_Pooling/config.json of a copy",
        )  # fmt: skip
    config = read_json(files, "config.json")
    positions = config.get("max_position_embeddings")
    # Where positions begin after the padding token's number, the first two are never used.
    usable = positions - (2 if spec.position_offset else 0) if isinstance(positions, int) and positions > 2 else None
    pad = config.get("pad_token_id")
    return Layout(
        root, transformer, spec.pooling[0], spec.max_length or _MAX_LENGTH, usable, pad if isinstance(pad, int) else 0
    )
