"""Heads: classifiers on top of feature vectors."""

from tlclassic.heads.convolution_classifier import ConvolutionClassifier
from tlclassic.heads.logistic import LogisticSearch, check_enough, search_logistic
from tlclassic.heads.ngram_classifier import NgramClassifier
from tlclassic.heads.soft_label import SoftLabelLogisticRegression
from tlclassic.heads.solvers import Solution, fit_linear
from tlclassic.heads.streaming import Streaming, fit_streaming
from tlclassic.heads.thresholds import ThresholdClassifier, f1_thresholds

__all__ = [
    "ConvolutionClassifier",
    "LogisticSearch",
    "NgramClassifier",
    "SoftLabelLogisticRegression",
    "Solution",
    "Streaming",
    "ThresholdClassifier",
    "check_enough",
    "f1_thresholds",
    "fit_linear",
    "fit_streaming",
    "search_logistic",
]
