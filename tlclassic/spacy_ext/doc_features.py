"""``DocFeatures``: what a spaCy pipeline says of texts, as numbers for scikit-learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_choice, check_integer, check_texts
from tlclassic.errors import InvalidParameterError

require("sklearn", purpose="DocFeatures")
from sklearn.base import BaseEstimator, TransformerMixin  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402

__all__ = ["FEATURES", "DocFeatures"]

#: Features of a document that are a vector, and those that are counts of names.
VECTORS: dict[str, Callable[[Any], Any]] = {
    "vector": lambda doc: doc.vector,
    "tensor": lambda doc: doc.tensor.mean(axis=0) if doc.tensor.size else None,
}
COUNTS: dict[str, Callable[[Any], Iterable[str]]] = {
    "pos": lambda doc: (token.pos_ for token in doc),
    "tag": lambda doc: (token.tag_ for token in doc),
    "dep": lambda doc: (token.dep_ for token in doc),
    "lemma": lambda doc: (token.lemma_ for token in doc),
    "ents": lambda doc: (span.label_ for span in doc.ents),
}
FEATURES = (*VECTORS, *COUNTS, "cats", "length")


class DocFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn texts into features by running them through a spaCy pipeline.

    Parameters
    ----------
    nlp : spacy.Language
        Its components have to write what ``features`` reads.
    features : str or sequence of str, default "vector"
        "vector": ``doc.vector``; "tensor": the mean of ``doc.tensor``; "cats": ``doc.cats``; "pos", "tag", "dep",
        "lemma", "ents": the share of the document's tokens (of its entities, for "ents": their number) with each name
        that occurred in fitting; "length": the logarithm of one more than the number of tokens.
    batch_size : int, default 256
    n_process : int, default 1

    Attributes
    ----------
    names_ : dict of str to list of str
        For each feature the names of its columns.
    n_features_out_ : int

    Examples
    --------
    >>> import spacy  # doctest: +SKIP
    >>> features = DocFeatures(spacy.load("pipeline"), features=["vector", "ents"])  # doctest: +SKIP
    >>> features.fit_transform(["Anna lives in Berlin"]).shape  # doctest: +SKIP
    (1, 258)
    """

    def __init__(
        self, nlp: Any, *, features: str | Sequence[str] = "vector", batch_size: int = 256, n_process: int = 1
    ) -> None:
        self.nlp = nlp
        self.features = features
        self.batch_size = batch_size
        self.n_process = n_process

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the columns: the lengths of vectors, and the names that occur.

        Raises
        ------
        InvalidParameterError
            When ``X`` is empty or no list of texts, for an unknown feature, or for "vector" or "tensor" where the
            pipeline has none.
        """
        kinds = self._check()
        texts = check_texts(X)
        if not len(texts):
            raise InvalidParameterError("X must hold at least one text to fit on; got none.")
        self.names_ = _learned(kinds, self._docs(texts))
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The features of texts, float32 of shape (n, n_features_out_)."""
        check_is_fitted(self)
        texts = check_texts(X)
        result = np.zeros((len(texts), self.n_features_out_), dtype=np.float32)
        for row, doc in zip(result, self._docs(texts), strict=True):
            start = 0
            for kind, names in self.names_.items():
                _fill(row[start : start + len(names)], kind, names, doc)
                start += len(names)
        return result

    def _docs(self, texts: Sequence[str]) -> Iterator[Any]:
        docs: Iterator[Any] = self.nlp.pipe(texts, batch_size=self.batch_size, n_process=self.n_process)
        return docs

    def _check(self) -> list[str]:
        spacy = require("spacy", purpose="DocFeatures")
        if not isinstance(self.nlp, spacy.Language):
            raise InvalidParameterError(f"nlp must be a spaCy pipeline; got {type(self.nlp).__name__}.")
        check_integer("batch_size", self.batch_size, low=1)
        check_integer("n_process", self.n_process, low=1)
        kinds = [self.features] if isinstance(self.features, str) else list(self.features)
        for kind in kinds or [""]:
            check_choice("features", kind, FEATURES)
        return list(dict.fromkeys(kinds))

    @property
    def n_features_out_(self) -> int:
        """Columns of the result."""
        return sum(len(names) for names in self.names_.values())

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns, such as ``vector_0`` and ``pos_NOUN``; object array of shape (n_features_out_,)."""
        check_is_fitted(self)
        return np.array([f"{kind}_{name}" for kind, names in self.names_.items() for name in names], dtype=object)

    def __sklearn_clone__(self) -> Self:
        # The pipeline is shared: it is not fitted here, and may hold an encoder.
        return type(self)(**self.get_params(deep=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        return tags


def _learned(kinds: Sequence[str], docs: Iterable[Any]) -> dict[str, list[str]]:
    names: dict[str, set[str]] = {kind: set() for kind in kinds}
    widths: dict[str, int] = {}
    for doc in docs:
        for kind in kinds:
            if kind in VECTORS:
                vector = VECTORS[kind](doc)
                widths[kind] = max(widths.get(kind, 0), 0 if vector is None else len(vector))
            elif kind in COUNTS:
                names[kind].update(COUNTS[kind](doc))
            elif kind == "cats":
                names[kind].update(doc.cats)
    for kind, width in widths.items():
        if not width:
            raise InvalidParameterError(f"features={kind!r} needs a pipeline that sets doc.{kind}; this one does not.")
    return {
        kind: [str(i) for i in range(widths[kind])]
        if kind in widths
        else sorted(found)
        if kind != "length"
        else ["log"]
        for kind, found in names.items()
    }


def _fill(row: NDArray[np.float32], kind: str, names: list[str], doc: Any) -> None:
    """One feature of one document, into its columns."""
    if kind in VECTORS:
        vector = VECTORS[kind](doc)
        if vector is not None:
            row[:] = vector
    elif kind in COUNTS:
        counts = Counter(COUNTS[kind](doc))
        row[:] = [counts[name] for name in names]
        if kind != "ents":
            row /= max(1, len(doc))
    elif kind == "cats":
        row[:] = [doc.cats.get(name, 0.0) for name in names]
    else:
        row[:] = np.log1p(len(doc))
