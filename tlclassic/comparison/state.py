"""What is done already: rows in a JSON file beside the fitted models, by digests of all that they depend on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlclassic.comparison.fitting import Fitted
from tlclassic.errors import InputError
from tlclassic.storage import atomic_write

__all__ = ["FILE", "State"]

FILE = "state.json"
_FORMAT = 1
_REMEDY = "Give the path of a new folder"


class State:
    """The file; written whole after every change, so that a killed run goes on with the next model.

    Parameters
    ----------
    folder : Path
        New, empty, or of an earlier run.

    Raises
    ------
    InputError
        When the folder holds other files, or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.models: dict[str, dict[str, Any]] = {}
        self.speed: dict[str, Any] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                self._read()
            elif any(folder.iterdir()):
                raise InputError("this folder holds other files", path=folder, remedy=_REMEDY)
        except OSError as error:
            raise InputError(f"cannot write here ({error.strerror})", path=folder, remedy=_REMEDY) from error
        self._write()

    def _read(self) -> None:
        try:
            known = json.loads(self._path.read_text("utf-8"))
            if known["format"] != _FORMAT:
                raise InputError(f"written in format {known['format']}", path=self._path, remedy=_REMEDY)
            self.models, self.speed = dict(known["models"]), dict(known["speed"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("not the state of a comparison", path=self._path, remedy=_REMEDY) from error

    def _write(self) -> None:
        known = {"format": _FORMAT, "models": self.models, "speed": self.speed}
        with atomic_write(self._path) as file:
            file.write(json.dumps(known, indent=1, allow_nan=False).encode() + b"\n")

    def fitted(self, name: str, key: str) -> list[Fitted] | None:
        """The rows of a model that was fitted with the same key, and is still there."""
        known = self.models.get(name)
        if known is None or known["key"] != key:
            return None
        rows = [Fitted.from_dict(row) for row in known["fitted"]]
        return rows if all(Path(row.saved.path).exists() for row in rows) else None

    def keep_fitted(self, name: str, key: str, rows: list[Fitted], seconds: float) -> None:
        """After a fit."""
        self.models[name] = {
            "key": key, "fitted": [row.as_dict() for row in rows], "seconds": seconds, "measured": {}
        }  # fmt: skip
        self._write()

    def measured(self, name: str, row: str, test: str) -> dict[str, Any] | None:
        """Scores and costs of a row, on the test texts of that digest."""
        known = self.models[name]["measured"].get(row)
        return known["values"] if known is not None and known["test"] == test else None

    def keep_measured(self, name: str, row: str, test: str, values: Mapping[str, Any]) -> None:
        """After the look at the test texts."""
        self.models[name]["measured"][row] = {"test": test, "values": dict(values)}
        self._write()

    def keep_speed(self, key: str, values: Mapping[str, Any]) -> None:
        """After all models have been timed in turn."""
        self.speed = {"key": key, "values": dict(values)}
        self._write()
