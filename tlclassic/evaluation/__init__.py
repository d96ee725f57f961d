"""Measures of predictions as numbers, table and page; timing and memory of programs."""

from tlclassic.evaluation.calibration import ReliabilityBin
from tlclassic.evaluation.counting import ClassScores
from tlclassic.evaluation.evaluation import Evaluation, Probabilities, evaluate_predictions

__all__ = ["ClassScores", "Evaluation", "Probabilities", "ReliabilityBin", "evaluate_predictions"]
