"""Heads: classifiers on top of feature vectors."""

from tlclassic.heads.logistic import LogisticSearch, check_enough, search_logistic
from tlclassic.heads.thresholds import ThresholdClassifier, f1_thresholds

__all__ = ["LogisticSearch", "ThresholdClassifier", "check_enough", "f1_thresholds", "search_logistic"]
