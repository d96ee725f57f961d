"""Zero-shot transfer: a classifier trained in one language, applied to another through aligned vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlclassic._compat import require
from tlclassic.errors import InvalidParameterError
from tlclassic.vectors import WordVectors

__all__ = ["with_vectors"]

#: Poolings that learn nothing from texts.
_FREE = ("mean", "max", "min", "power")
#: Steps that are learnt anew from texts of the other language.
_SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")


def with_vectors(model: Any, vectors: WordVectors, *, texts: Any = None) -> Any:
    """The same fitted pipeline reading words of another language: its word vectors are exchanged, its weights kept.

    The model is trained on the vectors of one side of an :class:`Alignment`, and gets those of the other side. With
    texts of the other language (no labels) what the pipeline learnt of the distribution of texts is learnt anew: word
    weights, common components, scalers. That helps where texts of both languages are spread differently around the
    same meanings.

    Parameters
    ----------
    model : fitted ``sklearn.pipeline.Pipeline``
        Whose first step is an ``EmbeddingVectorizer``. Kept as it is.
    vectors : WordVectors
        In the same space as those of the model.
    texts : sequence of str, optional
        Needed for poolings with word weights ("tfidf", "sif", "usif").

    Returns
    -------
    Pipeline
        Fitted; it can be saved and compiled like any other. Classifier and classes are shared with ``model``.

    Raises
    ------
    InvalidParameterError
        When the pipeline begins with something else, dimensions differ, or texts are needed and missing.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from tlclassic import EmbeddingVectorizer
    >>> english = WordVectors.from_arrays(["good", "bad"], np.array([[1, 0], [-1, 0.1]], dtype="float32"))
    >>> spanish = WordVectors.from_arrays(["bueno", "malo"], np.array([[0.9, 0], [-1, 0]], dtype="float32"))
    >>> model = make_pipeline(EmbeddingVectorizer(english), LogisticRegression()).fit(["good", "bad"], ["+", "-"])
    >>> with_vectors(model, spanish).predict(["muy bueno", "malo"]).tolist()
    ['+', '-']
    """
    pipeline = require("sklearn.pipeline", purpose="Zero-shot transfer")
    from tlclassic.features import EmbeddingVectorizer

    if not isinstance(model, pipeline.Pipeline) or type(model.steps[0][1]) is not EmbeddingVectorizer:
        first = type(model.steps[0][1]).__name__ if isinstance(model, pipeline.Pipeline) else type(model).__name__
        raise InvalidParameterError(
            f"model must be a fitted Pipeline that begins with an EmbeddingVectorizer; got {first}. What reads letters "
            "or n-grams knows one language only."
        )
    (name, old), *rest = model.steps
    if not isinstance(vectors, WordVectors) or vectors.dim != old.vectors_.dim:
        got = vectors.dim if isinstance(vectors, WordVectors) else type(vectors).__name__
        raise InvalidParameterError(f"vectors must be WordVectors of {old.vectors_.dim} dimensions; got {got}.")
    new = _refitted(old, vectors, texts)
    steps = [(name, new), *rest]
    if texts is not None:
        steps = _rescaled(steps, texts)
    return pipeline.Pipeline(steps)


def _refitted(old: Any, vectors: WordVectors, texts: Any) -> Any:
    """The vectoriser on other vectors."""
    poolings = [old.pooling] if isinstance(old.pooling, str) else list(old.pooling)
    weighted = [pooling for pooling in poolings if pooling not in _FREE]
    if weighted and texts is None:
        raise InvalidParameterError(
            f"texts must be given for pooling={weighted[0]!r}, whose word weights are of one language; got none. Pass "
            "texts of the other language, without labels."
        )
    new = type(old)(**{**old.get_params(deep=False), "vectors": vectors})
    # Without weights nothing is learnt: any text does.
    return new.fit(["a"] if texts is None else texts)


def _rescaled(steps: list[tuple[str, Any]], texts: Any) -> list[tuple[str, Any]]:
    """Scalers at the beginning fitted to the texts of the other language; the first other step ends it."""
    base = require("sklearn.base", purpose="Zero-shot transfer")
    done, values = [steps[0]], np.asarray(steps[0][1].transform(texts))
    for position, (name, step) in enumerate(steps[1:], 1):
        if type(step).__name__ not in _SCALERS:
            return [*done, *steps[position:]]
        fitted = base.clone(step).fit(values)
        done.append((name, fitted))
        values = fitted.transform(values)
    return done
