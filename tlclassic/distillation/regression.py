"""Ridge regression from the words of texts to the vectors of a teacher, on sparse counts that stay as they are.

One pass over the texts gathers everything that the teacher's vectors are needed for: their mean, their covariance and
their products with the counts. What is solved afterwards, by conjugate gradients on all dimensions side by side, reads
the sparse counts alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require

__all__ = ["MeanRegression", "principal_axes"]

#: Texts whose intermediate products are held at a time: they stay in the processor's cache.
_ROWS = 4096
_RIDGE_FLOOR = 1e-6

Progress = Callable[[int, int | None], object]


class MeanRegression:
    """min over W of sum |mean of W's rows of a text's words - teacher(text)|^2 + ridge * |W - start|^2.

    Parameters
    ----------
    n_words, n_targets : int
        Rows of W; dimensions of the teacher's vectors.

    Attributes
    ----------
    n_texts : int
        Texts with at least one known word; the others say nothing and are left out.
    mean : float64 array of shape (n_targets,)
        Of the teacher's vectors; what is regressed on is the difference from it.
    """

    def __init__(self, n_words: int, n_targets: int) -> None:
        self.n_words = n_words
        self.n_texts = 0
        self._chunks: list[Any] = []
        self._sum = np.zeros(n_targets)
        self._square = np.zeros((n_targets, n_targets))
        self._products = np.zeros((n_words, n_targets), dtype=np.float32)

    def add(self, rows: NDArray[np.int32], indptr: NDArray[np.int64], targets: NDArray[Any]) -> None:
        """Add texts.

        Parameters
        ----------
        rows : int32 array of shape (n_tokens,)
            Each token's word, -1 where unknown: those are left out of the mean.
        indptr : int64 array of shape (n + 1,)
            Text i consists of ``rows[indptr[i]:indptr[i + 1]]``.
        targets : float array of shape (n, n_targets)
        """
        means = mean_matrix(rows, indptr, self.n_words)
        some = np.flatnonzero(np.diff(means.indptr))
        means, targets = means[some], np.asarray(targets, dtype=np.float32)[some]
        self.n_texts += len(some)
        self._chunks.append(means)
        self._sum += targets.sum(axis=0, dtype=np.float64)
        self._square += (targets.T @ targets).astype(np.float64)
        self._products += means.T @ targets

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the teacher's vectors."""
        return self._sum / max(1, self.n_texts)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance of the teacher's vectors, of shape (n_targets, n_targets)."""
        return self._square / max(1, self.n_texts) - np.outer(self.mean, self.mean)

    def solve(
        self,
        start: NDArray[np.float32],
        axes: NDArray[Any],
        *,
        ridge: float,
        iterations: int,
        on_progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """The rows W, of the targets' projections on ``axes``, by preconditioned conjugate gradients from ``start``.

        Parameters
        ----------
        start : float32 array of shape (n_words, k)
            What the rows are pulled towards; words in no text keep it.
        axes : array of shape (n_targets, k)
        ridge : float
            In units of a text that consists of the word alone.
        iterations : int
            Steps at most; each goes twice through the counts.

        Returns
        -------
        float32 array of shape (n_words, k)
        """
        wanted = self._centred() @ axes.astype(np.float32)
        ridge = max(ridge, _RIDGE_FLOOR)
        scale = (1 / (self._column_sums(2) + ridge)).astype(np.float32)[:, None]
        residual = wanted - self._gram(start)
        found = np.zeros_like(start)
        search = scale * residual
        norm = np.einsum("ij,ij->j", residual, search)
        first = norm.sum()
        for step in range(iterations):
            if on_progress is not None:
                on_progress(step, iterations)
            if norm.sum() <= 1e-8 * first:
                break
            image = self._gram(search) + np.float32(ridge) * search
            length = norm / np.maximum(np.einsum("ij,ij->j", search, image), 1e-30)
            found += length * search
            residual -= length * image
            preconditioned = scale * residual
            before, norm = norm, np.einsum("ij,ij->j", residual, preconditioned)
            search *= norm / np.maximum(before, 1e-30)
            search += preconditioned
        return np.asarray(start + found, dtype=np.float32)

    def explained(self, rows: NDArray[np.float32], axes: NDArray[Any]) -> float:
        """Share of the variance of the targets' projections on ``axes`` that the means of ``rows`` explain."""
        axes = axes.astype(np.float64)
        total = np.trace(axes.T @ self.covariance @ axes) * self.n_texts
        wanted = self._centred() @ axes
        cross = float(np.sum(rows * wanted))
        own = float(np.sum(rows * self._gram(rows), dtype=np.float64))
        return float((2 * cross - own) / total)

    def predicted_covariance(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Covariance of the texts' means of ``rows``, of shape (k, k)."""
        square = rows.T.astype(np.float64) @ self._gram(rows)
        mean = self._column_sums(1) @ rows / max(1, self.n_texts)
        return np.asarray(square / max(1, self.n_texts) - np.outer(mean, mean))

    def cross_covariance(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Covariance of the texts' means of ``rows`` and the teacher's vectors, of shape (k, n_targets)."""
        return np.asarray(rows.T.astype(np.float64) @ self._centred() / max(1, self.n_texts))

    def _centred(self) -> NDArray[np.float32]:
        """A' (targets - mean), with A the texts' means."""
        return self._products - np.outer(self._column_sums(1), self.mean).astype(np.float32)

    def _gram(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """A'A rows, with A the texts' means, a chunk of texts at a time."""
        total = np.zeros_like(rows)
        for chunk in self._chunks:
            for first in range(0, chunk.shape[0], _ROWS):
                part = chunk[first : first + _ROWS]
                total += part.T @ (part @ rows)
        return total

    def _column_sums(self, power: int) -> NDArray[np.float64]:
        sums = np.zeros(self.n_words)
        for chunk in self._chunks:
            sums += np.bincount(chunk.indices, weights=chunk.data.astype(np.float64) ** power, minlength=self.n_words)
        return sums


def mean_matrix(rows: NDArray[np.int32], indptr: NDArray[np.int64], n_words: int) -> Any:
    """Sparse float32 matrix of shape (n_texts, n_words) whose product with word vectors is each text's mean."""
    sparse = require("scipy.sparse", purpose="Static vectors of an encoder")
    known = rows >= 0
    starts = np.concatenate([[0], np.cumsum(known)])[indptr]
    lengths = np.diff(starts)
    values = np.repeat(1 / np.maximum(lengths, 1), lengths).astype(np.float32)
    matrix = sparse.csr_matrix((values, rows[known], starts), shape=(len(indptr) - 1, n_words))
    matrix.sum_duplicates()
    return matrix


def principal_axes(covariance: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """The ``n`` axes of most variance as columns, each with its largest entry positive, so that runs agree."""
    axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :n]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return np.asarray(axes * np.where(signs == 0, 1, signs))
