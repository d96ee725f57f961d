"""Heads: classifiers on top of feature vectors."""

from tlclassic.heads.logistic import LogisticSearch, search_logistic

__all__ = ["LogisticSearch", "search_logistic"]
