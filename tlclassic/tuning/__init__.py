"""Tuning: the features and the strength of a classifier, searched under a time and a size budget."""

from tlclassic._compat import require

require("sklearn", purpose="tlclassic.tuning")

from tlclassic.tuning.result import TuneResult  # noqa: E402 (the door is checked first)
from tlclassic.tuning.tuner import tune  # noqa: E402

__all__ = ["TuneResult", "tune"]
