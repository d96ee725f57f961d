"""From labelled texts to a fitted pipeline: the command line's default way, callable from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler

from tlclassic._validate import check_choice, check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.features import EmbeddingVectorizer, NgramVectorizer
from tlclassic.features.poolings import resolve_poolings
from tlclassic.heads import LogisticSearch, NgramClassifier, check_enough, search_logistic

__all__ = ["FeatureOptions", "TrainingResult", "build_features", "build_shared_features", "train_classifier"]

#: Features that are hashed n-grams.
NGRAMS = ("ngrams", "ngrams-char")
#: Strengths tried for them; rows weighted by idf are longer than one.
STRENGTHS = tuple(float(10.0**exponent) for exponent in np.arange(-2, 3.5, 0.5))
_KINDS = "ngrams, ngrams-char, vectors:PATH (or vectors:base-en), encoder:FOLDER, tfidf, tfidf-char"
#: What is used when no features are named: the word vectors that tlclassic brings along.
DEFAULT_FEATURES = ("vectors:base-en",)
CALIBRATIONS = ("none", "sigmoid", "isotonic", "temperature")


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """Which features to use and how.

    Attributes
    ----------
    features : sequence of str
        ``"vectors:PATH"`` (pooled word vectors; ``"vectors:base-en"`` for those that tlclassic brings along),
        ``"encoder:FOLDER"`` (a frozen transformer encoder), ``"tfidf"`` (word uni- and bigrams) or ``"tfidf-char"``
        (character 2- to 5-grams inside words). Several are put side by side. Or ``"ngrams"`` (hashed word uni- and
        bigrams) and ``"ngrams-char"`` (hashed character 3- to 5-grams inside words), also with vectors: these make a
        :class:`tlclassic.NgramClassifier`, which compiles.
    pooling : sequence of str
        For the vectors; several are put side by side. See :class:`tlclassic.EmbeddingVectorizer`.
    vectorizer : dict
        Further keyword arguments of :class:`tlclassic.EmbeddingVectorizer`.
    load : dict
        Keyword arguments of :meth:`tlclassic.WordVectors.load`.
    encoder : dict
        Keyword arguments of :class:`tlclassic.OnnxEncoder`.
    bits : int
        N-grams are hashed into ``2**bits`` buckets a family.
    """

    features: Sequence[str] = DEFAULT_FEATURES
    pooling: Sequence[str] = ("mean",)
    vectorizer: dict[str, Any] = field(default_factory=dict)
    load: dict[str, Any] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)
    bits: int = 20


@dataclass(frozen=True)
class TrainingResult:
    """A fitted pipeline and how it came about.

    Attributes
    ----------
    pipeline : sklearn.pipeline.Pipeline or NgramClassifier
        A pipeline has the steps ``features`` and ``head``; either may be wrapped for thresholds or calibration.
    search : LogisticSearch
    labels : list or None
        For multi-label, the label of each column of the indicator matrix that ``pipeline.predict`` gives; else None.
    """

    pipeline: Any
    search: LogisticSearch
    labels: list[Any] | None


def build_features(options: FeatureOptions) -> Any:
    """The unfitted feature step: one transformer, or a union of several.

    Raises
    ------
    InvalidParameterError
        For a feature of unknown kind, or none at all.
    """
    if not options.features:
        raise InvalidParameterError(f"features must name at least one of {_KINDS}; got none.")
    parts = {f"features{number}": _feature(name, options) for number, name in enumerate(options.features)}
    if len(parts) == 1:
        return parts["features0"]
    # TF-IDF rows have length one, d standardised columns about sqrt(d): brought to the same length, one strength of
    # regularisation fits both.
    weights = {name: _width(part) ** -0.5 for name, part in parts.items() if isinstance(part, Pipeline)}
    return FeatureUnion(list(parts.items()), transformer_weights=weights)


def build_shared_features(options: FeatureOptions) -> Any:
    """The unfitted features of a model of several tasks: as :func:`build_features`, n-grams among them.

    Raises
    ------
    InvalidParameterError
        For a feature of unknown kind, or none at all.
    """
    others = [name for name in options.features if name not in NGRAMS]
    if len(others) == len(options.features):
        return build_features(options)
    ngrams = NgramVectorizer(
        word_ngrams=(1, 2) if "ngrams" in options.features else None,
        char_ngrams=(3, 5) if "ngrams-char" in options.features else None,
        bits=options.bits,
        idf=True,
    )
    if not others:
        return ngrams
    parts = {f"features{number}": _feature(name, options) for number, name in enumerate(others)}
    weights = {name: _width(part) ** -0.5 for name, part in parts.items() if isinstance(part, Pipeline)}
    return FeatureUnion([("ngrams", ngrams), *parts.items()], transformer_weights=weights)


def _width(part: Pipeline) -> int:
    """The number of columns of dense features."""
    if "encode" in part.named_steps:
        return int(part.named_steps["encode"].dim)
    vectorizer = part.named_steps["pool"]
    return int(vectorizer.vectors.dim * len(resolve_poolings(vectorizer.pooling, vectorizer.powers)))


def _feature(name: str, options: FeatureOptions) -> Any:
    kind, _, path = name.partition(":")
    if kind == "vectors" and path:
        from tlclassic.vectors import load_vectors

        pooling = options.pooling[0] if len(options.pooling) == 1 else tuple(options.pooling)
        vectors = load_vectors(path, **options.load)
        vectorizer = EmbeddingVectorizer(vectors, pooling=pooling, **options.vectorizer)
        # Unit variance lets one regularisation strength fit all dimensions, and L-BFGS converge.
        return Pipeline([("pool", vectorizer), ("scale", StandardScaler())])
    if kind == "encoder" and path:
        from tlclassic.encoders import OnnxEncoder

        return Pipeline([("encode", OnnxEncoder(path, **options.encoder)), ("scale", StandardScaler())])
    if name == "tfidf":
        return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    if name == "tfidf-char":
        return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    raise InvalidParameterError(f"features must be one of {_KINDS}; got {name!r}.")


def train_classifier(
    texts: Sequence[str],
    labels: Sequence[Any],
    options: FeatureOptions,
    *,
    multilabel: bool = False,
    metric: str | None = None,
    class_weight: str | None = None,
    calibrate: str = "none",
    random_state: int = 0,
    on_step: Callable[[float, float], None] | None = None,
) -> TrainingResult:
    """Fit features and a logistic regression whose strength is chosen by cross-validation.

    Parameters
    ----------
    texts : sequence of str of length n
    labels : sequence of length n
        Strings, integers or booleans; for multi-label, lists of them.
    options : FeatureOptions
    multilabel : bool
        Whether a text can carry several labels or none.
    metric : {"accuracy", "macro_f1"}, optional
        What the strength is chosen by; "macro_f1" for multi-label (and thresholds with it), else "accuracy".
    class_weight : {None, "balanced"}
    calibrate : {"none", "sigmoid", "isotonic", "temperature"}
        Calibrate the probabilities on cross-validated decisions (Platt 1999; Zadrozny & Elkan 2002; Guo et al. 2017).
    random_state : int
    on_step : callable, optional
        Called with (C, mean score) after each strength tried.

    Raises
    ------
    InvalidParameterError
    """
    check_choice("calibrate", calibrate, CALIBRATIONS)
    if multilabel and calibrate != "none":
        raise InvalidParameterError("calibrate works with one label a text; got multilabel=True.")
    texts = check_texts(texts)
    targets, names = _targets(labels, multilabel)
    check_enough(targets)
    if calibrate != "none":
        _check_classes(targets)
    searching: dict[str, Any] = {
        "metric": metric or ("macro_f1" if multilabel else "accuracy"),
        "class_weight": class_weight,
        "random_state": random_state,
        "on_step": on_step,
    }
    if any(name in NGRAMS for name in options.features):
        return _train_ngrams(texts, targets, names, options, searching, calibrate)
    features = build_features(options)
    matrix = _fit_features(features, texts, targets)
    search = search_logistic(
        matrix.tocsr() if hasattr(matrix, "tocsr") else matrix,
        targets,
        **searching,
    )
    head = search.estimator
    if calibrate != "none":
        head = _calibrated(head, matrix, targets, calibrate, search.n_folds)
    return TrainingResult(Pipeline([("features", features), ("head", head)]), search, names)


def _train_ngrams(
    texts: Sequence[str],
    targets: NDArray[Any],
    names: list[Any] | None,
    options: FeatureOptions,
    searching: dict[str, Any],
    calibrate: str,
) -> TrainingResult:
    classifier = _ngram_classifier(options, searching["class_weight"], names is not None)
    # An array of objects can be indexed by the folds.
    matrix = np.empty(len(texts), dtype=object)
    matrix[:] = texts
    search = search_logistic(matrix, targets, strengths=STRENGTHS, estimator=classifier, **searching)
    fitted = search.estimator
    if calibrate != "none":
        fitted = _calibrated(fitted, matrix, targets, calibrate, search.n_folds)
    return TrainingResult(fitted, search, names)


def _ngram_classifier(options: FeatureOptions, class_weight: str | None, multilabel: bool) -> NgramClassifier:
    others = [name for name in options.features if name not in NGRAMS]
    paths = [name.partition(":")[2] for name in others if name.startswith("vectors:")]
    if len(paths) < len(others) or len(paths) > 1 or not all(paths):
        raise InvalidParameterError(
            f"features: n-grams can be joined with one vectors:PATH and nothing else; got {', '.join(others)}."
        )
    vectors: dict[str, Any] = {}
    if paths:
        from tlclassic.vectors import load_vectors

        pooling = options.pooling[0] if len(options.pooling) == 1 else list(options.pooling)
        vectors = {"vectors": load_vectors(paths[0], **options.load), "pooling": pooling}
    return NgramClassifier(
        word_ngrams=(1, 2) if "ngrams" in options.features else None,
        char_ngrams=(3, 5) if "ngrams-char" in options.features else None,
        bits=options.bits,
        nb=True,
        class_weight=class_weight,
        multilabel=multilabel,
        **vectors,
    )


def _check_classes(targets: NDArray[Any]) -> None:
    """Calibration needs each class in at least two folds."""
    classes, counts = np.unique(targets, return_counts=True)
    if counts.min() < 2:
        rare = classes[counts.argmin()].item()
        raise InvalidParameterError(f"calibrate needs at least two rows of every class; {rare!r} has one.")


def _fit_features(features: Any, texts: Sequence[str], targets: NDArray[Any]) -> Any:
    try:
        return features.fit_transform(texts, targets)
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        raise InvalidParameterError(
            "the texts hold no word to learn from: every one is empty or punctuation."
        ) from error


def _targets(labels: Sequence[Any], multilabel: bool) -> tuple[Any, list[Any] | None]:
    if multilabel:
        binarizer = MultiLabelBinarizer()
        indicator = binarizer.fit_transform(labels)
        return indicator, binarizer.classes_.tolist()
    kinds = sorted({type(label).__name__ for label in labels})
    if len(kinds) > 1:
        raise InvalidParameterError(f"labels must all be of one type; got {', '.join(kinds)}.")
    targets = np.asarray(labels)
    if kinds == ["int"] and targets.dtype.kind not in "iu":
        large = max(labels, key=abs)
        raise InvalidParameterError(f"labels must be strings or 64-bit integers; got {large}. Write it as a string.")
    return targets, None


def _calibrated(head: Any, matrix: Any, targets: Any, method: str, n_folds: int) -> Any:
    rarest = int(np.unique(targets, return_counts=True)[1].min())
    model = CalibratedClassifierCV(clone(head), method=method, cv=min(n_folds, rarest), ensemble=False)
    return model.fit(matrix, targets)
