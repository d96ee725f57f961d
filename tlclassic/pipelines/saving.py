"""``save`` and ``load`` of fitted pipelines: one file, no pickle, checked before anything is built."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tlclassic._compat import require
from tlclassic._validate import check_choice
from tlclassic._version import __version__
from tlclassic.errors import (
    CorruptArtifactError,
    ForeignArtifactError,
    InvalidParameterError,
    TlclassicError,
    TlclassicWarning,
    UnsafeFormatError,
)
from tlclassic.pipelines.codec import Decoder, Encoder
from tlclassic.pipelines.encoder_files import EncodersReader, EncodersWriter, is_encoder_folder
from tlclassic.pipelines.word_vectors import VectorsReader, VectorsWriter
from tlclassic.storage import Artifact, ArtifactWriter

__all__ = ["KIND", "load", "read_metadata", "save"]

KIND = "pipeline"

#: Types of scikit-learn, SciPy and NumPy that fitted public estimators hold; skops trusts the public ones itself.
SKOPS_ALLOWED = frozenset(
    {
        "numpy.dtype",
        "numpy.random.mtrand.RandomState",
        "scipy.interpolate._interpolate.interp1d",
        "scipy.sparse._csc.csc_array",
        "scipy.sparse._csc.csc_matrix",
        "scipy.sparse._csr.csr_array",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
    }
)


def save(
    pipeline: Any,
    path: str | os.PathLike[str],
    *,
    vectors: str = "embed",
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a fitted pipeline (or a single estimator) as one file.

    tlclassic's estimators, linear heads, scalers, PCA/SVD and scikit-learn's text vectorisers are stored as JSON and
    arrays; any other scikit-learn estimator goes through skops. Nothing is pickled. The file appears whole or not at
    all.

    Parameters
    ----------
    pipeline : estimator
        Fitted; usually a :class:`sklearn.pipeline.Pipeline`.
    path : path-like
        An existing file is replaced.
    vectors : {"embed", "refer"}
        Whether the word vectors and the files of transformer encoders are stored in the file (equal ones once), or
        only the path and digest of the store or folder they came from.
    metadata : dict, optional
        JSON-serialisable; given back by :func:`read_metadata`.

    Raises
    ------
    InvalidParameterError
        When a part cannot be saved (a function, a type outside the allow-list); the part is named. When
        ``vectors="refer"`` and the vectors do not come from a store, or that has changed since. When an encoder keeps
        its weights in files of their own beside the graph and is to be embedded.
    """
    check_choice("vectors", vectors, ("embed", "refer"))
    word_vectors, encoders = VectorsWriter(path), EncodersWriter()
    encoder = Encoder(_encode_with_skops, vectors == "embed", word_vectors, encoders)
    node = encoder.estimator(pipeline, "model")
    skops_blocks = _take_skops_blocks(node)
    with ArtifactWriter(path, kind=KIND) as writer:
        writer.metadata.update(
            {
                "tlclassic": __version__,
                "sklearn": require("sklearn", purpose="Saving a pipeline").__version__,
                "user": metadata or {},
                "vectors": word_vectors.metadata,
                "model": node,
            }
        )
        for name, array in {**word_vectors.arrays, **encoders.arrays, **encoder.arrays, **skops_blocks}.items():
            writer.add(name, array)


def load(path: str | os.PathLike[str], *, verify: bool = True, trusted: Sequence[str] = (), vectors: Any = None) -> Any:
    """Open a pipeline saved by :func:`save`.

    Parameters
    ----------
    path : path-like
    verify : bool
        Check every block against its checksum first (about 1 GB/s). Without it, blocks above 1 MiB are mapped unread.
    trusted : sequence of str
        Further type names to accept inside a part stored with skops, on top of the allow-list.
    vectors : path-like, WordVectors, or a list of those, optional
        Where the stores and the encoders' folders are now that the model refers to (``save(..., vectors="refer")``). By
        default they are looked for where they were, and beside the model; only one with the same contents is taken.

    Returns
    -------
    estimator
        Fitted, equal to the one saved.

    Raises
    ------
    ForeignArtifactError, ArtifactVersionError, CorruptArtifactError
        Before anything is built.
    ArtifactError
        When a store or folder that the model refers to is missing or has changed; says where it was looked for.
    UnsafeFormatError
        When a skops part holds types outside the allow-list and ``trusted``; they are named.
    """
    artifact = Artifact(path)
    if artifact.kind != KIND:
        hint = " Open it with tlclassic.WordVectors.load." if artifact.kind == "vectors" else ""
        raise ForeignArtifactError(f"{artifact.path}: holds {artifact.kind!r}, not a model.{hint}")
    if verify:
        artifact.verify()
    require("sklearn", purpose="Opening a saved pipeline")
    arrays = {name: artifact.array(name) for name in artifact.names}

    def decode_with_skops(node: dict[str, Any]) -> Any:
        return _decode_with_skops(node, artifact, trusted)

    given = vectors if isinstance(vectors, (list, tuple)) else [] if vectors is None else [vectors]
    word_vectors = VectorsReader(artifact, [item for item in given if not is_encoder_folder(item)])
    encoders = EncodersReader(artifact, [item for item in given if is_encoder_folder(item)])
    decoder = Decoder(arrays, decode_with_skops, word_vectors, encoders, artifact.path)
    try:
        estimator = decoder.estimator(artifact.metadata["model"])
    except TlclassicError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CorruptArtifactError(f"{artifact.path}: the model's description is malformed ({error!r}).") from error
    word_vectors.check_given()
    encoders.check_given()
    return estimator


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What :func:`save` was given as ``metadata``, and the versions that wrote the file; nothing is built."""
    metadata = Artifact(path, kind=KIND).metadata
    return {**metadata["user"], "tlclassic": metadata["tlclassic"], "sklearn": metadata["sklearn"]}


def _encode_with_skops(estimator: Any, place: str) -> dict[str, Any]:
    if not hasattr(estimator, "get_params"):
        raise InvalidParameterError(
            f"{place} cannot be saved: {type(estimator).__name__} is not a scikit-learn estimator."
        )
    skops_io = require("skops.io", purpose=f"Saving {type(estimator).__name__}")
    try:
        raw = skops_io.dumps(estimator)
    except Exception as error:  # skops raises many types for what it cannot take apart
        raise InvalidParameterError(f"{place} cannot be saved: skops cannot store it ({error}).") from error
    foreign = _foreign_types(skops_io, raw, ())
    if foreign:
        ours = any(name.startswith("tlclassic.") for name in foreign)
        remedy = " Save the fitted estimator that it holds, such as its best_estimator_." if ours else ""
        if any(name.endswith(".EncoderClassifier") for name in foreign):
            remedy = " Its folder is its saved form: copy that, and open it with tlclassic.load."
        raise InvalidParameterError(
            f"{place} cannot be saved so that it opens again: it holds types outside the allow-list: "
            f"{', '.join(foreign)}.{remedy}"
        )
    return {"$": "skops", "block": f"{place}/skops", "raw": raw}


def _take_skops_blocks(node: Any) -> dict[str, Any]:
    """Take the raw bytes out of the JSON tree, to be stored as blocks."""
    found = {}
    children = node if isinstance(node, list) else list(node.values()) if isinstance(node, dict) else []
    if isinstance(node, dict) and node.get("$") == "skops":
        found[node["block"]] = np.frombuffer(node.pop("raw"), dtype=np.uint8)
    for child in children:
        found.update(_take_skops_blocks(child))
    return found


def _foreign_types(skops_io: Any, raw: bytes, trusted: Sequence[str]) -> list[str]:
    unknown = skops_io.get_untrusted_types(data=raw)
    return sorted(name for name in unknown if name not in SKOPS_ALLOWED and name not in trusted)


def _decode_with_skops(node: dict[str, Any], artifact: Artifact, trusted: Sequence[str]) -> Any:
    skops_io = require("skops.io", purpose=f"Opening {artifact.path}")
    raw = artifact.array(node["block"]).tobytes()
    foreign = _foreign_types(skops_io, raw, trusted)
    if foreign:
        raise UnsafeFormatError(
            f"{artifact.path}: holds types that are not on the allow-list: {', '.join(foreign)}. "
            f"If you trust its origin: load(path, trusted={foreign!r})."
        )
    written, here = artifact.metadata["sklearn"], require("sklearn", purpose="Opening a model").__version__
    if written.split(".")[:2] != here.split(".")[:2]:
        warnings.warn(
            f"{artifact.path}: a part of the model was fitted with scikit-learn {written} and is opened with {here}; "
            "check its predictions or train again.",
            TlclassicWarning,
            stacklevel=4,
        )
    return skops_io.loads(raw, trusted=sorted(set(skops_io.get_untrusted_types(data=raw))))
