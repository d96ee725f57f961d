"""Calibrated probabilities that stay a link of an affine map: sigmoid and temperature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tlclassic.folding.linear import Linear
from tlclassic.folding.refusal import refusal

__all__ = ["calibrated"]


def calibrated(model: Any, place: str, fold: Callable[[Any, str], Linear]) -> Linear:
    """A ``CalibratedClassifierCV`` as an affine map.

    With ``d`` the decisions, Platt's sigmoid is 1 / (1 + exp(a d + b)) of each class, divided by their sum (of two
    classes: of the second alone); a temperature is softmax(beta d), of two classes softmax(-beta d, beta d).

    Raises
    ------
    InvalidParameterError
        For isotonic calibration (a step function), or an average of several classifiers' probabilities.
    """
    members = model.calibrated_classifiers_
    if len(members) > 1:
        reason = f"ensemble=True averages the probabilities of {len(members)} classifiers"
        raise refusal(place, model, reason, "Fit CalibratedClassifierCV with ensemble=False")
    member = members[0]
    if member.method not in ("sigmoid", "temperature"):
        reason = f"method={member.method!r} is a step function"
        raise refusal(place, model, reason, "Use method='sigmoid' or 'temperature'")
    linear = fold(member.estimator, place)
    if linear.multilabel or len(linear.classes) != len(model.classes_):
        raise refusal(place, model, "a fold has other classes than the whole", "Train it on more texts of each class")
    # Its own classes may be the numbers of the real ones.
    linear = replace(linear, classes=model.classes_)
    if member.method == "temperature":
        beta = float(member.calibrators[0].beta_)
        return _temperature(linear, beta)
    a = np.array([calibrator.a_ for calibrator in member.calibrators], dtype=np.float64)
    b = np.array([calibrator.b_ for calibrator in member.calibrators], dtype=np.float64)
    return replace(linear.rescaled(-a, -b), link="sigmoid" if linear.n_outputs == 1 else "ovr")


def _temperature(linear: Linear, beta: float) -> Linear:
    if linear.n_outputs == 1:
        return replace(linear.rescaled(2.0 * beta), link="sigmoid")
    return replace(linear.rescaled(beta), link="softmax")
