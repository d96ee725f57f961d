"""Fitted models as files: how each kind is opened with a number of threads, asked, weighed and started anew."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Saved"]

#: From a list of texts to their labels, or to a list of labels each.
Predict = Callable[[list[str]], list[Any]]
_TEXT = "the first answer"
#: Parts of an encoder's folder that its predictions do not need, and torch's weights.
_DOCUMENTS = (".md", ".svg", ".html")
_WEIGHTS = (".safetensors", ".bin")


@dataclass(frozen=True)
class Saved:
    """A fitted model on disk.

    Attributes
    ----------
    kind : {"tlclassic", "encoder", "fasttext", "torch"}
    path : str
    classes : list
    multilabel : bool
    options : dict
        Of the kind; JSON-able.
    """

    kind: str
    path: str
    classes: list[Any]
    multilabel: bool
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def takes_threads(self) -> bool:
        """Whether one process can use several threads; of the others several processes are run."""
        return self.kind in ("encoder", "torch") or bool(self.options.get("threads"))

    def open(self, threads: int) -> Predict:
        """What answers texts."""
        return _OPENERS[self.kind](self, threads)

    def first_answer(self) -> list[str]:
        """The command that opens the model as its library is meant to be used, and asks it once."""
        program, *arguments = _PROGRAMS[self.kind](self)
        return [sys.executable, "-c", program, *arguments]

    def bytes(self) -> int:
        """Of all files that predictions need, those of a cascade's teacher included."""
        place = Path(self.path)
        files = [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
        total = sum(file.stat().st_size for file in files if self._is_needed(file, place))
        if self.options.get("head"):
            total += Path(self.options["head"]).stat().st_size
        return total + (Saved(**self.options["beside"]).bytes() if "beside" in self.options else 0)

    def _is_needed(self, file: Path, place: Path) -> bool:
        if self.kind == "torch":
            return file.suffix not in (*_DOCUMENTS, ".onnx")
        graphs = self.options.get("graphs")
        if graphs is None:
            return True
        # Of an encoder's folder the graph in use, and no torch weights.
        if file.suffix == ".onnx":
            return file.relative_to(place).as_posix() in graphs
        return file.suffix not in (*_DOCUMENTS, *_WEIGHTS)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; ``Saved(**...)`` makes it again."""
        return dict(vars(self))


# -- kinds -----------------------------------------------------------------------------------------------------------


def _open_tlclassic(saved: Saved, threads: int) -> Predict:
    from tlclassic.opening import load

    model = load(saved.path)
    _set_threads(model, threads)
    if type(model).__name__ == "CompiledClassifier":
        return lambda texts: _named(saved, model.predict(texts, threads=threads))
    return lambda texts: _named(saved, model.predict(texts))


def _set_threads(model: Any, threads: int) -> None:
    """Of every encoder inside."""
    for part in (getattr(model, "student", None), getattr(model, "teacher", None)):
        if part is not None:
            _set_threads(part, threads)
    for _, step in getattr(model, "steps", ()):
        _set_threads(step, threads)
    if type(model).__name__ in ("OnnxEncoder", "EncoderClassifier"):
        model.set_params(threads=threads)


def _open_encoder(saved: Saved, threads: int) -> Predict:
    from tlclassic.heads.encoder_classifier import open_encoder_folder

    model = open_encoder_folder(saved.path, file=saved.options["file"], threads=threads)
    return lambda texts: _named(saved, model.predict(texts))


def _open_fasttext(saved: Saved, threads: int) -> Predict:
    from tlclassic.comparison.peers import open_fasttext

    return open_fasttext(saved.path, saved.classes, saved.options["thresholds"])


def _open_torch(saved: Saved, threads: int) -> Predict:
    from tlclassic.finetune.peer import open_peer

    model = open_peer(saved.path, head=saved.options.get("head"), threads=threads)
    return lambda texts: _named(saved, model.predict(texts))


def _named(saved: Saved, predicted: Any) -> list[Any]:
    """Labels as lists; the columns of an indicator matrix by their names."""
    if not saved.multilabel:
        return list(np.asarray(predicted).tolist())
    return [[saved.classes[column] for column in np.flatnonzero(row).tolist()] for row in np.asarray(predicted)]


_OPENERS: dict[str, Callable[[Saved, int], Predict]] = {
    "tlclassic": _open_tlclassic,
    "encoder": _open_encoder,
    "fasttext": _open_fasttext,
    "torch": _open_torch,
}

_PROGRAMS: dict[str, Callable[[Saved], Sequence[str]]] = {
    "tlclassic": lambda saved: (
        f"import sys, tlclassic; tlclassic.load(sys.argv[1]).predict([{_TEXT!r}])",
        os.fspath(saved.path),
    ),
    "encoder": lambda saved: (
        f"import sys, tlclassic; tlclassic.EncoderClassifier(sys.argv[1], file=sys.argv[2]).predict([{_TEXT!r}])",
        os.fspath(saved.path),
        saved.options["file"],
    ),
    "fasttext": lambda saved: (
        f"import sys, fasttext; fasttext.load_model(sys.argv[1]).f.predict({_TEXT!r}, 1, 0.0, 'strict')",
        os.fspath(saved.path),
    ),
    "torch": lambda saved: (
        "import sys; from tlclassic.finetune.peer import open_peer\n"
        f"open_peer(sys.argv[1], head=sys.argv[2] or None).predict([{_TEXT!r}])",
        os.fspath(saved.path),
        saved.options.get("head") or "",
    ),
}
