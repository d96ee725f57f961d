"""``tlclassic.StaticVectors.v1``: word vectors of any source as the features of a ``Tok2Vec``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_choice
from tlclassic.errors import InvalidParameterError
from tlclassic.spacy_ext.building import build_tok2vec
from tlclassic.spacy_ext.files import STORES, ModelFiles
from tlclassic.spacy_ext.frozen import FrozenShim, frozen_layer

require("spacy", purpose="tlclassic.StaticVectors.v1")
import srsly  # noqa: E402
from spacy.attrs import ORTH  # noqa: E402
from spacy.util import registry  # noqa: E402

__all__ = ["ARCHITECTURE", "StaticVectors", "VectorsShim"]

ARCHITECTURE = "tlclassic.StaticVectors.v1"
#: Words whose vectors are kept as they were last looked up: 50 MB at 256 numbers, and nearly every word of a text.
_KEPT_WORDS = 50_000
#: Words by which the size of the vectors is told.
_MEASURED = 10_000


class VectorsShim(FrozenShim):
    """Looks the words of documents up in a store of word vectors, which is mapped and not copied.

    A word is taken as it stands, then in lower case; one that is unknown still is split by the tokeniser that suits the
    vectors and is the mean of its parts, by sub-words where the vectors have them, else zero. All are divided by one
    number, so that a vector has about the length ``sqrt(dim)``.

    Parameters
    ----------
    vectors : path-like or None
        Word vectors in any format, or the name of packaged ones. None: ``from_bytes`` brings them.
    store : {"embed", "refer"}
    """

    def __init__(self, vectors: str | os.PathLike[str] | None, store: str = "embed") -> None:
        super().__init__()
        check_choice("store", store, STORES)
        self.path = None if vectors is None else _where(vectors)
        self.store = store
        self._files: ModelFiles | None = None
        self._expected: str | None = None
        self._places: dict[int, int] = {}

    @cached_property
    def vectors(self) -> Any:
        """The word vectors, opened when they are first needed."""
        from tlclassic.vectors import WordVectors

        if self._files is not None:
            found = WordVectors.load(self._files.path)
            self._files.opened()
            return found
        if self.path is None:
            raise InvalidParameterError("vectors must be given: a path of word vectors, or the name of packaged ones.")
        found = WordVectors.load(self.path)
        if self._expected is not None and found.digest != self._expected:
            raise InvalidParameterError(
                f"vectors must be those that the pipeline was trained with; {self.path} holds others by now (digest "
                "differs). Put the right ones there, or train again."
            )
        return found

    @property
    def dim(self) -> int:
        """Numbers of each token."""
        return int(self.vectors.dim)

    @cached_property
    def _scale(self) -> float:
        norms = self.vectors.norms[:_MEASURED]
        mean = float(norms.mean()) if len(norms) else 0.0
        return float(np.sqrt(self.dim)) / mean if mean else 1.0

    @cached_property
    def _vectorizer(self) -> Any:
        from tlclassic.features import EmbeddingVectorizer

        return EmbeddingVectorizer(self.vectors, pooling="mean").fit([""])

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        return np.zeros((_KEPT_WORDS, self.dim), dtype=np.float32)

    def features(self, docs: Sequence[Any], is_train: bool) -> NDArray[np.float32]:
        """The vectors of all tokens, float32 of shape (n_tokens, dim)."""
        keys = np.concatenate([doc.to_array(ORTH) for doc in docs])
        distinct, inverse = np.unique(keys, return_inverse=True)
        numbers = distinct.tolist()
        new = [key for key in numbers if key not in self._places]
        if len(new) > _KEPT_WORDS:
            return self._look_up([docs[0].vocab.strings[key] for key in numbers])[inverse]
        if new:
            if len(self._places) + len(new) > _KEPT_WORDS:
                self._places.clear()
                new = numbers
                if len(new) > _KEPT_WORDS:
                    return self._look_up([docs[0].vocab.strings[key] for key in numbers])[inverse]
            first = len(self._places)
            self._table[first : first + len(new)] = self._look_up([docs[0].vocab.strings[key] for key in new])
            self._places.update(zip(new, range(first, first + len(new)), strict=True))
        rows = np.fromiter(map(self._places.__getitem__, numbers), dtype=np.int64, count=len(numbers))
        return self._table[rows[inverse]]

    def _look_up(self, words: list[str]) -> NDArray[np.float32]:
        """The vectors of words, float32 of shape (n, dim), to scale."""
        rows = self.vectors.rows(words)
        missing = np.flatnonzero(rows < 0)
        rows[missing] = self.vectors.rows([words[i].lower() for i in missing.tolist()])
        known = rows >= 0
        found = np.zeros((len(words), self.dim), dtype=np.float32)
        found[known] = self.vectors.take(rows[known])
        left = np.flatnonzero(~known).tolist()
        if left:
            found[left] = self._vectorizer.transform([words[i] for i in left])
        found *= self._scale
        return found

    # -- saving ------------------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The store with its words, or its path and digest."""
        held = None
        facts: dict[str, Any] = {"store": self.store}
        if self.store == "embed":
            held = self._store_files().read()
        else:
            facts |= {"path": self.path, "digest": self.vectors.digest}
        raw: bytes = srsly.msgpack_dumps({"facts": json.dumps(facts, sort_keys=True), "files": held})
        return raw

    def _store_files(self) -> ModelFiles:
        """The store's file: as it came, or one that is written of other formats."""
        if self._files is None:
            path = self.vectors.path
            self._files = ModelFiles(path) if path is not None else ModelFiles.written(self._written)
        return self._files

    def _written(self, path: Path) -> None:
        self.vectors.save(path)

    def from_bytes(self, data: bytes) -> Self:
        """The inverse of :meth:`to_bytes`."""
        held = srsly.msgpack_loads(data)
        facts = json.loads(held["facts"])
        self.store, self.path, self._expected = facts["store"], facts.get("path"), facts.get("digest")
        self._files = None if held["files"] is None else ModelFiles.from_bytes(held["files"])
        for name in ("vectors", "_scale", "_vectorizer", "_table"):
            self.__dict__.pop(name, None)
        self._places = {}
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.to_bytes(),)


def _again(raw: bytes) -> VectorsShim:
    return VectorsShim(None).from_bytes(raw)


def _where(vectors: Any) -> str:
    from tlclassic.vectors.embedded import EMBEDDED, embedded_path

    if isinstance(vectors, str) and vectors in EMBEDDED:
        return str(embedded_path(vectors))
    return str(os.fspath(vectors))


@registry.architectures(ARCHITECTURE)  # type: ignore[untyped-decorator]
def StaticVectors(
    vectors: str = "base-en",
    store: str = "embed",
    width: int = 96,
    attrs: list[str] = ["NORM", "PREFIX", "SUFFIX", "SHAPE"],  # noqa: B006 (spaCy fills a config with what stands here)
    rows: list[int] = [5000, 1000, 2500, 2500],  # noqa: B006
    depth: int = 4,
    window_size: int = 1,
    maxout_pieces: int = 3,
) -> Any:
    """A ``Tok2Vec`` over word vectors that stay as they are.

    Parameters
    ----------
    vectors : str
        The name of packaged vectors, or the path of word vectors in any format that tlclassic reads; a store is mapped.
        Nothing is put into the vocab.
    store : {"embed", "refer"}
        Whether a saved pipeline holds the store, or its path and digest.
    width, attrs, rows, depth, window_size, maxout_pieces
        Of what is trained: see docs/spacy.md.

    Returns
    -------
    Model[List[Doc], List[Floats2d]]
    """
    return build_tok2vec(
        frozen_layer("tlclassic_static_vectors", VectorsShim(vectors, store)),
        width=width, attrs=attrs, rows=rows, depth=depth, window_size=window_size, maxout_pieces=maxout_pieces,
    )  # fmt: skip
