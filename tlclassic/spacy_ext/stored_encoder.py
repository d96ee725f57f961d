"""An ONNX encoder inside a pipeline: opened late, saved with its files or by path and digest."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tlclassic._validate import check_choice
from tlclassic.errors import ArtifactError, InvalidParameterError
from tlclassic.spacy_ext.files import STORES
from tlclassic.storage import atomic_write

__all__ = ["StoredEncoder"]

_FACTS, _FOLDER = "encoder.json", "encoder"


class StoredEncoder:
    """An encoder that gives states of tokens, and how a pipeline keeps it.

    Parameters
    ----------
    path : path-like or None
        The encoder's folder. None: :meth:`take` brings it.
    file : str
        Which graph: see :class:`tlclassic.OnnxEncoder`.
    store : {"embed", "refer"}
    max_length : int or None
    threads : int or None
    parameter : str
        What errors call the path.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        *,
        file: str = "auto",
        store: str = "embed",
        max_length: int | None = None,
        threads: int | None = None,
        parameter: str = "model",
    ) -> None:
        check_choice("store", store, STORES)
        self.path = None if path is None else os.fspath(path)
        self.store = store
        self.threads = threads
        self._options: dict[str, Any] = {"file": file, "max_length": max_length}
        self._parameter = parameter
        self._given: tuple[dict[str, Any], Any] | None = None

    @cached_property
    def encoder(self) -> Any:
        """The encoder, opened when it is first needed.

        Raises
        ------
        EncoderFormatError, InvalidParameterError, ArtifactError
            When there is none, its graph gives no states of tokens, or it is another than the pipeline was saved with.
        """
        from tlclassic.encoders import OnnxEncoder
        from tlclassic.encoders.state import from_state

        if self._given is not None:
            encoder = from_state(*self._given)
            self._check_digest(encoder)
        elif self.path is None:
            raise InvalidParameterError(f"{self._parameter} must be the path of an encoder's folder; got none.")
        else:
            encoder = OnnxEncoder(self.path, **self._options)
        if self.threads is not None:
            encoder.set_params(threads=self.threads)
        if encoder.output != "hidden":
            raise InvalidParameterError(
                f"{self._parameter} must be an encoder whose graph gives states of tokens; {encoder.spec.graph} gives "
                f"{encoder.output}. Export it with: tlclassic encoder export FOLDER OUT"
            )
        return encoder

    def _check_digest(self, encoder: Any) -> None:
        """Of an encoder that was referred to: whether its files are the ones that there were."""
        if self.store != "refer" or self._given is None:
            return
        expected = self._given[0]["encoder"]["files"]
        changed = [name for name, digest in expected.items() if encoder.files.digest(name) != digest]
        if changed:
            raise ArtifactError(
                f"{self.path}: this is not the encoder that the pipeline was trained with ({', '.join(changed)} "
                "changed). Put the right one there, or train again."
            )

    @property
    def can_open(self) -> bool:
        """Whether there is anything to open: a path in a config may be one of another machine."""
        return self._given is not None or (self.path is not None and os.path.isdir(self.path))

    # -- saving ------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Facts, JSON-able, and the files by name; none where they are referred to."""
        from tlclassic.encoders.state import to_state

        facts, arrays = to_state(self.encoder, include_model=self.store == "embed")
        return facts, {name.removeprefix("encoder/"): array.tobytes() for name, array in sorted(arrays.items())}

    def take(self, store: str, facts: dict[str, Any], files: Mapping[str, bytes] | Path) -> None:
        """The inverse of :meth:`state`; ``files`` may also be the folder that holds them."""
        from tlclassic.encoders import MemoryFiles

        self.store = store
        if store == "refer":
            self.path = facts["encoder"]["path"]
            self._given = (facts, self.path)
        else:
            self._given = (facts, files if isinstance(files, Path) else MemoryFiles(files))
        self.__dict__.pop("encoder", None)

    def to_disk(self, folder: Path) -> None:
        """Write the encoder into the folder of a component, its facts beside its files."""
        facts, files = self.state()
        for name, raw in files.items():
            place = folder / _FOLDER / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(place) as file:
                file.write(raw)
        with atomic_write(folder / _FACTS) as file:
            file.write(json.dumps({"store": self.store, "encoder": facts}, sort_keys=True).encode())

    def from_disk(self, folder: Path) -> None:
        """The inverse of :meth:`to_disk`; raises ``ArtifactError`` where the folder holds something else."""
        try:
            said = json.loads((folder / _FACTS).read_bytes())
            self.take(said["store"], said["encoder"], folder / _FOLDER)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{folder / _FACTS}: says of no encoder ({error!r:.100}). Save the pipeline anew."
            ) from error

    @staticmethod
    def lies_in(folder: Path) -> bool:
        """Whether :meth:`to_disk` wrote an encoder there."""
        return (folder / _FACTS).is_file()

    @staticmethod
    def clear(folder: Path) -> None:
        """A component without an encoder is saved where one with it was: forget that one."""
        (folder / _FACTS).unlink(missing_ok=True)
