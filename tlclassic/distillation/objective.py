"""What a student is fitted to: softened probabilities, hard labels mixed in, weights of rows, other class shares.

# Design: plain functions from matrices to matrices of the same shape. Rows of a matrix ``P`` of shape (n, C) are
# distributions over the classes, or with ``multilabel`` one probability for each label by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlclassic._validate import check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.heads.targets import SUM_TOLERANCE

__all__ = ["confidence_weights", "correct_prior", "estimate_prior", "mix", "targets"]

Matrix = NDArray[np.floating[Any]]


def targets(P: ArrayLike, *, temperature: float = 1.0, multilabel: bool = False) -> Matrix:
    """The teacher's probabilities at another temperature: ``softmax(log P / T)``.

    Parameters
    ----------
    P : float array of shape (n, C)
    temperature : float
        Above 0; above 1 flattens, below sharpens. What is exactly 0 stays so.
    multilabel : bool
        ``sigmoid(logit(P) / T)`` of each entry.

    Returns
    -------
    float array of shape (n, C)
        float32 where P is, else float64.

    Raises
    ------
    InvalidParameterError
        When P holds no probabilities (its first wrong row is named), or the temperature is not above 0.

    Notes
    -----
    Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531.

    Examples
    --------
    >>> targets([[0.64, 0.36]], temperature=2.0).round(3).tolist()
    [[0.571, 0.429]]
    """
    P = _probabilities("P", P, multilabel)
    _check_above_zero("temperature", temperature)
    if temperature == 1.0:
        return P.copy()
    with np.errstate(divide="ignore"):
        z = np.log(P) / P.dtype.type(temperature)
        if not multilabel:
            return _normalised(np.exp(z - z.max(axis=1, keepdims=True)))
        other = np.log1p(-P) / P.dtype.type(temperature)
    # The larger of the two is 0, so that no power is lost to underflow on both sides.
    top = np.maximum(z, other)
    z, other = np.exp(z - top), np.exp(other - top)
    result: Matrix = z / (z + other)
    return result


def mix(P: ArrayLike, hard: ArrayLike, weight: float, *, multilabel: bool = False) -> Matrix:
    """``(1 - weight) * P + weight * hard`` in the rows that have a label; the others stay as they are.

    Parameters
    ----------
    P : float array of shape (n, C)
    hard : int array of shape (n,), or array of shape (n, C)
        The column of each row's class, -1 where there is no label; or indicators (or probabilities), NaN in all of a
        row without labels. With ``multilabel`` the second alone.
    weight : float
        From 0 (the teacher alone) to 1 (the labels alone).
    multilabel : bool

    Raises
    ------
    InvalidParameterError
        When ``hard`` does not fit P.

    Examples
    --------
    >>> mix([[0.8, 0.2], [0.6, 0.4]], [1, -1], 0.5).tolist()
    [[0.4, 0.6], [0.6, 0.4]]
    """
    P = _probabilities("P", P, multilabel)
    check_number("weight", weight, low=0.0, high=1.0)
    Y = _hard_matrix(np.asarray(hard), P.shape, P.dtype, multilabel)
    is_labelled = ~np.isnan(Y).any(axis=1)
    mixed: Matrix = P.copy()
    mixed[is_labelled] = (1.0 - weight) * P[is_labelled] + weight * Y[is_labelled]
    return mixed


def confidence_weights(P: ArrayLike, power: float, *, multilabel: bool = False) -> NDArray[np.float64]:
    """Weights of rows by how sure the teacher is: ``(1 - entropy / log C) ** power``, with a mean of 1.

    With ``multilabel`` the mean over the labels of ``1 - entropy / log 2``. A power of 0 gives ones.

    Parameters
    ----------
    P : float array of shape (n, C)
    power : float
        At least 0.

    Returns
    -------
    float64 array of shape (n,)
        Ones where the teacher is nowhere sure of anything.

    Examples
    --------
    >>> confidence_weights([[1.0, 0.0], [0.5, 0.5]], 1.0).tolist()
    [2.0, 0.0]
    """
    P = _probabilities("P", P, multilabel)
    check_number("power", power, low=0.0)
    if not len(P) or power == 0:
        return np.ones(len(P))
    values = P.astype(np.float64)
    if multilabel:
        entropy = (_entropies(values) + _entropies(1.0 - values)).mean(axis=1) / np.log(2.0)
    else:
        entropy = _entropies(values).sum(axis=1) / np.log(max(2, P.shape[1]))
    # Rounding puts the entropy of a uniform row slightly above its bound.
    weights = np.where(1.0 - entropy < 1e-9, 0.0, 1.0 - entropy) ** power
    mean = weights.mean()
    result: NDArray[np.float64] = weights / mean if mean > 0 else np.ones(len(P))
    return result


def correct_prior(
    P: ArrayLike, prior_from: ArrayLike, prior_to: ArrayLike | None = None, *, multilabel: bool = False
) -> Matrix:
    """Probabilities where the classes have other shares than in the teacher's training data.

    Each column is multiplied by ``prior_to / prior_from`` and the rows are normalised; with ``multilabel`` the odds of
    each label are changed so by themselves.

    Parameters
    ----------
    P : float array of shape (n, C)
    prior_from, prior_to : float array of shape (C,)
        Shares of the classes where the teacher was trained (all above 0), and where it is to be right; of labels with
        ``multilabel``. Without ``prior_to`` it is estimated from P: :func:`estimate_prior`.

    Raises
    ------
    InvalidParameterError
        When the shares do not fit P, or a row would have nothing left.

    Notes
    -----
    Saerens, Latinne and Decaestecker 2002, equation 2.4, https://doi.org/10.1162/089976602753284446.

    Examples
    --------
    >>> correct_prior([[0.5, 0.5]], [0.5, 0.5], [0.9, 0.1]).tolist()
    [[0.9, 0.1]]
    """
    P = _probabilities("P", P, multilabel)
    before = _prior("prior_from", prior_from, P.shape[1], multilabel)
    after = estimate_prior(P, before, multilabel=multilabel) if prior_to is None else prior_to
    after = _prior("prior_to", after, P.shape[1], multilabel, allow_zero=True)
    corrected = _reweighted(P.astype(np.float64), before, after, multilabel)
    if not np.isfinite(corrected).all():
        row = int(np.flatnonzero(~np.isfinite(corrected).all(axis=1))[0])
        raise InvalidParameterError(
            f"prior_to must leave every row of P a class; row {row} is sure of one with the share 0. "
            "Give it a small one."
        )
    return corrected.astype(P.dtype)


def estimate_prior(
    P: ArrayLike, prior_from: ArrayLike, *, multilabel: bool = False, max_iter: int = 1000, tol: float = 1e-8
) -> NDArray[np.float64]:
    """The classes' shares among the rows of P, by expectation maximisation from ``prior_from``.

    Parameters
    ----------
    P : float array of shape (n, C)
        Calibrated probabilities of a classifier trained where the classes have the shares ``prior_from``.
    prior_from : float array of shape (C,)
    max_iter : int
    tol : float
        Ends when no share changes by more.

    Returns
    -------
    float64 array of shape (C,)

    Notes
    -----
    Saerens, Latinne and Decaestecker 2002, section 2.2.
    """
    P = _probabilities("P", P, multilabel).astype(np.float64)
    before = _prior("prior_from", prior_from, P.shape[1], multilabel)
    check_integer("max_iter", max_iter, low=1)
    check_number("tol", tol, low=0.0)
    share = before
    for _ in range(max_iter if len(P) else 0):
        last, share = share, _reweighted(P, before, share, multilabel).mean(axis=0)
        if np.abs(share - last).max() <= tol:
            break
    return share


def _reweighted(
    P: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64], multilabel: bool
) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = P * (after / before)
        rest = (1.0 - P) * ((1.0 - after) / (1.0 - before)) if multilabel else 0.0
        return np.asarray(scaled / (scaled + rest if multilabel else scaled.sum(axis=1, keepdims=True)))


def _normalised(P: Matrix) -> Matrix:
    result: Matrix = P / P.sum(axis=1, keepdims=True)
    return result


def _entropies(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``-p log p`` of each entry, 0 at 0."""
    return np.asarray(-values * np.log(np.where(values > 0.0, values, 1.0)))


def _probabilities(name: str, P: ArrayLike, multilabel: bool) -> Matrix:
    given = np.asarray(P)
    matrix: Matrix = given if given.dtype == np.float32 else np.asarray(given, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.shape[1]:
        raise InvalidParameterError(f"{name} must be a matrix of shape (n, C); got shape {matrix.shape}.")
    fits = ((matrix >= 0.0) & (matrix <= 1.0 + SUM_TOLERANCE)).all(axis=1)
    if not multilabel:
        fits &= np.abs(matrix.sum(axis=1) - 1.0) <= SUM_TOLERANCE
    if not fits.all():
        row = int(np.flatnonzero(~fits)[0])
        what = "hold probabilities" if multilabel else "sum to 1 (or pass multilabel=True)"
        raise InvalidParameterError(f"the rows of {name} must {what}; row {row} is {matrix[row].tolist()!r:.120}.")
    return np.minimum(matrix, matrix.dtype.type(1.0))


def _prior(
    name: str, prior: ArrayLike, n_classes: int, multilabel: bool, *, allow_zero: bool = False
) -> NDArray[np.float64]:
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (n_classes,):
        raise InvalidParameterError(f"{name} must have a share for each of {n_classes} classes; got {shares.shape}.")
    low = (shares >= 0.0) if allow_zero else (shares > 0.0)
    high = (shares < 1.0) if multilabel and not allow_zero else (shares <= 1.0)
    if not (low & high).all() or (not multilabel and abs(shares.sum() - 1.0) > SUM_TOLERANCE):
        sums = "" if multilabel else ", and sum to 1"
        bounds = "from 0 to 1" if allow_zero else "above 0 and below 1" if multilabel else "above 0"
        raise InvalidParameterError(f"{name} must be {bounds}{sums}; got {shares.tolist()!r:.120}.")
    return shares


def _hard_matrix(hard: NDArray[Any], shape: tuple[int, ...], dtype: Any, multilabel: bool) -> Matrix:
    if hard.shape == shape and hard.dtype.kind in "fiub":
        return hard.astype(dtype)
    if multilabel or hard.shape != shape[:1] or hard.dtype.kind not in "iu":
        wanted = f"an indicator matrix of shape {shape}" if multilabel else f"columns of shape {shape[:1]}, -1 for none"
        raise InvalidParameterError(f"hard must be {wanted}; got {hard.dtype} of shape {hard.shape}.")
    if len(hard) and not -1 <= hard.min() <= hard.max() < shape[1]:
        raise InvalidParameterError(
            f"hard must hold columns from 0 to {shape[1] - 1}, or -1; got {hard.min()} to {hard.max()}."
        )
    Y = np.zeros(shape, dtype=dtype)
    rows = np.flatnonzero(hard >= 0)
    Y[rows, hard[rows]] = 1.0
    Y[hard < 0] = np.nan
    return Y


def _check_above_zero(name: str, value: float) -> None:
    check_number(name, value, low=0.0)
    if value == 0:
        raise InvalidParameterError(f"{name} must be above 0; got {value!r}.")
