"""Fitted scikit-learn estimators as JSON and arrays, without pickle.

# Design: an estimator is a constructor call plus the attributes that `fit` set. For the estimators listed in
# ``PLAIN_ESTIMATORS`` those attributes are numbers, strings, arrays and other listed estimators, so both halves can be
# written down and put back without running anything from the file: classes come from the list, never from a name that
# is imported. Everything else goes through skops, whose own audit must find only types of an allow-list
# (``saving.py``).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.pipelines.encoder_files import EncodersReader, EncodersWriter
from tlclassic.pipelines.word_vectors import VectorsReader, VectorsWriter

__all__ = ["PLAIN_ESTIMATORS", "Decoder", "Encoder"]

#: Class name → module, of the estimators that are saved as plain JSON and arrays.
PLAIN_ESTIMATORS = {
    "LogisticRegression": "sklearn.linear_model",
    "LogisticRegressionCV": "sklearn.linear_model",
    "RidgeClassifier": "sklearn.linear_model",
    "SGDClassifier": "sklearn.linear_model",
    "LinearSVC": "sklearn.svm",
    "OneVsRestClassifier": "sklearn.multiclass",
    "CalibratedClassifierCV": "sklearn.calibration",
    "_SigmoidCalibration": "sklearn.calibration",
    "_TemperatureScaling": "sklearn.calibration",
    "FrozenEstimator": "sklearn.frozen",
    "LabelBinarizer": "sklearn.preprocessing",
    "MultiLabelBinarizer": "sklearn.preprocessing",
    "StandardScaler": "sklearn.preprocessing",
    "MinMaxScaler": "sklearn.preprocessing",
    "MaxAbsScaler": "sklearn.preprocessing",
    "Normalizer": "sklearn.preprocessing",
    "PCA": "sklearn.decomposition",
    "TruncatedSVD": "sklearn.decomposition",
    "CountVectorizer": "sklearn.feature_extraction.text",
    "HashingVectorizer": "sklearn.feature_extraction.text",
    "TfidfTransformer": "sklearn.feature_extraction.text",
    "TfidfVectorizer": "sklearn.feature_extraction.text",
    "DummyClassifier": "sklearn.dummy",
    "SoftLabelLogisticRegression": "tlclassic.heads",
    "ThresholdClassifier": "tlclassic.heads",
}
#: Our own estimators; each has ``to_state`` and ``from_state``.
OWN_ESTIMATORS = {
    "EmbeddingVectorizer": "tlclassic.features",
    "CommonComponentRemoval": "tlclassic.features",
    "NgramVectorizer": "tlclassic.features",
    "ConvolutionClassifier": "tlclassic.heads",
    "NgramClassifier": "tlclassic.heads",
}
#: The one whose state is made by a module of its own.
_ONNX_ENCODER = {"OnnxEncoder": "tlclassic.encoders"}
#: The one that is made of others.
_JOINT_ENCODER = {"JointEncoder": "tlclassic.joint"}
#: The one that holds features of any kind.
_MULTI_TASK = {"MultiTaskClassifier": "tlclassic.multitask"}
#: Those of our own that may hold word vectors.
_WITH_VECTORS = ("EmbeddingVectorizer", "NgramClassifier")
#: Attributes that `fit` and `partial_fit` make anew and prediction does not read.
_TRANSIENT = ("_loss_function_",)
#: One of the classifiers that a CalibratedClassifierCV averages; no estimator.
_CALIBRATED = {"_CalibratedClassifier": "sklearn.calibration"}
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAG = "$"  # a JSON object with this key is not a plain dict
_DTYPES = ("float64", "float32", "int64", "int32", "bool")


def class_of(estimator: object, table: Mapping[str, str]) -> str | None:
    """The name under which ``estimator``'s class stands in ``table``, if it is that very class."""
    name = type(estimator).__name__
    if name in table and type(estimator) is getattr(importlib.import_module(table[name]), name, None):
        return name
    return None


class Encoder:
    """Turns values into JSON, putting arrays aside.

    Parameters
    ----------
    fallback : callable
        Called with an estimator that is in neither table and its place (a dotted name); gives its JSON node.
    include_vectors : bool
        Whether word vectors and encoders go into the file.
    vectors : VectorsWriter
        Collects the word vectors.
    encoders : EncodersWriter
        Collects the encoders' files.
    """

    def __init__(
        self,
        fallback: Callable[[Any, str], dict[str, Any]],
        include_vectors: bool,
        vectors: VectorsWriter,
        encoders: EncodersWriter,
    ) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._fallback = fallback
        self._include_vectors = include_vectors
        self._vectors = vectors
        self._encoders = encoders

    def estimator(self, estimator: Any, place: str) -> dict[str, Any]:
        """The JSON node of an estimator; ``place`` is its dotted name inside the pipeline, used in errors."""
        if name := class_of(estimator, {"Pipeline": "sklearn.pipeline"}):
            steps = [[step, self._step(part, f"{place}.{step}")] for step, part in estimator.steps]
            return {_TAG: name, "steps": steps}
        if name := class_of(estimator, {"FeatureUnion": "sklearn.pipeline"}):
            steps = [[step, self._step(part, f"{place}.{step}")] for step, part in estimator.transformer_list]
            return {_TAG: name, "steps": steps, "weights": estimator.transformer_weights}
        if name := class_of(estimator, OWN_ESTIMATORS):
            options = {"include_vectors": self._include_vectors} if name in _WITH_VECTORS else {}
            metadata, arrays = estimator.to_state(**options)
            if "vectors" in metadata:
                metadata["vectors"] = self._vectors.take(metadata["vectors"], arrays)
            self.arrays.update({f"{place}/{key}": array for key, array in arrays.items()})
            output = getattr(estimator, "_sklearn_output_config", None)
            return {_TAG: "own", "class": name, "state": metadata, "place": place, "output": output}
        if class_of(estimator, _ONNX_ENCODER):
            return self._onnx_encoder(estimator)
        if class_of(estimator, _JOINT_ENCODER):
            return self._joint_encoder(estimator, place)
        if class_of(estimator, _MULTI_TASK):
            return self._multi_task(estimator, place)
        name = class_of(estimator, PLAIN_ESTIMATORS)
        # An object that splits into folds is left to the fall-back.
        if name and isinstance(getattr(estimator, "cv", None), (int, str, type(None))):
            return self._plain(estimator, name, place)
        return self._fallback(estimator, place)

    def _onnx_encoder(self, estimator: Any) -> dict[str, Any]:
        state = importlib.import_module("tlclassic.encoders.state")
        facts, arrays = state.to_state(estimator, include_model=self._include_vectors)
        facts["encoder"] = self._encoders.take(facts["encoder"], arrays)
        output = getattr(estimator, "_sklearn_output_config", None)
        return {_TAG: "onnx-encoder", "state": facts, "output": output}

    def _joint_encoder(self, estimator: Any, place: str) -> dict[str, Any]:
        """The fitted encoders also stand for those that they were cloned from."""
        params = {key: value for key, value in estimator.get_params(deep=False).items() if key != "encoders"}
        fitted = {name: getattr(estimator, name) for name in estimator.FITTED}
        return {
            _TAG: "joint-encoder",
            "encoders": [self.estimator(each, f"{place}[{i}]") for i, each in enumerate(estimator.encoders_)],
            "params": self.value(params, place),
            "fitted": self.value(fitted, f"{place}/fitted"),
            "output": getattr(estimator, "_sklearn_output_config", None),
        }

    def _multi_task(self, estimator: Any, place: str) -> dict[str, Any]:
        """The fitted features also stand for those that they were cloned from."""
        params = {key: value for key, value in estimator.get_params(deep=False).items() if key != "features"}
        features = estimator.features_
        return {
            _TAG: "multi-task",
            "features": None if features is None else self.estimator(features, f"{place}.features"),
            "given": estimator.features is not None,
            "params": self.value(params, place),
            "fitted": self.value(estimator.to_state(), f"{place}/fitted"),
        }

    def _step(self, part: Any, place: str) -> Any:
        return part if part is None or isinstance(part, str) else self.estimator(part, place)

    def _plain(self, estimator: Any, name: str, place: str) -> dict[str, Any]:
        params = estimator.get_params(deep=False)
        fitted = {key: value for key, value in vars(estimator).items() if key not in (*params, *_TRANSIENT)}
        return {
            _TAG: "sklearn",
            "class": name,
            "params": {key: self.value(value, f"{place}.{key}") for key, value in params.items()},
            "fitted": {key: self.value(value, f"{place}.{key}") for key, value in fitted.items()},
        }

    def value(self, value: Any, place: str) -> Any:
        """The JSON of one parameter or fitted attribute."""
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            # JSON has no spelling of inf and nan.
            return value if np.isfinite(value) else {_TAG: "float", "value": repr(value)}
        if isinstance(value, np.generic):
            return {_TAG: "scalar", "dtype": value.dtype.name, "value": self.value(value.item(), place)}
        if isinstance(value, np.ndarray):
            return self._array(value, place)
        if isinstance(value, (list, tuple, set, frozenset)):
            kind = type(value).__name__
            items = sorted(value) if isinstance(value, (set, frozenset)) else value
            encoded = [self.value(item, f"{place}[{i}]") for i, item in enumerate(items)]
            return encoded if kind == "list" else {_TAG: kind, "items": encoded}
        if isinstance(value, dict):
            pairs = [[self.value(key, place), self.value(item, f"{place}[{key!r}]")] for key, item in value.items()]
            return {_TAG: "dict", "pairs": pairs}
        if isinstance(value, type) and issubclass(value, np.generic) and np.dtype(value).name in _DTYPES:
            return {_TAG: "type", "dtype": np.dtype(value).name}
        if class_of(value, _CALIBRATED):
            parts = {name: self.value(part, f"{place}.{name}") for name, part in vars(value).items()}
            return {_TAG: "calibrated", "parts": parts}
        if hasattr(value, "get_params") and hasattr(value, "fit"):
            return self.estimator(value, place)
        raise InvalidParameterError(
            f"{place} cannot be saved: it is a {type(value).__name__} ({value!r:.80}). "
            "Functions and other Python objects would need pickle, which runs code on load; use a named option instead."
        )

    def _array(self, array: NDArray[Any], place: str) -> dict[str, Any]:
        if array.dtype.kind in "US" or array.dtype == object:
            items = array.tolist()
            if not all(
                item is None or isinstance(item, (str, bool, int, float))
                for item in np.ravel(np.array(items, dtype=object))
            ):
                raise InvalidParameterError(f"{place} cannot be saved: an object array with other items than labels.")
            dtype = array.dtype.str if array.dtype.kind == "U" else "object"
            return {_TAG: "labels", "dtype": dtype, "items": items}
        # The memory order is kept: BLAS sums in another order, hence to another last bit, on a transposed matrix.
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        stored = array.ravel(order="F") if order == "F" else np.atleast_1d(array)
        self.arrays[place] = stored.view(np.uint8) if array.dtype == bool else stored
        return {_TAG: "array", "place": place, "dtype": array.dtype.name, "shape": list(array.shape), "order": order}


class Decoder:
    """Puts together again what :class:`Encoder` took apart.

    Parameters
    ----------
    arrays : mapping of str to array
        The blocks.
    fallback : callable
        Called with the JSON node of an estimator that came from the encoder's fall-back.
    vectors : VectorsReader
        Gives the word vectors back.
    encoders : EncodersReader
        Gives the encoders' files back.
    path : str
        For errors.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        fallback: Callable[[dict[str, Any]], Any],
        vectors: VectorsReader,
        encoders: EncodersReader,
        path: str,
    ) -> None:
        self._arrays = arrays
        self._fallback = fallback
        self._vectors = vectors
        self._encoders = encoders
        self._path = path

    def estimator(self, node: Any) -> Any:
        """The estimator of a JSON node."""
        kind = node.get(_TAG) if isinstance(node, dict) else None
        if kind in ("Pipeline", "FeatureUnion"):
            module = importlib.import_module("sklearn.pipeline")
            steps = [(str(name), self._step(part)) for name, part in node["steps"]]
            if kind == "Pipeline":
                return module.Pipeline(steps)
            return module.FeatureUnion(steps, transformer_weights=node["weights"])
        if kind == "own":
            name, place = node["class"], node["place"]
            cls = getattr(importlib.import_module(self._module(name, OWN_ESTIMATORS)), name)
            prefix = f"{place}/"
            arrays = {key[len(prefix) :]: self._arrays[key] for key in self._arrays if key.startswith(prefix)}
            state = node["state"]
            options = {"vectors": self._vectors.get(state["vectors"])} if "vectors" in state else {}
            estimator = cls.from_state(state, arrays, **options)
            return estimator.set_output(**node["output"]) if node["output"] else estimator
        if kind == "onnx-encoder":
            state = importlib.import_module("tlclassic.encoders.state")
            estimator = state.from_state(node["state"], self._encoders.get(node["state"]["encoder"]))
            return estimator.set_output(**node["output"]) if node["output"] else estimator
        if kind == "joint-encoder":
            return self._joint_encoder(node)
        if kind == "multi-task":
            return self._multi_task(node)
        if kind == "sklearn":
            return self._plain(node)
        if kind == "skops":
            return self._fallback(node)
        raise self._error(f"an estimator of unknown kind {kind!r}")

    def _joint_encoder(self, node: dict[str, Any]) -> Any:
        cls = importlib.import_module(_JOINT_ENCODER["JointEncoder"]).JointEncoder
        encoders = [self.estimator(each) for each in node["encoders"]]
        estimator = cls.from_state(encoders, self.value(node["params"]), self.value(node["fitted"]))
        return estimator.set_output(**node["output"]) if node["output"] else estimator

    def _multi_task(self, node: dict[str, Any]) -> Any:
        cls = importlib.import_module(_MULTI_TASK["MultiTaskClassifier"]).MultiTaskClassifier
        features = None if node["features"] is None else self.estimator(node["features"])
        params = {**self.value(node["params"]), "features": features if node["given"] else None}
        return cls.from_state(params, features, self.value(node["fitted"]))

    def _step(self, part: Any) -> Any:
        return part if part is None or isinstance(part, str) else self.estimator(part)

    def _module(self, name: object, table: Mapping[str, str]) -> str:
        if not isinstance(name, str) or name not in table:
            raise self._error(f"an estimator of unknown class {name!r}")
        return table[name]

    def _plain(self, node: dict[str, Any]) -> Any:
        name = node["class"]
        cls = getattr(importlib.import_module(self._module(name, PLAIN_ESTIMATORS)), name)
        known = cls._get_param_names()
        params = {key: self.value(value) for key, value in node["params"].items()}
        # A parameter that this scikit-learn no longer has is of no use to a model that is already fitted.
        estimator = cls(**{key: value for key, value in params.items() if key in known})
        for key, value in node["fitted"].items():
            if not _ATTRIBUTE.fullmatch(key) or key.startswith("__") or callable(getattr(cls, key, None)):
                raise self._error(f"an attribute named {key!r} in {name}")
            setattr(estimator, key, self.value(value))
        return estimator

    def value(self, value: Any) -> Any:
        """The Python value of a JSON node."""
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind = value.get(_TAG)
        if kind == "float":
            return float(value["value"])
        if kind == "scalar" and value["dtype"] in (*_DTYPES, "str_"):
            return np.dtype(value["dtype"]).type(self.value(value["value"]))
        if kind in ("tuple", "set", "frozenset"):
            return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](self.value(value["items"]))
        if kind == "dict":
            return {self.value(key): self.value(item) for key, item in value["pairs"]}
        if kind == "type" and value["dtype"] in _DTYPES:
            return np.dtype(value["dtype"]).type
        if kind == "labels":
            return np.array(value["items"], dtype=value["dtype"] if value["dtype"].startswith("<U") else object)
        if kind == "array":
            return self._array(value)
        if kind == "calibrated":
            module = importlib.import_module(_CALIBRATED["_CalibratedClassifier"])
            return module._CalibratedClassifier(**{name: self.value(part) for name, part in value["parts"].items()})
        return self.estimator(value)

    def _array(self, node: dict[str, Any]) -> NDArray[Any]:
        if node["place"] not in self._arrays:
            raise self._error(f"no block {node['place']!r}")
        array = self._arrays[node["place"]]
        if node["dtype"] == "bool":
            array = array.astype(bool)
        return array.reshape(node["shape"], order="F" if node["order"] == "F" else "C")

    def _error(self, what: str) -> CorruptArtifactError:
        return CorruptArtifactError(
            f"{self._path}: the model holds {what}. It was altered or written by a newer tlclassic."
        )
