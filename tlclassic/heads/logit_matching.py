"""Linear models fitted to a teacher's logits by least squares, instead of to its probabilities by cross-entropy.

# Design: each output is a ridge regression of its own, solved by LSQR on the sparse rows as they are; the intercept is
# free, and the columns are centred by a product, not in memory. Probabilities say little of a teacher's order among
# classes that it holds for unlikely, logits say it all; in return, texts that it is sure of weigh as much as others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from tlclassic._validate import check_number, check_texts
from tlclassic.heads.ngram_fitting import check_parameters
from tlclassic.heads.ngram_streams import Fitted
from tlclassic.heads.solvers import Solution, row_weights
from tlclassic.heads.targets import Targets, read_targets

if TYPE_CHECKING:
    from tlclassic.heads.ngram_classifier import NgramClassifier

__all__ = ["LOGIT_BOUND", "fit_texts_to_logits", "fit_to_logits", "target_logits"]

Float = NDArray[np.float64]
#: A probability of 0 or 1 has no logit: log-odds are cut off here, log-probabilities at minus as much.
LOGIT_BOUND = 10.0


def target_logits(targets: Targets) -> Float:
    """The logits of target probabilities, of shape (n, K).

    Log-probabilities, not below ``-LOGIT_BOUND``, from which each row's mean is taken: softmax does not depend on it.
    For two classes (K = 1) and for several labels a text the log-odds, within ``LOGIT_BOUND`` of 0.

    Examples
    --------
    >>> target_logits(Targets(np.array(["a", "b"]), np.array([[0.2, 0.8], [1.0, 0.0]]), False)).round(3).tolist()
    [[1.386], [-10.0]]
    """
    with np.errstate(divide="ignore"):
        Z = np.log(targets.outputs)
        if targets.loss == "sigmoid":
            return np.asarray(np.clip(Z - np.log1p(-targets.outputs), -LOGIT_BOUND, LOGIT_BOUND))
    Z = np.maximum(Z, -LOGIT_BOUND)
    return np.asarray(Z - Z.mean(axis=1, keepdims=True))


def fit_to_logits(
    X: Any,
    targets: Targets,
    *,
    sample_weight: NDArray[Any] | None = None,
    C: float = 1.0,
    tol: float = 1e-6,
    max_iter: int = 200,
) -> Solution:
    """Minimise ``C / 2 * sum_i w_i |z_i - logits_i|^2 + 1/2 |coef|^2`` over the coefficients and a free intercept.

    Parameters
    ----------
    X : sparse matrix of shape (n, F)
        Columns that do not occur are free.
    targets : Targets
        Whose logits z are those of :func:`target_logits`.
    sample_weight : array of shape (n,), optional
        Not negative; default ones.
    C : float
        Strength of the data against the penalty, above 0.
    tol, max_iter : float, int
        LSQR's: relative to the residual, and how often it goes over the rows.

    Returns
    -------
    Solution
        Always of one thread: the result does not depend on the machine's.

    Notes
    -----
    Matching of logits: Ba and Caruana 2014, https://arxiv.org/abs/1312.6184. LSQR: Paige and Saunders 1982,
    https://doi.org/10.1145/355984.355989.
    """
    check_number("C", C, low=1e-300)
    weights = row_weights(sample_weight, X.shape[0])
    Z = target_logits(targets)
    columns = np.unique(X.indices).astype(np.int64)
    place = np.searchsorted(columns, X.indices).astype(np.int32)
    rows = sp.csr_matrix((X.data.astype(np.float64), place, X.indptr), shape=(X.shape[0], len(columns)))
    if not len(columns):
        mean = np.average(Z, axis=0, weights=weights)
        return Solution(columns, np.zeros((Z.shape[1], 0)), X.shape[1], mean, 0, 0.0, True)
    ridge = Ridge(alpha=1.0 / C, solver="lsqr", tol=tol, max_iter=max_iter).fit(rows, Z, sample_weight=weights)
    coef = np.asarray(ridge.coef_).reshape(Z.shape[1], -1)
    intercept = np.asarray(ridge.intercept_, dtype=np.float64).reshape(-1)
    misses = weights @ (Z - rows @ coef.T - intercept) ** 2
    n_iter = int(np.max(ridge.n_iter_))
    objective = float(C * misses.sum() + (coef**2).sum()) / 2
    return Solution(columns, coef, X.shape[1], intercept, n_iter, objective, n_iter < max_iter)


def fit_texts_to_logits(
    model: NgramClassifier,
    texts: Sequence[str],
    P: NDArray[Any],
    *,
    classes: Sequence[Any] | NDArray[Any],
    sample_weight: NDArray[Any] | None = None,
) -> NgramClassifier:
    """Fit ``model`` to the logits of probabilities; features, C, tol and max_iter are its own, the penalty is L2.

    Parameters
    ----------
    model : NgramClassifier
    texts : sequence of str of length n
    P : float array of shape (n, C)
    classes : sequence
        Names of the columns of P.
    sample_weight : array of shape (n,), optional

    Returns
    -------
    NgramClassifier
        The same.
    """
    check_parameters(model)
    texts = check_texts(texts)
    targets = read_targets(P, classes=classes, multilabel=model.multilabel)
    features = model._make_features()
    X = features.fit_transform(texts)
    solution = fit_to_logits(X, targets, sample_weight=sample_weight, C=model.C, tol=model.tol, max_iter=model.max_iter)
    model._take(features, Fitted(solution.columns, solution.weights, solution.intercept, solution.n_iter), targets)
    return model
