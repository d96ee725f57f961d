"""States of a run on disk, so that a killed one goes on: one safetensors file, no pickle."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from tlclassic.errors import TlclassicWarning
from tlclassic.storage import atomic_write

__all__ = ["Checkpoints", "Progress", "Resumable", "digest_of"]


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of something that JSON can say; other objects count as they print."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()


class Progress(Protocol):
    """How far a run is."""

    step: int
    finished: bool


class Resumable(Protocol):
    """A trainer whose state can be kept."""

    @property
    def state(self) -> Progress:
        """Steps done, and whether they were all."""

    def state_arrays(self) -> dict[str, torch.Tensor]:
        """What is as large as the model, by name."""

    def state_json(self) -> dict[str, Any]:
        """The rest of the state, as plain values."""

    def load_state(self, arrays: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        """Go on from what the other two said."""


class Checkpoints:
    """The last state of one run.

    Parameters
    ----------
    path : path-like
        The file; removed when the run has ended well.
    key : mapping
        What the run is made of (data, settings, source): a state of another run is passed over with a warning.
    seconds : float
        At most one state in so many seconds is written; each takes a few seconds of disk.
    resume : bool
        Whether a state that is there already is used.

    Attributes
    ----------
    resumed : int or None
        Steps that were done already, where a state was used.
    """

    def __init__(
        self, path: str | os.PathLike[str], key: Mapping[str, Any], *, seconds: float = 60.0, resume: bool = True
    ) -> None:
        self.path = Path(path)
        self.resumed: int | None = None
        self._key = digest_of(dict(key))
        self._seconds = seconds
        self._resume = resume
        self._last = time.monotonic()

    def restore(self, trainer: Resumable) -> None:
        """Give ``trainer`` the state on disk, if there is one of this run."""
        self._clear()
        if not self._resume or not self.path.exists():
            return
        try:
            with safe_open(self.path, framework="pt") as file:
                said = file.metadata() or {}
                if said.get("key") != self._key:
                    self._pass_over("belongs to a run with other data or settings")
                    return
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
                state = json.loads(said["state"])
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            self._pass_over(f"cannot be read ({error})")
            return
        trainer.load_state(arrays, state)
        self.resumed = trainer.state.step

    def save(self, trainer: Resumable) -> None:
        """Write the state, unless the last one is young; call it after every step."""
        if time.monotonic() - self._last < self._seconds and not trainer.state.finished:
            return
        arrays = {name: value.detach().cpu().contiguous() for name, value in trainer.state_arrays().items()}
        raw = save(_separate(arrays), {"key": self._key, "state": json.dumps(trainer.state_json())})
        with atomic_write(self.path) as file:
            file.write(raw)
        self._last = time.monotonic()

    def remove(self) -> None:
        """Forget the state: the run has ended well."""
        self.path.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove what a run left that was killed while it wrote a state: the temporary file of an atomic write."""
        temporary = re.compile(re.escape(f".{self.path.name[:40]}.") + r"[0-9a-f]{12}\.tmp")
        for path in self.path.parent.iterdir():
            if temporary.fullmatch(path.name) and path.is_file():
                path.unlink(missing_ok=True)

    def _pass_over(self, why: str) -> None:
        warnings.warn(f"{self.path}: the kept state {why}; training begins anew.", TlclassicWarning, stacklevel=3)


def _separate(arrays: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """safetensors refuses tensors that share memory; averages begin as views of nothing, but a best may be the same."""
    seen: set[int] = set()
    result = {}
    for name, value in arrays.items():
        place = value.data_ptr()
        result[name] = value.clone() if place in seen else value
        seen.add(place)
    return result
