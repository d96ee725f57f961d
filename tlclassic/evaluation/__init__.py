"""Measures of predictions as numbers, table and page; timing and memory of programs."""

from tlclassic.evaluation.calibration import ReliabilityBin
from tlclassic.evaluation.counting import ClassScores
from tlclassic.evaluation.environment import environment
from tlclassic.evaluation.evaluation import Evaluation, Probabilities, evaluate_predictions
from tlclassic.evaluation.timing import ProcessCost, interleaved, process_cost

__all__ = [
    "ClassScores",
    "Evaluation",
    "Probabilities",
    "ProcessCost",
    "ReliabilityBin",
    "environment",
    "evaluate_predictions",
    "interleaved",
    "process_cost",
]
