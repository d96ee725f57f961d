"""Streaming solver of linear models: AdaGrad over sparse rows, one row at a time."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.matrix import Workers, as_csr, renumbered
from tlclassic.heads.solvers import Solution, row_weights
from tlclassic.kernels import load

__all__ = ["LEARNING_RATE", "Streaming", "fit_streaming"]

_K = load("linear")
#: The default step size: the best mean accuracy on the dev parts of ag_news, sst2, trec6 and banking77, uni- and
#: bigrams in rows scaled by one over the square root of their number, five epochs (0.3 to 2 differ little).
LEARNING_RATE = 1.0
#: What a feature's sum of squared gradients starts at: its first step is not as large as all later ones together.
INITIAL_SQUARES = 1e-2


class Streaming:
    """A linear model that learns from batches of sparse rows, in the order in which they come.

    Each feature has one adaptive step size (AdaGrad, Duchi, Hazan and Singer 2011), penalties are applied when a
    feature is next seen (Langford, Li and Zhang 2009). With one thread the result depends on the rows' order alone.
    With more they work on parts of a batch at the same time without locks (Hogwild: Recht, Re, Wright and Niu 2011):
    faster, and from run to run a little different.

    Parameters
    ----------
    n_features, n_outputs : int
        The table takes ``4 * n_features * (n_outputs + 2)`` bytes, of which the system gives what is touched.
    loss : {"softmax", "sigmoid"}
    learning_rate : float
        The step size; rows are best scaled to length about one.
    l1, l2 : float
        Penalties a row: the objective is the mean of ``loss_i + l2 / 2 * ||w||^2 + l1 * ||w||_1``. L1 draws weights
        to zero; exact zeros are for :func:`fit_linear`.
    total_rows : int, optional
        Rows that will come in all, over all epochs: the step size falls linearly to zero over them. Default: it stays,
        and AdaGrad's sums alone slow the learning.
    fit_intercept : bool
    threads : int

    Attributes
    ----------
    coef : float32 array of shape (n_outputs, n_features)
    intercept : float32 array of shape (n_outputs,)
    rows_seen : int

    Examples
    --------
    >>> import numpy as np
    >>> model = Streaming(3, 1, loss="sigmoid")
    >>> for _ in range(20):
    ...     _ = model.step(np.array([0, 2], np.int32), np.array([0, 1, 2]), None, np.array([[1.0], [0.0]]))
    >>> np.sign(model.coef)
    array([[ 1.,  0., -1.]], dtype=float32)
    """

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        *,
        loss: Literal["softmax", "sigmoid"] = "softmax",
        learning_rate: float = LEARNING_RATE,
        l1: float = 0.0,
        l2: float = 0.0,
        total_rows: int | None = None,
        fit_intercept: bool = True,
        threads: int = 1,
    ) -> None:
        check_choice("loss", loss, ("softmax", "sigmoid"))
        check_integer("n_features", n_features, low=0, high=2**31 - 1)
        check_integer("n_outputs", n_outputs, low=1)
        check_number("learning_rate", learning_rate, low=0.0)
        check_number("l1", l1, low=0.0)
        check_number("l2", l2, low=0.0)
        check_integer("threads", threads, low=1)
        if total_rows is not None:
            check_integer("total_rows", total_rows, low=1)
        self.n_features, self.n_outputs = int(n_features), int(n_outputs)
        self.learning_rate, self.l1, self.l2, self.total_rows = learning_rate, l1, l2, total_rows
        self.loss, self.fit_intercept, self.threads = loss, fit_intercept, threads
        self.rows_seen = 0
        stride = self.n_outputs + 2
        # Rows of 32 or 64 bytes do not straddle cache lines.
        stride = next((width for width in (4, 8, 16) if stride <= width), stride)
        self._table = _aligned_zeros(self.n_features, stride)
        self._bias = np.zeros(self.n_outputs + 1, dtype=np.float32)
        self._bias[-1] = INITIAL_SQUARES

    @property
    def coef(self) -> NDArray[np.float32]:
        """The coefficients, a copy; penalties of the steps since a feature was last seen are not in them."""
        return np.ascontiguousarray(self._table[:, : self.n_outputs].T)

    @property
    def intercept(self) -> NDArray[np.float32]:
        """The intercept, a copy."""
        return self._bias[:-1].copy()

    def set_start(self, coef: NDArray[Any], intercept: NDArray[Any]) -> None:
        """Go on from a model: coefficients (n_outputs, n_features) and intercept (n_outputs,)."""
        self._table[:, : self.n_outputs] = np.asarray(coef).T
        self._bias[:-1] = intercept

    @property
    def state(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The table (n_features, stride) and the intercept's row, with all that learning needs to go on."""
        return self._table, self._bias

    def resume(self, table: NDArray[np.float32], bias: NDArray[np.float32], rows_seen: int) -> None:
        """Go on from another model's :attr:`state`, which is copied."""
        if table.shape != self._table.shape or bias.shape != self._bias.shape:
            raise InvalidParameterError(f"the state must have shape {self._table.shape}; got {table.shape}.")
        self._table[:], self._bias[:] = table, bias
        self.rows_seen = rows_seen

    def step(
        self,
        indices: NDArray[np.int32],
        indptr: NDArray[np.int64],
        values: NDArray[np.float32] | None,
        P: NDArray[Any],
        weights: NDArray[Any] | None = None,
        order: NDArray[np.int64] | None = None,
    ) -> float:
        """Learn from rows in CSR form.

        Parameters
        ----------
        indices, indptr : int32 and int64 arrays
        values : float32 array or None
            None: ones.
        P : float array of shape (n, n_outputs)
            Target probabilities.
        weights : array of shape (n,), optional
        order : int64 array, optional
            Which rows to take, in which order.

        Returns
        -------
        float
            The sum of the weighted losses, each before the step that its row caused.

        Raises
        ------
        InvalidParameterError
            For arrays that do not fit together.
        """
        indices = np.ascontiguousarray(indices, np.int32)
        indptr = np.ascontiguousarray(indptr, np.int64)
        targets = np.ascontiguousarray(P, np.float32)
        try:
            _K.check_rows(indices, indptr, self.n_features)
        except ValueError as error:
            raise InvalidParameterError(str(error)) from None
        if targets.shape != (len(indptr) - 1, self.n_outputs):
            raise InvalidParameterError(
                f"P must have shape ({len(indptr) - 1}, {self.n_outputs}), as the rows; got {targets.shape}."
            )
        return self._step(
            None if values is None else np.ascontiguousarray(values, np.float32),
            indices,
            indptr,
            targets,
            None if weights is None else row_weights(weights, len(targets)).astype(np.float32),
            None if order is None else np.ascontiguousarray(order, np.int64),
        )

    def _step(
        self,
        values: NDArray[np.float32] | None,
        indices: NDArray[np.int32],
        indptr: NDArray[np.int64],
        targets: NDArray[np.float32],
        weights: NDArray[np.float32] | None,
        order: NDArray[np.int64] | None,
    ) -> float:
        n = len(targets) if order is None else len(order)
        rate, slope = self._rates()

        def run(first: int, last: int) -> float:
            arrays = (values, indices, indptr, targets, weights, order)
            return float(
                _K.stream(
                    self._table,
                    self._bias,
                    *arrays,
                    first,
                    last,
                    softmax=self.loss == "softmax",
                    fit_intercept=self.fit_intercept,
                    rate=rate,
                    slope=slope,
                    l1=self.l1,
                    l2=self.l2,
                    # Step 0 is no step: a feature that was never seen owes nothing.
                    step=(self.rows_seen + 1) % 2**32,
                )
            )

        workers = Workers(self.threads)
        try:
            total = sum(workers.run(run, workers.split_evenly(n)))
        finally:
            workers.close()
        self.rows_seen += n
        return float(total)

    def _rates(self) -> tuple[float, float]:
        if self.total_rows is None:
            return self.learning_rate, 0.0
        left = max(0.0, 1.0 - self.rows_seen / self.total_rows)
        # No further down than zero, should more rows come than were announced.
        return self.learning_rate * left, -self.learning_rate / self.total_rows if left else 0.0


def _aligned_zeros(n: int, stride: int) -> NDArray[np.float32]:
    flat = np.zeros(n * stride + 16, dtype=np.float32)
    skip = -flat.ctypes.data % 64 // 4
    return flat[skip : skip + n * stride].reshape(n, stride)


def fit_streaming(
    X: Any,
    P: NDArray[Any],
    *,
    loss: Literal["softmax", "sigmoid"] = "softmax",
    sample_weight: NDArray[Any] | None = None,
    C: float = 1.0,
    l1_ratio: float = 0.0,
    fit_intercept: bool = True,
    scale: NDArray[Any] | None = None,
    learning_rate: float = LEARNING_RATE,
    epochs: int = 5,
    threads: int = 1,
    random_state: int = 0,
) -> Solution:
    """:func:`fit_linear`'s objective by ``epochs`` shuffled passes of :class:`Streaming`: fast, near the optimum.

    Parameters are those of the two; ``X`` may be dense. The columns that occur are renumbered first, so that the table
    is as small as it can be. ``objective`` is the last epoch's progressive loss, ``C`` times, without the penalty.
    """
    check_number("C", C, low=1e-300)
    check_integer("epochs", epochs, low=1)
    check_number("l1_ratio", l1_ratio, low=0.0, high=1.0)
    values, indices, indptr = as_csr(sp.csr_matrix(X))
    columns, place = renumbered(indices, X.shape[1])
    targets = np.ascontiguousarray(P, np.float32)
    if targets.ndim != 2 or len(targets) != X.shape[0]:
        raise InvalidParameterError(f"P must have shape (n, K) with n = {X.shape[0]} rows; got {targets.shape}.")
    weights = None if sample_weight is None else row_weights(sample_weight, len(targets)).astype(np.float32)
    penalty = 1.0 / (C * max(1.0, len(targets)))
    model = Streaming(
        len(columns),
        targets.shape[1],
        loss=loss,
        learning_rate=learning_rate,
        l1=penalty * l1_ratio,
        l2=penalty * (1.0 - l1_ratio),
        total_rows=epochs * max(1, len(targets)),
        fit_intercept=fit_intercept,
        threads=threads,
    )
    rng, last = np.random.default_rng(random_state), 0.0
    values = values.astype(np.float32, copy=False)
    factors = None if scale is None else _column_scale(scale, X.shape[1])[columns]
    if factors is not None:
        values = (values * factors[place]).astype(np.float32)
    for _ in range(epochs):
        last = model.step(place, indptr, values, targets, weights, rng.permutation(len(targets)))
    coef = model.coef.astype(np.float64) * (1.0 if factors is None else factors)
    return Solution(columns, coef, X.shape[1], model.intercept.astype(np.float64), epochs, C * last, True)


def _column_scale(scale: NDArray[Any], n_features: int) -> NDArray[np.float64]:
    factors = np.asarray(scale, np.float64)
    if factors.shape == (1, n_features):
        factors = factors[0]
    if factors.shape != (n_features,) or not np.isfinite(factors).all():
        raise InvalidParameterError(
            f"the streaming solver takes a finite scale of shape ({n_features},), one for all outputs; "
            f'got shape {factors.shape}. Use solver="newton" for a scale of each output.'
        )
    return factors
