"""``tlclassic_vectors``: vectors of documents, spans and tokens from word vectors, pooled by tlclassic."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_choice
from tlclassic.errors import InvalidParameterError
from tlclassic.spacy_ext.component import ModelComponent

require("spacy", purpose="tlclassic_vectors")
from spacy.language import Language  # noqa: E402
from spacy.tokens import Doc  # noqa: E402

__all__ = ["FACTORY", "POOLINGS", "VectorsComponent", "make_vectors"]

FACTORY = "tlclassic_vectors"
POOLINGS = ("mean", "sif", "usif", "max", "tfidf")
#: The vector of a document, kept with it so that it survives ``Doc.to_bytes`` and other processes; hooks do not.
EXTENSION = "tlclassic_vector"
_KEY = ("._.", EXTENSION, None, None)


def _set_extension() -> None:
    if not Doc.has_extension(EXTENSION):
        Doc.set_extension(EXTENSION, default=None)


class VectorsComponent(ModelComponent):
    """Sets what ``doc.vector``, ``span.vector``, ``token.vector`` and their ``similarity`` are, by spaCy's user hooks.

    The vectors of a batch of documents are pooled together, from their text; those of spans and tokens when they are
    asked for. ``doc._.tlclassic_vector`` holds the document's, float32 of shape (dim,), also where the document came
    from another process or a ``DocBin``, which hooks do not go through.

    Parameters
    ----------
    vocab : Vocab
    name : str
    model : path-like or None, default "base-en"
        The name of packaged vectors, or word vectors in any format that tlclassic reads (a store is mapped and not
        copied), or an :class:`~tlclassic.EmbeddingVectorizer` that :func:`tlclassic.save` wrote.
    store : {"embed", "refer"}, default "embed"
    pooling : {"sif", "mean", "usif", "max", "tfidf"}, default "sif"
        Weights of "sif" and "usif" come from the rank of the words. Common components are removed, and idf is known,
        after ``nlp.initialize``, which learns them from its documents.
    """

    def __init__(
        self,
        vocab: Any,
        name: str = FACTORY,
        *,
        model: str | os.PathLike[str] | None = "base-en",
        store: str = "embed",
        pooling: str = "sif",
    ) -> None:
        check_choice("pooling", pooling, POOLINGS)
        super().__init__(vocab, name, None if model is None else _where(model), store, {"pooling": pooling})
        _set_extension()

    def _open(self, path: Path) -> Any:
        from tlclassic.features import EmbeddingVectorizer
        from tlclassic.storage import Artifact
        from tlclassic.storage.reader import is_artifact

        if path.is_file() and is_artifact(path) and Artifact(path).kind == "pipeline":
            from tlclassic.pipelines import load

            found = load(path)
            if not isinstance(found, EmbeddingVectorizer):
                raise InvalidParameterError(
                    f"model must be word vectors or a saved EmbeddingVectorizer; {path} is {type(found).__name__}."
                )
            return found
        # Nothing is known of any texts yet, so there is no component that they have in common.
        return self._vectorizer(path, n_components=0).fit([""])

    def _vectorizer(self, vectors: Any, n_components: int | None) -> Any:
        from tlclassic.features import EmbeddingVectorizer
        from tlclassic.vectors import WordVectors

        held = vectors if isinstance(vectors, WordVectors) else WordVectors.load(vectors)
        return EmbeddingVectorizer(held, pooling=self.cfg["pooling"], n_components=n_components)

    def _save(self, path: Path) -> None:
        from tlclassic.pipelines import save

        save(self.opened, path)

    def initialize(self, get_examples: Callable[[], Iterable[Any]], *, nlp: Any = None) -> None:
        """Learn weights and common components from the texts of the examples, two at least.

        spaCy makes one up where there are none (``spacy assemble``); what it has in common with itself is all of it.
        """
        texts = [example.reference.text for example in get_examples()]
        if len(texts) > 1:
            self._opened = self._vectorizer(self.opened.vectors_, n_components=None).fit(texts)
            self._dirty = True

    def predict(self, docs: Sequence[Any]) -> NDArray[np.float32]:
        """The documents' vectors, float32 of shape (n, dim)."""
        found: NDArray[np.float32] = self.opened.transform([doc.text for doc in docs])
        return found

    def set_annotations(self, docs: Sequence[Any], predictions: Any) -> None:
        """Write vectors and hooks into the documents."""
        for doc, vector in zip(docs, predictions, strict=True):
            # A copy, so that one document kept does not keep the vectors of its batch.
            doc.user_data[_KEY] = vector.copy()
            doc.user_hooks.update(vector=_own, similarity=_similarity, has_vector=_has)
            doc.user_span_hooks.update(vector=self._piece, similarity=_similarity, has_vector=_has)
            doc.user_token_hooks.update(vector=self._piece, similarity=_similarity, has_vector=_has)

    def _piece(self, piece: Any) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.opened.transform([piece.text])[0]
        return vector


def _where(model: Any) -> str:
    from tlclassic.vectors.embedded import EMBEDDED, embedded_path

    if isinstance(model, str) and model in EMBEDDED:
        return os.fspath(embedded_path(model))
    return str(os.fspath(model))


def _own(doc: Any) -> Any:
    return doc.user_data[_KEY]


def _has(piece: Any) -> bool:
    return bool(piece.vector.any())


def _similarity(one: Any, other: Any) -> float:
    """The cosine of two vectors; 0 where one of them is zero."""
    a, b = one.vector, other.vector
    norms = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a @ b) / norms if norms else 0.0


@Language.factory(  # type: ignore[untyped-decorator]
    FACTORY,
    assigns=[f"doc._.{EXTENSION}"],
    default_config={"model": "base-en", "store": "embed", "pooling": "sif"},
)
def make_vectors(nlp: Language, name: str, model: str | None, store: str, pooling: str) -> VectorsComponent:
    """The factory of :class:`VectorsComponent`."""
    return VectorsComponent(nlp.vocab, name, model=model, store=store, pooling=pooling)
