"""Static word vectors from a transformer encoder.

The vocabulary goes through the encoder, word by word, with weights by frequency (the method of model2vec,
https://github.com/MinishLab/model2vec; the weights are SIF's, Arora, Liang and Ma 2017). From there the vectors are
trained so that the plain mean of a text's word vectors predicts the encoder's vector of the text (the aim of
tokenlearn, https://github.com/MinishLab/tokenlearn). With the mean as pooling that is a linear least-squares problem,
so it is solved as one (:class:`~tlclassic.distillation.regression.MeanRegression`) and needs no training by gradients.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.distillation.regression import MeanRegression, principal_axes
from tlclassic.distillation.sentence_vectors import SentenceVectors, slices
from tlclassic.distillation.vocabulary import Vocabulary, corpus_words, encoder_pieces, whole_words
from tlclassic.errors import InvalidParameterError
from tlclassic.vectors import WordVectors

__all__ = ["StaticOptions", "static_vectors"]

Progress = Callable[[str, int, int | None], object]


@dataclass(frozen=True, kw_only=True)
class StaticOptions:
    """How static vectors are made; see :func:`static_vectors`.

    Raises
    ------
    InvalidParameterError
    """

    dim: int = 256
    size: int = 30_000
    vocabulary: str = "words"
    min_count: int = 2
    sif: float = 1e-3
    ridge: float = 0.1
    iterations: int = 15
    floor: float = 0.15
    blocks: Sequence[float] = (1.0,)

    def __post_init__(self) -> None:
        check_choice("vocabulary", self.vocabulary, ("words", "tokens"))
        for name in ("dim", "size", "min_count"):
            check_integer(name, getattr(self, name), low=1)
        check_integer("iterations", self.iterations, low=0)
        check_number("sif", self.sif, low=0)
        check_number("ridge", self.ridge, low=0)
        check_number("floor", self.floor, low=0, high=1)
        if not self.blocks or any(not weight > 0 for weight in self.blocks):
            raise InvalidParameterError(f"blocks must be positive weights, at least one; got {self.blocks!r}.")


def static_vectors(
    encoder: Any,
    corpus: Iterable[str],
    *,
    tokenizer_json: str | None = None,
    options: StaticOptions | None = None,
    beside: WordVectors | None = None,
    beside_weight: float = 1.0,
    work: str | os.PathLike[str] | None = None,
    on_progress: Progress | None = None,
) -> WordVectors:
    """Word vectors whose mean over a text predicts the encoder's vector of that text.

    Parameters
    ----------
    encoder : object
        With ``transform(list of str) -> float array of shape (n, d)``, such as :class:`tlclassic.OnnxEncoder`. Without
        normalisation the vectors of long and short texts weigh alike.
    corpus : iterable of str
        Plain text, one sentence or short document an item; gone through twice, so not a generator.
    tokenizer_json : str, optional
        The encoder's ``tokenizer.json``. Its whole-word pieces join the vocabulary of words; ``vocabulary="tokens"``
        needs it.
    options : StaticOptions, optional
        ``dim`` and ``size`` of the result (fewer words if the corpus has fewer). ``vocabulary``: "words" of
        :class:`tlclassic.Tokenizer`, or the encoder's "tokens", which then come with their tokeniser. ``min_count``:
        leave out rarer words. ``sif``: the a of a / (a + p(word)), the weights that the start vectors get; 0 for none.
        ``ridge``: how strongly a word is held to its start vector, in texts of that word alone. ``iterations``: steps
        of conjugate gradients; 0 leaves the start vectors. ``floor``: dimensions are scaled so that the cosine of two
        texts follows the encoder's, but none below this share of the largest. ``blocks``: where the encoder's vectors
        are several of equal size side by side (layers), the weight of each; every block is brought to unit variance
        first, and the last decides the cosine.
    beside : WordVectors, optional
        Other vectors of the same words, whose knowledge is put beside the encoder's before the dimensions are reduced.
    beside_weight : float
    work : path-like, optional
        Folder for the encoder's vectors of the corpus; a stopped run goes on there. Default: a temporary folder.
    on_progress : callable, optional
        Called with the step's name, what is done, and the total if known.

    Returns
    -------
    WordVectors
        float32, the most frequent words first, with their counts in the corpus.

    Raises
    ------
    InvalidParameterError
        For options outside their domain, or a corpus without words.
    InputError
        When ``work`` holds the vectors of other texts.
    """
    options = options or StaticOptions()
    report = on_progress or (lambda *state: None)
    vocabulary, n_texts = _vocabulary(corpus, tokenizer_json, options)
    if not len(vocabulary.words) or not n_texts:
        raise InvalidParameterError("corpus must hold words; got none.")
    start = _encode_words(encoder, vocabulary, report)
    regression = _regression(encoder, corpus, n_texts, vocabulary, work, report)
    mixing = _block_scales(regression.covariance, options.blocks)
    axes = principal_axes(mixing[:, None] * regression.covariance * mixing, 2 * options.dim)
    axes *= mixing[:, None]
    rows = _start_rows(start, vocabulary.counts, options.sif) @ axes.astype(np.float32)
    if options.iterations:
        rows = regression.solve(
            rows,
            axes,
            ridge=options.ridge,
            iterations=options.iterations,
            on_progress=lambda done, total: report("solving", done, total),
        )
    if beside is not None:
        rows = _joined(rows, beside, beside_weight, vocabulary, regression)
    rows = rows @ principal_axes(regression.predicted_covariance(rows), options.dim).astype(np.float32)
    rows = _scaled(rows, regression, len(start[0]) // len(options.blocks), options.floor)
    return WordVectors.from_arrays(
        vocabulary.words, rows, counts=list(vocabulary.counts), tokenizer_json=vocabulary.tokenizer_json
    )


def _vocabulary(corpus: Iterable[str], tokenizer_json: str | None, options: StaticOptions) -> tuple[Vocabulary, int]:
    if iter(corpus) is corpus:
        raise InvalidParameterError("corpus must be gone through twice; got a generator. Give a list or a TextColumn.")
    if isinstance(corpus, (str, bytes)):
        raise InvalidParameterError("corpus must be texts; got a single string.")
    if options.vocabulary == "tokens":
        if tokenizer_json is None:
            raise InvalidParameterError("vocabulary='tokens' needs tokenizer_json, the encoder's.")
        return encoder_pieces(tokenizer_json, corpus)
    extra = () if tokenizer_json is None else whole_words(tokenizer_json)
    return corpus_words(corpus, options.size, min_count=options.min_count, extra=extra)


def _encode_words(encoder: Any, vocabulary: Vocabulary, report: Progress) -> NDArray[np.float32]:
    found = []
    for batch in slices(vocabulary.texts):
        found.append(np.asarray(encoder.transform(batch), dtype=np.float32))
        report("encoding words", sum(map(len, found)), len(vocabulary.texts))
    return np.concatenate(found)


def _start_rows(encoded: NDArray[np.float32], counts: Sequence[int], a: float) -> NDArray[np.float32]:
    """The words' own vectors, centred, the frequent ones smaller."""
    rows = encoded - encoded.mean(axis=0)
    if a:
        share = np.asarray(counts, dtype=np.float64) / max(1, sum(counts))
        rows *= (a / (a + share)).astype(np.float32)[:, None]
    return np.asarray(rows, dtype=np.float32)


def _regression(
    encoder: Any,
    corpus: Iterable[str],
    n_texts: int,
    vocabulary: Vocabulary,
    work: str | os.PathLike[str] | None,
    report: Progress,
) -> MeanRegression:
    index = WordVectors.from_arrays(vocabulary.words, np.zeros((len(vocabulary.words), 1), dtype=np.float32)).index
    regression = None
    with _folder(work) as folder:
        batches = SentenceVectors(encoder, folder).batches(
            corpus, n_texts, lambda done, total: report("encoding texts", done, total)
        )
        for texts, vectors in batches:
            regression = regression or MeanRegression(len(index), vectors.shape[1])
            found = vocabulary.tokenizer.lookup(texts, index)
            regression.add(np.asarray(found.rows), np.asarray(found.indptr), vectors)
    if regression is None or not regression.n_texts:
        raise InvalidParameterError("corpus must hold words; got none.")
    return regression


@contextlib.contextmanager
def _folder(work: str | os.PathLike[str] | None) -> Iterator[str | os.PathLike[str]]:
    if work is not None:
        yield work
        return
    with tempfile.TemporaryDirectory() as folder:
        yield folder


def _block_scales(covariance: NDArray[np.float64], weights: Sequence[float]) -> NDArray[np.float64]:
    """What each dimension is multiplied by, so that every block's variance is its weight squared."""
    dim = len(covariance)
    if dim % len(weights):
        raise InvalidParameterError(
            f"blocks must be as many as the layers side by side; got {len(weights)} for {dim} dimensions."
        )
    variances = np.diag(covariance).reshape(len(weights), -1).sum(axis=1)
    scales = np.asarray(weights) / np.sqrt(np.maximum(variances, 1e-12))
    return np.repeat(scales, dim // len(weights))


def _joined(
    rows: NDArray[np.float32],
    beside: WordVectors,
    weight: float,
    vocabulary: Vocabulary,
    regression: MeanRegression,
) -> NDArray[np.float32]:
    """``rows`` and those of other vectors, both with unit variance over the texts' means."""
    other = beside.lookup(list(vocabulary.words), oov="zero")
    counts = np.asarray(vocabulary.counts, dtype=np.float64)
    known = np.fromiter((word in beside for word in vocabulary.words), dtype=bool, count=len(rows))
    centre = counts[known] @ other[known] / max(1.0, counts[known].sum())
    other[known] -= centre.astype(np.float32)
    return np.hstack([_unit(rows, regression), weight * _unit(other, regression)]).astype(np.float32)


def _unit(rows: NDArray[np.float32], regression: MeanRegression) -> NDArray[np.float32]:
    variance = float(np.trace(regression.predicted_covariance(rows)))
    return np.asarray(rows / np.sqrt(max(variance, 1e-12)), dtype=np.float32)


def _scaled(rows: NDArray[np.float32], regression: MeanRegression, last: int, floor: float) -> NDArray[np.float32]:
    """``rows`` rotated and scaled so that products of their means are nearest to those of the last block's vectors.

    In coordinates of unit variance the regression from the means to the encoder's vectors is U S V'; the means times
    U S have the products of the predictions. What the last block knows nothing of keeps the scale ``floor``.
    """
    variances, axes = np.linalg.eigh(regression.predicted_covariance(rows))
    kept = variances > 1e-9 * max(1e-12, variances.max())
    if not kept.any():
        return rows
    spread = np.sqrt(np.where(kept, variances, 1.0))
    whitened = (axes / spread)[:, kept]
    rotation, scales, _ = np.linalg.svd(whitened.T @ regression.cross_covariance(rows)[:, -last:], full_matrices=True)
    scales = np.pad(scales[: kept.sum()], (0, max(0, int(kept.sum()) - len(scales))))
    scaled = rows @ (whitened @ rotation * np.maximum(scales, floor * scales.max()))
    return np.asarray(np.pad(scaled, ((0, 0), (0, rows.shape[1] - scaled.shape[1]))), dtype=np.float32)
