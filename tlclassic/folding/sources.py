"""Steps that read texts: coefficients on their columns become tables over words or buckets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline

from tlclassic.errors import InvalidParameterError
from tlclassic.features import EmbeddingVectorizer
from tlclassic.features.components import removal_strengths
from tlclassic.features.convolution import TextConvolution
from tlclassic.folding.linear import Linear, Part
from tlclassic.folding.refusal import refusal
from tlclassic.folding.steps import check_step, fold_step, members, remove_components, steps_of, width
from tlclassic.folding.tables import ConvolutionTable, NgramTable, Table, VectorsTable, WordBlock, merge
from tlclassic.text import Tokenizer
from tlclassic.vectors.rows import blocks as row_blocks

__all__ = ["fold_features", "reachable"]

Matrix = NDArray[np.float64]
Step = tuple[str, Any]
Folded = tuple[list[Table], Matrix]

_NGRAMS = "Train NgramClassifier, or put NgramVectorizer in its place: its n-grams are compiled"
#: Words that are tokenised at a time.
_BATCH = 1 << 16
_WORDS = "Words of tlclassic.Tokenizer and hashed n-grams can be made again without Python"


def fold_features(linear: Linear) -> tuple[list[Table], Matrix]:
    """The tables of a linear classifier and its bias, float64 of shape (n_outputs,).

    Raises
    ------
    InvalidParameterError
        When a step does not fold; names it.
    """
    tables: list[Table] = []
    bias = linear.intercept.copy()
    for part in linear.parts:
        found, constant = _fold_part(part)
        tables, bias = tables + found, bias + constant
    return merge(tables), bias


def _fold_part(part: Part) -> Folded:
    if not part.steps:
        raise InvalidParameterError(
            "fitted must start from texts; got a classifier alone. Compile the pipeline that it is part of."
        )
    if part.columns is None:
        return _fold_steps(part.steps, part.coef)
    ((place, source),) = part.steps if len(part.steps) == 1 else [("", None)]
    if source is None:
        place, source = part.steps[0]
        raise refusal(place, source, "NgramClassifier reads texts as they are", "Use it without steps before it")
    return _fold_ngrams(place, source, part.coef, part.columns)


def _fold_steps(steps: Sequence[Step], coef: Matrix) -> Folded:
    (place, source), *rest = steps
    if len(rest) and isinstance(source, Pipeline):
        return _fold_steps([*steps_of(source, place), *rest], coef)
    widths = [_source_width(place, source)] if rest else []
    for name, step in rest:
        check_step(name, step)
        widths.append(width(step, widths[-1]))
    total = np.zeros(len(coef))
    for (name, step), n_in in zip(reversed(rest), reversed(widths[:-1]), strict=True):
        coef, constant = fold_step(name, step, coef, n_in)
        total += constant
    tables, constant = _fold_source(place, source, coef)
    return tables, total + constant


def _source_width(place: str, source: Any) -> int:
    _check_source(place, source)
    return width(source, 0)


def _fold_source(place: str, source: Any, coef: Matrix) -> Folded:
    _check_source(place, source)
    if isinstance(source, Pipeline):
        return _fold_steps(steps_of(source, place), coef)
    if isinstance(source, FeatureUnion):
        return _fold_union(place, source, coef)
    return _SOURCES[_kind(source)](place, source, coef)


def _fold_union(place: str, union: FeatureUnion, coef: Matrix) -> Folded:
    tables: list[Table] = []
    total, start = np.zeros(len(coef)), 0
    for name, step, weight in members(union, place):
        end = start + _source_width(name, step)
        found, constant = _fold_source(name, step, coef[:, start:end] * weight)
        tables, total, start = tables + found, total + constant, end
    return tables, total


def _check_source(place: str, source: Any) -> None:
    """Before its width is asked for: a source that cannot fold is refused by name."""
    if isinstance(source, (Pipeline, FeatureUnion)):
        inner = steps_of(source, place)[:1] if isinstance(source, Pipeline) else [m[:2] for m in members(source, place)]
        for name, step in inner:
            _check_source(name, step)
        return
    if _kind(source) in _SOURCES:
        return
    if isinstance(source, (CountVectorizer, HashingVectorizer, TfidfVectorizer)):
        reason = "its words come from a regular expression of Python and a dictionary"
        raise refusal(place, source, reason, _NGRAMS)
    reason = "it is not a source of features from texts that folds"
    raise refusal(
        place, source, reason, "The first step must be EmbeddingVectorizer, NgramVectorizer or a union of them"
    )


def _kind(source: Any) -> str:
    ours = type(source).__module__.startswith("tlclassic.features")
    return type(source).__name__ if ours else ""


# -- word vectors ----------------------------------------------------------------------------------------------------


def _fold_embedding(place: str, source: EmbeddingVectorizer, coef: Matrix) -> Folded:
    _check_embedding(place, source)
    vectors, dim = source.vectors_, source.vectors_.dim
    keeps_case = source.tokenizer_.case == "keep"
    rows, words = reachable(source.tokenizer_, vectors)
    blocks = [
        _fold_block(source, block, coef[:, number * dim : (number + 1) * dim])
        for number, block in enumerate(source._blocks)
    ]
    table = VectorsTable(
        tokenizer=source.tokenizer_,
        # A tokeniser that lower-cases has nothing left to fall back to.
        lower_fallback=bool(source.lower_fallback) and keeps_case,
        unknown=source.unknown_,
        words=words,
        blocks=[block.take(rows) for block in blocks],
        frequency=_frequency(vectors)[rows],
    )
    return [table], np.zeros(len(coef))


def reachable(tokenizer: Tokenizer, vectors: Any) -> tuple[NDArray[np.int64], list[str]]:
    """The rows, and words, that the tokeniser can ever give: a token by itself is that token again.

    Of GloVe's vocabulary a quarter, such as ``u.s.`` or ``1,000``, is never looked up.
    """
    rows: list[int] = []
    words: list[str] = []
    for start in range(0, len(vectors), _BATCH):
        batch = list(vectors.words[start : start + _BATCH])
        found = tokenizer.lookup(batch, vectors.index)
        alone = np.flatnonzero(np.diff(found.indptr) == 1)
        alone = alone[found.rows[found.indptr[alone]] == start + alone]
        rows += (start + alone).tolist()
        words += [batch[i] for i in alone.tolist()]
    return np.array(rows, dtype=np.int64), words


def _frequency(vectors: Any) -> Matrix:
    """Counts that came with the vectors, else Zipf's law over the rows: files are sorted by frequency."""
    if vectors.counts is not None:
        return np.asarray(vectors.counts, dtype=np.float64)
    return 1.0 / np.arange(1.0, len(vectors) + 1.0)


def _fold_block(source: EmbeddingVectorizer, block: Any, coef: Matrix) -> WordBlock:
    if block.removal:
        strengths = removal_strengths(source.singular_values_[block.name], block.removal)
        coef = remove_components(coef, source.components_[block.name], strengths)
    vectors, weights = source.vectors_, source.weights_.get(block.name)
    table = np.empty((len(vectors), len(coef)))
    for start, rows in row_blocks(vectors.table, vectors.scales):
        table[start : start + len(rows)] = rows.astype(np.float64) @ coef.T
    unknown_weight = source.unknown_weights_.get(block.name, 1.0)
    if weights is not None:
        table *= weights[:, None]
    unknown = np.zeros(len(coef))
    if source.unknown_ == "mean":
        unknown = coef @ vectors.mean.astype(np.float64) * (unknown_weight if block.weighting else 1.0)
    if weights is None or block.weighting != "tfidf":
        return WordBlock(table, unknown)
    return WordBlock(table, unknown, weights.astype(np.float64), unknown_weight)


def _check_embedding(place: str, source: EmbeddingVectorizer) -> None:
    if type(source.tokenizer_) is not Tokenizer:
        kind = type(source.tokenizer_).__name__
        raise refusal(place, source, f"its words come from a {kind}", f"{_WORDS}: fit it with tokenizer=Tokenizer()")
    if source.normalize:
        reason = "normalize=True divides by the norm of the pooled vector, which is not linear"
        raise refusal(place, source, reason, "Fit it with normalize=False and a StandardScaler after it")
    if source.unknown_ == "subword":
        reason = "unknown='subword' makes vectors of n-grams of unknown words while it runs"
        raise refusal(place, source, reason, "Fit it with unknown='ignore', or beside NgramVectorizer(char_ngrams=...)")
    for block in source._blocks:
        if block.kind != "sum" or block.weighting == "usif":
            reason = f"pooling {block.name!r} {_NOT_LINEAR.get(block.weighting or block.kind)}"
            raise refusal(place, source, reason, "What folds: 'mean', 'tfidf', 'sif' and 'power' with powers=(1,)")


_NOT_LINEAR = {
    "usif": "divides each dimension by its norm within the text",
    "max": "is a maximum, not a sum over words",
    "min": "is a minimum, not a sum over words",
    "power": "takes powers and roots, which are not linear",
}


# -- convolutions ----------------------------------------------------------------------------------------------------


def _fold_convolution(place: str, source: TextConvolution, coef: Matrix) -> Folded:
    if (np.diff(source.buckets) <= 0).any():
        raise refusal(place, source, "its buckets do not ascend", "Use the one that ConvolutionClassifier fitted")
    table = ConvolutionTable(
        bits=int(source.bits),
        buckets=np.asarray(source.buckets, dtype=np.int64),
        table=source.table,
        bias=source.bias,
        weights=np.ascontiguousarray(coef.T, dtype=np.float64),
        frequency=np.asarray(source.frequency, dtype=np.float64),
        sum_table=source.sum_table,
        hidden_weights=source.hidden_weights,
        hidden_bias=source.hidden_bias,
    )
    return [table], np.zeros(len(coef))


# -- hashed n-grams --------------------------------------------------------------------------------------------------


def _fold_ngrams(place: str, source: Any, coef: Matrix, columns: NDArray[np.int64] | None = None) -> Folded:
    if columns is None:
        columns = np.flatnonzero(coef.any(axis=0))
        coef = coef[:, columns]
    tables: list[Table] = []
    size = 1 << int(source.bits)
    units = [("word", source.word_ngrams), ("char", source.char_ngrams)]
    for number, (unit, lengths) in enumerate((unit, lengths) for unit, lengths in units if lengths is not None):
        low, high = np.searchsorted(columns, [number * size, (number + 1) * size])
        buckets = columns[low:high] - number * size
        tables.append(_ngram_table(source, unit, lengths, buckets, coef[:, low:high].T))
    return tables, np.zeros(len(coef))


def _ngram_table(source: Any, unit: str, lengths: Any, buckets: NDArray[np.int64], weights: Matrix) -> NgramTable:
    idf = source.idf_[unit] if source.idf else None
    if idf is not None:
        weights = weights * idf[buckets].astype(np.float64)[:, None]
    options = {
        "unit": unit,
        "ngrams": [int(length) for length in lengths],
        "bits": int(source.bits),
        "case": source.case,
        "punctuation": source.punctuation,
        "counts": source.counts,
        "norm": source.norm,
        "idf": idf is not None,
    }
    kept = np.flatnonzero(weights.any(axis=1))
    table = NgramTable(options, buckets[kept], np.ascontiguousarray(weights[kept]))
    return _with_idf(table, idf) if idf is not None and source.norm == "l2" else table


def _with_idf(table: NgramTable, idf: NDArray[np.float32]) -> NgramTable:
    """With a row for every bucket that was seen, weight or not: all n-grams of a text count in its length."""
    buckets = np.union1d(table.buckets, np.flatnonzero(idf != idf.max()))
    weights = np.zeros((len(buckets), table.weights.shape[1]))
    weights[np.searchsorted(buckets, table.buckets)] = table.weights
    return replace(table, buckets=buckets, weights=weights, idf=idf)


_SOURCES: dict[str, Callable[[str, Any, Matrix], Folded]] = {
    "EmbeddingVectorizer": _fold_embedding,
    "NgramVectorizer": _fold_ngrams,
    "TextConvolution": _fold_convolution,
}
