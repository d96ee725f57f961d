"""``NgramClassifier`` as JSON facts and named arrays, and back; no pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from tlclassic.errors import (
    ArtifactError,
    CorruptArtifactError,
    InputError,
    InvalidParameterError,
    MissingExtraError,
)
from tlclassic.features import EmbeddingVectorizer, NgramVectorizer
from tlclassic.features.state import decode_vectors, encode_vectors
from tlclassic.heads.ngram_fitting import check_parameters
from tlclassic.vectors import WordVectors

if TYPE_CHECKING:
    from tlclassic.heads.ngram_classifier import NgramClassifier

__all__ = [
    "decode_labels",
    "decode_parameter",
    "encode_labels",
    "encode_parameter",
    "from_state",
    "to_state",
]

#: Blocks of word vectors, named as in the state of an EmbeddingVectorizer of its own.
_VECTORS = "vectors/"
_SCALER = ("mean_", "scale_", "var_")
_SCALARS = (str, int, float, bool)


def to_state(model: NgramClassifier, include_vectors: bool) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """See :meth:`NgramClassifier.to_state`."""
    metadata: dict[str, Any] = {
        "params": {
            name: encode_parameter(value) for name, value in model.get_params(deep=False).items() if name != "vectors"
        }
    }
    arrays: dict[str, NDArray[Any]] = {}
    if model.__sklearn_is_fitted__():
        facts, blocks = model.vectorizer_.to_state()
        arrays.update({f"ngrams/{name}": array for name, array in blocks.items()})
        arrays |= {"columns": model.columns_, "coef": model.coef_, "intercept": model.intercept_}
        metadata["fitted"] = {
            "classes": encode_labels(model.classes_),
            "multilabel": bool(model.multilabel_),
            "ngrams": facts,
            "n_iter": int(model.n_iter_),
        }
    if vars(model).get("embedding_") is not None:
        metadata |= _encode_embedding(model, include_vectors, arrays)
    elif isinstance(model.vectors, WordVectors):
        metadata["vectors"] = encode_vectors(model.vectors, include_vectors, arrays)
    elif model.vectors is not None:
        metadata["params"]["vectors"] = os.fspath(model.vectors)
    return metadata, arrays


def from_state(
    cls: type[NgramClassifier],
    metadata: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    vectors: WordVectors | None,
) -> NgramClassifier:
    """See :meth:`NgramClassifier.from_state`."""
    try:
        model = cls(**{name: decode_parameter(value) for name, value in metadata["params"].items()})
        check_parameters(model)
        fitted: dict[str, Any] = {}
        if "embedding" in metadata:
            fitted = _decode_embedding(metadata, arrays, vectors)
            model.vectors = fitted["embedding_"][0].vectors_
        elif "vectors" in metadata:
            model.vectors = decode_vectors(metadata["vectors"], arrays, vectors)
        if "fitted" in metadata:
            fitted = _decode_fitted(metadata["fitted"], arrays) | fitted
            _check(model, fitted)
            for name, value in fitted.items():
                setattr(model, name, value)
    except (ArtifactError, MissingExtraError, InputError):
        raise
    except InvalidParameterError as error:
        raise CorruptArtifactError(f"the saved NgramClassifier holds a wrong parameter: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CorruptArtifactError(f"the saved NgramClassifier is incomplete or altered: {error!r}.") from error
    return model


def _decode_fitted(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {
        "classes_": decode_labels(facts["classes"]),
        "multilabel_": bool(facts["multilabel"]),
        "vectorizer_": NgramVectorizer.from_state(facts["ngrams"], _below(arrays, "ngrams/")),
        "embedding_": None,
        "n_iter_": int(facts["n_iter"]),
        "_stream": None,
        "_is_behind": False,
        "_columns": arrays["columns"].astype(np.int64, copy=False),
        "_coef": arrays["coef"].astype(np.float64, copy=False),
        "_intercept": arrays["intercept"].astype(np.float64, copy=False),
        "_embedding_coef": None,
    }


def _check(model: NgramClassifier, fitted: dict[str, Any]) -> None:
    """Raise unless the parts fit together."""
    columns, coef, intercept = fitted["_columns"], fitted["_coef"], fitted["_intercept"]
    n_classes, n_columns = len(fitted["classes_"]), fitted["vectorizer_"].n_features_out_
    outputs = 1 if n_classes == 2 and not fitted["multilabel_"] else n_classes
    if coef.shape != (outputs, len(columns)) or intercept.shape != (outputs,):
        raise CorruptArtifactError(f"the saved NgramClassifier's coefficients have shape {coef.shape}, which does not "
                                   f"fit its {n_classes} classes and {len(columns)} columns.")  # fmt: skip
    if len(columns) and (columns[0] < 0 or columns[-1] >= n_columns or (np.diff(columns) <= 0).any()):
        raise CorruptArtifactError("the saved NgramClassifier's columns are not ascending, or out of range.")
    embedding, dense = fitted["embedding_"], fitted["_embedding_coef"]
    if embedding is not None and dense.shape != (outputs, embedding[0].n_features_out_):
        raise CorruptArtifactError(f"the saved NgramClassifier's embedding_coef has the wrong shape {dense.shape}.")


# -- word vectors ----------------------------------------------------------------------------------------------------


def _encode_embedding(model: NgramClassifier, include_vectors: bool, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    embedding: Any = model.embedding_
    vectorizer, scaler = embedding[0], embedding[1]
    facts, blocks = vectorizer.to_state(include_vectors=include_vectors)
    # The vectors stand at the top, where the file keeps equal ones once.
    arrays.update({name if name.startswith(_VECTORS) else f"embedding/{name}": block for name, block in blocks.items()})
    arrays.update({f"scaler/{name}": getattr(scaler, name) for name in _SCALER})
    arrays["embedding_coef"] = np.asarray(model.embedding_coef_)
    return {"vectors": facts.pop("vectors"), "embedding": facts, "n_texts": int(scaler.n_samples_seen_)}


def _decode_embedding(
    metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], vectors: WordVectors | None
) -> dict[str, Any]:
    facts = {**metadata["embedding"], "vectors": metadata["vectors"]}
    blocks = {name: block for name, block in arrays.items() if name.startswith(_VECTORS)}
    vectorizer = EmbeddingVectorizer.from_state(facts, {**_below(arrays, "embedding/"), **blocks}, vectors=vectors)
    scaler = StandardScaler()
    width = vectorizer.n_features_out_
    for name in _SCALER:
        values = arrays[f"scaler/{name}"].astype(np.float64, copy=False)
        if values.shape != (width,):
            raise CorruptArtifactError(f"the saved NgramClassifier's scaler has shape {values.shape}, not ({width},).")
        setattr(scaler, name, values)
    scaler.n_features_in_, scaler.n_samples_seen_ = width, int(metadata["n_texts"])
    return {
        "embedding_": Pipeline([("vectors", vectorizer), ("scaler", scaler)]),
        "_embedding_coef": arrays["embedding_coef"].astype(np.float64, copy=False),
    }


def _below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


# -- labels and parameters -------------------------------------------------------------------------------------------


def encode_labels(labels: NDArray[Any]) -> dict[str, Any]:
    items = labels.tolist()
    if not all(isinstance(item, _SCALARS) for item in items):
        raise InvalidParameterError(
            f"the labels cannot be saved: they must be strings, numbers or booleans; got {items!r:.80}."
        )
    return {"dtype": "object" if labels.dtype.kind not in "USbiuf" else labels.dtype.str, "items": items}


def decode_labels(facts: Mapping[str, Any]) -> NDArray[Any]:
    dtype = str(facts["dtype"])
    items = facts["items"]
    if not isinstance(items, list) or not all(isinstance(item, _SCALARS) for item in items):
        raise CorruptArtifactError("the saved NgramClassifier's classes are no list of labels.")
    return np.array(items, dtype=dtype if dtype != "object" else object)


def encode_parameter(value: Any) -> Any:
    """JSON has no tuples and no dicts of other keys than strings."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (tuple, list)):
        return {"list" if isinstance(value, list) else "tuple": [encode_parameter(item) for item in value]}
    if isinstance(value, Mapping):
        return {"pairs": [[encode_parameter(key), encode_parameter(item)] for key, item in value.items()]}
    return value


def decode_parameter(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "pairs" in value:
        return dict(value["pairs"])
    return value["list"] if "list" in value else tuple(value["tuple"])
