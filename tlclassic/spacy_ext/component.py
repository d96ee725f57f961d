"""What tlclassic's components have in common: opening late, batches, saving, travelling to other processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from tlclassic._compat import require
from tlclassic._validate import check_choice
from tlclassic.errors import ArtifactError, InvalidParameterError
from tlclassic.spacy_ext.files import STORES, ModelFiles
from tlclassic.storage import atomic_write

require("spacy", purpose="A spaCy component")
import srsly  # noqa: E402
from spacy.pipeline.pipe import Pipe  # noqa: E402
from spacy.util import minibatch  # noqa: E402

__all__ = ["ModelComponent"]

_CFG, _FOLDER = "cfg", "model"


# Design: a factory does not open its model. spaCy makes every component of a saved pipeline from its config, with the
# path that the model had on the machine where it was put together, before `from_disk` says where its files are now.
class ModelComponent(Pipe):
    """A component around a model that tlclassic saved; it is opened when it is first needed.

    Parameters
    ----------
    vocab : Vocab
        The pipeline's, shared.
    name : str
    model : path-like or None
        None: there is none before ``initialize`` or ``from_disk``.
    store : {"embed", "refer"}
    cfg : dict
        JSON-able settings that are saved with the pipeline.
    """

    def __init__(self, vocab: Any, name: str, model: str | os.PathLike[str] | None, store: str, cfg: dict[str, Any]):
        check_choice("store", store, STORES)
        # Configs are typed by whoever writes them.
        given: Any = model
        if not (given is None or isinstance(given, (str, os.PathLike))):
            raise InvalidParameterError(f"model must be the path of a saved model; got {given!r:.100}.")
        self.vocab = vocab
        self.name = name
        self.store = store
        self.cfg = cfg
        self.path: str | None = None if model is None else os.fspath(model)
        self._files: ModelFiles | None = None
        self._opened: Any = None
        self._dirty = False
        self._expected: str | None = None

    # -- what a component says of its model --------------------------------------------------------------------------

    def _open(self, path: Path) -> Any:
        """The model at ``path``."""
        raise NotImplementedError

    def _save(self, path: Path) -> None:
        """Write the model as it is now to ``path``."""
        raise NotImplementedError

    def predict(self, docs: Sequence[Any]) -> Any:
        """What :meth:`set_annotations` takes, of documents of at least one."""
        raise NotImplementedError

    def set_annotations(self, docs: Sequence[Any], predictions: Any) -> None:
        """Write predictions into their documents."""
        raise NotImplementedError

    @property
    def files(self) -> ModelFiles:
        """The model's files.

        Raises
        ------
        InputError, InvalidParameterError, ArtifactError
            When they are not there, there is no model yet, or it has changed since the pipeline was saved.
        """
        if self._dirty:
            written = ModelFiles.written(self._save)
            written.opened()
            self._files, self._dirty = written, False
        if self._files is None:
            if self.path is None:
                raise InvalidParameterError(
                    f"model of the component {self.name!r} must be given: {self._without_model}."
                )
            files = ModelFiles(self.path)
            if self._expected is not None:
                files.check(self._expected)
            self._files = files
        return self._files

    _without_model = "there is none yet. Set it in the config to the path of a model saved by tlclassic"

    @property
    def opened(self) -> Any:
        """The model, opened."""
        if self._opened is None:
            self._opened = self._open(self.files.path)
            self.files.opened()
        return self._opened

    # -- documents ---------------------------------------------------------------------------------------------------

    def __call__(self, doc: Any) -> Any:
        """Annotate one document; an error goes to the error handler."""
        try:
            self.set_annotations([doc], self.predict([doc]))
        except Exception as error:  # spaCy's handler decides what is fatal
            self.get_error_handler()(self.name, self, [doc], error)
        return doc

    def pipe(self, stream: Iterable[Any], *, batch_size: int = 1000) -> Iterator[Any]:
        """Annotate a stream of documents, in batches.

        Where a batch fails its documents are tried one by one, so that the error handler is told of those alone that
        fail by themselves.
        """
        for docs in minibatch(stream, size=batch_size):
            yield from self._annotated(docs)

    def _annotated(self, docs: list[Any]) -> Iterator[Any]:
        try:
            self.set_annotations(docs, self.predict(docs))
        except Exception as error:
            if len(docs) == 1:
                # By default it raises; one that is set may not.
                handler: Any = self.get_error_handler()
                handler(self.name, self, docs, error)
                return
            for doc in docs:
                yield from self._annotated([doc])
        else:
            yield from docs

    # -- saving ------------------------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        facts = {"cfg": self.cfg, "store": self.store, "refer": None}
        if self._has_model and self.store == "refer" and not self._trained:
            facts["refer"] = {"path": os.fspath(self.files.path), "digest": self.files.digest()}
        return facts

    @property
    def _has_model(self) -> bool:
        return self._dirty or self._files is not None or self.path is not None

    @property
    def _can_tell(self) -> bool:
        """Whether the model can be asked: spaCy asks for labels also before a saved pipeline brings its model."""
        here = self._files is not None or (self.path is not None and os.path.exists(self.path))
        return self._opened is not None or here

    @property
    def _trained(self) -> bool:
        """Whether the model is not the one that ``path`` names any more, so that there is nothing to refer to."""
        return self._dirty or (self._files is not None and self._files.raw is not None)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The component as bytes, its model with it unless ``store`` is "refer"."""
        facts = self._facts()
        files = self.files.read() if self._has_model and facts["refer"] is None else None
        raw: bytes = srsly.msgpack_dumps({"facts": json.dumps(facts, sort_keys=True), "files": files})
        return raw

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """The inverse of :meth:`to_bytes`."""
        held = srsly.msgpack_loads(bytes_data)
        self._take(json.loads(held["facts"]), None if held["files"] is None else ModelFiles.from_bytes(held["files"]))
        return self

    def to_disk(self, path: str | os.PathLike[str], *, exclude: Iterable[str] = ()) -> None:
        """Write the component into the folder ``path``, its model with it unless ``store`` is "refer"."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        facts = self._facts()
        if self._has_model and facts["refer"] is None:
            self.files.copy(folder / _FOLDER)
        with atomic_write(folder / _CFG) as file:
            file.write(json.dumps(facts, sort_keys=True).encode())

    def from_disk(self, path: str | os.PathLike[str], *, exclude: Iterable[str] = ()) -> Self:
        """The inverse of :meth:`to_disk`; the model is mapped where it lies.

        Raises
        ------
        ArtifactError
            When the folder was not written by :meth:`to_disk`.
        """
        folder = Path(path)
        try:
            facts = json.loads((folder / _CFG).read_bytes())
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{folder}: holds no tlclassic component ({error}). Save the pipeline anew.") from error
        self._take(facts, ModelFiles.inside(folder / _FOLDER) if (folder / _FOLDER).is_dir() else None)
        if self._files is not None:
            # Now, and not when it is needed: a mapped file goes on to be readable when its folder is removed.
            _ = self.opened
        return self

    def _take(self, facts: Any, files: ModelFiles | None) -> None:
        if not isinstance(facts, dict) or set(facts) != {"cfg", "store", "refer"} or not isinstance(facts["cfg"], dict):
            raise ArtifactError(f"the saved component {self.name!r} is malformed. Save the pipeline anew.")
        self.cfg, self.store = facts["cfg"], facts["store"]
        refer = facts["refer"] or {}
        self.path, self._expected = refer.get("path"), refer.get("digest")
        self._files, self._opened, self._dirty = files, None, False

    def __reduce__(self) -> tuple[Any, ...]:
        # What spaCy sends to another process that it did not fork.
        return _again, (type(self), self.vocab, self.name, self.to_bytes(), vars(self).get("error_handler"))


def _again(cls: type[ModelComponent], vocab: Any, name: str, raw: bytes, error_handler: Any) -> ModelComponent:
    component = cls.__new__(cls)
    ModelComponent.__init__(component, vocab, name, None, "embed", {})
    component.from_bytes(raw)
    if error_handler is not None:
        component.set_error_handler(error_handler)
    return component
