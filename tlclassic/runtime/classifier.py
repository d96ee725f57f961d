"""The compiled classifier: a linear model in one file, scored by reading each text once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tlclassic._validate import check_integer
from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import load
from tlclassic.runtime.format import CHOICES, check_arrays, check_metadata
from tlclassic.runtime.inputs import Piece, as_texts
from tlclassic.runtime.links import probabilities, sigmoid
from tlclassic.storage import Artifact, ArtifactWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from tlclassic.runtime.explain import Explanation
    from tlclassic.runtime.words import Family

__all__ = ["CompiledClassifier"]

_KIND = "compiled"
#: Fewer texts are not worth a thread of their own.
_TEXTS_PER_THREAD = 256
#: Texts whose words are looked up at a time: index and table take turns in the cache, so not too few.
_PIECE = 4096
#: What the kernel calls by number.
_NUMBERED = ("counts", "norm", "unit")
_CLASS_TYPES = {"str": np.str_, "int64": np.int64, "bool": np.bool_, "float64": np.float64}


class CompiledClassifier:
    """A linear text classifier folded into tables, as :func:`tlclassic.compile` makes it.

    Parameters
    ----------
    metadata : dict
        JSON-able; see docs/runtime.md.
    arrays : dict of str to array
        The tables; used where they lie, so that those of a mapped file are not copied.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        In the order of the columns of ``predict_proba``.
    multilabel : bool
        Whether a text may have several labels.
    metadata : dict
        With ``"provenance"`` and ``"report"``.

    Raises
    ------
    ArtifactVersionError
        When a newer tlclassic wrote it.
    CorruptArtifactError
        When metadata and arrays do not fit; names what is wrong.

    Examples
    --------
    >>> import tlclassic
    >>> model = tlclassic.CompiledClassifier.load(path)  # doctest: +SKIP
    >>> model.predict(["a fine film", "a dull film"])  # doctest: +SKIP
    array(['pos', 'neg'], dtype='<U3')
    """

    def __init__(self, metadata: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        check_metadata(metadata)
        check_arrays(metadata, arrays)
        self.metadata = metadata
        self.multilabel: bool = metadata["multilabel"]
        self.classes_: NDArray[Any] = np.array(metadata["classes"], dtype=_CLASS_TYPES[metadata["classes_dtype"]])
        self._arrays = arrays
        self._outputs: int = metadata["outputs"]
        self._families = [
            _family(family, arrays, f"{number}/") if family["type"] == "ngrams" else None
            for number, family in enumerate(metadata["families"])
        ]
        self._scorer = load("score").Scorer(arrays["bias"], [family for family in self._families if family])
        self._words = self._word_families()

    def _word_families(self) -> dict[int, Family]:
        families = enumerate(self.metadata["families"])
        return {
            number: _of_words(family, self._arrays, f"{number}/")
            for number, family in families
            if family["type"] != "ngrams"
        }

    @property
    def has_probabilities(self) -> bool:
        """Whether ``predict_proba`` works: not where it was compiled from a classifier without."""
        return bool(self.metadata["link"] != "none")

    @property
    def thresholds_(self) -> NDArray[np.float64] | None:
        """The probability from which each label is given, of shape (n_labels,); None: above one half, or one label."""
        return self._arrays.get("thresholds")

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return sum(array.nbytes for array in self._arrays.values())

    def __repr__(self) -> str:
        kinds = ", ".join(f"{family['type']}" for family in self.metadata["families"]) or "no families"
        return f"CompiledClassifier({len(self.classes_)} classes, {kinds}, {self.nbytes:,} bytes)"

    def __reduce__(self) -> tuple[Any, ...]:
        # The kernel's scorer is made anew; arrays of a mapped file are copied.
        arrays = {name: np.array(array) for name, array in self._arrays.items()}
        return type(self), (self.metadata, arrays)

    # --- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier to ``path``, whole or not at all.

        Raises
        ------
        InputError
            When the file cannot be written.
        """
        with ArtifactWriter(path, kind=_KIND) as writer:
            writer.metadata.update(self.metadata)
            for name, array in self._arrays.items():
                writer.add(name, array)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CompiledClassifier:
        """Open the classifier that :meth:`save` wrote; arrays above 1 MiB are mapped, and not read for their checksums.

        :func:`tlclassic.load` checks those as well.

        Raises
        ------
        InputError, ForeignArtifactError, ArtifactVersionError, CorruptArtifactError
            When the file cannot be read, or is not a whole compiled classifier.
        """
        return cls.from_artifact(Artifact(path, kind=_KIND))

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> CompiledClassifier:
        """The classifier that an open file of kind "compiled" holds; raises as :meth:`load` does."""
        return cls(artifact.metadata, {name: artifact.array(name) for name in artifact.names})

    # --- scoring -----------------------------------------------------------------------------------------------------

    def decision_function(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """Logits.

        Parameters
        ----------
        X : list or tuple of str or bytes, NumPy array, pandas or polars Series, or Arrow column
            n texts.
        threads : int, default=1
            The texts are split among so many; results are the same for any number.

        Returns
        -------
        float64 array of shape (n,) for two classes with one output, else (n, n_outputs)

        Raises
        ------
        InvalidParameterError
            When X is not a list of texts; an item that is none is named by its position.
        """
        logits = self._logits(X, threads)
        return logits[:, 0] if self._outputs == 1 and not self.multilabel else logits

    def predict_proba(self, X: Any, *, threads: int = 1) -> NDArray[np.float64]:
        """Probabilities, float64 of shape (n, n_classes); rows sum to 1 unless a text may have several labels.

        Raises
        ------
        InvalidParameterError
            When the classifier was compiled from one without probabilities, and as in :meth:`decision_function`.
        """
        self._check_link()
        return self._probabilities(self._logits(X, threads))

    def predict(self, X: Any, *, threads: int = 1) -> NDArray[Any]:
        """Labels of shape (n,), or, where a text may have several, an int64 indicator matrix of shape (n, n_labels).

        Raises
        ------
        InvalidParameterError
            As in :meth:`decision_function`.
        """
        if self.multilabel:
            return self._indicators(self._logits(X, threads))
        texts = as_texts(X)
        found = np.empty(len(texts), dtype=np.int32)

        def work(start: int, stop: int) -> None:
            if not self._words:
                self._scorer.labels(texts, start, stop, found[start:stop])
                return
            # Logits of a piece stay in the cache, and those of all texts need no memory.
            room = np.empty((min(_PIECE, stop - start), self._outputs))
            for begin, end in _pieces(start, stop):
                logits = room[: end - begin]
                self._score(X, texts, begin, end, logits)
                found[begin:end] = load("score").best(logits)

        _split(work, len(texts), threads)
        return self.classes_.take(found)

    def predict_topk(self, X: Any, k: int, *, threads: int = 1) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The ``k`` most probable labels of each text and their probabilities, both of shape (n, k).

        From the most probable on; equal ones in the order of ``classes_``.

        Raises
        ------
        InvalidParameterError
            When ``k`` is not from 1 to the number of classes, and as in :meth:`predict_proba`.
        """
        check_integer("k", k, low=1, high=len(self.classes_))
        self._check_link()
        logits = self._logits(X, threads)
        ranked = np.hstack([-logits, logits]) if self._outputs == 1 and not self.multilabel else logits
        order = _largest(ranked, k)
        return self.classes_.take(order), np.take_along_axis(self._probabilities(logits), order, axis=1)

    def explain(self, text: str | bytes, label: Any = None) -> Explanation:
        """What each n-gram and word of ``text`` adds to the logit of ``label``.

        Parameters
        ----------
        text : str or bytes
        label : a class, default=None
            None: the most probable one.

        Returns
        -------
        Explanation
            Its bias and weights sum to the logit, up to rounding.

        Raises
        ------
        InvalidParameterError
            When ``text`` is no text or ``label`` none of the classes.
        """
        from tlclassic.runtime.explain import explain

        return explain(self, text, label)

    def _logits(self, X: Any, threads: int) -> NDArray[np.float64]:
        texts = as_texts(X)
        out = np.empty((len(texts), self._outputs))

        def work(start: int, stop: int) -> None:
            for begin, end in _pieces(start, stop) if self._words else ((start, stop),):
                self._score(X, texts, begin, end, out[begin:end])

        _split(work, len(texts), threads)
        return out

    def _score(self, X: Any, texts: Any, start: int, stop: int, out: NDArray[np.float64]) -> None:
        """Logits of some texts into ``out``, shape (stop - start, n_outputs)."""
        out[:] = self._arrays["bias"]
        if self._words:
            piece = Piece(X, texts, start, stop)
            for family in self._words.values():
                family.add(piece, out)
        # Texts that are read as words alone are not read again.
        if not len(self._words) == len(self._families) > 0:
            self._scorer.logits(texts, start, stop, out)

    def _probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return probabilities(logits, self.metadata["link"], multilabel=self.multilabel)

    def _indicators(self, logits: NDArray[np.float64]) -> NDArray[np.int64]:
        thresholds = self._arrays.get("thresholds")
        if thresholds is None:
            return (logits > 0).astype(np.int64)
        return (sigmoid(logits) >= thresholds).astype(np.int64)

    def _check_link(self) -> None:
        if not self.has_probabilities:
            raise InvalidParameterError(
                "this classifier has no probabilities: it was compiled from one without. Use decision_function, or "
                "compile a calibrated one."
            )


def _family(metadata: dict[str, Any], arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, Any]:
    """What the kernel asks of a family of n-grams."""
    bitmap = arrays[prefix + "bitmap"] if metadata["layout"] == "bitmap" else None
    weighted = metadata["idf"] and metadata["norm"] == "l2"
    low, high = metadata["ngrams"]
    return {
        "lo": low,
        "hi": high,
        "bits": metadata["bits"],
        "fold": metadata["case"] == "fold",
        "keep_punctuation": metadata["punctuation"] == "keep",
        **{name: CHOICES[name].index(metadata[name]) for name in _NUMBERED},
        "columns": metadata.get("columns"),
        "table": arrays[prefix + "table"],
        "scales": arrays[prefix + "scales"] if metadata["dtype"] == "int8" else None,
        "bitmap": bitmap,
        "ranks": None if bitmap is None else load("score").rank_words(bitmap),
        "idf": arrays[prefix + "idf"] if weighted else None,
        "idf_default": float(metadata["idf_default"]) if weighted else 1.0,
    }


def _of_words(metadata: dict[str, Any], arrays: dict[str, NDArray[Any]], prefix: str) -> Family:
    """A family that reads texts as words; imported here, because most classifiers have none."""
    if metadata["type"] == "convolution":
        from tlclassic.runtime.convolution import ConvolutionFamily

        return ConvolutionFamily(metadata, arrays, prefix)
    from tlclassic.runtime.words import WordFamily

    return WordFamily(metadata, arrays, prefix)


def _pieces(start: int, stop: int) -> Iterator[tuple[int, int]]:
    return ((begin, min(begin + _PIECE, stop)) for begin in range(start, stop, _PIECE))


def _split(work: Callable[[int, int], None], n: int, threads: int) -> None:
    """Run ``work(start, stop)`` over ranges that make up 0 to ``n``, each in a thread; the first error is raised."""
    check_integer("threads", threads, low=1)
    threads = min(threads, max(1, n // _TEXTS_PER_THREAD))
    if threads == 1:
        work(0, n)
        return
    import threading

    errors: list[tuple[int, BaseException]] = []

    def run(number: int) -> None:
        try:
            work(n * number // threads, n * (number + 1) // threads)
        except BaseException as error:
            errors.append((number, error))

    helpers = [threading.Thread(target=run, args=(number,)) for number in range(1, threads)]
    for helper in helpers:
        helper.start()
    run(0)
    for helper in helpers:
        helper.join()
    if errors:
        raise min(errors, key=lambda entry: entry[0])[1]


def _largest(values: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """The columns of the ``k`` largest of each row, largest first; equal ones in their order."""
    if 4 * k >= values.shape[1]:
        return np.asarray(np.argsort(-values, axis=1, kind="stable")[:, :k])
    values = values.copy()
    rows = np.arange(len(values))
    order = np.empty((len(values), k), dtype=np.intp)
    for place in range(k):
        order[:, place] = values.argmax(axis=1)
        values[rows, order[:, place]] = -np.inf
    return order
