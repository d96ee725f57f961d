"""``EmbeddingVectorizer`` as JSON facts and named arrays, and back; no pickle."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice
from tlclassic.errors import ArtifactError, CorruptArtifactError, InputError, InvalidParameterError, MissingExtraError
from tlclassic.features import fitting
from tlclassic.features.components import checked_components
from tlclassic.features.poolings import resolve_poolings
from tlclassic.text import HuggingFaceTokenizer, tokenizer_from_dict
from tlclassic.vectors import WordVectors
from tlclassic.vectors.store import open_store

if TYPE_CHECKING:
    from tlclassic.features.vectorizer import EmbeddingVectorizer

__all__ = ["decode_vectors", "encode_vectors", "from_state", "to_state"]

_OF_VECTORS = {"type": "of the vectors"}
_PLAIN = ("pooling", "lower_fallback", "unknown", "a", "n_components", "powers", "normalize")


def to_state(vectorizer: EmbeddingVectorizer, include_vectors: bool) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """See :meth:`EmbeddingVectorizer.to_state`."""
    arrays: dict[str, NDArray[Any]] = {}
    metadata: dict[str, Any] = {
        "params": {name: _encode(getattr(vectorizer, name)) for name in _PLAIN},
        "tokenizer": _encode_tokenizer(vectorizer),
        "unknown": vectorizer.unknown_,
        "tokenizer_is_auto": isinstance(vectorizer.tokenizer, str),
        "counts": _encode_counts(vectorizer.counts, arrays),
        "vectors": encode_vectors(vectorizer.vectors_, include_vectors, arrays),
        "unknown_weights": dict(vectorizer.unknown_weights_),
    }
    for name, weights in vectorizer.weights_.items():
        arrays[f"weights/{name}"] = weights
    for name, components in vectorizer.components_.items():
        arrays[f"components/{name}"] = components
        arrays[f"singular_values/{name}"] = vectorizer.singular_values_[name]
    return metadata, arrays


def from_state(
    metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], vectors: WordVectors | None
) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """The constructor's parameters, the tokeniser, and the learnt attributes by name."""
    try:
        params = {name: _decode(metadata["params"][name]) for name in _PLAIN}
        params["counts"] = _decode_counts(metadata["counts"], arrays)
        params["vectors"] = decode_vectors(metadata["vectors"], arrays, vectors)
        tokenizer = _decode_tokenizer(metadata["tokenizer"], params["vectors"])
        params["tokenizer"] = "auto" if metadata["tokenizer_is_auto"] else tokenizer
        learnt: dict[str, Any] = {"unknown_": metadata["unknown"]}
        check_choice("unknown", learnt["unknown_"], fitting.UNKNOWN)
        fitting.check_support(params["vectors"], learnt["unknown_"], params["counts"], ())
        learnt |= _decode_learnt(params, metadata["unknown_weights"], arrays)
    except (ArtifactError, MissingExtraError, InputError):
        raise
    except InvalidParameterError as error:
        raise CorruptArtifactError(f"the saved EmbeddingVectorizer holds a wrong parameter: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CorruptArtifactError(f"the saved EmbeddingVectorizer is incomplete or altered: {error!r}.") from error
    return params, tokenizer, learnt


# -- plain parameters: JSON has no tuples and no infinity ------------------------------------------------------------


def _encode(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"tuple": [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, (np.generic,)):
        value = value.item()
    return {"float": repr(value)} if isinstance(value, float) and not np.isfinite(value) else value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if isinstance(value, dict):
        return tuple(_decode(value["tuple"])) if "tuple" in value else float(value["float"])
    return value


# -- tokeniser -------------------------------------------------------------------------------------------------------


def _encode_tokenizer(vectorizer: EmbeddingVectorizer) -> Any:
    """The tokeniser of a static model may be megabytes long: it is stored once, with the vectors."""
    tokenizer = vectorizer.tokenizer_
    if isinstance(tokenizer, HuggingFaceTokenizer) and tokenizer.json == vectorizer.vectors_.tokenizer_json:
        return _OF_VECTORS
    return tokenizer.to_dict()


def _decode_tokenizer(facts: Any, vectors: WordVectors) -> Any:
    if facts == _OF_VECTORS and vectors.tokenizer_json is not None:
        return HuggingFaceTokenizer.from_json(vectors.tokenizer_json)
    return tokenizer_from_dict(facts)


# -- counts ----------------------------------------------------------------------------------------------------------


def _encode_counts(counts: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if not isinstance(counts, Mapping):
        return counts if isinstance(counts, str) else {"path": os.fspath(counts)}
    words = [word.encode("utf-8", "surrogatepass") for word in counts]
    arrays["counts/words"] = np.frombuffer(b"".join(words), dtype=np.uint8)
    arrays["counts/offsets"] = np.cumsum([0, *map(len, words)], dtype=np.int64)
    arrays["counts/values"] = np.array(list(counts.values()), dtype=np.float64)
    return {"dict": len(words)}


def _decode_counts(counts: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(counts, str):
        return counts
    if "path" in counts:
        return str(counts["path"])
    blob, offsets = arrays["counts/words"].tobytes(), arrays["counts/offsets"].tolist()
    words = [blob[a:b].decode("utf-8", "surrogatepass") for a, b in itertools.pairwise(offsets)]
    return dict(zip(words, arrays["counts/values"].tolist(), strict=True))


# -- vectors ---------------------------------------------------------------------------------------------------------


def encode_vectors(vectors: WordVectors, include: bool, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The facts of word vectors, their blocks put into ``arrays``; or, not to ``include``, of their store."""
    if include:
        facts, blocks = vectors.to_state()
        arrays.update({f"vectors/{name}": block for name, block in blocks.items()})
        return {"state": facts}
    if vectors.path is None:
        place = "" if vectors.origin is None else f" but lie inside the model {vectors.origin.path}"
        raise InvalidParameterError(
            f"the vectors cannot be left out: they do not come from a store that could be opened again{place}. Convert "
            "them (tlclassic.vectors.convert, or vectors.save(path)), open that and train on it; or keep them in the "
            "model."
        )
    if open_store(vectors.path).digest != vectors.digest:
        raise InvalidParameterError(
            f"the vectors cannot be left out: {vectors.path} holds others by now (digest differs). Train again on what "
            "is there, or keep the vectors in the model."
        )
    return {"path": vectors.path, "digest": vectors.digest, "oov": vectors.oov}


def decode_vectors(
    facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], given: WordVectors | None
) -> WordVectors:
    """The inverse of :func:`encode_vectors`; ``given`` are vectors that were left out."""
    embedded = facts.get("state")
    if embedded is not None and given is None:
        prefix = "vectors/"
        blocks = {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
        return WordVectors.from_state(embedded, blocks)
    expected = (embedded or facts)["digest"]
    vectors = WordVectors.load(facts["path"], oov=facts["oov"]) if given is None else given
    if vectors.digest != expected:
        raise ArtifactError(
            f"{vectors.path or 'vectors'}: these are not the word vectors that the model was trained on (digest "
            f"{vectors.digest[:12]}, expected {expected[:12]}). Put the right store there, or train again."
        )
    return vectors


# -- what was learnt -------------------------------------------------------------------------------------------------


def _decode_learnt(
    params: dict[str, Any], unknown: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, dict[str, Any]]:
    """Every block that the poolings need, with the shapes that the kernels rely on."""
    n_words, dim = params["vectors"].shape
    learnt: dict[str, dict[str, Any]] = {
        name: {} for name in ("weights_", "unknown_weights_", "components_", "singular_values_")
    }
    for block in resolve_poolings(params["pooling"], params["powers"]):
        name = block.name
        if block.weighting:
            weights = np.ascontiguousarray(arrays[f"weights/{name}"], dtype=np.float32)
            if weights.shape != (n_words,):
                raise CorruptArtifactError(f"the saved weights have shape {weights.shape}; expected ({n_words},).")
            learnt["weights_"][name] = weights
            learnt["unknown_weights_"][name] = float(unknown[name])
        if block.removal:
            components, values = checked_components(arrays, f"/{name}", dim)
            learnt["components_"][name], learnt["singular_values_"][name] = components, values
    return learnt
