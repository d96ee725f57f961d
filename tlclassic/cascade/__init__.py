"""The cascade: a fast student answers where it is sure, and a teacher, or nobody, where it is not.

Imports NumPy alone, so that a process which serves a compiled student stays as small as the student is.
"""

from tlclassic.cascade.cascade import Answers, Cascade
from tlclassic.cascade.report import CascadeReport, Tuning

__all__ = ["Answers", "Cascade", "CascadeReport", "Tuning"]
