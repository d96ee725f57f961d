"""The folder of a result: it replaces results alone."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tlclassic.heads.encoder_heads import HEADS_FILE, TOKEN_HEADS_FILE
from tlclassic.storage import folders

__all__ = ["TRAINING_FILE", "check_folder", "new_folder"]

TRAINING_FILE = "training.json"


def check_folder(target: Path, *, force: bool) -> None:
    """Raise unless a result may go there: nothing, an empty folder, or with ``force`` an earlier result.

    Raises
    ------
    InputError
    """
    folders.check_replaceable(target, is_own=_is_result, what="a result", force=force)


def _is_result(folder: Path) -> bool:
    heads = any((folder / name).is_file() for name in (HEADS_FILE, TOKEN_HEADS_FILE))
    return heads and (folder / TRAINING_FILE).is_file()


def new_folder(target: Path, *, force: bool) -> AbstractContextManager[Path]:
    """A hidden folder to write into; it takes the target's place when the block ends well, and is removed when not.

    Raises
    ------
    InputError
        Where the target may not be replaced, cannot be written, or is being made by another run.
    """
    return folders.new_folder(target, check=lambda place: check_folder(place, force=force))
